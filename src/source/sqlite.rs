//! `kind = "sqlite"`: the rows of a query in a SQLite database, which is opened to be read only. Columns are those of the query,
//! values have the types that SQLite gives them unless `[fields]` declares others.

mod update;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use rusqlite::{Connection, Error, OpenFlags, Statement, types::ValueRef};
use rust_decimal::Decimal;

use super::{
    Batch, Source, SourceConfig, SourceContext, SourceError, SourceKind,
    columns::Columns,
    stream::{Rows, Stopped, stream},
};
use crate::model::{Excerpt, FieldType, InvalidRow, Place, Recipient, Schema, Section, Value};

/// How long a database that another program has locked is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A longer row is a mistake.
const LONGEST_ROW: usize = 8 << 20;

pub(crate) use update::{Parameters, apply, check as check_update};

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "sqlite",
    read: |section| Some(Arc::new(SqliteSettings::read(section)?)),
};

/// `path`, `query`.
#[derive(Clone, Debug)]
struct SqliteSettings {
    /// Relative to the workspace.
    path: PathBuf,
    query: Excerpt,
}

impl SqliteSettings {
    fn read(section: &Section<'_>) -> Option<Self> {
        let path: Option<PathBuf> = section.require("path");
        let query: Option<Excerpt> = section.require("query");
        Some(Self {
            path: section.file().folder().join(path?),
            query: query?,
        })
    }
}

impl SourceConfig for SqliteSettings {
    fn open(&self, context: &SourceContext) -> Arc<dyn Source> {
        Arc::new(SqliteSource {
            settings: self.clone(),
            context: context.clone(),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn database(&self, context: &SourceContext) -> Option<PathBuf> {
        Some(context.workspace.join(&self.path))
    }
}

#[derive(Clone, Debug)]
struct SqliteSource {
    settings: SqliteSettings,
    context: SourceContext,
}

#[async_trait]
impl Source for SqliteSource {
    async fn describe(&self) -> Result<Schema, SourceError> {
        let (_, columns) = self.opened().await?;
        Ok(Schema::clone(columns.schema()))
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        let (db, columns) = self.opened().await?;
        let source = self.clone();
        Ok(stream(&self.context, move |rows| {
            source.read_rows(&db, &columns, rows)
        }))
    }
}

/// What went wrong, and where in the settings.
type Wrong = (String, Option<Place>);

impl SqliteSource {
    async fn opened(&self) -> Result<(Connection, Columns), SourceError> {
        let source = self.clone();
        let opened = tokio::task::spawn_blocking(move || source.open()).await;
        let failed = |(message, place)| SourceError {
            place,
            ..self.context.error(message)
        };
        opened
            .unwrap_or_else(|_| Err(("reading broke off: see the log".to_owned(), None)))
            .map_err(failed)
    }

    fn open(&self) -> Result<(Connection, Columns), Wrong> {
        let shown = self.settings.path.display();
        let fail = |words: String| (format!("{shown}: {words}"), None);
        // The path is absolute, so that it is never taken for a URI.
        let path = self.context.workspace.join(&self.settings.path);
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(fail("it is not a file".to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(fail("there is no such file".to_owned()));
            }
            Err(error) => return Err(fail(error.to_string())),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags).and_then(|db| {
            db.busy_timeout(PATIENCE)?;
            db.pragma_update(None, "query_only", true)?;
            // The first thing that looks into the file.
            db.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
            Ok(db)
        });
        let db = opened.map_err(|error| fail(words(&error)))?;
        let columns = {
            let statement = self.prepare(&db)?;
            let names = statement.column_names();
            Columns::new(
                names.map(str::to_owned).collect(),
                &self.context,
                "the query",
                FieldType::Any,
            )
            .map_err(|message| (message, Some(self.settings.query.place().clone())))?
        };
        Ok((db, columns))
    }

    fn prepare<'d>(&self, db: &'d Connection) -> Result<Statement<'d>, Wrong> {
        let query = &self.settings.query;
        let refuse = |words: &str| {
            let message = format!("the query {words}");
            Err((message, Some(query.place().clone())))
        };
        let text = query.text();
        if !begins_a_query(text) {
            return refuse("must be one SELECT (or WITH … SELECT, or VALUES)");
        }
        let statement = match db.prepare(text) {
            Ok(statement) => statement,
            Err(Error::MultipleStatement) => {
                return refuse("must be one statement, and there is more behind its `;`");
            }
            Err(error) => {
                let place = match &error {
                    Error::SqlInputError { offset, sql, .. } if sql.len() == text.len() => {
                        let start = usize::try_from(*offset).ok().filter(|at| *at < text.len());
                        start.map(|at| query.place_of(at..at + word_at(text, at)))
                    }
                    _ => None,
                };
                let message = format!("the query: {}", words(&error));
                return Err((
                    message,
                    Some(place.unwrap_or_else(|| query.place().clone())),
                ));
            }
        };
        if !statement.readonly() || statement.column_count() == 0 {
            return refuse("must be one SELECT, which changes nothing");
        }
        if statement.parameter_count() > 0 {
            return refuse("has parameters, and nobody gives them values: write the values out");
        }
        Ok(statement)
    }

    fn read_rows(
        &self,
        db: &Connection,
        columns: &Columns,
        rows: &mut Rows,
    ) -> Result<(), Stopped> {
        let failed = |(message, place)| {
            Stopped::Failed(SourceError {
                place,
                ..self.context.error(message)
            })
        };
        let broken = |error: &Error| failed((format!("the query: {}", words(error)), None));
        let mut statement = self.prepare(db).map_err(failed)?;
        let count = statement.column_count();
        let mut found = statement.query([]).map_err(|error| broken(&error))?;
        let mut number = 0;
        while let Some(row) = found.next().map_err(|error| broken(&error))? {
            number += 1;
            let mut bytes = 0;
            let mut values = Vec::with_capacity(count);
            for at in 0..count {
                let given = row.get_ref(at).map_err(|error| broken(&error))?;
                bytes += length(given);
                values.push(value(given));
            }
            rows.push(row_of(columns, number, values, bytes), bytes + 16 * count)?;
        }
        Ok(())
    }
}

fn row_of(
    columns: &Columns,
    number: u64,
    values: Vec<Result<Value, String>>,
    bytes: usize,
) -> Result<Recipient, InvalidRow> {
    let invalid = |column: Option<usize>, message: String| InvalidRow {
        line: number,
        key: None,
        column: column.map(|at| columns.schema().columns[at].0.clone()),
        message,
    };
    if bytes > LONGEST_ROW {
        return Err(invalid(
            None,
            "the row is longer than any row should be".to_owned(),
        ));
    }
    let mut good = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        good.push(value.map_err(|message| invalid(Some(at), message))?);
    }
    columns.typed_row(number, good)
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

fn value(given: ValueRef<'_>) -> Result<Value, String> {
    Ok(match given {
        ValueRef::Null => Value::Empty,
        ValueRef::Integer(value) => Value::Integer(value),
        // The shortest digits that mean this number: what was written into the database.
        ValueRef::Real(value) => Decimal::from_str_exact(&value.to_string())
            .map(Value::Decimal)
            .map_err(|_| {
                format!("{value:e} has more digits than a decimal can hold exactly (28)")
            })?,
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err("the text is not valid UTF-8".to_owned()),
        },
        ValueRef::Blob(_) => {
            return Err("a blob is no value: leave the column out, or CAST it to TEXT".to_owned());
        }
    })
}

/// What SQLite says, without the query, which has a place of its own.
fn words(error: &Error) -> String {
    match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(failure, message) => {
            let said = message.clone().unwrap_or_else(|| failure.to_string());
            match failure.code {
                rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked => {
                    format!(
                        "{said} (another program has had it for {} seconds)",
                        PATIENCE.as_secs()
                    )
                }
                _ => said,
            }
        }
        other => other.to_string(),
    }
}

/// Whether the first word is that of a query: PRAGMA, ATTACH and EXPLAIN count as reading too.
fn begins_a_query(text: &str) -> bool {
    let mut rest = text.trim_start();
    loop {
        let behind = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map(|(_, behind)| behind)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, behind)| behind)
        } else {
            break;
        };
        rest = behind.unwrap_or_default().trim_start();
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    ["select", "with", "values"].contains(&word.to_ascii_lowercase().as_str())
}

/// How long the word at an offset is.
fn word_at(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let word = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    match word {
        0 => rest.chars().next().map_or(0, char::len_utf8),
        length => length,
    }
}

#[cfg(test)]
mod tests;
