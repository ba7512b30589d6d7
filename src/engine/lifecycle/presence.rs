//! Which campaigns are there, and which are gone.

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    engine::Engine,
    store::{CampaignChange, CampaignRecord, Sighting},
    workspace::Entry,
};

use super::standing::REMOVAL_GRACE;

/// The setting under which the moment of a store's first load is kept.
const FIRST_LOAD: &str = "first_load";

impl Engine {
    /// Notes in the store which campaigns are there, and which are gone.
    pub(in crate::engine) async fn take_note_of_campaigns(&self) -> Result<(), Refused> {
        let (store, now, snapshot) = (self.store()?, self.clock.now(), self.snapshot());
        self.keep_declared_ids().await?;
        let before = store.campaigns().await?;
        let sightings = snapshot.campaigns.iter().map(|(id, entry)| match entry {
            Entry::Ready(loaded) => Sighting {
                id: id.clone(),
                name: loaded.campaign.name.clone(),
                source: loaded.campaign.audience.sources.first().cloned(),
                topic: Some(loaded.topic.name.clone()),
            },
            Entry::Broken(_) => Sighting {
                id: id.clone(),
                name: id.to_string(),
                source: None,
                topic: None,
            },
        });
        let sightings: Vec<_> = sightings.collect();
        self.note_suspects(&before, &sightings).await?;
        store.sight(sightings, now).await?;
        // After the sightings: cut short between the two, the first load is the next one, and holds more rather than less.
        if store.setting(FIRST_LOAD).await?.is_none() {
            store
                .set_setting(FIRST_LOAD, now.to_rfc3339().as_bytes())
                .await?;
        }
        let missing: Vec<_> = before
            .iter()
            .filter(|record| {
                record.removed_at.is_none() && !snapshot.campaigns.contains_key(&record.id)
            })
            .collect();
        let known = before
            .iter()
            .filter(|record| record.removed_at.is_none())
            .count();
        if missing.is_empty() {
            return Ok(());
        }
        let folder_gone = !self.workspace.join("campaigns").is_dir();
        if folder_gone || (missing.len() >= 3 && missing.len() * 5 > known) {
            tracing::error!(
                missing = missing.len(),
                of = known,
                "so many campaigns vanished at once that it looks like an unmounted disk: their runs wait, nothing is cancelled"
            );
            return Ok(());
        }
        for record in missing {
            tracing::warn!(campaign = %record.id, grace = %REMOVAL_GRACE, "its file is gone: it starts nothing more");
            store
                .change_campaign(&record.id, CampaignChange::RemovedAt(Some(now)))
                .await?;
        }
        Ok(())
    }

    /// Whether a campaign was there when the store was first used: nobody knows then what it sent before.
    pub(in crate::engine) async fn is_from_first_load(
        &self,
        record: &CampaignRecord,
    ) -> Result<bool, Refused> {
        let kept = self.store()?.setting(FIRST_LOAD).await?;
        let first_load = kept
            .and_then(|bytes| DateTime::parse_from_rfc3339(std::str::from_utf8(&bytes).ok()?).ok());
        Ok(first_load.is_some_and(|at| record.first_seen <= at.with_timezone(&Utc)))
    }
}
