//! `--env`: `campanile.ENV.toml` over `campanile.toml`.

use crate::support::{Workspace, wait_for};

const EVERYBODY: &str = "[audience]\nsource = \"people\"\ncooldown = \"none\"";
const STAGING: &str = "[store]\npath = \"staging.db\"\n[transports.main]\npath = \"outbox/staging\"\n[safety]\nredirect_to = \"qa@acme.example\"\n";

fn workspace() -> Workspace {
    Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", EVERYBODY)
        .file("campanile.staging.toml", STAGING)
        .file("campanile.production.toml", "")
}

#[test]
fn an_environment_has_its_own_ledger_and_ways() {
    let workspace = workspace();
    let plan = workspace.run(["plan", "--env", "staging"]).code(0).stdout;
    assert!(
        plan.starts_with("ENVIRONMENT: staging\n\nSAFETY: "),
        "{plan}"
    );
    let plan = workspace.run(["plan", "--env", "staging", "--json"]).json();
    assert_eq!(plan[0]["environment"], "staging");
    let comment = ["plan", "--env", "staging", "--format", "markdown"];
    let comment = workspace.run(comment).code(0).stdout;
    assert!(
        comment.contains(", environment <code>staging</code>\n"),
        "{comment}"
    );
    let sent = workspace
        .run(["--env", "staging", "send", "a", "--yes"])
        .code(0);
    assert!(
        sent.stdout.starts_with("ENVIRONMENT: staging\n"),
        "{}",
        sent.stdout
    );
    assert!(workspace.path("staging.db").exists());
    assert!(!workspace.path("campanile.db").exists());
    assert!(workspace.outbox().is_empty());
    assert_eq!(
        std::fs::read_dir(workspace.path("outbox/staging"))
            .unwrap()
            .count(),
        1
    );

    let mut by_variable = workspace.command(["status", "--json"]);
    let ran = by_variable
        .env("CAMPANILE_ENV", "staging")
        .output()
        .unwrap();
    let status: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(status["environment"], "staging");
    assert_eq!(status["runs"][0]["state"], "finished");
    let status = workspace.run(["status", "--env", "staging"]).code(0).stdout;
    assert!(status.starts_with("ENVIRONMENT: staging"), "{status}");

    // The run of staging is none of the workspace's own.
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
    let again = workspace
        .run(["send", "a", "--yes", "--env", "staging"])
        .code(5);
    assert!(again.stderr.contains("has run 1"), "{}", again.stderr);
}

#[test]
fn a_missing_environment_names_those_there_are() {
    let workspace = workspace();
    let ran = workspace.run(["check", "--env", "stagin"]).code(3);
    for words in ["campanile.stagin.toml", "production, staging"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let ran = workspace
        .run(["send", "a", "--yes", "--env", "stagin"])
        .code(3);
    assert!(ran.stderr.contains("production, staging"), "{}", ran.stderr);
    workspace.run(["check", "--env", "no/name"]).code(2);
    assert!(workspace.outbox().is_empty());
}

#[test]
fn a_mistake_is_shown_in_the_file_it_stands_in() {
    let workspace = workspace().file(
        "campanile.staging.toml",
        "\n[transports.main]\npth = \"x\"\n",
    );
    let found = workspace
        .run(["check", "--env", "staging", "--json"])
        .code(3)
        .json_lines();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["file"], "campanile.staging.toml");
    assert_eq!(
        (&found[0]["line"], &found[0]["column"]),
        (&3.into(), &1.into())
    );
    workspace.run(["check"]).code(0);
}

#[test]
fn the_daemon_watches_the_file_of_its_environment_and_answers_for_no_other() {
    let workspace = workspace().file(
        "campanile.staging.toml",
        "[safety]\nredirect_to = \"qa@acme.example\"\n",
    );
    let daemon = workspace.serve_with(&["--env", "staging"]);
    // Without a store of its own the environment shares the daemon, which serves one of them only.
    let ran = workspace.run(["send", "a", "--yes"]).code(2);
    assert!(ran.stderr.contains("--env staging"), "{}", ran.stderr);
    assert!(workspace.outbox().is_empty());
    workspace.write(
        "campanile.staging.toml",
        "[safety]\nonly_to = [\"*@acme.example\"]\n",
    );
    wait_for("the edited environment", || {
        let status = workspace
            .run(["status", "--env", "staging", "--json", "--unmasked"])
            .code(0)
            .json();
        (status["safety"]["only_to"][0] == "*@acme.example").then_some(())
    });
    std::fs::remove_file(workspace.path("campanile.staging.toml")).unwrap();
    wait_for("broken settings", || {
        let status = workspace.run(["status", "--env", "staging", "--json"]);
        status
            .stdout
            .contains("campanile.staging.toml")
            .then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}
