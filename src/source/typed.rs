//! Values that have types of their own (JSON, SQLite) → the types that the settings declare.

use super::CellParser;
use crate::model::{FieldType, Value};

/// The value as its column's type has it; undeclared columns take it as it is. The error says what stands there and what
/// should.
pub(super) fn fit(parser: &CellParser, value: Value) -> Result<Value, String> {
    use FieldType as T;
    Ok(match (parser.kind(), value) {
        (T::Any, value) => value,
        (T::String, Value::Empty) => Value::Text(String::new()),
        (T::List, Value::Empty) => Value::List(Vec::new()),
        (_, Value::Empty) => Value::Empty,
        (T::Decimal, Value::Integer(value)) => Value::Decimal(value.into()),
        (T::Integer, value @ Value::Integer(_))
        | (T::Decimal, value @ Value::Decimal(_))
        | (T::Boolean, value @ Value::Boolean(_))
        | (T::List, value @ Value::List(_)) => value,
        (_, Value::Text(text)) => return parser.parse(&text),
        (kind, value @ (Value::List(_) | Value::Map(_))) => {
            return Err(format!("a {} is not a {kind}", value.type_name()));
        }
        (T::List, value) => {
            return Err(format!(
                "{value} is not a list: [ … ], or a text with commas"
            ));
        }
        // A number or a boolean, as it would stand in a cell of text.
        (_, value) => return parser.parse(&value.to_string()),
    })
}

/// The text of a key: keys are texts or numbers.
pub(super) fn key(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.trim().to_owned()),
        Value::Integer(_) | Value::Decimal(_) => Ok(value.to_string()),
        Value::Empty => Ok(String::new()),
        other => Err(format!(
            "a key is a text or a number, not a {}",
            other.type_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FieldFormat;

    fn read(kind: FieldType, value: Value) -> String {
        let parser = CellParser::new(&FieldFormat { kind, format: None }).unwrap();
        match fit(&parser, value) {
            Ok(value) => format!("{} {value}", value.type_name()),
            Err(message) => message,
        }
    }

    #[test]
    fn values_become_what_is_declared() {
        use FieldType as T;
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        for (kind, value, expected) in [
            (T::Any, Value::Integer(7), "integer 7"),
            (T::Any, Value::Empty, "empty "),
            (T::String, Value::Empty, "string "),
            (T::String, Value::Integer(7), "string 7"),
            (T::String, decimal("7.50"), "string 7.50"),
            (T::String, Value::Boolean(true), "string true"),
            (T::List, Value::Empty, "list "),
            (T::List, "a, b".into(), "list a, b"),
            (T::List, Value::List(vec![Value::Integer(1)]), "list 1"),
            (T::Decimal, Value::Integer(7), "decimal 7"),
            (T::Decimal, "7.50".into(), "decimal 7.50"),
            (T::Integer, " 7 ".into(), "integer 7"),
            (T::Integer, "".into(), "empty "),
            (T::Boolean, Value::Integer(1), "boolean true"),
            (T::Date, "2026-12-01".into(), "date 2026-12-01"),
        ] {
            assert_eq!(read(kind, value.clone()), expected, "{kind} {value:?}");
        }
        for (kind, value, expected) in [
            (T::Integer, decimal("7.5"), "\"7.5\" is not an integer"),
            (T::Integer, Value::Boolean(true), "is not an integer"),
            (T::String, Value::List(Vec::new()), "a list is not a string"),
            (T::Date, Value::Integer(20_261_201), "is not a date"),
            (T::Boolean, Value::Integer(2), "is not a boolean"),
            (T::List, Value::Integer(1), "1 is not a list"),
        ] {
            let said = read(kind, value.clone());
            assert!(said.contains(expected), "{kind} {value:?}: {said}");
        }
    }
}
