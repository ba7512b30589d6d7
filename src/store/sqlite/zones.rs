//! Runs that go by their recipients' zones: a zone's queues open when its time comes, or are emptied when that is long past.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{
    again,
    codes::{At, Code, Id, Text, range},
    counters::Moves,
    error::Result,
    meta,
    plan::check_planning,
    runs,
};
use crate::{
    model::{DeliveryId, RunId, RunState, Status},
    store::{Lease, Opening, QueueId, ZoneQueue, ZoneState},
};

/// Takes the place of the run's queues without a zone.
pub(super) fn add(db: &Connection, lease: Lease, run: RunId, zones: &[ZoneQueue]) -> Result<()> {
    check_planning(db, lease, run)?;
    let mut add = db.prepare_cached(
        "INSERT INTO queue (run, channel, transport, zone, opens, expires)
         SELECT run, channel, transport, ?2, ?3, ?4 FROM queue WHERE run = ?1 AND zone = '' ORDER BY id",
    )?;
    for zone in zones {
        add.execute(params![
            Id(run),
            zone.zone,
            zone.opens.map(At),
            zone.expires.map(At)
        ])?;
    }
    db.prepare_cached("DELETE FROM queue WHERE run = ?1 AND zone = ''")?
        .execute([Id(run)])?;
    Ok(())
}

/// Whether the time of a queue has come that is not open yet.
pub(super) fn any_due(db: &Connection, now: DateTime<Utc>) -> Result<bool> {
    let mut due = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM queue WHERE opens <= ?1 AND opens IS NOT NULL AND opened IS NULL)",
    )?;
    Ok(due.query_row([At(now)], |row| row.get(0))?)
}

/// A queue that is too late stays unopened, so that a crash does not make it look as if it had opened in time.
pub(super) fn open(
    db: &Connection,
    lease: Lease,
    only: Option<RunId>,
    now: DateTime<Utc>,
) -> Result<Vec<Opening>> {
    meta::check(db, lease)?;
    let mut due = db.prepare_cached(
        "SELECT queue.id, queue.run, queue.zone, queue.opens, queue.expires < ?1, run.state, run.begun
         FROM queue JOIN run ON run.id = queue.run
         WHERE queue.opens <= ?1 AND queue.opens IS NOT NULL AND queue.opened IS NULL ORDER BY queue.opens, queue.id",
    )?;
    let due = due.query_map([At(now)], |row| {
        let opening = Opening {
            queue: QueueId(row.get(0)?),
            run: row.get::<_, Id<RunId>>(1)?.0,
            zone: row.get(2)?,
            opens: row.get::<_, At>(3)?.0,
            late: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
        };
        let state = row.get::<_, Text<RunState>>(5)?.0;
        Ok((opening, state, row.get::<_, bool>(6)?))
    })?;
    let due: Vec<_> = due.collect::<rusqlite::Result<_>>()?;
    let mut openings = Vec::new();
    for (opening, state, begun) in due {
        // One that is halted goes on where it was; one that waits for its first message is late zone by zone when it may begin.
        let goes_out = state == RunState::Sending || begun || state.is_over();
        if !goes_out || state == RunState::Planning || only.is_some_and(|only| only != opening.run)
        {
            continue;
        }
        // Nobody asks for the queues of a run that is over; they are not looked at again.
        if state.is_over() || !opening.late {
            mark_opened(db, opening.queue, now)?;
        }
        if !state.is_over() {
            openings.push(opening);
        }
    }
    Ok(openings)
}

fn mark_opened(db: &Connection, queue: QueueId, now: DateTime<Utc>) -> Result<()> {
    db.prepare_cached("UPDATE queue SET opened = ?2 WHERE id = ?1 AND opened IS NULL")?
        .execute(params![queue.0, At(now)])?;
    Ok(())
}

/// Marks some of a queue's rows as expired. Emptied, the queue counts as opened: it is over with.
pub(super) fn expire(
    db: &Connection,
    lease: Lease,
    queue: QueueId,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<usize> {
    meta::check(db, lease)?;
    let (zone, opens, cursor): (String, At, i64) = db
        .prepare_cached("SELECT zone, opens, coalesce(cursor, 0) FROM queue WHERE id = ?1")?
        .query_row([queue.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut open = db.prepare_cached(
        "SELECT id FROM delivery WHERE queue = ?1 AND zoned = 1 AND id > ?2 AND status = ?3 ORDER BY id LIMIT ?4",
    )?;
    let ids: Vec<DeliveryId> = open
        .query_map(
            params![queue.0, cursor, Code(Status::Queued), limit as i64],
            |row| Ok(row.get::<_, Id<_>>(0)?.0),
        )?
        .collect::<rusqlite::Result<_>>()?;
    let detail = format!(
        "late: it was due at {} in {zone}",
        opens.0.format("%Y-%m-%d %H:%M UTC")
    );
    let mut moves = Moves::default();
    for &id in &ids {
        again::settle_with(
            db,
            id,
            &[Status::Queued],
            Status::Expired.into(),
            Some(&detail),
            now,
            &mut moves,
        )?;
    }
    moves.apply(db)?;
    match ids.last() {
        Some(last) => {
            db.prepare_cached("UPDATE queue SET cursor = ?2 WHERE id = ?1")?
                .execute(params![queue.0, Id(*last)])?;
            runs::extend(db, last.run(), now)?;
        }
        None => mark_opened(db, queue, now)?,
    }
    Ok(ids.len())
}

/// The zones of a run. Those of several channels count as one, which is open when one of them is.
pub(super) fn of(db: &Connection, run: RunId) -> Result<Vec<ZoneState>> {
    let (first, end) = range(run);
    let mut zones = db.prepare_cached(
        "SELECT zone, min(opens), max(opens IS NULL OR opened IS NOT NULL),
             max(EXISTS (SELECT 1 FROM delivery d WHERE d.queue = queue.id AND d.zoned = 1
                 AND d.id > coalesce(queue.cursor, ?2) AND d.id < ?3 AND d.status = ?4)
              OR EXISTS (SELECT 1 FROM due WHERE due.queue = queue.id))
         FROM queue WHERE run = ?1 AND zone <> '' GROUP BY zone ORDER BY min(opens), zone",
    )?;
    let zones = zones.query_map(
        params![Id(run), first - 1, end, Code(Status::Queued)],
        |row| {
            Ok(ZoneState {
                zone: row.get(0)?,
                opens: row.get::<_, Option<At>>(1)?.map(|at| at.0),
                is_open: row.get(2)?,
                has_more: row.get(3)?,
            })
        },
    )?;
    Ok(zones.collect::<rusqlite::Result<_>>()?)
}
