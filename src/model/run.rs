//! Runs: occurrences being carried out.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{CampaignId, Channel, HoldReason, OccurrenceName, Purpose, Status, TopicName};

/// The number of a run within its store, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u32);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| "a run is named by its number, as `campanile status` shows it")
    }
}

/// Declares an enum whose variants have a stable name, as files, commands and the store spell it.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("expected one of {}", all.join(", "))
                })
            }
        }
    };
}
pub(crate) use named;

named! {
    /// What a run is doing.
    RunState {
        /// Its audience is being worked out.
        Planning = "planning",
        /// It waits for `campanile approve`.
        AwaitingApproval = "awaiting_approval",
        /// It waits for a person; the reason says why.
        Held = "held",
        /// It is planned and waits for its time.
        Scheduled = "scheduled",
        /// Its deliveries go out.
        Sending = "sending",
        /// It was halted and goes on when asked.
        Paused = "paused",
        /// Every delivery has its final status.
        Finished = "finished",
        /// It was ended before all was sent.
        Cancelled = "cancelled",
        /// It could not be carried out.
        Failed = "failed",
    }
}

impl Run {
    /// Why it is held, without the words behind the reason.
    pub fn held(&self) -> Option<HoldReason> {
        let reason = self
            .reason
            .as_deref()
            .filter(|_| self.state == RunState::Held)?;
        HoldReason::of(reason)
    }

    /// The limit that its plan exceeds, without the words behind it.
    pub fn over_limit(&self) -> Option<HoldReason> {
        HoldReason::of(self.limit.as_deref()?)
    }
}

impl RunState {
    /// Whether nothing more will happen to it by itself or by `resume`.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed)
    }
}

/// The reason of a run that is paused behind its first part, and goes on by itself.
pub const PAUSED_BY_ROLLOUT: &str = "rollout";

/// A run as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Whose it is.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: OccurrenceName,
    /// When the occurrence is due.
    pub due: DateTime<Utc>,
    /// What it is doing.
    pub state: RunState,
    /// Why, for a run that is held, paused, cancelled or failed: a [`HoldReason`] or words.
    pub reason: Option<String>,
    /// The topic its recipients may unsubscribe from.
    pub topic: TopicName,
    /// Marketing or transactional.
    pub purpose: Purpose,
    /// The pinned files: the hash of a bundle in the store.
    pub bundle: Option<String>,
    /// The digest of the content: campaign, scripts, templates.
    pub content_digest: Option<String>,
    /// The digest of the plan: recipients and variables.
    pub plan_digest: Option<String>,
    /// When it was opened, when it was planned, when it was over.
    pub opened_at: DateTime<Utc>,
    /// When its plan was sealed.
    pub sealed_at: Option<DateTime<Utc>>,
    /// When the first message began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// When a person let it go in spite of its limits (`approve`, `resume`), with the limits they saw.
    pub released: bool,
    /// The limit that its plan exceeds, whatever else it is held for: a [`HoldReason`], with words behind it where its name does not
    /// say it all.
    pub limit: Option<String>,
    /// Whether a person asked for it (`campanile send`); else it is of the schedule.
    pub asked: bool,
    /// When what has not begun of it is too old.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether its first message has begun: from then on it is pinned to its files.
    pub begun: bool,
    /// When a run that is paused behind its first part goes on by itself.
    pub goes_on_at: Option<DateTime<Utc>>,
    /// How many of its recipients unsubscribed by the link in its messages.
    pub unsubscribed: u64,
    /// How many rows its source had, and how many of them matched.
    pub totals: Totals,
}

/// What a plan counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows of the source.
    pub total: u64,
    /// Rows that matched the audience.
    pub matched: u64,
    /// Deliveries to send.
    pub to_send: u64,
}

/// How many deliveries of a run have which status (and, where skipped, which reason), per channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(pub Vec<Count>);

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The channel.
    pub channel: Channel,
    /// The status.
    pub status: Status,
    /// The reason, for skipped deliveries.
    pub reason: Option<String>,
    /// How many.
    pub n: u64,
}

impl Counts {
    /// How many have a status, over all channels and reasons.
    pub fn of(&self, status: Status) -> u64 {
        self.0
            .iter()
            .filter(|count| count.status == status)
            .map(|count| count.n)
            .sum()
    }

    /// How many are there in all.
    pub fn all(&self) -> u64 {
        self.0.iter().map(|count| count.n).sum()
    }

    /// How many have yet to reach a final status.
    pub fn open(&self) -> u64 {
        [Status::Queued, Status::Sending, Status::Deferred]
            .into_iter()
            .map(|status| self.of(status))
            .sum()
    }

    /// By status, without those that are zero.
    pub fn by_status(&self) -> BTreeMap<Status, u64> {
        let mut sums = BTreeMap::new();
        for count in self.0.iter().filter(|count| count.n > 0) {
            *sums.entry(count.status).or_insert(0) += count.n;
        }
        sums
    }

    /// The skipped ones by reason, without those that are zero.
    pub fn skipped(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for count in self
            .0
            .iter()
            .filter(|count| count.status == Status::Skipped && count.n > 0)
        {
            *sums
                .entry(count.reason.clone().unwrap_or_default())
                .or_insert(0) += count.n;
        }
        sums
    }
}
