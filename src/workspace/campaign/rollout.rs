//! `[rollout]` and `[stop_if]`: a run that begins with a part, and one that stops where too much goes wrong.

use toml::de::DeValue;

use crate::model::{Diagnostic, Item, Percentage, Rollout, RolloutPart, Section, StopIf};

/// After how many outcomes shares are looked at, where the file does not say.
const AFTER: u64 = 100;

pub(super) fn rollout(section: Section<'_>) -> Option<Rollout> {
    let first = section.require_item("first").and_then(|item| part(&item));
    let wait = section
        .require_item("wait")
        .and_then(|item| item.read::<crate::model::Period>());
    section.finish();
    Some(Rollout {
        first: first?,
        wait: wait?,
    })
}

fn part(item: &Item<'_>) -> Option<RolloutPart> {
    let part = match item.value() {
        DeValue::String(_) => crate::model::parse_string(item)?,
        DeValue::Integer(_) => RolloutPart::Count(item.read()?),
        _ => return item.wrong_type("a number such as 500 or a share such as \"5%\""),
    };
    match part {
        RolloutPart::Count(0) => item.error("out-of-range", "`first` must be 1 or more"),
        RolloutPart::Share(share) if share.millionths() == 0 => {
            item.error("out-of-range", "`first` is nobody: nothing would go out")
        }
        RolloutPart::Share(share) if share.millionths() == 1_000_000 => item.error(
            "wrong-value",
            "`first` is everybody: there would be nothing to wait with",
        ),
        part => Some(part),
    }
}

pub(super) fn stop_if(section: Section<'_>) -> Option<StopIf> {
    let after = match section.item("after") {
        Some(item) => match item.read::<u64>() {
            Some(0) => item.error("out-of-range", "`after` must be 1 or more"),
            after => after,
        },
        None => Some(AFTER),
    };
    let keys = ["failed", "bounced", "complained", "unsubscribed"];
    let named: Vec<_> = keys.map(|key| section.item(key)).into_iter().collect();
    let shares: Vec<Option<Percentage>> = named
        .iter()
        .map(|item| item.as_ref().and_then(Item::read))
        .collect();
    if named.iter().all(Option::is_none) && !keys.iter().any(|key| section.has_misspelt(key)) {
        section.report(
            Diagnostic::error("no-share", section.place(), "[stop_if] names no share").help(
                "add one of failed, bounced, complained, unsubscribed, such as failed = \"5%\"",
            ),
        );
    }
    if let Some(item) = &named[2] {
        item.report::<()>(Diagnostic::warning(
            "never-counted",
            item.name.place.clone(),
            "complaints are not read yet: this share stays 0",
        ));
    }
    section.finish();
    Some(StopIf {
        after: after?,
        failed: shares[0],
        bounced: shares[1],
        complained: shares[2],
        unsubscribed: shares[3],
    })
}
