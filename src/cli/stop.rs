//! `campanile stop` and `campanile start`: stops campaigns, whatever their files say, and ends that.

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::Output,
};
use crate::{
    control::{Command, Session},
    model::CampaignId,
    workspace::Location,
};

/// The arguments of `stop` and `start`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaigns
    #[arg(value_name = "ID", required_unless_present = "all")]
    campaigns: Vec<CampaignId>,
    /// All campaigns
    #[arg(long, conflicts_with = "campaigns")]
    all: bool,
}

/// Stops campaigns.
pub(super) async fn stop(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::write(workspace).await?;
    carry_out(
        |campaigns| Command::Stop { campaigns },
        arguments,
        &session,
        output,
    )
    .await
}

/// Lets stopped campaigns go on.
pub(super) async fn start(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::write(workspace).await?;
    carry_out(
        |campaigns| Command::Start { campaigns },
        arguments,
        &session,
        output,
    )
    .await
}

async fn carry_out(
    command: impl FnOnce(Vec<CampaignId>) -> Command,
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // An empty list means all of them to the engine: only `--all` may say so.
    debug_assert_eq!(arguments.all, arguments.campaigns.is_empty());
    let words = answer!(desk, command(arguments.campaigns), Done)?;
    if output.is_json() {
        output.json(&serde_json::json!({ "done": words }))?;
    } else {
        output.line(words)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::Sitting},
        control::Reply,
    };

    #[tokio::test]
    async fn campaigns_are_named_and_the_answer_is_told() {
        let desk = Sitting::answering([Reply::Done("stopped a".to_owned())]);
        let mut captured = Captured::plain();
        let arguments = Arguments {
            campaigns: vec!["a".parse().unwrap()],
            all: false,
        };
        let stop = |campaigns| Command::Stop { campaigns };
        carry_out(stop, arguments, &desk, &mut captured.output)
            .await
            .unwrap();
        assert!(
            matches!(&desk.asked.lock()[..], [Command::Stop { campaigns }] if campaigns.len() == 1)
        );
        assert_eq!(captured.out(), "stopped a\n");
    }
}
