//! Topics and senders: what a recipient unsubscribes from, and who is writing.

use serde::{Deserialize, Serialize};

use super::{EmailAddress, Mailbox, SenderName, TopicName, run::named, section::from_toml_string};

named! {
    /// What mail is for.
    Purpose {
        /// Advertising and news: unsubscribing counts, and every message carries a way out.
        Marketing = "marketing",
        /// What the recipient needs to have (bills, notices): unsubscribing does not count, bounces do.
        Transactional = "transactional",
    }
}

from_toml_string!(Purpose);

/// What a recipient unsubscribes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name in the settings.
    pub name: TopicName,
    /// Its title as recipients see it.
    pub title: String,
    /// What campaigns in it may be.
    pub purpose: Purpose,
}

/// Who is writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Its name in the settings.
    pub id: SenderName,
    /// The name recipients see.
    pub name: String,
    /// The postal address, in the footer of marketing mail.
    pub address: String,
    /// The From of messages (RFC 5322 §3.6.2).
    pub from: Mailbox,
    /// Where answers go.
    pub reply_to: Option<Mailbox>,
    /// The envelope's sender (RFC 5321 §4.1.1.2), where bounces go; the address of `from` where it is not set.
    pub envelope_from: EmailAddress,
}
