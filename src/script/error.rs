//! Failures at run time: in plain words, at the innermost place that is known.

use rhai::{EvalAltResult, Position};

use super::{budget::Deferred, check::is_closure, functions, program::Compiled, syntax::Parsed};
use crate::model::{Excerpt, Place};

/// A script that failed on a recipient.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ScriptError {
    /// What happened.
    pub message: String,
    /// Where: in the TOML file or in a script.
    pub place: Place,
}

/// A failure that Rhai dropped.
pub(super) fn deferred(failure: Deferred, program: &Compiled, parsed: &Parsed) -> ScriptError {
    let excerpt = match failure
        .source
        .as_deref()
        .and_then(|source| program.library.file(source))
    {
        Some(file) => Excerpt::whole(file),
        None => parsed.excerpt.clone(),
    };
    ScriptError {
        message: failure.message,
        place: place(&excerpt, failure.position),
    }
}

/// A failure of an expression.
pub(super) fn failure(failure: &EvalAltResult, program: &Compiled, parsed: &Parsed) -> ScriptError {
    let mut excerpt = parsed.excerpt.clone();
    let mut at = place(&excerpt, failure.position());
    let mut innermost = failure;
    while let EvalAltResult::ErrorInFunctionCall(name, source, inner, _) = innermost {
        let own = is_closure(name)
            && parsed
                .ast
                .iter_fn_def()
                .any(|function| function.name == name.as_str());
        let file = if is_closure(name) {
            program.library.file(name)
        } else {
            program.library.file(source)
        };
        excerpt = match file {
            Some(file) if !own => Excerpt::whole(file),
            _ => parsed.excerpt.clone(),
        };
        if !inner.position().is_none() {
            at = place(&excerpt, inner.position());
        }
        innermost = inner;
    }
    ScriptError {
        message: words(innermost),
        place: at,
    }
}

fn place(excerpt: &Excerpt, position: Position) -> Place {
    super::syntax::place(excerpt, position, 0)
}

/// What happened, in our words.
fn words(failure: &EvalAltResult) -> String {
    use EvalAltResult as E;

    match failure {
        E::ErrorRuntime(value, _) => match super::value::shown(value) {
            Some(text) if !text.is_empty() => text,
            _ => "the script threw an error".to_owned(),
        },
        E::ErrorMismatchDataType(wanted, given, _)
        | E::ErrorMismatchOutputType(wanted, given, _) => {
            let given = ours(given);
            match ours(wanted) {
                "boolean" => format!("true or false is needed here, not {given}{}", hint(given)),
                wanted => format!("{wanted} is needed here, not {given}{}", hint(given)),
            }
        }
        E::ErrorVariableNotFound(name, _) => format!("there is no variable `{name}`"),
        E::ErrorPropertyNotFound(name, _) => format!("the map has no `{name}`"),
        E::ErrorIndexNotFound(name, _) => format!("there is no element {name}"),
        E::ErrorFunctionNotFound(signature, _) => {
            let name = signature.split([' ', '(']).next().unwrap_or_default();
            if is_closure(name) {
                "the closure takes another number of values".to_owned()
            } else if !rhai::is_valid_identifier(name) {
                format!("`{name}` can't be used on these values")
            } else {
                format!("there is no function `{name}` for these values")
            }
        }
        E::ErrorModuleNotFound(name, _) => format!("there is no script `{name}`"),
        E::ErrorDotExpr(text, _) => no_field(text),
        E::ErrorIndexingType(text, _) => {
            let given = ours(text.split(" [").next().unwrap_or_default());
            format!("brackets can't be used on {given}{}", hint(given))
        }
        E::ErrorArrayBounds(count, index, _) => {
            format!("there is no element {index}: the list has {count}, counted from 0")
        }
        E::ErrorStringBounds(count, index, _) => {
            format!("there is no character {index}: the text has {count}, counted from 0")
        }
        E::ErrorFor(_) => "`for` needs a list or a range".to_owned(),
        E::ErrorTooManyOperations(_) | E::ErrorTerminated(..) => {
            "the script does too much: it may be in an endless loop".to_owned()
        }
        E::ErrorStackOverflow(_) => "functions call each other too deeply".to_owned(),
        E::ErrorTooManyVariables(_) => "there are too many variables".to_owned(),
        E::ErrorDataTooLarge(..) => "a text, list or map becomes too large".to_owned(),
        E::ErrorAssignmentToConstant(name, _) => format!("`{name}` can't be changed"),
        other => {
            let mut other = other.to_string();
            // The position is said by the place.
            if let Some(at) = other.rfind(" (line ") {
                other.truncate(at);
            }
            other
        }
    }
}

/// `Unknown property 'x' - a getter is not registered for type 'y'`, which is all that Rhai says.
fn no_field(text: &str) -> String {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(name), Some(kind)) => {
            let kind = ours(kind);
            let call = match functions::find(name) {
                Some(function) if hint(kind).is_empty() => {
                    format!(": did you mean the function {}?", function.signature)
                }
                _ => String::new(),
            };
            format!("{kind} has no field `{name}`{}{call}", hint(kind))
        }
        _ => text.to_owned(),
    }
}

fn hint(kind: &str) -> &'static str {
    if kind == "an empty value" {
        ": say what counts instead, as in `r.x ?? 0`, or ask `r.x == ()` first"
    } else {
        ""
    }
}

/// Rhai's name of a type in our words, with its article.
fn ours(name: &str) -> &str {
    match name.trim() {
        "()" => "an empty value",
        "bool" => "boolean",
        "i64" => "an integer",
        "decimal" | "rust_decimal::Decimal" | "rust_decimal::decimal::Decimal" => "a decimal",
        "string" | "char" | "&str | ImmutableString | String" => "a string",
        "array" | "alloc::vec::Vec<rhai::types::dynamic::Dynamic>" => "a list",
        "map" => "a map",
        "Fn" => "a closure",
        name if name.contains("NaiveDate") => "a date",
        name if name.contains("DateTime") => "a datetime",
        name if name.contains("RunRecord") => "the run",
        name if name.contains("Record") => "a recipient",
        name if name.contains("Range") => "a range",
        name => name,
    }
}
