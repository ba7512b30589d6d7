//! `campanile.toml`: where things are kept, who writes, from whom and how it goes out.

mod dkim;
mod people;
mod safety;
mod sources;
mod transports;
mod web;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Additions, look::SETTINGS, tree::Tree};
use crate::{
    model::{
        Diagnostic, Diagnostics, Document, Item, Place, Rate, Safety, Section, Sender, SenderName,
        Size, SourceFile, SourceName, Topic, TopicName, TransportName, Zone,
    },
    source::{self, SourceKind},
    transport::{self, TransportKind},
};

pub use dkim::DkimSettings;
pub use sources::SourceSettings;
pub use transports::TransportSettings;
pub use web::WebSettings;

/// The settings, as `campanile.toml` says, and the file of the chosen environment over it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[store]`
    pub store: StoreSettings,
    /// `[web]`
    pub web: WebSettings,
    /// `[senders.…]`
    pub senders: BTreeMap<SenderName, Sender>,
    /// The keys that sign a sender's mail, where it has any.
    pub dkim: BTreeMap<SenderName, Vec<DkimSettings>>,
    /// `[topics.…]`
    pub topics: BTreeMap<TopicName, Topic>,
    /// `[sources.…]`
    pub sources: BTreeMap<SourceName, SourceSettings>,
    /// `[transports.…]`
    pub transports: BTreeMap<TransportName, TransportSettings>,
    /// `[limits] frequency_cap`: how many messages of marketing campaigns anybody may have in which time.
    pub frequency_cap: Option<Rate>,
    /// `[limits] default_timezone`: the zone of campaigns that name none.
    pub default_timezone: Zone,
    /// `[safety]`: what no campaign can escape.
    pub safety: Safety,
    /// `[limits] attachments`: the most bytes that attachments and pictures of a message may have together.
    pub most_attached: Size,
}

/// What most mail servers take, with room for the encoding.
pub(super) const MOST_ATTACHED: Size = Size::megabytes(10);

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The `SQLite` file, absolute or relative to the workspace.
    pub path: PathBuf,
    /// At most this many messages are on the wire at once.
    pub max_in_doubt: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            path: "campanile.db".into(),
            max_in_doubt: 64,
        }
    }
}

/// The kinds of sources and transports there are, and what the embedding program adds.
#[derive(Clone, Copy)]
pub(super) struct Kinds<'a> {
    pub(super) sources: &'a [SourceKind],
    pub(super) transports: &'a [TransportKind],
    pub(super) added: &'a Additions,
}

impl<'a> Kinds<'a> {
    /// Those of this build.
    pub(super) fn built(added: &'a Additions) -> Self {
        Self {
            sources: source::KINDS,
            transports: transport::KINDS,
            added,
        }
    }
}

/// Reads the settings alone: what sources there are must be known before campaigns can be checked. They are `None` where
/// they do not check.
pub fn load_settings(
    tree: &Tree,
    workspace: &Path,
    added: &Additions,
) -> (Option<Settings>, Diagnostics) {
    load_with(tree, workspace, Kinds::built(added))
}

pub(super) fn load_with(
    tree: &Tree,
    workspace: &Path,
    kinds: Kinds<'_>,
) -> (Option<Settings>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let file = match tree.open(SETTINGS) {
        Some(Ok(file)) => file,
        Some(Err(diagnostic)) => {
            diagnostics.push(diagnostic);
            return (None, diagnostics);
        }
        None => {
            let nothing = SourceFile::new(SETTINGS, "");
            diagnostics.push(
                Diagnostic::error(
                    "no-settings",
                    Place::start_of(&nothing),
                    format!("there is no {SETTINGS} in {}", workspace.display()),
                )
                .help("name the folder that has it with --workspace"),
            );
            return (None, diagnostics);
        }
    };
    let over = match tree.override_file().and_then(|path| tree.open(path)) {
        None => None,
        Some(Ok(over)) => Some(over),
        Some(Err(diagnostic)) => {
            diagnostics.push(diagnostic);
            return (None, diagnostics);
        }
    };
    let document = Document::new(&file);
    let document = match &over {
        Some(over) => document.overridden_by(over),
        None => document,
    };
    let (settings, found) = document.read(|root| read(root, workspace, kinds));
    let found = super::in_order(found, &file);
    let settings = settings.filter(|_| !found.has_errors());
    (settings, found)
}

fn read(root: Section<'_>, workspace: &Path, kinds: Kinds<'_>) -> Option<Settings> {
    let store = root.section("store").map(store);
    let web = web::read(root.section("web"));
    let (senders, dkim) = people::senders(&root);
    let topics = people::topics(&root);
    let sources = sources::read(&root, workspace, kinds);
    let transports = transports::read(&root, kinds);
    let (default_timezone, frequency_cap, most_attached) =
        root.section("limits").map(limits).unwrap_or_default();
    let safety = safety::read(root.section("safety"));
    root.finish();
    Some(Settings {
        store: store.unwrap_or_default(),
        web: web?,
        senders,
        dkim,
        topics,
        sources,
        transports,
        frequency_cap,
        default_timezone: default_timezone.unwrap_or_else(Zone::utc),
        safety: safety?,
        most_attached: most_attached.unwrap_or(MOST_ATTACHED),
    })
}

fn store(section: Section<'_>) -> StoreSettings {
    let default = StoreSettings::default();
    section.not_built("url", "a store in PostgreSQL");
    let path = section.take("path");
    let max_in_doubt = at_least_one_at_most(&section, "max_in_doubt", 100_000);
    section.finish();
    StoreSettings {
        path: path.unwrap_or(default.path),
        max_in_doubt: max_in_doubt.unwrap_or(default.max_in_doubt),
    }
}

fn limits(section: Section<'_>) -> (Option<Zone>, Option<Rate>, Option<Size>) {
    let cap = section.take("frequency_cap");
    let zone = section.take("default_timezone");
    let most_attached = section.take("attachments");
    section.finish();
    (zone, cap, most_attached)
}

/// A whole number from 1 to `most`.
fn at_least_one_at_most(section: &Section<'_>, key: &'static str, most: usize) -> Option<usize> {
    let item = section.item(key)?;
    let number: usize = item.read()?;
    if (1..=most).contains(&number) {
        Some(number)
    } else {
        item.error(
            "out-of-range",
            format!("`{key}` is not between 1 and {most}"),
        )
    }
}

/// A name that is the key of a table: `acme` in `[senders.acme]`.
fn table_name<T>(item: &Item<'_>, section: &Section<'_>) -> Option<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match item.name.key.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            section.error(
                "wrong-name",
                item.name.place.clone(),
                format!("`{}` is not a name: {error}", item.name.key),
            );
            None
        }
    }
}

/// A kind that this build does not have: one that is to come, or a slip of the pen.
fn unknown_kind(item: &Item<'_>, kind: &str, built: &[&str], to_come: &[&str]) {
    if to_come.contains(&kind) {
        item.error::<()>("not-built", format!("the kind \"{kind}\" is not built yet"));
        return;
    }
    let message = format!(
        "there is no kind \"{kind}\" in [{}]",
        parent(&item.name.path)
    );
    let known = Diagnostic::error("unknown-kind", item.place(), message)
        .help(format!("kinds are {}", built.join(", ")));
    item.report::<()>(known.did_you_mean(kind, built.iter().chain(to_come).copied()));
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(parent, _)| parent)
}

#[cfg(test)]
mod tests;
