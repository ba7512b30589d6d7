//! Which campaign a file is: ids that outlive a broken file, and campaigns that look like renamed ones.

use std::sync::Arc;

use crate::{
    control::Refused,
    engine::Engine,
    model::{CampaignId, HoldReason, Period, Unit},
    store::{CampaignRecord, Sighting},
    workspace::{Entry, Snapshot},
};

/// For how long after a campaign vanished a new one may be the same: later, it is one that came after it.
const SUSPICIOUS_FOR: Period = Period {
    count: 7,
    unit: Unit::Day,
};

impl Engine {
    /// A broken file keeps the id it had when it last checked: it must not look like a removed campaign.
    pub(in crate::engine) fn keep_known_ids(&self, snapshot: &mut Snapshot) {
        let mut known = self.known_ids.lock();
        let mut renamed = Vec::new();
        for (id, entry) in &snapshot.campaigns {
            match entry {
                Entry::Ready(loaded) => {
                    known.insert(loaded.campaign.file.path().to_owned(), id.clone());
                }
                Entry::Broken(broken) => {
                    if let Some(last) = known.get(&broken.path).filter(|last| *last != id) {
                        renamed.push((id.clone(), last.clone()));
                    }
                }
            }
        }
        for (from, to) in renamed {
            if !snapshot.campaigns.contains_key(&to)
                && let Some(entry) = snapshot.campaigns.remove(&from)
            {
                snapshot.campaigns.insert(to, entry);
            }
        }
    }

    /// What the first load and the store tell about the ids of files; one that is broken now may have had another when it checked.
    pub(in crate::engine) async fn know_ids(&self) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        for entry in snapshot.campaigns.values() {
            if let (Entry::Broken(broken), Some(store)) = (entry, &self.store)
                && let Some(kept) = store.setting(&id_key(&broken.path)).await?
                && let Some(id) = String::from_utf8(kept).ok().and_then(|id| id.parse().ok())
            {
                self.known_ids.lock().insert(broken.path.clone(), id);
            }
        }
        let mut named = Snapshot {
            settings: snapshot.settings.clone(),
            campaigns: snapshot.campaigns.clone(),
            diagnostics: snapshot.diagnostics.clone(),
        };
        self.keep_known_ids(&mut named);
        self.go_on_with_last_good(&mut named, &self.tree()).await?;
        self.snapshot.store(Arc::new(named));
        Ok(())
    }

    /// Keeps the ids that files declare: a path tells the others.
    pub(super) async fn keep_declared_ids(&self) -> Result<(), Refused> {
        for (id, entry) in &self.snapshot().campaigns {
            if let Entry::Ready(loaded) = entry
                && loaded.campaign.declares_id
            {
                let key = id_key(loaded.campaign.file.path());
                if self.store()?.setting(&key).await?.as_deref() != Some(id.as_str().as_bytes()) {
                    self.store()?
                        .set_setting(&key, id.as_str().as_bytes())
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// A new campaign that appears while one with its source and topic is gone may be the same under another name.
    pub(super) async fn note_suspects(
        &self,
        before: &[CampaignRecord],
        sightings: &[Sighting],
    ) -> Result<(), Refused> {
        let long_ago = SUSPICIOUS_FOR.before(self.clock.now());
        let gone = |record: &&CampaignRecord| {
            !sightings.iter().any(|sighting| sighting.id == record.id)
                && record.removed_at.is_none_or(|at| at > long_ago)
        };
        for new in sightings
            .iter()
            .filter(|sighting| !before.iter().any(|record| record.id == sighting.id))
        {
            if self.declares_its_id(&new.id) {
                continue;
            }
            let ids = self.ids_of(&new.id);
            let twin = before.iter().filter(gone).find(|record| {
                !ids.contains(&record.id)
                    && new.source.is_some()
                    && record.source == new.source
                    && record.topic == new.topic
            });
            if let Some(twin) = twin {
                tracing::warn!(
                    campaign = %new.id, like = %twin.id,
                    "it looks like a renamed campaign: its runs are held until it says `id = \"{0}\"` or `was = [\"{0}\"]`, or one of \
                     them is approved", twin.id
                );
                self.store()?
                    .set_setting(&suspect_key(&new.id), twin.id.as_str().as_bytes())
                    .await?;
            }
        }
        Ok(())
    }

    fn declares_its_id(&self, id: &CampaignId) -> bool {
        match self.snapshot().campaigns.get(id) {
            Some(Entry::Ready(loaded)) => loaded.campaign.declares_id,
            _ => false,
        }
    }

    /// The vanished campaign that this one may be a renaming of.
    pub(in crate::engine) async fn suspect_of(
        &self,
        id: &CampaignId,
    ) -> Result<Option<CampaignId>, Refused> {
        if self.declares_its_id(id) {
            return Ok(None);
        }
        let kept = self.store()?.setting(&suspect_key(id)).await?;
        let twin = kept.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        Ok(twin.filter(|twin| !self.ids_of(id).contains(twin)))
    }

    /// The hold of a campaign that may be a renaming of one that vanished.
    pub(in crate::engine) async fn hold_as_suspect(
        &self,
        id: &CampaignId,
    ) -> Result<Option<HoldReason>, Refused> {
        let suspect = self.suspect_of(id).await?;
        Ok(suspect.map(|_| HoldReason::SuspectedRename))
    }

    /// A person says that it is another campaign.
    pub(in crate::engine) async fn clear_suspicion(&self, id: &CampaignId) -> Result<(), Refused> {
        Ok(self.store()?.set_setting(&suspect_key(id), b"").await?)
    }
}

fn id_key(path: &str) -> String {
    format!("id_of/{path}")
}

fn suspect_key(id: &CampaignId) -> String {
    format!("suspect/{id}")
}
