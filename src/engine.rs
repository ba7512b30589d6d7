//! The engine: what an embedding program holds. It ties the rooms together.

use std::{path::Path, sync::Arc};

use crate::{
    control::{Command, Refused, Reply, StatusReport},
    message::links::Claim,
    model::Topic,
    workspace::Snapshot,
};

/// An open workspace with its store.
pub struct Engine {}

impl Engine {
    /// Loads the workspace's files as they are now, sources' headers included; no store is needed or made.
    pub async fn check(workspace: &Path) -> Result<Arc<Snapshot>, Refused> {
        let _ = workspace;
        todo!()
    }

    /// Carries a command out.
    pub async fn execute(self: &Arc<Self>, command: Command) -> Result<Reply, Refused> {
        let _ = command;
        todo!()
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        todo!()
    }

    /// Everything at a glance.
    pub async fn status(&self) -> Result<StatusReport, Refused> {
        todo!()
    }

    /// Whether runs can be planned and sent: the settings check and the store answers. For `/readyz`; the error says why not.
    pub async fn ready(&self) -> Result<(), String> {
        todo!()
    }

    // ---- the way out: what the public pages ask ----

    /// What a token of a link says, if it is one of ours.
    pub fn claim(&self, token: &str) -> Option<Claim> {
        let _ = token;
        todo!()
    }

    /// The topic of a claim, where the settings still have it.
    pub fn topic(&self, claim: &Claim) -> Option<Topic> {
        let _ = claim;
        todo!()
    }

    /// The sender's name to show on public pages: that of the only sender, else of the claim's campaign.
    pub fn sender_name(&self, claim: &Claim) -> Option<String> {
        let _ = claim;
        todo!()
    }

    /// Whether the claim's address or recipient is unsubscribed from its topic, and from everything.
    pub async fn unsubscribed(&self, claim: &Claim) -> Result<(bool, bool), Refused> {
        let _ = claim;
        todo!()
    }

    /// Unsubscribes address and recipient of a claim from its topic, or from everything. Counts at once.
    pub async fn unsubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        let _ = (claim, scope);
        todo!()
    }

    /// Takes an unsubscription back (the undo of its page); other suppressions stay.
    pub async fn resubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        let _ = (claim, scope);
        todo!()
    }
}

/// What somebody unsubscribes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptOut {
    /// The topic of the message.
    Topic,
    /// Everything.
    All,
}
