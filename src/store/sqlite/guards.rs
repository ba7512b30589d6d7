//! What guards a run while it is sent: the part that goes out first, and the shares that hold it. Both are looked at once in a
//! transaction, from the counters.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    codes::{At, Id},
    counters,
    error::{Result, refused},
    runs,
};
use crate::{
    model::{
        Counts, HoldReason, PAUSED_BY_ROLLOUT, Period, Rollout, RunId, RunState, Status, StopIf,
        Toll,
    },
    store::RunChange,
};

/// As the tables have it.
pub(super) fn to_text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| refused(error.to_string()))
}

fn from_text<T: DeserializeOwned>(run: RunId, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| refused(format!("run {run}: {error}")))
}

/// How much of a run's first part is left to begin.
#[derive(Debug)]
pub(super) struct FirstPart {
    left: u64,
    /// How many deliveries of the whole run wait for their first attempt.
    queued: u64,
    wait: Period,
}

impl FirstPart {
    /// `text`: the rollout, as the run has it.
    pub(super) fn read(db: &Connection, run: RunId, text: &str, to_send: u64) -> Result<Self> {
        let rollout: Rollout = from_text(run, text)?;
        let counts = counters::counts(db, run)?;
        Ok(Self {
            left: rollout.first.of(to_send).saturating_sub(begun(&counts)),
            queued: counts.of(Status::Queued),
            wait: rollout.wait,
        })
    }

    /// Whether another delivery may begin that has not begun before.
    pub(super) fn has_room(&self) -> bool {
        self.left > 0
    }

    /// Such a delivery has begun.
    pub(super) fn begin(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.queued = self.queued.saturating_sub(1);
    }

    /// Such a delivery has ended unsent: another takes its place.
    pub(super) fn skip(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    /// How long the rest waits now, where the part is out and there is a rest.
    pub(super) fn pause(&self) -> Option<Period> {
        (self.left == 0 && self.queued > 0).then_some(self.wait)
    }
}

/// How many deliveries have begun and were not put back.
fn begun(counts: &Counts) -> u64 {
    let unsent = [
        Status::Queued,
        Status::Skipped,
        Status::Expired,
        Status::Cancelled,
    ];
    counts.all() - unsent.map(|status| counts.of(status)).iter().sum::<u64>()
}

/// Pauses a run behind its first part.
pub(super) fn pause(
    db: &Connection,
    run: RunId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<()> {
    let change = RunChange {
        state: RunState::Paused,
        reason: Some(PAUSED_BY_ROLLOUT.to_owned()),
        released: None,
    };
    if runs::change_state(db, run, &[RunState::Sending], &change, now)? {
        db.prepare_cached("UPDATE run SET goes_on_at = ?2 WHERE id = ?1")?
            .execute(params![Id(run), At(until)])?;
        tracing::info!(%run, %until, "paused behind its first part");
    }
    Ok(())
}

/// Holds a run that is sending where one of its shares is exceeded and there is still something to hold. `true`: it is held now.
pub(super) fn weigh(db: &Connection, run: RunId, now: DateTime<Utc>) -> Result<bool> {
    let Some((stop_if, toll)) = toll(db, run)? else {
        return Ok(false);
    };
    let counts = counters::counts(db, run)?;
    let waiting = counts.of(Status::Queued) + counts.of(Status::Deferred);
    let Some(exceeded) = stop_if.exceeded(toll).filter(|_| waiting > 0) else {
        return Ok(false);
    };
    let change = RunChange {
        state: RunState::Held,
        reason: Some(format!("{}: {exceeded}", HoldReason::StopIf)),
        released: None,
    };
    let from = [RunState::Sending, RunState::Paused];
    let held = runs::change_state(db, run, &from, &change, now)?;
    if held {
        tracing::error!(%run, %exceeded, "held as stop_if");
    }
    Ok(held)
}

/// A run's limits and its toll since it was last let go; `None`: it has no limits.
fn toll(db: &Connection, run: RunId) -> Result<Option<(StopIf, Toll)>> {
    let (stop_if, base): (Option<String>, Option<String>) = db
        .prepare_cached("SELECT stop_if, toll_base FROM run WHERE id = ?1")?
        .query_row([Id(run)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(stop_if) = stop_if else {
        return Ok(None);
    };
    let mut toll = whole_toll(db, run)?;
    if let Some(base) = base {
        toll = toll.since(from_text(run, &base)?);
    }
    Ok(Some((from_text(run, &stop_if)?, toll)))
}

fn whole_toll(db: &Connection, run: RunId) -> Result<Toll> {
    let (no_mailbox, unsubscribed): (i64, i64) = db
        .prepare_cached("SELECT no_mailbox, unsubscribed FROM run WHERE id = ?1")?
        .query_row([Id(run)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let counts = counters::counts(db, run)?;
    Ok(Toll::new(
        &counts,
        u64::try_from(no_mailbox).unwrap_or(0),
        u64::try_from(unsubscribed).unwrap_or(0),
    ))
}

/// A person lets a run go: its shares are counted anew.
pub(super) fn count_anew(db: &Connection, run: RunId) -> Result<()> {
    if toll(db, run)?.is_some() {
        let base = to_text(&whole_toll(db, run)?)?;
        db.prepare_cached("UPDATE run SET toll_base = ?2 WHERE id = ?1")?
            .execute(params![Id(run), base])?;
    }
    Ok(())
}

/// Deliveries of a run were refused because their address does not exist.
pub(super) fn add_no_mailbox(db: &Connection, run: RunId, n: u64) -> Result<()> {
    db.prepare_cached("UPDATE run SET no_mailbox = no_mailbox + ?2 WHERE id = ?1")?
        .execute(params![Id(run), n as i64])?;
    Ok(())
}

/// Recipients of a run unsubscribed by its links, or took that back.
pub(super) fn add_unsubscribed(
    db: &Connection,
    run: RunId,
    n: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    let there = db
        .prepare_cached("UPDATE run SET unsubscribed = max(unsubscribed + ?2, 0) WHERE id = ?1")?
        .execute(params![Id(run), n])?;
    if there > 0 && n > 0 {
        weigh(db, run, now)?;
    }
    Ok(())
}
