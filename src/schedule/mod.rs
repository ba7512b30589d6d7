//! When campaigns are due: occurrences, on the calendar of a zone.
//!
//! A local time that does not exist (clocks go forward) is due just after the gap, one that exists twice (clocks go back) is
//! due the first time. Where two local times so become one moment there is one occurrence, with the later name. What goes by
//! elapsed time (`every` shorter than a day, `cron` in all hours) knows no such times: it just goes on.

mod calendar;
mod cooldown;
mod cron;
mod elapsed;
mod estimate;
mod recipient;
#[cfg(test)]
mod tests;
mod window;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Timelike, Utc};

use self::{calendar::Calendar, cron::CronTimes, elapsed::Elapsed};
pub use self::{
    cooldown::{cooldown, default_cooldown},
    estimate::{Share, last_begins},
    recipient::{begins, ends, head_start, local_time, names_local_times},
    window::{Span, span},
};
use crate::model::{Occurrence, OccurrenceName, Schedule, Timing, Zone};

/// The first occurrence after `after` (not at it). [`Timing::Now`] has none here: the engine opens it when the id is first
/// seen.
pub fn next(schedule: &Schedule, after: DateTime<Utc>) -> Option<Occurrence> {
    Rule::of(schedule).step(schedule, after)
}

/// The occurrences after `after` up to and including `until`, in order.
pub fn between(
    schedule: &Schedule,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = Occurrence> {
    let rule = Rule::of(schedule);
    let mut at = after;
    std::iter::from_fn(move || {
        let occurrence = rule
            .step(schedule, at)
            .filter(|occurrence| occurrence.due <= until)?;
        at = occurrence.due;
        Some(occurrence)
    })
}

/// A schedule's timing, ready to be asked.
enum Rule {
    Never,
    Once(NaiveDateTime),
    Calendar(Calendar),
    Elapsed(Elapsed),
    Cron(Box<CronTimes>),
}

impl Rule {
    fn of(schedule: &Schedule) -> Self {
        let limits = Limits::of(schedule);
        match &schedule.timing {
            Timing::At(local) if limits.allow(local.date()) => Self::Once(*local),
            Timing::Now | Timing::At(_) => Self::Never,
            Timing::Every { period, time } if period.unit.is_calendar() => {
                Self::Calendar(Calendar::new(*period, *time, schedule.start, limits))
            }
            Timing::Every { period, .. } => Self::Elapsed(Elapsed::new(
                *period,
                schedule
                    .start
                    .map(|start| schedule.timezone.to_utc(start.into())),
                limits,
            )),
            Timing::Cron(cron) => CronTimes::new(cron, limits)
                .map_or(Self::Never, |times| Self::Cron(Box::new(times))),
        }
    }

    fn step(&self, schedule: &Schedule, after: DateTime<Utc>) -> Option<Occurrence> {
        if schedule.by_recipient {
            recipient::next(self, &schedule.timezone, after)
        } else {
            self.next(&schedule.timezone, after)
        }
    }

    fn next(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        // Nothing is due before 1970 or after 9999: so no sum of dates and offsets leaves what the calendar can hold.
        let after = after.max(DateTime::from_timestamp(-7 * 86_400, 0)?);
        if after
            >= limit(9999, 12, 25)
                .and_time(chrono::NaiveTime::MIN)
                .and_utc()
        {
            return None;
        }
        match self {
            Self::Never => None,
            Self::Once(local) => Some(Occurrence {
                name: date_name(local.date()),
                due: zone.to_utc(*local),
            })
            .filter(|occurrence| occurrence.due > after),
            Self::Calendar(calendar) => calendar.next(zone, after),
            Self::Elapsed(elapsed) => elapsed.next(zone, after),
            Self::Cron(cron) => cron.next(zone, after),
        }
    }
}

/// The first and the last local date of a schedule.
#[derive(Clone, Copy, Debug)]
struct Limits {
    first: NaiveDate,
    last: NaiveDate,
}

impl Limits {
    /// All days that there are.
    const NONE: Self = Self {
        first: NaiveDate::MIN,
        last: NaiveDate::MAX,
    };

    fn of(schedule: &Schedule) -> Self {
        Self {
            first: schedule
                .start
                .map_or(limit(1970, 1, 1), |start| start.max(limit(1970, 1, 1))),
            last: schedule
                .until
                .map_or(limit(9999, 12, 28), |until| until.min(limit(9999, 12, 28))),
        }
    }

    fn allow(self, date: NaiveDate) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

fn limit(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("the limits are days of the calendar")
}

/// `2026-12-01`: for occurrences that are a day or more apart.
fn date_name(date: NaiveDate) -> OccurrenceName {
    name(&date.format("%Y-%m-%d").to_string())
}

/// `2026-10-25T02:30+01:00`: for occurrences that may be less than a day apart. The offset tells the two hours apart that
/// have the same local time when clocks go back.
fn moment_name(zone: &Zone, due: DateTime<Utc>) -> OccurrenceName {
    let local = zone.at(due);
    let pattern = if local.second() == 0 {
        "%Y-%m-%dT%H:%M%:z"
    } else {
        "%Y-%m-%dT%H:%M:%S%:z"
    };
    name(&local.format(pattern).to_string())
}

fn name(text: &str) -> OccurrenceName {
    OccurrenceName::label(text).expect("a date and a time are made of what a label may have")
}
