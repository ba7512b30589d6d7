//! The engine behind the dispatcher: which transports there are, what a run's messages are made with, when a run is over.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    control::Refused,
    dispatch::{Dispatcher, NoWork, RunWork, Runs, Way, WayStatus},
    message::payload::Layout,
    model::{HoldReason, InDoubtPolicy, RunId, RunState, Status, TransportName},
    store::{Queue, RunChange},
    transport::TransportContext,
    workspace::{self, Entry, Loaded, Tree},
};

use super::{Engine, loading::blocking};

/// How long what is on the wire may take to end when the engine stops.
const PATIENCE: Duration = Duration::from_secs(8);

impl Engine {
    /// Starts sending; with `only`, nothing but that run.
    pub(crate) async fn start_sending(
        self: &Arc<Self>,
        only: Option<RunId>,
    ) -> Result<(), Refused> {
        let runs: Arc<dyn Runs> = Arc::new(EngineRuns(Arc::downgrade(self)));
        let dispatcher = Dispatcher::start(
            self.store()?.clone(),
            self.lease()?,
            self.clock.clone(),
            runs,
            self.settings().store.max_in_doubt,
            only,
        )
        .await?;
        *self.dispatcher.write().await = Some(dispatcher);
        self.use_ways().await;
        if let Some(only) = only {
            // In the foreground somebody waits: that nothing can go out is said at once.
            let waits = |queue: &&Queue| queue.run == only;
            let queues = self.store()?.queues().await?;
            let ways = self.ways().await?;
            for queue in queues.iter().filter(waits) {
                let way = ways.iter().find(|way| way.name == queue.transport);
                if let Some(way) = way.filter(|way| !self.is_usable(&way.name)) {
                    self.stop_sending().await;
                    let why = way.error.clone().unwrap_or_default();
                    return Err(Refused::new(
                        crate::control::RefusedKind::Failed,
                        format!(
                            "transport {} {}: {why}; once it is mended, `campanile resume {only}` goes on",
                            way.name, way.description
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    fn is_usable(&self, name: &TransportName) -> bool {
        self.settings().transports.contains_key(name)
            && !self.unusable_ways.lock().contains_key(name)
    }

    /// Stops sending: what is on the wire ends in order.
    pub(crate) async fn stop_sending(&self) {
        // Not held while it stops: commands and pages go on meanwhile.
        let dispatcher = self.dispatcher.write().await.take();
        if let Some(dispatcher) = dispatcher {
            dispatcher.stop(PATIENCE).await;
        }
    }

    /// Whether sending still works; `false` after another process took the store.
    pub(crate) async fn is_sending(&self) -> bool {
        self.dispatcher
            .read()
            .await
            .as_ref()
            .is_some_and(Dispatcher::is_alive)
    }

    /// Gives the dispatcher the transports that the settings name.
    pub(super) async fn use_ways(&self) {
        let dispatcher = self.dispatcher.read().await;
        let Some(dispatcher) = dispatcher.as_ref() else {
            return;
        };
        let settings = self.settings();
        dispatcher.use_cap(settings.frequency_cap);
        let (mut ways, mut unusable) = (Vec::new(), BTreeMap::new());
        for (name, transport) in &settings.transports {
            match self.build_transport(&settings, name) {
                Ok(built) => ways.push(Way {
                    name: name.clone(),
                    transport: built,
                    rate: transport.rate,
                    give_up_after: transport.give_up_after,
                    fingerprint: format!(
                        "{:?} {} {:?} {:?}",
                        transport.config,
                        transport.connections,
                        transport.rate,
                        transport.give_up_after
                    ),
                }),
                Err(error) => {
                    unusable.insert(name.clone(), error);
                }
            }
        }
        let before = std::mem::replace(&mut *self.unusable_ways.lock(), unusable.clone());
        for (name, error) in unusable
            .iter()
            .filter(|(name, error)| before.get(*name) != Some(*error))
        {
            tracing::error!(transport = %name, %error, "can't be used: its recipients stay queued");
        }
        dispatcher.use_ways(ways).await;
    }

    pub(super) fn build_transport(
        &self,
        settings: &workspace::Settings,
        name: &crate::model::TransportName,
    ) -> Result<Arc<dyn crate::transport::Transport>, String> {
        let transport = settings
            .transports
            .get(name)
            .ok_or_else(|| format!("the settings have no transport {name}"))?;
        transport.config.build(&TransportContext {
            name: name.clone(),
            workspace: self.workspace.clone(),
            connections: transport.connections,
        })
    }

    /// Runs may have something to send, or no longer.
    pub(super) async fn wake(&self) {
        if let Some(dispatcher) = self.dispatcher.read().await.as_ref() {
            dispatcher.wake();
        }
    }

    /// The transports: those in use, those that can't be built, and those that runs wait for and the settings do not have.
    pub(super) async fn ways(&self) -> Result<Vec<WayStatus>, Refused> {
        let mut ways = match self.dispatcher.read().await.as_ref() {
            Some(dispatcher) => dispatcher.status().await,
            None => return Ok(Vec::new()),
        };
        let idle = |name: &TransportName, description: &str, error: String| WayStatus {
            name: name.clone(),
            description: description.to_owned(),
            connections: 0,
            sent: 0,
            rate: None,
            error: Some(error),
        };
        for (name, error) in self.unusable_ways.lock().iter() {
            ways.push(idle(name, "can't be used", error.clone()));
        }
        let mut waiting: BTreeMap<TransportName, Vec<String>> = BTreeMap::new();
        for queue in self.store()?.queues().await? {
            if !ways.iter().any(|way| way.name == queue.transport) {
                let runs = waiting.entry(queue.transport).or_default();
                runs.push(queue.run.to_string());
            }
        }
        for (name, runs) in waiting {
            let error = format!("run {} waits for it", runs.join(", "));
            ways.push(idle(&name, "not in the settings", error));
        }
        Ok(ways)
    }

    /// Transports that can't be used are built again: a password may have come, or be another.
    pub(crate) async fn mend_ways(&self) {
        let is_well = match self.dispatcher.read().await.as_ref() {
            Some(dispatcher) => {
                let ways = dispatcher.status().await;
                self.unusable_ways.lock().is_empty() && ways.iter().all(|way| way.error.is_none())
            }
            None => true,
        };
        if !is_well {
            self.use_ways().await;
        }
    }

    /// Ends runs of which nothing is left and whose transport is not in use: no feeder comes by them.
    pub(crate) async fn finish_without_way(&self) -> Result<(), Refused> {
        let used = match self.dispatcher.read().await.as_ref() {
            Some(dispatcher) => dispatcher.status().await,
            None => return Ok(()),
        };
        for queue in self.store()?.queues().await? {
            if !used.iter().any(|way| way.name == queue.transport)
                && self.store()?.counts(queue.run).await?.open() == 0
            {
                self.finish(queue.run).await?;
            }
        }
        Ok(())
    }

    /// The campaign as its run was pinned to it: the files in the store, not those on the disk.
    pub(super) async fn pinned(&self, run: &crate::model::Run) -> Result<Arc<Loaded>, NoWork> {
        let never = |words: &str| NoWork::Never(words.to_owned());
        let hash = run
            .bundle
            .as_deref()
            .ok_or_else(|| never("the run has no files"))?;
        if let Some(Entry::Ready(loaded)) = self.snapshot().campaigns.get(&run.campaign)
            && run.content_digest.as_deref() == Some(&loaded.content_digest)
            && loaded.files.hash() == hash
        {
            return Ok(loaded.clone());
        }
        let store = self.store().map_err(later)?;
        let bytes = store.bundle(hash).await.map_err(later)?;
        let bytes = bytes.ok_or_else(|| never("the store lost the files the run is pinned to"))?;
        let (id, folder) = (run.campaign.clone(), self.workspace.clone());
        let added = self.additions.clone();
        blocking(move || {
            let files =
                Tree::from_bytes(&bytes).map_err(|error| NoWork::Never(error.to_string()))?;
            let unchecked = std::collections::BTreeMap::new();
            workspace::load_pinned(&files, &id, &folder, &unchecked, &added)
                .map(Arc::new)
                .map_err(|found| {
                    let first = found
                        .iter()
                        .next()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    NoWork::Never(format!(
                        "the files the run is pinned to do not check with this version: {first}"
                    ))
                })
        })
        .await
    }

    async fn work_of(&self, id: RunId, queue: &Queue) -> Result<Arc<RunWork>, NoWork> {
        if let Some(work) = self.work.lock().get(&id) {
            return Ok(work.clone());
        }
        let store = self.store().map_err(later)?;
        let run = store
            .run(id)
            .await
            .map_err(later)?
            .ok_or_else(|| later("the run is gone"))?;
        let skipped = store.counts(id).await.map_err(later)?.skipped();
        let errors = ["script_error", "render_error"]
            .iter()
            .filter_map(|reason| skipped.get(*reason))
            .sum();
        let loaded = self.pinned(&run).await?;
        let work = Arc::new(RunWork {
            run,
            loaded,
            layout: Layout::from_text(&queue.layout)
                .map_err(|error| NoWork::Never(error.clone()))?,
            links: self.links.clone(),
            signing: self.signing.clone(),
            guard: self.guard.clone(),
            unsubscribe_mailto: self.settings().web.unsubscribe_mailto.clone(),
            errors: AtomicU64::new(errors),
        });
        self.work.lock().insert(id, work.clone());
        Ok(work)
    }

    /// What becomes of in-doubt deliveries of a run: as the files say that it is pinned to.
    pub(super) async fn policy_of(&self, run: &crate::model::Run) -> InDoubtPolicy {
        match self.pinned(run).await {
            Ok(loaded) => loaded.campaign.in_doubt,
            Err(_) => InDoubtPolicy::Keep,
        }
    }

    /// Resolves when a run ends after it was first polled.
    pub(crate) async fn until_a_run_is_over(&self) {
        self.run_over.notified().await;
    }

    /// Ends a run of which nothing is left.
    pub(super) async fn finish(&self, id: RunId) -> Result<(), Refused> {
        let (store, lease, now) = (self.store()?, self.lease()?, self.clock.now());
        let work = self.work.lock().remove(&id);
        if store.counts(id).await?.of(Status::InDoubt) > 0 {
            let policy = match work {
                Some(work) => work.loaded.campaign.in_doubt,
                None => match store.run(id).await? {
                    Some(run) => self.policy_of(&run).await,
                    None => return Ok(()),
                },
            };
            // When nothing else of it is left. The store queues each delivery once at most.
            if store.settle_doubt(lease, id, policy, now).await? > 0 {
                self.wake().await;
                return Ok(());
            }
        }
        let change = RunChange {
            state: RunState::Finished,
            reason: None,
            released: None,
        };
        if store
            .move_run(id, &[RunState::Sending], change, now)
            .await?
        {
            let counts = store.counts(id).await?;
            tracing::info!(run = %id, counts = ?counts.by_status(), "finished");
            self.run_over.notify_waiters();
        }
        Ok(())
    }
}

fn later(why: impl std::fmt::Display) -> NoWork {
    NoWork::Later(why.to_string())
}

/// The dispatcher's view of the engine. Weak: the engine owns the dispatcher.
struct EngineRuns(std::sync::Weak<Engine>);

#[async_trait]
impl Runs for EngineRuns {
    async fn work(&self, run: RunId, queue: &Queue) -> Result<Arc<RunWork>, NoWork> {
        match self.0.upgrade() {
            Some(engine) => engine.work_of(run, queue).await,
            None => Err(later("the engine is gone")),
        }
    }

    async fn hold(&self, run: RunId, reason: HoldReason, words: &str) {
        let Some(engine) = self.0.upgrade() else {
            return;
        };
        tracing::error!(%run, %reason, words, "held");
        let change = RunChange {
            state: RunState::Held,
            // With words behind it: unlike a file that is broken now, it does not end when the files check.
            reason: Some(match reason {
                HoldReason::Broken => format!("{reason}: {words}"),
                _ => reason.to_string(),
            }),
            released: None,
        };
        if let Ok(store) = engine.store()
            && let Err(error) = store
                .move_run(run, &[RunState::Sending], change, engine.clock.now())
                .await
        {
            tracing::error!(%run, %error, "could not be held");
        }
        engine.work.lock().remove(&run);
    }

    async fn drained(&self, run: RunId) {
        let Some(engine) = self.0.upgrade() else {
            return;
        };
        if let Err(error) = engine.finish(run).await {
            tracing::error!(%run, %error, "could not be finished");
        }
    }
}
