//! What is kept of messages that can be read in a browser.

use super::*;

async fn sent(ledger: &Ledger, run: RunId, sequence: u32, now: i64) -> DeliveryId {
    let id = DeliveryId::new(run, sequence);
    drop(ledger.permit(id, now).await);
    let step = Advance {
        now: at(now),
        done: vec![done(id, Outcome::Sent)],
        ..Advance::default()
    };
    ledger.step(step).await;
    id
}

fn people(ledger: &Ledger) -> rusqlite::Connection {
    rusqlite::Connection::open(ledger.path()).unwrap()
}

#[tokio::test]
async fn only_runs_that_ask_for_it_keep_what_their_messages_were_made_of() {
    let ledger = Ledger::new().await;
    let (plain, shown) = (ledger.sending(2).await, ledger.sending(3).await);
    ledger.keep_views(ledger.lease, shown).await.unwrap();
    let gone = sent(&ledger, plain, 0, 10).await;
    let kept = sent(&ledger, shown, 0, 20).await;
    assert_eq!(ledger.kept_message(gone).await.unwrap(), None);
    let message = ledger.kept_message(kept).await.unwrap().unwrap();
    assert_eq!(
        (&*message.payload, &*message.layout),
        (&b"payload 0"[..], "[]")
    );
    // One that is on its way can be read too; one of a run that keeps nothing can't.
    let waits = DeliveryId::new(shown, 1);
    assert!(ledger.kept_message(waits).await.unwrap().is_some());
    assert_eq!(
        ledger
            .kept_message(DeliveryId::new(plain, 1))
            .await
            .unwrap(),
        None
    );
    assert_eq!(ledger.kept_message(DeliveryId(7)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_kept_is_dropped_when_it_is_old_or_its_person_is_forgotten() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(3).await;
    ledger.keep_views(ledger.lease, run).await.unwrap();
    let (old, young) = (
        sent(&ledger, run, 0, 10).await,
        sent(&ledger, run, 1, 20).await,
    );
    assert_eq!(ledger.drop_views(at(15)).await.unwrap(), 1);
    assert_eq!(ledger.kept_message(old).await.unwrap(), None);
    assert!(ledger.kept_message(young).await.unwrap().is_some());
    people(&ledger)
        .execute(
            "UPDATE delivery SET key = '', address = '' WHERE id = ?1",
            [young.0],
        )
        .unwrap();
    assert_eq!(ledger.kept_message(young).await.unwrap(), None);
}
