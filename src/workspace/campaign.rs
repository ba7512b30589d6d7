//! One campaign file. Every key of the format is known here; what later versions will have is refused by name.

mod audience;
mod email;
mod moment;
mod reach;
mod schedule;
mod variables;

use std::{cell::RefCell, collections::BTreeSet, path::Component, str::FromStr};

use super::{Settings, Tree, words::one_line};
use crate::model::{
    Campaign, CampaignId, Diagnostic, Diagnostics, Document, EmailAddress, InDoubtPolicy, Item,
    Mailbox, OnBroken, Period, Place, Purpose, Reach, ReachMode, Section, Sender, SenderName,
    SourceFile, Topic, TopicName, Zone,
};

/// Where campaign files lie, and what their paths start with.
pub(super) const FOLDER: &str = "campaigns/";

/// A campaign file as it was read, right or wrong. Where something is missing or wrong a stand-in takes its place, so that
/// the rest can be checked too; such a draft has errors among its diagnostics and never becomes a campaign.
pub(super) struct Draft {
    pub(super) campaign: Campaign,
    /// Where its id stands.
    pub(super) id_place: Place,
    pub(super) sender: Sender,
    pub(super) topic: Topic,
    pub(super) zone: Zone,
    /// The templates and lists the campaign names, by path.
    pub(super) files: BTreeSet<String>,
    /// Whether every variable has its name and expression: if not, later expressions would be blamed for it.
    pub(super) has_all_variables: bool,
    pub(super) diagnostics: Diagnostics,
}

/// What a campaign may refer to.
pub(super) struct Surroundings<'a> {
    tree: &'a Tree,
    /// `None`: the settings do not check, so that no name can be said to be unknown.
    settings: Option<&'a Settings>,
    /// The files that were asked for.
    used: RefCell<BTreeSet<String>>,
}

/// Reads the campaign in `file`.
pub(super) fn read(file: &SourceFile, tree: &Tree, settings: Option<&Settings>) -> Draft {
    let around = Surroundings {
        tree,
        settings,
        used: RefCell::default(),
    };
    let (mut draft, found) = Document::new(file).read(|root| read_root(root, &around));
    draft.diagnostics = super::in_order(found, file);
    draft.files = around.used.into_inner();
    draft
}

fn read_root(root: Section<'_>, around: &Surroundings<'_>) -> Draft {
    let (id, id_place) = id(&root);
    let name = root.item("name").and_then(|item| one_line(&item));
    let topic = topic(&root, around);
    let purpose = purpose(&root, around, &topic);
    let sender = sender(&root, around, purpose);
    let enabled = root.take("enabled");
    root.not_built("was", "taking over the history of another id");
    root.not_built("removal_grace", "setting the grace of a removed campaign");
    root.not_built("require_tests", "testing campaigns");
    if let Some(item) = root.item("on_broken")
        && item.read() == Some(OnBroken::LastGood)
    {
        item.error::<()>(
            "not-built",
            "`on_broken = \"last_good\"`: going on with the last good files is not built yet",
        );
    }
    let audience = audience::read(&root, around);
    let (variables, has_all_variables) = variables::read(&root);
    let (schedule, zone) = schedule::read(root.section("schedule"), around);
    root.not_built("pace", "a pace of its own for a campaign");
    root.not_built("approval", "approving runs");
    root.not_built("rollout", "a rollout in parts");
    root.not_built("stop_if", "stopping at a share of failures");
    let email = root
        .section("email")
        .map(|section| email::read(section, around));
    let channels = reach::Channels {
        email: email.is_some(),
        sms: root.has("sms"),
        letter: root.has("letter"),
    };
    root.not_built("sms", "sending text messages");
    root.not_built("letter", "sending letters");
    root.not_built("after", "doing something after a delivery");
    root.not_built("test", "testing campaigns");
    let (reach, in_doubt) = match root.section("reach") {
        Some(section) => reach::read(section, &channels),
        None => (
            Reach {
                order: channels.all(),
                mode: ReachMode::First,
            },
            InDoubtPolicy::Keep,
        ),
    };
    if channels.all().is_empty() {
        root.report(
            Diagnostic::error("no-message", root.place(), "the campaign has no message")
                .help("add an [email] section"),
        );
    }
    let campaign = Campaign {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        file: root.file().clone(),
        topic: topic.name.clone(),
        purpose,
        sender: sender.id.clone(),
        enabled: enabled.unwrap_or(true),
        was: Vec::new(),
        removal_grace: Period::minutes(10),
        on_broken: OnBroken::Hold,
        audience,
        variables,
        schedule,
        reach,
        in_doubt,
        expires_after: None,
        email: email.flatten(),
    };
    root.finish();
    Draft {
        campaign,
        id_place,
        sender,
        topic,
        zone,
        files: BTreeSet::new(),
        has_all_variables,
        diagnostics: Diagnostics::new(),
    }
}

/// The id that `id =` gives, else the path under `campaigns/`, and where it stands.
fn id(root: &Section<'_>) -> (CampaignId, Place) {
    let path = root.file().path();
    if let Some(item) = root.item("id") {
        let id = item.read().unwrap_or_else(|| id_of_path(path).0);
        return (id, item.place());
    }
    let (id, error) = id_of_path(path);
    if let Some(error) = error {
        root.report(
            Diagnostic::error(
                "wrong-name",
                root.place(),
                format!("the path of this file is not an id: {error}"),
            )
            .help("rename the file, or give it an id with `id = \"…\"`"),
        );
    }
    (id, root.place())
}

/// The id that the path of a campaign file stands for, and what is wrong with it; the nearest id then.
pub(super) fn id_of_path(path: &str) -> (CampaignId, Option<String>) {
    let text = path.strip_prefix(FOLDER).unwrap_or(path);
    let text = text.strip_suffix(".toml").unwrap_or(text);
    match text.parse() {
        Ok(id) => (id, None),
        Err(error) => {
            let allowed = |c: char| c.is_alphanumeric() || "-_./ ".contains(c);
            let near: String = text
                .chars()
                .map(|c| if allowed(c) { c } else { '_' })
                .take(40)
                .collect();
            let id = near
                .parse()
                .unwrap_or_else(|_| stand_in::<CampaignId>("unnamed"));
            (id, Some(error.to_string()))
        }
    }
}

fn topic(root: &Section<'_>, around: &Surroundings<'_>) -> Topic {
    let unknown = || Topic {
        name: stand_in("unknown"),
        title: String::new(),
        purpose: Purpose::Marketing,
    };
    let Some(item) = root.require_item("topic") else {
        return unknown();
    };
    let Some(name) = item.read::<TopicName>() else {
        return unknown();
    };
    let Some(settings) = around.settings else {
        return unknown();
    };
    settings.topics.get(&name).cloned().unwrap_or_else(|| {
        let names = settings.topics.keys().map(TopicName::as_str);
        undeclared(&item, "topic", name.as_str(), "topics", names);
        unknown()
    })
}

/// A campaign may be stricter than its topic, never laxer.
fn purpose(root: &Section<'_>, around: &Surroundings<'_>, topic: &Topic) -> Purpose {
    let Some(item) = root.item("purpose") else {
        return topic.purpose;
    };
    let purpose = item.read().unwrap_or(topic.purpose);
    let is_declared = around
        .settings
        .is_some_and(|settings| settings.topics.contains_key(&topic.name));
    if is_declared && purpose == Purpose::Transactional && topic.purpose == Purpose::Marketing {
        item.report::<()>(
            Diagnostic::error(
                "wrong-purpose",
                item.place(),
                format!(
                    "a transactional campaign may not stand in the marketing topic `{}`: it would ignore unsubscribes from it",
                    topic.name
                ),
            )
            .help("take a topic with `purpose = \"transactional\"`"),
        );
    }
    purpose
}

fn sender(root: &Section<'_>, around: &Surroundings<'_>, purpose: Purpose) -> Sender {
    let nobody = || {
        let address: EmailAddress = stand_in("unknown@sender.invalid");
        Sender {
            id: stand_in("unknown"),
            name: String::new(),
            address: String::new(),
            from: Mailbox {
                name: None,
                address: address.clone(),
            },
            reply_to: None,
            envelope_from: address,
        }
    };
    let item = root.item("sender");
    let Some(settings) = around.settings else {
        if let Some(item) = item {
            let _ = item.read::<SenderName>();
        }
        return nobody();
    };
    let (sender, place) = match &item {
        Some(item) => {
            let Some(name) = item.read::<SenderName>() else {
                return nobody();
            };
            let Some(sender) = settings.senders.get(&name) else {
                let names = settings.senders.keys().map(SenderName::as_str);
                undeclared(item, "sender", name.as_str(), "senders", names);
                return nobody();
            };
            (sender, item.place())
        }
        None if settings.senders.len() == 1 => {
            let only = settings.senders.values().next().expect("there is one");
            (only, root.place())
        }
        None => {
            let (message, help) = if settings.senders.is_empty() {
                let help = "declare who is writing as [senders.NAME] in campanile.toml";
                ("no sender is declared", help.to_owned())
            } else {
                let names: Vec<_> = settings.senders.keys().map(SenderName::as_str).collect();
                let help = format!("add `sender = \"…\"`: one of {}", names.join(", "));
                ("the campaign needs `sender`", help)
            };
            root.report(Diagnostic::error("missing-key", root.place(), message).help(help));
            return nobody();
        }
    };
    if purpose == Purpose::Marketing && sender.address.is_empty() {
        let message = format!(
            "the sender `{}` has no postal address, which marketing mail must show",
            sender.id
        );
        let help = format!(
            "add `address = \"…\"` to [senders.{}] in campanile.toml",
            sender.id
        );
        root.report(Diagnostic::error("no-postal-address", place, message).help(help));
    }
    sender.clone()
}

/// Takes the place of what is wrong, where the error is recorded already.
fn stand_in<T>(text: &str) -> T
where
    T: FromStr,
    T::Err: std::fmt::Debug,
{
    text.parse().expect("stand-ins are valid")
}

/// Reports a name that the settings do not declare.
fn undeclared<'a>(
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
    fn file(&self, item: &Item<'_>, written: &str) -> Option<SourceFile> {
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
fn resolve(folder: &std::path::Path, written: &str) -> Option<String> {
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

#[cfg(test)]
mod tests;
