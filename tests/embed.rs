//! The engine within another program, which has a runtime, a Rhai, a source, a transport and functions of its own. This is a
//! process of its own, so that what the library would do to its host can be seen.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use campanile::{
    control::{Command, RefusedKind, Reply, ServeOptions, Session},
    engine::{Access, Builder, Engine},
    model::{
        Answer, CampaignId, Channel, Clock, FieldType, OccurrenceName, Outgoing, Recipient, Roles,
        RunState, Schema, Status, Value,
    },
    source::{Batch, Source, SourceError},
    transport::{Caps, Fate, Lane, Messages, OpenError, Recorder, Transport},
    workspace::Entry,
};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream::BoxStream};
use tokio::runtime::{self, Runtime};

const SETTINGS: &str = r#"
[web]
listen = "off"
admin_listen = "off"
[senders.acme]
name = "Acme Energy"
address = "1 Main Street, 12345 Springfield"
from = "Acme Energy <news@acme.example>"
[topics.billing]
title = "Billing notices"
purpose = "transactional"
"#;

const CAMPAIGN: &str = r#"
topic = "billing"
[audience]
source = "crm"
where = 'tier::of(r) == "gold"'
[variables]
tier = 'loyalty_tier(r.points)'
known = 'describe(r)'
[email]
via = "pigeon"
subject = "{{ r.name }} is {{ tier }}"
body_text = "{{ known }}"
"#;

const SCRIPT: &str = "fn of(r) { loyalty_tier(r.points) }";

fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let given = [
        ("campanile.toml", SETTINGS),
        ("campaigns/thanks.toml", CAMPAIGN),
        ("scripts/tier.rhai", SCRIPT),
    ];
    let all: BTreeMap<_, _> = given.iter().chain(files).copied().collect();
    for (path, text) in all {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Rows of a database, as it were.
#[derive(Clone)]
struct Crm {
    rows: Vec<(String, Vec<Value>)>,
    fails: bool,
}

impl Crm {
    fn new() -> Self {
        Self {
            rows: vec![
                Self::row("1", "Ada", 2_000),
                Self::row("2", "Bob", 10),
                Self::row("3", "Cleo", 1_500),
            ],
            fails: false,
        }
    }

    fn crowd(n: usize) -> Self {
        let rows = (1..=n).map(|key| Self::row(&key.to_string(), "Person", 2_000));
        Self {
            rows: rows.collect(),
            fails: false,
        }
    }

    fn row(key: &str, name: &str, points: i64) -> (String, Vec<Value>) {
        let mail = format!("{key}@example.org");
        let values = vec![
            key.into(),
            name.into(),
            mail.as_str().into(),
            Value::Integer(points),
        ];
        (key.to_owned(), values)
    }

    fn schema() -> Schema {
        let column = |name: &str, kind| (name.to_owned(), kind);
        Schema {
            columns: vec![
                column("id", FieldType::String),
                column("name", FieldType::String),
                column("mail", FieldType::String),
                column("points", FieldType::Integer),
            ],
            roles: Roles {
                key: "id".to_owned(),
                email: Some("mail".to_owned()),
                ..Roles::default()
            },
        }
    }
}

#[async_trait]
impl Source for Crm {
    async fn describe(&self) -> Result<Schema, SourceError> {
        Ok(Self::schema())
    }

    async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
        let (schema, fails) = (Arc::new(Self::schema()), self.fails);
        let rows = self.rows.clone().into_iter().map(move |(key, values)| {
            Ok(Recipient {
                source: "whatever".parse().unwrap(),
                schema: schema.clone(),
                key,
                values,
            })
        });
        let mut batches = vec![Ok(rows.collect())];
        if fails {
            batches.push(Err(SourceError::new("the connection was lost")));
        }
        Ok(futures::stream::iter(batches).boxed())
    }
}

fn loyalty_tier(points: i64) -> &'static str {
    if points >= 1_000 { "gold" } else { "basic" }
}

fn with(folder: &Path, pigeon: &Recorder) -> Builder {
    Engine::builder(folder)
        .source("crm", Crm::new())
        .transport("pigeon", pigeon.clone())
        .function("loyalty_tier", loyalty_tier)
        .function("describe", |r: BTreeMap<String, Value>| {
            format!("{} has {}", r["name"], r["points"])
        })
}

fn id() -> CampaignId {
    "thanks".parse().unwrap()
}

fn label(label: &str) -> OccurrenceName {
    OccurrenceName::label(label).unwrap()
}

fn shown(pigeon: &Recorder) -> Vec<String> {
    let mut shown: Vec<_> = pigeon
        .messages()
        .iter()
        .map(|mail| {
            let text = String::from_utf8(mail.bytes.clone()).unwrap();
            let subject = text.lines().find(|line| line.starts_with("Subject: "));
            let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
            let body = body.trim().trim_end_matches('=');
            format!("{}: {}: {body}", mail.to, subject.unwrap())
        })
        .collect();
    shown.sort();
    shown
}

fn runtimes() -> [Runtime; 2] {
    let one = runtime::Builder::new_current_thread().enable_all().build();
    let many = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    [one.unwrap(), many.unwrap()]
}

/// The host's own Rhai, which is as it would be without us: floats are binary, `switch` is there, values of different types
/// compare, and `loyalty_tier` is its own.
fn own_scripts(engine: &rhai::Engine) {
    let float: f64 = engine.eval("0.1 + 0.2").unwrap();
    assert!((float - 0.300_000_000_000_000_04).abs() < f64::EPSILON && float.to_string() != "0.3");
    assert!(!engine.eval::<bool>(r#""5" == 5"#).unwrap());
    let answer = engine.eval::<i64>("switch 3 { 3 => loyalty_tier(4), _ => 0 }");
    assert_eq!(answer.unwrap(), 16);
}

fn own_engine() -> rhai::Engine {
    let mut engine = rhai::Engine::new();
    engine.register_fn("loyalty_tier", |x: i64| x * x);
    engine
}

#[test]
fn its_own_parts_work_on_either_runtime_beside_its_own_scripts() {
    for runtime in runtimes() {
        let folder = workspace(&[]);
        let pigeon = Recorder::new();
        let own = own_engine();
        own_scripts(&own);
        runtime.block_on(async {
            let engine = with(folder.path(), &pigeon).build().await.unwrap();
            let plan = engine.plan(&id(), 5).await.unwrap();
            assert_eq!(
                (plan.totals.total, plan.totals.matched, plan.totals.to_send),
                (3, 2, 2)
            );
            own_scripts(&own);
            let run = engine.send(&id(), &label("first")).await.unwrap();
            assert_eq!(run.state, RunState::Finished);
            assert_eq!(run.counts[&Status::Sent], 2);
            let again = engine.send(&id(), &label("first")).await.unwrap_err();
            assert_eq!(again.kind, RefusedKind::Held);
        });
        own_scripts(&own);
        assert_eq!(
            shown(&pigeon),
            [
                "1@example.org: Subject: Ada is gold: Ada has 2000",
                "3@example.org: Subject: Cleo is gold: Cleo has 1500"
            ]
        );
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop_and_does_nothing_to_its_host() {
    let signals = || {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let caught = status.lines().find(|line| line.starts_with("SigCgt"));
        caught.map(str::to_owned)
    };
    let before = signals();
    for runtime in runtimes() {
        let folder = workspace(&[]);
        let pigeon = Recorder::new();
        runtime.block_on(async {
            let engine = with(folder.path(), &pigeon).build().await.unwrap();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let serving = tokio::spawn({
                let engine = engine.clone();
                async move {
                    let stopped = async {
                        let _ = stopped.await;
                    };
                    engine.serve(ServeOptions::default(), stopped).await
                }
            });
            // Another program's command reaches it, as it serves.
            let session = loop {
                let session = Session::read(folder.path()).await.unwrap();
                if session.is_daemon() {
                    break session;
                }
                tokio::task::yield_now().await;
            };
            let reply = session.execute(Command::Status).await.unwrap();
            assert!(matches!(reply, Reply::Status(_)));
            let run = engine.send(&id(), &label("a")).await.unwrap();
            assert_eq!(
                (run.state, run.counts[&Status::Sent]),
                (RunState::Finished, 2)
            );
            stop.send(()).unwrap();
            serving.await.unwrap().unwrap();
        });
        assert_eq!(pigeon.messages().len(), 2);
    }
    assert_eq!(
        signals(),
        before,
        "no signal is handled that was not before"
    );
    assert!(
        !tracing::dispatcher::has_been_set(),
        "the log is the host's"
    );
}

#[test]
fn check_knows_what_is_added() {
    let campaign = CAMPAIGN
        .replace("loyalty_tier(r.points)", "loyalty_tier(r.points, 1)")
        .replace("describe(r)", "descibe(r)");
    let folder = workspace(&[
        ("campaigns/thanks.toml", &campaign),
        ("scripts/other.rhai", "fn of(r) { loyalty_tier() }"),
    ]);
    runtimes()[0].block_on(async {
        let snapshot = with(folder.path(), &Recorder::new()).check().await.unwrap();
        let found: Vec<_> = snapshot.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "scripts/other.rhai:1:12: `loyalty_tier` takes 1 argument, not 0",
                "campaigns/thanks.toml:7:9: `loyalty_tier` takes 1 argument, not 2",
                "campaigns/thanks.toml:8:10: there is no function `descibe` (did you mean `describe`?)",
            ]
        );
        // Without the program the names are unknown.
        let bare = Engine::check(folder.path()).await.unwrap();
        let found: Vec<_> = bare.diagnostics.iter().map(|found| found.code).collect();
        for code in ["unknown-name", "unknown-function"] {
            assert!(found.contains(&code), "{found:?}");
        }
    });
}

#[test]
fn names_that_scripts_or_files_could_not_use_are_refused() {
    let folder = workspace(&[]);
    runtimes()[0].block_on(async {
        let refused = |builder: Builder| async { builder.open(Access::Read).await.err().unwrap() };
        for name in ["upper", "if", "switch", "__x", "1st", "a b", "call", ""] {
            let builder = Engine::builder(folder.path()).function(name, || 1_i64);
            assert_eq!(refused(builder).await.kind, RefusedKind::Usage, "{name}");
        }
        let builder = Engine::builder(folder.path())
            .source("a/b", Crm::new())
            .transport("", Recorder::new());
        let both = refused(builder).await.to_string();
        assert!(
            both.contains("\"a/b\"") && both.contains("a name may not be empty"),
            "{both}"
        );
    });
}

#[test]
fn a_function_that_fails_skips_the_recipient() {
    let campaign = CAMPAIGN
        .replace("tier::of(r) == \"gold\"", "odd(r.name) && may(())")
        .replace("loyalty_tier(r.points)", "r.name");
    let folder = workspace(&[("campaigns/thanks.toml", &campaign)]);
    runtimes()[1].block_on(async {
        let engine = with(folder.path(), &Recorder::new())
            .function("odd", |name: String| match name.as_str() {
                "Ada" => Ok(true),
                "Bob" => Err("Bob is not asked"),
                name => panic!("{name} is not expected"),
            })
            .function("may", |nobody: Option<i64>| nobody.is_none())
            .open(Access::Read)
            .await
            .unwrap();
        let plan = engine.plan(&id(), 5).await.unwrap();
        assert_eq!(plan.totals.to_send, 1);
        let problems: Vec<_> = plan.problems.iter().map(ToString::to_string).collect();
        let problems = problems.join("\n");
        assert!(problems.contains("`odd`: Bob is not asked"), "{problems}");
        assert!(problems.contains("`odd` panicked"), "{problems}");
    });
}

#[test]
fn rows_that_do_not_fit_are_invalid_and_the_others_go_out() {
    let folder = workspace(&[]);
    let mut crm = Crm::new();
    crm.rows.push(("4".to_owned(), vec!["4".into()]));
    crm.rows.push((
        "5".to_owned(),
        vec![
            "5".into(),
            "Eve".into(),
            "5@example.org".into(),
            "many".into(),
        ],
    ));
    crm.rows.push((" ".to_owned(), crm.rows[0].1.clone()));
    runtimes()[0].block_on(async {
        let engine = with(folder.path(), &Recorder::new())
            .source("crm", crm.clone())
            .open(Access::Read)
            .await
            .unwrap();
        let plan = engine.plan(&id(), 5).await.unwrap();
        assert_eq!((plan.totals.total, plan.totals.to_send), (6, 2));
        let problems: Vec<_> = plan.problems.iter().map(ToString::to_string).collect();
        let problems = problems.join("\n");
        for expected in [
            "line 4: the row has 1 values instead of 4",
            "line 5, column \"points\": the value is of type string, and the column of type integer",
            "line 6, column \"id\": the key is empty",
        ] {
            assert!(problems.contains(expected), "{problems}");
        }
    });
}

#[test]
fn a_source_that_breaks_off_holds_the_run() {
    let folder = workspace(&[]);
    let crm = Crm {
        fails: true,
        ..Crm::new()
    };
    let pigeon = Recorder::new();
    runtimes()[0].block_on(async {
        let engine = with(folder.path(), &pigeon)
            .source("crm", crm)
            .build()
            .await
            .unwrap();
        let run = engine.send(&id(), &label("a")).await.unwrap();
        assert_eq!(run.state, RunState::Held);
        assert_eq!(run.reason.as_deref(), Some("source_error"));
        let words = engine.plan(&id(), 0).await.unwrap_err().to_string();
        assert!(
            words.contains("source crm: the connection was lost"),
            "{words}"
        );
    });
    assert!(pigeon.messages().is_empty());
}

#[test]
fn a_transport_that_panics_loses_what_it_had_in_hand_and_goes_on() {
    let folder = workspace(&[]);
    let panicked = AtomicBool::new(false);
    let pigeon = Recorder::answering(move |mail| {
        let is_first = mail.to.to_string().starts_with("150@");
        assert!(
            !is_first || panicked.swap(true, Ordering::Relaxed),
            "no wind under its wings"
        );
        Answer::Accepted {
            words: "coo".to_owned(),
        }
    });
    runtimes()[1].block_on(async {
        let engine = with(folder.path(), &pigeon)
            .source("crm", Crm::crowd(600))
            .build()
            .await
            .unwrap();
        let run = engine.send(&id(), &label("a")).await.unwrap();
        let count = |status| run.counts.get(&status).copied().unwrap_or_default();
        assert_eq!(run.state, RunState::Finished);
        let (sent, in_doubt) = (count(Status::Sent), count(Status::InDoubt));
        assert_eq!(sent, pigeon.messages().len() as u64);
        // At most what one call of the lane was given.
        assert!((1..=64).contains(&in_doubt), "{in_doubt}");
        assert_eq!(sent + in_doubt, 600);
    });
}

/// How a [`Flock`] flies.
#[derive(Clone, Copy, PartialEq)]
enum Flight {
    /// A pigeon that has left is called back for more letters, as long as there are some.
    Loaded,
    /// The pigeon with the twentieth letter comes home last.
    OneLingers,
    /// A pigeon carries two letters, then it is another's turn.
    TiredAfterTwo,
}

/// A transport with pigeons: lanes that do not all behave alike.
#[derive(Clone)]
struct Flock {
    flight: Flight,
    lanes: usize,
    opened: Arc<AtomicUsize>,
    home: Arc<AtomicUsize>,
    again: Arc<AtomicUsize>,
    heaviest: Arc<AtomicUsize>,
}

impl Flock {
    /// Sends to so many, all of whom get it.
    fn carry(flight: Flight, lanes: usize, people: usize) -> Self {
        let flock = Self {
            flight,
            lanes,
            opened: Arc::default(),
            home: Arc::default(),
            again: Arc::default(),
            heaviest: Arc::default(),
        };
        let folder = workspace(&[]);
        let run = runtimes()[1].block_on(async {
            let engine = with(folder.path(), &Recorder::new())
                .source("crm", Crm::crowd(people))
                .transport("pigeon", flock.clone())
                .build()
                .await
                .unwrap();
            engine.send(&id(), &label("a")).await.unwrap()
        });
        assert_eq!(run.state, RunState::Finished);
        assert_eq!(run.counts.get(&Status::Sent), Some(&(people as u64)));
        flock
    }

    /// Waits until so many letters are home, for as long as a test can.
    async fn is_home(&self, letters: usize) -> bool {
        for _ in 0..4_000 {
            if self.home.load(Ordering::Relaxed) >= letters {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

#[async_trait]
impl Transport for Flock {
    fn caps(&self) -> Caps {
        Caps {
            channel: Channel::Email,
            lanes: self.lanes,
            batch: 8,
        }
    }

    fn describe(&self) -> String {
        "pigeons".to_owned()
    }

    async fn open(&self) -> Result<Box<dyn Lane>, OpenError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Lane for Flock {
    async fn send(&mut self, messages: &mut Messages<'_>) -> Fate {
        let mut carried = Vec::new();
        match self.flight {
            Flight::Loaded => {
                for letter in messages {
                    carried.push(letter);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Flight::OneLingers => carried.extend(messages.next()),
            Flight::TiredAfterTwo => carried.extend(messages.take(2)),
        }
        self.heaviest.fetch_max(carried.len(), Ordering::Relaxed);
        for (permit, Outgoing::Email(mail)) in carried {
            if permit.attempt() > 1 {
                self.again.fetch_add(1, Ordering::Relaxed);
            }
            let words = mail.to.to_string();
            let lingers = self.flight == Flight::OneLingers && words.starts_with("20@");
            let answer = if lingers && !self.is_home(39).await {
                Answer::Unknown { words }
            } else {
                Answer::Accepted { words }
            };
            self.home.fetch_add(1, Ordering::Relaxed);
            permit.answer(answer);
        }
        match self.flight {
            Flight::TiredAfterTwo => Fate::Closed,
            Flight::Loaded | Flight::OneLingers => Fate::Open,
        }
    }

    async fn close(self: Box<Self>) {}
}

#[test]
fn messages_come_to_hand_while_a_connection_sends() {
    // Nothing is answered before the last one was taken, and no more than two are begun at first.
    let flock = Flock::carry(Flight::Loaded, 1, 60);
    assert!(flock.heaviest.load(Ordering::Relaxed) > 8);
}

#[test]
fn nobody_waits_behind_a_message_that_takes_long() {
    Flock::carry(Flight::OneLingers, 2, 40);
}

#[test]
fn a_connection_that_ends_in_order_costs_nobody_an_attempt() {
    let flock = Flock::carry(Flight::TiredAfterTwo, 3, 200);
    assert_eq!(flock.again.load(Ordering::Relaxed), 0);
    assert!(flock.opened.load(Ordering::Relaxed) >= 100);
}

#[test]
fn what_is_added_stands_in_for_what_the_settings_describe() {
    let settings = format!(
        "{SETTINGS}\n[sources.crm]\nkind = \"csv\"\npath = \"nowhere.csv\"\nkey = \"id\"\n\
         [transports.pigeon]\nkind = \"smtp\"\nhost = \"smtp.example.org\"\nconnections = 2\n"
    );
    let folder = workspace(&[("campanile.toml", &settings)]);
    let pigeon = Recorder::answering(|mail| {
        if mail.to.to_string().starts_with('1') {
            Answer::Accepted {
                words: "coo".to_owned(),
            }
        } else {
            Answer::Unknown {
                words: "it flew off".to_owned(),
            }
        }
    });
    runtimes()[1].block_on(async {
        let engine = with(folder.path(), &pigeon).build().await.unwrap();
        let run = engine.send(&id(), &label("a")).await.unwrap();
        assert_eq!(run.counts[&Status::Sent], 1);
        assert_eq!(run.counts[&Status::InDoubt], 1);
    });
    assert_eq!(pigeon.messages().len(), 1);
}

#[test]
fn a_name_that_nobody_adds_is_unreadable_and_leaves_the_rest_alone() {
    let settings = format!(
        "{SETTINGS}\n[sources.crm]\nkind = \"custom\"\n[transports.pigeon]\nkind = \"custom\"\nrate = \"10/s\"\n"
    );
    let folder = workspace(&[("campanile.toml", &settings)]);
    runtimes()[0].block_on(async {
        let added = with(folder.path(), &Recorder::new()).check().await.unwrap();
        let found: Vec<_> = added.diagnostics.iter().map(ToString::to_string).collect();
        assert!(
            found.is_empty() && matches!(added.campaigns[&id()], Entry::Ready(_)),
            "{found:?}"
        );
        let bare = Engine::check(folder.path()).await.unwrap();
        let found: Vec<_> = bare.diagnostics.iter().map(ToString::to_string).collect();
        assert!(bare.settings.is_some());
        let expected = "source crm: it is added by a program that embeds Campanile";
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{found:?}"
        );
    });
}

struct Frozen(DateTime<Utc>);

#[async_trait]
impl Clock for Frozen {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        if at > self.0 {
            std::future::pending::<()>().await;
        }
    }
}

#[test]
fn time_is_what_its_clock_says() {
    let campaign = CAMPAIGN.replace("describe(r)", "format_date(today(), \"%d.%m.%Y\")");
    let folder = workspace(&[("campaigns/thanks.toml", &campaign)]);
    let pigeon = Recorder::new();
    runtimes()[0].block_on(async {
        let clock = Frozen("2031-02-03T04:05:06Z".parse().unwrap());
        let engine = with(folder.path(), &pigeon)
            .clock(clock)
            .build()
            .await
            .unwrap();
        engine.send(&id(), &label("a")).await.unwrap();
    });
    assert!(
        shown(&pigeon)[0].ends_with("03.02.2031"),
        "{:?}",
        shown(&pigeon)
    );
}
