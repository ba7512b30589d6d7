//! `expect`: what must become of a test's recipients.

use toml::de::DeValue;

use super::{Subject, value};
use crate::model::{Claim, Diagnostic, Expected, Item, NotIncluded, Section, Variable};

/// With mistakes it is not whole; its campaign does not check then.
pub(super) fn read(item: &Item<'_>, subject: &Subject<'_>) -> Option<Expected> {
    let (section, place) = (item.section()?, item.place());
    let included = section.item("included");
    let reason_item = section.item("reason");
    let reason = reason_item.as_ref().and_then(reason);
    let channel_item = section.item("channel");
    let channel = channel_item
        .as_ref()
        .and_then(|item| channel(item, subject));
    let subject_item = section.item("subject");
    let subject_line = subject_item.as_ref().and_then(claim::<String>);
    let contains = section.item("contains");
    let not_contains = section.item("not_contains");
    let texts = |item: &Option<Item<'_>>| item.as_ref().map_or(Some(Vec::new()), texts);
    let (contained, not_contained) = (texts(&contains), texts(&not_contains));
    let variables = section.section("variables");
    let nothing = variables.is_none();
    let variables = variables.map_or(Some(Vec::new()), |section| variables_of(&section, subject));
    // What is said of a message says that there is one.
    let of_message = [&channel_item, &subject_item, &contains, &not_contains]
        .into_iter()
        .find_map(Option::as_ref);
    let said: Option<Claim<bool>> = match &included {
        Some(item) => Some(claim(item)?),
        None => None,
    };
    let included = match (said, &reason_item, of_message) {
        (_, Some(reason), Some(message)) => {
            return message.report(contradiction(message, reason));
        }
        (Some(Claim { value: true, .. }), Some(reason), _) => {
            return reason.error(
                "wrong-value",
                "`reason` says why somebody does not get it, and `included = true` that they do",
            );
        }
        (Some(Claim { value: false, .. }), _, Some(message)) => {
            return message.error(
                "wrong-value",
                format!(
                    "`{}` is about a message, and `included = false` says that there is none",
                    message.name.key
                ),
            );
        }
        (Some(said), _, _) => Some(said),
        (None, Some(reason), _) => Some(Claim {
            value: false,
            place: reason.place(),
        }),
        (None, None, Some(message)) => Some(Claim {
            value: true,
            place: message.place(),
        }),
        (None, None, None) => None,
    };
    if included.is_none() && nothing && !section.has_misspelt("included") {
        let known = "included, reason, channel, subject, contains, not_contains, variables";
        section.report(
            Diagnostic::error("missing-key", place, "the test expects nothing")
                .help(format!("say at least one of {known}")),
        );
        section.finish();
        return None;
    }
    section.finish();
    Some(Expected {
        included,
        reason,
        channel,
        subject: subject_line,
        contains: contained?,
        not_contains: not_contained?,
        variables: variables?,
    })
}

fn claim<T: crate::model::FromToml>(item: &Item<'_>) -> Option<Claim<T>> {
    Some(Claim {
        value: item.read()?,
        place: item.place(),
    })
}

fn contradiction(message: &Item<'_>, reason: &Item<'_>) -> Diagnostic {
    let words = format!(
        "`{}` is about a message, and `{}` says why there is none",
        message.name.key, reason.name.key
    );
    Diagnostic::error("wrong-value", message.place(), words)
}

fn reason(item: &Item<'_>) -> Option<Claim<NotIncluded>> {
    let text: String = item.read()?;
    if let Some(value) = NotIncluded::named(&text) {
        let place = item.place();
        return Some(Claim { value, place });
    }
    let known: Vec<_> = NotIncluded::names().collect();
    let message = if text.parse::<crate::model::SkipReason>().is_ok() {
        format!("`reason`: one recipient alone is never `{text}`")
    } else {
        format!("`reason`: there is no reason {text:?}")
    };
    item.report(
        Diagnostic::error("wrong-value", item.place(), message)
            .help(format!("one of {}", known.join(", ")))
            .did_you_mean(&text, known),
    )
}

fn channel(item: &Item<'_>, subject: &Subject<'_>) -> Option<Claim<crate::model::Channel>> {
    let claim: Claim<crate::model::Channel> = claim(item)?;
    let order = &subject.reach.order;
    if !order.is_empty() && !order.contains(&claim.value) {
        return item.error(
            "wrong-value",
            format!("the campaign has no message by {}", claim.value),
        );
    }
    Some(claim)
}

/// A text, or an array of texts.
fn texts(item: &Item<'_>) -> Option<Vec<Claim<String>>> {
    let text = |item: &Item<'_>| {
        let claim: Claim<String> = claim(item)?;
        if claim.value.trim().is_empty() {
            return item.error("wrong-value", format!("`{}` is empty", item.name.key));
        }
        Some(claim)
    };
    match (item.value(), item.elements()) {
        (DeValue::String(_), _) => Some(vec![text(item)?]),
        (_, Some(items)) if items.is_empty() => {
            item.error("wrong-value", format!("`{}` names nothing", item.name.key))
        }
        (_, Some(items)) => {
            let texts: Vec<_> = items.iter().map(text).collect();
            texts.into_iter().collect()
        }
        _ => item.wrong_type("a string or an array of strings"),
    }
}

fn variables_of(
    section: &Section<'_>,
    subject: &Subject<'_>,
) -> Option<Vec<(String, Claim<crate::model::Value>)>> {
    let known: Vec<&str> = subject
        .variables
        .iter()
        .map(|Variable { name, .. }| name.as_str())
        .collect();
    let claims: Vec<_> = section
        .entries()
        .iter()
        .map(|item| {
            let name = item.name.key.as_str();
            if !known.contains(&name) {
                let message = format!("the campaign has no variable `{name}`");
                let unknown = Diagnostic::error("unknown-name", item.name.place.clone(), message);
                let unknown = if known.is_empty() {
                    unknown
                } else {
                    unknown.help(format!("its variables are {}", known.join(", ")))
                };
                return item.report(unknown.did_you_mean(name, known.iter().copied()));
            }
            let value = value::read(item)?;
            let place = item.place();
            Some((name.to_owned(), Claim { value, place }))
        })
        .collect();
    claims.into_iter().collect()
}
