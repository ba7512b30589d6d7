//! Everything at a glance.

use crate::{
    control::{CampaignState, CampaignStatus, Refused, RunStatus, StatusReport, TransportStatus},
    model::{Counts, HoldReason, Run, RunState, Severity},
    schedule,
    store::{CampaignRecord, RunFilter},
    workspace::Entry,
};

use super::Engine;

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
            runs.extend(newest.into_iter().filter(|run| run.state.is_over()));
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
            for run in shown {
                let counts = counts.get(&run.id).cloned().unwrap_or_default();
                statuses.push(run_status(run, &counts));
            }
        }
        let errors = snapshot
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error);
        Ok(StatusReport {
            daemon: self.is_sending().await,
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
                    error: way.error,
                })
                .collect(),
            errors: errors.map(ToString::to_string).collect(),
        })
    }

    fn campaign_statuses(&self, runs: &[Run], records: &[CampaignRecord]) -> Vec<CampaignStatus> {
        let (snapshot, now) = (self.snapshot(), self.clock.now());
        let is_running = |id: &crate::model::CampaignId| {
            runs.iter()
                .any(|run| run.campaign == *id && !run.state.is_over())
        };
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
                    next: None,
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
                            () if is_running(id) => CampaignState::Running,
                            () if next.is_some() => CampaignState::Scheduled,
                            () if schedule.is_none() => CampaignState::Ready,
                            () => CampaignState::Finished,
                        },
                        error: None,
                        next: next
                            .filter(|_| may_start)
                            .map(|next| loaded.zone.at(next.due)),
                        topic: Some(loaded.topic.name.to_string()),
                    }
                }
            });
        }
        let gone = records
            .iter()
            .filter(|record| !snapshot.campaigns.contains_key(&record.id));
        statuses.extend(gone.map(|record| CampaignStatus {
            id: record.id.clone(),
            name: record.name.clone(),
            state: CampaignState::Removed,
            error: None,
            next: None,
            topic: record.topic.as_ref().map(ToString::to_string),
        }));
        statuses.sort_by(|a, b| a.id.cmp(&b.id));
        statuses
    }

    /// One run at a glance.
    pub(super) async fn run_status(&self, id: crate::model::RunId) -> Result<RunStatus, Refused> {
        let run = self.run(id).await?;
        let counts = self.store()?.counts(id).await?;
        Ok(run_status(run, &counts))
    }
}

fn run_status(run: Run, counts: &Counts) -> RunStatus {
    RunStatus {
        help: help(&run),
        id: run.id,
        campaign: run.campaign,
        occurrence: run.occurrence,
        state: run.state,
        reason: run.reason,
        digest: run.plan_digest,
        counts: counts.by_status(),
        skipped: counts.skipped(),
        totals: run.totals,
        due: run.due,
        started_at: run.started_at,
        ended_at: run.ended_at,
    }
}

/// What to do about a run that waits for a person.
fn help(run: &Run) -> Option<String> {
    let resume = format!(
        "`campanile resume {}` lets it go all the same, `campanile cancel {}` ends it",
        run.id, run.id
    );
    let held = run
        .reason
        .as_deref()
        .and_then(|reason| reason.split(':').next()?.parse::<HoldReason>().ok());
    match (run.state, held?) {
        (RunState::Held, reason) => Some(match reason {
            HoldReason::TooMany => format!(
                "{} to send, more than max_recipients: {resume}",
                run.totals.to_send
            ),
            HoldReason::TooFew => format!(
                "{} to send, fewer than min_recipients: {resume}",
                run.totals.to_send
            ),
            HoldReason::ChangedTooMuch => {
                format!("the audience changed more than max_change: {resume}")
            }
            HoldReason::ScriptErrors => {
                format!(
                    "more errors than max_script_errors, `campanile report {}` shows them: {resume}",
                    run.id
                )
            }
            HoldReason::SourceError => format!(
                "once the source can be read, `campanile resume {}` plans again",
                run.id
            ),
            HoldReason::Broken if run.reason.as_deref() != Some(HoldReason::Broken.as_str()) => {
                format!("its messages can't be made: {resume}")
            }
            HoldReason::Broken => "mend the files, then it goes on by itself".to_owned(),
            HoldReason::Removed => "bring the file back, then it goes on by itself".to_owned(),
            HoldReason::Stopped => format!("`campanile start {}` lets it go on", run.campaign),
            HoldReason::SuspectedRename => {
                format!(
                    "it looks like a renamed campaign: give it the old one's id (`id = \"…\"`), or else {resume}"
                )
            }
            HoldReason::FreshStore => {
                format!("the store is new, nobody knows what was sent before: {resume}")
            }
            HoldReason::StaleLedger => format!("the store looks like a restored backup: {resume}"),
            HoldReason::ApprovalNeeded
            | HoldReason::TestsFailed
            | HoldReason::StopIf
            | HoldReason::Late => resume,
        }),
        _ => None,
    }
}
