//! Plans for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    cli::{print::mask, safety},
    control::{Compared, ComparedCampaign},
    model::Channel,
    plan::{Cause, Comparison, Moved, Plan, Sample, Why},
};

use super::why;

/// Plans as an array of the objects that programs rely on.
pub(super) fn plans(plans: &[Plan], unmasked: bool) -> Value {
    plans.iter().map(|plan| object(plan, unmasked)).collect()
}

fn shown(unmasked: bool, text: &str, masked: fn(&str) -> String) -> String {
    if unmasked {
        text.to_owned()
    } else {
        masked(text)
    }
}

fn object(plan: &Plan, unmasked: bool) -> Value {
    let per_channel = |counts: &BTreeMap<Channel, u64>| -> Value {
        Channel::ALL
            .iter()
            .map(|channel| {
                let n = counts.get(channel).copied().unwrap_or(0);
                (channel.as_str().to_owned(), Value::from(n))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let words = |text: &str| shown(unmasked, text, mask::words);
    let funnel: Vec<_> = plan
        .funnel
        .iter()
        .map(|step| {
            json!({
                "step": words(&step.step), "kind": step.kind, "left": step.left,
                "dropped": step.dropped,
            })
        })
        .collect();
    let outlook = plan.outlook.as_ref();
    json!({
        "campaign": plan.campaign, "occurrence": plan.occurrence, "digest": plan.digest,
        "total": plan.totals.total, "matched": plan.totals.matched, "to_send": plan.totals.to_send,
        "by_channel": per_channel(&plan.by_channel), "reachable": per_channel(&plan.reachable),
        "by_locale": plan.by_locale,
        "skipped": plan.skipped, "hold": plan.hold, "hold_words": plan.hold_words, "funnel": funnel,
        "safety": safety::object(&plan.safety, unmasked),
        "zones": plan.zones, "unknown_zones": plan.unknown_zones,
        "environment": outlook.and_then(|outlook| outlook.environment.as_ref()),
        "starts": outlook.and_then(|outlook| outlook.starts),
        "finishes": outlook.and_then(|outlook| outlook.finishes),
        "holds": outlook.map(|outlook| &outlook.holds),
        "sample": plan.sample.iter().map(|one| sample(one, unmasked)).collect::<Vec<_>>(),
        "problems": plan.problems.iter().map(|text| words(text)).collect::<Vec<_>>(),
    })
}

fn sample(sample: &Sample, unmasked: bool) -> Value {
    let variables: serde_json::Map<_, _> = sample
        .variables
        .iter()
        .map(|(name, value)| {
            let mut value = value.to_json();
            if !unmasked {
                mask::json(&mut value);
            }
            (name.clone(), value)
        })
        .collect();
    json!({
        "key": shown(unmasked, &sample.key, mask::key), "channel": sample.channel,
        "address": shown(unmasked, &sample.address, crate::model::mask), "variables": variables,
    })
}

/// Plans beside those of a revision.
pub(super) fn compared(compared: &Compared, unmasked: bool) -> Value {
    json!({
        "base": { "revision": compared.revision, "commit": compared.commit },
        "campaigns": compared.campaigns.iter().map(|one| campaign(one, unmasked)).collect::<Vec<_>>(),
    })
}

fn campaign(one: &ComparedCampaign, unmasked: bool) -> Value {
    let words = |text: &str| shown(unmasked, text, mask::words);
    json!({
        "campaign": one.id, "change": one.change, "note": one.note.as_deref().map(words),
        "plan": one.plan.as_ref().map(|plan| object(plan, unmasked)), "before": one.before,
        "comparison": one.comparison.as_ref().map(|one| comparison(one, unmasked)),
        "message": one.message.as_ref().map(|message| json!({
            "key": shown(unmasked, &message.key, mask::key), "diff": words(&message.diff),
            "only_html": message.only_html,
        })),
    })
}

fn comparison(comparison: &Comparison, unmasked: bool) -> Value {
    let named = |by: &Why| {
        let kind = match by {
            Why::Clause(_) => "clause",
            Why::Rule(_) => "rule",
            Why::Keys => "keys",
            Why::Source => "source",
        };
        (kind, shown(unmasked, why(by), mask::words))
    };
    let causes = |causes: &[Cause]| -> Value {
        let object = |cause: &Cause| {
            let (kind, why) = named(&cause.why);
            json!({ "kind": kind, "why": why, "n": cause.n })
        };
        causes.iter().map(object).collect()
    };
    let moved = |moved: &[Moved]| -> Value {
        let object = |one: &Moved| {
            let (kind, why) = named(&one.why);
            json!({ "key": shown(unmasked, &one.key, mask::key), "kind": kind, "why": why })
        };
        moved.iter().map(object).collect()
    };
    json!({
        "kept": comparison.kept, "altered": comparison.altered,
        "added": comparison.added, "added_by": causes(&comparison.added_by),
        "sample_added": moved(&comparison.sample_added),
        "dropped": comparison.dropped, "dropped_by": causes(&comparison.dropped_by),
        "sample_dropped": moved(&comparison.sample_dropped),
    })
}
