//! `kind = "csv"`: a file of rows with cells between delimiters (RFC 4180, and what programs make of it).
//!
//! A line with nothing on it is skipped, as all readers of CSV do; one with blanks or delimiters only is a row. Everything
//! else that is in the file becomes a recipient or an [`InvalidRow`] with its line.

mod records;
mod settings;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;

use self::{
    records::{ReadError, Record, Records},
    settings::CsvSettings,
};
use super::{
    Batch, Source, SourceConfig, SourceContext, SourceError, SourceKind,
    columns::Columns,
    data_file::DataFile,
    decoded::Decoded,
    stream::{Rows, Stopped, blocking, stream},
};
use crate::model::{FieldType, InvalidRow, Recipient, Schema};

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "csv",
    read: |section| Some(Arc::new(CsvSettings::read(section)?)),
};

impl SourceConfig for CsvSettings {
    fn open(&self, context: &SourceContext) -> Arc<dyn Source> {
        Arc::new(CsvSource {
            settings: self.clone(),
            context: context.clone(),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

#[derive(Clone, Debug)]
struct CsvSource {
    settings: CsvSettings,
    context: SourceContext,
}

#[async_trait]
impl Source for CsvSource {
    async fn describe(&self) -> Result<Schema, SourceError> {
        let source = self.clone();
        let opened = blocking(&self.context, move || source.open()).await?;
        Ok(Schema::clone(opened.columns.schema()))
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        let source = self.clone();
        let mut opened = blocking(&self.context, move || source.open()).await?;
        let context = self.context.clone();
        Ok(stream(&self.context, move |rows| {
            opened.read_rows(&context, rows)
        }))
    }
}

/// The file with its header read.
struct Opened {
    shown: String,
    columns: Columns,
    records: Records<Decoded<DataFile>>,
}

impl CsvSource {
    fn open(&self) -> Result<Opened, String> {
        let settings = &self.settings;
        let shown = settings.path.display().to_string();
        let file = DataFile::open(&self.context.workspace.join(&settings.path), &shown)?;
        let decoded =
            Decoded::new(file, settings.encoding).map_err(|error| format!("{shown}: {error}"))?;
        let mut records = Records::new(decoded, settings.delimiter);
        for _ in 0..settings.skip_lines {
            let skipped = records
                .skip_line()
                .map_err(|error| format!("{shown}: {error}"))?;
            if !skipped {
                break;
            }
        }
        let (names, place) = if let Some(names) = &settings.columns {
            (names.clone(), "`columns`".to_owned())
        } else {
            let header = records
                .read()
                .map_err(|error| describe(&shown, &error))?
                .ok_or_else(|| match settings.skip_lines {
                    0 => format!("{shown}: the file is empty: it has no header"),
                    lines => format!("{shown}: there is no header after the {lines} skipped lines"),
                })?;
            let place = format!("{shown}, line {}", header.line);
            (names(&header, &place)?, place)
        };
        let other = another_delimiter(&names, settings.delimiter);
        let columns = Columns::new(names, &self.context, &place, FieldType::String);
        Ok(Opened {
            columns: columns.map_err(|error| match other {
                Some(delimiter) => format!(
                    "{place}: there is one column only: are its cells separated by another delimiter? Then say delimiter = \"{delimiter}\""
                ),
                None => error,
            })?,
            shown,
            records,
        })
    }
}

impl Opened {
    fn read_rows(&mut self, context: &SourceContext, rows: &mut Rows) -> Result<(), Stopped> {
        let failed = |message| Stopped::Failed(context.error(message));
        loop {
            let record = match self.records.read() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                // Half a file often ends within a quoted cell: say first that it is being written.
                Err(error) => {
                    let file = self.records.input().input();
                    return Err(failed(match file.unchanged() {
                        Err(changed) if matches!(error, ReadError::OpenQuote { .. }) => changed,
                        _ => describe(&self.shown, &error),
                    }));
                }
            };
            rows.push(row(&self.columns, &record), record.bytes())?;
        }
        self.records.input().input().unchanged().map_err(failed)
    }
}

fn row(columns: &Columns, record: &Record<'_>) -> Result<Recipient, InvalidRow> {
    let result = if record.too_long {
        Err(InvalidRow {
            line: record.line,
            key: None,
            column: None,
            message: "the row is longer than any row should be: is a quote not closed?".to_owned(),
        })
    } else {
        let text = std::str::from_utf8(record.text()).ok();
        columns.row(record.line, record.len(), |at| match text {
            Some(text) => text.get(record.range(at)),
            None => std::str::from_utf8(&record.text()[record.range(at)]).ok(),
        })
    };
    // A quote that was opened by mistake swallows rows: whoever looks for them must see which.
    result.map_err(|invalid| InvalidRow {
        message: if record.last_line > record.line {
            format!(
                "{} (the row goes on to line {})",
                invalid.message, record.last_line
            )
        } else {
            invalid.message
        },
        ..invalid
    })
}

/// What seems to stand between the cells of a header that is one cell.
fn another_delimiter(names: &[String], delimiter: u8) -> Option<&'static str> {
    let [only] = names else {
        return None;
    };
    let usual = [(b';', ";"), (b'\t', "tab"), (b'|', "|"), (b',', ",")];
    let mut others = usual.into_iter().filter(|(byte, _)| *byte != delimiter);
    others
        .find(|(byte, _)| only.as_bytes().contains(byte))
        .map(|(_, name)| name)
}

fn names(header: &Record<'_>, place: &str) -> Result<Vec<String>, String> {
    if header.too_long {
        return Err(format!("{place}: the header is too long"));
    }
    (0..header.len())
        .map(|at| match std::str::from_utf8(&header.text()[header.range(at)]) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(_) => Err(format!(
                "{place}: the name of column {} is not valid in the file's encoding: set `encoding`",
                at + 1
            )),
        })
        .collect()
}

fn describe(shown: &str, error: &ReadError) -> String {
    match error {
        ReadError::Io(error) => format!("{shown}: {error}"),
        ReadError::OpenQuote { line } => format!(
            "{shown}: the quoted cell that begins in line {line} is not closed until the end of the file: either the file is \
             cut off, or a quote is missing"
        ),
    }
}
