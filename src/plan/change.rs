//! How far an audience is from the last one that the campaign was sent to.

use std::sync::Arc;

use crate::{
    model::{Campaign, OccurrenceName, Percentage, Run, RunState, Status},
    store::{RunFilter, Store, StoreError},
};

use super::history::ids_of;

/// What `max_change` says of an audience of `to_send`, in words: from how many to how many. `None`: it is not held, or there is
/// nothing to compare with.
pub async fn changed_too_much(
    store: &Arc<dyn Store>,
    campaign: &Campaign,
    occurrence: &OccurrenceName,
    to_send: u64,
) -> Result<Option<String>, StoreError> {
    let Some(most) = campaign.audience.max_change else {
        return Ok(None);
    };
    let Some(last) = last_accepted(store, campaign, occurrence).await? else {
        return Ok(None);
    };
    let before = last.totals.to_send;
    Ok(exceeds(before, to_send, most).then(|| {
        format!(
            "from {before} to send in run {} ({}) to {to_send}, {}, more than max_change = \"{most}\"",
            last.id,
            last.occurrence,
            difference(before, to_send)
        )
    }))
}

/// The newest run of the campaign whose audience somebody or the limits let go: it was sent to, or is being sent to. One that was
/// cancelled before its first message tells nothing, nor does the occurrence that is planned itself.
async fn last_accepted(
    store: &Arc<dyn Store>,
    campaign: &Campaign,
    occurrence: &OccurrenceName,
) -> Result<Option<Run>, StoreError> {
    let mut runs = Vec::new();
    for id in ids_of(campaign) {
        let filter = RunFilter {
            campaign: Some(id),
            ..RunFilter::default()
        };
        runs.extend(store.runs(filter).await?);
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    for run in runs {
        let itself = run.campaign == campaign.id && run.occurrence == *occurrence;
        if itself || run.started_at.is_none() {
            continue;
        }
        if run.state != RunState::Cancelled || has_begun(store, &run).await? {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

async fn has_begun(store: &Arc<dyn Store>, run: &Run) -> Result<bool, StoreError> {
    let counts = store.counts(run.id).await?;
    let begun = [
        Status::Sending,
        Status::Sent,
        Status::Delivered,
        Status::Bounced,
        Status::Complained,
        Status::Failed,
        Status::InDoubt,
    ];
    Ok(begun.into_iter().any(|status| counts.of(status) > 0))
}

/// Whether `now` is further from `before` than a share of `before`.
fn exceeds(before: u64, now: u64, most: Percentage) -> bool {
    let change = u128::from(before.abs_diff(now)) * 1_000_000;
    change > u128::from(before) * u128::from(most.millionths())
}

fn difference(before: u64, now: u64) -> String {
    let way = if now > before { "more" } else { "fewer" };
    match before {
        0 => "from nobody to somebody".to_owned(),
        _ => format!(
            "{:.1}% {way}",
            before.abs_diff(now) as f64 * 100.0 / before as f64
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_share_of_what_it_was() {
        let most = "30%".parse().unwrap();
        for (before, now, expected) in [
            (100, 130, false),
            (100, 131, true),
            (100, 70, false),
            (100, 69, true),
            (0, 0, false),
            (0, 1, true),
            (u64::MAX, 0, true),
        ] {
            assert_eq!(exceeds(before, now, most), expected, "{before} to {now}");
        }
        assert_eq!(difference(100, 160), "60.0% more");
        assert_eq!(difference(3, 2), "33.3% fewer");
    }
}
