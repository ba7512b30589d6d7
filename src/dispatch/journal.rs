//! One place where attempts begin and outcomes are recorded: everything that waits goes into one durable commit.
//!
//! The journal never loses an outcome: while the store can't write, it keeps what came in and tries again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    model::{Answered, Clock, DeliveryId, Outcomes, Rate},
    store::{Advance, Begun, Cap, Done, Lease, Outcome, QueueId, Store, StoreError},
};

use super::{
    flight::{InFlight, QueueState, Ready, TransportState},
    pace::Buckets,
    page::{Asked, Beginning, Begins, Page, Started},
    slots::Slots,
    verdict::judge,
};

/// How many deliveries one commit takes at most.
const COMMIT_ROWS: usize = 1024;
/// How long a page waits for more at most, however slow the disk is.
const LONGEST_WAIT: Duration = Duration::from_millis(2);

/// A handle to the task that writes.
#[derive(Clone)]
pub(super) struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    cap: Arc<Mutex<Option<Rate>>>,
}

enum Entry {
    Begin(Asked),
    Record(Done, Arc<QueueState>),
    Transports(usize),
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Starts. At most `max_in_doubt` messages are begun and have no outcome in the ledger.
    pub(super) fn start(
        store: Arc<dyn Store>,
        lease: Lease,
        clock: Arc<dyn Clock>,
        buckets: Arc<Buckets>,
        max_in_doubt: usize,
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
            slots: Slots::new(max_in_doubt),
            asked: VecDeque::new(),
            flying: HashMap::new(),
            queues: HashMap::new(),
            cursors_at: DateTime::<Utc>::MIN_UTC,
            writing_takes: Duration::ZERO,
        };
        let task = tokio::spawn(writer.run(incoming, answers));
        (Self { entries, cap }, task)
    }

    /// Begins attempts, as soon as at least one of them has a slot. Whoever does not wait for it begins nothing. `None`: the
    /// store was taken over by another process.
    pub(super) async fn begin(
        &self,
        transport: &Arc<TransportState>,
        messages: VecDeque<Ready>,
    ) -> Option<Started> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            transport: transport.clone(),
            messages,
            reply,
        };
        self.entries.send(Entry::Begin(asked)).ok()?;
        answer.await.ok()
    }

    /// Records what became of a claim without an attempt.
    pub(super) fn record(&self, done: Done, queue: Arc<QueueState>) {
        // The writer ends only when the lease is lost: then this process has nothing to record any more.
        let _ = self.entries.send(Entry::Record(done, queue));
    }

    /// Shares the slots out among so many transports.
    pub(super) fn serve(&self, transports: usize) {
        let _ = self.entries.send(Entry::Transports(transports));
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
    slots: Slots,
    /// Those who wait for slots.
    asked: VecDeque<Asked>,
    flying: HashMap<DeliveryId, InFlight>,
    queues: HashMap<QueueId, Arc<QueueState>>,
    cursors_at: DateTime<Utc>,
    /// How long the last page took.
    writing_takes: Duration,
}

impl Writer {
    async fn run(
        mut self,
        mut incoming: mpsc::UnboundedReceiver<Entry>,
        mut answers: mpsc::UnboundedReceiver<Answered>,
    ) {
        let (mut page, mut since) = (Page::default(), None);
        loop {
            while page.rows() < COMMIT_ROWS {
                if let Ok(answered) = answers.try_recv() {
                    self.land(&mut page, answered);
                } else if let Ok(entry) = incoming.try_recv() {
                    self.take(&mut page, entry);
                } else {
                    break;
                }
            }
            page.admit(&mut self.asked, &mut self.slots, self.clock.now());
            let waits = (!page.is_empty()).then(|| {
                let since = *since.get_or_insert_with(Instant::now);
                self.patience(&page).saturating_sub(since.elapsed())
            });
            if waits != Some(Duration::ZERO) {
                tokio::select! {
                    Some(answered) = answers.recv() => self.land(&mut page, answered),
                    entry = incoming.recv() => match entry {
                        Some(entry) => self.take(&mut page, entry),
                        None => return,
                    },
                    () = tokio::time::sleep(waits.unwrap_or_default()), if waits.is_some() => {}
                }
                continue;
            }
            since = None;
            if let Err(error) = self.commit(std::mem::take(&mut page)).await {
                tracing::error!(%error, "the ledger can't be written any more: sending ends here");
                return;
            }
        }
    }

    /// How long a page waits for more: as long as writing one takes, so that a commit is shared by many and none waits for
    /// much longer than it must. Not at all where a quarter of what may be in doubt has come in, or nothing more can come.
    fn patience(&self, page: &Page) -> Duration {
        let is_full = page.done.len() >= self.slots.total() / 4;
        if is_full || self.flying.is_empty() || !page.flushed.is_empty() {
            return Duration::ZERO;
        }
        self.writing_takes.min(LONGEST_WAIT)
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
        self.slots.free(&flight.transport.way.name);
        page.settled.push((done.delivery, flight.queue));
        page.done.push(done);
    }

    fn take(&mut self, page: &mut Page, entry: Entry) {
        match entry {
            Entry::Begin(asked) => self.asked.push_back(asked),
            Entry::Record(done, queue) => {
                page.settled.push((done.delivery, queue));
                page.done.push(done);
            }
            Entry::Transports(transports) => self.slots.configure(transports),
            Entry::Flush(reply) => page.flushed.push(reply),
        }
    }

    /// Writes a page, however long it takes; ends only where another process has the store.
    async fn commit(&mut self, page: Page) -> Result<(), StoreError> {
        let now = self.clock.now();
        let step = Advance {
            now,
            done: page.done,
            begin: page.begin.iter().map(|one| one.begin.clone()).collect(),
            cursors: self.cursors(now),
            rates: self.buckets.moved(),
            cap: self.cap.lock().map(|cap| Cap {
                most: cap.count,
                since: cap.per.before(now),
            }),
        };
        let begins_at = Instant::now();
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
        self.writing_takes = begins_at.elapsed();
        for (delivery, queue) in page.settled {
            queue.complete(delivery);
        }
        let mut decided = page.begin.into_iter().zip(begun);
        for (n, left, reply) in page.replies {
            let begun = decided.by_ref().take(n);
            let begun = begun.filter_map(|(one, begun)| self.start_one(one, begun, now));
            let begun = begun.collect();
            // To a lane that is gone nothing was begun: what it does not take answers for itself.
            let _ = reply.send(Started { begun, left });
        }
        for reply in page.flushed {
            let _ = reply.send(());
        }
        Ok(())
    }

    /// What the ledger decided about an attempt.
    fn start_one(&mut self, one: Beginning, begun: Begun, now: DateTime<Utc>) -> Option<Begins> {
        let queue = one.flight.queue.clone();
        match begun {
            Begun::Permit(permit) => {
                let (begins, mut flight) = one.begun(permit);
                if let Some(admitted) = flight.admitted.take() {
                    admitted.begin();
                }
                self.queues.entry(queue.queue.id).or_insert(queue);
                self.flying.insert(flight.attempt.delivery, flight);
                return Some(begins);
            }
            Begun::Skipped(_) => queue.complete(one.begin.delivery),
            Begun::NotNow => {
                let later = now + TimeDelta::seconds(1);
                queue.claims.give_back(one.begin.delivery, later);
            }
        }
        self.slots.free(&one.flight.transport.way.name);
        None
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
