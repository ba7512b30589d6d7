//! What the tests of the planner build on: people, a campaign, a ledger in memory, and a selector without Rhai.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use futures::{StreamExt, stream::BoxStream};

use crate::{
    message::{Needs, payload::Layout},
    model::*,
    plan::{
        Plan, PlanError, Progress,
        fate::Everybody,
        gather::{self, Job, Limits, Origin, Worked},
        one::Checker,
        rules::{Look, Rules},
        select::{Selector, Selectors},
    },
    script::ScriptError,
    source::{Batch, Source, SourceError},
    store::Lease,
};

use super::ledger::Ledger;

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
#[allow(
    clippy::unnecessary_wraps,
    reason = "a row among others that are invalid"
)]
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
                place: None,
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
            Some("half" | "barred and half") => Err(Self::error()),
            _ => Ok(vec![
                recipient.get("name").cloned().unwrap(),
                Value::Integer(recipient.key.len() as i64),
            ]),
        }
    }

    fn veto(
        &mut self,
        recipient: &Recipient,
        channel: Channel,
    ) -> Result<Option<String>, ScriptError> {
        assert_eq!(channel, Channel::Email);
        match recipient.get("status").and_then(Value::as_text) {
            Some("barred" | "barred and half") => Ok(Some("on the list".to_owned())),
            Some("bad policy") => Err(Self::error()),
            _ => Ok(None),
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
    let mut campaign = Campaign::for_tests("campaigns/news.toml", "news");
    campaign.audience.cooldown = Some(Cooldown::None);
    campaign.variables = vec![variable("name"), variable("length")];
    campaign
}

/// Everything a plan is made of; each test changes what it is about.
pub(super) struct World {
    pub(super) people: Vec<People>,
    pub(super) campaign: Campaign,
    pub(super) companions: Vec<CampaignId>,
    pub(super) cap: Option<Rate>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) identity: Identity,
    pub(super) safety: Safety,
    pub(super) freeze: bool,
    pub(super) look: bool,
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
            companions: Vec::new(),
            cap: None,
            ledger: Arc::default(),
            identity: identity(),
            safety: Safety::default(),
            freeze: true,
            look: false,
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
            locale: false,
        };
        Layout::new(&needs, schema().names(), ["name", "length"])
    }

    fn rules(&self) -> Arc<Rules> {
        let mut rules = Rules::new(
            self.campaign.clone(),
            self.freeze.then(Self::layout),
            self.identity.clone(),
            self.safety.clone(),
            self.sample > 0,
        );
        rules.look = self.look.then(|| Look {
            clauses: vec!["status".to_owned()],
            fates: true,
        });
        Arc::new(rules.beside(self.companions.clone()).capped(self.cap))
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
        Ok(self.work_with(sources).await?.plan)
    }

    /// The plan, and what became of everybody.
    pub(super) async fn everybody(&self) -> (Plan, Everybody) {
        let worked = self.work_with(self.sources()).await.unwrap();
        let clauses = vec!["status".to_owned()];
        let fates = worked.fates.unwrap();
        (worked.plan, Everybody { fates, clauses })
    }

    async fn work_with(&self, sources: Vec<Arc<dyn Source>>) -> Result<Worked, PlanError> {
        *self.ledger.frozen.lock() = Vec::new();
        *self.ledger.addresses.lock() = Vec::new();
        self.ledger.own.lock().clear();
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
        limit: None,
        asked: false,
        expires_at: None,
        begun: true,
        goes_on_at: None,
        unsubscribed: 0,
        totals: Totals::default(),
    }
}
