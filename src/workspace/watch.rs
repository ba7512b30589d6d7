//! Watching a workspace. Events are only a wake-up: what counts is what two looks in a row see, so that half-saved files,
//! swapped links, checkouts half way through and mounts without events all come out right.

use std::{
    collections::BTreeMap,
    io, iter,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use super::{
    Tree, campaign,
    look::{self, FOLDERS, Identity, Reader, Reading, SETTINGS},
};

/// How often the workspace is looked over where no event says so.
const EVERY: Duration = Duration::from_secs(1);
/// After an event: a save is seldom one event.
const GATHER: Duration = Duration::from_millis(20);
/// Two looks this far apart must agree.
const SETTLE: Duration = Duration::from_millis(100);
/// The same where it looks like the middle of something: a file was emptied, the campaigns are gone.
const SETTLE_SUSPICIOUS: Duration = Duration::from_secs(1);
/// A workspace that changes all the time is mentioned in the log this often.
const RESTLESS: Duration = Duration::from_secs(30);

/// What happened to the workspace.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its files are now these.
    Tree(Tree),
    /// The campaigns folder or all of the workspace is gone or can't be read, and why: an unmounted disk, until a person
    /// says otherwise. The next change is a [`Change::Tree`], when it is back.
    Vanished(String),
}

impl Change {
    /// Whether it is the same state; why something vanished does not count.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tree(one), Self::Tree(other)) => one == other,
            (Self::Vanished(_), Self::Vanished(_)) => true,
            _ => false,
        }
    }
}

/// Hands out the workspace's files after each change.
pub struct Watcher {
    eyes: Arc<Mutex<Eyes>>,
    wake: Arc<Notify>,
    /// The look that is under way.
    looking: Option<JoinHandle<io::Result<Reading>>>,
    /// When the next look begins at the latest.
    next: Instant,
    judge: Judge,
}

impl Watcher {
    /// Watches `workspace`, whose files were `known` when they were loaded last.
    pub fn start(workspace: &Path, known: Tree) -> Self {
        Self::with_events(workspace, known, true)
    }

    fn with_events(workspace: &Path, known: Tree, events: bool) -> Self {
        let wake = Arc::new(Notify::new());
        let events = events
            .then(|| Events::new(workspace, Arc::clone(&wake)))
            .flatten();
        let eyes = Eyes {
            reader: Reader::new(workspace),
            events,
        };
        Self {
            eyes: Arc::new(Mutex::new(eyes)),
            wake,
            looking: None,
            next: Instant::now(),
            judge: Judge::new(known),
        }
    }

    /// Waits for the next change. Nothing is lost where the future is dropped and asked for again.
    pub async fn changed(&mut self) -> Change {
        loop {
            let looking = if let Some(looking) = &mut self.looking {
                looking
            } else {
                self.wait().await;
                let eyes = Arc::clone(&self.eyes);
                self.looking
                    .insert(tokio::task::spawn_blocking(move || eyes.lock().look()))
            };
            let seen = looking.await;
            self.looking = None;
            let seen = seen.unwrap_or_else(|error| Err(io::Error::other(error)));
            let (change, pause) = self.judge.weigh(seen, Instant::now());
            self.next = Instant::now() + pause;
            if let Some(change) = change {
                return change;
            }
        }
    }

    /// Waits for the time of the next look, or an event before it.
    async fn wait(&mut self) {
        // Two looks that must agree keep their distance, whatever happens between them.
        if self.judge.is_waiting() {
            tokio::time::sleep_until(self.next).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(self.next) => return,
            () = self.wake.notified() => self.next = self.next.min(Instant::now() + GATHER),
        }
        tokio::time::sleep_until(self.next).await;
    }
}

/// Decides from what the looks see when something has changed.
struct Judge {
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
    fn new(known: Tree) -> Self {
        Self {
            known: Change::Tree(known),
            waiting: None,
            restless_since: None,
            device: None,
        }
    }

    fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Weighs one look: what is to be handed out, and how long to wait for the next look.
    fn weigh(&mut self, seen: io::Result<Reading>, now: Instant) -> (Option<Change>, Duration) {
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

/// What looks at the disk; used on blocking threads only.
struct Eyes {
    reader: Reader,
    events: Option<Events>,
}

impl Eyes {
    fn look(&mut self) -> io::Result<Reading> {
        let reading = self.reader.read()?;
        if let Some(events) = &mut self.events {
            events.follow(&reading.folders);
        }
        Ok(reading)
    }
}

/// The system's file events, where it has them.
struct Events {
    workspace: PathBuf,
    watcher: RecommendedWatcher,
    /// The folders that are watched (the workspace itself, and with all that is in them those of [`FOLDERS`]), and which
    /// they were.
    followed: BTreeMap<&'static str, Identity>,
    is_complete: bool,
}

impl Events {
    fn new(workspace: &Path, wake: Arc<Notify>) -> Option<Self> {
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
    fn follow(&mut self, folders: &BTreeMap<&'static str, Identity>) {
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
fn matters(event: &Event, workspace: &Path) -> bool {
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
            FOLDERS.iter().any(|folder| first == *folder) || (is_top_level && first == SETTINGS)
        });
        let name = path.file_name().and_then(|name| name.to_str());
        is_ours && name.is_none_or(may_be_text)
    })
}

/// Whether a name may be that of a text or of a folder; `..data` is what Kubernetes swaps.
fn may_be_text(name: &str) -> bool {
    look::has_text_ending(name) || !name.contains('.') || name.starts_with("..")
}

#[cfg(test)]
mod tests;
