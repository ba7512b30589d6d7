//! The recipients of a `[[test]]`: cells as they are written become a row of the campaign's source.

mod file;

use std::{path::Path, sync::Arc};

use crate::{
    model::{
        Campaign, CampaignTest, Diagnostic, Diagnostics, FieldType, Recipient, Schema, SourceName,
        TestCell, TestRecipient, TestRecipients, Value,
    },
    source::{CellParser, FieldFormat, SourceContext},
    workspace::Settings,
};

/// The key of a recipient whose key is left out.
const NAMELESS: &str = "test";

/// A source as a test knows it: its name, what the settings say of it, and its columns.
pub struct TestSource<'a> {
    /// What the settings say.
    pub context: &'a SourceContext,
    /// The columns as they are now.
    pub schema: &'a Arc<Schema>,
}

/// One recipient of a test.
#[derive(Clone, Debug)]
pub struct TestPerson {
    /// Where it stands, where the test has several: `people.csv:3`.
    pub at: Option<String>,
    /// The recipient, as its source would have given it.
    pub recipient: Recipient,
}

/// The recipients of a test, or all that is wrong with them. Reads the test's file, where it has one.
pub fn test_recipients(
    test: &CampaignTest,
    source: &TestSource<'_>,
    workspace: &Path,
) -> Result<Vec<TestPerson>, Diagnostics> {
    match &test.recipients {
        TestRecipients::Inline(written) => {
            let recipient = recipient(written, source)?;
            Ok(vec![TestPerson {
                at: None,
                recipient,
            }])
        }
        TestRecipients::File(named) => file::read(named, source, workspace),
    }
}

/// The source that a test's recipients are of.
pub fn source_of<'a>(campaign: &'a Campaign, test: &'a CampaignTest) -> Option<&'a SourceName> {
    test.source
        .as_ref()
        .or_else(|| campaign.audience.sources.first())
}

/// What is wrong with the recipients of a campaign's tests, as far as its files tell. A file that tests name and that is not
/// there is a warning: it is data, and no run needs it.
pub(super) fn check<'a>(
    campaign: &Campaign,
    settings: &Settings,
    schema_of: impl Fn(&SourceName) -> Option<&'a Arc<Schema>>,
    workspace: &Path,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    for test in &campaign.tests {
        let Some(name) = source_of(campaign, test) else {
            continue;
        };
        let (Some(schema), Some(source)) = (schema_of(name), settings.sources.get(name)) else {
            continue;
        };
        match &test.recipients {
            TestRecipients::Inline(written) => {
                let source = TestSource {
                    context: &source.context,
                    schema,
                };
                if let Err(wrong) = recipient(written, &source) {
                    found.extend(wrong);
                }
            }
            TestRecipients::File(file) if !workspace.join(&file.path).is_file() => {
                found.push(
                    Diagnostic::warning(
                        "no-such-file",
                        file.place.clone(),
                        format!("there is no file {}: the test will fail", file.path),
                    )
                    .help("paths are relative to this file"),
                );
            }
            TestRecipients::File(_) => {}
        }
    }
    found
}

/// A recipient of cells.
fn recipient(written: &TestRecipient, source: &TestSource<'_>) -> Result<Recipient, Diagnostics> {
    let schema = source.schema;
    let mut found = Diagnostics::new();
    let mut values = Vec::with_capacity(schema.columns.len());
    for (column, kind) in &schema.columns {
        let cell = written.cells.iter().find(|cell| cell.column == *column);
        let parser = parser(source.context, column, *kind);
        let empty = Value::Empty;
        let value = cell.map_or(&empty, |cell| &cell.value);
        match parser.and_then(|parser| typed(&parser, value)) {
            Ok(value) => values.push(value),
            Err(words) => {
                let place = cell.map_or(&written.place, |cell| &cell.place).clone();
                let message = format!("column {column:?}: {words}");
                found.push(Diagnostic::error("wrong-value", place, message));
            }
        }
    }
    for cell in &written.cells {
        if schema.position(&cell.column).is_none() {
            found.push(unknown_field(cell, schema));
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let position = schema.position(&schema.roles.key);
    let mut key = position.map_or_else(String::new, |at| values[at].to_string().trim().to_owned());
    if key.is_empty() {
        NAMELESS.clone_into(&mut key);
        if let Some(at) = position
            && let Ok(parser) = parser(source.context, &schema.roles.key, schema.columns[at].1)
        {
            values[at] = parser.parse(NAMELESS).unwrap_or_default();
        }
    }
    Ok(Recipient {
        source: source.context.name.clone(),
        schema: schema.clone(),
        key,
        values,
    })
}

fn unknown_field(cell: &TestCell, schema: &Schema) -> Diagnostic {
    let listed: Vec<_> = schema.names().take(20).collect();
    let more = if schema.columns.len() > listed.len() {
        ", …"
    } else {
        ""
    };
    Diagnostic::error(
        "unknown-field",
        cell.column_place.clone(),
        format!("the source has no field `{}`", cell.column),
    )
    .help(format!("it has {}{more}", listed.join(", ")))
    .did_you_mean(&cell.column, schema.names())
}

/// How cells of a column are read.
fn parser(context: &SourceContext, column: &str, kind: FieldType) -> Result<CellParser, String> {
    let declared = context.format_of(column);
    CellParser::new(&FieldFormat {
        kind,
        format: declared.format.filter(|_| declared.kind == kind),
    })
}

/// The value of a cell in a column: a text is read as the source reads it, another value must be of the column's type.
fn typed(parser: &CellParser, value: &Value) -> Result<Value, String> {
    let kind = parser.kind();
    Ok(match (kind, value) {
        // Of sources whose values have types of their own.
        (FieldType::Any, value) => value.clone(),
        (_, Value::Text(text)) => return parser.parse(text),
        (_, Value::Empty) => return parser.parse(""),
        (FieldType::Decimal, Value::Integer(number)) => Value::Decimal((*number).into()),
        (FieldType::List, Value::List(values)) => Value::List(values.iter().map(part).collect()),
        (FieldType::String, Value::List(_) | Value::Map(_)) => {
            return Err(other_type(kind, value));
        }
        (FieldType::String, value) => Value::Text(value.to_string()),
        (FieldType::Integer, Value::Integer(_))
        | (FieldType::Decimal, Value::Decimal(_))
        | (FieldType::Boolean, Value::Boolean(_))
        | (FieldType::Date, Value::Date(_))
        | (FieldType::Datetime, Value::DateTime(_)) => value.clone(),
        _ => return Err(other_type(kind, value)),
    })
}

/// A part of a list, which is text as the source has it.
fn part(value: &Value) -> Value {
    match value {
        Value::List(_) | Value::Map(_) => value.clone(),
        scalar => Value::Text(scalar.to_string()),
    }
}

fn other_type(kind: FieldType, value: &Value) -> String {
    let article = if kind == FieldType::Integer {
        "an"
    } else {
        "a"
    };
    format!(
        "this is of type {}, and the source has {article} {kind} there",
        value.type_name()
    )
}
