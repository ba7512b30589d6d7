//! What schemas are built of.

use serde_json::{Map, Value, json};

/// A key of a table: its name, what it may be, and what it means.
pub(super) type Key = (&'static str, Value, &'static str);

/// How a length of time is written.
const PERIOD: &str = r"^[0-9]+\s*(s|m|min|h|d|w|mo|y)$";

/// A table with these keys and no others.
pub(super) fn table(required: &[&str], keys: impl IntoIterator<Item = Key>) -> Value {
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|(name, mut shape, about)| {
            if let Some(shape) = shape.as_object_mut() {
                shape.insert("description".to_owned(), about.into());
            }
            (name.to_owned(), shape)
        })
        .collect();
    let mut table = json!({
        "type": "object", "properties": properties, "additionalProperties": false,
    });
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

/// A table whose keys are names.
pub(super) fn named(shape: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": shape })
}

/// A table whose other keys go by its `kind`.
pub(super) fn of_kind(kinds: impl IntoIterator<Item = Value>) -> Value {
    one_of(kinds)
}

pub(super) fn one_of(shapes: impl IntoIterator<Item = Value>) -> Value {
    json!({ "oneOf": shapes.into_iter().collect::<Vec<_>>() })
}

pub(super) fn list(shape: &Value) -> Value {
    json!({ "type": "array", "items": shape })
}

/// A list that is not empty.
pub(super) fn some(shape: &Value) -> Value {
    json!({ "type": "array", "items": shape, "minItems": 1 })
}

pub(super) fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

pub(super) fn line() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\r\n]*$" })
}

pub(super) fn boolean(default: bool) -> Value {
    json!({ "type": "boolean", "default": default })
}

pub(super) fn any_boolean() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn whole(least: u64, most: Option<u64>, default: Option<u64>) -> Value {
    let mut shape = json!({ "type": "integer", "minimum": least });
    if let Some(most) = most {
        shape["maximum"] = most.into();
    }
    if let Some(default) = default {
        shape["default"] = default.into();
    }
    shape
}

/// One of these words; the first is the default where `has_default`.
pub(super) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "type": "string", "enum": words.into_iter().collect::<Vec<_>>() })
}

pub(super) fn with_default(mut shape: Value, default: &str) -> Value {
    shape["default"] = default.into();
    shape
}

pub(super) fn pattern(pattern: &str, example: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "examples": [example] })
}

pub(super) fn period(example: &str) -> Value {
    pattern(PERIOD, example)
}

pub(super) fn rate(example: &str) -> Value {
    pattern(r"^[0-9_]+\s*/\s*([0-9]+\s*)?(s|m|min|h|d|w|mo|y)$", example)
}

pub(super) fn share(example: &str) -> Value {
    pattern(r"^[0-9]+(\.[0-9]+)?\s*%$", example)
}

pub(super) fn email() -> Value {
    pattern(r"^\s*[^@\s]+@[^@\s]+\s*$", "news@acme.example")
}

pub(super) fn mailbox() -> Value {
    pattern(r"@", "Acme Energy <news@acme.example>")
}

pub(super) fn rhai() -> Value {
    text()
}

/// A moment, a date or a time of day: as TOML has it, which editors know by these formats, or quoted.
pub(super) fn moment(formats: &[&str], quoted: &str) -> Value {
    let bare = formats
        .iter()
        .map(|format| json!({ "type": "string", "format": format }));
    let quoted = json!({ "type": "string", "pattern": quoted });
    json!({ "anyOf": bare.chain([quoted]).collect::<Vec<_>>() })
}

/// A date.
pub(super) fn date() -> Value {
    moment(&["date"], r"^\s*\d{4}-\d\d-\d\d\s*$")
}

/// Where a secret is: never the secret itself.
pub(super) fn secret() -> Value {
    one_of([
        table(
            &["env"],
            [("env", text(), "The environment variable that holds it")],
        ),
        table(
            &["file"],
            [(
                "file",
                text(),
                "The file that holds it, relative to this one",
            )],
        ),
    ])
}

/// The same, where what is missing stands in another file.
pub(super) fn partial(shape: Value) -> Value {
    match shape {
        Value::Object(words) => words
            .into_iter()
            .filter(|(word, _)| word != "required")
            // With nothing required, a table may be of several kinds.
            .map(|(word, rule)| match word.as_str() {
                "oneOf" => ("anyOf".to_owned(), partial(rule)),
                _ => (word, partial(rule)),
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(values) => values.into_iter().map(partial).collect(),
        other => other,
    }
}

/// `kind = "…"`.
pub(super) fn kind(name: &'static str) -> Key {
    ("kind", words([name]), "What kind it is")
}
