//! What an engine does with the runs that the store's last holder left.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::{
    control::Refused,
    engine::{Engine, testing},
    model::{HoldReason, Period, Run, RunState, Status},
    store::{RunChange, RunFilter},
    workspace::Entry,
};

use super::standing::{held_by_files, waits_behind_first_part};

/// Runs that were open when the store's last holder was last alive longer ago than their campaign's `grace` are held: the store
/// may be a backup. This long, where there is no schedule and so no grace.
const STALE_AFTER: Period = Period::hours(1);

impl Engine {
    /// After a take-over: what is in doubt is treated as its campaign says; runs of a store that looks like a backup wait.
    pub(in crate::engine) async fn settle_after_take_over(self: &Arc<Self>) -> Result<(), Refused> {
        let (store, lease, now) = (self.store()?, self.lease()?, self.clock.now());
        let last = self
            .writing
            .as_ref()
            .and_then(|writing| writing.last_heartbeat);
        let filter = RunFilter {
            states: vec![
                RunState::Sending,
                RunState::Held,
                RunState::Paused,
                RunState::Scheduled,
                RunState::AwaitingApproval,
            ],
            ..RunFilter::default()
        };
        for run in store.runs(filter).await? {
            // One that would go on by itself is as one that is sending.
            let waits_for_a_person = match run.state {
                RunState::Held => held_by_files(&run).is_none() && !testing::is_held(&run),
                RunState::Paused => !waits_behind_first_part(&run),
                _ => false,
            };
            if waits_for_a_person {
                continue;
            }
            let grace = self.grace_of(&run);
            if let Some(last) = last.filter(|last| grace.after(*last) < now) {
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

    fn grace_of(&self, run: &Run) -> Period {
        let snapshot = self.snapshot();
        let entry = snapshot.campaigns.get(&self.heir_of(&run.campaign));
        let schedule = entry
            .and_then(Entry::in_force)
            .and_then(|loaded| loaded.campaign.schedule.as_ref());
        schedule.map_or(STALE_AFTER, |schedule| schedule.grace)
    }
}
