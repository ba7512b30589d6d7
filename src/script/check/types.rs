//! Types that are known before anything runs: what could only fail for every recipient is said at once.

use rhai::{Expr, FnCallExpr, Position};

use super::{Check, Holds, Setting};
use crate::model::FieldType;

/// What a value is known to be, as errors show it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Text,
    Number,
    Boolean,
    Date,
    Datetime,
    List,
    Map,
}

impl Known {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Date => "a date",
            Self::Datetime => "a datetime",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }
}

impl Check<'_> {
    /// A comparison of two things of different types, or of a text with the empty value.
    pub(super) fn comparison(&mut self, call: &FnCallExpr, position: Position) {
        let [left, right] = &call.args[..] else {
            return;
        };
        let operator = call.name.as_str();
        if let Expr::FloatConstant(..) = right {
            return self.never_empty(operator, left, position);
        }
        let (Some(a), Some(b)) = (self.known(left), self.known(right)) else {
            return;
        };
        if a == b {
            return;
        }
        let message = format!(
            "`{operator}` can't compare {} with {}: it would fail for every recipient",
            a.name(),
            b.name()
        );
        let declare = match (self.field(left), self.field(right)) {
            (Some((field, Known::Text)), None) => declaration(field, b),
            (None, Some((field, Known::Text))) => declaration(field, a),
            (Some((field, Known::Boolean)), None) => Some(yes_or_no(field)),
            _ => None,
        };
        let help = match (a, b) {
            _ if declare.is_some() => declare,
            (Known::Date, Known::Text | Known::Number)
            | (Known::Text | Known::Number, Known::Date) => {
                Some("write `date(\"2026-12-01\")` for a date".to_owned())
            }
            (Known::Date, Known::Datetime) | (Known::Datetime, Known::Date) => {
                Some("take the date of the datetime with `date(…)`".to_owned())
            }
            (Known::List, _) => Some("write `value in list`".to_owned()),
            (Known::Number, Known::Text) | (Known::Text, Known::Number) => {
                Some("a number stands without quotes".to_owned())
            }
            _ => None,
        };
        self.error("type-mismatch", position, operator.len(), message, help);
    }

    /// `r.name == ()` where the cell is a text, which is never empty in that way.
    fn never_empty(&mut self, operator: &str, left: &Expr, position: Position) {
        let (what, empty) = match self.field(left) {
            Some((_, Known::Text)) => ("a text", "\"\""),
            Some((_, Known::List)) => ("a list", "[]"),
            _ => return,
        };
        let always = if operator == "==" { "false" } else { "true" };
        self.warning(
            "never-empty",
            position,
            operator.len(),
            format!(
                "this is always {always}: {what} without anything in it is `{empty}`, not `()`"
            ),
            Some(format!("write `… {operator} {empty}`")),
        );
    }

    fn known(&self, expr: &Expr) -> Option<Known> {
        Some(match expr {
            Expr::StringConstant(..) | Expr::InterpolatedString(..) => Known::Text,
            Expr::IntegerConstant(..) => Known::Number,
            Expr::DynamicConstant(value, _) if value.is_decimal() => Known::Number,
            Expr::BoolConstant(..) => Known::Boolean,
            Expr::Array(..) => Known::List,
            Expr::Map(..) => Known::Map,
            Expr::FnCall(call, _) if !call.is_qualified() && !self.is_own(&call.name) => {
                match call.name.as_str() {
                    "today" | "date" => Known::Date,
                    "now" | "datetime" => Known::Datetime,
                    "days_until" | "days_since" | "days_between" | "age" | "bucket" | "len"
                    | "sent_count" => Known::Number,
                    "upper" | "lower" | "trim" | "first_word" => Known::Text,
                    _ => return None,
                }
            }
            other => return self.field(other).map(|(_, known)| known),
        })
    }

    /// `r.field` or `r["field"]`, where all sources that have it declare one type.
    fn field<'e>(&self, expr: &'e Expr) -> Option<(&'e str, Known)> {
        let (Expr::Dot(chain, _, _) | Expr::Index(chain, _, _)) = expr else {
            return None;
        };
        let (variable, name) = match (&chain.lhs, &chain.rhs) {
            (Expr::Variable(variable, _, _), Expr::Property(property, _)) => {
                (variable, property.2.as_str())
            }
            (Expr::Variable(variable, _, _), Expr::StringConstant(name, _)) => {
                (variable, name.as_str())
            }
            _ => return None,
        };
        if self.holds(&variable.1) != Some(Holds::Recipient) {
            return None;
        }
        let Setting::Expression { columns, .. } = &self.setting else {
            return None;
        };
        let known = match (*columns.get(name)?)? {
            FieldType::String => Known::Text,
            FieldType::Integer | FieldType::Decimal => Known::Number,
            FieldType::Boolean => Known::Boolean,
            FieldType::Date => Known::Date,
            FieldType::Datetime => Known::Datetime,
            FieldType::List => Known::List,
            FieldType::Any => return None,
        };
        Some((name, known))
    }
}

/// How a field that is true or false is asked for.
fn yes_or_no(field: &str) -> String {
    format!("it is true or false by itself: `r.{field}`, or `!r.{field}`")
}

/// How to declare a column of the source that is a string only because nothing else was said.
fn declaration(field: &str, wanted: Known) -> Option<String> {
    let kind = match wanted {
        Known::Number => "decimal",
        Known::Boolean => "boolean",
        Known::Date => "date",
        Known::Datetime => "datetime",
        Known::List => "list",
        Known::Text | Known::Map => return None,
    };
    Some(format!(
        "declare it in the source's fields: {field} = \"{kind}\""
    ))
}
