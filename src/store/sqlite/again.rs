//! What a person or a policy decides about deliveries by name: queued again, skipped for good, cancelled.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    codes::{At, Code, Coded, Id, list, range},
    counters::{Moves, Stand, counts},
    error::{Result, refused},
    meta, runs,
};
use crate::{
    model::{Channel, DeliveryId, RunId, RunState, SkipReason, Status},
    store::Lease,
};

/// How many deliveries one look finds and one transaction changes.
const PAGE: usize = 1_000;

/// `retry` is for what was refused and what is in doubt, and for nothing else: all the rest was sent, or must not be.
pub(super) fn check_again(statuses: &[Status]) -> Result<()> {
    match statuses
        .iter()
        .find(|status| !matches!(status, Status::Failed | Status::InDoubt))
    {
        Some(other) => Err(refused(format!(
            "only failed and in_doubt deliveries can be queued again, not {other}"
        ))),
        None => Ok(()),
    }
}

/// How many deliveries of a run have one of the statuses.
pub(super) fn how_many(db: &Connection, run: RunId, statuses: &[Status]) -> Result<u64> {
    let counts = counts(db, run)?;
    Ok(statuses.iter().map(|&status| counts.of(status)).sum())
}

/// A page of the deliveries of a run with one of the statuses. Read only: the look at every row of a run is not the writer's.
pub(super) fn find(
    db: &Connection,
    run: RunId,
    statuses: &[Status],
    after: Option<DeliveryId>,
) -> Result<Vec<DeliveryId>> {
    let (first, end) = range(run);
    let mut find = db.prepare_cached(&format!(
        "SELECT id FROM delivery WHERE id > ?1 AND id < ?2 AND status IN ({}) ORDER BY id LIMIT ?3",
        list(statuses)
    ))?;
    let after = after.map_or(first - 1, |after| after.0);
    let found = find.query_map(params![after, end, PAGE as i64], |row| {
        Ok(row.get::<_, Id<_>>(0)?.0)
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Who asks for deliveries to be queued again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A person: as often as they ask.
    ByName,
    /// The policy `resend`: once for each delivery. Where the second answer is not seen either, a person must decide; a server
    /// that takes every message and never answers would be written to for ever.
    ByPolicy,
}

/// Queues those of `ids` again that still have one of the statuses and all that their message needs, and reopens a run that was
/// over. The cursors go back to before them.
pub(super) fn queue(
    db: &Connection,
    lease: Lease,
    run: RunId,
    ids: &[DeliveryId],
    statuses: &[Status],
    asked: Asked,
    now: DateTime<Utc>,
) -> Result<u64> {
    meta::check(db, lease)?;
    let mut again = db.prepare_cached(&format!(
        "SELECT status, channel, queue FROM delivery d WHERE id = ?1 AND status IN ({}) AND queue IS NOT NULL
             AND (resent = 0 OR ?2)
             AND EXISTS (SELECT 1 FROM payload WHERE payload.id = d.id)",
        list(statuses)
    ))?;
    let mut set = db.prepare_cached(
        "UPDATE delivery SET status = ?2, reason = NULL, detail = NULL, at = ?3, first_try = NULL, resent = ?4 WHERE id = ?1",
    )?;
    let mut rewind =
        db.prepare_cached("UPDATE queue SET cursor = ?2 WHERE id = ?1 AND cursor > ?2")?;
    let mut moves = Moves::default();
    let mut queued = 0;
    for &id in ids {
        let row = again.query_row(params![Id(id), asked == Asked::ByName], |row| {
            let (status, channel): (Code<Status>, Code<Channel>) = (row.get(0)?, row.get(1)?);
            Ok((status.0, channel.0, row.get::<_, i64>(2)?))
        });
        let Some((status, channel, queue)) = row.optional()? else {
            continue;
        };
        let by_policy = asked == Asked::ByPolicy;
        set.execute(params![Id(id), Code(Status::Queued), At(now), by_policy])?;
        rewind.execute([queue, id.0 - 1])?;
        moves.shift(run, channel, status.into(), Status::Queued.into());
        queued += 1;
    }
    moves.apply(db)?;
    if queued > 0 {
        runs::reopen(db, run, now)?;
    }
    Ok(queued)
}

/// Skips those of `ids` that are in doubt, for good.
pub(super) fn skip_doubt(
    db: &Connection,
    lease: Lease,
    ids: &[DeliveryId],
    now: DateTime<Utc>,
) -> Result<u64> {
    meta::check(db, lease)?;
    let mut moves = Moves::default();
    let mut skipped = 0;
    for &id in ids {
        let to = Stand::from(SkipReason::Doubt);
        skipped += u64::from(settle(db, id, &[Status::InDoubt], to, now, &mut moves)?);
    }
    moves.apply(db)?;
    Ok(skipped)
}

/// Ends a delivery unsent, where it has one of the statuses.
pub(super) fn settle(
    db: &Connection,
    id: DeliveryId,
    statuses: &[Status],
    to: Stand,
    now: DateTime<Utc>,
    moves: &mut Moves,
) -> Result<bool> {
    settle_with(db, id, statuses, to, None, now, moves)
}

/// The same, with words.
pub(super) fn settle_with(
    db: &Connection,
    id: DeliveryId,
    statuses: &[Status],
    to: Stand,
    words: Option<&str>,
    now: DateTime<Utc>,
    moves: &mut Moves,
) -> Result<bool> {
    let row = db
        .prepare_cached("SELECT status, channel FROM delivery WHERE id = ?1")?
        .query_row([Id(id)], |row| {
            let (status, channel): (Code<Status>, Code<Channel>) = (row.get(0)?, row.get(1)?);
            Ok((status.0, channel.0))
        })
        .optional()?;
    let Some((status, channel)) = row.filter(|(status, _)| statuses.contains(status)) else {
        return Ok(false);
    };
    db.prepare_cached(
        "UPDATE delivery SET status = ?2, reason = ?3, detail = ?5, at = ?4 WHERE id = ?1",
    )?
    .execute(params![
        Id(id),
        Code(to.status),
        to.reason.map(Code),
        At(now),
        words
    ])?;
    for table in ["payload", "due"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?
            .execute([Id(id)])?;
    }
    moves.shift(id.run(), channel, status.into(), to);
    Ok(true)
}

/// One step of cancelling the deliveries of a cancelled run: first those that were put off, then the queued ones behind each
/// queue's cursor, which moves along, so that no row is looked at twice. What is on the wire keeps its outcome. `None`: nothing was
/// found yet, there is more to look at.
pub(super) fn cancel(
    db: &Connection,
    run: RunId,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Option<usize>> {
    if runs::state(db, run)? != Some(RunState::Cancelled) {
        return Ok(Some(0));
    }
    end(db, run, Status::Cancelled, None, limit, now)
}

/// One step of expiring the deliveries of a run that is too old; the same way.
pub(super) fn expire(
    db: &Connection,
    run: RunId,
    words: &str,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Option<usize>> {
    let is_open = |state: RunState| !state.is_over() && state != RunState::Planning;
    if !runs::state(db, run)?.is_some_and(is_open) {
        return Ok(Some(0));
    }
    end(db, run, Status::Expired, Some(words), limit, now)
}

fn end(
    db: &Connection,
    run: RunId,
    status: Status,
    words: Option<&str>,
    limit: usize,
    now: DateTime<Utc>,
) -> Result<Option<usize>> {
    let open = [Status::Queued, Status::Deferred];
    let mut moves = Moves::default();
    let mut ended = 0;
    let mut looked = 0;
    for (queue, cursor, zoned) in cursors(db, run)? {
        for id in put_off(db, queue, limit - ended)? {
            let to = status.into();
            ended += usize::from(settle_with(db, id, &open, to, words, now, &mut moves)?);
        }
        let room = limit.saturating_sub(looked + ended);
        let behind = if zoned {
            behind_in_zone(db, queue, cursor, room)?
        } else {
            behind(db, run, cursor, room)?
        };
        for &(id, before, of) in &behind {
            looked += 1;
            if of == Some(queue) && before == Status::Queued.code() {
                let to = status.into();
                ended += usize::from(settle_with(db, id, &open, to, words, now, &mut moves)?);
            }
        }
        if let Some((last, _, _)) = behind.last() {
            db.prepare_cached("UPDATE queue SET cursor = ?2 WHERE id = ?1")?
                .execute([queue, last.0])?;
        }
        if ended >= limit || looked >= limit {
            break;
        }
    }
    moves.apply(db)?;
    if ended > 0 {
        runs::extend(db, run, now)?;
    }
    Ok((ended > 0 || looked == 0).then_some(ended))
}

/// The queues of a run, with their cursors and whether they are those of a zone.
fn cursors(db: &Connection, run: RunId) -> Result<Vec<(i64, Option<i64>, bool)>> {
    let mut cursors =
        db.prepare_cached("SELECT id, cursor, zone <> '' FROM queue WHERE run = ?1 ORDER BY id")?;
    let cursors =
        cursors.query_map([Id(run)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(cursors.collect::<rusqlite::Result<_>>()?)
}

fn put_off(db: &Connection, queue: i64, limit: usize) -> Result<Vec<DeliveryId>> {
    let mut put_off = db.prepare_cached("SELECT id FROM due WHERE queue = ?1 LIMIT ?2")?;
    let ids = put_off.query_map([queue, limit as i64], |row| Ok(row.get::<_, Id<_>>(0)?.0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// The rows behind a cursor with status and queue.
fn behind(
    db: &Connection,
    run: RunId,
    cursor: Option<i64>,
    limit: usize,
) -> Result<Vec<(DeliveryId, i64, Option<i64>)>> {
    let (first, end) = range(run);
    let mut behind = db.prepare_cached(
        "SELECT id, status, queue FROM delivery WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = behind.query_map(
        params![cursor.unwrap_or(first - 1), end, limit as i64],
        |row| Ok((row.get::<_, Id<_>>(0)?.0, row.get(1)?, row.get(2)?)),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The same for the queue of a zone, whose rows have an index.
fn behind_in_zone(
    db: &Connection,
    queue: i64,
    cursor: Option<i64>,
    limit: usize,
) -> Result<Vec<(DeliveryId, i64, Option<i64>)>> {
    let mut behind = db.prepare_cached(
        "SELECT id, status, queue FROM delivery WHERE queue = ?1 AND zoned = 1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = behind.query_map(params![queue, cursor.unwrap_or(0), limit as i64], |row| {
        Ok((row.get::<_, Id<_>>(0)?.0, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
