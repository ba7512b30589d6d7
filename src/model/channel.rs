//! The media.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::section::from_toml_string;

/// The medium a message goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Email (RFC 5322).
    Email,
    /// A text message to a mobile phone.
    Sms,
    /// A letter on paper.
    Letter,
}

impl Channel {
    /// All channels, in the order of [`Channel::index`].
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Letter];

    /// A small stable number, as the store keeps it.
    pub fn index(self) -> u8 {
        self as u8
    }

    /// The channel with that number.
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }

    /// `email`, `sms` or `letter`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Letter => "letter",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
            .ok_or("expected \"email\", \"sms\" or \"letter\"")
    }
}

from_toml_string!(Channel);
