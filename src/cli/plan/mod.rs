//! `campanile plan`: who would get what, and who not and why; beside what it would have been.

mod human;
mod json;
mod markdown;

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::Output,
};
use crate::{
    control::{Command, Session},
    model::CampaignId,
    plan::Why,
    workspace::Location,
};

pub(super) use human::{counted, finishes, samples};

/// The arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaigns; none: all that are enabled
    #[arg(value_name = "ID")]
    campaigns: Vec<CampaignId>,
    /// Show this many recipients with their variables
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: u16,
    /// Compare with the workspace as of a git revision: a branch, a tag, a commit
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// How it is printed; --json is short for json
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "human")]
    format: Format,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, at a terminal.
    Human,
    /// For programs.
    Json,
    /// For a comment on a pull request; addresses are masked.
    Markdown,
}

/// Shows plans.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = match arguments.base {
        // Of the files as they lie here, whatever a daemon has taken up of them.
        Some(_) => Session::own(workspace).await?,
        None => Session::read(workspace).await?,
    };
    carry_out(arguments, &session, output).await
}

async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let sample = usize::from(arguments.sample);
    let format = match arguments.format {
        Format::Human if output.is_json() => Format::Json,
        format => format,
    };
    let unmasked = output.is_unmasked();
    if let Some(revision) = arguments.base {
        let command = Command::Compare {
            revision,
            campaigns: arguments.campaigns,
            sample,
        };
        let compared = answer!(desk, command, Compared)?;
        match format {
            Format::Human => human::compared(&compared, output)?,
            Format::Json => output.json(&json::compared(&compared, unmasked))?,
            Format::Markdown => {
                output.bytes(markdown::compared(&compared, unmasked).as_bytes())?;
            }
        }
        return Ok(Exit::Done);
    }
    let command = Command::Plan {
        campaigns: arguments.campaigns,
        sample,
    };
    let plans = answer!(desk, command, Plans)?;
    match format {
        Format::Human => human::plans(&plans, output)?,
        Format::Json => output.json(&json::plans(&plans, unmasked))?,
        Format::Markdown => output.bytes(markdown::plans(&plans, unmasked).as_bytes())?,
    }
    Ok(Exit::Done)
}

/// What keeps a recipient out, in a few words.
fn why(why: &Why) -> &str {
    match why {
        Why::Clause(clause) => clause,
        Why::Rule(reason) => reason,
        Why::Keys => "keys",
        Why::Source => "not in the source",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
            base: None,
            format: Format::Human,
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
          starts         2026-12-01 09:00 +01:00
          finishes       2026-12-01 09:20 +01:00 (main takes 1/1s)
          would be held  too_many: 1,234 to send, more than max_recipients
          problems
            line 7, column "email": "ada@example.org x" is not one

        FUNNEL                  LEFT  DROPPED
        source                10,000
        r.status == "active"   2,000    8,000
        unsubscribed           1,234      766

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
            "by_locale": {},
            "skipped": { "unsubscribed": 766 }, "hold": "too_many", "hold_words": null, "safety": null, "zones": [], "unknown_zones": 0, "environment": null,
            "funnel": [
                { "step": "source", "kind": "source", "left": 10_000, "dropped": 0 },
                { "step": "r.status == \"active\"", "kind": "clause", "left": 2_000, "dropped": 8_000 },
                { "step": "unsubscribed", "kind": "rule", "left": 1_234, "dropped": 766 },
            ],
            "starts": "2026-12-01T09:00:00+01:00", "finishes": "2026-12-01T09:20:33+01:00",
            "holds": [{ "reason": "too_many", "help": "1,234 to send, more than max_recipients" }],
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
