//! Restarts: what a crash leaves, and who may write.

use super::*;
use crate::model::InDoubtPolicy;

#[tokio::test]
async fn a_new_store_says_so_until_somebody_lives_in_it() {
    let mut ledger = Ledger::new().await;
    ledger.restart();
    let taken = ledger.take_over(at(5)).await.unwrap();
    assert_eq!(taken.last_heartbeat, None);
    ledger.heartbeat(taken.lease, at(7)).await.unwrap();
    ledger.restart();
    let taken = ledger.take_over(at(9)).await.unwrap();
    assert_eq!(taken.last_heartbeat, Some(at(7)));
    ledger.set_setting("identity", b"key").await.unwrap();
    ledger.set_setting("identity", b"other").await.unwrap();
    ledger.restart();
    let key = ledger.setting("identity").await.unwrap();
    assert_eq!(key.as_deref(), Some(&b"other"[..]));
    assert_eq!(ledger.setting("none").await.unwrap(), None);
}

#[tokio::test]
async fn what_was_on_the_wire_is_in_doubt_and_nothing_else() {
    let mut ledger = Ledger::new().await;
    let run = ledger.sending(5).await;
    let id = |sequence| DeliveryId::new(run, sequence);
    for sequence in 0..3 {
        let _permit = ledger.permit(id(sequence), 1).await;
    }
    ledger.done(id(2), Outcome::Sent, 2).await;
    ledger.restart();
    let taken = ledger.take_over(at(3)).await.unwrap();
    ledger.check();
    assert_eq!(taken.in_doubt.into_iter().collect::<Vec<_>>(), [(run, 2)]);
    let doubtful = ledger.delivery(id(0)).await.unwrap().unwrap();
    assert_eq!((doubtful.status, doubtful.at), (Status::InDoubt, at(3)));
    assert!(doubtful.reason.unwrap().contains("answer was seen"));
    assert_eq!(ledger.status(id(2)).await, Status::Sent);
    assert_eq!(ledger.status(id(3)).await, Status::Queued);

    let again = ledger.take_over(at(4)).await.unwrap();
    assert!(again.in_doubt.is_empty());
}

/// What a power cut leaves is what was synced: the file and its log, as they are while the process lives.
#[tokio::test]
async fn a_power_cut_behind_a_permit_leaves_its_intent() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let _permit = ledger.permit(DeliveryId::new(run, 0), 1).await;
    let other = tempfile::tempdir().unwrap();
    for file in ["campanile.db", "campanile.db-wal"] {
        let _ = std::fs::copy(ledger.folder.path().join(file), other.path().join(file)).unwrap();
    }
    let reader = SqliteStore::open_read_only(&other.path().join("campanile.db")).unwrap();
    let counts = reader.counts(run).await.unwrap();
    assert_eq!(counts.of(Status::Sending), 1);
    let store = SqliteStore::open(&other.path().join("campanile.db")).unwrap();
    let taken = store.take_over(at(3)).await.unwrap();
    assert_eq!(taken.in_doubt[&run], 1);
}

#[tokio::test]
async fn a_half_plan_is_deleted_and_planned_again() {
    let mut ledger = Ledger::new().await;
    let sealed = ledger.sending(2).await;
    let Opened::New(half) = ledger
        .open_run(ledger.lease, new_run("half"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    ledger
        .freeze(ledger.lease, half.id, (0..20).map(row).collect())
        .await
        .unwrap();
    ledger.restart();
    let taken = ledger.take_over(at(3)).await.unwrap();
    ledger.lease = taken.lease;
    ledger.check();
    assert_eq!(taken.discarded, [(half.campaign, half.occurrence)]);
    assert_eq!(ledger.run(half.id).await.unwrap(), None);
    assert_eq!(ledger.counts(sealed).await.unwrap().all(), 2);
    let again = ledger.open_run(ledger.lease, new_run("half"), at(4));
    assert!(matches!(again.await.unwrap(), Opened::New(_)));
}

#[tokio::test]
async fn who_was_taken_over_from_writes_no_more() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(3).await;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 1).await;

    let other = SqliteStore::open(&ledger.path()).unwrap();
    let lease = other.take_over(at(2)).await.unwrap().lease;
    assert_ne!(lease, ledger.lease);

    let lost = |result: Result<(), StoreError>| matches!(result, Err(StoreError::LeaseLost));
    let old = ledger.lease;
    let step = Advance {
        now: at(3),
        done: vec![done(id, Outcome::Sent)],
        begin: vec![begin(DeliveryId::new(run, 1))],
        ..Advance::default()
    };
    assert!(lost(
        ledger.advance(old, step, &ledger.outcomes).await.map(drop)
    ));
    assert!(lost(ledger.heartbeat(old, at(3)).await));
    assert!(lost(
        ledger.open_run(old, new_run("x"), at(3)).await.map(drop)
    ));
    assert!(lost(ledger.freeze(old, run, vec![row(9)]).await));
    assert!(lost(
        ledger
            .freeze_addresses(old, run, vec![(address(9), 9)])
            .await
    ));
    assert!(lost(
        ledger.seal(old, run, seal(RunState::Held), at(3)).await
    ));
    assert!(lost(ledger.discard(old, run).await));
    let doubt = &[Status::InDoubt];
    assert!(lost(ledger.requeue(old, run, doubt, at(3)).await.map(drop)));
    for policy in [InDoubtPolicy::Skip, InDoubtPolicy::Resend] {
        assert!(lost(
            ledger.settle_doubt(old, run, policy, at(3)).await.map(drop)
        ));
    }
    ledger.check();
    assert_eq!(ledger.status(id).await, Status::InDoubt);
}

#[tokio::test]
async fn an_answer_that_came_late_settles_the_doubt() {
    let mut ledger = Ledger::new().await;
    let run = ledger.sending(3).await;
    let id = |sequence| DeliveryId::new(run, sequence);
    for sequence in 0..3 {
        let _permit = ledger.permit(id(sequence), 1).await;
    }
    ledger.restart();
    ledger.lease = ledger.take_over(at(3)).await.unwrap().lease;
    ledger.done(id(0), Outcome::Sent, 4).await;
    ledger.done(id(1), Outcome::Failed, 4).await;
    ledger.done(id(2), Outcome::Deferred(at(9)), 4).await;
    ledger
        .done(DeliveryId::new(RunId(99), 0), Outcome::Sent, 4)
        .await;
    ledger.check();
    assert_eq!(ledger.status(id(0)).await, Status::Sent);
    assert_eq!(ledger.status(id(1)).await, Status::InDoubt);
    assert_eq!(ledger.status(id(2)).await, Status::InDoubt);
}

#[tokio::test]
async fn doubt_is_settled_as_the_campaign_says() {
    for (policy, status, n) in [
        (InDoubtPolicy::Keep, Status::InDoubt, 0),
        (InDoubtPolicy::Resend, Status::Queued, 1),
        (InDoubtPolicy::Skip, Status::Skipped, 1),
    ] {
        let ledger = Ledger::new().await;
        let run = ledger.sending(2).await;
        let id = DeliveryId::new(run, 0);
        let _permit = ledger.permit(id, 1).await;
        ledger.done(id, Outcome::InDoubt, 2).await;
        let settled = ledger.settle_doubt(ledger.lease, run, policy, at(3));
        assert_eq!(settled.await.unwrap(), n, "{policy}");
        ledger.check();
        assert_eq!(ledger.status(id).await, status);
        if policy == InDoubtPolicy::Skip {
            let skipped = ledger.counts(run).await.unwrap().skipped();
            assert_eq!(skipped["doubt"], 1);
        }
    }
}

#[tokio::test]
async fn a_policy_sends_nothing_of_a_cancelled_run_again() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 1).await;
    ledger.done(id, Outcome::InDoubt, 2).await;
    ledger.to(run, RunState::Cancelled).await;
    let settled = ledger.settle_doubt(ledger.lease, run, InDoubtPolicy::Resend, at(3));
    assert_eq!(settled.await.unwrap(), 0);
    assert_eq!(ledger.status(id).await, Status::InDoubt);
}

#[tokio::test]
async fn a_policy_queues_a_delivery_once_and_a_person_as_often_as_they_ask() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    let mut settled = Vec::new();
    for round in 0..3 {
        let _permit = ledger.permit(id, round * 3 + 1).await;
        ledger.done(id, Outcome::InDoubt, round * 3 + 2).await;
        let resend = InDoubtPolicy::Resend;
        let again = ledger.settle_doubt(ledger.lease, run, resend, at(round * 3 + 3));
        settled.push(again.await.unwrap());
        if settled.last() == Some(&0) {
            let doubt = &[Status::InDoubt];
            let asked = ledger.requeue(ledger.lease, run, doubt, at(round * 3 + 3));
            assert_eq!(asked.await.unwrap(), 1);
        }
    }
    assert_eq!(settled, [1, 0, 1]);
}
