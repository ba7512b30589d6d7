//! An audience is worked out: who, by which channel, who not and why.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        CampaignId, Channel, HoldReason, Identity, Occurrence, OccurrenceName, RunId, SkipReason,
        Totals, Value,
    },
    source::{Source, SourceError},
    store::{Lease, Store, StoreError},
    workspace::Loaded,
};

/// What a plan is made of.
pub struct Request {
    /// The campaign.
    pub loaded: Arc<Loaded>,
    /// Its sources, opened, in order.
    pub sources: Vec<Arc<dyn Source>>,
    /// The occurrence.
    pub occurrence: Occurrence,
    /// The run's moment.
    pub now: DateTime<Utc>,
    /// Makes the hashes.
    pub identity: Identity,
    /// What was sent before and who is suppressed; `None`: there is no store yet.
    pub store: Option<Arc<dyn Store>>,
    /// Where the plan is frozen; `None`: nowhere, it is only looked at.
    pub freeze: Option<(Lease, RunId)>,
    /// How many recipients the sample has.
    pub sample: usize,
}

/// The audience of one occurrence, worked out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Whose.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: OccurrenceName,
    /// Digest of what is sent to whom, whatever the order: comparable between machines.
    pub digest: String,
    /// Rows, matches, deliveries to send.
    #[serde(flatten)]
    pub totals: Totals,
    /// Deliveries to send, by channel.
    pub by_channel: BTreeMap<Channel, u64>,
    /// Matching recipients with a valid address, by channel.
    pub reachable: BTreeMap<Channel, u64>,
    /// Deliveries that are not sent, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Some of those that are sent to.
    pub sample: Vec<Sample>,
    /// The first few scripts errors, invalid rows and unknown keys, in words.
    pub problems: Vec<String>,
    /// Why a run with this plan would be held, if it would.
    pub hold: Option<HoldReason>,
}

/// One recipient of a sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Its key.
    pub key: String,
    /// How it goes.
    pub channel: Channel,
    /// Where it goes.
    pub address: String,
    /// The variables, in order.
    pub variables: Vec<(String, Value)>,
}

/// Why there is no plan. Nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A source could not be read, or changed while it was read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Temporary files could not be written.
    #[error("planning needs temporary files: {0}")]
    Spill(#[from] std::io::Error),
}

/// Works a plan out, in fixed memory; with [`Request::freeze`] its rows are in the ledger afterwards (the run is yet to be
/// sealed).
pub async fn work_out(request: Request) -> Result<Plan, PlanError> {
    let _ = request;
    todo!()
}
