//! What the tests of the planner build on: people, a campaign, a ledger in memory, and a selector without Rhai.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use futures::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;

use crate::{
    message::{Needs, payload::Layout},
    model::*,
    plan::{
        Plan, PlanError, Progress,
        gather::{self, Job, Limits, Origin},
        one::Checker,
        rules::Rules,
        select::{Selector, Selectors},
    },
    script::ScriptError,
    source::{Batch, Source, SourceError},
    store::*,
};

pub(super) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap()
}

pub(super) fn days_ago(days: i64) -> DateTime<Utc> {
    now() - chrono::TimeDelta::days(days)
}

pub(super) fn occurrence() -> OccurrenceName {
    OccurrenceName::label("2026-12-01").unwrap()
}

pub(super) fn identity() -> Identity {
    Identity::new([7; 32])
}

/// A row of the source: its cells, or what is wrong with it.
pub(super) type Row = Result<[String; 4], InvalidRow>;

/// `status` decides: `yes` matches, `no` does not, `broken` fails in the condition, `half` in the variables.
pub(super) fn person(key: &str, email: &str, status: &str) -> Row {
    Ok([key, email, status, &format!("Name of {key}")].map(ToOwned::to_owned))
}

pub(super) fn invalid(line: u64, key: Option<&str>) -> Row {
    Err(InvalidRow {
        line,
        key: key.map(ToOwned::to_owned),
        column: Some("balance".to_owned()),
        message: "\"x\" is not a number".to_owned(),
    })
}

pub(super) fn schema() -> Arc<Schema> {
    let columns = ["id", "mail", "status", "name"];
    Arc::new(Schema {
        columns: columns
            .map(|name| (name.to_owned(), FieldType::String))
            .to_vec(),
        roles: Roles {
            key: "id".to_owned(),
            email: Some("mail".to_owned()),
            ..Roles::default()
        },
    })
}

/// Rows in batches, perhaps with an error behind them.
#[derive(Clone)]
pub(super) struct People {
    pub(super) rows: Vec<Row>,
    pub(super) batch: usize,
    pub(super) breaks: bool,
    /// The columns that rows come with, where they are not those that are described.
    pub(super) comes_with: Arc<Schema>,
}

#[async_trait]
impl Source for People {
    async fn describe(&self) -> Result<Schema, SourceError> {
        Ok(schema().as_ref().clone())
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        let schema = self.comes_with.clone();
        let mut batches: Vec<Result<Batch, SourceError>> = self
            .rows
            .chunks(self.batch)
            .map(|rows| {
                Ok(rows
                    .iter()
                    .map(|row| {
                        row.clone().map(|cells| Recipient {
                            source: "calls-itself-something-else".parse().unwrap(),
                            schema: schema.clone(),
                            key: cells[0].clone(),
                            values: cells.map(Value::Text).to_vec(),
                        })
                    })
                    .collect())
            })
            .collect();
        if self.breaks {
            batches.push(Err(SourceError {
                source_name: "people".parse().unwrap(),
                message: "it changed while it was read".to_owned(),
            }));
        }
        Ok(futures::stream::iter(batches).boxed())
    }
}

/// What stands in for a script.
pub(super) struct ByStatus;

impl ByStatus {
    pub(super) fn error() -> ScriptError {
        let file = SourceFile::new("campaigns/news.toml", "where = 'r.age > 3'\n");
        ScriptError {
            message: "an empty cell has no order".to_owned(),
            place: Place::new(&file, 9..14),
        }
    }
}

impl Selector for ByStatus {
    fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
        assert_eq!(
            recipient.source.as_str().trim_end_matches('2'),
            "people",
            "scripts see the name in the settings"
        );
        match recipient.get("status").and_then(Value::as_text) {
            Some("no") => Ok(false),
            Some("broken") => Err(Self::error()),
            _ => Ok(true),
        }
    }

    fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
        match recipient.get("status").and_then(Value::as_text) {
            Some("half") => Err(Self::error()),
            _ => Ok(vec![
                recipient.get("name").cloned().unwrap(),
                Value::Integer(recipient.key.len() as i64),
            ]),
        }
    }
}

pub(super) fn campaign() -> Campaign {
    let file = SourceFile::new("campaigns/news.toml", "");
    let variable = |name: &str| Variable {
        name: name.to_owned(),
        name_place: Place::start_of(&file),
        expression: Excerpt::whole(&file),
    };
    Campaign {
        id: "news".parse().unwrap(),
        name: "News".to_owned(),
        file: file.clone(),
        topic: "offers".parse().unwrap(),
        purpose: Purpose::Marketing,
        sender: "acme".parse().unwrap(),
        enabled: true,
        was: Vec::new(),
        removal_grace: Period::minutes(10),
        on_broken: OnBroken::Hold,
        audience: Audience {
            sources: vec!["people".parse().unwrap()],
            condition: None,
            keys: None,
            cooldown: Some(Cooldown::None),
            cooldown_group: None,
            dedupe: Dedupe::Address,
            min_recipients: 1,
            max_recipients: None,
            max_change: None,
            holdout: None,
            max_script_errors: 10,
        },
        variables: vec![variable("name"), variable("length")],
        schedule: None,
        reach: Reach {
            order: vec![Channel::Email],
            mode: ReachMode::First,
        },
        in_doubt: InDoubtPolicy::Keep,
        expires_after: None,
        email: None,
    }
}

/// Everything a plan is made of; each test changes what it is about.
pub(super) struct World {
    pub(super) people: Vec<People>,
    pub(super) campaign: Campaign,
    pub(super) ledger: Arc<Ledger>,
    pub(super) identity: Identity,
    pub(super) freeze: bool,
    pub(super) sample: usize,
    pub(super) limits: Limits,
    pub(super) selectors: Selectors,
    pub(super) progress: Arc<Progress>,
}

pub(super) const LIMITS: Limits = Limits {
    records: 1 << 20,
    marks: 1 << 20,
    rows: 7,
    bytes: 1 << 20,
    evaluators: 2,
};

impl World {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        Self {
            people: vec![People {
                rows,
                batch: 3,
                breaks: false,
                comes_with: schema(),
            }],
            campaign: campaign(),
            ledger: Arc::default(),
            identity: identity(),
            freeze: true,
            sample: 0,
            limits: LIMITS,
            selectors: Arc::new(|| Box::new(ByStatus)),
            progress: Arc::default(),
        }
    }

    pub(super) fn asking_for(mut self, keys: &[&str]) -> Self {
        let place = Place::start_of(&self.campaign.file);
        self.campaign.audience.keys = Some(Keys {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            place,
        });
        self
    }

    pub(super) fn layout() -> Layout {
        let needs = Needs {
            fields: Some(["mail".to_owned()].into()),
            variables: ["length".to_owned()].into(),
        };
        Layout::new(&needs, schema().names(), ["name", "length"])
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::new(Rules::new(
            self.campaign.clone(),
            self.freeze.then(Self::layout),
            self.identity.clone(),
            self.sample > 0,
        ))
    }

    pub(super) async fn plan(&self) -> Result<Plan, PlanError> {
        self.plan_with(self.sources()).await
    }

    /// The plan where this is the only source.
    pub(super) async fn plan_from(&self, source: Arc<dyn Source>) -> Result<Plan, PlanError> {
        self.plan_with(vec![source]).await
    }

    fn sources(&self) -> Vec<Arc<dyn Source>> {
        let people = self.people.iter();
        people
            .map(|people| Arc::new(people.clone()) as Arc<dyn Source>)
            .collect()
    }

    async fn plan_with(&self, sources: Vec<Arc<dyn Source>>) -> Result<Plan, PlanError> {
        *self.ledger.frozen.lock() = Vec::new();
        *self.ledger.addresses.lock() = Vec::new();
        let names = &self.campaign.audience.sources;
        let origins = names.iter().zip(sources).map(|(name, source)| Origin {
            name: name.clone(),
            source,
            schema: schema(),
        });
        gather::carry_out(Job {
            rules: self.rules(),
            origins: origins.collect(),
            selectors: self.selectors.clone(),
            occurrence: occurrence(),
            now: now(),
            store: Some(self.ledger.clone()),
            freeze: self.freeze.then_some((Lease { epoch: 1 }, RunId(9))),
            sample: self.sample,
            progress: self.progress.clone(),
            limits: self.limits,
        })
        .await
    }

    pub(super) fn checker(&self) -> Checker {
        Checker {
            rules: self.rules(),
            sources: self.sources(),
            selectors: self.selectors.clone(),
            occurrence: occurrence(),
            now: now(),
            store: Some(self.ledger.clone()),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// What was frozen: key, and why it is not sent (`-` where it is), in the order of keys.
    pub(super) fn outcomes(&self) -> Vec<String> {
        let mut outcomes: Vec<_> = self
            .ledger
            .frozen
            .lock()
            .iter()
            .map(|row| match &row.skip {
                None => format!("{} -", row.key),
                Some((reason, None)) => format!("{} {reason}", row.key),
                Some((reason, Some(detail))) => format!("{} {reason}: {detail}", row.key),
            })
            .collect();
        outcomes.sort();
        outcomes
    }

    pub(super) fn recipient(&self, key: &str) -> RecipientHash {
        self.identity.recipient(&"people".parse().unwrap(), key)
    }

    pub(super) fn address(&self, text: &str) -> AddressHash {
        self.identity.address(Channel::Email, text)
    }

    pub(super) fn suppress(
        &self,
        subject: Subject,
        topic: Option<&str>,
        reason: SuppressionReason,
    ) {
        let mut list = self.ledger.suppressions.lock();
        list.push(Suppression {
            subject,
            topic: topic.map(|topic| topic.parse().unwrap()),
            reason,
            at: now(),
            shown: String::new(),
            origin: String::new(),
        });
        list.sort_by_key(|entry| entry.subject.bytes());
    }

    /// An earlier run, which these had.
    pub(super) fn ran(&self, run: Run, had: &[&str]) {
        let had = had.iter().map(|key| self.recipient(key)).collect();
        self.ledger.had.lock().insert(run.id, had);
        self.ledger.runs.lock().push(run);
    }
}

/// A run that was over at `ended`.
pub(super) fn run(id: u32, campaign: &str, name: &str, ended: Option<DateTime<Utc>>) -> Run {
    Run {
        id: RunId(id),
        campaign: campaign.parse().unwrap(),
        occurrence: OccurrenceName::label(name).unwrap(),
        due: days_ago(100),
        state: match ended {
            Some(_) => RunState::Finished,
            None => RunState::Paused,
        },
        reason: None,
        topic: "offers".parse().unwrap(),
        purpose: Purpose::Marketing,
        bundle: None,
        content_digest: None,
        plan_digest: None,
        opened_at: days_ago(100),
        sealed_at: Some(days_ago(100)),
        started_at: Some(days_ago(100)),
        ended_at: ended,
        released: false,
        totals: Totals::default(),
    }
}

/// A ledger in memory: the parts that planning needs.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) frozen: Mutex<Vec<Frozen>>,
    pub(super) addresses: Mutex<Vec<(AddressHash, u32)>>,
    pub(super) suppressions: Mutex<Vec<Suppression>>,
    pub(super) runs: Mutex<Vec<Run>>,
    pub(super) had: Mutex<BTreeMap<RunId, BTreeSet<RecipientHash>>>,
    /// How often pages were asked for.
    pub(super) pages: Mutex<usize>,
    pub(super) fails: bool,
}

#[async_trait]
impl Store for Ledger {
    async fn freeze(&self, lease: Lease, run: RunId, rows: Vec<Frozen>) -> Result<()> {
        if self.fails {
            return Err(StoreError::LeaseLost);
        }
        assert_eq!((lease.epoch, run), (1, RunId(9)));
        assert!(!rows.is_empty() && rows.len() <= LIMITS.rows);
        let mut frozen = self.frozen.lock();
        for row in rows {
            if let Some(last) = frozen.last() {
                assert_eq!(row.sequence, last.sequence + 1);
                assert!(
                    (row.recipient, row.channel) > (last.recipient, last.channel),
                    "one row a recipient and channel, sorted"
                );
            } else {
                assert_eq!(row.sequence, 0);
            }
            frozen.push(row);
        }
        Ok(())
    }

    async fn freeze_addresses(
        &self,
        _: Lease,
        _: RunId,
        rows: Vec<(AddressHash, u32)>,
    ) -> Result<()> {
        assert!(!rows.is_empty() && rows.len() <= LIMITS.rows);
        let mut addresses = self.addresses.lock();
        for row in rows {
            assert!(addresses.last().is_none_or(|last| *last < row), "sorted");
            addresses.push(row);
        }
        Ok(())
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let of = |run: &&Run| {
            filter
                .campaign
                .as_ref()
                .is_none_or(|id| *id == run.campaign)
        };
        Ok(self.runs.lock().iter().filter(of).cloned().collect())
    }

    async fn had(
        &self,
        run: RunId,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<RecipientHash>> {
        *self.pages.lock() += 1;
        let had = self.had.lock();
        let behind = |hash: &&RecipientHash| after.is_none_or(|after| **hash > after);
        let page = had[&run].iter().filter(behind).take(limit).copied();
        Ok(page.collect())
    }

    async fn suppressions(
        &self,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<Suppression>> {
        *self.pages.lock() += 1;
        let list = self.suppressions.lock();
        let behind = |entry: &&Suppression| after.is_none_or(|after| entry.subject.bytes() > after);
        Ok(list.iter().filter(behind).take(limit).cloned().collect())
    }

    async fn suppressions_of(&self, subject: Subject) -> Result<Vec<Suppression>> {
        let list = self.suppressions.lock();
        let of = |entry: &&Suppression| entry.subject == subject;
        Ok(list.iter().filter(of).cloned().collect())
    }

    async fn last_had(
        &self,
        recipient: RecipientHash,
        campaigns: &[CampaignId],
    ) -> Result<Option<DateTime<Utc>>> {
        let had = self.had.lock();
        let runs = self.runs.lock();
        let of =
            |run: &&Run| campaigns.contains(&run.campaign) && had[&run.id].contains(&recipient);
        Ok(runs.iter().filter(of).filter_map(|run| run.ended_at).max())
    }

    async fn had_count(
        &self,
        recipient: RecipientHash,
        campaign: &CampaignId,
        since: DateTime<Utc>,
    ) -> Result<u64> {
        let had = self.had.lock();
        let runs = self.runs.lock();
        let of = |run: &&Run| {
            run.campaign == *campaign
                && run.ended_at >= Some(since)
                && had[&run.id].contains(&recipient)
        };
        Ok(runs.iter().filter(of).count() as u64)
    }

    async fn take_over(&self, _: DateTime<Utc>) -> Result<TakenOver> {
        unimplemented!()
    }
    async fn heartbeat(&self, _: Lease, _: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
    async fn setting(&self, _: &str) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
    async fn set_setting(&self, _: &str, _: &[u8]) -> Result<()> {
        unimplemented!()
    }
    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        unimplemented!()
    }
    async fn sight(&self, _: Vec<Sighting>, _: DateTime<Utc>) -> Result<Vec<CampaignRecord>> {
        unimplemented!()
    }
    async fn change_campaign(&self, _: &CampaignId, _: CampaignChange) -> Result<()> {
        unimplemented!()
    }
    async fn open_run(&self, _: Lease, _: NewRun, _: DateTime<Utc>) -> Result<Opened> {
        unimplemented!()
    }
    async fn seal(&self, _: Lease, _: RunId, _: Seal, _: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
    async fn discard(&self, _: Lease, _: RunId) -> Result<()> {
        unimplemented!()
    }
    async fn keep_bundle(&self, _: &str, _: &[u8]) -> Result<()> {
        unimplemented!()
    }
    async fn bundle(&self, _: &str) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
    async fn move_run(
        &self,
        _: RunId,
        _: &[RunState],
        _: RunChange,
        _: DateTime<Utc>,
    ) -> Result<bool> {
        unimplemented!()
    }
    async fn cancel_rows(&self, _: RunId, _: usize, _: DateTime<Utc>) -> Result<usize> {
        unimplemented!()
    }
    async fn requeue(&self, _: Lease, _: RunId, _: &[Status], _: DateTime<Utc>) -> Result<u64> {
        unimplemented!()
    }
    async fn run(&self, _: RunId) -> Result<Option<Run>> {
        unimplemented!()
    }
    async fn counts(&self, _: RunId) -> Result<Counts> {
        unimplemented!()
    }
    async fn counts_of(&self, _: &[RunId]) -> Result<BTreeMap<RunId, Counts>> {
        unimplemented!()
    }
    async fn queues(&self) -> Result<Vec<Queue>> {
        unimplemented!()
    }
    async fn claim(&self, _: QueueId, _: Option<DeliveryId>, _: usize) -> Result<Vec<Claimed>> {
        unimplemented!()
    }
    async fn claim_due(&self, _: QueueId, _: DateTime<Utc>, _: usize) -> Result<Vec<Claimed>> {
        unimplemented!()
    }
    async fn next_due(&self, _: QueueId) -> Result<Option<DateTime<Utc>>> {
        unimplemented!()
    }
    async fn advance(&self, _: Lease, _: Advance, _: &Outcomes) -> Result<Vec<Begun>> {
        unimplemented!()
    }
    async fn settle_doubt(
        &self,
        _: Lease,
        _: RunId,
        _: InDoubtPolicy,
        _: DateTime<Utc>,
    ) -> Result<u64> {
        unimplemented!()
    }
    async fn deliveries(&self, _: DeliveryFilter) -> Result<Vec<Delivery>> {
        unimplemented!()
    }
    async fn delivery(&self, _: DeliveryId) -> Result<Option<Delivery>> {
        unimplemented!()
    }
    async fn suppress(&self, _: Vec<Suppression>) -> Result<u64> {
        unimplemented!()
    }
    async fn unsuppress(
        &self,
        _: Subject,
        _: Option<&TopicName>,
        _: Option<SuppressionReason>,
    ) -> Result<u64> {
        unimplemented!()
    }
    async fn rates(&self) -> Result<BTreeMap<String, DateTime<Utc>>> {
        unimplemented!()
    }
}
