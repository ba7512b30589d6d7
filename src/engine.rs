//! The engine: what an embedding program holds. It ties the rooms together.

mod carry_out;
mod due;
mod lifecycle;
mod loading;
mod people;
mod planning;
mod preview;
mod runs;
mod sending;
mod status;
mod way_out;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::{
    control::{Refused, RefusedKind},
    dispatch::{Dispatcher, RunWork},
    message::{dkim::Signing, links::Links},
    model::{CampaignId, Clock, Identity, RunId, SystemClock},
    store::{Lease, Lock, Store},
    workspace::{Settings, Snapshot, Tree},
};

pub use way_out::OptOut;

/// An open workspace with its store.
pub struct Engine {
    workspace: PathBuf,
    clock: Arc<dyn Clock>,
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
    dispatcher: tokio::sync::RwLock<Option<Dispatcher>>,
    work: Mutex<BTreeMap<RunId, Arc<RunWork>>>,
    /// Campaigns that are being planned by the schedule.
    planning: Mutex<BTreeSet<CampaignId>>,
    /// One run is opened at a time, so that two commands can't open the same.
    opening: tokio::sync::Mutex<()>,
    /// Ids that broken files had when they last checked, by path.
    known_ids: Mutex<BTreeMap<String, CampaignId>>,
    /// Transports that can't be built, and why.
    unusable_ways: Mutex<BTreeMap<crate::model::TransportName, String>>,
    /// The last load has not been noted in the store yet.
    to_be_noted: AtomicBool,
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
    /// Look. The store need not exist, another process may be writing it.
    Read,
    /// Write it: the engine takes the store's lock, and refuses where another process has it.
    Write,
}

/// Opens an [`Engine`].
pub struct Builder {
    workspace: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Builder {
    /// Takes the time from `clock`.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Loads the workspace and opens its store. Refused where the settings do not check, or (for
    /// [`Access::Write`]) where another process has the store.
    pub async fn open(self, access: Access) -> Result<Arc<Engine>, Refused> {
        let workspace = loading::absolute(&self.workspace)?;
        let (tree, snapshot) = loading::load_from_disk(&workspace).await?;
        let Some(settings) = snapshot.settings.clone() else {
            return Err(loading::broken(&snapshot));
        };
        let path = loading::store_path(&workspace, &settings);
        let (store, writing) = match access {
            Access::Read => (loading::open_read_only(&path)?, None),
            Access::Write => {
                let (store, writing) = loading::open_for_writing(&path, self.clock.now()).await?;
                (Some(store), Some(writing))
            }
        };
        let identity = loading::identity(store.as_deref(), writing.is_some()).await?;
        let links =
            loading::links(&workspace, &settings, store.as_deref(), writing.is_some()).await?;
        let signing = match access {
            Access::Read => Signing::default(),
            Access::Write => loading::signing(&workspace, &settings)?,
        };
        let engine = Arc::new(Engine {
            workspace,
            clock: self.clock,
            store,
            store_path: path,
            heartbeat_at: Mutex::default(),
            writing,
            identity,
            snapshot: ArcSwap::from_pointee(snapshot),
            tree: ArcSwap::new(tree),
            settings: ArcSwap::new(settings),
            links: Arc::new(ArcSwap::from_pointee(links)),
            signing: Arc::new(ArcSwap::from_pointee(signing)),
            dispatcher: tokio::sync::RwLock::new(None),
            work: Mutex::default(),
            planning: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            known_ids: Mutex::default(),
            unusable_ways: Mutex::default(),
            to_be_noted: AtomicBool::new(false),
            files_gone: AtomicBool::new(false),
        });
        engine.know_ids().await?;
        if engine.writing.is_some() {
            engine.settle_after_take_over().await?;
            engine.take_note_of_campaigns().await?;
        }
        Ok(engine)
    }
}

impl Engine {
    /// Starts on the workspace in a folder.
    pub fn builder(workspace: impl Into<PathBuf>) -> Builder {
        Builder {
            workspace: workspace.into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Loads the workspace's files as they are now, sources' headers included; no store is needed or made.
    pub async fn check(workspace: &Path) -> Result<Arc<Snapshot>, Refused> {
        let workspace = loading::absolute(workspace)?;
        Ok(Arc::new(loading::load_from_disk(&workspace).await?.1))
    }

    /// Where a workspace's store is. With settings that do not check: where it is by default.
    pub(crate) async fn store_path(workspace: &Path) -> Result<PathBuf, Refused> {
        let folder = loading::absolute(workspace)?;
        Ok(loading::store_path_of(&folder).await)
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
