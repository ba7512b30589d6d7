//! How many in how long, and shares of a whole.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Period, section::from_toml_string};

/// How many in how long: `"200/s"`, `"500/1h"`, `"4/7d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// In how long.
    pub per: Period,
}

impl Rate {
    /// The pause between two, where they are spread evenly.
    pub fn interval(self) -> Duration {
        self.per.nominal() / self.count
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number per time such as \"200/s\" or \"500/1h\"";
        let (count, per) = text.split_once('/').ok_or(EXPECTED)?;
        let count = count
            .trim()
            .replace('_', "")
            .parse()
            .map_err(|_| EXPECTED)?;
        let per = per.trim();
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
            per.parse()
        } else {
            format!("1{per}").parse()
        };
        match (count, per) {
            (0, _) => Err("must be more than nothing"),
            (count, Ok(per)) => Ok(Self { count, per }),
            (_, Err(_)) => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per)
    }
}

/// A share from 0 % to 100 %, as written: `"5%"`, `"0.1%"`. Kept in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Percentage(u32);

impl Percentage {
    /// The share in millionths of the whole: `"5%"` is 50,000.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// The share as a fraction of 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl FromStr for Percentage {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected a share such as \"5%\" or \"0.1%\", with at most four decimals, up to 100%";
        let number = text.strip_suffix('%').ok_or(EXPECTED)?.trim();
        let number: rust_decimal::Decimal = number.parse().map_err(|_| EXPECTED)?;
        let millionths = number * rust_decimal::Decimal::from(10_000);
        match u32::try_from(millionths) {
            Ok(whole) if whole <= 1_000_000 && millionths.fract().is_zero() => Ok(Self(whole)),
            _ => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}%",
            rust_decimal::Decimal::new(i64::from(self.0), 4).normalize()
        )
    }
}

from_toml_string!(Rate, Percentage);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_shares_read_and_print() {
        assert_eq!("200/s".parse::<Rate>().unwrap().to_string(), "200/1s");
        assert_eq!(
            "500/1h".parse::<Rate>().unwrap().interval(),
            Duration::from_millis(7200)
        );
        assert!("0/s".parse::<Rate>().is_err());
        assert!("many/s".parse::<Rate>().is_err());
        assert_eq!("0.1%".parse::<Percentage>().unwrap().millionths(), 1000);
        assert_eq!("30%".parse::<Percentage>().unwrap().to_string(), "30%");
        for text in ["30", "101%", "-1%", "0.00001%", "%"] {
            assert!(text.parse::<Percentage>().is_err(), "{text}");
        }
    }
}
