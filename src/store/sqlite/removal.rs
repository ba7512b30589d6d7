//! Plans on their way out: half plans, and runs that were discarded before their first message. Rows go a step at a time.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    codes::{Id, range},
    counters,
    error::{Result, refused},
    meta,
    plan::check_planning,
    runs,
};
use crate::{
    model::{AddressHash, RunId, RunState},
    store::Lease,
};

/// Up to this many rows each address is looked up by itself; more are found by one pass over all addresses, in their order.
/// Looked up, they would touch nearly every page of the table again and again.
const FEW: u64 = 10_000;
/// How many addresses a pass looks at for each row that a step may change.
const LOOKS: usize = 10;

/// The first step of discarding: from here on the run is a half plan, which a crash leaves to the next start to remove. Refused
/// once a message of it has begun: its occurrence must never be planned again.
pub(super) fn unseal(db: &Connection, lease: Lease, run: RunId) -> Result<()> {
    meta::check(db, lease)?;
    let begun: Option<bool> = db
        .prepare_cached("SELECT begun FROM run WHERE id = ?1")?
        .query_row([Id(run)], |row| row.get(0))
        .optional()?;
    match begun {
        None => Err(runs::missing(run)),
        Some(true) => Err(refused(format!(
            "messages of run {run} have begun, so its plan can't be discarded"
        ))),
        Some(false) => {
            db.prepare_cached("UPDATE run SET state = ?2, epoch = epoch + 1 WHERE id = ?1")?
                .execute(params![Id(run), RunState::Planning.as_str()])?;
            Ok(())
        }
    }
}

/// The first step of planning anew, which is refused once messages of the run may have been claimed.
pub(super) fn unseal_untouched(db: &Connection, lease: Lease, run: RunId) -> Result<()> {
    let touched: Option<bool> = db
        .prepare_cached(
            "SELECT started_at IS NOT NULL OR ended_at IS NOT NULL FROM run WHERE id = ?1",
        )?
        .query_row([Id(run)], |row| row.get(0))
        .optional()?;
    if touched == Some(true) {
        return Err(refused(format!(
            "run {run} was sending, so it can't be planned again"
        )));
    }
    unseal(db, lease, run)
}

/// The rows of a half plan, being removed.
pub(super) struct Removal {
    lease: Lease,
    run: RunId,
    addresses: Addresses,
}

/// How the addresses of the rows are removed.
enum Addresses {
    /// Not decided yet.
    Unknown,
    /// By a pass over all addresses, which has come to this one.
    Pass(Vec<u8>, i64),
    /// Each with its row.
    WithRows,
    /// They are gone.
    Gone,
}

impl Removal {
    pub(super) fn new(lease: Lease, run: RunId) -> Self {
        Self {
            lease,
            run,
            addresses: Addresses::Unknown,
        }
    }

    /// Removes up to `limit` rows with all that belongs to them; `true`: none is left, and the run's counters are gone too.
    pub(super) fn step(&mut self, db: &Connection, limit: usize) -> Result<bool> {
        check_planning(db, self.lease, self.run)?;
        if matches!(self.addresses, Addresses::Unknown) {
            let all = counters::counts(db, self.run)?.all();
            self.addresses = if all > FEW {
                Addresses::Pass(Vec::new(), 0)
            } else {
                Addresses::WithRows
            };
        }
        if let Addresses::Pass(hash, delivery) = &self.addresses {
            self.addresses = self.pass(db, hash, *delivery, limit.saturating_mul(LOOKS))?;
            return Ok(false);
        }
        self.rows(db, limit)
    }

    fn pass(&self, db: &Connection, hash: &[u8], delivery: i64, limit: usize) -> Result<Addresses> {
        let (first, end) = range(self.run);
        let mut next = db.prepare_cached(
            "SELECT hash, delivery FROM address WHERE (hash, delivery) > (?1, ?2) ORDER BY hash, delivery LIMIT ?3",
        )?;
        let page: Vec<(Vec<u8>, i64)> = next
            .query_map(params![hash, delivery, limit as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut remove =
            db.prepare_cached("DELETE FROM address WHERE hash = ?1 AND delivery = ?2")?;
        for (hash, delivery) in &page {
            if (first..end).contains(delivery) {
                remove.execute(params![hash, delivery])?;
            }
        }
        Ok(match page.into_iter().next_back() {
            Some((hash, delivery)) => Addresses::Pass(hash, delivery),
            None => Addresses::Gone,
        })
    }

    fn rows(&self, db: &Connection, limit: usize) -> Result<bool> {
        let (first, end) = range(self.run);
        let mut rows = db.prepare_cached(
            "SELECT id, address_hash FROM delivery WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3",
        )?;
        let rows: Vec<(i64, Option<Id<AddressHash>>)> = rows
            .query_map(params![first, end, limit as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let Some(&(last, _)) = rows.last() else {
            db.prepare_cached("DELETE FROM counter WHERE run = ?1")?
                .execute([Id(self.run)])?;
            return Ok(true);
        };
        if matches!(self.addresses, Addresses::WithRows) {
            let mut remove =
                db.prepare_cached("DELETE FROM address WHERE hash = ?1 AND delivery = ?2")?;
            for (id, hash) in &rows {
                if let Some(hash) = hash {
                    remove.execute(params![hash, id])?;
                }
            }
        }
        for table in ["payload", "due", "delivery"] {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE id >= ?1 AND id <= ?2"))?
                .execute([first, last])?;
        }
        Ok(false)
    }
}

/// Removes a run whose rows are gone.
pub(super) fn remove_run(db: &Connection, run: RunId) -> Result<()> {
    db.prepare_cached("DELETE FROM queue WHERE run = ?1")?
        .execute([Id(run)])?;
    db.prepare_cached("DELETE FROM run WHERE id = ?1")?
        .execute([Id(run)])?;
    Ok(())
}
