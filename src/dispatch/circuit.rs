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

/// That much later.
pub(super) fn after(now: DateTime<Utc>, pause: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX)
}

/// Open after a fault of the transport, until a growing pause has passed; closed again at its first success.
#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    faults: u32,
    until: Option<DateTime<Utc>>,
    words: String,
}

impl Circuit {
    /// Until when nothing should be tried, if the circuit is open.
    pub(super) fn open_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.lock().until.filter(|until| *until > now)
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
        if let Some(until) = state.until.filter(|until| *until > now) {
            return until;
        }
        let pause = retry_after.unwrap_or_else(|| pause(state.faults));
        state.faults += 1;
        let until = after(now, pause);
        state.until = Some(until);
        until
    }

    /// Something worked: closes it.
    pub(super) fn success(&self) {
        let mut state = self.0.lock();
        if state.until.is_some() {
            *state = State::default();
        }
    }

    /// What is wrong, in words, if something is.
    pub(super) fn error(&self, now: DateTime<Utc>) -> Option<String> {
        let state = self.0.lock();
        let until = state.until?;
        if until > now {
            Some(format!(
                "{} (tried again at {})",
                state.words,
                until.format("%Y-%m-%d %H:%M:%SZ")
            ))
        } else {
            Some(format!("{} (being tried again)", state.words))
        }
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
}
