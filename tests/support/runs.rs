//! What the tests ask a workspace about its campaigns and runs.

use serde_json::Value;

use super::{Workspace, wait_for};

impl Workspace {
    /// `status --json`
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(["status", "--json"]).json()
    }

    /// All runs of a campaign, newest first.
    #[track_caller]
    pub fn runs_of(&self, campaign: &str) -> Vec<Value> {
        let status = self.status();
        let runs = status["runs"].as_array().unwrap().iter();
        runs.filter(|run| run["campaign"] == campaign)
            .cloned()
            .collect()
    }

    /// The newest run of a campaign; null where it has none.
    #[track_caller]
    pub fn run_of(&self, campaign: &str) -> Value {
        self.runs_of(campaign)
            .into_iter()
            .next()
            .unwrap_or_default()
    }

    /// The newest run of a campaign, once it is in a state.
    #[track_caller]
    pub fn wait_state(&self, campaign: &str, state: &str) -> Value {
        wait_for(&format!("{campaign} to be {state}"), || {
            let run = self.run_of(campaign);
            (run["state"] == state).then_some(run)
        })
    }

    /// The newest run of a campaign, once it is held for a reason.
    #[track_caller]
    pub fn wait_held(&self, campaign: &str, reason: &str) -> Value {
        wait_for(&format!("{campaign} to be held as {reason}"), || {
            let run = self.run_of(campaign);
            let is = run["state"] == "held"
                && run["reason"]
                    .as_str()
                    .is_some_and(|why| why.split(':').next() == Some(reason));
            is.then_some(run)
        })
    }

    /// A campaign as `status` shows it.
    #[track_caller]
    pub fn campaign_status(&self, id: &str) -> Value {
        let status = self.status();
        let campaigns = status["campaigns"].as_array().unwrap();
        let found = campaigns.iter().find(|campaign| campaign["id"] == id);
        found.cloned().unwrap_or_default()
    }
}
