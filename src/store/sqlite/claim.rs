//! What is to be sent next: read only, nothing is marked.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    codes::{At, Code, Id, Text, range},
    error::Result,
};
use crate::{
    model::{DeliveryId, RunId, RunState, Status},
    store::{Claimed, Queue, QueueId},
};

pub(super) fn queues(db: &Connection) -> Result<Vec<Queue>> {
    let mut queues = db.prepare_cached(
        "SELECT queue.id, run.id, run.campaign, queue.channel, queue.transport, run.layout, queue.cursor, run.epoch,
             nullif(queue.zone, '')
         FROM run JOIN queue ON queue.run = run.id
         WHERE run.state = ?1 AND (queue.opens IS NULL OR queue.opened IS NOT NULL) ORDER BY queue.id",
    )?;
    let queues = queues.query_map([RunState::Sending.as_str()], |row| {
        let run = row.get::<_, Id<RunId>>(1)?.0;
        let cursor: Option<Id<DeliveryId>> = row.get(6)?;
        Ok(Queue {
            id: QueueId(row.get(0)?),
            run,
            epoch: row.get(7)?,
            campaign: row.get::<_, Text<_>>(2)?.0,
            channel: row.get::<_, Code<_>>(3)?.0,
            transport: row.get::<_, Text<_>>(4)?.0,
            zone: row.get(8)?,
            layout: row.get(5)?,
            // One that went back to before the first delivery is none.
            cursor: cursor
                .map(|cursor| cursor.0)
                .filter(|cursor| cursor.run() == run),
        })
    })?;
    Ok(queues.collect::<rusqlite::Result<_>>()?)
}

/// From the primary key, where a run's deliveries stand in order: no index has to follow each change of a status. In a run that
/// goes by zones an index by queue, which no change of a status touches, leads past those of the other zones. A queued row that
/// was put off (the transport was down) comes from [`due`].
pub(super) fn next(
    db: &Connection,
    queue: QueueId,
    after: Option<DeliveryId>,
    limit: usize,
) -> Result<Vec<Claimed>> {
    let Some((run, zoned)) = run_of(db, queue)? else {
        return Ok(Vec::new());
    };
    let (first, end) = range(run);
    let after = after.map_or(first - 1, |after| after.0.max(first - 1));
    let mut next = db.prepare_cached(if zoned {
        "SELECT d.id, d.recipient_hash, d.address_hash, d.key, d.address, p.bytes, d.attempts, d.first_try, d.message_id
         FROM delivery d INDEXED BY delivery_by_zone LEFT JOIN payload p ON p.id = d.id
         WHERE d.id > ?1 AND d.id < ?2 AND d.queue = ?3 AND d.zoned = 1 AND d.status = ?4
             AND NOT EXISTS (SELECT 1 FROM due WHERE due.id = d.id)
         ORDER BY d.id LIMIT ?5"
    } else {
        "SELECT d.id, d.recipient_hash, d.address_hash, d.key, d.address, p.bytes, d.attempts, d.first_try, d.message_id
         FROM delivery d LEFT JOIN payload p ON p.id = d.id
         WHERE d.id > ?1 AND d.id < ?2 AND d.queue = ?3 AND d.status = ?4
             AND NOT EXISTS (SELECT 1 FROM due WHERE due.id = d.id)
         ORDER BY d.id LIMIT ?5"
    })?;
    let claimed = next.query_map(
        params![after, end, queue.0, Code(Status::Queued), limit as i64],
        record,
    )?;
    Ok(claimed.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn due(
    db: &Connection,
    queue: QueueId,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Claimed>> {
    let mut due = db.prepare_cached(
        "SELECT d.id, d.recipient_hash, d.address_hash, d.key, d.address, p.bytes, d.attempts, d.first_try, d.message_id
         FROM due CROSS JOIN delivery d ON d.id = due.id LEFT JOIN payload p ON p.id = d.id
         WHERE due.queue = ?1 AND due.at <= ?2 ORDER BY due.at, due.id LIMIT ?3",
    )?;
    let claimed = due.query_map(params![queue.0, At(now), limit as i64], record)?;
    Ok(claimed.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn next_due(db: &Connection, queue: QueueId) -> Result<Option<DateTime<Utc>>> {
    let at: Option<At> = db
        .prepare_cached("SELECT min(at) FROM due WHERE queue = ?1")?
        .query_row([queue.0], |row| row.get(0))?;
    Ok(at.map(|at| at.0))
}

/// The run of a queue, and whether it is the queue of a zone.
pub(super) fn run_of(db: &Connection, queue: QueueId) -> Result<Option<(RunId, bool)>> {
    Ok(db
        .prepare_cached("SELECT run, zone <> '' FROM queue WHERE id = ?1")?
        .query_row([queue.0], |row| {
            Ok((row.get::<_, Id<RunId>>(0)?.0, row.get(1)?))
        })
        .optional()?)
}

/// A payload that is missing (erased with its person) is given as an empty one: it can't be rendered, which is recorded, rather
/// than waiting for ever.
fn record(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    Ok(Claimed {
        id: row.get::<_, Id<_>>(0)?.0,
        recipient: row.get::<_, Id<_>>(1)?.0,
        address_hash: row.get::<_, Id<_>>(2)?.0,
        key: row.get(3)?,
        address: row.get(4)?,
        payload: row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default(),
        attempts: row.get(6)?,
        first_try: row.get::<_, Option<At>>(7)?.map(|at| at.0),
        message_id: row.get(8)?,
    })
}
