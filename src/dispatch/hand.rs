//! What a connection has at hand: messages that are begun in the ledger and wait to be taken by it. Few: whoever unsubscribes
//! meanwhile is written to all the same, and another connection might be free.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::page::Begins;
use crate::model::{Outgoing, Permit};

/// A quick connection has work for this long at hand, as far as batches go.
const AHEAD: Duration = Duration::from_millis(20);
/// One that takes longer than this between two messages has nothing at hand: the next one waits for whichever is free.
const SLOW: Duration = Duration::from_millis(500);
/// So many a connection that is not slow has at hand at least: one that goes out behind the last, and one to go on with.
const FEWEST: usize = 2;
/// What was not taken after this long is left to other connections.
const STALLED: Duration = Duration::from_secs(2);

/// What one connection has at hand, between the worker that fills it and the transport that takes from it.
pub(super) struct Hand {
    state: Mutex<State>,
    taken: Notify,
}

struct State {
    messages: VecDeque<Begins>,
    /// How long it was between two messages, of late.
    gap: Duration,
    /// Since when the connection has been free to take the next one.
    since: Instant,
    /// How many were taken, over all connections.
    taken: u64,
}

impl Hand {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                messages: VecDeque::new(),
                gap: AHEAD / 2,
                since: Instant::now(),
                taken: 0,
            }),
            taken: Notify::new(),
        }
    }

    /// More may go out.
    pub(super) fn put(&self, begun: Vec<Begins>) {
        self.state.lock().messages.extend(begun);
    }

    /// Takes everything back.
    pub(super) fn recall(&self) -> VecDeque<Begins> {
        std::mem::take(&mut self.state.lock().messages)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().messages.is_empty()
    }

    /// A connection begins to take; gives how many were taken before.
    pub(super) fn starts(&self) -> u64 {
        let mut state = self.state.lock();
        state.since = Instant::now();
        state.taken
    }

    /// How many were taken, over all connections.
    pub(super) fn taken_so_far(&self) -> u64 {
        self.state.lock().taken
    }

    /// How many it can use now beside what is there, of batches of so many; 0 while it has enough, or is slow.
    pub(super) fn wants(&self, batch: usize) -> usize {
        let state = self.state.lock();
        let (ahead, have) = (state.ahead(batch), state.messages.len());
        if have * 2 > ahead { 0 } else { ahead - have }
    }

    /// Waits until something was taken since this was asked last.
    pub(super) async fn taken(&self) {
        self.taken.notified().await;
    }

    /// Waits until the connection has taken nothing for too long.
    pub(super) async fn stalled(&self) {
        loop {
            let until = self.state.lock().since + STALLED;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn take(&self) -> Option<Begins> {
        let mut state = self.state.lock();
        let message = state.messages.pop_front()?;
        let now = Instant::now();
        // Half of what was known and half of what is new.
        state.gap = (state.gap + (now - state.since)) / 2;
        state.since = now;
        state.taken += 1;
        drop(state);
        self.taken.notify_one();
        Some(message)
    }
}

impl State {
    fn ahead(&self, batch: usize) -> usize {
        let gap = self.gap.max(self.since.elapsed());
        if gap > SLOW {
            return 0;
        }
        let many = AHEAD.as_micros() / gap.as_micros().max(1);
        usize::try_from(many)
            .unwrap_or(usize::MAX)
            .clamp(FEWEST.min(batch), batch)
    }
}

/// Gives a transport one message after the other, as long as there are some at hand.
pub(super) struct Taking<'a>(pub(super) &'a Hand);

impl Iterator for Taking<'_> {
    type Item = (Permit, Outgoing);

    fn next(&mut self) -> Option<Self::Item> {
        std::iter::from_fn(|| self.0.take()).find_map(Begins::take)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_quicker_a_connection_is_the_more_it_has_at_hand() {
        let ahead = |gap, batch| {
            let state = State {
                messages: VecDeque::new(),
                gap: Duration::from_millis(gap),
                since: Instant::now(),
                taken: 0,
            };
            state.ahead(batch)
        };
        assert_eq!([0, 1, 4, 40, 300].map(|gap| ahead(gap, 8)), [8, 8, 5, 2, 2]);
        assert_eq!([0, 40].map(|gap| ahead(gap, 1)), [1, 1]);
        assert_eq!([501, 10_000].map(|gap| ahead(gap, 8)), [0, 0]);
    }

    #[tokio::test]
    async fn one_that_takes_nothing_is_slow_and_then_stalled() {
        let hand = Hand::new();
        let earlier = |by| hand.state.lock().since -= by;
        hand.starts();
        assert_eq!(hand.wants(8), 2);
        earlier(SLOW);
        assert_eq!(hand.wants(8), 0);
        assert!(hand.stalled().now_or_never().is_none());
        earlier(STALLED);
        assert!(hand.stalled().now_or_never().is_some());
        hand.starts();
        assert_eq!(hand.wants(8), 2);
    }
}
