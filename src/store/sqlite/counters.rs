//! Counters of deliveries by run, channel, status and skip reason. They move in the transaction that moves the deliveries, so
//! that nobody ever counts rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{
    codes::{Code, Coded, Id},
    error::Result,
};
use crate::model::{Channel, Count, Counts, RunId, SkipReason, Status};

/// Where a delivery stands, as counters see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stand {
    pub(super) status: Status,
    pub(super) reason: Option<SkipReason>,
}

impl From<Status> for Stand {
    fn from(status: Status) -> Self {
        Self {
            status,
            reason: None,
        }
    }
}

impl From<SkipReason> for Stand {
    fn from(reason: SkipReason) -> Self {
        Self {
            status: Status::Skipped,
            reason: Some(reason),
        }
    }
}

/// The moves of one transaction, summed up.
#[derive(Default)]
pub(super) struct Moves(BTreeMap<(RunId, Channel, Stand), i64>);

impl Moves {
    pub(super) fn add(&mut self, run: RunId, channel: Channel, stand: Stand) {
        *self.0.entry((run, channel, stand)).or_default() += 1;
    }

    pub(super) fn shift(&mut self, run: RunId, channel: Channel, from: Stand, to: Stand) {
        *self.0.entry((run, channel, from)).or_default() -= 1;
        self.add(run, channel, to);
    }

    /// Writes the sums.
    pub(super) fn apply(self, db: &Connection) -> Result<()> {
        let mut count = db.prepare_cached(
            "INSERT INTO counter (run, channel, status, reason, n) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET n = n + excluded.n",
        )?;
        for ((run, channel, stand), n) in self.0 {
            if n != 0 {
                let reason = stand.reason.map_or(NO_REASON, Coded::code);
                count.execute(params![
                    Id(run),
                    Code(channel),
                    Code(stand.status),
                    reason,
                    n
                ])?;
            }
        }
        Ok(())
    }
}

/// No skip reason has this number.
const NO_REASON: i64 = 0;

pub(super) fn counts(db: &Connection, run: RunId) -> Result<Counts> {
    let mut counters = db.prepare_cached(
        "SELECT channel, status, nullif(reason, 0), n FROM counter WHERE run = ?1 AND n > 0
         ORDER BY channel, status, reason",
    )?;
    let counts = counters.query_map([Id(run)], |row| {
        let reason: Option<Code<SkipReason>> = row.get(2)?;
        Ok(Count {
            channel: row.get::<_, Code<_>>(0)?.0,
            status: row.get::<_, Code<_>>(1)?.0,
            reason: reason.map(|reason| reason.0.as_str().to_owned()),
            n: row.get::<_, i64>(3)? as u64,
        })
    })?;
    Ok(Counts(counts.collect::<rusqlite::Result<_>>()?))
}

pub(super) fn counts_of(db: &Connection, runs: &[RunId]) -> Result<BTreeMap<RunId, Counts>> {
    runs.iter()
        .map(|&run| Ok((run, counts(db, run)?)))
        .collect()
}
