//! What people say to runs: pause, resume, cancel, retry, stop, start.

use std::sync::Arc;

use crate::{
    control::{Refused, RefusedKind},
    model::{CampaignId, HoldReason, Occurrence, Run, RunId, RunState, Status},
    store::{CampaignChange, RunChange},
};

use super::{
    Engine,
    lifecycle::{Standing, held_by_files, waits_behind_first_part},
    planning::{Again, Order, Wanted},
    testing,
};

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
        let run = self.run(id).await?;
        // One that would go on by itself does not any more.
        let from: &[RunState] = if waits_behind_first_part(&run) {
            &[RunState::Paused]
        } else {
            &[RunState::Sending, RunState::Scheduled]
        };
        self.move_or_refuse(id, from, RunState::Paused, Some("asked for"), None, "pause")
            .await
    }

    /// Lets a paused or held run go on.
    pub(super) async fn resume(self: &Arc<Self>, id: RunId) -> Result<RunId, Refused> {
        let run = self.run(id).await?;
        let held = run.held();
        let refuse = |message: String| Err(Refused::new(RefusedKind::Held, message));
        if let Some(reason) = held_by_files(&run) {
            return refuse(format!(
                "run {id} is held because {}: {}",
                reason.because(),
                reason.help(id, &run.campaign)
            ));
        }
        match run.state {
            RunState::Paused | RunState::Held => {}
            RunState::AwaitingApproval => {
                return refuse(format!(
                    "run {id} waits for an approval: `campanile approve {id}` gives it, `campanile cancel {id}` ends it"
                ));
            }
            // Left by a process that ended, with nobody to send it: whoever asks goes on with it.
            RunState::Sending if !self.is_sending().await => {}
            state => {
                return refuse(format!("run {id} is {state}: there is nothing to resume"));
            }
        }
        let unplanned = run.state == RunState::Held && !testing::has_plan(&run);
        if held == Some(HoldReason::SourceError) || unplanned {
            let untested = held == Some(HoldReason::TestsFailed);
            return self.plan_again(&run, untested, false).await;
        }
        self.refuse_unseen(&run).await?;
        let released = (run.state == RunState::Held).then_some(true);
        if held == Some(HoldReason::SuspectedRename) {
            self.clear_suspicion(&run.campaign).await?;
        }
        // Who lets one hold go has not seen the limit behind it: that holds the run next.
        if let Some(limit) = run
            .over_limit()
            .filter(|limit| run.state == RunState::Held && !run.released && held != Some(*limit))
        {
            let reason = run.limit.as_deref();
            self.move_or_refuse(id, &[run.state], RunState::Held, reason, None, "resume")
                .await?;
            return refuse(format!(
                "run {id} is held because {} now, which nobody was asked about yet: {}",
                limit.because(),
                limit.help(id, &run.campaign)
            ));
        }
        // What the files or `stop` forbid now is not begun: the run waits for them instead.
        let standing = self.standing_of(&run.campaign).await?;
        let (state, why) = if let Standing::Held(reason) = standing {
            (RunState::Held, Some(reason.to_string()))
        } else {
            let resumed = Run {
                released: run.released || released.is_some(),
                ..run.clone()
            };
            self.gate_of(&resumed, true).await?.state()
        };
        if state == RunState::AwaitingApproval && held == Some(HoldReason::Late) {
            return refuse(format!(
                "run {id} needs an approval first: `campanile approve {id}`, then `campanile resume {id}` sends it late"
            ));
        }
        if (run.state, state) != (RunState::Sending, RunState::Sending) {
            self.move_or_refuse(id, &[run.state], state, why.as_deref(), released, "resume")
                .await?;
        }
        Ok(id)
    }

    /// A run whose source could not be read, or whose campaign's tests failed, has no plan: the same occurrence is planned anew.
    pub(super) async fn plan_again(
        self: &Arc<Self>,
        run: &Run,
        untested: bool,
        must_be_seen: bool,
    ) -> Result<RunId, Refused> {
        let loaded = self.loaded(&self.heir_of(&run.campaign))?;
        let occurrence = Occurrence {
            name: run.occurrence.clone(),
            due: run.due,
        };
        // Should this process end before the plan is made, the schedule comes to the occurrence once more.
        self.turn_back(run, &loaded, &occurrence).await?;
        Ok(self
            .start_run(Order {
                // What would have held the first plan holds this one.
                hold: self.hold_again(run, &loaded, run.due).await?,
                loaded,
                occurrence,
                asked: run.asked,
                wanted: Wanted::default(),
                keep: true,
                untested,
                again: Some(Again {
                    run: run.id,
                    was_sending: run.started_at.is_some(),
                    must_be_seen,
                }),
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
