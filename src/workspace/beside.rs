//! Files beside a campaign's texts that go with its messages: found, read and checked.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Component, Path},
};

use super::{Tree, assets::Asset};
use crate::{
    message::{Files, NamedFile},
    model::{Diagnostic, Media, Place},
};

/// The folders that such files may lie in: what else a workspace has (its store, its secrets) is nobody's attachment.
const FOLDERS: [&str; 2] = ["campaigns/", "templates/"];

/// The pictures that templates of one campaign may name.
pub(super) struct Beside<'a> {
    tree: &'a Tree,
    /// Those that were asked for, by path.
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Beside<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            used: RefCell::default(),
        }
    }

    /// The paths that were asked for.
    pub(super) fn into_used(self) -> BTreeSet<String> {
        self.used.into_inner()
    }
}

impl Files for Beside<'_> {
    fn open(&self, place: &Place, written: &str) -> Result<NamedFile, Box<Diagnostic>> {
        let file = open(self.tree, place.clone(), written)?;
        self.used.borrow_mut().insert(file.path.clone());
        Ok(file)
    }
}

/// The file that is named at `place`, relative to the folder of the file it is named in.
pub(super) fn open(tree: &Tree, place: Place, written: &str) -> Result<NamedFile, Box<Diagnostic>> {
    let Some(path) = resolve(place.file.folder(), written) else {
        return Err(Box::new(outside(place, written)));
    };
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    if hidden || !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        let words = format!("{path} does not lie in campaigns/ or templates/");
        let help = "put it beside this file; names that begin with a dot are passed over";
        return Err(Box::new(
            Diagnostic::error("outside-workspace", place, words).help(help),
        ));
    }
    let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
    let bytes = match tree.asset(&path) {
        Asset::Bytes(bytes) => bytes,
        Asset::Unread(why) => {
            return Err(Box::new(Diagnostic::error(
                "unreadable-file",
                place,
                format!("{path} can't be read: {why}"),
            )));
        }
        Asset::Missing => {
            let folder = &path[..path.len() - name.len()];
            let beside = tree.assets().names_in(folder);
            let missing = Diagnostic::error(
                "no-such-file",
                place,
                format!("there is no file {path} in the workspace"),
            )
            .help("paths are relative to this file");
            return Err(Box::new(
                missing.did_you_mean(&name, beside.iter().map(String::as_str)),
            ));
        }
    };
    match Media::check(&name, &bytes) {
        Ok(media) => Ok(NamedFile {
            path,
            name,
            media,
            bytes,
        }),
        Err(error) => Err(Box::new(
            Diagnostic::error(error.code, place, error.message).help(error.help),
        )),
    }
}

/// A path that leads out of the workspace.
pub(super) fn outside(place: Place, written: &str) -> Diagnostic {
    let words = format!("{written:?} does not lie in the workspace");
    Diagnostic::error("outside-workspace", place, words).help("paths are relative to this file")
}

/// A path relative to `folder` as one relative to the workspace; `None` where it leads out of it.
pub(super) fn resolve(folder: &Path, written: &str) -> Option<String> {
    let path = folder.join(written);
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}
