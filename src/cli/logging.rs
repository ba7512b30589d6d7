//! What is logged, and how: always to standard error.

use tracing_subscriber::{EnvFilter, fmt};

use super::failure::Failure;

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// The filter: what was asked for on the command line, else `RUST_LOG`, else `default`.
fn filter(
    asked: Option<&str>,
    variable: Option<&str>,
    default: &str,
) -> Result<EnvFilter, Failure> {
    let (name, text) = match (asked, variable) {
        (Some(text), _) => ("--log-level", text),
        (None, Some(text)) if !text.is_empty() => ("RUST_LOG", text),
        _ => ("the default", default),
    };
    text.parse().map_err(|error| {
        Failure::usage(format!(
            "{name} {text:?} is not a filter ({error}): use off, error, warn, info, debug or trace, or such as \
             `info,campanile::dispatch=debug`"
        ))
    })
}

/// Starts logging.
pub(super) fn start(
    format: LogFormat,
    asked: Option<&str>,
    default: &str,
    color: bool,
) -> Result<(), Failure> {
    let variable = std::env::var("RUST_LOG").ok();
    let filter = filter(asked, variable.as_deref(), default)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It fails only where a subscriber stands already: an embedding program's, which is right then.
    let _ = match format {
        LogFormat::Human => lines.with_ansi(color).with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_beats_the_environment_beats_the_default() {
        let chosen = |asked, variable| filter(asked, variable, "info").unwrap().to_string();
        assert_eq!(chosen(Some("debug"), Some("trace")), "debug");
        assert_eq!(chosen(None, Some("trace")), "trace");
        assert_eq!(chosen(None, Some("")), "info");
        assert_eq!(chosen(None, None), "info");
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let error = filter(Some("a=b=c"), None, "info").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("--log-level \"a=b=c\" is not a filter")
        );
    }
}
