//! Schedules whose local times are those of each recipient: one occurrence a local time, from the earliest zone to the latest.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::{Limits, Rule, cron::CronTimes, name};
use crate::model::{Occurrence, Schedule, Timing, Zone};

/// No zone is further ahead of UTC than Pacific/Kiritimati, none further behind than Etc/GMT+12.
const EARLIEST: TimeDelta = TimeDelta::hours(14);
const LATEST: TimeDelta = TimeDelta::hours(12);
/// No change of the clocks is larger, but for days that are left out.
const LARGEST_CHANGE: TimeDelta = TimeDelta::hours(25);

/// How a local time that may come twice a day is named: without an offset, for it has many.
const LOCAL: &str = "%Y-%m-%dT%H:%M";

/// The next occurrence, due when `zone` has its local time: that of recipients whose own is not known.
pub(super) fn next(rule: &Rule, zone: &Zone, after: DateTime<Utc>) -> Option<Occurrence> {
    // Local times are gone through as if they were UTC: what one zone leaves out exists in others.
    let utc = Zone::utc();
    let mut at = zone
        .at(after)
        .naive_local()
        .checked_sub_signed(LARGEST_CHANGE)?
        .and_utc();
    loop {
        let found = rule.next(&utc, at)?;
        let local = found.due.naive_utc();
        let due = zone.to_utc(local);
        if due > after {
            let named_by_date = !found.name.as_str().contains('T');
            return Some(Occurrence {
                name: if named_by_date {
                    found.name
                } else {
                    name(&local.format(LOCAL).to_string())
                },
                due,
            });
        }
        at = found.due;
    }
}

/// The local time that an occurrence has in every zone. `None`: the schedule goes by one zone, or the occurrence is none of its
/// own, but asked for by hand.
pub fn local_time(schedule: &Schedule, occurrence: &Occurrence) -> Option<NaiveDateTime> {
    if !schedule.by_recipient {
        return None;
    }
    let named = occurrence.name.as_str();
    let local = match named.parse::<NaiveDate>() {
        Ok(date) => date.and_time(time_of_day(schedule)?),
        Err(_) => NaiveDateTime::parse_from_str(named, LOCAL).ok()?,
    };
    (schedule.timezone.to_utc(local) == occurrence.due).then_some(local)
}

/// When an occurrence begins: where it goes by each recipient's zone, in the earliest one on earth.
pub fn begins(schedule: &Schedule, occurrence: &Occurrence) -> DateTime<Utc> {
    local_time(schedule, occurrence)
        .and_then(|local| local.checked_sub_signed(EARLIEST))
        .map_or(occurrence.due, |moment| moment.and_utc())
}

/// When it has come everywhere.
pub fn ends(schedule: &Schedule, occurrence: &Occurrence) -> DateTime<Utc> {
    local_time(schedule, occurrence)
        .and_then(|local| local.checked_add_signed(LATEST))
        .map_or(occurrence.due, |moment| moment.and_utc())
}

/// How long before its due time an occurrence may begin at most.
pub fn head_start(schedule: &Schedule) -> TimeDelta {
    if schedule.by_recipient {
        EARLIEST + LATEST
    } else {
        TimeDelta::zero()
    }
}

/// The time of day of a schedule that has one.
fn time_of_day(schedule: &Schedule) -> Option<NaiveTime> {
    match &schedule.timing {
        Timing::Now => None,
        Timing::At(local) => Some(local.time()),
        Timing::Every { time, .. } => Some(*time),
        Timing::Cron(cron) => CronTimes::new(cron, Limits::of(schedule))?.only_time(),
    }
}

/// Whether a timing names local times, so that it makes a difference whose they are.
pub fn names_local_times(timing: &Timing) -> bool {
    match timing {
        Timing::Now => false,
        Timing::At(_) => true,
        Timing::Every { period, .. } => period.unit.is_calendar(),
        Timing::Cron(cron) => {
            CronTimes::new(cron, Limits::NONE).is_some_and(|times| !times.has_all_hours())
        }
    }
}
