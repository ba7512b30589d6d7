//! Plans on their way into the ledger: frozen a step at a time, sealed at the end.

use std::{collections::HashMap, vec};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{
    codes::{At, Code, Id},
    counters::{Moves, Stand},
    error::{Result, refused},
    meta, runs,
};
use crate::{
    model::{AddressHash, Channel, DeliveryId, RunId, RunState, SkipReason, Status},
    store::{Frozen, Lease, QueueId, Seal},
};

/// Only a run that is being planned takes rows.
pub(super) fn check_planning(db: &Connection, lease: Lease, run: RunId) -> Result<()> {
    meta::check(db, lease)?;
    match runs::known_state(db, run)? {
        RunState::Planning => Ok(()),
        state => Err(refused(format!(
            "run {run} is not being planned, it is {state}"
        ))),
    }
}

/// Freezes up to `limit` of the rows that are left.
pub(super) fn freeze(
    db: &Connection,
    lease: Lease,
    run: RunId,
    rows: &mut vec::IntoIter<Frozen>,
    limit: usize,
) -> Result<()> {
    check_planning(db, lease, run)?;
    let opened_at: i64 = db
        .prepare_cached("SELECT opened_at FROM run WHERE id = ?1")?
        .query_row([Id(run)], |row| row.get(0))?;
    let queues = queues(db, run)?;
    let mut delivery = db.prepare_cached(
        "INSERT INTO delivery
             (id, run, recipient_hash, address_hash, channel, twin, queue, status, reason, detail, attempts, at, key, address, zoned)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13, ?14)",
    )?;
    let mut payload = db.prepare_cached("INSERT INTO payload (id, bytes) VALUES (?1, ?2)")?;
    let mut moves = Moves::default();
    for row in rows.by_ref().take(limit) {
        let id = DeliveryId::new(run, row.sequence);
        let (queue, stand, detail) = match &row.skip {
            Some((reason, detail)) => (None, Stand::from(*reason), detail.as_deref()),
            None => (
                Some(queue_of(&queues, &row, run)?),
                Status::Queued.into(),
                None,
            ),
        };
        delivery.execute(params![
            Id(id),
            Id(run),
            Id(row.recipient),
            row.address_hash.map(Id),
            Code(row.channel),
            twin(&row),
            queue.map(|queue| queue.0),
            Code(stand.status),
            stand.reason.map(Code),
            detail.map(bounded),
            opened_at,
            row.key,
            row.address,
            (queue.is_some() && row.zone.is_some()).then_some(1)
        ])?;
        if queue.is_some() {
            payload.execute(params![Id(id), row.payload])?;
        }
        moves.add(run, row.channel, stand);
    }
    moves.apply(db)
}

/// The queues of a run by channel, then by zone: `""` where it does not go by zones.
type Queues = HashMap<Channel, HashMap<String, QueueId>>;

fn queues(db: &Connection, run: RunId) -> Result<Queues> {
    let mut rows = db.prepare_cached("SELECT channel, zone, id FROM queue WHERE run = ?1")?;
    let mut rows = rows.query([Id(run)])?;
    let mut queues = Queues::new();
    while let Some(row) = rows.next()? {
        let channel = row.get::<_, Code<Channel>>(0)?.0;
        let zones = queues.entry(channel).or_default();
        zones.insert(row.get(1)?, QueueId(row.get(2)?));
    }
    Ok(queues)
}

/// What is queued must have a way to go and a place to go to.
fn queue_of(queues: &Queues, row: &Frozen, run: RunId) -> Result<QueueId> {
    if row.address_hash.is_none() {
        return Err(refused(format!(
            "delivery {run}-{} has no address",
            row.sequence
        )));
    }
    let zone = row.zone.as_deref().unwrap_or_default();
    let queue = queues.get(&row.channel).and_then(|zones| zones.get(zone));
    queue.copied().ok_or_else(|| {
        refused(format!(
            "run {run} was opened without a transport for {}",
            row.channel
        ))
    })
}

/// A second row with the same key and an unreadable row share their recipient with another row; they are never sent.
fn twin(row: &Frozen) -> i64 {
    match row.skip {
        Some((SkipReason::DuplicateKey | SkipReason::InvalidRow, _)) => i64::from(row.sequence) + 1,
        _ => 0,
    }
}

/// Words from outside (a server's, a script's), cut to a length that reports can bear.
pub(super) fn bounded(words: &str) -> &str {
    const LONGEST: usize = 1_000;
    &words[..words.floor_char_boundary(LONGEST)]
}

/// Adds up to `limit` of the addresses that are left.
pub(super) fn freeze_addresses(
    db: &Connection,
    lease: Lease,
    run: RunId,
    rows: &mut vec::IntoIter<(AddressHash, u32)>,
    limit: usize,
) -> Result<()> {
    check_planning(db, lease, run)?;
    let mut address = db.prepare_cached(
        "INSERT INTO address (hash, delivery) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    )?;
    for (hash, sequence) in rows.by_ref().take(limit) {
        address.execute(params![Id(hash), Id(DeliveryId::new(run, sequence))])?;
    }
    Ok(())
}

/// Ends planning. Where the rows are to be dropped they have been removed before, by [`Removal`](super::removal::Removal).
pub(super) fn seal(
    db: &Connection,
    lease: Lease,
    run: RunId,
    seal: &Seal,
    now: DateTime<Utc>,
) -> Result<()> {
    check_planning(db, lease, run)?;
    db.prepare_cached(
        "UPDATE run SET content_digest = ?2, plan_digest = ?3, total = ?4, matched = ?5, to_send = ?6, state = ?7,
             reason = ?8, sealed_at = ?9, over_limit = ?10, epoch = epoch + 1 WHERE id = ?1",
    )?
    .execute(params![
        Id(run),
        seal.content_digest,
        seal.plan_digest,
        seal.totals.total as i64,
        seal.totals.matched as i64,
        seal.totals.to_send as i64,
        seal.state.as_str(),
        seal.reason,
        At(now),
        seal.limit
    ])?;
    runs::note_times(db, run, seal.state, now)
}
