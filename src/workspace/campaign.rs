//! One campaign file. Every key of the format is known here; what later versions will have is refused by name.

mod after;
mod attachments;
mod audience;
mod cron;
mod email;
mod holding;
mod moment;
mod pace;
mod people;
mod reach;
mod rollout;
mod schedule;
mod surroundings;
mod testing;
pub(super) mod translations;
mod variables;

use std::{cell::RefCell, collections::BTreeSet, str::FromStr};

use surroundings::Surroundings;

use super::{Settings, Tree, words::one_line};
use crate::model::{
    Campaign, CampaignId, Diagnostic, Diagnostics, Document, InDoubtPolicy, Place, Reach,
    ReachMode, Section, Sender, SourceFile, Topic, Zone,
};

/// Where campaign files lie, and what their paths start with.
pub(super) const FOLDER: &str = "campaigns/";

/// A campaign file as it was read, right or wrong. Where something is missing or wrong a stand-in takes its place, so that
/// the rest can be checked too; such a draft has errors among its diagnostics and never becomes a campaign.
pub(super) struct Draft {
    pub(super) campaign: Campaign,
    /// Where its id stands.
    pub(super) id_place: Place,
    /// Where `was` stands.
    pub(super) was_place: Option<Place>,
    pub(super) sender: Sender,
    pub(super) topic: Topic,
    pub(super) zone: Zone,
    /// The templates and lists the campaign names, by path.
    pub(super) files: BTreeSet<String>,
    /// Whether every variable has its name and expression: if not, later expressions would be blamed for it.
    pub(super) has_all_variables: bool,
    pub(super) diagnostics: Diagnostics,
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
    let topic = people::topic(&root, around);
    let purpose = people::purpose(&root, around, &topic);
    let sender = people::sender(&root, around, purpose);
    let enabled = root.take("enabled");
    let life = holding::life(&root, &id);
    let require_tests = root.take("require_tests");
    let audience = audience::read(&root, around);
    let (variables, has_all_variables) = variables::read(&root);
    let (schedule, zone) = schedule::read(root.section("schedule"), &audience.sources, around);
    let (pace, expires_after) = root
        .section("pace")
        .map(|section| pace::read(section, &zone, &audience.sources, around))
        .unzip();
    let approval = holding::approval(&root, schedule.as_ref());
    let rollout = root.section("rollout").and_then(rollout::rollout);
    let stop_if = root.section("stop_if").and_then(rollout::stop_if);
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
    let tests = testing::read(
        &root,
        around,
        &testing::Subject {
            audience: &audience,
            variables: &variables,
            reach: &reach,
            zone: &zone.zone,
        },
    );
    if channels.all().is_empty() && !root.has_misspelt("email") {
        root.report(
            Diagnostic::error("no-message", root.place(), "the campaign has no message")
                .help("add an [email] section"),
        );
    }
    let was_place = root.item("was").map(|item| item.place());
    let after = root
        .section("after")
        .map(|section| after::read(section, &audience.sources, around));
    let campaign = Campaign {
        name: name.unwrap_or_else(|| id.to_string()),
        declares_id: root.has("id"),
        id,
        file: root.file().clone(),
        topic: topic.name.clone(),
        purpose,
        sender: sender.id.clone(),
        enabled: enabled.unwrap_or(true),
        was: life.was,
        removal_grace: life.removal_grace,
        on_broken: life.on_broken,
        audience,
        variables,
        schedule,
        approval,
        pace,
        reach,
        in_doubt,
        rollout,
        stop_if,
        expires_after: expires_after.flatten(),
        email: email.flatten(),
        after: after.unwrap_or_default(),
        require_tests: require_tests.unwrap_or(false),
        tests,
    };
    root.finish();
    Draft {
        campaign,
        id_place,
        was_place,
        sender,
        topic,
        zone: zone.zone,
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

/// Takes the place of what is wrong, where the error is recorded already.
fn stand_in<T>(text: &str) -> T
where
    T: FromStr,
    T::Err: std::fmt::Debug,
{
    text.parse().expect("stand-ins are valid")
}

#[cfg(test)]
mod tests;
