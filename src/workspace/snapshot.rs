//! Loading: all files are read, checked and compiled, and what is wrong with any of them is found in one go.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Additions, Settings, Tree,
    campaign::{self, Draft},
    look::SETTINGS,
    pin,
    scripts::Scripts,
    settings::{self, Kinds},
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
}

/// A campaign that does not check.
pub struct Broken {
    /// Its id, as far as it can be told.
    pub id: CampaignId,
    /// Its file; the first where several claim the id.
    pub path: String,
    /// What is wrong: in the campaign's files, in scripts that it uses, or that the settings do not check.
    pub diagnostics: Diagnostics,
}

/// Checks and compiles everything. `schemas` are the sources' columns as they are now; a source that is missing there can't be
/// read now, and its fields are not checked.
pub fn load(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    added: &Additions,
) -> Snapshot {
    load_with(tree, workspace, schemas, Kinds::built(added))
}

pub(super) fn load_with(
    tree: &Tree,
    workspace: &Path,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
    kinds: Kinds<'_>,
) -> Snapshot {
    let (settings, mut diagnostics) = settings::load_with(tree, workspace, kinds);
    let scripts = Scripts::compile(tree, &kinds.added.functions);
    diagnostics.extend(scripts.findings.clone());
    let mut campaigns: BTreeMap<CampaignId, Entry> = BTreeMap::new();
    for found in read_campaigns(tree, settings.as_ref()) {
        let (entry, findings) = match found {
            Found::Draft(draft) if settings.is_some() => {
                let (compiled, findings, of_scripts) = compile(*draft, tree, &scripts, schemas);
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
}

fn broken(id: CampaignId, path: String, diagnostics: Diagnostics) -> Entry {
    Entry::Broken(Arc::new(Broken {
        id,
        path,
        diagnostics,
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
    /// Its file can't be read, or several claim it.
    Unusable(Broken),
}

/// The path of a campaign file, and what is in it or why it can't be read.
type ReadFile = (String, Result<Box<Draft>, Diagnostic>);

/// Reads all campaign files, one [`Found`] an id, in the order of their paths.
pub(super) fn read_campaigns(tree: &Tree, settings: Option<&Settings>) -> Vec<Found> {
    let mut by_id: BTreeMap<CampaignId, Vec<ReadFile>> = BTreeMap::new();
    for path in tree.paths_in(campaign::FOLDER, ".toml") {
        let (id, read) = match tree.open(path) {
            Some(Ok(file)) => {
                let draft = campaign::read(&file, tree, settings);
                (draft.campaign.id.clone(), Ok(Box::new(draft)))
            }
            Some(Err(diagnostic)) => (campaign::id_of_path(path).0, Err(diagnostic)),
            None => continue,
        };
        by_id.entry(id).or_default().push((path.to_owned(), read));
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
    }
}

/// The campaign, or its id and path where something is wrong; what was found in its own files; errors of its scripts.
type Compiled = (
    Result<Loaded, (CampaignId, String)>,
    Diagnostics,
    Diagnostics,
);

fn compile(
    draft: Draft,
    tree: &Tree,
    scripts: &Scripts,
    schemas: &BTreeMap<SourceName, Arc<Schema>>,
) -> Compiled {
    let Draft {
        campaign,
        sender,
        topic,
        zone,
        files,
        has_all_variables,
        mut diagnostics,
        ..
    } = draft;
    // One source that can't be read now leaves all fields unchecked.
    let sources: Option<Vec<Arc<Schema>>> = campaign
        .audience
        .sources
        .iter()
        .map(|source| schemas.get(source).cloned())
        .collect();
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
        let (compiled, found) = EmailTemplate::compile(&campaign, &sender, &topic, &schemas);
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
