//! What the messages that were sent were made of, for as long as they can be read in a browser. Only runs whose messages link
//! to that are kept; of all others nothing is left once they are sent.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    codes::{At, Id},
    error::Result,
    meta,
};
use crate::{
    model::{DeliveryId, RunId},
    store::{KeptMessage, Lease},
};

/// Notes that what the messages of a run are made of is to be kept.
pub(super) fn keep_run(db: &Connection, lease: Lease, run: RunId) -> Result<()> {
    meta::check(db, lease)?;
    db.prepare_cached("INSERT INTO view_run (run) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([Id(run)])?;
    Ok(())
}

/// What keeps the payload of a delivery: its number, the moment.
pub(super) const KEEP: &str =
    "INSERT INTO view (id, at, bytes) SELECT id, ?2, bytes FROM payload WHERE id = ?1
    ON CONFLICT DO NOTHING";

/// What a message was, or will be, made of.
pub(super) fn message(db: &Connection, id: DeliveryId) -> Result<Option<KeptMessage>> {
    let mut message = db.prepare_cached(
        "SELECT coalesce(view.bytes, payload.bytes), run.layout
         FROM delivery d JOIN view_run ON view_run.run = d.run JOIN run ON run.id = d.run
             LEFT JOIN view ON view.id = d.id LEFT JOIN payload ON payload.id = d.id
         WHERE d.id = ?1 AND (view.id IS NOT NULL OR payload.id IS NOT NULL)",
    )?;
    let message = message.query_row([Id(id)], |row| {
        Ok(KeptMessage {
            payload: row.get(0)?,
            layout: row.get(1)?,
        })
    });
    Ok(message.optional()?)
}

/// Drops up to `limit` that were sent before a moment; gives how many there were.
pub(super) fn drop_before(db: &Connection, before: DateTime<Utc>, limit: usize) -> Result<u64> {
    let dropped = db
        .prepare_cached(
            "DELETE FROM view WHERE id IN (SELECT id FROM view WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![At(before), limit as i64])?;
    Ok(dropped as u64)
}
