//! `campanile serve`: the daemon.

use super::{
    exit::Exit,
    failure::Failure,
    logging::{self, LogFormat},
    print::Output,
    signals,
};
use crate::{
    control::{self, ServeOptions},
    workspace::Location,
};

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "human")]
    log_format: LogFormat,
    /// What is logged: off, error, warn, info, debug, trace, or a filter as in `RUST_LOG`
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// Runs the daemon until SIGINT or SIGTERM.
pub(super) async fn run(
    arguments: Arguments,
    verbose: u8,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let asked = match (&arguments.log_level, verbose) {
        (Some(level), _) => Some(level.as_str()),
        (None, 0) => None,
        (None, 1) => Some("debug"),
        (None, _) => Some("trace"),
    };
    logging::start(arguments.log_format, asked, "info", output.err_color())?;
    control::serve(workspace, ServeOptions::default(), signals::interrupted()).await?;
    Ok(Exit::Done)
}
