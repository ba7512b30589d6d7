//! What the schedules say is due: opened, or skipped as late and shown.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

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

use super::{
    Engine,
    planning::{Order, Wanted},
};

/// How long before its first zone is due an occurrence is planned that goes by its recipients' zones.
const PLANNED_AHEAD: TimeDelta = TimeDelta::minutes(15);
/// The most occurrences of one campaign that are caught up with at once.
const CATCH_UP: usize = 100;

impl Engine {
    /// Starts what is due, and plans what is due soon. Each campaign's planning is a task of its own: a long one holds up no
    /// other.
    pub(crate) async fn start_what_is_due(self: &Arc<Self>) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        if snapshot.settings.is_none() {
            // With broken settings no run starts.
            return Ok(());
        }
        let now = self.clock.now();
        let records = self.store()?.campaigns().await?;
        for record in &records {
            let Some(loaded) = snapshot.campaigns.get(&record.id).and_then(Entry::in_force) else {
                continue;
            };
            if !loaded.campaign.enabled || record.stopped_at.is_some() {
                continue;
            }
            let record = self.with_histories(record, &records);
            if !self.has_news(loaded, &record, now) {
                continue;
            }
            let Some(planning) = Planning::begin(self, &record.id) else {
                continue;
            };
            let (engine, loaded) = (self.clone(), loaded.clone());
            tokio::spawn(async move {
                // However it ends, the campaign can be planned again.
                let _planning = planning;
                let planned = engine.catch_up(&loaded, &record).await;
                if let Err(error) = planned {
                    tracing::error!(campaign = %record.id, %error, "not planned: trying again in ten seconds");
                    engine
                        .clock
                        .sleep_until(engine.clock.now() + TimeDelta::seconds(10))
                        .await;
                }
            });
        }
        Ok(())
    }

    /// The record of a campaign as if it had always been there under its name: seen and looked at when those were that it
    /// goes on as.
    fn with_histories(&self, record: &CampaignRecord, all: &[CampaignRecord]) -> CampaignRecord {
        let mut whole = record.clone();
        for id in self.ids_of(&record.id).split_off(1) {
            if let Some(other) = all.iter().find(|other| other.id == id) {
                whole.first_seen = whole.first_seen.min(other.first_seen);
                whole.cursor = whole.cursor.max(other.cursor);
            }
        }
        whole
    }

    /// Whether something of the schedule came due, or is due soon enough to be planned, since it was last looked at.
    fn has_news(&self, loaded: &Loaded, record: &CampaignRecord, now: DateTime<Utc>) -> bool {
        let Some(schedule) = &loaded.campaign.schedule else {
            return false;
        };
        if matches!(schedule.timing, Timing::Now) {
            // Once per id: the cursor is set when it was opened.
            return record
                .cursor
                .is_none_or(|cursor| cursor < record.first_seen);
        }
        // What may lie before the first sight is looked at once.
        record.cursor.is_none()
            || self
                .next_after(loaded, schedule, looked_at(record))
                .is_some_and(|next| next <= ahead(schedule, now))
    }

    /// When the schedule's next occurrence after a moment is to be planned: worked out once, not twice a second.
    fn next_after(
        &self,
        loaded: &Loaded,
        schedule: &Schedule,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut known = self.next_due.lock();
        if let Some(known) = known.get(&loaded.campaign.id)
            && known.after == after
            && known.content_digest == loaded.content_digest
        {
            return known.next;
        }
        let next = schedule::next(schedule, after).map(|next| begins(schedule, &next));
        let new = NextDue {
            content_digest: loaded.content_digest.clone(),
            after,
            next,
        };
        known.insert(loaded.campaign.id.clone(), new);
        next
    }

    /// Opens every occurrence that came due since the cursor, and the next one where it is planned ahead; moves the cursor
    /// behind each.
    async fn catch_up(
        self: &Arc<Self>,
        loaded: &Arc<Loaded>,
        record: &CampaignRecord,
    ) -> Result<(), Refused> {
        let Some(schedule) = &loaded.campaign.schedule else {
            return Ok(());
        };
        let (now, id) = (self.clock.now(), &record.id);
        let looked = async |at| {
            let store = self.store()?;
            Ok::<_, Refused>(
                store
                    .change_campaign(id, CampaignChange::Cursor(at))
                    .await?,
            )
        };
        if matches!(schedule.timing, Timing::Now) {
            let name = OccurrenceName::label("now").expect("`now` is a label");
            let fresh = self.is_from_first_load(record).await?;
            let hold = fresh.then_some(HoldReason::FreshStore);
            self.open_due(loaded, Occurrence { name, due: now }, hold)
                .await?;
            return looked(now).await;
        }
        if record.cursor.is_none() {
            if self.is_from_first_load(record).await?
                && let Some(past) = just_past(schedule, record.first_seen)
            {
                let hold = Some(HoldReason::FreshStore);
                self.open_due(loaded, past, hold).await?;
            }
            // Before the first sight, as `at = "now"` asks for.
            looked(record.first_seen - TimeDelta::microseconds(1)).await?;
        }
        let latest_in_time = schedule.grace.before(now);
        let horizon = now + schedule::head_start(schedule) + PLANNED_AHEAD;
        let has_come = |occurrence: &Occurrence| begins(schedule, occurrence) <= now;
        let (late, in_time): (Vec<_>, Vec<_>) =
            newest(schedule::between(schedule, looked_at(record), horizon).filter(has_come))
                .into_iter()
                .partition(|occurrence| schedule::ends(schedule, occurrence) < latest_in_time);
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
            looked(last.due).await?;
        }
        let mut at = looked_at(record).max(now);
        for occurrence in in_time {
            let due = occurrence.due;
            self.open_due(loaded, occurrence, None).await?;
            looked(due).await?;
            at = at.max(due);
        }
        // Only while nothing else of it is open: whoever gets that must rest from it.
        if schedule.plan_ahead.is_some()
            && let Some(next) = schedule::next(schedule, at)
            && begins(schedule, &next) <= ahead(schedule, now)
        {
            let (due, is_open) = (next.due, self.run_of_any(id, &next.name).await?.is_some());
            if is_open || !self.has_open_run(id).await? {
                self.open_due(loaded, next, None).await?;
                looked(due).await?;
            }
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
        let campaign = &loaded.campaign.id;
        if self.run_of_any(campaign, &occurrence.name).await?.is_some() {
            return Ok(());
        }
        let hold = match hold {
            None => self.hold_as_suspect(&loaded.campaign.id).await?,
            hold => hold,
        };
        let order = Order {
            loaded: loaded.clone(),
            occurrence,
            asked: false,
            wanted: Wanted::default(),
            hold,
            keep: false,
            untested: false,
            again: None,
        };
        self.start_run(order).await.map(drop)
    }

    /// An occurrence that is not sent because it is late stands among the runs, cancelled.
    async fn show_missed(&self, loaded: &Loaded, occurrence: Occurrence) -> Result<(), Refused> {
        let (store, lease, now) = (self.store()?, self.lease()?, self.clock.now());
        let campaign = &loaded.campaign.id;
        if self.run_of_any(campaign, &occurrence.name).await?.is_some() {
            return Ok(());
        }
        let new = NewRun {
            campaign: loaded.campaign.id.clone(),
            occurrence,
            topic: loaded.topic.name.clone(),
            purpose: loaded.campaign.purpose,
            bundle: None,
            asked: false,
            expires_at: None,
            layout: "[]".to_owned(),
            rollout: None,
            stop_if: None,
            cooldown_group: None,
            waits: false,
            queues: Vec::new(),
            effects: Vec::new(),
        };
        if let Opened::New(run) = store.open_run(lease, new, now).await? {
            let seal = Seal {
                content_digest: loaded.content_digest.clone(),
                plan_digest: String::new(),
                totals: Totals::default(),
                state: RunState::Cancelled,
                reason: Some(HoldReason::Late.to_string()),
                limit: None,
                drop_rows: true,
            };
            store.seal(lease, run.id, seal, now).await?;
        }
        Ok(())
    }
}

/// A campaign that is being planned, as long as this lives.
pub(super) struct Planning(Arc<Engine>, CampaignId);

impl Planning {
    /// `None`: it is being planned already.
    pub(super) fn begin(engine: &Arc<Engine>, id: &CampaignId) -> Option<Self> {
        let is_new = engine.planning.lock().insert(id.clone());
        is_new.then(|| Self(engine.clone(), id.clone()))
    }
}

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

/// When a schedule's next occurrence is to be planned, and what that was worked out of.
pub(super) struct NextDue {
    content_digest: String,
    after: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

/// When an occurrence is to be planned at the latest: when it is due, or before its first zone is.
fn begins(schedule: &Schedule, occurrence: &Occurrence) -> DateTime<Utc> {
    let begins = schedule::begins(schedule, occurrence);
    if schedule.by_recipient {
        begins - PLANNED_AHEAD
    } else {
        begins
    }
}

/// Up to when occurrences are planned now.
fn ahead(schedule: &Schedule, now: DateTime<Utc>) -> DateTime<Utc> {
    match schedule.plan_ahead {
        Some(period) => period.after(now),
        None => now,
    }
}

/// The occurrence before a fresh store's first load that would be sent if the store had been there: nobody knows whether it was.
/// Where the next one comes within a day, that one will do.
fn just_past(schedule: &Schedule, first_seen: DateTime<Utc>) -> Option<Occurrence> {
    let from = match (&schedule.timing, schedule.missed) {
        (Timing::At(_), Missed::Send) => DateTime::UNIX_EPOCH,
        _ => schedule.grace.before(first_seen),
    };
    let last = schedule::between(schedule, from, first_seen).last()?;
    let next = schedule::next(schedule, last.due);
    let comes_soon = next.is_some_and(|next| next.due < last.due + TimeDelta::hours(20));
    (!comes_soon).then_some(last)
}
