//! Lengths of time as people write them: `"30d"`, `"10m"`, `"1mo"`.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::section::from_toml_string;

/// The unit of a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`: calendar days
    Day,
    /// `w`: calendar weeks
    Week,
    /// `mo`: calendar months
    Month,
    /// `y`: calendar years
    Year,
}

impl Unit {
    /// Whether it is counted on the calendar (a day or longer) and not by elapsed time.
    pub fn is_calendar(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month | Self::Year)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
            Self::Year => "y",
        }
    }

    fn nominal_seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 604_800,
            Self::Month => 2_629_800,
            Self::Year => 31_557_600,
        }
    }
}

/// A positive whole number of units: `"30d"`. Days and longer count by the calendar, shorter ones by elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// How many, at least 1.
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Period {
    /// `count` hours.
    pub const fn hours(count: u32) -> Self {
        Self {
            count,
            unit: Unit::Hour,
        }
    }

    /// `count` minutes.
    pub const fn minutes(count: u32) -> Self {
        Self {
            count,
            unit: Unit::Minute,
        }
    }

    /// Its length in elapsed time; months and years by their mean length.
    pub fn nominal(self) -> Duration {
        Duration::from_secs(u64::from(self.count) * self.unit.nominal_seconds())
    }

    /// The moment this long before `at`: months and years by the calendar in UTC.
    pub fn before(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let earlier = match self.unit {
            Unit::Month => at.checked_sub_months(Months::new(self.count)),
            Unit::Year => at.checked_sub_months(Months::new(self.count.saturating_mul(12))),
            _ => TimeDelta::from_std(self.nominal())
                .ok()
                .and_then(|delta| at.checked_sub_signed(delta)),
        };
        earlier.unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The moment this long after `at`: months and years by the calendar in UTC.
    pub fn after(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let later = match self.unit {
            Unit::Month => at.checked_add_months(Months::new(self.count)),
            Unit::Year => at.checked_add_months(Months::new(self.count.saturating_mul(12))),
            _ => TimeDelta::from_std(self.nominal())
                .ok()
                .and_then(|delta| at.checked_add_signed(delta)),
        };
        later.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl FromStr for Period {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number and a unit such as \"10m\", \"24h\" or \"30d\" (s, m, h, d, w, mo, y; m is minutes)";
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count = text[..digits].parse().map_err(|_| EXPECTED)?;
        let unit = match text[digits..].trim_start() {
            "s" => Unit::Second,
            "m" | "min" => Unit::Minute,
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            "y" => Unit::Year,
            _ => return Err(EXPECTED),
        };
        if count == 0 {
            Err("must be more than nothing")
        } else {
            Ok(Self { count, unit })
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.as_str())
    }
}

from_toml_string!(Period);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_read_and_print() {
        for text in ["30d", "10m", "1mo", "2y", "90s"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "d",
            "30",
            "0d",
            "-1d",
            "1.5h",
            "30 days",
            "99999999999d",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }
}
