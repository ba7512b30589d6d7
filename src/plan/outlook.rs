//! What a plan would meet if it became a run: when it starts, what would hold it, when it would be through.

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

use crate::model::EnvironmentName;

/// What a run of a plan would meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The environment whose settings it would meet.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// When it is due, with the offset of the campaign's zone; `None`: when somebody asks.
    pub starts: Option<DateTime<FixedOffset>>,
    /// When its last message would begin, if it started then (or now, if somebody asked now); `None`: no rate, hours, zones or
    /// rollout are set, so it goes as fast as its transport takes it, or there is no end that anybody would wait for.
    pub finishes: Option<DateTime<FixedOffset>>,
    /// What sets its pace, in words; empty: nothing does.
    pub pace: String,
    /// What would hold it.
    pub holds: Vec<Hold>,
}

/// What would hold a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The reason, as `status` shows it.
    pub reason: String,
    /// Because of what, and what ends it.
    pub help: String,
}
