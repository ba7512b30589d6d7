//! Claims deliveries from the ledger, renders them, and hands them to the lanes of one transport: a little of each run in
//! turn, so that a small urgent campaign is not behind a million others.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};

use crate::{
    model::{HoldReason, RunId, SkipReason},
    store::{Begin, Claimed, Done, Outcome, QueueId, StoreError},
};

use super::{
    NoWork, Shared,
    claims::Position,
    flight::{QueueState, Ready, TransportState},
};

/// How many deliveries are claimed and rendered of one run before the next one's turn.
const CHUNK: usize = 64;
/// How often the store is asked which queues there are, where nothing says so earlier.
const REFRESH: Duration = Duration::from_millis(250);

/// Feeds one transport until it is stopped.
pub(super) async fn feed(
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    ready: mpsc::Sender<Ready>,
    mut stop: watch::Receiver<bool>,
) {
    let mut feeder = Feeder {
        shared,
        transport,
        ready,
        queues: BTreeMap::new(),
        turn: None,
        looked: Instant::now(),
    };
    loop {
        let pause = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            outcome = feeder.round() => match outcome {
                Ok(()) => REFRESH,
                Err(StoreError::LeaseLost) => return,
                Err(error) => {
                    tracing::error!(%error, "the ledger can't be read: trying again in a second");
                    Duration::from_secs(1)
                }
            },
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = feeder.shared.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Feeder {
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    ready: mpsc::Sender<Ready>,
    queues: BTreeMap<QueueId, Arc<QueueState>>,
    /// The queue that had the last turn.
    turn: Option<QueueId>,
    looked: Instant,
}

impl Feeder {
    /// Feeds until no queue has anything to claim.
    async fn round(&mut self) -> Result<(), StoreError> {
        self.look().await?;
        loop {
            let mut fed = false;
            for queue in self.in_turn() {
                if self.is_open(&queue) {
                    fed |= self.feed_chunk(&queue).await?;
                    self.turn = Some(queue.queue.id);
                }
                if self.looked.elapsed() >= REFRESH {
                    self.look().await?;
                }
            }
            if !fed {
                return self.finish_drained().await;
            }
        }
    }

    /// Which queues opened, closed, and are done with: also while a large run keeps the feeder busy or a slow transport blocks
    /// it, a small one ends when it is over.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.refresh().await?;
        self.finish_drained().await?;
        self.looked = Instant::now();
        Ok(())
    }

    /// Whether it is still the same queue: its run is sending, and nothing of it was queued again.
    fn is_open(&self, queue: &Arc<QueueState>) -> bool {
        let open = self.queues.get(&queue.queue.id);
        open.is_some_and(|open| Arc::ptr_eq(open, queue))
    }

    /// Takes up the queues that opened, drops those that closed.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let open: Vec<_> = self
            .shared
            .store
            .queues()
            .await?
            .into_iter()
            .filter(|queue| queue.transport == self.transport.way.name)
            .filter(|queue| self.shared.only.is_none_or(|only| queue.run == only))
            .collect();
        self.queues.retain(|id, state| {
            open.iter()
                .any(|queue| queue.id == *id && queue.epoch == state.queue.epoch)
        });
        for queue in open {
            if self.queues.contains_key(&queue.id) {
                continue;
            }
            match self.shared.runs.work(queue.run, &queue).await {
                Ok(work) => {
                    self.queues
                        .insert(queue.id, Arc::new(QueueState::new(queue, work)));
                }
                Err(NoWork::Later(words)) => {
                    tracing::warn!(run = %queue.run, error = words, "not sent yet: trying again");
                }
                Err(NoWork::Never(words)) => {
                    self.shared
                        .runs
                        .hold(queue.run, HoldReason::Broken, &words)
                        .await;
                }
            }
        }
        Ok(())
    }

    fn in_turn(&self) -> Vec<Arc<QueueState>> {
        let after = |id: &QueueId| self.turn.is_some_and(|turn| *id <= turn);
        let mut queues: Vec<_> = self.queues.values().cloned().collect();
        queues.sort_by_key(|queue| (after(&queue.queue.id), queue.queue.id));
        queues
    }

    /// One run's turn. `false`: there was nothing to claim.
    async fn feed_chunk(&mut self, queue: &Arc<QueueState>) -> Result<bool, StoreError> {
        let (store, now) = (&self.shared.store, self.shared.clock.now());
        let mut claims = Vec::new();
        if queue.claims.may_claim_due(now) {
            let due = store.claim_due(queue.queue.id, now, CHUNK).await?;
            claims = queue.claims.claimed(due, false);
        }
        if claims.is_empty()
            && let Position::Behind(after) = queue.claims.position(now)
        {
            let next = store.claim(queue.queue.id, after, CHUNK).await?;
            if next.is_empty() {
                queue.claims.exhausted();
            }
            claims = queue.claims.claimed(next, true);
        }
        if claims.is_empty() {
            return Ok(false);
        }
        let (made, failed) = self.render(queue, claims).await;
        self.record_failures(queue, failed).await;
        for message in made {
            let place = loop {
                let ready = self.ready.clone();
                tokio::select! {
                    place = ready.reserve_owned() => match place {
                        Ok(place) => break place,
                        Err(_) => return Ok(false),
                    },
                    () = tokio::time::sleep(REFRESH) => self.look().await?,
                }
                if !self.is_open(queue) {
                    // What is left of the chunk was only rendered: it is still queued.
                    return Ok(true);
                }
            };
            place.send(message);
        }
        Ok(true)
    }

    async fn render(
        &self,
        queue: &Arc<QueueState>,
        claims: Vec<Claimed>,
    ) -> (Vec<Ready>, Vec<Failure>) {
        let (queue, now) = (queue.clone(), self.shared.clock.now());
        let rendering = tokio::task::spawn_blocking(move || {
            let (mut made, mut failed) = (Vec::with_capacity(claims.len()), Vec::new());
            let guard = queue.work.guard.load_full();
            for claimed in claims {
                if !guard.allows(queue.queue.channel, &claimed.address) {
                    failed.push(Failure {
                        claimed,
                        reason: SkipReason::Safety,
                        words: None,
                    });
                    continue;
                }
                // A panic costs one recipient, not the sending of all others.
                let rendered = std::panic::catch_unwind(AssertUnwindSafe(|| {
                    queue
                        .work
                        .render(&claimed, queue.queue.channel, now, &guard)
                }));
                match rendered
                    .unwrap_or_else(|_| Err("the template made the program panic".to_owned()))
                {
                    Ok(outgoing) => made.push(Ready {
                        begin: Begin {
                            delivery: claimed.id,
                            recipient: claimed.recipient,
                            address_hash: guard.hash(claimed.address_hash),
                            message_id: queue.work.message_id(&claimed, queue.queue.channel),
                        },
                        outgoing,
                        attempts: claimed.attempts,
                        first_try: claimed.first_try,
                        queue: queue.clone(),
                        guard: guard.clone(),
                    }),
                    Err(words) => failed.push(Failure {
                        claimed,
                        reason: SkipReason::RenderError,
                        words: Some(words),
                    }),
                }
            }
            (made, failed)
        });
        rendering.await.expect("rendering does not panic")
    }

    /// A recipient whose message can't be made, or may not leave, is skipped; too many that can't be made hold the run, as
    /// script errors do.
    async fn record_failures(&self, queue: &Arc<QueueState>, failed: Vec<Failure>) {
        let most = queue.work.loaded.campaign.audience.max_script_errors;
        let mut failed = failed.into_iter();
        while let Some(failure) = failed.next() {
            let reason = failure.reason;
            if reason == SkipReason::RenderError {
                tracing::warn!(run = %queue.queue.run, delivery = %failure.claimed.id, error = failure.words, "not rendered");
            }
            let done = Done {
                delivery: failure.claimed.id,
                outcome: Outcome::Skipped(reason),
                reason: failure.words,
                suppress: false,
            };
            self.shared.journal.record(done, queue.clone());
            if reason != SkipReason::RenderError {
                continue;
            }
            let errors = queue.work.count_error();
            if errors > most && !queue.work.run.released {
                let words = format!("{errors} messages could not be made");
                self.shared
                    .runs
                    .hold(queue.queue.run, HoldReason::ScriptErrors, &words)
                    .await;
                // The others that were claimed with it stay queued: nobody is skipped for a mistake that holds the run.
                let later = self.shared.clock.now() + TimeDelta::seconds(1);
                for spared in failed.by_ref() {
                    queue.claims.give_back(spared.claimed.id, later);
                }
            }
        }
    }

    /// Tells of runs of which nothing is left.
    async fn finish_drained(&mut self) -> Result<(), StoreError> {
        let mut runs: Vec<RunId> = self.queues.values().map(|queue| queue.queue.run).collect();
        runs.dedup();
        for run in runs {
            let settled = self
                .queues
                .values()
                .filter(|queue| queue.queue.run == run)
                .all(|queue| queue.claims.is_settled());
            if settled && self.shared.store.counts(run).await?.open() == 0 {
                self.shared.runs.drained(run).await;
            }
        }
        Ok(())
    }
}

/// Why a delivery that was claimed does not go on.
struct Failure {
    claimed: Claimed,
    reason: SkipReason,
    words: Option<String>,
}
