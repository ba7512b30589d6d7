//! Texts. Lengths and positions count characters.

use regex::RegexBuilder;
use rhai::{Array, Dynamic, ImmutableString};

use super::{
    Function,
    call::{Call, Failure},
    function,
};
use crate::script::{
    operators::{Outcome, equal},
    value::{Kind, shown, type_name},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("text", "upper(text)", (1, 1), "In capital letters.",
        "upper(\"straße\")" => "STRASSE", |call| Ok(call.text(0)?.to_uppercase().into())),
    function!("text", "to_upper(text)", (1, 1), "The same as upper(…).",
        "\"ada\".to_upper()" => "ADA", |call| Ok(call.text(0)?.to_uppercase().into())),
    function!("text", "lower(text)", (1, 1), "In small letters.",
        "lower(\"ADA\")" => "ada", |call| Ok(call.text(0)?.to_lowercase().into())),
    function!("text", "to_lower(text)", (1, 1), "The same as lower(…).",
        "\"ADA\".to_lower()" => "ada", |call| Ok(call.text(0)?.to_lowercase().into())),
    function!("text", "trim(text)", (1, 1), "Without white space at both ends.",
        "trim(\"  Ada \")" => "Ada", |call| Ok(call.text(0)?.trim().into())),
    function!("text", "capitalize(text)", (1, 1), "The first letter a capital, the others as they are.",
        "capitalize(\"ada king\")" => "Ada king", |call| Ok(capitalized(&call.text(0)?).into())),
    function!("text", "title(text)", (1, 1), "Each word with a capital, its other letters small.",
        "title(\"ADA kING-lovelace\")" => "Ada King-Lovelace", |call| Ok(title(&call.text(0)?).into())),
    function!("text", "first_word(text)", (1, 1), "What stands before the first white space; empty where there is nothing.",
    "first_word(r.name)" => "Ada", |call| {
        Ok(call.text(0)?.split_whitespace().next().unwrap_or_default().into())
    }),
    function!("text", "len(text | list | map)", (1, 1), "How many characters, elements or entries.",
        "len(r.name)" => "8", len),
    function!("text", "is_empty(value)", (1, 1), "Whether a text, list or map has nothing in it, or a cell is empty.",
        "is_empty(r.phone)" => "true", is_empty),
    function!("text", "contains(text | list | map, value)", (2, 2),
        "Whether it has the text, the element or the key in it; also `value in it`.",
        "contains(r.name, \"King\")" => "true", contains),
    function!("text", "starts_with(text, start)", (2, 2), "Whether it starts with the other.",
        "starts_with(r.name, \"Ada\")" => "true", |call| Ok(call.text(0)?.starts_with(call.text(1)?.as_str()).into())),
    function!("text", "ends_with(text, end)", (2, 2), "Whether it ends with the other.",
        "ends_with(r.email, \"@example.org\")" => "true", |call| Ok(call.text(0)?.ends_with(call.text(1)?.as_str()).into())),
    function!("text", "split(text[, separator])", (1, 2), "The parts between the separators, or between white space.",
        "r.name.split(\" \")[1]" => "King", split),
    function!("text", "replace(text, old, new)", (3, 3), "With every `old` replaced by `new`.",
        "replace(\"a-b-c\", \"-\", \"+\")" => "a+b+c", replace),
    function!("text", "sub_string(text, start[, length])", (2, 3),
        "The characters from `start` (0 is the first, -1 the last) on, at most `length`.",
        "sub_string(r.name, 4)" => "King", sub_string),
    function!("text", "index_of(text | list, value)", (2, 2), "Where it is found first, from 0; -1 where it is not.",
        "index_of(r.name, \"King\")" => "4", index_of),
    function!("text", "pad_left(text, length[, fill])", (2, 3), "Filled up on the left, with spaces or what is given.",
        "pad_left(\"7\", 3, \"0\")" => "007", |call| pad(call, true)),
    function!("text", "pad_right(text, length[, fill])", (2, 3), "Filled up on the right, with spaces or what is given.",
        "pad_right(\"7\", 3, \".\")" => "7..", |call| pad(call, false)),
    function!("text", "matches(text, pattern)", (2, 2), "Whether a regular expression is found in it; it takes linear time.",
        "matches(r.email, \"^[a-z]+@example\\\\.org$\")" => "true", matches),
    function!("text", "to_text(value)", (1, 1), "A number, boolean, date or datetime as text.",
    "to_text(42) + \"!\"" => "42!", |call| match shown(call.value(0)) {
        Some(text) => Ok(text.into()),
        None => call.wrong(0, "a text, number, boolean, date or datetime"),
    }),
    function!("text", "type_name(value)", (1, 1),
        "string, integer, decimal, boolean, date, datetime, list, map or empty.",
        "type_name(r.balance)" => "decimal", |call| Ok(type_name(call.value(0)).into())),
];

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn title(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            result.extend(c.to_lowercase());
        } else {
            result.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || (inside && matches!(c, '\'' | '’'));
    }
    result
}

fn len(call: &mut Call<'_, '_>) -> Outcome {
    let length = match Kind::of(call.value(0)) {
        Kind::Text => call.text(0)?.chars().count(),
        Kind::List => call.value(0).as_array_ref().map_or(0, |list| list.len()),
        Kind::Map => call.value(0).as_map_ref().map_or(0, |map| map.len()),
        _ => return call.wrong(0, "a string, list or map"),
    };
    Ok((length as i64).into())
}

fn is_empty(call: &mut Call<'_, '_>) -> Outcome {
    Ok(match Kind::of(call.value(0)) {
        Kind::Empty => true,
        Kind::Text => call.text(0)?.is_empty(),
        Kind::List => call
            .value(0)
            .as_array_ref()
            .is_ok_and(|list| list.is_empty()),
        Kind::Map => call.value(0).as_map_ref().is_ok_and(|map| map.is_empty()),
        _ => false,
    }
    .into())
}

fn contains(call: &mut Call<'_, '_>) -> Outcome {
    match Kind::of(call.value(0)) {
        Kind::Text => {
            let text = call.text(0)?;
            Ok(text.contains(call.text(1)?.as_str()).into())
        }
        Kind::Map => {
            let key = call.text(1)?;
            Ok(call
                .value(0)
                .as_map_ref()
                .is_ok_and(|map| map.contains_key(key.as_str()))
                .into())
        }
        Kind::List => {
            let needle = call.value(1);
            if needle.is_unit() {
                return call.wrong(1, "a value");
            }
            let mut found = false;
            // To the end even when found: whether it is an error may not depend on the order.
            for element in call.list(0)? {
                found |= equal("in", &element, needle)?;
            }
            Ok(found.into())
        }
        _ => match in_range(call.value(0), call.value(1)) {
            Some(found) => Ok(found.into()),
            None => call.wrong(0, "a string, list or map"),
        },
    }
}

fn in_range(range: &Dynamic, value: &Dynamic) -> Option<bool> {
    let value = value.as_int().ok()?;
    if let Some(range) = range.read_lock::<std::ops::Range<i64>>() {
        return Some(range.contains(&value));
    }
    let range = range.read_lock::<std::ops::RangeInclusive<i64>>()?;
    Some(range.contains(&value))
}

fn split(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let parts: Array = if call.count() == 1 {
        text.split_whitespace().map(Into::into).collect()
    } else {
        let separator = call.text(1)?;
        if separator.is_empty() {
            return call.fail("the separator is empty");
        }
        text.split(separator.as_str()).map(Into::into).collect()
    };
    call.charge(parts.len())?;
    Ok(Dynamic::from_array(parts))
}

fn replace(call: &mut Call<'_, '_>) -> Outcome {
    let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if old.is_empty() {
        return call.fail("the text to replace is empty");
    }
    // Before it is made: the limit on texts looks at results only.
    let found = text.matches(old.as_str()).count();
    call.charge(found * new.len() / 64)?;
    Ok(text.replace(old.as_str(), &new).into())
}

fn sub_string(call: &mut Call<'_, '_>) -> Outcome {
    let (text, start) = (call.text(0)?, call.integer(1)?);
    let length = text.chars().count();
    let start = match usize::try_from(start) {
        Ok(start) => start,
        Err(_) => length.saturating_sub(usize::try_from(start.unsigned_abs()).unwrap_or(length)),
    };
    let take = match call.count() {
        3 => call.size(2, usize::MAX)?,
        _ => usize::MAX,
    };
    Ok(text
        .chars()
        .skip(start)
        .take(take)
        .collect::<String>()
        .into())
}

fn index_of(call: &mut Call<'_, '_>) -> Outcome {
    let found = match Kind::of(call.value(0)) {
        Kind::Text => {
            let text = call.text(0)?;
            text.find(call.text(1)?.as_str())
                .map(|at| text[..at].chars().count())
        }
        Kind::List => {
            let needle = call.value(1);
            let mut found = None;
            for (at, element) in call.list(0)?.iter().enumerate() {
                if equal("index_of", element, needle)? && found.is_none() {
                    found = Some(at);
                }
            }
            found
        }
        _ => return call.wrong(0, "a string or list"),
    };
    Ok(found.map_or(-1, |at| at as i64).into())
}

fn pad(call: &mut Call<'_, '_>, left: bool) -> Outcome {
    let (text, length) = (call.text(0)?, call.size(1, 10_000)?);
    let fill = match call.count() {
        3 => call.text(2)?,
        _ => ImmutableString::from(" "),
    };
    if fill.is_empty() {
        return call.fail("there is nothing to fill up with");
    }
    let missing = length.saturating_sub(text.chars().count());
    let filling: String = fill.chars().cycle().take(missing).collect();
    Ok(if left {
        format!("{filling}{text}")
    } else {
        format!("{text}{filling}")
    }
    .into())
}

fn matches(call: &mut Call<'_, '_>) -> Outcome {
    thread_local! {
        /// Scripts use few patterns, again and again.
        static COMPILED: std::cell::RefCell<Vec<(ImmutableString, regex::Regex)>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    const KEPT: usize = 32;

    let (text, pattern) = (call.text(0)?, call.text(1)?);
    let known = COMPILED.with_borrow(|known| {
        let found = known.iter().find(|(known, _)| *known == pattern)?;
        Some(found.1.clone())
    });
    let regex = match known {
        Some(regex) => regex,
        None => compiled(call, &pattern).inspect(|regex| {
            COMPILED.with_borrow_mut(|known| {
                if known.len() >= KEPT {
                    known.remove(0);
                }
                known.push((pattern.clone(), regex.clone()));
            });
        })?,
    };
    call.charge(text.len() / 16)?;
    Ok(regex.is_match(&text).into())
}

fn compiled(call: &Call<'_, '_>, pattern: &str) -> Result<regex::Regex, Failure> {
    const LARGEST: usize = 1 << 20;

    call.charge(1_000 + pattern.len() * 10)?;
    RegexBuilder::new(pattern)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST)
        .nest_limit(50)
        .build()
        .or_else(|error| match error {
            regex::Error::CompiledTooBig(_) => call.fail("the regular expression is too large"),
            error => call.fail(format!(
                "{pattern:?} is not a regular expression: {}",
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
            )),
        })
}
