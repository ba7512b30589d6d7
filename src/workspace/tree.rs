//! The text files of a workspace in memory: what a load is made of, and what a run is pinned to.

use std::{collections::BTreeMap, io, ops::Bound, sync::Arc};

use super::{
    Location,
    assets::{Asset, Assets},
    location::environment_of,
    look::Reader,
};
use crate::model::{Diagnostic, EnvironmentName, Place, SourceFile};

/// The most bytes a text file may have: what is larger is data.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// What a bundle starts with; the number is the version of its shape.
const MAGIC: &[u8] = b"campanile bundle 1\n";

/// The text files of a workspace as of one look: settings, campaigns, scripts, templates. Paths are relative to the
/// workspace, with `/`. Data files are not among them. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Arc<[u8]>>,
    /// Files that are there but could not be read, and why.
    unread: BTreeMap<String, Arc<str>>,
    /// Attachments and pictures, read when a campaign asks for them.
    assets: Assets,
}

/// The same texts, and no attachment that is another.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
            && self.unread == other.unread
            && self.assets.agrees_with(&other.assets)
    }
}

impl Eq for Tree {}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
#[error("the pinned files can't be read: {0}")]
pub struct BundleError(&'static str);

impl Tree {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the files of a workspace, of its environments the chosen one only. Symlinks are followed, as the `..data` of Kubernetes needs. One file that can't be
    /// read is a finding of its own, later; a folder that can't be read is an error, because what is in it must not look
    /// as if it had been removed.
    pub fn read(workspace: impl Into<Location>) -> io::Result<Self> {
        Ok(Reader::new(workspace).read()?.tree)
    }

    /// The file that overrides the settings, where an environment is chosen.
    pub(super) fn override_file(&self) -> Option<&str> {
        self.paths().find(|path| environment_of(path).is_some())
    }

    /// The environment that is chosen.
    pub fn environment(&self) -> Option<EnvironmentName> {
        environment_of(self.override_file()?)
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.files.insert(path.into(), bytes.into());
    }

    /// Notes that a file is there but can't be read.
    pub(super) fn insert_unread(&mut self, path: String, why: Arc<str>) {
        self.unread.insert(path, why);
    }

    /// Gives the tree the files beside its texts.
    pub(super) fn set_assets(&mut self, assets: Assets) {
        self.assets = assets;
    }

    /// The files beside the texts.
    pub(super) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// Any file, read now where it was not yet.
    pub(super) fn asset(&self, path: &str) -> Asset {
        if let Some(bytes) = self.files.get(path) {
            return Asset::Bytes(bytes.clone());
        }
        match self.unread.get(path) {
            Some(why) => Asset::Unread(why.clone()),
            None => self.assets.get(path),
        }
    }

    /// The bytes of a text file, or of another that was asked for.
    pub(super) fn content(&self, path: &str) -> Option<Arc<[u8]>> {
        self.files
            .get(path)
            .cloned()
            .or_else(|| self.assets.bytes(path))
    }

    /// The bytes of a text file.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(AsRef::as_ref)
    }

    /// A file, without the byte order mark that some editors put in front; `None` where it is not there, can't be read or
    /// is not UTF-8. [`Tree::open`] tells these apart.
    pub fn get(&self, path: &str) -> Option<SourceFile> {
        self.open(path)?.ok()
    }

    /// A file; `None` where it is not there, and what is wrong with it where it can't be read or is not UTF-8.
    pub fn open(&self, path: &str) -> Option<Result<SourceFile, Diagnostic>> {
        if let Some(why) = self.unread.get(path) {
            let file = SourceFile::new(path, "");
            let message = format!("this file can't be read: {why}");
            return Some(Err(Diagnostic::error(
                "unreadable-file",
                Place::start_of(&file),
                message,
            )));
        }
        let bytes = self.files.get(path)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Some(match str::from_utf8(bytes) {
            Ok(text) => Ok(SourceFile::new(path, text)),
            Err(error) => {
                let at = error.valid_up_to();
                let file = SourceFile::new(path, String::from_utf8_lossy(bytes));
                let width = char::REPLACEMENT_CHARACTER.len_utf8();
                Err(Diagnostic::error(
                    "not-utf8",
                    Place::new(&file, at..at + width),
                    "this file is not UTF-8",
                )
                .help("save it as UTF-8"))
            }
        })
    }

    /// The paths of all files, in order, those that can't be read among them.
    pub fn paths(&self) -> impl Iterator<Item = &str> + use<'_> {
        let mut paths: Vec<&str> = self
            .files
            .keys()
            .chain(self.unread.keys())
            .map(String::as_str)
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into_iter()
    }

    /// The files whose paths start so, in order.
    pub(super) fn paths_starting<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(start))
    }

    /// The files under a folder (`"campaigns/"`) with an ending (`".toml"`), in order.
    pub(super) fn paths_in<'a>(
        &'a self,
        folder: &'a str,
        ending: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.paths()
            .filter(move |path| path.starts_with(folder) && path.ends_with(ending))
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.unread.is_empty()
    }

    /// Whether a file has no bytes here that had some in `before`: an editor may be about to write it.
    pub(super) fn emptied_since(&self, before: &Self) -> bool {
        self.files.iter().any(|(path, bytes)| {
            bytes.is_empty() && before.bytes(path).is_some_and(|old| !old.is_empty())
        })
    }

    /// Those of the files that `paths` name, attachments and pictures that were asked for among them.
    #[must_use]
    pub fn subset<'a>(&self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let files = paths
            .into_iter()
            .filter_map(|path| Some((path.to_owned(), self.content(path)?)))
            .collect();
        Self {
            files,
            ..Self::default()
        }
    }

    /// The same files, but one of them as another tree has it, or without it where that has none.
    #[must_use]
    pub(crate) fn with_file_of(&self, path: &str, other: &Self) -> Self {
        let mut files = self.clone();
        match other.files.get(path) {
            Some(bytes) => files.files.insert(path.to_owned(), bytes.clone()),
            None => files.files.remove(path),
        };
        files
    }

    /// Whether each of these files is here, as it is there.
    pub(super) fn holds(&self, part: &Self) -> bool {
        part.files
            .iter()
            .all(|(path, bytes)| match self.files.get(path) {
                Some(here) => here == bytes,
                // Attachments and pictures are asked for again, so that they stay under watch.
                None => self.asset(path) == Asset::Bytes(bytes.clone()),
            })
    }

    /// The files as one sequence of bytes, always the same for the same files.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (path, content) in &self.files {
            for part in [path.as_bytes(), content] {
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
        bytes
    }

    /// What [`Tree::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut rest = bytes
            .strip_prefix(MAGIC)
            .ok_or(BundleError("another version wrote them"))?;
        let mut tree = Self::new();
        while !rest.is_empty() {
            let path = take_part(&mut rest)?;
            let path =
                str::from_utf8(path).map_err(|_| BundleError("the name of a file is not UTF-8"))?;
            if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err(BundleError("the name of a file is not one"));
            }
            let content = take_part(&mut rest)?;
            tree.insert(path, content);
        }
        Ok(tree)
    }

    /// The hash of [`Tree::to_bytes`] (BLAKE3, hexadecimal): what a bundle is kept under.
    pub fn hash(&self) -> String {
        blake3::hash(&self.to_bytes()).to_hex().to_string()
    }
}

/// Takes a length and as many bytes from the front.
fn take_part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BundleError> {
    let cut = || BundleError("they end too early");
    let (length, behind) = rest.split_first_chunk().ok_or_else(cut)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
    let (part, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
    *rest = behind;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (path, text) in files {
            tree.insert(*path, text.as_bytes());
        }
        tree
    }

    #[test]
    fn a_bundle_comes_back_as_it_was() {
        let files = tree(&[("campanile.toml", "a"), ("campaigns/é.md", "")]);
        let again = Tree::from_bytes(&files.to_bytes()).unwrap();
        assert_eq!(again, files);
        assert_eq!(again.hash(), files.hash());
        let subset = files.subset(["campanile.toml", "not/there"]);
        assert_eq!(subset.paths().collect::<Vec<_>>(), ["campanile.toml"]);
        assert_ne!(subset.hash(), files.hash());
    }

    #[test]
    fn what_stands_where_in_a_bundle_counts() {
        // The same letters, cut at other places.
        let (one, other) = (tree(&[("a", "bc")]), tree(&[("ab", "c")]));
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_bundle_may_not_name_files_elsewhere() {
        for path in ["../x", "/etc/passwd", "a/../b", "", "a//b"] {
            assert!(
                Tree::from_bytes(&tree(&[(path, "x")]).to_bytes()).is_err(),
                "{path}"
            );
        }
        assert!(Tree::from_bytes(b"campanile bundle 2\n").is_err());
    }

    #[test]
    fn a_file_that_is_not_utf8_says_where() {
        let mut tree = Tree::new();
        tree.insert("a.md", &b"ab\nc\xfcd"[..]);
        tree.insert("b.md", &b"\xef\xbb\xbfhello"[..]);
        assert_eq!(tree.get("a.md"), None);
        let error = tree.open("a.md").unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.md:2:2: this file is not UTF-8 (save it as UTF-8)"
        );
        assert_eq!(tree.get("b.md").unwrap().text(), "hello");
        assert!(tree.open("c.md").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
            let bytes = if start { [MAGIC, &bytes].concat() } else { bytes };
            if let Ok(tree) = Tree::from_bytes(&bytes) {
                prop_assert_eq!(Tree::from_bytes(&tree.to_bytes()).unwrap(), tree);
            }
        }
    }
}
