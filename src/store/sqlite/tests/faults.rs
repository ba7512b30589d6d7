//! The writing thread, and what goes wrong around it.

use super::*;
use crate::store::sqlite::error::refused;

/// Fills the file: no page can be added any more, as on a full disk.
async fn fill(ledger: &Ledger, full: bool) {
    let writer = ledger.writer().unwrap();
    let pages = move |db: &rusqlite::Connection| {
        let used: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = if full { used } else { 1_000_000 };
        db.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
        Ok(())
    };
    writer.control(pages).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_got_over() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(200).await;
    let Opened::New(next) = ledger
        .open_run(ledger.lease, new_run("next"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    fill(&ledger, true).await;
    let rows: Vec<_> = (0..2_000).map(row).collect();
    let error = ledger.freeze(ledger.lease, next.id, rows.clone()).await;
    let said = words(&error.unwrap_err());
    assert!(said.contains("no room is left on its disk"), "{said}");
    ledger.check();

    // Steps with long words need room too.
    let long = Advance {
        now: at(1),
        done: (0..200)
            .map(|sequence| Done {
                reason: Some("x".repeat(900)),
                ..done(DeliveryId::new(run, sequence), Outcome::Failed)
            })
            .collect(),
        begin: vec![],
        ..Advance::default()
    };
    let step = ledger.advance(ledger.lease, long.clone(), &ledger.outcomes);
    step.await.unwrap_err();
    ledger.check();
    assert_eq!(ledger.counts(run).await.unwrap().of(Status::Queued), 200);

    fill(&ledger, false).await;
    ledger.step(long).await;
    ledger.freeze(ledger.lease, next.id, rows).await.unwrap();
    ledger.check();
    assert_eq!(ledger.counts(run).await.unwrap().of(Status::Failed), 200);
}

#[tokio::test]
async fn a_store_that_another_process_has_locked_is_waited_for() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let other = rusqlite::Connection::open(ledger.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut permit = Box::pin(ledger.permit(DeliveryId::new(run, 0), 1));
    assert!(futures::poll!(&mut permit).is_pending());
    other.execute_batch("COMMIT").unwrap();
    let _permit = permit.await;
}

/// Keeps the thread busy until the sender is used, so that what is asked for meanwhile is served together.
fn hold_up(
    ledger: &Ledger,
) -> (
    std::sync::mpsc::Sender<()>,
    impl Future<Output = Result<(), StoreError>>,
) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let job = ledger.writer().unwrap().control(move |_| {
        wait.recv().ok();
        Ok(())
    });
    (go, job)
}

fn set(db: &rusqlite::Connection, name: &str) -> crate::store::sqlite::error::Result<()> {
    db.execute("INSERT INTO setting VALUES (?1, x'00')", [name])?;
    Ok(())
}

fn settings(ledger: &Ledger) -> i64 {
    ledger.look("SELECT count(*) FROM setting")
}

#[tokio::test]
async fn commands_come_first_then_deliveries_then_plans() {
    let ledger = Ledger::new().await;
    let writer = ledger.writer().unwrap();
    let order = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = std::sync::Arc::clone(&order);
        move || order.lock().push(what)
    };
    let (go, held_up) = hold_up(&ledger);
    let (plan, delivery, command) = (note("plan"), note("delivery"), note("command"));
    let plan = writer.long(move |_, _| {
        plan();
        Ok(Some(()))
    });
    let delivery = writer.advance(
        move |_| {
            delivery();
            Ok(())
        },
        |()| (),
    );
    let command = writer.control(move |_| {
        command();
        Ok(())
    });
    let (_, _, _, _, ()) = futures::join!(held_up, plan, delivery, command, async {
        go.send(()).unwrap();
    });
    assert_eq!(*order.lock(), ["command", "delivery", "plan"]);
}

#[tokio::test]
async fn what_waits_together_is_committed_together_and_answered_afterwards() {
    let ledger = Ledger::new().await;
    let writer = ledger.writer().unwrap();
    let path = ledger.path();
    let (go, held_up) = hold_up(&ledger);
    let first = writer.control(|db| set(db, "first"));
    let second = writer.advance(
        move |db| {
            set(db, "second")?;
            // With other eyes: the first is not there yet.
            let other = rusqlite::Connection::open(path)?;
            Ok(other.query_row("SELECT count(*) FROM setting", [], |row| {
                row.get::<_, i64>(0)
            })?)
        },
        |seen| seen,
    );
    let (_, first, second, ()) = futures::join!(held_up, first, second, async {
        go.send(()).unwrap();
    });
    first.unwrap();
    assert_eq!(second.unwrap(), 0);
    assert_eq!(settings(&ledger), 2);
}

#[tokio::test]
async fn one_that_fails_leaves_its_companions_alone() {
    for place in 0..3 {
        let ledger = Ledger::new().await;
        let writer = ledger.writer().unwrap();
        let job = |n: usize| {
            writer.control(move |db| {
                set(db, &format!("job {n}"))?;
                if n == place {
                    return Err(refused("no"));
                }
                Ok(())
            })
        };
        let (go, held_up) = hold_up(&ledger);
        let (_, zero, one, two, ()) = futures::join!(held_up, job(0), job(1), job(2), async {
            go.send(()).unwrap();
        });
        for (n, result) in [zero, one, two].into_iter().enumerate() {
            assert_eq!(result.is_err(), n == place, "job {n}, {place} fails");
        }
        assert_eq!(settings(&ledger), 2, "{place} fails");
    }
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_all_and_leaves_nothing() {
    let ledger = Ledger::new().await;
    let writer = ledger.writer().unwrap();
    let (go, held_up) = hold_up(&ledger);
    let good = writer.control(|db| set(db, "good"));
    let bad = writer.control(|db| {
        // What such a foreign key refuses is refused by the commit.
        db.execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             INSERT INTO child VALUES (1);",
        )?;
        Ok(())
    });
    let (_, good, bad, ()) = futures::join!(held_up, good, bad, async {
        go.send(()).unwrap();
    });
    assert!(words(&good.unwrap_err()).contains("FOREIGN KEY"));
    assert!(words(&bad.unwrap_err()).contains("FOREIGN KEY"));
    assert_eq!(settings(&ledger), 0);
    writer.control(|db| set(db, "later")).await.unwrap();
    assert_eq!(settings(&ledger), 1);
}

#[tokio::test]
async fn a_defect_in_one_job_does_not_end_the_thread() {
    let ledger = Ledger::new().await;
    let writer = ledger.writer().unwrap();
    let error = writer
        .control(|db| {
            set(db, "lost")?;
            assert_eq!(settings_of(db), 0, "a defect, on purpose");
            Ok(())
        })
        .await
        .unwrap_err();
    assert!(words(&error).contains("by a defect"));
    assert_eq!(settings(&ledger), 0);
    writer.control(|db| set(db, "later")).await.unwrap();
    assert_eq!(settings(&ledger), 1);
}

fn settings_of(db: &rusqlite::Connection) -> i64 {
    db.query_row("SELECT count(*) FROM setting", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn long_work_goes_on_in_steps_until_it_is_done() {
    let ledger = Ledger::new().await;
    let writer = ledger.writer().unwrap();
    let mut n = 0;
    let steps = writer.long(move |db, rows| {
        assert_eq!(rows, 10_000, "nothing is being sent");
        set(db, &format!("step {n}"))?;
        n += 1;
        Ok((n == 3).then_some(n))
    });
    assert_eq!(steps.await.unwrap(), 3);
    assert_eq!(settings(&ledger), 3);

    ledger.step(Advance::default()).await;
    let steps = writer.long(move |_, rows| Ok(Some(rows)));
    assert_eq!(steps.await.unwrap(), 200, "something is being sent");
}

#[tokio::test]
async fn dropping_the_store_does_what_was_asked_for_before() {
    use futures::FutureExt as _;
    let mut ledger = Ledger::new().await;
    let (go, held_up) = hold_up(&ledger);
    assert!(held_up.now_or_never().is_none());
    let outcome = ledger.writer().unwrap().control(|db| set(db, "last"));
    assert!(outcome.now_or_never().is_none());
    go.send(()).unwrap();
    ledger.store = None;
    assert_eq!(settings(&ledger), 1);
}
