//! `[rollout]`: a first part, a pause, then the rest.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Percentage, Period};

/// A first part that goes out, and how long the rest waits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// How many go out first.
    pub first: RolloutPart,
    /// How long it waits then.
    pub wait: Period,
}

/// A part of an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloutPart {
    /// So many.
    Count(u64),
    /// So much of all, at least one.
    Share(Percentage),
}

impl RolloutPart {
    /// How many of `all` it is, rounded up.
    pub fn of(self, all: u64) -> u64 {
        match self {
            Self::Count(count) => count.min(all),
            Self::Share(share) => {
                let part = u128::from(all) * u128::from(share.millionths());
                u64::try_from(part.div_ceil(1_000_000)).unwrap_or(all)
            }
        }
    }
}

impl FromStr for RolloutPart {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self::Share)
            .map_err(|_| "expected a number such as 500 or a share such as \"5%\"")
    }
}

impl fmt::Display for RolloutPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_nobody_and_never_more_than_all() {
        let five: RolloutPart = "5%".parse().unwrap();
        for (all, part) in [(0, 0), (1, 1), (20, 1), (21, 2), (1_000, 50)] {
            assert_eq!(five.of(all), part, "{all}");
        }
        assert_eq!(five.of(u64::MAX), u64::MAX / 20 + 1);
        assert_eq!(RolloutPart::Count(500).of(30), 30);
        assert_eq!(RolloutPart::Count(500).of(600), 500);
    }
}
