//! How fast campaigns go out and at which hours, and that none waits for another.

use std::process::Child;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{
    Workspace,
    embedded::{Embedded, TestClock},
    smtp_server::{Act, SmtpServer, When},
    wait_for,
    workspace::campaign,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

fn paced(pace: &str) -> String {
    format!("{AUDIENCE}\n[pace]\n{pace}")
}

/// The newest run of a campaign.
fn run(workspace: &Workspace, campaign: &str) -> Value {
    let status = workspace.run(["status", "--json"]).json();
    let runs = status["runs"].as_array().unwrap();
    let found = runs.iter().find(|run| run["campaign"] == campaign);
    found.cloned().unwrap_or_default()
}

#[track_caller]
fn wait_run(workspace: &Workspace, campaign: &str, is: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    wait_for(&format!("a run of {campaign} as it should be"), || {
        last = run(workspace, campaign);
        is(&last).then(|| last.clone())
    })
}

fn sent(run: &Value) -> u64 {
    run["counts"]["sent"].as_u64().unwrap_or(0)
}

fn start(workspace: &Workspace, campaign: &str) -> Child {
    let child = workspace.command(["send", campaign, "--yes"]).spawn();
    child.unwrap()
}

fn smtp(name: &str, server: &SmtpServer) -> String {
    format!(
        "[transports.{name}]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n",
        server.port()
    )
}

#[test]
fn one_campaigns_pace_slows_no_other_and_holds_across_a_restart() {
    let workspace = Workspace::new()
        .crowd(40)
        .campaign("slow", &paced("rate = \"1/1h\""))
        .campaign("fast", AUDIENCE);
    let daemon = workspace.serve();
    let mut slow = start(&workspace, "slow");
    // One, and one that may come too early.
    wait_run(&workspace, "slow", |run| sent(run) == 2);
    workspace.run(["send", "fast", "--yes"]).code(0);
    assert_eq!(sent(&run(&workspace, "slow")), 2);
    daemon.kill();
    slow.wait().unwrap();
    let _daemon = workspace.serve();
    workspace
        .run(["send", "fast", "--as", "again", "--yes"])
        .code(0);
    let slow = run(&workspace, "slow");
    assert_eq!(slow["state"], "sending");
    assert_eq!(slow["counts"], json!({"sent": 2, "queued": 38}));
}

#[test]
fn a_run_takes_as_long_as_its_pace_says() {
    let workspace = Workspace::new()
        .crowd(60)
        .campaign("a", &paced("rate = \"20/s\""));
    workspace.run(["send", "a", "--yes"]).code(0);
    let run = run(&workspace, "a");
    let at = |key: &str| -> DateTime<Utc> { run[key].as_str().unwrap().parse().unwrap() };
    let took = at("ended_at") - at("started_at");
    // Three may go at once.
    assert!(took.num_milliseconds() >= 57 * 50, "{took}");
}

#[test]
fn messages_begin_inside_the_window_only() {
    let clock = TestClock::at("2026-12-01T06:59:00Z");
    let window = paced("window = \"08:00-20:00\"\ntimezone = \"Europe/Berlin\"\nrate = \"20/s\"");
    let workspace = Workspace::new()
        .crowd(200)
        .campaign("office", &window)
        .campaign("other", AUDIENCE);
    let _engine = Embedded::serve(&workspace, &clock);
    let mut child = start(&workspace, "office");
    let closed = wait_run(&workspace, "office", |run| run["state"] == "sending");
    assert_eq!(closed["reason"], "window");
    assert_eq!(closed["goes_on_at"], "2026-12-01T07:00:00Z");
    assert_eq!(
        closed["help"],
        "outside its window: goes on at 2026-12-01 08:00 +01:00"
    );
    // Its neighbour does not wait.
    workspace.run(["send", "other", "--yes"]).code(0);
    assert_eq!(run(&workspace, "office")["counts"], json!({"queued": 200}));

    clock.set("2026-12-01T07:00:00Z");
    let open = wait_run(&workspace, "office", |run| sent(run) >= 10);
    assert_eq!(open["reason"], Value::Null);

    clock.set("2026-12-01T19:00:00Z");
    // What was on the wire ends while another is sent.
    workspace
        .run(["send", "other", "--as", "again", "--yes"])
        .code(0);
    wait_run(&workspace, "office", |run| {
        run["counts"]["sending"].is_null()
    });
    let at_closing = sent(&run(&workspace, "office"));
    assert!(at_closing < 200);
    workspace
        .run(["send", "other", "--as", "once-more", "--yes"])
        .code(0);
    let closed = run(&workspace, "office");
    assert_eq!(sent(&closed), at_closing);
    assert_eq!(closed["goes_on_at"], "2026-12-02T07:00:00Z");
    let human = workspace.run(["status"]).code(0).stdout;
    assert!(human.contains("sending (window)"), "{human}");
    assert!(
        human.contains("outside its window: goes on at 2026-12-02 08:00 +01:00"),
        "{human}"
    );

    clock.set("2026-12-02T07:00:00Z");
    wait_run(&workspace, "office", |run| run["state"] == "finished");
    child.wait().unwrap();
}

#[test]
fn a_small_campaign_gets_its_share_at_once() {
    let pause = std::time::Duration::from_millis(20);
    let server = SmtpServer::start_blocking(|s| {
        s.dot(When::Always, Act::Reply(250, "2.0.0 taken").after(pause))
    });
    let keys: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    let urgent = format!("{AUDIENCE}\nkeys = \"{}\"", keys.join(", "));
    let workspace = Workspace::new()
        .settings(&smtp("main", &server))
        .crowd(2_000)
        .campaign("large", AUDIENCE)
        .file(
            "campaigns/urgent.toml",
            &campaign(&urgent).replace("Hello", "Urgent"),
        );
    let _daemon = workspace.serve();
    let mut large = start(&workspace, "large");
    server.wait_accepted_blocking(40);
    let mut child = start(&workspace, "urgent");
    wait_run(&workspace, "urgent", |run| run["state"] == "sending");
    let before = server.accepted().len();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let order: Vec<bool> = server
        .accepted()
        .iter()
        .map(|mail| String::from_utf8_lossy(&mail.bytes).contains("Subject: Urgent"))
        .collect();
    assert_eq!(order.iter().filter(|urgent| **urgent).count(), 20);
    let last = order.iter().rposition(|urgent| *urgent).unwrap();
    // What was ahead of it, then one of each in turn.
    let large_meanwhile = order[before.min(last)..=last]
        .iter()
        .filter(|urgent| !**urgent)
        .count();
    assert!(large_meanwhile <= 60, "{large_meanwhile}");
    assert_eq!(run(&workspace, "large")["state"], "sending");
    large.kill().unwrap();
    large.wait().unwrap();
}

#[test]
fn a_dead_transport_slows_no_other() {
    let dead = SmtpServer::start_blocking(|s| s.dot(When::Always, Act::Silence));
    let server = SmtpServer::start_blocking(|s| s);
    let transports = format!("{}{}", smtp("main", &server), smtp("dead", &dead));
    let workspace = Workspace::new()
        .settings(&transports)
        .more_settings("[store]\nmax_in_doubt = 4")
        .crowd(300)
        .file(
            "campaigns/stuck.toml",
            &campaign(AUDIENCE).replace("via = \"main\"", "via = \"dead\""),
        )
        .campaign("well", AUDIENCE);
    let _daemon = workspace.serve();
    let mut stuck = start(&workspace, "stuck");
    wait_run(&workspace, "stuck", |run| {
        run["counts"]["sending"].as_u64() >= Some(1)
    });
    workspace.run(["send", "well", "--yes"]).code(0);
    assert_eq!(server.recipients().len(), 300);
    let waits = run(&workspace, "stuck");
    assert_eq!((&waits["state"], sent(&waits)), (&json!("sending"), 0));
    stuck.kill().unwrap();
    stuck.wait().unwrap();
}

#[test]
fn a_server_that_asks_to_slow_down_gets_half_and_nobody_is_burned() {
    let server = SmtpServer::start_blocking(|s| {
        s.rcpt(When::Always, Act::Reply(450, "4.7.1 Slow down, please"))
            .times(3)
    });
    let workspace = Workspace::new()
        .settings(&format!("{}rate = \"20/s\"\n", smtp("main", &server)))
        .crowd(30)
        .campaign("a", AUDIENCE);
    let rate = |workspace: &Workspace| {
        let status = workspace.run(["status", "--json"]).json();
        status["transports"][0]["rate"].clone()
    };
    let daemon = workspace.serve();
    assert_eq!(
        rate(&workspace),
        json!({"configured": "20/1s", "per_second": 20.0, "reason": null})
    );
    let mut child = start(&workspace, "a");
    let slowed = wait_for("it to be slowed down", || {
        Some(rate(&workspace)).filter(|rate| !rate["reason"].is_null())
    });
    assert_eq!(slowed["reason"], "450 4.7.1 Slow down, please");
    assert!(slowed["per_second"].as_f64() < Some(20.0), "{slowed}");
    assert_eq!(daemon.terminate(), Some(0));
    child.wait().unwrap();
    // The next process knows.
    let _daemon = workspace.serve();
    assert_eq!(rate(&workspace)["reason"], "450 4.7.1 Slow down, please");
    let human = workspace.run(["status"]).code(0).stdout;
    assert!(
        human.contains("main was slowed down: 450 4.7.1 Slow down, please"),
        "{human}"
    );
    wait_run(&workspace, "a", |run| run["state"] == "finished");
    assert_eq!(run(&workspace, "a")["counts"], json!({"sent": 30}));
    assert_eq!(server.recipients().len(), 30);
    for delivery in workspace.run(["report", "1", "--json"]).json_lines() {
        assert_eq!(delivery["attempts"], 1, "{delivery}");
    }
}
