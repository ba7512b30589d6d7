//! An audience is worked out: who, by which channel, who not and why.
//!
//! The road of a plan, in fixed memory however large the audience:
//!
//! 1. `gather`: the sources are streamed once; evaluators on their own threads judge each row (`select`, `reach`) and make a
//!    record of each that matches (`candidate`). Records go to a sorter that spills (`spill`).
//! 2. `resolve`: in the order of recipients, duplicate keys, suppressions and cooldown are found by merging (`suppressed`,
//!    `cooldown`, `cap`, `earlier`); then, in the order of addresses, suppressions, the cap and duplicate addresses.
//! 3. `settle`: in the order of recipients again, every record becomes a row of the ledger, and the digest, the counts and
//!    the sample are made (`freeze` writes the rows meanwhile).
//!
//! `one` does the same for a single recipient. `funnel` counts who is left after each step, `compare` lays two plans beside
//! each other (`fate`: what became of every row), `outlook` says what a plan would meet as a run, `explain` tells one
//! recipient's way through all rules.

mod candidate;
mod cap;
mod change;
mod compare;
mod cooldown;
mod digest;
mod earlier;
mod explain;
mod fate;
mod freeze;
mod funnel;
mod gather;
mod history;
mod merge;
mod one;
mod outlook;
mod reach;
mod resolve;
mod rules;
mod sample;
mod select;
mod settle;
mod spill;
mod suppressed;
mod survey;
#[cfg(test)]
mod tests;
mod zones;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::{
    message::payload::Layout,
    model::{
        Campaign, CampaignId, Channel, HoldReason, Identity, Occurrence, OccurrenceName, Rate,
        RunId, Safety, Schema, SkipReason, Totals, Value,
    },
    script::{History, NoHistory, RunFacts},
    source::{Source, SourceError},
    store::{Lease, Store, StoreError},
    workspace::Loaded,
};

pub use change::changed_too_much;
pub(crate) use compare::compare;
pub use compare::{Cause, Comparison, Moved, Why};
pub use explain::{Explained, Outcome, Rule, Verdict, explain};
pub use funnel::{Step, StepKind};
pub use history::LedgerHistory;
pub use one::{Checked, Found, check_given, check_one, first_matching};
pub use outlook::{Hold, Outlook};
pub use reach::{Address, Unreachable, Way};
pub use survey::{Counted, Survey, Surveyed, find, survey};
pub use zones::{ZoneShare, Zoned};

use fate::Everybody;
use gather::{Job, Limits, Origin, Worked};
use rules::{Look, Rules};
use select::Selectors;
use zones::ZoneTable;

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
    /// What no campaign can escape: of the settings in force, whatever files the campaign is pinned to.
    pub safety: Safety,
    /// What was sent before and who is suppressed; `None`: there is no store yet.
    pub store: Option<Arc<dyn Store>>,
    /// Campaigns that share the cooldown with this one: those of its `cooldown_group`.
    pub companions: Vec<CampaignId>,
    /// How much marketing anybody may have, over all campaigns; transactional ones are not under it.
    pub cap: Option<Rate>,
    /// Where the plan is frozen; `None`: nowhere, it is only looked at.
    pub freeze: Option<(Lease, RunId)>,
    /// The layout that the run was opened with ([`layout`]): payloads are made for it, and a source that has lost one of its
    /// columns since is an error. `None`: the layout of the sources as they are now.
    pub layout: Option<Layout>,
    /// The zones of recipients, where they count.
    pub zoned: Option<Zoned>,
    /// How many recipients the sample has.
    pub sample: usize,
    /// Ids that the campaign had before, beside those that its file names.
    pub was: Vec<CampaignId>,
    /// Told how far it is, where somebody watches.
    pub progress: Option<Arc<Progress>>,
}

/// How far planning is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows read from the sources.
    pub rows: AtomicU64,
    /// Deliveries that the last pass has settled, of [`Progress::records`].
    pub settled: AtomicU64,
    /// Deliveries there are to settle; 0 while rows are still read.
    pub records: AtomicU64,
}

/// The audience of one occurrence, worked out.
///
/// The numbers add up: every row that matched ends in a delivery, which is either sent or skipped with a reason. Where a
/// recipient gets one delivery, `matched` is `to_send` and all of `skipped` but `invalid_row` and `unknown_key`: rows that
/// could not be read, and keys that have no row, matched nothing. A row on which the condition itself failed counts as matched.
/// Rows that did not match are in `total` only.
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
    /// Matching recipients by the translation they get, `""` for what was written first; empty where nothing is translated.
    #[serde(default)]
    pub by_locale: BTreeMap<String, u64>,
    /// Deliveries that are not sent, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// The zones of those that are sent to, where they count, in the order in which they open.
    #[serde(default)]
    pub zones: Vec<ZoneShare>,
    /// How many have a zone that is not known, and count as in the default one.
    #[serde(default)]
    pub unknown_zones: u64,
    /// Some of those that are sent to.
    pub sample: Vec<Sample>,
    /// The first 20 script errors, invalid rows and unknown keys, in words.
    pub problems: Vec<String>,
    /// Why a run with this plan would be held, if it would.
    pub hold: Option<HoldReason>,
    /// What the settings keep from everybody, or send elsewhere.
    #[serde(default)]
    pub safety: Safety,
    /// Who is left after each clause of the condition and each rule, where that was asked for.
    #[serde(default)]
    pub funnel: Vec<Step>,
    /// What a run with this plan would meet, where that was asked for.
    #[serde(default)]
    pub outlook: Option<Outlook>,
    /// The same in words, where the reason's name does not say it all.
    #[serde(default)]
    pub hold_words: Option<String>,
}

impl Plan {
    /// A reason to hold a run with this plan as the ledger keeps it: the words of the plan's own stand behind it.
    pub fn held_as(&self, hold: HoldReason) -> String {
        match &self.hold_words {
            Some(words) if self.hold == Some(hold) => format!("{hold}: {words}"),
            _ => hold.to_string(),
        }
    }
}

/// One recipient of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// The names of the values that the campaign's messages need of each recipient, from sources with these columns: what
/// [`Store::open_run`] and [`Request::layout`] are given.
pub fn layout(loaded: &Loaded, schemas: &[Arc<Schema>]) -> Layout {
    let Some(email) = &loaded.email else {
        return Layout::default();
    };
    let mut columns: Vec<&str> = Vec::new();
    for name in schemas.iter().flat_map(|schema| schema.names()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let variables = loaded.campaign.variables.iter();
    Layout::new(
        email.needs(),
        columns,
        variables.map(|variable| variable.name.as_str()),
    )
}

/// Works a plan out, in fixed memory; with [`Request::freeze`] its rows are in the ledger afterwards (the run is yet to be
/// sealed). After an error the run is to be discarded. A future that is dropped before it is ready stops soon and leaves no
/// temporary file. Takes a few of the runtime's blocking threads: one for each evaluator, and one.
pub async fn work_out(request: Request) -> Result<Plan, PlanError> {
    Ok(work(request, None).await?.plan)
}

/// Works a plan out that has a funnel. Otherwise the same.
pub async fn work_out_with_funnel(request: Request) -> Result<Plan, PlanError> {
    Ok(work(request, Some(Fates::Forgotten)).await?.plan)
}

/// Works a plan out that is only looked at, and says what became of everybody: for [`compare`].
pub(crate) async fn work_out_everybody(request: Request) -> Result<(Plan, Everybody), PlanError> {
    let clauses = request.loaded.program.clauses().to_vec();
    let Worked { plan, fates } = work(request, Some(Fates::Kept)).await?;
    let fates = fates.expect("they were asked for");
    Ok((plan, Everybody { fates, clauses }))
}

/// What becomes of what is known of those who are not in the plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fates {
    Kept,
    Forgotten,
}

/// With `look`, the plan has a funnel.
async fn work(request: Request, look: Option<Fates>) -> Result<Worked, PlanError> {
    let origins = origins(&request).await?;
    let frozen_layout = match (&request.freeze, &request.layout) {
        // Nothing is frozen: no payload is made, and the sample carries the variables.
        (None, _) => None,
        (Some(_), Some(layout)) => {
            gather::check_layout(layout, &origins)?;
            Some(layout.clone())
        }
        (Some(_), None) => {
            let schemas: Vec<_> = origins.iter().map(|origin| origin.schema.clone()).collect();
            Some(layout(&request.loaded, &schemas))
        }
    };
    let mut rules = Rules::new(
        campaign(&request),
        frozen_layout,
        request.identity.clone(),
        request.safety.clone(),
        request.sample > 0,
    );
    rules.look = look.map(|fates| Look {
        clauses: request.loaded.program.clauses().to_vec(),
        fates: fates == Fates::Kept,
    });
    gather::carry_out(Job {
        rules: Arc::new(
            rules
                .beside(request.companions.clone())
                .capped(request.cap)
                .with_zones(request.zoned.clone().map(ZoneTable::new)),
        ),
        origins,
        selectors: selectors(&request),
        occurrence: request.occurrence.name.clone(),
        now: request.now,
        store: request.store.clone(),
        freeze: request.freeze,
        sample: request.sample,
        progress: request.progress.clone().unwrap_or_default(),
        limits: Limits::default(),
    })
    .await
}

/// The campaign with all the ids that it had.
fn campaign(request: &Request) -> Campaign {
    let mut campaign = request.loaded.campaign.clone();
    campaign.was.extend(request.was.iter().cloned());
    campaign
}

/// The sources with their names and columns.
async fn origins(request: &Request) -> Result<Vec<Origin>, SourceError> {
    let names = &request.loaded.campaign.audience.sources;
    let mut origins = Vec::with_capacity(names.len());
    for (name, source) in names.iter().zip(&request.sources) {
        origins.push(Origin {
            name: name.clone(),
            source: source.clone(),
            schema: Arc::new(source.describe().await?),
        });
    }
    Ok(origins)
}

/// What makes an evaluator of the campaign's program for each thread. Must be called within a runtime.
fn selectors(request: &Request) -> Selectors {
    let facts = RunFacts {
        campaign: request.loaded.campaign.id.clone(),
        occurrence: request.occurrence.name.clone(),
        now: request.now,
        zone: request.loaded.zone.clone(),
    };
    let history: Arc<dyn History> = match &request.store {
        Some(store) => Arc::new(LedgerHistory::new(
            store.clone(),
            Handle::current(),
            request.identity.clone(),
            &campaign(request),
        )),
        None => Arc::new(NoHistory),
    };
    let loaded = request.loaded.clone();
    Arc::new(move || Box::new(loaded.program.evaluator(&facts, history.clone())))
}
