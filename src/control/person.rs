//! What is stored about one person, as it is asked for and answered.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    CampaignId, Channel, OccurrenceName, RunId, SourceName, Status, SuppressionReason, TopicName,
};

/// A recipient: a key in a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonKey {
    /// The source.
    pub source: SourceName,
    /// The key in it.
    pub key: String,
}

/// Everything that is stored about a person. Nothing in it is masked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PersonReport {
    /// The address that was asked for.
    pub address: String,
    /// The recipients (`SOURCE:KEY`) that the deliveries are for.
    pub recipients: Vec<String>,
    /// The deliveries, in the order of runs.
    pub deliveries: Vec<PersonDeliveryReport>,
    /// What stands on the suppression list.
    pub suppressions: Vec<PersonSuppression>,
}

/// One delivery with all that is stored of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonDeliveryReport {
    /// Its run.
    pub run: RunId,
    /// Whose run.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: OccurrenceName,
    /// The topic it belongs to.
    pub topic: TopicName,
    /// The recipient's key.
    pub key: String,
    /// How it goes.
    pub channel: Channel,
    /// Where it goes.
    pub address: String,
    /// Where it stands.
    pub status: Status,
    /// Why: a reason with its details, or the server's words.
    pub reason: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When its first try began.
    pub first_try: Option<DateTime<Utc>>,
    /// When it last changed.
    pub at: DateTime<Utc>,
    /// The Message-ID, once it was tried.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The values that its message is made with, as long as they are kept.
    pub stored: BTreeMap<String, serde_json::Value>,
}

/// One entry of the suppression list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonSuppression {
    /// Whom it stands for: the `address`, or a `recipient`.
    pub of: String,
    /// The address or key as it was written; empty where it was erased.
    pub shown: String,
    /// The topic; `None`: everything.
    pub topic: Option<TopicName>,
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Where it came from.
    pub origin: String,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonForgotten {
    /// Deliveries that have no key, address and message details any more.
    pub deliveries: u64,
    /// How many of them were still to be sent, and are cancelled.
    pub cancelled: u64,
    /// Deliveries that are on the wire and could not be erased yet.
    pub on_the_wire: u64,
    /// Entries of the suppression list that have nothing but a hash any more.
    pub suppressions: u64,
    /// Whether the old content is out of the store's files too.
    pub wiped: bool,
}
