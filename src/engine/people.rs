//! The suppression list, as people change it.

use crate::{
    control::{Refused, RefusedKind, SuppressionTarget},
    model::{Channel, EmailAddress, Subject, Suppression},
};

use super::Engine;

impl Engine {
    /// Adds to the list; gives how many entries were new.
    pub(super) async fn suppress(&self, targets: Vec<SuppressionTarget>) -> Result<u64, Refused> {
        self.lease()?;
        let now = self.clock.now();
        let mut entries = Vec::with_capacity(targets.len());
        for target in targets {
            entries.push(Suppression {
                subject: self.subject(&target)?,
                topic: target.topic,
                reason: target.reason,
                at: target.at.unwrap_or(now),
                shown: match &target.source {
                    Some(source) => format!("{source}:{}", target.text),
                    None => target.text,
                },
                origin: target.origin,
            });
        }
        Ok(self.store()?.suppress(entries).await?)
    }

    /// Removes from the list, whatever the reason; gives how many entries were there.
    pub(super) async fn unsuppress(&self, targets: Vec<SuppressionTarget>) -> Result<u64, Refused> {
        self.lease()?;
        let mut removed = 0;
        for target in targets {
            let subject = self.subject(&target)?;
            removed += self
                .store()?
                .unsuppress(subject, target.topic.as_ref(), None)
                .await?;
        }
        Ok(removed)
    }

    fn subject(&self, target: &SuppressionTarget) -> Result<Subject, Refused> {
        let usage = |message: String| Refused::new(RefusedKind::Usage, message);
        let settings = self.settings();
        if let Some(topic) = target
            .topic
            .as_ref()
            .filter(|topic| !settings.topics.contains_key(*topic))
        {
            return Err(usage(format!("the settings have no topic {topic}")));
        }
        match &target.source {
            Some(source) if settings.sources.contains_key(source) => Ok(Subject::Recipient(
                self.identity.recipient(source, &target.text),
            )),
            Some(source) => Err(usage(format!("the settings have no source {source}"))),
            None => {
                let address: EmailAddress = target.text.parse().map_err(usage)?;
                Ok(Subject::Address(
                    self.identity.address(Channel::Email, &address.normalized()),
                ))
            }
        }
    }
}
