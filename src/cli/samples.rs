//! What the tests of the verbs share: a desk where nobody works, and things it may hand out.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::desk::Desk;
use crate::{
    control::{Command, Refused, Reply, RunStatus},
    model::{
        AddressHash, Channel, Delivery, DeliveryId, HoldReason, OccurrenceName, RecipientHash,
        RunId, RunState, SkipReason, Status, Subject, Suppression, SuppressionReason, Totals,
    },
    plan::{Hold, Outlook, Plan, Sample, Step, StepKind},
};

/// A desk that keeps what it was asked and answers what it was told to.
#[derive(Default)]
pub(super) struct Sitting {
    pub(super) asked: Mutex<Vec<Command>>,
    pub(super) replies: Mutex<VecDeque<Result<Reply, Refused>>>,
    ends: Option<RunStatus>,
    daemon: bool,
}

impl Sitting {
    /// Answers with these, in turn.
    pub(super) fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            replies: Mutex::new(replies.into_iter().map(Ok).collect()),
            ..Self::default()
        }
    }

    /// Drives a run to where it ends.
    pub(super) fn driving(ends: RunStatus, daemon: bool) -> Self {
        Self {
            ends: Some(ends),
            daemon,
            ..Self::default()
        }
    }

    /// The same, as a daemon.
    pub(super) fn of_a_daemon(mut self) -> Self {
        self.daemon = true;
        self
    }

    /// The same, driving runs to where they end.
    pub(super) fn and_driving(mut self, ends: RunStatus) -> Self {
        self.ends = Some(ends);
        self
    }
}

impl Desk for Sitting {
    fn is_daemon(&self) -> bool {
        self.daemon
    }

    async fn execute(&self, command: Command) -> Result<Reply, Refused> {
        self.asked.lock().push(command);
        self.replies
            .lock()
            .pop_front()
            .expect("no more was to be asked")
    }

    async fn drive(
        &self,
        run: RunId,
        progress: &mut (dyn FnMut(&RunStatus) + Send),
        _: impl Future<Output = ()> + Send,
    ) -> Result<RunStatus, Refused> {
        let ends = self.ends.clone().expect("nothing was to be driven");
        assert_eq!(run, ends.id);
        progress(&ends);
        Ok(ends)
    }
}

/// Run 3 of `billing/renewal`.
pub(super) fn run(state: RunState, counts: &[(Status, u64)]) -> RunStatus {
    RunStatus {
        id: RunId(3),
        campaign: "billing/renewal".parse().unwrap(),
        occurrence: OccurrenceName::label("2026-12-01").unwrap(),
        state,
        reason: None,
        help: None,
        digest: Some("d1".to_owned()),
        counts: counts.iter().copied().collect(),
        skipped: [("cooldown".to_owned(), 2)].into(),
        totals: Totals {
            total: 10,
            matched: 5,
            to_send: counts.iter().map(|(_, n)| n).sum(),
        },
        goes_on_at: None,
        unsubscribed: 0,
        effects: None,
        due: "2026-12-01T08:00:00Z".parse().unwrap(),
        started_at: None,
        ended_at: None,
        waits_until: None,
        approval: None,
    }
}

/// A plan of `billing/renewal` with one recipient as a sample.
pub(super) fn plan() -> Plan {
    Plan {
        safety: crate::model::Safety::default(),
        campaign: "billing/renewal".parse().unwrap(),
        occurrence: OccurrenceName::label("manual").unwrap(),
        digest: "d1".to_owned(),
        totals: Totals {
            total: 10_000,
            matched: 2_000,
            to_send: 1_234,
        },
        by_channel: [(Channel::Email, 1_234)].into(),
        by_locale: std::collections::BTreeMap::new(),
        reachable: [(Channel::Email, 1_990), (Channel::Sms, 0)].into(),
        skipped: [(SkipReason::Unsubscribed, 766)].into(),
        zones: Vec::new(),
        unknown_zones: 0,
        sample: vec![Sample {
            key: "A1".to_owned(),
            channel: Channel::Email,
            address: "ada@example.org".to_owned(),
            variables: vec![
                ("first_name".to_owned(), "Ada".into()),
                ("contact".to_owned(), "ada@example.org".into()),
            ],
        }],
        problems: vec!["line 7, column \"email\": \"ada@example.org x\" is not one".to_owned()],
        hold: Some(HoldReason::TooMany),
        hold_words: None,
        funnel: vec![
            step(StepKind::Source, "source", 10_000, 0),
            step(StepKind::Clause, "r.status == \"active\"", 2_000, 8_000),
            step(StepKind::Rule, "unsubscribed", 1_234, 766),
        ],
        outlook: Some(Outlook {
            environment: None,
            starts: Some("2026-12-01T09:00:00+01:00".parse().unwrap()),
            finishes: Some("2026-12-01T09:20:33+01:00".parse().unwrap()),
            pace: "main takes 1/1s".to_owned(),
            holds: vec![Hold {
                reason: "too_many".to_owned(),
                help: "1,234 to send, more than max_recipients".to_owned(),
            }],
        }),
    }
}

fn step(kind: StepKind, step: &str, left: u64, dropped: u64) -> Step {
    Step {
        step: step.to_owned(),
        kind,
        left,
        dropped,
    }
}

/// A delivery of run 3.
pub(super) fn delivery(sequence: u32) -> Delivery {
    Delivery {
        id: DeliveryId::new(RunId(3), sequence),
        run: RunId(3),
        key: format!("A{sequence}"),
        channel: Channel::Email,
        address: format!("a{sequence}@example.org"),
        status: Status::Sent,
        reason: None,
        at: "2026-12-01T09:00:00Z".parse().unwrap(),
        message_id: None,
        attempts: 1,
    }
}

/// An address by hand, and a recipient who unsubscribed from offers.
pub(super) fn suppressions() -> (Suppression, Suppression) {
    let by_hand = Suppression {
        subject: Subject::Address(AddressHash([1; 16])),
        topic: None,
        reason: SuppressionReason::Manual,
        at: "2026-12-01T09:00:00Z".parse().unwrap(),
        shown: "ada@example.org".to_owned(),
        origin: "cli".to_owned(),
    };
    let unsubscribed = Suppression {
        subject: Subject::Recipient(RecipientHash([2; 16])),
        topic: Some("offers".parse().unwrap()),
        reason: SuppressionReason::Unsubscribed,
        shown: "customers:A1".to_owned(),
        origin: "delivery 3-1".to_owned(),
        ..by_hand.clone()
    };
    (by_hand, unsubscribed)
}
