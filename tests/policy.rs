//! `scripts/policy.rhai`: what holds for every campaign of a workspace.

use crate::support::{Workspace, wait_for};

const EVERYBODY: &str = "[audience]\nsource = \"people\"\ncooldown = \"none\"";

const POLICY: &str = r#"
// Minors get no marketing, and nobody gets anything in the middle of a strike.
fn never(r, campaign, channel) {
    if campaign.purpose == "marketing" && r.age < 18 { return `a minor: no ${channel} in ${campaign.topic}`; }
    if campaign.id == "strike" { "we are on strike" }
}
"#;

fn workspace() -> Workspace {
    Workspace::new()
        .people(&[
            "1,ada@example.org,Ada,36",
            "2,bob@example.org,Bob,12",
            "3,eve@example.org,Eve,",
            "4,dan@example.org,Dan,50",
        ])
        .campaign("a", EVERYBODY)
        .campaign(
            "strike",
            &EVERYBODY.replace("\"none\"", "\"none\"\nmin_recipients = 0"),
        )
        .file("scripts/policy.rhai", POLICY)
}

#[test]
fn it_stops_recipients_of_every_campaign_and_says_why() {
    let workspace = workspace().replace("scripts/policy.rhai", "r.age < 18", "(r.age ?? 0) < 18");
    let plan = &workspace.run(["plan", "a", "--json"]).code(0).json()[0];
    assert_eq!(plan["to_send"], 2, "{plan}");
    assert_eq!(plan["skipped"]["policy"], 2, "{plan}");
    let plan = workspace.run(["plan", "strike"]).code(0).stdout;
    assert!(plan.contains("policy 4"), "{plan}");

    let shown = workspace.run(["preview", "a", "--recipient", "2"]).code(0);
    let shown = shown.stdout + shown.stderr.as_str();
    assert!(
        shown.contains("policy: a minor: no email in news"),
        "{shown}"
    );
    assert!(shown.contains("bob@example.org"), "{shown}");

    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(
        workspace.recipients(),
        ["ada@example.org", "dan@example.org"]
    );
    let rows = workspace
        .run(["report", "1", "--json"])
        .code(0)
        .json_lines();
    let bob = rows.iter().find(|row| row["key"] == "2").unwrap();
    assert_eq!(bob["status"], "skipped");
    assert_eq!(bob["reason"], "policy: a minor: no email in news");
}

#[test]
fn one_that_fails_sends_nothing_to_whom_it_fails_for() {
    // Eve's age is empty: comparing it is an error.
    let workspace = workspace();
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(
        workspace.recipients(),
        ["ada@example.org", "dan@example.org"]
    );
    let rows = workspace
        .run(["report", "1", "--json"])
        .code(0)
        .json_lines();
    let eve = rows.iter().find(|row| row["key"] == "3").unwrap();
    let reason = eve["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("script_error: scripts/policy.rhai:4:"),
        "{reason}"
    );
}

#[test]
fn one_that_does_not_check_breaks_every_campaign() {
    let workspace = workspace().replace(
        "scripts/policy.rhai",
        "(r, campaign, channel)",
        "(r, campaign, channel, day)",
    );
    let found = workspace.run(["check", "--json"]).code(3).json_lines();
    assert_eq!(found[0]["file"], "scripts/policy.rhai");
    assert_eq!(
        (&found[0]["line"], &found[0]["column"]),
        (&3.into(), &4.into())
    );
    for id in ["a", "strike"] {
        let ran = workspace.run(["send", id, "--yes"]).code(3);
        assert!(
            ran.stderr.contains("scripts/policy.rhai:3:4"),
            "{}",
            ran.stderr
        );
    }
    assert!(workspace.outbox().is_empty());
}

#[test]
fn an_edited_policy_is_another_content_and_counts_from_the_next_run() {
    let workspace = workspace().replace("scripts/policy.rhai", "r.age < 18", "(r.age ?? 0) < 18");
    let daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.outbox().len(), 2);
    workspace.write(
        "scripts/policy.rhai",
        "fn never(r, campaign, channel) { if r.name == \"Ada\" { \"asked us not to\" } }",
    );
    wait_for("the new policy", || {
        let plan = workspace.run(["plan", "a", "--json"]).code(0);
        (plan.json()[0]["to_send"] == 3).then_some(())
    });
    workspace.write("scripts/policy.rhai", "fn never(r, campaign, channel) { ");
    wait_for("every campaign broken", || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        let campaigns = status["campaigns"].as_array().unwrap();
        campaigns
            .iter()
            .all(|one| one["state"] == "broken")
            .then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn one_that_is_new_holds_at_once() {
    let workspace = workspace();
    let policy = std::fs::read_to_string(workspace.path("scripts/policy.rhai")).unwrap();
    std::fs::remove_file(workspace.path("scripts/policy.rhai")).unwrap();
    let daemon = workspace.serve();
    let to_send = || workspace.run(["plan", "a", "--json"]).code(0).json()[0]["to_send"].clone();
    assert_eq!(to_send(), 4);
    workspace.write("scripts/policy.rhai", &policy);
    wait_for("the policy", || (to_send() == 2).then_some(()));
    std::fs::remove_file(workspace.path("scripts/policy.rhai")).unwrap();
    wait_for("nobody to be stopped", || (to_send() == 4).then_some(()));
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn one_that_is_edited_holds_for_what_goes_on_with_its_last_good_files() {
    let daily = format!("{EVERYBODY}\n[schedule]\nevery = \"1m\"\ntimezone = \"UTC\"\n");
    let workspace = workspace().campaign("b", &daily);
    let good = std::fs::read_to_string(workspace.path("campaigns/b.toml")).unwrap();
    workspace.write(
        "campaigns/b.toml",
        &format!("on_broken = \"last_good\"\n{good}"),
    );
    workspace.write(
        "scripts/policy.rhai",
        "fn never(r, campaign, channel) { \"closed\" }",
    );
    let daemon = workspace.serve();
    workspace.write("campaigns/b.toml", "topic = \"ne");
    let goes_on = |it_does: bool| {
        wait_for("the broken file", || {
            let campaign = workspace.campaign_status("b");
            let is_so = campaign["state"] == "broken" && campaign["next"].is_null() != it_does;
            is_so.then_some(())
        });
    };
    goes_on(true);
    // A policy that does not check holds it, one that does is in force for it.
    workspace.write("scripts/policy.rhai", "fn never(r, campaign) { }");
    goes_on(false);
    workspace.write(
        "scripts/policy.rhai",
        "fn never(r, campaign, channel) { if r.name != \"Ada\" { \"only her\" } }",
    );
    goes_on(true);
    wait_for("the next run", || {
        (workspace.recipients() == ["ada@example.org"]).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}
