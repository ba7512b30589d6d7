//! One due time of a campaign.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The name of an occurrence: its scheduled local time (`2026-12-01`, or `2026-10-25T02:30+01:00` where occurrences are
/// shorter than a day apart), `now`, or a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OccurrenceName(String);

impl OccurrenceName {
    /// A label as the user gave it. It may have letters, digits and `-_.:+`, at most 100 bytes.
    pub fn label(text: &str) -> Result<Self, &'static str> {
        let allowed = |c: char| c.is_alphanumeric() || "-_.:+".contains(c);
        if text.is_empty() || text.len() > 100 || !text.chars().all(allowed) {
            return Err("a label has 1 to 100 letters, digits or any of - _ . : +");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OccurrenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One due time, with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Its name: with the campaign's id, the key of a run.
    pub name: OccurrenceName,
    /// When it is due.
    pub due: DateTime<Utc>,
}
