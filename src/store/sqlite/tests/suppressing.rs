//! The last check, and the list behind it.

use super::*;
use crate::model::{Subject, Suppression, SuppressionReason, TopicName};

fn entry(subject: Subject, topic: Option<&str>, reason: SuppressionReason) -> Suppression {
    Suppression {
        subject,
        topic: topic.map(|topic| topic.parse().unwrap()),
        reason,
        at: at(1),
        shown: "ada@example.org".to_owned(),
        origin: "a test".to_owned(),
    }
}

/// What becomes of recipient 0 of a run of a purpose with one entry on the list.
async fn last_check(
    purpose: Purpose,
    subject: Subject,
    topic: Option<&str>,
    reason: SuppressionReason,
) -> String {
    let ledger = Ledger::new().await;
    let run = ledger
        .planned("spring", purpose, vec![row(0), row(1)])
        .await;
    ledger
        .suppress(vec![entry(subject, topic, reason)])
        .await
        .unwrap();
    let id = DeliveryId::new(run, 0);
    let begun = ledger.begin(id, 2).await;
    ledger.check();
    let delivery = ledger.delivery(id).await.unwrap().unwrap();
    let other = ledger.begin(DeliveryId::new(run, 1), 2).await;
    assert!(
        matches!(other, Begun::Permit(_)),
        "the neighbour is sent to"
    );
    match begun {
        Begun::Skipped(reason) => {
            assert_eq!(delivery.status, Status::Skipped);
            let said = delivery.reason.unwrap();
            assert!(said.starts_with(reason.as_str()), "{said}");
            said
        }
        Begun::Permit(_) => "permit".to_owned(),
        Begun::NotNow => "not now".to_owned(),
    }
}

#[tokio::test]
async fn unsubscribing_wins_by_address_and_by_key() {
    let by_address = Subject::Address(address(0));
    let by_key = Subject::Recipient(recipient(0));
    for subject in [by_address, by_key] {
        for (topic, said) in [
            (None, "unsubscribed"),
            (Some("offers"), "unsubscribed"),
            (Some("billing"), "permit"),
        ] {
            let reason = SuppressionReason::Unsubscribed;
            let marketing = last_check(Purpose::Marketing, subject, topic, reason).await;
            assert_eq!(marketing, said, "{subject:?} {topic:?}");
            let transactional = last_check(Purpose::Transactional, subject, topic, reason).await;
            assert_eq!(transactional, "permit", "{subject:?} {topic:?}");
        }
    }
}

#[tokio::test]
async fn what_bounced_complained_or_was_suppressed_is_not_sent_for_any_purpose() {
    for reason in [
        SuppressionReason::Bounced,
        SuppressionReason::Complained,
        SuppressionReason::Manual,
    ] {
        for purpose in [Purpose::Marketing, Purpose::Transactional] {
            for subject in [
                Subject::Address(address(0)),
                Subject::Recipient(recipient(0)),
            ] {
                let said = last_check(purpose, subject, None, reason).await;
                assert_eq!(said, format!("suppressed: {reason}"), "{purpose}");
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_does_not_reach_whom_the_row_itself_may_not_reach() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(2).await;
    let bounced = |n| {
        entry(
            Subject::Address(address(n)),
            None,
            SuppressionReason::Bounced,
        )
    };
    ledger.suppress(vec![bounced(0), bounced(9)]).await.unwrap();
    for (sequence, redirected_to) in [(0, 8), (1, 9)] {
        let id = DeliveryId::new(run, sequence);
        let step = Advance {
            now: at(2),
            begin: vec![Begin {
                address_hash: address(redirected_to),
                ..begin(id)
            }],
            ..Advance::default()
        };
        let begun = ledger.step(step).await.remove(0);
        assert!(matches!(begun, Begun::Skipped(SkipReason::Suppressed)));
    }
    ledger.check();
}

#[tokio::test]
async fn a_suppression_counts_for_a_deferred_delivery_too() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 1).await;
    ledger.done(id, Outcome::Deferred(at(5)), 2).await;
    let reason = SuppressionReason::Unsubscribed;
    let gone = entry(Subject::Recipient(recipient(0)), None, reason);
    ledger.suppress(vec![gone]).await.unwrap();
    assert!(matches!(
        ledger.begin(id, 5).await,
        Begun::Skipped(SkipReason::Unsubscribed)
    ));
    ledger.check();
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist_is_never_written_to_again() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let id = DeliveryId::new(run, 0);
    let _permit = ledger.permit(id, 1).await;
    let step = Advance {
        now: at(2),
        done: vec![Done {
            suppress: true,
            reason: Some("550 5.1.1 no such user".to_owned()),
            ..done(id, Outcome::Failed)
        }],
        ..Advance::default()
    };
    ledger.step(step).await;
    let against = ledger.suppressions_of(Subject::Address(address(0))).await;
    let [entry] = &against.unwrap()[..] else {
        panic!("one entry");
    };
    assert_eq!(
        (entry.reason, &entry.topic),
        (SuppressionReason::Bounced, &None)
    );
    assert_eq!(entry.shown, "k0@example.org");
    assert_eq!(entry.origin, "delivery 1-0");

    let next = ledger.planned("next", Purpose::Transactional, vec![row(0)]);
    let begun = ledger.begin(DeliveryId::new(next.await, 0), 3).await;
    assert!(matches!(begun, Begun::Skipped(SkipReason::Suppressed)));
}

#[tokio::test]
async fn unsubscribing_again_changes_nothing() {
    let ledger = Ledger::new().await;
    let subject = Subject::Recipient(recipient(0));
    let first = entry(subject, Some("offers"), SuppressionReason::Unsubscribed);
    let later = Suppression {
        at: at(9),
        ..first.clone()
    };
    assert_eq!(ledger.suppress(vec![first.clone()]).await.unwrap(), 1);
    assert_eq!(ledger.suppress(vec![later]).await.unwrap(), 0);
    assert_eq!(
        ledger.suppressions_of(subject).await.unwrap(),
        std::slice::from_ref(&first)
    );

    let manual = entry(subject, Some("offers"), SuppressionReason::Manual);
    ledger.suppress(vec![manual]).await.unwrap();
    let topic: TopicName = "offers".parse().unwrap();
    let everything = ledger.unsuppress(subject, None, None);
    assert_eq!(everything.await.unwrap(), 0);
    let one = ledger.unsuppress(subject, Some(&topic), Some(SuppressionReason::Manual));
    assert_eq!(one.await.unwrap(), 1);
    let rest = ledger.unsuppress(subject, Some(&topic), None);
    assert_eq!(rest.await.unwrap(), 1);
    assert_eq!(ledger.suppressions_of(subject).await.unwrap(), []);
}

#[tokio::test]
async fn the_list_is_paged_by_subject_and_loses_nothing() {
    let ledger = Ledger::new().await;
    let mut entries = Vec::new();
    for n in 0..700 {
        for topic in [None, Some("offers"), Some("news")] {
            let subject = Subject::Address(address(n));
            entries.push(entry(subject, topic, SuppressionReason::Unsubscribed));
        }
    }
    let total = entries.len();
    assert_eq!(ledger.suppress(entries).await.unwrap(), total as u64);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = ledger.suppressions(after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.subject.bytes());
        seen.extend(page);
    }
    assert_eq!(seen.len(), total);
    assert!(seen.is_sorted_by_key(|entry| entry.subject.bytes()));
}
