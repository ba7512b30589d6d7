//! One place where attempts begin and outcomes are recorded: everything that waits goes into one durable commit.
//!
//! The journal never loses an outcome: while the store can't write, it keeps what came in and tries again.

use std::{
    collections::{BTreeMap, HashMap},
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
    pace::Pace,
    verdict::judge,
};

/// How many deliveries one commit takes at most.
const COMMIT_ROWS: usize = 1024;

/// A handle to the task that writes.
#[derive(Clone)]
pub(super) struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    rates: Arc<Mutex<Rates>>,
    cap: Arc<Mutex<Option<Rate>>>,
}

#[derive(Default)]
struct Rates {
    kept: BTreeMap<String, DateTime<Utc>>,
    moved: BTreeMap<String, DateTime<Utc>>,
}

/// A pace whose state is kept with the next commit.
pub(super) struct KeptPace {
    bucket: String,
    pace: Pace,
    rates: Arc<Mutex<Rates>>,
}

impl KeptPace {
    /// Waits until at least one may go; gives how many of `wanted`.
    pub(super) async fn admit(&self, wanted: usize) -> usize {
        let (admitted, next) = self.pace.admit(wanted).await;
        let mut rates = self.rates.lock();
        rates.kept.insert(self.bucket.clone(), next);
        rates.moved.insert(self.bucket.clone(), next);
        admitted
    }

    /// Gives back what was admitted and not used.
    pub(super) fn refund(&self, unused: usize) {
        self.pace.refund(unused);
    }
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
        rates: BTreeMap<String, DateTime<Utc>>,
    ) -> (Self, JoinHandle<()>) {
        let (entries, incoming) = mpsc::unbounded_channel();
        let (outcomes, answers) = Outcomes::channel();
        let rates = Arc::new(Mutex::new(Rates {
            kept: rates,
            moved: BTreeMap::new(),
        }));
        let cap = Arc::default();
        let writer = Writer {
            store,
            lease,
            clock,
            outcomes,
            rates: rates.clone(),
            cap: Arc::clone(&cap),
            flying: HashMap::new(),
            queues: HashMap::new(),
            cursors_at: DateTime::<Utc>::MIN_UTC,
        };
        let task = tokio::spawn(writer.run(incoming, answers));
        let journal = Self {
            entries,
            rates,
            cap,
        };
        (journal, task)
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

    /// A pace that goes on where the last process left it.
    pub(super) fn pace(&self, bucket: &str, rate: Rate, clock: Arc<dyn Clock>) -> KeptPace {
        let next = self.rates.lock().kept.get(bucket).copied();
        KeptPace {
            bucket: bucket.to_owned(),
            pace: Pace::new(rate, clock, next),
            rates: self.rates.clone(),
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    outcomes: Outcomes,
    rates: Arc<Mutex<Rates>>,
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
            self.clock.now(),
        );
        if done.outcome == Outcome::Sent {
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
    async fn commit(&mut self, page: Page) -> Result<(), StoreError> {
        let now = self.clock.now();
        let step = Advance {
            now,
            done: page.done,
            begin: page.begin.iter().map(|(begin, _)| begin.clone()).collect(),
            cursors: self.cursors(now),
            rates: std::mem::take(&mut self.rates.lock().moved)
                .into_iter()
                .collect(),
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
        for ((begin, flight), begun) in page.begin.into_iter().zip(&begun) {
            match begun {
                Begun::Permit(_) => {
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
        for (n, reply) in page.replies {
            // A lane that is gone drops its permits: they report themselves as unknown.
            let _ = reply.send(begun.by_ref().take(n).collect());
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
