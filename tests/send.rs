//! `campanile send`: planned, asked, sent in the foreground, recorded for every recipient.

use serde_json::json;

use crate::support::Workspace;

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

#[test]
fn everybody_who_matches_gets_it_once_and_everybody_has_a_status() {
    let workspace = Workspace::new()
        .people(&[
            "1,ada@example.org,Ada,36",
            "2,bob@example.org,Bob,12",
            "3,,Cy,40",
            "4,not an address,Di,40",
            "5,ADA@example.org,Ada again,36",
            "6,eve@example.org,Eve,many",
            "1,other@example.org,Ada twice,36",
        ])
        .campaign("a", &format!("{AUDIENCE}\nwhere = 'r.age >= 18'"));
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
    let report = workspace
        .run(["report", "1", "--json", "--unmasked"])
        .code(0);
    let mut rows: Vec<_> = report
        .json_lines()
        .iter()
        .map(|row| {
            let reason = row["reason"].as_str().unwrap_or_default();
            format!(
                "{} {} {}",
                row["key"].as_str().unwrap(),
                row["status"].as_str().unwrap(),
                reason.split(':').next().unwrap()
            )
        })
        .collect();
    rows.sort();
    let sent = rows
        .iter()
        .position(|row| row.starts_with("1 sent"))
        .unwrap();
    rows.remove(sent);
    assert_eq!(
        rows,
        [
            "1 skipped duplicate_key",
            "3 skipped no_address",
            "4 skipped invalid_address",
            "5 skipped duplicate_address",
            "6 skipped invalid_row",
        ]
    );
}

#[test]
fn the_same_label_never_sends_twice() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", &format!("{AUDIENCE}\ncooldown = \"none\""));
    workspace.run(["send", "a", "--yes"]).code(0);
    let again = workspace.run(["send", "a", "--yes"]).code(5);
    assert!(again.stderr.contains("manual"), "{}", again.stderr);
    workspace
        .run(["send", "a", "--yes", "--as", "second"])
        .code(0);
    let status = workspace.run(["status", "--json"]).json();
    assert_eq!(status["runs"].as_array().unwrap().len(), 2);
    assert_eq!(status["runs"][0]["counts"], json!({"sent": 1}));
}

#[test]
fn nothing_is_sent_without_a_yes() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    workspace.run(["send", "a"]).code(2);
    assert_eq!(workspace.recipients(), [""; 0]);
}

#[test]
fn a_test_message_goes_to_oneself_and_into_no_ledger() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    workspace
        .run(["send", "a", "--to", "me@acme.example"])
        .code(0);
    assert_eq!(workspace.recipients(), ["me@acme.example"]);
    assert!(workspace.outbox()[0].decoded().contains("Dear Ada"));
    assert_eq!(
        workspace.run(["status", "--json"]).json()["runs"],
        json!([])
    );
}

#[test]
fn a_cooldown_counts_over_runs() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .campaign(
            "a",
            &format!("{AUDIENCE}\nwhere = 'r.age < 40'\ncooldown = \"30d\""),
        );
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    workspace.write(
        "campaigns/a.toml",
        &crate::support::workspace::campaign(&format!("{AUDIENCE}\ncooldown = \"30d\"")),
    );
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(plan[0]["skipped"], json!({"cooldown": 1}));
    assert_eq!(plan[0]["to_send"], 1);
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);
    assert_eq!(
        workspace.recipients(),
        ["ada@example.org", "bob@example.org"]
    );
}

#[test]
fn suppressed_addresses_are_left_out_until_they_are_removed_from_the_list() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .campaign("a", &format!("{AUDIENCE}\ncooldown = \"none\""));
    workspace
        .run(["suppress", "add", "Ada@Example.org"])
        .code(0);
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["bob@example.org"]);
    workspace
        .run(["suppress", "remove", "ada@example.org"])
        .code(0);
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);
    assert_eq!(
        workspace.recipients(),
        ["ada@example.org", "bob@example.org", "bob@example.org"]
    );
}

#[test]
fn too_many_and_too_few_are_held_until_somebody_lets_them_go() {
    let workspace = Workspace::new()
        .crowd(10)
        .campaign("many", &format!("{AUDIENCE}\nmax_recipients = 5"))
        .campaign("few", &format!("{AUDIENCE}\nmin_recipients = 20"));
    workspace.run(["send", "many", "--yes"]).code(5);
    workspace.run(["send", "few", "--yes"]).code(5);
    assert_eq!(workspace.recipients(), [""; 0]);
    let status = workspace.run(["status", "--json"]).json();
    let reasons: Vec<_> = status["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["reason"].clone())
        .collect();
    assert_eq!(reasons, ["too_few", "too_many"]);
    workspace.run(["resume", "1"]).code(0);
    let _daemon = workspace.serve();
    crate::support::wait_for("ten messages", || {
        (workspace.recipients().len() == 10).then_some(())
    });
}

#[test]
fn a_source_that_is_gone_holds_the_run_and_loses_nobody() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    let people = std::fs::read_to_string(workspace.path("people.csv")).unwrap();
    std::fs::remove_file(workspace.path("people.csv")).unwrap();
    let ran = workspace.run(["send", "a", "--yes"]);
    assert!(matches!(ran.code, Some(1 | 5)), "{}", ran.stderr);
    assert!(ran.stderr.contains("people.csv"), "{}", ran.stderr);
    workspace.write("people.csv", &people);
    workspace
        .run(["send", "a", "--yes", "--as", "later"])
        .code(0);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
}

#[test]
fn a_script_that_fails_skips_its_recipient_and_says_where() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,"])
        .campaign("a", &format!("{AUDIENCE}\nwhere = 'r.age >= 18'"));
    workspace.run(["send", "a", "--yes"]);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
    let report = workspace.run(["report", "1", "--json"]).json_lines();
    let bob = report.iter().find(|row| row["key"] == "2").unwrap();
    let reason = bob["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("script_error: campaigns/a.toml:6:"),
        "{reason}"
    );
}

#[test]
fn an_endless_loop_ends_as_a_script_error() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .file(
            "scripts/bad.rhai",
            "fn forever(r) { let n = 0; loop { n += 1; } }\n",
        )
        .campaign("a", &format!("{AUDIENCE}\nwhere = 'bad::forever(r)'"));
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(plan[0]["skipped"], json!({"script_error": 1}));
    assert!(
        plan[0]["problems"][0]
            .as_str()
            .unwrap()
            .contains("campaigns/a.toml:6:15: the script does too much"),
        "{plan}"
    );
    // Nobody is left to send to: nothing is sent, and the label stays free.
    workspace.run(["send", "a", "--yes"]).code(5);
}
