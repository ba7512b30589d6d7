//! What else happens to a daemon that sends: it is asked to end, its disk fills up, its store is locked, its clock jumps, its
//! campaign's file is edited, renamed, deleted and restored. Nobody is lost, nobody gets it twice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use campanile::{
    control::ServeOptions,
    engine::{Access, Engine},
    model::Clock,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::support::{
    Workspace,
    peers::python,
    smtp_server::{Reply, SmtpServer, When},
    soon, wait_for,
    workspace::campaign,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

/// A server that takes a moment for every message, and a workspace that sends to it.
fn slow(people: usize, more: &str) -> (SmtpServer, Workspace) {
    let pause = Duration::from_millis(2);
    let server =
        SmtpServer::start_blocking(|s| s.dot(When::Always, Reply(250, "2.0.0 taken").after(pause)));
    let transport = format!(
        "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 2\n",
        server.port()
    );
    let workspace = Workspace::new()
        .settings(&transport)
        .crowd(people)
        .campaign("a", &format!("{AUDIENCE}\n{more}"));
    (server, workspace)
}

/// Sees the campaign first, and schedules it then: what is due at or before its first sight never fires.
fn schedule(workspace: &Workspace, more: &str) {
    workspace.serve().kill();
    let text = campaign(&format!("{AUDIENCE}\n{more}\n{}", soon(1)));
    workspace.write("campaigns/a.toml", &text);
}

fn run(workspace: &Workspace) -> Value {
    let status = workspace.run(["status", "--json"]).json();
    status["runs"][0].clone()
}

fn finished(workspace: &Workspace) -> Value {
    wait_for("the run to end", || {
        let run = run(workspace);
        (run["state"] == "finished").then_some(run)
    })
}

#[track_caller]
fn everybody_once(server: &SmtpServer, people: usize) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for recipient in server.recipients() {
        *taken.entry(recipient).or_default() += 1;
    }
    assert_eq!(taken.len(), people, "everybody");
    assert!(taken.values().all(|times| *times == 1), "once: {taken:?}");
}

#[test]
fn a_daemon_that_is_asked_to_end_leaves_nobody_in_doubt() {
    let (server, workspace) = slow(1_200, "");
    schedule(&workspace, "");
    for part in 1..=4 {
        let daemon = workspace.serve();
        wait_for("messages", || (server.count() >= 200 * part).then_some(()));
        assert_eq!(daemon.terminate(), Some(0));
        let counts = run(&workspace)["counts"].clone();
        assert_eq!(counts["in_doubt"], Value::Null, "{counts}");
        assert_eq!(counts["sending"], Value::Null, "{counts}");
        assert_eq!(counts["sent"], server.count(), "{counts}");
    }
    let _daemon = workspace.serve();
    assert_eq!(
        finished(&workspace)["counts"],
        serde_json::json!({"sent": 1_200})
    );
    everybody_once(&server, 1_200);
}

/// A small file system in memory; needs root. Unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("skipped: a tmpfs can't be mounted here");
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Fills it up to the last byte, but for what the given part leaves; gives the file that does it.
    fn fill(&self) -> PathBuf {
        let path = self.path("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = [0_u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_fills_up_stops_the_sending_and_loses_nobody() {
    let Some(disk) = SmallDisk::mount("24m") else {
        return;
    };
    let (server, workspace) = slow(1_500, "");
    let store = disk.path("campanile.db");
    let path = format!("[store]\npath = \"{}\"\n\n[web]", store.display());
    let workspace = workspace.replace("campanile.toml", "[web]", &path);
    schedule(&workspace, "");
    let daemon = workspace.serve();
    wait_for("messages", || (server.count() >= 100).then_some(()));
    let ballast = disk.fill();
    // What the log has room for still goes through; then nothing more begins.
    let stopped = wait_for("the sending to stop", || {
        let before = server.count();
        std::thread::sleep(Duration::from_millis(700));
        (server.count() == before).then_some(before)
    });
    assert!(stopped < 1_500, "the disk was full, and all was sent");
    assert!(daemon.log().contains("full"), "{}", daemon.log());
    std::fs::remove_file(ballast).unwrap();
    let run = finished(&workspace);
    assert_eq!(
        run["counts"],
        serde_json::json!({"sent": 1_500}),
        "{}",
        daemon.log()
    );
    everybody_once(&server, 1_500);
    assert_eq!(daemon.terminate(), Some(0));
}

/// Another process holds the store's database locked for some seconds.
const HOLDER: &str = r"
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute('BEGIN IMMEDIATE')
open(sys.argv[1] + '.held', 'w').close()
time.sleep(4)
db.execute('ROLLBACK')
";

#[test]
fn a_store_that_another_process_locks_for_seconds_only_waits() {
    let (server, workspace) = slow(1_000, "");
    schedule(&workspace, "");
    let daemon = workspace.serve();
    wait_for("messages", || (server.count() >= 100).then_some(()));
    let store = workspace.path("campanile.db");
    if python(HOLDER, &[store.to_str().unwrap()]).is_none() {
        return;
    }
    assert!(Path::new(&format!("{}.held", store.display())).exists());
    assert_eq!(
        finished(&workspace)["counts"],
        serde_json::json!({"sent": 1_000})
    );
    everybody_once(&server, 1_000);
    assert_eq!(daemon.terminate(), Some(0));
}

/// A clock that can be set.
struct Jumping(parking_lot::Mutex<TimeDelta>);

struct Shared(Arc<Jumping>);

#[async_trait::async_trait]
impl Clock for Shared {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + *self.0.0.lock()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        // In small steps, as the clock may jump meanwhile.
        while self.now() < at {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[test]
fn a_clock_that_jumps_back_and_forward_repeats_and_loses_nothing() {
    let (server, workspace) = slow(800, "");
    workspace.serve().kill();
    let clock = Arc::new(Jumping(parking_lot::Mutex::default()));
    let text = campaign(&format!("{AUDIENCE}\n{}", soon(1)));
    workspace.write("campaigns/a.toml", &text);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (folder, given) = (workspace.folder().to_owned(), Shared(clock.clone()));
    let serving = runtime.spawn(async move {
        let engine = Engine::builder(folder)
            .clock(given)
            .open(Access::Write)
            .await?;
        engine
            .serve(ServeOptions::default(), async {
                let _ = stopped.await;
            })
            .await
    });
    let jumps = [
        TimeDelta::hours(-2),
        TimeDelta::hours(3),
        TimeDelta::days(-400),
        TimeDelta::zero(),
    ];
    for (part, jump) in (1..).zip(jumps) {
        wait_for("messages", || (server.count() >= 120 * part).then_some(()));
        *clock.0.lock() = jump;
    }
    let run = finished(&workspace);
    assert_eq!(run["counts"], serde_json::json!({"sent": 800}), "{run}");
    everybody_once(&server, 800);
    stop.send(()).unwrap();
    runtime.block_on(serving).unwrap().unwrap();
}

#[test]
fn a_file_that_is_edited_renamed_deleted_and_restored_while_it_sends() {
    let (server, workspace) = slow(1_500, "");
    schedule(&workspace, "");
    let daemon = workspace.serve();
    let (file, other) = (
        workspace.path("campaigns/a.toml"),
        workspace.path("campaigns/b.toml"),
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let stands = |state: &str| {
        wait_for(&format!("the run to be {state}"), || {
            let status = workspace.run(["status", "--json"]).json();
            let runs = status["runs"].as_array().unwrap().clone();
            runs.iter()
                .any(|run| run["campaign"] == "a" && run["state"] == state)
                .then_some(())
        });
    };
    let more = |n: usize| {
        let before = server.count();
        wait_for("more messages", || {
            (server.count() >= (before + n).min(1_500)).then_some(())
        });
    };
    more(100);
    // Edited: the run is pinned to what it was planned with.
    workspace.write(
        "campaigns/a.toml",
        &text.replace("this is for you", "this is something else"),
    );
    more(100);
    // Renamed: under its new name it is another campaign, and suspected; the run waits.
    std::fs::rename(&file, &other).unwrap();
    stands("held");
    std::fs::rename(&other, &file).unwrap();
    stands("sending");
    more(100);
    // Deleted and restored, and broken and mended.
    std::fs::remove_file(&file).unwrap();
    stands("held");
    workspace.write("campaigns/a.toml", &text);
    stands("sending");
    more(100);
    workspace.write("campaigns/a.toml", &text.replace("[email]", "[email"));
    stands("held");
    workspace.write("campaigns/a.toml", &text);
    wait_for("the run to end", || {
        let status = workspace.run(["status", "--json"]).json();
        let runs = status["runs"].as_array().unwrap().clone();
        runs.iter()
            .any(|run| run["campaign"] == "a" && run["state"] == "finished")
            .then_some(())
    });
    everybody_once(&server, 1_500);
    let bodies = server.accepted();
    let edited = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("something else");
    assert!(
        !bodies.iter().any(|message| edited(&message.bytes)),
        "the run is pinned"
    );
    assert_eq!(daemon.terminate(), Some(0));
}
