//! The funnel: how many were left after each clause of the condition, and then after each rule, in the order in which a plan
//! applies them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{SkipReason, Totals};

/// One step of the funnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// A clause as it is written, or the reason that a rule gives.
    pub step: String,
    /// What it is.
    pub kind: StepKind,
    /// How many are left behind it: rows of the sources before the rules, deliveries from there on.
    pub left: u64,
    /// How many it dropped.
    pub dropped: u64,
}

/// What a step of the funnel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// All rows of the sources.
    Source,
    /// The campaign's `keys`.
    Keys,
    /// A clause of `where`.
    Clause,
    /// A rule, by the reason it gives.
    Rule,
}

/// The rules behind the condition, in the order in which they are applied: of several that stop a delivery, the first one
/// listed is its reason.
const RULES: &[SkipReason] = &[
    SkipReason::DuplicateKey,
    SkipReason::ScriptError,
    SkipReason::Holdout,
    SkipReason::NoAddress,
    SkipReason::InvalidAddress,
    SkipReason::Policy,
    SkipReason::Safety,
    SkipReason::Unsubscribed,
    SkipReason::Suppressed,
    SkipReason::Cooldown,
    SkipReason::FrequencyCap,
    SkipReason::DuplicateAddress,
];

/// Rows that never came as far as the rules, or that no row stands for.
const BESIDE: [SkipReason; 2] = [SkipReason::InvalidRow, SkipReason::UnknownKey];

/// What was counted on the way.
pub(super) struct Counted<'a> {
    pub(super) totals: Totals,
    /// Rows that `keys` do not name; `None`: there are no `keys`.
    pub(super) unasked: Option<u64>,
    /// The clauses, and how many rows each dropped; without a row, nothing.
    pub(super) clauses: &'a [String],
    pub(super) by_clause: &'a [u64],
    pub(super) skipped: &'a BTreeMap<SkipReason, u64>,
}

/// The funnel.
pub(super) fn funnel(counted: &Counted<'_>) -> Vec<Step> {
    let mut steps = Steps {
        left: counted.totals.total,
        steps: Vec::new(),
    };
    let skipped = |reason: SkipReason| counted.skipped.get(&reason).copied().unwrap_or(0);
    steps.drop(StepKind::Source, "source", 0);
    if let Some(unasked) = counted.unasked {
        steps.drop(StepKind::Keys, "keys", unasked);
    }
    steps.rule(SkipReason::InvalidRow, skipped(SkipReason::InvalidRow));
    for (number, clause) in counted.clauses.iter().enumerate() {
        let dropped = counted.by_clause.get(number).copied().unwrap_or(0);
        steps.drop(StepKind::Clause, &on_one_line(clause), dropped);
    }
    // From here on deliveries are counted: a recipient may have several.
    let of_matched = counted.skipped.iter();
    let of_matched = of_matched.filter(|(reason, _)| !BESIDE.contains(reason));
    steps.left = counted.totals.to_send + of_matched.map(|(_, n)| n).sum::<u64>();
    for reason in RULES {
        steps.rule(*reason, skipped(*reason));
    }
    for (reason, n) in counted.skipped {
        if !RULES.contains(reason) && !BESIDE.contains(reason) {
            steps.rule(*reason, *n);
        }
    }
    steps.steps
}

struct Steps {
    left: u64,
    steps: Vec<Step>,
}

impl Steps {
    fn drop(&mut self, kind: StepKind, step: &str, dropped: u64) {
        self.left = self.left.saturating_sub(dropped);
        self.steps.push(Step {
            step: step.to_owned(),
            kind,
            left: self.left,
            dropped,
        });
    }

    /// Rules that dropped nobody are not worth a line.
    fn rule(&mut self, reason: SkipReason, dropped: u64) {
        if dropped > 0 {
            self.drop(StepKind::Rule, reason.as_str(), dropped);
        }
    }
}

/// A clause as it stands in a line.
pub(super) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_says_who_is_left() {
        let skipped = BTreeMap::from([
            (SkipReason::InvalidRow, 2),
            (SkipReason::UnknownKey, 9),
            (SkipReason::DuplicateAddress, 1),
            (SkipReason::NoAddress, 3),
            (SkipReason::Doubt, 1),
        ]);
        let steps = funnel(&Counted {
            totals: Totals {
                total: 100,
                matched: 50,
                to_send: 45,
            },
            unasked: Some(8),
            clauses: &["r.a\n  && r.b".to_owned(), "r.c".to_owned()],
            by_clause: &[30, 10],
            skipped: &skipped,
        });
        let lines: Vec<_> = steps
            .iter()
            .map(|step| format!("{} {} -{}", step.step, step.left, step.dropped))
            .collect();
        assert_eq!(
            lines,
            [
                "source 100 -0",
                "keys 92 -8",
                "invalid_row 90 -2",
                "r.a && r.b 60 -30",
                "r.c 50 -10",
                "no_address 47 -3",
                "duplicate_address 46 -1",
                "doubt 45 -1",
            ]
        );
    }

    #[test]
    fn every_reason_that_a_plan_gives_has_its_place() {
        for reason in SkipReason::ALL {
            let later = [SkipReason::Doubt, SkipReason::RenderError];
            let known = RULES.contains(reason) || BESIDE.contains(reason) || later.contains(reason);
            assert!(known, "{reason} has no place in the funnel");
        }
    }
}
