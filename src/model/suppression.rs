//! Addresses and recipients that are not to be written to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{AddressHash, RecipientHash, SkipReason, TopicName, run::named};

named! {
    /// Why somebody is not written to.
    SuppressionReason {
        /// The recipient asked for it.
        Unsubscribed = "unsubscribed",
        /// The mailbox does not exist.
        Bounced = "bounced",
        /// The recipient called it spam.
        Complained = "complained",
        /// Somebody here decided so.
        Manual = "manual",
    }
}

impl SuppressionReason {
    /// What a delivery stopped by it is skipped as.
    pub fn skip_reason(self) -> SkipReason {
        match self {
            Self::Unsubscribed => SkipReason::Unsubscribed,
            _ => SkipReason::Suppressed,
        }
    }
}

/// Whom a suppression stands for: the hash of an address, or of a recipient (source and key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An address on a channel.
    Address(AddressHash),
    /// A recipient, whatever their address.
    Recipient(RecipientHash),
}

impl Subject {
    /// The 16 bytes of the hash: addresses and recipients never share one.
    pub fn bytes(self) -> [u8; 16] {
        match self {
            Self::Address(hash) => hash.0,
            Self::Recipient(hash) => hash.0,
        }
    }
}

/// One entry of the suppression list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Whom it stands for.
    pub subject: Subject,
    /// The topic, or `None` for everything.
    pub topic: Option<TopicName>,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: DateTime<Utc>,
    /// The address or key as it was written, for lists and exports; empty where it was erased or never known.
    pub shown: String,
    /// Where it came from: a delivery, a file, a person's words.
    pub origin: String,
}
