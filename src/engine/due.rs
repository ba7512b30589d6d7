//! What the schedules say is due: opened, or skipped as late and shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    model::{
        CampaignId, HoldReason, Missed, Occurrence, OccurrenceName, RunState, Schedule, Timing,
        Totals,
    },
    schedule,
    store::{CampaignChange, CampaignRecord, NewRun, Opened, Seal},
    workspace::{Entry, Loaded},
};

use super::{Engine, planning::Order};

/// The most occurrences of one campaign that are caught up with at once.
const CATCH_UP: usize = 100;

impl Engine {
    /// Starts what is due. Each campaign's planning is a task of its own: a long one holds up no other.
    pub(crate) async fn start_what_is_due(self: &Arc<Self>) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        if snapshot.settings.is_none() {
            // With broken settings no run starts.
            return Ok(());
        }
        let now = self.clock.now();
        for record in self.store()?.campaigns().await? {
            let Some(Entry::Ready(loaded)) = snapshot.campaigns.get(&record.id) else {
                continue;
            };
            let Some(schedule) = &loaded.campaign.schedule else {
                continue;
            };
            if !loaded.campaign.enabled
                || record.stopped_at.is_some()
                || !has_news(schedule, &record, now)
            {
                continue;
            }
            if !self.planning.lock().insert(record.id.clone()) {
                continue;
            }
            let (engine, loaded) = (self.clone(), loaded.clone());
            tokio::spawn(async move {
                // However it ends, the campaign can be planned again.
                let _planning = Planning(engine.clone(), record.id.clone());
                let planned = engine.catch_up(&loaded, &record).await;
                if let Err(error) = planned {
                    tracing::error!(campaign = %record.id, %error, "not planned: trying again in ten seconds");
                    engine
                        .clock
                        .sleep_until(engine.clock.now() + chrono::TimeDelta::seconds(10))
                        .await;
                }
            });
        }
        Ok(())
    }

    /// Opens every occurrence that came due since the cursor; moves the cursor behind each.
    async fn catch_up(
        self: &Arc<Self>,
        loaded: &Arc<Loaded>,
        record: &CampaignRecord,
    ) -> Result<(), Refused> {
        let Some(schedule) = &loaded.campaign.schedule else {
            return Ok(());
        };
        let (now, id) = (self.clock.now(), &record.id);
        if matches!(schedule.timing, Timing::Now) {
            let name = OccurrenceName::label("now").expect("`now` is a label");
            let fresh = self.is_from_first_load(record).await?;
            let hold = fresh.then_some(HoldReason::FreshStore);
            self.open_due(loaded, Occurrence { name, due: now }, hold)
                .await?;
            return Ok(self
                .store()?
                .change_campaign(id, CampaignChange::Cursor(now))
                .await?);
        }
        let latest_in_time = schedule.grace.before(now);
        let (late, in_time): (Vec<_>, Vec<_>) =
            newest(schedule::between(schedule, looked_at(record), now))
                .into_iter()
                .partition(|occurrence| occurrence.due < latest_in_time);
        if let Some(last) = late.last() {
            tracing::warn!(campaign = %id, occurrences = late.len(), last = %last.name, grace = %schedule.grace, "missed");
            match schedule.missed {
                Missed::Send if in_time.is_empty() => {
                    self.open_due(loaded, last.clone(), None).await?;
                }
                Missed::Send | Missed::Skip => {
                    self.show_missed(loaded, last.clone()).await?;
                }
            }
            self.store()?
                .change_campaign(id, CampaignChange::Cursor(last.due))
                .await?;
        }
        for occurrence in in_time {
            let due = occurrence.due;
            self.open_due(loaded, occurrence, None).await?;
            self.store()?
                .change_campaign(id, CampaignChange::Cursor(due))
                .await?;
        }
        Ok(())
    }

    /// Opens the run of an occurrence, unless it has one: then it was done before.
    async fn open_due(
        self: &Arc<Self>,
        loaded: &Arc<Loaded>,
        occurrence: Occurrence,
        hold: Option<HoldReason>,
    ) -> Result<(), Refused> {
        if self.has_run(&loaded.campaign.id, &occurrence.name).await? {
            return Ok(());
        }
        let hold = match hold {
            None => self.hold_as_suspect(&loaded.campaign.id).await?,
            hold => hold,
        };
        let order = Order {
            loaded: loaded.clone(),
            occurrence,
            digest: None,
            hold,
            keep: false,
        };
        self.start_run(order).await.map(drop)
    }

    /// An occurrence that is not sent because it is late stands among the runs, cancelled.
    async fn show_missed(&self, loaded: &Loaded, occurrence: Occurrence) -> Result<(), Refused> {
        let (store, lease, now) = (self.store()?, self.lease()?, self.clock.now());
        let new = NewRun {
            campaign: loaded.campaign.id.clone(),
            occurrence,
            topic: loaded.topic.name.clone(),
            purpose: loaded.campaign.purpose,
            bundle: None,
            layout: "[]".to_owned(),
            queues: Vec::new(),
        };
        if let Opened::New(run) = store.open_run(lease, new, now).await? {
            let seal = Seal {
                content_digest: loaded.content_digest.clone(),
                plan_digest: String::new(),
                totals: Totals::default(),
                state: RunState::Cancelled,
                reason: Some(HoldReason::Late.to_string()),
                drop_rows: true,
            };
            store.seal(lease, run.id, seal, now).await?;
        }
        Ok(())
    }

    pub(super) async fn has_run(
        &self,
        campaign: &CampaignId,
        occurrence: &OccurrenceName,
    ) -> Result<bool, Refused> {
        Ok(self.store()?.run_of(campaign, occurrence).await?.is_some())
    }
}

/// A campaign that is being planned, as long as this lives.
struct Planning(Arc<Engine>, CampaignId);

impl Drop for Planning {
    fn drop(&mut self) {
        self.0.planning.lock().remove(&self.1);
    }
}

/// Up to when the schedule is done with: an occurrence at or before the moment the id was first seen never fires.
fn looked_at(record: &CampaignRecord) -> DateTime<Utc> {
    record
        .cursor
        .map_or(record.first_seen, |cursor| cursor.max(record.first_seen))
}

/// The last few occurrences, in order.
fn newest(occurrences: impl Iterator<Item = Occurrence>) -> Vec<Occurrence> {
    let mut newest = std::collections::VecDeque::new();
    for occurrence in occurrences {
        if newest.len() == CATCH_UP {
            newest.pop_front();
        }
        newest.push_back(occurrence);
    }
    newest.into()
}

/// Whether something of the schedule came due since it was last looked at.
fn has_news(schedule: &Schedule, record: &CampaignRecord, now: DateTime<Utc>) -> bool {
    match schedule.timing {
        // Once per id: the cursor is set when it was opened.
        Timing::Now => record
            .cursor
            .is_none_or(|cursor| cursor < record.first_seen),
        _ => schedule::next(schedule, looked_at(record)).is_some_and(|next| next.due <= now),
    }
}
