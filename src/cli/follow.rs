//! Following a run to its end, in the foreground, and saying what came of it.

use super::{
    desk::Desk,
    exit::Exit,
    failure::Failure,
    print::{Facts, Output, Table, by_name, effects_in_words, thousands},
    progress::Progress,
};
use crate::{
    control::RunStatus,
    model::{RunState, Status},
};

/// Sends a run (or waits for the daemon that does) until it is over, waits for a person, or `stop` resolves.
pub(super) async fn follow(
    desk: &impl Desk,
    run: RunStatus,
    output: &mut Output,
    stop: impl Future<Output = ()> + Send,
) -> Result<Exit, Failure> {
    let run = if goes_on(run.state) {
        let mut progress = Progress::new(&run, output);
        let driven = desk
            .drive(run.id, &mut |state| progress.show(state), stop)
            .await;
        progress.end();
        driven?
    } else {
        run
    };
    conclude(&run, desk.is_daemon(), output)
}

/// Whether a run may go on without a person.
fn goes_on(state: RunState) -> bool {
    matches!(
        state,
        RunState::Planning | RunState::Scheduled | RunState::Sending
    )
}

/// Says what came of it.
fn conclude(run: &RunStatus, daemon: bool, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.masked_json(run)?;
    } else {
        summary(run, output)?;
    }
    if let Some(effects) = run.effects.as_ref().filter(|effects| effects.waiting > 0) {
        let by = if daemon {
            "the daemon"
        } else {
            "`campanile serve`"
        };
        let words = effects_in_words(effects);
        output.note(format!("[after]: {words}: {by} goes on with them"))?;
    }
    let (id, n) = (run.id, |status| {
        run.counts.get(&status).copied().unwrap_or(0)
    });
    match run.state {
        RunState::Finished => {
            let missing = n(Status::Failed) + n(Status::InDoubt) + n(Status::Expired);
            if missing == 0 {
                return Ok(Exit::Done);
            }
            output.note(format!(
                "{} did not go out: `campanile report {id}` lists them, `campanile retry {id}` tries the failed ones again",
                thousands(missing)
            ))?;
            Ok(Exit::SomeFailed)
        }
        RunState::Cancelled | RunState::Failed => Ok(Exit::Failed),
        RunState::Held | RunState::Paused | RunState::AwaitingApproval => {
            let help = match &run.help {
                Some(help) => help.clone(),
                None => format!("`campanile resume {id}` lets it go on"),
            };
            output.note(format!("run {id} is {}: {help}", run.state))?;
            Ok(Exit::Held)
        }
        RunState::Planning | RunState::Scheduled | RunState::Sending => {
            output.note(if daemon {
                format!("the daemon goes on with run {id}; `campanile pause {id}` halts it")
            } else {
                format!("run {id} is not over: `campanile serve` goes on with it")
            })?;
            Ok(Exit::Held)
        }
    }
}

/// A run at a glance.
fn summary(run: &RunStatus, output: &mut Output) -> Result<(), Failure> {
    output.title(format!(
        "Run {}: {}, occurrence {}",
        run.id, run.campaign, run.occurrence
    ))?;
    let mut facts = Facts::default();
    facts.add("state", run.state.as_str());
    facts.add("reason", run.reason.clone().unwrap_or_default());
    facts.add(
        "skipped",
        by_name(run.skipped.iter().map(|(reason, n)| (reason, *n))),
    );
    for line in facts.lines() {
        output.line(line)?;
    }
    if !run.counts.is_empty() {
        let mut table = Table::new(["STATUS", "DELIVERIES"]).numbers(&[1]);
        for (status, n) in &run.counts {
            table.row([status.to_string(), thousands(*n)]);
        }
        output.line("")?;
        output.table(table)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        print::Captured,
        samples::{Sitting, run},
    };

    async fn follow_to(ends: RunStatus, daemon: bool) -> (Exit, Captured) {
        let mut captured = Captured::plain();
        let desk = Sitting::driving(ends, daemon);
        let start = run(RunState::Sending, &[(Status::Queued, 3)]);
        let exit = follow(&desk, start, &mut captured.output, std::future::pending())
            .await
            .unwrap();
        (exit, captured)
    }

    #[tokio::test]
    async fn a_run_that_is_over_is_summed_up() {
        let (exit, captured) =
            follow_to(run(RunState::Finished, &[(Status::Sent, 1_234)]), false).await;
        assert_eq!(exit, Exit::Done);
        insta::assert_snapshot!(captured.out(), @r#"
        Run 3: billing/renewal, occurrence 2026-12-01
          state    finished
          skipped  cooldown 2

        STATUS  DELIVERIES
        sent         1,234
        "#);
    }

    #[tokio::test]
    async fn what_did_not_go_out_is_said() {
        let ends = run(
            RunState::Finished,
            &[(Status::Sent, 1), (Status::InDoubt, 2)],
        );
        let (exit, captured) = follow_to(ends, false).await;
        assert_eq!(exit, Exit::SomeFailed);
        assert!(
            captured
                .err()
                .contains("2 did not go out: `campanile report 3`")
        );
    }

    #[tokio::test]
    async fn a_run_that_stopped_says_how_to_go_on() {
        let (exit, captured) =
            follow_to(run(RunState::Sending, &[(Status::Queued, 3)]), false).await;
        assert_eq!(exit, Exit::Held);
        assert!(
            captured
                .err()
                .ends_with("run 3 is not over: `campanile serve` goes on with it\n")
        );

        let (_, captured) = follow_to(run(RunState::Sending, &[]), true).await;
        assert!(captured.err().contains("the daemon goes on with run 3"));
    }

    #[tokio::test]
    async fn a_held_run_is_not_driven() {
        let mut held = run(RunState::Held, &[(Status::Queued, 3)]);
        held.reason = Some("too_many".to_owned());
        held.help = Some("`campanile resume 3` sends it all the same".to_owned());
        let mut captured = Captured::plain();
        let desk = Sitting::default();
        let exit = follow(&desk, held, &mut captured.output, std::future::pending()).await;
        assert_eq!(exit.unwrap(), Exit::Held);
        assert_eq!(
            captured.err(),
            "run 3 is held: `campanile resume 3` sends it all the same\n"
        );
    }
}
