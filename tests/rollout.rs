//! A run that begins with a part of its audience, and one that stops where too much goes wrong.

use serde_json::{Value, json};

use crate::support::{
    Daemon, Workspace,
    smtp_server::{Reply, SmtpServer, When},
    wait_for,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

/// The only run.
fn run(workspace: &Workspace) -> Value {
    workspace.run(["status", "--json"]).json()["runs"][0].clone()
}

#[track_caller]
fn wait_state(workspace: &Workspace, state: &str) -> Value {
    wait_for(&format!("the run to be {state}"), || {
        let run = run(workspace);
        (run["state"] == state).then_some(run)
    })
}

/// Everybody got it, once.
fn everybody_once(workspace: &Workspace, n: usize) {
    let mut all = workspace.recipients();
    assert_eq!(all.len(), n);
    all.dedup();
    assert_eq!(all.len(), n);
}

fn rollout(first: &str, wait: &str) -> String {
    format!("{AUDIENCE}\n[rollout]\nfirst = {first}\nwait = \"{wait}\"")
}

/// Its first ten are out, the others wait; a daemon sent it.
fn waiting(wait: &str) -> (Workspace, Daemon) {
    let workspace = Workspace::new()
        .crowd(30)
        .campaign("a", &rollout("10", wait));
    let daemon = workspace.serve();
    let sent = workspace.run(["send", "a", "--yes"]).code(5);
    assert!(
        sent.stderr.contains("the rest goes on by itself at 20"),
        "{}",
        sent.stderr
    );
    (workspace, daemon)
}

#[test]
fn the_first_part_goes_out_and_the_rest_waits_through_a_kill_until_somebody_lets_it_go() {
    let (workspace, daemon) = waiting("1h");
    wait_for("the first part", || {
        (run(&workspace)["counts"] == json!({"sent": 10, "queued": 20})).then_some(())
    });
    let paused = run(&workspace);
    assert_eq!(
        (&paused["state"], &paused["reason"]),
        (&json!("paused"), &json!("rollout"))
    );
    let goes_on = paused["goes_on_at"].as_str().unwrap().to_owned();
    let status = workspace.run(["status"]).stdout;
    assert!(
        status.contains("paused (rollout)") && status.contains("campanile resume 1"),
        "{status}"
    );

    daemon.kill();
    let _daemon = workspace.serve();
    let paused = run(&workspace);
    assert_eq!(paused["state"], "paused");
    assert_eq!(paused["goes_on_at"], goes_on);
    assert_eq!(workspace.recipients().len(), 10);

    workspace.run(["resume", "1"]).code(0);
    let over = wait_state(&workspace, "finished");
    assert_eq!(over["goes_on_at"], Value::Null);
    everybody_once(&workspace, 30);
}

#[test]
fn the_rest_goes_on_by_itself() {
    let (workspace, _daemon) = waiting("3s");
    wait_state(&workspace, "finished");
    everybody_once(&workspace, 30);
}

#[test]
fn pausing_a_run_that_waits_keeps_it_from_going_on_by_itself() {
    let (workspace, daemon) = waiting("4s");
    workspace.run(["pause", "1"]).code(0);
    let paused = run(&workspace);
    assert_eq!(
        (&paused["reason"], &paused["goes_on_at"]),
        (&json!("asked for"), &Value::Null)
    );
    // A neighbour that waits as long goes on meanwhile.
    let workspace = workspace.campaign("b", &rollout("1", "4s"));
    wait_for("the neighbour", || {
        let runs = workspace.run(["status", "--json"]).json()["runs"].clone();
        if runs.as_array().unwrap().len() < 2 {
            workspace.run(["send", "b", "--yes"]);
        }
        (runs[0]["campaign"] == "b" && runs[0]["state"] == "finished").then_some(())
    });
    let runs = workspace.run(["status", "--json"]).json()["runs"].clone();
    assert_eq!(runs[1]["state"], "paused");
    workspace.run(["resume", "1"]).code(0);
    wait_for("the rest", || {
        (workspace.recipients().len() == 60).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn without_a_daemon_the_command_waits_and_goes_on() {
    let workspace = Workspace::new()
        .crowd(30)
        .campaign("a", &rollout("\"10%\"", "1s"));
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    assert_eq!(sending.wait().unwrap().code(), Some(0));
    everybody_once(&workspace, 30);
    // A part that is everybody leaves nothing to wait for.
    let workspace = workspace.campaign("a", &rollout("500", "1h"));
    workspace
        .run(["send", "a", "--yes", "--as", "again"])
        .code(0);
    assert_eq!(run(&workspace)["counts"], json!({"sent": 30}));
}

#[test]
fn mistakes_in_rollout_and_stop_if_are_found() {
    let workspace = Workspace::new().crowd(1).campaign(
        "a",
        &format!(
            "{AUDIENCE}\n[rollout]\nfirst = 0\nwiat = \"1h\"\n[stop_if]\nafter = 0\nfaild = \"5%\"\nbounced = 3"
        ),
    );
    let check = workspace.run(["check", "--json"]).code(3);
    let found: Vec<_> = check
        .json_lines()
        .iter()
        .map(|line| (line["line"].clone(), line["code"].clone()))
        .collect();
    for expected in [
        (json!(7), json!("out-of-range")),
        (json!(6), json!("missing-key")),
        (json!(8), json!("unknown-key")),
        (json!(10), json!("out-of-range")),
        (json!(11), json!("unknown-key")),
        (json!(12), json!("wrong-type")),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}

/// A workspace that sends to a server by one connection.
fn over(server: &SmtpServer, people: usize, more: &str) -> Workspace {
    let transport = format!(
        "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n",
        server.port()
    );
    Workspace::new()
        .settings(&transport)
        .crowd(people)
        .campaign("a", &format!("{AUDIENCE}\n{more}"))
}

#[test]
fn a_share_that_fails_holds_the_run_and_is_counted_anew_when_it_is_let_go() {
    let server = SmtpServer::start_blocking(|s| {
        s.dot(When::Always, Reply(554, "5.7.1 looks like spam"))
            .times(60)
    });
    let workspace = over(&server, 600, "[stop_if]\nafter = 10\nfailed = \"20%\"");
    workspace.run(["send", "a", "--yes"]).code(5);
    let held = run(&workspace);
    assert_eq!(
        (&held["state"], &held["reason"]),
        (&json!("held"), &json!("stop_if"))
    );
    let advice = held["help"].as_str().unwrap();
    assert!(
        advice.contains("failed (100.0%, more than 20%)") && advice.contains("campanile resume 1"),
        "{advice}"
    );
    let failed = |run: &Value| run["counts"]["failed"].as_u64().unwrap_or_default();
    let mut before = failed(&held);
    assert!((10..60).contains(&before), "{held}");
    let mut resumed = 0;
    while run(&workspace)["state"] == "held" {
        assert!(resumed < 6, "{}", run(&workspace));
        resumed += 1;
        workspace.run(["resume", "1"]);
        let after = run(&workspace);
        // Not again on the same numbers: ten more have an outcome.
        let outcomes = failed(&after) + after["counts"]["sent"].as_u64().unwrap_or_default();
        assert!(outcomes >= before + 10, "{after}");
        before = outcomes;
    }
    let over = run(&workspace);
    assert_eq!(over["state"], "finished");
    assert_eq!(over["counts"], json!({"sent": 540, "failed": 60}));
}

#[test]
fn an_address_that_does_not_exist_counts_as_bounced_and_holds_a_rollout_where_it_waits() {
    let server = SmtpServer::start_blocking(|s| {
        s.rcpt(When::Always, Reply(550, "5.1.1 no such user"))
            .times(3)
    });
    let workspace = over(
        &server,
        100,
        "[rollout]\nfirst = 20\nwait = \"2s\"\n[stop_if]\nafter = 20\nbounced = \"10%\"",
    );
    let sent = workspace.run(["send", "a", "--yes"]).code(5);
    assert!(
        sent.stderr
            .contains("3 of 20 bounced (15.0%, more than 10%)"),
        "{}",
        sent.stderr
    );
    let held = run(&workspace);
    assert_eq!(held["reason"], "stop_if");
    assert_eq!(
        held["counts"],
        json!({"sent": 17, "failed": 3, "queued": 80})
    );
    assert_eq!(server.recipients().len(), 17);
    workspace.run(["resume", "1"]).code(6);
    assert_eq!(run(&workspace)["counts"], json!({"sent": 97, "failed": 3}));
}

#[test]
fn people_who_unsubscribe_hold_the_run() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"20/s\"\n")
        .crowd(600)
        .campaign(
            "a",
            &format!("{AUDIENCE}\n[stop_if]\nafter = 5\nunsubscribed = \"0.5%\""),
        );
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        let sent = run(&workspace)["counts"]["sent"].as_u64()?;
        (sent >= 5).then_some(())
    });
    let url = workspace.outbox()[0].unsubscribe_url().unwrap();
    let post = |form: &[(&str, &str)]| {
        let client = crate::support::http().build().unwrap();
        let answer = client.post(&url).form(form).send().unwrap();
        assert_eq!(answer.status(), 200);
    };
    // Once more is no second one.
    post(&[("List-Unsubscribe", "One-Click")]);
    post(&[("List-Unsubscribe", "One-Click")]);
    let held = wait_state(&workspace, "held");
    let _ = sending.wait();
    assert_eq!(
        (&held["reason"], &held["unsubscribed"]),
        (&json!("stop_if"), &json!(1))
    );
    let advice = held["help"].as_str().unwrap();
    assert!(advice.starts_with("1 of "), "{advice}");
    assert!(
        advice.contains("unsubscribed (") && advice.contains("more than 0.5%"),
        "{advice}"
    );
    post(&[("action", "undo")]);
    assert_eq!(run(&workspace)["unsubscribed"], 0);
    assert_eq!(daemon.terminate(), Some(0));
}
