//! What should become of a campaign's runs, and that it becomes of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    engine::Engine,
    model::{CampaignId, HoldReason, Period, Run, RunState},
    store::{CampaignRecord, RunChange, RunFilter},
    workspace::Entry,
};

/// How long a file may be away before what was not sent is cancelled.
pub(super) const REMOVAL_GRACE: Period = Period::minutes(10);

/// What should become of a campaign's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Standing {
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
    pub(in crate::engine) async fn standing_of(
        &self,
        id: &CampaignId,
    ) -> Result<Standing, Refused> {
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
}

/// Why a run is held, where that ends by itself.
pub(super) fn held_by_files(run: &Run) -> Option<HoldReason> {
    [HoldReason::Removed, HoldReason::Broken, HoldReason::Stopped]
        .into_iter()
        .find(|reason| {
            run.state == RunState::Held && run.reason.as_deref() == Some(reason.as_str())
        })
}
