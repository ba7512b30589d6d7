//! What follows deliveries that were sent (`[after]`): done once for each, again with growing pauses until it holds. It goes beside
//! sending and never slows it.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::{
    control::{Refused, RefusedKind},
    dispatch::{
        NoWork,
        webhook::{self, Called},
    },
    model::{After, EffectKind, RunId, SourceName},
    store::{Effect, Settled, Settlement},
};

use super::Engine;

/// How many are done in one go.
const BATCH: usize = 200;
/// Calls side by side.
const SIDE_BY_SIDE: usize = 8;
/// The first pause, in seconds; each further one is twice as long.
const FIRST_PAUSE: i64 = 2;
/// The longest, in seconds.
const LONGEST_PAUSE: i64 = 3_600;

/// What is known of runs whose effects wait.
#[derive(Default)]
pub(super) struct FollowUp {
    client: tokio::sync::OnceCell<reqwest::Client>,
    plans: Mutex<BTreeMap<RunId, Arc<Plan>>>,
    targets: Mutex<BTreeMap<(RunId, EffectKind), Target>>,
}

/// What a run's campaign said when it was planned.
struct Plan {
    after: After,
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code))]
    source: Option<SourceName>,
}

/// A database or an address that does not answer is left alone for a while.
#[derive(Clone, Copy, Default)]
struct Target {
    failures: u32,
    closed_until: Option<DateTime<Utc>>,
}

/// What came of a batch: of each effect that was tried, and why the others were not.
#[derive(Default)]
struct Done {
    settled: Vec<(usize, Settlement)>,
    away: Option<String>,
}

impl Engine {
    /// Does what follows deliveries that were sent, as far as its time has come. Gives how many were tried.
    pub(crate) async fn follow_up(&self) -> Result<usize, Refused> {
        let runs = self.store()?.runs_with_effects().await?;
        let known = &self.follow_up;
        known.plans.lock().retain(|run, _| runs.contains(run));
        known
            .targets
            .lock()
            .retain(|(run, _), _| runs.contains(run));
        let each = runs.iter().flat_map(|run| {
            let run = *run;
            EffectKind::ALL.map(|kind| self.follow_run(run, kind))
        });
        let mut tried = 0;
        for one in futures::future::join_all(each).await {
            tried += one?;
        }
        Ok(tried)
    }

    async fn follow_run(&self, run: RunId, kind: EffectKind) -> Result<usize, Refused> {
        let now = self.clock.now();
        let target = self.follow_up.targets.lock().get(&(run, kind)).copied();
        let target = target.unwrap_or_default();
        if target.closed_until.is_some_and(|until| until > now) {
            return Ok(0);
        }
        let store = self.store()?;
        let effects = store.effects_due(run, kind, now, BATCH).await?;
        if effects.is_empty() {
            return Ok(0);
        }
        let done = match self.plan_of(run).await {
            Err(words) => Done {
                away: Some(words),
                ..Done::default()
            },
            Ok(plan) => match kind {
                EffectKind::Update => self.update(&plan, &effects).await,
                EffectKind::Webhook => self.call(&plan, &effects).await,
            },
        };
        let after = match &done.away {
            None => Target::default(),
            Some(words) => {
                let wait = pause(target.failures);
                if target.failures == 0 {
                    tracing::warn!(%run, %kind, error = %words, "[after]: tried again later");
                }
                Target {
                    failures: target.failures + 1,
                    closed_until: Some(self.clock.now() + wait),
                }
            }
        };
        let mut settled = done.settled;
        // The words stand with one of those that wait, for `status`. Where all were tried they stand with those that failed.
        let untried =
            (0..effects.len()).find(|at| !settled.iter().any(|(settled, _)| settled == at));
        if let (Some(words), Some(at), Some(untried)) = (&done.away, after.closed_until, untried) {
            let words = words.clone();
            settled.push((untried, Settlement::Again { at, words }));
        }
        self.follow_up.targets.lock().insert((run, kind), after);
        let tried = settled.len();
        let settled = settled.into_iter().map(|(at, outcome)| Settled {
            delivery: effects[at].delivery,
            kind,
            outcome,
        });
        let settled: Vec<Settled> = settled.collect();
        for one in &settled {
            if let Settlement::GivenUp { words } = &one.outcome {
                tracing::warn!(delivery = %one.delivery, %kind, error = %words, "[after]: given up");
            }
        }
        store.settle_effects(self.lease()?, settled).await?;
        Ok(tried)
    }

    /// What the files said that the run is pinned to.
    async fn plan_of(&self, run: RunId) -> Result<Arc<Plan>, String> {
        if let Some(plan) = self.follow_up.plans.lock().get(&run) {
            return Ok(plan.clone());
        }
        let plan = async {
            let run = self.run(run).await?;
            self.pinned(&run).await.map_err(|why| match why {
                NoWork::Later(words) | NoWork::Never(words) => {
                    Refused::new(RefusedKind::Failed, words)
                }
            })
        };
        let loaded = plan.await.map_err(|error| error.to_string())?;
        let plan = Arc::new(Plan {
            after: loaded.campaign.after.clone(),
            source: loaded.campaign.audience.sources.first().cloned(),
        });
        self.follow_up.plans.lock().insert(run, plan.clone());
        Ok(plan)
    }

    #[cfg(not(feature = "sqlite"))]
    #[allow(clippy::unused_async, reason = "as it is with the feature")]
    async fn update(&self, _: &Plan, _: &[Effect]) -> Done {
        Done {
            away: Some("this build has no SQLite (feature `sqlite`)".to_owned()),
            ..Done::default()
        }
    }

    #[cfg(feature = "sqlite")]
    async fn update(&self, plan: &Plan, effects: &[Effect]) -> Done {
        use crate::source::sqlite::{Parameters, apply};

        let mut done = Done::default();
        let settings = self.settings();
        let source = plan.source.as_ref();
        let database = source
            .and_then(|name| settings.sources.get(name))
            .and_then(|source| source.config.database(&source.context));
        let (Some(path), Some(statement)) = (database, &plan.after.update) else {
            done.away = Some("the settings have no such SQLite source any more".to_owned());
            return done;
        };
        let mut rows = Vec::with_capacity(effects.len());
        let mut places = Vec::with_capacity(effects.len());
        for (at, effect) in effects.iter().enumerate() {
            if effect.key.is_empty() {
                done.settled.push((at, forgotten()));
                continue;
            }
            places.push(at);
            rows.push(Parameters {
                key: effect.key.clone(),
                address: effect.address.clone(),
                at: effect.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                run: effect.delivery.run().0.into(),
                campaign: effect.campaign.to_string(),
                occurrence: effect.occurrence.to_string(),
                delivery: effect.delivery.to_string(),
            });
        }
        let text = statement.text().to_owned();
        let applied = super::loading::blocking(move || apply(&path, &text, &rows)).await;
        match applied {
            Err(words) => done.away = Some(words),
            Ok(outcomes) => {
                for (at, outcome) in places.into_iter().zip(outcomes) {
                    let outcome = match outcome {
                        Ok(()) => Settlement::Held,
                        Err(words) => self.again(&effects[at], words),
                    };
                    done.settled.push((at, outcome));
                }
            }
        }
        done
    }

    async fn call(&self, plan: &Plan, effects: &[Effect]) -> Done {
        let mut done = Done::default();
        let Some(webhook) = &plan.after.webhook else {
            done.away = Some("the campaign has no webhook".to_owned());
            return done;
        };
        let client = self
            .follow_up
            .client
            .get_or_try_init(async || webhook::client());
        let ready = match (client.await, webhook.secret.read(&self.workspace)) {
            (Ok(client), Ok(secret)) => Ok((client, secret)),
            (Err(words), _) | (_, Err(words)) => Err(words),
        };
        let (client, secret) = match ready {
            Ok(ready) => ready,
            Err(words) => {
                done.away = Some(words);
                return done;
            }
        };
        let all: Vec<(usize, &Effect)> = effects.iter().enumerate().collect();
        for some in all.chunks(SIDE_BY_SIDE) {
            let calls = some.iter().map(async |(at, effect)| {
                if effect.key.is_empty() {
                    return (*at, None);
                }
                let now = self.clock.now();
                let called = webhook::call(client, &webhook.url, &secret, effect, now).await;
                (*at, Some(called))
            });
            let mut away = None;
            for (at, called) in futures::future::join_all(calls).await {
                let outcome = match called {
                    None => forgotten(),
                    Some(Called::Held) => Settlement::Held,
                    Some(Called::Gone(words)) => Settlement::GivenUp { words },
                    Some(Called::Refused(words)) => self.again(&effects[at], words),
                    Some(Called::Away(words)) => {
                        away = Some(words.clone());
                        self.again(&effects[at], words)
                    }
                };
                done.settled.push((at, outcome));
            }
            if away.is_some() {
                done.away = away;
                return done;
            }
        }
        done
    }

    fn again(&self, effect: &Effect, words: String) -> Settlement {
        Settlement::Again {
            at: self.clock.now() + pause(effect.tries),
            words,
        }
    }
}

/// Its key and address were erased: there is nobody to speak of.
fn forgotten() -> Settlement {
    Settlement::GivenUp {
        words: "the person was forgotten".to_owned(),
    }
}

fn pause(failures: u32) -> TimeDelta {
    let seconds = FIRST_PAUSE.saturating_mul(1 << failures.min(20));
    TimeDelta::seconds(seconds.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let seconds: Vec<i64> = [0, 1, 2, 10, 11, 4_000_000]
            .map(|failures| pause(failures).num_seconds())
            .to_vec();
        assert_eq!(seconds, [2, 4, 8, 2_048, 3_600, 3_600]);
    }
}
