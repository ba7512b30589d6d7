//! What was sent before, as scripts ask for it: point look-ups in the ledger.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{Campaign, CampaignId, Identity, Recipient},
    script::History,
    store::Store,
};

/// [`History`] from the ledger. The ids that the campaign had before count as the campaign.
///
/// Its answers wait for the store: it may only be asked on a thread that may block, never on one of the runtime's own.
pub struct LedgerHistory {
    store: Arc<dyn Store>,
    runtime: Handle,
    identity: Identity,
    campaigns: Vec<CampaignId>,
}

impl LedgerHistory {
    /// `runtime` is the one that the store works on.
    pub fn new(
        store: Arc<dyn Store>,
        runtime: Handle,
        identity: Identity,
        campaign: &Campaign,
    ) -> Self {
        Self {
            store,
            runtime,
            identity,
            campaigns: ids_of(campaign),
        }
    }
}

impl History for LedgerHistory {
    fn last_sent(&self, recipient: &Recipient) -> Result<Option<DateTime<Utc>>, String> {
        let hash = self.identity.recipient(&recipient.source, &recipient.key);
        self.runtime
            .block_on(self.store.last_had(hash, &self.campaigns))
            .map_err(|error| error.to_string())
    }

    fn sent_count(&self, recipient: &Recipient, since: DateTime<Utc>) -> Result<u64, String> {
        let hash = self.identity.recipient(&recipient.source, &recipient.key);
        let mut sum = 0;
        for campaign in &self.campaigns {
            let count = self
                .runtime
                .block_on(self.store.had_count(hash, campaign, since));
            sum += count.map_err(|error| error.to_string())?;
        }
        Ok(sum)
    }
}

/// The campaign's id and those it had before, each once.
pub(super) fn ids_of(campaign: &Campaign) -> Vec<CampaignId> {
    let mut ids = vec![campaign.id.clone()];
    for id in &campaign.was {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}
