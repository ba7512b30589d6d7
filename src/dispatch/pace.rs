//! How many, how often: the generic cell rate algorithm (GCRA, ITU-T I.371), whose state is one moment that the store keeps.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::model::{Clock, Rate};

/// A rate that callers wait for.
pub(super) struct Pace {
    interval: TimeDelta,
    tolerance: TimeDelta,
    clock: Arc<dyn Clock>,
    /// The theoretical arrival time of the next message.
    next: Mutex<DateTime<Utc>>,
}

impl Pace {
    /// `next` is what an earlier process left: a restart gives no burst.
    pub(super) fn new(rate: Rate, clock: Arc<dyn Clock>, next: Option<DateTime<Utc>>) -> Self {
        let interval = TimeDelta::from_std(rate.interval()).unwrap_or(TimeDelta::MAX);
        // A tenth of a second's worth may go at once, so that a high rate can use batches.
        let tolerance = interval.max(TimeDelta::milliseconds(100));
        let next = Mutex::new(next.unwrap_or(DateTime::<Utc>::MIN_UTC));
        Self {
            interval,
            tolerance,
            clock,
            next,
        }
    }

    /// Waits until at least one may go; gives how many of `wanted` may, and the state to keep.
    pub(super) async fn admit(&self, wanted: usize) -> (usize, DateTime<Utc>) {
        loop {
            let ready = match self.try_admit(wanted) {
                Ok(admitted) => return admitted,
                Err(ready) => ready,
            };
            // Precise to the timer, not to the clock's steps: rates are about milliseconds.
            let wait = (ready - self.clock.now())
                .to_std()
                .unwrap_or(Duration::ZERO);
            if wait > Duration::from_secs(1) {
                self.clock.sleep_until(ready).await;
            } else {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Gives back what was admitted and not used.
    pub(super) fn refund(&self, unused: usize) {
        *self.next.lock() -= self.interval * i32::try_from(unused).unwrap_or(0);
    }

    fn try_admit(&self, wanted: usize) -> Result<(usize, DateTime<Utc>), DateTime<Utc>> {
        let now = self.clock.now();
        let mut next = self.next.lock();
        // A clock that was set back must not stop the sending for the difference.
        let furthest = now + self.interval + self.tolerance;
        let from = (*next).clamp(now, furthest);
        let room = now + self.tolerance - from;
        if room < TimeDelta::zero() {
            return Err(from - self.tolerance);
        }
        let nanos = |delta: TimeDelta| delta.num_nanoseconds().unwrap_or(i64::MAX).max(1);
        let admitted = (nanos(room) / nanos(self.interval) + 1).clamp(1, wanted.max(1) as i64);
        *next = from + self.interval * i32::try_from(admitted).unwrap_or(i32::MAX);
        Ok((admitted as usize, *next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still(Mutex<DateTime<Utc>>);

    #[async_trait::async_trait]
    impl Clock for Still {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock()
        }

        async fn sleep_until(&self, at: DateTime<Utc>) {
            *self.0.lock() = at;
        }
    }

    #[test]
    fn a_minute_has_as_many_as_the_rate_says() {
        for (rate, expected) in [
            ("200/s", 12_000),
            ("10/m", 10),
            ("7/s", 420),
            ("5000/s", 300_000),
        ] {
            let start: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().unwrap();
            let clock = Arc::new(Still(Mutex::new(start)));
            let pace = Pace::new(rate.parse().unwrap(), clock.clone(), None);
            let mut sent = 0;
            while clock.now() < start + TimeDelta::seconds(60) {
                match pace.try_admit(8) {
                    Ok((n, _)) => sent += n,
                    Err(ready) => *clock.0.lock() = ready,
                }
            }
            let off = (sent as f64 - f64::from(expected)).abs() / f64::from(expected);
            assert!(
                off <= 0.05 || sent == expected as usize + 1,
                "{rate}: {sent}"
            );
        }
    }

    #[test]
    fn a_restart_gives_no_burst_and_a_clock_set_back_no_stop() {
        let start: DateTime<Utc> = "2026-12-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(Still(Mutex::new(start)));
        let kept = start + TimeDelta::seconds(11);
        let pace = Pace::new("6/m".parse().unwrap(), clock.clone(), Some(kept));
        assert_eq!(pace.try_admit(1), Err(start + TimeDelta::seconds(1)));
        *clock.0.lock() = start - TimeDelta::days(1);
        let ready = pace.try_admit(1).unwrap_err();
        assert!(ready <= clock.now() + TimeDelta::seconds(20), "{ready}");
    }
}
