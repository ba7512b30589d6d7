//! Runs that go by zones: each zone's queue has its own rows, opens at its time, and is emptied when that was missed.

use super::*;
use crate::store::{Opening, Queue, QueueId, ZoneQueue};

const ZONES: [(&str, i64); 3] = [
    ("Asia/Tokyo", 100),
    ("Europe/Berlin", 200),
    ("Pacific/Pago_Pago", 300),
];

/// A run of `n` recipients, dealt to the zones in turn. Each zone may open up to 50 seconds late.
async fn zoned(ledger: &Ledger, n: u32) -> RunId {
    let run = NewRun {
        occurrence: Occurrence {
            name: OccurrenceName::label("2026-12-01").unwrap(),
            due: at(200),
        },
        ..new_run("spring")
    };
    let Opened::New(run) = ledger.open_run(ledger.lease, run, at(0)).await.unwrap() else {
        panic!("the run is new");
    };
    let zones = ZONES.map(|(zone, opens)| ZoneQueue {
        zone: zone.to_owned(),
        opens: Some(at(opens)),
        expires: Some(at(opens + 50)),
    });
    let added = ledger.add_zones(ledger.lease, run.id, zones.to_vec()).await;
    added.unwrap();
    let rows = (0..n).map(|sequence| Frozen {
        zone: Some(ZONES[sequence as usize % 3].0.into()),
        ..row(sequence)
    });
    ledger
        .freeze(ledger.lease, run.id, rows.collect())
        .await
        .unwrap();
    ledger
        .seal(ledger.lease, run.id, seal(RunState::Sending), at(0))
        .await
        .unwrap();
    run.id
}

async fn open(ledger: &Ledger, now: i64) -> Vec<Opening> {
    ledger
        .open_queues(ledger.lease, None, at(now))
        .await
        .unwrap()
}

/// The mail queues that are open, with their zones.
async fn queues(ledger: &Ledger) -> Vec<Queue> {
    let mut queues = ledger.queues().await.unwrap();
    queues.retain(|queue| queue.channel == Channel::Email);
    queues
}

async fn claimed(ledger: &Ledger, queue: QueueId, after: Option<DeliveryId>) -> Vec<i64> {
    let claimed = ledger.claim(queue, after, 3).await.unwrap();
    claimed
        .iter()
        .map(|claimed| claimed.id.0 & 0xffff_ffff)
        .collect()
}

#[tokio::test]
async fn each_zone_opens_at_its_time_and_gives_its_own_rows_only() {
    let ledger = Ledger::new().await;
    let run = zoned(&ledger, 12).await;
    assert!(open(&ledger, 99).await.is_empty());
    assert!(queues(&ledger).await.is_empty());
    let opened = open(&ledger, 100).await;
    assert!(
        opened
            .iter()
            .all(|one| one.zone == "Asia/Tokyo" && !one.late)
    );
    assert!(open(&ledger, 100).await.is_empty(), "once");
    let [tokyo] = queues(&ledger).await.try_into().unwrap();
    assert_eq!(tokyo.zone.as_deref(), Some("Asia/Tokyo"));
    assert_eq!(claimed(&ledger, tokyo.id, None).await, [0, 3, 6]);
    let third = DeliveryId::new(run, 6);
    assert_eq!(claimed(&ledger, tokyo.id, Some(third)).await, [9]);
    // The cursor stops before what is queued in this zone, and minds no other.
    ledger
        .done(DeliveryId::new(run, 0), Outcome::Expired, 101)
        .await;
    let step = Advance {
        now: at(101),
        cursors: vec![(tokyo.id, DeliveryId::new(run, 9))],
        ..Advance::default()
    };
    ledger.step(step).await;
    let cursor = queues(&ledger).await[0].cursor.unwrap();
    assert_eq!(cursor, DeliveryId::new(run, 2));

    let states = ledger.zones(run).await.unwrap();
    let shown: Vec<_> = states
        .iter()
        .map(|state| (state.zone.as_str(), state.is_open, state.has_more))
        .collect();
    assert_eq!(
        shown,
        [
            ("Asia/Tokyo", true, true),
            ("Europe/Berlin", false, true),
            ("Pacific/Pago_Pago", false, true)
        ]
    );
    open(&ledger, 300).await;
    assert_eq!(queues(&ledger).await.len(), 2, "Berlin's time was missed");
    ledger.check();
}

#[tokio::test]
async fn a_zone_that_was_missed_expires_also_when_a_crash_comes_between() {
    let mut ledger = Ledger::new().await;
    let run = zoned(&ledger, 12).await;
    let late = open(&ledger, 151).await;
    let late = late.iter().find(|one| one.zone == "Asia/Tokyo" && one.late);
    let queue = late.unwrap().queue;
    let expire = async |ledger: &Ledger, limit| {
        ledger
            .expire_queue(ledger.lease, queue, limit, at(152))
            .await
            .unwrap()
    };
    assert_eq!(expire(&ledger, 3).await, 3);
    ledger.restart();
    ledger.lease = ledger.take_over(at(153)).await.unwrap().lease;
    assert!(queues(&ledger).await.is_empty());
    let again = open(&ledger, 153).await;
    assert!(again.iter().any(|one| one.queue == queue && one.late));
    assert_eq!(expire(&ledger, 3).await, 1);
    assert_eq!(expire(&ledger, 3).await, 0);
    assert_eq!(
        ledger.status(DeliveryId::new(run, 9)).await,
        Status::Expired
    );
    assert_eq!(ledger.status(DeliveryId::new(run, 1)).await, Status::Queued);
    let reason = ledger
        .delivery(DeliveryId::new(run, 0))
        .await
        .unwrap()
        .unwrap()
        .reason;
    assert!(reason.unwrap().contains("in Asia/Tokyo"));
    // Over with: it is there for whoever looks whether the run is drained.
    assert_eq!(queues(&ledger).await[0].id, queue);
    assert!(claimed(&ledger, queue, None).await.is_empty());
    ledger.check();
}

#[tokio::test]
async fn a_paused_run_opens_in_time_and_a_cancelled_one_is_cancelled_zone_by_zone() {
    let ledger = Ledger::new().await;
    let run = zoned(&ledger, 12).await;
    // One that has not begun waits as a whole.
    ledger.to(run, RunState::Scheduled).await;
    assert!(open(&ledger, 100).await.is_empty());
    ledger.to(run, RunState::Sending).await;
    assert!(!open(&ledger, 100).await.is_empty());
    let permit = ledger.permit(DeliveryId::new(run, 0), 100).await;
    ledger.done(permit.delivery(), Outcome::Sent, 101).await;
    ledger.to(run, RunState::Paused).await;
    assert!(open(&ledger, 200).await.iter().all(|one| !one.late));
    assert!(queues(&ledger).await.is_empty());
    ledger.to(run, RunState::Sending).await;
    assert_eq!(queues(&ledger).await.len(), 2);
    ledger.to(run, RunState::Cancelled).await;
    let mut cancelled = 0;
    loop {
        match ledger.cancel_rows(run, 5, at(102)).await.unwrap() {
            0 => break,
            n => cancelled += n,
        }
    }
    assert_eq!(cancelled, 11);
    assert!(open(&ledger, 900).await.is_empty());
    ledger.check();
}

#[tokio::test]
async fn a_store_of_the_first_version_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("campanile.db");
    crate::store::sqlite::schema::make_first_version(&path);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(
        "INSERT INTO queue (id, run, channel, transport, cursor) VALUES (7, 3, 0, 'main', NULL);",
    )
    .unwrap();
    drop(db);
    let store = SqliteStore::open(&path).unwrap();
    drop(store);
    let db = rusqlite::Connection::open(&path).unwrap();
    let kept: (i64, String, String) = db
        .query_row("SELECT id, transport, zone FROM queue", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(kept, (7, "main".to_owned(), String::new()));
    db.execute(
        "INSERT INTO queue (run, channel, transport) VALUES (4, 0, 'main')",
        [],
    )
    .unwrap();
    assert_eq!(db.last_insert_rowid(), 8);
}
