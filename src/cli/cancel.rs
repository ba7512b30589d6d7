//! `campanile cancel`: ends a run.

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::Output,
    tell::tell,
};
use crate::{
    control::{Command, Session},
    model::RunId,
    workspace::Location,
};

/// The arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `status` shows it
    #[arg(value_name = "RUN")]
    run: RunId,
}

/// Ends a run.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::write(workspace).await?;
    carry_out(&arguments, &session, output).await
}

async fn carry_out(
    arguments: &Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let run = answer!(desk, Command::Cancel { run: arguments.run }, Run)?;
    tell(&run, output)
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
        model::{RunState, Status},
    };

    #[tokio::test]
    async fn it_is_asked_for_and_told() {
        let state = run(RunState::Cancelled, &[(Status::Sent, 1)]);
        let desk = Sitting::answering([Reply::Run(Box::new(state))]);
        let mut captured = Captured::plain();
        let arguments = Arguments { run: RunId(3) };
        let exit = carry_out(&arguments, &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::Done);
        assert!(matches!(
            &desk.asked.lock()[..],
            [Command::Cancel { run: RunId(3) }]
        ));
        assert_eq!(
            captured.out(),
            "run 3 of billing/renewal, occurrence 2026-12-01: cancelled\n"
        );
    }
}
