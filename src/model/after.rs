//! `[after]`: what follows a delivery that was sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Excerpt, SecretRef};

/// What follows a delivery that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// A statement on the campaign's SQLite source.
    pub update: Option<Excerpt>,
    /// A call of another program.
    pub webhook: Option<Webhook>,
}

/// A call of another program: a signed POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where: `https`, or `http` on this machine.
    pub url: String,
    /// What the signature is made with.
    pub secret: SecretRef,
}

impl After {
    /// What is to be done for each delivery.
    pub fn kinds(&self) -> Vec<EffectKind> {
        let update = self.update.as_ref().map(|_| EffectKind::Update);
        let webhook = self.webhook.as_ref().map(|_| EffectKind::Webhook);
        update.into_iter().chain(webhook).collect()
    }
}

/// What is done for a delivery that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    /// `[after] update`
    Update,
    /// `[after] webhook`
    Webhook,
}

impl EffectKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Update, Self::Webhook];

    /// Its key in `[after]`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Webhook => "webhook",
        }
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The names of the parameters that `[after] update` may have, behind a colon.
pub const UPDATE_PARAMETERS: [&str; 7] = [
    "key",
    "address",
    "at",
    "run",
    "campaign",
    "occurrence",
    "delivery",
];

/// What follows the deliveries of a run, at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectCounts {
    /// How many are still to be done.
    pub waiting: u64,
    /// How many were given up.
    pub failed: u64,
    /// Why one of them was not done.
    pub words: Option<String>,
}
