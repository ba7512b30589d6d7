//! `campanile explain`: why she got it, why he does not, why it has not started.

mod human;

use serde_json::json;

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::{Output, mask},
};
use crate::{
    control::{CampaignState, Command, Explanation, PastExplanation, Session, Standing},
    model::{CampaignId, OccurrenceName},
    plan::Outcome,
    workspace::Location,
};

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaign
    #[arg(value_name = "ID")]
    campaign: CampaignId,
    /// The recipient; none: why the campaign has or has not started
    #[arg(value_name = "KEY")]
    key: Option<String>,
    /// What became of the recipient in a past run: its occurrence, as `status` shows it
    #[arg(long, value_name = "OCCURRENCE", requires = "key", value_parser = OccurrenceName::label)]
    occurrence: Option<OccurrenceName>,
    /// Print a [[test]] block that says what becomes of the recipient today
    #[arg(long, requires = "key", conflicts_with = "occurrence")]
    as_test: bool,
}

/// Explains.
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
    let campaign = arguments.campaign;
    match (arguments.key, arguments.occurrence) {
        (None, _) => {
            let standing = answer!(desk, Command::ExplainCampaign { campaign }, Standing)?;
            if output.is_json() {
                output.masked_json(&standing_object(&standing, desk.is_daemon()))?;
            } else {
                human::standing(&standing, desk.is_daemon(), output)?;
            }
        }
        (Some(key), _) if arguments.as_test => {
            let command = Command::ExplainAsTest { campaign, key };
            let block = answer!(desk, command, Done)?;
            if output.is_json() {
                output.json(&json!({ "test": block }))?;
            } else {
                output.bytes(block.as_bytes())?;
                output.note(
                    "it holds this person's data as it is: change what a test need not know",
                )?;
            }
        }
        (Some(key), Some(occurrence)) => {
            let command = Command::ExplainPast {
                campaign,
                key,
                occurrence,
            };
            let past = answer!(desk, command, Past)?;
            if output.is_json() {
                output.masked_json(&past_object(&past))?;
            } else {
                human::past(&past, output)?;
            }
        }
        (Some(key), None) => {
            let command = Command::Explain { campaign, key };
            let explanation = answer!(desk, command, Explanation)?;
            if output.is_json() {
                let unmasked = output.is_unmasked();
                output.masked_json(&object(&explanation, unmasked))?;
            } else {
                human::explanation(&explanation, output)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn object(explanation: &Explanation, unmasked: bool) -> serde_json::Value {
    let explained = &explanation.explained;
    let (included, reason, detail, address) = match &explained.outcome {
        Outcome::Included { address, .. } => (true, None, None, Some(address.as_str())),
        Outcome::Skipped { reason, detail } => {
            (false, Some(reason.as_str()), detail.as_deref(), None)
        }
        Outcome::NoMatch => (false, Some("no_match"), None, None),
        Outcome::Unknown => (false, Some("unknown_key"), None, None),
    };
    let key = if unmasked {
        explained.key.clone()
    } else {
        mask::key(&explained.key)
    };
    let rules: Vec<_> = explained
        .rules
        .iter()
        .map(|rule| {
            let saw: serde_json::Map<_, _> = rule
                .saw
                .iter()
                .map(|(field, value)| (field.clone(), value.as_str().into()))
                .collect();
            json!({
                "rule": rule.rule, "text": rule.text, "verdict": rule.verdict, "detail": rule.detail,
                "saw": saw,
            })
        })
        .collect();
    json!({
        "campaign": explanation.campaign, "occurrence": explanation.occurrence, "at": explanation.at,
        "key": key, "source": explained.source, "included": included, "reason": reason,
        "detail": detail, "address": address, "rules": rules,
        "starts_nothing": explanation.starts_nothing.as_ref().map(|told| &told.fact),
    })
}

fn past_object(past: &PastExplanation) -> serde_json::Value {
    let deliveries: Vec<_> = past
        .deliveries
        .iter()
        .map(|delivery| {
            json!({
                "channel": delivery.channel, "address": delivery.address, "status": delivery.status,
                "reason": delivery.reason, "at": delivery.at, "attempts": delivery.attempts,
            })
        })
        .collect();
    json!({
        "campaign": past.run.campaign, "occurrence": past.run.occurrence, "key": past.key,
        "run": past.run.id, "state": past.run.state, "started_at": past.run.started_at,
        "ended_at": past.run.ended_at, "deliveries": deliveries,
    })
}

fn standing_object(standing: &Standing, daemon: bool) -> serde_json::Value {
    json!({
        "campaign": standing.campaign, "state": standing.state.map(CampaignState::as_str),
        "next": standing.next, "daemon": daemon, "told": standing.told, "runs": standing.runs,
    })
}
