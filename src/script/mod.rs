//! Rhai, sandboxed: conditions and variables over recipients, with the strict rules of Campanile. No Rhai type leaves this
//! room.
//!
//! A [`Library`] holds the compiled scripts of a workspace, a [`Program`] the condition and the variables of one campaign with
//! the workspace's policy, an [`Evaluator`] puts recipients through it. [`functions`] has everything a script may call. How strict it is:
//!
//! - Values of different types don't compare; integers and decimals are one type here. `in`, `contains` and the elements of
//!   lists and maps go by the same rule.
//! - An empty cell is `()` (of a text `""`, of a list `[]`). `r.x == ()` and `r.x != ()` ask whether it is empty, `r.x ?? 0`
//!   says what counts instead; in everything else an empty value is an error.
//! - A field that the source does not have is an error.
//! - All decimals are exact. A division of two integers gives an integer, as in Rhai.

mod added;
mod brackets;
mod budget;
mod check;
pub mod definitions;
mod error;
mod evaluator;
pub mod functions;
mod library;
mod operators;
mod policy;
mod program;
mod record;
mod sandbox;
mod syntax;
#[cfg(test)]
mod tests;
mod value;

use chrono::{DateTime, Utc};

pub use added::{AddedFunctions, AnyFunction, Given, HostFunction, Parameter};
pub use error::ScriptError;
pub use evaluator::Evaluator;
pub use library::Library;
pub use program::Program;

use crate::model::{CampaignId, OccurrenceName, Recipient, Zone};

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
