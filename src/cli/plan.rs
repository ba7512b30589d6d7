//! `campanile plan`: who would get what, and who not and why.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::{Facts, Output, Table, by_name, mask, plural, thousands},
    safety::{self, safety},
};
use crate::{
    control::{Command, Session},
    model::{CampaignId, Channel},
    plan::{Plan, Sample},
    workspace::Location,
};

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaigns; none: all that are enabled
    #[arg(value_name = "ID")]
    campaigns: Vec<CampaignId>,
    /// Show this many recipients with their variables
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: u16,
}

/// Shows plans.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::read(workspace).await?;
    carry_out(arguments, &session, output).await
}

async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let command = Command::Plan {
        campaigns: arguments.campaigns,
        sample: usize::from(arguments.sample),
    };
    let plans = answer!(desk, command, Plans)?;
    if output.is_json() {
        let unmasked = output.is_unmasked();
        let plans: Vec<_> = plans.iter().map(|plan| object(plan, unmasked)).collect();
        output.json(&plans)?;
        return Ok(Exit::Done);
    }
    if plans.is_empty() {
        output.note("there is no campaign to plan")?;
    }
    if let Some(plan) = plans.first() {
        safety(&plan.safety, output)?;
    }
    for (at, plan) in plans.iter().enumerate() {
        if at > 0 {
            output.line("")?;
        }
        show(plan, output)?;
    }
    Ok(Exit::Done)
}

/// A plan for people.
fn show(plan: &Plan, output: &mut Output) -> Result<(), Failure> {
    output.title(format!("{}, occurrence {}", plan.campaign, plan.occurrence))?;
    let mut facts = Facts::default();
    let totals = &plan.totals;
    facts.add("source", plural(totals.total, "recipient"));
    facts.add("matched", thousands(totals.matched));
    facts.add("to send", thousands(totals.to_send));
    facts.add("by channel", by_name(counted(&plan.by_channel)));
    facts.add("reachable", by_name(counted(&plan.reachable)));
    facts.add("skipped", by_name(counted(&plan.skipped)));
    facts.add("digest", plan.digest.as_str());
    if let Some(hold) = plan.hold {
        facts.add("would be held", hold.as_str());
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
    samples(&plan.sample, output)
}

/// Some recipients with their variables, for people.
pub(super) fn samples(samples: &[Sample], output: &mut Output) -> Result<(), Failure> {
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

pub(super) fn counted<K: Copy>(counts: &BTreeMap<K, u64>) -> impl Iterator<Item = (K, u64)> {
    counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| (*name, *n))
}

/// The object that programs rely on.
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
    let shown = |text: &str, masked: fn(&str) -> String| {
        if unmasked {
            text.to_owned()
        } else {
            masked(text)
        }
    };
    let sample = |sample: &Sample| {
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
            "key": shown(&sample.key, mask::key), "channel": sample.channel,
            "address": shown(&sample.address, crate::model::mask), "variables": variables,
        })
    };
    json!({
        "campaign": plan.campaign, "occurrence": plan.occurrence, "digest": plan.digest,
        "total": plan.totals.total, "matched": plan.totals.matched, "to_send": plan.totals.to_send,
        "by_channel": per_channel(&plan.by_channel), "reachable": per_channel(&plan.reachable),
        "skipped": plan.skipped, "hold": plan.hold, "safety": safety::object(&plan.safety, unmasked),
        "sample": plan.sample.iter().map(sample).collect::<Vec<_>>(),
        "problems": plan.problems.iter().map(|words| shown(words, mask::words)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{
            print::Captured,
            samples::{Sitting, plan},
        },
        control::Reply,
    };

    async fn print(mut captured: Captured) -> Captured {
        let arguments = Arguments {
            campaigns: Vec::new(),
            sample: 2,
        };
        let desk = Sitting::answering([Reply::Plans(vec![plan()])]);
        carry_out(arguments, &desk, &mut captured.output)
            .await
            .unwrap();
        assert!(matches!(
            &desk.asked.lock()[..],
            [Command::Plan { sample: 2, .. }]
        ));
        captured
    }

    #[tokio::test]
    async fn people_see_counts_reasons_and_a_sample() {
        insta::assert_snapshot!(print(Captured::plain()).await.out(), @r#"
        billing/renewal, occurrence manual
          source         10,000 recipients
          matched        2,000
          to send        1,234
          by channel     email 1,234
          reachable      email 1,990
          skipped        unsubscribed 766
          digest         d1
          would be held  too_many
          problems
            line 7, column "email": "ada@example.org x" is not one

        KEY  CHANNEL  ADDRESS          VARIABLES
        A1   email    ada@example.org  first_name=Ada, contact=ada@example.org
        "#);
    }

    #[tokio::test]
    async fn programs_get_the_agreed_keys_and_no_address() {
        let text = print(Captured::json()).await.out();
        let plans: Value = serde_json::from_str(&text).unwrap();
        let expected = json!([{
            "campaign": "billing/renewal", "occurrence": "manual", "digest": "d1",
            "total": 10_000, "matched": 2_000, "to_send": 1_234,
            "by_channel": { "email": 1_234, "sms": 0, "letter": 0 },
            "reachable": { "email": 1_990, "sms": 0, "letter": 0 },
            "skipped": { "unsubscribed": 766 }, "hold": "too_many", "safety": null,
            "sample": [{
                "key": "A1", "channel": "email", "address": "a…@example.org",
                "variables": { "first_name": "Ada", "contact": "a…@example.org" },
            }],
            "problems": ["line 7, column \"email\": \"a…@example.org x\" is not one"],
        }]);
        assert_eq!(plans, expected);
    }

    #[tokio::test]
    async fn addresses_are_shown_where_asked_for() {
        let text = print(Captured::unmasked()).await.out();
        assert!(text.contains("\"address\":\"ada@example.org\""));
        assert!(text.contains("\"contact\":\"ada@example.org\""));
    }
}
