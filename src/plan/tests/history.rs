//! Cooldown and history: who had what before.

use std::sync::Arc;

use super::world::{World, days_ago, identity, now, person, run};
use crate::{
    model::{
        Cooldown, Dedupe, OccurrenceName, Purpose, Recipient, RunId, RunState, SkipReason, Subject,
        SuppressionReason, Value,
    },
    plan::{Found, LedgerHistory},
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
async fn campaigns_of_one_group_share_the_cooldown() {
    let mut world = people(&["A", "B", "C"]);
    // The same occurrence of another campaign is not the run that is planned now.
    world.ran(run(1, "other", "2026-12-01", Some(days_ago(1))), &["A"]);
    world.ran(run(2, "stranger", "x", Some(days_ago(1))), &["B"]);
    world.ran(run(3, "other", "long-ago", Some(days_ago(31))), &["C"]);
    within(&mut world, "30d");
    world.companions = vec!["other".parse().unwrap(), "news".parse().unwrap()];
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A cooldown", "B -", "C -"]);
    world.campaign.audience.cooldown = Some(Cooldown::None);
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A -", "B -", "C -"]);
}

#[tokio::test]
async fn the_cap_counts_what_a_recipient_and_an_address_had_of_all_marketing() {
    let mut world = people(&["A", "B", "C", "D"]);
    world.campaign.audience.cooldown = Some(Cooldown::None);
    world.cap = Some("2/7d".parse().unwrap());
    world.ran(run(1, "news", "one", Some(days_ago(6))), &["A", "B"]);
    world.ran(run(2, "other", "one", Some(days_ago(5))), &["A"]);
    // Too long ago, transactional, the run that is planned itself.
    world.ran(run(3, "other", "old", Some(days_ago(8))), &["B"]);
    let mut bill = run(4, "bill", "one", Some(days_ago(1)));
    bill.purpose = Purpose::Transactional;
    world.ran(bill, &["B", "C"]);
    world.ran(run(9, "news", "2026-12-01", None), &["B", "C"]);
    // Another recipient had two at the address of D.
    let address = world.address("d@example.org");
    world.ledger.had_by_address.lock().insert(address, 2);
    let plan = world.plan().await.unwrap();
    assert_eq!(
        world.outcomes(),
        ["A frequency_cap", "B -", "C -", "D frequency_cap"]
    );
    assert_eq!(plan.skipped[&SkipReason::FrequencyCap], 2);
    let why = async |world: &World, key| match world.checker().check_one(key).await.unwrap() {
        Found::Recipient(checked) => checked.skip.map(|(reason, _)| reason),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&world, "A").await, Some(SkipReason::FrequencyCap));
    assert_eq!(why(&world, "D").await, Some(SkipReason::FrequencyCap));
    assert_eq!(why(&world, "B").await, None);

    world.campaign.purpose = Purpose::Transactional;
    assert_eq!(world.plan().await.unwrap().totals.to_send, 4);
}

#[tokio::test]
async fn the_cap_counts_the_rows_of_the_plan_itself() {
    let same = |key: &str| person(key, "same@example.org", "yes");
    let mut world = World::new(["A", "B", "C", "D"].map(same).to_vec());
    world.campaign.audience.dedupe = Dedupe::None;
    world.cap = Some("4/7d".parse().unwrap());
    let address = world.address("same@example.org");
    world.ledger.had_by_address.lock().insert(address, 1);
    world.plan().await.unwrap();
    assert_eq!(world.outcomes(), ["A -", "B -", "C -", "D frequency_cap"]);
}

#[tokio::test]
async fn the_cap_adds_up_over_pages_and_runs() {
    let many: Vec<_> = (0..3000).map(|n| format!("K{n}")).collect();
    let keys: Vec<_> = many.iter().map(String::as_str).collect();
    let mut world = people(&keys);
    world.people[0].batch = 1000;
    world.cap = Some("3/7d".parse().unwrap());
    for of in [2, 3, 5, 7] {
        let every: Vec<_> = keys.iter().copied().step_by(of).collect();
        let name = format!("every-{of}");
        world.ran(run(of as u32, "other", &name, Some(days_ago(1))), &every);
    }
    let expected = (0..3000)
        .filter(|n| [2, 3, 5, 7].iter().filter(|of| n % **of == 0).count() >= 3)
        .count() as u64;
    let plan = world.plan().await.unwrap();
    assert_eq!(plan.skipped[&SkipReason::FrequencyCap], expected);
}

#[tokio::test]
async fn an_audience_is_compared_with_the_last_one_that_was_let_go() {
    let sent_to = |id, name: &str, to_send| {
        let mut run = run(id, "news", name, Some(days_ago(30 - i64::from(id))));
        run.totals.to_send = to_send;
        run
    };
    let mut world = people(&["A", "B", "C", "D"]);
    world.campaign.audience.max_change = Some("30%".parse().unwrap());
    let held = async |world: &World| {
        let plan = world.plan().await.unwrap();
        plan.hold.map(|hold| plan.held_as(hold))
    };
    assert_eq!(held(&world).await, None);
    world.ran(sent_to(1, "one", 9), &[]);
    let words = "changed_too_much: from 9 to send in run 1 (one) to 4, 55.6% fewer, more than max_change = \"30%\"";
    assert_eq!(held(&world).await.as_deref(), Some(words));
    // Newer ones that tell nothing: held and never let go, cancelled before the first message, the one that is planned.
    let mut never = sent_to(2, "two", 4);
    (never.state, never.started_at) = (RunState::Held, None);
    world.ran(never, &[]);
    let mut cancelled = sent_to(3, "three", 4);
    cancelled.state = RunState::Cancelled;
    world.ran(cancelled.clone(), &[]);
    world.ran(sent_to(9, "2026-12-01", 4), &[]);
    assert_eq!(held(&world).await.as_deref(), Some(words));
    // Cancelled in the middle, it is one that was let go.
    (cancelled.id, cancelled.occurrence) = (RunId(4), OccurrenceName::label("four").unwrap());
    world.ran(cancelled, &["Z"]);
    assert_eq!(held(&world).await, None);
    // A limit that its name explains comes first.
    world.campaign.audience.max_recipients = Some(3);
    world.ran(sent_to(5, "five", 90), &[]);
    assert_eq!(held(&world).await.as_deref(), Some("too_many"));
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
