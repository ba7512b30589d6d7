//! What files that come, go, break and mend mean for campaigns and their runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    control::Refused,
    model::{CampaignId, HoldReason, Period, Run, RunState, Status},
    store::{CampaignChange, CampaignRecord, RunChange, RunFilter, Sighting},
    workspace::{Entry, Tree},
};

use super::{Engine, loading};

/// How long a file may be away before what was not sent is cancelled.
const REMOVAL_GRACE: Period = Period::minutes(10);
/// The setting under which the moment of a store's first load is kept.
const FIRST_LOAD: &str = "first_load";
/// Runs that were open when the store's last holder was last alive longer ago than this are held: the store may be a backup.
const STALE_AFTER: Period = Period::hours(1);

/// What should become of a campaign's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They go on.
    Good,
    /// They wait.
    Held(HoldReason),
    /// They end.
    Over(&'static str),
    /// Nothing is known that would change them.
    AsTheyAre,
}

impl Engine {
    /// Takes a new tree of files into force.
    pub(crate) async fn adopt(self: &Arc<Self>, tree: Tree) -> Result<(), Refused> {
        let tree = Arc::new(tree);
        let mut snapshot = loading::load(&self.workspace, tree.clone()).await;
        self.files_gone.store(false, Ordering::Relaxed);
        self.keep_known_ids(&mut snapshot);
        for found in &snapshot.diagnostics {
            tracing::warn!("{found}");
        }
        if let Some(settings) = &snapshot.settings {
            match loading::links(&self.workspace, settings, self.store.as_deref(), true).await {
                Ok(links) => self.links.store(Arc::new(links)),
                Err(error) => tracing::error!(%error, "the last good secrets stay in force"),
            }
            self.warn_of_what_needs_a_restart(settings);
            self.settings.store(settings.clone());
        } else {
            tracing::error!(
                "the settings do not check: no run starts, the last good settings stay in force"
            );
        }
        tracing::info!(
            campaigns = snapshot.campaigns.len(),
            findings = snapshot.diagnostics.len(),
            "loaded"
        );
        let checks = snapshot.settings.is_some();
        self.snapshot.store(Arc::new(snapshot));
        self.tree.store(tree);
        self.use_ways().await;
        self.to_be_noted.store(checks, Ordering::Relaxed);
        self.note_what_is_new().await?;
        self.hold_and_release().await
    }

    /// Some settings are those of the start: another value is not taken up silently, nor ignored silently.
    fn warn_of_what_needs_a_restart(&self, new: &crate::workspace::Settings) {
        let old = self.settings();
        let changed = [
            (
                "[store] path",
                loading::store_path(&self.workspace, new) != self.store_path,
            ),
            (
                "[store] max_in_doubt",
                new.store.max_in_doubt != old.store.max_in_doubt,
            ),
            ("[web] listen", new.web.listen != old.web.listen),
            (
                "[web] admin_listen",
                new.web.admin_listen != old.web.admin_listen,
            ),
        ];
        for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(
                key,
                "campanile.toml: the new value counts from the next start of this process"
            );
        }
    }

    /// Notes what the last load found, again and again until the store has it.
    pub(crate) async fn note_what_is_new(&self) -> Result<(), Refused> {
        if self.to_be_noted.load(Ordering::Relaxed) {
            self.take_note_of_campaigns().await?;
            self.to_be_noted.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The workspace's folder is gone: everything waits, nothing is cancelled.
    pub(crate) async fn files_vanished(self: &Arc<Self>, why: &str) -> Result<(), Refused> {
        tracing::error!(
            why,
            "the workspace's files are gone: runs wait until they are back, nothing is cancelled"
        );
        let snapshot = crate::workspace::Snapshot {
            settings: None,
            campaigns: std::collections::BTreeMap::new(),
            diagnostics: crate::model::Diagnostics::new(),
        };
        self.snapshot.store(Arc::new(snapshot));
        self.files_gone.store(true, Ordering::Relaxed);
        self.hold_and_release().await
    }

    /// A broken file keeps the id it had when it last checked: it must not look like a removed campaign.
    pub(super) fn keep_known_ids(&self, snapshot: &mut crate::workspace::Snapshot) {
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
    pub(super) async fn know_ids(&self) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        for entry in snapshot.campaigns.values() {
            if let (Entry::Broken(broken), Some(store)) = (entry, &self.store)
                && let Some(kept) = store.setting(&id_key(&broken.path)).await?
                && let Some(id) = String::from_utf8(kept).ok().and_then(|id| id.parse().ok())
            {
                self.known_ids.lock().insert(broken.path.clone(), id);
            }
        }
        let mut named = crate::workspace::Snapshot {
            settings: snapshot.settings.clone(),
            campaigns: snapshot.campaigns.clone(),
            diagnostics: snapshot.diagnostics.clone(),
        };
        self.keep_known_ids(&mut named);
        self.snapshot.store(Arc::new(named));
        Ok(())
    }

    /// Keeps the ids that files declare: a path tells the others.
    async fn keep_declared_ids(&self) -> Result<(), Refused> {
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

    /// Notes in the store which campaigns are there, and which are gone.
    pub(super) async fn take_note_of_campaigns(&self) -> Result<(), Refused> {
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

    /// A new campaign that appears while one with its source and topic is gone may be the same under another name.
    async fn note_suspects(
        &self,
        before: &[CampaignRecord],
        sightings: &[Sighting],
    ) -> Result<(), Refused> {
        let gone =
            |record: &&CampaignRecord| !sightings.iter().any(|sighting| sighting.id == record.id);
        for new in sightings
            .iter()
            .filter(|sighting| !before.iter().any(|record| record.id == sighting.id))
        {
            if self.declares_its_id(&new.id) {
                continue;
            }
            let twin = before.iter().filter(gone).find(|record| {
                new.source.is_some() && record.source == new.source && record.topic == new.topic
            });
            if let Some(twin) = twin {
                tracing::warn!(
                    campaign = %new.id, like = %twin.id,
                    "it looks like a renamed campaign: its runs are held until it says `id = \"{}\"`", twin.id
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
    pub(super) async fn suspect_of(&self, id: &CampaignId) -> Result<Option<CampaignId>, Refused> {
        if self.declares_its_id(id) {
            return Ok(None);
        }
        let kept = self.store()?.setting(&suspect_key(id)).await?;
        Ok(kept.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()))
    }

    /// The hold of a campaign that may be a renaming of one that vanished.
    pub(super) async fn hold_as_suspect(
        &self,
        id: &CampaignId,
    ) -> Result<Option<HoldReason>, Refused> {
        let suspect = self.suspect_of(id).await?;
        Ok(suspect.map(|_| HoldReason::SuspectedRename))
    }

    /// A person says that it is another campaign.
    pub(super) async fn clear_suspicion(&self, id: &CampaignId) -> Result<(), Refused> {
        Ok(self.store()?.set_setting(&suspect_key(id), b"").await?)
    }

    /// Whether a campaign was there when the store was first used: nobody knows then what it sent before.
    pub(super) async fn is_from_first_load(
        &self,
        record: &CampaignRecord,
    ) -> Result<bool, Refused> {
        let kept = self.store()?.setting(FIRST_LOAD).await?;
        let first_load = kept
            .and_then(|bytes| DateTime::parse_from_rfc3339(std::str::from_utf8(&bytes).ok()?).ok());
        Ok(first_load.is_some_and(|at| record.first_seen <= at.with_timezone(&Utc)))
    }

    /// Holds, releases and ends runs as the campaigns' files and `stop` say.
    pub(crate) async fn hold_and_release(self: &Arc<Self>) -> Result<(), Refused> {
        let (store, now) = (self.store()?, self.clock.now());
        let records: BTreeMap<_, _> = store
            .campaigns()
            .await?
            .into_iter()
            .map(|record| (record.id.clone(), record))
            .collect();
        let open = vec![
            RunState::Sending,
            RunState::Scheduled,
            RunState::Held,
            RunState::Paused,
            RunState::AwaitingApproval,
        ];
        let filter = RunFilter {
            states: open,
            ..RunFilter::default()
        };
        let runs = store.runs(filter).await?;
        self.work.lock().retain(|id, _| {
            let is_sending = |run: &Run| run.id == *id && run.state == RunState::Sending;
            runs.iter().any(is_sending)
        });
        for run in runs {
            let standing = self.standing(&run.campaign, records.get(&run.campaign), now);
            if let Err(error) = self.apply(&run, standing).await {
                tracing::error!(run = %run.id, %error, "what its files say is not in force yet");
            }
        }
        Ok(())
    }

    /// What should become of a campaign's runs now.
    pub(super) async fn standing_of(&self, id: &CampaignId) -> Result<Standing, Refused> {
        let records = self.store()?.campaigns().await?;
        let record = records.iter().find(|record| record.id == *id);
        Ok(self.standing(id, record, self.clock.now()))
    }

    fn standing(
        &self,
        id: &CampaignId,
        record: Option<&CampaignRecord>,
        now: DateTime<Utc>,
    ) -> Standing {
        let stopped = record.is_some_and(|record| record.stopped_at.is_some());
        let snapshot = self.snapshot();
        if snapshot.settings.is_none() && !self.files_gone.load(Ordering::Relaxed) {
            // Broken settings start nothing; what runs goes on with the last good ones, but for what is taken away.
            return match snapshot.campaigns.get(id) {
                _ if stopped => Standing::Held(HoldReason::Stopped),
                None => Standing::Held(HoldReason::Removed),
                Some(_) => Standing::AsTheyAre,
            };
        }
        match snapshot.campaigns.get(id) {
            Some(Entry::Ready(loaded)) if !loaded.campaign.enabled => Standing::Over("disabled"),
            _ if stopped => Standing::Held(HoldReason::Stopped),
            Some(Entry::Ready(_)) => Standing::Good,
            Some(Entry::Broken(_)) => Standing::Held(HoldReason::Broken),
            None => match record
                .filter(|_| snapshot.settings.is_some())
                .and_then(|record| record.removed_at)
            {
                Some(at) if REMOVAL_GRACE.after(at) <= now => Standing::Over("removed"),
                _ => Standing::Held(HoldReason::Removed),
            },
        }
    }

    async fn apply(self: &Arc<Self>, run: &Run, standing: Standing) -> Result<(), Refused> {
        let held_by_files = held_by_files(run);
        let (state, reason) = match standing {
            Standing::Over(why) => {
                return self.end_run(run, why).await;
            }
            Standing::Held(reason)
                if run.state == RunState::Sending
                    || held_by_files.is_some_and(|held| held != reason) =>
            {
                (RunState::Held, Some(reason.to_string()))
            }
            Standing::Good if held_by_files.is_some() => (RunState::Sending, None),
            _ => return Ok(()),
        };
        tracing::info!(run = %run.id, campaign = %run.campaign, %state, reason = reason.as_deref(), "run");
        let change = RunChange {
            state,
            reason,
            released: None,
        };
        self.store()?
            .move_run(run.id, &[run.state], change, self.clock.now())
            .await?;
        self.wake().await;
        Ok(())
    }

    /// After a take-over: what is in doubt is treated as its campaign says; runs of a store that looks like a backup wait.
    pub(super) async fn settle_after_take_over(self: &Arc<Self>) -> Result<(), Refused> {
        let (store, lease, now) = (self.store()?, self.lease()?, self.clock.now());
        let last = self
            .writing
            .as_ref()
            .and_then(|writing| writing.last_heartbeat);
        let stale = last.filter(|last| STALE_AFTER.after(*last) < now);
        let filter = RunFilter {
            states: vec![RunState::Sending, RunState::Held],
            ..RunFilter::default()
        };
        for run in store.runs(filter).await? {
            // One that would go on by itself is as one that is sending.
            if run.state == RunState::Held && held_by_files(&run).is_none() {
                continue;
            }
            if let Some(last) = stale {
                tracing::error!(
                    run = %run.id, last_alive = %last, away = %TimeDelta::minutes((now - last).num_minutes()),
                    "held as stale_ledger: nothing wrote this store for so long that it may be a restored backup"
                );
                let change = RunChange {
                    state: RunState::Held,
                    reason: Some(HoldReason::StaleLedger.to_string()),
                    released: None,
                };
                store.move_run(run.id, &[run.state], change, now).await?;
                continue;
            }
            if store.counts(run.id).await?.of(Status::InDoubt) > 0 {
                let policy = self.policy_of(&run).await;
                store.settle_doubt(lease, run.id, policy, now).await?;
            }
        }
        let cancelled = store
            .runs(RunFilter {
                states: vec![RunState::Cancelled],
                ..RunFilter::default()
            })
            .await?;
        let ids: Vec<_> = cancelled.iter().map(|run| run.id).collect();
        for (run, counts) in store.counts_of(&ids).await? {
            if counts.open() > 0 {
                self.end_rows(run).await?;
            }
        }
        Ok(())
    }
}

/// Why a run is held, where that ends by itself.
fn held_by_files(run: &Run) -> Option<HoldReason> {
    [HoldReason::Removed, HoldReason::Broken, HoldReason::Stopped]
        .into_iter()
        .find(|reason| {
            run.state == RunState::Held && run.reason.as_deref() == Some(reason.as_str())
        })
}

fn id_key(path: &str) -> String {
    format!("id_of/{path}")
}

fn suspect_key(id: &CampaignId) -> String {
    format!("suspect/{id}")
}
