//! Lists and maps. Nothing changes the list it is given, but `push`.

use rhai::{Array, Dynamic};

use super::{Function, call::Call, function};
use crate::script::{
    operators::{Outcome, compare, equal},
    value::shown,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("lists", "first(list)", (1, 1), "The first element; empty where there is none.",
        "first(r.tags)" => "gold", |call| Ok(call.list(0)?.into_iter().next().unwrap_or_default())),
    function!("lists", "last(list)", (1, 1), "The last element; empty where there is none.",
        "last(r.tags)" => "early", |call| Ok(call.list(0)?.pop().unwrap_or_default())),
    function!("lists", "filter(list, closure)", (2, 2), "The elements for which the closure gives true.",
    "[1, 5, 9].filter(|x| x > 3)" => "5, 9", |call| {
        let mut kept = Array::new();
        for element in call.list(0)? {
            if call.holds(1, element.clone())? {
                kept.push(element);
            }
        }
        Ok(Dynamic::from_array(kept))
    }),
    function!("lists", "map(list, closure)", (2, 2), "What the closure gives for each element.",
    "r.tags.map(|tag| upper(tag))" => "GOLD, EARLY", |call| {
        let mut mapped = Array::new();
        for element in call.list(0)? {
            mapped.push(call.apply(1, &mut [element])?);
        }
        Ok(Dynamic::from_array(mapped))
    }),
    function!("lists", "reduce(list, closure, start)", (3, 3),
    "One value of all elements: the closure gets what came so far, and the element.",
    "[1, 2, 3].reduce(|sum, x| sum + x, 0)" => "6", |call| {
        let mut result = call.value(2).clone();
        for element in call.list(0)? {
            result = call.apply(1, &mut [result, element])?;
        }
        Ok(result)
    }),
    function!("lists", "all(list, closure)", (2, 2), "Whether the closure gives true for every element.",
    "[1, 2].all(|x| x > 0)" => "true", |call| {
        for element in call.list(0)? {
            if !call.holds(1, element)? {
                return Ok(false.into());
            }
        }
        Ok(true.into())
    }),
    function!("lists", "any(list, closure)", (2, 2), "Whether the closure gives true for one element at least.",
        "r.tags.any(|tag| tag == \"gold\")" => "true", |call| some(call)),
    function!("lists", "some(list, closure)", (2, 2), "The same as any(…).",
        "[1, 2].some(|x| x > 1)" => "true", |call| some(call)),
    function!("lists", "find(list, closure)", (2, 2), "The first element for which the closure gives true; empty where there is none.",
    "[1, 5, 9].find(|x| x > 3)" => "5", |call| {
        for element in call.list(0)? {
            if call.holds(1, element.clone())? {
                return Ok(element);
            }
        }
        Ok(Dynamic::UNIT)
    }),
    function!("lists", "sort(list)", (1, 1), "In ascending order.",
    "sort([3, 1.5, 2])" => "1.5, 2, 3", |call| {
        let list = call.list(0)?;
        let pairs = list.into_iter().map(|element| (element.clone(), element)).collect();
        sorted(call, pairs)
    }),
    function!("lists", "sort_by(list, closure)", (2, 2), "In ascending order of what the closure gives.",
    "[\"ccc\", \"a\", \"bb\"].sort_by(|x| len(x))" => "a, bb, ccc", |call| {
        let mut pairs = Vec::new();
        for element in call.list(0)? {
            pairs.push((call.apply(1, &mut [element.clone()])?, element));
        }
        sorted(call, pairs)
    }),
    function!("lists", "reverse(list)", (1, 1), "The last element first.",
    "reverse([1, 2, 3])" => "3, 2, 1", |call| {
        let mut list = call.list(0)?;
        list.reverse();
        Ok(Dynamic::from_array(list))
    }),
    function!("lists", "unique(list)", (1, 1), "Each element once, where it stands first.",
        "unique([\"a\", \"b\", \"a\"])" => "a, b", unique),
    function!("lists", "slice(list, start[, length])", (2, 3), "The elements from `start` (0 is the first) on, at most `length`.",
    "slice([1, 2, 3, 4], 1, 2)" => "2, 3", |call| {
        let start = call.size(1, usize::MAX)?;
        let take = if call.count() == 3 { call.size(2, usize::MAX)? } else { usize::MAX };
        Ok(Dynamic::from_array(call.list(0)?.into_iter().skip(start).take(take).collect()))
    }),
    function!("lists", "join(list[, separator])", (1, 2), "One text of all elements, with `, ` or what is given between them.",
        "join(r.tags, \" and \")" => "gold and early", join),
    function!("lists", "push(list, value)", (2, 2), "Adds a value at the end of the list variable.",
    "{ let list = [1]; list.push(2); list }" => "1, 2", |call| {
        let value = call.value(1).clone();
        if !call.value(0).is_array() {
            return call.wrong(0, "a list");
        }
        if let Ok(mut list) = call.target().as_array_mut() {
            list.push(value);
        }
        Ok(Dynamic::UNIT)
    }),
    function!("lists", "keys(map)", (1, 1), "The keys of a map, in order.",
    "keys(#{ b: 1, a: 2 })" => "a, b", |call| match call.value(0).as_map_ref() {
        Ok(map) => Ok(Dynamic::from_array(map.keys().map(|key| key.as_str().into()).collect())),
        Err(_) => call.wrong(0, "a map"),
    }),
    function!("lists", "values(map)", (1, 1), "The values of a map, in the order of its keys.",
    "values(#{ b: 1, a: 2 })" => "2, 1", |call| match call.value(0).as_map_ref() {
        Ok(map) => Ok(Dynamic::from_array(map.values().cloned().collect())),
        Err(_) => call.wrong(0, "a map"),
    }),
];

fn some(call: &mut Call<'_, '_>) -> Outcome {
    for element in call.list(0)? {
        if call.holds(1, element)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

/// The second of each pair, in the order of the first.
fn sorted(call: &Call<'_, '_>, mut pairs: Vec<(Dynamic, Dynamic)>) -> Outcome {
    call.charge(pairs.len() * 16)?;
    let mut failure = None;
    pairs.sort_by(|(a, _), (b, _)| {
        compare("sort", a, b).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            std::cmp::Ordering::Equal
        })
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Dynamic::from_array(
            pairs.into_iter().map(|(_, element)| element).collect(),
        )),
    }
}

fn unique(call: &mut Call<'_, '_>) -> Outcome {
    let mut kept = Array::new();
    for element in call.list(0)? {
        call.charge(kept.len())?;
        let mut known = false;
        for other in &kept {
            known |= equal("unique", other, &element)?;
        }
        if !known {
            kept.push(element);
        }
    }
    Ok(Dynamic::from_array(kept))
}

fn join(call: &mut Call<'_, '_>) -> Outcome {
    let separator = match call.count() {
        2 => call.text(1)?,
        _ => ", ".into(),
    };
    let mut joined = String::new();
    for (at, element) in call.list(0)?.iter().enumerate() {
        let Some(text) = shown(element) else {
            return call.fail(format!(
                "{} can't stand in a text",
                crate::script::value::a_type(element)
            ));
        };
        call.charge((text.len() + separator.len()) / 64)?;
        if at > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&text);
    }
    Ok(joined.into())
}
