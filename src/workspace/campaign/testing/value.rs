//! A value as TOML has it.

use rust_decimal::Decimal;
use toml::de::DeValue;

use crate::{
    model::{Item, Value},
    workspace::campaign::moment,
};

/// How deep lists and tables may be within each other.
const DEEPEST: usize = 32;

/// The value, exact: numbers with a point are decimals. What has no value among recipients is an error.
pub(super) fn read(item: &Item<'_>) -> Option<Value> {
    nested(item, DEEPEST)
}

fn nested(item: &Item<'_>, deepest: usize) -> Option<Value> {
    let Some(deepest) = deepest.checked_sub(1) else {
        return item.error("wrong-value", "this is nested too deeply");
    };
    match item.value() {
        DeValue::String(text) => Some(Value::Text(text.to_string())),
        DeValue::Boolean(value) => Some(Value::Boolean(*value)),
        DeValue::Integer(_) => item.read().map(Value::Integer),
        DeValue::Float(written) => match decimal(written.as_str()) {
            Some(number) => Some(Value::Decimal(number)),
            None => item.error(
                "wrong-value",
                format!(
                    "`{}`: {} is not a decimal that can be kept exactly",
                    item.name.key,
                    written.as_str()
                ),
            ),
        },
        DeValue::Datetime(_) => moment::value(item),
        DeValue::Array(_) => {
            let elements: Vec<_> = item
                .elements()?
                .iter()
                .map(|element| nested(element, deepest))
                .collect();
            Some(Value::List(elements.into_iter().collect::<Option<_>>()?))
        }
        DeValue::Table(_) => {
            let entries: Vec<_> = item
                .section()?
                .entries()
                .iter()
                .map(|entry| Some((entry.name.key.clone(), nested(entry, deepest)?)))
                .collect();
            Some(Value::Map(entries.into_iter().collect::<Option<_>>()?))
        }
    }
}

fn decimal(written: &str) -> Option<Decimal> {
    let plain = written.replace('_', "");
    Decimal::from_str_exact(&plain)
        .ok()
        .or_else(|| Decimal::from_scientific(&plain).ok())
}
