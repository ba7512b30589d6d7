//! Sources that an embedding program adds, and `kind = "custom"`, which says in the settings that one is added.
//!
//! What comes from a program's own source is looked at like everything that comes from outside: each row must fit the schema
//! that the source describes.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};

use super::{BATCH_ROWS, Batch, Source, SourceConfig, SourceContext, SourceError, SourceKind};
use crate::model::{FieldType, InvalidRow, Recipient, Schema, Value};

/// A longer key is a mistake.
const LONGEST_KEY: usize = 1000;

/// Lists and maps within each other: whoever takes a value apart does so by recursion.
const DEEPEST: u8 = 32;

/// The kind: it has no keys of its own, as the source itself describes its columns and their roles.
pub(super) const KIND: SourceKind = SourceKind {
    name: CUSTOM,
    read: |_| Some(not_added()),
};

/// A source of the kind that nobody has added.
pub(crate) fn not_added() -> Arc<dyn SourceConfig> {
    Arc::new(Custom { added: None })
}

/// The name of the kind.
pub(crate) const CUSTOM: &str = "custom";

/// A source that a program adds.
pub(crate) fn added(source: Arc<dyn Source>) -> Arc<dyn SourceConfig> {
    Arc::new(Custom {
        added: Some(source),
    })
}

struct Custom {
    added: Option<Arc<dyn Source>>,
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Custom")
    }
}

impl SourceConfig for Custom {
    fn open(&self, context: &SourceContext) -> Arc<dyn Source> {
        let context = context.clone();
        match &self.added {
            Some(source) => Arc::new(Checked {
                source: source.clone(),
                context,
            }),
            None => Arc::new(Absent(context)),
        }
    }
}

/// Declared in the settings, and nobody added it.
struct Absent(SourceContext);

impl Absent {
    fn error(&self) -> SourceError {
        self.0.error(
            "it is added by a program that embeds Campanile, and this program does not add it",
        )
    }
}

#[async_trait]
impl Source for Absent {
    async fn describe(&self) -> Result<Schema, SourceError> {
        Err(self.error())
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        Err(self.error())
    }
}

/// A program's own source, whose rows are looked at.
struct Checked {
    source: Arc<dyn Source>,
    context: SourceContext,
}

#[async_trait]
impl Source for Checked {
    async fn describe(&self) -> Result<Schema, SourceError> {
        let named = |error: SourceError| self.context.error(error.message);
        let schema = self.source.describe().await.map_err(named)?;
        is_sound(&schema).map_err(|problem| self.context.error(problem))?;
        Ok(schema)
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        let schema = Arc::new(self.describe().await?);
        let context = self.context.clone();
        let named = move |error: SourceError| context.error(error.message);
        let batches = self.source.read().await.map_err(named.clone())?;
        let (context, mut rows) = (self.context.clone(), 0_u64);
        let checked = batches.flat_map(move |batch| {
            let batches: Vec<Result<Batch, SourceError>> = match batch {
                Ok(batch) => {
                    let mut checked = batch.into_iter().map(|row| {
                        rows += 1;
                        row.and_then(|row| fitting(row, rows, &schema, &context))
                    });
                    let mut batches = Vec::new();
                    loop {
                        let batch: Batch = checked.by_ref().take(BATCH_ROWS).collect();
                        if batch.is_empty() {
                            break batches;
                        }
                        batches.push(Ok(batch));
                    }
                }
                Err(error) => vec![Err(named(error))],
            };
            futures::stream::iter(batches)
        });
        Ok(checked.boxed())
    }
}

/// Whether every column has one name and every role a column.
fn is_sound(schema: &Schema) -> Result<(), String> {
    let names: Vec<&str> = schema.names().collect();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", at + 1));
        }
        if names[..at].contains(name) {
            return Err(format!("two columns have the name {name:?}"));
        }
    }
    let roles = &schema.roles;
    let columns = [
        ("key", Some(&roles.key)),
        ("email", roles.email.as_ref()),
        ("phone", roles.phone.as_ref()),
        ("postal", roles.postal.as_ref()),
        ("locale", roles.locale.as_ref()),
        ("timezone", roles.timezone.as_ref()),
        ("preferred_channel", roles.preferred_channel.as_ref()),
    ];
    for (role, column) in columns {
        if let Some(column) = column
            && !names.contains(&column.as_str())
        {
            return Err(format!(
                "it says that the column {column:?} is the {role}, and describes no such column"
            ));
        }
    }
    Ok(())
}

/// A row under the described schema, or what does not fit.
fn fitting(
    row: Recipient,
    number: u64,
    schema: &Arc<Schema>,
    context: &SourceContext,
) -> Result<Recipient, InvalidRow> {
    let key = row.key.trim();
    let invalid = |column: Option<&str>, message: String| InvalidRow {
        line: number,
        key: (!key.is_empty() && key.len() <= LONGEST_KEY).then(|| key.to_owned()),
        column: column.map(str::to_owned),
        message,
    };
    if !Arc::ptr_eq(&row.schema, schema) && row.schema.columns != schema.columns {
        let message = "the row has other columns than the source describes";
        return Err(invalid(None, message.to_owned()));
    }
    if row.values.len() != schema.columns.len() {
        let message = format!(
            "the row has {} values instead of {}",
            row.values.len(),
            schema.columns.len()
        );
        return Err(invalid(None, message));
    }
    if key.is_empty() {
        return Err(invalid(
            Some(&schema.roles.key),
            "the key is empty".to_owned(),
        ));
    }
    if key.len() > LONGEST_KEY {
        let message = format!("the key is longer than {LONGEST_KEY} bytes");
        return Err(invalid(Some(&schema.roles.key), message));
    }
    let mut values = Vec::with_capacity(row.values.len());
    for ((name, kind), value) in schema.columns.iter().zip(row.values) {
        let given = value.type_name();
        let value = of_type(*kind, value).ok_or_else(|| {
            let message = format!("the value is of type {given}, and the column of type {kind}");
            invalid(Some(name), message)
        })?;
        values.push(value);
    }
    Ok(Recipient {
        source: context.name.clone(),
        schema: Arc::clone(schema),
        key: key.to_owned(),
        values,
    })
}

/// A value as a column of this type holds it.
fn of_type(kind: FieldType, value: Value) -> Option<Value> {
    Some(match (kind, value) {
        (FieldType::String, Value::Empty) => Value::Text(String::new()),
        (FieldType::List, Value::Empty) => Value::List(Vec::new()),
        (_, Value::Empty) => Value::Empty,
        (FieldType::Decimal, Value::Integer(value)) => Value::Decimal(value.into()),
        (FieldType::String, value @ Value::Text(_))
        | (FieldType::Integer, value @ Value::Integer(_))
        | (FieldType::Decimal, value @ Value::Decimal(_))
        | (FieldType::Boolean, value @ Value::Boolean(_))
        | (FieldType::Date, value @ Value::Date(_))
        | (FieldType::Datetime, value @ Value::DateTime(_)) => value,
        (FieldType::List, value @ Value::List(_)) | (FieldType::Any, value)
            if is_shallow(&value, DEEPEST) =>
        {
            value
        }
        _ => return None,
    })
}

fn is_shallow(value: &Value, levels: u8) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return false;
    };
    match value {
        Value::List(values) => values.iter().all(|value| is_shallow(value, levels)),
        Value::Map(map) => map.values().all(|value| is_shallow(value, levels)),
        _ => true,
    }
}
