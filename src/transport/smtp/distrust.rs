//! A server that offers PIPELINING and can't do it: noted, so that the next connections go step by step.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So long a server is not believed. A server that was only slow is soon used in full again.
const LASTS: Duration = Duration::from_mins(10);

/// What all connections of a transport know of it.
#[derive(Debug, Default)]
pub(super) struct Distrust(Mutex<Option<Instant>>);

impl Distrust {
    /// Pipelined commands were not answered as they should have been.
    pub(super) fn note(&self) {
        let mut until = self.0.lock();
        if until.is_none_or(|until| until <= Instant::now()) {
            tracing::warn!(
                "the mail server offers PIPELINING but lost its way in it: going step by step for {LASTS:?}"
            );
        }
        *until = Some(Instant::now() + LASTS);
    }

    /// Whether to go step by step.
    pub(super) fn holds(&self) -> bool {
        self.0.lock().is_some_and(|until| until > Instant::now())
    }
}
