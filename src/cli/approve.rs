//! `campanile approve`: lets a run go as it is planned, and notes who did; where no daemon runs, what is due is sent in the
//! foreground.

use std::{path::Path, process::Command as Program};

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::Output,
    resume::go_on,
};
use crate::{
    control::{Command, Session},
    model::RunId,
    workspace::Location,
};

/// The arguments of `approve`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `status` shows it
    #[arg(value_name = "RUN")]
    run: RunId,
    /// Who approves; default: git's user, else the user of this machine
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Refuse where this person is the one who approves: four eyes
    #[arg(long, value_name = "AUTHOR")]
    not_by: Option<String>,
    /// Refuse where the plan has another digest than this (its beginning is enough)
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
}

/// Approves a run.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::write(workspace).await?;
    let by = match arguments.by.clone() {
        Some(by) => by,
        None => whoever_this_is(&workspace.folder),
    };
    carry_out(arguments, by, &session, output).await
}

async fn carry_out(
    arguments: Arguments,
    by: String,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let command = Command::Approve {
        run: arguments.run,
        by: by.clone(),
        not_by: arguments.not_by,
        digest: arguments.digest,
    };
    let run = answer!(desk, command, Run)?;
    if !output.is_json() {
        output.line(format!("approved by {by}"))?;
    }
    go_on(*run, desk, output).await
}

/// Who sits here: git's user in this workspace, else the one of this machine.
fn whoever_this_is(workspace: &Path) -> String {
    let git = |key| {
        said_by(
            Program::new("git")
                .args(["config", key])
                .current_dir(workspace),
        )
    };
    match (git("user.name"), git("user.email")) {
        (Some(name), Some(email)) => return format!("{name} <{email}>"),
        (Some(one), None) | (None, Some(one)) => return one,
        (None, None) => {}
    }
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
        .or_else(|| said_by(Program::new("id").arg("-un")))
        .unwrap_or_default()
}

fn said_by(program: &mut Program) -> Option<String> {
    let output = program
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
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

    #[tokio::test]
    async fn who_approves_what_is_passed_on_and_told() {
        let scheduled = run(RunState::Scheduled, &[]);
        let desk = Sitting::answering([Reply::Run(Box::new(scheduled))]);
        let arguments = Arguments {
            run: RunId(3),
            by: None,
            not_by: Some("Grace".to_owned()),
            digest: Some("d1".to_owned()),
        };
        let mut captured = Captured::plain();
        let exit = carry_out(arguments, "Ada".to_owned(), &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::Done);
        assert!(matches!(
            &desk.asked.lock()[..],
            [Command::Approve { run: RunId(3), by, not_by: Some(not_by), digest: Some(digest) }]
                if by == "Ada" && not_by == "Grace" && digest == "d1"
        ));
        assert_eq!(
            captured.out(),
            "approved by Ada\nrun 3 of billing/renewal, occurrence 2026-12-01: scheduled\n"
        );
    }
}
