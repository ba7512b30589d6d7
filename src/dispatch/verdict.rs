//! What a transport's answer means for a delivery.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    model::{Answer, DeliveryId, Period, Scope},
    store::{Done, Outcome},
};

use super::{circuit::Circuit, throttle::Throttle};

/// The first pause of a deferred delivery; each further one is three times as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The same after a lost connection, which another connection often mends.
const FIRST_PAUSE_AFTER_LOSS: Duration = Duration::from_secs(1);
/// How long a recipient waits who was refused because the transport is too fast.
const AFTER_RATE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What is known of an attempt when its answer comes.
pub(super) struct Attempt {
    pub(super) delivery: DeliveryId,
    /// Which try it is, from 1.
    pub(super) number: u32,
    /// When the first one began.
    pub(super) first_try: DateTime<Utc>,
    pub(super) give_up_after: Period,
    /// It went to somebody else than it is for: what the server says of that mailbox says nothing about the recipient.
    pub(super) redirected: bool,
}

/// Turns an answer into what is recorded; opens the circuit where the transport is at fault.
pub(super) fn judge(
    attempt: &Attempt,
    answer: Answer,
    circuit: &Circuit,
    throttle: &Throttle,
    now: DateTime<Utc>,
) -> Done {
    let (outcome, words, suppress) = match answer {
        Answer::Accepted { words } => {
            circuit.success();
            (Outcome::Sent, words, false)
        }
        Answer::Unknown { words } => (Outcome::InDoubt, words, false),
        Answer::NotStarted { words } => (
            defer(attempt, FIRST_PAUSE_AFTER_LOSS, None, now),
            words,
            false,
        ),
        Answer::Refused {
            scope: Scope::Transport,
            retry_after,
            words,
            ..
        } => (
            Outcome::Released(circuit.fault(now, retry_after, &words)),
            words,
            false,
        ),
        Answer::Refused {
            scope: Scope::Rate,
            retry_after,
            words,
            ..
        } => {
            throttle.refused(now, &words);
            let again = if retry_after.is_some() {
                // It says how long it wants to be left alone.
                circuit.fault(now, retry_after, &words)
            } else {
                circuit.success();
                now + spread(attempt, AFTER_RATE)
            };
            (Outcome::Released(again), words, false)
        }
        Answer::Refused {
            permanent: true,
            no_such_mailbox,
            words,
            ..
        } => {
            circuit.success();
            (
                Outcome::Failed,
                words,
                no_such_mailbox && !attempt.redirected,
            )
        }
        Answer::Refused {
            permanent: false,
            retry_after,
            words,
            ..
        } => {
            circuit.success();
            (defer(attempt, FIRST_PAUSE, retry_after, now), words, false)
        }
    };
    let words = if outcome == Outcome::Failed && attempt.is_too_old(now) && !suppress {
        format!("given up after {}: {words}", attempt.give_up_after)
    } else {
        words
    };
    Done {
        delivery: attempt.delivery,
        outcome,
        reason: Some(words),
        suppress,
    }
}

impl Attempt {
    fn is_too_old(&self, now: DateTime<Utc>) -> bool {
        self.give_up_after.after(self.first_try) <= now
    }
}

/// Up to a tenth longer, each delivery its own part, so that what failed together is not tried again together.
fn spread(attempt: &Attempt, pause: Duration) -> TimeDelta {
    let longer = pause + pause.mul_f64((attempt.delivery.0 as u64 % 97) as f64 / 970.0);
    TimeDelta::from_std(longer).unwrap_or(TimeDelta::MAX)
}

fn defer(
    attempt: &Attempt,
    first_pause: Duration,
    retry_after: Option<Duration>,
    now: DateTime<Utc>,
) -> Outcome {
    if attempt.is_too_old(now) {
        return Outcome::Failed;
    }
    let pause = retry_after.unwrap_or_else(|| {
        let grown = first_pause
            .saturating_mul(3_u32.saturating_pow(attempt.number.saturating_sub(1).min(12)));
        grown.min(LONGEST_PAUSE)
    });
    let again = match retry_after {
        Some(pause) => now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX),
        None => now + spread(attempt, pause),
    };
    // A last try just before giving up, not long after.
    Outcome::Deferred(again.min(attempt.give_up_after.after(attempt.first_try)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    fn attempt(number: u32, age: TimeDelta) -> Attempt {
        Attempt {
            delivery: DeliveryId(97),
            number,
            first_try: now() - age,
            give_up_after: Period::hours(24),
            redirected: false,
        }
    }

    fn refused(permanent: bool, scope: Scope, no_such_mailbox: bool) -> Answer {
        Answer::Refused {
            permanent,
            scope,
            no_such_mailbox,
            retry_after: None,
            words: "no".into(),
        }
    }

    #[test]
    fn pauses_grow_until_it_is_given_up() {
        let circuit = Circuit::default();
        let pause = |number| {
            let answer = Answer::NotStarted {
                words: "lost".into(),
            };
            match judge(
                &attempt(number, TimeDelta::minutes(1)),
                answer,
                &circuit,
                &Throttle::new(None, None),
                now(),
            )
            .outcome
            {
                Outcome::Deferred(at) => (at - now()).num_seconds(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 60].map(pause),
            [1, 3, 9, 27, 81, 243, 3600]
        );
        let late = judge(
            &attempt(9, TimeDelta::hours(24)),
            refused(false, Scope::Recipient, false),
            &circuit,
            &Throttle::new(None, None),
            now(),
        );
        assert_eq!(late.outcome, Outcome::Failed);
        assert_eq!(late.reason.as_deref(), Some("given up after 24h: no"));
    }

    #[test]
    fn a_fault_of_the_transport_burns_nobody() {
        let circuit = Circuit::default();
        let done = judge(
            &attempt(1, TimeDelta::hours(48)),
            refused(true, Scope::Transport, false),
            &circuit,
            &Throttle::new(None, None),
            now(),
        );
        assert_eq!(
            done.outcome,
            Outcome::Released(now() + TimeDelta::seconds(5))
        );
        assert!(circuit.open_until(now()).is_some());
    }

    #[test]
    fn only_a_mailbox_that_does_not_exist_is_suppressed() {
        let circuit = Circuit::default();
        let done = |mailbox| {
            judge(
                &attempt(1, TimeDelta::zero()),
                refused(true, Scope::Recipient, mailbox),
                &circuit,
                &Throttle::new(None, None),
                now(),
            )
        };
        assert_eq!(
            (done(true).outcome, done(true).suppress),
            (Outcome::Failed, true)
        );
        assert_eq!(
            (done(false).outcome, done(false).suppress),
            (Outcome::Failed, false)
        );
        let unknown = judge(
            &attempt(1, TimeDelta::zero()),
            Answer::Unknown {
                words: "gone".into(),
            },
            &circuit,
            &Throttle::new(None, None),
            now(),
        );
        assert_eq!(unknown.outcome, Outcome::InDoubt);
    }
}
