//! What people say to runs: pause, resume, cancel, retry, stop, start.

use std::sync::Arc;

use crate::{
    control::{Refused, RefusedKind},
    model::{CampaignId, HoldReason, Occurrence, Run, RunId, RunState, Status, Timing},
    store::{CampaignChange, RunChange},
};

use super::{Engine, lifecycle::Standing, planning::Order};

/// How many rows of a cancelled run are marked in one transaction.
const CANCEL_ROWS: usize = 5_000;

impl Engine {
    pub(super) async fn run(&self, id: RunId) -> Result<Run, Refused> {
        self.store()?.run(id).await?.ok_or_else(|| {
            Refused::new(
                RefusedKind::Usage,
                format!("there is no run {id}: `campanile status` lists them"),
            )
        })
    }

    pub(super) async fn pause(&self, id: RunId) -> Result<(), Refused> {
        let from = [RunState::Sending, RunState::Scheduled];
        self.move_or_refuse(
            id,
            &from,
            RunState::Paused,
            Some("asked for"),
            None,
            "pause",
        )
        .await
    }

    /// Lets a paused or held run go on.
    pub(super) async fn resume(self: &Arc<Self>, id: RunId) -> Result<RunId, Refused> {
        let run = self.run(id).await?;
        let held = run
            .reason
            .as_deref()
            .and_then(|reason| reason.parse::<HoldReason>().ok());
        let refuse = |message: String| Err(Refused::new(RefusedKind::Held, message));
        // What the files or `stop` forbid now is not begun: the run waits for them instead.
        let (state, why) = match self.standing_of(&run.campaign).await? {
            Standing::Held(reason) => (RunState::Held, Some(reason.as_str())),
            _ => (RunState::Sending, None),
        };
        match (run.state, held) {
            (RunState::Paused, _) => {
                self.move_or_refuse(id, &[RunState::Paused], state, why, None, "resume")
                    .await?;
            }
            (RunState::Held, Some(HoldReason::Broken)) => {
                return refuse(format!(
                    "run {id} is held because {} does not check: mend its files, then it goes on by itself",
                    run.campaign
                ));
            }
            (RunState::Held, Some(HoldReason::Removed)) => {
                return refuse(format!(
                    "run {id} is held because the file of {} is gone: bring it back, then it goes on by itself",
                    run.campaign
                ));
            }
            (RunState::Held, Some(HoldReason::Stopped)) => {
                return refuse(format!(
                    "run {id} is held by `campanile stop`: `campanile start {}` lets it go on",
                    run.campaign
                ));
            }
            (RunState::Held, Some(HoldReason::SourceError)) => return self.plan_again(&run).await,
            (RunState::Held, _) => {
                if held == Some(HoldReason::SuspectedRename) {
                    self.clear_suspicion(&run.campaign).await?;
                }
                // Who lets one hold go has not seen the limit behind it: that holds the run next.
                if let Some(limit) = self.limit_behind(&run, held).await? {
                    let reason = Some(limit.as_str());
                    self.move_or_refuse(
                        id,
                        &[RunState::Held],
                        RunState::Held,
                        reason,
                        None,
                        "resume",
                    )
                    .await?;
                    return refuse(format!(
                        "run {id} is held as {limit} now, which nobody was asked about yet: \
                         `campanile resume {id}` once more lets it go all the same"
                    ));
                }
                self.move_or_refuse(id, &[RunState::Held], state, why, Some(true), "resume")
                    .await?;
            }
            // Left by a process that ended, with nobody to send it: whoever asks goes on with it.
            (RunState::Sending, _) if !self.is_sending().await => {
                if state != RunState::Sending {
                    self.move_or_refuse(id, &[RunState::Sending], state, why, None, "resume")
                        .await?;
                }
            }
            (state, _) => {
                return refuse(format!("run {id} is {state}: there is nothing to resume"));
            }
        }
        Ok(id)
    }

    /// The limit of the campaign that a run exceeds and that nobody has been shown, as it was held for something else.
    async fn limit_behind(
        &self,
        run: &Run,
        held: Option<HoldReason>,
    ) -> Result<Option<HoldReason>, Refused> {
        let first = matches!(
            held,
            Some(HoldReason::SuspectedRename | HoldReason::FreshStore)
        );
        let (true, Ok(loaded)) = (first, self.loaded(&run.campaign)) else {
            return Ok(None);
        };
        let (audience, to_send) = (&loaded.campaign.audience, run.totals.to_send);
        let skipped = self.store()?.counts(run.id).await?.skipped();
        let errors = skipped.get("script_error").copied().unwrap_or_default();
        Ok(if errors > audience.max_script_errors {
            Some(HoldReason::ScriptErrors)
        } else if audience.max_recipients.is_some_and(|most| to_send > most) {
            Some(HoldReason::TooMany)
        } else if to_send < audience.min_recipients {
            Some(HoldReason::TooFew)
        } else {
            None
        })
    }

    /// A run whose source could not be read has no plan: the same occurrence is planned anew.
    async fn plan_again(self: &Arc<Self>, run: &Run) -> Result<RunId, Refused> {
        let loaded = self.loaded(&run.campaign)?;
        // Should this process end before the plan is made, the schedule comes to the occurrence once more.
        if let Some(schedule) = &loaded.campaign.schedule {
            let before = match schedule.timing {
                Timing::Now => chrono::DateTime::UNIX_EPOCH,
                _ => run.due - chrono::TimeDelta::milliseconds(1),
            };
            let back = CampaignChange::Cursor(before);
            self.store()?.change_campaign(&run.campaign, back).await?;
        }
        self.store()?.discard(self.lease()?, run.id).await?;
        let occurrence = Occurrence {
            name: run.occurrence.clone(),
            due: run.due,
        };
        // What would have held the first plan holds this one. A label was asked for by a person: that is no rename.
        let hold = match &loaded.campaign.schedule {
            Some(_) => self.hold_as_suspect(&run.campaign).await?,
            None => None,
        };
        Ok(self
            .start_run(Order {
                loaded,
                occurrence,
                digest: None,
                hold,
                keep: true,
            })
            .await?
            .id)
    }

    pub(super) async fn cancel(self: &Arc<Self>, id: RunId) -> Result<(), Refused> {
        let run = self.run(id).await?;
        if run.state == RunState::Cancelled && self.store()?.counts(id).await?.open() > 0 {
            return self.end_rows(id).await;
        }
        if run.state.is_over() {
            return Err(Refused::new(
                RefusedKind::Held,
                format!("run {id} is {} already", run.state),
            ));
        }
        self.end_run(&run, "asked for").await
    }

    /// Cancels a run, whatever it is doing. Its state is the authority at once; its rows follow.
    pub(super) async fn end_run(self: &Arc<Self>, run: &Run, why: &str) -> Result<(), Refused> {
        let (store, now) = (self.store()?.clone(), self.clock.now());
        let change = RunChange {
            state: RunState::Cancelled,
            reason: Some(why.to_owned()),
            released: None,
        };
        let open: Vec<_> = RunState::ALL
            .iter()
            .copied()
            .filter(|state| !state.is_over())
            .collect();
        if store.move_run(run.id, &open, change, now).await? {
            tracing::info!(run = %run.id, campaign = %run.campaign, reason = why, "cancelled");
            self.wake().await;
        }
        self.end_rows(run.id).await
    }

    /// Marks what is left of a cancelled run, also where an earlier process ended in the middle of it.
    pub(super) async fn end_rows(&self, run: RunId) -> Result<(), Refused> {
        let (store, now) = (self.store()?, self.clock.now());
        while store.cancel_rows(run, CANCEL_ROWS, now).await? > 0 {}
        Ok(())
    }

    pub(super) async fn retry(&self, id: RunId, statuses: &[Status]) -> Result<(), Refused> {
        let run = self.run(id).await?;
        if matches!(run.state, RunState::Cancelled | RunState::Planning) {
            return Err(Refused::new(
                RefusedKind::Held,
                format!("run {id} is {}: there is nothing to retry", run.state),
            ));
        }
        if let Some(wrong) = statuses
            .iter()
            .find(|status| !matches!(status, Status::Failed | Status::InDoubt))
        {
            return Err(Refused::new(
                RefusedKind::Usage,
                format!("{wrong} deliveries can't be retried: failed and in_doubt can"),
            ));
        }
        let forbidden = match self.standing_of(&run.campaign).await? {
            Standing::Held(reason) => Some(reason.as_str()),
            Standing::Over(why) => Some(why),
            Standing::Good | Standing::AsTheyAre => None,
        };
        if let Some(why) = forbidden {
            return Err(Refused::new(
                RefusedKind::Held,
                format!("{} is {why}: nothing of it is sent", run.campaign),
            ));
        }
        let n = self
            .store()?
            .requeue(self.lease()?, id, statuses, self.clock.now())
            .await?;
        if n == 0 {
            let left = self.store()?.counts(id).await?;
            let others = [Status::Failed, Status::InDoubt]
                .into_iter()
                .filter(|status| !statuses.contains(status) && left.of(*status) > 0)
                .map(|status| format!("; `--status {status}` tries its {} again", left.of(status)));
            return Err(Refused::new(
                RefusedKind::Held,
                format!(
                    "run {id} has nothing to retry{}",
                    others.collect::<String>()
                ),
            ));
        }
        self.work.lock().remove(&id);
        self.wake().await;
        Ok(())
    }

    /// Stops or starts campaigns, whatever their files say.
    pub(super) async fn set_stopped(
        self: &Arc<Self>,
        campaigns: &[CampaignId],
        stopped: bool,
    ) -> Result<String, Refused> {
        let store = self.store()?;
        let records = store.campaigns().await?;
        for id in campaigns {
            if !records.iter().any(|record| record.id == *id) {
                return Err(Refused::new(
                    RefusedKind::Usage,
                    format!("there is no campaign {id}"),
                ));
            }
        }
        let at = stopped.then(|| self.clock.now());
        let chosen: Vec<_> = records
            .iter()
            .filter(|record| campaigns.is_empty() || campaigns.contains(&record.id))
            .collect();
        for record in &chosen {
            store
                .change_campaign(&record.id, CampaignChange::StoppedAt(at))
                .await?;
        }
        self.hold_and_release().await?;
        let verb = if stopped { "stopped" } else { "started" };
        let names: Vec<_> = chosen.iter().map(|record| record.id.as_str()).collect();
        Ok(format!("{verb}: {}", names.join(", ")))
    }

    async fn move_or_refuse(
        &self,
        id: RunId,
        from: &[RunState],
        state: RunState,
        reason: Option<&str>,
        released: Option<bool>,
        verb: &str,
    ) -> Result<(), Refused> {
        self.lease()?;
        let change = RunChange {
            state,
            reason: reason.map(ToOwned::to_owned),
            released,
        };
        if self
            .store()?
            .move_run(id, from, change, self.clock.now())
            .await?
        {
            self.wake().await;
            return Ok(());
        }
        let run = self.run(id).await?;
        Err(Refused::new(
            RefusedKind::Held,
            format!("run {id} is {}: it can't {verb}", run.state),
        ))
    }
}
