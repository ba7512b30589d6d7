//! One connection of a transport at work: takes what is ready, begins it in the ledger, sends it.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::sync::{Mutex, mpsc, watch};

use crate::transport::{Fate, Lane, OpenError};

use super::{
    Shared,
    flight::{Ready, TransportState},
    page::Begins,
};

/// How long a connection that has nothing to send is kept.
const IDLE: Duration = Duration::from_secs(5);

/// Serves one transport until it is stopped.
pub(super) async fn serve(
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    ready: Arc<Mutex<mpsc::Receiver<Ready>>>,
    stop: watch::Receiver<bool>,
) {
    let mut worker = LaneWorker {
        shared,
        transport,
        ready,
        stop,
        lane: None,
        pending: VecDeque::new(),
    };
    worker.run().await;
    worker.close().await;
}

struct LaneWorker {
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    ready: Arc<Mutex<mpsc::Receiver<Ready>>>,
    stop: watch::Receiver<bool>,
    lane: Option<Box<dyn Lane>>,
    /// Taken from the queue, not begun.
    pending: VecDeque<Ready>,
}

impl LaneWorker {
    async fn run(&mut self) {
        while self.fill().await {
            if !self.open().await || !self.send().await {
                return;
            }
            // Behind a connection that has carried its share the next one is opened before messages are taken for it: meanwhile
            // they go to whoever is ready.
            if self.lane.is_none()
                && self.pending.is_empty()
                && self.has_work()
                && !self.open().await
            {
                return;
            }
        }
    }

    /// Whether messages wait to be taken. While another connection waits for some there are none.
    fn has_work(&self) -> bool {
        self.ready.try_lock().is_ok_and(|ready| !ready.is_empty())
    }

    /// Waits until something is pending. `false`: it is time to stop.
    async fn fill(&mut self) -> bool {
        while self.pending.is_empty() {
            let most = self
                .batch()
                .min(self.transport.at_once(&*self.shared.clock));
            let (ready, mut taken, connected) =
                (self.ready.clone(), Vec::new(), self.lane.is_some());
            let take = async { ready.lock().await.recv_many(&mut taken, most).await };
            let idle = async move {
                if connected {
                    tokio::time::sleep(IDLE).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            let n = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return false,
                n = take => Some(n),
                () = idle => None,
            };
            match n {
                Some(0) => return false,
                Some(_) => self.pending.extend(taken),
                None => self.close().await,
            }
        }
        !*self.stop.borrow()
    }

    fn batch(&self) -> usize {
        self.transport.way.transport.caps().batch.max(1)
    }

    /// Has a connection, however long that takes. `false`: it is time to stop.
    async fn open(&mut self) -> bool {
        while self.lane.is_none() {
            let now = self.shared.clock.now();
            let mut stop = self.stop.clone();
            if let Some(until) = self.transport.circuit.open_until(now) {
                tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return false,
                    () = self.shared.clock.sleep_until(until) => {}
                }
                continue;
            }
            let transport = self.transport.transport.read().clone();
            let opening = unharmed(transport.open());
            let opened = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                opened = opening => opened,
            };
            let opened = opened.unwrap_or_else(|panicked| {
                Err(OpenError {
                    permanent: false,
                    words: format!("the transport panicked while it was opened: {panicked}"),
                })
            });
            match opened {
                Ok(lane) => {
                    self.transport.connections.fetch_add(1, Ordering::Relaxed);
                    self.lane = Some(lane);
                }
                Err(error) => {
                    let pause = error.permanent.then_some(Duration::from_mins(1));
                    let until =
                        self.transport
                            .circuit
                            .fault(self.shared.clock.now(), pause, &error.words);
                    tracing::warn!(
                        transport = %self.transport.way.name, error = %error, until = %until,
                        "can't connect: recipients stay queued"
                    );
                }
            }
        }
        true
    }

    /// Sends some of what is pending. `false`: the ledger is lost.
    async fn send(&mut self) -> bool {
        let most = self.pending.len().min(self.batch());
        let mut stop = self.stop.clone();
        let n = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return false,
            n = self.transport.admit(&*self.shared.clock, most) => n,
        };
        let messages = self.pending.drain(..n).collect();
        let started = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return false,
            started = self.shared.journal.begin(&self.transport, messages) => started,
        };
        let Some(started) = started else {
            return false;
        };
        for message in started.left.into_iter().rev() {
            self.pending.push_front(message);
        }
        let batch: Vec<_> = started.begun.into_iter().filter_map(Begins::take).collect();
        self.transport
            .give_back(&*self.shared.clock, n - batch.len());
        if batch.is_empty() {
            return true;
        }
        let Some(lane) = &mut self.lane else {
            return true;
        };
        match unharmed(lane.send(batch)).await {
            Ok(Fate::Open) => {}
            Ok(Fate::Closed) => self.close().await,
            // What it had in hand is in doubt by now: its permits were dropped.
            Err(panicked) => {
                self.drop_lane();
                let now = self.shared.clock.now();
                let words = format!("the transport panicked: {panicked}");
                let until = self.transport.circuit.fault(now, None, &words);
                tracing::error!(
                    transport = %self.transport.way.name, panicked, until = %until,
                    "the transport panicked while it sent: that is a defect of it"
                );
            }
        }
        true
    }

    fn drop_lane(&mut self) -> Option<Box<dyn Lane>> {
        let lane = self.lane.take()?;
        self.transport.connections.fetch_sub(1, Ordering::Relaxed);
        Some(lane)
    }

    async fn close(&mut self) {
        if let Some(lane) = self.drop_lane()
            && let Err(panicked) = unharmed(lane.close()).await
        {
            tracing::error!(transport = %self.transport.way.name, panicked, "a connection was not closed in order");
        }
    }
}

/// Somebody else's code: where it panics, that is an error with its words, and whoever waits for it goes on.
async fn unharmed<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        words.unwrap_or("it did not say why").to_owned()
    })
}
