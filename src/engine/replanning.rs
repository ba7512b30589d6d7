//! Planned runs whose files were edited before their first message: they are planned anew, and what was approved is void.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    control::{Refused, RefusedKind},
    dispatch::NoWork,
    model::{
        Campaign, CampaignId, HoldReason, Missed, Occurrence, Part, Run, RunState, Schedule, Timing,
    },
    schedule,
    store::CampaignChange,
    workspace::Loaded,
};

use super::{
    Engine,
    due::Planning,
    gate::{Gate, Waiting, late_from},
    planning::{Again, Order, Wanted},
    testing,
};

/// How far from where it was an occurrence is looked for after its schedule was edited.
const NEAR: TimeDelta = TimeDelta::days(2);

impl Engine {
    /// The campaign of a run as its files are now.
    pub(super) fn in_force(&self, id: &CampaignId) -> Option<Arc<Loaded>> {
        let snapshot = self.snapshot();
        let entry = snapshot.campaigns.get(&self.heir_of(id))?;
        entry.in_force().cloned()
    }

    /// What a run that nothing else holds waits for.
    pub(super) async fn gate_of(&self, run: &Run, may_be_late: bool) -> Result<Gate, Refused> {
        if run.started_at.is_some() {
            return Ok(Gate::Open);
        }
        let campaign = self.campaign_of(run).await?;
        let approvals = if campaign.approval.required {
            self.store()?.approvals(run.id).await?
        } else {
            Vec::new()
        };
        let waiting = Waiting {
            run,
            campaign: &campaign,
            approvals: &approvals,
            may_be_late,
        };
        Ok(waiting.gate(self.clock.now()))
    }

    /// The campaign as its files are now, else as they were when the run was planned.
    pub(super) async fn campaign_of(&self, run: &Run) -> Result<Campaign, Refused> {
        if let Some(loaded) = self.in_force(&run.campaign) {
            return Ok(loaded.campaign.clone());
        }
        match self.pinned(run).await {
            Ok(loaded) => Ok(loaded.campaign.clone()),
            Err(NoWork::Later(words) | NoWork::Never(words)) => {
                Err(Refused::new(RefusedKind::Failed, words))
            }
        }
    }

    /// The campaign of a run that was planned with other files than it has now, and of which no message has begun.
    pub(super) fn edited(&self, run: &Run) -> Option<Arc<Loaded>> {
        let is_planned = !run.begun && !run.state.is_over() && run.state != RunState::Planning;
        let loaded = self.in_force(&run.campaign).filter(|_| is_planned)?;
        let same = run.content_digest.as_deref() == Some(&loaded.content_digest);
        (!same).then_some(loaded)
    }

    /// Plans such a run anew, beside everything else. `true`: that is under way, or the run waits for it.
    pub(super) fn replan_if_edited(self: &Arc<Self>, run: &Run) -> bool {
        // One that a person halted is planned anew when somebody lets it go on.
        let edited = self.edited(run).filter(|_| run.state != RunState::Paused);
        let Some(loaded) = edited else {
            return false;
        };
        let Some(planning) = Planning::begin(self, &loaded.campaign.id) else {
            return true;
        };
        let (engine, run) = (self.clone(), run.clone());
        tokio::spawn(async move {
            let _planning = planning;
            if let Err(error) = engine.replan(&run, loaded).await {
                tracing::error!(run = %run.id, campaign = %run.campaign, %error, "not planned anew: trying again in ten seconds");
                let again = engine.clock.now() + TimeDelta::seconds(10);
                engine.clock.sleep_until(again).await;
            }
        });
        true
    }

    /// The same for a person who would let the run go: refused, since they have not seen the new plan.
    pub(super) async fn refuse_unseen(self: &Arc<Self>, run: &Run) -> Result<(), Refused> {
        let Some(loaded) = self.edited(run) else {
            return Ok(());
        };
        let Some(_planning) = Planning::begin(self, &loaded.campaign.id) else {
            return Err(Refused::new(
                RefusedKind::Held,
                format!("{} is being planned: try again in a moment", run.campaign),
            ));
        };
        let words = match self.replan(run, loaded).await? {
            Some(new) => format!(
                "run {} was planned anew just now, as its files were edited since: look at it again, then say so once more",
                new.id
            ),
            None => format!(
                "run {} is gone: after an edit its campaign has no such occurrence any more",
                run.id
            ),
        };
        Err(Refused::new(RefusedKind::Held, words))
    }

    /// Plans a run anew with its campaign's files as they are now; `None`: its occurrence is gone with the edit.
    async fn replan(
        self: &Arc<Self>,
        run: &Run,
        loaded: Arc<Loaded>,
    ) -> Result<Option<Run>, Refused> {
        let Some(occurrence) = self.occurrence_of(run, &loaded).await? else {
            self.drop_planned(run, &loaded).await?;
            return Ok(None);
        };
        // Should this process end before the plan is made, the schedule comes to the occurrence once more.
        self.turn_back(run, &loaded, &occurrence).await?;
        let order = Order {
            hold: self.hold_again(run, &loaded, occurrence.due).await?,
            untested: false,
            again: Some(Again {
                run: run.id,
                was_sending: run.started_at.is_some(),
                must_be_seen: run.limit.is_some() || run.asked,
            }),
            loaded,
            occurrence,
            asked: run.asked,
            wanted: Wanted::default(),
            keep: true,
        };
        let new = self.start_run(order).await?;
        let changed = Part::changed(
            run.content_digest.as_deref(),
            run.plan_digest.as_deref(),
            &new,
        );
        let changed = changed.map(|part| part.to_string());
        tracing::info!(run = %new.id, campaign = %new.campaign, changed = changed.as_deref(), "planned anew after an edit");
        Ok(Some(new))
    }

    /// The occurrence of a run as its campaign's schedule has it now.
    async fn occurrence_of(
        &self,
        run: &Run,
        loaded: &Loaded,
    ) -> Result<Option<Occurrence>, Refused> {
        let same = Occurrence {
            name: run.occurrence.clone(),
            due: run.due,
        };
        if run.asked {
            return Ok(Some(same));
        }
        // One that went out under an earlier id is not sent again under this one.
        for id in self.ids_of(&loaded.campaign.id) {
            let other = self.store()?.run_of(&id, &run.occurrence).await?;
            if other.is_some_and(|other| other.id != run.id) {
                return Ok(None);
            }
        }
        let Some(schedule) = &loaded.campaign.schedule else {
            return Ok(None);
        };
        if matches!(schedule.timing, Timing::Now) {
            return Ok((same.name.as_str() == "now").then_some(same));
        }
        Ok(named(schedule, &same))
    }

    /// Drops a run whose occurrence is gone with an edit: nobody has had it. The schedule is looked at from now on.
    async fn drop_planned(&self, run: &Run, loaded: &Loaded) -> Result<(), Refused> {
        let (id, now) = (&loaded.campaign.id, self.clock.now());
        let records = self.store()?.campaigns().await?;
        let cursor = records
            .iter()
            .find(|record| record.id == *id)
            .and_then(|record| record.cursor);
        if cursor.is_some_and(|cursor| cursor > now) {
            let back = CampaignChange::Cursor(now);
            self.store()?.change_campaign(id, back).await?;
        }
        tracing::warn!(
            run = %run.id, campaign = %run.campaign, occurrence = %run.occurrence,
            "dropped before its first message: after the edit its campaign has no such occurrence any more"
        );
        Ok(self.store()?.discard(self.lease()?, run.id).await?)
    }

    /// Sets the schedule back to just before an occurrence.
    pub(super) async fn turn_back(
        &self,
        run: &Run,
        loaded: &Loaded,
        occurrence: &Occurrence,
    ) -> Result<(), Refused> {
        let Some(schedule) = loaded.campaign.schedule.as_ref().filter(|_| !run.asked) else {
            return Ok(());
        };
        let before = match schedule.timing {
            Timing::Now => DateTime::UNIX_EPOCH,
            _ => occurrence.due.min(run.due) - TimeDelta::milliseconds(1),
        };
        let back = CampaignChange::Cursor(before);
        Ok(self
            .store()?
            .change_campaign(&loaded.campaign.id, back)
            .await?)
    }

    /// What a run that is planned again is held for, whatever its new plan says.
    pub(super) async fn hold_again(
        &self,
        run: &Run,
        loaded: &Loaded,
        due: DateTime<Utc>,
    ) -> Result<Option<HoldReason>, Refused> {
        let held = run
            .reason
            .as_deref()
            .filter(|_| run.state == RunState::Held);
        let held = held.and_then(|held| held.parse::<HoldReason>().ok());
        let now = self.clock.now();
        if testing::is_held(run) {
            // What would have held it too, had it been planned.
            if let Some(limit) = run.over_limit() {
                return Ok(Some(limit));
            }
            // Late is not now: it does not go by itself because a test was mended.
            if late_from(run, &loaded.campaign).is_some_and(|at| at < now) {
                return Ok(Some(HoldReason::Late));
            }
        }
        Ok(match held {
            Some(stays @ (HoldReason::FreshStore | HoldReason::StaleLedger)) => Some(stays),
            Some(HoldReason::Late) => {
                let late = loaded.campaign.schedule.as_ref().is_some_and(|schedule| {
                    schedule.missed == Missed::Skip && schedule.grace.after(due) < now
                });
                late.then_some(HoldReason::Late)
            }
            // A label was asked for by a person: that is no rename.
            _ if run.asked => None,
            _ => self.hold_as_suspect(&loaded.campaign.id).await?,
        })
    }
}

/// The occurrence of a schedule that has this one's name, near its time.
fn named(schedule: &Schedule, same: &Occurrence) -> Option<Occurrence> {
    let (from, to) = (same.due - NEAR, same.due + NEAR);
    schedule::between(schedule, from, to).find(|occurrence| occurrence.name == same.name)
}

impl Engine {
    /// Whether a campaign has a run that is not over: nothing is planned ahead beside it, so that who gets that one rests.
    pub(super) async fn has_open_run(&self, id: &CampaignId) -> Result<bool, Refused> {
        let states: Vec<_> = RunState::ALL
            .iter()
            .copied()
            .filter(|state| !state.is_over())
            .collect();
        for campaign in self.ids_of(id) {
            let filter = crate::store::RunFilter {
                campaign: Some(campaign),
                states: states.clone(),
                limit: Some(1),
                ..crate::store::RunFilter::default()
            };
            if !self.store()?.runs(filter).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
