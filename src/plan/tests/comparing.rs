//! Two plans beside each other, against sets in memory.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{LIMITS, Row, World, person};
use crate::plan::{Cause, Comparison, Moved, Why, compare, gather::Limits};

/// Who gets it, with what; and why the others do not.
fn audience(rows: &[Row]) -> (BTreeMap<String, String>, BTreeMap<String, Why>) {
    let (mut sent, mut out) = (BTreeMap::new(), BTreeMap::new());
    let (mut addresses, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for [key, email, status, _] in rows.iter().flatten() {
        if status == "no" {
            out.entry(key.clone())
                .or_insert_with(|| Why::Clause("status".to_owned()));
        } else if !keys.insert(key.clone()) {
        } else if addresses.insert(email.clone()) {
            sent.insert(key.clone(), email.clone());
        } else {
            out.insert(key.clone(), Why::Rule("duplicate_address".to_owned()));
        }
    }
    out.retain(|key, _| !sent.contains_key(key));
    (sent, out)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0u8..20, 0u8..14, any::<bool>()).prop_map(|(key, address, matches)| {
        let status = if matches { "yes" } else { "no" };
        person(
            &format!("K{key}"),
            &format!("p{address}@example.org"),
            status,
        )
    });
    prop::collection::vec(row, 0..40)
}

fn sorted(causes: &[Cause]) -> BTreeMap<Why, u64> {
    causes
        .iter()
        .map(|cause| (cause.why.clone(), cause.n))
        .collect()
}

fn counted<'a>(
    keys: impl Iterator<Item = &'a String>,
    out: &BTreeMap<String, Why>,
) -> BTreeMap<Why, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let why = out.get(key).cloned().unwrap_or(Why::Source);
        *counts.entry(why).or_insert(0) += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_sets_in_memory_say(before in rows(), after in rows(), small in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let limits = if small { Limits { records: 300, marks: 60, ..LIMITS } } else { LIMITS };
        let everybody = |rows: &[Row]| {
            let mut world = World::new(rows.to_vec());
            (world.freeze, world.look, world.limits) = (false, true, limits);
            runtime.block_on(world.everybody()).1
        };
        let (comparison, example) = compare(&everybody(&before), &everybody(&after)).unwrap();
        let ((was, was_out), (is, is_out)) = (audience(&before), audience(&after));
        let added = || is.keys().filter(|key| !was.contains_key(*key));
        let dropped = || was.keys().filter(|key| !is.contains_key(*key));
        let kept: Vec<_> = is.iter().filter(|(key, _)| was.contains_key(*key)).collect();
        prop_assert_eq!(comparison.kept, kept.len() as u64);
        prop_assert_eq!(comparison.added, added().count() as u64);
        prop_assert_eq!(comparison.dropped, dropped().count() as u64);
        let altered = kept.iter().filter(|(key, email)| was[*key] != **email).count() as u64;
        prop_assert_eq!(comparison.altered, altered);
        prop_assert_eq!(sorted(&comparison.added_by), counted(added(), &was_out));
        prop_assert_eq!(sorted(&comparison.dropped_by), counted(dropped(), &is_out));
        prop_assert_eq!(comparison.sample_added.len() as u64, comparison.added.min(5));
        for Moved { key, why } in &comparison.sample_added {
            prop_assert!(is.contains_key(key) && !was.contains_key(key));
            prop_assert_eq!(why, was_out.get(key).unwrap_or(&Why::Source));
        }
        prop_assert_eq!(example.is_some(), !kept.is_empty());
        if let Some(key) = example {
            prop_assert!(altered == 0 || was[&key] != is[&key], "one that changed is shown first");
        }
        prop_assert_eq!(comparison.is_same(), was == is);
    }
}

#[tokio::test]
async fn the_same_audience_is_the_same_in_any_order() {
    let rows = [
        person("A1", "a1@example.org", "yes"),
        person("A2", "a2@example.org", "yes"),
        person("A3", "a3@example.org", "no"),
    ];
    let mut world = World::new(rows.to_vec());
    (world.freeze, world.look) = (false, true);
    let (_, before) = world.everybody().await;
    world.people[0].rows.reverse();
    let (_, after) = world.everybody().await;
    let (comparison, example) = compare(&before, &after).unwrap();
    assert_eq!(
        comparison,
        Comparison {
            kept: 2,
            ..Comparison::default()
        }
    );
    assert!(example.is_some());
}
