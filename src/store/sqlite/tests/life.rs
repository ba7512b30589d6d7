//! One delivery's life: claimed, begun, done, tried again.

use super::*;
use crate::{
    model::Answer,
    store::{CampaignChange, Queue, QueueId, Sighting},
};

async fn mail_queue(ledger: &Ledger, run: RunId) -> Queue {
    let queues = ledger.queues().await.unwrap();
    queues
        .into_iter()
        .find(|queue| queue.run == run && queue.channel == Channel::Email)
        .unwrap()
}

async fn claimed(ledger: &Ledger, queue: QueueId) -> Vec<DeliveryId> {
    let claimed = ledger.claim(queue, None, 100).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.id).collect()
}

#[tokio::test]
async fn a_delivery_is_claimed_begun_and_sent() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(3).await;
    let queue = mail_queue(&ledger, run).await;
    assert_eq!(
        (queue.transport.as_str(), queue.layout.as_str()),
        ("main", "[]")
    );

    let claimed = ledger.claim(queue.id, None, 2).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed[1].payload, b"payload 1");
    assert_eq!(claimed[1].address, "k1@example.org");
    assert_eq!((claimed[1].attempts, claimed[1].first_try), (0, None));
    let rest = ledger
        .claim(queue.id, Some(claimed[1].id), 2)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);

    let id = claimed[0].id;
    let permit = ledger.permit(id, 10).await;
    assert_eq!((permit.delivery(), permit.attempt()), (id, 1));
    ledger.check();
    let sending = ledger.delivery(id).await.unwrap().unwrap();
    assert_eq!((sending.status, sending.attempts), (Status::Sending, 1));
    assert_eq!(
        sending.message_id.as_deref(),
        Some(&*format!("{id}@example.org"))
    );

    permit.answer(Answer::Accepted {
        words: "ok".to_owned(),
    });
    let step = Advance {
        now: at(11),
        done: vec![Done {
            reason: Some("250 queued as 7".to_owned()),
            ..done(id, Outcome::Sent)
        }],
        ..Advance::default()
    };
    ledger.step(step).await;
    ledger.check();
    let sent = ledger.delivery(id).await.unwrap().unwrap();
    assert_eq!((sent.status, sent.at), (Status::Sent, at(11)));
    assert_eq!(sent.reason.as_deref(), Some("250 queued as 7"));
    let counts = ledger.counts(run).await.unwrap();
    assert_eq!((counts.of(Status::Sent), counts.of(Status::Queued)), (1, 2));
}

#[tokio::test]
async fn the_intent_is_in_the_file_before_the_permit_is_out() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let _permit = ledger.permit(DeliveryId::new(run, 0), 1).await;
    assert_eq!(
        ledger.look::<i64>("SELECT id FROM intent"),
        i64::from(run.0) << 32
    );
}

#[tokio::test]
async fn nothing_begins_twice() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    let step = Advance {
        now: at(1),
        begin: vec![begin(id), begin(id)],
        ..Advance::default()
    };
    let begun = ledger.step(step).await;
    assert!(matches!(begun[..], [Begun::Permit(_), Begun::NotNow]));
    assert!(matches!(ledger.begin(id, 2).await, Begun::NotNow));
    ledger.done(id, Outcome::Sent, 3).await;
    assert!(matches!(ledger.begin(id, 4).await, Begun::NotNow));
    let never = DeliveryId::new(RunId(77), 0);
    assert!(matches!(ledger.begin(never, 5).await, Begun::NotNow));
    ledger.check();
}

#[tokio::test]
async fn what_has_ended_begins_only_when_it_is_queued_again() {
    let ledger = Ledger::new().await;
    let outcomes = [
        Outcome::Sent,
        Outcome::Failed,
        Outcome::InDoubt,
        Outcome::Expired,
        Outcome::Skipped(SkipReason::Policy),
    ];
    let run = ledger.sending(outcomes.len() as u32).await;
    for (sequence, outcome) in outcomes.into_iter().enumerate() {
        let id = DeliveryId::new(run, sequence as u32);
        let _permit = ledger.permit(id, 1).await;
        ledger.done(id, outcome, 2).await;
        assert!(
            matches!(ledger.begin(id, 3).await, Begun::NotNow),
            "{outcome:?}"
        );
    }
    let held_back = skipped(0, SkipReason::Holdout, None);
    let run = ledger.planned("next", Purpose::Marketing, vec![held_back]);
    let id = DeliveryId::new(run.await, 0);
    assert!(matches!(ledger.begin(id, 3).await, Begun::NotNow));
    ledger.check();
}

#[tokio::test]
async fn nothing_begins_in_a_run_that_does_not_send() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let id = DeliveryId::new(run, 0);
    for state in [
        RunState::Planning,
        RunState::AwaitingApproval,
        RunState::Held,
        RunState::Scheduled,
        RunState::Paused,
        RunState::Failed,
        RunState::Cancelled,
    ] {
        assert!(ledger.to(run, state).await);
        assert!(
            matches!(ledger.begin(id, 2).await, Begun::NotNow),
            "{state}"
        );
    }
    ledger.to(run, RunState::Sending).await;
    let _permit = ledger.permit(id, 3).await;
}

#[tokio::test]
async fn nothing_begins_in_a_campaign_that_is_stopped() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let campaign: crate::model::CampaignId = "spring".parse().unwrap();
    let sighting = Sighting {
        id: campaign.clone(),
        name: "Spring".to_owned(),
        source: None,
        topic: None,
        removal_grace: None,
        cooldown_group: None,
    };
    ledger.sight(vec![sighting], at(0)).await.unwrap();
    let stop = |since| ledger.change_campaign(&campaign, CampaignChange::StoppedAt(since));
    stop(Some(at(1))).await.unwrap();
    let id = DeliveryId::new(run, 0);
    assert!(matches!(ledger.begin(id, 2).await, Begun::NotNow));
    stop(None).await.unwrap();
    let _permit = ledger.permit(id, 3).await;
}

#[tokio::test]
async fn a_deferred_delivery_comes_back_at_its_time_and_not_before() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let queue = mail_queue(&ledger, run).await.id;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 10).await;
    ledger.done(id, Outcome::Deferred(at(100)), 11).await;
    ledger.check();

    assert_eq!(claimed(&ledger, queue).await, [DeliveryId::new(run, 1)]);
    assert_eq!(ledger.next_due(queue).await.unwrap(), Some(at(100)));
    assert!(ledger.claim_due(queue, at(99), 9).await.unwrap().is_empty());
    assert!(matches!(ledger.begin(id, 99).await, Begun::NotNow));

    let due = ledger.claim_due(queue, at(100), 9).await.unwrap();
    assert_eq!((due[0].id, due[0].attempts), (id, 1));
    assert_eq!(due[0].first_try, Some(at(10)));
    assert_eq!(due[0].message_id, Some(format!("{id}@example.org")));
    assert_eq!(ledger.permit(id, 100).await.attempt(), 2);
    assert_eq!(ledger.next_due(queue).await.unwrap(), None);
    ledger.check();
    ledger.done(id, Outcome::Failed, 101).await;
    ledger.check();
    assert_eq!(ledger.status(id).await, Status::Failed);
}

#[tokio::test]
async fn a_released_delivery_is_as_if_it_had_never_begun_and_waits() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let queue = mail_queue(&ledger, run).await.id;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 10).await;
    ledger.done(id, Outcome::Released(at(50)), 11).await;
    ledger.check();
    let released = ledger.delivery(id).await.unwrap().unwrap();
    assert_eq!(
        (released.status, released.attempts, released.message_id),
        (Status::Queued, 0, None)
    );
    assert!(claimed(&ledger, queue).await.is_empty());
    let due = ledger.claim_due(queue, at(50), 9).await.unwrap();
    assert_eq!((due[0].id, due[0].first_try), (id, None));
    assert_eq!(ledger.permit(id, 50).await.attempt(), 1);
    ledger.check();
}

#[tokio::test]
async fn outcomes_and_beginnings_share_a_step() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let (first, second) = (DeliveryId::new(run, 0), DeliveryId::new(run, 1));
    let _permit = ledger.permit(first, 1).await;
    let queue = mail_queue(&ledger, run).await.id;
    let step = Advance {
        now: at(2),
        done: vec![done(first, Outcome::Sent)],
        begin: vec![begin(second)],
        cursors: vec![(queue, second)],
        rates: vec![("main".to_owned(), at(3))],
        cap: None,
    };
    assert!(matches!(ledger.step(step).await[..], [Begun::Permit(_)]));
    ledger.check();
    assert_eq!(mail_queue(&ledger, run).await.cursor, Some(second));
    assert_eq!(ledger.rates().await.unwrap()["main"], at(3));
}

#[tokio::test]
async fn a_cursor_never_passes_what_is_queued() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(4).await;
    let queue = mail_queue(&ledger, run).await.id;
    let id = |sequence| DeliveryId::new(run, sequence);
    let _permit = ledger.permit(id(0), 1).await;
    let move_to = |to| Advance {
        now: at(2),
        cursors: vec![(queue, to)],
        ..Advance::default()
    };
    ledger.step(move_to(id(3))).await;
    assert_eq!(mail_queue(&ledger, run).await.cursor, Some(id(0)));
    ledger.step(move_to(id(0))).await;
    assert_eq!(mail_queue(&ledger, run).await.cursor, Some(id(0)));
    ledger.done(id(1), Outcome::Expired, 3).await;
    ledger.step(move_to(DeliveryId(i64::MAX))).await;
    assert_eq!(mail_queue(&ledger, run).await.cursor, Some(id(1)));
    ledger.check();
}

#[tokio::test]
async fn each_channel_has_its_own_queue() {
    let ledger = Ledger::new().await;
    let text = Frozen {
        channel: Channel::Sms,
        ..row(0)
    };
    let run = ledger
        .planned(
            "spring",
            Purpose::Marketing,
            vec![
                row(0),
                Frozen {
                    sequence: 1,
                    ..text
                },
            ],
        )
        .await;
    let queues = ledger.queues().await.unwrap();
    assert_eq!(queues.len(), 2);
    for queue in queues {
        let sequence = u32::from(queue.channel == Channel::Sms);
        assert_eq!(
            claimed(&ledger, queue.id).await,
            [DeliveryId::new(run, sequence)]
        );
    }
}

#[tokio::test]
async fn a_permit_that_nobody_waited_for_is_given_back() {
    use futures::FutureExt as _;
    let mut ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    // Held up behind another job, so that the answer surely comes after the asker has gone.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let writer = ledger.writer().unwrap();
    let held_up = writer.control(move |_| {
        wait.recv().ok();
        Ok(())
    });
    let mut held_up = Box::pin(held_up);
    assert!(futures::poll!(&mut held_up).is_pending());
    let step = Advance {
        now: at(1),
        begin: vec![begin(id)],
        ..Advance::default()
    };
    let abandoned = ledger.advance(ledger.lease, step, &ledger.outcomes);
    assert!(abandoned.now_or_never().is_none());
    go.send(()).unwrap();
    held_up.await.unwrap();
    let answered = ledger.answers.recv().await.unwrap();
    assert_eq!(answered.delivery, id);
    assert!(matches!(answered.answer, Answer::NotStarted { .. }));
}

#[tokio::test]
async fn a_run_with_open_deliveries_is_not_finished() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    assert!(!ledger.to(run, RunState::Finished).await);
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 1).await;
    ledger.done(id, Outcome::Sent, 2).await;
    assert!(ledger.to(run, RunState::Finished).await);
    let run = ledger.run(run).await.unwrap().unwrap();
    assert_eq!((run.started_at, run.ended_at), (Some(at(0)), Some(at(1))));
}

#[tokio::test]
async fn a_state_is_left_only_where_it_was_asked_for() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let change = RunChange {
        state: RunState::Paused,
        reason: Some("rollout".to_owned()),
        released: Some(true),
    };
    let from_held = ledger.move_run(run, &[RunState::Held], change.clone(), at(5));
    assert!(!from_held.await.unwrap());
    let from_sending = ledger.move_run(run, &[RunState::Sending], change, at(5));
    assert!(from_sending.await.unwrap());
    let run = ledger.run(run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Paused);
    assert_eq!(
        (run.reason.as_deref(), run.released),
        (Some("rollout"), true)
    );
    assert!(ledger.queues().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancelled_run_keeps_the_truth_of_what_was_on_the_wire() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(6).await;
    let id = |sequence| DeliveryId::new(run, sequence);
    for sequence in 0..4 {
        let _permit = ledger.permit(id(sequence), 1).await;
    }
    ledger.done(id(2), Outcome::Deferred(at(90)), 2).await;
    ledger.done(id(3), Outcome::Released(at(90)), 2).await;
    assert!(ledger.to(run, RunState::Cancelled).await);

    let mut cancelled = 0;
    while let n @ 1.. = ledger.cancel_rows(run, 1, at(3)).await.unwrap() {
        ledger.check();
        cancelled += n;
    }
    assert_eq!(cancelled, 4);
    ledger.done(id(0), Outcome::Sent, 4).await;
    ledger.done(id(1), Outcome::Deferred(at(99)), 4).await;
    ledger.check();
    assert_eq!(ledger.status(id(0)).await, Status::Sent);
    let counts = ledger.counts(run).await.unwrap();
    assert_eq!((counts.of(Status::Cancelled), counts.open()), (5, 0));
    let run = ledger.run(run).await.unwrap().unwrap();
    assert_eq!(run.ended_at, Some(at(4)));
}

#[tokio::test]
async fn only_a_cancelled_run_loses_its_rows() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    assert_eq!(ledger.cancel_rows(run, 9, at(1)).await.unwrap(), 0);
    assert_eq!(ledger.counts(run).await.unwrap().of(Status::Queued), 2);
}

#[tokio::test]
async fn what_failed_is_queued_again_when_asked() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(3).await;
    let queue = mail_queue(&ledger, run).await.id;
    let id = |sequence| DeliveryId::new(run, sequence);
    for (sequence, outcome) in [Outcome::Sent, Outcome::Failed, Outcome::InDoubt]
        .into_iter()
        .enumerate()
    {
        let _permit = ledger.permit(id(sequence as u32), 1).await;
        ledger.done(id(sequence as u32), outcome, 2).await;
    }
    let past = Advance {
        now: at(3),
        cursors: vec![(queue, id(2))],
        ..Advance::default()
    };
    ledger.step(past).await;
    assert!(ledger.to(run, RunState::Finished).await);

    let sent = ledger.requeue(ledger.lease, run, &[Status::Sent], at(4));
    assert!(words(&sent.await.unwrap_err()).contains("not sent"));
    let failed = ledger.requeue(ledger.lease, run, &[Status::Failed], at(4));
    assert_eq!(failed.await.unwrap(), 1);
    ledger.check();
    let reopened = ledger.run(run).await.unwrap().unwrap();
    assert_eq!(
        (reopened.state, reopened.ended_at),
        (RunState::Sending, None)
    );
    let again = ledger.claim(queue, mail_queue(&ledger, run).await.cursor, 9);
    let again = again.await.unwrap();
    assert_eq!((again.len(), again[0].id), (1, id(1)));
    assert_eq!((again[0].attempts, again[0].first_try), (1, None));
    assert_eq!(ledger.permit(id(1), 5).await.attempt(), 2);
    assert_eq!(ledger.status(id(2)).await, Status::InDoubt);
}

#[tokio::test]
async fn a_paused_run_is_not_woken_by_a_retry() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let id = DeliveryId::new(run, 0);
    ledger.done(id, Outcome::Failed, 1).await;
    ledger.to(run, RunState::Paused).await;
    let failed = ledger.requeue(ledger.lease, run, &[Status::Failed], at(4));
    assert_eq!(failed.await.unwrap(), 1);
    let run = ledger.run(run).await.unwrap().unwrap();
    assert_eq!(run.state, RunState::Paused);
}
