//! What keeps a mistake from being mailed: earlier ids, broken and vanished files, approvals, what is too old.

use crate::model::{ApprovalRule, CampaignId, Diagnostic, OnBroken, Period, Schedule, Section};

/// What the top of the file says about what it was, and what happens when it breaks or goes.
pub(super) struct Life {
    pub(super) was: Vec<CampaignId>,
    pub(super) removal_grace: Period,
    pub(super) on_broken: OnBroken,
}

pub(super) fn life(root: &Section<'_>, id: &CampaignId) -> Life {
    Life {
        was: was(root, id),
        removal_grace: root.take("removal_grace").unwrap_or(Period::minutes(10)),
        on_broken: root.take("on_broken").unwrap_or(OnBroken::Hold),
    }
}

/// `was = ["old/name"]`
fn was(root: &Section<'_>, id: &CampaignId) -> Vec<CampaignId> {
    let mut was = Vec::new();
    let Some(item) = root.item("was") else {
        return was;
    };
    let Some(items) = item.elements() else {
        item.wrong_type::<()>("an array of ids such as [\"billing/renewal\"]");
        return was;
    };
    for item in items {
        let Some(earlier) = item.read::<CampaignId>() else {
            continue;
        };
        if earlier == *id {
            item.report::<()>(
                Diagnostic::error("wrong-value", item.place(), format!("`{id}` is its id now"))
                    .help("`was` names the ids that it had before"),
            );
        } else if was.contains(&earlier) {
            item.error::<()>("wrong-value", format!("`{earlier}` stands twice in `was`"));
        } else {
            was.push(earlier);
        }
    }
    was
}

/// `[approval]`
pub(super) fn approval(root: &Section<'_>, schedule: Option<&Schedule>) -> ApprovalRule {
    let mut rule = ApprovalRule::default();
    let Some(section) = root.section("approval") else {
        return rule;
    };
    rule.required = section.require("required").unwrap_or(true);
    if let Some(item) = section.item("expires")
        && let Some(expires) = item.read()
    {
        rule.expires = expires;
        let ahead = schedule.and_then(|schedule| schedule.plan_ahead);
        if let Some(ahead) = ahead.filter(|ahead| ahead.nominal() > rule.expires.nominal()) {
            item.report::<()>(
                Diagnostic::warning(
                    "expires-early",
                    item.place(),
                    format!(
                        "a run is planned {ahead} ahead, and an approval that is given at once has expired before it is due"
                    ),
                )
                .help("let it expire later than `plan_ahead`"),
            );
        }
    }
    section.finish();
    rule
}
