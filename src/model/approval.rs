//! Approvals: who let a run go, when, and what exactly.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Period, Run, RunId};

/// `[approval]`: each occurrence waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalRule {
    /// Whether an occurrence waits for `campanile approve`.
    pub required: bool,
    /// How long an approval counts; it must still count when the first message begins.
    pub expires: Period,
}

impl Default for ApprovalRule {
    fn default() -> Self {
        Self {
            required: false,
            expires: Period::hours(48),
        }
    }
}

/// One approval. It binds to what was to be sent and to whom: for anything else it is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The run.
    pub run: RunId,
    /// The digest of the content that was approved.
    pub content_digest: String,
    /// The digest of the plan that was approved.
    pub plan_digest: String,
    /// Who.
    pub who: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which part of a run is another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Campaign, scripts or templates.
    Content,
    /// Recipients or variables.
    Plan,
    /// Both.
    Both,
}

impl Part {
    /// What of a run is another than these digests say; `None`: nothing.
    pub fn changed(content: Option<&str>, plan: Option<&str>, run: &Run) -> Option<Self> {
        let content = content != run.content_digest.as_deref();
        let plan = plan != run.plan_digest.as_deref();
        match (content, plan) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Content),
            (false, true) => Some(Self::Plan),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "the content changed",
            Self::Plan => "the plan changed",
            Self::Both => "content and plan changed",
        })
    }
}

impl Approval {
    /// What of the run is another than what was approved; `None`: it is the same.
    pub fn voided_by(&self, run: &Run) -> Option<Part> {
        Part::changed(Some(&self.content_digest), Some(&self.plan_digest), run)
    }

    /// When it no longer counts.
    pub fn expires_at(&self, rule: ApprovalRule) -> DateTime<Utc> {
        rule.expires.after(self.at)
    }

    /// Whether the run, as it is, may begin at `now`.
    pub fn counts(&self, run: &Run, rule: ApprovalRule, now: DateTime<Utc>) -> bool {
        self.voided_by(run).is_none() && now < self.expires_at(rule)
    }
}
