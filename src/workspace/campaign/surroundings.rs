//! What a campaign may refer to: names that the settings declare, and files beside it.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Component, Path},
};

use crate::{
    model::{Diagnostic, Item, SourceFile},
    workspace::{Settings, Tree},
};

/// What a campaign may refer to.
pub(super) struct Surroundings<'a> {
    pub(super) tree: &'a Tree,
    /// `None`: the settings do not check, so that no name can be said to be unknown.
    pub(super) settings: Option<&'a Settings>,
    /// The files that were asked for.
    pub(super) used: RefCell<BTreeSet<String>>,
}

/// Reports a name that the settings do not declare.
pub(super) fn undeclared<'a>(
    item: &Item<'_>,
    what: &str,
    name: &str,
    table: &str,
    declared: impl IntoIterator<Item = &'a str>,
) {
    let declared: Vec<_> = declared.into_iter().collect();
    let help = if declared.is_empty() {
        format!("declare it as [{table}.{name}] in campanile.toml")
    } else {
        format!("campanile.toml declares {}", declared.join(", "))
    };
    item.report::<()>(
        Diagnostic::error(
            "unknown-name",
            item.place(),
            format!("there is no {what} `{name}`"),
        )
        .help(help)
        .did_you_mean(name, declared),
    );
}

impl Surroundings<'_> {
    /// The text file that `item` names by its path relative to the campaign file. What is wrong with it is recorded.
    pub(super) fn file(&self, item: &Item<'_>, written: &str) -> Option<SourceFile> {
        let place = item.place();
        let Some(path) = resolve(place.file.folder(), written) else {
            return item.report(
                Diagnostic::error(
                    "outside-workspace",
                    place,
                    format!("{written:?} does not lie in the workspace"),
                )
                .help("paths are relative to this file"),
            );
        };
        match self.tree.open(&path) {
            Some(Ok(file)) => {
                self.used.borrow_mut().insert(path);
                Some(file)
            }
            Some(Err(diagnostic)) => item.report(Diagnostic {
                message: format!("{path}: {}", diagnostic.message),
                place,
                ..diagnostic
            }),
            None => {
                let name = path.rsplit('/').next().unwrap_or(&path);
                let missing = Diagnostic::error(
                    "no-such-file",
                    item.place(),
                    format!("there is no text file {path} in the workspace"),
                )
                .help(
                    "files that campaigns name lie in campaigns/ or templates/ and end in .md, .html or .txt",
                );
                let folder = &path[..path.len() - name.len()];
                let beside = self
                    .tree
                    .paths()
                    .filter_map(|other| other.strip_prefix(folder))
                    .filter(|name| {
                        !name.contains('/')
                            && name
                                .rsplit_once('.')
                                .is_some_and(|(_, ending)| ending != "toml")
                    });
                item.report(missing.did_you_mean(name, beside))
            }
        }
    }
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
