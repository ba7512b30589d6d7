//! Where recipients come from: one file per kind, behind one trait. Sources never see the store.
//!
//! A new kind is one new file (its settings, how they are read, the [`Source`] itself) and one line in [`KINDS`].

mod cell;
mod columns;
mod csv;
mod custom;
mod data_file;
mod decoded;
mod json;
mod jsonl;
mod lines;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
mod stream;
mod typed;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::model::{InvalidRow, Place, Recipient, Roles, Schema, Section, SourceName};

pub use cell::CellParser;
pub(crate) use custom::{CUSTOM, added, not_added};

/// A source of recipients.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The columns, as of now. Cheap: it reads no rows.
    async fn describe(&self) -> Result<Schema, SourceError>;

    /// Streams all rows, once. An error ends the stream: the source is missing, or changed while it was read.
    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError>;
}

/// Up to [`BATCH_ROWS`] rows in the source's order, each good or with what is wrong with it.
pub type Batch = Vec<Result<Recipient, InvalidRow>>;

/// The most rows a batch has.
pub const BATCH_ROWS: usize = 1024;

/// Why a source can't be read: the run is held, nothing of the plan is kept.
#[derive(Debug, thiserror::Error)]
#[error("source {source_name}: {message}")]
pub struct SourceError {
    /// Which source.
    pub source_name: SourceName,
    /// What happened, with the place where there is one.
    pub message: String,
    /// Where in the settings it is to be mended; `None`: where the source stands.
    pub place: Option<Place>,
}

impl SourceError {
    /// An error of a program's own source, which gets its name where the program adds it.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            source_name: "unnamed".parse().expect("it is a name"),
            message: message.into(),
            place: None,
        }
    }
}

/// The settings of one kind of source, checked; opens the source.
pub trait SourceConfig: std::fmt::Debug + Send + Sync + 'static {
    /// The source. Opening reads nothing.
    fn open(&self, context: &SourceContext) -> Arc<dyn Source>;

    /// The files that it reads, relative to the workspace; empty where it reads none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The SQLite database that it reads, where it reads one: what `[after] update` changes.
    fn database(&self, _: &SourceContext) -> Option<PathBuf> {
        None
    }
}

/// What every kind of source is given.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The source's name in the settings.
    pub name: SourceName,
    /// The workspace's folder: relative paths start there.
    pub workspace: PathBuf,
    /// Which columns have a meaning.
    pub roles: Roles,
    /// The declared types, by column; a column not named is a string, or of the type that each value has.
    pub fields: Vec<(String, FieldFormat)>,
}

impl SourceContext {
    /// An error of this source.
    pub fn error(&self, message: impl Into<String>) -> SourceError {
        SourceError {
            source_name: self.name.clone(),
            message: message.into(),
            place: None,
        }
    }

    /// How a column is written: as declared, else as a string.
    pub fn format_of(&self, column: &str) -> FieldFormat {
        self.declared(column).cloned().unwrap_or_default()
    }

    /// How a column is declared, where it is.
    pub fn declared(&self, column: &str) -> Option<&FieldFormat> {
        let mut fields = self.fields.iter();
        fields
            .find(|(name, _)| name == column)
            .map(|(_, format)| format)
    }
}

/// A declared column: its type, and how it is written where that is not the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldFormat {
    /// The type.
    pub kind: crate::model::FieldType,
    /// For dates and datetimes that are not ISO 8601: a strftime pattern such as `%d.%m.%Y`.
    pub format: Option<String>,
}

/// A kind of source: its name in `kind =`, and how its own keys are read from its table.
pub struct SourceKind {
    /// The name.
    pub name: &'static str,
    /// Reads the keys that only this kind has; records what is wrong and gives `None` then.
    pub read: fn(&Section<'_>) -> Option<Arc<dyn SourceConfig>>,
}

/// Whether this build can read and change SQLite databases.
pub(crate) const HAS_SQLITE: bool = cfg!(feature = "sqlite");

/// All kinds that this build has.
pub const KINDS: &[SourceKind] = &[
    csv::KIND,
    custom::KIND,
    jsonl::KIND,
    #[cfg(feature = "sqlite")]
    sqlite::KIND,
];
