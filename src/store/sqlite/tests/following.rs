//! What follows a delivery that was sent: made with its outcome, and gone when it has held.

use super::*;
use crate::{
    model::EffectKind,
    store::{Settled, Settlement},
};

async fn following(ledger: &Ledger, kinds: &[EffectKind]) -> (RunId, Vec<DeliveryId>) {
    let new = NewRun {
        effects: kinds.to_vec(),
        ..new_run("spring")
    };
    let Opened::New(run) = ledger.open_run(ledger.lease, new, at(0)).await.unwrap() else {
        panic!("the run is new");
    };
    let rows = (0..4).map(row).collect();
    ledger.freeze(ledger.lease, run.id, rows).await.unwrap();
    let seal = seal(RunState::Sending);
    ledger
        .seal(ledger.lease, run.id, seal, at(0))
        .await
        .unwrap();
    let queues = ledger.queues().await.unwrap();
    let mail = queues.iter().find(|queue| queue.channel == Channel::Email);
    let claimed = ledger.claim(mail.unwrap().id, None, 9).await.unwrap();
    (run.id, claimed.iter().map(|claimed| claimed.id).collect())
}

async fn due(ledger: &Ledger, run: RunId, kind: EffectKind, now: i64) -> Vec<DeliveryId> {
    let due = ledger.effects_due(run, kind, at(now), 9).await.unwrap();
    due.into_iter().map(|effect| effect.delivery).collect()
}

async fn settle(ledger: &Ledger, delivery: DeliveryId, kind: EffectKind, outcome: Settlement) {
    let settled = vec![Settled {
        delivery,
        kind,
        outcome,
    }];
    ledger.settle_effects(ledger.lease, settled).await.unwrap();
}

async fn counts(ledger: &Ledger, run: RunId) -> Option<(u64, u64, Option<String>)> {
    let mut counts = ledger.effect_counts(&[run]).await.unwrap();
    let counts = counts.remove(&run)?;
    Some((counts.waiting, counts.failed, counts.words))
}

#[tokio::test]
async fn only_what_was_sent_has_effects_and_each_once() {
    let ledger = Ledger::new().await;
    let (run, ids) = following(&ledger, &EffectKind::ALL).await;
    for (id, outcome) in ids.iter().zip([
        Outcome::Sent,
        Outcome::Failed,
        Outcome::Deferred(at(50)),
        Outcome::InDoubt,
    ]) {
        drop(ledger.permit(*id, 10).await);
        ledger.done(*id, outcome, 11).await;
    }
    for kind in EffectKind::ALL {
        assert_eq!(due(&ledger, run, kind, 11).await, [ids[0]]);
        assert_eq!(due(&ledger, run, kind, 10).await, []);
    }
    assert_eq!(ledger.runs_with_effects().await.unwrap(), [run]);
    // That it was sent after all is heard later, and once.
    ledger.done(ids[3], Outcome::Sent, 12).await;
    ledger.done(ids[3], Outcome::Sent, 13).await;
    ledger.done(ids[0], Outcome::Sent, 13).await;
    assert_eq!(counts(&ledger, run).await, Some((4, 0, None)));
    let effect = ledger
        .effects_due(run, EffectKind::Update, at(20), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (effect.tries, effect.at, effect.channel),
        (0, at(11), Channel::Email)
    );
    assert_eq!(
        effect.address,
        format!("{}@example.org", effect.key.to_lowercase())
    );
    assert!(effect.message_id.is_some());
}

#[tokio::test]
async fn they_wait_through_restarts_until_they_hold_or_are_given_up() {
    let mut ledger = Ledger::new().await;
    let (run, ids) = following(&ledger, &[EffectKind::Webhook]).await;
    for id in &ids[..3] {
        drop(ledger.permit(*id, 10).await);
        ledger.done(*id, Outcome::Sent, 11).await;
    }
    let again = Settlement::Again {
        at: at(40),
        words: "it answered 503".to_owned(),
    };
    settle(&ledger, ids[0], EffectKind::Webhook, again).await;
    settle(&ledger, ids[1], EffectKind::Webhook, Settlement::Held).await;
    settle(&ledger, ids[1], EffectKind::Webhook, Settlement::Held).await;
    let gone = Settlement::GivenUp {
        words: "it answered 410".to_owned(),
    };
    settle(&ledger, ids[2], EffectKind::Webhook, gone.clone()).await;
    settle(&ledger, ids[2], EffectKind::Webhook, gone).await;
    let words = Some("it answered 503".to_owned());
    assert_eq!(counts(&ledger, run).await, Some((1, 1, words)));
    ledger.restart();
    ledger.lease = ledger.take_over(at(30)).await.unwrap().lease;
    assert_eq!(due(&ledger, run, EffectKind::Webhook, 39).await, []);
    assert_eq!(due(&ledger, run, EffectKind::Webhook, 40).await, [ids[0]]);
    settle(&ledger, ids[0], EffectKind::Webhook, Settlement::Held).await;
    assert_eq!(ledger.runs_with_effects().await.unwrap(), []);
    let words = Some("it answered 410".to_owned());
    assert_eq!(counts(&ledger, run).await, Some((0, 1, words)));
}

#[tokio::test]
async fn a_run_without_any_has_none() {
    let ledger = Ledger::new().await;
    let (run, ids) = following(&ledger, &[]).await;
    drop(ledger.permit(ids[0], 10).await);
    ledger.done(ids[0], Outcome::Sent, 11).await;
    assert_eq!(counts(&ledger, run).await, None);
    assert_eq!(due(&ledger, run, EffectKind::Update, 99).await, []);
}
