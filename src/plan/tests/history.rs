//! Cooldown and history: who had what before.

use std::sync::Arc;

use super::world::{World, days_ago, identity, now, person, run};
use crate::{
    model::{Cooldown, Recipient, SkipReason, Subject, SuppressionReason, Value},
    plan::LedgerHistory,
    script::History,
};

fn people(keys: &[&str]) -> World {
    let person = |key: &&str| person(key, &format!("{key}@example.org"), "yes");
    World::new(keys.iter().map(person).collect())
}

fn within(world: &mut World, period: &str) {
    world.campaign.audience.cooldown = Some(Cooldown::Within(period.parse().unwrap()));
}

#[tokio::test]
async fn cooldown_counts_by_the_last_moment_a_run_was_at_work() {
    let mut world = people(&["A", "B", "C", "D", "E", "F"]);
    world.ran(run(1, "news", "long-ago", Some(days_ago(31))), &["A"]);
    world.ran(run(2, "news", "just-rested", Some(days_ago(30))), &["B"]);
    world.ran(run(3, "news", "recent", Some(days_ago(29))), &["C"]);
    // Begun long ago, and not over: nobody knows when its messages left.
    world.ran(run(4, "news", "paused", None), &["D"]);
    world.ran(run(5, "other", "recent", Some(days_ago(1))), &["E"]);
    // The run that is planned itself.
    world.ran(run(9, "news", "2026-12-01", None), &["F"]);
    within(&mut world, "30d");
    let plan = world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        ["A -", "B -", "C cooldown", "D cooldown", "E -", "F -"]
    );
    assert_eq!(plan.skipped[&SkipReason::Cooldown], 2);

    world.campaign.audience.cooldown = Some(Cooldown::Forever);
    world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        [
            "A cooldown",
            "B cooldown",
            "C cooldown",
            "D cooldown",
            "E -",
            "F -"
        ]
    );
    world.campaign.audience.cooldown = Some(Cooldown::None);
    assert_eq!(world.plan().await.unwrap().totals.to_send, 6);
}

#[tokio::test]
async fn a_renamed_campaign_remembers() {
    let mut world = people(&["A", "B"]);
    // The same occurrence under the old name is not the run that is planned now.
    world.ran(run(1, "old-news", "2026-12-01", Some(days_ago(1))), &["A"]);
    within(&mut world, "30d");
    world.campaign.was = vec!["old-news".parse().unwrap(), "news".parse().unwrap()];
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A cooldown", "B -"]);
}

#[tokio::test]
async fn long_lists_are_read_in_pages_and_not_where_nobody_is() {
    let many: Vec<_> = (0..3000).map(|n| format!("K{n}")).collect();
    let keys: Vec<_> = many.iter().map(String::as_str).collect();
    let mut world = people(&keys);
    world.people[0].batch = 1000;
    within(&mut world, "30d");
    let every =
        |n: usize, of: usize| -> Vec<&str> { keys.iter().copied().skip(n).step_by(of).collect() };
    world.ran(run(1, "news", "a", Some(days_ago(3))), &every(0, 3));
    world.ran(run(2, "news", "b", Some(days_ago(2))), &every(0, 2));
    for key in every(0, 5) {
        let subject = Subject::Recipient(world.recipient(key));
        world.suppress(subject, None, SuppressionReason::Manual);
    }
    let plan = world.plan().await.unwrap();
    assert_eq!(plan.skipped[&SkipReason::Suppressed], 600);
    // Of the 2,000 that had one of the runs, 400 are suppressed as well.
    assert_eq!(plan.skipped[&SkipReason::Cooldown], 1600);
    assert_eq!(plan.totals.to_send, 800);

    // Two recipients: a page of each list for each of them and for each address, and no more.
    world.people[0].rows = vec![
        person("K1", "k1@example.org", "yes"),
        person("K3", "k3@example.org", "yes"),
    ];
    *world.ledger.pages.lock() = 0;
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["K1 -", "K3 cooldown"]);
    let pages = *world.ledger.pages.lock();
    assert!(pages <= 2 * 4, "{pages}");
}

#[tokio::test]
async fn entries_of_one_subject_are_never_cut_apart_by_a_page() {
    // The one entry that stops everybody stands behind hundreds that do not, for every alignment of pages.
    let world = people(&["A", "B", "C"]);
    for (key, others) in [("A", 127), ("B", 128), ("C", 700)] {
        let subject = Subject::Recipient(world.recipient(key));
        for n in 0..others {
            let topic = format!("topic{n}");
            world.suppress(subject, Some(&topic), SuppressionReason::Unsubscribed);
        }
        world.suppress(subject, Some("offers"), SuppressionReason::Unsubscribed);
    }
    world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        ["A unsubscribed", "B unsubscribed", "C unsubscribed"]
    );
}

#[tokio::test]
async fn a_bounce_outweighs_that_somebody_unsubscribed() {
    let world = people(&["A"]);
    let subject = Subject::Recipient(world.recipient("A"));
    world.suppress(subject, None, SuppressionReason::Bounced);
    world.suppress(subject, None, SuppressionReason::Unsubscribed);
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A suppressed: bounced"]);
}

#[tokio::test]
async fn scripts_ask_the_ledger() {
    let mut world = people(&[]);
    world.ran(run(1, "news", "a", Some(days_ago(40))), &["A", "B"]);
    world.ran(run(2, "news", "b", Some(days_ago(3))), &["A"]);
    world.ran(run(3, "old-news", "c", Some(days_ago(2))), &["A"]);
    world.ran(run(4, "other", "d", Some(days_ago(1))), &["A"]);
    world.campaign.was = vec!["old-news".parse().unwrap()];
    let runtime = tokio::runtime::Handle::current();
    let history = LedgerHistory::new(world.ledger.clone(), runtime, identity(), &world.campaign);
    let recipient = |key: &str| Recipient {
        source: "people".parse().unwrap(),
        schema: Arc::default(),
        key: key.to_owned(),
        values: Vec::<Value>::new(),
    };
    let (a, b, c) = (recipient("A"), recipient("B"), recipient("C"));
    tokio::task::spawn_blocking(move || {
        assert_eq!(history.last_sent(&a), Ok(Some(days_ago(2))));
        assert_eq!(history.last_sent(&b), Ok(Some(days_ago(40))));
        assert_eq!(history.last_sent(&c), Ok(None));
        assert_eq!(history.sent_count(&a, days_ago(30)), Ok(2));
        assert_eq!(history.sent_count(&a, now()), Ok(0));
        assert_eq!(history.sent_count(&b, days_ago(50)), Ok(1));
    })
    .await
    .unwrap();
}
