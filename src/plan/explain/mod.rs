//! One recipient, rule by rule: what each saw, and what it said. The rules stand in the order in which a plan applies them, and
//! those that need the whole audience are looked up in it.

mod rows;
mod story;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use self::{
    rows::{rows_of, twin},
    story::Story,
};
use super::{PlanError, Request, gather::gone, one::Checker};
use crate::{
    model::{Channel, Dedupe, SkipReason, SourceName},
    store::StoreError,
};

/// One recipient, explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// Its key.
    pub key: String,
    /// Where it comes from; `None`: no source has it.
    pub source: Option<SourceName>,
    /// Each rule in turn.
    pub rules: Vec<Rule>,
    /// What it comes to.
    pub outcome: Outcome,
}

/// What one rule says of a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name: `where`, `cooldown`.
    pub rule: String,
    /// What the file says, where it says something: a clause, an expression.
    pub text: Option<String>,
    /// What it says of the recipient.
    pub verdict: Verdict,
    /// Why, in words; a value.
    pub detail: String,
    /// The fields it read, and their values.
    pub saw: Vec<(String, String)>,
}

/// What a rule says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It lets it through.
    Passed,
    /// It stops it.
    Stopped,
    /// An earlier rule stopped it: this one was not asked.
    NotAsked,
}

/// What becomes of a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gets it.
    Included {
        /// How.
        channel: Channel,
        /// Where.
        address: String,
    },
    /// It is of the audience, and is skipped.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// Details.
        detail: Option<String>,
    },
    /// It is not of the audience.
    NoMatch,
    /// No source has it.
    Unknown,
}

/// Explains what becomes of the recipient with a key. Nothing is frozen.
pub async fn explain(request: &Request, key: &str) -> Result<Explained, PlanError> {
    let checker = Checker::of(request);
    let rows = rows_of(&checker, key).await?;
    let mut story = Story::of(key);
    if rows.good.is_empty() {
        story.tell_missing(&checker, rows);
        return Ok(story.explained);
    }
    let loaded = request.loaded.clone();
    let weighing = checker.clone();
    let told = spawn_blocking(move || {
        let told = story.tell_row(&weighing, &loaded, rows)?;
        Ok::<_, StoreError>((story, told))
    });
    let (mut story, told) = told.await.map_err(gone)??;
    if let (Outcome::Included { .. }, Dedupe::Address) = (
        &story.explained.outcome,
        checker.rules.campaign.audience.dedupe,
    ) {
        let twin = twin(&checker, &told).await?;
        story.tell_twin(twin);
    }
    Ok(story.explained)
}
