//! The cap over all marketing campaigns: who had as many messages as anybody may have in its time. By recipient this is a merge
//! with the runs of that time; by address each page of the sorted audience is looked up in one go.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{AddressHash, OccurrenceName, Purpose, RunId},
    store::{RunFilter, Store, StoreError},
};

use super::{earlier::EarlierRuns, rules::Rules};

/// What a campaign's audience had before, where the settings have a cap and the campaign is under it.
pub(super) struct Capped {
    store: Arc<dyn Store>,
    runtime: Handle,
    most: u64,
    since: DateTime<Utc>,
    recipients: EarlierRuns,
}

impl Capped {
    /// For an occurrence of the campaign that is planned at `now`. `None`: there is no cap, or nothing was sent.
    pub(super) fn new(
        store: Option<&Arc<dyn Store>>,
        runtime: &Handle,
        rules: &Rules,
        occurrence: &OccurrenceName,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(cap), Some(store)) = (rules.cap, store) else {
            return Ok(None);
        };
        let since = cap.per.before(now);
        let filter = RunFilter {
            purpose: Some(Purpose::Marketing),
            at_work_since: Some(since),
            ..RunFilter::default()
        };
        let runs = runtime.block_on(store.runs(filter))?;
        let runs: Vec<RunId> = runs
            .into_iter()
            .filter(|run| run.started_at.is_some())
            .filter(|run| run.campaign != rules.campaign.id || run.occurrence != *occurrence)
            .map(|run| run.id)
            .collect();
        let recipients = EarlierRuns::new(Some(store.clone()), runtime.clone(), runs, Some(since));
        Ok(Some(Self {
            store: store.clone(),
            runtime: runtime.clone(),
            most: u64::from(cap.count),
            since,
            recipients,
        }))
    }

    /// Whether the recipient with this hash has had enough. Hashes must come in order; the same may come again.
    pub(super) fn recipient(&mut self, hash: [u8; 16]) -> Result<bool, StoreError> {
        Ok(self.recipient_had(hash)? >= self.most)
    }

    /// How many that recipient had, under the same rule.
    pub(super) fn recipient_had(&mut self, hash: [u8; 16]) -> Result<u64, StoreError> {
        self.recipients.had(hash)
    }

    /// How many one address had.
    pub(super) fn address_had(&self, address: AddressHash) -> Result<u64, StoreError> {
        let had = self.store.had_by_address(vec![address], self.since);
        Ok(self.runtime.block_on(had)?.into_iter().sum())
    }

    /// How many more each of these addresses may have. They come sorted.
    pub(super) fn left(
        &self,
        addresses: impl Iterator<Item = [u8; 16]>,
    ) -> Result<Vec<u64>, StoreError> {
        let addresses = addresses.map(AddressHash).collect();
        let had = self.store.had_by_address(addresses, self.since);
        let had = self.runtime.block_on(had)?;
        Ok(had
            .into_iter()
            .map(|had| self.most.saturating_sub(had))
            .collect())
    }
}
