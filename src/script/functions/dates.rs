//! Dates and datetimes. `today()` and `now()` are the run's, in the campaign's zone, not the wall's.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Timelike};
use rhai::{Dynamic, Module};

use super::{
    Function,
    call::{Call, Day, Failure},
    function,
};
use crate::script::{
    operators::{Outcome, moved},
    value::{Date, Kind, Moment},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("dates", "now()", (0, 0), "The run's moment, in the campaign's zone.",
        "now()" => "2026-12-01T09:00:00+01:00", |call| Ok(Dynamic::from(call.run()?.now()))),
    function!("dates", "today()", (0, 0), "The date of the run's moment, in the campaign's zone.",
        "today() + 30" => "2026-12-31", |call| Ok(Dynamic::from(call.run()?.today()))),
    function!("dates", "date(text | datetime | year, month, day)", (1, 3),
        "A date: from `2026-12-01`, of a datetime in the campaign's zone, or of its parts.",
        "date(\"2026-12-24\") - today()" => "23", date),
    function!("dates", "datetime(text)", (1, 1),
        "A datetime: from `2026-12-01T09:00:00+01:00`; without an offset it is in the campaign's zone.",
        "datetime(\"2026-12-01T20:00\")" => "2026-12-01T20:00:00+01:00", datetime),
    function!("dates", "days_between(from, to)", (2, 2),
    "How many days from one date to the other; of two datetimes, whole days of 24 hours.",
    "days_between(r.renews_on, date(\"2026-12-24\"))" => "12", |call| {
        between(call, |from, to| (to - from).num_days(), 86_400)
    }),
    function!("dates", "hours_between(from, to)", (2, 2), "How many whole hours from one datetime to the other.",
    "hours_between(now(), datetime(\"2026-12-02T08:30\"))" => "23", |call| {
        Ok(seconds_between(call.moment(0)?, call.moment(1)?).div_euclid(3_600).into())
    }),
    function!("dates", "days_until(date)", (1, 1), "How many days from today to a date; negative where it is past.",
        "days_until(r.renews_on)" => "11", |call| Ok((own_date(call, 0)? - call.run()?.today()).num_days().into())),
    function!("dates", "days_since(date)", (1, 1), "How many days from a date to today; negative where it is to come.",
        "days_since(r.born_on) > 365" => "true", |call| Ok((call.run()?.today() - own_date(call, 0)?).num_days().into())),
    function!("dates", "add_days(date, days)", (2, 2), "A date or datetime so many days later, or earlier.",
        "add_days(r.renews_on, -12)" => "2026-11-30", add_days),
    function!("dates", "add_months(date, months)", (2, 2),
        "A date or datetime so many months later, or earlier; at most the last day of the month.",
        "add_months(date(\"2027-01-31\"), 1)" => "2027-02-28", |call| add_months(call, 1)),
    function!("dates", "add_years(date, years)", (2, 2), "A date or datetime so many years later, or earlier.",
        "add_years(r.renews_on, 1)" => "2027-12-12", |call| add_months(call, 12)),
    function!("dates", "start_of_month(date)", (1, 1), "The first day of the date's month.",
    "start_of_month(today())" => "2026-12-01", |call| {
        let date = call.day(0)?.date();
        or_range(call, date.with_day(1))
    }),
    function!("dates", "end_of_month(date)", (1, 1), "The last day of the date's month.",
    "end_of_month(today())" => "2026-12-31", |call| {
        let date = call.day(0)?.date();
        let next = date.with_day(1).and_then(|first| first.checked_add_months(Months::new(1)));
        or_range(call, next.and_then(|next| next.pred_opt()))
    }),
    function!("dates", "start_of_week(date)", (1, 1), "The Monday of the date's week.",
    "start_of_week(date(\"2026-12-06\"))" => "2026-11-30", |call| {
        let date = call.day(0)?.date();
        let back = u64::from(date.weekday().num_days_from_monday());
        or_range(call, date.checked_sub_days(Days::new(back)))
    }),
    function!("dates", "year(date)", (1, 1), "The year; also `date.year`.",
        "year(today())" => "2026", |call| Ok(i64::from(call.day(0)?.date().year()).into())),
    function!("dates", "month(date)", (1, 1), "The month, 1 to 12; also `date.month`.",
        "month(r.renews_on)" => "12", |call| Ok(i64::from(call.day(0)?.date().month()).into())),
    function!("dates", "day(date)", (1, 1), "The day of the month; also `date.day`.",
        "r.renews_on.day" => "12", |call| Ok(i64::from(call.day(0)?.date().day()).into())),
    function!("dates", "hour(datetime)", (1, 1), "The hour, 0 to 23; also `datetime.hour`.",
        "hour(now())" => "9", |call| Ok(i64::from(call.moment(0)?.hour()).into())),
    function!("dates", "minute(datetime)", (1, 1), "The minute, 0 to 59; also `datetime.minute`.",
        "minute(now())" => "0", |call| Ok(i64::from(call.moment(0)?.minute()).into())),
    function!("dates", "weekday(date)", (1, 1), "The day of the week, 1 (Monday) to 7 (Sunday); also `date.weekday`.",
        "weekday(today())" => "2", |call| Ok(i64::from(call.day(0)?.date().weekday().number_from_monday()).into())),
    function!("dates", "is_weekend(date)", (1, 1), "Whether it is a Saturday or a Sunday.",
    "is_weekend(r.renews_on)" => "true", |call| {
        Ok((call.day(0)?.date().weekday().number_from_monday() > 5).into())
    }),
    function!("dates", "age(birthday)", (1, 1), "Full years from a date to today; negative where it is to come.",
        "age(r.born_on)" => "36", age),
    function!("dates", "anniversary(date)", (1, 1),
        "The next day on which a date comes round, today included; a date to come itself. 29 February: the 28th in other years.",
        "anniversary(r.born_on)" => "2027-06-15", anniversary),
    function!("dates", "format_date(date, pattern)", (2, 2),
        "A date or datetime as text, by strftime: %d %m %Y %H %M %B (English month) %A (English weekday) …",
        "format_date(r.renews_on, \"%d.%m.%Y\")" => "12.12.2026", format_date),
];

/// `date.year` and the like, as properties of dates and datetimes.
pub(super) fn register_fields(module: &mut Module) {
    type Part = fn(Date) -> i64;
    let parts: [(&str, Part); 4] = [
        ("year", |date| i64::from(date.year())),
        ("month", |date| i64::from(date.month())),
        ("day", |date| i64::from(date.day())),
        ("weekday", |date| {
            i64::from(date.weekday().number_from_monday())
        }),
    ];
    for (name, part) in parts {
        module.set_getter_fn(name, move |date: &mut Date| Ok(part(*date)));
        module.set_getter_fn(name, move |moment: &mut Moment| {
            Ok(part(moment.date_naive()))
        });
    }
    module.set_getter_fn("hour", |moment: &mut Moment| Ok(i64::from(moment.hour())));
    module.set_getter_fn("minute", |moment: &mut Moment| {
        Ok(i64::from(moment.minute()))
    });
}

/// A date; of a datetime, its date in the campaign's zone.
fn own_date(call: &Call<'_, '_>, at: usize) -> Result<Date, Failure> {
    Ok(match call.day(at)? {
        Day::Date(date) => date,
        Day::Moment(moment) => {
            let zone = call.run()?.facts().zone.clone();
            zone.at(moment.to_utc()).date_naive()
        }
    })
}

fn or_range(call: &Call<'_, '_>, date: Option<Date>) -> Outcome {
    date.map_or_else(
        || call.fail("the date is out of range"),
        |date| Ok(Dynamic::from(date)),
    )
}

fn date(call: &mut Call<'_, '_>) -> Outcome {
    match call.count() {
        1 => match Kind::of(call.value(0)) {
            Kind::Text => {
                let text = call.text(0)?;
                match text.trim().parse::<NaiveDate>() {
                    Ok(date) => Ok(Dynamic::from(date)),
                    Err(_) => call.fail(format!(
                        "{:?} is not a date such as 2026-12-01",
                        text.as_str()
                    )),
                }
            }
            Kind::Date(_) | Kind::Moment(_) => Ok(Dynamic::from(own_date(call, 0)?)),
            _ => call.wrong(0, "a text or a datetime"),
        },
        3 => {
            let (year, month, day) = (call.integer(0)?, call.integer(1)?, call.integer(2)?);
            let date = (i32::try_from(year).ok())
                .zip(u32::try_from(month).ok())
                .zip(u32::try_from(day).ok())
                .and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year, month, day));
            match date {
                Some(date) => Ok(Dynamic::from(date)),
                None => call.fail(format!("there is no date {year}-{month}-{day}")),
            }
        }
        _ => call.fail("a date has three parts: year, month and day"),
    }
}

fn datetime(call: &mut Call<'_, '_>) -> Outcome {
    let text = call.text(0)?;
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(Dynamic::from(moment));
    }
    let local = [
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok());
    match local {
        Some(local) => {
            let zone = call.run()?.facts().zone.clone();
            Ok(Dynamic::from(zone.at(zone.to_utc(local))))
        }
        None => call.fail(format!(
            "{text:?} is not a datetime such as 2026-12-01T09:00:00+01:00"
        )),
    }
}

fn seconds_between(from: Moment, to: Moment) -> i64 {
    (to - from).num_seconds()
}

fn between(call: &mut Call<'_, '_>, dates: fn(Date, Date) -> i64, unit: i64) -> Outcome {
    match (call.day(0)?, call.day(1)?) {
        (Day::Date(from), Day::Date(to)) => Ok(dates(from, to).into()),
        (Day::Moment(from), Day::Moment(to)) => Ok((seconds_between(from, to) / unit).into()),
        _ => call.fail("one is a date, the other a datetime: take its date with `date(…)`"),
    }
}

fn add_days(call: &mut Call<'_, '_>) -> Outcome {
    let (day, days) = (call.day(0)?, call.integer(1)?);
    match day {
        Day::Date(date) => moved(days, |days, forward| {
            if forward {
                date.checked_add_days(days)
            } else {
                date.checked_sub_days(days)
            }
        }),
        Day::Moment(moment) => moved(days, |days, forward| {
            if forward {
                moment.checked_add_days(days)
            } else {
                moment.checked_sub_days(days)
            }
        }),
    }
}

fn add_months(call: &mut Call<'_, '_>, each: i64) -> Outcome {
    let (day, count) = (call.day(0)?, call.integer(1)?);
    let months = count
        .checked_mul(each)
        .and_then(|months| u32::try_from(months.unsigned_abs()).ok())
        .map(Months::new);
    let Some(months) = months else {
        return call.fail("the date is out of range");
    };
    let moved = match day {
        Day::Date(date) if count >= 0 => date.checked_add_months(months).map(Dynamic::from),
        Day::Date(date) => date.checked_sub_months(months).map(Dynamic::from),
        Day::Moment(moment) if count >= 0 => moment.checked_add_months(months).map(Dynamic::from),
        Day::Moment(moment) => moment.checked_sub_months(months).map(Dynamic::from),
    };
    moved.map_or_else(|| call.fail("the date is out of range"), Ok)
}

fn age(call: &mut Call<'_, '_>) -> Outcome {
    let (born, today) = (call.date(0)?, call.run()?.today());
    let years = i64::from(today.year()) - i64::from(born.year());
    let before_birthday = (today.month(), today.day()) < (born.month(), born.day());
    Ok((years - i64::from(before_birthday)).into())
}

fn anniversary(call: &mut Call<'_, '_>) -> Outcome {
    let (date, today) = (own_date(call, 0)?, call.run()?.today());
    or_range(call, next_round(date, today))
}

/// When a date comes round next, `today` included.
fn next_round(date: Date, today: Date) -> Option<Date> {
    let after = |years: u32| date.checked_add_months(Months::new(years * 12));
    let years = u32::try_from(today.year() - date.year()).unwrap_or(0);
    let this_year = after(years)?;
    if this_year < today {
        after(years + 1)
    } else {
        Some(this_year)
    }
}

fn format_date(call: &mut Call<'_, '_>) -> Outcome {
    use std::fmt::Write as _;

    let (day, pattern) = (call.day(0)?, call.text(1)?);
    if pattern.len() > 200 {
        return call.fail("the pattern is longer than 200 bytes");
    }
    let mut text = String::new();
    let written = match day {
        Day::Date(date) => write!(text, "{}", date.format(&pattern)),
        Day::Moment(moment) => write!(text, "{}", moment.format(&pattern)),
    };
    match written {
        Ok(()) => Ok(text.into()),
        Err(_) => call.fail(format!(
            "{:?} is not a pattern for {}",
            pattern.as_str(),
            match day {
                Day::Date(_) => "a date",
                Day::Moment(_) => "a datetime",
            }
        )),
    }
}
