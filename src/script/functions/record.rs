//! The recipient: fields by a name that is computed, and a stable number for experiments.

use rhai::Dynamic;

use super::{
    Function,
    call::{Call, Failure},
    function,
};
use crate::script::record::Record;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("record", "get(r, path[, default])", (2, 3),
    "A field, also a nested one; the default (or empty) where the source lacks it or the cell is empty.",
    "get(r, \"address.city\", \"unknown\")" => "London", |call| {
        let path = call.text(1)?;
        let found = lookup(call, &path)?.filter(|value| !value.is_unit());
        Ok(match found {
            Some(value) => value,
            None if call.count() == 3 => call.value(2).clone(),
            None => Dynamic::UNIT,
        })
    }),
    function!("record", "has(r, path)", (2, 2), "Whether the source has a field, also a nested one; the cell may be empty.",
    "has(r, \"nickname\")" => "false", |call| {
        let path = call.text(1)?;
        Ok(lookup(call, &path)?.is_some().into())
    }),
    function!("record", "bucket(r, name)", (2, 2),
    "A number from 0 to 99, always the same for a recipient and a name: `bucket(r, \"test\") < 50` is half of them.",
    "bucket(r, \"new subject\") < 50" => "false", |call| {
        let (record, name) = (call.record(0)?, call.text(1)?);
        match record.identity() {
            Some((source, key)) => Ok(i64::from(bucket(source, key, &name)).into()),
            None => call.fail("the recipient's key was not read"),
        }
    }),
];

fn lookup(call: &Call<'_, '_>, path: &str) -> Result<Option<Dynamic>, Failure> {
    if let Some(record) = call.value(0).read_lock::<Record>() {
        // A column may have dots in its name.
        if let Some(value) = record.find(path) {
            return Ok(Some(value));
        }
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let value = record.find(first);
        return Ok(if rest.is_empty() {
            value
        } else {
            value.and_then(|value| nested(value, rest))
        });
    }
    if call.value(0).is_map() {
        return Ok(nested(call.value(0).clone(), path));
    }
    call.wrong(0, "the recipient or a map")
}

fn nested(value: Dynamic, path: &str) -> Option<Dynamic> {
    path.split('.').try_fold(value, |value, key| {
        if let Ok(map) = value.as_map_ref() {
            return map.get(key).cloned();
        }
        let list = value.as_array_ref().ok()?;
        list.get(key.parse::<usize>().ok()?).cloned()
    })
}

/// The bucket of a recipient: the first eight bytes, little-endian, of the BLAKE3 hash of source, key and name, each behind
/// its length in bytes (eight bytes, little-endian), modulo 100. It must never change: running experiments rely on it.
fn bucket(source: &str, key: &str, name: &str) -> u8 {
    let mut hasher = blake3::Hasher::new();
    for part in [source, key, name] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (u64::from_le_bytes(first) % 100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_even_and_independent() {
        let mut counts = [0_u32; 100];
        let mut both = 0;
        for n in 0..20_000 {
            let key = n.to_string();
            counts[usize::from(bucket("customers", &key, "a"))] += 1;
            both += u32::from(
                bucket("customers", &key, "a") < 50 && bucket("customers", &key, "b") < 50,
            );
        }
        assert!(counts.iter().all(|count| (120..=290).contains(count)));
        assert!((4_700..=5_300).contains(&both));
    }
}
