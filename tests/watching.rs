//! How files change in real life: editors, deployments, version control, mounts that come and go. Each is done for real on disk,
//! to a running daemon; what counts is that the end is taken into force, and nothing in between does harm.

use std::{fs, os::unix::fs::symlink, process::Command, time::Duration};

use crate::support::{Daemon, Workspace, wait_for, workspace::campaign};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";
const SLOW: &str = "[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"20/s\"\n";

/// The campaign with a name that tells one version from another.
fn version(name: &str) -> String {
    format!("name = \"{name}\"\n{}", campaign(AUDIENCE))
}

fn name_of(workspace: &Workspace, id: &str) -> String {
    workspace.campaign_status(id)["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn wait_name(workspace: &Workspace, id: &str, name: &str) {
    wait_for(&format!("{id} to be {name}"), || {
        (name_of(workspace, id) == name).then_some(())
    });
}

/// Nothing was ever wrong with any campaign.
fn nothing_broke(daemon: &Daemon) {
    let log = daemon.log();
    for word in ["error[", "does not check", "is gone", "vanished"] {
        assert!(!log.contains(word), "{word}:\n{log}");
    }
}

#[test]
fn editors_save_in_their_ways() {
    let workspace = Workspace::new()
        .crowd(1)
        .file("campaigns/a.toml", &version("zero"));
    let daemon = workspace.serve();
    let file = workspace.path("campaigns/a.toml");
    let beside = |name: &str| workspace.path(&format!("campaigns/{name}"));

    // vim with backup: the old file is moved away, the new one written under its name, the backup deleted.
    fs::write(beside(".a.toml.swp"), "b0VIM").unwrap();
    fs::rename(&file, beside("a.toml~")).unwrap();
    fs::write(&file, version("vim")).unwrap();
    fs::remove_file(beside("a.toml~")).unwrap();
    fs::remove_file(beside(".a.toml.swp")).unwrap();
    wait_name(&workspace, "a", "vim");

    // vim's test whether it may write here.
    fs::write(beside("4913"), "").unwrap();
    fs::remove_file(beside("4913")).unwrap();

    // Visual Studio Code: truncated and written in place.
    let mut open = fs::File::options()
        .write(true)
        .truncate(true)
        .open(&file)
        .unwrap();
    std::io::Write::write_all(&mut open, version("code").as_bytes()).unwrap();
    drop(open);
    wait_name(&workspace, "a", "code");

    // Emacs, JetBrains, Python tools: a temporary file beside it, renamed over it.
    fs::write(beside("#a.toml#"), "half").unwrap();
    fs::write(beside("a.toml.tmp123"), version("renamed over")).unwrap();
    fs::rename(beside("a.toml.tmp123"), &file).unwrap();
    fs::remove_file(beside("#a.toml#")).unwrap();
    wait_name(&workspace, "a", "renamed over");

    // sed -i, the real one.
    let sed = Command::new("sed")
        .args(["-i", "s/renamed over/sed/"])
        .arg(&file)
        .status();
    assert!(sed.unwrap().success());
    wait_name(&workspace, "a", "sed");

    // The same content again, and a touch, are no edits.
    let loads = || daemon.log().matches("loaded").count();
    let before = loads();
    fs::write(&file, version("sed")).unwrap();
    let touch = Command::new("touch").arg(&file).status();
    assert!(touch.unwrap().success());
    fs::write(workspace.path("campaigns/b.toml"), version("the neighbour")).unwrap();
    wait_name(&workspace, "b", "the neighbour");
    assert_eq!(loads(), before + 1);
    nothing_broke(&daemon);
}

#[test]
fn a_file_that_is_written_in_pieces_counts_when_it_is_whole() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(200)
        .file("campaigns/a.toml", &version("zero"));
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 3).then_some(())
    });
    let text = version("whole");
    let mut open = fs::File::options()
        .write(true)
        .truncate(true)
        .open(workspace.path("campaigns/a.toml"))
        .unwrap();
    for piece in text.as_bytes().chunks(24) {
        std::io::Write::write_all(&mut open, piece).unwrap();
        // This is how it is written, not something that is waited for.
        std::thread::sleep(Duration::from_millis(30));
    }
    drop(open);
    wait_name(&workspace, "a", "whole");
    nothing_broke(&daemon);
    assert_eq!(
        workspace.run_of("a")["state"],
        "sending",
        "its run never noticed"
    );
    workspace.run(["cancel", "1"]).code(0);
    let _ = sending.wait();
}

#[test]
fn kubernetes_swaps_a_link() {
    let workspace = Workspace::new().crowd(1);
    let volume = |version: &str| workspace.path(&format!("campaigns/..{version}"));
    let write = |at: &str, name: &str| {
        fs::create_dir_all(volume(at)).unwrap();
        for id in ["a", "b"] {
            fs::write(
                volume(at).join(format!("{id}.toml")),
                version(&format!("{name} {id}")),
            )
            .unwrap();
        }
    };
    write("2026_11_01", "one");
    symlink("..2026_11_01", volume("data")).unwrap();
    for id in ["a", "b"] {
        symlink(
            format!("..data/{id}.toml"),
            workspace.path(&format!("campaigns/{id}.toml")),
        )
        .unwrap();
    }
    let daemon = workspace.serve();
    wait_name(&workspace, "a", "one a");
    for (n, name) in ["two", "three"].iter().enumerate() {
        let at = format!("2026_11_0{}", n + 2);
        write(&at, name);
        symlink(format!("..{at}"), volume("data_tmp")).unwrap();
        fs::rename(volume("data_tmp"), volume("data")).unwrap();
        fs::remove_dir_all(volume(&format!("2026_11_0{}", n + 1))).unwrap();
        wait_name(&workspace, "a", &format!("{name} a"));
        wait_name(&workspace, "b", &format!("{name} b"));
    }
    nothing_broke(&daemon);
}

#[test]
fn git_checks_out_five_hundred_files() {
    let workspace = Workspace::new().crowd(1);
    let git = |arguments: &[&str]| {
        let git = Command::new("git")
            .args([
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=ada@acme.example",
                "-c",
                "core.fsync=none",
            ])
            .args(arguments)
            .current_dir(workspace.folder())
            .output()
            .unwrap();
        assert!(git.status.success(), "{git:?}");
    };
    let write = |round: &str| {
        for n in 0..500 {
            // A campaign and its body: half of the files alone would be another mail.
            let body = format!("body-{n}.txt");
            let text = version(&format!("{round} {n}")).replace(
                "body_text = \"Dear {{ r.name }}, this is for you.\"",
                &format!("body = \"{body}\""),
            );
            workspace.write(&format!("campaigns/many/c{n}.toml"), &text);
            workspace.write(&format!("campaigns/many/{body}"), &format!("{round} {n}"));
        }
    };
    workspace.write(".gitignore", "campanile.db*\ndaemon.log\noutbox\n");
    git(&["init", "-q", "-b", "main"]);
    write("one");
    git(&["add", "-A"]);
    git(&["commit", "-qm", "one"]);
    git(&["checkout", "-qb", "two"]);
    write("two");
    fs::remove_file(workspace.path("campaigns/many/c499.toml")).unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "two"]);
    git(&["checkout", "-q", "main"]);
    let daemon = workspace.serve();
    git(&["checkout", "-q", "two"]);
    wait_name(&workspace, "many/c0", "two 0");
    wait_name(&workspace, "many/c498", "two 498");
    assert_eq!(workspace.campaign_status("many/c499")["state"], "removed");
    git(&["checkout", "-q", "main"]);
    wait_name(&workspace, "many/c499", "one 499");
    wait_name(&workspace, "many/c0", "one 0");
    let log = daemon.log();
    assert!(
        !log.contains("unmounted") && !log.contains("error["),
        "{log}"
    );
}

#[test]
fn a_folder_that_vanishes_holds_and_its_return_lets_it_go_on() {
    let workspace = Workspace::new()
        .settings(SLOW)
        .crowd(80)
        .file("campaigns/a.toml", &version("zero"));
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("some messages", || {
        (workspace.recipients().len() >= 3).then_some(())
    });
    fs::rename(workspace.path("campaigns"), workspace.path("away")).unwrap();
    workspace.wait_held("a", "removed");
    assert!(daemon.log().contains("nothing is cancelled"));
    // Empty where it was mounted is the same.
    fs::create_dir(workspace.path("campaigns")).unwrap();
    fs::remove_dir(workspace.path("campaigns")).unwrap();
    fs::rename(workspace.path("away"), workspace.path("campaigns")).unwrap();
    workspace.wait_state("a", "finished");
    let _ = sending.wait();
    let mut all = workspace.recipients();
    all.dedup();
    assert_eq!(all.len(), 80);
}

#[test]
fn a_thousand_campaigns_are_loaded_and_one_edit_reloads_one() {
    let mut workspace = Workspace::new()
        .crowd(1)
        .file("scripts/wise.rhai", "fn is_old(r) { (r.age ?? 0) > 60 }");
    for n in 0..1_000 {
        let more = format!("{AUDIENCE}\nwhere = 'wise::is_old(r) || r.name == \"{n}\"'");
        workspace = workspace.campaign(&format!("many/c{n}"), &more);
    }
    let checked = workspace.run(["check"]).code(0);
    assert!(
        checked.stdout.contains("1,000 campaigns"),
        "{}",
        checked.stdout
    );
    let daemon = workspace.serve();
    let path = "campaigns/many/c500.toml";
    let text = fs::read_to_string(workspace.path(path)).unwrap();
    workspace.write(path, &format!("name = \"edited\"\n{text}"));
    wait_name(&workspace, "many/c500", "edited");
    nothing_broke(&daemon);
    let status = workspace.status();
    assert_eq!(status["campaigns"].as_array().unwrap().len(), 1_000);
}
