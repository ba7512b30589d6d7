//! The command line: one file a verb, and what they share.

mod approve;
mod arguments;
mod cancel;
mod check;
mod deliveries;
mod desk;
mod eval;
mod exit;
mod explain;
mod failure;
mod follow;
mod functions;
mod init;
mod logging;
mod pause;
mod person;
mod plan;
mod preview;
mod print;
mod progress;
mod report;
mod resume;
mod retry;
mod safety;
#[cfg(test)]
mod samples;
mod schema;
mod send;
mod serve;
mod signals;
mod status;
mod stop;
mod suppress;
mod tell;
mod test;
mod write;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use self::{
    arguments::{Arguments, Verb},
    failure::Failure,
    print::{Output, Style},
};
use crate::workspace::Location;
pub use exit::Exit;

/// How long work on other threads may take to end when the command is done.
const FAREWELL: Duration = Duration::from_secs(5);

/// Reads the arguments, does what they ask for, and says how it went.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Where help can't be printed nobody reads it.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    let mut output = Output::standard(Style {
        json: arguments.global.json,
        unmasked: arguments.global.unmasked,
        color: arguments.global.color,
    });
    let outcome = match runtime() {
        Ok(runtime) => {
            let outcome = runtime.block_on(carry_out(arguments, &mut output));
            runtime.shutdown_timeout(FAREWELL);
            outcome
        }
        Err(error) => Err(Failure::failed(format!(
            "no threads can be started: {error}"
        ))),
    };
    let outcome = outcome.and_then(|exit| {
        output.flush()?;
        Ok(exit)
    });
    conclude(outcome, &mut output).into()
}

/// Threads for connections, one for every two cores: the ledger, what is rendered and planned, and the kernel have work of their
/// own, and a message that goes from hand to hand over more threads than there are cores waits at each.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(1))
        .enable_all()
        .build()
}

/// The exit code, and the words for a failure.
fn conclude(outcome: Result<Exit, Failure>, output: &mut Output) -> Exit {
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(words) = failure.words() {
                // There is nowhere left to say that standard error is gone.
                let _ = output.error(&words);
            }
            failure.exit()
        }
    }
}

async fn carry_out(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Arguments { global, verb } = arguments;
    let workspace = &Location::new(global.workspace).in_environment(global.env);
    if !matches!(verb, Verb::Serve(_)) {
        let level = match global.verbose {
            0 => "warn",
            1 => "info",
            _ => "debug",
        };
        logging::start(logging::LogFormat::Human, None, level, output.err_color())?;
    }
    match verb {
        Verb::Init(arguments) => init::run(&arguments, &workspace.folder, output),
        Verb::Functions(arguments) => functions::run(arguments, workspace, output).await,
        Verb::Schema(arguments) => schema::run(&arguments, output),
        Verb::Check => check::run(workspace, output).await,
        Verb::Test(arguments) => test::run(arguments, workspace, output).await,
        Verb::Eval(arguments) => eval::run(arguments, workspace, output).await,
        Verb::Plan(arguments) => plan::run(arguments, workspace, output).await,
        Verb::Preview(arguments) => preview::run(arguments, workspace, output).await,
        Verb::Serve(arguments) => serve::run(arguments, global.verbose, workspace, output).await,
        Verb::Send(arguments) => send::run(arguments, workspace, output).await,
        Verb::Status(arguments) => status::run(arguments, workspace, output).await,
        Verb::Pause(arguments) => pause::run(arguments, workspace, output).await,
        Verb::Explain(arguments) => explain::run(arguments, workspace, output).await,
        Verb::Resume(arguments) => resume::run(arguments, workspace, output).await,
        Verb::Approve(arguments) => approve::run(arguments, workspace, output).await,
        Verb::Cancel(arguments) => cancel::run(arguments, workspace, output).await,
        Verb::Retry(arguments) => retry::run(arguments, workspace, output).await,
        Verb::Stop(arguments) => stop::stop(arguments, workspace, output).await,
        Verb::Start(arguments) => stop::start(arguments, workspace, output).await,
        Verb::Report(arguments) => report::run(arguments, workspace, output).await,
        Verb::Deliveries(arguments) => deliveries::run(arguments, workspace, output).await,
        Verb::Person(verb) => person::run(verb, workspace, output).await,
        Verb::Suppress(verb) => suppress::run(verb, workspace, output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::print::Captured,
        control::{Refused, RefusedKind},
    };

    #[test]
    fn a_refusal_is_said_and_has_its_exit_code() {
        for (kind, exit) in [
            (RefusedKind::Failed, Exit::Failed),
            (RefusedKind::Usage, Exit::Usage),
            (RefusedKind::Broken, Exit::Broken),
            (RefusedKind::Held, Exit::Held),
        ] {
            let mut captured = Captured::plain();
            let refused = Refused::new(kind, "there is no run 9\u{1b}[2J");
            assert_eq!(conclude(Err(refused.into()), &mut captured.output), exit);
            assert_eq!(captured.err(), "error: there is no run 9\\u{1b}[2J\n");
        }
    }

    #[test]
    fn a_closed_pipe_ends_quietly() {
        let mut captured = Captured::plain();
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(
            conclude(Err(closed.into()), &mut captured.output),
            Exit::Done
        );
        assert_eq!(captured.err(), "");
    }
}
