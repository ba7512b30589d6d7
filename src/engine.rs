//! The engine: what an embedding program holds. It ties the rooms together.

mod after;
mod approving;
mod as_test;
mod base;
mod builder;
mod carry_out;
mod due;
mod evaluating;
mod explain;
mod gate;
mod hours;
mod lifecycle;
mod loading;
mod outlook;
mod people;
mod person;
mod planning;
mod preferences;
mod preview;
mod replanning;
mod runs;
mod sending;
mod status;
mod testing;
mod views;
mod waits;
mod way_out;
mod zones;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::{
    control::{Refused, RefusedKind},
    dispatch::{Dispatcher, Guard, RunWork},
    message::{dkim::Signing, links::Links},
    model::{CampaignId, Clock, EnvironmentName, Identity, RunId, Schema, SourceName},
    source::SourceError,
    store::{Lease, Lock, Store},
    workspace::{Additions, Loaded, Location, Settings, Snapshot, Tree},
};

pub use builder::Builder;
pub use evaluating::{Evaluated, Evaluation};
pub use preferences::{Preference, Preferences};
pub use testing::{TestFailure, TestOutcome};
pub use way_out::OptOut;

/// An open workspace with its store.
pub struct Engine {
    workspace: PathBuf,
    environment: Option<EnvironmentName>,
    clock: Arc<dyn Clock>,
    /// What the embedding program adds.
    additions: Additions,
    store: Option<Arc<dyn Store>>,
    store_path: PathBuf,
    heartbeat_at: Mutex<Option<chrono::DateTime<chrono::Utc>>>,
    /// The right to write, and the lock that keeps others out; `None`: this engine only reads.
    writing: Option<Writing>,
    identity: Identity,
    snapshot: ArcSwap<Snapshot>,
    /// The files the snapshot was made of.
    tree: ArcSwap<Tree>,
    /// The last settings that checked.
    settings: ArcSwap<Settings>,
    links: Arc<ArcSwap<Links>>,
    signing: Arc<ArcSwap<Signing>>,
    /// What no message escapes: `[safety]` of the settings in force.
    guard: Arc<ArcSwap<Guard>>,
    dispatcher: tokio::sync::RwLock<Option<Dispatcher>>,
    /// Told when a run is over.
    run_over: tokio::sync::Notify,
    work: Mutex<BTreeMap<RunId, Arc<RunWork>>>,
    /// What is known of runs whose effects wait.
    follow_up: after::FollowUp,
    /// Campaigns that are being planned by the schedule.
    planning: Mutex<BTreeSet<CampaignId>>,
    /// When the tests were run that a run waits for.
    test_looks: Mutex<BTreeMap<RunId, testing::Look>>,
    /// One run is opened at a time, so that two commands can't open the same.
    opening: tokio::sync::Mutex<()>,
    /// Ids that broken files had when they last checked, by path.
    known_ids: Mutex<BTreeMap<String, CampaignId>>,
    /// Who goes on as whom: (the campaign, what it was before), as the store has it.
    histories: Mutex<Vec<(CampaignId, CampaignId)>>,
    /// When schedules are due next.
    next_due: Mutex<BTreeMap<CampaignId, due::NextDue>>,
    /// Transports that can't be built, and why.
    unusable_ways: Mutex<BTreeMap<crate::model::TransportName, String>>,
    /// The last load has not been noted in the store yet.
    to_be_noted: AtomicBool,
    /// The campaign of the run that a message was last shown of: most views are of the same run.
    viewed: Mutex<Option<(RunId, Arc<Loaded>)>>,
    /// When messages that nobody can read any more were last dropped.
    views_dropped_at: Mutex<Option<chrono::DateTime<chrono::Utc>>>,
    /// The workspace's files are gone: an unmounted disk, until they are back.
    files_gone: AtomicBool,
}

struct Writing {
    lease: Lease,
    /// When the store's last holder was last alive; `None`: the store is new.
    last_heartbeat: Option<chrono::DateTime<chrono::Utc>>,
    _lock: Lock,
}

/// What an engine may do with its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at the files only: no store is opened, whatever there is, and no secret is needed.
    Files,
    /// Look. The store need not exist, another process may be writing it.
    Read,
    /// Write it: the engine takes the store's lock, and refuses where another process has it.
    Write,
}

impl Engine {
    /// Starts on the workspace in a folder; a [`Location`] names an environment too.
    pub fn builder(workspace: impl Into<Location>) -> Builder {
        Builder::new(workspace.into())
    }

    /// Loads the workspace's files as they are now, sources' headers included; no store is needed or made.
    pub async fn check(workspace: impl Into<Location>) -> Result<Arc<Snapshot>, Refused> {
        Self::builder(workspace).check().await
    }

    /// The columns of each source of a workspace, or why they can't be told now; no store is needed or made.
    pub async fn columns(
        workspace: impl Into<Location>,
    ) -> Result<BTreeMap<SourceName, Result<Schema, SourceError>>, Refused> {
        Self::builder(workspace).columns().await
    }

    /// Where a workspace's store is. With settings that do not check: where it is by default.
    pub(crate) async fn store_path(location: Location) -> Result<PathBuf, Refused> {
        let location = loading::absolute(location)?;
        Ok(loading::store_path_of(&location).await)
    }

    /// Where this engine's store is.
    pub(crate) fn own_store_path(&self) -> &Path {
        &self.store_path
    }

    /// Notes that this process is alive, every few seconds.
    pub(crate) async fn heartbeat(&self) -> Result<(), Refused> {
        let now = self.clock.now();
        {
            let mut last = self.heartbeat_at.lock();
            if last.is_some_and(|last| (now - last).abs() < chrono::TimeDelta::seconds(5)) {
                return Ok(());
            }
            *last = Some(now);
        }
        Ok(self.store()?.heartbeat(self.lease()?, now).await?)
    }

    /// The workspace's folder, absolute.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The environment whose settings override the others.
    pub fn environment(&self) -> Option<&EnvironmentName> {
        self.environment.as_ref()
    }

    /// The workspace's folder and the environment.
    pub(crate) fn location(&self) -> Location {
        Location::new(&self.workspace).in_environment(self.environment.clone())
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The files that the snapshot was made of.
    pub(crate) fn tree(&self) -> Tree {
        self.tree.load().as_ref().clone()
    }

    /// The last settings that checked.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    fn store(&self) -> Result<&Arc<dyn Store>, Refused> {
        self.store.as_ref().ok_or_else(|| {
            Refused::new(
                RefusedKind::Usage,
                "there is no store yet: nothing was ever sent from this workspace",
            )
        })
    }

    fn lease(&self) -> Result<Lease, Refused> {
        match &self.writing {
            Some(writing) => Ok(writing.lease),
            None => Err(Refused::new(
                RefusedKind::Failed,
                "this engine was opened to read, not to write",
            )),
        }
    }
}

/// A store's failure as a refusal.
impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Self {
        Self::new(RefusedKind::Failed, error.to_string())
    }
}

/// A plan's failure as a refusal.
impl From<crate::plan::PlanError> for Refused {
    fn from(error: crate::plan::PlanError) -> Self {
        Self::new(RefusedKind::Failed, error.to_string())
    }
}
