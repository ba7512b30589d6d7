//! The lines of a file of suppressions: with a header the columns of `export`, without one address, topic and reason.

use std::io::{self, Read};

use chrono::{DateTime, Utc};

use super::{export::COLUMNS, whom::SourceKey};
use crate::{
    cli::print::csv::unguard,
    model::{EmailAddress, SourceName, SuppressionReason, TopicName},
};

/// A good line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The number of its line, from 1.
    pub(super) line: u64,
    /// The address, or the key where `source` is set.
    pub(super) text: String,
    pub(super) source: Option<SourceName>,
    pub(super) topic: Option<TopicName>,
    pub(super) reason: Option<SuppressionReason>,
    pub(super) at: Option<DateTime<Utc>>,
    pub(super) origin: Option<String>,
}

/// A bad line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Its number, from 1.
    pub(super) line: u64,
    pub(super) message: String,
}

/// Reads a file line by line; empty lines are passed over.
pub(super) struct Rows<R> {
    reader: csv::Reader<R>,
    record: csv::ByteRecord,
    /// The column of each of [`COLUMNS`].
    columns: [Option<usize>; COLUMNS.len()],
    /// Where the file is to be read no further.
    ended: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(file: R) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(file);
        Self {
            reader,
            record: csv::ByteRecord::new(),
            columns: [Some(0), Some(1), Some(2), None, None, None],
            ended: false,
        }
    }

    fn read(&mut self) -> io::Result<Option<Result<Row, Wrong>>> {
        loop {
            let first = self.record.position().is_none();
            if !self.reader.read_byte_record(&mut self.record)? {
                return Ok(None);
            }
            let line = self.record.position().map_or(0, csv::Position::line);
            let cells: Result<Vec<_>, _> = self.record.iter().map(std::str::from_utf8).collect();
            let row = match cells {
                Err(_) => Err("it is not UTF-8".to_owned()),
                Ok(cells) if first && is_header(&cells) => match header(&cells) {
                    Ok(columns) => {
                        self.columns = columns;
                        continue;
                    }
                    Err(message) => {
                        // Nothing behind it can be understood.
                        self.ended = true;
                        Err(message)
                    }
                },
                Ok(cells) => self.row(line, &cells),
            };
            return Ok(Some(row.map_err(|message| Wrong { line, message })));
        }
    }

    fn row(&self, line: u64, cells: &[&str]) -> Result<Row, String> {
        let used = self
            .columns
            .iter()
            .flatten()
            .max()
            .map_or(0, |last| last + 1);
        if cells.len() > used.max(COLUMNS.len()) {
            return Err(format!("it has {} cells", cells.len()));
        }
        let [address, topic, reason, at, origin, key] = self.columns.map(|column| {
            let cell = column
                .and_then(|column| cells.get(column))
                .copied()
                .unwrap_or_default();
            let cell = unguard(cell.strip_prefix('\u{feff}').unwrap_or(cell));
            (!cell.is_empty()).then_some(cell)
        });
        let (text, source) = match (address, key) {
            (Some(address), None) => (address.parse::<EmailAddress>()?.as_str().to_owned(), None),
            (None, Some(key)) => {
                let SourceKey { source, key } = key.parse()?;
                (key, Some(source))
            }
            (None, None) => return Err("it has no address".to_owned()),
            (Some(_), Some(_)) => return Err("it has both an address and a key".to_owned()),
        };
        let topic = topic
            .map(|topic| {
                topic
                    .parse()
                    .map_err(|error| format!("{topic:?} is not a topic's name: {error}"))
            })
            .transpose()?;
        let reason = reason
            .map(|reason| {
                reason
                    .parse()
                    .map_err(|error| format!("{reason:?} is not a reason: {error}"))
            })
            .transpose()?;
        let at = at
            .map(|at| {
                DateTime::parse_from_rfc3339(at)
                    .map(|at| at.to_utc())
                    .map_err(|_| format!("{at:?} is not a moment such as 2026-12-01T09:00:00Z"))
            })
            .transpose()?;
        let origin = origin.map(ToOwned::to_owned);
        Ok(Row {
            line,
            text,
            source,
            topic,
            reason,
            at,
            origin,
        })
    }
}

/// Whether the first line names columns: no cell of it is an address.
fn is_header(cells: &[&str]) -> bool {
    cells
        .iter()
        .any(|cell| named(cell) == "address" || named(cell) == "key")
}

fn named(cell: &str) -> String {
    cell.trim_start_matches('\u{feff}').trim().to_lowercase()
}

fn header(cells: &[&str]) -> Result<[Option<usize>; COLUMNS.len()], String> {
    let names: Vec<_> = cells.iter().map(|cell| named(cell)).collect();
    match names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        Some(unknown) => Err(format!(
            "there is no column {unknown:?}: the columns are {}",
            COLUMNS.join(", ")
        )),
        None => Ok(COLUMNS.map(|column| names.iter().position(|name| name == column))),
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = io::Result<Result<Row, Wrong>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended |= matches!(row, None | Some(Err(_)));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &[u8]) -> Vec<Result<Row, Wrong>> {
        Rows::new(text).map(Result::unwrap).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        rows(text.as_bytes())
            .into_iter()
            .map(|row| match row {
                Ok(row) => {
                    let part = |text: Option<&str>| text.unwrap_or("-").to_owned();
                    format!(
                        "{}{} {} {}",
                        row.source
                            .map_or(String::new(), |source| format!("{source}:")),
                        row.text,
                        part(row.topic.as_ref().map(TopicName::as_str)),
                        part(row.reason.map(SuppressionReason::as_str)),
                    )
                }
                Err(wrong) => format!("{}: {}", wrong.line, wrong.message),
            })
            .collect()
    }

    #[test]
    fn one_address_a_line() {
        let text =
            "\u{feff}ada@Example.org\r\n\r\n  bob@example.org \neve@example.org,offers,bounced";
        assert_eq!(
            texts(text),
            [
                "ada@example.org - -",
                "bob@example.org - -",
                "eve@example.org offers bounced"
            ]
        );
    }

    #[test]
    fn columns_by_name() {
        let text = "\u{feff}Reason,address,key\nbounced,ada@example.org,\n,,customers:A1\n,,\n,a@b.de,c:d\nwhim,a@b.de,\n";
        assert_eq!(
            texts(text),
            [
                "ada@example.org - bounced",
                "customers:A1 - -",
                "4: it has no address",
                "5: it has both an address and a key",
                "6: \"whim\" is not a reason: expected one of unsubscribed, bounced, complained, manual",
            ]
        );
    }

    #[test]
    fn a_header_that_is_not_understood_ends_it() {
        assert_eq!(
            texts("address,topik\nada@example.org,x\n"),
            [
                "1: there is no column \"topik\": the columns are address, topic, reason, at, origin, key"
            ]
        );
    }

    #[test]
    fn what_export_guards_comes_back() {
        let text = "address,topic\n'=x@example.org,\n'+tag@example.org,\no'hara@example.org,\n";
        assert_eq!(
            texts(text),
            [
                "=x@example.org - -",
                "+tag@example.org - -",
                "o'hara@example.org - -"
            ]
        );
        assert_eq!(
            rows(b"\xff\xfe@x.de\n"),
            [Err(Wrong {
                line: 1,
                message: "it is not UTF-8".to_owned()
            })]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            rows(&bytes);
        }
    }
}
