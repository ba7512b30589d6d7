//! Explanations for people.

use crate::{
    cli::{
        failure::Failure,
        print::{Facts, Output, by_name, moment, zoned},
    },
    control::{Explanation, PastExplanation, Standing},
    plan::{Outcome, Rule, Verdict},
};

/// Each rule in turn.
pub(super) fn explanation(explanation: &Explanation, output: &mut Output) -> Result<(), Failure> {
    let explained = &explanation.explained;
    output.title(format!(
        "{}, occurrence {}, at {}: {}",
        explanation.campaign,
        explanation.occurrence,
        zoned(explanation.at),
        explained.key
    ))?;
    let width = explained.rules.iter().map(|rule| rule.rule.chars().count());
    let width = width.max().unwrap_or(0);
    for rule in &explained.rules {
        output.line(line(rule, width))?;
        if !rule.saw.is_empty() {
            let saw: Vec<_> = rule
                .saw
                .iter()
                .map(|(field, value)| format!("{field} = {value}"))
                .collect();
            output.line(format!("  {:width$}      saw {}", "", saw.join(", ")))?;
        }
    }
    output.line("")?;
    output.title(conclusion(&explained.key, &explained.outcome))?;
    if let (Outcome::Included { .. }, Some(told)) =
        (&explained.outcome, &explanation.starts_nothing)
    {
        let ends = told.ends.clone().unwrap_or_default();
        output.line(format!("But nothing starts: {} ({ends})", told.fact))?;
    }
    Ok(())
}

/// `  where  no  r.age >= 18: …`
fn line(rule: &Rule, width: usize) -> String {
    let verdict = match rule.verdict {
        Verdict::Passed => "ok",
        Verdict::Stopped => "NO",
        Verdict::NotAsked => "–",
    };
    let words = match (&rule.text, rule.detail.as_str()) {
        (Some(text), "") => text.clone(),
        (Some(text), detail) if rule.rule.starts_with("variable") => format!("{text} → {detail}"),
        (Some(text), detail) => format!("{text}: {detail}"),
        (None, detail) => detail.to_owned(),
    };
    let indent = format!("\n{:1$}", "", width + 8);
    format!(
        "  {:width$}  {verdict:2}  {}",
        rule.rule,
        words.replace('\n', &indent)
    )
    .trim_end()
    .to_owned()
}

fn conclusion(key: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Included { channel, address } => {
            format!("{key} gets it, by {channel} to {address}")
        }
        Outcome::Skipped { reason, detail } => match detail {
            Some(detail) => format!("{key} does not get it: {reason}: {detail}"),
            None => format!("{key} does not get it: {reason}"),
        },
        Outcome::NoMatch => format!("{key} does not get it: it is not of the audience"),
        Outcome::Unknown => format!("{key} does not get it: there is no such recipient"),
    }
}

/// What became of somebody in a past run.
pub(super) fn past(past: &PastExplanation, output: &mut Output) -> Result<(), Failure> {
    let run = &past.run;
    output.title(format!(
        "{}, occurrence {}, run {}: {}",
        run.campaign, run.occurrence, run.id, past.key
    ))?;
    let mut facts = Facts::default();
    let state = match &run.reason {
        Some(reason) => format!("{} ({reason})", run.state),
        None => run.state.to_string(),
    };
    facts.add("run", state);
    facts.add("due", moment(run.due));
    facts.add("started", run.started_at.map(moment).unwrap_or_default());
    facts.add("ended", run.ended_at.map(moment).unwrap_or_default());
    facts.add(
        "deliveries",
        by_name(run.counts.iter().map(|(status, n)| (*status, *n))),
    );
    for line in facts.lines() {
        output.line(line)?;
    }
    for delivery in &past.deliveries {
        output.line("")?;
        output.title(format!("{}: {}", delivery.channel, delivery.status))?;
        let mut facts = Facts::default();
        facts.add("address", delivery.address.as_str());
        facts.add("reason", delivery.reason.clone().unwrap_or_default());
        facts.add("since", moment(delivery.at));
        facts.add("attempts", delivery.attempts.to_string());
        facts.add("message", delivery.message_id.clone().unwrap_or_default());
        facts.add("number", delivery.id.to_string());
        for line in facts.lines() {
            output.line(line)?;
        }
    }
    if past.deliveries.is_empty() {
        output.line("")?;
        output.line(format!(
            "The run has no delivery for {}: it was not of the audience when the run was planned, its source did not have it, \
             or its data was erased since.",
            past.key
        ))?;
    }
    Ok(())
}

/// Why a campaign has or has not started.
pub(super) fn standing(
    standing: &Standing,
    daemon: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let state = standing.state.map_or("unknown", |state| state.as_str());
    output.title(format!("{} is {state}", standing.campaign))?;
    for told in &standing.told {
        output.line(format!("  {}", told.fact))?;
        if let Some(ends) = &told.ends {
            output.line(format!("    {ends}"))?;
        }
    }
    if !daemon {
        output.line("  no daemon runs on this store: nothing starts by itself")?;
        output.line("    `campanile serve` starts one")?;
    }
    if !standing.runs.is_empty() {
        output.line("")?;
        output.title("Runs")?;
        for run in &standing.runs {
            let reason = run.reason.as_deref().map(|reason| format!(" ({reason})"));
            let counts = by_name(run.counts.iter().map(|(status, n)| (*status, *n)));
            output.line(format!(
                "  {} for {}, due {}: {}{}{}",
                run.id,
                run.occurrence,
                moment(run.due),
                run.state,
                reason.unwrap_or_default(),
                if counts.is_empty() {
                    String::new()
                } else {
                    format!(", {counts}")
                }
            ))?;
        }
    }
    Ok(())
}
