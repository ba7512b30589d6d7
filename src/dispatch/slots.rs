//! The messages that may be on the wire at once, shared out among the transports that have work.

use std::collections::{BTreeSet, HashMap};

use crate::model::TransportName;

/// The in-doubt slots: one for each message that is begun in the ledger and has no outcome there.
pub(super) struct Slots {
    total: usize,
    transports: usize,
    used: HashMap<TransportName, usize>,
}

impl Slots {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total: total.max(1),
            transports: 0,
            used: HashMap::new(),
        }
    }

    /// How many there are.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// How many transports there are: with more than one, none may ever take the last eighth alone, so that another that
    /// gets work can begin at once.
    pub(super) fn configure(&mut self, transports: usize) {
        self.transports = transports;
    }

    /// Takes up to `wanted` slots for a transport; those in `waiting` have work too.
    pub(super) fn take(
        &mut self,
        transport: &TransportName,
        wanted: usize,
        waiting: &BTreeSet<TransportName>,
    ) -> usize {
        let working = self.used.iter().filter(|(_, n)| **n > 0);
        let others: BTreeSet<_> = working
            .map(|(name, _)| name)
            .chain(waiting)
            .filter(|name| *name != transport)
            .collect();
        let reserve = if self.transports > 1 && others.is_empty() {
            (self.total / 8).max(1)
        } else {
            0
        };
        let share = (self.total / (others.len() + 1))
            .saturating_sub(reserve)
            .max(1);
        let mine = self.used.get(transport).copied().unwrap_or(0);
        let free = self.total.saturating_sub(self.used.values().sum());
        let taken = wanted.min(free).min(share.saturating_sub(mine));
        if taken > 0 {
            *self.used.entry(transport.clone()).or_default() += taken;
        }
        taken
    }

    /// Gives one back.
    pub(super) fn free(&mut self, transport: &TransportName) {
        if let Some(used) = self.used.get_mut(transport) {
            *used = used.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TransportName {
        text.parse().unwrap()
    }

    #[test]
    fn a_transport_alone_takes_all_but_what_another_needs_to_begin() {
        let nobody = BTreeSet::new();
        let mut slots = Slots::new(64);
        slots.configure(1);
        assert_eq!(slots.take(&name("a"), 100, &nobody), 64);

        let mut slots = Slots::new(64);
        slots.configure(2);
        assert_eq!(slots.take(&name("a"), 100, &nobody), 56);
        assert_eq!(slots.take(&name("b"), 100, &nobody), 8);
        (0..46).for_each(|_| slots.free(&name("a")));
        // Both have work now: half each.
        assert_eq!(slots.take(&name("b"), 100, &nobody), 24);
        assert_eq!(slots.take(&name("a"), 100, &nobody), 22);
    }

    #[test]
    fn who_waits_has_a_share_before_it_has_a_slot() {
        let mut slots = Slots::new(64);
        slots.configure(2);
        let waiting = BTreeSet::from([name("a"), name("b")]);
        assert_eq!(slots.take(&name("a"), 100, &waiting), 32);
        assert_eq!(slots.take(&name("b"), 100, &waiting), 32);
    }
}
