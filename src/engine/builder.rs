//! Opening an [`Engine`], with what the embedding program adds.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::{Access, Engine, after::FollowUp, loading};
use crate::{
    control::{Refused, RefusedKind},
    dispatch::Guard,
    message::dkim::Signing,
    model::{Clock, Schema, SourceName, SystemClock},
    script::HostFunction,
    source::{Source, SourceError},
    transport::Transport,
    workspace::{Additions, Location, Snapshot},
};

/// Opens an [`Engine`].
///
/// What a program adds has a name that campaigns use like those of the settings: `source = "crm"`, `via = "pigeon"`,
/// `loyalty_tier(r.points)`. The name alone declares it. Where the settings have the name too, what is added takes the place
/// of what they describe, so that a test can put a [`Recorder`](crate::transport::Recorder) where the SMTP server was; their
/// `rate`, `connections` and `give_up_after` stay in force. `kind = "custom"` is for names that have such settings only.
#[must_use = "nothing is opened yet"]
pub struct Builder {
    location: Location,
    clock: Arc<dyn Clock>,
    additions: Additions,
    /// What can't be added, and why.
    problems: Vec<String>,
}

impl Builder {
    pub(super) fn new(location: Location) -> Self {
        Self {
            location,
            clock: Arc::new(SystemClock),
            additions: Additions::none(),
            problems: Vec::new(),
        }
    }

    /// Takes the time from `clock`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Adds a source: campaigns name it as `source = "crm"`. Its columns and their roles are those it describes; its rows are
    /// recipients of the source of this name, whatever they say.
    pub fn source(mut self, name: &str, source: impl Source) -> Self {
        match name.parse() {
            Ok(name) => {
                self.additions.sources.insert(name, Arc::new(source));
            }
            Err(error) => self.problems.push(format!("the source {name:?}: {error}")),
        }
        self
    }

    /// Adds a transport: campaigns name it as `via = "pigeon"`.
    pub fn transport(mut self, name: &str, transport: impl Transport) -> Self {
        match name.parse() {
            Ok(name) => {
                self.additions.transports.insert(name, Arc::new(transport));
            }
            Err(error) => self
                .problems
                .push(format!("the transport {name:?}: {error}")),
        }
        self
    }

    /// Adds a function that expressions and scripts may call: `loyalty_tier(r.points)`. Up to eight parameters; see
    /// [`HostFunction`]. `check` knows its name and how many arguments it takes. A run that waits goes on with what the
    /// function gives then: variables are computed when a run is planned, and not again.
    pub fn function<P>(mut self, name: &str, function: impl HostFunction<P>) -> Self {
        if let Err(problem) = self.additions.functions.add(name, function.erase()) {
            self.problems.push(problem);
        }
        self
    }

    /// Loads and checks the workspace's files as they are now, the sources' columns included; no store is needed or made.
    pub async fn check(self) -> Result<Arc<Snapshot>, Refused> {
        self.refuse_problems()?;
        let location = loading::absolute(self.location)?;
        let (_, snapshot) = loading::load_from_disk(&location, &self.additions).await?;
        Ok(Arc::new(snapshot))
    }

    /// The columns of each source, or why they can't be told now; no store is needed or made.
    pub async fn columns(
        self,
    ) -> Result<BTreeMap<SourceName, Result<Schema, SourceError>>, Refused> {
        self.refuse_problems()?;
        let location = loading::absolute(self.location)?;
        loading::columns(&location, &self.additions).await
    }

    /// Opens it to send: [`open`](Self::open) with [`Access::Write`].
    pub async fn build(self) -> Result<Arc<Engine>, Refused> {
        self.open(Access::Write).await
    }

    fn refuse_problems(&self) -> Result<(), Refused> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Refused::new(RefusedKind::Usage, self.problems.join("; ")))
    }

    /// Loads the workspace and opens its store. Refused where the settings do not check, or (for
    /// [`Access::Write`]) where another process has the store.
    pub async fn open(self, access: Access) -> Result<Arc<Engine>, Refused> {
        self.refuse_problems()?;
        let location = loading::absolute(self.location)?;
        let (tree, snapshot) = loading::load_from_disk(&location, &self.additions).await?;
        let Location {
            folder: workspace,
            environment,
        } = location;
        let Some(settings) = snapshot.settings.clone() else {
            return Err(loading::broken(&snapshot));
        };
        let path = loading::store_path(&workspace, &settings);
        let (store, writing) = match access {
            Access::Files => (None, None),
            Access::Read => (loading::open_read_only(&path)?, None),
            Access::Write => {
                let (store, writing) = loading::open_for_writing(&path, self.clock.now()).await?;
                (Some(store), Some(writing))
            }
        };
        let identity = loading::identity(store.as_deref(), writing.is_some()).await?;
        let links = match access {
            Access::Files => loading::preview_links(&settings),
            Access::Read | Access::Write => {
                let may_write = writing.is_some();
                match loading::links(&workspace, &settings, store.as_deref(), may_write).await {
                    // Whoever only looks may lack the secrets (in the CI of a pull request, say): nothing that is signed here is
                    // sent.
                    Err(refused) if !may_write && refused.kind == RefusedKind::Broken => {
                        tracing::info!("the links in messages are those of a preview: {refused}");
                        loading::preview_links(&settings)
                    }
                    links => links?,
                }
            }
        };
        let signing = match access {
            Access::Files | Access::Read => Signing::default(),
            Access::Write => loading::signing(&workspace, &settings)?,
        };
        let guard = Guard::new(settings.safety.clone(), &identity);
        let engine = Arc::new(Engine {
            workspace,
            environment,
            clock: self.clock,
            additions: self.additions,
            store,
            store_path: path,
            heartbeat_at: Mutex::default(),
            run_over: tokio::sync::Notify::new(),
            writing,
            identity,
            snapshot: ArcSwap::from_pointee(snapshot),
            tree: ArcSwap::new(tree),
            settings: ArcSwap::new(settings),
            links: Arc::new(ArcSwap::from_pointee(links)),
            signing: Arc::new(ArcSwap::from_pointee(signing)),
            guard: Arc::new(ArcSwap::from_pointee(guard)),
            dispatcher: tokio::sync::RwLock::new(None),
            work: Mutex::default(),
            follow_up: FollowUp::default(),
            planning: Mutex::default(),
            test_looks: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            known_ids: Mutex::default(),
            histories: Mutex::default(),
            next_due: Mutex::default(),
            unusable_ways: Mutex::default(),
            to_be_noted: AtomicBool::new(false),
            viewed: Mutex::default(),
            views_dropped_at: Mutex::default(),
            files_gone: AtomicBool::new(false),
        });
        engine.recall_histories().await?;
        engine.know_ids().await?;
        if engine.writing.is_some() {
            engine.settle_after_take_over().await?;
            engine.take_note_of_campaigns().await?;
        }
        Ok(engine)
    }
}
