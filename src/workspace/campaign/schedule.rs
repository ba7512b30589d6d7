//! `[schedule]`: when.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use toml::de::DeValue;

use super::{
    cron,
    moment::{self, Moment},
    pace::{self, NamedZone},
    surroundings::Surroundings,
};
use crate::{
    model::{Diagnostic, Item, Missed, Period, Place, Schedule, Section, SourceName, Timing, Zone},
    schedule,
};

/// What the keys that say when hold, before they are weighed against each other.
struct Keys<'a> {
    at: Option<Item<'a>>,
    every: Option<Item<'a>>,
    cron: Option<Item<'a>>,
    time: Option<Item<'a>>,
    start: Option<Item<'a>>,
    until: Option<Item<'a>>,
}

/// The schedule, and the campaign's zone, which it has also without one. Without `at`, `every` and `cron` a campaign is sent
/// only when asked.
pub(super) fn read(
    section: Option<Section<'_>>,
    sources: &[SourceName],
    around: &Surroundings<'_>,
) -> (Option<Schedule>, NamedZone) {
    let default = NamedZone {
        zone: around
            .settings
            .map_or_else(Zone::utc, |settings| settings.default_timezone.clone()),
        by_recipient: false,
    };
    let Some(section) = section else {
        return (None, default);
    };
    let zone_item = section.item("timezone");
    let timezone = zone_item.as_ref().map_or_else(
        || default.clone(),
        |item| pace::named(item, &default.zone, sources, around),
    );
    let keys = Keys {
        at: section.item("at"),
        every: section.item("every"),
        cron: section.item("cron"),
        time: section.item("time"),
        start: section.item("start"),
        until: section.item("until"),
    };
    let missed = section.take("missed");
    let grace = section.take("grace");
    let plan_ahead = section.item("plan_ahead");
    let timing = timing(&section, &keys, &timezone);
    let plan_ahead = plan_ahead.and_then(|item| ahead(&item, timing.as_ref()));
    if let (Some(timing), Some(item)) = (&timing, &zone_item)
        && timezone.by_recipient
        && !schedule::names_local_times(timing)
    {
        item.report::<()>(same_everywhere(item));
    }
    let (start, until) = span(&keys);
    let schedule = timing.map(|timing| Schedule {
        timing,
        timezone: timezone.zone.clone(),
        by_recipient: timezone.by_recipient,
        start,
        until,
        missed: missed.unwrap_or(Missed::Skip),
        grace: grace.unwrap_or(Period::hours(1)),
        plan_ahead,
        place: section.place(),
    });
    if let (Some(schedule), Some(item)) = (&schedule, &keys.cron) {
        cron::warn_if_never(schedule, item);
    }
    section.finish();
    (schedule, timezone)
}

/// How long before it is due an occurrence is planned.
fn ahead(item: &Item<'_>, timing: Option<&Timing>) -> Option<Period> {
    let says_nothing = match timing {
        Some(Timing::Now) => "`plan_ahead` says nothing with `at = \"now\"`",
        None => "`plan_ahead` says nothing without `at`, `every` or `cron`",
        Some(_) => return item.read(),
    };
    item.report(Diagnostic::error(
        "no-rule",
        item.name.place.clone(),
        says_nothing,
    ))
}

fn same_everywhere(item: &Item<'_>) -> Diagnostic {
    Diagnostic::error(
        "one-of",
        item.place(),
        "`timezone = \"recipient\"` says nothing here: the schedule names no local time, it is due everywhere at once",
    )
    .help("use `every` in days or longer, `at` with a local time, or a `cron` that names hours")
}

fn timing(section: &Section<'_>, keys: &Keys<'_>, timezone: &NamedZone) -> Option<Timing> {
    let rules: Vec<&Item<'_>> = [&keys.at, &keys.every, &keys.cron]
        .into_iter()
        .flatten()
        .collect();
    match rules.as_slice() {
        [_] => {}
        [] => {
            for (item, key) in [
                (&keys.time, "time"),
                (&keys.start, "start"),
                (&keys.until, "until"),
            ] {
                if let Some(item) = item {
                    item.report::<()>(
                        Diagnostic::error(
                            "no-rule",
                            item.name.place.clone(),
                            format!("`{key}` says nothing without `every` or `cron`"),
                        )
                        .help("add `every = \"1d\"`, or take it out"),
                    );
                }
            }
            return None;
        }
        [_, others @ ..] => {
            for item in others {
                section.error(
                    "one-of",
                    item.name.place.clone(),
                    "give one of `at`, `every` and `cron`",
                );
            }
            return None;
        }
    }
    let time = keys
        .time
        .as_ref()
        .and_then(|item| Some((item, moment::time(item)?)));
    match keys {
        Keys { at: Some(item), .. } => {
            not_with(keys.time.as_ref(), "the time of day belongs into `at`");
            not_with(keys.start.as_ref(), "`at` is one moment and has no `start`");
            not_with(keys.until.as_ref(), "`at` is one moment and has no `until`");
            at(item, timezone)
        }
        Keys {
            cron: Some(item), ..
        } => {
            not_with(keys.time.as_ref(), "`cron` says the time itself");
            cron::read(item).map(Timing::Cron)
        }
        Keys {
            every: Some(item), ..
        } => every(item, time),
        _ => None,
    }
}

/// Records that a key has no place beside the others.
fn not_with(item: Option<&Item<'_>>, message: &str) {
    if let Some(item) = item {
        let place: Place = item.name.place.clone();
        item.report::<()>(Diagnostic::error("one-of", place, message));
    }
}

fn at(item: &Item<'_>, timezone: &NamedZone) -> Option<Timing> {
    let zone = &timezone.zone;
    if matches!(item.value(), DeValue::String(text) if text == "now") {
        return Some(Timing::Now);
    }
    let local = match moment::moment(item)? {
        Moment::Local(local) => local,
        Moment::Offset(_) if timezone.by_recipient => {
            return item.error(
                "wrong-value",
                "`at`: with `timezone = \"recipient\"` it is a local time, without an offset",
            );
        }
        Moment::Offset(moment) => {
            let moment = moment.to_utc();
            let local = zone.at(moment).naive_local();
            if zone.to_utc(local) != moment {
                return item.error(
                    "wrong-value",
                    format!(
                        "`at`: clocks in {zone} show {local} twice that day, and this is the second: write the local time"
                    ),
                );
            }
            local
        }
    };
    let shown = zone.at(zone.to_utc(local)).naive_local();
    if shown != local && !timezone.by_recipient {
        item.report::<()>(skipped_hour(item, zone, shown));
    }
    Some(Timing::At(local))
}

fn skipped_hour(item: &Item<'_>, zone: &Zone, shown: NaiveDateTime) -> Diagnostic {
    Diagnostic::warning(
        "skipped-hour",
        item.place(),
        format!(
            "this time does not exist in {zone}, where clocks go forward: it is due at {shown}"
        ),
    )
}

fn every(item: &Item<'_>, time: Option<(&Item<'_>, NaiveTime)>) -> Option<Timing> {
    const DAYS_OF_A_CENTURY: u64 = 36_525;
    let period: Period = item.read()?;
    let seconds = period.nominal().as_secs();
    if period.unit.is_calendar() {
        if seconds > DAYS_OF_A_CENTURY * 86_400 {
            return item.error("out-of-range", "`every` is more than a hundred years");
        }
    } else {
        if !seconds.is_multiple_of(60) {
            // An occurrence is named by its minute.
            return item.error("out-of-range", "`every`: expected whole minutes");
        }
        if let Some((time, _)) = time {
            return time.report(
                Diagnostic::error(
                    "one-of",
                    time.name.place.clone(),
                    format!("`time` needs `every` in days or longer, and {period} counts by elapsed time"),
                )
                .help("write `every = \"1d\"` for once a day"),
            );
        }
    }
    Some(Timing::Every {
        period,
        time: time.map_or(NaiveTime::MIN, |(_, time)| time),
    })
}

fn span(keys: &Keys<'_>) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let start = keys.start.as_ref().and_then(moment::date);
    let until = keys.until.as_ref().and_then(moment::date);
    if let (Some(start), Some(until), Some(item)) = (start, until, &keys.until)
        && until < start
    {
        item.error::<()>(
            "wrong-value",
            format!("`until` lies before `start`, {start}: it would never be due"),
        );
    }
    (start, until)
}
