//! What an engine answers.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        CampaignId, Channel, Delivery, EffectCounts, EnvironmentName, OccurrenceName, Part, RunId,
        RunState, Safety, Status, Suppression, Totals,
    },
    plan::{Comparison, Explained, Plan},
};

use super::{PersonForgotten, PersonReport};

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "reply", content = "content", rename_all = "snake_case")]
pub enum Reply {
    /// Everything at a glance.
    Status(Box<StatusReport>),
    /// One run.
    Run(Box<RunStatus>),
    /// Plans, in the order they were asked for.
    Plans(Vec<Plan>),
    /// Plans beside those of a revision.
    Compared(Box<Compared>),
    /// One recipient, rule by rule.
    Explanation(Box<Explanation>),
    /// One recipient in a past run.
    Past(Box<PastExplanation>),
    /// Why a campaign has or has not started.
    Standing(Box<Standing>),
    /// A message.
    Preview(Box<Preview>),
    /// What `send` would do.
    Offer(Box<SendOffer>),
    /// A page of deliveries; empty: there are no more.
    Deliveries(Vec<Delivery>),
    /// A page of the suppression list; empty: there are no more.
    Suppressions(Vec<Suppression>),
    /// Everything that is stored about a person.
    Person(Box<PersonReport>),
    /// What was erased.
    Forgotten(PersonForgotten),
    /// How many entries changed.
    Changed(u64),
    /// It is done; in words.
    Done(String),
}

/// Everything at a glance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusReport {
    /// Whether a daemon answered (else the files and the store were read by the command itself).
    pub daemon: bool,
    /// The environment whose settings override the others.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// What the settings keep from everybody, or send elsewhere.
    #[serde(default)]
    pub safety: Safety,
    /// The campaigns, by id.
    pub campaigns: Vec<CampaignStatus>,
    /// The runs, newest first: all that are not over, and the last few that are.
    pub runs: Vec<RunStatus>,
    /// The transports; empty without a daemon.
    pub transports: Vec<TransportStatus>,
    /// Findings in the files, a line each: `campaigns/a.toml:3:7: …`.
    pub errors: Vec<String>,
}

/// What a campaign is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// It is sent when asked.
    Ready,
    /// It is due at a time to come, or a run of it waits (for a person, for its time).
    Scheduled,
    /// A run of it is planned or sent.
    Running,
    /// Its schedule is over.
    Finished,
    /// `enabled = false`.
    Disabled,
    /// Its files do not check.
    Broken,
    /// Its file is gone.
    Removed,
    /// `campanile stop`.
    Stopped,
}

impl CampaignState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Scheduled,
        Self::Running,
        Self::Finished,
        Self::Disabled,
        Self::Broken,
        Self::Removed,
        Self::Stopped,
    ];

    /// The stable name, as JSON and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Disabled => "disabled",
            Self::Broken => "broken",
            Self::Removed => "removed",
            Self::Stopped => "stopped",
        }
    }
}

/// A campaign at a glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignStatus {
    /// Its id.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: CampaignState,
    /// What is wrong with it, in one line.
    pub error: Option<String>,
    /// What is odd about it, in one line.
    #[serde(default)]
    pub warning: Option<String>,
    /// When it is due next, with the offset of its zone.
    pub next: Option<DateTime<FixedOffset>>,
    /// Its topic.
    pub topic: Option<String>,
}

/// A run at a glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStatus {
    /// Its number.
    pub id: RunId,
    /// Whose.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: OccurrenceName,
    /// What it is doing.
    pub state: RunState,
    /// Why, where it is held, paused, cancelled or failed.
    pub reason: Option<String>,
    /// What to do about it: the command that ends a hold.
    pub help: Option<String>,
    /// The plan's digest.
    pub digest: Option<String>,
    /// Deliveries by status.
    pub counts: BTreeMap<Status, u64>,
    /// Skipped deliveries by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Rows, matches, deliveries to send.
    pub totals: Totals,
    /// When it goes on by itself, where it is paused behind its first part.
    #[serde(default)]
    pub goes_on_at: Option<DateTime<Utc>>,
    /// How many of its recipients unsubscribed by the link in its messages.
    #[serde(default)]
    pub unsubscribed: u64,
    /// What follows its deliveries by `[after]`, where any of it waits or was given up.
    #[serde(default)]
    pub effects: Option<EffectCounts>,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When its first message began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// Until when it waits: until it is due, or (where it waits for an approval) until it is late; where it is sending, and its
    /// hours or its next zone's time have not come, until then.
    #[serde(default)]
    pub waits_until: Option<DateTime<Utc>>,
    /// Who approved it, and whether that counts.
    #[serde(default)]
    pub approval: Option<ApprovalStatus>,
}

/// The approval of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalStatus {
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// Whether it counts.
    pub state: ApprovalState,
    /// What changed since, where it is void.
    pub changed: Option<Part>,
}

/// Whether an approval counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It does.
    Counts,
    /// Something else was approved.
    Void,
    /// It is too old.
    Expired,
}

/// A transport at a glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransportStatus {
    /// Its name.
    pub name: String,
    /// `smtp smtp.example.org:587 (starttls)`.
    pub description: String,
    /// Connections that are open.
    pub connections: usize,
    /// Messages taken since the daemon started.
    pub sent: u64,
    /// How fast it goes, where anything limits it.
    #[serde(default)]
    pub rate: Option<RateStatus>,
    /// What is wrong: the circuit is open, until when.
    pub error: Option<String>,
}

/// The rate of a transport.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateStatus {
    /// What its settings say: `200/1s`.
    pub configured: Option<String>,
    /// How many messages a second it takes now.
    pub per_second: f64,
    /// What its server said when it was slowed down, if it is.
    pub reason: Option<String>,
}

/// `200/1s`, `12.5/s of 200/1s`, `12.5/s`.
impl std::fmt::Display for RateStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.configured, &self.reason) {
            (Some(configured), None) => f.write_str(configured),
            (Some(configured), Some(_)) => write!(f, "{:.2}/s of {configured}", self.per_second),
            (None, _) => write!(f, "{:.2}/s", self.per_second),
        }
    }
}

/// What `send` would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SendOffer {
    /// Which campaign.
    pub campaign: CampaignId,
    /// The occurrence's label.
    pub label: OccurrenceName,
    /// The environment whose settings override the others.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// What the settings keep from everybody, or send elsewhere.
    #[serde(default)]
    pub safety: Safety,
    /// The plan, where it was asked for.
    pub plan: Option<Plan>,
    /// The campaign's name.
    pub name: String,
    /// The transport of each channel, in words.
    pub ways: BTreeMap<Channel, String>,
    /// From whom: `Acme Energy <news@acme.example>`.
    pub sender: String,
    /// The audience's condition, as written.
    pub condition: Option<String>,
    /// The template's file, or `inline`.
    pub template: String,
    /// The subject of the first message; without a plan, as it is written.
    pub subject: Option<String>,
    /// The local time, with the campaign's zone.
    pub now: DateTime<FixedOffset>,
}

/// Plans beside those that the files of a revision would give.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// The revision, as it was asked for.
    pub revision: String,
    /// The commit that it is.
    pub commit: String,
    /// The campaigns, by id; those that are disabled and unchanged are left out.
    pub campaigns: Vec<ComparedCampaign>,
}

/// A campaign beside itself as it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComparedCampaign {
    /// Its id.
    pub id: CampaignId,
    /// What happened to it.
    pub change: Change,
    /// What the rest does not tell, in words.
    pub note: Option<String>,
    /// Its plan now; `None`: it is gone, disabled, or unchanged and not asked for.
    pub plan: Option<Plan>,
    /// What its plan would have been.
    pub before: Option<Before>,
    /// Who is added and dropped, where there are two plans.
    pub comparison: Option<Comparison>,
    /// What becomes of a message, where it becomes another.
    pub message: Option<MessageDiff>,
}

/// What happened to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its files, its settings or its data are others.
    Changed,
    /// Nothing.
    Unchanged,
}

impl Change {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A plan as it would have been.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Before {
    /// Of which occurrence.
    pub occurrence: OccurrenceName,
    /// Its digest.
    pub digest: String,
    /// What it counted.
    #[serde(flatten)]
    pub totals: Totals,
}

/// What becomes of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageDiff {
    /// Whose.
    pub key: String,
    /// The unified difference of subject and text, without header lines.
    pub diff: String,
    /// Subject and text are the same: the HTML is another.
    pub only_html: bool,
}

/// One recipient, rule by rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Of which occurrence.
    pub occurrence: OccurrenceName,
    /// When that is due, with the offset of the campaign's zone.
    pub at: DateTime<FixedOffset>,
    /// The rules and the outcome.
    pub explained: Explained,
    /// Why nobody gets anything, where the campaign starts nothing.
    pub starts_nothing: Option<Told>,
}

/// One recipient in a past run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PastExplanation {
    /// The recipient's key.
    pub key: String,
    /// The run.
    pub run: RunStatus,
    /// What the ledger has of the recipient; empty: it has nothing.
    pub deliveries: Vec<Delivery>,
}

/// Why a campaign has or has not started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Which.
    pub campaign: CampaignId,
    /// What it is doing, where that is known.
    pub state: Option<CampaignState>,
    /// When it is due next.
    pub next: Option<DateTime<FixedOffset>>,
    /// What there is to say, the weightiest first.
    pub told: Vec<Told>,
    /// Its runs: all that are open, and the last few.
    pub runs: Vec<RunStatus>,
}

/// One thing that there is to say of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What is.
    pub fact: String,
    /// What changes it: a command, an edit.
    pub ends: Option<String>,
    /// Whether the campaign starts nothing for it.
    pub starts_nothing: bool,
}

impl Told {
    /// The campaign starts nothing.
    pub(crate) fn stops(fact: impl Into<String>, ends: impl Into<String>) -> Self {
        Self {
            fact: fact.into(),
            ends: Some(ends.into()),
            starts_nothing: true,
        }
    }

    /// Something worth knowing.
    pub(crate) fn says(fact: impl Into<String>, ends: Option<String>) -> Self {
        Self {
            fact: fact.into(),
            ends,
            starts_nothing: false,
        }
    }
}

/// A rendered message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Preview {
    /// Whose message.
    pub key: String,
    /// Where it would go.
    pub address: String,
    /// The transport, in words.
    pub way: String,
    /// The subject, decoded.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: Option<String>,
    /// The message as it would go on the wire, UTF-8 or not.
    pub eml: Vec<u8>,
    /// Which translation it is, where the campaign has any; empty: none of them.
    #[serde(default)]
    pub locale: Option<String>,
    /// The variables, in order.
    pub variables: Vec<(String, String)>,
    /// Why this recipient would not get it now, where that is known.
    pub not_sent: Option<String>,
}

/// Why an engine does not do what it is asked.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Refused {
    /// What kind of refusal; a command's exit code follows from it.
    pub kind: RefusedKind,
    /// What, and what to do.
    pub message: String,
}

impl Refused {
    /// A refusal.
    pub fn new(kind: RefusedKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedKind {
    /// It failed at run time: exit code 1.
    Failed,
    /// There is no such campaign, run, or label: exit code 2.
    Usage,
    /// The workspace does not check: exit code 3.
    Broken,
    /// It is held, over a limit, or was sent already: exit code 5.
    Held,
}
