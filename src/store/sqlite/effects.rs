//! What follows a delivery that was sent: rows that are made with its outcome and end when they have held.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{
    codes::{At, Code, Coded, Id, Named, Text},
    error::Result,
    meta,
    plan::bounded,
};
use crate::{
    model::{DeliveryId, EffectCounts, EffectKind, RunId},
    store::{Effect, Lease, Settled, Settlement},
};

/// It waits for its time.
const WAITING: i64 = 0;
/// It was given up.
const FAILED: i64 = 1;

/// The kinds as one number, for a run.
pub(super) fn bits(kinds: &[EffectKind]) -> i64 {
    kinds.iter().fold(0, |bits, kind| bits | (1 << kind.code()))
}

/// Notes what is to follow a delivery that was sent now. Gives how many that are.
pub(super) fn add(db: &Connection, id: DeliveryId, bits: i64, now: DateTime<Utc>) -> Result<i64> {
    let mut insert = db.prepare_cached(
        "INSERT INTO effect (id, kind, run, state, due, at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT DO NOTHING",
    )?;
    let mut added = 0;
    for kind in EffectKind::ALL {
        if bits & (1 << kind.code()) != 0 {
            let row = params![Id(id), Code(kind), Id(id.run()), WAITING, At(now)];
            added += insert.execute(row)? as i64;
        }
    }
    Ok(added)
}

/// Moves a run's sums.
pub(super) fn count(db: &Connection, run: RunId, waiting: i64, failed: i64) -> Result<()> {
    if waiting != 0 || failed != 0 {
        db.prepare_cached(
            "UPDATE run SET effects_waiting = effects_waiting + ?2, effects_failed = effects_failed + ?3 WHERE id = ?1",
        )?
        .execute(params![Id(run), waiting, failed])?;
    }
    Ok(())
}

/// Runs that have effects which wait.
pub(super) fn runs(db: &Connection) -> Result<Vec<RunId>> {
    let mut runs = db.prepare_cached("SELECT id FROM run WHERE effects_waiting > 0 ORDER BY id")?;
    let runs = runs.query_map([], |row| Ok(row.get::<_, Id<RunId>>(0)?.0))?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn due(
    db: &Connection,
    run: RunId,
    kind: EffectKind,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Effect>> {
    let mut due = db.prepare_cached(
        "SELECT e.id, e.kind, e.tries, e.at, d.channel, d.key, d.address, d.message_id, r.campaign, r.occurrence
         FROM effect e CROSS JOIN delivery d ON d.id = e.id CROSS JOIN run r ON r.id = e.run
         WHERE e.run = ?1 AND e.kind = ?5 AND e.state = ?2 AND e.due <= ?3 ORDER BY e.due, e.id LIMIT ?4",
    )?;
    let wanted = params![Id(run), WAITING, At(now), limit as i64, Code(kind)];
    let due = due.query_map(wanted, |row| {
        Ok(Effect {
            delivery: row.get::<_, Id<_>>(0)?.0,
            kind: row.get::<_, Code<_>>(1)?.0,
            tries: row.get(2)?,
            at: row.get::<_, At>(3)?.0,
            channel: row.get::<_, Code<_>>(4)?.0,
            key: row.get(5)?,
            address: row.get(6)?,
            message_id: row.get(7)?,
            campaign: row.get::<_, Text<_>>(8)?.0,
            occurrence: row.get::<_, Named>(9)?.0,
        })
    })?;
    Ok(due.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn settle(db: &Connection, lease: Lease, settled: &[Settled]) -> Result<()> {
    meta::check(db, lease)?;
    let mut done =
        db.prepare_cached("DELETE FROM effect WHERE id = ?1 AND kind = ?2 AND state = ?3")?;
    let mut again = db.prepare_cached(
        "UPDATE effect SET due = ?4, tries = tries + 1, detail = ?5 WHERE id = ?1 AND kind = ?2 AND state = ?3",
    )?;
    let mut give_up = db.prepare_cached(
        "UPDATE effect SET state = ?4, tries = tries + 1, detail = ?5 WHERE id = ?1 AND kind = ?2 AND state = ?3",
    )?;
    let mut moved: BTreeMap<RunId, (i64, i64)> = BTreeMap::new();
    for Settled {
        delivery,
        kind,
        outcome,
    } in settled
    {
        let (id, kind) = (Id(*delivery), Code(*kind));
        let sums = moved.entry(delivery.run()).or_default();
        match outcome {
            Settlement::Held => sums.0 -= done.execute(params![id, kind, WAITING])? as i64,
            Settlement::Again { at, words } => {
                again.execute(params![id, kind, WAITING, At(*at), bounded(words)])?;
            }
            Settlement::GivenUp { words } => {
                let n = give_up.execute(params![id, kind, WAITING, FAILED, bounded(words)])? as i64;
                *sums = (sums.0 - n, sums.1 + n);
            }
        }
    }
    for (run, (waiting, failed)) in moved {
        count(db, run, waiting, failed)?;
    }
    Ok(())
}

pub(super) fn counts(db: &Connection, runs: &[RunId]) -> Result<BTreeMap<RunId, EffectCounts>> {
    let mut sums =
        db.prepare_cached("SELECT effects_waiting, effects_failed FROM run WHERE id = ?1")?;
    // What was put off last is due last.
    let mut last = db.prepare_cached(
        "SELECT detail FROM effect WHERE run = ?1 AND state = ?2 ORDER BY due DESC LIMIT 1",
    )?;
    let mut counts = BTreeMap::new();
    for run in runs {
        let mut found = sums.query_map([Id(*run)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let Some((waiting, failed)) = found.next().transpose()? else {
            continue;
        };
        if (waiting, failed) == (0, 0) {
            continue;
        }
        let state = if waiting > 0 { WAITING } else { FAILED };
        let words = last.query_map(params![Id(*run), state], |row| row.get(0))?;
        let words: Vec<Option<String>> = words.collect::<rusqlite::Result<_>>()?;
        counts.insert(
            *run,
            EffectCounts {
                waiting: waiting.max(0) as u64,
                failed: failed.max(0) as u64,
                words: words.into_iter().next().flatten(),
            },
        );
    }
    Ok(counts)
}
