//! Rhai's operators, strict: values of different types don't compare, an empty value takes part in nothing but `== ()` and
//! `!= ()`. Integers and decimals are one family.

use std::{any::TypeId, cmp::Ordering, sync::Arc};

use chrono::Days;
use rhai::{
    Array, Dynamic, EvalAltResult, FuncRegistration, Map, Module, NativeCallContext, RhaiFunc,
};
use rust_decimal::Decimal;

use super::{
    budget,
    value::{Kind, a_type, shown, text},
};

/// What a native function of ours gives.
pub(super) type Outcome = Result<Dynamic, Box<EvalAltResult>>;

/// A failure in our own words.
pub(super) fn fail<T>(message: impl AsRef<str>) -> Result<T, Box<EvalAltResult>> {
    Err(message.as_ref().into())
}

/// Registers a function of `count` arguments of any type.
pub(super) fn register_any(
    module: &mut Module,
    name: &str,
    count: usize,
    function: impl Fn(&NativeCallContext<'_>, &mut [&mut Dynamic]) -> Outcome + Send + Sync + 'static,
) {
    module.set_fn_raw_with_options(
        FuncRegistration::new(name).in_internal_namespace(),
        vec![TypeId::of::<Dynamic>(); count],
        RhaiFunc::Method {
            func: Arc::new(
                move |context: Option<NativeCallContext<'_>>, arguments: &mut [&mut Dynamic]| {
                    match context {
                        Some(context) => function(&context, arguments),
                        None => fail("this function was called without a context"),
                    }
                },
            ),
            has_context: true,
            is_pure: true,
            is_volatile: false,
        },
    );
}

/// Registers all operators, and what loops can go over.
pub(super) fn register(module: &mut Module) {
    type Binary = fn(&Dynamic, &Dynamic) -> Outcome;
    let binary: [(&str, Binary); 12] = [
        ("==", |a, b| equality("==", a, b).map(Dynamic::from_bool)),
        ("!=", |a, b| {
            equality("!=", a, b).map(|equal| Dynamic::from_bool(!equal))
        }),
        ("<", |a, b| ordered("<", a, b, Ordering::is_lt)),
        ("<=", |a, b| ordered("<=", a, b, Ordering::is_le)),
        (">", |a, b| ordered(">", a, b, Ordering::is_gt)),
        (">=", |a, b| ordered(">=", a, b, Ordering::is_ge)),
        ("+", add),
        ("-", subtract),
        ("*", |a, b| arithmetic("*", a, b)),
        ("/", |a, b| arithmetic("/", a, b)),
        ("%", |a, b| arithmetic("%", a, b)),
        ("**", power),
    ];
    for (operator, function) in binary {
        register_any(module, operator, 2, move |_, arguments| {
            function(arguments[0], arguments[1])
        });
    }
    register_any(module, "!", 1, |_, arguments| {
        match arguments[0].as_bool() {
            Ok(value) => Ok((!value).into()),
            Err(_) => fail(format!(
                "`!` needs true or false, not {}{}",
                a_type(arguments[0]),
                hint(arguments[0])
            )),
        }
    });
    register_any(module, "-", 1, |_, arguments| {
        match Kind::of(arguments[0]) {
            Kind::Integer(value) => value
                .checked_neg()
                .map_or_else(|| fail("the number is too large"), |value| Ok(value.into())),
            Kind::Decimal(value) => Ok(Dynamic::from_decimal(-value)),
            _ => fail(format!("`-` needs a number, not {}", a_type(arguments[0]))),
        }
    });
    register_any(module, "+", 1, |_, arguments| {
        match Kind::of(arguments[0]) {
            Kind::Integer(_) | Kind::Decimal(_) => Ok(arguments[0].clone()),
            _ => fail(format!("`+` needs a number, not {}", a_type(arguments[0]))),
        }
    });
    // What `${…}` calls. Rhai drops its errors, so they are deferred.
    register_any(module, rhai::FUNC_TO_STRING, 1, |context, arguments| {
        if let Some(text) = shown(arguments[0]) {
            return Ok(text.into());
        }
        let message = format!(
            "{} can't stand in a text{}",
            a_type(arguments[0]),
            hint(arguments[0])
        );
        budget::defer(budget::Deferred {
            message: message.clone(),
            source: context.call_source().map(str::to_owned),
            position: context.call_position(),
        });
        fail(message)
    });
    module.set_iterable::<Array>();
    module.set_iterator::<std::ops::Range<i64>>();
    module.set_iterator::<std::ops::RangeInclusive<i64>>();
}

/// What to do about an empty value, where `value` is one.
pub(super) fn hint(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        ": say what counts instead, as in `r.x ?? 0`, or ask `r.x == ()` first"
    } else {
        ""
    }
}

/// `==` and `!=` as scripts write them: with the literal `()` on the right they ask whether a value is empty.
fn equality(operator: &str, a: &Dynamic, b: &Dynamic) -> Result<bool, Box<EvalAltResult>> {
    if b.is_float() {
        return Ok(a.is_unit());
    }
    equal(operator, a, b)
}

/// Whether two values are equal; an error where they are of different types, or empty.
pub(super) fn equal(operator: &str, a: &Dynamic, b: &Dynamic) -> Result<bool, Box<EvalAltResult>> {
    Ok(match (Kind::of(a), Kind::of(b)) {
        (Kind::Text, Kind::Text) => same_text(a, b),
        (Kind::Integer(a), Kind::Integer(b)) => a == b,
        (Kind::Decimal(a), Kind::Decimal(b)) => a == b,
        (Kind::Integer(a), Kind::Decimal(b)) | (Kind::Decimal(b), Kind::Integer(a)) => {
            Decimal::from(a) == b
        }
        (Kind::Boolean(a), Kind::Boolean(b)) => a == b,
        (Kind::Date(a), Kind::Date(b)) => a == b,
        (Kind::Moment(a), Kind::Moment(b)) => a == b,
        (Kind::List, Kind::List) => {
            let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) else {
                return mismatch(operator, a, b);
            };
            charge(a.len().min(b.len()))?;
            let mut equal_so_far = true;
            // To the end even after a difference: whether it is an error may not depend on the order.
            for (a, b) in a.iter().zip(b.iter()) {
                equal_so_far &= both_empty(a, b) || equal(operator, a, b)?;
            }
            equal_so_far && a.len() == b.len()
        }
        (Kind::Map, Kind::Map) => {
            let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) else {
                return mismatch(operator, a, b);
            };
            charge(a.len().min(b.len()))?;
            let mut equal_so_far = true;
            for (key, a) in a.iter() {
                equal_so_far &= match b.get(key) {
                    Some(b) => both_empty(a, b) || equal(operator, a, b)?,
                    None => false,
                };
            }
            equal_so_far && a.len() == b.len()
        }
        _ => return mismatch(operator, a, b),
    })
}

/// Inside lists and maps emptiness is data: `[(), 1] == [(), 1]`.
fn both_empty(a: &Dynamic, b: &Dynamic) -> bool {
    a.is_unit() && b.is_unit()
}

fn same_text(a: &Dynamic, b: &Dynamic) -> bool {
    match (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        (Ok(a), Ok(b)) => a.as_str() == b.as_str(),
        _ => text(a) == text(b),
    }
}

/// Takes the steps that going through `items` things costs.
pub(super) fn charge(items: usize) -> Result<(), Box<EvalAltResult>> {
    if budget::take(items as u64) {
        Ok(())
    } else {
        Err(Box::new(EvalAltResult::ErrorTooManyOperations(
            rhai::Position::NONE,
        )))
    }
}

fn mismatch<T>(operator: &str, a: &Dynamic, b: &Dynamic) -> Result<T, Box<EvalAltResult>> {
    if a.is_unit() || b.is_unit() {
        let side = if a.is_unit() { "left" } else { "right" };
        let value = if a.is_unit() { a } else { b };
        return fail(format!(
            "the value on the {side} of `{operator}` is empty{}",
            hint(value)
        ));
    }
    fail(format!(
        "`{operator}` can't compare {} with {}{}",
        a_type(a),
        a_type(b),
        conversion(a, b)
    ))
}

/// How to make two types comparable, where there is a usual way.
fn conversion(a: &Dynamic, b: &Dynamic) -> &'static str {
    match (Kind::of(a), Kind::of(b)) {
        (Kind::Text, Kind::Integer(_) | Kind::Decimal(_))
        | (Kind::Integer(_) | Kind::Decimal(_), Kind::Text) => {
            ": declare the field's type in the source, or convert with `to_decimal(…)`"
        }
        (Kind::Text | Kind::Integer(_), Kind::Date(_))
        | (Kind::Date(_), Kind::Text | Kind::Integer(_)) => {
            ": write `date(\"2026-12-01\")` for a date"
        }
        (Kind::Date(_), Kind::Moment(_)) | (Kind::Moment(_), Kind::Date(_)) => {
            ": take the date of the datetime with `date(…)`"
        }
        _ => "",
    }
}

/// The order of two values; an error where they are of different types, empty, or have no order.
pub(super) fn compare(
    operator: &str,
    a: &Dynamic,
    b: &Dynamic,
) -> Result<Ordering, Box<EvalAltResult>> {
    Ok(match (Kind::of(a), Kind::of(b)) {
        (Kind::Integer(a), Kind::Integer(b)) => a.cmp(&b),
        (Kind::Decimal(a), Kind::Decimal(b)) => a.cmp(&b),
        (Kind::Integer(a), Kind::Decimal(b)) => Decimal::from(a).cmp(&b),
        (Kind::Decimal(a), Kind::Integer(b)) => a.cmp(&Decimal::from(b)),
        (Kind::Date(a), Kind::Date(b)) => a.cmp(&b),
        (Kind::Moment(a), Kind::Moment(b)) => a.cmp(&b),
        (Kind::Text, Kind::Text) => text(a).cmp(&text(b)),
        (Kind::Boolean(_), Kind::Boolean(_))
        | (Kind::List, Kind::List)
        | (Kind::Map, Kind::Map) => {
            return fail(format!(
                "`{operator}` can't put {} and {} in order",
                a_type(a),
                a_type(b)
            ));
        }
        _ => return mismatch(operator, a, b),
    })
}

fn ordered(operator: &str, a: &Dynamic, b: &Dynamic, holds: fn(Ordering) -> bool) -> Outcome {
    compare(operator, a, b).map(|order| holds(order).into())
}

fn add(a: &Dynamic, b: &Dynamic) -> Outcome {
    match (Kind::of(a), Kind::of(b)) {
        (Kind::Text, _) | (_, Kind::Text) => match (shown(a), shown(b)) {
            (Some(a), Some(b)) => {
                charge((a.len() + b.len()) / 64)?;
                Ok(format!("{a}{b}").into())
            }
            _ => impossible("+", a, b),
        },
        (Kind::Date(date), Kind::Integer(days)) => moved(days, |days, forward| {
            if forward {
                date.checked_add_days(days)
            } else {
                date.checked_sub_days(days)
            }
        }),
        (Kind::Moment(moment), Kind::Integer(days)) => moved(days, |days, forward| {
            if forward {
                moment.checked_add_days(days)
            } else {
                moment.checked_sub_days(days)
            }
        }),
        (Kind::List, Kind::List) => {
            let mut list: Array = a.clone().into_array().unwrap_or_default();
            list.extend(b.clone().into_array().unwrap_or_default());
            Ok(Dynamic::from_array(list))
        }
        (Kind::Map, Kind::Map) => {
            let mut map: Map = a.as_map_ref().map(|map| map.clone()).unwrap_or_default();
            if let Ok(more) = b.as_map_ref() {
                map.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            Ok(Dynamic::from_map(map))
        }
        _ => arithmetic("+", a, b),
    }
}

fn subtract(a: &Dynamic, b: &Dynamic) -> Outcome {
    match (Kind::of(a), Kind::of(b)) {
        (Kind::Date(a), Kind::Date(b)) => Ok((a - b).num_days().into()),
        (Kind::Date(_) | Kind::Moment(_), Kind::Integer(days)) => match days.checked_neg() {
            Some(days) => add(a, &days.into()),
            None => fail("the date is out of range"),
        },
        (Kind::Moment(_), Kind::Moment(_)) => {
            fail("two datetimes can't be subtracted: write `hours_between(…)` or `days_between(…)`")
        }
        _ => arithmetic("-", a, b),
    }
}

/// A date some days later or earlier.
pub(super) fn moved<T: Clone + Send + Sync + 'static>(
    days: i64,
    shift: impl Fn(Days, bool) -> Option<T>,
) -> Outcome {
    match shift(Days::new(days.unsigned_abs()), days >= 0) {
        Some(moved) => Ok(Dynamic::from(moved)),
        None => fail("the date is out of range"),
    }
}

/// Two numbers as one type.
enum Pair {
    Integers(i64, i64),
    Decimals(Decimal, Decimal),
}

impl Pair {
    fn of(a: &Dynamic, b: &Dynamic) -> Option<Self> {
        Some(match (Kind::of(a), Kind::of(b)) {
            (Kind::Integer(a), Kind::Integer(b)) => Self::Integers(a, b),
            (Kind::Decimal(a), Kind::Decimal(b)) => Self::Decimals(a, b),
            (Kind::Integer(a), Kind::Decimal(b)) => Self::Decimals(a.into(), b),
            (Kind::Decimal(a), Kind::Integer(b)) => Self::Decimals(a, b.into()),
            _ => return None,
        })
    }
}

fn arithmetic(operator: &str, a: &Dynamic, b: &Dynamic) -> Outcome {
    let result = match Pair::of(a, b) {
        None => return impossible(operator, a, b),
        Some(Pair::Integers(_, 0)) if matches!(operator, "/" | "%") => {
            return fail("division by zero");
        }
        Some(Pair::Decimals(_, b)) if b.is_zero() && matches!(operator, "/" | "%") => {
            return fail("division by zero");
        }
        Some(Pair::Integers(a, b)) => match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" => a.checked_div(b),
            _ => a.checked_rem(b),
        }
        .map(Dynamic::from_int),
        Some(Pair::Decimals(a, b)) => match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" => a.checked_div(b),
            _ => a.checked_rem(b),
        }
        .map(Dynamic::from_decimal),
    };
    result.map_or_else(|| fail("the number is too large"), Ok)
}

fn power(a: &Dynamic, b: &Dynamic) -> Outcome {
    /// It is worked out one multiplication after the other.
    const LARGEST: i64 = 1_000;
    let (Kind::Integer(_) | Kind::Decimal(_), Kind::Integer(exponent)) = (Kind::of(a), Kind::of(b))
    else {
        return impossible("**", a, b);
    };
    if !(0..=LARGEST).contains(&exponent) {
        return fail(format!("the exponent must be between 0 and {LARGEST}"));
    }
    (0..exponent).try_fold(1_i64.into(), |product, _| arithmetic("*", &product, a))
}

fn impossible<T>(operator: &str, a: &Dynamic, b: &Dynamic) -> Result<T, Box<EvalAltResult>> {
    let empty = if a.is_unit() { a } else { b };
    fail(format!(
        "`{operator}` can't be used on {} and {}{}",
        a_type(a),
        a_type(b),
        hint(empty)
    ))
}
