//! How many, how often: the generic cell rate algorithm (GCRA, ITU-T I.371), whose state is one moment that the store keeps.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::model::{Clock, Rate};

/// A tenth of a second's worth may go at once, so that a high rate can use batches.
const AT_ONCE: TimeDelta = TimeDelta::milliseconds(100);

/// How far apart messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spacing {
    interval: TimeDelta,
    /// How much too early one may come.
    tolerance: TimeDelta,
}

impl Spacing {
    pub(super) fn of(rate: Rate) -> Self {
        Self::every(TimeDelta::from_std(rate.interval()).unwrap_or(TimeDelta::MAX))
    }

    pub(super) fn per_second(rate: f64) -> Self {
        // From a nanosecond to thirty years.
        let seconds = (1.0 / rate.max(1e-9)).clamp(1e-9, 1e9);
        Self::every(TimeDelta::nanoseconds((seconds * 1e9) as i64))
    }

    fn every(interval: TimeDelta) -> Self {
        let interval = interval.clamp(TimeDelta::nanoseconds(1), TimeDelta::days(36_525));
        Self {
            interval,
            tolerance: interval.max(AT_ONCE),
        }
    }

    /// How many may go at once at most.
    pub(super) fn at_once(self) -> usize {
        usize::try_from(nanos(self.tolerance) / nanos(self.interval) + 1).unwrap_or(usize::MAX)
    }

    /// How long a caller that takes what it gets had better wait when it got nothing: a high rate is worth a wake-up for
    /// several messages, not for each.
    pub(super) fn patience(self) -> TimeDelta {
        if self.interval < AT_ONCE / 4 {
            AT_ONCE / 4
        } else {
            TimeDelta::zero()
        }
    }
}

fn nanos(delta: TimeDelta) -> i64 {
    delta.num_nanoseconds().unwrap_or(i64::MAX).max(1)
}

/// The buckets of a store: one for each transport and campaign that has a rate. What moved is kept with the next commit.
pub(super) struct Buckets {
    clock: Arc<dyn Clock>,
    all: Mutex<BTreeMap<String, Arc<Bucket>>>,
    /// What an earlier process left: a restart gives no burst.
    kept: BTreeMap<String, DateTime<Utc>>,
    moved: Moved,
}

type Moved = Arc<Mutex<BTreeMap<String, DateTime<Utc>>>>;

impl Buckets {
    pub(super) fn new(clock: Arc<dyn Clock>, kept: BTreeMap<String, DateTime<Utc>>) -> Self {
        Self {
            clock,
            all: Mutex::default(),
            kept,
            moved: Moved::default(),
        }
    }

    /// The bucket with this name: the same for all who ask.
    pub(super) fn of(&self, name: &str) -> Arc<Bucket> {
        let mut all = self.all.lock();
        if let Some(bucket) = all.get(name) {
            return bucket.clone();
        }
        let next = self.kept.get(name).copied();
        let bucket = Arc::new(Bucket {
            name: name.to_owned(),
            clock: self.clock.clone(),
            next: Mutex::new(next.unwrap_or(DateTime::<Utc>::MIN_UTC)),
            waiting: AtomicUsize::new(0),
            moved: self.moved.clone(),
        });
        all.insert(name.to_owned(), bucket.clone());
        bucket
    }

    /// What is to be kept since it was last asked for.
    pub(super) fn moved(&self) -> Vec<(String, DateTime<Utc>)> {
        std::mem::take(&mut *self.moved.lock())
            .into_iter()
            .collect()
    }
}

/// A rate that messages keep to, whoever sends them.
pub(super) struct Bucket {
    name: String,
    clock: Arc<dyn Clock>,
    /// The theoretical arrival time of the next message.
    next: Mutex<DateTime<Utc>>,
    /// Messages that were let go and have not begun.
    waiting: AtomicUsize,
    moved: Moved,
}

impl Bucket {
    /// Lets up to `wanted` go, at least one; else says when there will be one.
    pub(super) fn try_take(&self, spacing: Spacing, wanted: usize) -> Result<usize, DateTime<Utc>> {
        let Spacing {
            interval,
            tolerance,
        } = spacing;
        let now = self.clock.now();
        let mut next = self.next.lock();
        // A clock that was set back must not stop the sending for the difference.
        let furthest = now + interval + tolerance;
        let from = (*next).clamp(now, furthest);
        let room = now + tolerance - from;
        if room < TimeDelta::zero() {
            return Err(from - tolerance);
        }
        let most = nanos(room.max(TimeDelta::nanoseconds(1))) / nanos(interval) + 1;
        let taken = most.clamp(1, i64::try_from(wanted.max(1)).unwrap_or(i64::MAX));
        *next = from + interval * i32::try_from(taken).unwrap_or(i32::MAX);
        self.moved.lock().insert(self.name.clone(), *next);
        Ok(usize::try_from(taken).unwrap_or(1))
    }

    /// Gives back what was taken and not used.
    pub(super) fn give_back(&self, spacing: Spacing, unused: usize) {
        *self.next.lock() -= spacing.interval * i32::try_from(unused).unwrap_or(0);
    }

    /// Admits up to `wanted` messages, each of which gives its place back unless it begins; else says when to ask again. No
    /// more are under way than may go at once, so that those that wait (their transport is down) are no burst when they begin.
    pub(super) fn admit(
        self: &Arc<Self>,
        spacing: Spacing,
        wanted: usize,
    ) -> Result<Vec<Admitted>, DateTime<Utc>> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let room = spacing.at_once().saturating_sub(waiting).min(wanted);
        if room == 0 {
            let soon = spacing
                .interval
                .clamp(AT_ONCE / 4, TimeDelta::milliseconds(250));
            return Err(self.clock.now() + soon);
        }
        let taken = self.try_take(spacing, room);
        let taken = taken.map_err(|ready| ready + spacing.patience())?;
        self.waiting.fetch_add(taken, Ordering::Relaxed);
        let admitted = || Admitted {
            bucket: self.clone(),
            spacing,
            begun: false,
        };
        Ok(std::iter::repeat_with(admitted).take(taken).collect())
    }
}

/// A message that its campaign's pace let go.
pub(super) struct Admitted {
    bucket: Arc<Bucket>,
    spacing: Spacing,
    begun: bool,
}

impl Admitted {
    /// It may be sent: its place is used.
    pub(super) fn begin(mut self) {
        self.begun = true;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.bucket.waiting.fetch_sub(1, Ordering::Relaxed);
        if !self.begun {
            self.bucket.give_back(self.spacing, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) struct Still(pub(crate) Mutex<DateTime<Utc>>);

    #[async_trait::async_trait]
    impl Clock for Still {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock()
        }

        async fn sleep_until(&self, at: DateTime<Utc>) {
            *self.0.lock() = at;
        }
    }

    fn start() -> DateTime<Utc> {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    fn bucket(kept: Option<DateTime<Utc>>) -> (Arc<Still>, Buckets, Arc<Bucket>) {
        let clock = Arc::new(Still(Mutex::new(start())));
        let kept = kept.map(|at| ("a".to_owned(), at)).into_iter().collect();
        let buckets = Buckets::new(clock.clone(), kept);
        let bucket = buckets.of("a");
        (clock, buckets, bucket)
    }

    fn spacing(rate: &str) -> Spacing {
        Spacing::of(rate.parse().unwrap())
    }

    const RATES: [(&str, u32); 5] = [
        ("200/s", 12_000),
        ("10/m", 10),
        ("7/s", 420),
        ("5000/s", 300_000),
        ("600/1h", 10),
    ];

    #[test]
    fn a_minute_has_as_many_as_the_rate_says() {
        for (rate, expected) in RATES {
            let (clock, _, bucket) = bucket(None);
            let mut sent = 0;
            while clock.now() < start() + TimeDelta::seconds(60) {
                match bucket.try_take(spacing(rate), 8) {
                    Ok(n) => sent += n,
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

    /// As the feeder does it: it takes what it gets, each message begins a little later, and it is woken a little late.
    #[test]
    fn a_minute_of_a_campaign_has_as_many_as_its_pace_says_however_late_it_is_woken() {
        for (rate, expected) in RATES {
            let (clock, _, bucket) = bucket(None);
            let mut sent = 0;
            while clock.now() < start() + TimeDelta::seconds(60) {
                match bucket.admit(spacing(rate), 64) {
                    Ok(admitted) => {
                        sent += admitted.len();
                        *clock.0.lock() += TimeDelta::milliseconds(2);
                        admitted.into_iter().for_each(Admitted::begin);
                    }
                    Err(ready) => *clock.0.lock() = ready + TimeDelta::milliseconds(7),
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
        let (clock, buckets, bucket) = bucket(Some(start() + TimeDelta::seconds(11)));
        let slow = spacing("6/m");
        assert_eq!(
            bucket.try_take(slow, 1),
            Err(start() + TimeDelta::seconds(1))
        );
        *clock.0.lock() = start() + TimeDelta::seconds(1);
        assert_eq!(bucket.try_take(slow, 5), Ok(1));
        let kept = start() + TimeDelta::seconds(21);
        assert_eq!(buckets.moved(), [("a".to_owned(), kept)]);
        assert_eq!(buckets.moved(), []);
        *clock.0.lock() = start() - TimeDelta::days(1);
        let ready = bucket.try_take(slow, 1).unwrap_err();
        assert!(ready <= clock.now() + TimeDelta::seconds(20), "{ready}");
    }

    #[test]
    fn what_waits_is_no_burst_and_what_does_not_begin_is_given_back() {
        let (clock, _, bucket) = bucket(None);
        let slow = spacing("6/m");
        let waiting = bucket.admit(slow, 64).unwrap();
        assert_eq!(waiting.len(), 2, "one, and one too early");
        *clock.0.lock() += TimeDelta::hours(1);
        assert!(bucket.admit(slow, 64).is_err(), "two wait already");
        drop(waiting);
        let again = bucket.admit(slow, 64).unwrap();
        assert_eq!(again.len(), 2);
        again.into_iter().for_each(Admitted::begin);
        assert!(bucket.admit(slow, 64).is_err());
    }
}
