//! `campanile send`: shows what would happen, asks, and sends in the foreground.

mod offer;

use self::offer::{is_confirmed, question, show, show_planned};
use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    follow::follow,
    print::{Output, thousands},
    signals,
};
use crate::{
    control::{Command, Session},
    model::{CampaignId, EmailAddress, OccurrenceName},
    workspace::Location,
};

/// The arguments of `send`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaign
    #[arg(value_name = "ID")]
    campaign: CampaignId,
    /// The name of this occurrence: the same one is never sent twice
    #[arg(long = "as", value_name = "LABEL", default_value = "manual", value_parser = OccurrenceName::label)]
    label: OccurrenceName,
    /// Send without asking
    #[arg(long)]
    yes: bool,
    /// Send one message to an address of your own, to look at it; nothing is recorded
    #[arg(long, value_name = "ADDRESS", conflicts_with = "label")]
    to: Option<EmailAddress>,
    /// With --to: whose message; the first that matches if not given
    #[arg(long, value_name = "KEY", requires = "to")]
    recipient: Option<String>,
}

/// Sends a campaign.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::write(workspace).await?;
    carry_out(arguments, &session, output).await
}

async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Arguments {
        campaign,
        label,
        yes,
        to,
        recipient,
    } = arguments;
    if let Some(to) = to {
        let command = Command::TestSend {
            campaign,
            to,
            recipient,
        };
        let words = answer!(desk, command, Done)?;
        if output.is_json() {
            output.masked_json(&serde_json::json!({ "done": words }))?;
        } else {
            output.line(words)?;
        }
        return Ok(Exit::Done);
    }
    let command = Command::OfferSend {
        campaign: campaign.clone(),
        label: label.clone(),
        // The plan that is sent is enough, where nobody looks at one before.
        unplanned: yes,
    };
    let offer = answer!(desk, command, Offer)?;
    if !output.is_json() {
        show(&offer, output)?;
    }
    if let Some(plan) = &offer.plan {
        let n = plan.totals.to_send;
        if n == 0 {
            output.note("nobody would get it: nothing was sent, and the label is still free")?;
            return Ok(Exit::Held);
        }
        let Some(answer) = output.ask(&question(n))? else {
            return Err(Failure::usage(format!(
                "nobody is here to confirm that {} messages are sent: run it on a terminal, or add --yes",
                thousands(n)
            )));
        };
        if !is_confirmed(&answer, n) {
            output.note("nothing was sent")?;
            return Ok(Exit::Held);
        }
    }
    let command = Command::Send {
        campaign,
        label,
        digest: offer.plan.map(|plan| plan.digest),
        somebody: true,
    };
    let run = answer!(desk, command, Run)?;
    if yes && !output.is_json() {
        show_planned(&run, output)?;
    }
    follow(desk, *run, output, signals::interrupted()).await
}

#[cfg(test)]
mod tests;
