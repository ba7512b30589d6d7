//! The system's file events: a wake-up, never more.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    iter,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::workspace::{
    location::environment_of,
    look::{self, FOLDERS, Identity, SETTINGS},
};

/// The system's file events, where it has them.
pub(super) struct Events {
    workspace: PathBuf,
    watcher: RecommendedWatcher,
    /// The folders that are watched (the workspace itself, and with all that is in them those of [`FOLDERS`]), and which
    /// they were.
    followed: BTreeMap<&'static str, Identity>,
    is_complete: bool,
}

impl Events {
    pub(super) fn new(workspace: &Path, wake: Arc<Notify>) -> Option<Self> {
        let root = workspace.to_owned();
        let watcher =
            notify::recommended_watcher(move |event: notify::Result<Event>| match event {
                Ok(event) if !matters(&event, &root) => {}
                _ => wake.notify_one(),
            });
        match watcher {
            Ok(watcher) => Some(Self {
                workspace: workspace.to_owned(),
                watcher,
                followed: BTreeMap::new(),
                is_complete: true,
            }),
            Err(error) => {
                warn_of_no_events(&error);
                None
            }
        }
    }

    /// Watches the folders that are there now. One that was put in another's place needs it anew.
    pub(super) fn follow(&mut self, folders: &BTreeMap<&'static str, Identity>) {
        for name in iter::once("").chain(FOLDERS) {
            let now = folders.get(name);
            if now == self.followed.get(name) {
                continue;
            }
            let path = self.workspace.join(name);
            if self.followed.remove(name).is_some() {
                // Fails where the folder is gone, and its watch with it.
                let _ = self.watcher.unwatch(&path);
            }
            let Some(now) = now else {
                continue;
            };
            let depth = if name.is_empty() {
                RecursiveMode::NonRecursive
            } else {
                RecursiveMode::Recursive
            };
            if let Err(error) = self.watcher.watch(&path, depth)
                && self.is_complete
            {
                self.is_complete = false;
                warn_of_no_events(&error);
            }
            self.followed.insert(name, *now);
        }
    }
}

fn warn_of_no_events(error: &notify::Error) {
    tracing::warn!(
        %error,
        "the system reports no file events here; the workspace is looked over once a second"
    );
}

/// Whether an event may be about one of the workspace's texts. The store writes in the same folder all the time, and our own
/// reading makes events too.
pub(super) fn matters(event: &Event, workspace: &Path) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    if event.need_rescan() || event.paths.is_empty() {
        return true;
    }
    event.paths.iter().any(|path| {
        let Ok(path) = path.strip_prefix(workspace) else {
            return true;
        };
        let mut parts = path.components().map(Component::as_os_str);
        let first = parts.next();
        let is_top_level = parts.next().is_none();
        let is_ours = first.is_none_or(|first| {
            FOLDERS.iter().any(|folder| first == *folder) || (is_top_level && is_settings(first))
        });
        let name = path.file_name().and_then(|name| name.to_str());
        is_ours && name.is_none_or(may_be_text)
    })
}

/// Whether a file holds settings, of any environment.
fn is_settings(name: &OsStr) -> bool {
    let of_environment = |name: &str| environment_of(name).is_some();
    name == SETTINGS || name.to_str().is_some_and(of_environment)
}

/// Whether a name may be that of a text or of a folder; `..data` is what Kubernetes swaps.
fn may_be_text(name: &str) -> bool {
    look::has_text_ending(name) || !name.contains('.') || name.starts_with("..")
}
