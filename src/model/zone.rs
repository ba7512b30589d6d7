//! Time zones: the system's database first, a bundled copy where the system has none.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, Timelike, Utc};

use super::section::from_toml_string;

/// A named zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }

    /// The name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The moment at which clocks here show `local`. A time that does not exist (clocks go forward) gives the moment just
    /// after the gap; one that exists twice (clocks go back) gives the first.
    pub fn to_utc(&self, local: NaiveDateTime) -> DateTime<Utc> {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        let civil = civil(local);
        let (offset, after_gap) = match self.0.to_ambiguous_timestamp(civil).offset() {
            Unambiguous { offset } => (offset, None),
            Fold { before, .. } => (before, None),
            // With the offset of after the change, the local time lies before it: the next transition is the gap itself.
            Gap { after, before } => (before, Some(after)),
        };
        let timestamp = match after_gap {
            None => offset.to_timestamp(civil),
            Some(after) => after.to_timestamp(civil).map(|early| {
                self.0
                    .following(early)
                    .next()
                    .map_or(early, |transition| transition.timestamp())
            }),
        };
        timestamp.map_or(DateTime::<Utc>::MAX_UTC, |timestamp| {
            DateTime::from_timestamp(timestamp.as_second(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
        })
    }

    /// The next moment after `moment` from which on clocks here may show another offset; `None`: never again.
    pub fn next_change(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let moment = jiff::Timestamp::from_second(moment.timestamp()).ok()?;
        let change = self.0.following(moment).next()?;
        DateTime::from_timestamp(change.timestamp().as_second(), 0)
    }

    /// The moment with the offset that clocks here have then.
    pub fn at(&self, moment: DateTime<Utc>) -> DateTime<FixedOffset> {
        let seconds = jiff::Timestamp::from_second(moment.timestamp())
            .map_or(0, |timestamp| self.0.to_offset(timestamp).seconds());
        let offset = FixedOffset::east_opt(seconds)
            .unwrap_or_else(|| FixedOffset::east_opt(0).expect("zero is valid"));
        moment.with_timezone(&offset)
    }
}

fn civil(local: NaiveDateTime) -> jiff::civil::DateTime {
    let (date, time) = (local.date(), local.time());
    // Both calendars are proleptic Gregorian; years outside -9999 to 9999 are clamped to the end of time.
    jiff::civil::DateTime::new(
        date.year().clamp(-9999, 9999) as i16,
        date.month() as i8,
        date.day() as i8,
        time.hour() as i8,
        time.minute() as i8,
        time.second() as i8,
        0,
    )
    .unwrap_or(jiff::civil::DateTime::MAX)
}

impl Zone {
    /// The zone with a name, where there is one. For data: what it may have meant instead, which takes a while, is looked for
    /// where a person wrote it (by [`FromStr`]).
    pub fn named(name: &str) -> Option<Self> {
        let found = jiff::tz::TimeZone::get(name).ok();
        found.filter(|zone| !zone.is_unknown()).map(Self)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::named(name).ok_or_else(|| {
            let known: Vec<_> = jiff::tz::db().available().collect();
            let known = known.iter().map(jiff::tz::TimeZoneName::as_str);
            match super::closest(name, known) {
                Some(close) => {
                    format!("there is no time zone {name:?}; did you mean {close:?}?")
                }
                None => format!(
                    "there is no time zone {name:?}; zones have names such as \"Europe/Berlin\""
                ),
            }
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

from_toml_string!(Zone);

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(zone: &str, local: &str) -> String {
        zone.parse::<Zone>()
            .unwrap()
            .to_utc(local.parse().unwrap())
            .to_rfc3339()
    }

    #[test]
    fn a_time_that_does_not_exist_is_just_after_the_gap() {
        assert_eq!(
            utc("Europe/Berlin", "2026-03-29T02:30:00"),
            "2026-03-29T01:00:00+00:00"
        );
        assert_eq!(
            utc("America/New_York", "2026-03-08T02:00:00"),
            "2026-03-08T07:00:00+00:00"
        );
        assert_eq!(
            utc("Australia/Lord_Howe", "2026-10-04T02:15:00"),
            "2026-10-03T15:30:00+00:00"
        );
    }

    #[test]
    fn a_time_that_exists_twice_is_the_first() {
        assert_eq!(
            utc("Europe/Berlin", "2026-10-25T02:30:00"),
            "2026-10-25T00:30:00+00:00"
        );
    }
}
