//! `recipients_file`: a recipient a row, of a CSV file or one with a JSON object a line.

use std::{collections::HashSet, fs::File, io::Read, path::Path};

use super::{TestPerson, TestSource, recipient, unknown_field};
use crate::{
    model::{
        Diagnostic, Diagnostics, Place, SourceFile, TestCell, TestFile, TestFileFormat,
        TestRecipient, Value,
    },
    workspace::MAX_FILE_BYTES,
};

/// The most rows a file of tests has.
const MOST: usize = 10_000;
/// What is wrong is shown for so many rows.
const SHOWN: usize = 10;

/// The recipients in a file, or what is wrong with it.
pub(super) fn read(
    named: &TestFile,
    source: &TestSource<'_>,
    workspace: &Path,
) -> Result<Vec<TestPerson>, Diagnostics> {
    let text = text(&workspace.join(&named.path)).map_err(|words| {
        one(Diagnostic::error(
            "unreadable-file",
            named.place.clone(),
            format!("{}: {words}", named.path),
        ))
    })?;
    let file = SourceFile::new(named.path.as_str(), text);
    let rows = match named.format {
        TestFileFormat::Csv => csv(&file, source),
        TestFileFormat::JsonLines => json_lines(&file),
    }?;
    if rows.is_empty() {
        let message = "this file has no recipient";
        return Err(one(Diagnostic::error(
            "wrong-value",
            Place::start_of(&file),
            message,
        )));
    }
    let mut people = Vec::with_capacity(rows.len());
    let mut wrong = Diagnostics::new();
    for row in rows {
        let (line, _) = row.place.line_column();
        match recipient(&row, source) {
            Ok(recipient) => people.push(TestPerson {
                at: Some(format!("{}:{line}", named.path)),
                recipient,
            }),
            Err(found) if wrong.len() < SHOWN => wrong.extend(found),
            Err(_) => {}
        }
    }
    if wrong.is_empty() {
        Ok(people)
    } else {
        Err(wrong)
    }
}

fn one(diagnostic: Diagnostic) -> Diagnostics {
    let mut found = Diagnostics::new();
    found.push(diagnostic);
    found
}

/// The text of a file, which is bounded: what is larger is an audience, not a test.
fn text(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("it has more than {} MiB", MAX_FILE_BYTES >> 20));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn too_many(file: &SourceFile) -> Diagnostics {
    one(Diagnostic::error(
        "wrong-value",
        Place::start_of(file),
        format!("this file has more than {MOST} recipients"),
    ))
}

/// Between cells stands what the header has between its names.
fn csv(file: &SourceFile, source: &TestSource<'_>) -> Result<Vec<TestRecipient>, Diagnostics> {
    let first = file.text().lines().next().unwrap_or_default();
    let delimiter = [',', ';', '\t']
        .into_iter()
        .find(|c| first.contains(*c))
        .unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter as u8)
        .flexible(true)
        .has_headers(false)
        .from_reader(file.text().as_bytes());
    let mut record = csv::StringRecord::new();
    let mut header: Option<(Vec<String>, Place)> = None;
    let mut rows = Vec::new();
    loop {
        let begin = reader.position().byte() as usize;
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let place = Place::new(file, begin..begin);
                let message = error.to_string();
                return Err(one(Diagnostic::error("wrong-value", place, message)));
            }
        }
        let begin = record
            .position()
            .map_or(begin, |position| position.byte() as usize);
        let end = reader.position().byte() as usize;
        let text = file.text().get(begin..end).unwrap_or_default();
        let skipped = text.len() - text.trim_start_matches(['\r', '\n']).len();
        let length = text.trim_end_matches(['\r', '\n']).len();
        let place = Place::new(file, begin + skipped..begin + length.max(skipped));
        let Some((columns, _)) = &header else {
            header = Some((columns(&record, &place, source)?, place));
            continue;
        };
        if record.len() != columns.len() {
            let message = format!(
                "the row has {} cells instead of {}",
                record.len(),
                columns.len()
            );
            return Err(one(Diagnostic::error("wrong-value", place, message)));
        }
        if rows.len() == MOST {
            return Err(too_many(file));
        }
        let cells = columns
            .iter()
            .zip(record.iter())
            .map(|(column, text)| TestCell {
                column: column.clone(),
                column_place: place.clone(),
                value: Value::from(text),
                place: place.clone(),
            });
        rows.push(TestRecipient {
            cells: cells.collect(),
            place: place.clone(),
        });
    }
    Ok(rows)
}

/// The names of the columns: each once, and one of the source's.
fn columns(
    record: &csv::StringRecord,
    place: &Place,
    source: &TestSource<'_>,
) -> Result<Vec<String>, Diagnostics> {
    let mut wrong = Diagnostics::new();
    let mut seen = HashSet::new();
    let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    for name in &names {
        if !seen.insert(name) {
            let message = format!("two columns have the name {name:?}");
            wrong.push(Diagnostic::error("wrong-value", place.clone(), message));
        } else if source.schema.position(name).is_none() {
            let cell = TestCell {
                column: name.clone(),
                column_place: place.clone(),
                value: Value::Empty,
                place: place.clone(),
            };
            wrong.push(unknown_field(&cell, source.schema));
        }
    }
    if wrong.is_empty() {
        Ok(names)
    } else {
        Err(wrong)
    }
}

fn json_lines(file: &SourceFile) -> Result<Vec<TestRecipient>, Diagnostics> {
    let mut rows = Vec::new();
    let mut begin = 0;
    for line in file.text().split_inclusive('\n') {
        let place = Place::new(file, begin..begin + line.trim_end().len());
        begin += line.len();
        if line.trim().is_empty() {
            continue;
        }
        if rows.len() == MOST {
            return Err(too_many(file));
        }
        let object = match serde_json::from_str::<serde_json::Value>(line) {
            Ok(serde_json::Value::Object(object)) => object,
            Ok(_) => {
                let message = "a line must be a JSON object";
                return Err(one(Diagnostic::error("wrong-value", place, message)));
            }
            Err(error) => {
                let at = place.span.start + error.column().saturating_sub(1).min(line.len());
                let place = Place::new(file, at..at);
                let message = error.to_string();
                return Err(one(Diagnostic::error("wrong-value", place, message)));
            }
        };
        let cells = object.into_iter().map(|(column, value)| TestCell {
            column,
            column_place: place.clone(),
            value: of_json(value),
            place: place.clone(),
        });
        rows.push(TestRecipient {
            cells: cells.collect(),
            place: place.clone(),
        });
    }
    Ok(rows)
}

fn of_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Empty,
        serde_json::Value::Bool(value) => Value::Boolean(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => match number.to_string().parse() {
                Ok(decimal) => Value::Decimal(decimal),
                Err(_) => Value::Text(number.to_string()),
            },
        },
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(values) => Value::List(values.into_iter().map(of_json).collect()),
        serde_json::Value::Object(object) => Value::Map(
            object
                .into_iter()
                .map(|(key, value)| (key, of_json(value)))
                .collect(),
        ),
    }
}
