//! Deliveries: one recipient of a run on one channel.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Channel, RunId, run::named};

/// The number of a delivery: its run in the upper half, its place in the run in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

impl DeliveryId {
    /// The `sequence`th delivery of a run.
    pub fn new(run: RunId, sequence: u32) -> Self {
        Self(i64::from(run.0) << 32 | i64::from(sequence))
    }

    /// The run it belongs to.
    pub fn run(self) -> RunId {
        RunId((self.0 >> 32) as u32)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

named! {
    /// Where a delivery stands.
    Status {
        /// It waits for its turn.
        Queued = "queued",
        /// It is on the wire.
        Sending = "sending",
        /// It did not work out and is tried again later.
        Deferred = "deferred",
        /// The transport took it.
        Sent = "sent",
        /// The recipient's side confirmed it.
        Delivered = "delivered",
        /// It came back.
        Bounced = "bounced",
        /// The recipient complained.
        Complained = "complained",
        /// It was refused for good, or for too long.
        Failed = "failed",
        /// It was handed over, and the answer was never seen.
        InDoubt = "in_doubt",
        /// It was not sent; the reason says why.
        Skipped = "skipped",
        /// It was too late to send it.
        Expired = "expired",
        /// Its run was cancelled.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// Whether the delivery may still begin.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sending | Self::Deferred)
    }
}

named! {
    /// Why a delivery was not sent.
    SkipReason {
        /// There is no address for any channel of the campaign.
        NoAddress = "no_address",
        /// The address is not one.
        InvalidAddress = "invalid_address",
        /// The recipient unsubscribed from the topic, or from all.
        Unsubscribed = "unsubscribed",
        /// The address bounced, complained or was suppressed by hand.
        Suppressed = "suppressed",
        /// The recipient had this campaign too recently.
        Cooldown = "cooldown",
        /// The recipient had too many messages recently.
        FrequencyCap = "frequency_cap",
        /// Another recipient of the run has the same address.
        DuplicateAddress = "duplicate_address",
        /// Another row of the source has the same key.
        DuplicateKey = "duplicate_key",
        /// The recipient is in the part that gets nothing, for comparison.
        Holdout = "holdout",
        /// The workspace's policy forbids it.
        Policy = "policy",
        /// The settings allow only some addresses.
        Safety = "safety",
        /// It is in doubt, and the campaign says to leave it.
        Doubt = "doubt",
        /// A script failed.
        ScriptError = "script_error",
        /// A template failed.
        RenderError = "render_error",
        /// A key that was asked for is not in the source.
        UnknownKey = "unknown_key",
        /// The row could not be read.
        InvalidRow = "invalid_row",
    }
}

/// A delivery as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Its run.
    pub run: RunId,
    /// The recipient's key; empty where it was erased.
    pub key: String,
    /// The channel.
    pub channel: Channel,
    /// The address; empty where there is none or it was erased.
    pub address: String,
    /// Where it stands.
    pub status: Status,
    /// Why: a [`SkipReason`] with its details, or the server's words.
    pub reason: Option<String>,
    /// When it last changed.
    pub at: DateTime<Utc>,
    /// The Message-ID, once it was tried.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
}

impl Delivery {
    /// Whether its person was forgotten: every other has a key.
    pub fn is_erased(&self) -> bool {
        self.key.is_empty()
    }
}
