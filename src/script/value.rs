//! Between our values and Rhai's.

use chrono::{DateTime, FixedOffset, NaiveDate};
use rhai::{Array, Dynamic, Map};
use rust_decimal::Decimal;

use super::record::{Record, RunRecord};
use crate::model::Value;

/// A date as scripts see it.
pub(super) type Date = NaiveDate;

/// A moment as scripts see it.
pub(super) type Moment = DateTime<FixedOffset>;

/// What a value is, once.
pub(super) enum Kind {
    Empty,
    Boolean(bool),
    Integer(i64),
    Decimal(Decimal),
    Date(Date),
    Moment(Moment),
    Text,
    List,
    Map,
    Other,
}

impl Kind {
    pub(super) fn of(value: &Dynamic) -> Self {
        if value.is_string() || value.is_char() {
            Self::Text
        } else if let Ok(value) = value.as_int() {
            Self::Integer(value)
        } else if let Ok(value) = value.as_decimal() {
            Self::Decimal(value)
        } else if let Ok(value) = value.as_bool() {
            Self::Boolean(value)
        } else if value.is_unit() {
            Self::Empty
        } else if value.is_array() {
            Self::List
        } else if value.is_map() {
            Self::Map
        } else if let Some(value) = value.read_lock::<Date>() {
            Self::Date(*value)
        } else if let Some(value) = value.read_lock::<Moment>() {
            Self::Moment(*value)
        } else {
            Self::Other
        }
    }
}

/// The type's name as errors show it.
pub(super) fn type_name(value: &Dynamic) -> &'static str {
    match Kind::of(value) {
        Kind::Empty => "empty",
        Kind::Boolean(_) => "boolean",
        Kind::Integer(_) => "integer",
        Kind::Decimal(_) => "decimal",
        Kind::Date(_) => "date",
        Kind::Moment(_) => "datetime",
        Kind::Text => "string",
        Kind::List => "list",
        Kind::Map => "map",
        Kind::Other if value.is_fnptr() => "closure",
        Kind::Other if value.is::<Record>() => "recipient",
        Kind::Other if value.is::<RunRecord>() => "run",
        Kind::Other => "range",
    }
}

/// With its article: `a date`, `an integer`, `an empty value`.
pub(super) fn a_type(value: &Dynamic) -> &'static str {
    match type_name(value) {
        "empty" => "an empty value",
        "boolean" => "a boolean",
        "integer" => "an integer",
        "decimal" => "a decimal",
        "date" => "a date",
        "datetime" => "a datetime",
        "string" => "a string",
        "list" => "a list",
        "map" => "a map",
        "closure" => "a closure",
        "recipient" => "a recipient",
        "run" => "the run",
        _ => "a range",
    }
}

/// The text of a string (or of one character of it).
pub(super) fn text(value: &Dynamic) -> Option<String> {
    match value.as_char() {
        Ok(c) => Some(c.to_string()),
        Err(_) => value
            .as_immutable_string_ref()
            .ok()
            .map(|text| text.as_str().to_owned()),
    }
}

/// What a single value looks like within a text; `None` for empty values, lists, maps and what has no value.
pub(super) fn shown(value: &Dynamic) -> Option<String> {
    match Kind::of(value) {
        Kind::Text => text(value),
        Kind::Boolean(value) => Some(value.to_string()),
        Kind::Integer(value) => Some(value.to_string()),
        Kind::Decimal(value) => Some(value.to_string()),
        Kind::Date(value) => Some(value.to_string()),
        Kind::Moment(value) => Some(value.to_rfc3339()),
        Kind::Empty | Kind::List | Kind::Map | Kind::Other => None,
    }
}

/// A cell as scripts see it.
pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Empty => Dynamic::UNIT,
        Value::Boolean(value) => Dynamic::from_bool(*value),
        Value::Integer(value) => Dynamic::from_int(*value),
        Value::Decimal(value) => Dynamic::from_decimal(*value),
        Value::Text(value) => value.as_str().into(),
        Value::Date(value) => Dynamic::from(*value),
        Value::DateTime(value) => Dynamic::from(*value),
        Value::List(values) => {
            Dynamic::from_array(values.iter().map(to_dynamic).collect::<Array>())
        }
        Value::Map(map) => Dynamic::from_map(
            map.iter()
                .map(|(key, value)| (key.as_str().into(), to_dynamic(value)))
                .collect::<Map>(),
        ),
    }
}

/// What a script computed, as a value; an error names what has none.
pub(super) fn from_dynamic(value: &Dynamic) -> Result<Value, String> {
    nested(value, DEEPEST)
}

/// Lists within lists: whoever takes the value apart does so by recursion.
const DEEPEST: u8 = 64;

fn nested(value: &Dynamic, deepest: u8) -> Result<Value, String> {
    let Some(deepest) = deepest.checked_sub(1) else {
        return Err("lists and maps are nested too deeply".to_owned());
    };
    let from_dynamic = |value: &Dynamic| nested(value, deepest);
    Ok(match Kind::of(value) {
        Kind::Empty => Value::Empty,
        Kind::Boolean(value) => Value::Boolean(value),
        Kind::Integer(value) => Value::Integer(value),
        Kind::Decimal(value) => Value::Decimal(value),
        Kind::Date(value) => Value::Date(value),
        Kind::Moment(value) => Value::DateTime(value),
        Kind::Text => Value::Text(text(value).unwrap_or_default()),
        Kind::List => Value::List(match value.as_array_ref() {
            Ok(list) => list.iter().map(from_dynamic).collect::<Result<_, _>>()?,
            Err(_) => Vec::new(),
        }),
        Kind::Map => Value::Map(match value.as_map_ref() {
            Ok(map) => map
                .iter()
                .map(|(key, value)| Ok((key.to_string(), from_dynamic(value)?)))
                .collect::<Result<_, String>>()?,
            Err(_) => std::collections::BTreeMap::new(),
        }),
        Kind::Other => {
            return Err(format!(
                "{} can't be the value of a variable",
                a_type(value)
            ));
        }
    })
}
