//! What is stored about one person: handed over, or erased.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::TimeDelta;

use crate::{
    control::{
        PersonDeliveryReport, PersonForgotten, PersonKey, PersonReport, PersonSuppression, Refused,
        RefusedKind,
    },
    message::payload::{self, Layout},
    model::{Channel, DeliveryId, EmailAddress, RecipientHash, Run, RunId, Subject},
    store::{Forgotten, Person, PersonDelivery},
};

use super::Engine;

/// How long what is on the wire may take to end before it is left for another time.
const PATIENCE: Duration = Duration::from_secs(15);
/// The pause between two looks.
const LOOK: TimeDelta = TimeDelta::milliseconds(200);
/// How often it is tried to take the old pages out of the store's files: a reader may be in the way.
const TRIES: usize = 25;
/// How many deliveries are erased in one transaction.
const PAGE: usize = 500;

impl Engine {
    /// Everything that is stored about a person.
    pub(super) async fn person(
        &self,
        address: &EmailAddress,
        keys: &[PersonKey],
    ) -> Result<PersonReport, Refused> {
        let person = self.person_of(address, keys)?;
        let mut report = PersonReport {
            address: address.as_str().to_owned(),
            ..PersonReport::default()
        };
        let store = self.store()?;
        let mut subjects = BTreeSet::from([Subject::Address(person.address)]);
        subjects.extend(person.recipients.iter().copied().map(Subject::Recipient));
        let mut runs: BTreeMap<RunId, Run> = BTreeMap::new();
        let mut after = DeliveryId(0);
        let mut recipients = BTreeSet::new();
        loop {
            let (ids, further) = store.find_person(&person, after).await?;
            for id in ids {
                let Some(found) = store.person_delivery(id).await? else {
                    continue;
                };
                let id = found.delivery.run;
                let run = match runs.get(&id) {
                    Some(run) => Some(run.clone()),
                    None => store.run(id).await?,
                };
                let Some(run) = run else {
                    continue;
                };
                subjects.insert(Subject::Recipient(found.recipient));
                recipients.extend(self.source_and_key(&found.delivery.key, found.recipient));
                report.deliveries.push(told(found, &run));
                runs.insert(id, run);
            }
            match further {
                Some(further) => after = further,
                None => break,
            }
        }
        report.recipients = recipients.into_iter().collect();
        for subject in subjects {
            for entry in store.suppressions_of(subject).await? {
                report.suppressions.push(PersonSuppression {
                    of: match subject {
                        Subject::Address(_) => "address".to_owned(),
                        Subject::Recipient(_) => "recipient".to_owned(),
                    },
                    shown: entry.shown,
                    topic: entry.topic,
                    reason: entry.reason,
                    at: entry.at,
                    origin: entry.origin,
                });
            }
        }
        Ok(report)
    }

    /// Erases what is stored about a person; the hashes stay, so that nobody gets anything twice or in spite of a suppression.
    pub(super) async fn forget(
        &self,
        address: &EmailAddress,
        keys: &[PersonKey],
    ) -> Result<PersonForgotten, Refused> {
        let lease = self.lease()?;
        let person = self.person_of(address, keys)?;
        let store = self.store()?;
        let mut sum = Forgotten::default();
        let mut subjects = BTreeSet::from([Subject::Address(person.address)]);
        subjects.extend(person.recipients.iter().copied().map(Subject::Recipient));
        let begun = self.clock.now();
        loop {
            let mut after = DeliveryId(0);
            let mut on_the_wire = 0;
            loop {
                let (ids, further) = store.find_person(&person, after).await?;
                for id in &ids {
                    if let Some(found) = store.person_delivery(*id).await? {
                        subjects.insert(Subject::Recipient(found.recipient));
                    }
                }
                for page in ids.chunks(PAGE) {
                    let step = store
                        .forget_deliveries(lease, page.to_vec(), self.clock.now())
                        .await?;
                    sum.erased += step.erased;
                    sum.cancelled += step.cancelled;
                    on_the_wire += step.on_the_wire;
                }
                match further {
                    Some(further) => after = further,
                    None => break,
                }
            }
            sum.on_the_wire = on_the_wire;
            let waited = (self.clock.now() - begun).to_std().unwrap_or(PATIENCE);
            if on_the_wire == 0 || waited >= PATIENCE {
                break;
            }
            self.clock.sleep_until(self.clock.now() + LOOK).await;
        }
        let suppressions = store
            .forget_shown(lease, subjects.into_iter().collect())
            .await?;
        let wiped = self.wipe().await?;
        tracing::info!(
            deliveries = sum.erased,
            cancelled = sum.cancelled,
            suppressions,
            wiped,
            "a person was forgotten"
        );
        Ok(PersonForgotten {
            deliveries: sum.erased,
            cancelled: sum.cancelled,
            on_the_wire: sum.on_the_wire,
            suppressions,
            wiped,
        })
    }

    /// Takes the old pages out of the store's files. `false`: somebody reads them all the time.
    async fn wipe(&self) -> Result<bool, Refused> {
        for _ in 0..TRIES {
            if self.store()?.wipe().await? {
                return Ok(true);
            }
            self.clock.sleep_until(self.clock.now() + LOOK).await;
        }
        Ok(false)
    }

    fn person_of(&self, address: &EmailAddress, keys: &[PersonKey]) -> Result<Person, Refused> {
        let settings = self.settings();
        let mut recipients = Vec::with_capacity(keys.len());
        for PersonKey { source, key } in keys {
            if !settings.sources.contains_key(source) {
                return Err(Refused::new(
                    RefusedKind::Usage,
                    format!("the settings have no source {source}"),
                ));
            }
            recipients.push(self.identity.recipient(source, key));
        }
        Ok(Person {
            address: self.identity.address(Channel::Email, &address.normalized()),
            recipients,
        })
    }

    /// `SOURCE:KEY`, where one of the settings' sources makes the recipient's hash of the key.
    fn source_and_key(&self, key: &str, recipient: RecipientHash) -> Option<String> {
        let settings = self.settings();
        let source = settings
            .sources
            .keys()
            .find(|source| self.identity.recipient(source, key) == recipient)?;
        Some(format!("{source}:{key}"))
    }
}

fn told(found: PersonDelivery, run: &Run) -> PersonDeliveryReport {
    let delivery = found.delivery;
    let names = Layout::from_text(&found.layout);
    let values = found
        .payload
        .as_deref()
        .and_then(|bytes| payload::decode(bytes).ok());
    let stored = match (names, values) {
        (Ok(layout), Some(values)) => layout
            .names()
            .iter()
            .zip(values)
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect(),
        _ => BTreeMap::new(),
    };
    PersonDeliveryReport {
        run: delivery.run,
        campaign: run.campaign.clone(),
        occurrence: run.occurrence.clone(),
        topic: run.topic.clone(),
        key: delivery.key,
        channel: delivery.channel,
        address: delivery.address,
        status: delivery.status,
        reason: delivery.reason,
        planned_at: run.opened_at,
        first_try: found.first_try,
        at: delivery.at,
        message_id: delivery.message_id,
        attempts: delivery.attempts,
        stored,
    }
}
