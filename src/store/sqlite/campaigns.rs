//! What is noted about campaigns.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::{
    codes::{At, Text},
    error::{Result, refused},
};
use crate::{
    model::{CampaignId, SourceName, TopicName},
    store::{CampaignChange, CampaignRecord, Sighting},
};

const COLUMNS: &str = "id, name, source, topic, first_seen, last_seen, removed_at, cursor, stopped_at, vanished_at, removal_grace, \
    cooldown_group";

pub(super) fn all(db: &Connection) -> Result<Vec<CampaignRecord>> {
    let mut all = db.prepare_cached(&format!("SELECT {COLUMNS} FROM campaign ORDER BY id"))?;
    let records = all.query_map([], record)?;
    Ok(records.collect::<rusqlite::Result<_>>()?)
}

/// A file that does not check keeps the source, topic and group that were known: they tell a rename from a new campaign.
pub(super) fn sight(
    db: &Connection,
    sightings: &[Sighting],
    now: DateTime<Utc>,
) -> Result<Vec<CampaignRecord>> {
    let mut sight = db.prepare_cached(&format!(
        "INSERT INTO campaign (id, name, source, topic, first_seen, last_seen, removal_grace, cooldown_group)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET name = excluded.name, source = coalesce(excluded.source, source),
             topic = coalesce(excluded.topic, topic), last_seen = excluded.last_seen, removed_at = NULL,
             vanished_at = NULL, removal_grace = coalesce(excluded.removal_grace, removal_grace),
             cooldown_group = CASE WHEN excluded.source IS NULL THEN cooldown_group ELSE excluded.cooldown_group END
         RETURNING {COLUMNS}"
    ))?;
    let mut records = Vec::with_capacity(sightings.len());
    for sighting in sightings {
        let values = params![
            sighting.id.as_str(),
            sighting.name,
            sighting.source.as_ref().map(SourceName::as_str),
            sighting.topic.as_ref().map(TopicName::as_str),
            At(now),
            sighting.removal_grace.map(|grace| grace.to_string()),
            sighting.cooldown_group
        ];
        records.push(sight.query_row(values, record)?);
    }
    Ok(records)
}

pub(super) fn change(db: &Connection, id: &CampaignId, change: CampaignChange) -> Result<()> {
    let (column, at) = match change {
        CampaignChange::Cursor(at) => ("cursor", Some(at)),
        CampaignChange::RemovedAt(at) => ("removed_at", at),
        CampaignChange::StoppedAt(at) => ("stopped_at", at),
        CampaignChange::VanishedAt(at) => ("vanished_at", at),
    };
    let changed = db
        .prepare_cached(&format!("UPDATE campaign SET {column} = ?2 WHERE id = ?1"))?
        .execute(params![id.as_str(), at.map(At)])?;
    if changed == 0 {
        return Err(refused(format!("no campaign {id} was ever seen")));
    }
    Ok(())
}

/// Who took over whose history.
pub(super) fn histories(db: &Connection) -> Result<Vec<(CampaignId, CampaignId)>> {
    let mut all = db.prepare_cached("SELECT campaign, was FROM history ORDER BY campaign, was")?;
    let pairs = all.query_map([], |row| {
        Ok((row.get::<_, Text<_>>(0)?.0, row.get::<_, Text<_>>(1)?.0))
    })?;
    Ok(pairs.collect::<rusqlite::Result<_>>()?)
}

/// A run of theirs that has begun stays theirs: its messages carry their name.
pub(super) fn take_over_history(
    db: &Connection,
    id: &CampaignId,
    was: &[CampaignId],
    now: DateTime<Utc>,
) -> Result<Vec<CampaignId>> {
    let mut note = db.prepare_cached(
        "INSERT INTO history (campaign, was, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    let mut hand_over = db.prepare_cached(
        "UPDATE OR IGNORE run SET campaign = ?1
         WHERE campaign = ?2 AND started_at IS NULL AND ended_at IS NULL",
    )?;
    // A renaming does not undo a stop.
    let mut stop = db.prepare_cached(
        "UPDATE campaign SET stopped_at = coalesce(stopped_at, (SELECT stopped_at FROM campaign WHERE id = ?2))
         WHERE id = ?1",
    )?;
    let mut new = Vec::new();
    for other in was.iter().filter(|other| *other != id) {
        hand_over.execute([id.as_str(), other.as_str()])?;
        if note.execute(params![id.as_str(), other.as_str(), At(now)])? > 0 {
            stop.execute([id.as_str(), other.as_str()])?;
            new.push(other.clone());
        }
    }
    Ok(new)
}

fn record(row: &Row<'_>) -> rusqlite::Result<CampaignRecord> {
    let at =
        |column| -> rusqlite::Result<_> { Ok(row.get::<_, Option<At>>(column)?.map(|at| at.0)) };
    Ok(CampaignRecord {
        id: row.get::<_, Text<_>>(0)?.0,
        name: row.get(1)?,
        source: row.get::<_, Option<Text<_>>>(2)?.map(|source| source.0),
        topic: row.get::<_, Option<Text<_>>>(3)?.map(|topic| topic.0),
        first_seen: row.get::<_, At>(4)?.0,
        last_seen: row.get::<_, At>(5)?.0,
        removed_at: at(6)?,
        cursor: at(7)?,
        stopped_at: at(8)?,
        vanished_at: at(9)?,
        removal_grace: row.get::<_, Option<Text<_>>>(10)?.map(|grace| grace.0),
        cooldown_group: row.get(11)?,
    })
}
