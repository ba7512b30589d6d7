//! The server from hell: it refuses, hangs up, falls silent and talks rubbish at every step. Whatever it does, each recipient
//! ends in the right status with the server's words, the others are not held up, and no connection is left behind.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Workspace,
    smtp_server::{Act, Close, Raw, Reply, Script, Silence, SmtpServer, When},
};

const VICTIM: &str = "victim@example.org";
const OTHERS: usize = 12;
const CONNECTIONS: usize = 2;
const GARBAGE: Act = Raw(b"\xff\xfe what did you say?\r\n");

/// One way to be cruel, and what must come of it.
struct Case {
    name: String,
    script: Box<dyn FnOnce(Script) -> Script + Send>,
    /// More keys of the transport.
    more: &'static str,
    status: &'static str,
    /// What the victim's reason has in it.
    words: &'static str,
}

impl Case {
    fn new(
        name: impl Into<String>,
        status: &'static str,
        words: &'static str,
        script: impl FnOnce(Script) -> Script + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            script: Box::new(script),
            more: "",
            status,
            words,
        }
    }

    fn with(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }

    /// What is wrong, if anything is.
    fn carry_out(self) -> Result<(), String> {
        let server = SmtpServer::start_blocking(self.script);
        let tls = if self.more.contains("ca_file") {
            "starttls"
        } else {
            "none"
        };
        let timeout = if self.more.contains("timeout") {
            ""
        } else {
            "timeout = \"1s\""
        };
        let settings = format!(
            "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\nconnections = \
             {CONNECTIONS}\n{timeout}\n{}\n",
            server.port(),
            self.more
                .replace("CA", server.ca_file().to_str().unwrap_or_default())
        );
        let mut people = vec![format!("v,{VICTIM},Vic,36")];
        people.extend((0..OTHERS).map(|i| format!("{i},p{i}@example.org,Person {i},36")));
        let people: Vec<&str> = people.iter().map(String::as_str).collect();
        let workspace = Workspace::new()
            .settings(&settings)
            .file("password", "secret\n")
            .people(&people)
            .campaign("a", "[audience]\nsource = \"people\"");
        let ran = workspace.run(["send", "a", "--yes"]);
        let report = workspace.run(["report", "1", "--json", "--unmasked"]);
        let rows = report.json_lines();
        let trouble = |what: String| {
            let commands = server.commands().join("\n    ");
            Err(format!(
                "{}: {what}\n  exit {:?} {}\n    {commands}",
                self.name, ran.code, ran.stderr
            ))
        };
        if rows.len() != OTHERS + 1 {
            return trouble(format!("{} rows", rows.len()));
        }
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for recipient in server.recipients() {
            *taken.entry(recipient).or_default() += 1;
        }
        for row in &rows {
            let (address, status) = (row["address"].as_str(), row["status"].as_str());
            let address = address.unwrap_or_default();
            let expected = if address == VICTIM {
                self.status
            } else {
                "sent"
            };
            if status != Some(expected) {
                return trouble(format!("{address} is {status:?}, not {expected}: {row}"));
            }
            let reason = row["reason"].as_str().unwrap_or_default();
            if address == VICTIM && !reason.contains(self.words) {
                return trouble(format!("{reason:?} does not say {:?}", self.words));
            }
            let times = taken.get(address).copied().unwrap_or_default();
            if times > 1 || (status == Some("sent") && times != 1) {
                return trouble(format!(
                    "the server took the message to {address} {times} times"
                ));
            }
        }
        let exit = if self.status == "sent" { 0 } else { 6 };
        if ran.code != Some(exit) {
            return trouble(format!("not exit code {exit}"));
        }
        // The server may notice a moment late that one was hung up.
        if server.peak() > 2 * CONNECTIONS {
            return trouble(format!("{} connections at once", server.peak()));
        }
        Ok(())
    }
}

/// Carries cases out, a few at a time, and tells of all that went wrong.
fn carry_out(cases: Vec<Case>) {
    let all = cases.len();
    let (cases, next) = (Mutex::new(cases), AtomicUsize::new(0));
    let troubles = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().pop() else {
                        return;
                    };
                    if let Err(trouble) = case.carry_out() {
                        troubles.lock().unwrap().push(trouble);
                    }
                    next.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(next.into_inner(), all);
    let troubles = troubles.into_inner().unwrap();
    assert!(
        troubles.is_empty(),
        "{} of {all}:\n{}",
        troubles.len(),
        troubles.join("\n")
    );
}

/// A step of one message.
type AtStep = fn(Script, Act) -> Script;

const STEPS: [(&str, AtStep); 3] = [
    ("RCPT", |s, act| s.rcpt(VICTIM, act)),
    ("DATA", |s, act| s.data(VICTIM, act)),
    ("dot", |s, act| s.dot(VICTIM, act)),
];

#[test]
fn a_message_that_is_refused_for_good_fails_alone() {
    let words = "5.6.0 not this one";
    let refused = STEPS.map(|(step, at)| {
        Case::new(format!("5xx at {step}"), "failed", words, move |s| {
            at(s, Reply(554, words))
        })
    });
    let by_lines = Case::new(
        "a refusal of several lines",
        "failed",
        "and that is final",
        |s| s.dot(VICTIM, Reply(554, "5.6.0 no\nand that is final")),
    );
    let without_pipelining = STEPS.map(|(step, at)| {
        Case::new(
            format!("5xx at {step}, not pipelined"),
            "failed",
            words,
            move |s| at(s.extensions(&["8BITMIME"]), Reply(554, words)),
        )
    });
    let mut cases = Vec::from(refused);
    cases.extend(without_pipelining);
    cases.push(by_lines);
    carry_out(cases);
}

#[test]
fn a_message_that_is_refused_for_now_is_tried_until_it_is_given_up() {
    let words = "4.2.0 not now";
    let mut cases = Vec::new();
    for (step, at) in STEPS {
        let name = format!("4xx at {step}, once");
        cases.push(Case::new(name, "sent", "", move |s| {
            at(s, Reply(450, words)).times(1)
        }));
        let name = format!("4xx at {step}, for ever");
        let case = Case::new(name, "failed", words, move |s| at(s, Reply(450, words)));
        cases.push(case.with("give_up_after = \"3s\""));
    }
    carry_out(cases);
}

#[test]
fn a_conversation_that_breaks_before_the_dot_is_taken_up_again() {
    let mut cases = Vec::new();
    for (step, at) in &STEPS[..2] {
        let (step, at) = (*step, *at);
        for (what, act) in [
            ("closes", Close),
            ("is silent", Silence),
            ("talks rubbish", GARBAGE),
        ] {
            cases.push(Case::new(
                format!("{what} at {step}"),
                "sent",
                "",
                move |s| at(s, act).times(1),
            ));
        }
        cases.push(Case::new(format!("421 at {step}"), "sent", "", move |s| {
            at(s, Reply(421, "4.3.2 shutting down").then_close()).times(1)
        }));
    }
    carry_out(cases);
}

#[test]
fn a_message_whose_answer_was_never_seen_is_in_doubt_and_not_sent_again() {
    let closes = |act| move |s: Script| s.dot(VICTIM, act);
    carry_out(vec![
        Case::new(
            "closes at the dot",
            "in_doubt",
            "closed the connection",
            closes(Close),
        ),
        Case::new(
            "takes it and closes",
            "in_doubt",
            "closed the connection",
            closes(Act::AcceptThenClose),
        ),
        Case::new(
            "is silent at the dot",
            "in_doubt",
            "no answer within 1s",
            closes(Silence),
        ),
        Case::new(
            "takes it and is silent",
            "in_doubt",
            "no answer within 1s",
            closes(Act::AcceptThenSilence),
        ),
        // A short message is on its way as a whole by then.
        Case::new(
            "closes behind the first line",
            "in_doubt",
            "closed the connection",
            |s| s.content(VICTIM, Close),
        ),
        Case::new("talks rubbish at the dot", "in_doubt", "", closes(GARBAGE)),
    ]);
}

#[test]
fn a_server_that_has_trouble_before_any_message_burns_nobody() {
    const TLS: &str = "ca_file = \"CA\"";
    const LOGIN: &str = "ca_file = \"CA\"\nusername = \"acme\"\npassword = { file = \"password\" }";
    let mut cases = Vec::new();
    let acts = || {
        [
            ("4xx", Reply(450, "4.3.0 not now")),
            ("5xx", Reply(554, "5.3.0 go away")),
            ("421", Reply(421, "4.3.2 shutting down").then_close()),
            ("closes", Close),
            ("is silent", Silence),
            ("talks rubbish", GARBAGE),
        ]
    };
    let steps: [(&str, &str, AtStep); 5] = [
        ("the greeting", "", Script::greeting),
        ("EHLO", "", Script::ehlo),
        ("STARTTLS", TLS, |s, act| s.starttls().starttls_answer(act)),
        ("AUTH", LOGIN, |s, act| {
            s.starttls().user("acme", "secret").auth(act)
        }),
        ("MAIL", "", |s, act| s.mail(When::Always, act)),
    ];
    for (step, more, at) in steps {
        for (what, act) in acts() {
            let case = Case::new(format!("{what} at {step}"), "sent", "", move |s| {
                at(s, act).times(1)
            });
            cases.push(case.with(more));
        }
    }
    carry_out(cases);
}

#[test]
fn a_server_with_odd_habits_gets_everything_all_the_same() {
    carry_out(vec![
        Case::new("one byte at a time", "sent", "", Script::one_byte_pieces),
        Case::new(
            "loses what is pipelined",
            "sent",
            "",
            Script::swallows_pipelined,
        ),
        Case::new("offers nothing", "sent", "", |s| s.extensions(&[])),
        Case::new("knows no EHLO", "sent", "", Script::only_helo),
        Case::new("eager 354", "failed", "5.1.1", |s| {
            s.eager_354().rcpt(VICTIM, Reply(550, "5.1.1 nobody here"))
        }),
        Case::new("ten seconds for one dot", "sent", "", |s| {
            let late = Reply(250, "2.0.0 at last").after(Duration::from_secs(10));
            s.dot(VICTIM, late)
        })
        .with("timeout = \"30s\""),
    ]);
}

#[test]
fn whoever_gets_no_connection_keeps_no_message() {
    let refused = Reply(421, "4.7.0 too many connections");
    for act in [refused, Silence] {
        let server = SmtpServer::start_blocking(|s| s.beyond(1, act));
        let settings = format!(
            "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 2\n",
            server.port()
        );
        let workspace = Workspace::new()
            .settings(&settings)
            .crowd(40)
            .campaign("a", "[audience]\nsource = \"people\"");
        workspace.run(["send", "a", "--yes"]).code(0);
        let accepted = server.accepted();
        assert_eq!(accepted.len(), 40);
        let first = accepted[0].connection;
        assert!(accepted.iter().all(|message| message.connection == first));
    }
}
