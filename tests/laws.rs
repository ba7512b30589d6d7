//! The laws of files that come, go, break and are renamed: each is tried to be broken, on real files, with the real program.

use serde_json::json;

use crate::support::{Workspace, soon, wait_for, workspace::campaign};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";
const SLOW: &str = "[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"20/s\"\n";

/// A campaign that goes out every minute, to everybody each time.
const EVERY_MINUTE: &str = "[audience]\nsource = \"people\"\ncooldown = \"none\"\n[schedule]\nevery = \"1m\"\ntimezone = \"UTC\"";

fn rename(workspace: &Workspace, from: &str, to: &str) {
    let path = |id: &str| workspace.path(&format!("campaigns/{id}.toml"));
    std::fs::rename(path(from), path(to)).unwrap();
}

fn edit(workspace: &Workspace, id: &str, change: impl FnOnce(String) -> String) {
    let path = format!("campaigns/{id}.toml");
    let text = std::fs::read_to_string(workspace.path(&path)).unwrap();
    workspace.write(&path, &change(text));
}

fn is_there(workspace: &Workspace, id: &str) {
    wait_for(&format!("{id} to be seen"), || {
        let state = &workspace.campaign_status(id)["state"];
        (!state.is_null() && state != "removed").then_some(())
    });
}

fn git(workspace: &Workspace, arguments: &[&str]) {
    let git = std::process::Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@acme.example"])
        .args(arguments)
        .current_dir(workspace.folder())
        .output()
        .unwrap();
    assert!(git.status.success(), "{git:?}");
}

// ---- law 1: nobody gets the same occurrence twice ----

#[test]
fn a_campaign_renamed_back_and_forth_sends_each_minute_once() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("old", EVERY_MINUTE);
    let _daemon = workspace.serve();
    wait_for("the first minute", || {
        (workspace.recipients().len() == 1).then_some(())
    });
    // There, with its history …
    rename(&workspace, "old", "new");
    edit(&workspace, "new", |text| format!("was = [\"old\"]\n{text}"));
    is_there(&workspace, "new");
    wait_for("the second minute", || {
        (workspace.recipients().len() == 2).then_some(())
    });
    assert_eq!(
        workspace.campaign_status("old"),
        json!(null),
        "it goes on under another name"
    );
    // … and back, as a revert does, without a word about it.
    rename(&workspace, "new", "old");
    edit(&workspace, "old", |text| {
        text.replace("was = [\"old\"]\n", "")
    });
    is_there(&workspace, "old");
    wait_for("the third minute", || {
        let done =
            workspace.recipients().len() == 3 && workspace.run_of("old")["state"] == "finished";
        done.then_some(())
    });
    let status = workspace.status();
    let runs = status["runs"].as_array().unwrap();
    let mut minutes: Vec<_> = runs
        .iter()
        .map(|run| run["occurrence"].to_string())
        .collect();
    assert_eq!(minutes.len(), 3, "{status}");
    minutes.sort();
    minutes.dedup();
    assert_eq!(minutes.len(), 3, "{status}");
    assert!(
        runs.iter().all(|run| run["state"] == "finished"),
        "{status}"
    );
}

#[test]
fn what_was_sent_under_another_id_counts_for_cooldown_labels_and_scripts() {
    let workspace = Workspace::new().crowd(4).campaign(
        "old",
        &format!("{AUDIENCE}\nkeys = \"0 1\"\ncooldown = \"30d\""),
    );
    workspace
        .run(["send", "old", "--yes", "--as", "spring"])
        .code(0);
    rename(&workspace, "old", "new");
    edit(&workspace, "new", |text| {
        format!("was = [\"old\"]\n{text}").replace(
            "keys = \"0 1\"",
            "where = 'last_sent(r) == () || sent_count(r, \"1d\") == 1'",
        )
    });
    // The plan that is only looked at knows it too.
    let plan = workspace.run(["plan", "new", "--json"]).code(0).json();
    assert_eq!(plan[0]["skipped"], json!({"cooldown": 2}));
    let again = workspace
        .run(["send", "new", "--yes", "--as", "spring"])
        .code(5);
    assert!(again.stderr.contains("already"), "{}", again.stderr);
    workspace
        .run(["send", "new", "--yes", "--as", "summer"])
        .code(0);
    let mut all = workspace.recipients();
    all.dedup();
    assert_eq!(all.len(), 4);
    // Nor does a revert forget what was sent under the new one.
    rename(&workspace, "new", "old");
    edit(&workspace, "old", |text| {
        text.replace("was = [\"old\"]\n", "")
    });
    workspace
        .run(["send", "old", "--yes", "--as", "summer"])
        .code(5);
    let plan = workspace.run(["plan", "old", "--json"]).code(0).json();
    assert_eq!(plan[0]["to_send"], 0);
    assert_eq!(plan[0]["skipped"], json!({"cooldown": 4}));
}

#[test]
fn a_run_goes_on_under_the_new_name() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(100)
        .campaign("old", AUDIENCE);
    let _daemon = workspace.serve();
    let mut sending = workspace.command(["send", "old", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 5).then_some(())
    });
    rename(&workspace, "old", "new");
    edit(&workspace, "new", |text| format!("was = [\"old\"]\n{text}"));
    is_there(&workspace, "new");
    wait_for("everybody", || {
        (workspace.run_of("old")["state"] == "finished").then_some(())
    });
    let _ = sending.wait();
    let mut all = workspace.recipients();
    all.dedup();
    assert_eq!(all.len(), 100);
}

#[test]
fn a_campaign_cannot_be_what_another_still_is() {
    let workspace = Workspace::new()
        .crowd(1)
        .campaign("a", AUDIENCE)
        .file(
            "campaigns/b.toml",
            &format!("was = [\"a\"]\n{}", campaign(AUDIENCE)),
        )
        .file(
            "campaigns/c.toml",
            &format!("was = [\"z\", \"c\"]\n{}", campaign(AUDIENCE)),
        )
        .file(
            "campaigns/d.toml",
            &format!("was = [\"z\"]\n{}", campaign(AUDIENCE)),
        );
    let found = workspace.run(["check", "--json"]).code(3).json_lines();
    let found: Vec<_> = found
        .iter()
        .map(|one| {
            format!(
                "{}:{}:{} {}",
                one["file"], one["line"], one["column"], one["message"]
            )
        })
        .map(|line| line.replace('"', ""))
        .collect();
    assert_eq!(
        found,
        [
            "campaigns/b.toml:1:7 `was` names `a`, which is a campaign of its own",
            "campaigns/c.toml:1:7 `was` names `z`, and so does `d`",
            "campaigns/c.toml:1:13 `c` is its id now",
            "campaigns/d.toml:1:7 `was` names `z`, and so does `c`",
        ]
    );
}

#[test]
fn a_suspected_rename_is_held_and_ends_with_was_with_id_and_with_an_approval() {
    for how in ["was", "id", "approve", "resume"] {
        let workspace = Workspace::new().crowd(2).campaign("old", AUDIENCE);
        let _daemon = workspace.serve();
        workspace.run(["send", "old", "--yes"]).code(0);
        rename(&workspace, "old", "new");
        edit(&workspace, "new", |text| {
            text.replace("\n[email]", &format!("\n{}\n[email]", soon(6)))
        });
        let held = workspace.wait_held("new", "suspected_rename");
        assert!(held["help"].as_str().unwrap().contains("was = ["), "{held}");
        assert_eq!(workspace.recipients().len(), 2);
        match how {
            "was" => {
                // It is the same campaign, whose people rest from it: nobody is left, and that is an alarm.
                edit(&workspace, "new", |text| format!("was = [\"old\"]\n{text}"));
                let held = workspace.wait_held("new", "too_few");
                assert_eq!(held["skipped"], json!({"cooldown": 2}));
                assert_eq!(workspace.recipients().len(), 2);
            }
            "id" => {
                edit(&workspace, "new", |text| format!("id = \"old\"\n{text}"));
                is_there(&workspace, "old");
                wait_for("the new id to be gone", || {
                    (workspace.campaign_status("new")["state"] == "removed").then_some(())
                });
                assert_eq!(workspace.run_of("new")["state"], "held");
                assert_eq!(workspace.recipients().len(), 2);
            }
            verb => {
                // It is another one.
                workspace.run([verb, "2"]).code(0);
                workspace.wait_state("new", "finished");
                assert_eq!(workspace.recipients().len(), 4);
            }
        }
    }
}

#[test]
fn a_source_that_cannot_be_read_hides_no_suspected_rename() {
    let workspace = Workspace::new().crowd(2).campaign("old", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.run(["send", "old", "--yes"]).code(0);
    std::fs::rename(workspace.path("people.csv"), workspace.path("away.csv")).unwrap();
    rename(&workspace, "old", "new");
    edit(&workspace, "new", |text| {
        text.replace("\n[email]", &format!("\n{}\n[email]", soon(6)))
    });
    workspace.wait_held("new", "source_error");
    workspace.run(["approve", "2"]).code(5);
    std::fs::rename(workspace.path("away.csv"), workspace.path("people.csv")).unwrap();
    workspace.run(["resume", "2"]).code(5);
    let held = workspace.wait_held("new", "suspected_rename");
    assert_eq!(held["id"], 2);
    assert_eq!(workspace.recipients().len(), 2);
}

#[test]
fn behind_one_hold_the_limit_nobody_saw_holds_next() {
    let workspace = Workspace::new().crowd(3).campaign(
        "a",
        &format!("{AUDIENCE}\nmax_recipients = 2\n[schedule]\nat = \"now\""),
    );
    let _daemon = workspace.serve();
    workspace.wait_held("a", "fresh_store");
    let refused = workspace.run(["resume", "1"]).code(5);
    assert!(
        refused.stderr.contains("max_recipients"),
        "{}",
        refused.stderr
    );
    assert_eq!(workspace.run_of("a")["reason"], "too_many");
    assert_eq!(workspace.recipients(), [""; 0]);
    workspace.run(["resume", "1"]).code(0);
    workspace.wait_state("a", "finished");
    assert_eq!(workspace.recipients().len(), 3);
}

#[test]
fn a_broken_file_keeps_its_id_after_a_restart() {
    let good = format!("id = \"billing\"\n{}", campaign(AUDIENCE));
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(60)
        .file("campaigns/a.toml", &good);
    let daemon = workspace.serve();
    let mut sending = workspace
        .command(["send", "billing", "--yes"])
        .spawn()
        .unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 3).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
    let _ = sending.wait();
    workspace.write("campaigns/a.toml", "id = \"bill");
    let _daemon = workspace.serve();
    // Not another campaign, and not a removed one.
    assert_eq!(workspace.wait_held("billing", "broken")["id"], 1);
    assert_eq!(workspace.campaign_status("billing")["state"], "broken");
    assert_eq!(workspace.campaign_status("a"), json!(null));
    workspace.write("campaigns/a.toml", &good);
    workspace.wait_state("billing", "finished");
    assert_eq!(workspace.recipients().len(), 60);
}

// ---- law 5: in doubt, hold; or go on with the last good files ----

#[test]
fn who_says_last_good_goes_on_with_it_also_after_a_restart() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", EVERY_MINUTE);
    edit(&workspace, "a", |text| {
        format!("on_broken = \"last_good\"\n{text}")
    });
    let daemon = workspace.serve();
    workspace.write("campaigns/a.toml", "topic = \"ne");
    wait_for("the broken file", || {
        let campaign = workspace.campaign_status("a");
        (campaign["state"] == "broken" && !campaign["next"].is_null()).then_some(())
    });
    wait_for("the next run", || {
        (workspace.recipients().len() == 1).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
    let daemon = workspace.serve();
    wait_for("the run after the restart", || {
        (workspace.recipients().len() == 2).then_some(())
    });
    let mails = workspace.outbox();
    assert!(
        mails
            .iter()
            .all(|mail| mail.header("Subject").as_deref() == Some("Hello Ada"))
    );
    assert!(
        daemon
            .log()
            .contains("it goes on with the last ones that did")
    );
    // A person sees that it is broken, and does not send by hand what nobody can read.
    workspace.run(["send", "a", "--yes"]).code(3);
    workspace.run(["check"]).code(3);
}

// ---- law 6: taking a campaign away stops it ----

#[test]
fn how_long_a_file_may_be_away_is_what_it_last_said() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(200)
        .campaign("a", AUDIENCE)
        .campaign("b", AUDIENCE);
    edit(&workspace, "a", |text| {
        format!("removal_grace = \"2s\"\n{text}")
    });
    edit(&workspace, "b", |text| {
        format!("removal_grace = \"1h\"\n{text}")
    });
    let daemon = workspace.serve();
    let mut clients: Vec<_> = ["a", "b"]
        .iter()
        .map(|id| workspace.command(["send", id, "--yes"]).spawn().unwrap())
        .collect();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 5).then_some(())
    });
    for id in ["a", "b"] {
        std::fs::remove_file(workspace.path(&format!("campaigns/{id}.toml"))).unwrap();
    }
    workspace.wait_state("a", "cancelled");
    assert_eq!(workspace.run_of("a")["reason"], "removed");
    let waiting = workspace.wait_held("b", "removed");
    assert!(
        waiting["help"].as_str().unwrap().contains("removal_grace"),
        "{waiting}"
    );
    // A restart remembers what no file says any more.
    assert_eq!(daemon.terminate(), Some(0));
    for client in &mut clients {
        let _ = client.wait();
    }
    let _daemon = workspace.serve();
    assert_eq!(workspace.wait_held("b", "removed")["id"], waiting["id"]);
}

#[test]
fn many_files_that_vanish_at_once_cancel_nothing_and_do_not_count_later() {
    let mut workspace = Workspace::new().settings(SLOW).crowd(300);
    for n in 0..6 {
        workspace = workspace.campaign(&format!("c{n}"), AUDIENCE);
        edit(&workspace, &format!("c{n}"), |text| {
            format!("removal_grace = \"1s\"\n{text}")
        });
    }
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "c0", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 3).then_some(())
    });
    let kept = std::fs::read_to_string(workspace.path("campaigns/c0.toml")).unwrap();
    for n in 0..3 {
        std::fs::remove_file(workspace.path(&format!("campaigns/c{n}.toml"))).unwrap();
    }
    workspace.wait_held("c0", "removed");
    wait_for("the alarm", || {
        daemon
            .log()
            .contains("looks like an unmounted disk")
            .then_some(())
    });
    // One that goes later, by itself, is removed: the three that vanished before are not counted with it.
    let mut other = workspace.command(["send", "c3", "--yes"]).spawn().unwrap();
    wait_for("its run", || {
        (workspace.run_of("c3")["state"] == "sending").then_some(())
    });
    std::fs::remove_file(workspace.path("campaigns/c3.toml")).unwrap();
    workspace.wait_state("c3", "cancelled");
    assert_eq!(
        workspace.run_of("c0")["state"],
        "held",
        "it waits for a person"
    );
    workspace.write("campaigns/c0.toml", &kept);
    wait_for("it to go on", || {
        (workspace.run_of("c0")["state"] == "sending").then_some(())
    });
    workspace.run(["cancel", "1"]).code(0);
    let _ = (sending.wait(), other.wait());
}

// ---- law 8: late is not now ----

#[test]
fn on_a_fresh_store_what_was_due_just_before_is_held() {
    let workspace = Workspace::new()
        .crowd(2)
        .campaign("just", &format!("{AUDIENCE}\n{}", soon(-5)))
        .campaign("long", &format!("{AUDIENCE}\n{}", soon(-7_200)))
        .campaign(
            "send",
            &format!("{AUDIENCE}\n{}\nmissed = \"send\"", soon(-7_200)),
        );
    let _daemon = workspace.serve();
    for id in ["just", "send"] {
        let held = workspace.wait_held(id, "fresh_store");
        assert_eq!(held["totals"]["to_send"], 2);
    }
    assert_eq!(workspace.run_of("long"), json!(null));
    let warning = workspace.campaign_status("long")["warning"].clone();
    assert!(
        warning.as_str().unwrap().contains("has passed"),
        "{warning}"
    );
    assert_eq!(workspace.recipients(), [""; 0]);
    // With a store that has been there, it is simply too early for what is new.
    workspace.write(
        "campaigns/new.toml",
        &campaign(&format!("{AUDIENCE}\n{}", soon(-5))).replace("news", "billing"),
    );
    is_there(&workspace, "new");
    let run = workspace.run_of("just")["id"].to_string();
    workspace.run(["resume", &run]).code(0);
    workspace.wait_state("just", "finished");
    assert_eq!(workspace.run_of("new"), json!(null));
}

#[test]
fn a_store_nobody_wrote_for_longer_than_the_grace_holds_what_was_open() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(200)
        .campaign("a", &format!("{AUDIENCE}\n{}\ngrace = \"1s\"", soon(6)))
        .campaign("b", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "b", "--yes"]).spawn().unwrap();
    wait_for("both to send", || {
        let sends = |id: &str| workspace.run_of(id)["counts"]["sent"].as_u64() >= Some(3);
        (sends("a") && sends("b")).then_some(())
    });
    daemon.kill();
    let _ = sending.wait();
    // As if it had been copied away then and brought back now: `a` allows a second, `b` has no schedule and so the hour.
    let asleep = std::time::Instant::now();
    wait_for("the grace of a to be over", || {
        (asleep.elapsed() > std::time::Duration::from_millis(7_500)).then_some(())
    });
    let _daemon = workspace.serve();
    let held = workspace.wait_held("a", "stale_ledger");
    assert!(held["help"].as_str().unwrap().contains("backup"), "{held}");
    let before = workspace.run_of("a")["counts"]["sent"].clone();
    workspace.wait_state("b", "finished");
    assert_eq!(workspace.run_of("a")["counts"]["sent"], before);
    let id = held["id"].to_string();
    workspace.run(["resume", &id]).code(0);
    workspace.wait_state("a", "finished");
}

#[test]
fn a_delivery_that_is_too_old_expires() {
    // Nobody listens there: when the transport is tried again, it is too late.
    let workspace = Workspace::new()
        .settings(&format!(
            "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
            crate::support::free_port()
        ))
        .crowd(3)
        .campaign("a", &format!("{AUDIENCE}\n[pace]\nexpires_after = \"3s\""));
    let _daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    let run = workspace.wait_state("a", "finished");
    assert_eq!(run["counts"], json!({"expired": 3}));
    assert_eq!(sending.wait().unwrap().code(), Some(6));
    let deliveries = workspace
        .run(["deliveries", "--status", "expired", "--json"])
        .json_lines();
    assert!(
        deliveries[0]["reason"]
            .as_str()
            .unwrap()
            .contains("expires_after"),
        "{deliveries:?}"
    );
    // Its content is gone with it.
    workspace.run(["retry", "1"]).code(5);
}

// ---- what else was never tried ----

#[test]
fn settings_that_need_a_restart_say_so_and_do_not_count_before() {
    let workspace = Workspace::new().crowd(1).campaign("a", AUDIENCE);
    let daemon = workspace.serve();
    let settings = std::fs::read_to_string(workspace.path("campanile.toml")).unwrap();
    let port = format!("listen = \"127.0.0.1:{}\"", workspace.web_port);
    let changed = settings.replace(
        &port,
        &format!("listen = \"127.0.0.1:{}\"", crate::support::free_port()),
    );
    workspace.write(
        "campanile.toml",
        &format!("[store]\npath = \"other.db\"\nmax_in_doubt = 7\n{changed}"),
    );
    wait_for("the warnings", || {
        let log = daemon.log();
        let all = ["[store] path", "[store] max_in_doubt", "[web] listen"];
        all.iter()
            .all(|key| {
                log.lines()
                    .any(|line| line.contains("next start") && line.contains(key))
            })
            .then_some(())
    });
    assert!(!daemon.log().contains("[web] admin_listen"));
    assert!(!workspace.path("other.db").exists());
}

#[test]
fn a_vanished_workspace_is_not_blamed_on_its_settings() {
    let workspace = Workspace::new().crowd(1).campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    std::fs::rename(workspace.path("campaigns"), workspace.path("elsewhere")).unwrap();
    let answer = wait_for("it to be unready", || {
        crate::support::daemon::get(workspace.admin_port, "/readyz")
            .filter(|answer| answer.starts_with("HTTP/1.1 503"))
    });
    assert!(answer.contains("files are gone"), "{answer}");
    std::fs::rename(workspace.path("elsewhere"), workspace.path("campaigns")).unwrap();
    wait_for("it to be ready again", || {
        crate::support::daemon::get(workspace.admin_port, "/readyz")
            .filter(|answer| answer.starts_with("HTTP/1.1 200"))
    });
}

#[test]
fn links_are_signed_with_the_secret_in_force_also_in_the_middle_of_a_run() {
    let secrets = |list: &str| format!("secrets = [{list}]\nadmin_listen");
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(400)
        .file("one.txt", "the first secret, long enough")
        .file("two.txt", "another secret, long enough")
        .replace(
            "campanile.toml",
            "admin_listen",
            &secrets("{ file = \"one.txt\" }"),
        )
        .campaign("a", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 5).then_some(())
    });
    let old = workspace.outbox();
    // Rotated: the new one in front, the old one kept. A few hundred messages are made ahead: there are more than that.
    let both = secrets("{ file = \"two.txt\" }, { file = \"one.txt\" }");
    let workspace = workspace.replace("campanile.toml", &secrets("{ file = \"one.txt\" }"), &both);
    wait_for("the new secret to be in force", || {
        daemon.log().contains("loaded").then_some(())
    });
    assert_eq!(
        workspace.run_of("a")["state"],
        "sending",
        "in the middle of it"
    );
    workspace.wait_state("a", "finished");
    let _ = sending.wait();
    let all = workspace.outbox();
    assert_eq!(all.len(), 400);
    let link = |mail: &crate::support::Mail| {
        let header = mail.header("List-Unsubscribe").unwrap();
        header.trim_matches(['<', '>']).to_owned()
    };
    for mail in old.iter().take(1).chain(all.iter().step_by(29)) {
        let url = link(mail);
        let path = &url[url.find("/u/").unwrap()..];
        let answer = crate::support::daemon::get(workspace.web_port, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // Without the old one, what it signed is no link any more, and what the new one signed is.
    let workspace = workspace.replace("campanile.toml", &both, &secrets("{ file = \"two.txt\" }"));
    let works = |mail: &crate::support::Mail| {
        let url = link(mail);
        let path = &url[url.find("/u/").unwrap()..];
        crate::support::daemon::get(workspace.web_port, path)
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    };
    wait_for("the old secret to be out of force", || {
        (!works(&old[0])).then_some(())
    });
    assert!(
        all.iter().any(works),
        "what was made after the rotation is signed with the new secret"
    );
}

#[test]
fn a_checkout_half_way_through_renames_nothing() {
    let workspace = Workspace::new().crowd(2).campaign("a", AUDIENCE);
    git(&workspace, &["init", "-q"]);
    git(&workspace, &["add", "-A"]);
    git(&workspace, &["commit", "-qm", "one"]);
    rename(&workspace, "a", "b");
    edit(&workspace, "b", |text| format!("was = [\"a\"]\n{text}"));
    git(&workspace, &["add", "-A"]);
    git(&workspace, &["commit", "-qm", "two"]);
    let _daemon = workspace.serve();
    workspace.run(["send", "b", "--yes", "--as", "x"]).code(0);
    git(&workspace, &["checkout", "-q", "HEAD~1"]);
    is_there(&workspace, "a");
    workspace.run(["send", "a", "--yes", "--as", "x"]).code(5);
    git(&workspace, &["checkout", "-q", "-"]);
    is_there(&workspace, "b");
    workspace.run(["send", "b", "--yes", "--as", "x"]).code(5);
    assert_eq!(workspace.recipients().len(), 2);
}
