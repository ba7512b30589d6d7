//! Dates, times and moments as TOML has them, or as a string says them.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use toml::{
    de::DeValue,
    value::{Date, Datetime, Offset, Time},
};

use crate::model::{Item, Value, Zone};

/// A moment as people write it.
pub(super) enum Moment {
    /// What the clock on the wall shows.
    Local(NaiveDateTime),
    /// With its offset.
    Offset(DateTime<FixedOffset>),
}

/// `2026-12-01T09:00:00`, with an offset or without.
pub(super) fn moment(item: &Item<'_>) -> Option<Moment> {
    const EXPECTED: &str = "expected \"now\" or a date with a time such as 2026-12-01T09:00:00 (local to the schedule's time zone)";
    let found = match item.value() {
        DeValue::Datetime(datetime) => from_toml(datetime),
        DeValue::String(text) => from_text(text.trim()),
        _ => return item.wrong_type("\"now\" or a date with a time"),
    };
    let wrong =
        |message: String| item.error("wrong-value", format!("`{}`: {message}", item.name.key));
    match found {
        Some(moment) => Some(moment),
        None if date_of(item).is_some() => wrong(format!("the time of day is missing: {EXPECTED}")),
        None => wrong(EXPECTED.to_owned()),
    }
}

/// `2026-12-01T09:00:00+01:00`; without an offset it is what clocks in the zone show.
pub(super) fn instant(item: &Item<'_>, zone: &Zone) -> Option<DateTime<Utc>> {
    let found = match item.value() {
        DeValue::Datetime(datetime) => from_toml(datetime),
        DeValue::String(text) => from_text(text.trim()),
        _ => return item.wrong_type("a moment such as 2026-12-01T09:00:00+01:00"),
    };
    match found {
        Some(Moment::Local(local)) => Some(zone.to_utc(local)),
        Some(Moment::Offset(moment)) => Some(moment.to_utc()),
        None => {
            let missing = match date_of(item) {
                Some(_) => "the time of day is missing: ",
                None => "",
            };
            item.error(
                "wrong-value",
                format!(
                    "`{}`: {missing}expected a moment such as 2026-12-01T09:00:00+01:00",
                    item.name.key
                ),
            )
        }
    }
}

/// A date or a moment as a recipient has it.
pub(super) fn value(item: &Item<'_>) -> Option<Value> {
    if let Some(date) = date_of(item) {
        return Some(Value::Date(date));
    }
    match item.value() {
        DeValue::Datetime(datetime) => match from_toml(datetime) {
            Some(Moment::Offset(moment)) => Some(Value::DateTime(moment)),
            _ => item.error(
                "wrong-value",
                format!(
                    "`{}`: expected a date such as 2026-12-01, or a moment with its UTC offset such as \
                     2026-12-01T09:00:00+01:00",
                    item.name.key
                ),
            ),
        },
        _ => item.wrong_type("a date or a moment"),
    }
}

/// `2026-12-01`
pub(super) fn date(item: &Item<'_>) -> Option<NaiveDate> {
    date_of(item).or_else(|| {
        item.error(
            "wrong-value",
            format!(
                "`{}`: expected a date without a time, such as 2026-12-01",
                item.name.key
            ),
        )
    })
}

/// `"09:00"`
pub(super) fn time(item: &Item<'_>) -> Option<NaiveTime> {
    let found = match item.value() {
        DeValue::Datetime(Datetime {
            date: None,
            time: Some(time),
            offset: None,
        }) => time_from_toml(*time),
        DeValue::String(text) => time_from_text(text.trim()),
        _ => None,
    };
    found.or_else(|| {
        item.error(
            "wrong-value",
            format!(
                "`{}`: expected a time of day such as \"09:00\"",
                item.name.key
            ),
        )
    })
}

fn date_of(item: &Item<'_>) -> Option<NaiveDate> {
    match item.value() {
        DeValue::Datetime(Datetime {
            date: Some(date),
            time: None,
            offset: None,
        }) => date_from_toml(*date),
        DeValue::String(text) => NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok(),
        _ => None,
    }
}

fn from_toml(datetime: &Datetime) -> Option<Moment> {
    let local = date_from_toml(datetime.date?)?.and_time(time_from_toml(datetime.time?)?);
    let minutes = match datetime.offset {
        None => return Some(Moment::Local(local)),
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => minutes,
    };
    let offset = FixedOffset::east_opt(i32::from(minutes) * 60)?;
    let moment = local.and_local_timezone(offset).single()?;
    Some(Moment::Offset(moment))
}

fn from_text(text: &str) -> Option<Moment> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(Moment::Offset(moment));
    }
    let (date, time) = text.split_once(['T', ' '])?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    Some(Moment::Local(date.and_time(time_from_text(time.trim())?)))
}

fn date_from_toml(date: Date) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
}

/// Schedules know whole seconds.
fn time_from_toml(time: Time) -> Option<NaiveTime> {
    NaiveTime::from_hms_opt(
        time.hour.into(),
        time.minute.into(),
        time.second.unwrap_or(0).into(),
    )
    .filter(|_| time.nanosecond.unwrap_or(0) == 0)
}

fn time_from_text(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M")
        .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"))
        .ok()
}
