//! How fast a campaign goes out, and at which hours.

use std::{fmt, str::FromStr};

use chrono::{NaiveTime, Weekday};

use super::{Rate, Zone, section::from_toml_string};

/// `[pace]`
#[derive(Clone, Debug)]
pub struct Pace {
    /// At most this many messages in this time, over all runs of the campaign.
    pub rate: Option<Rate>,
    /// Messages only begin within; `None`: at any time.
    pub window: Option<Window>,
    /// The zone of the window; of recipients whose zone is not known, where it is theirs that counts.
    pub timezone: Zone,
    /// Whether the window is that of each recipient's own zone.
    pub by_recipient: bool,
}

/// The hours and days in which messages begin. A window that crosses midnight belongs to the day on which it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The hours of each of the days.
    pub hours: Hours,
    /// The days.
    pub days: Days,
}

/// From one time of day to another: `"08:00-20:00"`; from the later to the earlier it crosses midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// When it opens.
    pub from: NaiveTime,
    /// When it closes; midnight is the end of the day.
    pub to: NaiveTime,
}

impl Hours {
    /// The whole day.
    pub const ALL: Self = Self {
        from: NaiveTime::MIN,
        to: NaiveTime::MIN,
    };

    /// Whether it closes on the day after it opened: at midnight or later.
    pub fn cross_midnight(self) -> bool {
        self.to <= self.from
    }
}

impl FromStr for Hours {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected two times of day such as \"08:00-20:00\"";
        let (from, to) = text.split_once(['-', '–']).ok_or(EXPECTED)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M");
        let from = time(from).map_err(|_| EXPECTED)?;
        let to = match to.trim() {
            "24:00" => NaiveTime::MIN,
            to => time(to).map_err(|_| EXPECTED)?,
        };
        if from == to && from != NaiveTime::MIN {
            return Err("it closes when it opens: leave it out for the whole day");
        }
        Ok(Self { from, to })
    }
}

/// Days of the week, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// Whether a day is one of them.
    pub fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day.num_days_from_monday() != 0
    }
}

impl FromStr for Days {
    type Err = String;

    /// `"Mon-Fri"`, `"Mon,Wed"`, `"Fri-Sun, Tue"`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = |text: &str| {
            text.trim().parse::<Weekday>().map_err(|_| {
                format!(
                    "{:?} is no day of the week: expected days such as \"Mon-Fri\" or \"Mon,Wed\"",
                    text.trim()
                )
            })
        };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once(['-', '–']).unwrap_or((part, part));
            let (mut at, last) = (day(first)?, day(last)?);
            loop {
                days |= 1 << at.num_days_from_monday();
                if at == last {
                    break;
                }
                at = at.succ();
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.from.format("%H:%M"))?;
        match self.to {
            NaiveTime::MIN => f.write_str("24:00"),
            to => to.format("%H:%M").fmt(f),
        }
    }
}

impl fmt::Display for Days {
    /// As it is written: `Mon-Fri`, `Mon,Wed`, `Mon,Fri-Sun`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = std::iter::successors(Some(Weekday::Mon), |day| Some(day.succ())).take(7);
        let days: Vec<_> = days.collect();
        let spans = days.chunk_by(|a, b| self.has(*a) == self.has(*b));
        let mut separator = "";
        for span in spans.filter(|span| self.has(span[0])) {
            let (first, last) = (span[0], span[span.len() - 1]);
            write!(f, "{separator}{first}")?;
            match span.len() {
                1 => {}
                2 => write!(f, ",{last}")?,
                _ => write!(f, "-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    /// `08:00-20:00 Mon-Fri`; without the days where it is all of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hours.fmt(f)?;
        if self.days != Days::ALL {
            write!(f, " {}", self.days)?;
        }
        Ok(())
    }
}

from_toml_string!(Hours, Days);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_read_and_print() {
        for text in ["08:00-20:00", "22:00-06:00", "00:00-24:00"] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), text);
        }
        assert!("22:00-06:00".parse::<Hours>().unwrap().cross_midnight());
        assert!("08:00-24:00".parse::<Hours>().unwrap().cross_midnight());
        assert!(!"08:00-20:00".parse::<Hours>().unwrap().cross_midnight());
        for text in ["", "8-20", "08:00", "08:00-08:00", "08:00-25:00", "a-b"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_are_a_list_of_days_and_spans() {
        let all = |text: &str| {
            let days: Days = text.parse().unwrap();
            let mut day = Weekday::Mon;
            let mut names = Vec::new();
            for _ in 0..7 {
                if days.has(day) {
                    names.push(day.to_string());
                }
                day = day.succ();
            }
            names.join(" ")
        };
        assert_eq!(all("Mon-Fri"), "Mon Tue Wed Thu Fri");
        assert_eq!(all("mon, Wednesday"), "Mon Wed");
        assert_eq!(all("Sat-Mon,Thu"), "Mon Thu Sat Sun");
        for text in [
            "Mon-Fri",
            "Mon,Wed",
            "Mon,Thu,Sat,Sun",
            "Tue,Fri-Sun",
            "Mon-Sun",
        ] {
            assert_eq!(text.parse::<Days>().unwrap().to_string(), text);
        }
        for text in ["", "Mo", "Mon-", "Mon,,Tue", "weekdays"] {
            assert!(text.parse::<Days>().is_err(), "{text}");
        }
    }
}
