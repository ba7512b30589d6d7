//! One recipient at a time.

use super::world::{World, days_ago, invalid, person, run};
use crate::{
    model::{Cooldown, SkipReason, Subject, SuppressionReason},
    plan::{Checked, Found},
};

fn world() -> World {
    World::new(vec![
        person("A1", "a1@example.org", "no"),
        invalid(2, Some("A2")),
        person("A3", "", "yes"),
        person("A4", "a4.example.org", "yes"),
        person("A5", "a5@example.org", "half"),
        person("A6", "a6@example.org", "yes"),
        person("A1", "second@example.org", "yes"),
        person("A7", "a7@example.org", "broken"),
        person("A2", "a2@example.org", "yes"),
        invalid(10, Some("A8")),
        person("A9", "a9@example.org", "no"),
        person("A9", "again@example.org", "no"),
        person("P1", "p1@example.org", "barred and half"),
        person("P2", "p2@example.org", "bad policy"),
    ])
}

async fn why_not(world: &World, key: &str) -> String {
    match world.checker().check_one(key).await.unwrap() {
        Found::Recipient(checked) => checked.why_not().unwrap_or_else(|| "gets it".to_owned()),
        Found::Invalid(invalid) => invalid.to_string(),
        Found::Nobody => "nobody".to_owned(),
    }
}

#[tokio::test]
async fn each_recipient_is_told_why() {
    let world = world();
    let failed = "script_error: campaigns/news.toml:1:10: an empty cell has no order";
    for (key, why) in [
        ("A1", "gets it"),
        ("A2", "gets it"),
        ("A3", "no_address"),
        ("A4", "invalid_address: it has no @"),
        ("A5", failed),
        ("A6", "gets it"),
        ("A7", failed),
        ("A8", "line 10, column \"balance\": \"x\" is not a number"),
        ("A9", "it does not match the campaign's `where`"),
        ("P1", "policy: on the list"),
        ("P2", failed),
        ("A0", "nobody"),
    ] {
        assert_eq!(why_not(&world, key).await, why, "{key}");
    }
    let address = |found| match found {
        Found::Recipient(checked) => checked.ways[0].address.clone().unwrap().text,
        other => panic!("{other:?}"),
    };
    let first = world.checker().check_one("A9").await.unwrap();
    assert_eq!(address(first), "a9@example.org");
    let matching = world.checker().check_one("A1").await.unwrap();
    assert_eq!(address(matching), "second@example.org");
    let world = world.asking_for(&["A6"]);
    assert_eq!(why_not(&world, "A6").await, "gets it");
    assert_eq!(
        why_not(&world, "A2").await,
        "the campaign's `keys` do not name it"
    );
}

#[tokio::test]
async fn the_ledger_is_asked_too() {
    let mut world = world();
    world.campaign.audience.cooldown = Some(Cooldown::Forever);
    world.ran(run(1, "news", "a", Some(days_ago(3))), &["A6"]);
    assert_eq!(why_not(&world, "A6").await, "cooldown");
    assert_eq!(why_not(&world, "A2").await, "gets it");
    let address = Subject::Address(world.address("a2@example.org"));
    world.suppress(address, None, SuppressionReason::Complained);
    assert_eq!(why_not(&world, "A2").await, "suppressed: complained");
    let recipient = Subject::Recipient(world.recipient("A6"));
    world.suppress(recipient, None, SuppressionReason::Unsubscribed);
    assert_eq!(why_not(&world, "A6").await, "unsubscribed");
    world.campaign.audience.holdout = Some("100%".parse().unwrap());
    assert_eq!(why_not(&world, "A6").await, "holdout");
}

#[tokio::test]
async fn one_by_one_and_all_together_come_to_the_same() {
    let mut world = world();
    world.campaign.audience.cooldown = Some(Cooldown::Forever);
    world.ran(run(1, "news", "a", Some(days_ago(3))), &["A6"]);
    world.plan().await.unwrap();
    let frozen = world.ledger.frozen.lock().clone();
    for row in frozen {
        let found = world.checker().check_one(&row.key).await.unwrap();
        match found {
            Found::Recipient(checked) => {
                if row.skip.as_ref().map(|(reason, _)| *reason) != Some(SkipReason::InvalidRow) {
                    assert_eq!(checked.skip, row.skip, "{}", row.key);
                }
            }
            Found::Invalid(_) => assert_eq!(row.key, "A8"),
            Found::Nobody => panic!("{} is lost", row.key),
        }
    }
}

#[tokio::test]
async fn the_first_that_can_be_written_to_is_found() {
    async fn first(world: &World) -> Option<Checked> {
        world.checker().first_matching().await.unwrap()
    }
    let mut world = world();
    let a6 = first(&world).await.unwrap();
    assert_eq!(a6.recipient.key, "A6");
    assert_eq!(a6.variables.unwrap()[0].0, "name");
    // Had it already, is the first all the same, and says so.
    world.campaign.audience.cooldown = Some(Cooldown::Forever);
    world.ran(run(1, "news", "a", Some(days_ago(3))), &["A6"]);
    let a6 = first(&world).await.unwrap();
    assert_eq!(a6.skip, Some((SkipReason::Cooldown, None)));
    // Nobody can be written to: the first that matches.
    world.people[0].rows.truncate(5);
    let a3 = first(&world).await.unwrap();
    assert_eq!(a3.recipient.key, "A3");
    assert_eq!(a3.why_not().unwrap(), "no_address");
    world.people[0].rows.truncate(2);
    assert!(first(&world).await.is_none());
}
