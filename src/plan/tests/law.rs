//! The planner against a naive one that keeps everything in memory, over audiences made by chance.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{LIMITS, Row, World, days_ago, invalid, person, run};
use crate::{
    model::{
        Cooldown, Dedupe, EmailAddress, Purpose, SkipReason, Subject, SuppressionReason, Totals,
    },
    plan::{StepKind, gather::Limits},
};

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<Row>,
    suppressed_keys: Vec<(u8, Option<bool>, SuppressionReason)>,
    suppressed_addresses: Vec<(u8, Option<bool>, SuppressionReason)>,
    had: BTreeSet<u8>,
    asked_for: Option<BTreeSet<u8>>,
    transactional: bool,
    once: bool,
    holdout: bool,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (0u8..24, 0u8..16, 0u8..40).prop_map(|(key, address, kind)| {
        let key = format!("K{key}");
        let email = match address {
            0 => String::new(),
            1 => "not an address".to_owned(),
            n => format!("P{}@Example.org", n / 2),
        };
        match kind {
            0 => invalid(5, Some(&key)),
            1 => invalid(6, None),
            2 => person(&key, &email, "broken"),
            3 => person(&key, &email, "half"),
            4..10 => person(&key, &email, "no"),
            _ => person(&key, &email, "yes"),
        }
    });
    prop::collection::vec(row, 0..60)
}

fn suppressions() -> impl Strategy<Value = Vec<(u8, Option<bool>, SuppressionReason)>> {
    let reason = prop::sample::select(SuppressionReason::ALL);
    prop::collection::vec((0u8..24, any::<Option<bool>>(), reason), 0..8)
}

fn case() -> impl Strategy<Value = Case> {
    (
        rows(),
        suppressions(),
        suppressions(),
        prop::collection::btree_set(0u8..24, 0..6),
        prop::option::weighted(0.3, prop::collection::btree_set(0u8..30, 0..20)),
        any::<[bool; 3]>(),
    )
        .prop_map(|(rows, keys, addresses, had, asked_for, flags)| Case {
            rows,
            suppressed_keys: keys,
            suppressed_addresses: addresses,
            had,
            asked_for,
            transactional: flags[0],
            once: flags[1],
            holdout: flags[2],
        })
}

fn topic(of: Option<bool>) -> Option<&'static str> {
    of.map(|of| if of { "offers" } else { "billing" })
}

impl Case {
    fn world(&self) -> World {
        let mut world = World::new(self.rows.clone());
        if let Some(keys) = &self.asked_for {
            let keys: Vec<_> = keys.iter().map(|key| format!("K{key}")).collect();
            world = world.asking_for(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for (key, of, reason) in &self.suppressed_keys {
            let subject = Subject::Recipient(world.recipient(&format!("K{key}")));
            world.suppress(subject, topic(*of), *reason);
        }
        for (address, of, reason) in &self.suppressed_addresses {
            let subject = Subject::Address(world.address(&format!("p{address}@example.org")));
            world.suppress(subject, topic(*of), *reason);
        }
        let had: Vec<_> = self.had.iter().map(|key| format!("K{key}")).collect();
        let had: Vec<_> = had.iter().map(String::as_str).collect();
        world.ran(run(1, "news", "before", Some(days_ago(1))), &had);
        let audience = &mut world.campaign.audience;
        audience.cooldown = Some(Cooldown::Within("2d".parse().unwrap()));
        audience.holdout = self.holdout.then(|| "20%".parse().unwrap());
        if !self.once {
            audience.dedupe = Dedupe::None;
        }
        if self.transactional {
            world.campaign.purpose = Purpose::Transactional;
        }
        world
    }

    fn stops(
        &self,
        list: &[(u8, Option<bool>, SuppressionReason)],
        of: impl Fn(u8) -> bool,
    ) -> Option<SkipReason> {
        let reasons: Vec<_> = list
            .iter()
            .filter(|(name, topic, reason)| {
                of(*name)
                    && *topic != Some(false)
                    && !(self.transactional && *reason == SuppressionReason::Unsubscribed)
            })
            .map(|(_, _, reason)| *reason)
            .collect();
        if reasons.is_empty() {
            None
        } else if reasons == vec![SuppressionReason::Unsubscribed; reasons.len()] {
            Some(SkipReason::Unsubscribed)
        } else {
            Some(SkipReason::Suppressed)
        }
    }

    /// Every rule in turn, the plain way.
    fn expected(
        &self,
        held_out: impl Fn(&str) -> bool,
    ) -> (Totals, Vec<(String, Option<SkipReason>)>) {
        let mut totals = Totals::default();
        let mut outcomes = Vec::new();
        let mut keys = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        let asked = |key: &str| {
            let keys = self.asked_for.as_ref();
            keys.is_none_or(|keys| keys.iter().any(|asked| format!("K{asked}") == key))
        };
        for row in &self.rows {
            totals.total += 1;
            let [key, email, status, _] = match row {
                Ok(cells) => cells,
                Err(invalid) => {
                    if invalid.key.as_deref().is_none_or(asked) {
                        let shown = invalid.key.clone().unwrap_or_else(|| "line 6".to_owned());
                        seen.insert(shown.clone());
                        outcomes.push((shown, Some(SkipReason::InvalidRow)));
                    }
                    continue;
                }
            };
            seen.insert(key.clone());
            if !asked(key) || status == "no" {
                continue;
            }
            totals.matched += 1;
            let address = email
                .parse::<EmailAddress>()
                .map(|email| email.normalized());
            let skip = if !keys.insert(key.clone()) {
                Some(SkipReason::DuplicateKey)
            } else if status == "broken" {
                Some(SkipReason::ScriptError)
            } else if held_out(key) {
                Some(SkipReason::Holdout)
            } else if status == "half" {
                Some(SkipReason::ScriptError)
            } else if email.is_empty() {
                Some(SkipReason::NoAddress)
            } else if address.is_err() {
                Some(SkipReason::InvalidAddress)
            } else {
                let address = address.unwrap();
                let of_key = self.stops(&self.suppressed_keys, |name| format!("K{name}") == *key);
                let of_address = self.stops(&self.suppressed_addresses, |name| {
                    format!("p{name}@example.org") == address
                });
                if of_key.is_some() {
                    of_key
                } else if self.had.iter().any(|name| format!("K{name}") == *key) {
                    Some(SkipReason::Cooldown)
                } else if of_address.is_some() {
                    of_address
                } else if !addresses.insert(address) && self.once {
                    Some(SkipReason::DuplicateAddress)
                } else {
                    totals.to_send += 1;
                    None
                }
            };
            outcomes.push((key.clone(), skip));
        }
        for key in self.asked_for.iter().flatten() {
            let key = format!("K{key}");
            if !seen.contains(&key) {
                outcomes.push((key, Some(SkipReason::UnknownKey)));
            }
        }
        outcomes.sort();
        (totals, outcomes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn the_planner_does_what_the_plain_one_does(
        case in case(),
        batch in 1usize..20,
        evaluators in 1usize..4,
        small in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut world = case.world();
        world.people[0].batch = batch;
        world.limits = Limits { evaluators, ..LIMITS };
        if small {
            world.limits.records = 1000;
            world.limits.marks = 100;
            world.limits.bytes = 600;
        }
        world.sample = 4;
        let plan = runtime.block_on(world.plan()).unwrap();

        let rules = crate::plan::rules::Rules::new(
            world.campaign.clone(), None, world.identity.clone(), world.safety.clone(), false,
        );
        let people = "people".parse().unwrap();
        let (totals, expected) = case.expected(|key| rules.holds_out(&people, key));
        let frozen = world.ledger.frozen.lock().clone();
        let mut outcomes: Vec<_> = frozen
            .iter()
            .map(|row| (row.key.clone(), row.skip.as_ref().map(|(reason, _)| *reason)))
            .collect();
        outcomes.sort();
        prop_assert_eq!(outcomes, expected);
        prop_assert_eq!(plan.totals, totals);

        // The numbers add up, and say what the rows say.
        let mut skipped = BTreeMap::new();
        for (reason, _) in frozen.iter().filter_map(|row| row.skip.as_ref()) {
            *skipped.entry(*reason).or_insert(0) += 1;
        }
        prop_assert_eq!(&plan.skipped, &skipped);
        let no_match = [SkipReason::InvalidRow, SkipReason::UnknownKey];
        let of_matched: u64 = skipped
            .iter()
            .filter(|(reason, _)| !no_match.contains(reason))
            .map(|(_, n)| n)
            .sum();
        prop_assert_eq!(plan.totals.matched, plan.totals.to_send + of_matched);
        prop_assert_eq!(plan.by_channel.values().sum::<u64>(), plan.totals.to_send);

        for row in &frozen {
            prop_assert_eq!(row.payload.is_empty(), row.skip.is_some());
        }

        // Each delivery that is sent has its address filed, and nothing else has.
        let mut queued: Vec<_> = frozen
            .iter()
            .filter(|row| row.skip.is_none())
            .map(|row| (row.address_hash.unwrap(), row.sequence))
            .collect();
        queued.sort_unstable();
        prop_assert_eq!(&*world.ledger.addresses.lock(), &queued);
        prop_assert_eq!(plan.sample.len() as u64, plan.totals.to_send.min(4));

        // Somebody looks: the same plan, and the funnel says step by step what the rows say.
        world.freeze = false;
        world.look = true;
        let (looked_at, everybody) = runtime.block_on(world.everybody());
        prop_assert_eq!(&looked_at.digest, &plan.digest);
        prop_assert_eq!(&looked_at.skipped, &plan.skipped);
        let left = |kind| looked_at.funnel.iter().rfind(|step| step.kind == kind).map(|step| step.left);
        prop_assert_eq!(left(StepKind::Source), Some(totals.total));
        prop_assert_eq!(left(StepKind::Clause), Some(totals.matched));
        prop_assert_eq!(looked_at.funnel.last().map(|step| step.left), Some(totals.to_send));
        prop_assert_eq!(left(StepKind::Keys).is_some(), case.asked_for.is_some());
        let mut before = totals.total;
        for step in &looked_at.funnel {
            prop_assert_eq!(before - step.dropped, step.left, "{:?}", looked_at.funnel);
            before = step.left;
        }
        let (same, example) = crate::plan::compare(&everybody, &everybody).unwrap();
        prop_assert!(same.is_same());
        prop_assert_eq!(same.kept, plan.totals.to_send, "one delivery a recipient");
        prop_assert_eq!(example.is_some(), same.kept > 0);
        world.freeze = true;
        world.look = false;

        // In memory or spilled, with one evaluator or more: the same plan, to the last row.
        world.limits = LIMITS;
        let again = runtime.block_on(world.plan()).unwrap();
        prop_assert_eq!(
            serde_json::to_string(&again).unwrap(),
            serde_json::to_string(&plan).unwrap()
        );
        prop_assert_eq!(&*world.ledger.frozen.lock(), &frozen);
    }
}
