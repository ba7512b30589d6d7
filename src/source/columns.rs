//! The columns that a source has, checked against what the settings say of them, and rows read by them: of text, or of values
//! that have types. Shared by all kinds of source that have columns.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{CellParser, FieldFormat, SourceContext, cell::shown, typed};
use crate::model::{FieldType, InvalidRow, Recipient, Schema, SourceName, Value, closest};

/// A key longer than this is a mistake: a quote that is not closed, a wrong column.
const LONGEST_KEY: usize = 1000;

/// The columns of one source, and how their cells are read.
#[derive(Debug)]
pub(super) struct Columns {
    source: SourceName,
    schema: Arc<Schema>,
    key: usize,
    parsers: Vec<CellParser>,
    positions: HashMap<String, usize>,
}

impl Columns {
    /// Checks the names that a source has; `place` is where they stand (`people.csv, line 1`), `undeclared` the type of those
    /// that the settings do not declare. All problems in one message.
    pub(super) fn new(
        names: Vec<String>,
        context: &SourceContext,
        place: &str,
        undeclared: FieldType,
    ) -> Result<Self, String> {
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                problems.push(format!("column {} has no name", at + 1));
            } else if !seen.insert(name.as_str()) {
                problems.push(format!(
                    "two columns have the name {}: give one of them another",
                    shown(name)
                ));
            }
        }
        let roles = &context.roles;
        let wanted = [
            ("key", Some(&roles.key)),
            ("email", roles.email.as_ref()),
            ("phone", roles.phone.as_ref()),
            ("postal", roles.postal.as_ref()),
            ("locale", roles.locale.as_ref()),
            ("timezone", roles.timezone.as_ref()),
            ("preferred_channel", roles.preferred_channel.as_ref()),
        ];
        let wanted = wanted
            .iter()
            .filter_map(|(role, column)| {
                Some((
                    format!("{role} = {:?}", column.as_ref()?),
                    *column.as_ref()?,
                ))
            })
            .chain(
                context
                    .fields
                    .iter()
                    .map(|(column, _)| ("[fields]".to_owned(), column)),
            );
        for (place, column) in wanted {
            if !seen.contains(column.as_str()) {
                problems.push(missing(column, &place, &names));
            }
        }
        let mut parsers = Vec::with_capacity(names.len());
        for name in &names {
            let format = context.declared(name).cloned().unwrap_or(FieldFormat {
                kind: undeclared,
                format: None,
            });
            if format.kind == FieldType::Any && undeclared != FieldType::Any {
                problems.push(format!(
                    "column {}: the type any is for sources whose values have types of their own (jsonl, sqlite); a cell of \
                     text has none",
                    shown(name)
                ));
            }
            match CellParser::new(&format) {
                Ok(parser) => parsers.push(parser),
                Err(problem) => problems.push(format!("column {}: {problem}", shown(name))),
            }
        }
        let key = names.iter().position(|name| *name == roles.key);
        match key {
            Some(key) if problems.is_empty() => Ok(Self {
                source: context.name.clone(),
                key,
                positions: names.iter().cloned().zip(0..).collect(),
                schema: Arc::new(Schema {
                    columns: names
                        .into_iter()
                        .zip(parsers.iter().map(CellParser::kind))
                        .collect(),
                    roles: roles.clone(),
                }),
                parsers,
            }),
            _ => Err(format!("{place}: {}", problems.join("; "))),
        }
    }

    /// The columns as the rest of the engine sees them.
    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Where a column stands.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// A row of values that have types, one for each column.
    pub(super) fn typed_row(&self, line: u64, given: Vec<Value>) -> Result<Recipient, InvalidRow> {
        let key = typed::key(&given[self.key]);
        let mut values = Vec::with_capacity(given.len());
        for (at, (parser, value)) in self.parsers.iter().zip(given).enumerate() {
            values.push(typed::fit(parser, value).map_err(|message| InvalidRow {
                line,
                key: key.clone().ok().filter(|key| is_sound(key)),
                column: Some(self.schema.columns[at].0.clone()),
                message,
            })?);
        }
        let key = key.and_then(|key| match key.len() {
            0 => Err("the key is empty".to_owned()),
            length if length > LONGEST_KEY => {
                Err(format!("the key is longer than {LONGEST_KEY} bytes"))
            }
            _ => Ok(key),
        });
        match key {
            Ok(key) => Ok(Recipient {
                source: self.source.clone(),
                schema: Arc::clone(&self.schema),
                key,
                values,
            }),
            Err(message) => Err(InvalidRow {
                line,
                key: None,
                column: Some(self.schema.roles.key.clone()),
                message,
            }),
        }
    }

    /// A row of as many cells as `count` says; a cell that is not valid text is `None`.
    pub(super) fn row<'a>(
        &self,
        line: u64,
        count: usize,
        cell: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<Recipient, InvalidRow> {
        let key = if self.key < count {
            cell(self.key).map(str::trim).unwrap_or_default()
        } else {
            ""
        };
        let invalid = |column: Option<usize>, message: String| InvalidRow {
            line,
            key: is_sound(key).then(|| key.to_owned()),
            column: column.map(|at| self.schema.columns[at].0.clone()),
            message,
        };
        let columns = self.parsers.len();
        if count != columns {
            let cells = if count == 1 {
                "1 cell".to_owned()
            } else {
                format!("{count} cells")
            };
            let message = format!("the row has {cells} instead of {columns}");
            return Err(invalid((count < columns).then_some(count), message));
        }
        let mut values = Vec::with_capacity(columns);
        for (at, parser) in self.parsers.iter().enumerate() {
            let text = cell(at).ok_or_else(|| {
                invalid(
                    Some(at),
                    "the cell has bytes that are not valid in the file's encoding: set `encoding`"
                        .to_owned(),
                )
            })?;
            values.push(
                parser
                    .parse(text)
                    .map_err(|message| invalid(Some(at), message))?,
            );
        }
        if key.is_empty() {
            return Err(invalid(Some(self.key), "the key is empty".to_owned()));
        }
        if key.len() > LONGEST_KEY {
            let message = format!("the key is longer than {LONGEST_KEY} bytes");
            return Err(invalid(Some(self.key), message));
        }
        Ok(Recipient {
            source: self.source.clone(),
            schema: Arc::clone(&self.schema),
            key: key.to_owned(),
            values,
        })
    }
}

fn is_sound(key: &str) -> bool {
    !key.is_empty() && key.len() <= LONGEST_KEY
}

fn missing(column: &str, place: &str, names: &[String]) -> String {
    let help = if let Some(close) = closest(column, names.iter().map(String::as_str)) {
        format!("did you mean {close:?}?")
    } else {
        let listed: Vec<String> = names.iter().take(20).map(|name| shown(name)).collect();
        let more = if names.len() > listed.len() {
            ", …"
        } else {
            ""
        };
        format!("there are {}{more}", listed.join(", "))
    };
    format!("there is no column {column:?}, which {place} names: {help}")
}
