//! A cell of a source, or the value of a variable.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, FixedOffset, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// One typed value. Money and all decimals are exact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// An empty cell of any type but string and list; `()` in a script.
    #[default]
    Empty,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number, exact.
    Decimal(Decimal),
    /// Text; an empty cell of type string is the empty text.
    Text(String),
    /// A calendar date.
    Date(NaiveDate),
    /// A moment with its UTC offset.
    DateTime(DateTime<FixedOffset>),
    /// A list; an empty cell of type list is the empty list.
    List(Vec<Value>),
    /// A nested object.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The type's name as scripts and errors show it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Text(_) => "string",
            Self::Date(_) => "date",
            Self::DateTime(_) => "datetime",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }

    /// The text of a [`Value::Text`].
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Plain JSON: dates in ISO 8601, decimals as strings (they stay exact).
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Empty => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => (*value).into(),
            Self::List(values) => values.iter().map(Self::to_json).collect(),
            Self::Map(map) => serde_json::Value::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect(),
            ),
            other => other.to_string().into(),
        }
    }
}

/// As a message shows it: text as it is, dates as `2026-12-31`, an empty value as nothing.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Decimal(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Date(value) => value.fmt(f),
            Self::DateTime(value) => f.write_str(&value.to_rfc3339()),
            Self::List(values) => {
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Map(_) => f.write_str(&self.to_json().to_string()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        Self::Decimal(value)
    }
}
