//! Deliveries go out: claimed from the ledger, rendered, checked a last time, paced, handed to a transport, recorded.
//!
//! For each transport that has work there is one feeder (claims and renders, a little of each run in turn) and one
//! lane task per connection. All of them record through one journal, which makes one commit of everything that waits.

mod circuit;
mod claims;
mod feeder;
mod fill;
mod flight;
mod guard;
mod hand;
mod journal;
mod lane;
mod pace;
mod page;
mod slots;
mod throttle;
mod verdict;
pub(crate) mod webhook;
mod work;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    model::{Clock, Period, Rate, RunId, TransportName},
    store::{Lease, Queue, Store},
    transport::Transport,
};

use flight::TransportState;
use journal::Journal;
use pace::Buckets;

pub use guard::Guard;
pub use throttle::WayRate;
pub use work::RunWork;

/// A transport with what its settings say about its use.
#[derive(Clone)]
pub struct Way {
    /// Its name.
    pub name: TransportName,
    /// The transport.
    pub transport: Arc<dyn Transport>,
    /// At most this many messages in this time.
    pub rate: Option<Rate>,
    /// A delivery that was deferred for longer has failed.
    pub give_up_after: Period,
    /// Tells settings apart: another fingerprint is another transport.
    pub fingerprint: String,
}

/// What the dispatcher asks of whoever holds it.
#[async_trait]
pub trait Runs: Send + Sync + 'static {
    /// What a run's messages are made with: its pinned campaign.
    async fn work(&self, run: RunId, queue: &Queue) -> Result<Arc<RunWork>, NoWork>;
    /// A run can't be sent: it is to be held.
    async fn hold(&self, run: RunId, reason: crate::model::HoldReason, words: &str);
    /// Nothing of a run is left to send.
    async fn drained(&self, run: RunId);
}

/// Why a run's messages can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWork {
    /// Not now: it is asked for again.
    Later(String),
    /// Not at all: the run is held until a person acts.
    Never(String),
}

/// Sends what the store has to send, until it is told to stop.
pub struct Dispatcher {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    ways: tokio::sync::Mutex<BTreeMap<TransportName, Worker>>,
    /// Tasks of transports that were replaced: they finish what is on the wire.
    leaving: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    journal: Option<JoinHandle<()>>,
}

/// What feeders and lanes share.
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    runs: Arc<dyn Runs>,
    journal: Journal,
    buckets: Arc<Buckets>,
    wake: Notify,
    only: Option<RunId>,
}

struct Worker {
    way: Way,
    state: Arc<TransportState>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A transport at a glance.
#[derive(Clone, Debug)]
pub struct WayStatus {
    /// Its name.
    pub name: TransportName,
    /// What it is, in words.
    pub description: String,
    /// Connections that are open.
    pub connections: usize,
    /// Messages taken.
    pub sent: u64,
    /// How fast it goes, where anything limits it.
    pub rate: Option<WayRate>,
    /// What is wrong with it, if it is.
    pub error: Option<String>,
}

impl Dispatcher {
    /// Starts. `max_in_doubt` messages are on the wire at once; with `only`, nothing but that run is sent.
    pub async fn start(
        store: Arc<dyn Store>,
        lease: Lease,
        clock: Arc<dyn Clock>,
        runs: Arc<dyn Runs>,
        max_in_doubt: usize,
        only: Option<RunId>,
    ) -> Result<Self, crate::store::StoreError> {
        let buckets = Arc::new(Buckets::new(clock.clone(), store.rates().await?));
        let (journal, task) = Journal::start(
            store.clone(),
            lease,
            clock.clone(),
            buckets.clone(),
            max_in_doubt,
        );
        let shared = Shared {
            store,
            clock,
            runs,
            journal,
            buckets,
            wake: Notify::new(),
            only,
        };
        let (stop, _) = watch::channel(false);
        Ok(Self {
            shared: Arc::new(shared),
            stop,
            ways: tokio::sync::Mutex::default(),
            leaving: parking_lot::Mutex::default(),
            journal: Some(task),
        })
    }

    /// Uses these transports from now on. One whose settings changed finishes what is in flight and is replaced; one whose
    /// settings are the same opens its next connections with what it was built with now (a password in a file may be new).
    pub async fn use_ways(&self, ways: Vec<Way>) {
        let mut workers = self.ways.lock().await;
        let gone: Vec<_> = workers
            .iter()
            .filter(|(name, worker)| {
                !ways
                    .iter()
                    .any(|way| way.name == **name && way.fingerprint == worker.way.fingerprint)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(worker) = workers.remove(&name) {
                // It is left to finish by itself: what is on the wire ends, what is not begun stays queued.
                let _ = worker.stop.send(true);
                let mut leaving = self.leaving.lock();
                leaving.retain(|task| !task.is_finished());
                leaving.extend(worker.tasks);
            }
        }
        self.shared.journal.serve(ways.len());
        for way in ways {
            if let Some(worker) = workers.get(&way.name) {
                *worker.state.transport.write() = way.transport;
            } else if !*self.stop.borrow() {
                let key = TransportState::throttle_key(&way.name);
                let kept = match self.shared.store.setting(&key).await {
                    Ok(kept) => kept,
                    Err(error) => {
                        tracing::error!(transport = %way.name, %error, "its rate starts afresh");
                        None
                    }
                };
                workers.insert(way.name.clone(), self.start_way(way, kept.as_deref()));
            }
        }
    }

    /// Checks what begins from now on against this cap over all marketing runs.
    pub fn use_cap(&self, cap: Option<Rate>) {
        self.shared.journal.use_cap(cap);
    }

    fn start_way(&self, way: Way, kept: Option<&[u8]>) -> Worker {
        let (stop, stopped) = watch::channel(false);
        let state = Arc::new(TransportState::new(&way, &self.shared.buckets, kept));
        let caps = way.transport.caps();
        let (ready, waiting) = tokio::sync::mpsc::channel(caps.lanes.clamp(1, 64) * 2 + caps.batch);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        let mut tasks = vec![tokio::spawn(feeder::feed(
            self.shared.clone(),
            state.clone(),
            ready,
            stopped.clone(),
        ))];
        for _ in 0..caps.lanes.max(1) {
            tasks.push(tokio::spawn(lane::serve(
                self.shared.clone(),
                state.clone(),
                waiting.clone(),
                stopped.clone(),
            )));
        }
        Worker {
            way,
            state,
            stop,
            tasks,
        }
    }

    /// Says that runs may have something to send, or no longer: look at once.
    pub fn wake(&self) {
        self.shared.wake.notify_waiters();
    }

    /// The transports at a glance.
    pub async fn status(&self) -> Vec<WayStatus> {
        self.ways
            .lock()
            .await
            .values()
            .map(|worker| WayStatus {
                name: worker.way.name.clone(),
                description: worker.way.transport.describe(),
                connections: worker.state.connections.load(Ordering::Relaxed),
                sent: worker.state.sent.load(Ordering::Relaxed),
                rate: worker
                    .state
                    .throttle
                    .rate(worker.way.rate, self.shared.clock.now()),
                error: worker.state.error(self.shared.clock.now()),
            })
            .collect()
    }

    /// Whether the journal still writes; `false` after the lease was lost.
    pub fn is_alive(&self) -> bool {
        self.journal
            .as_ref()
            .is_some_and(|task| !task.is_finished())
    }

    /// Stops claiming, finishes what is in flight, records its outcomes, closes the connections. What is not over after
    /// `patience` is left in doubt, for recovery to find.
    pub async fn stop(mut self, patience: std::time::Duration) {
        let _ = self.stop.send(true);
        let workers = std::mem::take(&mut *self.ways.lock().await);
        let finish = async {
            for worker in workers.values() {
                let _ = worker.stop.send(true);
            }
            for worker in workers.into_values() {
                for task in worker.tasks {
                    let _ = task.await;
                }
                if let Err(error) = worker.state.keep_rate(&*self.shared.store).await {
                    tracing::debug!(%error, "its rate is not kept");
                }
            }
            let leaving = std::mem::take(&mut *self.leaving.lock());
            for task in leaving {
                let _ = task.await;
            }
            self.shared.journal.flush().await;
        };
        if tokio::time::timeout(patience, finish).await.is_err() {
            tracing::warn!(
                "stopped with messages in flight: they are in doubt until the next start"
            );
        }
        if let Some(task) = self.journal.take() {
            task.abort();
        }
    }
}
