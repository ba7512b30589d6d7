//! Runs that wait for a person: approvals, plans made ahead, and what an edit does to them.

use serde_json::{Value, json};

use crate::support::{Workspace, soon, wait_for, workspace::campaign};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";
const APPROVAL: &str = "[approval]\nrequired = true\n";

/// A schedule that is due once, in so many seconds, and planned at once.
fn ahead(seconds: i64) -> String {
    format!("{}\nplan_ahead = \"1h\"", soon(seconds))
}

fn parts(run: &Value) -> (&str, &str) {
    (
        run["state"].as_str().unwrap(),
        run["approval"]["state"].as_str().unwrap_or("none"),
    )
}

#[test]
fn an_occurrence_waits_until_it_is_approved_and_who_did_is_recorded() {
    let workspace = Workspace::new()
        .crowd(3)
        .campaign("a", &format!("{AUDIENCE}\n{APPROVAL}{}", soon(6)));
    let daemon = workspace.serve();
    let waiting = workspace.wait_state("a", "awaiting_approval");
    assert_eq!(waiting["totals"]["to_send"], 3);
    assert!(
        waiting["help"]
            .as_str()
            .unwrap()
            .contains("`campanile approve 1`"),
        "{waiting}"
    );
    assert!(!waiting["waits_until"].is_null());
    assert_eq!(workspace.campaign_status("a")["state"], "scheduled");
    workspace.run(["resume", "1"]).code(5);
    // Four eyes: the author may not, by name or by address.
    for by in ["Ada", "Ada <ada@acme.example>", "ADA@acme.example"] {
        let author = "Ada <ada@acme.example>";
        let refused = workspace.run(["approve", "1", "--by", by, "--not-by", author]);
        assert!(
            refused.stderr.contains("somebody else"),
            "{}",
            refused.stderr
        );
        refused.code(5);
    }
    workspace
        .run(["approve", "1", "--by", "Grace", "--digest", "0"])
        .code(5);
    assert_eq!(workspace.recipients(), [""; 0]);
    // What waits outlives the process.
    assert_eq!(daemon.terminate(), Some(0));
    let _daemon = workspace.serve();
    let digest = workspace.wait_state("a", "awaiting_approval")["digest"].clone();
    let digest = &digest.as_str().unwrap()[..12];
    let approve = [
        "approve", "1", "--by", "Grace", "--not-by", "Ada", "--digest", digest,
    ];
    let approved = workspace.run(approve).code(0);
    assert!(
        approved.stdout.starts_with("approved by Grace\n"),
        "{}",
        approved.stdout
    );
    let run = workspace.wait_state("a", "finished");
    assert_eq!(
        (&run["approval"]["by"], &run["approval"]["state"]),
        (&json!("Grace"), &json!("counts"))
    );
    assert_eq!(workspace.recipients().len(), 3);
    workspace.run(["approve", "1", "--by", "Grace"]).code(5);
}

#[test]
fn what_is_sent_by_hand_waits_for_an_approval_too() {
    let workspace = Workspace::new()
        .crowd(2)
        .campaign("a", &format!("{AUDIENCE}\n{APPROVAL}"));
    let sent = workspace.run(["send", "a", "--yes"]).code(5);
    assert!(
        sent.stderr.contains("campanile approve 1"),
        "{}",
        sent.stderr
    );
    assert_eq!(workspace.recipients(), [""; 0]);
    // Who sits here is git's user of the workspace.
    for arguments in [
        &["init", "-q"][..],
        &["config", "user.name", "Grace"],
        &["config", "user.email", "grace@acme.example"],
    ] {
        let git = std::process::Command::new("git")
            .args(arguments)
            .current_dir(workspace.folder())
            .status();
        assert!(git.unwrap().success());
    }
    let approved = workspace.run(["approve", "1", "--json"]).code(0);
    drop(approved);
    assert_eq!(workspace.recipients().len(), 2);
    // JSON masks addresses.
    let by = &workspace.run_of("a")["approval"]["by"];
    assert_eq!(by, "Grace <g…@acme.example>");
}

#[test]
fn a_planned_run_waits_for_its_time_and_goes_out_by_itself() {
    let workspace = Workspace::new()
        .crowd(3)
        .campaign("a", &format!("{AUDIENCE}\n{}", ahead(25)));
    let _daemon = workspace.serve();
    let planned = workspace.wait_state("a", "scheduled");
    assert_eq!(planned["counts"], json!({"queued": 3}));
    assert!(
        planned["help"].as_str().unwrap().contains("goes out at"),
        "{planned}"
    );
    assert!(!planned["waits_until"].is_null());
    // What was planned is what is sent: who comes later is not in it, and recipients may only drop out.
    let workspace = workspace.crowd(5);
    workspace.run(["suppress", "add", "p1@example.org"]).code(0);
    let run = workspace.wait_state("a", "finished");
    assert_eq!(run["counts"], json!({"sent": 2, "skipped": 1}));
    assert_eq!(workspace.recipients(), ["p0@example.org", "p2@example.org"]);
    assert_eq!(workspace.runs_of("a").len(), 1);
}

#[test]
fn an_edit_before_the_first_message_voids_the_approval_and_says_which_part_changed() {
    let file = |subject: &str, keys: &str| {
        campaign(&format!(
            "{AUDIENCE}\nkeys = \"{keys}\"\n{APPROVAL}{}",
            ahead(3_000)
        ))
        .replace("Hello", subject)
    };
    let workspace = Workspace::new()
        .crowd(9)
        .file("campaigns/a.toml", &file("Hello", "1 2"));
    let first = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    let daemon = workspace.serve();
    workspace.wait_state("a", "awaiting_approval");
    let approve = || workspace.run(["approve", "1", "--by", "Grace"]);
    approve().code(0);
    assert_eq!(parts(&workspace.run_of("a")), ("scheduled", "counts"));

    // The due time of both texts is the same: only what the test changes differs.
    workspace.write("campaigns/a.toml", &first.replace("Hello", "Good morning"));
    let void = workspace.wait_state("a", "awaiting_approval");
    assert_eq!(
        (parts(&void).1, &void["approval"]["changed"]),
        ("void", &json!("content"))
    );
    assert!(
        void["help"]
            .as_str()
            .unwrap()
            .contains("the content changed"),
        "{void}"
    );
    assert!(
        daemon.log().contains("the content changed"),
        "{}",
        daemon.log()
    );
    assert_eq!(void["id"], 1, "the run keeps its number");
    let shown = workspace.run(["status"]).stdout;
    assert!(
        shown.contains("the approval by Grace is void: the content changed since"),
        "{shown}"
    );

    workspace.write("campaigns/a.toml", &first.replace("1 2", "1 2 3"));
    wait_for("both to have changed", || {
        (workspace.run_of("a")["approval"]["changed"] == "both").then_some(())
    });
    assert_eq!(workspace.run_of("a")["totals"]["to_send"], 3);

    // What was approved is there again, to the last byte: the approval counts again.
    workspace.write("campaigns/a.toml", &first);
    workspace.wait_state("a", "scheduled");
    assert_eq!(parts(&workspace.run_of("a")), ("scheduled", "counts"));
    assert_eq!(workspace.recipients(), [""; 0]);
}

#[test]
fn after_the_first_message_a_run_is_pinned() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"20/s\"\n")
        .crowd(100)
        .campaign("a", &format!("{AUDIENCE}\n{APPROVAL}{}", soon(6)));
    let _daemon = workspace.serve();
    workspace.wait_state("a", "awaiting_approval");
    workspace.run(["approve", "1", "--by", "Grace"]).code(0);
    wait_for("some messages", || {
        (workspace.recipients().len() >= 5).then_some(())
    });
    let text = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    workspace.write("campaigns/a.toml", &text.replace("Hello", "Changed"));
    let run = workspace.wait_state("a", "finished");
    assert_eq!(run["counts"], json!({"sent": 100}));
    assert_eq!(run["approval"]["state"], "counts");
    let subjects = workspace.outbox();
    assert!(
        subjects
            .iter()
            .all(|mail| mail.header("Subject").unwrap().starts_with("Hello"))
    );
}

#[test]
fn an_approval_expires_and_without_one_a_run_becomes_late() {
    let workspace = Workspace::new().crowd(2).campaign(
        "a",
        &format!(
            "{AUDIENCE}\n[approval]\nrequired = true\nexpires = \"1s\"\n{}\ngrace = \"2s\"",
            ahead(20)
        ),
    );
    let _daemon = workspace.serve();
    workspace.wait_state("a", "awaiting_approval");
    workspace.run(["approve", "1", "--by", "Grace"]).code(0);
    let expired = workspace.wait_state("a", "awaiting_approval");
    assert_eq!(parts(&expired).1, "expired");
    let late = workspace.wait_held("a", "late");
    assert!(
        late["help"]
            .as_str()
            .unwrap()
            .contains("`campanile resume 1` sends it late"),
        "{late}"
    );
    // Late and not approved: the one does not stand for the other.
    workspace.run(["resume", "1"]).code(5);
    assert_eq!(workspace.run_of("a")["reason"], "late");
    workspace.run(["approve", "1", "--by", "Grace"]).code(5);
    assert_eq!(workspace.recipients(), [""; 0]);
    workspace.run(["cancel", "1"]).code(0);
    workspace.wait_state("a", "cancelled");
}

#[test]
fn a_limit_ends_with_an_approval_and_an_edit_needs_another_look() {
    let workspace = Workspace::new()
        .crowd(5)
        .campaign("a", &format!("{AUDIENCE}\nmax_recipients = 3\n{}", soon(6)));
    let _daemon = workspace.serve();
    let held = workspace.wait_held("a", "too_many");
    assert!(
        held["help"].as_str().unwrap().contains("5 to send"),
        "{held}"
    );
    assert_eq!(
        workspace.campaign_status("a")["state"],
        "scheduled",
        "it does not run, and is not over"
    );
    // Within the limit after an edit, but nobody has seen that plan.
    let text = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    workspace.write(
        "campaigns/a.toml",
        &text.replace("max_recipients = 3", "max_recipients = 7"),
    );
    let held = workspace.wait_held("a", "approval_needed");
    assert_eq!(held["id"], 1);
    assert_eq!(workspace.recipients(), [""; 0]);
    workspace.run(["approve", "1", "--by", "Grace"]).code(0);
    workspace.wait_state("a", "finished");
    assert_eq!(workspace.recipients().len(), 5);
}

#[test]
fn without_a_daemon_an_edit_is_found_when_somebody_lets_the_run_go() {
    let workspace = Workspace::new()
        .crowd(5)
        .campaign("a", &format!("{AUDIENCE}\nmax_recipients = 3"));
    workspace.run(["send", "a", "--yes"]).code(5);
    let text = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    workspace.write("campaigns/a.toml", &text.replace("Hello", "Good morning"));
    let resumed = workspace.run(["resume", "1"]).code(5);
    assert!(
        resumed.stderr.contains("planned anew"),
        "{}",
        resumed.stderr
    );
    assert_eq!(workspace.recipients(), [""; 0]);
    workspace.run(["resume", "1"]).code(0);
    let mails = workspace.outbox();
    assert_eq!(mails.len(), 5);
    assert!(
        mails[0]
            .header("Subject")
            .unwrap()
            .starts_with("Good morning")
    );
}

#[test]
fn a_moved_time_moves_the_planned_run_and_another_day_drops_it() {
    let workspace = Workspace::new()
        .crowd(3)
        .campaign("a", &format!("{AUDIENCE}\n{}", ahead(3_000)));
    let _daemon = workspace.serve();
    let planned = workspace.wait_state("a", "scheduled");
    let text = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    let at = text.lines().find(|line| line.starts_with("at = ")).unwrap();
    // Another day: that occurrence is no more, and nobody has had it.
    workspace.write(
        "campaigns/a.toml",
        &text.replace(at, "at = 2099-01-01T09:00:00"),
    );
    wait_for("the run to be dropped", || {
        workspace.runs_of("a").is_empty().then_some(())
    });
    workspace.write("campaigns/a.toml", &text);
    let again = workspace.wait_state("a", "scheduled");
    assert_eq!(again["due"], planned["due"]);
    // Sooner, on the same day: the same occurrence at another time. (Around midnight it is another day's: dropped, planned anew.)
    let sooner = soon(3);
    let sooner = sooner
        .lines()
        .find(|line| line.starts_with("at = "))
        .unwrap();
    workspace.write("campaigns/a.toml", &text.replace(at, sooner));
    workspace.wait_state("a", "finished");
    assert_eq!(workspace.recipients().len(), 3);
}

#[test]
fn what_waits_for_its_time_is_held_by_stop_and_broken_files_and_ends_with_the_campaign() {
    let workspace = Workspace::new()
        .crowd(3)
        .campaign("a", &format!("{AUDIENCE}\n{}", ahead(3_000)));
    let _daemon = workspace.serve();
    workspace.wait_state("a", "scheduled");
    let text = std::fs::read_to_string(workspace.path("campaigns/a.toml")).unwrap();
    workspace.run(["stop", "a"]).code(0);
    workspace.wait_held("a", "stopped");
    workspace.run(["start", "a"]).code(0);
    workspace.wait_state("a", "scheduled");
    workspace.write("campaigns/a.toml", "topic = \"ne");
    workspace.wait_held("a", "broken");
    workspace.write("campaigns/a.toml", &text);
    assert_eq!(workspace.wait_state("a", "scheduled")["id"], 1);
    workspace.write("campaigns/a.toml", &format!("enabled = false\n{text}"));
    assert_eq!(workspace.wait_state("a", "cancelled")["reason"], "disabled");
    wait_for("its rows to follow", || {
        (workspace.run_of("a")["counts"] == json!({"cancelled": 3})).then_some(())
    });
    assert_eq!(workspace.recipients(), [""; 0]);
}
