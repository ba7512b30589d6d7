//! Reading a workspace's files again and again: each look asks the disk for sizes, times and inodes only, and reads what
//! changed since the last.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Location,
    assets::{self, Asked, Asset, Assets},
    location::environment_of,
    tree::{MAX_FILE_BYTES, Tree},
};

/// The settings file.
pub(super) const SETTINGS: &str = "campanile.toml";
/// The folders whose text files belong to the workspace.
pub(super) const FOLDERS: [&str; 3] = ["campaigns", "scripts", "templates"];
/// How the names of text files end.
pub(super) const ENDINGS: [&str; 6] = ["toml", "rhai", "md", "html", "mjml", "txt"];

const MAX_DEPTH: usize = 32;
const MAX_ENTRIES: usize = 200_000;
const MAX_BYTES: u64 = 256 << 20;

/// A file that changed so lately may change once more without its time changing (file systems count in steps of up to two
/// seconds): it is read again.
const RACY: Duration = Duration::from_secs(2);

/// What the disk says of a file or folder without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    identity: Identity,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity: Identity::of(metadata),
        }
    }
}

/// What tells a file or folder from another that takes its name, as far as the system has such a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// The file system.
    pub(super) device: u64,
    inode: u64,
    /// When anything of it changed last, its times included; seconds and nanoseconds. Zero for folders.
    changed: (i64, i64),
}

impl Identity {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let changed = if metadata.is_dir() {
            (0, 0)
        } else {
            (metadata.ctime(), metadata.ctime_nsec())
        };
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed,
        }
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self::default()
    }
}

/// What is known of one file.
struct Seen {
    stamp: Stamp,
    /// When this stamp was first seen.
    since: Instant,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes(Arc<[u8]>),
    Unread(Arc<str>),
}

/// The outcome of one look.
#[derive(Debug)]
pub(super) struct Reading {
    /// The text files.
    pub(super) tree: Tree,
    /// The workspace, as the empty name, and those of [`FOLDERS`] that are there.
    pub(super) folders: BTreeMap<&'static str, Identity>,
}

/// Reads the text files of a workspace, remembering what it read.
pub(super) struct Reader {
    workspace: PathBuf,
    /// The file that overrides the settings, where an environment is chosen.
    override_file: Option<String>,
    seen: BTreeMap<String, Seen>,
    /// The files beside the texts that campaigns asked for.
    asked: Asked,
    seen_assets: BTreeMap<String, SeenAsset>,
}

/// What is known of a file that a campaign asked for.
struct SeenAsset {
    stamp: Stamp,
    since: Instant,
    asset: Asset,
}

impl Reader {
    pub(super) fn new(workspace: impl Into<Location>) -> Self {
        let location = workspace.into();
        Self {
            override_file: location.override_file(),
            workspace: location.folder,
            seen: BTreeMap::new(),
            asked: Asked::default(),
            seen_assets: BTreeMap::new(),
        }
    }

    /// Looks at the files that campaigns of another reader's tree asked for, too.
    pub(super) fn looking_after(mut self, tree: &Tree) -> Self {
        self.asked = tree.assets().asked().clone();
        self
    }

    /// Looks the workspace over and reads what changed.
    pub(super) fn read(&mut self) -> io::Result<Reading> {
        let mut look = Look::default();
        let Some(folder) = stat(&self.workspace)?.filter(Metadata::is_dir) else {
            let message = format!("there is no folder {}", self.workspace.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        };
        let settings = [SETTINGS].into_iter().chain(self.override_file.as_deref());
        for name in settings {
            match fs::metadata(self.workspace.join(name)) {
                Ok(metadata) => look.file(name.to_owned(), &metadata),
                // A settings file that can't be reached is not the same as none, but as broken.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    look.unread.insert(name.to_owned(), error.to_string());
                }
                Err(_) if name != SETTINGS => {
                    look.unread.insert(name.to_owned(), self.no_environment());
                }
                Err(_) => {}
            }
        }
        let mut folders = BTreeMap::from([("", Identity::of(&folder))]);
        for name in FOLDERS {
            let path = self.workspace.join(name);
            if let Some(metadata) = stat(&path)? {
                let identity = Identity::of(&metadata);
                folders.insert(name, identity);
                look.folder(&path, name, &mut vec![identity])?;
            }
        }
        let mut tree = self.take_in(look)?;
        let known = self.look_at_assets(&tree);
        tree.set_assets(Assets::new(&self.workspace, known, self.asked.clone()));
        Ok(Reading { tree, folders })
    }

    /// The files beside the texts that campaigns asked for: read again where they may have changed.
    fn look_at_assets(&mut self, tree: &Tree) -> BTreeMap<String, Asset> {
        let now = Instant::now();
        let mut before = std::mem::take(&mut self.seen_assets);
        let mut known = BTreeMap::new();
        for path in self.asked.paths() {
            if tree.bytes(&path).is_some() {
                continue;
            }
            let file = self.workspace.join(&path);
            let Ok(metadata) = fs::metadata(&file) else {
                known.insert(path, assets::read(&file));
                continue;
            };
            let stamp = Stamp::of(&metadata);
            let earlier = before.remove(&path).filter(|seen| seen.stamp == stamp);
            let seen = match earlier {
                Some(seen) if now.duration_since(seen.since) >= RACY => seen,
                earlier => SeenAsset {
                    stamp,
                    since: earlier.as_ref().map_or(now, |seen| seen.since),
                    asset: match (assets::read(&file), earlier.map(|seen| seen.asset)) {
                        // The same again: the memory that it has is kept.
                        (read, Some(asset)) if read == asset => asset,
                        (read, _) => read,
                    },
                },
            };
            known.insert(path.clone(), seen.asset.clone());
            self.seen_assets.insert(path, seen);
        }
        known
    }

    /// What is said where the chosen environment has no file.
    fn no_environment(&self) -> String {
        let names = fs::read_dir(&self.workspace)
            .into_iter()
            .flatten()
            .flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let mut others: Vec<_> = names
            .filter_map(|name| Some(environment_of(&name)?.to_string()))
            .collect();
        others.sort();
        let others = match others.len() {
            0 => "the workspace has no environments".to_owned(),
            _ => format!("the environments here are {}", others.join(", ")),
        };
        format!("there is no such file; {others}")
    }

    /// Reads the files of `look` that are new or may have changed.
    fn take_in(&mut self, look: Look) -> io::Result<Tree> {
        let now = Instant::now();
        let mut tree = Tree::new();
        let mut seen = BTreeMap::new();
        let mut bytes_read = 0;
        for (path, stamp) in look.files {
            let known = self.seen.remove(&path).filter(|known| known.stamp == stamp);
            let (since, content) = match known {
                Some(known) if now.duration_since(known.since) >= RACY => {
                    (known.since, known.content)
                }
                known => {
                    let since = known.map_or(now, |known| known.since);
                    match read_file(&self.workspace.join(&path)) {
                        // Gone between the look and the reading.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => (since, Content::Unread(error.to_string().into())),
                        Ok(bytes) => (since, Content::Bytes(bytes)),
                    }
                }
            };
            match content.clone() {
                Content::Bytes(bytes) => {
                    bytes_read += bytes.len() as u64;
                    tree.insert(path.clone(), bytes);
                }
                Content::Unread(why) => tree.insert_unread(path.clone(), why),
            }
            let file = Seen {
                stamp,
                since,
                content,
            };
            seen.insert(path, file);
            if bytes_read > MAX_BYTES {
                return Err(too_much(
                    "the text files of the workspace have more than 256 MiB",
                ));
            }
        }
        for (path, why) in look.unread {
            tree.insert_unread(path, why.into());
        }
        self.seen = seen;
        Ok(tree)
    }
}

/// What one walk over the folders finds.
#[derive(Default)]
struct Look {
    files: BTreeMap<String, Stamp>,
    unread: BTreeMap<String, String>,
    entries: usize,
}

impl Look {
    fn file(&mut self, path: String, metadata: &Metadata) {
        if !metadata.is_file() {
            // Opening a pipe would wait for its writer.
            self.unread.insert(path, "it is not a file".to_owned());
        } else if metadata.len() > MAX_FILE_BYTES {
            let why = format!(
                "it has {} bytes, more than the {MAX_FILE_BYTES} a text file may have",
                metadata.len()
            );
            self.unread.insert(path, why);
        } else {
            self.files.insert(path, Stamp::of(metadata));
        }
    }

    /// Goes through a folder. `above` are the folders it lies in and itself: a link back to one of them is not followed.
    fn folder(&mut self, path: &Path, name: &str, above: &mut Vec<Identity>) -> io::Result<()> {
        let within = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("the folder {name} can't be read: {error}"),
            )
        };
        if above.len() > MAX_DEPTH {
            return Err(too_much(&format!(
                "the folder {name} lies more than {MAX_DEPTH} folders deep"
            )));
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && above.len() > 1 => {
                return Ok(());
            }
            Err(error) => return Err(within(error)),
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(too_much(&format!(
                    "the workspace has more than {MAX_ENTRIES} files"
                )));
            }
            let entry = entry.map_err(within)?;
            let Ok(entry_name) = entry.file_name().into_string() else {
                continue;
            };
            if entry_name.starts_with('.') {
                continue;
            }
            let relative = format!("{name}/{entry_name}");
            let is_text = has_text_ending(&entry_name);
            // What is neither a text nor can lead to a folder is not even asked for.
            let kind = entry.file_type().map_err(within)?;
            if kind.is_file() && !is_text {
                continue;
            }
            match fs::metadata(entry.path()) {
                Ok(metadata) if metadata.is_dir() => {
                    let identity = Identity::of(&metadata);
                    if cfg!(unix) && above.contains(&identity) {
                        continue;
                    }
                    above.push(identity);
                    self.folder(&entry.path(), &relative, above)?;
                    above.pop();
                }
                Ok(metadata) if is_text => self.file(relative, &metadata),
                Ok(_) => {}
                Err(_) if !is_text => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && !kind.is_symlink() => {}
                Err(error) => {
                    self.unread.insert(relative, error.to_string());
                }
            }
        }
        Ok(())
    }
}

/// Whether a file of this name is one of the workspace's texts.
pub(super) fn has_text_ending(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(stem, ending)| !stem.is_empty() && ENDINGS.contains(&ending))
}

fn read_file(path: &Path) -> io::Result<Arc<[u8]>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_much("it grew too large while it was read"));
    }
    Ok(bytes.into())
}

/// The metadata behind a path; `None` where nothing is there.
fn stat(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

fn too_much(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn paths(folder: &Path) -> Vec<String> {
        let tree = Tree::read(folder).unwrap();
        tree.paths().map(str::to_owned).collect()
    }

    #[test]
    fn the_text_files_of_the_workspace_are_read_and_no_others() {
        let folder = workspace(&[
            ("campanile.toml", "1"),
            ("campanile.db", "x"),
            ("README.md", "x"),
            ("campaigns/a.toml", "2"),
            ("campaigns/b/c.toml", "3"),
            ("campaigns/b/c.md", "4"),
            ("campaigns/b/.c.toml.swp", "x"),
            ("campaigns/.hidden/d.toml", "x"),
            ("campaigns/.#a.toml", "x"),
            ("campaigns/data/people.csv", "x"),
            ("campaigns/.toml", "x"),
            ("scripts/r.rhai", "5"),
            ("templates/t.html", "6"),
            ("outbox/1.txt", "x"),
        ]);
        assert_eq!(
            paths(folder.path()),
            [
                "campaigns/a.toml",
                "campaigns/b/c.md",
                "campaigns/b/c.toml",
                "campanile.toml",
                "scripts/r.rhai",
                "templates/t.html",
            ]
        );
    }

    #[test]
    fn a_workspace_that_is_not_there_says_so() {
        let folder = workspace(&[]);
        let error = Tree::read(folder.path().join("nowhere")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(
            error.to_string().starts_with("there is no folder "),
            "{error}"
        );
        assert!(Tree::read(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn a_large_file_and_a_pipe_are_findings_of_their_own() {
        let folder = workspace(&[("campaigns/a.toml", "1"), ("campaigns/big.txt", "")]);
        fs::File::options()
            .write(true)
            .open(folder.path().join("campaigns/big.txt"))
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        fs::create_dir(folder.path().join("campanile.toml")).unwrap();
        let tree = Tree::read(folder.path()).unwrap();
        assert!(tree.get("campaigns/a.toml").is_some());
        let error = tree.open("campaigns/big.txt").unwrap().unwrap_err();
        assert_eq!(
            error.message,
            "this file can't be read: it has 4194305 bytes, more than the 4194304 a text file may have"
        );
        let error = tree.open("campanile.toml").unwrap().unwrap_err();
        assert_eq!(error.message, "this file can't be read: it is not a file");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = workspace(&[
            ("campaigns/..v1/a.toml", "one"),
            ("campaigns/sub/b.toml", "b"),
            ("elsewhere/c.toml", "c"),
        ]);
        let campaigns = folder.path().join("campaigns");
        symlink("..v1", campaigns.join("..data")).unwrap();
        symlink("..data/a.toml", campaigns.join("a.toml")).unwrap();
        symlink("..", campaigns.join("sub/up")).unwrap();
        symlink("../../elsewhere", campaigns.join("sub/else")).unwrap();
        symlink("nowhere.toml", campaigns.join("dangling.toml")).unwrap();
        let tree = Tree::read(folder.path()).unwrap();
        assert_eq!(
            tree.paths().collect::<Vec<_>>(),
            [
                "campaigns/a.toml",
                "campaigns/dangling.toml",
                "campaigns/sub/b.toml",
                "campaigns/sub/else/c.toml",
            ]
        );
        assert_eq!(tree.bytes("campaigns/a.toml").unwrap(), b"one");
        assert!(tree.open("campaigns/dangling.toml").unwrap().is_err());
    }

    #[test]
    fn what_did_not_change_is_not_read_again() {
        let folder = workspace(&[("campanile.toml", "one"), ("campaigns/a.toml", "1")]);
        let mut reader = Reader::new(folder.path());
        reader.read().unwrap();
        // As if both had been seen long ago, with other content than the disk has.
        for seen in reader.seen.values_mut() {
            seen.since = Instant::now().checked_sub(RACY).unwrap();
            seen.content = Content::Bytes(b"remembered"[..].into());
        }
        fs::write(folder.path().join("campanile.toml"), "other").unwrap();
        let tree = reader.read().unwrap().tree;
        assert_eq!(tree.bytes("campaigns/a.toml").unwrap(), b"remembered");
        assert_eq!(tree.bytes("campanile.toml").unwrap(), b"other");
        // What changed just now is not trusted to keep its time when it changes again.
        reader.seen.get_mut("campanile.toml").unwrap().content =
            Content::Bytes(b"stale"[..].into());
        let tree = reader.read().unwrap().tree;
        assert_eq!(tree.bytes("campanile.toml").unwrap(), b"other");
    }
}
