//! `[audience]`: who.

use std::collections::HashSet;

use super::{
    super::words::one_line,
    surroundings::{Surroundings, undeclared},
};
use crate::model::{
    Audience, Cooldown, Dedupe, Diagnostic, Excerpt, Item, Keys, Percentage, Section, SourceName,
};

pub(super) fn read(root: &Section<'_>, around: &Surroundings<'_>) -> Audience {
    let mut audience = Audience {
        sources: Vec::new(),
        condition: None,
        keys: None,
        cooldown: None,
        cooldown_group: None,
        dedupe: Dedupe::Address,
        min_recipients: 1,
        max_recipients: None,
        max_change: None,
        holdout: None,
        max_script_errors: 10,
    };
    let Some(section) = root
        .require_item("audience")
        .and_then(|item| item.section())
    else {
        return audience;
    };
    audience.sources = sources(&section, around);
    audience.condition = section.item("where").and_then(|item| condition(&item));
    audience.keys = keys(&section, around);
    audience.cooldown = section.item("cooldown").and_then(|item| cooldown(&item));
    audience.cooldown_group = section
        .item("cooldown_group")
        .and_then(|item| cooldown_group(&item, root, &section));
    audience.dedupe = section.take("dedupe").unwrap_or(audience.dedupe);
    let min_recipients = section.take("min_recipients");
    audience.min_recipients = min_recipients.unwrap_or(audience.min_recipients);
    let most = section.item("max_recipients");
    audience.max_recipients = most.as_ref().and_then(Item::read);
    audience.max_change = section.take("max_change");
    audience.holdout = section.item("holdout").and_then(|item| holdout(&item));
    let max_script_errors = section.take("max_script_errors");
    audience.max_script_errors = max_script_errors.unwrap_or(audience.max_script_errors);
    if let (Some(item), Some(most)) = (most, audience.max_recipients)
        && most < audience.min_recipients.max(1)
    {
        item.error::<()>(
            "wrong-value",
            format!(
                "`max_recipients` is less than {}: every run would be held",
                audience.min_recipients.max(1)
            ),
        );
    }
    section.finish();
    audience
}

/// `source`, or `sources` with several.
fn sources(section: &Section<'_>, around: &Surroundings<'_>) -> Vec<SourceName> {
    match (section.item("source"), section.item("sources")) {
        (Some(item), None) => source(&item, around).into_iter().collect(),
        (None, Some(item)) => match item.elements() {
            Some(items) if items.is_empty() => {
                item.error::<()>("wrong-value", "`sources` names none");
                Vec::new()
            }
            Some(items) => {
                let mut names: Vec<SourceName> = Vec::new();
                for item in &items {
                    match source(item, around) {
                        Some(name) if names.contains(&name) => {
                            let message = format!("`sources` names `{name}` twice");
                            item.error::<()>("wrong-value", message);
                        }
                        Some(name) => names.push(name),
                        None => {}
                    }
                }
                names
            }
            None => {
                item.wrong_type::<()>("an array of names");
                Vec::new()
            }
        },
        (Some(_), Some(item)) => {
            item.error::<()>("one-of", "`source` and `sources`: give one of them");
            Vec::new()
        }
        (None, None) => {
            let _ = section.require_item("source");
            Vec::new()
        }
    }
}

fn source(item: &Item<'_>, around: &Surroundings<'_>) -> Option<SourceName> {
    let name: SourceName = item.read()?;
    if let Some(settings) = around.settings
        && !settings.sources.contains_key(&name)
    {
        let names = settings.sources.keys().map(SourceName::as_str);
        undeclared(item, "source", name.as_str(), "sources", names);
        return None;
    }
    Some(name)
}

fn condition(item: &Item<'_>) -> Option<Excerpt> {
    let excerpt: Excerpt = item.read()?;
    if excerpt.text().trim().is_empty() {
        return item.report(
            Diagnostic::error("wrong-value", item.place(), "`where` is empty")
                .help("leave it out where everybody of the source is meant"),
        );
    }
    Some(excerpt)
}

fn keys(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Keys> {
    let inline = section.item("keys");
    let file = section.item("keys_file");
    if let (Some(_), Some(item)) = (&inline, &file) {
        return item.error("one-of", "`keys` and `keys_file`: give one of them");
    }
    let item = inline.as_ref().or(file.as_ref())?;
    let place = item.place();
    let written: Vec<String> = match (&inline, item.elements()) {
        (Some(_), Some(items)) => {
            let keys: Option<Vec<String>> = items.iter().map(Item::read).collect();
            keys?.iter().map(|key| key.trim().to_owned()).collect()
        }
        (Some(_), None) => split(&item.read::<String>()?),
        (None, _) => split(around.file(item, &item.read::<String>()?)?.text()),
    };
    let mut known = HashSet::new();
    let keys: Vec<String> = written
        .into_iter()
        .filter(|key| !key.is_empty() && known.insert(key.clone()))
        .collect();
    if keys.is_empty() {
        let message = format!("`{}` names no key: nobody would get it", item.name.key);
        return item.error("wrong-value", message);
    }
    Some(Keys { keys, place })
}

/// Keys with spaces, commas or line breaks between them.
fn split(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .map(str::to_owned)
        .collect()
}

fn cooldown(item: &Item<'_>) -> Option<Cooldown> {
    let text: String = item.read()?;
    match text.parse() {
        Ok(period) => Some(Cooldown::Within(period)),
        Err(_) if text == "none" => Some(Cooldown::None),
        Err(error) => item.error(
            "wrong-value",
            format!("`cooldown`: {error}; or \"none\" to allow it at once"),
        ),
    }
}

/// The name of a group. Where nothing says how long its members rest, it does nothing for this campaign.
fn cooldown_group(item: &Item<'_>, root: &Section<'_>, audience: &Section<'_>) -> Option<String> {
    let group = one_line(item)?;
    if !audience.has("cooldown") && !root.has("schedule") {
        item.report::<()>(
            Diagnostic::warning(
                "no-cooldown",
                item.name.place.clone(),
                "a campaign that is only sent when asked has no cooldown by itself: the group keeps nobody from getting it",
            )
            .help("add `cooldown = \"30d\"`; or `cooldown = \"none\"` where only the others of the group are to wait"),
        );
    }
    Some(group)
}

fn holdout(item: &Item<'_>) -> Option<Percentage> {
    let share: Percentage = item.read()?;
    if share.millionths() == 1_000_000 {
        return item.error("wrong-value", "`holdout` is everybody: nobody would get it");
    }
    Some(share)
}
