//! `campanile suppress remove`

use super::whom::Whom;
use crate::{
    cli::{
        desk::{Desk, answer},
        exit::Exit,
        failure::Failure,
        print::{Output, plural},
    },
    control::Command,
    model::SuppressionReason,
};

/// The arguments of `suppress remove`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    whom: Whom,
}

/// Removes from the list.
pub(super) async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // The reason is not looked at: all of them go.
    let targets = arguments.whom.targets(SuppressionReason::Manual);
    let removed = answer!(desk, Command::Unsuppress { targets }, Changed)?;
    if output.is_json() {
        output.json(&serde_json::json!({ "removed": removed }))?;
    } else {
        output.line(format!("removed {}", plural(removed, "suppression")))?;
        if removed == 0 {
            output.note(
                "they were not on the list; without --topic only suppressions of everything are removed",
            )?;
        }
    }
    Ok(Exit::Done)
}
