//! Sending windows: the hours in which messages begin, on the clocks of a zone.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::model::{Window, Zone};

/// A week has every day; a day may be left out by a zone that changes sides of the date line.
const HORIZON: u64 = 9;

/// A time in which a window is open: from a moment to just before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it opens.
    pub opens: DateTime<Utc>,
    /// When it closes.
    pub closes: DateTime<Utc>,
}

impl Span {
    /// Whether a moment lies in it.
    pub fn holds(&self, moment: DateTime<Utc>) -> bool {
        self.opens <= moment && moment < self.closes
    }
}

/// The span that a moment lies in, or the next one. Spans that touch are one: a window of days alone closes when the last of
/// them ends. `None`: it never opens again.
pub fn span(window: &Window, zone: &Zone, moment: DateTime<Utc>) -> Option<Span> {
    let today = zone.at(moment).date_naive();
    // One that crosses midnight may have opened yesterday.
    let mut date = today.checked_sub_days(Days::new(2))?;
    let end = today.checked_add_days(Days::new(HORIZON + 7))?;
    let mut found: Option<Span> = None;
    while date <= end {
        if let Some(span) = on(window, zone, date).filter(|span| span.closes > moment) {
            match &mut found {
                None => found = Some(span),
                Some(first) if span.opens <= first.closes => {
                    first.closes = first.closes.max(span.closes);
                }
                Some(_) => break,
            }
        } else if found.is_some() {
            break;
        }
        date = date.succ_opt()?;
    }
    found
}

/// The span that opens on a date; `None` where there is none: another day of the week, or hours that clocks leave out.
fn on(window: &Window, zone: &Zone, date: NaiveDate) -> Option<Span> {
    if !window.days.has(date.weekday()) {
        return None;
    }
    let hours = window.hours;
    let end = if hours.cross_midnight() {
        date.succ_opt()?
    } else {
        date
    };
    let span = Span {
        opens: zone.to_utc(date.and_time(hours.from)),
        closes: zone.to_utc(end.and_time(hours.to)),
    };
    (span.opens < span.closes).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Hours;

    fn window(hours: &str, days: &str) -> Window {
        Window {
            hours: hours.parse().unwrap(),
            days: days.parse().unwrap(),
        }
    }

    /// `opens - closes` of the span at a moment.
    fn at(window: &Window, zone: &str, moment: &str) -> String {
        let zone: Zone = zone.parse().unwrap();
        let moment: DateTime<Utc> = moment.parse().unwrap();
        let span = span(window, &zone, moment).unwrap();
        let mark = if span.holds(moment) { "open" } else { "closed" };
        let show = |at| zone.at(at).format("%d %H:%M").to_string();
        format!("{mark}: {} - {}", show(span.opens), show(span.closes))
    }

    #[test]
    fn it_opens_and_closes_on_the_zones_clocks() {
        let office = window("08:00-20:00", "Mon-Fri");
        // 2026-12-01 is a Tuesday.
        for (moment, expected) in [
            ("2026-12-01T06:59:59Z", "closed: 01 08:00 - 01 20:00"),
            ("2026-12-01T07:00:00Z", "open: 01 08:00 - 01 20:00"),
            ("2026-12-01T18:59:59Z", "open: 01 08:00 - 01 20:00"),
            ("2026-12-01T19:00:00Z", "closed: 02 08:00 - 02 20:00"),
            ("2026-12-04T19:00:00Z", "closed: 07 08:00 - 07 20:00"),
        ] {
            assert_eq!(at(&office, "Europe/Berlin", moment), expected, "{moment}");
        }
    }

    #[test]
    fn one_that_crosses_midnight_belongs_to_the_day_it_opens_on() {
        let night = window("22:00-06:00", "Fri");
        for (moment, expected) in [
            ("2026-12-04T20:00:00Z", "closed: 04 22:00 - 05 06:00"),
            ("2026-12-05T04:59:00Z", "open: 04 22:00 - 05 06:00"),
            ("2026-12-05T05:00:00Z", "closed: 11 22:00 - 12 06:00"),
        ] {
            assert_eq!(at(&night, "Europe/Berlin", moment), expected, "{moment}");
        }
    }

    #[test]
    fn days_alone_are_open_from_the_first_to_the_last() {
        let week = Window {
            hours: Hours::ALL,
            days: "Mon-Fri".parse().unwrap(),
        };
        assert_eq!(
            at(&week, "Europe/Berlin", "2026-12-02T12:00:00Z"),
            "open: 02 00:00 - 05 00:00"
        );
        assert_eq!(
            at(&week, "Europe/Berlin", "2026-12-05T12:00:00Z"),
            "closed: 07 00:00 - 12 00:00"
        );
    }

    #[test]
    fn through_changes_of_the_clocks() {
        let early = window("02:15-03:30", "Mon-Sun");
        // Forward: 02:15 does not exist, it opens at 03:00. Back: it opens the first time, and closes at the only 03:30.
        assert_eq!(
            at(&early, "Europe/Berlin", "2026-03-28T12:00:00Z"),
            "closed: 29 03:00 - 29 03:30"
        );
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let back = span(&early, &zone, "2026-10-24T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!((back.closes - back.opens).num_minutes(), 135);
        // Hours that clocks leave out altogether: the next day it is.
        let gone = window("02:00-03:00", "Mon-Sun");
        assert_eq!(
            at(&gone, "Europe/Berlin", "2026-03-28T12:00:00Z"),
            "closed: 30 02:00 - 30 03:00"
        );
        // Half an hour, and a day that Samoa left out (2011-12-30).
        let half = window("01:45-02:15", "Mon-Sun");
        let lord_howe: Zone = "Australia/Lord_Howe".parse().unwrap();
        let back = span(&half, &lord_howe, "2026-04-04T12:00:00Z".parse().unwrap()).unwrap();
        assert_eq!((back.closes - back.opens).num_minutes(), 60);
        let office = window("08:00-20:00", "Mon-Sun");
        assert_eq!(
            at(&office, "Pacific/Apia", "2011-12-30T08:00:00Z"),
            "closed: 31 08:00 - 31 20:00"
        );
    }
}
