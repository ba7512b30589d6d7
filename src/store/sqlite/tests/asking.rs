//! Questions: campaigns, runs, deliveries, history, and reading beside a writer.

use super::*;
use crate::store::{CampaignChange, DeliveryFilter, RunFilter, Sighting};

fn ids(deliveries: &[crate::model::Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

#[tokio::test]
async fn a_campaign_keeps_its_first_sight() {
    let ledger = Ledger::new().await;
    let seen = |id: &str, topic: Option<&str>| Sighting {
        id: id.parse().unwrap(),
        name: format!("The {id}"),
        source: topic.map(|_| "customers".parse().unwrap()),
        topic: topic.map(|topic| topic.parse().unwrap()),
        removal_grace: topic.map(|_| crate::model::Period::minutes(20)),
        cooldown_group: topic.map(|_| "reminders".to_owned()),
    };
    let first = vec![seen("b", Some("offers")), seen("a", None)];
    let records = ledger.sight(first, at(1)).await.unwrap();
    assert_eq!(records[0].id.as_str(), "b");
    let id = records[0].id.clone();
    let gone = CampaignChange::RemovedAt(Some(at(2)));
    ledger.change_campaign(&id, gone).await.unwrap();
    let looked_at = CampaignChange::Cursor(at(3));
    ledger.change_campaign(&id, looked_at).await.unwrap();
    assert_eq!(ledger.campaigns().await.unwrap()[1].removed_at, Some(at(2)));

    let broken = ledger.sight(vec![seen("b", None)], at(4)).await.unwrap();
    let back = &broken[0];
    assert_eq!((back.first_seen, back.last_seen), (at(1), at(4)));
    assert_eq!((back.removed_at, back.cursor), (None, Some(at(3))));
    assert_eq!(
        back.topic.as_ref().map(crate::model::TopicName::as_str),
        Some("offers")
    );
    assert_eq!(back.cooldown_group.as_deref(), Some("reminders"));
    let mut left = seen("b", Some("offers"));
    left.cooldown_group = None;
    let left = ledger.sight(vec![left], at(5)).await.unwrap();
    assert_eq!(left[0].cooldown_group, None);
    assert_eq!(ledger.campaigns().await.unwrap().len(), 2);

    let unknown = "c".parse().unwrap();
    let error = ledger.change_campaign(&unknown, looked_at).await;
    assert_eq!(
        words(&error.unwrap_err()),
        "store: no campaign c was ever seen"
    );
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let ledger = Ledger::new().await;
    let first = ledger.sending(1).await;
    let other = ledger.planned("other", Purpose::Marketing, vec![]).await;
    let newest = ledger.sending(1).await;
    ledger.to(newest, RunState::Paused).await;
    let list = async |filter| {
        let runs = ledger.runs(filter).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(list(RunFilter::default()).await, [newest, other, first]);
    let spring = RunFilter {
        campaign: Some("spring".parse().unwrap()),
        ..RunFilter::default()
    };
    assert_eq!(list(spring.clone()).await, [newest, first]);
    let one = RunFilter {
        limit: Some(1),
        ..spring.clone()
    };
    assert_eq!(list(one).await, [newest]);
    let held_or_sending = RunFilter {
        states: vec![RunState::Held, RunState::Sending],
        ..spring
    };
    assert_eq!(list(held_or_sending).await, [first]);
}

#[tokio::test]
async fn deliveries_are_paged_and_filtered() {
    let ledger = Ledger::new().await;
    let first = ledger.sending(5).await;
    let second = ledger.sending(5).await;
    for (run, sequence) in [(first, 1), (first, 3), (second, 0)] {
        ledger
            .done(DeliveryId::new(run, sequence), Outcome::Failed, 10)
            .await;
    }
    let ask = async |filter: DeliveryFilter| ids(&ledger.deliveries(filter).await.unwrap());
    let failed = DeliveryFilter {
        statuses: vec![Status::Failed],
        limit: 2,
        ..DeliveryFilter::default()
    };
    let page = ask(failed.clone()).await;
    assert_eq!(page, [DeliveryId::new(first, 1), DeliveryId::new(first, 3)]);
    let next = DeliveryFilter {
        after: page.last().copied(),
        ..failed.clone()
    };
    assert_eq!(ask(next).await, [DeliveryId::new(second, 0)]);

    let of_run = |run| DeliveryFilter {
        run: Some(run),
        limit: 100,
        ..DeliveryFilter::default()
    };
    assert_eq!(ask(of_run(second)).await.len(), 5);
    let keyed = DeliveryFilter {
        key: Some("K3".to_owned()),
        ..of_run(second)
    };
    assert_eq!(ask(keyed).await, [DeliveryId::new(second, 3)]);
    let since = DeliveryFilter {
        since: Some(at(10)),
        ..of_run(first)
    };
    assert_eq!(ask(since).await.len(), 2);
    let by_text = DeliveryFilter {
        channel: Some(Channel::Sms),
        run: None,
        ..of_run(first)
    };
    assert_eq!(ask(by_text).await, []);
    let all = DeliveryFilter {
        limit: 7,
        ..DeliveryFilter::default()
    };
    assert_eq!(ask(all).await.len(), 7);
}

#[tokio::test]
async fn who_had_a_run_is_told_in_order() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(6).await;
    let id = |sequence| DeliveryId::new(run, sequence);
    for (sequence, outcome) in [
        (0, Outcome::Sent),
        (2, Outcome::InDoubt),
        (3, Outcome::Failed),
        (4, Outcome::Deferred(at(9))),
    ] {
        let _permit = ledger.permit(id(sequence), 1).await;
        ledger.done(id(sequence), outcome, 2).await;
    }
    let _permit = ledger.permit(id(5), 1).await;
    let page = ledger.had(run, None, 2).await.unwrap();
    assert_eq!(page, [recipient(0), recipient(2)]);
    let rest = ledger.had(run, page.last().copied(), 2).await.unwrap();
    assert_eq!(rest, [recipient(5)]);
}

#[tokio::test]
async fn history_looks_at_every_run_that_can_say_something() {
    let ledger = Ledger::new().await;
    let older = ledger.sending(2).await;
    let newer = ledger.sending(2).await;
    let spring = ["spring".parse().unwrap(), "autumn".parse().unwrap()];
    let last = async |sequence| ledger.last_had(recipient(sequence), &spring).await.unwrap();
    assert_eq!(last(0).await, None);
    let send = async |run, now| {
        let id = DeliveryId::new(run, 0);
        let _permit = ledger.permit(id, now).await;
        ledger.done(id, Outcome::Sent, now).await;
    };
    send(newer, 10).await;
    assert_eq!(last(0).await, Some(at(10)));
    // The older run was paused and goes on after the newer one.
    send(older, 20).await;
    assert_eq!(last(0).await, Some(at(20)));
    assert_eq!(last(1).await, None);
    let count = async |since| {
        ledger
            .had_count(recipient(0), &spring[0], at(since))
            .await
            .unwrap()
    };
    assert_eq!((count(0).await, count(10).await), (2, 2));
    assert_eq!((count(11).await, count(21).await), (1, 0));
    assert_eq!(
        ledger
            .had_count(recipient(0), &spring[1], at(0))
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn bundles_are_kept_by_their_hash() {
    let ledger = Ledger::new().await;
    ledger.keep_bundle("abc", b"one").await.unwrap();
    ledger.keep_bundle("abc", b"other").await.unwrap();
    assert_eq!(ledger.bundle("abc").await.unwrap().unwrap(), b"one");
    assert_eq!(ledger.bundle("def").await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_sees_what_the_writer_has_committed_and_writes_nothing() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let reader = SqliteStore::open_read_only(&ledger.path()).unwrap();
    assert_eq!(reader.counts(run).await.unwrap().of(Status::Queued), 2);
    ledger
        .done(DeliveryId::new(run, 0), Outcome::Failed, 1)
        .await;
    assert_eq!(reader.counts(run).await.unwrap().of(Status::Failed), 1);
    let error = reader.take_over(at(3)).await.unwrap_err();
    assert_eq!(
        words(&error),
        "store: it was opened for reading only; another process writes it"
    );
    reader.suppress(vec![]).await.unwrap_err();
}

#[tokio::test]
async fn a_store_that_nobody_writes_can_be_read() {
    let mut ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    ledger.store = None;
    assert!(
        !ledger.folder.path().join("campanile.db-wal").exists(),
        "the log was copied into the file and removed"
    );
    let reader = SqliteStore::open_read_only(&ledger.path()).unwrap();
    assert_eq!(reader.counts(run).await.unwrap().of(Status::Queued), 2);
}
