//! Every so many days, weeks, months or years, at a local time.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::{Limits, date_name};
use crate::model::{Occurrence, Period, Unit, Zone};

/// Days of the calendar, counted from a first one.
pub(super) struct Calendar {
    first: NaiveDate,
    step: Step,
    time: NaiveTime,
    limits: Limits,
}

#[derive(Clone, Copy)]
enum Step {
    Days(i64),
    /// Counted from the first day each time, so that the 31st comes back after a shorter month.
    Months(i64),
}

impl Calendar {
    /// Counted from `start`, else from Thursday, 1970-01-01.
    pub(super) fn new(
        period: Period,
        time: NaiveTime,
        start: Option<NaiveDate>,
        limits: Limits,
    ) -> Self {
        let count = i64::from(period.count);
        Self {
            first: start.unwrap_or(limits.first),
            step: match period.unit {
                Unit::Year => Step::Months(12 * count),
                Unit::Month => Step::Months(count),
                Unit::Week => Step::Days(7 * count),
                _ => Step::Days(count),
            },
            time,
            limits,
        }
    }

    pub(super) fn next(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        // Where a zone leaves out a day, one day's time is due on the next: so look from a little earlier on.
        let mut at = self.steps_to(zone.at(after).date_naive()) - 2;
        at = at.max(0);
        let (mut date, due) = loop {
            let date = self.date(at)?;
            let due = zone.to_utc(date.and_time(self.time));
            at += 1;
            if due > after && date >= self.limits.first {
                break (date, due);
            }
        };
        while let Some(later) = self.date(at) {
            if zone.to_utc(later.and_time(self.time)) != due {
                break;
            }
            date = later;
            at += 1;
        }
        Some(Occurrence {
            name: date_name(date),
            due,
        })
    }

    /// How many whole steps there are from the first day to `date`, at least about.
    fn steps_to(&self, date: NaiveDate) -> i64 {
        match self.step {
            Step::Days(days) => (date - self.first).num_days().div_euclid(days),
            Step::Months(months) => {
                let month = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month());
                (month(date) - month(self.first)).div_euclid(months)
            }
        }
    }

    fn date(&self, at: i64) -> Option<NaiveDate> {
        let date = match self.step {
            Step::Days(days) => self
                .first
                .checked_add_signed(TimeDelta::try_days(days.checked_mul(at)?)?),
            Step::Months(months) => {
                let months = u32::try_from(months.checked_mul(at)?).ok()?;
                self.first.checked_add_months(Months::new(months))
            }
        };
        date.filter(|date| *date <= self.limits.last)
    }
}
