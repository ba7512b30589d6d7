//! `kind = "jsonl"`: a file with one JSON object a line, in UTF-8. Nested objects and arrays are maps and lists of scripts.
//!
//! The columns are the declared fields and the keys of the first lines. A key that an object lacks, or whose value is `null`, is
//! an empty cell; one that turns up only after the first lines is passed over, as nothing could refer to it.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use encoding_rs::UTF_8;
use futures::stream::BoxStream;

use super::{
    Batch, Source, SourceConfig, SourceContext, SourceError, SourceKind,
    columns::Columns,
    data_file::DataFile,
    decoded::Decoded,
    json::{self, TWICE},
    lines::{Line, Lines},
    stream::{Rows, Stopped, blocking, stream},
};
use crate::model::{FieldType, InvalidRow, Recipient, Schema, Section, Value};

/// How many lines are looked at to find the columns.
const LOOK_LINES: usize = 1_000;
/// And how many bytes.
const LOOK_BYTES: usize = 4 << 20;
/// More columns are a mistake: keys that are data.
const MOST_COLUMNS: usize = 1_000;

/// The kind.
pub(super) const KIND: SourceKind = SourceKind {
    name: "jsonl",
    read: |section| Some(Arc::new(JsonlSettings::read(section)?)),
};

/// `path`.
#[derive(Clone, Debug)]
struct JsonlSettings {
    /// Relative to the workspace.
    path: PathBuf,
}

impl JsonlSettings {
    fn read(section: &Section<'_>) -> Option<Self> {
        let path: PathBuf = section.require("path")?;
        Some(Self {
            path: section.file().folder().join(path),
        })
    }
}

impl SourceConfig for JsonlSettings {
    fn open(&self, context: &SourceContext) -> Arc<dyn Source> {
        Arc::new(JsonlSource {
            settings: self.clone(),
            context: context.clone(),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

#[derive(Clone, Debug)]
struct JsonlSource {
    settings: JsonlSettings,
    context: SourceContext,
}

#[async_trait]
impl Source for JsonlSource {
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

/// The file at its start, with its columns known.
struct Opened {
    shown: String,
    columns: Columns,
    lines: Lines<Decoded<DataFile>>,
}

impl JsonlSource {
    fn open(&self) -> Result<Opened, String> {
        let shown = self.settings.path.display().to_string();
        let failed = |error: std::io::Error| format!("{shown}: {error}");
        let path = self.context.workspace.join(&self.settings.path);
        let file = DataFile::open(&path, &shown)?;
        let mut lines = Lines::new(Decoded::new(file, UTF_8).map_err(failed)?);
        let (names, any) = self.look(&mut lines, &shown)?;
        let mut file = lines.into_input().into_input();
        file.rewind().map_err(failed)?;
        let place = format!("{shown}, in its first lines");
        let columns = if any {
            Columns::new(names, &self.context, &place, FieldType::Any)?
        } else {
            // Nobody is in it: what the settings name stands for its columns.
            let with_roles = self.context.roles.columns();
            let names = with_roles.chain(names.iter().map(String::as_str));
            let mut unique: Vec<String> = Vec::new();
            for name in names {
                if !unique.iter().any(|known| known == name) {
                    unique.push(name.to_owned());
                }
            }
            Columns::new(unique, &self.context, &place, FieldType::Any)?
        };
        Ok(Opened {
            columns,
            lines: Lines::new(Decoded::new(file, UTF_8).map_err(failed)?),
            shown,
        })
    }

    /// The declared fields and the keys of the first lines; whether there was an object at all.
    fn look(
        &self,
        lines: &mut Lines<Decoded<DataFile>>,
        shown: &str,
    ) -> Result<(Vec<String>, bool), String> {
        let mut names: Vec<String> = Vec::new();
        let (mut any, mut looked_at, mut bytes) = (false, 0, 0);
        while looked_at < LOOK_LINES && bytes < LOOK_BYTES {
            let line = lines.read().map_err(|error| format!("{shown}: {error}"))?;
            let Some(line) = line else { break };
            let Some(text) = line.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
                looked_at += 1;
                continue;
            };
            let trimmed = text.trim();
            if trimmed.is_empty() {
                continue;
            }
            if looked_at == 0 && (trimmed.starts_with('[') || trimmed == "{") {
                return Err(format!(
                    "{shown}, line {}: the file must have one object a line, and this begins a value of several lines; \
                     `jq -c '.[]'` makes lines of an array",
                    line.number
                ));
            }
            looked_at += 1;
            bytes += text.len();
            let mut found = Vec::new();
            let read = json::object(text, |key, _| {
                found.push(key.into_owned());
                Ok(())
            });
            // What is wrong with the line is said when its row is read.
            if read.is_ok() {
                any = true;
                for key in found {
                    if !key.is_empty() && !names.contains(&key) {
                        names.push(key);
                    }
                }
            }
            if names.len() > MOST_COLUMNS {
                return Err(format!(
                    "{shown}: the objects have more than {MOST_COLUMNS} different keys: what varies belongs into a nested object"
                ));
            }
        }
        for (declared, _) in &self.context.fields {
            if !names.contains(declared) {
                names.push(declared.clone());
            }
        }
        Ok((names, any))
    }
}

impl Opened {
    fn read_rows(&mut self, context: &SourceContext, rows: &mut Rows) -> Result<(), Stopped> {
        let failed = |message| Stopped::Failed(context.error(message));
        loop {
            let line = self.lines.read();
            let line = line.map_err(|error| failed(format!("{}: {error}", self.shown)))?;
            let Some(line) = line else { break };
            if line
                .bytes
                .is_some_and(|bytes| bytes.trim_ascii().is_empty())
            {
                continue;
            }
            let bytes = line.bytes.map_or(0, <[u8]>::len);
            rows.push(row(&self.columns, &line), bytes)?;
        }
        self.lines.input().input().unchanged().map_err(failed)
    }
}

fn row(columns: &Columns, line: &Line<'_>) -> Result<Recipient, InvalidRow> {
    let invalid = |message: String| InvalidRow {
        line: line.number,
        key: None,
        column: None,
        message,
    };
    let bytes = line
        .bytes
        .ok_or_else(|| invalid("the line is longer than any line should be".to_owned()))?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        invalid(format!(
            "character {}: bytes that are not valid UTF-8",
            before.chars().count() + 1
        ))
    })?;
    let mut values: Vec<Option<Value>> = vec![None; columns.schema().columns.len()];
    json::object(text, |key, value| {
        if let Some(at) = columns.position(&key)
            && values[at].replace(value).is_some()
        {
            return Err(TWICE.to_owned());
        }
        Ok(())
    })
    .map_err(|wrong| {
        let column = text[..wrong.at].chars().count() + 1;
        invalid(format!("character {column}: {}", wrong.message))
    })?;
    columns.typed_row(
        line.number,
        values.into_iter().map(Option::unwrap_or_default).collect(),
    )
}

#[cfg(test)]
mod tests;
