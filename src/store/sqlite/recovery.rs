//! Taking over: what an earlier holder left behind becomes what it is.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{
    codes::{At, Code, Id, Named, Text},
    counters::Moves,
    error::Result,
    meta, runs,
};
use crate::{
    model::{Channel, DeliveryId, RunId, RunState, Status},
    store::TakenOver,
};

/// What a delivery says whose attempt was cut short.
const CUT_SHORT: &str = "the process ended before the server's answer was seen";

/// Raises the epoch and turns intents into doubt. Gives the half plans too: they are yet to be removed. The heartbeat stays as it is
/// until the new holder's first, so that a start that is cut short leaves everything to be found again.
pub(super) fn take_over(db: &Connection, now: DateTime<Utc>) -> Result<(TakenOver, Vec<RunId>)> {
    let (lease, last_heartbeat) = meta::raise(db)?;
    let mut taken = TakenOver {
        lease,
        last_heartbeat,
        in_doubt: std::collections::BTreeMap::new(),
        discarded: Vec::new(),
    };
    let mut moves = Moves::default();
    let mut doubt = db.prepare_cached(
        "UPDATE delivery SET status = ?2, reason = NULL, detail = ?3, at = ?4 WHERE id = ?1",
    )?;
    for (id, channel) in in_flight(db)? {
        doubt.execute(params![Id(id), Code(Status::InDoubt), CUT_SHORT, At(now)])?;
        moves.shift(
            id.run(),
            channel,
            Status::Sending.into(),
            Status::InDoubt.into(),
        );
        *taken.in_doubt.entry(id.run()).or_default() += 1;
    }
    for run in taken.in_doubt.keys() {
        runs::extend(db, *run, now)?;
    }
    db.prepare_cached("DELETE FROM intent")?.execute([])?;
    moves.apply(db)?;

    let mut half = Vec::new();
    let mut planning =
        db.prepare_cached("SELECT id, campaign, occurrence FROM run WHERE state = ?1 ORDER BY id")?;
    let mut rows = planning.query([RunState::Planning.as_str()])?;
    while let Some(row) = rows.next()? {
        half.push(row.get::<_, Id<RunId>>(0)?.0);
        taken
            .discarded
            .push((row.get::<_, Text<_>>(1)?.0, row.get::<_, Named>(2)?.0));
    }
    Ok((taken, half))
}

fn in_flight(db: &Connection) -> Result<Vec<(DeliveryId, Channel)>> {
    let mut in_flight = db.prepare_cached(
        "SELECT d.id, d.channel FROM intent JOIN delivery d ON d.id = intent.id WHERE d.status = ?1 ORDER BY d.id",
    )?;
    let rows = in_flight.query_map([Code(Status::Sending)], |row| {
        Ok((row.get::<_, Id<_>>(0)?.0, row.get::<_, Code<_>>(1)?.0))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
