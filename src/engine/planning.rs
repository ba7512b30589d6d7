//! Plans: looked at, or frozen into the ledger as a run.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    control::{Refused, RefusedKind},
    message::{EmailTemplate, payload::Layout},
    model::{
        Campaign, CampaignId, Channel, Cooldown, HoldReason, Occurrence, OccurrenceName, Run,
        RunId, RunState, Totals,
    },
    plan::{self, Plan, PlanError},
    schedule,
    source::{Source, SourceError},
    store::{NewRun, Opened, RunFilter, Seal},
    workspace::{Entry, Loaded},
};

use super::{
    Engine, gate::Gate, lifecycle::Standing, loading::blocking, outlook::due, status::never_due,
};

/// A run that is to be planned.
pub(super) struct Order {
    pub(super) loaded: Arc<Loaded>,
    pub(super) occurrence: Occurrence,
    /// Whether a person asked for it; else it is of the schedule.
    pub(super) asked: bool,
    /// What the plan must be, else it is dropped.
    pub(super) wanted: Wanted,
    /// The run is to be held for this once it is planned.
    pub(super) hold: Option<HoldReason>,
    /// Where it can't be planned it stays, held as `source_error`; else it is dropped, for whoever asked to ask again.
    pub(super) keep: bool,
    /// A person lets it go whatever its campaign's tests say.
    pub(super) untested: bool,
    /// The run that is planned again, where it is not a new one.
    pub(super) again: Option<Again>,
}

/// What a person wants of a plan.
#[derive(Default)]
pub(super) struct Wanted {
    /// This digest: that of what they saw.
    pub(super) digest: Option<String>,
    /// Somebody gets it.
    pub(super) somebody: bool,
}

/// A run that is planned again.
#[derive(Clone, Copy)]
pub(super) struct Again {
    pub(super) run: RunId,
    /// It was sending, though no message of it began: what was claimed of it must not meet another plan, so it gets another
    /// number.
    pub(super) was_sending: bool,
    /// It must not begin at once: a person asked for the plan that it had, or was asked about it.
    pub(super) must_be_seen: bool,
}

impl Engine {
    /// Works out who would get the campaign's next occurrence; writes nothing.
    pub async fn plan(&self, id: &CampaignId, sample: usize) -> Result<Plan, Refused> {
        let loaded = self.loaded(id)?;
        let now = self.clock.now();
        let occurrence = self.next_occurrence(&loaded, now).await?;
        let zoned = self.zoned(&loaded, &occurrence).await?;
        let request = plan::Request {
            now: occurrence.due,
            zoned,
            sample,
            ..self.request(&loaded, occurrence.clone()).await?
        };
        let mut plan = plan::work_out_with_funnel(request).await?;
        self.hold_for_tests(&loaded, &mut plan).await;
        let due = due(&loaded, &occurrence, now);
        plan.outlook = Some(self.outlook(&loaded, due, &plan).await?);
        plan.problems.extend(self.never_goes_out(&loaded).await?);
        Ok(plan)
    }

    /// That the campaign's time has passed before it was first seen, where it is so.
    async fn never_goes_out(&self, loaded: &Loaded) -> Result<Option<String>, Refused> {
        let id = &loaded.campaign.id;
        let (mut record, mut runs) = (None, Vec::new());
        if let Some(store) = &self.store {
            record = store
                .campaigns()
                .await?
                .into_iter()
                .find(|record| record.id == *id);
            let filter = RunFilter {
                campaign: Some(id.clone()),
                limit: Some(1),
                ..RunFilter::default()
            };
            runs = store.runs(filter).await?;
        }
        Ok(never_due(loaded, record.as_ref(), &runs, self.clock.now()))
    }

    /// A plan that is not frozen, of a run that starts when somebody asks.
    pub(super) async fn look(
        &self,
        loaded: &Arc<Loaded>,
        occurrence: Occurrence,
        sample: usize,
    ) -> Result<Plan, Refused> {
        let zoned = self.zoned(loaded, &occurrence).await?;
        let request = plan::Request {
            now: occurrence.due,
            zoned,
            sample,
            ..self.request(loaded, occurrence).await?
        };
        let mut plan = plan::work_out(request).await?;
        self.hold_for_tests(loaded, &mut plan).await;
        plan.outlook = Some(self.outlook(loaded, None, &plan).await?);
        Ok(plan)
    }

    /// Notes that a run with this plan would wait for the campaign's tests.
    async fn hold_for_tests(&self, loaded: &Arc<Loaded>, plan: &mut Plan) {
        if plan.hold.is_none()
            && let Some(wait) = self.waits_for_tests(loaded).await
        {
            plan.hold = Some(HoldReason::TestsFailed);
            plan.hold_words = Some(wait.words().to_owned());
        }
    }

    /// What every plan of a campaign starts with.
    pub(super) async fn request(
        &self,
        loaded: &Arc<Loaded>,
        occurrence: Occurrence,
    ) -> Result<plan::Request, Refused> {
        Ok(plan::Request {
            loaded: loaded.clone(),
            sources: self.sources(loaded)?,
            occurrence,
            now: self.clock.now(),
            identity: self.identity.clone(),
            safety: self.settings().safety.clone(),
            store: self.store.clone(),
            companions: self.companions(loaded).await?,
            cap: self.settings().frequency_cap,
            freeze: None,
            layout: None,
            zoned: None,
            sample: 0,
            progress: None,
            was: self.ids_of(&loaded.campaign.id).split_off(1),
        })
    }

    /// The campaigns that share the cooldown with this one, with the ids they had before: by the files in force, and, for those
    /// that are gone or broken, by what the store noted.
    pub(super) async fn companions(&self, loaded: &Loaded) -> Result<Vec<CampaignId>, Refused> {
        let group = loaded.campaign.audience.cooldown_group.as_ref();
        let Some(group) = group else {
            return Ok(Vec::new());
        };
        let snapshot = self.snapshot();
        let mut companions = Vec::new();
        for entry in snapshot.campaigns.values() {
            if let Some(other) = entry.in_force()
                && other.campaign.audience.cooldown_group.as_ref() == Some(group)
            {
                companions.extend(self.ids_of(&other.campaign.id));
            }
        }
        if let Some(store) = &self.store {
            let noted = store.campaigns().await?.into_iter().filter(|record| {
                let entry = snapshot.campaigns.get(&record.id);
                record.cooldown_group.as_ref() == Some(group)
                    && entry.and_then(Entry::in_force).is_none()
            });
            companions.extend(noted.map(|record| record.id));
        }
        Ok(companions)
    }

    /// The campaign, if it is there and checks.
    pub(super) fn loaded(&self, id: &CampaignId) -> Result<Arc<Loaded>, Refused> {
        let snapshot = self.snapshot();
        match snapshot.campaigns.get(id) {
            Some(Entry::Ready(loaded)) => Ok(loaded.clone()),
            Some(Entry::Broken(broken)) => {
                let first = broken
                    .diagnostics
                    .iter()
                    .next()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Err(Refused::new(
                    RefusedKind::Broken,
                    format!("{id} does not check: {first}"),
                ))
            }
            None => {
                let names = snapshot.campaigns.keys().map(CampaignId::as_str);
                let help = match crate::model::closest(id.as_str(), names) {
                    Some(close) => format!("did you mean {close}?"),
                    None => "`campanile status` lists them".to_owned(),
                };
                Err(Refused::new(
                    RefusedKind::Usage,
                    format!("there is no campaign {id}: {help}"),
                ))
            }
        }
    }

    fn sources(&self, loaded: &Loaded) -> Result<Vec<Arc<dyn Source>>, Refused> {
        let settings = self.settings();
        let open = |name| match settings.sources.get(name) {
            Some(source) => Ok(source.config.open(&source.context)),
            None => Err(Refused::new(
                RefusedKind::Broken,
                format!("the settings have no source {name}"),
            )),
        };
        loaded.campaign.audience.sources.iter().map(open).collect()
    }

    /// The occurrence that a plan is about: the next one of the schedule, else one that somebody asks for now. Its label is one
    /// that is still free, for what was sent under the usual one counts as sent before.
    pub(super) async fn next_occurrence(
        &self,
        loaded: &Loaded,
        now: DateTime<Utc>,
    ) -> Result<Occurrence, Refused> {
        let schedule = loaded.campaign.schedule.as_ref();
        if let Some(scheduled) = schedule.and_then(|schedule| schedule::next(schedule, now)) {
            return Ok(scheduled);
        }
        let mut name = manual();
        let mut number = 1;
        while self.run_of_any(&loaded.campaign.id, &name).await?.is_some() {
            number += 1;
            name = OccurrenceName::label(&format!("manual-{number}"))
                .expect("a word and a number are a label");
        }
        Ok(Occurrence { name, due: now })
    }

    /// Opens the run of an occurrence, plans it, freezes the plan. Refused where the occurrence has a run already: nobody
    /// gets it twice.
    pub(super) async fn start_run(self: &Arc<Self>, order: Order) -> Result<Run, Refused> {
        let (store, lease) = (self.store()?.clone(), self.lease()?);
        let (loaded, occurrence) = (order.loaded, order.occurrence);
        let mut request = self.request(&loaded, occurrence.clone()).await?;
        request.zoned = self.zoned(&loaded, &occurrence).await?;
        let layout = describe(&loaded, &request.sources).await;
        let files = loaded.files.clone();
        let (bundle, bytes) = blocking(move || (files.hash(), files.to_bytes())).await;
        store.keep_bundle(&bundle, &bytes).await?;
        let new = NewRun {
            campaign: loaded.campaign.id.clone(),
            occurrence: occurrence.clone(),
            topic: loaded.topic.name.clone(),
            purpose: loaded.campaign.purpose,
            bundle: Some(bundle),
            asked: order.asked,
            expires_at: loaded
                .campaign
                .expires_after
                .map(|period| period.after(last_due(&loaded, &occurrence))),
            layout: layout.as_ref().map(Layout::to_text).unwrap_or_default(),
            rollout: loaded.campaign.rollout,
            stop_if: loaded.campaign.stop_if,
            cooldown_group: loaded.campaign.audience.cooldown_group.clone(),
            waits: has_cooldown(&loaded.campaign),
            queues: queues(&loaded),
            effects: loaded.campaign.after.kinds(),
        };
        let opened = match order.again {
            Some(again) if !again.was_sending => {
                Opened::New(store.replan(lease, again.run, new).await?)
            }
            again => {
                let _one_at_a_time = self.opening.lock().await;
                let other = match again {
                    Some(again) => {
                        store.discard(lease, again.run).await?;
                        None
                    }
                    None => {
                        self.run_of_any(&loaded.campaign.id, &occurrence.name)
                            .await?
                    }
                };
                match other {
                    Some(run) => Opened::Exists(run),
                    None => store.open_run(lease, new, self.clock.now()).await?,
                }
            }
        };
        let run = match opened {
            Opened::New(run) => run,
            Opened::Exists(run) => return Err(sent_already(&run)),
        };
        let wait = if order.untested {
            None
        } else {
            self.waits_for_tests(&loaded).await
        };
        if let Some(wait) = wait {
            let reason = wait.reason();
            tracing::error!(run = %run.id, campaign = %run.campaign, reason, "held: it is not planned");
            let limit = order.hold.map(|hold| hold.to_string());
            let seal = unplanned(&loaded, reason, limit);
            store.seal(lease, run.id, seal, self.clock.now()).await?;
            return self.run(run.id).await;
        }
        tracing::info!(run = %run.id, campaign = %run.campaign, occurrence = %run.occurrence, "planning");
        if loaded.email.as_ref().is_some_and(EmailTemplate::shows_view) {
            store.keep_views(lease, run.id).await?;
        }
        let planned = match layout {
            Ok(layout) => {
                let layout = Some(layout);
                let freeze = Some((lease, run.id));
                // Its moment is that of the occurrence, also where it is planned ahead.
                let now = occurrence.due;
                plan::work_out(plan::Request {
                    now,
                    freeze,
                    layout,
                    ..request
                })
                .await
            }
            Err(error) => Err(PlanError::Source(error)),
        };
        let seal = match planned {
            Ok(plan) => {
                if order.wanted.digest.is_some_and(|seen| seen != plan.digest) {
                    store.discard(lease, run.id).await?;
                    return Err(Refused::new(
                        RefusedKind::Held,
                        "the audience has changed since you saw it: nothing was sent; look at the plan again",
                    ));
                }
                if order.wanted.somebody && plan.totals.to_send == 0 {
                    store.discard(lease, run.id).await?;
                    return Err(Refused::new(RefusedKind::Held, nobody(&plan)));
                }
                // What became of the files or was said by `stop` while the plan was made.
                let standing = match self.standing_of(&run.campaign).await? {
                    Standing::Held(reason) => Some(reason),
                    Standing::Over(_) => Some(HoldReason::Removed),
                    Standing::Good | Standing::AsTheyAre => None,
                };
                let mut planned = Run {
                    content_digest: Some(loaded.content_digest.clone()),
                    plan_digest: Some(plan.digest.clone()),
                    limit: plan.hold.map(|hold| plan.held_as(hold)),
                    ..run.clone()
                };
                let must_be_seen = order.again.is_some_and(|again| again.must_be_seen);
                if must_be_seen && self.gate_of(&planned, true).await? == Gate::Open {
                    planned.limit = Some(HoldReason::ApprovalNeeded.to_string());
                }
                tell_of_zones(&run, &plan);
                let hold = order.hold.map(|hold| hold.to_string());
                let hold = hold.or_else(|| planned.limit.clone());
                let hold = hold.or_else(|| standing.map(|standing| standing.to_string()));
                let (state, reason) = match hold {
                    Some(hold) => (RunState::Held, Some(hold)),
                    None => self.gate_of(&planned, true).await?.state(),
                };
                tracing::info!(
                    run = %run.id, total = plan.totals.total, matched = plan.totals.matched, to_send = plan.totals.to_send,
                    %state, held = reason.as_deref(), "planned"
                );
                Seal {
                    content_digest: loaded.content_digest.clone(),
                    totals: plan.totals,
                    state,
                    reason,
                    limit: planned.limit,
                    plan_digest: plan.digest,
                    drop_rows: false,
                }
            }
            Err(PlanError::Source(error)) => {
                tracing::error!(run = %run.id, campaign = %run.campaign, %error, "held: the source can't be read");
                unplanned(&loaded, HoldReason::SourceError.to_string(), None)
            }
            Err(error) => {
                let is_planning = |run: Run| run.state == RunState::Planning;
                if !store.run(run.id).await?.is_some_and(is_planning) {
                    // It was cancelled meanwhile, and stays so: dropped, it would be planned again.
                    self.end_rows(run.id).await?;
                    return Err(Refused::new(
                        RefusedKind::Held,
                        format!("run {} was cancelled while it was planned", run.id),
                    ));
                }
                if !order.keep {
                    store.discard(lease, run.id).await?;
                    return Err(error.into());
                }
                tracing::error!(run = %run.id, campaign = %run.campaign, %error, "held: it can't be planned");
                unplanned(&loaded, HoldReason::SourceError.to_string(), None)
            }
        };
        store.seal(lease, run.id, seal, self.clock.now()).await?;
        self.wake().await;
        store
            .run(run.id)
            .await?
            .ok_or_else(|| Refused::new(RefusedKind::Failed, "the run is gone"))
    }
}

/// When an occurrence is due; where it goes by its recipients' zones, in the last of them.
fn last_due(loaded: &Loaded, occurrence: &Occurrence) -> DateTime<Utc> {
    let schedule = loaded.campaign.schedule.as_ref();
    schedule.map_or(occurrence.due, |schedule| {
        schedule::ends(schedule, occurrence)
    })
}

/// What a person should know about the zones of a plan.
fn tell_of_zones(run: &Run, plan: &Plan) {
    let late: Vec<_> = plan.zones.iter().filter(|zone| zone.late).collect();
    if let (Some(first), Some(last)) = (late.first(), late.last()) {
        tracing::warn!(
            run = %run.id, zones = late.len(), first = first.zone, last = last.zone,
            recipients = late.iter().map(|zone| zone.to_send).sum::<u64>(),
            "planned after its time had passed in some zones: it is too late for their recipients"
        );
    }
    if plan.unknown_zones > 0 {
        tracing::warn!(
            run = %run.id, recipients = plan.unknown_zones,
            "time zones that are not known: the default one counts"
        );
    }
}

/// That nobody would get it, and why.
fn nobody(plan: &Plan) -> String {
    let Totals { total, matched, .. } = plan.totals;
    let skipped = plan.skipped.iter();
    let skipped: Vec<_> = skipped.map(|(reason, n)| format!("{n} {reason}")).collect();
    let mut words = format!(
        "nobody would get it: nothing was sent, and the label is still free ({total} recipients, {matched} match"
    );
    if !skipped.is_empty() {
        words += "; skipped: ";
        words += &skipped.join(", ");
    }
    words + ")"
}

/// The end of a run that has no plan: it is held, and would have been for `limit` too.
fn unplanned(loaded: &Loaded, reason: String, limit: Option<String>) -> Seal {
    Seal {
        content_digest: loaded.content_digest.clone(),
        plan_digest: String::new(),
        totals: Totals::default(),
        state: RunState::Held,
        reason: Some(reason),
        limit,
        drop_rows: true,
    }
}

/// The names of the payloads' values. Fails where a source can't be described.
async fn describe(loaded: &Loaded, sources: &[Arc<dyn Source>]) -> Result<Layout, SourceError> {
    let mut schemas = Vec::new();
    for source in sources {
        schemas.push(Arc::new(source.describe().await?));
    }
    Ok(plan::layout(loaded, &schemas))
}

fn queues(loaded: &Loaded) -> Vec<(Channel, crate::model::TransportName)> {
    loaded
        .campaign
        .email
        .iter()
        .map(|email| (Channel::Email, email.via.clone()))
        .collect()
}

/// Whether a run of the campaign spares those who had another lately.
fn has_cooldown(campaign: &Campaign) -> bool {
    schedule::cooldown(campaign) != Cooldown::None
}

/// The refusal of an occurrence that has a run: what to do depends on whether that is over.
pub(super) fn sent_already(run: &Run) -> Refused {
    let (campaign, id, label, state) = (&run.campaign, run.id, &run.occurrence, run.state);
    let help = match state {
        RunState::Finished | RunState::Cancelled | RunState::Failed => {
            "the same label never sends twice; `--as LABEL` names another".to_owned()
        }
        RunState::Sending | RunState::Planning | RunState::Scheduled => {
            format!("`campanile resume {id}` or `campanile serve` goes on with it")
        }
        RunState::AwaitingApproval => {
            format!("`campanile approve {id}` lets it go, `campanile cancel {id}` ends it")
        }
        RunState::Held | RunState::Paused => {
            format!("`campanile resume {id}` lets it go on, `campanile cancel {id}` ends it")
        }
    };
    Refused::new(
        RefusedKind::Held,
        format!("{campaign} has run {id} for `{label}` already ({state}): {help}"),
    )
}

/// The label of a run that is asked for without one.
pub(super) fn manual() -> OccurrenceName {
    OccurrenceName::label("manual").expect("`manual` is a label")
}
