//! One connection of a transport at work: takes what is ready, begins it in the ledger, sends it, and begins the next meanwhile.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use tokio::sync::{Mutex, mpsc, watch};

use crate::transport::{Fate, Lane, OpenError};

use super::{
    Shared,
    circuit::{self, Break},
    flight::{Ready, TransportState},
    hand::{Hand, Taking},
    page::Started,
};

/// How long a connection that has nothing to send is kept.
const IDLE: Duration = Duration::from_secs(5);
/// How long messages wait for a new connection before others may have them.
const REOPENS: Duration = Duration::from_secs(1);
/// After this long without an answer `status` says so, where there is no other connection.
const SILENT: Duration = Duration::from_secs(10);

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
        hand: Arc::new(Hand::new()),
        opened_at: 0,
        refused: 0,
        refused_for: None,
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
    /// Begun, not taken by the connection.
    hand: Arc<Hand>,
    /// How many the connections before this one had taken.
    opened_at: u64,
    /// How often in a row it was given no connection where others had theirs.
    refused: u32,
    /// When it asks for none.
    refused_for: Option<Break>,
}

/// There is nothing more to do here: it is time to stop, or the ledger is lost.
struct Over;

/// Messages that are on their way into the ledger.
struct Beginning {
    asked: usize,
    started: Pin<Box<dyn Future<Output = Option<Started>> + Send>>,
}

impl LaneWorker {
    async fn run(&mut self) {
        while self.fill().await {
            if !self.open().await {
                return;
            }
            if self.lane.is_some() && !self.is_idle() && self.send().await.is_err() {
                return;
            }
            // Behind a connection that has carried its share the next one is opened before messages are taken for it: meanwhile
            // they go to whoever is ready.
            if self.lane.is_none() && self.is_idle() && self.has_work() && !self.open().await {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.hand.is_empty()
    }

    /// Whether messages wait to be taken. While another connection waits for some there are none.
    fn has_work(&self) -> bool {
        self.ready.try_lock().is_ok_and(|ready| !ready.is_empty())
    }

    /// Waits until there is something to send. `false`: it is time to stop.
    async fn fill(&mut self) -> bool {
        while self.is_idle() {
            // What can't be sent is not taken: others may have a connection.
            if self.lane.is_none() && !self.until_it_may_open().await {
                return false;
            }
            let at_once = self.transport.at_once(&*self.shared.clock);
            let most = self.hand.wants(self.batch()).clamp(1, at_once);
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

    fn may_not_open_until(&self) -> Option<DateTime<Utc>> {
        let now = self.shared.clock.now();
        let refused = self.refused_for.and_then(|left| left.lasts_until(now));
        self.transport.circuit.open_until(now).max(refused)
    }

    /// Waits until the transport may be tried again. `false`: it is time to stop.
    async fn until_it_may_open(&mut self) -> bool {
        let Some(until) = self.may_not_open_until() else {
            return true;
        };
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => false,
            () = self.shared.clock.sleep_until(until) => true,
        }
    }

    /// Has a connection, if the transport gives one; what waits for it is left to others where it does not, or not soon.
    /// `false`: it is time to stop.
    async fn open(&mut self) -> bool {
        if self.lane.is_some() {
            return true;
        }
        if self.may_not_open_until().is_some() {
            self.leave_to_others("the transport is left alone for a while");
            return true;
        }
        let mut stop = self.stop.clone();
        let transport = self.transport.transport.read().clone();
        let mut opening = pin!(unharmed(transport.open()));
        let mut silent = pin!(tokio::time::sleep(SILENT));
        let mut told = false;
        let opened = loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return false,
                opened = &mut opening => break opened,
                () = tokio::time::sleep(REOPENS), if !self.is_idle() => {
                    self.leave_to_others("a new connection takes its time");
                }
                () = &mut silent, if !told => {
                    told = true;
                    self.transport.note_silence();
                }
            }
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
                self.transport.silent.store(false, Ordering::Relaxed);
                self.opened_at = self.hand.taken_so_far();
                self.refused = 0;
                self.lane = Some(lane);
            }
            Err(error) => {
                self.leave_to_others(&error.words);
                self.refuse(&error);
            }
        }
        true
    }

    /// Asks for no connection for a while: none of them does where there is none, and this one alone where others have theirs,
    /// for a server may allow fewer than it is asked for.
    fn refuse(&mut self, error: &OpenError) {
        let (state, now) = (&self.transport, self.shared.clock.now());
        let name = &state.way.name;
        if state.connections.load(Ordering::Relaxed) == 0 {
            let asked = error.permanent.then_some(Duration::from_mins(1));
            let until = state.circuit.fault(now, asked, &error.words);
            tracing::warn!(transport = %name, %error, %until, "can't connect: recipients stay queued");
        } else {
            let pause = circuit::pause(self.refused);
            self.refused += 1;
            self.refused_for = Some(Break::of(pause, now));
            tracing::info!(transport = %name, %error, ?pause, "no further connection: the others go on");
        }
    }

    /// Sends what is at hand, or pending; begins more meanwhile, as far as the connection can use it.
    async fn send(&mut self) -> Result<(), Over> {
        if self.hand.is_empty() {
            self.begin_pending().await?;
        }
        let Some(mut lane) = self.lane.take_if(|_| !self.hand.is_empty()) else {
            return Ok(());
        };
        let before = self.hand.starts();
        let (hand, mut stop) = (self.hand.clone(), self.stop.clone());
        let mut messages = Taking(&hand);
        let mut sending = Box::pin(unharmed(lane.send(&mut messages)));
        let mut beginning = None;
        let mut ends = Ok(());
        let fate = loop {
            tokio::select! {
                biased;
                fate = &mut sending => break fate,
                started = arrives(&mut beginning) => ends = ends.and(self.take_in(started)),
                () = hand.taken(), if beginning.is_none() && ends.is_ok() => {
                    beginning = self.begin_ahead();
                }
                () = hand.stalled(), if !self.is_idle() => {
                    self.leave_to_others("the message before it takes long on this connection");
                }
                _ = stop.wait_for(|stop| *stop), if ends.is_ok() => ends = Err(Over),
            }
        };
        drop(sending);
        if beginning.is_some() {
            ends = ends.and(self.take_in(arrives(&mut beginning).await));
        }
        self.lane = Some(lane);
        match fate {
            Ok(Fate::Open) if hand.taken_so_far() > before => {}
            Ok(_) => {
                self.close().await;
                if hand.taken_so_far() == self.opened_at {
                    self.recall("the connection ended before anything was sent");
                }
            }
            // What it had taken is in doubt by now: its permits were dropped.
            Err(panicked) => {
                self.drop_lane();
                let now = self.shared.clock.now();
                let words = format!("the transport panicked: {panicked}");
                self.recall(&words);
                let until = self.transport.circuit.fault(now, None, &words);
                tracing::error!(
                    transport = %self.transport.way.name, panicked, until = %until,
                    "the transport panicked while it sent: that is a defect of it"
                );
            }
        }
        ends
    }

    /// Begins some of what is pending, as soon as the rate and the slots allow it.
    async fn begin_pending(&mut self) -> Result<(), Over> {
        let most = self.pending.len().min(self.batch());
        let mut stop = self.stop.clone();
        let n = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Err(Over),
            n = self.transport.admit(&*self.shared.clock, most) => n,
        };
        let mut beginning = Some(self.begin(n));
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Err(Over),
            started = arrives(&mut beginning) => self.take_in(started),
        }
    }

    /// Begins what the connection can use next, where there is something: it waits neither for messages, which go to whoever
    /// is idle, nor for the rate.
    fn begin_ahead(&mut self) -> Option<Beginning> {
        let wanted = self.hand.wants(self.batch());
        let admitted = self.transport.try_admit(&*self.shared.clock, wanted);
        if let Ok(mut ready) = self.ready.try_lock() {
            while self.pending.len() < admitted
                && let Ok(message) = ready.try_recv()
            {
                self.pending.push_back(message);
            }
        }
        let n = admitted.min(self.pending.len());
        self.transport.give_back(&*self.shared.clock, admitted - n);
        (n > 0).then(|| self.begin(n))
    }

    fn begin(&mut self, n: usize) -> Beginning {
        let (journal, transport) = (self.shared.journal.clone(), self.transport.clone());
        let messages = self.pending.drain(..n).collect();
        Beginning {
            asked: n,
            started: Box::pin(async move { journal.begin(&transport, messages).await }),
        }
    }

    /// Takes what may go out to hand, and back what may not yet.
    fn take_in(&mut self, (asked, started): (usize, Option<Started>)) -> Result<(), Over> {
        let Some(started) = started else {
            return Err(Over);
        };
        let unused = asked - started.begun.len();
        self.transport.give_back(&*self.shared.clock, unused);
        for message in started.left.into_iter().rev() {
            self.pending.push_front(message);
        }
        self.hand.put(started.begun);
        Ok(())
    }

    /// There is no connection, or it is busy with something that takes long: nobody waits for it.
    fn leave_to_others(&mut self, words: &str) {
        self.recall(words);
        let now = self.shared.clock.now();
        for message in self.pending.drain(..) {
            message.queue.claims.give_back(message.begin.delivery, now);
        }
    }

    /// What is at hand has not started.
    fn recall(&self, words: &str) {
        for begun in self.hand.recall() {
            begun.not_started(words);
        }
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

/// What came of messages, and how many they were; never, where none are on their way.
async fn arrives(beginning: &mut Option<Beginning>) -> (usize, Option<Started>) {
    let Some(on_its_way) = beginning else {
        return std::future::pending().await;
    };
    let started = on_its_way.started.as_mut().await;
    let asked = on_its_way.asked;
    *beginning = None;
    (asked, started)
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
