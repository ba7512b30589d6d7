//! Campaigns that go on as others did: `was = ["OLD"]`, and renaming back.

use std::collections::BTreeSet;

use crate::{
    control::Refused,
    engine::Engine,
    model::{CampaignId, OccurrenceName, Run},
    workspace::Entry,
};

impl Engine {
    /// Notes who goes on as whom: what the files say by `was`, and who is back of those whom others went on as.
    pub(super) async fn take_over_histories(&self) -> Result<(), Refused> {
        let snapshot = self.snapshot();
        for (id, entry) in &snapshot.campaigns {
            let was = self.ids_of(id).split_off(1);
            if was.is_empty() {
                continue;
            }
            let new = self
                .store()?
                .take_over_history(id, was, self.clock.now())
                .await?;
            if new.is_empty() {
                continue;
            }
            let names: Vec<_> = new.iter().map(CampaignId::as_str).collect();
            tracing::info!(campaign = %id, was = names.join(", "), "it goes on with the history of what it was");
            if let Entry::Ready(loaded) = entry
                && !loaded.campaign.was.is_empty()
            {
                self.clear_suspicion(id).await?;
            }
        }
        self.recall_histories().await
    }

    /// Reads from the store who goes on as whom.
    pub(in crate::engine) async fn recall_histories(&self) -> Result<(), Refused> {
        if let Some(store) = &self.store {
            *self.histories.lock() = store.histories().await?;
        }
        Ok(())
    }

    /// The campaign's id, and those of campaigns that are not there any more and that it goes on as (or that went on as it,
    /// where the renaming was taken back). Their runs, cursors and cooldowns are its own.
    pub(in crate::engine) fn ids_of(&self, id: &CampaignId) -> Vec<CampaignId> {
        let snapshot = self.snapshot();
        let pairs = self.histories.lock();
        let mut ids = vec![id.clone()];
        let mut seen = BTreeSet::from([id.clone()]);
        let mut at = 0;
        while let Some(one) = ids.get(at).cloned() {
            at += 1;
            let stated = match snapshot.campaigns.get(&one).and_then(Entry::in_force) {
                Some(loaded) => loaded.campaign.was.clone(),
                None => Vec::new(),
            };
            let noted = pairs.iter().filter_map(|(heir, was)| {
                (*heir == one)
                    .then_some(was)
                    .or((*was == one).then_some(heir))
            });
            for other in stated.iter().chain(noted) {
                if !snapshot.campaigns.contains_key(other) && seen.insert(other.clone()) {
                    ids.push(other.clone());
                }
            }
        }
        ids
    }

    /// The campaign that is there and goes on as this one: itself, where it is there.
    pub(in crate::engine) fn heir_of(&self, id: &CampaignId) -> CampaignId {
        let snapshot = self.snapshot();
        if snapshot.campaigns.contains_key(id) || self.histories.lock().is_empty() {
            return id.clone();
        }
        let is_heir = |heir: &&CampaignId| self.ids_of(heir).contains(id);
        snapshot
            .campaigns
            .keys()
            .find(is_heir)
            .unwrap_or(id)
            .clone()
    }

    /// The run of an occurrence, also where the campaign had another id then.
    pub(in crate::engine) async fn run_of_any(
        &self,
        id: &CampaignId,
        occurrence: &OccurrenceName,
    ) -> Result<Option<Run>, Refused> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        for id in self.ids_of(id) {
            if let Some(run) = store.run_of(&id, occurrence).await? {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }
}
