//! `[safety]`: what no campaign can escape.

use crate::support::{Workspace, wait_for};

const EVERYBODY: &str = "[audience]\nsource = \"people\"\ncooldown = \"none\"";
const ONLY_TO: &str = "[safety]\nonly_to = [\"*@acme.example\", \"ADA@example.org\"]\n";
const REDIRECT: &str = "[safety]\nredirect_to = \"qa@acme.example\"\n";

fn workspace() -> Workspace {
    Workspace::new()
        .people(&[
            "1,Ada@example.org,Ada,36",
            "2,bob@example.org,Bob,12",
            "3,eve@acme.example,Eve,20",
            "4,dan@notacme.example,Dan,50",
        ])
        .campaign("a", EVERYBODY)
}

#[test]
fn nobody_else_is_written_to() {
    let workspace = workspace().more_settings(ONLY_TO);
    let plan = workspace.run(["plan", "a"]).code(0).stdout;
    assert!(
        plan.starts_with("SAFETY: only *@acme.example, ada@example.org gets anything"),
        "{plan}"
    );
    assert!(plan.contains("safety 2"), "{plan}");
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(plan[0]["safety"]["only_to"][0], "*@acme.example");

    let sent = workspace.run(["send", "a", "--yes"]).code(0).stdout;
    assert!(sent.starts_with("SAFETY: only "), "{sent}");
    assert_eq!(
        workspace.recipients(),
        ["Ada@example.org", "eve@acme.example"]
    );
    let status = workspace.run(["status"]).code(0).stdout;
    assert!(status.starts_with("SAFETY: only "), "{status}");

    let refused = workspace
        .run(["send", "a", "--to", "me@example.org"])
        .code(5);
    assert!(
        refused.stderr.contains("[safety] only_to"),
        "{}",
        refused.stderr
    );
    workspace
        .run(["send", "a", "--to", "me@acme.example"])
        .code(0);
    assert_eq!(workspace.outbox().len(), 3);
}

#[test]
fn everything_goes_elsewhere_and_the_ledger_knows_whom_it_was_for() {
    let workspace = workspace().more_settings(REDIRECT);
    let sent = workspace.run(["send", "a", "--yes"]).code(0).stdout;
    assert!(
        sent.starts_with("SAFETY: every message goes to qa@acme.example instead"),
        "{sent}"
    );
    let mails = workspace.outbox();
    assert_eq!(mails.len(), 4);
    for mail in &mails {
        assert_eq!(mail.header("To").as_deref(), Some("qa@acme.example"));
    }
    let mut own: Vec<_> = mails
        .iter()
        .map(|mail| mail.header("X-Campanile-Redirected-From").unwrap())
        .collect();
    own.sort();
    assert_eq!(own[0], "Ada@example.org");
    assert_eq!(own[1], "bob@example.org");
    let rows = workspace
        .run(["report", "1", "--json", "--unmasked"])
        .code(0)
        .json_lines();
    assert!(
        rows.iter()
            .any(|row| row["address"] == "bob@example.org" && row["status"] == "sent")
    );

    let test = workspace
        .run(["send", "a", "--to", "me@example.org"])
        .code(0)
        .stdout;
    assert!(test.contains("went to qa@acme.example"), "{test}");
    let shown = workspace.run(["preview", "a"]).code(0).stdout;
    assert!(shown.contains("qa@acme.example"), "{shown}");
}

#[test]
fn a_run_that_was_planned_before_does_not_escape_it() {
    let workspace = workspace().replace(
        "campaigns/a.toml",
        "cooldown",
        "max_recipients = 1\ncooldown",
    );
    let daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(5);
    assert!(workspace.outbox().is_empty());

    let workspace =
        workspace.more_settings(&format!("{ONLY_TO}redirect_to = \"qa@acme.example\"\n"));
    wait_for("[safety] in force", || {
        let status = workspace
            .run(["status", "--json", "--unmasked"])
            .code(0)
            .json();
        (status["safety"]["redirect_to"] == "qa@acme.example").then_some(())
    });
    workspace.run(["resume", "1"]).code(0);
    wait_for("the end of the run", || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        (status["runs"][0]["state"] == "finished").then_some(())
    });
    assert_eq!(workspace.recipients(), ["qa@acme.example"; 2]);
    let rows = workspace
        .run(["report", "1", "--json", "--unmasked"])
        .code(0)
        .json_lines();
    for row in rows {
        let allowed =
            ["Ada@example.org", "eve@acme.example"].contains(&row["address"].as_str().unwrap());
        let expected = if allowed { "sent" } else { "skipped" };
        assert_eq!(row["status"], expected, "{row}");
        assert_eq!(row["reason"] == "safety", !allowed, "{row}");
    }
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn what_is_wrong_in_it_never_looks_like_none() {
    for (toml, words) in [
        ("only_to = []", "names nobody"),
        ("only_to = [\"acme.example\"]", "it needs an @"),
        (
            "redirect_too = \"qa@acme.example\"",
            "did you mean `redirect_to`?",
        ),
    ] {
        let workspace = workspace().more_settings(&format!("[safety]\n{toml}\n"));
        let ran = workspace.run(["send", "a", "--yes"]).code(3);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert!(workspace.outbox().is_empty());
    }
}

#[test]
fn what_was_made_before_it_was_set_does_not_leave() {
    // Slow: most messages are made long before their turn comes.
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"10/s\"\n")
        .crowd(150)
        .campaign("a", EVERYBODY);
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("the first messages", || {
        (workspace.outbox().len() >= 2).then_some(())
    });
    let workspace = workspace.more_settings(ONLY_TO);
    wait_for("[safety] in force", || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        (status["safety"]["only_to"].as_array()?.len() == 2).then_some(())
    });
    let left = workspace.outbox().len();
    wait_for("the end of the run", || sending.try_wait().unwrap());
    // What was on the wire at that moment could still land.
    let sent = workspace.outbox().len();
    assert!(
        sent <= left + 8 && sent < 100,
        "{left} before, {sent} in the end"
    );
    let status = workspace.run(["status", "--json"]).code(0).json();
    let run = &status["runs"][0];
    assert_eq!(run["state"], "finished", "{run}");
    assert_eq!(run["skipped"]["safety"], 150 - sent, "{run}");
    assert_eq!(daemon.terminate(), Some(0));
}
