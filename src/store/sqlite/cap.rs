//! How many messages somebody had: for the cap over all marketing campaigns, and for cooldowns while runs are sent side by side.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{
    codes::{At, Id, list, range},
    error::Result,
    questions::HAD,
};
use crate::{
    model::{AddressHash, Purpose, RecipientHash, RunId},
    store::Cap,
};

/// A cap, and the first delivery that may count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) cap: Cap,
    pub(super) first: i64,
}

/// The deliveries that may count: none of a run that was over before `since`.
pub(super) fn first_since(db: &Connection, since: DateTime<Utc>) -> Result<i64> {
    // In two parts, each from the index: in one it would be a look at every run there ever was.
    let first: Option<Id<RunId>> = db
        .prepare_cached(
            "SELECT min(first) FROM (
                 SELECT min(id) AS first FROM run INDEXED BY run_by_end WHERE ended_at IS NULL
                 UNION ALL SELECT min(id) FROM run INDEXED BY run_by_end WHERE ended_at > ?1)",
        )?
        .query_row([At(since)], |row| row.get(0))?;
    Ok(first.map_or(i64::MAX, |run| range(run.0).0))
}

/// How many an address had after a moment, from the delivery `first` on.
pub(super) fn by_address(
    db: &Connection,
    address: AddressHash,
    since: DateTime<Utc>,
    first: i64,
) -> Result<u64> {
    let mut count = db.prepare_cached(&format!(
        "SELECT count(*) FROM address a CROSS JOIN delivery d ON d.id = a.delivery CROSS JOIN run ON run.id = d.run
         WHERE a.hash = ?1 AND a.delivery >= ?2 AND d.status IN ({}) AND d.at > ?3 AND run.purpose = ?4",
        list(HAD)
    ))?;
    let values = params![Id(address), first, At(since), Purpose::Marketing.as_str()];
    Ok(count.query_row(values, |row| row.get::<_, i64>(0))? as u64)
}

/// The same for several, in one look.
pub(super) fn by_addresses(
    db: &Connection,
    addresses: &[AddressHash],
    since: DateTime<Utc>,
) -> Result<Vec<u64>> {
    let first = first_since(db, since)?;
    addresses
        .iter()
        .map(|address| by_address(db, *address, since, first))
        .collect()
}

/// The marketing runs that were at work after a moment, but for one.
pub(super) fn at_work(db: &Connection, but: RunId, since: DateTime<Utc>) -> Result<Vec<RunId>> {
    let mut runs = db.prepare_cached(
        "SELECT id FROM run WHERE (ended_at IS NULL OR ended_at > ?1) AND begun AND purpose = ?2 AND id <> ?3",
    )?;
    let values = params![At(since), Purpose::Marketing.as_str(), Id(but)];
    let runs = runs.query_map(values, |row| Ok(row.get::<_, Id<_>>(0)?.0))?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// The other runs of a run's campaign, and of its cooldown group, that were at work after a moment.
pub(super) fn siblings_at_work(
    db: &Connection,
    run: RunId,
    since: DateTime<Utc>,
) -> Result<Vec<RunId>> {
    let mut runs = db.prepare_cached(
        "SELECT other.id FROM run AS own CROSS JOIN run AS other
         WHERE own.id = ?1 AND (other.ended_at IS NULL OR other.ended_at > ?2) AND other.begun AND other.id <> own.id
             AND (other.campaign = own.campaign OR other.cooldown_group = own.cooldown_group)",
    )?;
    let runs = runs.query_map(params![Id(run), At(since)], |row| {
        Ok(row.get::<_, Id<_>>(0)?.0)
    })?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// How many a recipient had of some runs after a moment.
pub(super) fn by_recipient(
    db: &Connection,
    recipient: RecipientHash,
    runs: &[RunId],
    since: DateTime<Utc>,
) -> Result<u64> {
    if runs.is_empty() {
        return Ok(0);
    }
    let mut count = db.prepare_cached(&format!(
        "SELECT count(*) FROM delivery INDEXED BY delivery_once
         WHERE run = ?1 AND recipient_hash = ?2 AND status IN ({}) AND at > ?3",
        list(HAD)
    ))?;
    let mut sum = 0;
    for run in runs {
        let n: i64 = count.query_row(params![Id(*run), Id(recipient), At(since)], |row| {
            row.get(0)
        })?;
        sum += n as u64;
    }
    Ok(sum)
}
