//! Loading: all files are read, checked and compiled, and what is wrong with any of them is found in one go.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use super::{
    Additions, Settings, Tree,
    beside::Beside,
    campaign::{self, Draft},
    look::SETTINGS,
    pin,
    scripts::{POLICY_FILE, Scripts},
    settings::{self, Kinds},
    test_recipients,
};
use crate::{
    message::EmailTemplate,
    model::{
        Campaign, CampaignId, Diagnostic, Diagnostics, Place, Schema, Sender, SourceFile,
        SourceName, Topic, Zone,
    },
    script::Program,
};

/// Everything in the workspace's files, checked and immutable.
pub struct Snapshot {
    /// The settings; `None`: they do not check. All campaigns are [`Entry::Broken`] then.
    pub settings: Option<Arc<Settings>>,
    /// Every campaign file, by id.
    pub campaigns: BTreeMap<CampaignId, Entry>,
    /// All findings, of all files, each once.
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
    /// The digest of its content: campaign file, scripts, templates, sender, topic and zone (BLAKE3, hexadecimal). Where
    /// the campaign file lies and what it is called do not count.
    pub content_digest: String,
    /// The files it is made of: what a run is pinned to.
    pub files: Tree,
    /// The columns of its sources when it was checked; `None`: that one could not be read.
    pub(super) schemas: Vec<Option<Arc<Schema>>>,
    /// What was found in it all the same: warnings.
    pub(super) findings: Diagnostics,
}

impl Loaded {
    /// Whether it would be the same again: all that it is made of and was checked against is as it was.
    fn is_as_before(&self, tree: &Tree, schemas: &BTreeMap<SourceName, Arc<Schema>>) -> bool {
        let sources = &self.campaign.audience.sources;
        let same =
            |(name, then): (&SourceName, &Option<Arc<Schema>>)| schemas.get(name) == then.as_ref();
        let translated = campaign::translations::is_complete(&self.campaign, tree);
        translated
            && tree.holds(&self.files)
            && self.has_policy_of(tree)
            && sources.iter().zip(&self.schemas).all(same)
    }

    /// Whether the policy that it was compiled with is that of these files: none there and none here is the same too.
    pub(crate) fn has_policy_of(&self, tree: &Tree) -> bool {
        self.files.bytes(POLICY_FILE) == tree.bytes(POLICY_FILE)
    }
}

/// A campaign that does not check.
pub struct Broken {
    /// Its id, as far as it can be told.
    pub id: CampaignId,
    /// Its file; the first where several claim the id.
    pub path: String,
    /// What is wrong: in the campaign's files, in scripts that it uses, or that the settings do not check.
    pub diagnostics: Diagnostics,
    /// What it goes on with: the last files that checked, where they say `on_broken = "last_good"`. A load knows nothing of
    /// earlier ones: the engine fills it in.
    pub last_good: Option<Arc<Loaded>>,
}

/// Checks and compiles everything. `schemas` are the sources' columns as they are now; a source that is missing there can't be
/// read now, and its fields are not checked.
pub fn load(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    added: &Additions,
) -> Snapshot {
    load_with(tree, workspace, schemas, Kinds::built(added), None)
}

/// The same after a change: campaigns of `before` that are not touched by it are taken over as they are.
pub fn load_again(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    added: &Additions,
    before: &Snapshot,
) -> Snapshot {
    load_with(tree, workspace, schemas, Kinds::built(added), Some(before))
}

pub(super) fn load_with(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    kinds: Kinds<'_>,
    before: Option<&Snapshot>,
) -> Snapshot {
    let _asking = tree.assets().asking();
    let (settings, mut diagnostics) = settings::load_with(tree, workspace, kinds);
    let scripts = Scripts::compile(tree, &kinds.added.functions);
    diagnostics.extend(scripts.findings.clone());
    let mut campaigns: BTreeMap<CampaignId, Entry> = BTreeMap::new();
    // With broken settings nobody is as before.
    let before = before.filter(|_| settings.is_some());
    let kept = kept_by_path(before, tree, schemas);
    let mut all = read_campaigns(tree, settings.as_ref(), &kept);
    refuse_shared_histories(&mut all);
    for found in all {
        let (entry, findings) = match found {
            Found::Draft(mut draft) if settings.is_some() => {
                if let Some(settings) = &settings {
                    let schema_of = |name: &SourceName| schemas.get(name);
                    let wrong =
                        test_recipients::check(&draft.campaign, settings, schema_of, workspace);
                    draft.diagnostics.extend(wrong);
                }
                let (compiled, findings, of_scripts) =
                    compile(*draft, tree, &scripts, schemas, settings.as_ref());
                let entry = match compiled {
                    Ok(loaded) => Entry::Ready(Arc::new(loaded)),
                    Err(file) => {
                        let mut all = findings.clone();
                        all.extend(of_scripts);
                        broken(file.0, file.1, all)
                    }
                };
                (entry, findings)
            }
            Found::Draft(draft) => {
                let mut all = draft.diagnostics.clone();
                all.push(settings_are_broken());
                let path = draft.campaign.file.path().to_owned();
                (broken(draft.campaign.id, path, all), draft.diagnostics)
            }
            Found::Kept(loaded) => {
                let findings = loaded.findings.clone();
                (Entry::Ready(loaded), findings)
            }
            Found::Unusable(file) => {
                let findings = file.diagnostics.clone();
                (Entry::Broken(Arc::new(file)), findings)
            }
        };
        diagnostics.extend(findings);
        campaigns.insert(entry.id().clone(), entry);
    }
    Snapshot {
        settings: settings.map(Arc::new),
        campaigns,
        diagnostics,
    }
}

impl Entry {
    /// The campaign's id.
    pub fn id(&self) -> &CampaignId {
        match self {
            Self::Ready(loaded) => &loaded.campaign.id,
            Self::Broken(broken) => &broken.id,
        }
    }

    /// What its runs are made of now: the campaign as it is, or the last that checked where it says so.
    pub fn in_force(&self) -> Option<&Arc<Loaded>> {
        match self {
            Self::Ready(loaded) => Some(loaded),
            Self::Broken(broken) => broken.last_good.as_ref(),
        }
    }
}

fn broken(id: CampaignId, path: String, diagnostics: Diagnostics) -> Entry {
    Entry::Broken(Arc::new(Broken {
        id,
        path,
        diagnostics,
        last_good: None,
    }))
}

fn settings_are_broken() -> Diagnostic {
    let place = Place::start_of(&SourceFile::new(SETTINGS, ""));
    let message = format!("{SETTINGS} does not check, and without it no campaign can be checked");
    Diagnostic::error("settings-broken", place, message)
}

/// One campaign id as the files have it.
pub(super) enum Found {
    /// One file has it and can be read.
    Draft(Box<Draft>),
    /// It was loaded before, and nothing of it has changed.
    Kept(Arc<Loaded>),
    /// Its file can't be read, or several claim it.
    Unusable(Broken),
}

/// Campaigns that were loaded before and are untouched since, by the path of their file.
pub(super) type KeptByPath = BTreeMap<String, Arc<Loaded>>;

fn kept_by_path(
    before: Option<&Snapshot>,
    tree: &Tree,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
) -> KeptByPath {
    let entries = before
        .into_iter()
        .flat_map(|before| before.campaigns.values());
    entries
        .filter_map(|entry| match entry {
            Entry::Ready(loaded) if loaded.is_as_before(tree, schemas) => {
                Some((loaded.campaign.file.path().to_owned(), loaded.clone()))
            }
            _ => None,
        })
        .collect()
}

impl Found {
    fn id(&self) -> &CampaignId {
        match self {
            Self::Draft(draft) => &draft.campaign.id,
            Self::Kept(loaded) => &loaded.campaign.id,
            Self::Unusable(broken) => &broken.id,
        }
    }
}

/// A campaign can't be what another one still is: while both are there, nobody could say whose the history is.
fn refuse_shared_histories(all: &mut [Found]) {
    let ids: BTreeSet<CampaignId> = all.iter().map(|found| found.id().clone()).collect();
    let mut heirs: BTreeMap<CampaignId, Vec<CampaignId>> = BTreeMap::new();
    for found in all.iter() {
        if let Found::Draft(draft) = found {
            for other in &draft.campaign.was {
                heirs
                    .entry(other.clone())
                    .or_default()
                    .push(draft.campaign.id.clone());
            }
        }
    }
    for found in all {
        let Found::Draft(draft) = found else { continue };
        let mut wrong = Vec::new();
        for other in &draft.campaign.was {
            let rival = heirs[other].iter().find(|heir| **heir != draft.campaign.id);
            if ids.contains(other) {
                let message = format!("`was` names `{other}`, which is a campaign of its own");
                wrong.push((message, "take its file away, or take it out of `was`"));
            } else if let Some(rival) = rival {
                let message = format!("`was` names `{other}`, and so does `{rival}`");
                wrong.push((message, "only one can go on with its history"));
            }
        }
        for (message, help) in wrong {
            let place = draft
                .was_place
                .clone()
                .unwrap_or_else(|| draft.id_place.clone());
            draft
                .diagnostics
                .push(Diagnostic::error("shared-history", place, message).help(help));
        }
    }
}

/// The path of a campaign file, and what is in it or why it can't be read.
type ReadFile = (String, Result<Box<Draft>, Diagnostic>);

/// Reads all campaign files, one [`Found`] an id, in the order of their paths.
pub(super) fn read_campaigns(
    tree: &Tree,
    settings: Option<&Settings>,
    kept: &KeptByPath,
) -> Vec<Found> {
    let read = |path: &str| -> Option<(CampaignId, ReadFile)> {
        let (id, read) = match tree.open(path)? {
            Ok(file) => {
                let draft = campaign::read(&file, tree, settings);
                (draft.campaign.id.clone(), Ok(Box::new(draft)))
            }
            Err(diagnostic) => (campaign::id_of_path(path).0, Err(diagnostic)),
        };
        Some((id, (path.to_owned(), read)))
    };
    // A campaign that shares its id, or its history, with another one is looked at with it.
    let ids: BTreeSet<&CampaignId> = kept.values().map(|loaded| &loaded.campaign.id).collect();
    let mut by_id: BTreeMap<CampaignId, Vec<ReadFile>> = BTreeMap::new();
    for path in tree.paths_in(campaign::FOLDER, ".toml") {
        if kept.contains_key(path) {
            continue;
        }
        if let Some((id, file)) = read(path) {
            by_id.entry(id).or_default().push(file);
        }
    }
    let drafts = by_id
        .values()
        .flatten()
        .filter_map(|(_, read)| read.as_ref().ok());
    let claimed: BTreeSet<CampaignId> = drafts
        .flat_map(|draft| draft.campaign.was.iter().cloned())
        .collect();
    let is_alone = |loaded: &Loaded| {
        let campaign = &loaded.campaign;
        !by_id.contains_key(&campaign.id)
            && campaign
                .was
                .iter()
                .all(|was| !ids.contains(was) && !by_id.contains_key(was) && !claimed.contains(was))
    };
    let (alone, shared): (Vec<_>, Vec<_>) = kept.iter().partition(|(_, loaded)| is_alone(loaded));
    for (path, _) in shared {
        if let Some((id, file)) = read(path) {
            by_id.entry(id).or_default().push(file);
        }
    }
    for files in by_id.values_mut() {
        files.sort_by(|one, other| one.0.cmp(&other.0));
    }
    let mut all: Vec<(String, Found)> = by_id
        .into_iter()
        .map(|(id, mut files)| {
            let path = files[0].0.clone();
            let found = match files.pop() {
                Some((_, Ok(draft))) if files.is_empty() => Found::Draft(draft),
                last => {
                    files.extend(last);
                    Found::Unusable(unusable(id, files))
                }
            };
            (path, found)
        })
        .collect();
    all.extend(
        alone
            .into_iter()
            .map(|(path, loaded)| (path.clone(), Found::Kept(loaded.clone()))),
    );
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all.into_iter().map(|(_, found)| found).collect()
}

/// The campaign of a file that can't be read, or of several files that claim one id.
fn unusable(id: CampaignId, files: Vec<ReadFile>) -> Broken {
    let paths: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let mut diagnostics = Diagnostics::new();
    for (path, read) in files {
        let place = match read {
            Ok(draft) => {
                diagnostics.extend(draft.diagnostics);
                draft.id_place
            }
            Err(diagnostic) => {
                let place = diagnostic.place.clone();
                diagnostics.push(diagnostic);
                place
            }
        };
        let others: Vec<&str> = paths
            .iter()
            .map(String::as_str)
            .filter(|other| *other != path)
            .collect();
        if !others.is_empty() {
            let message = format!("the id `{id}` is also that of {}", others.join(", "));
            diagnostics.push(
                Diagnostic::error("duplicate-id", place, message)
                    .help("give one of them another `id`"),
            );
        }
    }
    Broken {
        id,
        path: paths.into_iter().next().unwrap_or_default(),
        diagnostics,
        last_good: None,
    }
}

/// The campaign, or its id and path where something is wrong; what was found in its own files; errors of its scripts.
type Compiled = (
    Result<Loaded, (CampaignId, String)>,
    Diagnostics,
    Diagnostics,
);

/// What the database says of `[after] update`, where it can be read now.
#[cfg(feature = "sqlite")]
fn wrong_update(
    campaign: &Campaign,
    settings: &Settings,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
) -> Option<Diagnostic> {
    let statement = campaign.after.update.as_ref()?;
    let name = campaign.audience.sources.first()?;
    schemas.get(name)?;
    let source = settings.sources.get(name)?;
    let path = source.config.database(&source.context)?;
    let (message, place) = crate::source::sqlite::check_update(&path, statement)?;
    Some(Diagnostic::error("wrong-statement", place, message))
}

#[cfg(not(feature = "sqlite"))]
fn wrong_update(
    _: &Campaign,
    _: &Settings,
    _: &BTreeMap<SourceName, Arc<Schema>>,
) -> Option<Diagnostic> {
    None
}

fn compile(
    draft: Draft,
    tree: &Tree,
    scripts: &Scripts,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    settings: Option<&Settings>,
) -> Compiled {
    let Draft {
        campaign,
        sender,
        topic,
        zone,
        mut files,
        has_all_variables,
        mut diagnostics,
        ..
    } = draft;
    diagnostics.extend(settings.and_then(|settings| wrong_update(&campaign, settings, schemas)));
    // One source that can't be read now leaves all fields unchecked.
    let sources = campaign.audience.sources.iter();
    let known: Vec<_> = sources.map(|source| schemas.get(source).cloned()).collect();
    let sources: Option<Vec<Arc<Schema>>> = known.iter().cloned().collect();
    let schemas = sources.unwrap_or_default();
    let used = scripts.used_by(&campaign);
    let of_scripts = scripts.errors_in(&used);
    let is_toml = !diagnostics
        .iter()
        .any(|found| found.code == super::TOML_SYNTAX);
    let can_compile = has_all_variables && is_toml;
    let mut program = None;
    if can_compile && !of_scripts.has_errors() {
        let (compiled, found) = Program::compile(&scripts.library, &campaign, &schemas);
        program = compiled;
        diagnostics.extend(found);
    }
    let mut email = None;
    if can_compile && campaign.email.is_some() {
        let beside = Beside::new(tree);
        let (compiled, found) =
            EmailTemplate::compile(&campaign, &sender, &topic, &schemas, &beside);
        files.extend(beside.into_used());
        email = compiled;
        diagnostics.extend(found);
    }
    let diagnostics = super::in_order(diagnostics, &campaign.file);
    let is_whole = !diagnostics.has_errors() && email.is_some() == campaign.email.is_some();
    let loaded = match program {
        Some(program) if is_whole => {
            let templates = files.iter().map(String::as_str);
            let parts = pin::Parts {
                campaign: campaign.file.path(),
                scripts: used,
                texts: templates.collect(),
            };
            Ok(Loaded {
                content_digest: pin::content_digest(tree, &parts, &sender, &topic, &zone),
                files: pin::files(tree, &parts),
                schemas: known,
                findings: diagnostics.clone(),
                campaign,
                sender,
                topic,
                zone,
                program,
                email,
            })
        }
        _ => Err((campaign.id, campaign.file.path().to_owned())),
    };
    (loaded, diagnostics, of_scripts)
}

#[cfg(test)]
mod tests;
