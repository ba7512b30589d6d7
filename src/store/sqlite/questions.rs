//! Questions about deliveries: reports, and who had what when. All of them page by key.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    codes::{At, Code, Coded, Id, list, range},
    error::Result,
};
use crate::{
    model::{CampaignId, Channel, Delivery, DeliveryId, RecipientHash, RunId, SkipReason, Status},
    store::DeliveryFilter,
};

const COLUMNS: &str =
    "id, run, key, channel, address, status, reason, detail, at, message_id, attempts";

/// Whoever stands so has had the message, or may have.
pub(super) const HAD: &[Status] = &[
    Status::Sending,
    Status::InDoubt,
    Status::Sent,
    Status::Delivered,
    Status::Bounced,
    Status::Complained,
];

/// Run by run where none is named: the counters tell which runs have such deliveries at all, so that the failed ones of today
/// are found without a look at the millions that were sent.
pub(super) fn deliveries(db: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let mut found = Vec::new();
    if let Some(run) = filter.run {
        of_run(db, run, filter, &mut found)?;
        return Ok(found);
    }
    let mut from = filter.after.map_or(0, |after| i64::from(after.run().0));
    while found.len() < filter.limit
        && let Some(run) = next_run(db, from, filter)?
    {
        of_run(db, run, filter, &mut found)?;
        from = i64::from(run.0) + 1;
    }
    Ok(found)
}

/// The first run from a number on whose counters have what is asked for.
fn next_run(db: &Connection, from: i64, filter: &DeliveryFilter) -> Result<Option<RunId>> {
    let sql = format!(
        "SELECT run FROM counter WHERE run >= ?1 AND n > 0{} ORDER BY run LIMIT 1",
        conditions(filter)
    );
    Ok(db
        .prepare_cached(&sql)?
        .query_row([from], |row| Ok(row.get::<_, Id<_>>(0)?.0))
        .optional()?)
}

/// What deliveries and counters both have.
fn conditions(filter: &DeliveryFilter) -> String {
    let status = match &filter.statuses[..] {
        [] => String::new(),
        statuses => format!(" AND status IN ({})", list(statuses)),
    };
    let channel = filter.channel.map_or_else(String::new, |channel| {
        format!(" AND channel = {}", channel.code())
    });
    status + channel.as_str()
}

fn of_run(
    db: &Connection,
    run: RunId,
    filter: &DeliveryFilter,
    found: &mut Vec<Delivery>,
) -> Result<()> {
    let (first, end) = range(run);
    let mut sql = format!(
        "SELECT {COLUMNS} FROM delivery WHERE id > ? AND id < ?{}",
        conditions(filter)
    );
    let after = filter
        .after
        .map_or(first - 1, |after| after.0.max(first - 1));
    let mut values: Vec<Value> = vec![after.into(), end.into()];
    if let Some(since) = filter.since {
        sql += " AND at >= ?";
        values.push(since.timestamp_micros().into());
    }
    if let Some(key) = &filter.key {
        sql += " AND key = ?";
        values.push(key.clone().into());
    }
    sql += " ORDER BY id LIMIT ?";
    values.push(((filter.limit - found.len()) as i64).into());
    let mut statement = db.prepare_cached(&sql)?;
    for delivery in statement.query_map(params_from_iter(values), record)? {
        found.push(delivery?);
    }
    Ok(())
}

pub(super) fn one(db: &Connection, id: DeliveryId) -> Result<Option<Delivery>> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM delivery WHERE id = ?1"))?
        .query_row([Id(id)], record)
        .optional()?)
}

/// From the index that makes deliveries unique: it has them by recipient.
pub(super) fn had(
    db: &Connection,
    run: RunId,
    after: Option<RecipientHash>,
    limit: usize,
) -> Result<Vec<RecipientHash>> {
    let mut had = db.prepare_cached(&format!(
        "SELECT DISTINCT recipient_hash FROM delivery INDEXED BY delivery_once
         WHERE run = ?1 AND recipient_hash > ?2 AND status IN ({}) ORDER BY recipient_hash LIMIT ?3",
        list(HAD)
    ))?;
    // Every hash is greater than the empty one.
    let after = after.as_ref().map_or(&[][..], |hash| &hash.0[..]);
    let hashes = had.query_map(params![Id(run), after, limit as i64], |row| {
        Ok(row.get::<_, Id<_>>(0)?.0)
    })?;
    Ok(hashes.collect::<rusqlite::Result<_>>()?)
}

/// The same, with how many deliveries each recipient had after a moment.
pub(super) fn had_since(
    db: &Connection,
    run: RunId,
    since: DateTime<Utc>,
    after: Option<RecipientHash>,
    limit: usize,
) -> Result<Vec<(RecipientHash, u64)>> {
    let mut had = db.prepare_cached(&format!(
        "SELECT recipient_hash, count(*) FROM delivery INDEXED BY delivery_once
         WHERE run = ?1 AND recipient_hash > ?2 AND status IN ({}) AND at > ?3
         GROUP BY recipient_hash ORDER BY recipient_hash LIMIT ?4",
        list(HAD)
    ))?;
    let after = after.as_ref().map_or(&[][..], |hash| &hash.0[..]);
    let hashes = had.query_map(params![Id(run), after, At(since), limit as i64], |row| {
        Ok((row.get::<_, Id<_>>(0)?.0, row.get::<_, i64>(1)? as u64))
    })?;
    Ok(hashes.collect::<rusqlite::Result<_>>()?)
}

/// A probe for each run of the campaigns, newest first, as long as a run can still say something later than what was found.
pub(super) fn last_had(
    db: &Connection,
    recipient: RecipientHash,
    campaigns: &[CampaignId],
) -> Result<Option<DateTime<Utc>>> {
    let mut runs = db.prepare_cached(
        "SELECT id, ended_at FROM run WHERE campaign = ?1 AND begun ORDER BY id DESC",
    )?;
    let mut probe = db.prepare_cached(&format!(
        "SELECT max(at) FROM delivery INDEXED BY delivery_once
         WHERE run = ?1 AND recipient_hash = ?2 AND status IN ({})",
        list(HAD)
    ))?;
    let mut last: Option<i64> = None;
    for campaign in campaigns {
        let mut rows = runs.query([campaign.as_str()])?;
        while let Some(row) = rows.next()? {
            let (run, ended_at): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            if ended_at.is_some_and(|ended_at| Some(ended_at) <= last) {
                continue;
            }
            let at = probe.query_row(params![run, Id(recipient)], |row| row.get(0))?;
            last = last.max(at);
        }
    }
    Ok(last.and_then(DateTime::from_timestamp_micros))
}

pub(super) fn had_count(
    db: &Connection,
    recipient: RecipientHash,
    campaign: &CampaignId,
    since: DateTime<Utc>,
) -> Result<u64> {
    let mut count = db.prepare_cached(&format!(
        "SELECT count(*) FROM run CROSS JOIN delivery d INDEXED BY delivery_once
             ON d.run = run.id AND d.recipient_hash = ?2
         WHERE run.campaign = ?1 AND run.begun AND (run.ended_at IS NULL OR run.ended_at >= ?3)
             AND d.at >= ?3 AND d.status IN ({})",
        list(HAD)
    ))?;
    let count: i64 = count.query_row(
        params![campaign.as_str(), Id(recipient), At(since)],
        |row| row.get(0),
    )?;
    Ok(count as u64)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let reason: Option<Code<SkipReason>> = row.get(6)?;
    let detail: Option<String> = row.get(7)?;
    Ok(Delivery {
        id: row.get::<_, Id<_>>(0)?.0,
        run: row.get::<_, Id<RunId>>(1)?.0,
        key: row.get(2)?,
        channel: row.get::<_, Code<Channel>>(3)?.0,
        address: row.get(4)?,
        status: row.get::<_, Code<_>>(5)?.0,
        reason: match (reason, detail) {
            (Some(reason), Some(detail)) => Some(format!("{}: {detail}", reason.0)),
            (Some(reason), None) => Some(reason.0.to_string()),
            (None, detail) => detail,
        },
        at: row.get::<_, At>(8)?.0,
        message_id: row.get(9)?,
        attempts: row.get(10)?,
    })
}
