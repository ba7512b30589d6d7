//! How far a queue was claimed, and what of it is on its way: the cursor that is kept never passes what is not recorded.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::{model::DeliveryId, store::Claimed};

/// The claims of one queue.
pub(super) struct Claims(Mutex<Progress>);

/// Where claiming goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Behind this delivery; `None`: at the start.
    Behind(Option<DeliveryId>),
    /// Not now: something is to be claimed again later.
    Later,
}

struct Progress {
    /// The last delivery that was claimed.
    after: Option<DeliveryId>,
    /// Claimed, and not yet recorded.
    outstanding: BTreeSet<DeliveryId>,
    /// Something was claimed and could not begin: claim again from the kept cursor, not before this moment.
    rescan: Option<DateTime<Utc>>,
    /// Nothing is queued behind `after`: it would be looked for in vain, over and over.
    exhausted: bool,
    /// The cursor the store was last given.
    kept: Option<DeliveryId>,
}

impl Claims {
    /// Starts behind the cursor that the store kept.
    pub(super) fn behind(cursor: Option<DeliveryId>) -> Self {
        Self(Mutex::new(Progress {
            after: cursor,
            outstanding: BTreeSet::new(),
            rescan: None,
            exhausted: false,
            kept: cursor,
        }))
    }

    /// Where to claim from.
    pub(super) fn position(&self, now: DateTime<Utc>) -> Position {
        let mut progress = self.0.lock();
        match progress.rescan {
            Some(at) if at > now || !progress.outstanding.is_empty() => return Position::Later,
            Some(_) => {
                progress.rescan = None;
                progress.after = progress.kept;
                progress.exhausted = false;
            }
            None if progress.exhausted => return Position::Later,
            None => {}
        }
        Position::Behind(progress.after)
    }

    /// Whether those whose time has come may be claimed: not right after one of them could not begin.
    pub(super) fn may_claim_due(&self, now: DateTime<Utc>) -> bool {
        self.0.lock().rescan.is_none_or(|at| at <= now)
    }

    /// A claim in order gave nothing: there is nothing more, until something is given back.
    pub(super) fn exhausted(&self) {
        self.0.lock().exhausted = true;
    }

    /// Notes what was claimed in order; gives those that were not outstanding yet.
    pub(super) fn claimed(&self, claims: Vec<Claimed>, in_order: bool) -> Vec<Claimed> {
        let mut progress = self.0.lock();
        if let (true, Some(last)) = (in_order, claims.last()) {
            progress.after = Some(last.id);
        }
        claims
            .into_iter()
            .filter(|claim| progress.outstanding.insert(claim.id))
            .collect()
    }

    /// A delivery was recorded: nothing more will come of this claim. Gives whether that was the last of all that there was.
    pub(super) fn complete(&self, delivery: DeliveryId) -> bool {
        let mut progress = self.0.lock();
        progress.outstanding.remove(&delivery)
            && progress.outstanding.is_empty()
            && progress.exhausted
            && progress.rescan.is_none()
    }

    /// A delivery could not begin and is still queued: it is to be claimed again, not before `at`.
    pub(super) fn give_back(&self, delivery: DeliveryId, at: DateTime<Utc>) {
        let mut progress = self.0.lock();
        progress.outstanding.remove(&delivery);
        progress.rescan = Some(at);
    }

    /// Whether nothing of it is between claim and record.
    pub(super) fn is_settled(&self) -> bool {
        let progress = self.0.lock();
        progress.outstanding.is_empty() && progress.rescan.is_none()
    }

    /// The cursor to keep, where it moved: nothing is queued at or before it.
    pub(super) fn cursor(&self) -> Option<DeliveryId> {
        let mut progress = self.0.lock();
        if progress.rescan.is_some() {
            return None;
        }
        let cursor = match progress.outstanding.first() {
            Some(first) => Some(DeliveryId(first.0 - 1)),
            None => progress.after,
        };
        if cursor <= progress.kept {
            return None;
        }
        progress.kept = cursor;
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(id: i64) -> Claimed {
        Claimed {
            id: DeliveryId(id),
            recipient: crate::model::RecipientHash([0; 16]),
            address_hash: crate::model::AddressHash([0; 16]),
            key: String::new(),
            address: String::new(),
            payload: Vec::new(),
            attempts: 0,
            first_try: None,
            message_id: None,
        }
    }

    #[test]
    fn the_cursor_never_passes_what_is_not_recorded() {
        let queue = Claims::behind(None);
        queue.claimed(vec![claim(1), claim(2), claim(3)], true);
        assert_eq!(queue.cursor(), Some(DeliveryId(0)));
        queue.complete(DeliveryId(2));
        assert_eq!(queue.cursor(), None);
        queue.complete(DeliveryId(1));
        assert_eq!(queue.cursor(), Some(DeliveryId(2)));
        queue.complete(DeliveryId(3));
        assert_eq!(queue.cursor(), Some(DeliveryId(3)));
    }

    #[test]
    fn the_last_of_all_is_told_from_the_last_so_far() {
        let queue = Claims::behind(None);
        queue.claimed(vec![claim(1)], true);
        assert!(!queue.complete(DeliveryId(1)), "there may be more");
        queue.claimed(vec![claim(2), claim(3)], true);
        queue.exhausted();
        assert!(!queue.complete(DeliveryId(2)));
        assert!(queue.complete(DeliveryId(3)));
        assert!(!queue.complete(DeliveryId(3)), "once");
    }

    #[test]
    fn what_was_given_back_is_claimed_again_and_nothing_twice_at_once() {
        let (queue, now) = (Claims::behind(None), Utc::now());
        assert_eq!(queue.claimed(vec![claim(1), claim(2)], true).len(), 2);
        assert_eq!(queue.claimed(vec![claim(2)], false).len(), 0);
        queue.give_back(DeliveryId(1), now);
        assert_eq!(
            queue.position(now),
            Position::Later,
            "the other is still on its way"
        );
        queue.complete(DeliveryId(2));
        assert_eq!(
            queue.position(now),
            Position::Behind(None),
            "from the start again"
        );
    }

    #[test]
    fn what_could_not_begin_is_left_alone_for_a_while_and_an_empty_queue_until_something_comes_back()
     {
        let (queue, now) = (Claims::behind(None), Utc::now());
        let later = now + chrono::TimeDelta::seconds(1);
        queue.claimed(vec![claim(1)], false);
        queue.give_back(DeliveryId(1), later);
        assert!(!queue.may_claim_due(now) && queue.may_claim_due(later));
        assert_ne!(queue.position(later), Position::Later);
        queue.exhausted();
        assert_eq!(queue.position(later), Position::Later);
        assert!(queue.is_settled());
        queue.give_back(DeliveryId(1), later);
        assert_ne!(queue.position(later), Position::Later);
    }
}
