//! `campanile serve`: schedules, edits, signals, one daemon per store.

use std::time::Duration;

use crate::support::{Workspace, soon, wait_for, workspace::campaign};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

#[test]
fn a_periodic_campaign_goes_out_again_and_again() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign(
            "tick",
            &format!("{AUDIENCE}\ncooldown = \"none\"\n[schedule]\nevery = \"1m\""),
        );
    let daemon = workspace.serve();
    wait_for("two messages", || {
        (workspace.recipients().len() >= 2).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn an_occurrence_at_or_before_the_first_sight_never_fires() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign(
            "past",
            &format!("{AUDIENCE}\n[schedule]\nat = 2020-01-01T09:00:00"),
        )
        .campaign("tick", &format!("{AUDIENCE}\n{}", soon(8)));
    let _daemon = workspace.serve();
    // The neighbour proves that the schedules were looked at.
    wait_for("the neighbour", || {
        (workspace.recipients().len() == 1).then_some(())
    });
    let status = workspace.run(["status", "--json"]).json();
    assert!(
        status["runs"]
            .as_array()
            .unwrap()
            .iter()
            .all(|run| run["campaign"] == "tick"),
        "{status}"
    );
    let past = status["campaigns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|campaign| campaign["id"] == "past")
        .unwrap();
    assert_eq!(past["state"], "finished");
}

#[test]
fn an_edit_counts_without_a_restart_and_a_broken_file_is_shown() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.write(
        "campaigns/a.toml",
        "topic = \"news\"\n[audience]\nsource = ",
    );
    wait_for("the broken state", || {
        let status = workspace.run(["status", "--json"]).json();
        (status["campaigns"][0]["state"] == "broken" && !status["campaigns"][0]["error"].is_null())
            .then_some(())
    });
    workspace.write(
        "campaigns/a.toml",
        &campaign(&format!("{AUDIENCE}\n{}", soon(8))),
    );
    wait_for("the mended campaign to send", || {
        (!workspace.recipients().is_empty()).then_some(())
    });
}

#[test]
fn a_second_daemon_refuses() {
    let workspace = Workspace::new().people(&[]).campaign("a", AUDIENCE);
    let _first = workspace.serve();
    let second = workspace.run(["serve"]).code(1);
    assert!(
        second.stderr.contains("another process"),
        "{}",
        second.stderr
    );
}

#[test]
fn commands_reach_a_running_daemon() {
    let workspace = Workspace::new().crowd(50).campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    let sent = workspace.run(["send", "a", "--yes"]).code(0);
    assert!(
        sent.stdout.contains("50") || sent.stderr.contains("50"),
        "{}{}",
        sent.stdout,
        sent.stderr
    );
    assert_eq!(workspace.recipients().len(), 50);
    workspace.run(["suppress", "add", "p1@example.org"]).code(0);
    assert_eq!(
        workspace.run(["plan", "a", "--json"]).json()[0]["skipped"]["suppressed"],
        1
    );
}

#[test]
fn taking_a_campaign_away_stops_it_and_bringing_it_back_goes_on() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"20/s\"\n")
        .crowd(200)
        .campaign("a", AUDIENCE)
        .campaign(
            "b",
            "[audience]\nsource = \"people\"\n[schedule]\nat = 2020-01-01T09:00:00",
        );
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 10).then_some(())
    });
    let file = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    std::fs::remove_file(workspace.path("campaigns/a.toml")).unwrap();
    wait_for("the run to be held", || {
        let status = workspace.run(["status", "--json"]).json();
        (status["runs"][0]["state"] == "held" && status["runs"][0]["reason"] == "removed")
            .then_some(())
    });
    let before = workspace.recipients().len();
    std::thread::sleep(Duration::from_millis(1500));
    let after = workspace.recipients().len();
    assert!(
        after <= before + 8,
        "{before} and then {after}: no message begins once the run is held"
    );
    assert!(after < 200);
    workspace.write("campaigns/a.toml", &file);
    wait_for("everybody", || {
        (workspace.recipients().len() == 200).then_some(())
    });
    sending.wait().unwrap();
    assert_eq!(daemon.terminate(), Some(0));
    let mut all = workspace.recipients();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[test]
fn a_daemon_that_is_asked_to_end_goes_on_where_it_was() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"50/s\"\n")
        .crowd(150)
        .campaign("a", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 20).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
    let _ = sending.wait();
    let sent = workspace.recipients().len();
    assert!(sent < 150, "{sent}");
    let _daemon = workspace.serve();
    wait_for("everybody", || {
        (workspace.recipients().len() == 150).then_some(())
    });
    let counts = wait_for("the end", || {
        let status = workspace.run(["status", "--json"]).json();
        (status["runs"][0]["state"] == "finished").then(|| status["runs"][0]["counts"].clone())
    });
    assert_eq!(counts, serde_json::json!({"sent": 150}));
}
