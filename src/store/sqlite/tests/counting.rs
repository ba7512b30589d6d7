//! Whatever happens in whatever order: the counters are what counting gives, and nobody who was sent to is sent to again.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    model::{InDoubtPolicy, Subject, Suppression, SuppressionReason},
    store::QueueId,
};

/// Deliveries of each of the two runs; the last is skipped when it is planned.
const ROWS: u32 = 6;

#[derive(Clone, Debug)]
enum Act {
    Advance {
        done: Vec<(u32, Outcome, bool)>,
        begin: Vec<u32>,
        cursor: Option<u32>,
    },
    Move(u32, RunState),
    Cancel(u32, usize),
    Requeue(u32, Status),
    Settle(u32, InDoubtPolicy),
    Suppress(u32, SuppressionReason),
    TakeOver,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Sent),
        2 => (0..40_i64).prop_map(|seconds| Outcome::Deferred(at(seconds))),
        2 => (0..40_i64).prop_map(|seconds| Outcome::Released(at(seconds))),
        2 => Just(Outcome::Failed),
        2 => Just(Outcome::InDoubt),
        1 => Just(Outcome::Expired),
        1 => Just(Outcome::Skipped(SkipReason::RenderError)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let delivery = 0..2 * ROWS;
    let run = 0..2_u32;
    let dones = proptest::collection::vec((delivery.clone(), outcome(), any::<bool>()), 0..4);
    let begins = proptest::collection::vec(delivery.clone(), 0..5);
    let state = prop_oneof![
        4 => Just(RunState::Sending),
        1 => Just(RunState::Paused),
        2 => Just(RunState::Finished),
        1 => Just(RunState::Cancelled),
    ];
    let policy = proptest::sample::select(InDoubtPolicy::ALL);
    let reason = proptest::sample::select(SuppressionReason::ALL);
    prop_oneof![
        12 => (dones, begins, proptest::option::of(delivery.clone()))
            .prop_map(|(done, begin, cursor)| Act::Advance { done, begin, cursor }),
        3 => (run.clone(), state).prop_map(|(run, state)| Act::Move(run, state)),
        1 => (run.clone(), 1..4_usize).prop_map(|(run, limit)| Act::Cancel(run, limit)),
        1 => (run.clone(), prop_oneof![Just(Status::Failed), Just(Status::InDoubt)])
            .prop_map(|(run, status)| Act::Requeue(run, status)),
        1 => (run, policy).prop_map(|(run, policy)| Act::Settle(run, policy)),
        1 => (delivery, reason).prop_map(|(delivery, reason)| Act::Suppress(delivery, reason)),
        1 => Just(Act::TakeOver),
    ]
}

struct World {
    ledger: Ledger,
    runs: [RunId; 2],
    queues: Vec<QueueId>,
    sent: BTreeSet<DeliveryId>,
    now: i64,
}

impl World {
    async fn new() -> Self {
        let ledger = Ledger::new().await;
        let rows = || {
            let last = skipped(ROWS - 1, SkipReason::Holdout, None);
            let mut rows: Vec<_> = (0..ROWS - 1).map(row).collect();
            rows[1].channel = Channel::Sms;
            rows.push(last);
            rows
        };
        let runs = [
            ledger.planned("spring", Purpose::Marketing, rows()).await,
            ledger
                .planned("bills", Purpose::Transactional, rows())
                .await,
        ];
        let queues = ledger.queues().await.unwrap();
        Self {
            ledger,
            runs,
            queues: queues.into_iter().map(|queue| queue.id).collect(),
            sent: BTreeSet::new(),
            now: 0,
        }
    }

    fn id(&self, n: u32) -> DeliveryId {
        DeliveryId::new(self.runs[(n / ROWS) as usize], n % ROWS)
    }

    async fn act(&mut self, act: Act) {
        self.now += 3;
        let now = at(self.now);
        let lease = self.ledger.lease;
        let run = |n: u32| self.runs[n as usize];
        match act {
            Act::Advance {
                done,
                begin,
                cursor,
            } => self.advance(done, begin, cursor).await,
            Act::Move(n, state) => drop(self.ledger.to(run(n), state).await),
            Act::Cancel(n, limit) => {
                self.ledger.cancel_rows(run(n), limit, now).await.unwrap();
            }
            Act::Requeue(n, status) => {
                let statuses = [status];
                let requeue = self.ledger.requeue(lease, run(n), &statuses, now);
                requeue.await.unwrap();
            }
            Act::Settle(n, policy) => {
                let settle = self.ledger.settle_doubt(lease, run(n), policy, now);
                settle.await.unwrap();
            }
            Act::Suppress(n, reason) => {
                let entry = Suppression {
                    subject: Subject::Address(address(n % ROWS)),
                    topic: None,
                    reason,
                    at: now,
                    shown: String::new(),
                    origin: String::new(),
                };
                self.ledger.suppress(vec![entry]).await.unwrap();
            }
            Act::TakeOver => self.ledger.lease = self.ledger.take_over(now).await.unwrap().lease,
        }
    }

    async fn advance(
        &mut self,
        done: Vec<(u32, Outcome, bool)>,
        begin: Vec<u32>,
        cursor: Option<u32>,
    ) {
        let ids: Vec<_> = begin.iter().map(|&n| self.id(n)).collect();
        let step = Advance {
            now: at(self.now),
            done: done
                .iter()
                .map(|&(n, outcome, suppress)| Done {
                    suppress: suppress && outcome == Outcome::Failed,
                    ..super::done(self.id(n), outcome)
                })
                .collect(),
            begin: ids.iter().map(|&id| super::begin(id)).collect(),
            cursors: cursor
                .iter()
                .flat_map(|&n| self.queues.iter().map(move |&queue| (queue, n)))
                .map(|(queue, n)| (queue, self.id(n)))
                .collect(),
            rates: vec![],
            cap: None,
        };
        let answers = self.ledger.step(step).await;
        // What the outcomes of this very step made of them comes before what begins in it.
        self.note_sent().await;
        for (id, begun) in ids.into_iter().zip(answers) {
            if let Begun::Permit(permit) = begun {
                assert_eq!(permit.delivery(), id);
                assert!(!self.sent.contains(&id), "{id} was sent already");
            }
        }
    }

    async fn note_sent(&mut self) {
        for n in 0..2 * ROWS {
            let id = self.id(n);
            if self.ledger.status(id).await == Status::Sent {
                self.sent.insert(id);
            } else {
                assert!(!self.sent.contains(&id), "{id} was sent and is no more");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn counters_are_what_counting_gives(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for act in acts {
                world.act(act).await;
                world.ledger.check();
            }
        });
    }
}
