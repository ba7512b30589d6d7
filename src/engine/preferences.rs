//! What a recipient wants to get: the topics of marketing mail, on and off.

use std::collections::BTreeSet;

use crate::{
    control::Refused,
    message::links::Claim,
    model::{DeliveryId, Purpose, Subject, Suppression, SuppressionReason, Topic, TopicName},
};

use super::{Engine, way_out::subjects};

/// A topic, and whether it is on.
#[derive(Clone, Debug)]
pub struct Preference {
    /// The topic.
    pub topic: Topic,
    /// Whether its messages are wanted.
    pub on: bool,
}

/// What a recipient wants to get.
#[derive(Clone, Debug, Default)]
pub struct Preferences {
    /// The topics of marketing mail, in the order of their names.
    pub topics: Vec<Preference>,
    /// Nothing is sent whatever is wanted: mail came back, was complained about, or somebody said so.
    pub blocked: bool,
}

impl Engine {
    /// What the recipient of a claim wants to get, by address and by key.
    pub async fn preferences(&self, claim: &Claim) -> Result<Preferences, Refused> {
        let (mut off, mut all, mut blocked) = (BTreeSet::new(), false, false);
        for subject in subjects(claim) {
            for entry in self.store()?.suppressions_of(subject).await? {
                match (entry.reason, entry.topic) {
                    (SuppressionReason::Unsubscribed, Some(topic)) => {
                        off.insert(topic);
                    }
                    (SuppressionReason::Unsubscribed, None) => all = true,
                    (_, None) => blocked = true,
                    (_, Some(_)) => {}
                }
            }
        }
        let settings = self.settings();
        let topics = settings
            .topics
            .values()
            .filter(|topic| topic.purpose == Purpose::Marketing)
            .map(|topic| Preference {
                on: !all && !off.contains(&topic.name),
                topic: topic.clone(),
            })
            .collect();
        Ok(Preferences { topics, blocked })
    }

    /// Sets what the recipient of a claim wants to get: these topics and no others of marketing mail. Only unsubscriptions are
    /// taken back; what else stands against a recipient stays.
    pub async fn prefer(&self, claim: &Claim, wanted: &BTreeSet<TopicName>) -> Result<(), Refused> {
        self.lease()?;
        let (store, settings) = (self.store()?, self.settings());
        let is_marketing = |topic: &&Topic| topic.purpose == Purpose::Marketing;
        let was_out = self.is_out(claim).await?;
        let mut had_all = false;
        for subject in subjects(claim) {
            let entries = store.suppressions_of(subject).await?;
            had_all |= entries.iter().any(|entry| {
                entry.reason == SuppressionReason::Unsubscribed && entry.topic.is_none()
            });
        }
        // Who was out of everything and wants one topic has not asked for the others, whatever they are for.
        let unwanted: Vec<&Topic> = settings
            .topics
            .values()
            .filter(|topic| had_all || is_marketing(topic))
            .filter(|topic| !wanted.contains(&topic.name))
            .collect();
        let (address, recipient) = self.shown(claim.delivery).await?;
        let now = self.clock.now();
        let mut entries = Vec::with_capacity(unwanted.len() * 2);
        for topic in unwanted {
            entries.extend(subjects(claim).into_iter().map(|subject| Suppression {
                subject,
                topic: Some(topic.name.clone()),
                reason: SuppressionReason::Unsubscribed,
                at: now,
                shown: match subject {
                    Subject::Address(_) => address.clone(),
                    Subject::Recipient(_) => recipient.clone(),
                },
                origin: match claim.delivery {
                    DeliveryId(0) => "preferences of a test message".to_owned(),
                    id => format!("preferences by delivery {id}"),
                },
            }));
        }
        // Out first: whatever fails behind it, nobody gets what was not wanted.
        store.suppress(entries).await?;
        let on = settings
            .topics
            .values()
            .filter(is_marketing)
            .filter(|topic| wanted.contains(&topic.name));
        let mut back: Vec<Option<&TopicName>> = on.map(|topic| Some(&topic.name)).collect();
        if !back.is_empty() && had_all {
            back.push(None);
        }
        for topic in back {
            for subject in subjects(claim) {
                let reason = Some(SuppressionReason::Unsubscribed);
                store.unsuppress(subject, topic, reason).await?;
            }
        }
        self.count_change(claim, was_out).await?;
        tracing::info!(delivery = %claim.delivery, topics = wanted.len(), "preferences set");
        Ok(())
    }
}
