//! The suppression list.

use rusqlite::{Connection, Row, params};

use super::{
    codes::{At, Code, Coded, Text},
    error::Result,
};
use crate::model::{
    AddressHash, Purpose, RecipientHash, Subject, Suppression, SuppressionReason, TopicName,
};

/// How an entry for all topics stands in the table: no topic has an empty name.
const ALL_TOPICS: &str = "";

/// Kinds of subjects, as the table has them.
const ADDRESS: i64 = 0;
const RECIPIENT: i64 = 1;

const COLUMNS: &str = "hash, kind, topic, reason, at, shown, origin";

pub(super) fn add<'a>(
    db: &Connection,
    entries: impl IntoIterator<Item = &'a Suppression>,
) -> Result<u64> {
    let mut add = db.prepare_cached(&format!(
        "INSERT INTO suppression ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING"
    ))?;
    let mut new = 0;
    for entry in entries {
        let kind = match entry.subject {
            Subject::Address(_) => ADDRESS,
            Subject::Recipient(_) => RECIPIENT,
        };
        new += add.execute(params![
            entry.subject.bytes(),
            kind,
            topic(entry.topic.as_ref()),
            Code(entry.reason),
            At(entry.at),
            entry.shown,
            entry.origin
        ])? as u64;
    }
    Ok(new)
}

pub(super) fn remove(
    db: &Connection,
    subject: Subject,
    of: Option<&TopicName>,
    reason: Option<SuppressionReason>,
) -> Result<u64> {
    let removed = db
        .prepare_cached(
            "DELETE FROM suppression WHERE hash = ?1 AND topic = ?2 AND (?3 IS NULL OR reason = ?3)",
        )?
        .execute(params![subject.bytes(), topic(of), reason.map(Code)])?;
    Ok(removed as u64)
}

pub(super) fn of(db: &Connection, subject: Subject) -> Result<Vec<Suppression>> {
    let mut of = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM suppression WHERE hash = ?1 ORDER BY topic, reason"
    ))?;
    let entries = of.query_map([subject.bytes()], record)?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// A page, and what its last subject has beyond it, so that paging by hash loses nothing.
pub(super) fn page(
    db: &Connection,
    after: Option<[u8; 16]>,
    limit: usize,
) -> Result<Vec<Suppression>> {
    let mut page = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM suppression WHERE hash > ?1 ORDER BY hash, topic, reason LIMIT ?2"
    ))?;
    // Every hash is greater than the empty one.
    let from = after.as_ref().map_or(&[][..], |hash| &hash[..]);
    let mut entries: Vec<_> = page
        .query_map(params![from, limit as i64], record)?
        .collect::<rusqlite::Result<_>>()?;
    if entries.len() == limit
        && let Some(last) = entries.last().map(|entry| entry.subject)
    {
        entries.retain(|entry| entry.subject != last);
        entries.extend(of(db, last)?);
    }
    Ok(entries)
}

/// The last check: what stands in the way of a message of a topic to any of these subjects, if anything does. Transactional mail
/// ignores `unsubscribed` and nothing else.
pub(super) fn against(
    db: &Connection,
    subjects: &[Subject],
    of: &TopicName,
    purpose: Purpose,
) -> Result<Option<SuppressionReason>> {
    // The plus signs keep SQLite from making a temporary table of the two topics, which costs more than the look.
    let mut against = db.prepare_cached(
        "SELECT min(reason) FROM suppression WHERE hash = ?1 AND (+topic = '' OR +topic = ?2) AND reason <> ?3",
    )?;
    let ignored = match purpose {
        // No reason has this number.
        Purpose::Marketing => 0,
        Purpose::Transactional => SuppressionReason::Unsubscribed.code(),
    };
    for subject in subjects {
        let reason: Option<Code<_>> = against
            .query_row(params![subject.bytes(), of.as_str(), ignored], |row| {
                row.get(0)
            })?;
        if let Some(Code(reason)) = reason {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

fn topic(topic: Option<&TopicName>) -> &str {
    topic.map_or(ALL_TOPICS, TopicName::as_str)
}

fn record(row: &Row<'_>) -> rusqlite::Result<Suppression> {
    let hash: [u8; 16] = row.get(0)?;
    let topic: String = row.get(2)?;
    Ok(Suppression {
        subject: match row.get(1)? {
            ADDRESS => Subject::Address(AddressHash(hash)),
            _ => Subject::Recipient(RecipientHash(hash)),
        },
        topic: match &*topic {
            ALL_TOPICS => None,
            _ => Some(row.get::<_, Text<_>>(2)?.0),
        },
        reason: row.get::<_, Code<_>>(3)?.0,
        at: row.get::<_, At>(4)?.0,
        shown: row.get(5)?,
        origin: row.get(6)?,
    })
}
