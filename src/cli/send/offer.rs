//! What is shown, and asked, before a campaign is sent.

use crate::{
    cli::{
        failure::Failure,
        plan::{counted, finishes, samples},
        print::{Facts, Output, by_name, plural, thousands, zoned},
        safety::settings_in_force,
    },
    control::{RunStatus, SendOffer},
    model::Totals,
};

/// Shows what would happen; without a plan, what is about to.
pub(super) fn show(offer: &SendOffer, output: &mut Output) -> Result<(), Failure> {
    settings_in_force(offer.environment.as_ref(), &offer.safety, output)?;
    output.title(format!(
        "{} ({}), occurrence {}",
        offer.name, offer.campaign, offer.label
    ))?;
    let mut facts = Facts::default();
    let ways: Vec<_> = offer
        .ways
        .iter()
        .map(|(channel, way)| format!("{channel} by {way}"))
        .collect();
    facts.add("way", ways.join("\n"));
    facts.add("from", offer.sender.as_str());
    facts.add("subject", offer.subject.clone().unwrap_or_default());
    facts.add("template", offer.template.as_str());
    facts.add(
        "audience",
        offer.condition.as_deref().unwrap_or("everybody"),
    );
    facts.add("time", zoned(offer.now));
    let Some(plan) = &offer.plan else {
        facts.lines().try_for_each(|line| output.line(line))?;
        return Ok(());
    };
    add_totals(&mut facts, &plan.totals, by_name(counted(&plan.skipped)));
    let channels = by_name(counted(&plan.by_channel));
    facts.add("channels", channels);
    facts.add(
        "finishes",
        plan.outlook.as_ref().map(finishes).unwrap_or_default(),
    );
    for problem in &plan.problems {
        facts.add("problem", problem.as_str());
    }
    for line in facts.lines() {
        output.line(line)?;
    }
    samples(&plan.sample, output)?;
    let holds = plan.outlook.iter().flat_map(|outlook| &outlook.holds);
    let holds: Vec<_> = holds
        .map(|hold| format!("  {}: {}", hold.reason, hold.help))
        .collect();
    if !holds.is_empty() {
        output.line("")?;
        output.line("The run will be held, and nothing leaves until a person lets it go (`campanile status` says how):")?;
        holds.into_iter().try_for_each(|hold| output.line(hold))?;
    }
    Ok(())
}

/// Shows the plan of a run that nobody looked at before.
pub(super) fn show_planned(run: &RunStatus, output: &mut Output) -> Result<(), Failure> {
    let mut facts = Facts::below("template");
    let skipped = run.skipped.iter().map(|(reason, n)| (reason, *n));
    add_totals(&mut facts, &run.totals, by_name(skipped));
    facts.lines().try_for_each(|line| output.line(line))?;
    Ok(())
}

fn add_totals(facts: &mut Facts, totals: &Totals, skipped: String) {
    let source = plural(totals.total, "recipient");
    let matched = thousands(totals.matched);
    facts.add("source", format!("{source}, {matched} match"));
    facts.add("skipped", skipped);
    facts.add("to send", thousands(totals.to_send));
}

/// What is asked: the number is typed, so that it was read.
pub(super) fn question(n: u64) -> String {
    format!(
        "Send {}? Type {n} to send, anything else to leave it:",
        plural(n, "message")
    )
}

/// Whether the answer is the number, with separators or without.
pub(super) fn is_confirmed(answer: &str, n: u64) -> bool {
    let digits: String = answer
        .chars()
        .filter(|c| !matches!(c, ',' | '.' | '_' | '\'' | ' '))
        .collect();
    digits == n.to_string()
}
