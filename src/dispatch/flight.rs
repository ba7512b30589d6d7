//! What is known of messages between the ledger and the wire, and of the queues and transports they belong to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::{
    model::{Clock, DeliveryId, Outgoing, TransportName, Window, Zone},
    schedule::{self, Span},
    store::{Begin, Queue, Store, StoreError},
    transport::Transport,
};

use super::{
    Way,
    circuit::Circuit,
    claims::Claims,
    guard::Guard,
    pace::{Admitted, Bucket, Buckets, Spacing},
    throttle::Throttle,
    verdict::Attempt,
    work::RunWork,
};

const NO_ANSWER: &str = "no connection yet: whoever should answer says nothing; it is waited for";

/// A transport in use.
pub(super) struct TransportState {
    pub(super) way: Way,
    /// What opens connections now.
    pub(super) transport: RwLock<Arc<dyn Transport>>,
    bucket: Arc<Bucket>,
    pub(super) throttle: Throttle,
    pub(super) circuit: Circuit,
    pub(super) connections: AtomicUsize,
    /// It has no connection, and does not say why.
    pub(super) silent: AtomicBool,
    pub(super) sent: AtomicU64,
    /// Tells its feeder that all there was of a queue is recorded: its run may be over.
    pub(super) settled: Arc<Notify>,
}

impl TransportState {
    /// `kept`: the rate that an earlier process had slowed it down to.
    pub(super) fn new(way: &Way, buckets: &Buckets, kept: Option<&[u8]>) -> Self {
        Self {
            throttle: Throttle::new(way.rate, kept),
            way: way.clone(),
            transport: RwLock::new(way.transport.clone()),
            bucket: buckets.of(&format!("transport/{}", way.name)),
            circuit: Circuit::default(),
            connections: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            settled: Arc::default(),
        }
    }

    /// A connection has been waited for a long time. Told once, and only where there is no other.
    pub(super) fn note_silence(&self) {
        if self.connections.load(Ordering::Relaxed) == 0
            && !self.silent.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(transport = %self.way.name, "{NO_ANSWER}");
        }
    }

    /// What is wrong with it, if something is.
    pub(super) fn error(&self, now: DateTime<Utc>) -> Option<String> {
        let silent = || self.silent.load(Ordering::Relaxed);
        self.circuit
            .error(now)
            .or_else(|| silent().then(|| NO_ANSWER.to_owned()))
    }

    /// Waits until at least one message may go; gives how many of `wanted`.
    pub(super) async fn admit(&self, clock: &dyn Clock, wanted: usize) -> usize {
        loop {
            let Some(spacing) = self.throttle.spacing(clock.now()) else {
                return wanted;
            };
            let ready = match self.bucket.try_take(spacing, wanted) {
                Ok(admitted) => return admitted,
                Err(ready) => ready,
            };
            // Precise to the timer, not to the clock's steps: rates are about milliseconds.
            let wait = (ready - clock.now()).to_std().unwrap_or(Duration::ZERO);
            if wait > Duration::from_secs(1) {
                // The rate may be another by then.
                let soon = clock.now() + TimeDelta::seconds(5);
                clock.sleep_until(ready.min(soon)).await;
            } else {
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// How many of `wanted` may go at once.
    pub(super) fn try_admit(&self, clock: &dyn Clock, wanted: usize) -> usize {
        match self.throttle.spacing(clock.now()) {
            Some(spacing) if wanted > 0 => self.bucket.try_take(spacing, wanted).unwrap_or(0),
            _ => wanted,
        }
    }

    /// Gives back what was admitted and not used.
    pub(super) fn give_back(&self, clock: &dyn Clock, unused: usize) {
        if unused > 0
            && let Some(spacing) = self.throttle.spacing(clock.now())
        {
            self.bucket.give_back(spacing, unused);
        }
    }

    /// How many may be taken at a time: what waits for the rate in one lane's hands can't make way for another campaign's.
    pub(super) fn at_once(&self, clock: &dyn Clock) -> usize {
        let spacing = self.throttle.spacing(clock.now());
        spacing.map_or(usize::MAX, Spacing::at_once)
    }

    /// Keeps the rate that it was slowed down to for the next process, where it has changed.
    pub(super) async fn keep_rate(&self, store: &dyn Store) -> Result<(), StoreError> {
        match self.throttle.changed() {
            Some(kept) => {
                let key = Self::throttle_key(&self.way.name);
                store.set_setting(&key, &kept).await
            }
            None => Ok(()),
        }
    }

    /// The setting under which the rate is kept that it was slowed down to.
    pub(super) fn throttle_key(name: &TransportName) -> String {
        format!("throttle/{name}")
    }
}

/// A queue in use.
pub(super) struct QueueState {
    pub(super) queue: Queue,
    pub(super) work: Arc<RunWork>,
    pub(super) claims: Claims,
    /// The campaign's pace, which all its queues share.
    pub(super) pace: Option<(Arc<Bucket>, Spacing)>,
    window: Option<OpenHours>,
    settled: Arc<Notify>,
}

impl QueueState {
    /// `settled` is told when all there was of it is recorded.
    pub(super) fn new(
        queue: Queue,
        work: Arc<RunWork>,
        buckets: &Buckets,
        settled: Arc<Notify>,
    ) -> Self {
        let claims = Claims::behind(queue.cursor);
        let pace = work.loaded.campaign.pace.as_ref();
        let rate = pace.and_then(|pace| pace.rate).map(|rate| {
            let bucket = buckets.of(&format!("campaign/{}", work.run.campaign));
            (bucket, Spacing::of(rate))
        });
        let window = pace.and_then(|pace| {
            Some(OpenHours {
                window: pace.window?,
                zone: queue
                    .zone
                    .as_ref()
                    .filter(|_| pace.by_recipient)
                    .and_then(|zone| zone.parse().ok())
                    .unwrap_or_else(|| pace.timezone.clone()),
                span: Mutex::new(None),
            })
        });
        Self {
            queue,
            work,
            claims,
            pace: rate,
            window,
            settled,
        }
    }

    /// A delivery was recorded.
    pub(super) fn complete(&self, delivery: DeliveryId) {
        if self.claims.complete(delivery) {
            self.settled.notify_one();
        }
    }

    /// Until when nothing of it may begin, where its window is closed.
    pub(super) fn closed_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.window.as_ref()?.closed_until(now)
    }
}

/// A window on the clocks of a zone, with the span it was last seen in.
struct OpenHours {
    window: Window,
    zone: Zone,
    span: Mutex<Option<Span>>,
}

impl OpenHours {
    fn closed_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut known = self.span.lock();
        if known.is_some_and(|span| span.holds(now)) {
            return None;
        }
        *known = schedule::span(&self.window, &self.zone, now);
        match *known {
            Some(span) if span.holds(now) => None,
            Some(span) => Some(span.opens),
            None => Some(DateTime::<Utc>::MAX_UTC),
        }
    }
}

/// A rendered message that waits for a lane.
pub(super) struct Ready {
    pub(super) begin: Begin,
    pub(super) outgoing: Outgoing,
    pub(super) attempts: u32,
    pub(super) first_try: Option<DateTime<Utc>>,
    pub(super) queue: Arc<QueueState>,
    pub(super) admitted: Option<Admitted>,
    /// What was in force when it was made: where it goes depends on it.
    pub(super) guard: Arc<Guard>,
}

impl Ready {
    /// Whether what it was made under is still in force.
    pub(super) fn is_current(&self) -> bool {
        Arc::ptr_eq(&self.guard, &self.queue.work.guard.load())
    }
}

/// A message that may be on the wire.
pub(super) struct InFlight {
    pub(super) attempt: Attempt,
    pub(super) transport: Arc<TransportState>,
    pub(super) queue: Arc<QueueState>,
    /// Its place in its campaign's pace, until it has begun.
    pub(super) admitted: Option<Admitted>,
}
