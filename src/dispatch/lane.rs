//! One connection of a transport at work: takes what is ready, begins it in the ledger, sends it.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Mutex, mpsc, watch};

use crate::{
    model::Answer,
    store::Begun,
    transport::{Fate, Lane},
};

use super::{
    Shared,
    flight::{InFlight, Ready, TransportState},
    verdict::Attempt,
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
        let slots = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return false,
            slots = self.shared.slots.take(&self.transport.way.name, n) => slots,
        };
        self.transport
            .give_back(&*self.shared.clock, n - slots.len());
        let now = self.shared.clock.now();
        let (mut begins, mut messages) = (Vec::new(), Vec::new());
        let mut guards = Vec::new();
        for (ready, slot) in self.pending.drain(..slots.len()).zip(slots) {
            if !ready.is_current() {
                // It is claimed again, and made under what is in force now, or not at all.
                ready.queue.claims.give_back(ready.begin.delivery, now);
                continue;
            }
            guards.push((ready.guard.clone(), ready.queue.work.guard.clone()));
            let flight = InFlight {
                attempt: Attempt {
                    delivery: ready.begin.delivery,
                    number: ready.attempts + 1,
                    first_try: ready.first_try.unwrap_or(now),
                    give_up_after: self.transport.way.give_up_after,
                    redirected: ready.guard.redirects(),
                },
                transport: self.transport.clone(),
                queue: ready.queue,
                admitted: ready.admitted,
                slot,
            };
            begins.push((ready.begin, flight));
            messages.push(ready.outgoing);
        }
        let asked = begins.len();
        let Some(begun) = self.shared.journal.begin(begins).await else {
            return false;
        };
        let batch: Vec<_> = begun
            .into_iter()
            .zip(messages)
            .zip(guards)
            .filter_map(|((begun, message), (made_under, in_force))| match begun {
                // The very last look: while its intent was written the settings may have changed.
                Begun::Permit(permit) if !Arc::ptr_eq(&made_under, &in_force.load()) => {
                    permit.answer(Answer::NotStarted {
                        words: "[safety] of the settings has changed".to_owned(),
                    });
                    None
                }
                Begun::Permit(permit) => Some((permit, message)),
                Begun::Skipped(_) | Begun::NotNow => None,
            })
            .collect();
        self.transport
            .give_back(&*self.shared.clock, asked - batch.len());
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
