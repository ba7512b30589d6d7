//! Everything at a glance.

use chrono::{DateTime, Utc};

use crate::{
    control::{
        CampaignState, CampaignStatus, RateStatus, Refused, RunStatus, StatusReport,
        TransportStatus,
    },
    model::{CampaignId, Counts, EffectCounts, Run, RunState, Severity, Timing},
    schedule,
    store::{CampaignRecord, RunFilter},
    workspace::{Entry, Loaded},
};

use super::{
    Engine,
    lifecycle::waits_behind_first_part,
    waits::{Waits, told_as_help},
};

/// How many runs that are over are shown.
const RECENT: usize = 20;

impl Engine {
    /// Everything at a glance.
    pub async fn status(&self) -> Result<StatusReport, Refused> {
        let snapshot = self.snapshot();
        let (mut runs, mut records) = (Vec::new(), Vec::new());
        if let Some(store) = &self.store {
            let open = RunState::ALL
                .iter()
                .copied()
                .filter(|state| !state.is_over());
            let open = RunFilter {
                states: open.collect(),
                ..RunFilter::default()
            };
            runs = store.runs(open).await?;
            // Among the newest, however many of them are open, there are as many as are shown.
            let newest = RunFilter {
                limit: Some(runs.len() + RECENT),
                ..RunFilter::default()
            };
            let newest = store.runs(newest).await?;
            // One that ended between the two looks is shown once, as the later look saw it.
            runs.retain(|run| !newest.iter().any(|later| later.id == run.id));
            runs.extend(newest);
            runs.sort_by_key(|run| std::cmp::Reverse(run.id));
            records = store.campaigns().await?;
        }
        let mut recent = 0;
        let shown: Vec<Run> = runs
            .iter()
            .filter(|run| {
                !run.state.is_over() || {
                    recent += 1;
                    recent <= RECENT
                }
            })
            .cloned()
            .collect();
        let mut statuses = Vec::new();
        if let Some(store) = &self.store {
            let ids: Vec<_> = shown.iter().map(|run| run.id).collect();
            let counts = store.counts_of(&ids).await?;
            let mut effects = store.effect_counts(&ids).await?;
            for run in shown {
                let counts = counts.get(&run.id).cloned().unwrap_or_default();
                let effects = effects.remove(&run.id);
                statuses.push(self.status_of(run, &counts, effects).await?);
            }
        }
        let errors = snapshot
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error);
        Ok(StatusReport {
            daemon: self.is_sending().await,
            environment: self.environment.clone(),
            safety: self.settings().safety.clone(),
            campaigns: self.campaign_statuses(&runs, &records),
            runs: statuses,
            transports: self
                .ways()
                .await?
                .into_iter()
                .map(|way| TransportStatus {
                    name: way.name.to_string(),
                    description: way.description,
                    connections: way.connections,
                    sent: way.sent,
                    rate: way.rate.map(|rate| RateStatus {
                        configured: rate.configured.map(|rate| rate.to_string()),
                        per_second: rate.per_second,
                        reason: rate.reason,
                    }),
                    error: way.error,
                })
                .collect(),
            errors: errors.map(ToString::to_string).collect(),
        })
    }

    fn campaign_statuses(&self, runs: &[Run], records: &[CampaignRecord]) -> Vec<CampaignStatus> {
        let (snapshot, now) = (self.snapshot(), self.clock.now());
        let has_run = |id: &CampaignId, of: fn(RunState) -> bool| {
            let mut runs = runs.iter().filter(|run| run.campaign == *id);
            runs.any(|run| of(run.state))
        };
        // A run that waits for a person or its time does not run.
        let at_work = |state| matches!(state, RunState::Planning | RunState::Sending);
        let mut statuses = Vec::new();
        for (id, entry) in &snapshot.campaigns {
            let record = records.iter().find(|record| record.id == *id);
            let stopped = record.is_some_and(|record| record.stopped_at.is_some());
            statuses.push(match entry {
                Entry::Broken(broken) => CampaignStatus {
                    id: id.clone(),
                    name: id.to_string(),
                    state: CampaignState::Broken,
                    error: broken.diagnostics.iter().next().map(ToString::to_string),
                    warning: broken
                        .last_good
                        .as_ref()
                        .map(|_| "it goes on with the last files that checked".to_owned()),
                    next: broken.last_good.as_ref().and_then(|loaded| {
                        let schedule = loaded.campaign.schedule.as_ref()?;
                        let next = schedule::next(schedule, now).filter(|_| !stopped)?;
                        Some(loaded.zone.at(next.due))
                    }),
                    topic: None,
                },
                Entry::Ready(loaded) => {
                    let schedule = loaded.campaign.schedule.as_ref();
                    let next = schedule.and_then(|schedule| schedule::next(schedule, now));
                    let may_start = loaded.campaign.enabled && !stopped;
                    CampaignStatus {
                        id: id.clone(),
                        name: loaded.campaign.name.clone(),
                        state: match () {
                            () if !loaded.campaign.enabled => CampaignState::Disabled,
                            () if stopped => CampaignState::Stopped,
                            () if has_run(id, at_work) => CampaignState::Running,
                            () if next.is_some() => CampaignState::Scheduled,
                            // It is not over while its last run waits.
                            () if has_run(id, |state| !state.is_over()) => CampaignState::Scheduled,
                            () if schedule.is_none() => CampaignState::Ready,
                            () => CampaignState::Finished,
                        },
                        error: None,
                        warning: never_due(loaded, record, runs, now),
                        next: next
                            .filter(|_| may_start)
                            .map(|next| loaded.zone.at(next.due)),
                        topic: Some(loaded.topic.name.to_string()),
                    }
                }
            });
        }
        // One that goes on under another name is not gone.
        let gone = records
            .iter()
            .filter(|record| !snapshot.campaigns.contains_key(&self.heir_of(&record.id)));
        statuses.extend(gone.map(|record| CampaignStatus {
            id: record.id.clone(),
            name: record.name.clone(),
            state: CampaignState::Removed,
            error: None,
            warning: None,
            next: None,
            topic: record.topic.as_ref().map(ToString::to_string),
        }));
        statuses.sort_by(|a, b| a.id.cmp(&b.id));
        statuses
    }

    /// One run at a glance.
    pub(super) async fn run_status(&self, id: crate::model::RunId) -> Result<RunStatus, Refused> {
        let run = self.run(id).await?;
        let store = self.store()?;
        let counts = store.counts(id).await?;
        let effects = store.effect_counts(&[id]).await?.remove(&id);
        self.status_of(run, &counts, effects).await
    }

    async fn status_of(
        &self,
        mut run: Run,
        counts: &Counts,
        effects: Option<EffectCounts>,
    ) -> Result<RunStatus, Refused> {
        let approval = match run.state {
            RunState::Planning => None,
            _ => self.approval_status(&run).await?,
        };
        let waits = Waits::of(&run, self.in_force(&run.campaign).as_deref());
        let help = waits.help(&run, approval.as_ref());
        if let Some((reason, _)) = told_as_help(&run) {
            run.reason = Some(reason.to_string());
        }
        let of = run.clone();
        let mut status = RunStatus {
            help,
            waits_until: waits.until(),
            goes_on_at: run.goes_on_at.filter(|_| waits_behind_first_part(&run)),
            unsubscribed: run.unsubscribed,
            id: run.id,
            campaign: run.campaign,
            occurrence: run.occurrence,
            state: run.state,
            reason: run.reason,
            digest: run.plan_digest,
            counts: counts.by_status(),
            skipped: counts.skipped(),
            totals: run.totals,
            effects,
            due: run.due,
            started_at: run.started_at,
            ended_at: run.ended_at,
            approval,
        };
        self.tell_hours(&of, &mut status).await?;
        Ok(status)
    }
}

/// A single time that lies before the campaign was first seen: it never fires, which nobody may have meant.
pub(super) fn never_due(
    loaded: &Loaded,
    record: Option<&CampaignRecord>,
    runs: &[Run],
    now: DateTime<Utc>,
) -> Option<String> {
    let schedule = loaded.campaign.schedule.as_ref()?;
    if !matches!(schedule.timing, Timing::At(_)) {
        return None;
    }
    let due = schedule::next(schedule, DateTime::UNIX_EPOCH)?.due;
    let seen = record.map_or(now, |record| record.first_seen);
    let ran = runs.iter().any(|run| run.campaign == loaded.campaign.id);
    (due <= seen && !ran).then(|| {
        format!(
            "its time has passed: {} was before it was first seen, so it never goes out by itself",
            loaded.zone.at(due).format("%Y-%m-%d %H:%M %:z")
        )
    })
}
