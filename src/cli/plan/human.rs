//! Plans for people.

use std::collections::BTreeMap;

use crate::{
    cli::{
        failure::Failure,
        print::{Facts, Output, Table, by_name, plural, thousands, zoned, zones},
        safety::settings_in_force,
    },
    control::{Compared, ComparedCampaign},
    plan::{Cause, Comparison, Moved, Outlook, Plan, Sample, Step, StepKind},
};

use super::why;

/// The longest clause that is shown whole.
const LONGEST_CLAUSE: usize = 100;

/// Plans, one after the other.
pub(super) fn plans(plans: &[Plan], output: &mut Output) -> Result<(), Failure> {
    if plans.is_empty() {
        output.note("there is no campaign to plan")?;
    }
    if let Some(plan) = plans.first() {
        let outlook = plan.outlook.as_ref();
        let environment = outlook.and_then(|outlook| outlook.environment.as_ref());
        settings_in_force(environment, &plan.safety, output)?;
    }
    for (at, plan) in plans.iter().enumerate() {
        if at > 0 {
            output.line("")?;
        }
        show(plan, output)?;
    }
    Ok(())
}

fn show(plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    output.title(format!("{}, occurrence {}", plan.campaign, plan.occurrence))?;
    let mut facts = Facts::default();
    let totals = &plan.totals;
    facts.add("source", plural(totals.total, "recipient"));
    facts.add("matched", thousands(totals.matched));
    facts.add("to send", thousands(totals.to_send));
    facts.add("by channel", by_name(counted(&plan.by_channel)));
    facts.add("reachable", by_name(counted(&plan.reachable)));
    if !plan.by_locale.is_empty() {
        facts.add("languages", languages(&plan.by_locale));
    }
    facts.add("skipped", by_name(counted(&plan.skipped)));
    for (name, words) in zones(plan) {
        facts.add(name, words);
    }
    facts.add("digest", plan.digest.as_str());
    match &plan.outlook {
        Some(outlook) => add_outlook(outlook, &mut facts),
        None => facts.add("would be held", plan.hold.map_or("", |hold| hold.as_str())),
    }
    for line in facts.lines() {
        output.line(line)?;
    }
    if !plan.problems.is_empty() {
        output.line("  problems")?;
        for problem in &plan.problems {
            output.line(format!("    {}", problem.replace('\n', "\n    ")))?;
        }
    }
    funnel(&plan.funnel, output)?;
    samples(&plan.sample, output)
}

/// When it would be through, and by what.
pub(in crate::cli) fn finishes(outlook: &Outlook) -> String {
    match outlook.finishes {
        Some(at) => format!("{} ({})", zoned(at), outlook.pace),
        None if outlook.pace.is_empty() => String::new(),
        None => format!("no end in sight ({})", outlook.pace),
    }
}

fn add_outlook(outlook: &Outlook, facts: &mut Facts) {
    facts.add("starts", outlook.starts.map(zoned).unwrap_or_default());
    facts.add("finishes", finishes(outlook));
    let holds: Vec<_> = outlook
        .holds
        .iter()
        .map(|hold| format!("{}: {}", hold.reason, hold.help))
        .collect();
    facts.add("would be held", holds.join("\n"));
}

/// Who is left after each step.
fn funnel(steps: &[Step], output: &mut Output) -> Result<(), Failure> {
    if steps.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["FUNNEL", "LEFT", "DROPPED"]).numbers(&[1, 2]);
    for step in steps {
        let dropped = match step.kind {
            StepKind::Source => String::new(),
            _ => thousands(step.dropped),
        };
        table.row([shortened(&step.step), thousands(step.left), dropped]);
    }
    output.line("")?;
    output.table(table)?;
    Ok(())
}

/// A clause that is no longer than a line.
fn shortened(clause: &str) -> String {
    match clause.char_indices().nth(LONGEST_CLAUSE) {
        Some((at, _)) => format!("{}…", &clause[..at]),
        None => clause.to_owned(),
    }
}

/// Some recipients with their variables.
pub(in crate::cli) fn samples(samples: &[Sample], output: &mut Output) -> Result<(), Failure> {
    if samples.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["KEY", "CHANNEL", "ADDRESS", "VARIABLES"]);
    for sample in samples {
        let variables: Vec<_> = sample
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_string().replace('\n', " ")))
            .collect();
        table.row([
            sample.key.clone(),
            sample.channel.to_string(),
            sample.address.clone(),
            variables.join(", "),
        ]);
    }
    output.line("")?;
    output.table(table)?;
    Ok(())
}

/// The counts that are not zero.
pub(in crate::cli) fn counted<K: Copy>(
    counts: &BTreeMap<K, u64>,
) -> impl Iterator<Item = (K, u64)> {
    counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| (*name, *n))
}

/// Plans beside those of a revision.
pub(super) fn compared(compared: &Compared, output: &mut Output) -> Result<(), Failure> {
    let commit = compared.commit.get(..12).unwrap_or(&compared.commit);
    output.title(format!("Since {} ({commit})", compared.revision))?;
    if compared.campaigns.is_empty() {
        output.line("there are no campaigns")?;
        return Ok(());
    }
    let headings = [
        "CAMPAIGN", "CHANGE", "TO SEND", "BEFORE", "ADDED", "DROPPED", "NOTE",
    ];
    let mut table = Table::new(headings).numbers(&[2, 3, 4, 5]);
    for one in &compared.campaigns {
        let count = |n: Option<u64>| n.map(thousands).unwrap_or_default();
        let comparison = one.comparison.as_ref();
        table.row([
            one.id.to_string(),
            one.change.as_str().to_owned(),
            count(one.plan.as_ref().map(|plan| plan.totals.to_send)),
            count(one.before.as_ref().map(|before| before.totals.to_send)),
            count(comparison.map(|comparison| comparison.added)),
            count(comparison.map(|comparison| comparison.dropped)),
            one.note.clone().unwrap_or_default(),
        ]);
    }
    output.table(table)?;
    for one in &compared.campaigns {
        details(one, &compared.revision, output)?;
    }
    Ok(())
}

fn details(one: &ComparedCampaign, revision: &str, output: &mut Output) -> Result<(), Failure> {
    if let Some(plan) = &one.plan {
        output.line("")?;
        show(plan, output)?;
    }
    if let Some(comparison) = &one.comparison {
        output.line("")?;
        output.title(format!("{} since {revision}", one.id))?;
        show_comparison(comparison, output)?;
    }
    if let Some(message) = &one.message {
        output.line("")?;
        output.title(if message.only_html {
            format!("The message of {}: only the HTML is another", message.key)
        } else {
            format!("The message of {}", message.key)
        })?;
        for line in message.diff.lines() {
            output.line(line)?;
        }
    }
    Ok(())
}

fn show_comparison(comparison: &Comparison, output: &mut Output) -> Result<(), Failure> {
    let mut facts = Facts::default();
    facts.add(
        "kept",
        match comparison.altered {
            0 => thousands(comparison.kept),
            altered => format!(
                "{}, {} of them with another address or other variables",
                thousands(comparison.kept),
                thousands(altered)
            ),
        },
    );
    facts.add("added", moved(comparison.added, &comparison.added_by));
    facts.add("dropped", moved(comparison.dropped, &comparison.dropped_by));
    for line in facts.lines() {
        output.line(line)?;
    }
    let named = |change, moved: &[Moved]| -> Vec<[String; 3]> {
        let line = |one: &Moved| {
            [
                one.key.clone(),
                String::from(change),
                shortened(why(&one.why)),
            ]
        };
        moved.iter().map(line).collect()
    };
    let added = named("added", &comparison.sample_added);
    let dropped = named("dropped", &comparison.sample_dropped);
    if !(added.is_empty() && dropped.is_empty()) {
        let mut table = Table::new(["KEY", "CHANGE", "KEPT OUT BY"]);
        for row in added.into_iter().chain(dropped) {
            table.row(row);
        }
        output.line("")?;
        output.table(table)?;
    }
    Ok(())
}

/// `17, kept out before by …`: how many, and a line for each cause.
fn moved(n: u64, causes: &[Cause]) -> String {
    let mut lines = vec![thousands(n)];
    let width = causes.iter().map(|cause| thousands(cause.n).len()).max();
    for cause in causes {
        let n = thousands(cause.n);
        lines.push(format!(
            "{n:>0$}  {1}",
            width.unwrap_or(0),
            shortened(why(&cause.why))
        ));
    }
    lines.join("\n")
}

/// `de 120, fr 3, not translated 80`
fn languages(by_locale: &std::collections::BTreeMap<String, u64>) -> String {
    let mut parts: Vec<String> = by_locale
        .iter()
        .filter(|(locale, _)| !locale.is_empty())
        .map(|(locale, n)| format!("{locale} {}", thousands(*n)))
        .collect();
    if let Some(n) = by_locale.get("") {
        parts.push(format!("not translated {}", thousands(*n)));
    }
    parts.join(", ")
}
