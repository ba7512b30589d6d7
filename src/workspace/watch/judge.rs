//! Deciding from what the looks see when something has changed.

use std::{io, time::Duration};

use tokio::time::Instant;

use super::Change;
use crate::workspace::{Tree, campaign, look::Reading};

/// How often the workspace is looked over where no event says so.
const EVERY: Duration = Duration::from_secs(1);
/// Two looks this far apart must agree.
const SETTLE: Duration = Duration::from_millis(100);
/// The same where it looks like the middle of something: a file was emptied, the campaigns are gone.
const SETTLE_SUSPICIOUS: Duration = Duration::from_secs(1);
/// A workspace that changes all the time is mentioned in the log this often.
const RESTLESS: Duration = Duration::from_secs(30);

/// Decides from what the looks see when something has changed.
pub(super) struct Judge {
    /// What was handed out last.
    known: Change,
    /// What the last look saw, where that is something else, and since when.
    waiting: Option<(Change, Instant)>,
    /// Since when the workspace has not come to rest.
    restless_since: Option<Instant>,
    /// The file system the campaigns folder lay on when campaigns were in it.
    device: Option<u64>,
}

impl Judge {
    pub(super) fn new(known: Tree) -> Self {
        Self {
            known: Change::Tree(known),
            waiting: None,
            restless_since: None,
            device: None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Weighs one look: what is to be handed out, and how long to wait for the next look.
    pub(super) fn weigh(
        &mut self,
        seen: io::Result<Reading>,
        now: Instant,
    ) -> (Option<Change>, Duration) {
        let seen = self.name(seen);
        if seen.is_same(&self.known) {
            self.waiting = None;
            self.restless_since = None;
            return (None, EVERY);
        }
        let settle = self.settle(&seen);
        match &self.waiting {
            Some((before, since)) if before.is_same(&seen) => {
                let left = settle.saturating_sub(now.saturating_duration_since(*since));
                if !left.is_zero() {
                    return (None, left);
                }
            }
            _ => {
                self.waiting = Some((seen, now));
                let since = *self.restless_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= RESTLESS {
                    self.restless_since = Some(now);
                    tracing::warn!(
                        "the workspace's files keep changing; they are loaded when they come to rest"
                    );
                }
                return (None, settle.min(SETTLE));
            }
        }
        self.waiting = None;
        self.restless_since = None;
        self.known = seen.clone();
        (Some(seen), EVERY)
    }

    /// What a look means.
    fn name(&mut self, seen: io::Result<Reading>) -> Change {
        let reading = match seen {
            Ok(reading) => reading,
            Err(error) => return Change::Vanished(error.to_string()),
        };
        let has_campaigns = |tree: &Tree| tree.paths_in(campaign::FOLDER, ".toml").next().is_some();
        let device = reading.folders.get("campaigns").map(|folder| folder.device);
        let were_there = match &self.known {
            Change::Tree(tree) => has_campaigns(tree),
            Change::Vanished(_) => true,
        };
        if has_campaigns(&reading.tree) {
            self.device = device;
        } else if were_there && device.is_none() {
            return Change::Vanished("there is no folder campaigns".to_owned());
        } else if were_there && self.device.is_some() && device != self.device {
            return Change::Vanished("the folder campaigns is not mounted".to_owned());
        }
        Change::Tree(reading.tree)
    }

    /// How long `seen` must stay as it is.
    fn settle(&self, seen: &Change) -> Duration {
        match (seen, &self.known) {
            (Change::Vanished(_), _) => SETTLE_SUSPICIOUS,
            (Change::Tree(tree), Change::Tree(known)) if tree.emptied_since(known) => {
                SETTLE_SUSPICIOUS
            }
            _ => SETTLE,
        }
    }
}
