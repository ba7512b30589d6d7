//! The filters and tests of templates: Jinja's own, and those that know our dates, decimals and empty cells.

use std::fmt::Write as _;

use chrono::format::{Item, StrftimeItems};
use minijinja::{
    Environment, Error, ErrorKind,
    value::{Value, ValueKind},
};
use rust_decimal::{Decimal, RoundingStrategy};

use super::{
    comparison, targets,
    value::{EMPTY_MARK, Kind, exact},
};

/// All filters. A test holds the list to what the environment has.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// All tests.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// All functions.
pub(super) const FUNCTIONS: &[&str] = &["dict", "namespace", "range"];

/// Adds ours to an environment.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function(comparison::FUNCTION, comparison::compare_chain);
    environment.add_function(targets::FUNCTION, targets::link);
    // It prints everything a message knows.
    environment.remove_global("debug");
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("date", date);
    environment.add_filter("round", round);
    environment.add_filter("urlencode", urlencode);
    environment.add_test("none", |value: &Value| {
        value.is_none() || matches!(Kind::of(value), Kind::Empty)
    });
    for (names, operator) in [
        (["eq", "equalto"], "=="),
        (["ne", "ne"], "!="),
        (["lt", "lessthan"], "<"),
        (["le", "le"], "<="),
        (["gt", "greaterthan"], ">"),
        (["ge", "ge"], ">="),
    ] {
        for name in names {
            environment.add_test(name, move |left: &Value, right: &Value| {
                comparison::compare(left, operator, right)
            });
        }
    }
}

fn refusal(words: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, words)
}

/// The value, or `other` where there is none: undefined, an empty cell, or the empty text that an empty cell of type
/// string is. With `true` behind it, also where the value is false.
fn default(value: &Value, other: Option<Value>, lax: Option<bool>) -> Value {
    let missing = value.is_undefined()
        || value.is_none()
        || matches!(Kind::of(value), Kind::Empty)
        || value.as_str() == Some("")
        || (lax == Some(true) && !value.is_true());
    if missing {
        other.unwrap_or_else(|| "".into())
    } else {
        value.clone()
    }
}

/// A strftime pattern, checked: chrono panics when it prints one that is not valid.
pub(super) fn date_format(pattern: &str) -> Result<Vec<Item<'_>>, String> {
    let items: Vec<_> = StrftimeItems::new(pattern).collect();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return Err(format!("{pattern:?} is not a pattern for dates"));
    }
    Ok(items)
}

/// `{{ r.renews_on | date("%d.%m.%Y") }}`; without a pattern in ISO 8601.
fn date(value: &Value, pattern: Option<&str>) -> Result<String, Error> {
    let items = date_format(pattern.unwrap_or("%Y-%m-%d")).map_err(refusal)?;
    let mut text = String::new();
    let written = match Kind::of(value) {
        Kind::Date(date) => write!(text, "{}", date.format_with_items(items.iter())),
        Kind::DateTime(moment) => write!(text, "{}", moment.format_with_items(items.iter())),
        Kind::Text(iso) => match iso.parse::<chrono::NaiveDate>() {
            Ok(date) => write!(text, "{}", date.format_with_items(items.iter())),
            Err(_) => return Err(refusal("`date` needs a date; this is a string")),
        },
        Kind::Empty => {
            return Err(refusal("the cell is empty: there is no date to print"));
        }
        other => {
            return Err(refusal(format!(
                "`date` needs a date; this is a {}",
                other.name()
            )));
        }
    };
    // The only way to fail is a pattern with a time for a date without one.
    match written {
        Ok(()) => Ok(text),
        Err(_) => Err(refusal("the pattern asks for a time, and a date has none")),
    }
}

/// `{{ r.balance | round(1) }}`: to the nearest, halves away from zero, printed with so many places.
fn round(value: &Value, places: Option<u32>) -> Result<Value, Error> {
    Ok(exact(rounded(
        decimal(value, "round")?,
        places.unwrap_or(0),
    )))
}

fn rounded(value: Decimal, places: u32) -> Decimal {
    let places = places.min(Decimal::MAX_SCALE);
    let mut value = value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
    value.rescale(places);
    value
}

fn decimal(value: &Value, filter: &str) -> Result<Decimal, Error> {
    match Kind::of(value) {
        Kind::Number(number) => Ok(number),
        other => Err(refusal(format!(
            "`{filter}` needs a number; this is a {}",
            other.name()
        ))),
    }
}

/// A value for a place in a URL (RFC 3986 §2.3): all but unreserved characters and `/` as `%XX`.
fn urlencode(value: &Value) -> Result<String, Error> {
    if matches!(value.kind(), ValueKind::Map | ValueKind::Seq) || value.is_undefined() {
        return Err(refusal("`urlencode` needs a single value"));
    }
    let text = value.to_string();
    if value.is_none() || text.contains(EMPTY_MARK) {
        return Err(refusal(
            "the cell is empty: there is nothing to put into a link",
        ));
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            encoded.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_what_the_environment_has() {
        let mut environment = Environment::new();
        add(&mut environment);
        let is = |name: &str, kind: &str| {
            let code = format!("{name:?} is {kind}");
            let expression = environment.compile_expression(&code).unwrap();
            expression.eval(()).unwrap().is_true()
        };
        for name in FILTERS {
            assert!(is(name, "filter"), "{name}");
        }
        for name in TESTS {
            assert!(is(name, "test"), "{name}");
        }
        let functions: Vec<_> = environment.globals().map(|(name, _)| name).collect();
        assert_eq!(
            functions,
            ["__compare", "__link", "dict", "namespace", "range"]
        );
    }
}
