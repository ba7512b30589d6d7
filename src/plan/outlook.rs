//! What a plan would meet if it became a run: when it starts, what would hold it, when it would be through.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Rate;

/// What a run of a plan would meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// When it is due, with the offset of the campaign's zone; `None`: when somebody asks.
    pub starts: Option<DateTime<FixedOffset>>,
    /// When it would be through at its pace, if it started then (or now, if somebody asked now); `None`: no rate is set, it
    /// goes as fast as its transport takes it.
    pub finishes: Option<DateTime<FixedOffset>>,
    /// The pace it would have, in words; empty: none is set.
    pub pace: String,
    /// What would hold it.
    pub holds: Vec<Hold>,
}

/// What would hold a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The reason, as `status` shows it.
    pub reason: String,
    /// Because of what, and what ends it.
    pub help: String,
}

/// A time in which messages may begin: from when, and until just before when (`None`: for ever).
pub type Opening = (DateTime<Utc>, Option<DateTime<Utc>>);

/// The most openings that are looked at: a run that needs more has no end that anybody would wait for.
const OPENINGS: usize = 4_000;

/// When the last of `messages` begins, of a run that may begin at `start` and goes at `rate`. `opening` gives the first time
/// at or after a moment in which messages may begin. `None`: it does not end within any time that is worth telling.
pub fn last_begins(
    start: DateTime<Utc>,
    messages: u64,
    rate: Rate,
    mut opening: impl FnMut(DateTime<Utc>) -> Option<Opening>,
) -> Option<DateTime<Utc>> {
    let interval = i128::try_from(rate.interval().as_nanos()).ok()?.max(1);
    let mut left = i128::from(messages.max(1));
    let mut at = start;
    for _ in 0..OPENINGS {
        let (from, until) = opening(at)?;
        let room = match until {
            // A message at the start of each interval.
            Some(until) => {
                let open = i128::from((until - from).num_nanoseconds()?.max(0));
                (open + interval - 1) / interval
            }
            None => left,
        };
        if room >= left {
            let after = i64::try_from((left - 1) * interval).ok()?;
            return from.checked_add_signed(TimeDelta::nanoseconds(after));
        }
        left -= room;
        at = until?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_window_it_takes_as_long_as_the_rate_says() {
        let start = at("2026-12-01T09:00:00Z");
        let always = |moment| Some((moment, None));
        let end = |n, rate: &str| last_begins(start, n, rate.parse().unwrap(), always).unwrap();
        assert_eq!(end(0, "1/s"), start);
        assert_eq!(end(1, "1/s"), start);
        assert_eq!(end(61, "1/s"), at("2026-12-01T09:01:00Z"));
        assert_eq!(end(501, "500/1h"), at("2026-12-01T10:00:00Z"));
        assert_eq!(
            last_begins(start, u64::MAX, "1/y".parse().unwrap(), always),
            None
        );
    }

    #[test]
    fn windows_are_waited_for() {
        // From eight to ten, every day.
        let daily = |moment: DateTime<Utc>| {
            let day = moment.date_naive().and_hms_opt(0, 0, 0)?.and_utc();
            let hour = TimeDelta::hours;
            Some(if moment < day + hour(10) {
                (moment.max(day + hour(8)), Some(day + hour(10)))
            } else {
                (day + hour(32), Some(day + hour(34)))
            })
        };
        let rate = "1/1h".parse().unwrap();
        let start = at("2026-12-01T09:00:00Z");
        let end = |n| last_begins(start, n, rate, daily).unwrap();
        assert_eq!(end(1), at("2026-12-01T09:00:00Z"));
        assert_eq!(end(2), at("2026-12-02T08:00:00Z"));
        assert_eq!(end(3), at("2026-12-02T09:00:00Z"));
        assert_eq!(end(4), at("2026-12-03T08:00:00Z"));
        assert_eq!(last_begins(start, 10, rate, |_| None), None);
        // One that never opens has no end.
        assert_eq!(
            last_begins(start, 1_000_000, rate, |moment| Some((
                moment,
                Some(moment)
            ))),
            None
        );
    }
}
