//! Files become a [`Snapshot`]: settings, campaigns, what is wrong with them, and watching for changes.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    message::EmailTemplate,
    model::{
        Campaign, CampaignId, Channel, Diagnostics, EmailAddress, Period, Place, Rate, Schema,
        SecretRef, Sender, SenderName, SourceName, Topic, TopicName, TransportName, Zone,
    },
    script::{Library, Program},
    source::{SourceConfig, SourceContext},
    transport::TransportConfig,
};

/// The text files of a workspace as of one look: settings, campaigns, scripts, templates. Paths are relative to the
/// workspace, with `/`. Data files are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Arc<[u8]>>,
}

/// The settings, as `campanile.toml` says.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[store]`
    pub store: StoreSettings,
    /// `[web]`
    pub web: WebSettings,
    /// `[senders.…]`
    pub senders: BTreeMap<SenderName, Sender>,
    /// `[topics.…]`
    pub topics: BTreeMap<TopicName, Topic>,
    /// `[sources.…]`
    pub sources: BTreeMap<SourceName, SourceSettings>,
    /// `[transports.…]`
    pub transports: BTreeMap<TransportName, TransportSettings>,
    /// `[limits] default_timezone`: the zone of campaigns that name none.
    pub default_timezone: Zone,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// The SQLite file, absolute or relative to the workspace.
    pub path: PathBuf,
    /// At most this many messages are on the wire at once.
    pub max_in_doubt: usize,
}

/// `[web]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// What links in messages start with, without a slash at the end.
    pub public_url: String,
    /// Where the public pages are served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where the private pages are served; `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// The first signs links, all verify them. Empty: one is made and kept in the store.
    pub secrets: Vec<SecretRef>,
    /// The second way in List-Unsubscribe.
    pub unsubscribe_mailto: Option<EmailAddress>,
}

/// One of `[sources.…]`.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// What every kind has.
    pub context: SourceContext,
    /// What its kind has.
    pub config: Arc<dyn SourceConfig>,
    /// Where it stands.
    pub place: Place,
}

/// One of `[transports.…]`.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// Its name.
    pub name: TransportName,
    /// Its channel.
    pub channel: Channel,
    /// How many connections side by side.
    pub connections: usize,
    /// At most this many messages in this time.
    pub rate: Option<Rate>,
    /// A delivery that was deferred for longer has failed.
    pub give_up_after: Period,
    /// What its kind has.
    pub config: Arc<dyn TransportConfig>,
    /// Where it stands.
    pub place: Place,
}

/// Everything in the workspace's files, checked and immutable.
pub struct Snapshot {
    /// The settings; `None`: they do not check.
    pub settings: Option<Arc<Settings>>,
    /// Every campaign file, by id.
    pub campaigns: BTreeMap<CampaignId, Entry>,
    /// All findings, of all files.
    pub diagnostics: Diagnostics,
}

/// A campaign file.
#[derive(Clone)]
pub enum Entry {
    /// It checks.
    Ready(Arc<Loaded>),
    /// It does not.
    Broken(Arc<Broken>),
}

/// A campaign that checks, compiled.
pub struct Loaded {
    /// What the file says.
    pub campaign: Campaign,
    /// Who is writing.
    pub sender: Sender,
    /// What recipients unsubscribe from.
    pub topic: Topic,
    /// Its zone: the schedule's, else the default.
    pub zone: Zone,
    /// Condition and variables.
    pub program: Program,
    /// The mail.
    pub email: Option<EmailTemplate>,
    /// The digest of its content: campaign file, scripts, templates, sender and topic (BLAKE3, hexadecimal).
    pub content_digest: String,
    /// The files it is made of: what a run is pinned to.
    pub files: Tree,
}

/// A campaign that does not check.
pub struct Broken {
    /// Its id, as far as it can be told.
    pub id: CampaignId,
    /// Its file.
    pub path: String,
    /// What is wrong.
    pub diagnostics: Diagnostics,
}

/// Reads the settings alone: what sources there are must be known before campaigns can be checked.
pub fn load_settings(tree: &Tree, workspace: &Path) -> (Option<Settings>, Diagnostics) {
    let _ = (tree, workspace);
    todo!()
}

/// Checks and compiles everything. `schemas` are the sources' columns as they are now; a source that is missing there can't be
/// read now, and its fields are not checked.
pub fn load(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
) -> Snapshot {
    let _ = (tree, workspace, schemas, Library::compile);
    todo!()
}
