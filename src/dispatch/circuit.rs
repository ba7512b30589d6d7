//! A transport that refuses everybody is left alone for a while: its recipients stay queued, nobody is burned.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// How long a transport is left alone at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How long to wait after a fault that came behind so many others.
pub(super) fn pause(faults: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(faults.min(16)))
        .min(LONGEST_PAUSE)
}

/// A time in which nothing is tried. A clock that is set back ends it.
#[derive(Clone, Copy)]
pub(super) struct Break {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Break {
    /// From now on.
    pub(super) fn of(pause: Duration, now: DateTime<Utc>) -> Self {
        let pause = TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX);
        Self {
            since: now,
            until: now + pause,
        }
    }

    /// When it ends, where it lasts.
    pub(super) fn lasts_until(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Two threads may look at the clock in another order than they come here.
        let set_back = self.since - now > TimeDelta::seconds(1);
        (!set_back && now < self.until).then_some(self.until)
    }
}

/// Open after a fault of the transport, until a growing pause has passed; closed again at its first success.
#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    faults: u32,
    left_alone: Option<Break>,
    words: String,
}

impl Circuit {
    /// Until when nothing should be tried, if the circuit is open.
    pub(super) fn open_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.lock().left_alone?.lasts_until(now)
    }

    /// Opens it, and gives until when. Faults that come in while it is open (other lanes of the same transport) don't make
    /// the pause longer.
    pub(super) fn fault(
        &self,
        now: DateTime<Utc>,
        retry_after: Option<Duration>,
        words: &str,
    ) -> DateTime<Utc> {
        let mut state = self.0.lock();
        words.clone_into(&mut state.words);
        if let Some(until) = state.left_alone.and_then(|left| left.lasts_until(now)) {
            return until;
        }
        let pause = retry_after.unwrap_or_else(|| pause(state.faults));
        state.faults += 1;
        let left_alone = Break::of(pause, now);
        state.left_alone = Some(left_alone);
        left_alone.until
    }

    /// Something worked: closes it.
    pub(super) fn success(&self) {
        let mut state = self.0.lock();
        if state.left_alone.is_some() {
            *state = State::default();
        }
    }

    /// What is wrong, in words, if something is.
    pub(super) fn error(&self, now: DateTime<Utc>) -> Option<String> {
        let state = self.0.lock();
        Some(match state.left_alone?.lasts_until(now) {
            Some(until) => format!(
                "{} (tried again at {})",
                state.words,
                until.format("%Y-%m-%d %H:%M:%SZ")
            ),
            None => format!("{} (being tried again)", state.words),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_success_ends_them() {
        let mut now: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().unwrap();
        let circuit = Circuit::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let until = circuit.fault(now, None, "421 busy");
            assert_eq!(circuit.fault(now, None, "421 busy"), until);
            pauses.push((until - now).num_seconds());
            now = until;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(circuit.error(now).unwrap().starts_with("421 busy"));
        circuit.success();
        assert_eq!((circuit.open_until(now), circuit.error(now)), (None, None));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_a_pause_last() {
        let now: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().unwrap();
        let circuit = Circuit::default();
        let until = circuit.fault(now, None, "421 busy");
        assert_eq!(circuit.open_until(now), Some(until));
        let earlier = now - TimeDelta::days(2);
        assert_eq!(circuit.open_until(earlier), None);
        let again = circuit.fault(earlier, None, "421 busy");
        assert!(again < earlier + TimeDelta::minutes(1), "{again}");
    }
}
