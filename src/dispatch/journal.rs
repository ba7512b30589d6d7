//! One place where attempts begin and outcomes are recorded: everything that waits goes into one durable commit.
//!
//! The journal never loses an outcome: while the store can't write, it keeps what came in and tries again.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    model::{Answered, Clock, DeliveryId, Outcomes, Rate},
    store::{Advance, Begin, Begun, Cap, Done, Lease, Outcome, QueueId, Store, StoreError},
};

use super::{
    flight::{InFlight, QueueState},
    pace::Buckets,
    verdict::judge,
};

/// How many deliveries one commit takes at most.
const COMMIT_ROWS: usize = 1024;

/// A handle to the task that writes.
#[derive(Clone)]
pub(super) struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    cap: Arc<Mutex<Option<Rate>>>,
}

enum Entry {
    Begin(Vec<(Begin, InFlight)>, oneshot::Sender<Vec<Begun>>),
    Record(Done, Arc<QueueState>),
    Flush(oneshot::Sender<()>),
}

impl Journal {
    pub(super) fn start(
        store: Arc<dyn Store>,
        lease: Lease,
        clock: Arc<dyn Clock>,
        buckets: Arc<Buckets>,
    ) -> (Self, JoinHandle<()>) {
        let (entries, incoming) = mpsc::unbounded_channel();
        let (outcomes, answers) = Outcomes::channel();
        let cap = Arc::default();
        let writer = Writer {
            store,
            lease,
            clock,
            outcomes,
            buckets,
            cap: Arc::clone(&cap),
            flying: HashMap::new(),
            queues: HashMap::new(),
            cursors_at: DateTime::<Utc>::MIN_UTC,
        };
        let task = tokio::spawn(writer.run(incoming, answers));
        (Self { entries, cap }, task)
    }

    /// Begins attempts. The answer is in the same order; `None`: the store was taken over by another process.
    pub(super) async fn begin(&self, attempts: Vec<(Begin, InFlight)>) -> Option<Vec<Begun>> {
        let (reply, answer) = oneshot::channel();
        self.entries.send(Entry::Begin(attempts, reply)).ok()?;
        answer.await.ok()
    }

    /// Records what became of a claim without an attempt.
    pub(super) fn record(&self, done: Done, queue: Arc<QueueState>) {
        // The writer ends only when the lease is lost: then this process has nothing to record any more.
        let _ = self.entries.send(Entry::Record(done, queue));
    }

    /// Checks what begins from now on against this cap over all marketing runs.
    pub(super) fn use_cap(&self, cap: Option<Rate>) {
        *self.cap.lock() = cap;
    }

    /// Waits until everything that came in before is durable.
    pub(super) async fn flush(&self) {
        let (reply, answer) = oneshot::channel();
        if self.entries.send(Entry::Flush(reply)).is_ok() {
            let _ = answer.await;
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    outcomes: Outcomes,
    buckets: Arc<Buckets>,
    cap: Arc<Mutex<Option<Rate>>>,
    flying: HashMap<DeliveryId, InFlight>,
    queues: HashMap<QueueId, Arc<QueueState>>,
    cursors_at: DateTime<Utc>,
}

/// What one commit carries, and whom to tell after it.
#[derive(Default)]
struct Page {
    done: Vec<Done>,
    /// What the outcomes belong to: freed after the commit.
    landed: Vec<InFlight>,
    recorded: Vec<(DeliveryId, Arc<QueueState>)>,
    begin: Vec<(Begin, InFlight)>,
    replies: Vec<(usize, oneshot::Sender<Vec<Begun>>)>,
    flushed: Vec<oneshot::Sender<()>>,
}

impl Page {
    /// Takes out what would begin outside its window, to be claimed again when that opens; gives the places where it stood.
    fn turn_away(&mut self, now: DateTime<Utc>) -> Vec<usize> {
        let mut closed = Vec::new();
        let is_closed = |(_, flight): &(Begin, InFlight)| flight.queue.closed_until(now).is_some();
        if !self.begin.iter().any(is_closed) {
            return closed;
        }
        let begin = std::mem::take(&mut self.begin);
        for (at, (begin, flight)) in begin.into_iter().enumerate() {
            match flight.queue.closed_until(now) {
                None => self.begin.push((begin, flight)),
                Some(opens) => {
                    flight.queue.claims.give_back(begin.delivery, opens);
                    closed.push(at);
                }
            }
        }
        closed
    }

    fn rows(&self) -> usize {
        self.done.len() + self.begin.len()
    }
}

impl Writer {
    async fn run(
        mut self,
        mut incoming: mpsc::UnboundedReceiver<Entry>,
        mut answers: mpsc::UnboundedReceiver<Answered>,
    ) {
        loop {
            let mut page = Page::default();
            tokio::select! {
                Some(answered) = answers.recv() => self.land(&mut page, answered),
                entry = incoming.recv() => match entry {
                    Some(entry) => Self::take(&mut page, entry),
                    None => return,
                },
            }
            while page.rows() < COMMIT_ROWS {
                if let Ok(answered) = answers.try_recv() {
                    self.land(&mut page, answered);
                } else if let Ok(entry) = incoming.try_recv() {
                    Self::take(&mut page, entry);
                } else {
                    break;
                }
            }
            if let Err(error) = self.commit(page).await {
                tracing::error!(%error, "the ledger can't be written any more: sending ends here");
                return;
            }
        }
    }

    fn land(&mut self, page: &mut Page, answered: Answered) {
        let Some(flight) = self.flying.remove(&answered.delivery) else {
            return;
        };
        let done = judge(
            &flight.attempt,
            answered.answer,
            &flight.transport.circuit,
            &flight.transport.throttle,
            self.clock.now(),
        );
        if done.outcome == Outcome::Sent {
            flight.transport.throttle.sent(self.clock.now());
            flight.transport.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            tracing::debug!(
                delivery = %done.delivery, outcome = ?done.outcome, words = done.reason.as_deref(), "not sent"
            );
        }
        page.done.push(done);
        page.landed.push(flight);
    }

    fn take(page: &mut Page, entry: Entry) {
        match entry {
            Entry::Begin(attempts, reply) => {
                page.replies.push((attempts.len(), reply));
                page.begin.extend(attempts);
            }
            Entry::Record(done, queue) => {
                page.recorded.push((done.delivery, queue));
                page.done.push(done);
            }
            Entry::Flush(reply) => page.flushed.push(reply),
        }
    }

    /// Writes a page, however long it takes; ends only where another process has the store.
    async fn commit(&mut self, mut page: Page) -> Result<(), StoreError> {
        let now = self.clock.now();
        let closed = page.turn_away(now);
        let step = Advance {
            now,
            done: page.done,
            begin: page.begin.iter().map(|(begin, _)| begin.clone()).collect(),
            cursors: self.cursors(now),
            rates: self.buckets.moved(),
            cap: self.cap.lock().map(|cap| Cap {
                most: cap.count,
                since: cap.per.before(now),
            }),
        };
        let begun = loop {
            match self
                .store
                .advance(self.lease, step.clone(), &self.outcomes)
                .await
            {
                Ok(begun) => break begun,
                Err(StoreError::LeaseLost) => return Err(StoreError::LeaseLost),
                Err(error) => {
                    tracing::error!(%error, "the ledger can't be written: trying again in a second");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        for flight in page.landed {
            flight.queue.claims.complete(flight.attempt.delivery);
        }
        for (delivery, queue) in page.recorded {
            queue.claims.complete(delivery);
        }
        for ((begin, mut flight), begun) in page.begin.into_iter().zip(&begun) {
            match begun {
                Begun::Permit(_) => {
                    if let Some(admitted) = flight.admitted.take() {
                        admitted.begin();
                    }
                    self.queues
                        .entry(flight.queue.queue.id)
                        .or_insert_with(|| flight.queue.clone());
                    self.flying.insert(begin.delivery, flight);
                }
                Begun::Skipped(_) => flight.queue.claims.complete(begin.delivery),
                Begun::NotNow => flight
                    .queue
                    .claims
                    .give_back(begin.delivery, now + TimeDelta::seconds(1)),
            }
        }
        let mut begun = begun.into_iter();
        let mut closed = closed.into_iter().peekable();
        let mut place = 0;
        for (n, reply) in page.replies {
            let answers = (place..place + n).filter_map(|at| match closed.next_if_eq(&at) {
                Some(_) => Some(Begun::NotNow),
                None => begun.next(),
            });
            // A lane that is gone drops its permits: they report themselves as unknown.
            let _ = reply.send(answers.collect());
            place += n;
        }
        for reply in page.flushed {
            let _ = reply.send(());
        }
        Ok(())
    }

    /// Where claiming has come to, once a second.
    fn cursors(&mut self, now: DateTime<Utc>) -> Vec<(QueueId, DeliveryId)> {
        if (now - self.cursors_at).abs() < TimeDelta::seconds(1) {
            return Vec::new();
        }
        self.cursors_at = now;
        let cursors = self
            .queues
            .iter()
            .filter_map(|(id, queue)| Some((*id, queue.claims.cursor()?)))
            .collect::<Vec<_>>();
        // A queue that nobody else holds any more has nothing on its way.
        self.queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        cursors
    }
}
