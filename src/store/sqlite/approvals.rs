//! Who let which run go, and what exactly.

use rusqlite::{Connection, params};

use super::{
    codes::{At, Id},
    error::Result,
    meta,
};
use crate::{
    model::{Approval, RunId},
    store::Lease,
};

pub(super) fn add(db: &Connection, lease: Lease, approval: &Approval) -> Result<()> {
    meta::check(db, lease)?;
    db.prepare_cached(
        "INSERT INTO approval (run, content_digest, plan_digest, who, at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        Id(approval.run),
        approval.content_digest,
        approval.plan_digest,
        approval.who,
        At(approval.at)
    ])?;
    Ok(())
}

/// The latest first.
pub(super) fn of(db: &Connection, run: RunId) -> Result<Vec<Approval>> {
    let mut all = db.prepare_cached(
        "SELECT content_digest, plan_digest, who, at FROM approval WHERE run = ?1 ORDER BY id DESC",
    )?;
    let approvals = all.query_map([Id(run)], |row| {
        Ok(Approval {
            run,
            content_digest: row.get(0)?,
            plan_digest: row.get(1)?,
            who: row.get(2)?,
            at: row.get::<_, At>(3)?.0,
        })
    })?;
    Ok(approvals.collect::<rusqlite::Result<_>>()?)
}
