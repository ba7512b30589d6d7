//! Which campaigns are there, and which are gone.

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    engine::Engine,
    model::Period,
    store::{CampaignChange, CampaignRecord, Sighting},
    workspace::Entry,
};

/// The setting under which the moment of a store's first load is kept.
const FIRST_LOAD: &str = "first_load";
/// Files that go within this time go at once: a slow disk may be seen half way through.
const AT_ONCE: Period = Period::minutes(1);
/// How long a file may be away that never said how long.
pub(super) const REMOVAL_GRACE: Period = Period::minutes(10);

impl Engine {
    /// Notes in the store which campaigns are there, and which are gone.
    pub(in crate::engine) async fn take_note_of_campaigns(&self) -> Result<(), Refused> {
        let (store, now, snapshot) = (self.store()?, self.clock.now(), self.snapshot());
        self.keep_declared_ids().await?;
        self.keep_good_files().await?;
        let before = store.campaigns().await?;
        let sightings = snapshot.campaigns.iter().map(|(id, entry)| match entry {
            Entry::Ready(loaded) => Sighting {
                id: id.clone(),
                name: loaded.campaign.name.clone(),
                source: loaded.campaign.audience.sources.first().cloned(),
                topic: Some(loaded.topic.name.clone()),
                removal_grace: Some(loaded.campaign.removal_grace),
                cooldown_group: loaded.campaign.audience.cooldown_group.clone(),
            },
            Entry::Broken(_) => Sighting {
                id: id.clone(),
                name: id.to_string(),
                source: None,
                topic: None,
                removal_grace: None,
                cooldown_group: None,
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
        self.take_over_histories().await?;
        self.note_absences(&before).await
    }

    /// Notes who is gone since the last load. Many at once look like an unmounted disk: they are only marked, so that one who is
    /// deleted later is not counted with them.
    async fn note_absences(&self, before: &[CampaignRecord]) -> Result<(), Refused> {
        let (store, now, snapshot) = (self.store()?, self.clock.now(), self.snapshot());
        let lately = AT_ONCE.before(now);
        let was_there = |record: &&CampaignRecord| {
            record.vanished_at.is_none() && record.removed_at.is_none_or(|at| at > lately)
        };
        let is_gone = |record: &&CampaignRecord| !snapshot.campaigns.contains_key(&record.id);
        let known = before.iter().filter(was_there).count();
        let missing: Vec<_> = before.iter().filter(was_there).filter(is_gone).collect();
        if missing.iter().all(|record| record.removed_at.is_some()) {
            return Ok(());
        }
        let folder_gone = !self.workspace.join("campaigns").is_dir();
        let at_once = folder_gone || (missing.len() >= 3 && missing.len() * 5 > known);
        if at_once {
            tracing::error!(
                missing = missing.len(),
                of = known,
                "so many campaigns vanished at once that it looks like an unmounted disk: their runs wait, nothing is \
                 cancelled; where they were deleted on purpose, `campanile cancel RUN` ends what waits"
            );
        }
        for record in missing {
            let change = async |change| store.change_campaign(&record.id, change).await;
            if at_once {
                change(CampaignChange::VanishedAt(Some(now))).await?;
                change(CampaignChange::RemovedAt(None)).await?;
            } else if record.removed_at.is_none() {
                let grace = record.removal_grace.unwrap_or(REMOVAL_GRACE);
                tracing::warn!(campaign = %record.id, %grace, "its file is gone: it starts nothing more");
                change(CampaignChange::RemovedAt(Some(now))).await?;
            }
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
