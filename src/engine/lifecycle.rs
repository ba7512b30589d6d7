//! What files that come, go, break and mend mean for campaigns and their runs.

mod history;
mod identity;
mod last_good;
mod presence;
mod standing;
mod take_over;

use std::sync::{Arc, atomic::Ordering};

use crate::{control::Refused, dispatch::Guard, model::Safety, workspace::Tree};

use super::{Engine, loading};

pub(super) use standing::{Standing, held_by_files, waits_behind_first_part};

/// What the settings keep from everybody is said loudly, also that they keep nothing any more.
fn tell_of(safety: &Safety) {
    for words in safety.in_words() {
        tracing::warn!("[safety]: {words}");
    }
    if !safety.is_on() {
        tracing::warn!("[safety]: nothing is kept from anybody any more");
    }
}

impl Engine {
    /// Says at the start what the settings keep from everybody.
    pub(crate) fn tell_of_safety(&self) {
        let safety = &self.settings().safety;
        if safety.is_on() {
            tell_of(safety);
        }
    }

    /// Takes a new tree of files into force.
    pub(crate) async fn adopt(self: &Arc<Self>, tree: Tree) -> Result<(), Refused> {
        let tree = Arc::new(tree);
        let before = Some(self.snapshot());
        let mut snapshot =
            loading::load(&self.workspace, tree.clone(), before, &self.additions).await;
        self.files_gone.store(false, Ordering::Relaxed);
        self.keep_known_ids(&mut snapshot);
        self.go_on_with_last_good(&mut snapshot, &tree).await?;
        for found in &snapshot.diagnostics {
            tracing::warn!("{found}");
        }
        if let Some(settings) = &snapshot.settings {
            match loading::links(&self.workspace, settings, self.store.as_deref(), true).await {
                Ok(links) => self.links.store(Arc::new(links)),
                Err(error) => tracing::error!(%error, "the last good secrets stay in force"),
            }
            match loading::signing(&self.workspace, settings) {
                Ok(signing) => self.signing.store(Arc::new(signing)),
                Err(error) => tracing::error!(%error, "the last good DKIM keys stay in force"),
            }
            if !self.guard.load().is_for(&settings.safety) {
                let guard = Guard::new(settings.safety.clone(), &self.identity);
                self.guard.store(Arc::new(guard));
                tell_of(&settings.safety);
            }
            self.warn_of_what_needs_a_restart(settings);
            self.settings.store(settings.clone());
        } else {
            tracing::error!(
                "the settings do not check: no run starts, the last good settings stay in force"
            );
        }
        tracing::info!(
            campaigns = snapshot.campaigns.len(),
            findings = snapshot.diagnostics.len(),
            "loaded"
        );
        let checks = snapshot.settings.is_some();
        self.snapshot.store(Arc::new(snapshot));
        self.tree.store(tree);
        self.use_ways().await;
        self.to_be_noted.store(checks, Ordering::Relaxed);
        self.note_what_is_new().await?;
        self.hold_and_release().await
    }

    /// Some settings are those of the start: another value is not taken up silently, nor ignored silently.
    fn warn_of_what_needs_a_restart(&self, new: &crate::workspace::Settings) {
        let old = self.settings();
        let changed = [
            (
                "[store] path",
                loading::store_path(&self.workspace, new) != self.store_path,
            ),
            (
                "[store] max_in_doubt",
                new.store.max_in_doubt != old.store.max_in_doubt,
            ),
            ("[web] listen", new.web.listen != old.web.listen),
            (
                "[web] admin_listen",
                new.web.admin_listen != old.web.admin_listen,
            ),
        ];
        for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(
                key,
                "campanile.toml: the new value counts from the next start of this process"
            );
        }
    }

    /// Notes what the last load found, again and again until the store has it.
    pub(crate) async fn note_what_is_new(&self) -> Result<(), Refused> {
        if self.to_be_noted.load(Ordering::Relaxed) {
            self.take_note_of_campaigns().await?;
            self.to_be_noted.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The workspace's folder is gone: everything waits, nothing is cancelled.
    pub(crate) async fn files_vanished(self: &Arc<Self>, why: &str) -> Result<(), Refused> {
        tracing::error!(
            why,
            "the workspace's files are gone: runs wait until they are back, nothing is cancelled"
        );
        let snapshot = crate::workspace::Snapshot {
            settings: None,
            campaigns: std::collections::BTreeMap::new(),
            diagnostics: crate::model::Diagnostics::new(),
        };
        self.snapshot.store(Arc::new(snapshot));
        self.files_gone.store(true, Ordering::Relaxed);
        self.hold_and_release().await
    }
}
