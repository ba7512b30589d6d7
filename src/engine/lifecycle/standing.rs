//! What should become of a campaign's runs, and that it becomes of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    engine::Engine,
    model::{CampaignId, HoldReason, Run, RunState},
    store::{CampaignRecord, RunChange, RunFilter},
};

use super::presence::REMOVAL_GRACE;

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

/// How many rows of a run that is too old are marked in one transaction.
const EXPIRED_ROWS: usize = 5_000;

/// Which campaigns are known, by id.
type Records = BTreeMap<CampaignId, CampaignRecord>;

impl Engine {
    /// Holds, releases, re-plans, starts and ends runs as the campaigns' files, `stop` and the clock say.
    pub(crate) async fn hold_and_release(self: &Arc<Self>) -> Result<(), Refused> {
        let (store, now, records) = (self.store()?, self.clock.now(), self.records().await?);
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
            let standing = self.standing(&run.campaign, &records, now);
            let expired = run.expires_at.is_some_and(|at| at <= now);
            let applied = async {
                if expired {
                    self.expire(&run).await?;
                }
                self.apply(&run, standing).await
            };
            if let Err(error) = applied.await {
                tracing::error!(run = %run.id, %error, "what its files say is not in force yet");
            }
        }
        Ok(())
    }

    async fn records(&self) -> Result<Records, Refused> {
        let records = self.store()?.campaigns().await?;
        let by_id = |record: CampaignRecord| (record.id.clone(), record);
        Ok(records.into_iter().map(by_id).collect())
    }

    /// What should become of a campaign's runs now.
    pub(in crate::engine) async fn standing_of(
        &self,
        id: &CampaignId,
    ) -> Result<Standing, Refused> {
        Ok(self.standing(id, &self.records().await?, self.clock.now()))
    }

    fn standing(&self, id: &CampaignId, records: &Records, now: DateTime<Utc>) -> Standing {
        // The runs of one that goes on under another name are that one's.
        let heir = self.heir_of(id);
        let is_stopped = |id: &CampaignId| {
            records
                .get(id)
                .is_some_and(|record| record.stopped_at.is_some())
        };
        let stopped = is_stopped(id) || is_stopped(&heir);
        let snapshot = self.snapshot();
        if snapshot.settings.is_none() && !self.files_gone.load(Ordering::Relaxed) {
            // Broken settings start nothing; what runs goes on with the last good ones, but for what is taken away.
            return match snapshot.campaigns.get(&heir) {
                _ if stopped => Standing::Held(HoldReason::Stopped),
                None => Standing::Held(HoldReason::Removed),
                Some(_) => Standing::AsTheyAre,
            };
        }
        match snapshot.campaigns.get(&heir) {
            Some(entry) => match entry.in_force() {
                Some(loaded) if !loaded.campaign.enabled => Standing::Over("disabled"),
                _ if stopped => Standing::Held(HoldReason::Stopped),
                Some(_) => Standing::Good,
                None => Standing::Held(HoldReason::Broken),
            },
            None if stopped => Standing::Held(HoldReason::Stopped),
            None => {
                let record = records.get(id).filter(|_| snapshot.settings.is_some());
                let over = record.and_then(|record| {
                    let grace = record.removal_grace.unwrap_or(REMOVAL_GRACE);
                    Some(grace.after(record.removed_at?))
                });
                match over {
                    Some(over) if over <= now => Standing::Over("removed"),
                    _ => Standing::Held(HoldReason::Removed),
                }
            }
        }
    }

    async fn apply(self: &Arc<Self>, run: &Run, standing: Standing) -> Result<(), Refused> {
        let held_by_files = held_by_files(run);
        let waits = matches!(run.state, RunState::Scheduled | RunState::AwaitingApproval);
        match standing {
            Standing::Over(why) => self.end_run(run, why).await,
            Standing::Held(reason)
                if run.state == RunState::Sending
                    || waits
                    || held_by_files.is_some_and(|held| held != reason) =>
            {
                self.shift(run, RunState::Held, Some(reason.to_string()))
                    .await
            }
            Standing::Good => {
                if self.replan_if_edited(run) {
                    return Ok(());
                }
                if waits || held_by_files.is_some() {
                    let (state, reason) = self.gate_of(run, false).await?.state();
                    return self.shift(run, state, reason).await;
                }
                Ok(())
            }
            Standing::Held(_) | Standing::AsTheyAre => Ok(()),
        }
    }

    /// Nothing more of a run that is too old is sent.
    async fn expire(&self, run: &Run) -> Result<(), Refused> {
        let (store, now) = (self.store()?, self.clock.now());
        if store.counts(run.id).await?.open() == 0 {
            // A transport that can't be reached would hold on to what it was handed and never began.
            if run.state == RunState::Sending {
                self.finish(run.id).await?;
            }
            return Ok(());
        }
        let words = "older than expires_after";
        let mut expired = 0;
        loop {
            match store.expire_rows(run.id, words, EXPIRED_ROWS, now).await? {
                0 => break,
                n => expired += n,
            }
        }
        if expired > 0 {
            tracing::warn!(run = %run.id, campaign = %run.campaign, deliveries = expired, "expired");
            self.wake().await;
        }
        Ok(())
    }

    /// Moves a run to where it stands, unless it stands there or has moved meanwhile.
    async fn shift(
        &self,
        run: &Run,
        state: RunState,
        reason: Option<String>,
    ) -> Result<(), Refused> {
        let change = RunChange {
            state,
            reason,
            released: None,
        };
        if (run.state, &run.reason) == (state, &change.reason) {
            return Ok(());
        }
        tracing::info!(run = %run.id, campaign = %run.campaign, %state, reason = change.reason.as_deref(), "run");
        self.store()?
            .move_run(run.id, &[run.state], change, self.clock.now())
            .await?;
        self.wake().await;
        Ok(())
    }
}

/// Why a run is held, where that ends by itself.
pub(in crate::engine) fn held_by_files(run: &Run) -> Option<HoldReason> {
    HoldReason::ALL
        .iter()
        .copied()
        .filter(|reason| reason.ends_by_itself())
        .find(|reason| {
            run.state == RunState::Held && run.reason.as_deref() == Some(reason.as_str())
        })
}
