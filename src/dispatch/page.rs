//! What one commit carries: outcomes that came in, and attempts that begin, in the slots that these outcomes free and no
//! others. So no state of the ledger ever has more messages in doubt than there are slots, and none stands idle for a commit.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use crate::{
    model::{Answer, DeliveryId, Outgoing, Permit},
    store::{Begin, Done},
};

use super::{
    flight::{InFlight, QueueState, Ready, TransportState},
    guard::Guard,
    slots::Slots,
    verdict::Attempt,
};

/// Messages of one lane that are to begin.
pub(super) struct Asked {
    pub(super) transport: Arc<TransportState>,
    pub(super) messages: VecDeque<Ready>,
    pub(super) reply: oneshot::Sender<Started>,
}

/// What came of [`Asked`].
#[derive(Default)]
pub(super) struct Started {
    /// May go out.
    pub(super) begun: Vec<Begins>,
    /// Had no slot: asked for again.
    pub(super) left: VecDeque<Ready>,
}

/// A message that may go out.
pub(super) struct Begins {
    permit: Option<Permit>,
    message: Option<Outgoing>,
    /// What it was made under.
    made_under: Arc<Guard>,
    queue: Arc<QueueState>,
}

impl Begins {
    /// The message with its permit; not where `[safety]` has changed while its intent was written.
    pub(super) fn take(mut self) -> Option<(Permit, Outgoing)> {
        let in_force = self.queue.work.guard.load();
        let (permit, message) = (self.permit.take()?, self.message.take()?);
        if Arc::ptr_eq(&self.made_under, &in_force) {
            return Some((permit, message));
        }
        permit.answer(Answer::NotStarted {
            words: "[safety] of the settings has changed".to_owned(),
        });
        None
    }

    /// It does not go out now, and why.
    pub(super) fn not_started(mut self, words: &str) {
        self.answer(words);
    }

    fn answer(&mut self, words: &str) {
        if let Some(permit) = self.permit.take() {
            permit.answer(Answer::NotStarted {
                words: words.to_owned(),
            });
        }
    }
}

impl Drop for Begins {
    /// The lane that asked for it is gone: nothing of it was sent.
    fn drop(&mut self) {
        self.answer("whoever asked for the permit did not wait for it");
    }
}

/// A message whose intent a page carries.
pub(super) struct Beginning {
    pub(super) begin: Begin,
    pub(super) flight: InFlight,
    message: Outgoing,
    made_under: Arc<Guard>,
}

impl Beginning {
    fn new(ready: Ready, transport: &Arc<TransportState>, now: DateTime<Utc>) -> Self {
        Self {
            flight: InFlight {
                attempt: Attempt {
                    delivery: ready.begin.delivery,
                    number: ready.attempts + 1,
                    first_try: ready.first_try.unwrap_or(now),
                    give_up_after: transport.way.give_up_after,
                    redirected: ready.guard.redirects(),
                },
                transport: transport.clone(),
                queue: ready.queue,
                admitted: ready.admitted,
            },
            begin: ready.begin,
            message: ready.outgoing,
            made_under: ready.guard,
        }
    }

    /// Its intent is durable.
    pub(super) fn begun(self, permit: Permit) -> (Begins, InFlight) {
        let begins = Begins {
            permit: Some(permit),
            message: Some(self.message),
            made_under: self.made_under,
            queue: self.flight.queue.clone(),
        };
        (begins, self.flight)
    }
}

/// What one commit carries, and whom to tell after it.
#[derive(Default)]
pub(super) struct Page {
    pub(super) done: Vec<Done>,
    /// Whose claims are over after the commit.
    pub(super) settled: Vec<(DeliveryId, Arc<QueueState>)>,
    pub(super) begin: Vec<Beginning>,
    /// Who asked, for how many of `begin`, in order, and what they get back.
    pub(super) replies: Vec<(usize, VecDeque<Ready>, oneshot::Sender<Started>)>,
    pub(super) flushed: Vec<oneshot::Sender<()>>,
}

impl Page {
    pub(super) fn rows(&self) -> usize {
        self.done.len() + self.begin.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows() == 0 && self.replies.is_empty() && self.flushed.is_empty()
    }

    /// Takes from those who wait what has a slot. What may not begin now (its window has closed, `[safety]` is another) is
    /// given back, to be claimed again.
    pub(super) fn admit(
        &mut self,
        asked: &mut VecDeque<Asked>,
        slots: &mut Slots,
        now: DateTime<Utc>,
    ) {
        let waiting: BTreeSet<_> = asked
            .iter()
            .map(|asked| asked.transport.way.name.clone())
            .collect();
        let mut waits = VecDeque::with_capacity(asked.len());
        for mut lane in asked.drain(..) {
            if lane.reply.is_closed() {
                continue;
            }
            lane.messages.retain(|message| may_begin(message, now));
            let name = &lane.transport.way.name;
            let n = slots.take(name, lane.messages.len(), &waiting);
            if n == 0 && !lane.messages.is_empty() {
                waits.push_back(lane);
                continue;
            }
            let left = lane.messages.split_off(n);
            let begin = lane.messages.into_iter();
            self.begin
                .extend(begin.map(|ready| Beginning::new(ready, &lane.transport, now)));
            self.replies.push((n, left, lane.reply));
        }
        *asked = waits;
    }
}

fn may_begin(message: &Ready, now: DateTime<Utc>) -> bool {
    let not_before = match message.queue.closed_until(now) {
        Some(opens) => opens,
        None if message.is_current() => return true,
        // It is claimed again, and made under what is in force now, or not at all.
        None => now,
    };
    let claims = &message.queue.claims;
    claims.give_back(message.begin.delivery, not_before);
    false
}
