//! Every so many hours, minutes or seconds, whatever clocks show.

use chrono::{DateTime, Utc};

use super::{Limits, moment_name};
use crate::model::{Occurrence, Period, Zone};

/// Moments at equal distances from a first one.
pub(super) struct Elapsed {
    /// Seconds since 1970.
    first: i64,
    seconds: i64,
    limits: Limits,
}

impl Elapsed {
    /// Counted from `start`, else from 1970-01-01T00:00Z.
    pub(super) fn new(period: Period, start: Option<DateTime<Utc>>, limits: Limits) -> Self {
        Self {
            first: start.map_or(0, |start| start.timestamp()),
            seconds: i64::try_from(period.nominal().as_secs())
                .unwrap_or(i64::MAX)
                .max(1),
            limits,
        }
    }

    pub(super) fn next(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        let elapsed = after.timestamp().checked_sub(self.first)?;
        let at = (elapsed.div_euclid(self.seconds) + 1).max(0);
        let seconds = at.checked_mul(self.seconds)?.checked_add(self.first)?;
        let due = DateTime::from_timestamp(seconds, 0)?;
        (due < DateTime::<Utc>::MAX_UTC && zone.at(due).date_naive() <= self.limits.last).then(
            || Occurrence {
                name: moment_name(zone, due),
                due,
            },
        )
    }
}
