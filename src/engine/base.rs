//! The workspace as of a revision beside the one that is there now: which campaigns an edit adds, removes and changes, whom it
//! adds and drops, and what becomes of a message.
//!
//! Files that the repository has in that revision are taken from there, data files too; a source whose file is not in the
//! repository (or that is no file) is read as it is today on both sides. So are the ledger and the suppressions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    control::{Before, Change, Compared, ComparedCampaign, MessageDiff, Refused, RefusedKind},
    model::{CampaignId, SourceName},
    plan::{self, Checked, Comparison, Found, Plan},
    source::Source,
    workspace::{
        Entry, Loaded, POLICY_FILE, Revision, RevisionError, Settings, Snapshot, Tree,
        load_settings,
    },
};

use super::{
    Engine, loading,
    outlook::due,
    preview::{address, no_address},
};

/// Lines around a change in a message.
const CONTEXT: usize = 3;

/// The most lines of a message's difference.
const LINES: usize = 400;

/// The workspace as it was.
struct Base {
    commit: String,
    tree: Arc<Tree>,
    snapshot: Snapshot,
    /// Sources that are read as they were, because their file is in the repository and another one today.
    own_data: BTreeSet<SourceName>,
    /// Where those files are.
    _folder: tempfile::TempDir,
}

/// A campaign, as it is now and as it was.
struct Pair {
    now: Option<Arc<Loaded>>,
    was: Option<Arc<Loaded>>,
}

impl Engine {
    /// Compares the plans of campaigns (of all that are enabled, where none is named) with what they would be with the files of
    /// a git revision. Writes nothing, to the repository neither.
    pub(super) async fn compare_with(
        self: &Arc<Self>,
        revision: &str,
        named: Vec<CampaignId>,
        sample: usize,
    ) -> Result<Compared, Refused> {
        let base = self.base(revision).await?;
        let now = self.clock.now();
        let mut compared = Compared {
            revision: revision.to_owned(),
            commit: base.commit.clone(),
            campaigns: Vec::new(),
        };
        let snapshot = self.snapshot();
        let ids: BTreeSet<CampaignId> = if named.is_empty() {
            let all = snapshot
                .campaigns
                .keys()
                .chain(base.snapshot.campaigns.keys());
            all.cloned().collect()
        } else {
            named.iter().cloned().collect()
        };
        for id in ids {
            let is_named = named.contains(&id);
            if !snapshot.campaigns.contains_key(&id) && !base.snapshot.campaigns.contains_key(&id) {
                // With the refusal that names those that are close.
                self.loaded(&id)?;
            }
            let one = self.compare_one(&base, &id, is_named, sample, now).await?;
            compared.campaigns.extend(one);
        }
        Ok(compared)
    }

    async fn compare_one(
        self: &Arc<Self>,
        base: &Base,
        id: &CampaignId,
        is_named: bool,
        sample: usize,
        now: DateTime<Utc>,
    ) -> Result<Option<ComparedCampaign>, Refused> {
        let snapshot = self.snapshot();
        // A campaign that does not check has no plan: the refusal says why.
        let is = if snapshot.campaigns.contains_key(id) {
            Some(self.loaded(id)?)
        } else {
            None
        };
        let (was, broken) = match base.snapshot.campaigns.get(id) {
            Some(Entry::Ready(loaded)) => (Some(loaded.clone()), None),
            Some(Entry::Broken(broken)) => {
                let found = broken.diagnostics.iter().next();
                (
                    None,
                    Some(found.map_or_else(String::new, ToString::to_string)),
                )
            }
            None => (None, None),
        };
        let (is_on, was_on) = (enabled(is.as_ref()), enabled(was.as_ref()));
        let mut one = ComparedCampaign {
            id: id.clone(),
            change: match (&is, &was, &broken) {
                (None, ..) => Change::Removed,
                (Some(_), None, None) => Change::Added,
                (Some(is), Some(was), _) if self.is_unchanged(base, is, was) => Change::Unchanged,
                (Some(_), ..) => Change::Changed,
            },
            note: note(broken, is.as_ref(), was.as_ref()),
            plan: None,
            before: None,
            comparison: None,
            message: None,
        };
        if !is_named && !is_on && !was_on && one.change == Change::Unchanged {
            return Ok(None);
        }
        if one.change == Change::Unchanged && !is_named {
            return Ok(Some(one));
        }
        let unchanged = one.change == Change::Unchanged;
        let pair = Pair {
            now: is.filter(|_| is_on || is_named),
            was: was.filter(|_| (was_on || is_named) && !unchanged),
        };
        self.fill(&mut one, base, &pair, sample, now).await?;
        // The files differ, and nobody gets anything else for it: in that case, what sources have.
        let same = one.comparison.as_ref().is_some_and(Comparison::is_same);
        if one.change == Change::Changed && same && one.message.is_none() && pair.same_content() {
            one.change = Change::Unchanged;
        }
        Ok(Some(one))
    }

    /// The plans of a campaign and what lies between them.
    async fn fill(
        self: &Arc<Self>,
        one: &mut ComparedCampaign,
        base: &Base,
        pair: &Pair,
        sample: usize,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        let mut is = None;
        if let Some(loaded) = &pair.now {
            let request = self
                .request_at(loaded, self.settings().as_ref(), sample, now)
                .await?;
            let occurrence = request.occurrence.clone();
            let (mut plan, everybody) = plan::work_out_everybody(request).await?;
            let due = due(loaded, &occurrence, now);
            plan.outlook = Some(self.outlook(loaded, due, &plan).await?);
            is = Some((plan, everybody));
        }
        let mut was = None;
        if let Some(loaded) = &pair.was {
            let request = self.base_request(base, loaded, now).await?;
            was = Some(plan::work_out_everybody(request).await?);
        }
        let mut example = None;
        one.before = was.as_ref().map(|(plan, _)| before(plan));
        let (plan, is) = is.unzip();
        if let (Some((_, was)), Some(is)) = (was, is) {
            let compared = loading::blocking(move || plan::compare(&was, &is)).await;
            let (comparison, key) = compared.map_err(plan::PlanError::Spill)?;
            one.comparison = Some(comparison);
            example = key;
        }
        one.plan = plan;
        let sampled = one.plan.iter().flat_map(|plan| &plan.sample).next();
        if let (Some(key), Some(_)) = (
            example.or_else(|| sampled.map(|sample| sample.key.clone())),
            &pair.now,
        ) && one.change != Change::Unchanged
        {
            one.message = self.message_diff(base, pair, &key, now).await?;
        }
        Ok(())
    }

    /// Whether nothing that could tell two plans or messages apart is another: files, settings, data.
    fn is_unchanged(&self, base: &Base, is: &Loaded, was: &Loaded) -> bool {
        let tree = self.tree();
        let same_file = |path: &str| tree.bytes(path) == base.tree.bytes(path);
        let settings = tree.paths().chain(base.tree.paths());
        let own_data = |name| base.own_data.contains(name);
        is.content_digest == was.content_digest
            && settings.filter(|path| !path.contains('/')).all(same_file)
            && same_file(POLICY_FILE)
            && !is.campaign.audience.sources.iter().any(own_data)
    }

    /// The request of a plan that is only looked at, as of `now`.
    async fn request_at(
        &self,
        loaded: &Arc<Loaded>,
        settings: &Settings,
        sample: usize,
        now: DateTime<Utc>,
    ) -> Result<plan::Request, Refused> {
        let occurrence = self.next_occurrence(loaded, now).await?;
        Ok(plan::Request {
            sources: sources(loaded, settings)?,
            now: occurrence.due,
            sample,
            ..self.request(loaded, occurrence).await?
        })
    }

    async fn base_request(
        &self,
        base: &Base,
        loaded: &Arc<Loaded>,
        now: DateTime<Utc>,
    ) -> Result<plan::Request, Refused> {
        let settings = base.snapshot.settings.as_ref();
        let settings = settings.expect("without settings no campaign checks");
        let occurrence = self.next_occurrence(loaded, now).await?;
        let zoned = self.zoned(loaded, &occurrence).await?;
        Ok(plan::Request {
            zoned,
            loaded: loaded.clone(),
            sources: sources(loaded, settings)?,
            now: occurrence.due,
            occurrence,
            identity: self.identity.clone(),
            store: self.store.clone(),
            companions: self.companions(loaded).await?,
            cap: settings.frequency_cap,
            freeze: None,
            layout: None,
            sample: 0,
            progress: None,
            safety: settings.safety.clone(),
            was: self.ids_of(&loaded.campaign.id).split_off(1),
        })
    }

    /// The message of one recipient, before and after.
    async fn message_diff(
        &self,
        base: &Base,
        pair: &Pair,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<MessageDiff>, Refused> {
        let after = match &pair.now {
            Some(loaded) => {
                let request = self
                    .request_at(loaded, self.settings().as_ref(), 0, now)
                    .await?;
                self.message_of(loaded, &request, key).await?
            }
            None => Message::default(),
        };
        let before = match &pair.was {
            Some(loaded) => {
                let request = self.base_request(base, loaded, now).await?;
                self.message_of(loaded, &request, key).await?
            }
            None => Message::default(),
        };
        if before == after {
            return Ok(None);
        }
        Ok(Some(MessageDiff {
            key: key.to_owned(),
            only_html: before.shown == after.shown,
            diff: difference(&before.shown, &after.shown),
        }))
    }

    async fn message_of(
        &self,
        loaded: &Loaded,
        request: &plan::Request,
        key: &str,
    ) -> Result<Message, Refused> {
        let one: Checked = match plan::check_one(request, key).await? {
            Found::Recipient(one) => *one,
            Found::Invalid(row) => return Ok(Message::failed(&row)),
            Found::Nobody => return Ok(Message::default()),
        };
        let to = address(&one).unwrap_or_else(no_address);
        Ok(
            match self.render_one(loaded, &one, &request.occurrence, &to, None) {
                Ok(rendered) => Message {
                    shown: format!("Subject: {}\n\n{}", rendered.subject, rendered.text),
                    html: rendered.html,
                },
                Err(refused) => Message::failed(&refused),
            },
        )
    }

    /// Loads the workspace as of a revision.
    async fn base(&self, revision: &str) -> Result<Base, Refused> {
        let (location, name) = (self.location(), revision.to_owned());
        let opened = loading::blocking(move || {
            let revision = Revision::open(location, &name)?;
            let tree = revision.tree()?;
            Ok::<_, RevisionError>((revision, tree))
        });
        let (revision, tree) = opened.await.map_err(|error| not_there(&error))?;
        let folder = tempfile::tempdir().map_err(|error| no_folder(&error))?;
        // Deep enough for paths that lead out of the workspace.
        let root = folder.path().join("1/2/3/4/5/6/7/8");
        fs::create_dir_all(&root).map_err(|error| no_folder(&error))?;
        let (tree, commit) = (Arc::new(tree), revision.commit().to_owned());
        let (place, files, workspace) = (root.clone(), tree.clone(), self.workspace.clone());
        let added = self.additions.clone();
        let own_data = loading::blocking(move || {
            let settings = load_settings(&files, &place, &added).0;
            let mut own_data = BTreeSet::new();
            for (name, source) in settings.iter().flat_map(|settings| &settings.sources) {
                for file in source.config.files() {
                    if bring(&revision, &file, &workspace, &place)? {
                        own_data.insert(name.clone());
                    }
                }
            }
            Ok::<_, RevisionError>(own_data)
        });
        let own_data = own_data.await.map_err(|error| not_there(&error))?;
        let snapshot = loading::load(&root, tree.clone(), None, &self.additions).await;
        Ok(Base {
            commit,
            tree,
            snapshot,
            own_data,
            _folder: folder,
        })
    }
}

impl Pair {
    fn same_content(&self) -> bool {
        match (&self.now, &self.was) {
            (Some(now), Some(was)) => now.content_digest == was.content_digest,
            _ => false,
        }
    }
}

/// A message as it is compared.
#[derive(Default, PartialEq)]
struct Message {
    shown: String,
    html: Option<String>,
}

impl Message {
    fn failed(why: &dyn std::fmt::Display) -> Self {
        Self {
            shown: format!("(the message can't be made: {why})\n"),
            html: None,
        }
    }
}

fn enabled(loaded: Option<&Arc<Loaded>>) -> bool {
    loaded.is_some_and(|loaded| loaded.campaign.enabled)
}

/// What a comparison alone does not tell.
fn note(
    broken: Option<String>,
    is: Option<&Arc<Loaded>>,
    was: Option<&Arc<Loaded>>,
) -> Option<String> {
    if let Some(broken) = broken {
        return Some(format!("it did not check before: {broken}"));
    }
    match (is.is_some(), was.is_some()) {
        (true, _) if !enabled(is) => Some("it is disabled: it starts nothing".to_owned()),
        (true, true) if !enabled(was) => Some("it was disabled before".to_owned()),
        _ => None,
    }
}

fn before(plan: &Plan) -> Before {
    Before {
        occurrence: plan.occurrence.clone(),
        digest: plan.digest.clone(),
        totals: plan.totals,
    }
}

fn sources(loaded: &Loaded, settings: &Settings) -> Result<Vec<Arc<dyn Source>>, Refused> {
    let names: &[SourceName] = &loaded.campaign.audience.sources;
    let known: &BTreeMap<SourceName, _> = &settings.sources;
    let open = |name| {
        let source = known.get(name).ok_or_else(|| {
            let words = format!("the settings have no source {name}");
            Refused::new(RefusedKind::Broken, words)
        })?;
        Ok(source.config.open(&source.context))
    };
    names.iter().map(open).collect()
}

/// Puts a data file where the workspace as it was looks for it: as it was, where the repository has it, else as it is today.
/// Says whether it is another than today's.
fn bring(
    revision: &Revision,
    file: &Path,
    workspace: &Path,
    root: &Path,
) -> Result<bool, RevisionError> {
    let (today, there) = (workspace.join(file), root.join(file));
    // An absolute path is the same on both sides; two sources may share a file.
    if file.is_absolute() || there.exists() {
        return Ok(false);
    }
    if let Some(folder) = there.parent() {
        fs::create_dir_all(folder)?;
    }
    if revision.extract(file, &there)? {
        return Ok(!same_bytes(&today, &there).unwrap_or(false));
    }
    // What was begun for nothing.
    let _ = fs::remove_file(&there);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&today, &there)?;
    #[cfg(not(unix))]
    if today.exists() {
        fs::copy(&today, &there)?;
    }
    Ok(false)
}

/// Whether two files have the same bytes, a piece at a time.
fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    use io::Read;
    if fs::metadata(one)?.len() != fs::metadata(other)?.len() {
        return Ok(false);
    }
    let mut one = io::BufReader::new(fs::File::open(one)?);
    let mut other = io::BufReader::new(fs::File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = one.read(&mut a)?;
        if n == 0 {
            return Ok(other.read(&mut b)? == 0);
        }
        match other.read_exact(&mut b[..n]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if a[..n] != b[..n] {
            return Ok(false);
        }
    }
}

/// A unified difference of two texts, without its two header lines.
fn difference(before: &str, after: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, after);
    let whole = diff.unified_diff().context_radius(CONTEXT).to_string();
    let mut lines = whole.lines();
    let mut shown: Vec<_> = lines
        .by_ref()
        .filter(|line| *line != "\\ No newline at end of file")
        .take(LINES)
        .collect();
    if lines.next().is_some() {
        shown.push("… and more");
    }
    shown.join("\n")
}

fn not_there(error: &RevisionError) -> Refused {
    let kind = match error {
        RevisionError::NoRevision(_) | RevisionError::NoRepository(_) => RefusedKind::Usage,
        RevisionError::NoGit | RevisionError::Git(_) | RevisionError::Io(_) => RefusedKind::Failed,
    };
    Refused::new(kind, error.to_string())
}

fn no_folder(error: &io::Error) -> Refused {
    let folder = std::env::temp_dir();
    Refused::new(
        RefusedKind::Failed,
        format!(
            "{}: {error} (TMPDIR names another folder)",
            folder.display()
        ),
    )
}
