//! The engine behind the dispatcher: which transports there are, what a run's messages are made with, when a run is over.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    control::Refused,
    dispatch::{Dispatcher, RunWork, Runs, Way, WayStatus},
    message::payload::Layout,
    model::{HoldReason, InDoubtPolicy, RunId, RunState, Status},
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
        Ok(())
    }

    /// Stops sending: what is on the wire ends in order.
    pub(crate) async fn stop_sending(&self) {
        if let Some(dispatcher) = self.dispatcher.write().await.take() {
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
        let mut ways = Vec::new();
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
                    tracing::error!(transport = %name, %error, "can't be used: its recipients stay queued")
                }
            }
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

    pub(super) async fn ways(&self) -> Vec<WayStatus> {
        match self.dispatcher.read().await.as_ref() {
            Some(dispatcher) => dispatcher.status().await,
            None => Vec::new(),
        }
    }

    /// The campaign as its run was pinned to it: the files in the store, not those on the disk.
    async fn pinned(&self, run: &crate::model::Run) -> Result<Arc<Loaded>, String> {
        let hash = run.bundle.as_deref().ok_or("the run has no files")?;
        if let Some(Entry::Ready(loaded)) = self.snapshot().campaigns.get(&run.campaign)
            && run.content_digest.as_deref() == Some(&loaded.content_digest)
            && loaded.files.hash() == hash
        {
            return Ok(loaded.clone());
        }
        let store = self.store().map_err(|error| error.to_string())?;
        let bytes = store
            .bundle(hash)
            .await
            .map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or("the store lost the files the run is pinned to")?;
        let (id, folder) = (run.campaign.clone(), self.workspace.clone());
        blocking(move || {
            let files = Tree::from_bytes(&bytes).map_err(|error| error.to_string())?;
            let unchecked = std::collections::BTreeMap::new();
            workspace::load_pinned(&files, &id, &folder, &unchecked)
                .map(Arc::new)
                .map_err(|found| {
                    let first = found
                        .iter()
                        .next()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    format!(
                        "the files the run is pinned to do not check with this version: {first}"
                    )
                })
        })
        .await
    }

    async fn work_of(&self, id: RunId, queue: &Queue) -> Result<Arc<RunWork>, String> {
        if let Some(work) = self.work.lock().get(&id) {
            return Ok(work.clone());
        }
        let store = self.store().map_err(|error| error.to_string())?;
        let failed = |error: crate::store::StoreError| error.to_string();
        let run = store
            .run(id)
            .await
            .map_err(failed)?
            .ok_or("the run is gone")?;
        let skipped = store.counts(id).await.map_err(failed)?.skipped();
        let errors = ["script_error", "render_error"]
            .iter()
            .filter_map(|reason| skipped.get(*reason))
            .sum();
        let loaded = self.pinned(&run).await?;
        let work = Arc::new(RunWork {
            run,
            loaded,
            layout: Layout::from_text(&queue.layout)?,
            links: self.links.load().as_ref().clone(),
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

    async fn finish(&self, id: RunId) -> Result<(), Refused> {
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
        }
        Ok(())
    }
}

/// The dispatcher's view of the engine. Weak: the engine owns the dispatcher.
struct EngineRuns(std::sync::Weak<Engine>);

#[async_trait]
impl Runs for EngineRuns {
    async fn work(&self, run: RunId, queue: &Queue) -> Result<Arc<RunWork>, String> {
        match self.0.upgrade() {
            Some(engine) => engine.work_of(run, queue).await,
            None => Err("the engine is gone".to_owned()),
        }
    }

    async fn hold(&self, run: RunId, reason: HoldReason, words: &str) {
        let Some(engine) = self.0.upgrade() else {
            return;
        };
        tracing::error!(%run, %reason, words, "held");
        let change = RunChange {
            state: RunState::Held,
            reason: Some(reason.to_string()),
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
