//! The store as a whole: the protocol, what a crash leaves, what goes wrong around it.

mod asking;
mod counting;
mod faults;
mod following;
mod guarding;
mod holding;
mod life;
mod planning;
mod suppressing;
mod taking_over;
mod viewing;
mod zones;

use std::{path::PathBuf, sync::atomic::AtomicU64};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

use super::SqliteStore;
use crate::{
    model::{
        AddressHash, Answered, Channel, DeliveryId, Occurrence, OccurrenceName, Outcomes, Permit,
        Purpose, RecipientHash, RunId, RunState, SkipReason, Status, Totals,
    },
    store::{
        Advance, Begin, Begun, Done, Frozen, Lease, NewRun, Opened, Outcome, RunChange, Seal,
        Store, StoreError,
    },
};

/// The moment `seconds` after the tests' beginning of time.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

/// A store in a folder of its own, taken over.
struct Ledger {
    folder: TempDir,
    store: Option<SqliteStore>,
    lease: Lease,
    outcomes: Outcomes,
    answers: UnboundedReceiver<Answered>,
    occurrences: AtomicU64,
}

impl std::ops::Deref for Ledger {
    type Target = SqliteStore;

    fn deref(&self) -> &SqliteStore {
        self.store.as_ref().expect("the store is open")
    }
}

impl Ledger {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("campanile.db")).unwrap();
        let lease = store.take_over(at(0)).await.unwrap().lease;
        let (outcomes, answers) = Outcomes::channel();
        Self {
            folder,
            store: Some(store),
            lease,
            outcomes,
            answers,
            occurrences: AtomicU64::new(0),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("campanile.db")
    }

    /// The process ends and another begins; who takes over is up to the caller.
    fn restart(&mut self) {
        self.store = None;
        self.store = Some(SqliteStore::open(&self.path()).unwrap());
    }

    /// The next occurrence of the campaign `spring`, with `rows` and a queue for mail and one for text messages.
    async fn planned(&self, campaign: &str, purpose: Purpose, rows: Vec<Frozen>) -> RunId {
        let n = self
            .occurrences
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let run = NewRun {
            occurrence: Occurrence {
                name: OccurrenceName::label(&format!("o{n}")).unwrap(),
                due: at(0),
            },
            purpose,
            ..new_run(campaign)
        };
        let Opened::New(run) = self.open_run(self.lease, run, at(0)).await.unwrap() else {
            panic!("the run is new");
        };
        self.freeze(self.lease, run.id, rows).await.unwrap();
        self.seal(self.lease, run.id, seal(RunState::Sending), at(0))
            .await
            .unwrap();
        run.id
    }

    /// A marketing run that sends mail to as many recipients.
    async fn sending(&self, recipients: u32) -> RunId {
        let rows = (0..recipients).map(row).collect();
        self.planned("spring", Purpose::Marketing, rows).await
    }

    async fn step(&self, step: Advance) -> Vec<Begun> {
        self.advance(self.lease, step, &self.outcomes)
            .await
            .unwrap()
    }

    async fn begin(&self, id: DeliveryId, now: i64) -> Begun {
        let step = Advance {
            now: at(now),
            begin: vec![begin(id)],
            ..Advance::default()
        };
        self.step(step).await.remove(0)
    }

    async fn permit(&self, id: DeliveryId, now: i64) -> Permit {
        match self.begin(id, now).await {
            Begun::Permit(permit) => permit,
            other => panic!("a permit was expected, not {other:?}"),
        }
    }

    async fn done(&self, id: DeliveryId, outcome: Outcome, now: i64) {
        let step = Advance {
            now: at(now),
            done: vec![done(id, outcome)],
            ..Advance::default()
        };
        self.step(step).await;
    }

    async fn to(&self, run: RunId, state: RunState) -> bool {
        let change = RunChange {
            state,
            reason: None,
            released: None,
        };
        self.move_run(run, RunState::ALL, change, at(1))
            .await
            .unwrap()
    }

    async fn status(&self, id: DeliveryId) -> Status {
        self.delivery(id).await.unwrap().unwrap().status
    }

    /// Looks at the file with other eyes than the store's.
    fn look<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// What must hold after every transaction.
    fn check(&self) {
        const RULES: &[(&str, &str)] = &[
            (
                "counters are what counting gives",
                "SELECT run, channel, status, reason, sum(n) FROM (
                     SELECT run, channel, status, coalesce(reason, 0) AS reason, 1 AS n FROM delivery
                     UNION ALL SELECT run, channel, status, reason, -n FROM counter)
                 GROUP BY run, channel, status, reason HAVING sum(n) <> 0",
            ),
            (
                "what is sending has an intent, and nothing else has",
                "SELECT d.id, status FROM delivery d LEFT JOIN intent ON intent.id = d.id
                 WHERE (status = 2) <> (intent.id IS NOT NULL)",
            ),
            (
                "no intent without a delivery",
                "SELECT id, 0 FROM intent WHERE id NOT IN (SELECT id FROM delivery)",
            ),
            (
                "what is deferred has its time; only it and what was released have",
                "SELECT d.id, status FROM delivery d LEFT JOIN due ON due.id = d.id
                 WHERE (status = 3 AND due.id IS NULL) OR (status NOT IN (1, 3) AND due.id IS NOT NULL)",
            ),
            (
                "payloads are there as long as they may be needed and are not erased, and no longer",
                "SELECT d.id, status FROM delivery d LEFT JOIN payload ON payload.id = d.id
                 WHERE (status IN (1, 2, 3, 8, 9)) <> (payload.id IS NOT NULL) AND key <> ''",
            ),
            (
                "no payload without a delivery",
                "SELECT id, 0 FROM payload WHERE id NOT IN (SELECT id FROM delivery)",
            ),
            (
                "nothing is queued at or before its queue's cursor, but what was released",
                "SELECT d.id, status FROM delivery d JOIN queue ON queue.id = d.queue
                 WHERE d.id <= queue.cursor AND status = 1 AND d.id NOT IN (SELECT id FROM due)",
            ),
            (
                "a finished run has nothing open",
                "SELECT d.id, status FROM delivery d JOIN run ON run.id = d.run
                 WHERE run.state = 'finished' AND status IN (1, 2, 3)",
            ),
        ];
        let db = rusqlite::Connection::open(self.path()).unwrap();
        for (rule, sql) in RULES {
            let mut statement = db.prepare(sql).unwrap();
            let broken = statement
                .query_map([], |row| {
                    Ok(format!(
                        "{} {}",
                        row.get::<_, i64>(0)?,
                        row.get::<_, i64>(1)?
                    ))
                })
                .unwrap()
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            assert!(broken.is_empty(), "{rule}: {broken:?}");
        }
    }
}

fn new_run(campaign: &str) -> NewRun {
    NewRun {
        campaign: campaign.parse().unwrap(),
        occurrence: Occurrence {
            name: OccurrenceName::label("2027-01-15").unwrap(),
            due: at(0),
        },
        asked: false,
        expires_at: None,
        topic: "offers".parse().unwrap(),
        purpose: Purpose::Marketing,
        bundle: None,
        layout: "[]".to_owned(),
        rollout: None,
        stop_if: None,
        cooldown_group: None,
        waits: false,
        queues: vec![
            (Channel::Email, "main".parse().unwrap()),
            (Channel::Sms, "text".parse().unwrap()),
        ],
        effects: Vec::new(),
    }
}

fn seal(state: RunState) -> Seal {
    Seal {
        content_digest: "content".to_owned(),
        plan_digest: "plan".to_owned(),
        totals: Totals {
            total: 9,
            matched: 8,
            to_send: 7,
        },
        state,
        reason: None,
        limit: None,
        drop_rows: false,
    }
}

fn recipient(sequence: u32) -> RecipientHash {
    RecipientHash((u128::from(sequence) + 1).to_be_bytes())
}

fn address(sequence: u32) -> AddressHash {
    AddressHash((u128::from(sequence) + (1 << 100)).to_be_bytes())
}

/// A delivery that is queued for mail.
fn row(sequence: u32) -> Frozen {
    Frozen {
        sequence,
        recipient: recipient(sequence),
        address_hash: Some(address(sequence)),
        channel: Channel::Email,
        zone: None,
        key: format!("K{sequence}"),
        address: format!("k{sequence}@example.org"),
        skip: None,
        payload: format!("payload {sequence}").into_bytes(),
    }
}

/// A delivery that is not sent.
fn skipped(sequence: u32, reason: SkipReason, detail: Option<&str>) -> Frozen {
    Frozen {
        skip: Some((reason, detail.map(str::to_owned))),
        payload: Vec::new(),
        ..row(sequence)
    }
}

fn begin(id: DeliveryId) -> Begin {
    let sequence = (id.0 & 0xffff_ffff) as u32;
    Begin {
        delivery: id,
        recipient: recipient(sequence),
        address_hash: address(sequence),
        message_id: format!("{id}@example.org"),
    }
}

fn done(id: DeliveryId, outcome: Outcome) -> Done {
    Done {
        delivery: id,
        outcome,
        reason: None,
        suppress: false,
    }
}

fn words(error: &StoreError) -> String {
    error.to_string()
}
