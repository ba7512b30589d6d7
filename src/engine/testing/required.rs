//! `require_tests = true`: runs wait while the campaign's tests fail, or while it has none.

use std::sync::{Arc, Weak};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    control::Refused,
    engine::{Engine, due::Planning, lifecycle::Standing},
    model::{HoldReason, Run, RunId, RunState},
    store::{RunChange, RunFilter},
    workspace::Loaded,
};

/// How long after they failed tests are run again although no file of the campaign changed: its source may have.
const AGAIN: TimeDelta = TimeDelta::seconds(15);

/// Why a run is not planned: its campaign's tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Wait(String);

impl Wait {
    /// Which test it is.
    pub(in crate::engine) fn words(&self) -> &str {
        &self.0
    }

    /// As the run keeps it: the reason, and which test it is.
    pub(in crate::engine) fn reason(&self) -> String {
        format!("{}: {}", HoldReason::TestsFailed, self.0)
    }
}

/// Whether a run waits for its campaign's tests.
pub(in crate::engine) fn is_held(run: &Run) -> bool {
    run.held() == Some(HoldReason::TestsFailed)
}

/// Whether a run was planned.
pub(in crate::engine) fn has_plan(run: &Run) -> bool {
    run.plan_digest
        .as_ref()
        .is_some_and(|digest| !digest.is_empty())
}

/// Which tests failed when, so that they are not run again and again.
pub(in crate::engine) struct Look {
    loaded: Weak<Loaded>,
    at: DateTime<Utc>,
}

impl Engine {
    /// Why the campaign's tests hold its runs; `None`: they do not.
    pub(in crate::engine) async fn waits_for_tests(&self, loaded: &Arc<Loaded>) -> Option<Wait> {
        let campaign = &loaded.campaign;
        if !campaign.require_tests {
            return None;
        }
        if campaign.tests.is_empty() {
            return Some(Wait(format!(
                "{} has no [[test]], and says `require_tests = true`",
                campaign.id
            )));
        }
        let outcomes = match self.run_tests(loaded).await {
            Ok(outcomes) => outcomes,
            Err(error) => return Some(Wait(format!("its tests can't be run: {error}"))),
        };
        let failed: Vec<_> = outcomes
            .iter()
            .filter(|outcome| !outcome.failures.is_empty())
            .collect();
        let first = failed.first()?;
        let more = match failed.len() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        let (line, _) = first.place.line_column();
        let file = first.place.file.path();
        Some(Wait(format!(
            "the test {:?} in {file}:{line}{more} fails, `campanile test {}` shows it",
            first.name, campaign.id
        )))
    }

    /// Lets runs go on whose campaign's tests pass again without an edit: their source may have changed, or the time.
    pub(crate) async fn release_tested(self: &Arc<Self>) -> Result<(), Refused> {
        let filter = RunFilter {
            states: vec![RunState::Held],
            ..RunFilter::default()
        };
        let mut runs = self.store()?.runs(filter).await?;
        runs.retain(is_held);
        self.test_looks
            .lock()
            .retain(|id, _| runs.iter().any(|run| run.id == *id));
        for run in runs {
            let Some(loaded) = self.in_force(&run.campaign) else {
                continue;
            };
            // One whose files were edited is planned anew as any other.
            if self.edited(&run).is_some()
                || !self.is_worth_a_look(run.id, &loaded)
                || self.standing_of(&run.campaign).await? != Standing::Good
            {
                continue;
            }
            let Some(planning) = Planning::begin(self, &loaded.campaign.id) else {
                continue;
            };
            let engine = self.clone();
            tokio::spawn(async move {
                let _planning = planning;
                if let Err(error) = engine.look_again(&run, &loaded).await {
                    tracing::error!(run = %run.id, campaign = %run.campaign, %error, "still waits for its tests");
                }
            });
        }
        Ok(())
    }

    /// Whether the tests may do otherwise than when they were run last.
    fn is_worth_a_look(&self, run: RunId, loaded: &Arc<Loaded>) -> bool {
        let now = self.clock.now();
        let mut looks = self.test_looks.lock();
        let is_fresh = looks.get(&run).is_some_and(|look| {
            let same = Weak::as_ptr(&look.loaded) == Arc::as_ptr(loaded);
            same && (now - look.at).abs() < AGAIN
        });
        if !is_fresh {
            let look = Look {
                loaded: Arc::downgrade(loaded),
                at: now,
            };
            looks.insert(run, look);
        }
        !is_fresh
    }

    async fn look_again(self: &Arc<Self>, run: &Run, loaded: &Arc<Loaded>) -> Result<(), Refused> {
        // It may have been planned, or let go, since it was looked up.
        let Some(run) = self.store()?.run(run.id).await?.filter(is_held) else {
            return Ok(());
        };
        if let Some(wait) = self.waits_for_tests(loaded).await {
            let change = RunChange {
                state: RunState::Held,
                reason: Some(wait.reason()),
                released: None,
            };
            if run.reason != change.reason {
                let (store, now) = (self.store()?, self.clock.now());
                store
                    .move_run(run.id, &[RunState::Held], change, now)
                    .await?;
            }
            return Ok(());
        }
        tracing::info!(run = %run.id, campaign = %run.campaign, "its tests pass: it is planned");
        // Who asked for it saw another plan, or none.
        self.plan_again(&run, false, run.asked).await.map(drop)
    }
}
