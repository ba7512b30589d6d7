//! What is shown, and asked, before a campaign is sent.

use crate::{
    cli::{
        failure::Failure,
        plan::{counted, samples},
        print::{Facts, Output, by_name, plural, thousands, zoned},
        safety::safety,
    },
    control::SendOffer,
};

/// Shows what would happen.
pub(super) fn show(offer: &SendOffer, output: &mut Output) -> Result<(), Failure> {
    let plan = &offer.plan;
    safety(&plan.safety, output)?;
    output.title(format!(
        "{} ({}), occurrence {}",
        offer.name, plan.campaign, plan.occurrence
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
    facts.add(
        "source",
        format!(
            "{}, {} match",
            plural(plan.totals.total, "recipient"),
            thousands(plan.totals.matched)
        ),
    );
    facts.add("skipped", by_name(counted(&plan.skipped)));
    facts.add(
        "to send",
        match by_name(counted(&plan.by_channel)) {
            channels if channels.is_empty() => thousands(plan.totals.to_send),
            channels => format!("{} ({channels})", thousands(plan.totals.to_send)),
        },
    );
    for problem in &plan.problems {
        facts.add("problem", problem.as_str());
    }
    for line in facts.lines() {
        output.line(line)?;
    }
    samples(&plan.sample, output)?;
    if let Some(hold) = plan.hold {
        output.line("")?;
        output.line(format!(
            "The run will be held ({hold}): nothing leaves until `campanile resume` lets it go."
        ))?;
    }
    Ok(())
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
