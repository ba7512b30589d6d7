//! What a run is pinned to: the files its campaign is made of, and their digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{Additions, Entry, Loaded, Tree, look::SETTINGS, settings::Kinds, snapshot};
use crate::model::{
    CampaignId, Diagnostic, Diagnostics, Place, Schema, Sender, SourceFile, SourceName, Topic, Zone,
};

/// The files of one campaign, by path.
pub(super) struct Parts<'a> {
    pub(super) campaign: &'a str,
    pub(super) scripts: BTreeSet<&'a str>,
    /// Templates, lists of keys, attachments, pictures.
    pub(super) texts: BTreeSet<&'a str>,
}

/// The files that load the campaign again as it is now: the settings are among them.
pub(super) fn files(tree: &Tree, parts: &Parts<'_>) -> Tree {
    let own = [SETTINGS, parts.campaign].into_iter();
    let own = own.chain(tree.override_file());
    tree.subset(own.chain(parts.scripts.iter().chain(&parts.texts).copied()))
}

/// The digest of what is sent: each part with what it is and how long it is, so that none can pass for another.
pub(super) fn content_digest(
    tree: &Tree,
    parts: &Parts<'_>,
    sender: &Sender,
    topic: &Topic,
    zone: &Zone,
) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("campanile 1 content of a campaign");
    let mut add = |what: &str, content: &[u8]| {
        for part in [what.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    };
    let bytes = |path: &str| tree.content(path).unwrap_or_default();
    add("campaign", &bytes(parts.campaign));
    for path in &parts.scripts {
        add("script", path.as_bytes());
        add("text", &bytes(path));
    }
    for path in &parts.texts {
        // The name counts: that of a translation says for whom it is.
        let name = path.rsplit('/').next().unwrap_or(path);
        add("name", name.as_bytes());
        add("text", &bytes(path));
    }
    // Plain structs of texts: they always serialize.
    add("sender", &serde_json::to_vec(sender).unwrap_or_default());
    add("topic", &serde_json::to_vec(topic).unwrap_or_default());
    add("zone", zone.name().as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// Loads one campaign from the files that a run was pinned to ([`Loaded::files`]), on the same road as
/// [`load`](super::load()): settings as they were then, too. Stops, suppressions, limits and secrets are not in there: they
/// are always the live ones.
pub fn load_pinned(
    bundle: &Tree,
    id: &CampaignId,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    added: &Additions,
) -> Result<Loaded, Diagnostics> {
    load_pinned_with(bundle, id, workspace, schemas, Kinds::built(added))
}

pub(super) fn load_pinned_with(
    bundle: &Tree,
    id: &CampaignId,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    kinds: Kinds<'_>,
) -> Result<Loaded, Diagnostics> {
    let mut snapshot = snapshot::load_with(bundle, workspace, schemas, kinds, None);
    match snapshot.campaigns.remove(id) {
        Some(Entry::Ready(loaded)) => {
            Ok(Arc::into_inner(loaded).expect("the snapshot alone held it"))
        }
        Some(Entry::Broken(_)) => Err(snapshot.diagnostics),
        None => {
            let place = Place::start_of(&SourceFile::new(SETTINGS, ""));
            let message = format!("the pinned files have no campaign `{id}`");
            let mut diagnostics = snapshot.diagnostics;
            diagnostics.push(Diagnostic::error("not-pinned", place, message));
            Err(diagnostics)
        }
    }
}
