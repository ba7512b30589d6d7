//! `on_broken = "last_good"`: files that do not check go on as the last ones that did. Those are kept in the store, so that a
//! restart finds them. The policy is not one of them: what holds for everybody is what stands there now.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    control::Refused,
    engine::{Engine, loading::blocking},
    model::{CampaignId, Diagnostics, OnBroken},
    workspace::{self, Broken, Entry, Loaded, POLICY_FILE, Snapshot, Tree},
};

/// The setting under which the hashes of the kept files stand, by campaign.
const KEPT: &str = "last_good";

impl Engine {
    /// Gives broken campaigns what they go on with.
    pub(in crate::engine) async fn go_on_with_last_good(
        &self,
        snapshot: &mut Snapshot,
        tree: &Tree,
    ) -> Result<(), Refused> {
        let is_broken = |entry: &Entry| matches!(entry, Entry::Broken(_));
        // With broken settings no run starts, whatever a campaign says.
        if snapshot.settings.is_none() || !snapshot.campaigns.values().any(is_broken) {
            return Ok(());
        }
        let (before, kept) = (self.snapshot(), self.kept_files().await?);
        for (id, entry) in &mut snapshot.campaigns {
            let Entry::Broken(broken) = entry else {
                continue;
            };
            let last = match before.campaigns.get(id).and_then(Entry::in_force) {
                Some(loaded) => Some(loaded.clone()),
                None => match kept.get(id) {
                    Some(hash) => self.load_kept(id, hash).await?,
                    None => None,
                },
            };
            let last = last.filter(|last| last.campaign.on_broken == OnBroken::LastGood);
            let last = match last {
                Some(last) => self.under_policy_of(last, tree).await,
                None => None,
            };
            if let Some(last) = last {
                tracing::warn!(campaign = %id, "its files do not check: it goes on with the last ones that did");
                *entry = Entry::Broken(Arc::new(Broken {
                    id: broken.id.clone(),
                    path: broken.path.clone(),
                    diagnostics: broken.diagnostics.clone(),
                    last_good: Some(last),
                }));
            }
        }
        Ok(())
    }

    /// Keeps the files of those who would go on with them.
    pub(super) async fn keep_good_files(&self) -> Result<(), Refused> {
        let (snapshot, mut kept) = (self.snapshot(), self.kept_files().await?);
        let before = kept.clone();
        for (id, entry) in &snapshot.campaigns {
            let Entry::Ready(loaded) = entry else {
                continue;
            };
            if loaded.campaign.on_broken == OnBroken::Hold {
                kept.remove(id);
                continue;
            }
            let files = loaded.files.clone();
            let (hash, bytes) = blocking(move || (files.hash(), files.to_bytes())).await;
            if kept.get(id) != Some(&hash) {
                self.store()?.keep_bundle(&hash, &bytes).await?;
                kept.insert(id.clone(), hash);
            }
        }
        if kept != before {
            // A map of texts always serializes.
            let text = serde_json::to_vec(&kept).unwrap_or_default();
            self.store()?.set_setting(KEPT, &text).await?;
        }
        Ok(())
    }

    async fn kept_files(&self) -> Result<BTreeMap<CampaignId, String>, Refused> {
        let Some(store) = &self.store else {
            return Ok(BTreeMap::new());
        };
        let kept = store.setting(KEPT).await?;
        Ok(kept
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default())
    }

    async fn load_kept(&self, id: &CampaignId, hash: &str) -> Result<Option<Arc<Loaded>>, Refused> {
        let Some(bytes) = self.store()?.bundle(hash).await? else {
            return Ok(None);
        };
        let files = blocking(move || Tree::from_bytes(&bytes).ok()).await;
        Ok(match files {
            Some(files) => self.load_good(id, files).await.ok(),
            None => None,
        })
    }

    /// The last good files under the policy of now; `None`: they do not check with it, and are held.
    async fn under_policy_of(&self, last: Arc<Loaded>, tree: &Tree) -> Option<Arc<Loaded>> {
        if last.has_policy_of(tree) {
            return Some(last);
        }
        let id = &last.campaign.id;
        let files = last.files.with_file_of(POLICY_FILE, tree);
        match self.load_good(id, files).await {
            Ok(loaded) => Some(loaded),
            Err(found) => {
                let first = found.iter().next().map(ToString::to_string);
                tracing::warn!(
                    campaign = %id, error = first.unwrap_or_default(),
                    "the last good files do not check under the policy as it is now"
                );
                None
            }
        }
    }

    async fn load_good(&self, id: &CampaignId, files: Tree) -> Result<Arc<Loaded>, Diagnostics> {
        let (id, folder) = (id.clone(), self.workspace.clone());
        let added = self.additions.clone();
        blocking(move || workspace::load_pinned(&files, &id, &folder, &BTreeMap::new(), &added))
            .await
            .map(Arc::new)
    }
}
