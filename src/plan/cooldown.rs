//! Who had the campaign, or one of its group, too recently.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{CampaignId, Cooldown, Occurrence, OccurrenceName, Run, RunId, Schedule},
    schedule,
    store::{RunFilter, Store, StoreError},
};

use super::{earlier::EarlierRuns, history, rules::Rules};

/// The recipients of earlier runs.
pub(super) struct Rested(EarlierRuns);

impl Rested {
    /// By the runs that count for an occurrence of the campaign that is planned at `now`: its own, and those of its group.
    pub(super) fn new(
        store: Option<Arc<dyn Store>>,
        runtime: Handle,
        rules: &Rules,
        occurrence: &OccurrenceName,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let campaign = &rules.campaign;
        let cooldown = schedule::cooldown(campaign);
        let schedule = campaign.schedule.as_ref();
        let mut runs = Vec::new();
        if let Some(store) = &store
            && cooldown != Cooldown::None
        {
            for id in ids(rules) {
                let filter = RunFilter {
                    campaign: Some(id),
                    ..RunFilter::default()
                };
                for run in runtime.block_on(store.runs(filter))? {
                    // The run that is planned now, of which a plan that is only looked at knows no number.
                    let itself = run.campaign == campaign.id && run.occurrence == *occurrence;
                    let by_zone = run.campaign == campaign.id
                        && schedule.is_some_and(|schedule| goes_by_zones(schedule, &run));
                    if !itself && counts(&run, cooldown, now, by_zone) {
                        runs.push(run.id);
                    }
                }
            }
        }
        Ok(Self(EarlierRuns::new(store, runtime, runs, None)))
    }

    /// Which of the runs the recipient with this hash had, if any: as [`had`](Self::had).
    pub(super) fn run_had(&mut self, hash: [u8; 16]) -> Result<Option<RunId>, StoreError> {
        self.0.run_had(hash)
    }

    /// Whether the recipient with this hash had one of the runs. Hashes must come in order; the same may come again.
    pub(super) fn had(&mut self, hash: [u8; 16]) -> Result<bool, StoreError> {
        Ok(self.0.had(hash)? > 0)
    }
}

/// The campaign's ids and those of its group, each once.
fn ids(rules: &Rules) -> Vec<CampaignId> {
    let mut ids = history::ids_of(&rules.campaign);
    for id in &rules.companions {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

fn goes_by_zones(schedule: &Schedule, run: &Run) -> bool {
    let occurrence = Occurrence {
        name: run.occurrence.clone(),
        due: run.due,
    };
    schedule::local_time(schedule, &occurrence).is_some()
}

/// Whether who had this run must rest at `now`. The ledger knows when a run was last at work, not when each recipient was
/// written to: whoever had it counts until the last of them is rested. A run that is not over counts as at work.
/// Where a run went by each recipient's zone, as the one that is planned does, any two of a recipient's messages are as far
/// apart as the local times of the runs.
fn counts(run: &Run, cooldown: Cooldown, now: DateTime<Utc>, by_zone: bool) -> bool {
    match cooldown {
        Cooldown::None => false,
        Cooldown::Forever => true,
        Cooldown::Within(period) if by_zone => run.due > period.before(now),
        Cooldown::Within(period) => {
            let worked = run.ended_at.filter(|_| run.state.is_over());
            worked.is_none_or(|ended| ended > period.before(now))
        }
    }
}
