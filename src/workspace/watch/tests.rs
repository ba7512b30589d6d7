//! Changes as editors, version control and Kubernetes make them, on a real disk.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use notify::{Event, EventKind};
use tempfile::TempDir;

use super::{events::matters, *};
use crate::workspace::{look::Identity, tests::tree};

/// A workspace on the disk and what watches it.
struct Watched {
    folder: TempDir,
    watcher: Watcher,
}

impl Watched {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with_events(files, true)
    }

    fn with_events(files: &[(&str, &str)], events: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            write(&folder.path().join(path), text);
        }
        let known = Tree::read(folder.path()).unwrap();
        let watcher = Watcher::with_events(folder.path(), known, events);
        Self { folder, watcher }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    async fn change(&mut self) -> Change {
        tokio::time::timeout(Duration::from_mins(1), self.watcher.changed())
            .await
            .expect("the change is noticed")
    }

    /// The files after the next change.
    async fn tree(&mut self) -> Tree {
        match self.change().await {
            Change::Tree(tree) => tree,
            Change::Vanished(why) => panic!("vanished: {why}"),
        }
    }

    /// The text of a file after the next change.
    async fn text(&mut self, path: &str) -> String {
        let tree = self.tree().await;
        tree.get(path).unwrap().text().to_owned()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const FILES: &[(&str, &str)] = &[("campanile.toml", "1"), ("campaigns/a.toml", "one")];

#[tokio::test]
async fn a_save_is_handed_out_with_events_and_without() {
    for events in [true, false] {
        let mut watched = Watched::with_events(FILES, events);
        fs::write(watched.path("campaigns/a.toml"), "two").unwrap();
        assert_eq!(watched.text("campaigns/a.toml").await, "two");
        // The same size, within the same instant perhaps.
        fs::write(watched.path("campaigns/a.toml"), "six").unwrap();
        assert_eq!(watched.text("campaigns/a.toml").await, "six");
        write(&watched.path("scripts/new/s.rhai"), "s");
        assert_eq!(watched.text("scripts/new/s.rhai").await, "s");
        fs::remove_file(watched.path("campaigns/a.toml")).unwrap();
        assert_eq!(watched.tree().await.get("campaigns/a.toml"), None);
    }
}

#[tokio::test]
async fn an_atomic_save_is_one_change() {
    let mut watched = Watched::new(FILES);
    let beside = watched.path("campaigns/.a.toml.tmp");
    for text in ["two", "three"] {
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, watched.path("campaigns/a.toml")).unwrap();
        assert_eq!(watched.text("campaigns/a.toml").await, text);
    }
    // As vim does: the old file is moved away, the new one written, the old one removed.
    fs::rename(
        watched.path("campaigns/a.toml"),
        watched.path("campaigns/a.toml~"),
    )
    .unwrap();
    fs::write(watched.path("campaigns/a.toml"), "four").unwrap();
    fs::remove_file(watched.path("campaigns/a.toml~")).unwrap();
    assert_eq!(watched.text("campaigns/a.toml").await, "four");
}

#[cfg(unix)]
#[tokio::test]
async fn a_swapped_link_is_one_change() {
    use std::os::unix::fs::symlink;
    let mut watched = Watched::new(&[
        ("campanile.toml", "1"),
        ("campaigns/..v1/a.toml", "one"),
        ("campaigns/..v1/b.toml", "one"),
    ]);
    for name in ["a.toml", "b.toml"] {
        let path = watched.path("campaigns").join(name);
        symlink(Path::new("..data").join(name), path).unwrap();
    }
    symlink("..v1", watched.path("campaigns/..data")).unwrap();
    assert_eq!(watched.text("campaigns/a.toml").await, "one");
    write(&watched.path("campaigns/..v2/a.toml"), "two");
    write(&watched.path("campaigns/..v2/b.toml"), "two");
    symlink("..v2", watched.path("campaigns/..data_tmp")).unwrap();
    fs::rename(
        watched.path("campaigns/..data_tmp"),
        watched.path("campaigns/..data"),
    )
    .unwrap();
    fs::remove_dir_all(watched.path("campaigns/..v1")).unwrap();
    let tree = watched.tree().await;
    for path in ["campaigns/a.toml", "campaigns/b.toml"] {
        assert_eq!(tree.get(path).unwrap().text(), "two");
    }
}

#[tokio::test]
async fn many_files_come_as_one_change() {
    let mut watched = Watched::new(FILES);
    for number in 0..500 {
        let path = watched.path(&format!("campaigns/{}/{number}.toml", number % 7));
        write(&path, "x");
    }
    fs::remove_file(watched.path("campaigns/a.toml")).unwrap();
    assert_eq!(watched.tree().await.paths().count(), 501);
}

#[tokio::test]
async fn campaigns_that_vanish_and_come_back() {
    let mut watched = Watched::new(FILES);
    let (here, away) = (watched.path("campaigns"), watched.path("away"));
    fs::rename(&here, &away).unwrap();
    let change = watched.change().await;
    assert!(
        matches!(&change, Change::Vanished(why) if why == "there is no folder campaigns"),
        "{change:?}"
    );
    fs::rename(&away, &here).unwrap();
    // The same files as before are news now; and the folder is watched again.
    assert_eq!(watched.text("campaigns/a.toml").await, "one");
    fs::write(watched.path("campaigns/a.toml"), "two").unwrap();
    assert_eq!(watched.text("campaigns/a.toml").await, "two");
}

#[tokio::test]
async fn a_workspace_that_vanishes_says_so() {
    let mut watched = Watched::new(FILES);
    fs::remove_dir_all(watched.folder.path()).unwrap();
    let change = watched.change().await;
    assert!(
        matches!(&change, Change::Vanished(why) if why.starts_with("there is no folder ")),
        "{change:?}"
    );
}

#[tokio::test]
async fn an_event_wakes_it_before_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("campaigns/a.toml"), "one");
    let wake = Arc::new(Notify::new());
    let mut eyes = Eyes {
        reader: Reader::new(folder.path()),
        events: Events::new(folder.path(), Arc::clone(&wake)),
    };
    for path in ["campaigns/a.toml", "campaigns/new/b.toml", "campanile.toml"] {
        eyes.look().unwrap();
        write(&folder.path().join(path), "two");
        tokio::time::timeout(Duration::from_mins(1), wake.notified())
            .await
            .expect("the event comes");
    }
}

#[tokio::test]
async fn nothing_is_lost_where_the_wait_is_given_up() {
    let mut watched = Watched::with_events(FILES, false);
    fs::write(watched.path("campaigns/a.toml"), "two").unwrap();
    // Given up and asked again far more often than a look takes.
    let tree = loop {
        tokio::select! {
            biased;
            change = watched.watcher.changed() => break change,
            () = tokio::task::yield_now() => {}
        }
    };
    assert!(
        matches!(tree, Change::Tree(tree) if tree.get("campaigns/a.toml").unwrap().text() == "two")
    );
}

/// What the looks see, without a disk.
struct Looks {
    judge: Judge,
    now: Instant,
}

impl Looks {
    fn new(known: &[(&str, &str)]) -> Self {
        Self {
            judge: Judge::new(tree(known)),
            now: Instant::now(),
        }
    }

    /// A look after so many milliseconds: the change, if there is one, and the milliseconds to the next look.
    fn see(&mut self, after: u64, files: Option<&[(&str, &str)]>) -> (Option<Change>, u128) {
        self.now += Duration::from_millis(after);
        let reading = match files {
            Some(files) => Ok(Reading {
                tree: tree(files),
                folders: BTreeMap::from([("campaigns", Identity::default())]),
            }),
            None => Err(io::Error::other("no disk")),
        };
        let (change, pause) = self.judge.weigh(reading, self.now);
        (change, pause.as_millis())
    }
}

#[test]
fn two_looks_in_a_row_must_agree() {
    let mut looks = Looks::new(FILES);
    let half = &[("campaigns/a.toml", "tw")][..];
    let whole = &[("campaigns/a.toml", "two")][..];
    assert!(matches!(looks.see(0, Some(FILES)), (None, 1000)));
    assert!(matches!(looks.see(1000, Some(half)), (None, 100)));
    assert!(matches!(looks.see(100, Some(whole)), (None, 100)));
    assert!(matches!(looks.see(40, Some(whole)), (None, 60)));
    assert!(matches!(
        looks.see(60, Some(whole)),
        (Some(Change::Tree(_)), 1000)
    ));
    assert!(matches!(looks.see(1000, Some(whole)), (None, 1000)));
    // What is back as it was is no change.
    assert!(matches!(looks.see(1000, Some(half)), (None, 100)));
    assert!(matches!(looks.see(100, Some(whole)), (None, 1000)));
}

#[test]
fn an_emptied_file_and_a_vanished_disk_get_more_time() {
    let mut looks = Looks::new(FILES);
    let emptied = &[("campanile.toml", "1"), ("campaigns/a.toml", "")][..];
    assert!(matches!(looks.see(0, Some(emptied)), (None, 100)));
    assert!(matches!(looks.see(100, Some(emptied)), (None, 900)));
    assert!(matches!(
        looks.see(900, Some(emptied)),
        (Some(Change::Tree(_)), 1000)
    ));
    assert!(matches!(looks.see(0, None), (None, 100)));
    assert!(matches!(looks.see(100, Some(emptied)), (None, 1000)));
    assert!(matches!(looks.see(0, None), (None, 100)));
    assert!(matches!(
        looks.see(1000, None),
        (Some(Change::Vanished(_)), 1000)
    ));
    assert!(matches!(looks.see(1000, None), (None, 1000)));
    assert!(matches!(looks.see(0, Some(emptied)), (None, 100)));
    assert!(matches!(
        looks.see(100, Some(emptied)),
        (Some(Change::Tree(_)), 1000)
    ));
}

#[test]
fn only_events_about_texts_count() {
    let root = Path::new("/ws");
    let matters = |kind, path: &str| matters(&Event::new(kind).add_path(root.join(path)), root);
    let write = EventKind::Modify(notify::event::ModifyKind::Any);
    for path in [
        "campanile.toml",
        "campanile.staging.toml",
        "campaigns",
        "campaigns/a.toml",
        "campaigns/x/body.md",
        "campaigns/folder",
        "campaigns/..data",
        "scripts/s.rhai",
        "",
    ] {
        assert!(matters(write, path), "{path}");
    }
    for path in [
        "campanile.db-wal",
        "campanile.db",
        "outbox/1.eml",
        "outbox/1.txt",
        "campaigns/data/people.csv",
        "campaigns/.a.toml.swp",
    ] {
        assert!(!matters(write, path), "{path}");
    }
    let opened = EventKind::Access(notify::event::AccessKind::Any);
    assert!(!matters(opened, "campaigns/a.toml"));
}
