//! From a folder to a snapshot, a store, and the keys that are kept in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use crate::{
    control::{Refused, RefusedKind},
    message::{
        dkim::{Signer, Signing},
        links::Links,
    },
    model::{Diagnostic, Identity, Schema, Severity, SourceName},
    source::SourceError,
    store::{self, Lock, LockError, Store, TakenOver},
    workspace::{self, Additions, Location, Settings, Snapshot, Tree},
};

use super::Writing;

/// The columns of sources, or why they can't be told now.
pub(super) type Columns = BTreeMap<SourceName, Result<Schema, SourceError>>;

/// The setting under which the identity key is kept.
const IDENTITY_KEY: &str = "identity_key";
/// The setting under which a made link secret is kept.
const LINK_SECRET: &str = "link_secret";

/// The workspace with its folder as an absolute path; it must hold a `campanile.toml`.
pub(super) fn absolute(location: Location) -> Result<Location, Refused> {
    let folder = &location.folder;
    let usage = |message: String| Refused::new(RefusedKind::Usage, message);
    let path = folder
        .canonicalize()
        .map_err(|error| usage(format!("{}: {error}", folder.display())))?;
    if path.join("campanile.toml").is_file() {
        return Ok(Location {
            folder: path,
            ..location
        });
    }
    Err(usage(format!(
        "{} is not a workspace: it has no campanile.toml (--workspace names another folder)",
        path.display()
    )))
}

/// Reads and checks all files.
pub(super) async fn load_from_disk(
    location: &Location,
    added: &Additions,
) -> Result<(Arc<Tree>, Snapshot), Refused> {
    let (folder, at) = (&location.folder, location.clone());
    let tree = blocking(move || Tree::read(at)).await;
    let tree = tree.map_err(|error| {
        Refused::new(
            RefusedKind::Failed,
            format!("{}: {error}", folder.display()),
        )
    })?;
    let tree = Arc::new(tree);
    Ok((tree.clone(), load(folder, tree, None, added).await))
}

/// Checks a tree of files: the settings, then the sources they name (only their headers), then the campaigns; of these, those
/// that are as they were `before` are taken over.
pub(super) async fn load(
    folder: &Path,
    tree: Arc<Tree>,
    before: Option<Arc<Snapshot>>,
    added: &Additions,
) -> Snapshot {
    let (root, files) = (folder.to_owned(), tree.clone());
    let with = added.clone();
    let (settings, _) = blocking(move || workspace::load_settings(&files, &root, &with)).await;
    let (mut schemas, mut unreadable) = (BTreeMap::new(), Vec::new());
    for (name, source) in settings.iter().flat_map(|settings| &settings.sources) {
        match source.config.open(&source.context).describe().await {
            Ok(schema) => {
                schemas.insert(name.clone(), Arc::new(schema));
            }
            Err(error) => unreadable.push(
                Diagnostic::error(
                    "source-error",
                    error.place.clone().unwrap_or_else(|| source.place.clone()),
                    error.to_string(),
                )
                .help("campaigns with this source are held as `source_error` until it can be read"),
            ),
        }
    }
    let (root, with) = (folder.to_owned(), added.clone());
    let mut snapshot = blocking(move || match before {
        Some(before) => workspace::load_again(&tree, &root, &schemas, &with, &before),
        None => workspace::load(&tree, &root, &schemas, &with),
    })
    .await;
    snapshot.diagnostics.extend(unreadable);
    snapshot
}

/// The columns of each source that the settings name.
pub(super) async fn columns(location: &Location, added: &Additions) -> Result<Columns, Refused> {
    let (_, snapshot) = load_from_disk(location, added).await?;
    let Some(settings) = &snapshot.settings else {
        return Err(broken(&snapshot));
    };
    let mut columns = BTreeMap::new();
    for (name, source) in &settings.sources {
        let described = source.config.open(&source.context).describe().await;
        columns.insert(name.clone(), described);
    }
    Ok(columns)
}

/// Runs what reads files or computes off the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work)
        .await
        .expect("loading does not panic")
}

/// The refusal of a workspace whose settings do not check.
pub(super) fn broken(snapshot: &Snapshot) -> Refused {
    let mut errors = snapshot
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error);
    let first = errors.next().map_or_else(
        || "campanile.toml does not check".to_owned(),
        ToString::to_string,
    );
    let more = match errors.count() {
        0 => String::new(),
        n => format!(" (and {n} more: `campanile check` shows all)"),
    };
    Refused::new(
        RefusedKind::Broken,
        format!("the settings do not check: {first}{more}"),
    )
}

/// Where the store is: `CAMPANILE_STORE`, else what the settings say.
pub(super) fn store_path(folder: &Path, settings: &Settings) -> PathBuf {
    chosen_store(folder).unwrap_or_else(|| folder.join(&settings.store.path))
}

/// Where the store of a folder is, whether or not its settings check.
pub(super) async fn store_path_of(location: &Location) -> PathBuf {
    let (folder, at) = (&location.folder, location.clone());
    let settings = blocking(move || {
        let root = at.folder.clone();
        workspace::load_settings(&Tree::read(at).ok()?, &root, &Additions::none()).0
    })
    .await;
    match settings {
        Some(settings) => store_path(folder, &settings),
        None => chosen_store(folder).unwrap_or_else(|| folder.join("campanile.db")),
    }
}

/// The store that `CAMPANILE_STORE` names, if it names one.
fn chosen_store(folder: &Path) -> Option<PathBuf> {
    std::env::var_os("CAMPANILE_STORE")
        .filter(|path| !path.is_empty())
        .map(|path| folder.join(path))
}

/// The store for looking at, if there is one.
pub(super) fn open_read_only(path: &Path) -> Result<Option<Arc<dyn Store>>, Refused> {
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(store::open_read_only(path)?))
}

/// The store for writing: locked, taken over, with what a crash left settled.
pub(super) async fn open_for_writing(
    path: &Path,
    now: DateTime<Utc>,
) -> Result<(Arc<dyn Store>, Writing), Refused> {
    let lock = Lock::take(path).map_err(|error| {
        let help = match error {
            LockError::Held(_) => {
                ": stop it, or let it answer (commands reach a running daemon by themselves)"
            }
            LockError::Io { .. } => "",
        };
        Refused::new(RefusedKind::Failed, format!("{error}{help}"))
    })?;
    let owned = path.to_owned();
    let store = blocking(move || store::open(&owned)).await?;
    let TakenOver {
        lease,
        last_heartbeat,
        in_doubt,
        discarded,
    } = store.take_over(now).await?;
    for (run, n) in &in_doubt {
        tracing::warn!(%run, deliveries = n, "in doubt: the last process ended before their answers were seen");
    }
    for (campaign, occurrence) in &discarded {
        tracing::info!(%campaign, %occurrence, "a half plan was dropped: it is planned again");
    }
    Ok((
        store,
        Writing {
            lease,
            last_heartbeat,
            _lock: lock,
        },
    ))
}

/// The key of the hashes: made with the store, kept in it.
pub(super) async fn identity(
    store: Option<&dyn Store>,
    may_write: bool,
) -> Result<Identity, Refused> {
    let Some(store) = store else {
        return Ok(Identity::new([0; 32]));
    };
    let key = kept_or_made(store, IDENTITY_KEY, may_write).await?;
    let key = <[u8; 32]>::try_from(key.as_slice())
        .map_err(|_| Refused::new(RefusedKind::Failed, "the store's identity key is damaged"))?;
    Ok(Identity::new(key))
}

/// The links, signed with the settings' secrets, or with one that is made and kept where they name none.
pub(super) async fn links(
    folder: &Path,
    settings: &Settings,
    store: Option<&dyn Store>,
    may_write: bool,
) -> Result<Links, Refused> {
    let mut secrets = Vec::new();
    for secret in &settings.web.secrets {
        let secret = secret.read(folder).map_err(|error| {
            Refused::new(
                RefusedKind::Broken,
                format!("campanile.toml: [web] secrets: {error}"),
            )
        })?;
        secrets.push(secret.expose_secret().as_bytes().to_vec());
    }
    if let (true, Some(store)) = (secrets.is_empty(), store) {
        secrets.push(kept_or_made(store, LINK_SECRET, may_write).await?);
    }
    if secrets.is_empty() {
        // Nothing was ever sent from here, and nothing is.
        return Ok(preview_links(settings));
    }
    Ok(Links::new(&secrets, &settings.web.public_url))
}

/// Links that are only looked at.
pub(super) fn preview_links(settings: &Settings) -> Links {
    Links::new(&[b"preview".to_vec()], &settings.web.public_url)
}

/// The keys that sign mail, as the settings name them.
pub(super) fn signing(folder: &Path, settings: &Settings) -> Result<Signing, Refused> {
    let mut signing = Signing::default();
    for (sender, keys) in &settings.dkim {
        for key in keys {
            let signer = key
                .key
                .read(folder)
                .and_then(|pem| Signer::new(&key.domain, &key.selector, pem.expose_secret()));
            let signer = signer.map_err(|error| {
                Refused::new(
                    RefusedKind::Broken,
                    format!(
                        "campanile.toml: [senders.{sender}] dkim: the key {} of {}: {error}",
                        key.selector, key.domain
                    ),
                )
            })?;
            signing.add(sender.clone(), signer);
        }
    }
    Ok(signing)
}

async fn kept_or_made(store: &dyn Store, name: &str, may_write: bool) -> Result<Vec<u8>, Refused> {
    if let Some(kept) = store.setting(name).await? {
        return Ok(kept);
    }
    let mut made = vec![0; 32];
    getrandom::fill(&mut made).map_err(|error| {
        Refused::new(
            RefusedKind::Failed,
            format!("the system gives no random bytes: {error}"),
        )
    })?;
    if may_write {
        store.set_setting(name, &made).await?;
        if name == LINK_SECRET {
            tracing::info!(
                "no [web] secrets are set: one was made and is kept in the store; unsubscribe links work as long as the \
                 store does"
            );
        }
    }
    Ok(made)
}
