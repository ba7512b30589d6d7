//! Plans for a comment on a pull request.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    cli::print::{
        by_name,
        markdown::{code, fenced, row},
        mask, thousands, zoned,
    },
    control::{Compared, ComparedCampaign},
    plan::{Cause, Comparison, Moved, Plan, Sample, Step, StepKind},
};

use super::{human::counted, why};

/// Adds to a text.
macro_rules! add {
    ($text:ident, $($words:tt)*) => {
        write!($text, $($words)*).expect("writing to memory")
    };
}

/// GitHub takes 65,536 characters: what is behind this is left out, and that is said.
const LONGEST: usize = 60_000;

/// Plans, one after the other.
pub(super) fn plans(plans: &[Plan], unmasked: bool) -> String {
    let look = Look { unmasked };
    let mut text = format!(
        "### Campanile: who would get what{}\n\n",
        of_environment(plans.iter())
    );
    text += "| campaign | occurrence | to send | skipped | would be held |\n";
    text += "|---|---|---:|---|---|\n";
    for plan in plans {
        text += &row([
            code(plan.campaign.as_str()),
            code(plan.occurrence.as_str()),
            thousands(plan.totals.to_send),
            by_name(counted(&plan.skipped)),
            look.holds(plan),
        ]);
    }
    let sections = plans.iter().map(|plan| {
        let title = format!("\n#### {}\n\n", code(plan.campaign.as_str()));
        title + look.plan(plan).as_str()
    });
    with_sections(text, sections)
}

/// Plans beside those of a revision.
pub(super) fn compared(compared: &Compared, unmasked: bool) -> String {
    let look = Look { unmasked };
    let commit = compared.commit.get(..12).unwrap_or(&compared.commit);
    let mut text = format!(
        "### Campanile: what changes since {} ({}){}\n\n",
        code(&compared.revision),
        code(commit),
        of_environment(
            compared
                .campaigns
                .iter()
                .filter_map(|one| one.plan.as_ref())
        )
    );
    let (shown, unchanged): (Vec<_>, Vec<_>) = compared
        .campaigns
        .iter()
        .partition(|one| one.change != crate::control::Change::Unchanged || one.plan.is_some());
    if shown.is_empty() {
        text += "Nobody gets anything else: no campaign changed.\n";
    } else {
        text += "| campaign | change | to send | before | added | dropped | |\n";
        text += "|---|---|---:|---:|---:|---:|---|\n";
    }
    for one in &shown {
        let count = |n: Option<u64>| n.map(thousands).unwrap_or_default();
        let comparison = one.comparison.as_ref();
        let note = one.note.as_deref().unwrap_or_default();
        let holds = one.plan.as_ref().map(|plan| look.holds(plan));
        let held = holds.filter(|holds| !holds.is_empty());
        let held = held.map(|holds| format!("would be held: {holds}"));
        let notes = [Some(look.code(note)), held];
        let notes: Vec<_> = notes
            .into_iter()
            .flatten()
            .filter(|note| !note.is_empty())
            .collect();
        text += &row([
            code(one.id.as_str()),
            one.change.as_str().to_owned(),
            count(one.plan.as_ref().map(|plan| plan.totals.to_send)),
            count(one.before.as_ref().map(|before| before.totals.to_send)),
            comparison.map_or_else(String::new, |one| format!("+{}", thousands(one.added))),
            comparison.map_or_else(String::new, |one| format!("−{}", thousands(one.dropped))),
            notes.join("; "),
        ]);
    }
    if !unchanged.is_empty() && !shown.is_empty() {
        add!(
            text,
            "\nUnchanged: {}.\n",
            thousands(unchanged.len() as u64)
        );
    }
    with_sections(text, shown.iter().map(|one| look.campaign(one)))
}

/// Whose settings these plans are made with, where an environment has its own.
fn of_environment<'a>(mut plans: impl Iterator<Item = &'a Plan>) -> String {
    let environment = plans.find_map(|plan| plan.outlook.as_ref()?.environment.as_ref());
    environment.map_or_else(String::new, |name| {
        format!(", environment {}", code(name.as_str()))
    })
}

/// Sections behind a text, as many as fit.
fn with_sections(mut text: String, sections: impl Iterator<Item = String>) -> String {
    let mut left_out = 0;
    for section in sections {
        if left_out == 0 && text.len() + section.len() <= LONGEST {
            text += &section;
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        add!(
            text,
            "\nThe details of {left_out} more do not fit here: `campanile plan` shows them.\n"
        );
    }
    text
}

/// How it is shown.
struct Look {
    unmasked: bool,
}

impl Look {
    /// A text of a stranger.
    fn code(&self, text: &str) -> String {
        code(&self.text(text))
    }

    fn text(&self, text: &str) -> String {
        if self.unmasked {
            text.to_owned()
        } else {
            mask::words(text)
        }
    }

    fn key(&self, key: &str) -> String {
        if self.unmasked {
            code(key)
        } else {
            code(&mask::words(&mask::key(key)))
        }
    }

    fn holds(&self, plan: &Plan) -> String {
        let Some(outlook) = &plan.outlook else {
            return plan
                .hold
                .map_or_else(String::new, |hold| code(hold.as_str()));
        };
        let holds: Vec<_> = outlook
            .holds
            .iter()
            .map(|hold| format!("{} {}", code(&hold.reason), self.code(&hold.help)))
            .collect();
        holds.join("; ")
    }

    fn campaign(&self, one: &ComparedCampaign) -> String {
        let mut text = format!(
            "\n#### {} · {}\n\n",
            code(one.id.as_str()),
            one.change.as_str()
        );
        if let Some(comparison) = &one.comparison {
            text += &self.comparison(comparison);
        }
        if let Some(plan) = &one.plan {
            text += &self.plan(plan);
        }
        if let Some(message) = &one.message {
            let key = self.key(&message.key);
            if message.only_html {
                add!(text, "\nThe message of {key}: only the HTML is another.\n");
            } else {
                let diff = fenced("diff", &self.text(&message.diff));
                add!(
                    text,
                    "\n<details open><summary>The message of {key}</summary>\n\n{diff}\n</details>\n"
                );
            }
        }
        // Nothing but a title: what there is to say stands in the table.
        if one.comparison.is_none() && one.plan.is_none() && one.message.is_none() {
            return String::new();
        }
        text
    }

    fn comparison(&self, comparison: &Comparison) -> String {
        let altered = match comparison.altered {
            0 => String::new(),
            n => format!(
                " ({} with another address or other variables)",
                thousands(n)
            ),
        };
        let mut text = format!(
            "**{}** kept{altered}, **{}** added, **{}** dropped.\n",
            thousands(comparison.kept),
            thousands(comparison.added),
            thousands(comparison.dropped)
        );
        let causes = |change: &str, causes: &[Cause]| -> String {
            let line = |cause: &Cause| {
                row([
                    change.to_owned(),
                    thousands(cause.n),
                    self.code(why(&cause.why)),
                ])
            };
            causes.iter().map(line).collect()
        };
        let by = [
            causes("added", &comparison.added_by),
            causes("dropped", &comparison.dropped_by),
        ]
        .concat();
        if !by.is_empty() {
            add!(text, "\n| | | kept out by |\n|---|---:|---|\n{by}");
        }
        let named = |moved: &[Moved]| -> String {
            let names: Vec<_> = moved.iter().map(|one| self.key(&one.key)).collect();
            names.join(", ")
        };
        for (change, moved) in [
            ("Added", &comparison.sample_added),
            ("Dropped", &comparison.sample_dropped),
        ] {
            if !moved.is_empty() {
                add!(text, "\n{change}, among others: {}\n", named(moved));
            }
        }
        text
    }

    fn plan(&self, plan: &Plan) -> String {
        let mut text = format!(
            "\n**{}** to send ({}), occurrence {}",
            thousands(plan.totals.to_send),
            match by_name(counted(&plan.by_channel)) {
                none if none.is_empty() => "nobody".to_owned(),
                channels => channels,
            },
            code(plan.occurrence.as_str())
        );
        if let Some(outlook) = &plan.outlook {
            if let Some(starts) = outlook.starts {
                add!(text, ", starts {}", zoned(starts));
            }
            if let Some(finishes) = outlook.finishes {
                add!(
                    text,
                    ", finishes {} ({})",
                    zoned(finishes),
                    code(&outlook.pace)
                );
            }
        }
        text += ".\n";
        let holds = self.holds(plan);
        if !holds.is_empty() {
            add!(text, "\n⚠️ Would be held: {holds}\n");
        }
        text += &self.funnel(&plan.funnel);
        if !plan.reachable.is_empty() {
            add!(text, "\nReachable: {}.\n", reachable(&plan.reachable));
        }
        if !plan.problems.is_empty() {
            text += "\nProblems:\n\n";
            for problem in &plan.problems {
                add!(text, "- {}\n", self.code(problem));
            }
        }
        text + self.samples(&plan.sample).as_str()
    }

    fn funnel(&self, steps: &[Step]) -> String {
        if steps.is_empty() {
            return String::new();
        }
        let mut text = "\n| | left | dropped |\n|---|---:|---:|\n".to_owned();
        for step in steps {
            let dropped = match step.kind {
                StepKind::Source => String::new(),
                _ => thousands(step.dropped),
            };
            text += &row([self.code(&step.step), thousands(step.left), dropped]);
        }
        text
    }

    fn samples(&self, samples: &[Sample]) -> String {
        if samples.is_empty() {
            return String::new();
        }
        let mut text =
            "\n<details><summary>Some of them</summary>\n\n| key | channel | address | variables |\n|---|---|---|---|\n"
                .to_owned();
        for sample in samples {
            let variables: Vec<_> = sample
                .variables
                .iter()
                .map(|(name, value)| self.code(&format!("{name} = {value}")))
                .collect();
            text += &row([
                self.key(&sample.key),
                sample.channel.to_string(),
                if self.unmasked {
                    code(&sample.address)
                } else {
                    code(&crate::model::mask(&sample.address))
                },
                variables.join(" "),
            ]);
        }
        text + "\n</details>\n"
    }
}

fn reachable(counts: &BTreeMap<crate::model::Channel, u64>) -> String {
    by_name(counted(counts))
}
