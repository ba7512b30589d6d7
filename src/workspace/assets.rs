//! Files that campaigns name and that are no texts: attachments, pictures. They are not read before a campaign asks for them;
//! from then on they are looked at as often as the texts are.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::Revision;

/// The most bytes such a file may have, whatever the settings say.
pub(super) const MAX_BYTES: u64 = 100_000_000;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asset {
    /// It is there.
    Bytes(Arc<[u8]>),
    /// It is not.
    Missing,
    /// It is there and can't be read, and why.
    Unread(Arc<str>),
}

/// The paths that were asked for, of all trees of one workspace, each with the load that asked for it last.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<Mutex<(u64, BTreeMap<String, u64>)>>);

impl Asked {
    /// The paths, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        self.0.lock().1.keys().cloned().collect()
    }

    fn note(&self, path: &str) {
        let mut asked = self.0.lock();
        let load = asked.0;
        asked.1.insert(path.to_owned(), load);
    }

    fn begin(&self) -> u64 {
        let mut asked = self.0.lock();
        asked.0 += 1;
        asked.0
    }

    /// Forgets what only earlier loads asked for.
    fn end(&self, load: u64) {
        self.0.lock().1.retain(|_, last| *last >= load);
    }
}

/// The files beside the texts of one tree, as they are when they are first asked for. Cloning is cheap, and clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Assets {
    /// Where they lie; `None`: there are none but those that were put in.
    root: Option<Arc<Path>>,
    /// Where they are looked for first.
    revision: Option<Arc<Revision>>,
    known: Arc<Mutex<BTreeMap<String, Asset>>>,
    asked: Asked,
}

/// A load under way: what it does not ask for is looked at no more.
pub(super) struct Asking {
    asked: Asked,
    load: u64,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.asked.end(self.load);
    }
}

impl Assets {
    /// Those of a workspace, as far as `known` says.
    pub(super) fn new(workspace: &Path, known: BTreeMap<String, Asset>, asked: Asked) -> Self {
        Self {
            root: Some(workspace.into()),
            revision: None,
            known: Arc::new(Mutex::new(known)),
            asked,
        }
    }

    /// Those of a workspace as of a revision; what that does not have is as it lies in the folder.
    pub(super) fn as_of(revision: Revision, workspace: &Path) -> Self {
        Self {
            revision: Some(Arc::new(revision)),
            ..Self::new(workspace, BTreeMap::new(), Asked::default())
        }
    }

    /// The paths that were asked for.
    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// Begins a load.
    pub(super) fn asking(&self) -> Asking {
        Asking {
            load: self.asked.begin(),
            asked: self.asked.clone(),
        }
    }

    /// A file by its path in the workspace, read where it was not yet.
    pub(super) fn get(&self, path: &str) -> Asset {
        let Some(root) = &self.root else {
            return Asset::Missing;
        };
        self.asked.note(path);
        if let Some(known) = self.known.lock().get(path) {
            return known.clone();
        }
        let then = self
            .revision
            .as_ref()
            .map(|revision| read_as_of(revision, path));
        let read = match then {
            None | Some(Asset::Missing) => read(&root.join(path)),
            Some(found) => found,
        };
        self.known
            .lock()
            .entry(path.to_owned())
            .or_insert(read)
            .clone()
    }

    /// The bytes of a file that was read.
    pub(super) fn bytes(&self, path: &str) -> Option<Arc<[u8]>> {
        match self.known.lock().get(path) {
            Some(Asset::Bytes(bytes)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Whether no file that both know is another.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.known, &other.known) {
            return true;
        }
        let known = self.known.lock().clone();
        let others = other.known.lock();
        known
            .iter()
            .all(|(path, asset)| others.get(path).is_none_or(|other| same(asset, other)))
    }

    /// The names of the files in a folder (`"campaigns/"`), for what may have been meant.
    pub(super) fn names_in(&self, folder: &str) -> Vec<String> {
        let Some(root) = &self.root else {
            return Vec::new();
        };
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .take(10_000)
            .collect();
        names.sort();
        names
    }
}

fn same(one: &Asset, other: &Asset) -> bool {
    match (one, other) {
        (Asset::Bytes(one), Asset::Bytes(other)) => Arc::ptr_eq(one, other) || one == other,
        (one, other) => one == other,
    }
}

/// Reads a file as it was.
fn read_as_of(revision: &Revision, path: &str) -> Asset {
    let unread = |error: &dyn std::fmt::Display| Asset::Unread(error.to_string().into());
    let file = match tempfile::NamedTempFile::new() {
        Ok(file) => file,
        Err(error) => return unread(&error),
    };
    match revision.extract(Path::new(path), file.path()) {
        Ok(true) => read(&file.path().to_owned()),
        Ok(false) => Asset::Missing,
        Err(error) => unread(&error),
    }
}

/// Reads a file.
pub(super) fn read(path: &PathBuf) -> Asset {
    let read = || -> io::Result<Option<Vec<u8>>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Opening a pipe would wait for its writer.
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut bytes = Vec::with_capacity(metadata.len().min(MAX_BYTES) as usize);
        fs::File::open(path)?
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::other(format!(
                "it has more than {MAX_BYTES} bytes"
            )));
        }
        Ok(Some(bytes))
    };
    match read() {
        Ok(Some(bytes)) => Asset::Bytes(bytes.into()),
        Ok(None) => Asset::Missing,
        Err(error) => Asset::Unread(error.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Tree, look::Reader};

    #[test]
    fn a_file_is_read_when_it_is_asked_for_and_looked_at_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("campaigns")).unwrap();
        let path = folder.path().join("campaigns/terms.pdf");
        fs::write(&path, "one").unwrap();
        let mut reader = Reader::new(folder.path());
        let first = reader.read().unwrap().tree;
        let second = reader.read().unwrap().tree;
        let asset = |tree: &Tree, name: &str| tree.asset(name);
        assert_eq!(
            asset(&first, "campaigns/terms.pdf"),
            Asset::Bytes(b"one"[..].into())
        );
        assert_eq!(asset(&first, "campaigns/other.pdf"), Asset::Missing);
        assert_eq!(first, second);
        assert_eq!(first, reader.read().unwrap().tree);

        fs::write(&path, "two").unwrap();
        let changed = reader.read().unwrap().tree;
        assert_ne!(first, changed);
        assert_eq!(
            asset(&changed, "campaigns/terms.pdf"),
            Asset::Bytes(b"two"[..].into())
        );
        fs::write(folder.path().join("campaigns/other.pdf"), "x").unwrap();
        assert_ne!(changed, reader.read().unwrap().tree);
    }

    #[test]
    fn what_no_load_asks_for_any_more_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let assets = Assets::new(folder.path(), BTreeMap::new(), Asked::default());
        let first = assets.asking();
        assets.get("a.pdf");
        assets.get("b.pdf");
        drop(first);
        assert_eq!(assets.asked().paths(), ["a.pdf", "b.pdf"]);
        let second = assets.asking();
        assets.get("b.pdf");
        drop(second);
        assert_eq!(assets.asked().paths(), ["b.pdf"]);
    }
}
