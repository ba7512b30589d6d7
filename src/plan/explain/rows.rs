//! The rows of a source that one explanation needs: those with a key, and those before one that share an address with it.

use futures::StreamExt;
use tokio::task::spawn_blocking;

use crate::{
    model::{Channel, InvalidRow, Recipient, SourceName},
    plan::{PlanError, gather::gone, one::Checker, reach, select::sound},
    store::StoreError,
};

use super::story::{Told, addresses};

/// How many rows with one key are looked at.
const ROWS: usize = 100;

/// How many rows with one address are looked at.
const TWINS: usize = 1_000;

/// A row, and where it stands.
pub(super) struct Row {
    pub(super) source: usize,
    /// In its source, from 1.
    pub(super) number: u64,
    /// In all sources, from 0.
    pub(super) position: u64,
    pub(super) recipient: Recipient,
}

/// The rows with a key.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) good: Vec<Row>,
    pub(super) invalid: Option<(SourceName, InvalidRow)>,
}

/// The rows with a key, in the order of the sources.
pub(super) async fn rows_of(checker: &Checker, key: &str) -> Result<Rows, PlanError> {
    let mut rows = Rows::default();
    let names = &checker.rules.campaign.audience.sources;
    let mut position = 0;
    for (at, (name, source)) in names.iter().zip(&checker.sources).enumerate() {
        let mut batches = source.read().await?;
        let mut number = 0;
        while let Some(batch) = batches.next().await {
            for row in batch? {
                number += 1;
                position += 1;
                match row.and_then(|recipient| sound(recipient, number)) {
                    Ok(mut recipient) if recipient.key == key && rows.good.len() < ROWS => {
                        recipient.source = name.clone();
                        rows.good.push(Row {
                            source: at,
                            number,
                            position: position - 1,
                            recipient,
                        });
                    }
                    Err(invalid) if invalid.key.as_deref() == Some(key) => {
                        rows.invalid.get_or_insert((name.clone(), invalid));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(rows)
}

/// Who gets the message for an address.
pub(super) enum Twin {
    /// This one.
    None,
    /// Another, with this key.
    Key(String),
}

/// The first row before this one that has an address of it and is sent to.
pub(super) async fn twin(checker: &Checker, told: &Told) -> Result<Twin, PlanError> {
    let mine: Vec<(Channel, String)> = addresses(&told.one)
        .map(|(channel, address)| (channel, address.normalized.clone()))
        .collect();
    let candidates = rows_before(checker, told.position, move |checker, row| {
        let ways = reach::ways(&row.recipient, &checker.rules.campaign.reach, |_, _| None);
        ways.iter().any(|way| {
            way.address.as_ref().is_ok_and(|address| {
                mine.iter()
                    .any(|(channel, mine)| *channel == way.channel && *mine == address.normalized)
            })
        })
    })
    .await?;
    let weighing = checker.clone();
    let candidates = spawn_blocking(move || {
        let mut selector = (weighing.selectors)();
        let mut sent = Vec::new();
        for row in candidates {
            let name = row.recipient.source.clone();
            let mut one = weighing.judge(selector.as_mut(), &name, row.recipient);
            one.skip = weighing.skip(&one)?;
            if one.why_not().is_none() {
                sent.push((row.source, row.position, one.recipient.key));
            }
        }
        Ok::<_, StoreError>(sent)
    });
    let candidates = candidates.await.map_err(gone)??;
    if candidates.is_empty() {
        return Ok(Twin::None);
    }
    // Of several rows with a key only the first counts that matches, whatever address it has.
    let keys: Vec<_> = candidates
        .iter()
        .map(|(source, _, key)| (*source, key.clone()))
        .collect();
    let with_key = rows_before(checker, told.position, move |_, row| {
        keys.iter()
            .any(|(source, key)| *source == row.source && *key == row.recipient.key)
    })
    .await?;
    let weighing = checker.clone();
    let first = spawn_blocking(move || {
        let mut selector = (weighing.selectors)();
        with_key
            .into_iter()
            .filter(|row| !matches!(selector.matches(&row.recipient), Ok(false)))
            .map(|row| (row.source, row.position, row.recipient.key))
            .collect::<Vec<_>>()
    });
    let first = first.await.map_err(gone)?;
    let winner = candidates.into_iter().find(|(source, position, key)| {
        let mut of_key = first
            .iter()
            .filter(|(other, _, of)| other == source && of == key);
        of_key.next().is_none_or(|(_, first, _)| first == position)
    });
    Ok(winner.map_or(Twin::None, |(_, _, key)| Twin::Key(key)))
}

/// Rows before a position that `wanted` picks.
async fn rows_before(
    checker: &Checker,
    position: u64,
    wanted: impl Fn(&Checker, &Row) -> bool,
) -> Result<Vec<Row>, PlanError> {
    let mut found = Vec::new();
    let names = &checker.rules.campaign.audience.sources;
    let mut at = 0;
    for (source, name) in names.iter().enumerate() {
        let mut batches = checker.sources[source].read().await?;
        let mut number = 0;
        while let Some(batch) = batches.next().await {
            for row in batch? {
                if at >= position || found.len() >= TWINS {
                    return Ok(found);
                }
                at += 1;
                number += 1;
                let Ok(mut recipient) = row.and_then(|recipient| sound(recipient, number)) else {
                    continue;
                };
                recipient.source = name.clone();
                let row = Row {
                    source,
                    number,
                    position: at - 1,
                    recipient,
                };
                if checker.asks_for(&row.recipient.key) && wanted(checker, &row) {
                    found.push(row);
                }
            }
        }
    }
    Ok(found)
}
