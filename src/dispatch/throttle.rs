//! A transport whose server says that it is too fast is slowed down, and gets faster again little by little (additive increase,
//! multiplicative decrease). Where no rate is set it starts from what was measured.

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::model::Rate;

use super::pace::Spacing;

/// What was on its way when the rate was halved is no reason to halve it again.
const SETTLE: TimeDelta = TimeDelta::seconds(1);
/// How often it grows, and by which part of the rate from which it was slowed down.
const GROWTH_EVERY: TimeDelta = TimeDelta::seconds(10);
const GROWTH: f64 = 0.05;
/// Without a rate in the settings it is let go when it is this much faster than when the server complained.
const LET_GO: f64 = 2.0;
/// It never gets slower than this many a second.
const SLOWEST: f64 = 0.05;
/// How many seconds the measured rate looks back on.
const MEASURED: usize = 10;

/// The rate of one transport: that of its settings, or less.
pub(super) struct Throttle {
    configured: Option<f64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slowed: Option<Slowed>,
    meter: Meter,
    /// It has changed since it was last kept.
    changed: bool,
}

/// A rate that was slowed down, as it is kept for the next process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slowed {
    per_second: f64,
    /// The rate at which the server complained first.
    from: f64,
    /// Its words.
    words: String,
    halved_at: DateTime<Utc>,
    grown_at: DateTime<Utc>,
}

/// How fast a transport goes, where anything limits it.
#[derive(Clone, Debug, PartialEq)]
pub struct WayRate {
    /// What its settings say.
    pub configured: Option<Rate>,
    /// How many messages a second it takes now.
    pub per_second: f64,
    /// What its server said when it was slowed down, if it is.
    pub reason: Option<String>,
}

impl Throttle {
    /// `kept` is what an earlier process left.
    pub(super) fn new(rate: Option<Rate>, kept: Option<&[u8]>) -> Self {
        let slowed = kept.and_then(|kept| serde_json::from_slice::<Slowed>(kept).ok());
        Self {
            configured: rate.map(per_second),
            state: Mutex::new(State {
                slowed: slowed.filter(|slowed| slowed.per_second > 0.0 && slowed.from > 0.0),
                ..State::default()
            }),
        }
    }

    /// A message was taken.
    pub(super) fn sent(&self, now: DateTime<Utc>) {
        self.state.lock().meter.count(now);
    }

    /// The server says that it is too fast.
    pub(super) fn refused(&self, now: DateTime<Utc>, words: &str) {
        let mut state = self.state.lock();
        state.grow(self.configured, now);
        let (rate, from) = match &state.slowed {
            // A clock that was set back does not keep it from being slowed down.
            Some(slowed) if (now - slowed.halved_at).abs() < SETTLE => return,
            Some(slowed) => (slowed.per_second, slowed.from),
            None => {
                let rate = self.configured.unwrap_or_else(|| state.meter.rate(now));
                (rate, rate)
            }
        };
        let halved = (rate / 2.0).max(SLOWEST);
        tracing::warn!(
            from = rate,
            to = halved,
            words,
            "slowed down: messages a second"
        );
        state.slowed = Some(Slowed {
            per_second: halved,
            from: from.max(SLOWEST),
            words: words.to_owned(),
            halved_at: now,
            grown_at: now,
        });
        state.changed = true;
    }

    /// How far apart messages are now; `None`: nothing limits it.
    pub(super) fn spacing(&self, now: DateTime<Utc>) -> Option<Spacing> {
        let mut state = self.state.lock();
        state.grow(self.configured, now);
        let slowed = state.slowed.as_ref().map(|slowed| slowed.per_second);
        slowed.or(self.configured).map(Spacing::per_second)
    }

    /// The rate for people; `configured` as the settings write it.
    pub(super) fn rate(&self, configured: Option<Rate>, now: DateTime<Utc>) -> Option<WayRate> {
        let mut state = self.state.lock();
        state.grow(self.configured, now);
        let slowed = state.slowed.as_ref();
        Some(WayRate {
            configured,
            per_second: slowed.map(|slowed| slowed.per_second).or(self.configured)?,
            reason: slowed.map(|slowed| slowed.words.clone()),
        })
    }

    /// What is to be kept, where it has changed since it was last asked for; empty: nothing slows it down any more.
    pub(super) fn changed(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.changed) {
            return None;
        }
        Some(match &state.slowed {
            Some(slowed) => serde_json::to_vec(slowed).expect("numbers and words are JSON"),
            None => Vec::new(),
        })
    }
}

fn per_second(rate: Rate) -> f64 {
    1.0 / rate.interval().as_secs_f64().max(1e-9)
}

impl State {
    fn grow(&mut self, configured: Option<f64>, now: DateTime<Utc>) {
        let Some(slowed) = &mut self.slowed else {
            return;
        };
        if now < slowed.grown_at {
            slowed.grown_at = now;
        }
        let steps = (now - slowed.grown_at).num_seconds() / GROWTH_EVERY.num_seconds();
        if steps == 0 {
            return;
        }
        slowed.grown_at += GROWTH_EVERY * i32::try_from(steps).unwrap_or(i32::MAX);
        slowed.per_second += slowed.from * GROWTH * steps as f64;
        if slowed.per_second >= configured.unwrap_or(slowed.from * LET_GO) {
            self.slowed = None;
        }
        self.changed = true;
    }
}

/// Counts what was sent in each of the last seconds.
#[derive(Default)]
struct Meter {
    counts: [u32; MEASURED],
    /// The second that was counted last, since 1970.
    last: i64,
    /// The first of all.
    first: Option<i64>,
}

impl Meter {
    fn count(&mut self, now: DateTime<Utc>) {
        let second = self.advance(now);
        self.first.get_or_insert(second);
        self.counts[place(second)] += 1;
    }

    /// Messages a second, of late; one, where nothing was sent.
    fn rate(&mut self, now: DateTime<Utc>) -> f64 {
        let second = self.advance(now);
        let sent: u32 = self.counts.iter().sum();
        let Some(first) = self.first.filter(|_| sent > 0) else {
            return 1.0;
        };
        let seconds = (second - first + 1).clamp(1, MEASURED as i64);
        f64::from(sent) / seconds as f64
    }

    /// Forgets what is too long ago.
    fn advance(&mut self, now: DateTime<Utc>) -> i64 {
        let second = now.timestamp();
        if second < self.last || second - self.last >= MEASURED as i64 {
            self.counts = [0; MEASURED];
            self.first = None;
        } else {
            for past in self.last + 1..=second {
                self.counts[place(past)] = 0;
            }
        }
        self.last = second;
        second
    }
}

fn place(second: i64) -> usize {
    usize::try_from(second.rem_euclid(MEASURED as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    fn rate(throttle: &Throttle, after: TimeDelta) -> Option<f64> {
        Some(throttle.rate(None, start() + after)?.per_second)
    }

    #[test]
    fn it_is_halved_and_grows_again_to_what_is_set() {
        let throttle = Throttle::new(Some("200/s".parse().unwrap()), None);
        let seconds = TimeDelta::seconds;
        assert_eq!(rate(&throttle, seconds(0)), Some(200.0));
        throttle.refused(start(), "450 4.7.1 slow down");
        throttle.refused(
            start() + TimeDelta::milliseconds(500),
            "450 4.7.1 slow down",
        );
        assert_eq!(rate(&throttle, seconds(1)), Some(100.0));
        throttle.refused(start() + seconds(1), "450 4.7.1 slower");
        let slowed = throttle.rate(None, start() + seconds(1)).unwrap();
        assert!((slowed.per_second - 50.0).abs() < 1e-9);
        assert_eq!(slowed.reason.as_deref(), Some("450 4.7.1 slower"));
        assert_eq!(rate(&throttle, seconds(11)), Some(60.0));
        assert_eq!(rate(&throttle, seconds(31)), Some(80.0));
        assert_eq!(rate(&throttle, seconds(151)), Some(200.0));
        assert_eq!(
            throttle.rate(None, start() + seconds(151)).unwrap().reason,
            None
        );
    }

    #[test]
    fn without_a_rate_it_starts_from_what_was_measured_and_is_let_go() {
        let throttle = Throttle::new(None, None);
        for n in 0..300 {
            throttle.sent(start() + TimeDelta::milliseconds(n * 10));
        }
        assert_eq!(rate(&throttle, TimeDelta::seconds(2)), None);
        throttle.refused(start() + TimeDelta::seconds(2), "421 too many");
        assert_eq!(rate(&throttle, TimeDelta::seconds(2)), Some(50.0));
        // To twice what it was when the server complained.
        assert_eq!(rate(&throttle, TimeDelta::seconds(202)), Some(150.0));
        assert_eq!(rate(&throttle, TimeDelta::seconds(302)), None);
        let untried = Throttle::new(None, None);
        untried.refused(start(), "421 too many");
        assert_eq!(rate(&untried, TimeDelta::zero()), Some(0.5));
    }

    #[test]
    fn it_lasts_and_stops_nobody_for_good() {
        let throttle = Throttle::new(None, None);
        assert_eq!(throttle.changed(), None);
        for n in 0..20 {
            throttle.refused(start() + TimeDelta::seconds(n), "451 throttled");
        }
        let slowest = rate(&throttle, TimeDelta::seconds(20)).unwrap();
        assert!((0.05..0.2).contains(&slowest), "{slowest}");
        let kept = throttle.changed().unwrap();
        assert_eq!(throttle.changed(), None);
        let next = Throttle::new(None, Some(&kept));
        assert_eq!(rate(&next, TimeDelta::seconds(20)), Some(slowest));
        assert!(next.spacing(start()).is_some());
        for broken in [&b"{}"[..], b"", b"nonsense"] {
            assert_eq!(
                rate(&Throttle::new(None, Some(broken)), TimeDelta::zero()),
                None
            );
        }
    }

    #[test]
    fn a_clock_that_jumps_breaks_nothing() {
        let throttle = Throttle::new(Some("10/s".parse().unwrap()), None);
        throttle.sent(start());
        throttle.refused(start(), "450 too fast");
        throttle.sent(start() - TimeDelta::days(2));
        assert_eq!(rate(&throttle, TimeDelta::days(-2)), Some(5.0));
        throttle.refused(start() - TimeDelta::days(2), "450 too fast");
        assert_eq!(rate(&throttle, TimeDelta::days(-2)), Some(2.5));
        assert_eq!(rate(&throttle, TimeDelta::days(9)), Some(10.0));
    }
}
