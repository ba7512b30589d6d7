//! `campanile resume`: lets a paused or held run go on; where no daemon runs, it is sent in the foreground.

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    follow::follow,
    print::Output,
    signals,
    tell::tell,
};
use crate::{
    control::{Command, RunStatus, Session},
    model::{RunId, RunState},
    workspace::Location,
};

/// The arguments of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `status` shows it
    #[arg(value_name = "RUN")]
    run: RunId,
}

/// Lets a run go on.
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
    let run = answer!(desk, Command::Resume { run: arguments.run }, Run)?;
    go_on(*run, desk, output).await
}

/// Leaves a run that may go on to the daemon; sends it here where there is none.
pub(super) async fn go_on(
    run: RunStatus,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let due = matches!(run.state, RunState::Planning | RunState::Sending);
    if desk.is_daemon() || !due {
        tell(&run, output)
    } else {
        follow(desk, run, output, signals::interrupted()).await
    }
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
        model::Status,
    };

    async fn resume(desk: &Sitting) -> (Exit, Captured) {
        let mut captured = Captured::plain();
        let arguments = Arguments { run: RunId(3) };
        let exit = carry_out(&arguments, desk, &mut captured.output).await;
        (exit.unwrap(), captured)
    }

    fn sending() -> Reply {
        Reply::Run(Box::new(run(RunState::Sending, &[(Status::Queued, 2)])))
    }

    #[tokio::test]
    async fn without_a_daemon_it_is_sent_here() {
        let over = run(RunState::Finished, &[(Status::Sent, 2)]);
        let desk = Sitting::answering([sending()]).and_driving(over);
        let (exit, captured) = resume(&desk).await;
        assert_eq!(exit, Exit::Done);
        assert!(captured.out().contains("finished"));
    }

    #[tokio::test]
    async fn a_daemon_is_left_alone() {
        let desk = Sitting::answering([sending()]).of_a_daemon();
        let (exit, captured) = resume(&desk).await;
        assert_eq!(exit, Exit::Done);
        assert_eq!(
            captured.out(),
            "run 3 of billing/renewal, occurrence 2026-12-01: sending\n"
        );
    }

    #[tokio::test]
    async fn a_run_that_stays_held_says_why() {
        let mut held = run(RunState::Held, &[]);
        held.reason = Some("broken".to_owned());
        let desk = Sitting::answering([Reply::Run(Box::new(held))]);
        let (exit, captured) = resume(&desk).await;
        assert_eq!(exit, Exit::Held);
        assert!(captured.out().ends_with("held (broken)\n"));
    }
}
