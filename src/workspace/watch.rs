//! Watching a workspace. Events are only a wake-up: what counts is what two looks in a row see, so that half-saved files,
//! swapped links, checkouts half way through and mounts without events all come out right.

mod events;
mod judge;

use std::{io, sync::Arc, time::Duration};

use events::Events;
use judge::Judge;
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle, time::Instant};

use super::{
    Location, Tree,
    look::{Reader, Reading},
};

/// After an event: a save is seldom one event.
const GATHER: Duration = Duration::from_millis(20);

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
    pub fn start(workspace: impl Into<Location>, known: Tree) -> Self {
        Self::with_events(workspace, known, true)
    }

    fn with_events(workspace: impl Into<Location>, known: Tree, events: bool) -> Self {
        let workspace = workspace.into();
        let wake = Arc::new(Notify::new());
        let events = events
            .then(|| Events::new(&workspace.folder, Arc::clone(&wake)))
            .flatten();
        let eyes = Eyes {
            reader: Reader::new(workspace).looking_after(&known),
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

#[cfg(test)]
mod tests;
