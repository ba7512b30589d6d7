//! Limits that hold a run back or keep people from getting too much: an audience that changed, a cooldown over several campaigns, a
//! part that gets nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Workspace, soon, wait_for, workspace::campaign};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

/// The newest run of a campaign.
fn run(workspace: &Workspace, campaign: &str) -> Value {
    let status = workspace.run(["status", "--json"]).json();
    let runs = status["runs"].as_array().unwrap();
    let found = runs.iter().find(|run| run["campaign"] == campaign);
    found.cloned().unwrap_or_default()
}

/// The keys of a run's deliveries that were skipped for a reason.
fn skipped(workspace: &Workspace, run: &Value, reason: &str) -> BTreeSet<String> {
    let report = workspace.run(["report", &run["id"].to_string(), "--json"]);
    let rows = report.code(0).json_lines();
    rows.iter()
        .filter(|row| row["status"] == "skipped" && row["reason"] == reason)
        .map(|row| row["key"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn an_audience_that_changed_too_much_is_held_until_somebody_lets_it_go() {
    let workspace = Workspace::new().crowd(10).campaign(
        "a",
        &format!("{AUDIENCE}\nmax_change = \"30%\"\ncooldown = \"none\""),
    );
    // Nothing to compare with.
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    let workspace = workspace.crowd(13);
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);

    let workspace = workspace.crowd(18);
    let plan = workspace.run(["plan", "a"]).code(0);
    assert!(
        plan.stdout.contains(
            "changed_too_much: from 13 to send in run 2 (two) to 18, 38.5% more, more than max_change = \"30%\""
        ),
        "{}",
        plan.stdout
    );
    let plan = workspace.run(["plan", "a", "--json"]).json();
    assert_eq!(plan[0]["hold"], "changed_too_much");

    let held = workspace
        .run(["send", "a", "--yes", "--as", "three"])
        .code(5);
    assert!(
        held.stderr.contains("from 13 to send in run 2 (two) to 18"),
        "{}",
        held.stderr
    );
    let held = run(&workspace, "a");
    assert_eq!(
        (&held["state"], &held["reason"], &held["counts"]),
        (
            &json!("held"),
            &json!("changed_too_much"),
            &json!({"queued": 18})
        )
    );
    let advice = held["help"].as_str().unwrap();
    assert!(
        advice.contains("from 13 to send in run 2 (two) to 18")
            && advice.contains("campanile approve 3"),
        "{advice}"
    );
    assert_eq!(workspace.recipients().len(), 23);

    workspace.run(["resume", "3"]).code(0);
    assert_eq!(run(&workspace, "a")["counts"], json!({"sent": 18}));
    // What was let go is what the next one is compared with.
    workspace
        .run(["send", "a", "--yes", "--as", "four"])
        .code(0);
    assert_eq!(workspace.recipients().len(), 10 + 13 + 18 + 18);
}

#[test]
fn an_audience_that_shrank_is_held_and_a_run_that_never_began_is_nothing_to_compare_with() {
    let workspace = Workspace::new().crowd(10).campaign(
        "a",
        &format!("{AUDIENCE}\nmax_change = \"50%\"\ncooldown = \"none\""),
    );
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    let workspace = workspace.crowd(4);
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(5);
    workspace.run(["cancel", "2"]).code(0);
    let help = |workspace: &Workspace| run(workspace, "a")["help"].as_str().unwrap().to_owned();
    workspace
        .run(["send", "a", "--yes", "--as", "three"])
        .code(5);
    assert!(help(&workspace).contains("from 10 to send in run 1 (one) to 4, 60.0% fewer"));
}

#[test]
fn a_scheduled_run_of_the_daemon_is_held_too() {
    let workspace = Workspace::new().crowd(10).campaign(
        "a",
        &format!("{AUDIENCE}\nmax_change = \"30%\"\ncooldown = \"none\""),
    );
    workspace.run(["send", "a", "--yes"]).code(0);
    let workspace = workspace.crowd(20).campaign(
        "a",
        &format!(
            "{AUDIENCE}\nmax_change = \"30%\"\ncooldown = \"none\"\n{}",
            soon(3)
        ),
    );
    let _daemon = workspace.serve();
    let held = wait_for("the run", || {
        let run = run(&workspace, "a");
        (run["state"] == "held").then_some(run)
    });
    assert_eq!(held["reason"], "changed_too_much");
    assert_eq!(workspace.recipients().len(), 10);
    workspace.run(["resume", "2"]).code(0);
    wait_for("the rest", || {
        (workspace.recipients().len() == 30).then_some(())
    });
}

#[test]
fn campaigns_of_one_group_share_their_cooldown() {
    let grouped = |keys: &str, cooldown: &str| {
        format!("{AUDIENCE}\n{keys}\ncooldown = \"{cooldown}\"\ncooldown_group = \"reminders\"")
    };
    let workspace = Workspace::new()
        .crowd(6)
        .campaign("first", &grouped("keys = \"0, 1\"", "30d"))
        .campaign("second", &grouped("keys = \"1, 2\"", "30d"))
        .campaign("third", &grouped("", "30d"))
        .campaign("apart", &format!("{AUDIENCE}\ncooldown = \"30d\""))
        .campaign("urgent", &grouped("keys = \"0\"", "none"));
    workspace.run(["send", "first", "--yes"]).code(0);
    workspace.run(["send", "second", "--yes"]).code(0);
    let second = run(&workspace, "second");
    assert_eq!(
        skipped(&workspace, &second, "cooldown"),
        ["1".to_owned()].into()
    );

    // One of the group goes away: what it sent still counts, by what the store noted.
    std::fs::remove_file(workspace.path("campaigns/first.toml")).unwrap();
    let plan = workspace.run(["plan", "third", "--json"]).json();
    assert_eq!(plan[0]["skipped"], json!({"cooldown": 3}));
    workspace.run(["send", "third", "--yes"]).code(0);
    let third = run(&workspace, "third");
    let rested = ["0", "1", "2"].map(str::to_owned);
    assert_eq!(skipped(&workspace, &third, "cooldown"), rested.into());

    // Neither a stranger to the group nor a member without a cooldown of its own waits.
    let plan = workspace.run(["plan", "apart", "urgent", "--json"]).json();
    assert_eq!(
        (&plan[0]["to_send"], &plan[1]["to_send"]),
        (&json!(6), &json!(1))
    );
}

#[test]
fn of_two_campaigns_of_a_group_that_are_due_at_one_moment_everybody_gets_one() {
    let at = soon(4);
    let reminder = format!("{AUDIENCE}\ncooldown = \"1d\"\ncooldown_group = \"reminders\"\n{at}");
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"100/s\"\n")
        .crowd(150)
        .campaign("a", &reminder)
        .campaign("b", &reminder);
    let _daemon = workspace.serve();
    let finished = |campaign: &str| run(&workspace, campaign)["state"] == "finished";
    wait_for("both", || (finished("a") && finished("b")).then_some(()));
    let mut got = workspace.recipients();
    assert_eq!(got.len(), 150);
    got.dedup();
    assert_eq!(got.len(), 150);
}

#[test]
fn a_group_without_a_cooldown_is_warned_of() {
    let workspace = Workspace::new()
        .crowd(1)
        .campaign("a", &format!("{AUDIENCE}\ncooldown_group = \"reminders\""));
    let check = workspace.run(["check"]).code(0);
    assert!(
        check.stderr.contains("warning[no-cooldown]") && check.stderr.contains("a.toml:6:1"),
        "{}",
        check.stderr
    );
}

#[test]
fn the_holdout_is_always_the_same_people_and_stands_in_plan_and_report() {
    let workspace = Workspace::new()
        .crowd(200)
        .campaign("a", &format!("{AUDIENCE}\nholdout = \"10%\""))
        .campaign("b", &format!("{AUDIENCE}\nholdout = \"10%\""));
    let plan = workspace.run(["plan", "a", "--json"]).json();
    let held_out = plan[0]["skipped"]["holdout"].as_u64().unwrap();
    assert!((5..=40).contains(&held_out), "{held_out} of 200");

    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    let one = run(&workspace, "a");
    assert_eq!(one["skipped"], json!({"holdout": held_out}));
    assert_eq!(
        one["counts"],
        json!({"sent": 200 - held_out, "skipped": held_out})
    );
    let first = skipped(&workspace, &one, "holdout");
    assert_eq!(first.len() as u64, held_out);
    let got = workspace.recipients();
    for key in &first {
        assert!(!got.contains(&format!("p{key}@example.org")), "{key}");
    }

    // Another occurrence, with other people around them: the same ones are left out.
    let workspace = workspace.crowd(300);
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);
    let second = skipped(&workspace, &run(&workspace, "a"), "holdout");
    assert!(second.is_superset(&first) && second.len() > first.len());
    // Another campaign leaves out others.
    workspace.run(["send", "b", "--yes"]).code(0);
    assert_ne!(
        skipped(&workspace, &run(&workspace, "b"), "holdout"),
        second
    );
}

fn send(workspace: &Workspace, campaign: &str) -> Value {
    workspace.run(["send", campaign, "--yes"]);
    run(workspace, campaign)
}

/// A campaign in the topic `billing`.
fn bill() -> String {
    campaign(&format!("{AUDIENCE}\ncooldown = \"none\"")).replace("\"news\"", "\"billing\"")
}

#[test]
fn nobody_gets_more_marketing_than_the_cap_over_all_campaigns() {
    let each = format!("{AUDIENCE}\ncooldown = \"none\"");
    let workspace = Workspace::new()
        .more_settings("[limits]\nfrequency_cap = \"2/7d\"\n")
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .campaign("a", &each)
        .campaign("b", &format!("{each}\nkeys = \"1\""))
        .campaign("c", &each)
        .file("campaigns/bill.toml", &bill());
    assert_eq!(send(&workspace, "bill")["counts"], json!({"sent": 2}));
    assert_eq!(send(&workspace, "a")["counts"], json!({"sent": 2}));
    assert_eq!(send(&workspace, "b")["counts"], json!({"sent": 1}));

    // The address counts too, under whatever key it comes back.
    let workspace = workspace.people(&[
        "1,ada@example.org,Ada,36",
        "2,bob@example.org,Bob,40",
        "3,Ada@example.org,Ada again,36",
        "1,eve@example.org,Ada moved,36",
    ]);
    let plan = workspace.run(["plan", "c", "--json"]).json();
    assert_eq!(
        plan[0]["skipped"],
        json!({"frequency_cap": 2, "duplicate_key": 1})
    );
    let c = send(&workspace, "c");
    assert_eq!(
        c["skipped"],
        json!({"frequency_cap": 2, "duplicate_key": 1})
    );
    assert_eq!(
        skipped(&workspace, &c, "frequency_cap"),
        ["1".to_owned(), "3".to_owned()].into()
    );
    // Neither counts what is transactional, nor is it stopped.
    workspace
        .run(["send", "bill", "--yes", "--as", "again"])
        .code(0);
    assert_eq!(run(&workspace, "bill")["counts"]["sent"], 2);
    let why = workspace.run(["preview", "c", "--recipient", "1"]).code(0);
    let said = why.stdout + why.stderr.as_str();
    assert!(said.contains("frequency_cap"), "{said}");
}

#[test]
fn who_gets_something_else_while_a_run_is_sent_is_stopped_at_the_last_moment() {
    let each = format!("{AUDIENCE}\ncooldown = \"none\"");
    let workspace = Workspace::new()
        .settings(
            "[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"40/s\"\n\
             [transports.second]\nkind = \"outbox\"\npath = \"outbox2\"\n",
        )
        .more_settings("[limits]\nfrequency_cap = \"1/7d\"\n")
        .crowd(1_500)
        .campaign("slow", &each);
    let _daemon = workspace.serve();
    let mut sending = workspace
        .command(["send", "slow", "--yes"])
        .spawn()
        .unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 10).then_some(())
    });
    // Due in a moment: of those who had `slow` by then, its plan knows.
    let second = campaign(&format!("{each}\n{}", soon(10)));
    workspace.write(
        "campaigns/quick.toml",
        &second.replace("via = \"main\"", "via = \"second\""),
    );
    let quick = wait_for("the quick one", || {
        let run = run(&workspace, "quick");
        (run["state"] == "finished").then_some(run)
    });
    let _ = sending.wait();
    let slow = run(&workspace, "slow");
    assert_eq!(slow["state"], "finished");
    let sent = |run: &Value| run["counts"]["sent"].as_u64().unwrap();
    assert!(sent(&slow) >= 10 && sent(&quick) >= 1, "{slow} {quick}");
    assert_eq!(sent(&slow) + sent(&quick), 1_500, "{slow} {quick}");
    assert_eq!(
        slow["skipped"],
        json!({"frequency_cap": sent(&quick)}),
        "{slow}"
    );
}
