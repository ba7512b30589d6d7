//! Plans: opened once, frozen, sealed, discarded.

use super::*;

#[tokio::test]
async fn an_occurrence_has_one_run_for_ever() {
    let mut ledger = Ledger::new().await;
    let Opened::New(run) = ledger
        .open_run(ledger.lease, new_run("spring"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    assert_eq!((run.id, run.state), (RunId(1), RunState::Planning));
    ledger
        .seal(ledger.lease, run.id, seal(RunState::Scheduled), at(1))
        .await
        .unwrap();
    ledger.restart();
    ledger.lease = ledger.take_over(at(2)).await.unwrap().lease;
    let again = ledger.open_run(ledger.lease, new_run("spring"), at(3));
    let Opened::Exists(there) = again.await.unwrap() else {
        panic!("it was there");
    };
    assert_eq!((there.id, there.opened_at), (run.id, at(0)));
    assert_eq!(there.sealed_at, Some(at(1)));
    assert_eq!(there.totals.matched, 8);
    assert_eq!(there.plan_digest.as_deref(), Some("plan"));
}

#[tokio::test]
async fn every_row_is_counted_with_its_reason() {
    let ledger = Ledger::new().await;
    let detail = "campaigns/a.toml:3:7: unknown field";
    let rows = vec![
        row(0),
        skipped(1, SkipReason::ScriptError, Some(detail)),
        skipped(2, SkipReason::Holdout, None),
        Frozen {
            address_hash: None,
            ..skipped(3, SkipReason::NoAddress, None)
        },
    ];
    let run = ledger.planned("spring", Purpose::Marketing, rows).await;
    ledger.check();
    let counts = ledger.counts(run).await.unwrap();
    assert_eq!((counts.all(), counts.of(Status::Queued)), (4, 1));
    let skipped: Vec<_> = counts.skipped().into_iter().collect();
    assert_eq!(
        skipped,
        [
            ("holdout".to_owned(), 1),
            ("no_address".to_owned(), 1),
            ("script_error".to_owned(), 1)
        ]
    );
    let delivery = ledger.delivery(DeliveryId::new(run, 1)).await.unwrap();
    assert_eq!(
        delivery.unwrap().reason.unwrap(),
        format!("script_error: {detail}")
    );
}

#[tokio::test]
async fn the_same_recipient_is_not_frozen_twice_but_reported_twice() {
    let ledger = Ledger::new().await;
    let twin = Frozen {
        recipient: recipient(0),
        ..skipped(1, SkipReason::DuplicateKey, None)
    };
    let unreadable = Frozen {
        recipient: recipient(0),
        ..skipped(2, SkipReason::InvalidRow, Some("line 3"))
    };
    let run = ledger
        .planned("spring", Purpose::Marketing, vec![row(0), twin, unreadable])
        .await;
    assert_eq!(ledger.counts(run).await.unwrap().all(), 3);

    let Opened::New(run) = ledger
        .open_run(ledger.lease, new_run("other"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    let twice = vec![
        row(0),
        Frozen {
            recipient: recipient(0),
            ..row(1)
        },
    ];
    let error = ledger
        .freeze(ledger.lease, run.id, twice)
        .await
        .unwrap_err();
    assert!(words(&error).contains("UNIQUE"), "{error}");
    ledger.check();
}

#[tokio::test]
async fn a_queued_row_needs_an_address_and_a_way() {
    let ledger = Ledger::new().await;
    let Opened::New(run) = ledger
        .open_run(ledger.lease, new_run("spring"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    let letter = Frozen {
        channel: Channel::Letter,
        ..row(0)
    };
    let error = ledger.freeze(ledger.lease, run.id, vec![letter]).await;
    assert!(words(&error.unwrap_err()).contains("without a transport for letter"));
    let nowhere = Frozen {
        address_hash: None,
        ..row(0)
    };
    let error = ledger.freeze(ledger.lease, run.id, vec![nowhere]).await;
    assert!(words(&error.unwrap_err()).contains("has no address"));
    assert_eq!(ledger.counts(run.id).await.unwrap().all(), 0);
}

#[tokio::test]
async fn a_sealed_plan_takes_no_rows() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let error = ledger.freeze(ledger.lease, run, vec![row(1)]).await;
    assert_eq!(
        words(&error.unwrap_err()),
        "store: run 1 is not being planned, it is sending"
    );
    let again = ledger.seal(ledger.lease, run, seal(RunState::Sending), at(1));
    again.await.unwrap_err();
}

#[tokio::test]
async fn a_plan_that_can_t_be_kept_leaves_the_run_without_rows() {
    let ledger = Ledger::new().await;
    let Opened::New(run) = ledger
        .open_run(ledger.lease, new_run("spring"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    ledger
        .freeze(ledger.lease, run.id, (0..30).map(row).collect())
        .await
        .unwrap();
    let addresses = (0..30).map(|n| (address(n), n)).collect();
    ledger
        .freeze_addresses(ledger.lease, run.id, addresses)
        .await
        .unwrap();
    let held = Seal {
        drop_rows: true,
        reason: Some("source_error".to_owned()),
        ..seal(RunState::Held)
    };
    ledger
        .seal(ledger.lease, run.id, held, at(1))
        .await
        .unwrap();
    ledger.check();
    let run = ledger.run(run.id).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Held);
    assert_eq!(run.reason.as_deref(), Some("source_error"));
    assert_eq!(ledger.counts(run.id).await.unwrap().all(), 0);
    for table in ["delivery", "payload", "address"] {
        let left: i64 = ledger.look(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test]
async fn a_large_plan_goes_without_a_trace_and_leaves_its_neighbours() {
    let ledger = Ledger::new().await;
    let open = async |campaign, rows: u32| {
        let run = ledger
            .open_run(ledger.lease, new_run(campaign), at(0))
            .await;
        let Opened::New(run) = run.unwrap() else {
            panic!("it is new");
        };
        let frozen = (0..rows).map(row).collect();
        ledger.freeze(ledger.lease, run.id, frozen).await.unwrap();
        let addresses = (0..rows).map(|n| (address(n), n)).collect();
        ledger
            .freeze_addresses(ledger.lease, run.id, addresses)
            .await
            .unwrap();
        run.id
    };
    let before = open("before", 20).await;
    let large = open("large", 10_050).await;
    let after = open("after", 30).await;
    ledger.discard(ledger.lease, large).await.unwrap();
    ledger.check();
    for table in ["delivery", "payload", "address"] {
        let left: i64 = ledger.look(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(left, 50, "{table}");
    }
    for run in [before, after] {
        assert!(ledger.run(run).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_plan_is_discarded_only_before_its_first_message() {
    let ledger = Ledger::new().await;
    let planned = ledger.sending(3).await;
    ledger.discard(ledger.lease, planned).await.unwrap();
    ledger.check();
    assert_eq!(ledger.run(planned).await.unwrap(), None);
    assert!(ledger.queues().await.unwrap().is_empty());

    let begun = ledger.sending(3).await;
    assert!(begun > planned, "a number is never given twice");
    let id = DeliveryId::new(begun, 0);
    let _permit = ledger.permit(id, 1).await;
    ledger.done(id, Outcome::Released(at(5)), 1).await;
    let error = ledger.discard(ledger.lease, begun).await.unwrap_err();
    assert!(words(&error).contains("have begun"));
    assert_eq!(ledger.counts(begun).await.unwrap().all(), 3);
    let gone = ledger.discard(ledger.lease, planned).await.unwrap_err();
    assert_eq!(words(&gone), "store: there is no run 1");
}

#[tokio::test]
async fn freezing_and_sending_go_on_side_by_side() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(300).await;
    let Opened::New(next) = ledger
        .open_run(ledger.lease, new_run("next"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    let freeze = async {
        let batches: Vec<_> = (0..3_000).map(row).collect();
        for batch in batches.chunks(1_000) {
            ledger
                .freeze(ledger.lease, next.id, batch.to_vec())
                .await
                .unwrap();
        }
    };
    let send = async {
        for sequence in 0..300 {
            let id = DeliveryId::new(run, sequence);
            let _permit = ledger.permit(id, 1).await;
            ledger.done(id, Outcome::Sent, 2).await;
        }
    };
    futures::join!(freeze, send);
    ledger.check();
    let counts = ledger.counts_of(&[run, next.id]).await.unwrap();
    assert_eq!(counts[&run].of(Status::Sent), 300);
    assert_eq!(counts[&next.id].of(Status::Queued), 3_000);
}
