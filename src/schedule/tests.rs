//! Occurrences through the changes of clocks and calendars.

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::model::{Cooldown, Missed, Period, Place, SourceFile, Unit};

const BERLIN: &str = "Europe/Berlin";

fn schedule(zone: &str, timing: Timing) -> Schedule {
    Schedule {
        timing,
        timezone: zone.parse().unwrap(),
        by_recipient: false,
        start: None,
        until: None,
        missed: Missed::Skip,
        grace: Period::hours(1),
        plan_ahead: None,
        place: Place::start_of(&SourceFile::new("a.toml", "")),
    }
}

fn every(period: &str, time: &str) -> Timing {
    Timing::Every {
        period: period.parse().unwrap(),
        time: time.parse().unwrap(),
    }
}

fn cron(expression: &str) -> Timing {
    Timing::Cron(expression.parse().unwrap())
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| {
        let date: NaiveDate = text.parse().unwrap();
        date.and_time(NaiveTime::MIN).and_utc()
    })
}

/// `name at moment` of the first occurrences after a moment.
fn first(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    between(schedule, utc(after), DateTime::<Utc>::MAX_UTC)
        .take(count)
        .map(|occurrence| {
            format!(
                "{} at {}",
                occurrence.name,
                occurrence.due.format("%d %H:%M")
            )
        })
        .collect()
}

/// The names between two moments.
fn names(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
    between(schedule, utc(after), utc(until))
        .map(|occurrence| occurrence.name.to_string())
        .collect()
}

#[test]
fn a_one_off_is_named_by_its_date() {
    let mut once = schedule(BERLIN, Timing::At("2026-12-01T09:00:00".parse().unwrap()));
    assert_eq!(first(&once, "2020-01-01", 9), ["2026-12-01 at 01 08:00"]);
    assert_eq!(next(&once, utc("2026-12-01T08:00:00Z")), None);
    once.until = "2026-11-30".parse().ok();
    assert_eq!(next(&once, utc("2020-01-01")), None);
    assert_eq!(
        next(&schedule(BERLIN, Timing::Now), utc("2020-01-01")),
        None
    );
}

#[test]
fn a_local_time_that_clocks_leave_out_or_repeat() {
    for (zone, time, after, expected) in [
        (
            BERLIN,
            "02:30",
            "2026-03-27T12:00:00Z",
            [
                "2026-03-28 at 28 01:30",
                "2026-03-29 at 29 01:00",
                "2026-03-30 at 30 00:30",
            ],
        ),
        (
            BERLIN,
            "02:30",
            "2026-10-23T12:00:00Z",
            [
                "2026-10-24 at 24 00:30",
                "2026-10-25 at 25 00:30",
                "2026-10-26 at 26 01:30",
            ],
        ),
        (
            "America/New_York",
            "02:00",
            "2026-03-07T12:00:00Z",
            [
                "2026-03-08 at 08 07:00",
                "2026-03-09 at 09 06:00",
                "2026-03-10 at 10 06:00",
            ],
        ),
        (
            "America/New_York",
            "01:30",
            "2026-10-31T12:00:00Z",
            [
                "2026-11-01 at 01 05:30",
                "2026-11-02 at 02 06:30",
                "2026-11-03 at 03 06:30",
            ],
        ),
        // Half an hour, from 02:00 to 02:30 and from 02:00 to 01:30.
        (
            "Australia/Lord_Howe",
            "02:15",
            "2026-10-03T00:00:00Z",
            [
                "2026-10-04 at 03 15:30",
                "2026-10-05 at 04 15:15",
                "2026-10-06 at 05 15:15",
            ],
        ),
        (
            "Australia/Lord_Howe",
            "01:45",
            "2026-04-04T00:00:00Z",
            [
                "2026-04-05 at 04 14:45",
                "2026-04-06 at 05 15:15",
                "2026-04-07 at 06 15:15",
            ],
        ),
        // At midnight: the day begins at 01:00, and the day before has 25 hours.
        (
            "America/Sao_Paulo",
            "00:00",
            "2018-11-03T12:00:00Z",
            [
                "2018-11-04 at 04 03:00",
                "2018-11-05 at 05 02:00",
                "2018-11-06 at 06 02:00",
            ],
        ),
        (
            "America/Sao_Paulo",
            "23:30",
            "2018-02-16T12:00:00Z",
            [
                "2018-02-16 at 17 01:30",
                "2018-02-17 at 18 01:30",
                "2018-02-18 at 19 02:30",
            ],
        ),
        // December 30 did not exist.
        (
            "Pacific/Apia",
            "09:00",
            "2011-12-29T00:00:00Z",
            [
                "2011-12-29 at 29 19:00",
                "2011-12-30 at 30 10:00",
                "2011-12-31 at 30 19:00",
            ],
        ),
        (
            "Pacific/Apia",
            "00:00",
            "2011-12-29T00:00:00Z",
            [
                "2011-12-29 at 29 10:00",
                "2011-12-31 at 30 10:00",
                "2012-01-01 at 31 10:00",
            ],
        ),
        // Back for Ramadan: on 2026-02-15 and forward on 2026-03-22.
        (
            "Africa/Casablanca",
            "02:30",
            "2026-02-14T12:00:00Z",
            [
                "2026-02-15 at 15 01:30",
                "2026-02-16 at 16 02:30",
                "2026-02-17 at 17 02:30",
            ],
        ),
        (
            "Africa/Casablanca",
            "02:30",
            "2026-03-21T12:00:00Z",
            [
                "2026-03-22 at 22 02:00",
                "2026-03-23 at 23 01:30",
                "2026-03-24 at 24 01:30",
            ],
        ),
        // From 02:45 to 03:45.
        (
            "Pacific/Chatham",
            "03:00",
            "2026-09-25T20:00:00Z",
            [
                "2026-09-27 at 26 14:00",
                "2026-09-28 at 27 13:15",
                "2026-09-29 at 28 13:15",
            ],
        ),
        (
            "Pacific/Chatham",
            "03:00",
            "2026-04-04T00:00:00Z",
            [
                "2026-04-05 at 04 13:15",
                "2026-04-06 at 05 14:15",
                "2026-04-07 at 06 14:15",
            ],
        ),
    ] {
        let daily = schedule(zone, every("1d", time));
        assert_eq!(first(&daily, after, 3), expected, "{zone} {time}");
        let (hour, minute) = time.split_once(':').unwrap();
        let same = schedule(zone, cron(&format!("{minute} {hour} * * *")));
        assert_eq!(first(&same, after, 3), expected, "{zone} {time} by cron");
    }
}

#[test]
fn months_do_not_drift_and_leap_days_are_clamped() {
    let mut monthly = schedule(BERLIN, every("1mo", "09:00"));
    assert_eq!(
        names(&monthly, "2026-01-15", "2026-03-15"),
        ["2026-02-01", "2026-03-01"]
    );
    monthly.start = "2027-12-31".parse().ok();
    assert_eq!(
        names(&monthly, "2020-01-01", "2028-05-01"),
        [
            "2027-12-31",
            "2028-01-31",
            "2028-02-29",
            "2028-03-31",
            "2028-04-30"
        ]
    );
    monthly.until = "2028-02-29".parse().ok();
    assert_eq!(
        names(&monthly, "2028-01-01", "2030-01-01"),
        ["2028-01-31", "2028-02-29"]
    );
    let mut yearly = schedule(BERLIN, every("1y", "09:00"));
    yearly.start = "2028-02-29".parse().ok();
    assert_eq!(
        names(&yearly, "2020-01-01", "2033-01-01"),
        [
            "2028-02-29",
            "2029-02-28",
            "2030-02-28",
            "2031-02-28",
            "2032-02-29"
        ]
    );
    let quarterly = schedule(BERLIN, every("3mo", "09:00"));
    assert_eq!(
        names(&quarterly, "2026-01-01T12:00:00Z", "2026-12-31"),
        ["2026-04-01", "2026-07-01", "2026-10-01"]
    );
}

#[test]
fn days_and_weeks_are_counted_from_the_start_or_from_1970() {
    let mut weekly = schedule(BERLIN, every("1w", "09:00"));
    assert_eq!(
        names(&weekly, "2026-12-01", "2026-12-12"),
        ["2026-12-03", "2026-12-10"]
    );
    weekly.start = "2026-12-01".parse().ok();
    assert_eq!(
        names(&weekly, "2020-01-01", "2026-12-09"),
        ["2026-12-01", "2026-12-08"]
    );
    let mut third = schedule(BERLIN, every("3d", "09:00"));
    let days = names(&third, "2026-12-01", "2026-12-08");
    assert_eq!(days, ["2026-12-03", "2026-12-06"]);
    third.start = days[0].parse().ok();
    assert_eq!(names(&third, "2026-12-01", "2026-12-08"), days);
    // The day counts, not the moment: the start's own time is due, however early it is in UTC.
    let mut early = schedule("Pacific/Kiritimati", every("1d", "00:00"));
    early.start = "2026-12-01".parse().ok();
    assert_eq!(first(&early, "2026-01-01", 1), ["2026-12-01 at 30 10:00"]);
}

#[test]
fn shorter_periods_go_by_elapsed_time_and_have_names_of_their_own() {
    let hourly = schedule(BERLIN, every("1h", "09:00"));
    assert_eq!(
        first(&hourly, "2026-10-24T23:30:00Z", 4),
        [
            "2026-10-25T02:00+02:00 at 25 00:00",
            "2026-10-25T02:00+01:00 at 25 01:00",
            "2026-10-25T03:00+01:00 at 25 02:00",
            "2026-10-25T04:00+01:00 at 25 03:00",
        ]
    );
    let mut five = schedule(BERLIN, every("5h", "09:00"));
    five.start = "2026-03-29".parse().ok();
    five.until = "2026-03-29".parse().ok();
    assert_eq!(
        first(&five, "2020-01-01", 9),
        [
            "2026-03-29T00:00+01:00 at 28 23:00",
            "2026-03-29T06:00+02:00 at 29 04:00",
            "2026-03-29T11:00+02:00 at 29 09:00",
            "2026-03-29T16:00+02:00 at 29 14:00",
            "2026-03-29T21:00+02:00 at 29 19:00",
        ]
    );
    let seconds = schedule("UTC", every("90s", "09:00"));
    assert_eq!(
        names(&seconds, "2026-01-01T00:00:00Z", "2026-01-01T00:03:00Z"),
        ["2026-01-01T00:01:30+00:00", "2026-01-01T00:03+00:00"]
    );
}

#[test]
fn cron_for_all_hours_goes_on_through_a_change() {
    let quarter = schedule(BERLIN, cron("*/15 * * * *"));
    assert_eq!(
        names(&quarter, "2026-03-29T00:30:00Z", "2026-03-29T01:15:00Z"),
        [
            "2026-03-29T01:45+01:00",
            "2026-03-29T03:00+02:00",
            "2026-03-29T03:15+02:00"
        ]
    );
    let half = schedule(BERLIN, cron("30 * * * *"));
    assert_eq!(
        first(&half, "2026-10-24T23:00:00Z", 4),
        [
            "2026-10-25T01:30+02:00 at 24 23:30",
            "2026-10-25T02:30+02:00 at 25 00:30",
            "2026-10-25T02:30+01:00 at 25 01:30",
            "2026-10-25T03:30+01:00 at 25 02:30",
        ]
    );
    // On one day of the year, the last hour of which comes twice; the next such day is years away.
    let last_hour = schedule("America/Sao_Paulo", cron("*/30 * 17 2 *"));
    assert_eq!(
        first(&last_hour, "2018-02-18T00:40:00Z", 6),
        [
            "2018-02-17T23:00-02:00 at 18 01:00",
            "2018-02-17T23:30-02:00 at 18 01:30",
            "2018-02-17T23:00-03:00 at 18 02:00",
            "2018-02-17T23:30-03:00 at 18 02:30",
            "2019-02-17T00:00-03:00 at 17 03:00",
            "2019-02-17T00:30-03:00 at 17 03:30",
        ]
    );
    let mut until = last_hour;
    until.until = "2018-02-17".parse().ok();
    assert_eq!(first(&until, "2018-02-18T01:40:00Z", 6).len(), 2);
}

#[test]
fn cron_for_named_hours_means_local_times() {
    let some = schedule(BERLIN, cron("*/30 1-3 * * *"));
    assert_eq!(
        names(&some, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
        [
            "2026-03-29T01:00+01:00",
            "2026-03-29T01:30+01:00",
            "2026-03-29T03:00+02:00",
            "2026-03-29T03:30+02:00"
        ]
    );
    assert_eq!(
        names(&some, "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"),
        [
            "2026-10-25T01:00+02:00",
            "2026-10-25T01:30+02:00",
            "2026-10-25T02:00+02:00",
            "2026-10-25T02:30+02:00",
            "2026-10-25T03:00+01:00",
            "2026-10-25T03:30+01:00",
        ]
    );
    let even = schedule(BERLIN, cron("0 */2 * * *"));
    assert_eq!(
        names(&even, "2026-03-28T22:00:00Z", "2026-03-29T03:00:00Z"),
        [
            "2026-03-29T00:00+01:00",
            "2026-03-29T03:00+02:00",
            "2026-03-29T04:00+02:00"
        ]
    );
}

#[test]
fn cron_days() {
    for (expression, after, expected) in [
        (
            "0 9 * * MON-FRI",
            "2026-12-04T12:00:00Z",
            ["2026-12-07", "2026-12-08"],
        ),
        (
            "0 9 31 * *",
            "2026-01-31T12:00:00Z",
            ["2026-03-31", "2026-05-31"],
        ),
        ("0 9 29 2 *", "2096-12-01", ["2104-02-29", "2108-02-29"]),
        ("0 9 L * *", "2028-02-01", ["2028-02-29", "2028-03-31"]),
        ("0 9 * * 1#1", "2026-12-01", ["2026-12-07", "2027-01-04"]),
        // Either of the two, as cron always did.
        ("0 9 13 * FRI", "2026-12-05", ["2026-12-11", "2026-12-13"]),
    ] {
        let schedule = schedule(BERLIN, cron(expression));
        let found: Vec<String> = between(&schedule, utc(after), DateTime::<Utc>::MAX_UTC)
            .take(2)
            .map(|occurrence| occurrence.name.to_string())
            .collect();
        assert_eq!(found, expected, "{expression}");
    }
    let mut limited = schedule(BERLIN, cron("0 0 * * *"));
    limited.start = "2026-12-01".parse().ok();
    limited.until = "2026-12-02".parse().ok();
    assert_eq!(
        names(&limited, "2020-01-01", "2030-01-01"),
        ["2026-12-01", "2026-12-02"]
    );
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    let mut schedules = vec![
        schedule(BERLIN, cron("0 9 30 2 *")),
        schedule(BERLIN, cron("* * 30 2 *")),
    ];
    for schedule in &schedules {
        assert_eq!(next(schedule, utc("2026-01-01")), None);
    }
    schedules.push(schedule(BERLIN, cron("* * * * *")));
    schedules.push(schedule(BERLIN, cron("0 9 * * *")));
    for unit in [
        Unit::Second,
        Unit::Minute,
        Unit::Hour,
        Unit::Day,
        Unit::Week,
        Unit::Month,
        Unit::Year,
    ] {
        for count in [1, 7, u32::MAX] {
            let time = NaiveTime::from_hms_opt(23, 59, 0).unwrap();
            schedules.push(schedule(
                BERLIN,
                Timing::Every {
                    period: Period { count, unit },
                    time,
                },
            ));
        }
    }
    schedules.push(schedule(BERLIN, Timing::At(NaiveDateTime::MAX)));
    for mut schedule in schedules {
        for start in [
            None,
            Some(NaiveDate::MIN),
            Some(NaiveDate::MAX),
            utc("9999-12-20").date_naive().into(),
        ] {
            schedule.start = start;
            for until in [None, Some(NaiveDate::MIN), Some(NaiveDate::MAX)] {
                schedule.until = until;
                for after in [
                    DateTime::<Utc>::MIN_UTC,
                    utc("1970-01-01"),
                    utc("9999-12-24"),
                    DateTime::<Utc>::MAX_UTC,
                ] {
                    if let Some(found) = next(&schedule, after) {
                        assert!(found.due > after && found.due < DateTime::<Utc>::MAX_UTC);
                    }
                }
            }
            default_cooldown(Some(&schedule));
        }
    }
}

#[test]
fn the_rest_that_fits_a_schedule() {
    let of = |timing| match default_cooldown(Some(&schedule(BERLIN, timing))) {
        Cooldown::Within(period) => period.to_string(),
        other => format!("{other:?}"),
    };
    for (period, half) in [
        ("1d", "12h"),
        ("2d", "1d"),
        ("1w", "84h"),
        ("1mo", "15d"),
        ("3mo", "45d"),
        ("1y", "6mo"),
        ("1h", "30m"),
        ("1m", "30s"),
        ("3s", "1s"),
        ("1s", "None"),
    ] {
        assert_eq!(of(every(period, "09:00")), half, "{period}");
    }
    for (expression, half) in [
        ("0 9 * * *", "12h"),
        ("0 9 * * 1", "84h"),
        ("0 9 1 * *", "14d"),
        ("0 9-17 * * 1-5", "30m"),
        ("*/15 * * * *", "450s"),
        ("0 9 1,15 * *", "7d"),
        ("0 9 29 2 *", "17532h"),
        ("0 9 30 2 *", "Forever"),
    ] {
        assert_eq!(of(cron(expression)), half, "{expression}");
    }
    assert_eq!(of(Timing::Now), "Forever");
    assert_eq!(of(Timing::At(NaiveDateTime::MIN)), "Forever");
    assert_eq!(default_cooldown(None), Cooldown::None);
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let zone = prop::sample::select(vec![
        BERLIN,
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Pacific/Chatham",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Asia/Gaza",
        "Antarctica/Troll",
        "UTC",
    ]);
    let field = |most: u32| {
        prop_oneof![
            Just("*".to_owned()),
            (0..=most).prop_map(|at| at.to_string()),
            (0..=most, 0..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (1..=most).prop_map(|step| format!("*/{step}")),
        ]
    };
    let timing = prop_oneof![
        (
            1_u32..40,
            prop::sample::select(vec!["m", "h", "d", "w", "mo", "y"]),
            0_u32..1440
        )
            .prop_map(|(count, unit, minute)| {
                let count = if unit == "m" { count * 20 } else { count };
                every(
                    &format!("{count}{unit}"),
                    &format!("{:02}:{:02}", minute / 60, minute % 60),
                )
            }),
        (
            0_u32..60,
            field(23),
            prop::sample::select(vec!["*", "1", "29-31", "L"]),
            prop::sample::select(vec!["*", "5", "0"])
        )
            .prop_map(|(minute, hour, day, weekday)| cron(&format!(
                "{minute} {hour} {day} * {weekday}"
            ))),
        (prop::sample::select(vec!["0,30", "*/20", "59"]), field(23))
            .prop_map(|(minute, hour)| cron(&format!("{minute} {hour} * * *"))),
    ];
    let start = prop::option::of(0_i64..9000);
    (zone, timing, start).prop_map(|(zone, timing, start)| Schedule {
        start: start.map(|days| utc("2000-01-01").date_naive() + TimeDelta::days(days)),
        ..schedule(zone, timing)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn occurrences_ascend_and_have_names_of_their_own_and_no_holes(
        schedule in any_schedule(),
        year in prop_oneof![Just(2011), 2000_i32..2040],
        parts in (0_i64..=366 * 86_400, 0_i64..=366 * 86_400),
    ) {
        let from = limit(year, 1, 1).and_time(NaiveTime::MIN).and_utc();
        let to = from + TimeDelta::days(366);
        let all: Vec<Occurrence> = between(&schedule, from, to).collect();
        let mut seen = std::collections::HashSet::new();
        let mut last = from;
        for occurrence in &all {
            prop_assert!(occurrence.due > last, "{:?} after {}", occurrence, last);
            prop_assert!(seen.insert(occurrence.name.clone()), "{:?} again", occurrence);
            last = occurrence.due;
        }
        let middle = from + TimeDelta::seconds(parts.0.min(parts.1));
        let joined: Vec<Occurrence> = between(&schedule, from, middle).chain(between(&schedule, middle, to)).collect();
        prop_assert_eq!(&all, &joined);
        // A moment just before and at an occurrence.
        if let Some(occurrence) = all.get(parts.0 as usize % all.len().max(1)) {
            let before = occurrence.due - TimeDelta::milliseconds(1);
            prop_assert_eq!(next(&schedule, before), Some(occurrence.clone()));
            prop_assert_ne!(next(&schedule, occurrence.due), Some(occurrence.clone()));
        }
    }

    #[test]
    fn every_day_has_its_time(schedule in any_schedule().prop_filter("daily", |schedule| schedule.start.is_none()), minute in 0_u32..1440, year in 2012_i32..2040) {
        let daily = Schedule {
            timing: every("1d", &format!("{:02}:{:02}", minute / 60, minute % 60)),
            ..schedule
        };
        let from = limit(year, 1, 1).and_time(NaiveTime::MIN).and_utc();
        let days: Vec<NaiveDate> = between(&daily, from, from + TimeDelta::days(365))
            .map(|occurrence| occurrence.name.as_str().parse().unwrap())
            .collect();
        prop_assert_eq!(days.len(), 365);
        prop_assert!(days.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::days(1)));
    }

    #[test]
    fn no_cron_expression_makes_it_panic(fields in prop::collection::vec("[-0-9*/,LW#?+A-Za-z]{1,5}", 5)) {
        if let Ok(parsed) = fields.join(" ").parse() {
            let schedule = schedule(BERLIN, Timing::Cron(parsed));
            next(&schedule, utc("2026-01-01"));
            default_cooldown(Some(&schedule));
        }
    }
}
