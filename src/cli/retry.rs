//! `campanile retry`: the failed deliveries of a run again, and those in doubt where asked by name.

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::Output,
    resume::go_on,
};
use crate::{
    control::{Command, Session},
    model::{RunId, Status},
    workspace::Location,
};

/// The arguments of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `status` shows it
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Which deliveries: failed, `in_doubt` (these may have arrived already)
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',', default_value = "failed", value_parser = retryable)]
    statuses: Vec<Status>,
    /// Try those in doubt again without asking
    #[arg(long)]
    yes: bool,
}

fn retryable(text: &str) -> Result<Status, &'static str> {
    match text.parse() {
        Ok(status @ (Status::Failed | Status::InDoubt)) => Ok(status),
        _ => Err("only failed and in_doubt deliveries can be tried again"),
    }
}

/// Tries again.
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
    let Arguments { run, statuses, yes } = arguments;
    if statuses.contains(&Status::InDoubt) && !yes {
        let question = "Deliveries in doubt may have arrived: those people may get the message twice. Type yes to send it again:";
        match output.ask(question)? {
            Some(answer) if answer.eq_ignore_ascii_case("yes") => {}
            Some(_) => {
                output.note("nothing was tried again")?;
                return Ok(Exit::Held);
            }
            None => {
                return Err(Failure::usage(
                    "nobody is here to confirm that messages in doubt are sent again: run it on a terminal, or add --yes",
                ));
            }
        }
    }
    let run = answer!(desk, Command::Retry { run, statuses }, Run)?;
    go_on(*run, desk, output).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{
            print::Captured,
            samples::{Sitting, run},
        },
        control::Reply,
        model::RunState,
    };

    fn desk() -> Sitting {
        let over = run(RunState::Finished, &[(Status::Sent, 2)]);
        Sitting::answering([Reply::Run(Box::new(over))])
    }

    fn arguments(statuses: &[Status], yes: bool) -> Arguments {
        Arguments {
            run: RunId(3),
            statuses: statuses.to_vec(),
            yes,
        }
    }

    #[tokio::test]
    async fn the_failed_ones_are_tried_without_asking() {
        let (desk, mut captured) = (desk(), Captured::plain());
        let failed = arguments(&[Status::Failed], false);
        carry_out(failed, &desk, &mut captured.output)
            .await
            .unwrap();
        assert!(
            matches!(&desk.asked.lock()[..], [Command::Retry { statuses, .. }] if statuses[..] == [Status::Failed])
        );
    }

    #[tokio::test]
    async fn those_in_doubt_need_a_yes() {
        let in_doubt = || arguments(&[Status::Failed, Status::InDoubt], false);
        for (answer, asked) in [("yes\n", 1), ("no\n", 0), ("\n", 0)] {
            let (desk, mut captured) = (desk(), Captured::answering(answer));
            carry_out(in_doubt(), &desk, &mut captured.output)
                .await
                .unwrap();
            assert_eq!(desk.asked.lock().len(), asked, "{answer}");
        }
        let (untouched, mut captured) = (desk(), Captured::plain());
        let failure = carry_out(in_doubt(), &untouched, &mut captured.output)
            .await
            .unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(untouched.asked.lock().is_empty());
    }

    #[test]
    fn statuses_are_failed_and_in_doubt() {
        assert_eq!(retryable("in_doubt"), Ok(Status::InDoubt));
        assert!(retryable("sent").is_err() && retryable("x").is_err());
    }
}
