//! What stops a run, what lets it go on, and what it must never do meanwhile: send twice, lose somebody, or go on unseen.

use std::process::Child;

use serde_json::{Value, json};

use crate::support::{
    Workspace,
    smtp_server::{Act, Reply, SmtpServer, When},
    soon, wait_for,
    workspace::campaign,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";
const SLOW: &str = "[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"40/s\"\n";

fn status(workspace: &Workspace) -> Value {
    workspace.run(["status", "--json"]).json()
}

/// The newest run of a campaign.
fn run(workspace: &Workspace, campaign: &str) -> Value {
    let status = status(workspace);
    let runs = status["runs"].as_array().unwrap();
    let found = runs.iter().find(|run| run["campaign"] == campaign);
    found.cloned().unwrap_or_default()
}

#[track_caller]
fn wait_state(workspace: &Workspace, campaign: &str, state: &str) -> Value {
    wait_for(&format!("{campaign} to be {state}"), || {
        let run = run(workspace, campaign);
        (run["state"] == state).then_some(run)
    })
}

/// Sends in the background and waits until some messages are out.
fn send_some(workspace: &Workspace, campaign: &str) -> Child {
    let child = workspace.command(["send", campaign, "--yes"]).spawn();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 10).then_some(())
    });
    child.unwrap()
}

/// Everybody got it once.
fn everybody_once(workspace: &Workspace, n: usize) {
    let mut all = workspace.recipients();
    assert_eq!(all.len(), n);
    all.dedup();
    assert_eq!(all.len(), n);
}

fn smtp(server: &SmtpServer) -> String {
    format!(
        "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n",
        server.port()
    )
}

/// One recipient's message is taken, and the connection closed without a word, as often as `times` says.
fn doubtful(policy: &str, times: usize) -> (SmtpServer, Workspace, Value) {
    let server =
        SmtpServer::start_blocking(|s| s.dot("p1@example.org", Act::AcceptThenClose).times(times));
    let workspace = Workspace::new().settings(&smtp(&server)).crowd(3).campaign(
        "a",
        &format!("{AUDIENCE}\n[reach]\nin_doubt = \"{policy}\""),
    );
    let ran = workspace.run(["send", "a", "--yes"]);
    let run = run(&workspace, "a");
    assert_eq!(run["state"], "finished", "{run} {}", ran.stderr);
    (server, workspace, run)
}

fn times(server: &SmtpServer, address: &str) -> usize {
    let taken = server.recipients();
    taken.iter().filter(|taken| *taken == address).count()
}

#[test]
fn in_doubt_resend_sends_once_more_with_the_same_message_id() {
    let (server, _workspace, run) = doubtful("resend", 1);
    assert_eq!(run["counts"], json!({"sent": 3}));
    assert_eq!(times(&server, "p1@example.org"), 2);
    let ids: Vec<_> = server
        .accepted()
        .into_iter()
        .filter(|mail| mail.to == ["p1@example.org"])
        .map(|mail| {
            let text = String::from_utf8(mail.bytes).unwrap();
            let id = text.lines().find(|line| line.starts_with("Message-ID:"));
            id.unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn in_doubt_resend_is_not_for_ever_where_the_server_never_answers() {
    let (server, workspace, run) = doubtful("resend", usize::MAX);
    assert_eq!(run["counts"], json!({"sent": 2, "in_doubt": 1}));
    assert_eq!(times(&server, "p1@example.org"), 2);
    // Nor does a restart begin anew.
    let daemon = workspace.serve();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(times(&server, "p1@example.org"), 2);
}

#[test]
fn in_doubt_skip_ends_it_and_keep_leaves_it_to_a_person() {
    let (server, _workspace, run) = doubtful("skip", usize::MAX);
    assert_eq!(run["counts"], json!({"sent": 2, "skipped": 1}));
    assert_eq!(run["skipped"], json!({"doubt": 1}));
    assert_eq!(times(&server, "p1@example.org"), 1);
    let (server, _workspace, run) = doubtful("keep", usize::MAX);
    assert_eq!(run["counts"], json!({"sent": 2, "in_doubt": 1}));
    assert_eq!(times(&server, "p1@example.org"), 1);
}

#[test]
fn an_edit_counts_from_the_next_run_and_a_broken_file_pauses_only_its_own() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(120)
        .campaign("a", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    // A harmless edit: the run is pinned to what it began with.
    let file = campaign(AUDIENCE);
    workspace.write("campaigns/a.toml", &file.replace("Hello", "Changed"));
    wait_for("the edit", || {
        (daemon.log().matches("loaded").count() >= 1).then_some(())
    });
    workspace.write("campaigns/a.toml", "topic = \"news\"\n[audience\n");
    assert_eq!(wait_state(&workspace, "a", "held")["reason"], "broken");
    let before = workspace.recipients().len();
    assert!(before < 120);
    // Its neighbour never notices.
    workspace.write(
        "campaigns/b.toml",
        &campaign(&format!("{AUDIENCE}\nkeys = \"1, 2\"")),
    );
    wait_for("the neighbour", || {
        (workspace.run(["send", "b", "--yes"]).code == Some(0)).then_some(())
    });
    assert_eq!(run(&workspace, "a")["state"], "held");
    workspace.run(["resume", "1"]).code(5);
    workspace.write("campaigns/a.toml", &file);
    wait_state(&workspace, "a", "finished");
    let _ = sending.wait();
    let of_a = workspace.outbox();
    let of_a: Vec<_> = of_a
        .iter()
        .filter_map(|mail| mail.header("Subject"))
        .collect();
    assert_eq!(of_a.len(), 122);
    assert!(of_a.iter().all(|subject| subject.starts_with("Hello")));
}

#[test]
fn broken_settings_start_nothing_and_leave_a_run_alone_but_for_a_file_that_is_deleted() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(120)
        .campaign("a", AUDIENCE)
        .campaign("b", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    let settings = std::fs::read_to_string(workspace.path("campanile.toml")).unwrap();
    workspace.write("campanile.toml", &format!("{settings}\nnonsense = "));
    wait_for("the settings to be seen", || {
        daemon
            .log()
            .contains("the settings do not check")
            .then_some(())
    });
    workspace.run(["send", "b", "--yes"]).code(3);
    let before = workspace.recipients().len();
    wait_for("the run to go on", || {
        (workspace.recipients().len() > before).then_some(())
    });
    let file = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    std::fs::remove_file(workspace.path("campaigns/a.toml")).unwrap();
    assert_eq!(wait_state(&workspace, "a", "held")["reason"], "removed");
    workspace.write("campanile.toml", &settings);
    workspace.write("campaigns/a.toml", &file);
    wait_state(&workspace, "a", "finished");
    let _ = sending.wait();
    everybody_once(&workspace, 120);
}

#[test]
fn disabling_cancels_and_stop_only_halts() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(200)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    workspace.run(["stop", "a"]).code(0);
    let held = wait_state(&workspace, "a", "held");
    assert_eq!(held["reason"], "stopped");
    workspace.run(["resume", "1"]).code(5);
    workspace.run(["retry", "1"]).code(5);
    workspace.run(["start", "a"]).code(0);
    let before = workspace.recipients().len();
    wait_for("it to go on", || {
        (workspace.recipients().len() > before).then_some(())
    });
    workspace.write(
        "campaigns/a.toml",
        &format!("enabled = false\n{}", campaign(AUDIENCE)),
    );
    wait_state(&workspace, "a", "cancelled");
    let counts = wait_for("every row to say so", || {
        let counts = run(&workspace, "a")["counts"].clone();
        (counts["queued"].is_null() && counts["sending"].is_null()).then_some(counts)
    });
    let _ = sending.wait();
    let (sent, cancelled) = (counts["sent"].as_u64(), counts["cancelled"].as_u64());
    assert_eq!(sent.unwrap() + cancelled.unwrap(), 200, "{counts}");
    assert_eq!(workspace.recipients().len() as u64, sent.unwrap());
}

#[test]
fn a_paused_run_that_is_stopped_meanwhile_waits_for_start() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(100)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    workspace.run(["pause", "1"]).code(0);
    workspace.run(["stop", "a"]).code(0);
    workspace.run(["resume", "1"]).code(5);
    let held = run(&workspace, "a");
    assert_eq!(
        (&held["state"], &held["reason"]),
        (&json!("held"), &json!("stopped"))
    );
    workspace.run(["start", "a"]).code(0);
    wait_state(&workspace, "a", "finished");
    let _ = sending.wait();
    everybody_once(&workspace, 100);
}

#[test]
fn now_on_a_fresh_store_is_held_until_somebody_lets_it_go() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", &format!("{AUDIENCE}\n[schedule]\nat = \"now\""));
    let daemon = workspace.serve();
    assert_eq!(wait_state(&workspace, "a", "held")["reason"], "fresh_store");
    assert_eq!(daemon.terminate(), Some(0));
    let _daemon = workspace.serve();
    assert_eq!(run(&workspace, "a")["reason"], "fresh_store");
    assert_eq!(workspace.recipients(), [""; 0]);
    workspace.run(["resume", "1"]);
    wait_state(&workspace, "a", "finished");
    // Once an id: one that comes later is sent at once, and neither is sent again.
    workspace.write(
        "campaigns/b.toml",
        &campaign(&format!("{AUDIENCE}\n[schedule]\nat = \"now\"")).replace("news", "billing"),
    );
    wait_state(&workspace, "b", "finished");
    assert_eq!(workspace.recipients(), ["ada@example.org"; 2]);
    assert_eq!(status(&workspace)["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn two_who_send_the_same_label_at_once_open_one_run() {
    let workspace = Workspace::new().crowd(50).campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut clients: Vec<_> = (0..4)
        .map(|_| workspace.command(["send", "a", "--yes"]).spawn().unwrap())
        .collect();
    let codes: Vec<_> = clients
        .iter_mut()
        .map(|client| client.wait().unwrap().code().unwrap())
        .collect();
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes.iter().filter(|code| **code == 5).count(),
        3,
        "{codes:?}"
    );
    everybody_once(&workspace, 50);
    assert_eq!(status(&workspace)["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_client_that_is_killed_ends_nothing() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(60)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    sending.kill().unwrap();
    sending.wait().unwrap();
    wait_state(&workspace, "a", "finished");
    everybody_once(&workspace, 60);
}

#[test]
fn a_transport_that_is_taken_away_is_seen_and_goes_on_when_it_is_back() {
    let other = "[transports.other]\nkind = \"outbox\"\npath = \"elsewhere\"\n";
    let workspace = Workspace::new()
        .settings(&format!("{SLOW}{other}"))
        .crowd(120)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = send_some(&workspace, "a");
    let settings = std::fs::read_to_string(workspace.path("campanile.toml")).unwrap();
    workspace.write("campanile.toml", &settings.replace(SLOW, ""));
    // The campaign names a transport that is not there: it does not check, and its run waits.
    wait_state(&workspace, "a", "held");
    let before = workspace.recipients().len();
    assert!(before < 120);
    workspace.write("campanile.toml", &settings);
    wait_state(&workspace, "a", "finished");
    let _ = sending.wait();
    everybody_once(&workspace, 120);
}

#[test]
fn a_transport_that_cannot_be_built_is_seen_and_tried_again() {
    let server = SmtpServer::start_blocking(|s| s.user("acme", "right"));
    let workspace = Workspace::new()
        .settings(&format!(
            "{}username = \"acme\"\npassword = {{ file = \"secret\" }}\n",
            smtp(&server)
        ))
        .crowd(5)
        .campaign("a", &format!("{AUDIENCE}\n{}", soon(8)));
    let _daemon = workspace.serve();
    let seen = wait_for("the transport's error", || {
        let error = status(&workspace)["transports"][0]["error"].clone();
        (!error.is_null()).then_some(error)
    });
    assert!(seen.to_string().contains("secret"), "{seen}");
    workspace.write("secret", "right");
    wait_state(&workspace, "a", "finished");
    assert_eq!(server.recipients().len(), 5);
}

#[test]
fn without_a_daemon_a_transport_that_cannot_be_built_is_said_at_once() {
    let server = SmtpServer::start_blocking(|s| s.user("acme", "right"));
    let workspace = Workspace::new()
        .settings(&format!(
            "{}username = \"acme\"\npassword = {{ file = \"secret\" }}\n",
            smtp(&server)
        ))
        .crowd(5)
        .campaign("a", AUDIENCE);
    let ran = workspace.run(["send", "a", "--yes"]).code(1);
    assert!(ran.stderr.contains("secret"), "{}", ran.stderr);
    workspace.write("secret", "right");
    // No run was opened: the label is free.
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(server.recipients().len(), 5);
}

#[test]
fn a_small_run_ends_while_a_large_one_is_sent() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(2_000)
        .campaign("large", AUDIENCE)
        .campaign("small", &format!("{AUDIENCE}\nkeys = \"1\""));
    let _daemon = workspace.serve();
    let mut sending = send_some(&workspace, "large");
    workspace.run(["send", "small", "--yes"]).code(0);
    assert_eq!(run(&workspace, "large")["state"], "sending");
    workspace.run(["cancel", "1"]).code(0);
    let _ = sending.wait();
}

#[test]
fn a_run_that_is_cancelled_stays_cancelled_when_the_process_was_killed_in_the_middle() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(300)
        .campaign("a", &format!("{AUDIENCE}\n{}", soon(8)));
    let daemon = workspace.serve();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 5).then_some(())
    });
    let _ = workspace.command(["cancel", "1"]).spawn().unwrap().wait();
    daemon.kill();
    let _daemon = workspace.serve();
    let run = wait_state(&workspace, "a", "cancelled");
    assert!(run["counts"]["queued"].is_null(), "{run}");
    assert_eq!(status(&workspace)["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn an_answer_that_comes_late_finds_a_paused_run_and_is_kept() {
    let server = SmtpServer::start_blocking(|s| {
        s.dot(
            When::Always,
            Reply(250, "2.0.0 taken").after(std::time::Duration::from_millis(200)),
        )
    });
    let workspace = Workspace::new()
        .settings(&smtp(&server))
        .crowd(30)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    server.wait_accepted_blocking(3);
    for _ in 0..3 {
        workspace.run(["pause", "1"]).code(0);
        let child = workspace.command(["resume", "1"]).spawn();
        let more = server.recipients().len() + 2;
        server.wait_accepted_blocking(more);
        drop(child);
    }
    wait_state(&workspace, "a", "finished");
    let _ = sending.wait();
    let mut all = server.recipients();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), server.recipients().len()), (30, 30));
}

#[test]
fn in_the_foreground_an_interrupted_run_goes_on_with_resume() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(80)
        .campaign("a", AUDIENCE);
    let mut sending = send_some(&workspace, "a");
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &sending.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    assert_eq!(sending.wait().unwrap().code(), Some(5));
    let run = run(&workspace, "a");
    assert_eq!(run["state"], "sending");
    assert!(run["counts"]["in_doubt"].is_null(), "{run}");
    workspace.run(["resume", "1"]).code(0);
    everybody_once(&workspace, 80);
}

#[test]
fn a_run_that_is_cancelled_while_it_is_planned_is_not_planned_again() {
    let workspace = Workspace::new()
        .crowd(150_000)
        .campaign("a", &format!("{AUDIENCE}\n{}", soon(8)))
        .campaign("later", &format!("{AUDIENCE}\nkeys = \"1\"\n{}", soon(30)));
    let daemon = workspace.serve();
    wait_for("the planning", || {
        (run(&workspace, "a")["state"] == "planning").then_some(())
    });
    workspace.run(["cancel", "1"]).code(0);
    wait_for("the plan to be given up", || {
        daemon
            .log()
            .contains("was cancelled while it was planned")
            .then_some(())
    });
    // The schedule looks at it again ten seconds later; the neighbour comes after that.
    wait_state(&workspace, "later", "finished");
    let run = run(&workspace, "a");
    assert_eq!(
        (&run["id"], &run["state"]),
        (&json!(1), &json!("cancelled"))
    );
    assert!(run["counts"]["queued"].is_null(), "{run}");
    assert_eq!(workspace.recipients(), ["p1@example.org"]);
}
