//! Says how a run stands after an order.

use super::{exit::Exit, failure::Failure, print::Output};
use crate::{control::RunStatus, model::RunState};

/// Says how a run stands. One that still waits for a person has its own exit code.
pub(super) fn tell(run: &RunStatus, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.masked_json(run)?;
    } else {
        let reason = match &run.reason {
            Some(reason) => format!(" ({reason})"),
            None => String::new(),
        };
        output.line(format!(
            "run {} of {}, occurrence {}: {}{reason}",
            run.id, run.campaign, run.occurrence, run.state
        ))?;
        if let Some(help) = &run.help {
            output.line(help)?;
        }
    }
    Ok(match run.state {
        RunState::Held | RunState::AwaitingApproval => Exit::Held,
        _ => Exit::Done,
    })
}
