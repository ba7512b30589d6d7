//! Runs: opened once for each campaign and occurrence, moved from state to state.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter, types::Value};

use super::{
    codes::{At, Code, Id, Named, Text},
    counters, effects,
    error::{Error, Result, refused},
    guards, meta,
};
use crate::{
    model::{CampaignId, OccurrenceName, Purpose, Run, RunId, RunState, Totals},
    store::{Lease, NewRun, Opened, RunChange, RunFilter},
};

const COLUMNS: &str = "id, campaign, occurrence, due, state, reason, topic, purpose, bundle, content_digest, plan_digest, \
    opened_at, sealed_at, started_at, ended_at, released, total, matched, to_send, over_limit, \
    asked, begun, expires_at, goes_on_at, unsubscribed";

pub(super) fn open(
    db: &Connection,
    lease: Lease,
    new: &NewRun,
    now: DateTime<Utc>,
) -> Result<Opened> {
    meta::check(db, lease)?;
    if let Some(run) = of(db, &new.campaign, &new.occurrence.name)? {
        return Ok(Opened::Exists(run));
    }
    let run = db
        .prepare_cached(&format!(
            "INSERT INTO run (campaign, occurrence, due, state, topic, purpose, bundle, layout, opened_at, asked, expires_at,
                 rollout, stop_if, cooldown_group, waits, effects)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING {COLUMNS}"
        ))?
        .query_row(
            params![
                new.campaign.as_str(),
                new.occurrence.name.as_str(),
                At(new.occurrence.due),
                RunState::Planning.as_str(),
                new.topic.as_str(),
                new.purpose.as_str(),
                new.bundle,
                new.layout,
                At(now),
                new.asked,
                new.expires_at.map(At),
                new.rollout.as_ref().map(guards::to_text).transpose()?,
                new.stop_if.as_ref().map(guards::to_text).transpose()?,
                new.cooldown_group.as_deref(),
                new.waits,
                effects::bits(&new.effects)
            ],
            record,
        )?;
    open_queues(db, run.id, new)?;
    Ok(Opened::New(run))
}

fn open_queues(db: &Connection, run: RunId, new: &NewRun) -> Result<()> {
    let mut queue =
        db.prepare_cached("INSERT INTO queue (run, channel, transport) VALUES (?1, ?2, ?3)")?;
    for (channel, transport) in &new.queues {
        queue.execute(params![Id(run), Code(*channel), transport.as_str()])?;
    }
    Ok(())
}

/// What a run whose rows are gone is planned for anew.
pub(super) fn renew(db: &Connection, run: RunId, new: &NewRun) -> Result<Run> {
    db.prepare_cached("DELETE FROM queue WHERE run = ?1")?
        .execute([Id(run)])?;
    let renewed = db
        .prepare_cached(&format!(
            "UPDATE run SET due = ?2, topic = ?3, purpose = ?4, bundle = ?5, layout = ?6, reason = NULL, released = 0,
                 over_limit = NULL, content_digest = NULL, plan_digest = NULL, sealed_at = NULL, expires_at = ?7,
                 rollout = ?8, stop_if = ?9, cooldown_group = ?10, waits = ?11, goes_on_at = NULL, toll_base = NULL,
                 effects = ?12
             WHERE id = ?1 RETURNING {COLUMNS}"
        ))?
        .query_row(
            params![
                Id(run),
                At(new.occurrence.due),
                new.topic.as_str(),
                new.purpose.as_str(),
                new.bundle,
                new.layout,
                new.expires_at.map(At),
                new.rollout.as_ref().map(guards::to_text).transpose()?,
                new.stop_if.as_ref().map(guards::to_text).transpose()?,
                new.cooldown_group.as_deref(),
                new.waits,
                effects::bits(&new.effects)
            ],
            record,
        )?;
    open_queues(db, run, new)?;
    Ok(renewed)
}

pub(super) fn one(db: &Connection, id: RunId) -> Result<Option<Run>> {
    Ok(db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE id = ?1"))?
        .query_row([Id(id)], record)
        .optional()?)
}

/// The run of an occurrence.
pub(super) fn of(
    db: &Connection,
    campaign: &CampaignId,
    occurrence: &OccurrenceName,
) -> Result<Option<Run>> {
    Ok(db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM run WHERE campaign = ?1 AND occurrence = ?2"
        ))?
        .query_row([campaign.as_str(), occurrence.as_str()], record)
        .optional()?)
}

pub(super) fn list(db: &Connection, filter: &RunFilter) -> Result<Vec<Run>> {
    let mut values: Vec<Value> = Vec::new();
    let mut campaign_is = "";
    let mut state_is = String::new();
    if let Some(campaign) = &filter.campaign {
        campaign_is = " AND campaign = ?";
        values.push(campaign.as_str().to_owned().into());
    }
    if !filter.states.is_empty() {
        let marks = vec!["?"; filter.states.len()].join(",");
        state_is = format!(" AND state IN ({marks})");
        values.extend(
            filter
                .states
                .iter()
                .map(|state| Value::from(state.as_str().to_owned())),
        );
    }
    let mut others = String::new();
    if let Some(purpose) = filter.purpose {
        others += " AND purpose = ?";
        values.push(purpose.as_str().to_owned().into());
    }
    if let Some(since) = filter.at_work_since {
        others += " AND (ended_at IS NULL OR ended_at > ?)";
        values.push(since.timestamp_micros().into());
    }
    values.push(
        filter
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
            .into(),
    );
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM run WHERE true{campaign_is}{state_is}{others} ORDER BY id DESC LIMIT ?"
    ))?;
    let runs = statement.query_map(params_from_iter(values), record)?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

/// The state a run is in; `None`: there is no such run.
pub(super) fn state(db: &Connection, run: RunId) -> Result<Option<RunState>> {
    Ok(db
        .prepare_cached("SELECT state FROM run WHERE id = ?1")?
        .query_row([Id(run)], |row| Ok(row.get::<_, Text<_>>(0)?.0))
        .optional()?)
}

/// The state of a run that must be there.
pub(super) fn known_state(db: &Connection, run: RunId) -> Result<RunState> {
    state(db, run)?.ok_or_else(|| missing(run))
}

pub(super) fn missing(run: RunId) -> Error {
    refused(format!("there is no run {run}"))
}

/// A run with open deliveries is never finished, whatever its caller believes: something was queued again meanwhile.
pub(super) fn change_state(
    db: &Connection,
    run: RunId,
    from: &[RunState],
    change: &RunChange,
    now: DateTime<Utc>,
) -> Result<bool> {
    if !state(db, run)?.is_some_and(|state| from.contains(&state))
        || (change.state == RunState::Finished && counters::counts(db, run)?.open() > 0)
    {
        return Ok(false);
    }
    db.prepare_cached(
        "UPDATE run SET state = ?2, reason = ?3, released = coalesce(?4, released), epoch = epoch + 1 WHERE id = ?1",
    )?
    .execute(params![
        Id(run),
        change.state.as_str(),
        change.reason,
        change.released
    ])?;
    if change.state == RunState::Sending {
        // Whatever lets it go on behind its first part, the rest follows.
        db.prepare_cached(
            "UPDATE run SET rollout = NULL, goes_on_at = NULL WHERE id = ?1 AND goes_on_at IS NOT NULL",
        )?
        .execute([Id(run)])?;
    }
    if change.released == Some(true) {
        guards::count_anew(db, run)?;
    }
    note_times(db, run, change.state, now)?;
    Ok(true)
}

/// Sets what a new state says about when a run began and ended.
pub(super) fn note_times(
    db: &Connection,
    run: RunId,
    state: RunState,
    now: DateTime<Utc>,
) -> Result<()> {
    db.prepare_cached(
        "UPDATE run SET started_at = CASE WHEN ?2 THEN coalesce(started_at, ?4) ELSE started_at END,
                        ended_at = CASE WHEN ?3 THEN ?4 END
         WHERE id = ?1",
    )?
    .execute(params![
        Id(run),
        state == RunState::Sending,
        state.is_over(),
        At(now)
    ])?;
    Ok(())
}

/// A run that is over sends again, because somebody asked for some of its deliveries by name; any other stays in its state.
/// Its epoch is raised in either case: whoever claims from it starts at the cursors again.
pub(super) fn reopen(db: &Connection, run: RunId, now: DateTime<Utc>) -> Result<()> {
    if known_state(db, run)?.is_over() {
        db.prepare_cached(
            "UPDATE run SET state = ?2, reason = NULL, epoch = epoch + 1 WHERE id = ?1",
        )?
        .execute(params![Id(run), RunState::Sending.as_str()])?;
        note_times(db, run, RunState::Sending, now)?;
    } else {
        db.prepare_cached("UPDATE run SET epoch = epoch + 1 WHERE id = ?1")?
            .execute([Id(run)])?;
    }
    Ok(())
}

/// A delivery of a run that is over changed after its end: the end is where the last one changed, which is what lets history skip
/// runs that ended long ago.
pub(super) fn extend(db: &Connection, run: RunId, now: DateTime<Utc>) -> Result<()> {
    db.prepare_cached("UPDATE run SET ended_at = ?2 WHERE id = ?1 AND ended_at < ?2")?
        .execute(params![Id(run), At(now)])?;
    Ok(())
}

fn record(row: &Row<'_>) -> rusqlite::Result<Run> {
    let at =
        |column| -> rusqlite::Result<_> { Ok(row.get::<_, Option<At>>(column)?.map(|at| at.0)) };
    let total = |column| -> rusqlite::Result<_> { Ok(row.get::<_, i64>(column)? as u64) };
    Ok(Run {
        id: row.get::<_, Id<RunId>>(0)?.0,
        campaign: row.get::<_, Text<_>>(1)?.0,
        occurrence: row.get::<_, Named>(2)?.0,
        due: row.get::<_, At>(3)?.0,
        state: row.get::<_, Text<_>>(4)?.0,
        reason: row.get(5)?,
        topic: row.get::<_, Text<_>>(6)?.0,
        purpose: row.get::<_, Text<Purpose>>(7)?.0,
        bundle: row.get(8)?,
        content_digest: row.get(9)?,
        plan_digest: row.get(10)?,
        opened_at: row.get::<_, At>(11)?.0,
        sealed_at: at(12)?,
        started_at: at(13)?,
        ended_at: at(14)?,
        released: row.get(15)?,
        totals: Totals {
            total: total(16)?,
            matched: total(17)?,
            to_send: total(18)?,
        },
        limit: row.get(19)?,
        asked: row.get(20)?,
        begun: row.get(21)?,
        expires_at: at(22)?,
        goes_on_at: at(23)?,
        unsubscribed: total(24)?,
    })
}
