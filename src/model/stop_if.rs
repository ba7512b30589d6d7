//! `[stop_if]`: a run is held when too large a share of its deliveries goes wrong.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Counts, Percentage, Status};

/// The shares that hold a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopIf {
    /// Not before so many deliveries have an outcome.
    pub after: u64,
    /// More of them failed.
    pub failed: Option<Percentage>,
    /// More of them bounced.
    pub bounced: Option<Percentage>,
    /// More of them were called spam.
    pub complained: Option<Percentage>,
    /// More of their recipients unsubscribed.
    pub unsubscribed: Option<Percentage>,
}

/// What became of a run's deliveries, as [`StopIf`] counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toll {
    /// How many have an outcome: taken or refused by their transport.
    pub outcomes: u64,
    /// How many were refused for good, or for too long.
    pub failed: u64,
    /// How many came back, or were refused because their address does not exist.
    pub bounced: u64,
    /// How many were called spam.
    pub complained: u64,
    /// How many unsubscribed by the link in their message.
    pub unsubscribed: u64,
}

impl Toll {
    /// From a run's counters, and from what they do not tell: how many were refused because their address does not exist, and how
    /// many unsubscribed.
    pub fn new(counts: &Counts, no_mailbox: u64, unsubscribed: u64) -> Self {
        let [failed, bounced, complained] =
            [Status::Failed, Status::Bounced, Status::Complained].map(|status| counts.of(status));
        Self {
            outcomes: counts.of(Status::Sent)
                + counts.of(Status::Delivered)
                + failed
                + bounced
                + complained,
            failed,
            bounced: bounced + no_mailbox,
            complained,
            unsubscribed,
        }
    }

    /// What came since an earlier one.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            outcomes: self.outcomes.saturating_sub(before.outcomes),
            failed: self.failed.saturating_sub(before.failed),
            bounced: self.bounced.saturating_sub(before.bounced),
            complained: self.complained.saturating_sub(before.complained),
            unsubscribed: self.unsubscribed.saturating_sub(before.unsubscribed),
        }
    }
}

impl StopIf {
    /// The first share that is exceeded.
    pub fn exceeded(&self, toll: Toll) -> Option<Exceeded> {
        if toll.outcomes < self.after.max(1) {
            return None;
        }
        let shares = [
            ("complained", toll.complained, self.complained),
            ("bounced", toll.bounced, self.bounced),
            ("failed", toll.failed, self.failed),
            ("unsubscribed", toll.unsubscribed, self.unsubscribed),
        ];
        shares.into_iter().find_map(|(what, n, most)| {
            let most = most?;
            let share = u128::from(n) * 1_000_000;
            (share > u128::from(toll.outcomes) * u128::from(most.millionths())).then_some(
                Exceeded {
                    what,
                    n,
                    of: toll.outcomes,
                    most,
                },
            )
        })
    }
}

/// A share that is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    what: &'static str,
    n: u64,
    of: u64,
    most: Percentage,
}

/// `13 of 200 failed (6.5%, more than 5%)`
impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, n, of, most } = self;
        let share = *n as f64 * 100.0 / *of as f64;
        write!(f, "{n} of {of} {what} ({share:.1}%, more than {most})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_holds_once_enough_have_an_outcome() {
        let stop_if = StopIf {
            after: 200,
            failed: Some("5%".parse().unwrap()),
            bounced: Some("3%".parse().unwrap()),
            complained: None,
            unsubscribed: Some("0%".parse().unwrap()),
        };
        let toll = |outcomes, failed, bounced| Toll {
            outcomes,
            failed,
            bounced,
            complained: 50,
            unsubscribed: 0,
        };
        let words = |toll| stop_if.exceeded(toll).map(|exceeded| exceeded.to_string());
        assert_eq!(words(toll(199, 199, 0)), None);
        assert_eq!(words(toll(200, 10, 6)), None);
        assert_eq!(
            words(toll(200, 13, 0)).as_deref(),
            Some("13 of 200 failed (6.5%, more than 5%)")
        );
        assert_eq!(
            words(toll(200, 13, 7)).as_deref(),
            Some("7 of 200 bounced (3.5%, more than 3%)")
        );
        let before = toll(200, 13, 7);
        assert_eq!(words(toll(399, 199, 7).since(before)), None);
        assert_eq!(words(toll(400, 23, 7).since(before)), None);
        assert!(words(toll(400, 24, 7).since(before)).is_some());
    }
}
