//! What is `given`, as a ledger of its own: rules and scripts ask it as they ask the real one. It lies in a temporary folder
//! and is gone when the tests are.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    control::{Refused, RefusedKind},
    engine::loading::blocking,
    model::{
        AddressHash, Channel, DeliveryId, EmailAddress, Given, Identity, LastSent, Occurrence,
        OccurrenceName, Outcomes, Recipient, RunId, RunState, Subject, Suppression,
        SuppressionReason, TopicName, Totals, Unsubscribed,
    },
    store::{
        self, Advance, Begin, Done, Frozen, Lease, NewRun, Opened, Outcome, RunChange, Seal, Store,
    },
    workspace::Loaded,
};

/// The past of all tests of a campaign; made when the first of them has one.
#[derive(Default)]
pub(super) struct Past {
    ledger: Option<Ledger>,
    runs: u32,
}

struct Ledger {
    // In this order: the file is closed before its folder is removed.
    store: Arc<dyn Store>,
    lease: Lease,
    _folder: tempfile::TempDir,
}

impl Past {
    /// A store in which all that is given happened to each of the recipients.
    pub(super) async fn of<'a>(
        &mut self,
        given: &Given,
        loaded: &Loaded,
        identity: &Identity,
        now: DateTime<Utc>,
        recipients: impl Iterator<Item = &'a Recipient>,
    ) -> Result<Arc<dyn Store>, Refused> {
        let recipients: Vec<&Recipient> = recipients.collect();
        let ledger = match &mut self.ledger {
            Some(ledger) => ledger,
            none => none.insert(Ledger::open(now).await?),
        };
        if let Some(last_sent) = given.last_sent {
            let rows = rows(identity, &recipients);
            for _ in 0..given.sent_count {
                self.runs += 1;
                ledger
                    .send(loaded, &rows, last_sent, now, self.runs)
                    .await?;
            }
        }
        // After what was sent: it would have stopped that.
        let mut entries = Vec::new();
        for recipient in recipients {
            let subject = identity.recipient(&recipient.source, &recipient.key);
            let entry = |topic: Option<TopicName>, reason| Suppression {
                subject: Subject::Recipient(subject),
                topic,
                reason,
                at: now,
                shown: String::new(),
                origin: "test".to_owned(),
            };
            let unsubscribed = SuppressionReason::Unsubscribed;
            match &given.unsubscribed {
                Unsubscribed::FromNothing => {}
                Unsubscribed::FromAll => entries.push(entry(None, unsubscribed)),
                Unsubscribed::From(topics) => entries.extend(
                    topics
                        .iter()
                        .map(|topic| entry(Some(topic.clone()), unsubscribed)),
                ),
            }
            entries.extend(given.suppressed.map(|reason| entry(None, reason)));
        }
        if !entries.is_empty() {
            ledger.store.suppress(entries).await?;
        }
        Ok(ledger.store.clone())
    }
}

impl Ledger {
    async fn open(now: DateTime<Utc>) -> Result<Self, Refused> {
        let opened = blocking(|| {
            let folder = tempfile::Builder::new().prefix("campanile-test-").tempdir();
            let folder =
                folder.map_err(|error| format!("tests need a temporary folder: {error}"))?;
            let store = store::open(&folder.path().join("past.db"));
            Ok((store.map_err(|error| error.to_string())?, folder))
        });
        let (store, folder) = opened
            .await
            .map_err(|words: String| Refused::new(RefusedKind::Failed, words))?;
        let lease = store.take_over(now).await?.lease;
        Ok(Self {
            store,
            lease,
            _folder: folder,
        })
    }

    /// A run of the campaign that everybody in `rows` had.
    async fn send(
        &self,
        loaded: &Loaded,
        rows: &[Frozen],
        last_sent: LastSent,
        now: DateTime<Utc>,
        number: u32,
    ) -> Result<(), Refused> {
        let (store, lease) = (&self.store, self.lease);
        let at = last_sent.moment(now);
        let name = OccurrenceName::label(&format!("past-{number}")).expect("it is a label");
        let campaign = &loaded.campaign;
        let via = campaign.email.as_ref().map(|email| email.via.clone());
        let new = NewRun {
            campaign: campaign.id.clone(),
            occurrence: Occurrence { name, due: at },
            topic: campaign.topic.clone(),
            purpose: campaign.purpose,
            bundle: None,
            asked: false,
            expires_at: None,
            cooldown_group: None,
            waits: false,
            rollout: None,
            stop_if: None,
            effects: Vec::new(),
            layout: "[]".to_owned(),
            queues: via.into_iter().map(|via| (Channel::Email, via)).collect(),
        };
        let (Opened::New(run) | Opened::Exists(run)) = store.open_run(lease, new, at).await?;
        let mut addresses: Vec<(AddressHash, u32)> = rows
            .iter()
            .filter_map(|row| Some((row.address_hash?, row.sequence)))
            .collect();
        addresses.sort_unstable();
        store.freeze(lease, run.id, rows.to_vec()).await?;
        store.freeze_addresses(lease, run.id, addresses).await?;
        let seal = Seal {
            content_digest: String::new(),
            plan_digest: String::new(),
            totals: Totals::default(),
            state: RunState::Sending,
            reason: None,
            limit: None,
            drop_rows: false,
        };
        store.seal(lease, run.id, seal, at).await?;
        self.deliver(run.id, rows, at).await?;
        let change = RunChange {
            state: RunState::Finished,
            reason: None,
            released: None,
        };
        let from = [RunState::Sending];
        store.move_run(run.id, &from, change, at).await?;
        Ok(())
    }

    async fn deliver(&self, run: RunId, rows: &[Frozen], at: DateTime<Utc>) -> Result<(), Refused> {
        let delivery = |row: &Frozen| DeliveryId::new(run, row.sequence);
        let begin = rows.iter().filter_map(|row| {
            Some(Begin {
                delivery: delivery(row),
                recipient: row.recipient,
                address_hash: row.address_hash?,
                message_id: format!("{}@test.invalid", delivery(row)),
            })
        });
        let attempts = Advance {
            now: at,
            begin: begin.collect(),
            ..Advance::default()
        };
        // Nobody sends: the permits are dropped, and what came of them is said below.
        let (outcomes, _answers) = Outcomes::channel();
        self.store.advance(self.lease, attempts, &outcomes).await?;
        let done = rows.iter().map(|row| Done {
            delivery: delivery(row),
            outcome: Outcome::Sent,
            reason: None,
            suppress: false,
        });
        let done = Advance {
            now: at,
            done: done.collect(),
            ..Advance::default()
        };
        self.store.advance(self.lease, done, &outcomes).await?;
        Ok(())
    }
}

/// The recipients as deliveries, in the order of their hashes; each once.
fn rows(identity: &Identity, recipients: &[&Recipient]) -> Vec<Frozen> {
    let mut rows: Vec<Frozen> = recipients
        .iter()
        .map(|recipient| {
            let written = recipient.role(|roles| &roles.email).unwrap_or_default();
            // Who has no address now had one then.
            let address = written
                .parse::<EmailAddress>()
                .map_or_else(|_| written.clone(), |address| address.normalized());
            Frozen {
                sequence: 0,
                recipient: identity.recipient(&recipient.source, &recipient.key),
                address_hash: Some(identity.address(Channel::Email, &address)),
                channel: Channel::Email,
                zone: None,
                key: recipient.key.clone(),
                address: written,
                skip: None,
                payload: vec![0],
            }
        })
        .collect();
    rows.sort_by_key(|row| row.recipient);
    rows.dedup_by_key(|row| row.recipient);
    for (row, sequence) in rows.iter_mut().zip(0..) {
        row.sequence = sequence;
    }
    rows
}
