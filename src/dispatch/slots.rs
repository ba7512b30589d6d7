//! The messages that may be on the wire at once, shared out among the transports that have work.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::TransportName;

/// A counter of in-doubt slots.
pub(super) struct Slots {
    total: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    configured: usize,
    used: HashMap<TransportName, usize>,
    waiting: HashMap<TransportName, usize>,
}

impl Slots {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total: total.max(1),
            state: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// How many transports there are: with more than one, none may ever take the last eighth alone, so that another that
    /// gets work can begin at once.
    pub(super) fn configure(&self, transports: usize) {
        self.state.lock().configured = transports;
        self.freed.notify_waiters();
    }

    /// Waits for at least one slot and takes up to `wanted`.
    pub(super) async fn take(
        self: &Arc<Self>,
        transport: &TransportName,
        wanted: usize,
    ) -> Vec<Slot> {
        let _waiting = Waiting::new(self, transport);
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            let granted = self.try_take(transport, wanted);
            if granted > 0 {
                return (0..granted)
                    .map(|_| Slot {
                        slots: self.clone(),
                        transport: transport.clone(),
                    })
                    .collect();
            }
            freed.await;
        }
    }

    fn try_take(&self, transport: &TransportName, wanted: usize) -> usize {
        let mut state = self.state.lock();
        let active = |name: &TransportName| {
            state.used.get(name).is_some_and(|n| *n > 0)
                || state.waiting.get(name).is_some_and(|n| *n > 0)
        };
        let mut names: Vec<&TransportName> =
            state.used.keys().chain(state.waiting.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let others = names
            .into_iter()
            .filter(|name| *name != transport && active(name))
            .count();
        let reserve = if state.configured > 1 && others == 0 {
            (self.total / 8).max(1)
        } else {
            0
        };
        let share = (self.total / (others + 1)).saturating_sub(reserve).max(1);
        let mine = state.used.get(transport).copied().unwrap_or(0);
        let free = self.total.saturating_sub(state.used.values().sum());
        let granted = wanted.min(free).min(share.saturating_sub(mine));
        *state.used.entry(transport.clone()).or_default() += granted;
        granted
    }

    fn free(&self, transport: &TransportName) {
        if let Some(used) = self.state.lock().used.get_mut(transport) {
            *used = used.saturating_sub(1);
        }
        self.freed.notify_waiters();
    }
}

/// Counts a transport as having work while it waits for slots.
struct Waiting<'a> {
    slots: &'a Slots,
    transport: &'a TransportName,
}

impl<'a> Waiting<'a> {
    fn new(slots: &'a Slots, transport: &'a TransportName) -> Self {
        *slots
            .state
            .lock()
            .waiting
            .entry(transport.clone())
            .or_default() += 1;
        Self { slots, transport }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.slots.state.lock().waiting.get_mut(self.transport) {
            *waiting = waiting.saturating_sub(1);
        }
    }
}

/// The right to have one message on the wire. Freed when dropped: after the commit that recorded the outcome.
pub(super) struct Slot {
    slots: Arc<Slots>,
    transport: TransportName,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.free(&self.transport);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TransportName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_transport_alone_takes_allbut_what_another_needs_tobegin() {
        let slots = Arc::new(Slots::new(64));
        slots.configure(1);
        assert_eq!(slots.take(&name("a"), 100).await.len(), 64);

        let slots = Arc::new(Slots::new(64));
        slots.configure(2);
        let mut a = slots.take(&name("a"), 100).await;
        assert_eq!(a.len(), 56);
        let b = slots.take(&name("b"), 100).await;
        assert_eq!(b.len(), 8);
        a.truncate(10);
        // Both have work now: half each.
        let more = slots.take(&name("b"), 100).await;
        assert_eq!(more.len(), 24);
        assert_eq!(slots.take(&name("a"), 100).await.len(), 22);
    }

    #[tokio::test]
    async fn a_freed_slot_wakes_who_waits() {
        let slots = Arc::new(Slots::new(1));
        let first = slots.take(&name("a"), 1).await;
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(&name("b"), 1).await.len() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(waiting.await.unwrap(), 1);
    }
}
