//! What belongs to the store as a whole: the lease, settings, rate buckets, pinned bundles.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{codes::At, error::Result};
use crate::store::{Lease, StoreError};

/// Refuses who is not the holder any more. Asked within each transaction that a lease is given to.
pub(super) fn check(db: &Connection, lease: Lease) -> Result<()> {
    let epoch: i64 = db
        .prepare_cached("SELECT lease_epoch FROM meta")?
        .query_row([], |row| row.get(0))?;
    if epoch == lease.epoch {
        Ok(())
    } else {
        Err(StoreError::LeaseLost.into())
    }
}

/// Raises the epoch; gives the new lease and when the last holder was last alive.
pub(super) fn raise(db: &Connection) -> Result<(Lease, Option<DateTime<Utc>>)> {
    let mut raise = db.prepare_cached(
        "UPDATE meta SET lease_epoch = lease_epoch + 1 RETURNING lease_epoch, heartbeat",
    )?;
    let raised = raise.query_row([], |row| {
        let lease = Lease { epoch: row.get(0)? };
        Ok((lease, row.get::<_, Option<At>>(1)?.map(|at| at.0)))
    })?;
    Ok(raised)
}

pub(super) fn heartbeat(db: &Connection, lease: Lease, now: DateTime<Utc>) -> Result<()> {
    check(db, lease)?;
    db.prepare_cached("UPDATE meta SET heartbeat = ?1")?
        .execute([At(now)])?;
    Ok(())
}

pub(super) fn setting(db: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    Ok(db
        .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_setting(db: &Connection, name: &str, value: &[u8]) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![name, value])?;
    Ok(())
}

pub(super) fn keep_bundle(db: &Connection, hash: &str, bytes: &[u8]) -> Result<()> {
    db.prepare_cached("INSERT INTO bundle (hash, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![hash, bytes])?;
    Ok(())
}

pub(super) fn bundle(db: &Connection, hash: &str) -> Result<Option<Vec<u8>>> {
    Ok(db
        .prepare_cached("SELECT bytes FROM bundle WHERE hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_rates(db: &Connection, rates: &[(String, DateTime<Utc>)]) -> Result<()> {
    let mut set = db.prepare_cached(
        "INSERT INTO rate (bucket, tat) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET tat = excluded.tat",
    )?;
    for (bucket, tat) in rates {
        set.execute(params![bucket, At(*tat)])?;
    }
    Ok(())
}

pub(super) fn rates(db: &Connection) -> Result<BTreeMap<String, DateTime<Utc>>> {
    let mut all = db.prepare_cached("SELECT bucket, tat FROM rate")?;
    let rates = all.query_map([], |row| Ok((row.get(0)?, row.get::<_, At>(1)?.0)))?;
    Ok(rates.collect::<rusqlite::Result<_>>()?)
}
