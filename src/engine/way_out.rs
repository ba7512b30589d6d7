//! What the public pages ask: the way out of a topic, or of everything, and back.

use std::sync::atomic::Ordering;

use crate::{
    control::Refused,
    message::links::{Claim, LinkKind},
    model::{DeliveryId, Subject, Suppression, SuppressionReason, Topic, TopicName},
    workspace::Entry,
};

use super::Engine;

/// What somebody unsubscribes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOut {
    /// The topic of the message.
    Topic,
    /// Everything.
    All,
}

impl Engine {
    /// What a token of a link says, if it is one of ours and of this kind.
    pub fn claim(&self, kind: LinkKind, token: &str) -> Option<Claim> {
        self.links.load().verify(kind, token)
    }

    /// The topic of a claim, where the settings still have it.
    pub fn topic(&self, claim: &Claim) -> Option<Topic> {
        self.settings().topics.get(&claim.topic).cloned()
    }

    /// The sender's name to show on public pages: that of the only sender, else of a campaign in the claim's topic.
    pub fn sender_name(&self, claim: &Claim) -> Option<String> {
        let settings = self.settings();
        let mut senders = settings.senders.values();
        if let (Some(sender), None) = (senders.next(), senders.next()) {
            return Some(sender.name.clone());
        }
        self.snapshot()
            .campaigns
            .values()
            .find_map(|entry| match entry {
                Entry::Ready(loaded) if loaded.topic.name == claim.topic => {
                    Some(loaded.sender.name.clone())
                }
                _ => None,
            })
    }

    /// Whether the claim's address or recipient is unsubscribed from its topic, and from everything.
    pub async fn unsubscribed(&self, claim: &Claim) -> Result<(bool, bool), Refused> {
        let (mut topic, mut all) = (false, false);
        for subject in subjects(claim) {
            for entry in self.store()?.suppressions_of(subject).await? {
                if entry.reason == SuppressionReason::Unsubscribed {
                    match &entry.topic {
                        None => all = true,
                        Some(name) => topic |= *name == claim.topic,
                    }
                }
            }
        }
        Ok((topic, all))
    }

    /// Unsubscribes address and recipient of a claim from its topic, or from everything. Counts at once, also for messages
    /// of runs that are being sent.
    pub async fn unsubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.lease()?;
        let (store, now) = (self.store()?, self.clock.now());
        let (address, recipient) = self.shown(claim.delivery).await?;
        let entries = subjects(claim).into_iter().map(|subject| Suppression {
            subject,
            topic: topic(claim, scope),
            reason: SuppressionReason::Unsubscribed,
            at: now,
            shown: match subject {
                Subject::Address(_) => address.clone(),
                Subject::Recipient(_) => recipient.clone(),
            },
            origin: match claim.delivery {
                DeliveryId(0) => "link in a test message".to_owned(),
                id => format!("link in delivery {id}"),
            },
        });
        let was_out = self.is_out(claim).await?;
        let new = store.suppress(entries.collect()).await?;
        self.count_change(claim, was_out).await?;
        tracing::info!(delivery = %claim.delivery, topic = %claim.topic, ?scope, new, "unsubscribed");
        Ok(())
    }

    /// Address and recipient (`SOURCE:KEY`) of a delivery, as lists show them; empty where they are not known any more.
    pub(super) async fn shown(&self, id: DeliveryId) -> Result<(String, String), Refused> {
        let store = self.store()?;
        let (Some(delivery), Some(run)) = (store.delivery(id).await?, store.run(id.run()).await?)
        else {
            return Ok(Default::default());
        };
        let records = store.campaigns().await?;
        let source = records
            .into_iter()
            .find(|record| record.id == run.campaign)
            .and_then(|record| record.source);
        let recipient = match source {
            Some(source) if !delivery.key.is_empty() => format!("{source}:{}", delivery.key),
            _ => String::new(),
        };
        Ok((delivery.address, recipient))
    }

    /// Whether the topic of a claim is off for its address or recipient, alone or with everything.
    pub(super) async fn is_out(&self, claim: &Claim) -> Result<bool, Refused> {
        Ok(self.unsubscribed(claim).await? != (false, false))
    }

    /// Counts a way out that was taken, or one that was taken back, with the run whose message had the link.
    pub(super) async fn count_change(&self, claim: &Claim, was_out: bool) -> Result<(), Refused> {
        let is_out = self.is_out(claim).await?;
        // Test messages belong to no run.
        if claim.delivery == DeliveryId(0) || is_out == was_out {
            return Ok(());
        }
        let n = if is_out { 1 } else { -1 };
        let run = claim.delivery.run();
        Ok(self
            .store()?
            .add_unsubscribed(run, n, self.clock.now())
            .await?)
    }

    /// Takes an unsubscription back (the undo of its page); other suppressions stay.
    pub async fn resubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.lease()?;
        let was_out = self.is_out(claim).await?;
        for subject in subjects(claim) {
            let topic = topic(claim, scope);
            self.store()?
                .unsuppress(
                    subject,
                    topic.as_ref(),
                    Some(SuppressionReason::Unsubscribed),
                )
                .await?;
        }
        self.count_change(claim, was_out).await?;
        tracing::info!(delivery = %claim.delivery, topic = %claim.topic, ?scope, "unsubscription taken back");
        Ok(())
    }

    /// Whether runs can be planned and sent: the settings check, the store answers, the sender works. The error says why not.
    pub async fn ready(&self) -> Result<(), String> {
        if self.files_gone.load(Ordering::Relaxed) {
            return Err("the workspace's files are gone".to_owned());
        }
        if self.snapshot().settings.is_none() {
            return Err("the settings do not check".to_owned());
        }
        let store = self.store().map_err(|error| error.to_string())?;
        store
            .setting("ready")
            .await
            .map_err(|error| error.to_string())?;
        if self.is_sending().await {
            Ok(())
        } else {
            Err("nothing is sent: the ledger can't be written".to_owned())
        }
    }
}

pub(super) fn subjects(claim: &Claim) -> [Subject; 2] {
    [
        Subject::Address(claim.address),
        Subject::Recipient(claim.recipient),
    ]
}

fn topic(claim: &Claim, scope: OptOut) -> Option<TopicName> {
    match scope {
        OptOut::Topic => Some(claim.topic.clone()),
        OptOut::All => None,
    }
}
