//! "Why?": why she gets it, why he does not, what became of them in a past run, and why a campaign has or has not started.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    control::{Explanation, PastExplanation, Refused, RefusedKind, Standing, Told},
    model::{CampaignId, Occurrence, OccurrenceName, RunState, Schedule, Timing},
    plan::{self, Outcome},
    schedule,
    store::{CampaignRecord, DeliveryFilter, RunFilter},
    workspace::{Entry, Loaded},
};

use super::{
    Engine,
    preview::{address, no_address},
};

/// The most runs that are told of.
const RUNS: usize = 5;

/// The most deliveries of a key in one run: one a channel, and a few rows that were skipped.
const DELIVERIES: usize = 100;

impl Engine {
    /// Each rule in turn for one recipient of the next occurrence.
    pub(super) async fn explain_recipient(
        &self,
        id: &CampaignId,
        key: &str,
    ) -> Result<Explanation, Refused> {
        let loaded = self.loaded(id)?;
        let (request, occurrence) = self.request_ahead(&loaded).await?;
        let explained = plan::explain(&request, key).await?;
        let standing = self.explain_campaign(id).await?;
        Ok(Explanation {
            campaign: id.clone(),
            at: loaded.zone.at(occurrence.due),
            occurrence: occurrence.name,
            explained,
            // Whoever would get it gets nothing where the campaign starts nothing.
            starts_nothing: standing.told.into_iter().find(|told| told.starts_nothing),
        })
    }

    async fn request_ahead(
        &self,
        loaded: &Arc<Loaded>,
    ) -> Result<(plan::Request, Occurrence), Refused> {
        let occurrence = self.next_occurrence(loaded, self.clock.now()).await?;
        let request = plan::Request {
            now: occurrence.due,
            ..self.request(loaded, occurrence.clone()).await?
        };
        Ok((request, occurrence))
    }

    /// What became of a recipient in a past run, from what the ledger kept.
    pub(super) async fn explain_past(
        &self,
        id: &CampaignId,
        key: &str,
        occurrence: &OccurrenceName,
    ) -> Result<PastExplanation, Refused> {
        let store = self.store()?;
        let usage = |message: String| Err(Refused::new(RefusedKind::Usage, message));
        let Some(run) = store.run_of(id, occurrence).await? else {
            let filter = RunFilter {
                campaign: Some(id.clone()),
                limit: Some(RUNS),
                ..RunFilter::default()
            };
            let known: Vec<_> = store
                .runs(filter)
                .await?
                .iter()
                .map(|run| run.occurrence.to_string())
                .collect();
            return usage(if known.is_empty() {
                format!("{id} has had no run")
            } else {
                format!(
                    "{id} has no run for `{occurrence}`: its last were {}",
                    known.join(", ")
                )
            });
        };
        let filter = DeliveryFilter {
            run: Some(run.id),
            key: Some(key.to_owned()),
            limit: DELIVERIES,
            ..DeliveryFilter::default()
        };
        Ok(PastExplanation {
            deliveries: store.deliveries(filter).await?,
            key: key.to_owned(),
            run: self.run_status(run.id).await?,
        })
    }

    /// A `[[test]]` block that says what becomes of a recipient now.
    pub(super) async fn explain_as_test(
        &self,
        id: &CampaignId,
        key: &str,
    ) -> Result<String, Refused> {
        let loaded = self.loaded(id)?;
        let (request, occurrence) = self.request_ahead(&loaded).await?;
        let explained = plan::explain(&request, key).await?;
        let one = self.one(&loaded, Some(key)).await?;
        let to = address(&one).unwrap_or_else(no_address);
        let subject = match explained.outcome {
            Outcome::Included { .. } => self
                .render_one(&loaded, &one, &occurrence, &to, None)
                .ok()
                .map(|rendered| rendered.subject),
            _ => None,
        };
        let settings = self.settings();
        let source = settings.sources.get(&one.recipient.source);
        let hash = self.identity.recipient(&one.recipient.source, key);
        let last_sent = match &self.store {
            Some(store) => {
                let mut ids = loaded.campaign.was.clone();
                ids.push(id.clone());
                store.last_had(hash, &ids).await?
            }
            None => None,
        };
        Ok(super::as_test::block(&super::as_test::Facts {
            explained: &explained,
            one: &one,
            source: source.map(|source| &source.context),
            first_source: loaded.campaign.audience.sources.first(),
            now: loaded.zone.at(occurrence.due),
            last_sent: last_sent.map(|at| loaded.zone.at(at)),
            subject,
        }))
    }

    /// Why a campaign has or has not started, when it will, and what holds it.
    pub(super) async fn explain_campaign(&self, id: &CampaignId) -> Result<Standing, Refused> {
        let snapshot = self.snapshot();
        let entry = snapshot.campaigns.get(id);
        let record = match &self.store {
            Some(store) => store.campaigns().await?,
            None => Vec::new(),
        };
        let record = record.into_iter().find(|record| record.id == *id);
        if entry.is_none() && record.is_none() {
            // With the refusal that names those that are close.
            self.loaded(id)?;
        }
        let mut told = Vec::new();
        let now = self.clock.now();
        if self.settings_are_broken() {
            told.push(Told::stops(
                "campanile.toml does not check: no run starts",
                "`campanile check` shows what is wrong; mending it ends that",
            ));
        }
        match entry {
            None => told.push(gone(record.as_ref(), now)),
            Some(Entry::Broken(broken)) => {
                let first = broken.diagnostics.iter().next();
                let first = first.map_or_else(String::new, ToString::to_string);
                let ends = "`campanile check` shows everything; mending the files ends that";
                if broken.last_good.is_some() {
                    told.push(Told::says(
                        format!(
                            "its files do not check, and it goes on with the last that did: {first}"
                        ),
                        Some(ends.to_owned()),
                    ));
                } else {
                    told.push(Told::stops(
                        format!("its files do not check: {first}"),
                        ends,
                    ));
                }
            }
            Some(Entry::Ready(loaded)) => {
                self.tell_ready(loaded, record.as_ref(), now, &mut told)
                    .await?;
            }
        }
        if let Some(at) = record.as_ref().and_then(|record| record.stopped_at) {
            told.insert(
                0,
                Told::stops(
                    format!("it is stopped since {}", utc(at)),
                    format!("`campanile start {id}` ends that"),
                ),
            );
        }
        let mut runs = Vec::new();
        if let Some(store) = &self.store {
            let filter = RunFilter {
                campaign: Some(id.clone()),
                ..RunFilter::default()
            };
            let all = store.runs(filter).await?;
            let (open, over): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|run| !run.state.is_over());
            for run in open.iter().chain(&over).take(RUNS.max(open.len())) {
                runs.push(self.run_status(run.id).await?);
            }
        }
        let state = self
            .status()
            .await?
            .campaigns
            .into_iter()
            .find(|one| one.id == *id);
        for run in &runs {
            if matches!(
                run.state,
                RunState::Held | RunState::Paused | RunState::AwaitingApproval
            ) {
                let reason = run.reason.clone().unwrap_or_default();
                told.push(Told {
                    fact: match reason.as_str() {
                        "" => format!("run {} for `{}` is {}", run.id, run.occurrence, run.state),
                        _ => format!(
                            "run {} for `{}` is {} ({reason})",
                            run.id, run.occurrence, run.state
                        ),
                    },
                    ends: Some(run.help.clone().unwrap_or_else(|| {
                        format!(
                            "`campanile resume {}` lets it go on, `campanile cancel {}` ends it",
                            run.id, run.id
                        )
                    })),
                    starts_nothing: false,
                });
            }
        }
        Ok(Standing {
            campaign: id.clone(),
            state: state.as_ref().map(|one| one.state),
            next: state.and_then(|one| one.next),
            told,
            runs,
        })
    }

    fn settings_are_broken(&self) -> bool {
        self.snapshot().settings.is_none()
    }

    async fn tell_ready(
        &self,
        loaded: &Loaded,
        record: Option<&CampaignRecord>,
        now: DateTime<Utc>,
        told: &mut Vec<Told>,
    ) -> Result<(), Refused> {
        let id = &loaded.campaign.id;
        if !loaded.campaign.enabled {
            told.push(Told::stops(
                "its file says `enabled = false`",
                format!(
                    "`enabled = true` in {} ends that",
                    loaded.campaign.file.path()
                ),
            ));
        }
        let Some(schedule) = &loaded.campaign.schedule else {
            told.push(Told::says(
                "it has no [schedule]: it is sent when somebody asks",
                Some(format!("`campanile send {id}` sends it")),
            ));
            return Ok(());
        };
        let Some(record) = record else {
            told.push(Told::says(
                "no daemon has seen it yet: it counts from the moment one does",
                Some("`campanile serve` starts it".to_owned()),
            ));
            tell_schedule(loaded, schedule, None, now, told);
            return Ok(());
        };
        if let Some(twin) = self.suspect_of(id).await? {
            told.push(Told::says(
                format!("it looks like {twin} under another name: its runs are held as suspected_rename"),
                Some(format!(
                    "`id = \"{twin}\"` if it is the same campaign; else `campanile resume RUN` lets its first run go"
                )),
            ));
        }
        tell_schedule(loaded, schedule, Some(record), now, told);
        Ok(())
    }
}

/// Its file is gone.
fn gone(record: Option<&CampaignRecord>, now: DateTime<Utc>) -> Told {
    let since = record.and_then(|record| record.removed_at);
    let fact = match since {
        Some(at) if at <= now => format!("its file is gone since {}", utc(at)),
        _ => "its file is gone".to_owned(),
    };
    Told::stops(
        fact,
        "bringing the file back ends that; runs that were open go on if that is soon enough",
    )
}

/// When it is due, or why never.
fn tell_schedule(
    loaded: &Loaded,
    schedule: &Schedule,
    record: Option<&CampaignRecord>,
    now: DateTime<Utc>,
    told: &mut Vec<Told>,
) {
    let id = &loaded.campaign.id;
    let zoned = |at| loaded.zone.at(at).format("%Y-%m-%d %H:%M %:z").to_string();
    let cursor = record.and_then(|record| record.cursor);
    match &schedule.timing {
        Timing::Now => told.push(match cursor {
            Some(at) => Told::says(
                format!("`at = \"now\"` is once per id, and was at {}", zoned(at)),
                Some(format!("`campanile send {id} --as LABEL` sends it again")),
            ),
            None => Told::says(
                "it starts as soon as a daemon has loaded it (`at = \"now\"`)",
                None,
            ),
        }),
        Timing::At(local) if schedule.timezone.to_utc(*local) <= now => {
            let due = schedule.timezone.to_utc(*local);
            let first_seen = record.map(|record| record.first_seen);
            told.push(match (first_seen, cursor) {
                (Some(seen), _) if due <= seen => Told::stops(
                    format!(
                        "its time, {}, was past when it was first seen ({}): it never fires",
                        zoned(due),
                        zoned(seen)
                    ),
                    format!("a later `at`, or `campanile send {id}`"),
                ),
                (None, _) => Told::stops(
                    format!("its time, {}, is past: it never fires", zoned(due)),
                    format!("a later `at`, or `campanile send {id}`"),
                ),
                _ => Told::says(format!("its time was {}", zoned(due)), None),
            });
        }
        _ => told.push(match schedule::next(schedule, now) {
            Some(next) => Told::says(
                format!("it is due next at {} (`{}`)", zoned(next.due), next.name),
                None,
            ),
            None => Told::stops(
                match schedule.until {
                    Some(until) => format!("its schedule is over: `until = {until}`"),
                    None => "its schedule has no time to come".to_owned(),
                },
                format!("another [schedule], or `campanile send {id}`"),
            ),
        }),
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
