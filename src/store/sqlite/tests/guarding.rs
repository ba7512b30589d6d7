//! What guards a run while it is sent: the cap over all marketing runs, the part that goes out first, the shares that hold it.

use super::*;
use crate::{
    model::{Rollout, RolloutPart, Run, StopIf},
    store::Cap,
};

/// A run of a campaign with as many recipients, and guards.
async fn guarded(ledger: &Ledger, new: NewRun, recipients: u32) -> RunId {
    let Opened::New(run) = ledger.open_run(ledger.lease, new, at(0)).await.unwrap() else {
        panic!("the run is new");
    };
    let rows: Vec<_> = (0..recipients).map(row).collect();
    let addresses = (0..recipients).map(|n| (address(n), n)).collect();
    ledger.freeze(ledger.lease, run.id, rows).await.unwrap();
    ledger
        .freeze_addresses(ledger.lease, run.id, addresses)
        .await
        .unwrap();
    let seal = Seal {
        totals: Totals {
            to_send: u64::from(recipients),
            ..Totals::default()
        },
        ..seal(RunState::Sending)
    };
    ledger
        .seal(ledger.lease, run.id, seal, at(0))
        .await
        .unwrap();
    run.id
}

async fn run_of(ledger: &Ledger, run: RunId) -> Run {
    ledger.run(run).await.unwrap().unwrap()
}

fn in_parts(first: RolloutPart) -> NewRun {
    NewRun {
        rollout: Some(Rollout {
            first,
            wait: "30m".parse().unwrap(),
        }),
        ..new_run("spring")
    }
}

/// Begins all of `of` in one step; gives what came of each in short.
async fn begin_all(
    ledger: &Ledger,
    run: RunId,
    of: std::ops::Range<u32>,
    now: i64,
    cap: Option<Cap>,
) -> (String, Vec<Permit>) {
    let step = Advance {
        now: at(now),
        begin: of.map(|n| begin(DeliveryId::new(run, n))).collect(),
        cap,
        ..Advance::default()
    };
    let (mut words, mut permits) = (String::new(), Vec::new());
    for begun in ledger.step(step).await {
        words.push(match begun {
            Begun::Permit(permit) => {
                permits.push(permit);
                'p'
            }
            Begun::Skipped(SkipReason::FrequencyCap) => 'c',
            Begun::Skipped(_) => 's',
            Begun::NotNow => '-',
        });
    }
    ledger.check();
    (words, permits)
}

async fn resume(ledger: &Ledger, run: RunId) {
    let change = RunChange {
        state: RunState::Sending,
        reason: None,
        released: Some(true),
    };
    let from = [RunState::Paused, RunState::Held];
    assert!(ledger.move_run(run, &from, change, at(3)).await.unwrap());
}

#[tokio::test]
async fn exactly_the_first_part_begins_then_the_run_pauses_and_says_until_when() {
    let ledger = Ledger::new().await;
    let run = guarded(&ledger, in_parts(RolloutPart::Count(3)), 10).await;
    let (words, _permits) = begin_all(&ledger, run, 0..2, 1, None).await;
    assert_eq!(words, "pp");
    // The first was put back, so it makes room; the second did not work out and is none of the new ones.
    ledger
        .done(DeliveryId::new(run, 0), Outcome::Released(at(1)), 1)
        .await;
    ledger
        .done(DeliveryId::new(run, 1), Outcome::Deferred(at(1)), 1)
        .await;
    let (words, _permits) = begin_all(&ledger, run, 0..8, 2, None).await;
    assert_eq!(words, "ppp-----");
    let paused = run_of(&ledger, run).await;
    assert_eq!(paused.state, RunState::Paused);
    assert_eq!(paused.reason.as_deref(), Some("rollout"));
    assert_eq!(paused.goes_on_at, Some(at(2 + 30 * 60)));

    resume(&ledger, run).await;
    assert_eq!(run_of(&ledger, run).await.goes_on_at, None);
    let (words, _permits) = begin_all(&ledger, run, 3..10, 4, None).await;
    assert_eq!(words, "ppppppp");
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
}

#[tokio::test]
async fn a_share_of_the_audience_is_a_first_part_and_all_of_it_is_none() {
    let ledger = Ledger::new().await;
    let quarter = RolloutPart::Share("25%".parse().unwrap());
    let run = guarded(&ledger, in_parts(quarter), 8).await;
    let (words, _permits) = begin_all(&ledger, run, 0..8, 1, None).await;
    assert_eq!(words, "pp------");

    let all = NewRun {
        campaign: "summer".parse().unwrap(),
        ..in_parts(RolloutPart::Count(8))
    };
    let run = guarded(&ledger, all, 8).await;
    let (words, _permits) = begin_all(&ledger, run, 0..8, 1, None).await;
    assert_eq!(words, "pppppppp");
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
}

#[tokio::test]
async fn a_share_holds_with_the_outcomes_that_exceed_it_and_nothing_begins_beside_them() {
    let ledger = Ledger::new().await;
    let stop_if = StopIf {
        after: 4,
        failed: None,
        bounced: Some("25%".parse().unwrap()),
        complained: None,
        unsubscribed: Some("50%".parse().unwrap()),
    };
    let new = NewRun {
        stop_if: Some(stop_if),
        ..new_run("spring")
    };
    let run = guarded(&ledger, new, 20).await;
    let id = |n| DeliveryId::new(run, n);
    let outcomes = |of: std::ops::Range<u32>, outcome, suppress| {
        of.map(move |n| Done {
            suppress,
            ..done(id(n), outcome)
        })
    };
    let (_, _permits) = begin_all(&ledger, run, 0..10, 1, None).await;
    // Refused, but not because the mailbox does not exist.
    let step = Advance {
        now: at(2),
        done: outcomes(0..3, Outcome::Failed, false).collect(),
        ..Advance::default()
    };
    ledger.step(step).await;
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
    let step = Advance {
        now: at(2),
        done: outcomes(3..5, Outcome::Failed, true).collect(),
        begin: vec![begin(id(10))],
        ..Advance::default()
    };
    let begun = ledger.step(step).await.remove(0);
    assert!(matches!(begun, Begun::NotNow), "{begun:?}");
    let held = run_of(&ledger, run).await;
    assert_eq!(
        (held.state, held.reason.as_deref()),
        (
            RunState::Held,
            Some("stop_if: 2 of 5 bounced (40.0%, more than 25%)")
        )
    );
    ledger.check();

    // Let go, it counts anew: one of four does not exceed a quarter.
    resume(&ledger, run).await;
    let step = Advance {
        now: at(4),
        done: outcomes(5..8, Outcome::Failed, true)
            .take(1)
            .chain(outcomes(6..9, Outcome::Sent, false))
            .collect(),
        ..Advance::default()
    };
    ledger.step(step).await;
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
    // Who unsubscribes is counted when it happens.
    ledger.add_unsubscribed(run, 2, at(5)).await.unwrap();
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
    ledger.add_unsubscribed(run, 1, at(5)).await.unwrap();
    let held = run_of(&ledger, run).await;
    assert_eq!(
        held.reason.as_deref(),
        Some("stop_if: 3 of 4 unsubscribed (75.0%, more than 50%)")
    );
    ledger.add_unsubscribed(run, -9, at(5)).await.unwrap();
    assert_eq!(run_of(&ledger, run).await.unsubscribed, 0);
}

#[tokio::test]
async fn a_run_with_nothing_left_to_hold_is_not_held() {
    let ledger = Ledger::new().await;
    let new = NewRun {
        stop_if: Some(StopIf {
            after: 1,
            failed: Some("0%".parse().unwrap()),
            bounced: None,
            complained: None,
            unsubscribed: None,
        }),
        ..new_run("spring")
    };
    let run = guarded(&ledger, new, 1).await;
    let (_, _permits) = begin_all(&ledger, run, 0..1, 1, None).await;
    ledger
        .done(DeliveryId::new(run, 0), Outcome::Failed, 2)
        .await;
    assert_eq!(run_of(&ledger, run).await.state, RunState::Sending);
}

#[tokio::test]
async fn the_last_check_knows_the_cap() {
    let ledger = Ledger::new().await;
    let cap = Some(Cap {
        most: 2,
        since: at(0),
    });
    let of = |campaign: &str, purpose| NewRun {
        purpose,
        ..NewRun {
            campaign: campaign.parse().unwrap(),
            ..new_run("spring")
        }
    };
    let early = guarded(&ledger, of("early", Purpose::Marketing), 4).await;
    let bill = guarded(&ledger, of("bill", Purpose::Transactional), 4).await;
    let other = guarded(&ledger, of("other", Purpose::Marketing), 4).await;
    let last = guarded(&ledger, of("last", Purpose::Marketing), 4).await;
    for (run, of) in [(early, 0..2), (bill, 0..4), (other, 1..3)] {
        let (words, permits) = begin_all(&ledger, run, of.clone(), 5, cap).await;
        assert_eq!(words, "p".repeat(of.len()));
        for permit in permits {
            ledger.done(permit.delivery(), Outcome::Sent, 6).await;
        }
    }
    // One, two, one and none of the marketing runs.
    let (words, _permits) = begin_all(&ledger, last, 0..4, 7, cap).await;
    assert_eq!(words, "pcpp");
    let stopped = ledger.delivery(DeliveryId::new(last, 1)).await.unwrap();
    assert_eq!(stopped.unwrap().reason.as_deref(), Some("frequency_cap"));

    let had = ledger
        .had_by_address(vec![address(0), address(1), address(9)], at(0))
        .await
        .unwrap();
    assert_eq!(had, [2, 2, 0]);
    let had = ledger
        .had_by_address(vec![address(1)], at(6))
        .await
        .unwrap();
    assert_eq!(had, [0]);
    let had = ledger.had_since(early, at(0), None, 9).await.unwrap();
    assert_eq!(had, [(recipient(0), 1), (recipient(1), 1)]);
    assert_eq!(ledger.had_since(early, at(6), None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_last_check_finds_a_recipient_whose_address_is_another() {
    let ledger = Ledger::new().await;
    let cap = Some(Cap {
        most: 1,
        since: at(0),
    });
    let run = guarded(&ledger, new_run("spring"), 2).await;
    let moved = Frozen {
        address_hash: Some(address(77)),
        ..row(0)
    };
    let other = ledger
        .planned("other", Purpose::Marketing, vec![moved])
        .await;
    let (words, _permits) = begin_all(&ledger, other, 0..1, 5, cap).await;
    assert_eq!(words, "p");
    let (words, _permits) = begin_all(&ledger, run, 0..2, 6, cap).await;
    assert_eq!(words, "cp");
}

#[tokio::test]
async fn the_last_check_knows_the_cooldown_group() {
    let ledger = Ledger::new().await;
    let member = |campaign: &str, group: &str, waits| NewRun {
        campaign: campaign.parse().unwrap(),
        cooldown_group: Some(group.to_owned()),
        waits,
        ..new_run("spring")
    };
    // Planned at one moment: no plan knows of the others.
    let first = guarded(&ledger, member("first", "reminders", true), 4).await;
    let second = guarded(&ledger, member("second", "reminders", true), 4).await;
    let urgent = guarded(&ledger, member("urgent", "reminders", false), 4).await;
    let stranger = guarded(&ledger, member("stranger", "others", true), 4).await;
    let (words, _permits) = begin_all(&ledger, first, 0..2, 5, None).await;
    assert_eq!(words, "pp");
    let (words, _permits) = begin_all(&ledger, second, 0..3, 6, None).await;
    assert_eq!(words, "ssp");
    let stopped = ledger.delivery(DeliveryId::new(second, 0)).await.unwrap();
    assert_eq!(stopped.unwrap().reason.as_deref(), Some("cooldown"));
    for run in [urgent, stranger] {
        let (words, _permits) = begin_all(&ledger, run, 0..4, 7, None).await;
        assert_eq!(words, "pppp");
    }
    let (words, _permits) = begin_all(&ledger, first, 2..4, 8, None).await;
    assert_eq!(words, "ss");
}

#[tokio::test]
async fn the_last_check_knows_the_other_runs_of_the_campaign() {
    let ledger = Ledger::new().await;
    let of_spring = |occurrence: &str, waits| NewRun {
        waits,
        occurrence: Occurrence {
            name: OccurrenceName::label(occurrence).unwrap(),
            due: at(0),
        },
        ..new_run("spring")
    };
    // One planned beside the other: neither plan knows what the other run will have sent.
    let first = guarded(&ledger, of_spring("one", true), 3).await;
    let second = guarded(&ledger, of_spring("two", true), 3).await;
    let (words, _permits) = begin_all(&ledger, first, 0..1, 5, None).await;
    assert_eq!(words, "p");
    let (words, _permits) = begin_all(&ledger, second, 0..2, 6, None).await;
    assert_eq!(words, "sp");
    let (words, _permits) = begin_all(&ledger, first, 1..3, 7, None).await;
    assert_eq!(words, "sp");
    // Without a cooldown it spares nobody.
    let third = guarded(&ledger, of_spring("three", false), 3).await;
    let (words, _permits) = begin_all(&ledger, third, 0..3, 8, None).await;
    assert_eq!(words, "ppp");
}
