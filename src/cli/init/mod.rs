//! `campanile init`: a workspace to begin with.

mod files;

use std::path::{Path, PathBuf};

use super::{exit::Exit, failure::Failure, print::Output, write::write};
use crate::control::{Refused, RefusedKind};

/// The arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder; it is made where it is not there [default: the workspace]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// What else: a workflow that shows in each pull request who would get what
    #[arg(long, value_name = "WHAT", value_enum)]
    with: Vec<Extra>,
    /// Replace files that are there already
    #[arg(long)]
    force: bool,
}

/// What a workspace may have besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Extra {
    /// A workflow for GitHub Actions.
    Github,
}

/// Makes a workspace. Nothing is written where one of its files is there already, unless that is asked for.
pub(super) fn run(
    arguments: &Arguments,
    workspace: &Path,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let folder = arguments.folder.as_deref().unwrap_or(workspace);
    let files = files::files(&arguments.with);
    let there: Vec<&str> = files
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| folder.join(path).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() && !arguments.force {
        return Err(Refused::new(
            RefusedKind::Held,
            format!(
                "{} has {} already: nothing was written (--force replaces them)",
                folder.display(),
                there.join(", ")
            ),
        )
        .into());
    }
    for (path, text) in &files {
        write(&folder.join(path), text)?;
        if !output.is_json() {
            output.line(format!("  {path}"))?;
        }
    }
    if output.is_json() {
        let paths: Vec<_> = files.iter().map(|(path, _)| path).collect();
        output.json(&serde_json::json!({ "folder": folder, "files": paths }))?;
        return Ok(Exit::Done);
    }
    output.line("")?;
    let change = if folder == Path::new(".") {
        String::new()
    } else {
        format!("cd {} && ", folder.display())
    };
    output.line(format!(
        "Next: {change}campanile check && campanile test && campanile plan && campanile serve"
    ))?;
    Ok(Exit::Done)
}
