//! What becomes of each recipient, and what a plan says about it.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use crate::{
    message::payload,
    model::{Channel, Dedupe, HoldReason, Purpose, SkipReason, Subject, SuppressionReason, Value},
};

use super::world::{World, invalid, person};

#[tokio::test]
async fn everybody_ends_with_a_reason() {
    let world = World::new(vec![
        person("A1", "ada@example.org", "yes"),
        person("A2", "not@there", "no"),
        person("A3", "", "yes"),
        person("A4", "bob.example.org", "yes"),
        person("A5", "eve@example.org", "broken"),
        person("A6", "eve@example.org", "half"),
        person("A1", "other@example.org", "yes"),
        person("A7", "ADA@example.org", "yes"),
        invalid(9, Some("A8")),
        invalid(10, None),
        person("A8", "a8@example.org", "yes"),
        person("A9", "gone@example.org", "yes"),
        person("B1", "b1@example.org", "yes"),
        person("B2", "b2@example.org", "yes"),
    ]);
    let gone = Subject::Address(world.address("gone@example.org"));
    world.suppress(gone, None, SuppressionReason::Bounced);
    let b1 = Subject::Recipient(world.recipient("B1"));
    world.suppress(b1, Some("offers"), SuppressionReason::Unsubscribed);
    let plan = world.plan().await.unwrap();
    let place = "campaigns/news.toml:1:10";
    assert_eq!(
        world.outcomes(),
        [
            "A1 -".to_owned(),
            "A1 duplicate_key".to_owned(),
            "A3 no_address".to_owned(),
            "A4 invalid_address: it has no @".to_owned(),
            format!("A5 script_error: {place}: an empty cell has no order"),
            format!("A6 script_error: {place}: an empty cell has no order"),
            "A7 duplicate_address".to_owned(),
            "A8 -".to_owned(),
            "A8 invalid_row: line 9, column \"balance\": \"x\" is not a number".to_owned(),
            "A9 suppressed: bounced".to_owned(),
            "B1 unsubscribed".to_owned(),
            "B2 -".to_owned(),
            "line 10 invalid_row: line 10, column \"balance\": \"x\" is not a number".to_owned(),
        ]
    );
    assert_eq!(plan.totals.total, 14);
    assert_eq!(plan.totals.matched, 11);
    assert_eq!(plan.totals.to_send, 3);
    assert_eq!(plan.by_channel, BTreeMap::from([(Channel::Email, 3)]));
    // All that matched and have an address: A1 twice, A6, A7, A8, A9, B1, B2.
    assert_eq!(plan.reachable, BTreeMap::from([(Channel::Email, 8)]));
    assert_eq!(plan.skipped[&SkipReason::InvalidRow], 2);
    assert_eq!(
        plan.problems,
        [
            format!("people, key A5: {place}: an empty cell has no order"),
            format!("people, key A6: {place}: an empty cell has no order"),
            "people: line 9, column \"balance\": \"x\" is not a number".to_owned(),
            "people: line 10, column \"balance\": \"x\" is not a number".to_owned(),
        ]
    );
    assert_eq!(plan.hold, None);
    assert_eq!(world.progress.rows.load(Ordering::Relaxed), 14);
    assert_eq!(world.progress.settled.load(Ordering::Relaxed), 13);
    assert_eq!(world.progress.records.load(Ordering::Relaxed), 13);
}

#[tokio::test]
async fn what_holds_for_the_whole_workspace_stops_anybody() {
    let mut world = World::new(vec![
        person("A1", "ada@example.org", "yes"),
        person("A2", "bob@acme.example", "barred"),
        person("A3", "eve@acme.example", "barred and half"),
        person("A4", "dan@acme.example", "bad policy"),
        person("A5", "", "barred"),
        person("A6", "joe@acme.example", "yes"),
        person("A7", "ann@example.org", "bad policy"),
    ]);
    world.safety.only_to = vec!["*@acme.example".parse().unwrap()];
    let plan = world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        [
            "A1 safety",
            "A2 policy: on the list",
            "A3 policy: on the list",
            "A4 script_error: campaigns/news.toml:1:10: an empty cell has no order",
            "A5 no_address",
            "A6 -",
            "A7 safety",
        ]
    );
    assert_eq!(plan.skipped[&SkipReason::Safety], 2);
    // Barred or not, they could be reached.
    assert_eq!(plan.reachable, BTreeMap::from([(Channel::Email, 6)]));
    let frozen = world.ledger.frozen.lock().clone();
    let barred = frozen.iter().find(|row| row.key == "A2").unwrap();
    assert_eq!(barred.address, "bob@acme.example");
    assert!(barred.payload.is_empty());
}

#[tokio::test]
async fn what_is_frozen_is_what_the_message_needs() {
    let world = World::new(vec![
        person("A1", "Ada@Example.org", "yes"),
        person("A2", "", "yes"),
    ]);
    world.plan().await.unwrap();
    let frozen = world.ledger.frozen.lock();
    let row = |key: &str| frozen.iter().find(|row| row.key == key).unwrap().clone();
    let ada = row("A1");
    assert_eq!(ada.address, "Ada@example.org");
    assert_eq!(ada.recipient, world.recipient("A1"));
    assert_eq!(ada.address_hash, Some(world.address("ada@example.org")));
    assert_eq!(World::layout().names(), ["r.mail", "length"]);
    assert_eq!(
        payload::decode(&ada.payload).unwrap(),
        [Value::from("Ada@Example.org"), Value::Integer(2)]
    );
    assert_eq!(
        *world.ledger.addresses.lock(),
        [(world.address("ada@example.org"), ada.sequence)]
    );
    let nowhere = row("A2");
    assert_eq!(nowhere.recipient, world.recipient("A2"));
    assert_eq!(nowhere.address_hash, None);
    assert!(nowhere.payload.is_empty());
}

#[tokio::test]
async fn a_dry_plan_is_the_same_plan() {
    let rows: Vec<_> = (0..40)
        .map(|n| person(&format!("K{n}"), &format!("p{}@example.org", n % 30), "yes"))
        .collect();
    let mut world = World::new(rows);
    world.sample = 5;
    let frozen = world.plan().await.unwrap();
    world.freeze = false;
    let dry = world.plan().await.unwrap();
    assert!(world.ledger.frozen.lock().is_empty());
    assert_eq!(
        serde_json::to_string(&dry).unwrap(),
        serde_json::to_string(&frozen).unwrap()
    );
    assert_eq!(dry.sample.len(), 5);
    for sample in &dry.sample {
        let name = format!("Name of {}", sample.key);
        assert_eq!(
            sample.variables,
            [
                ("name".to_owned(), Value::Text(name)),
                ("length".to_owned(), Value::Integer(sample.key.len() as i64)),
            ]
        );
    }
    // Neither the first five nor one after the other.
    let keys: Vec<_> = dry.sample.iter().map(|one| one.key.as_str()).collect();
    assert_ne!(keys, ["K0", "K1", "K2", "K3", "K4"]);
    // Not kept with a plan that shows none.
    world.sample = 0;
    assert!(world.plan().await.unwrap().sample.is_empty());
}

#[tokio::test]
async fn the_digest_knows_no_order_no_store_and_no_suppressed() {
    let mut rows: Vec<_> = (0..30)
        .map(|n| person(&format!("K{n}"), &format!("p{n}@example.org"), "yes"))
        .collect();
    let mut world = World::new(rows.clone());
    let digest = world.plan().await.unwrap().digest;
    rows.reverse();
    let mut reversed = World::new(rows.clone());
    reversed.people[0].batch = 30;
    reversed.identity = crate::model::Identity::new([1; 32]);
    reversed.freeze = false;
    assert_eq!(reversed.plan().await.unwrap().digest, digest);

    // Who gets nothing does not count, who gets something else does.
    rows.push(person("X", "", "yes"));
    assert_eq!(
        World::new(rows.clone()).plan().await.unwrap().digest,
        digest
    );
    world.people[0].rows[4] = person("K4", "elsewhere@example.org", "yes");
    assert_ne!(world.plan().await.unwrap().digest, digest);
    let k4 = Subject::Recipient(reversed.recipient("K4"));
    reversed.suppress(k4, None, SuppressionReason::Manual);
    assert_ne!(reversed.plan().await.unwrap().digest, digest);
}

#[tokio::test]
async fn only_the_keys_that_are_asked_for() {
    let world = World::new(vec![
        person("A1", "a1@example.org", "yes"),
        person("A2", "a2@example.org", "yes"),
        person("A3", "a3@example.org", "no"),
        person("A5", "a5@example.org", "broken"),
        invalid(6, Some("A6")),
        invalid(7, Some("A7")),
        invalid(8, None),
    ])
    .asking_for(&["A9", "A6", "A1", "A3", "A0"]);
    let plan = world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        [
            "A0 unknown_key",
            "A1 -",
            "A6 invalid_row: line 6, column \"balance\": \"x\" is not a number",
            "A9 unknown_key",
            "line 8 invalid_row: line 8, column \"balance\": \"x\" is not a number",
        ]
    );
    assert_eq!(plan.totals.total, 7);
    assert_eq!(plan.totals.matched, 1);
    assert_eq!(
        plan.problems[2..],
        [
            "key A9 is in none of the campaign's sources",
            "key A0 is in none of the campaign's sources"
        ]
    );
}

#[tokio::test]
async fn one_message_per_row_where_the_campaign_says_so() {
    let mut world = World::new(vec![
        person("A1", "ada@example.org", "yes"),
        person("A2", "ada@example.org", "yes"),
        person("A2", "ada@example.org", "yes"),
    ]);
    world.campaign.audience.dedupe = Dedupe::None;
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A1 -", "A2 -", "A2 duplicate_key"]);
    assert_eq!(world.ledger.addresses.lock().len(), 2);
}

#[tokio::test]
async fn the_same_key_in_two_sources_is_two_recipients() {
    let mut world = World::new(vec![person("A1", "one@example.org", "yes")]);
    world.campaign.audience.sources = vec!["people".parse().unwrap(), "people2".parse().unwrap()];
    let mut second = world.people[0].clone();
    second.rows = vec![
        person("A1", "two@example.org", "yes"),
        person("A2", "one@example.org", "yes"),
    ];
    world.people.push(second);
    let plan = world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A1 -", "A1 -", "A2 duplicate_address"]);
    assert_eq!(plan.totals.total, 3);
}

#[tokio::test]
async fn a_row_that_is_not_sent_still_is_the_first_with_its_key() {
    // The second row must not slip in where a script failed on the first.
    let world = World::new(vec![
        person("A1", "a1@example.org", "half"),
        person("A1", "a1@example.org", "yes"),
        person("A2", "a2@example.org", "no"),
        person("A2", "a2@example.org", "yes"),
    ]);
    world.plan().await.unwrap();
    let outcomes = world.outcomes();
    assert_eq!(outcomes[0], "A1 duplicate_key");
    assert!(outcomes[1].starts_with("A1 script_error"));
    assert_eq!(outcomes[2..], ["A2 -"]);
}

#[tokio::test]
async fn the_holdout_is_stable_and_of_the_size_asked_for() {
    let rows: Vec<_> = (0..2000)
        .map(|n| person(&format!("K{n}"), &format!("p{n}@example.org"), "yes"))
        .collect();
    let mut world = World::new(rows);
    world.people[0].batch = 500;
    world.campaign.audience.holdout = Some("5%".parse().unwrap());
    let plan = world.plan().await.unwrap();
    let held = plan.skipped[&SkipReason::Holdout];
    assert!((70..=130).contains(&held), "{held} of 2000");
    assert_eq!(plan.totals.matched, plan.totals.to_send + held);
    let first = world.outcomes();
    world.identity = crate::model::Identity::new([1; 32]);
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), first, "another store holds others out");
    world.campaign.id = "other".parse().unwrap();
    world.plan().await.unwrap();
    assert_ne!(world.outcomes(), first, "each campaign has its own");
    world.campaign.audience.holdout = Some("100%".parse().unwrap());
    assert_eq!(world.plan().await.unwrap().totals.to_send, 0);
}

#[tokio::test]
async fn limits_hold_a_run() {
    let rows = |yes: usize, broken: usize| {
        let mut rows = Vec::new();
        for n in 0..yes + broken {
            let status = if n < yes { "yes" } else { "broken" };
            rows.push(person(
                &format!("K{n}"),
                &format!("p{n}@example.org"),
                status,
            ));
        }
        rows
    };
    for (yes, broken, min, max, hold) in [
        (0, 0, 1, None, Some(HoldReason::TooFew)),
        (0, 0, 0, None, None),
        (5, 0, 5, Some(5), None),
        (5, 0, 6, None, Some(HoldReason::TooFew)),
        (5, 0, 1, Some(4), Some(HoldReason::TooMany)),
        (5, 2, 1, None, None),
        (5, 3, 1, Some(4), Some(HoldReason::ScriptErrors)),
        (0, 3, 1, None, Some(HoldReason::ScriptErrors)),
    ] {
        let mut world = World::new(rows(yes, broken));
        world.campaign.audience.min_recipients = min;
        world.campaign.audience.max_recipients = max;
        world.campaign.audience.max_script_errors = 2;
        let plan = world.plan().await.unwrap();
        assert_eq!(plan.hold, hold, "{yes} {broken} {min} {max:?}");
    }
}

#[tokio::test]
async fn transactional_mail_ignores_who_unsubscribed_and_nothing_else() {
    let everything = [
        ("A1", None, SuppressionReason::Unsubscribed),
        ("A2", Some("offers"), SuppressionReason::Unsubscribed),
        ("A3", Some("billing"), SuppressionReason::Unsubscribed),
        ("A4", None, SuppressionReason::Bounced),
        ("A5", None, SuppressionReason::Complained),
        ("A6", Some("offers"), SuppressionReason::Manual),
        ("A7", Some("billing"), SuppressionReason::Manual),
    ];
    let rows = everything.map(|(key, ..)| person(key, &format!("{key}@example.org"), "yes"));
    for by_address in [false, true] {
        let mut world = World::new(rows.to_vec());
        for (key, topic, reason) in everything {
            let subject = if by_address {
                let address = format!("{key}@example.org").to_lowercase();
                Subject::Address(world.address(&address))
            } else {
                Subject::Recipient(world.recipient(key))
            };
            world.suppress(subject, topic, reason);
        }
        world.plan().await.unwrap();
        let rest = [
            "A3 -",
            "A4 suppressed: bounced",
            "A5 suppressed: complained",
            "A6 suppressed: manual",
            "A7 -",
        ];
        assert_eq!(
            world.outcomes()[..2],
            ["A1 unsubscribed", "A2 unsubscribed"]
        );
        assert_eq!(world.outcomes()[2..], rest);
        world.campaign.purpose = Purpose::Transactional;
        world.plan().await.unwrap();
        assert_eq!(world.outcomes()[..2], ["A1 -", "A2 -"]);
        assert_eq!(world.outcomes()[2..], rest);
    }
}
