//! What an outcome makes of a delivery: rules only, no tables.

use chrono::{DateTime, Utc};

use super::counters::Stand;
use crate::{
    model::{AddressHash, Channel, RecipientHash, SkipReason, Status},
    store::Outcome,
};

/// How a delivery stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) channel: Channel,
    pub(super) stand: Stand,
    pub(super) attempts: u32,
    pub(super) queue: Option<i64>,
    pub(super) recipient: RecipientHash,
    pub(super) address: Option<AddressHash>,
    /// When it is looked at again, where it was put off.
    pub(super) due: Option<DateTime<Utc>>,
    /// Whether its intent stands.
    pub(super) in_flight: bool,
}

impl Standing {
    /// Whether an attempt may begin: it is queued, or it was put off and its time has come.
    pub(super) fn may_begin(&self, now: DateTime<Utc>) -> bool {
        match (self.stand.status, self.due) {
            (Status::Queued, None) => true,
            (Status::Queued | Status::Deferred, Some(due)) => due <= now,
            _ => false,
        }
    }
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) stand: Stand,
    /// When it is looked at again.
    pub(super) again: Option<DateTime<Utc>>,
    /// Whether its attempt does not count.
    pub(super) took_back: bool,
    pub(super) keeps_payload: bool,
}

/// `None`: the outcome is ignored. `cancelled`: the run is, so nothing of it is tried again.
pub(super) fn change(row: &Standing, outcome: Outcome, cancelled: bool) -> Option<Change> {
    if !counts(row, outcome) {
        return None;
    }
    let (stand, again) = match outcome {
        Outcome::Deferred(_) | Outcome::Released(_) if cancelled => {
            (Status::Cancelled.into(), None)
        }
        Outcome::Sent => (Status::Sent.into(), None),
        Outcome::Deferred(at) => (Status::Deferred.into(), Some(at)),
        Outcome::Released(at) => (Status::Queued.into(), Some(at)),
        Outcome::Failed => (Status::Failed.into(), None),
        Outcome::InDoubt => (Status::InDoubt.into(), None),
        Outcome::Expired => (Status::Expired.into(), None),
        Outcome::Skipped(reason) => (Stand::from(reason), None),
    };
    Some(Change {
        stand,
        again,
        took_back: row.in_flight && matches!(outcome, Outcome::Released(_)),
        keeps_payload: matches!(
            stand.status,
            Status::Queued | Status::Deferred | Status::Failed | Status::InDoubt
        ),
    })
}

/// Whether an outcome says something about a delivery that stands so. In flight it always does. Before an attempt a delivery may
/// be put off, or end unsent. Otherwise the attempt was given up as in doubt meanwhile (and perhaps queued again, cancelled or
/// skipped since): that it was sent after all is the better truth, and keeps it from being sent again.
fn counts(row: &Standing, outcome: Outcome) -> bool {
    if row.in_flight {
        return true;
    }
    let tried = row.attempts > 0;
    match row.stand.status {
        Status::Queued | Status::Deferred => match outcome {
            Outcome::Sent => tried,
            Outcome::InDoubt => false,
            _ => true,
        },
        Status::InDoubt | Status::Cancelled => tried && outcome == Outcome::Sent,
        Status::Skipped => {
            tried && outcome == Outcome::Sent && row.stand.reason == Some(SkipReason::Doubt)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn row(status: Status, attempts: u32, in_flight: bool) -> Standing {
        Standing {
            channel: Channel::Email,
            stand: status.into(),
            attempts,
            queue: Some(1),
            recipient: RecipientHash([0; 16]),
            address: None,
            due: None,
            in_flight,
        }
    }

    fn becomes(row: Standing, outcome: Outcome) -> Option<Status> {
        change(&row, outcome, false).map(|change| change.stand.status)
    }

    #[test]
    fn in_flight_every_outcome_counts() {
        let row = row(Status::Sending, 1, true);
        assert_eq!(becomes(row, Outcome::Sent), Some(Status::Sent));
        assert_eq!(becomes(row, Outcome::Deferred(AT)), Some(Status::Deferred));
        assert_eq!(becomes(row, Outcome::Released(AT)), Some(Status::Queued));
        assert_eq!(becomes(row, Outcome::Failed), Some(Status::Failed));
        assert_eq!(becomes(row, Outcome::InDoubt), Some(Status::InDoubt));
        assert_eq!(becomes(row, Outcome::Expired), Some(Status::Expired));
        assert_eq!(
            becomes(row, Outcome::Skipped(SkipReason::Policy)),
            Some(Status::Skipped)
        );
    }

    #[test]
    fn late_news_is_heard_only_where_it_betters_what_is_known() {
        let doubt = row(Status::InDoubt, 1, false);
        assert_eq!(becomes(doubt, Outcome::Sent), Some(Status::Sent));
        assert_eq!(becomes(doubt, Outcome::Failed), None);
        assert_eq!(becomes(doubt, Outcome::Deferred(AT)), None);
        for done in [
            Status::Sent,
            Status::Delivered,
            Status::Bounced,
            Status::Failed,
        ] {
            assert_eq!(becomes(row(done, 1, false), Outcome::Sent), None, "{done}");
            assert_eq!(
                becomes(row(done, 1, false), Outcome::Failed),
                None,
                "{done}"
            );
        }
        let again = row(Status::Queued, 1, false);
        assert_eq!(becomes(again, Outcome::Sent), Some(Status::Sent));
        assert_eq!(becomes(row(Status::Queued, 0, false), Outcome::Sent), None);
    }

    #[test]
    fn before_an_attempt_a_delivery_may_end_unsent_or_be_put_off() {
        let queued = row(Status::Queued, 0, false);
        assert_eq!(becomes(queued, Outcome::Expired), Some(Status::Expired));
        assert_eq!(becomes(queued, Outcome::Released(AT)), Some(Status::Queued));
        assert_eq!(becomes(queued, Outcome::InDoubt), None);
    }

    #[test]
    fn nothing_of_a_cancelled_run_is_tried_again() {
        let row = row(Status::Sending, 2, true);
        for outcome in [Outcome::Deferred(AT), Outcome::Released(AT)] {
            let change = change(&row, outcome, true).unwrap();
            assert_eq!(change.stand, Status::Cancelled.into());
            assert_eq!((change.again, change.keeps_payload), (None, false));
        }
        let sent = change(&row, Outcome::Sent, true).unwrap();
        assert_eq!(sent.stand, Status::Sent.into());
    }

    #[test]
    fn a_release_puts_a_delivery_back_where_it_was() {
        let begun = change(&row(Status::Sending, 1, true), Outcome::Released(AT), false).unwrap();
        assert_eq!(
            (begun.stand, begun.again),
            (Status::Queued.into(), Some(AT))
        );
        assert!(begun.took_back);
        let not_begun =
            change(&row(Status::Queued, 1, false), Outcome::Released(AT), false).unwrap();
        assert!(!not_begun.took_back);
    }
}
