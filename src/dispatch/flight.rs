//! What is known of messages between the ledger and the wire, and of the queues and transports they belong to.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize},
};

use chrono::{DateTime, Utc};
use parking_lot::RwLock;

use crate::{
    model::Outgoing,
    store::{Begin, Queue},
    transport::Transport,
};

use super::{
    Way, circuit::Circuit, claims::Claims, guard::Guard, journal::KeptPace, slots::Slot,
    verdict::Attempt, work::RunWork,
};

/// A transport in use.
pub(super) struct TransportState {
    pub(super) way: Way,
    /// What opens connections now.
    pub(super) transport: RwLock<Arc<dyn Transport>>,
    pub(super) pace: Option<KeptPace>,
    pub(super) circuit: Circuit,
    pub(super) connections: AtomicUsize,
    pub(super) sent: AtomicU64,
}

impl TransportState {
    pub(super) fn new(way: &Way, pace: Option<KeptPace>) -> Self {
        Self {
            way: way.clone(),
            transport: RwLock::new(way.transport.clone()),
            pace,
            circuit: Circuit::default(),
            connections: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        }
    }
}

/// A queue in use.
pub(super) struct QueueState {
    pub(super) queue: Queue,
    pub(super) work: Arc<RunWork>,
    pub(super) claims: Claims,
}

impl QueueState {
    pub(super) fn new(queue: Queue, work: Arc<RunWork>) -> Self {
        let claims = Claims::behind(queue.cursor);
        Self {
            queue,
            work,
            claims,
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
    #[expect(
        dead_code,
        reason = "held until the outcome is durable, freed by being dropped"
    )]
    pub(super) slot: Slot,
}
