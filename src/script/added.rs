//! Functions that an embedding program adds: plain Rust functions of plain values.

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use chrono::{DateTime, FixedOffset, NaiveDate};
use rhai::{Dynamic, EvalAltResult, Module};
use rust_decimal::Decimal;

use super::{
    functions,
    operators::{Outcome, charge, fail, hint, register_any},
    record::Record,
    sandbox::REFUSED,
    value::{a_type, from_dynamic, to_dynamic},
};
use crate::model::{Recipient, Value};

/// A Rust function (or closure) that scripts may call: up to eight parameters, each a [`Parameter`], and what it gives a
/// [`Given`]. It should be quick and depend on its arguments only: a plan calls it once per recipient, and plans are compared.
///
/// An argument of another type is an error of the script, and so is `Err`, or a panic: the recipient is skipped.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # fn example() {
/// use campanile::{engine::Engine, model::Value};
///
/// Engine::builder("path/to/workspace")
///     .function("loyalty_tier", |points: i64| if points > 1_000 { "gold" } else { "basic" })
///     .function("first_tag", |tags: Vec<Value>| tags.into_iter().next())
///     .function("region", |postcode: String| match postcode.get(..1) {
///         Some("1") => Ok("north"),
///         Some(_) => Ok("south"),
///         None => Err("a postcode has at least one digit"),
///     });
/// # }
/// ```
pub trait HostFunction<Parameters>: Send + Sync + 'static {
    /// The function in the one form that all have.
    fn erase(self) -> AnyFunction;
}

/// A function whose types are known only when it is called.
#[derive(Clone)]
pub struct AnyFunction {
    parameters: usize,
    call: Arc<Call>,
}

type Call = dyn Fn(Vec<Value>) -> Result<Value, Failure> + Send + Sync;

enum Failure {
    /// The argument at this position is not what it must be.
    Wrong(usize, &'static str),
    Words(String),
}

/// A type that a function may take. Integers are taken for decimals too, as they are one family in scripts.
pub trait Parameter: Sized {
    /// What it is called in errors, with its article: `an integer`.
    const WANTED: &'static str;

    /// The value, where it is of this type.
    fn from_value(value: Value) -> Option<Self>;
}

/// A type that a function may give, also as the `Ok` of a result whose error can be shown.
pub trait Given {
    /// As a value, or why there is none.
    fn into_outcome(self) -> Result<Value, String>;
}

macro_rules! plain {
    ($($type:ty: $wanted:literal, $pattern:pat => $taken:expr, $given:expr;)+) => {$(
        impl Parameter for $type {
            const WANTED: &'static str = $wanted;

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    $pattern => $taken,
                    _ => None,
                }
            }
        }

        impl Given for $type {
            fn into_outcome(self) -> Result<Value, String> {
                let given: fn(Self) -> Value = $given;
                Ok(given(self))
            }
        }
    )+};
}

plain! {
    bool: "a boolean", Value::Boolean(value) => Some(value), Value::Boolean;
    i64: "an integer", Value::Integer(value) => Some(value), Value::Integer;
    i32: "an integer of 32 bits", Value::Integer(value) => value.try_into().ok(), |value| Value::Integer(value.into());
    u32: "an integer from 0 to 4294967295", Value::Integer(value) => value.try_into().ok(), |value| Value::Integer(value.into());
    String: "a string", Value::Text(value) => Some(value), Value::Text;
    NaiveDate: "a date", Value::Date(value) => Some(value), Value::Date;
    DateTime<FixedOffset>: "a datetime", Value::DateTime(value) => Some(value), Value::DateTime;
    Vec<Value>: "a list", Value::List(value) => Some(value), Value::List;
    BTreeMap<String, Value>: "a map", Value::Map(value) => Some(value), Value::Map;
}

impl Parameter for Decimal {
    const WANTED: &'static str = "a number";

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Decimal(value) => Some(value),
            Value::Integer(value) => Some(value.into()),
            _ => None,
        }
    }
}

impl Given for Decimal {
    fn into_outcome(self) -> Result<Value, String> {
        Ok(Value::Decimal(self))
    }
}

impl Given for &'static str {
    fn into_outcome(self) -> Result<Value, String> {
        Ok(self.into())
    }
}

impl Parameter for Value {
    const WANTED: &'static str = "a value";

    fn from_value(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl Given for Value {
    fn into_outcome(self) -> Result<Value, String> {
        Ok(self)
    }
}

/// An empty value is `None`.
impl<T: Parameter> Parameter for Option<T> {
    const WANTED: &'static str = T::WANTED;

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Empty => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl<T: Given> Given for Option<T> {
    fn into_outcome(self) -> Result<Value, String> {
        self.map_or(Ok(Value::Empty), T::into_outcome)
    }
}

impl<T: Given, E: fmt::Display> Given for Result<T, E> {
    fn into_outcome(self) -> Result<Value, String> {
        self.map_err(|error| error.to_string())?.into_outcome()
    }
}

macro_rules! of_parameters {
    ($($parameter:ident)*) => {
        impl<F, R, $($parameter),*> HostFunction<($($parameter,)*)> for F
        where
            F: Fn($($parameter),*) -> R + Send + Sync + 'static,
            R: Given,
            $($parameter: Parameter,)*
        {
            #[allow(non_snake_case, unused_assignments, unused_mut, unused_variables)]
            fn erase(self) -> AnyFunction {
                const PARAMETERS: usize = <[&str]>::len(&[$(stringify!($parameter)),*]);
                AnyFunction {
                    parameters: PARAMETERS,
                    call: Arc::new(move |arguments| {
                        let mut arguments = arguments.into_iter();
                        let mut at = 0;
                        $(
                            let given = arguments.next().unwrap_or_default();
                            let Some($parameter) = $parameter::from_value(given) else {
                                return Err(Failure::Wrong(at, $parameter::WANTED));
                            };
                            at += 1;
                        )*
                        self($($parameter),*).into_outcome().map_err(Failure::Words)
                    }),
                }
            }
        }
    };
}

of_parameters!();
of_parameters!(A);
of_parameters!(A B);
of_parameters!(A B C);
of_parameters!(A B C D);
of_parameters!(A B C D E);
of_parameters!(A B C D E G);
of_parameters!(A B C D E G H);
of_parameters!(A B C D E G H I);

/// The functions that an embedding program adds, by name and number of parameters.
#[derive(Clone, Default)]
pub struct AddedFunctions(BTreeMap<String, BTreeMap<usize, AnyFunction>>);

impl AddedFunctions {
    /// No functions.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds one. Under one name there may be several with different numbers of parameters; one with the same number takes the
    /// place of the one before. Refused where scripts could not call it by that name.
    pub fn add(&mut self, name: &str, function: AnyFunction) -> Result<(), String> {
        let is_word = rhai::is_valid_identifier(name)
            && rhai::Token::lookup_symbol_from_syntax(name).is_none()
            && !name.starts_with("__")
            && !REFUSED.iter().any(|(refused, _)| *refused == name)
            && !matches!(name, "call" | "curry");
        if !is_word {
            return Err(format!(
                "{name:?} can't be the name of a function: use letters (a to z), digits and `_`, and start with a letter"
            ));
        }
        if functions::find(name).is_some() {
            return Err(format!(
                "there is a function `{name}` already, which every script can call: choose another name"
            ));
        }
        let overloads = self.0.entry(name.to_owned()).or_default();
        overloads.insert(function.parameters, function);
        Ok(())
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many parameters the functions of a name take; `None`: there is none.
    pub(super) fn counts(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.0.get(name)?.keys().copied().collect())
    }

    /// What makes them callable; `None`: there are none.
    pub(super) fn module(&self) -> Option<Module> {
        if self.0.is_empty() {
            return None;
        }
        let mut module = Module::new();
        for (name, overloads) in &self.0 {
            for (count, function) in overloads {
                let (called, function) = (name.clone(), function.clone());
                register_any(&mut module, name, *count, move |_, arguments| {
                    call(&called, &function, arguments)
                });
            }
        }
        Some(module)
    }
}

impl fmt::Debug for AddedFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn call(name: &str, function: &AnyFunction, arguments: &mut [&mut Dynamic]) -> Outcome {
    let values = arguments
        .iter()
        .map(|argument| taken(name, argument))
        .collect::<Result<_, _>>()?;
    // What is the program's own must not take the daemon with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| (function.call)(values)));
    match outcome {
        Ok(Ok(value)) => Ok(to_dynamic(&value)),
        Ok(Err(Failure::Words(words))) => fail(format!("`{name}`: {words}")),
        Ok(Err(Failure::Wrong(at, wanted))) => {
            let given = &arguments[at];
            let which = match (function.parameters, at) {
                (1, _) => String::new(),
                (_, at) => format!(" {}", ORDINALS[at]),
            };
            fail(format!(
                "`{name}` needs {wanted} as its{which} argument, not {}{}",
                a_type(given),
                hint(given)
            ))
        }
        Err(_) => fail(format!("`{name}` panicked: see the log of the program")),
    }
}

const ORDINALS: [&str; 8] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
];

/// An argument as a value; the recipient as a map of its fields.
fn taken(name: &str, argument: &Dynamic) -> Result<Value, Box<EvalAltResult>> {
    if let Some(record) = argument.read_lock::<Record>() {
        let Some(recipient) = record.whole() else {
            return fail(format!("`{name}`: the recipient was not read"));
        };
        charge(recipient.values.len())?;
        return Ok(Value::Map(fields(recipient)));
    }
    match from_dynamic(argument) {
        Ok(value) => {
            charge(weight(&value))?;
            Ok(value)
        }
        Err(_) => fail(format!("`{name}` can't take {}", a_type(argument))),
    }
}

fn fields(recipient: &Recipient) -> BTreeMap<String, Value> {
    let names = recipient.schema.names().map(str::to_owned);
    names.zip(recipient.values.iter().cloned()).collect()
}

/// How much there is to copy.
fn weight(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() / 64,
        Value::List(values) => values.iter().map(|value| 1 + weight(value)).sum(),
        Value::Map(map) => map.values().map(|value| 1 + weight(value)).sum(),
        _ => 0,
    }
}
