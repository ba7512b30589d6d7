//! Cron expressions in the time of a zone.
//!
//! Which days match is croner's answer; what becomes of local times when clocks are changed is ours. An expression that names
//! hours (`30 2 * * *`, `*/15 1-3 * * *`, `0 */2 * * *`) means local times: one in the gap is due just after it, one that
//! exists twice is due the first time. An expression for all hours (`*/15 * * * *`) means "ever so often": it fires whenever
//! a clock shows one of its minutes, through both of two equal hours, as vixie-cron does.

use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc,
};
use croner::{CronPattern, Weekday};

use super::{Limits, date_name, moment_name};
use crate::model::{Cron, Occurrence, OccurrenceName, Zone};

/// A day that exists at all comes again within this: February 29 on a certain weekday takes 40 years around 2100.
const HORIZON: Months = Months::new(41 * 12);

/// Two changes of the clocks are further apart than this.
const BETWEEN_CHANGES: TimeDelta = TimeDelta::hours(3);

/// The local times that an expression matches.
pub(super) struct CronTimes {
    pattern: CronPattern,
    hours: Vec<u32>,
    minutes: Vec<u32>,
    limits: Limits,
}

impl CronTimes {
    pub(super) fn new(cron: &Cron, limits: Limits) -> Option<Self> {
        let pattern = cron.as_str().parse::<croner::Cron>().ok()?.pattern;
        let values = |values: Vec<u16>| values.into_iter().map(u32::from).collect();
        Some(Self {
            hours: values(pattern.hours.values()),
            minutes: values(pattern.minutes.values()),
            pattern,
            limits,
        })
    }

    /// The time of day, where there is one only.
    pub(super) fn only_time(&self) -> Option<NaiveTime> {
        match (self.hours.as_slice(), self.minutes.as_slice()) {
            ([hour], [minute]) => NaiveTime::from_hms_opt(*hour, *minute, 0),
            _ => None,
        }
    }

    /// Whether it means "ever so often".
    pub(super) fn has_all_hours(&self) -> bool {
        self.hours.len() == 24
    }

    pub(super) fn next(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        if self.has_all_hours() {
            self.next_of_all_hours(zone, after)
        } else {
            self.next_of_named_hours(zone, after)
        }
    }

    fn next_of_named_hours(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        let mut local = zone.at(after).naive_local();
        let due = loop {
            local = self.local_after(local)?;
            let due = zone.to_utc(local);
            if due > after {
                break due;
            }
        };
        while let Some(later) = self.local_after(local) {
            if zone.to_utc(later) != due {
                break;
            }
            local = later;
        }
        Some(Occurrence {
            name: self.name(zone, local.date(), due),
            due,
        })
    }

    fn next_of_all_hours(&self, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
        let mut at = after;
        loop {
            let here = zone.at(at);
            let local = self.local_after(here.naive_local());
            let due = local.and_then(|local| {
                local
                    .checked_sub_offset(*here.offset())
                    .map(|due| due.and_utc())
            });
            let near = due.filter(|due| {
                *due - at <= BETWEEN_CHANGES && zone.at(*due).offset() == here.offset()
            });
            if let Some(due) = near {
                return Some(self.moment(zone, due));
            }
            let change = zone.next_change(at);
            match (due, change) {
                (Some(due), Some(change)) if due >= change => at = change,
                (Some(due), _) => return Some(self.moment(zone, due)),
                // The last day may come back for an hour: clocks go back at midnight.
                (None, Some(change)) if change - at < TimeDelta::days(2) => at = change,
                (None, _) => return None,
            }
            // A change is the first moment with its offset, and may itself be a match.
            let local = zone.at(at).naive_local();
            if self.local_after(local - TimeDelta::seconds(1)) == Some(local) {
                return Some(self.moment(zone, at));
            }
        }
    }

    fn moment(&self, zone: &Zone, due: DateTime<Utc>) -> Occurrence {
        Occurrence {
            name: self.name(zone, zone.at(due).date_naive(), due),
            due,
        }
    }

    /// By its date where there can be one a day only.
    fn name(&self, zone: &Zone, date: NaiveDate, due: DateTime<Utc>) -> OccurrenceName {
        if self.only_time().is_some() {
            date_name(date)
        } else {
            moment_name(zone, due)
        }
    }

    /// The first local time after `local` that matches.
    pub(super) fn local_after(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut after = Some(local.time());
        let mut date = local.date();
        if date < self.limits.first {
            (date, after) = (self.limits.first, None);
        }
        let horizon = date.checked_add_months(HORIZON).unwrap_or(NaiveDate::MAX);
        let last = self.limits.last.min(horizon);
        while date <= last {
            if !self.pattern.month_match(date.month()).unwrap_or(false) {
                date = date.with_day(1)?.checked_add_months(Months::new(1))?;
            } else if let Some(time) = self.time_after(after).filter(|_| self.matches(date)) {
                return Some(date.and_time(time));
            } else {
                date = date.checked_add_days(Days::new(1))?;
            }
            after = None;
        }
        None
    }

    fn matches(&self, date: NaiveDate) -> bool {
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        self.pattern
            .day_match(date.year(), date.month(), date.day(), weekday)
            .unwrap_or(false)
    }

    fn time_after(&self, after: Option<NaiveTime>) -> Option<NaiveTime> {
        let first = after.map_or(0, |after| after.hour());
        self.hours
            .iter()
            .filter(|hour| **hour >= first)
            .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)))
            .filter_map(|(hour, minute)| NaiveTime::from_hms_opt(hour, minute, 0))
            .find(|time| after.is_none_or(|after| *time > after))
    }
}
