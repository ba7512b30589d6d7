//! `campanile explain`: why she gets it, why he does not, why nothing has started.

use serde_json::{Value, json};

use crate::support::{Workspace, soon, wait_for};

const PEOPLE: [&str; 9] = [
    "1,ada@example.org,Ada,36",
    "2,bob@example.org,Bob,17",
    "3,ADA@example.org,Ada again,40",
    "4,cyd.example.org,Cyd,40",
    "5,,Dee,41",
    "6,eve@example.org,Eve,",
    "7,fay@example.org,Fay,old",
    "8,gil@example.org,Gil,12",
    "8,gil2@example.org,Gil twice,42",
];

const ADULTS: &str = "[audience]\nsource = \"people\"\nwhere = 'r.age >= 18 && r.name != \"x\"'\n\n[variables]\nfirst = 'r.name.split(\" \")[0]'\n";

fn workspace() -> Workspace {
    Workspace::new().people(&PEOPLE).campaign("a", ADULTS)
}

/// The rules of an explanation: `RULE VERDICT`.
fn rules(explanation: &Value) -> Vec<String> {
    let rules = explanation["rules"].as_array().unwrap();
    let line = |rule: &Value| {
        let name = rule["text"].as_str().filter(|_| rule["rule"] == "where");
        let name = name.or(rule["rule"].as_str()).unwrap();
        format!("{name} {}", rule["verdict"].as_str().unwrap())
    };
    rules.iter().map(line).collect()
}

#[test]
fn each_rule_says_what_it_saw() {
    let workspace = workspace();
    let shown = workspace.run(["explain", "a", "1"]).code(0).stdout;
    let (title, rest) = shown.split_once('\n').unwrap();
    assert!(
        title.starts_with("a, occurrence manual, at ") && title.ends_with(": 1"),
        "{title}"
    );
    assert_eq!(
        rest,
        "  source             ok  row 1 of people\n\
        \x20 where              ok  r.age >= 18\n\
        \x20                        saw age = 36\n\
        \x20 where              ok  r.name != \"x\"\n\
        \x20                        saw name = \"Ada\"\n\
        \x20 variable first     ok  r.name.split(\" \")[0] → \"Ada\"\n\
        \x20 address            ok  email ada@example.org\n\
        \x20 cooldown           ok  none\n\
        \x20 duplicate_address  ok  nobody before it has the address\n\
        \n\
        1 gets it, by email to ada@example.org\n"
    );
    let shown = workspace.run(["explain", "a", "2"]).code(0).stdout;
    assert!(
        shown.contains("  where           NO  r.age >= 18\n                      saw age = 17\n  where           –   r.name != \"x\"\n"),
        "{shown}"
    );
    assert!(
        shown.ends_with("\n2 does not get it: it is not of the audience\n"),
        "{shown}"
    );
}

#[test]
fn every_answer_is_that_of_the_plan() {
    let workspace = workspace();
    workspace
        .run([
            "suppress",
            "add",
            "--key",
            "people:1",
            "--topic",
            "news",
            "--reason",
            "unsubscribed",
        ])
        .code(0);
    let explain = |key: &str| {
        workspace
            .run(["explain", "a", key, "--json"])
            .code(0)
            .json()
    };
    for (key, reason) in [
        ("1", json!("unsubscribed")),
        ("2", json!("no_match")),
        ("3", Value::Null),
        ("4", json!("invalid_address")),
        ("5", json!("no_address")),
        ("6", json!("script_error")),
        ("7", json!("invalid_row")),
        ("8", Value::Null),
        ("9", json!("unknown_key")),
    ] {
        let one = explain(key);
        assert_eq!(one["reason"], reason, "{key}: {one}");
        assert_eq!(one["included"], reason == Value::Null, "{key}");
    }
    // The address is masked, and everything else that may have one.
    assert_eq!(explain("3")["address"], "A…@example.org");
    assert!(!explain("4").to_string().contains("ada@"));
    let gil = explain("8");
    assert_eq!(
        gil["rules"][0]["detail"], "row 9 of people",
        "the first that matches"
    );
    let eve = explain("6");
    let error = eve["detail"].as_str().unwrap();
    assert!(error.starts_with("campaigns/a.toml:6:16: "), "{error}");
    assert_eq!(
        rules(&eve),
        [
            "source passed",
            "r.age >= 18 stopped",
            "r.name != \"x\" not_asked",
            "variable first not_asked",
            "address not_asked",
            "suppression not_asked",
            "cooldown not_asked",
        ]
    );
    assert_eq!(eve["rules"][1]["saw"], json!({"age": "()"}));
    let ada = explain("1");
    let rule = ada["rules"].as_array().unwrap();
    let suppression = rule
        .iter()
        .find(|rule| rule["rule"] == "suppression")
        .unwrap();
    let words = suppression["detail"].as_str().unwrap();
    assert!(
        words.starts_with("its key is unsubscribed for news since "),
        "{words}"
    );

    workspace.run(["send", "a", "--yes"]).code(0);
    let mut sent = workspace.recipients();
    sent.sort();
    assert_eq!(sent, ["ADA@example.org", "gil2@example.org"]);
}

#[test]
fn duplicates_are_looked_up_in_the_whole_audience() {
    let mut rows = vec![
        "0,twin@example.org,Minor,12".to_owned(),
        "1,twin@example.org,First,20".to_owned(),
    ];
    rows.extend((2..3_000).map(|n| format!("{n},p{n}@example.org,Person,30")));
    // Twice in the source: only its first row counts, which has another address.
    rows.push("2,late@example.org,Again,30".to_owned());
    rows.push("3000,Twin@Example.org,Second,30".to_owned());
    rows.push("3001,late@example.org,Third,30".to_owned());
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let workspace = Workspace::new().people(&rows).campaign("a", ADULTS);
    let explain = |key: &str| {
        workspace
            .run(["explain", "a", key, "--json"])
            .code(0)
            .json()
    };
    assert_eq!(explain("1")["included"], true);
    let second = explain("3000");
    assert_eq!(
        (&second["reason"], &second["detail"]),
        (
            &json!("duplicate_address"),
            &json!("1 comes before it and has the address too")
        )
    );
    assert_eq!(explain("3001")["included"], true);
    let twice = explain("2");
    let rule = twice["rules"].as_array().unwrap();
    assert!(
        rule.iter().any(
            |rule| rule["detail"] == "row 3001 has the key too and is skipped as duplicate_key"
        ),
        "{twice}"
    );
    let plan = &workspace.run(["plan", "a", "--json"]).code(0).json()[0];
    assert_eq!(
        plan["skipped"],
        json!({"duplicate_address": 1, "duplicate_key": 1})
    );
}

#[test]
fn a_past_run_is_answered_from_the_ledger() {
    let workspace = workspace();
    workspace
        .run(["send", "a", "--yes", "--as", "first"])
        .code(0);
    // Whatever the files say now.
    std::fs::remove_file(workspace.path("campaigns/a.toml")).unwrap();
    let past = |key: &str| {
        let arguments = ["explain", "a", key, "--occurrence", "first"];
        workspace.run(arguments).code(0).stdout
    };
    let ada = past("1");
    assert!(
        ada.starts_with("a, occurrence first, run 1: 1\n  run         finished\n"),
        "{ada}"
    );
    assert!(
        ada.contains("\nemail: sent\n  address   ada@example.org\n  reason "),
        "{ada}"
    );
    assert!(ada.contains("\n  attempts  1\n  message   "), "{ada}");
    let twin = past("3");
    assert!(
        twin.contains(
            "\nemail: skipped\n  address   ADA@example.org\n  reason    duplicate_address\n"
        ),
        "{twin}"
    );
    let bob = past("2");
    assert!(bob.contains("\nThe run has no delivery for 2: "), "{bob}");
    let json = workspace
        .run(["explain", "a", "1", "--occurrence", "first", "--json"])
        .code(0)
        .json();
    assert_eq!(
        (&json["run"], &json["state"]),
        (&json!(1), &json!("finished"))
    );
    assert_eq!(json["deliveries"][0]["status"], "sent");
    assert_eq!(json["deliveries"][0]["address"], "a…@example.org");
    let ran = workspace
        .run(["explain", "a", "1", "--occurrence", "second"])
        .code(2);
    assert_eq!(
        ran.stderr,
        "error: a has no run for `second`: its last were first\n"
    );
}

#[test]
fn a_cooldown_names_the_run() {
    let workspace = Workspace::new()
        .people(&PEOPLE[..1])
        .campaign("a", "[audience]\nsource = \"people\"\ncooldown = \"30d\"");
    workspace
        .run(["send", "a", "--yes", "--as", "first"])
        .code(0);
    let shown = workspace.run(["explain", "a", "1"]).code(0).stdout;
    assert!(
        shown.contains("  cooldown     NO  it had run 1, and not again within 30d\n"),
        "{shown}"
    );
    assert!(
        shown.ends_with("\n1 does not get it: cooldown\n"),
        "{shown}"
    );
}

#[test]
fn a_campaign_says_why_it_has_not_started() {
    let workspace = workspace()
        .campaign("off", "enabled = false\n{audience}")
        .campaign(
            "past",
            "{audience}\n[schedule]\nat = 2020-01-01T09:00:00\ntimezone = \"UTC\"",
        )
        .campaign(
            "later",
            "{audience}\n[schedule]\nat = 2090-01-01T09:00:00\ntimezone = \"Europe/Berlin\"",
        )
        .campaign(
            "over",
            "{audience}\n[schedule]\nevery = \"1d\"\nuntil = 2020-01-01\ntimezone = \"UTC\"",
        )
        .campaign("now", "{audience}\n[schedule]\nat = \"now\"")
        .campaign(
            "wrong",
            "[audience]\nsource = \"people\"\nwhere = 'r.agee > 1'",
        );
    let why = |id: &str| workspace.run(["explain", id]).code(0).stdout;
    let no_daemon = "  no daemon runs on this store: nothing starts by itself\n    `campanile serve` starts one\n";
    assert_eq!(
        why("a"),
        format!(
            "a is ready\n  it has no [schedule]: it is sent when somebody asks\n    `campanile send a` sends it\n{no_daemon}"
        )
    );
    assert!(why("off").starts_with("off is disabled\n  its file says `enabled = false`\n    `enabled = true` in campaigns/off.toml ends that\n"));
    let past = why("past");
    assert!(
        past.contains("  its time, 2020-01-01 09:00 +00:00, is past: it never fires\n    a later `at`, or `campanile send past`\n"),
        "{past}"
    );
    let later = why("later");
    assert!(
        later.contains("  it is due next at 2090-01-01 09:00 +01:00 (`2090-01-01`)\n"),
        "{later}"
    );
    let over = why("over");
    assert!(
        over.contains("  its schedule is over: `until = 2020-01-01`\n"),
        "{over}"
    );
    let wrong = why("wrong");
    assert!(
        wrong.starts_with("wrong is broken\n  its files do not check: campaigns/wrong.toml:6:12: the source has no field `agee`"),
        "{wrong}"
    );
    assert!(
        wrong.contains("\n    `campanile check` shows everything; mending the files ends that\n"),
        "{wrong}"
    );
    let ran = workspace.run(["explain", "latr"]).code(2);
    assert_eq!(
        ran.stderr,
        "error: there is no campaign latr: did you mean later?\n"
    );

    let daemon = workspace.serve();
    let now = wait_for("the run of `now`", || {
        let now = workspace.run(["explain", "now", "--json"]).code(0).json();
        now["runs"]
            .as_array()
            .is_some_and(|runs| !runs.is_empty() && runs[0]["state"] == "held")
            .then_some(now)
    });
    assert_eq!(
        (&now["daemon"], &now["campaign"]),
        (&json!(true), &json!("now"))
    );
    let told = now["told"].as_array().unwrap();
    let held = told
        .iter()
        .find(|told| told["fact"].as_str().unwrap().starts_with("run 1 "))
        .unwrap();
    assert_eq!(held["fact"], "run 1 for `now` is held (fresh_store)");
    assert!(
        held["ends"]
            .as_str()
            .unwrap()
            .contains("`campanile resume 1`"),
        "{held}"
    );
    workspace.run(["stop", "a"]).code(0);
    let stopped = workspace.run(["explain", "a"]).code(0).stdout;
    assert!(
        stopped.starts_with("a is stopped\n  it is stopped since "),
        "{stopped}"
    );
    assert!(
        stopped.contains("\n    `campanile start a` ends that\n"),
        "{stopped}"
    );
    assert!(!stopped.contains("no daemon"), "{stopped}");
    let one = workspace.run(["explain", "a", "1"]).code(0).stdout;
    assert!(
        one.contains("\nBut nothing starts: it is stopped since "),
        "{one}"
    );
    let past = workspace.run(["explain", "past"]).code(0).stdout;
    assert!(
        past.contains("  its time, 2020-01-01 09:00 +00:00, was past when it was first seen ("),
        "{past}"
    );
    std::fs::remove_file(workspace.path("campaigns/off.toml")).unwrap();
    wait_for("the file to be missed", || {
        let gone = workspace.run(["explain", "off"]).code(0).stdout;
        gone.starts_with("off is removed\n  its file is gone since ")
            .then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_run_that_is_through_is_told() {
    let workspace = Workspace::new()
        .people(&PEOPLE[..1])
        .campaign("a", &format!("{{audience}}\n{}", soon(2)));
    let daemon = workspace.serve();
    let shown = wait_for("the run to end", || {
        let shown = workspace.run(["explain", "a"]).code(0).stdout;
        shown.contains(": finished, sent 1\n").then_some(shown)
    });
    assert!(
        shown.starts_with("a is finished\n  its time was "),
        "{shown}"
    );
    drop(daemon);
}

#[test]
fn a_test_block_is_the_recipient_as_it_is() {
    let workspace = workspace();
    let ran = workspace.run(["explain", "a", "1", "--as-test"]).code(0);
    let test: toml::Table = toml::from_str(&ran.stdout).unwrap();
    let test = test["test"][0].as_table().unwrap();
    assert_eq!(test["name"].as_str(), Some("1 gets it"));
    assert!(test["now"].is_datetime());
    let recipient = test["recipient"].as_table().unwrap();
    assert_eq!(recipient["id"].as_str(), Some("1"));
    assert_eq!(recipient["age"].as_integer(), Some(36));
    let expect = test["expect"].as_table().unwrap();
    assert_eq!(expect["included"].as_bool(), Some(true));
    assert_eq!(expect["channel"].as_str(), Some("email"));
    assert_eq!(expect["subject"].as_str(), Some("Hello Ada"));
    assert!(ran.stderr.contains("change what a test need not know"));
    let expected = |key: &str| -> toml::Table {
        let ran = workspace.run(["explain", "a", key, "--as-test"]).code(0);
        let test: toml::Table = toml::from_str(&ran.stdout).unwrap();
        test["test"][0]["expect"].as_table().unwrap().clone()
    };
    for (key, reason) in [
        ("2", "no_match"),
        ("5", "no_address"),
        ("6", "script_error"),
    ] {
        assert_eq!(expected(key)["included"].as_bool(), Some(false), "{key}");
        assert_eq!(expected(key)["reason"].as_str(), Some(reason), "{key}");
    }
    workspace.run(["explain", "a", "9", "--as-test"]).code(2);
    workspace.run(["explain", "a", "--as-test"]).code(2);
}

#[test]
fn whoever_it_is_the_test_holds() {
    let audience = "[audience]\nsource = \"people\"\ncooldown = \"30d\"\nholdout = \"5%\"\nwhere = 'r.age >= 18'";
    let policy = "fn never(r, campaign, channel) { if r.name.starts_with(\"Pol\") { \"her \\\"own\\\"\\nreasons\" } }\n";
    let mut rows: Vec<String> = [
        "1,ada@example.org,Ada \"\"q\"\",36",
        "2,bob@example.org,Bob,17",
        "4,cyd.example.org,Cyd,40",
        "5,,Dee,41",
        "6,eve@example.org,Eve,",
        "8,gil@example.org,Gil,12",
        "8,gil2@example.org,Gil twice,42",
        "9,hal@example.org,Hal,50",
        "10,ian@example.org,Ian,50",
        "11,joy@example.org,Joy,50",
        "12,pol@example.org,Pol,50",
        "13,kim@example.org,Kim,50",
        "17,Kim@Example.org,Kim again,50",
        "15,lea@elsewhere.example,Lea,50",
        "16,moe@example.org,Moe,50",
    ]
    .map(|row| match row.split_once("\"\"") {
        // As CSV quotes.
        Some(_) => row
            .replacen(",Ada", ",\"Ada", 1)
            .replacen(",36", "\",36", 1),
        None => row.to_owned(),
    })
    .into();
    rows.extend((100..200).map(|n| format!("{n},p{n}@example.org,Person,30")));
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let workspace = Workspace::new()
        .more_settings(
            "[limits]\nfrequency_cap = \"1/7d\"\n\n[safety]\nonly_to = [\"*@example.org\"]\n",
        )
        .people(&rows)
        .campaign("a", audience)
        .campaign("other", "[audience]\nsource = \"people\"\nkeys = \"16\"\n")
        .file("scripts/policy.rhai", policy);
    let add = |arguments: &[&str]| {
        let add = ["suppress", "add"].iter().chain(arguments);
        workspace.run(add).code(0);
    };
    add(&[
        "--key",
        "people:9",
        "--topic",
        "news",
        "--reason",
        "unsubscribed",
    ]);
    add(&["--key", "people:10", "--reason", "bounced"]);
    add(&["joy@example.org", "--reason", "complained"]);
    workspace.run(["send", "other", "--yes"]).code(0);
    let keys = [
        "1", "2", "4", "5", "6", "8", "9", "10", "11", "12", "13", "15", "16", "17",
    ];
    let held_out = (100..200).map(|n| n.to_string());
    let held_out = held_out.into_iter().find(|key| {
        let shown = workspace.run(["explain", "a", key, "--json"]).json();
        shown["reason"] == "holdout"
    });
    let keys: Vec<&str> = keys.into_iter().chain(held_out.as_deref()).collect();
    let block = |key: &str| {
        workspace
            .run(["explain", "a", key, "--as-test"])
            .code(0)
            .stdout
    };
    let blocks = |keys: &[&str]| keys.iter().map(|key| block(key) + "\n").collect::<String>();
    let before = blocks(&keys);
    // What was sent lately, and a run behind it.
    workspace.run(["send", "a", "--yes"]).code(0);
    let after = blocks(&["1", "8", "13"]);
    for reason in [
        "no_match",
        "invalid_address",
        "no_address",
        "script_error",
        "unsubscribed",
        "suppressed",
        "policy",
        "safety",
        "holdout",
    ] {
        assert!(
            before.contains(&format!("reason = \"{reason}\"")),
            "{reason}: {before}"
        );
    }
    for reason in ["duplicate_address", "frequency_cap"] {
        assert!(
            before.contains(&format!("# Now it is skipped as {reason}: ")),
            "{reason}: {before}"
        );
    }
    assert_eq!(after.matches("reason = \"cooldown\"").count(), 3, "{after}");
    let file = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    workspace.write("campaigns/a.toml", &format!("{file}\n{before}{after}"));
    let ran = workspace.run(["test", "a"]);
    assert_eq!(
        ran.code,
        Some(0),
        "{}{}\n{before}{after}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn the_cap_is_a_rule_with_its_figures() {
    let workspace = Workspace::new()
        .more_settings("[limits]\nfrequency_cap = \"2/7d\"\n")
        .people(&PEOPLE[..1])
        .campaign("a", "[audience]\nsource = \"people\"\ncooldown = \"none\"");
    let cap = || {
        let one = workspace
            .run(["explain", "a", "1", "--json"])
            .code(0)
            .json();
        let rules = one["rules"].as_array().unwrap();
        let rule = rules
            .iter()
            .find(|rule| rule["rule"] == "frequency_cap")
            .unwrap();
        format!(
            "{}: {}",
            rule["verdict"].as_str().unwrap(),
            rule["detail"].as_str().unwrap()
        )
    };
    assert_eq!(cap(), "passed: it had none, of at most 2/7d of marketing");
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    let had = |n| format!("it had {n}, its email address {n}, of at most 2/7d of marketing");
    assert_eq!(cap(), format!("passed: {}", had(1)));
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);
    assert_eq!(cap(), format!("stopped: {}", had(2)));
}
