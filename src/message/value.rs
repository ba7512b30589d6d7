//! Values as templates see them: exact decimals, dates with parts, and cells that are empty and say so when they are printed.

use std::{cmp::Ordering, fmt, sync::Arc};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, Timelike};
use minijinja::value::{DynObject, Object, ObjectRepr, Value as Jinja, ValueKind};
use rust_decimal::Decimal;

use crate::model::Value;

/// What an empty cell turns into when a filter or `~` makes text of it: a noncharacter (Unicode §23.7), so that it is found
/// and refused when the text is printed.
pub(super) const EMPTY_MARK: char = '\u{fdd0}';

/// A value of ours for a template.
pub(super) fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Empty => Jinja::from_object(EmptyCell),
        Value::Boolean(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Decimal(value) => Jinja::from_object(Exact(*value)),
        Value::Text(value) => value.as_str().into(),
        Value::Date(value) => Jinja::from_object(Day(*value)),
        Value::DateTime(value) => Jinja::from_object(Moment(*value)),
        Value::List(values) => values.iter().map(to_jinja).collect::<Vec<_>>().into(),
        Value::Map(map) => Jinja::from_pairs(
            map.iter()
                .map(|(key, value)| (key.as_str(), to_jinja(value))),
        ),
    }
}

/// What a value is, for comparing and printing.
pub(super) enum Kind<'a> {
    /// An empty cell.
    Empty,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, whole or decimal.
    Number(Decimal),
    /// Text.
    Text(&'a str),
    /// A calendar date.
    Date(NaiveDate),
    /// A moment.
    DateTime(DateTime<FixedOffset>),
    /// Lists, maps, functions, `none`.
    Other,
}

impl<'a> Kind<'a> {
    /// The kind of a template's value.
    pub(super) fn of(value: &'a Jinja) -> Self {
        match value.kind() {
            ValueKind::String => value.as_str().map_or(Self::Other, Self::Text),
            ValueKind::Bool => Self::Boolean(value.is_true()),
            ValueKind::Number => number(value).map_or(Self::Other, Self::Number),
            ValueKind::Plain => {
                if let Some(Exact(value)) = value.downcast_object_ref() {
                    Self::Number(*value)
                } else if let Some(Day(value)) = value.downcast_object_ref() {
                    Self::Date(*value)
                } else if let Some(Moment(value)) = value.downcast_object_ref() {
                    Self::DateTime(*value)
                } else if value.downcast_object_ref::<EmptyCell>().is_some() {
                    Self::Empty
                } else {
                    Self::Other
                }
            }
            _ => Self::Other,
        }
    }

    /// The type's name in errors.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty cell",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Date(_) => "date",
            Self::DateTime(_) => "datetime",
            Self::Other => "list or map",
        }
    }
}

/// A number of Jinja's as an exact one; a literal `19.99` is 19.99.
fn number(value: &Jinja) -> Option<Decimal> {
    if let Ok(whole) = i64::try_from(value.clone()) {
        return Some(whole.into());
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(|float| Decimal::try_from(float).ok())
}

/// A decimal number for a template.
pub(super) fn exact(value: Decimal) -> Jinja {
    Jinja::from_object(Exact(value))
}

#[derive(Debug)]
struct EmptyCell;

impl Object for EmptyCell {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other.downcast_ref::<Self>().map(|_| Ordering::Equal)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EMPTY_MARK}")
    }
}

#[derive(Debug)]
struct Exact(Decimal);

impl Object for Exact {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.0.is_zero()
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other
            .downcast_ref::<Self>()
            .map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Debug)]
struct Day(NaiveDate);

impl Object for Day {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        part_of_date(self.0, key.as_str()?)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other
            .downcast_ref::<Self>()
            .map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `year`, `month`, `day`, and `weekday` from 1 (Monday) to 7.
fn part_of_date(date: NaiveDate, part: &str) -> Option<Jinja> {
    Some(match part {
        "year" => date.year().into(),
        "month" => date.month().into(),
        "day" => date.day().into(),
        "weekday" => date.weekday().number_from_monday().into(),
        _ => return None,
    })
}

#[derive(Debug)]
struct Moment(DateTime<FixedOffset>);

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        Some(match key.as_str()? {
            "hour" => self.0.hour().into(),
            "minute" => self.0.minute().into(),
            "second" => self.0.second().into(),
            "date" => Jinja::from_object(Day(self.0.date_naive())),
            part => return part_of_date(self.0.date_naive(), part),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        other
            .downcast_ref::<Self>()
            .map(|other| self.0.cmp(&other.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339())
    }
}
