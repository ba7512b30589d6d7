//! Rhai, sandboxed: conditions and variables over recipients, with the strict rules of Campanile. No Rhai type leaves this
//! room.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::model::{
    Campaign, CampaignId, Diagnostics, OccurrenceName, Place, Recipient, Schema, SourceFile, Value,
    Zone,
};

/// The compiled `scripts/*.rhai` of a workspace with the host's functions. Cloning is cheap.
#[derive(Clone)]
pub struct Library {}

impl Library {
    /// Compiles every script; `scripts/renewal.rhai` is the module `renewal`.
    pub fn compile(scripts: &[SourceFile]) -> (Self, Diagnostics) {
        let _ = scripts;
        todo!()
    }
}

/// The condition and the variables of one campaign, compiled.
#[derive(Clone)]
pub struct Program {}

impl Program {
    /// Compiles them. `schemas` are the columns of the campaign's sources: a literal `r.field` that none of them has is an
    /// error; an empty slice (the source can't be read now) checks no fields.
    pub fn compile(
        library: &Library,
        campaign: &Campaign,
        schemas: &[Arc<Schema>],
    ) -> (Option<Self>, Diagnostics) {
        let _ = (library, campaign, schemas);
        todo!()
    }

    /// The names of the variables, in order.
    pub fn variable_names(&self) -> &[String] {
        todo!()
    }

    /// The condition split at its top-level `&&`, as text, for the funnel; empty where there is no condition.
    pub fn clauses(&self) -> &[String] {
        todo!()
    }

    /// What evaluates it for one run; make one per thread.
    pub fn evaluator(&self, facts: &RunFacts, history: Arc<dyn History>) -> Evaluator {
        let _ = (facts, history);
        todo!()
    }
}

/// What scripts know of the run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The campaign.
    pub campaign: CampaignId,
    /// The occurrence's name.
    pub occurrence: OccurrenceName,
    /// The run's moment: what `now()` gives.
    pub now: DateTime<Utc>,
    /// The campaign's zone: `today()` is the date here.
    pub zone: Zone,
}

/// What was sent before, for `last_sent(r)` and `sent_count(r, "30d")`. Looked up only where a script asks.
pub trait History: Send + Sync {
    /// When the recipient last had this campaign.
    fn last_sent(&self, recipient: &Recipient) -> Result<Option<DateTime<Utc>>, String>;
    /// How many messages of this campaign the recipient had since.
    fn sent_count(&self, recipient: &Recipient, since: DateTime<Utc>) -> Result<u64, String>;
}

/// The history of somebody who never had anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHistory;

impl History for NoHistory {
    fn last_sent(&self, _: &Recipient) -> Result<Option<DateTime<Utc>>, String> {
        Ok(None)
    }

    fn sent_count(&self, _: &Recipient, _: DateTime<Utc>) -> Result<u64, String> {
        Ok(0)
    }
}

/// Evaluates a [`Program`] on recipients, one after the other.
pub struct Evaluator {}

impl Evaluator {
    /// Whether the condition holds. With `Err` the recipient must not be sent to.
    pub fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
        let _ = recipient;
        todo!()
    }

    /// Which clauses of [`Program::clauses`] hold, up to and including the first that does not.
    pub fn clauses_hold(&mut self, recipient: &Recipient) -> Result<usize, ScriptError> {
        let _ = recipient;
        todo!()
    }

    /// The values of the variables, in order.
    pub fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
        let _ = recipient;
        todo!()
    }
}

/// A script that failed on a recipient.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ScriptError {
    /// What happened.
    pub message: String,
    /// Where: in the TOML file or in a script.
    pub place: Place,
}
