//! One connection of a transport at work: takes what is ready, begins it in the ledger, sends it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Mutex, mpsc, watch};

use crate::transport::{Fate, Lane};

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
        }
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
            let opening = transport.open();
            let opened = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                opened = opening => opened,
            };
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
        if lane.send(batch).await == Fate::Closed {
            self.close().await;
        }
        true
    }

    async fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.transport.connections.fetch_sub(1, Ordering::Relaxed);
            lane.close().await;
        }
    }
}
