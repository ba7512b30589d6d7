//! `campanile test`: the `[[test]]` blocks of campaigns, run.

mod junit;
mod show;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{exit::Exit, failure::Failure, print::Output, signals};
use crate::{
    engine::{Access, Engine, TestOutcome},
    model::{CampaignId, Diagnostic, Diagnostics, Severity, TestRecipients},
    workspace::{Change, Entry, Location, Tree, Watcher},
};

/// How often files that tests name are looked at, which nobody watches else.
const LOOK: Duration = Duration::from_secs(1);

/// The arguments of `test`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaigns; none: all
    #[arg(value_name = "ID")]
    campaigns: Vec<CampaignId>,
    /// Write the results as JUnit XML into this file too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run them again whenever files change, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// What came of the tests of one campaign.
struct Tested {
    campaign: CampaignId,
    /// The campaign's file.
    path: String,
    /// What came of each test, or why the campaign does not check.
    outcomes: Result<Vec<TestOutcome>, Diagnostics>,
}

impl Tested {
    fn outcomes(&self) -> &[TestOutcome] {
        self.outcomes.as_deref().unwrap_or_default()
    }

    fn failed(&self) -> impl Iterator<Item = &TestOutcome> {
        let failed = |outcome: &&TestOutcome| !outcome.failures.is_empty();
        self.outcomes().iter().filter(failed)
    }
}

/// Runs the tests.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !arguments.watch {
        return once(&arguments, workspace, output).await;
    }
    let read = || Tree::read(workspace).map_err(|error| Failure::failed(error.to_string()));
    let mut watcher = Watcher::start(workspace, read()?);
    let interrupted = signals::signal();
    tokio::pin!(interrupted);
    loop {
        output.clear()?;
        let exit = match once(&arguments, workspace, output).await {
            Ok(exit) => exit,
            Err(failure) if failure.exit() == Exit::Done => return Ok(Exit::Done),
            // The next save may mend it.
            Err(failure) => {
                output.error(&failure.words().unwrap_or_default())?;
                failure.exit()
            }
        };
        output.note("waiting for changes; Ctrl-C ends it")?;
        let data = data_files(workspace).await;
        let data_changed = async {
            while stamps(&data) == data {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = &mut interrupted => return Ok(exit),
            () = data_changed => {}
            change = watcher.changed() => if let Change::Vanished(why) = change {
                output.note(format!("the files are gone ({why}): waiting for them"))?;
                watcher.changed().await;
            }
        }
    }
}

async fn once(
    arguments: &Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let engine = Engine::builder(workspace).open(Access::Files).await?;
    let snapshot = engine.snapshot();
    let mut tested = Vec::new();
    let all = arguments.campaigns.is_empty();
    let ids: Vec<&CampaignId> = if all {
        snapshot.campaigns.keys().collect()
    } else {
        arguments.campaigns.iter().collect()
    };
    for id in ids {
        let (path, outcomes) = match snapshot.campaigns.get(id) {
            Some(Entry::Broken(broken)) => (broken.path.clone(), Err(broken.diagnostics.clone())),
            Some(Entry::Ready(loaded)) => {
                let path = loaded.campaign.file.path().to_owned();
                (path, Ok(engine.test(id).await?))
            }
            None => (String::new(), Ok(engine.test(id).await?)),
        };
        tested.push(Tested {
            campaign: id.clone(),
            path,
            outcomes,
        });
    }
    let wrong: Vec<&Diagnostic> = if all {
        errors(&snapshot.diagnostics)
    } else {
        let broken = tested.iter().filter_map(|one| one.outcomes.as_ref().err());
        broken.flat_map(errors).collect()
    };
    show::wrong(&wrong, output)?;
    show::outcomes(&tested, output)?;
    if let Some(file) = &arguments.junit {
        let text = junit::report(&tested, output.is_unmasked());
        fs::write(file, text).map_err(|error| {
            Failure::failed(format!("{} can't be written: {error}", file.display()))
        })?;
    }
    output.flush()?;
    let failed = tested.iter().any(|one| one.failed().next().is_some());
    Ok(if !wrong.is_empty() {
        Exit::Broken
    } else if failed {
        Exit::TestsFailed
    } else {
        Exit::Done
    })
}

fn errors(found: &Diagnostics) -> Vec<&Diagnostic> {
    let is_error = |found: &&Diagnostic| found.severity == Severity::Error;
    found.iter().filter(is_error).collect()
}

/// A file, and what the disk says of it.
type Stamp = (PathBuf, Option<(u64, SystemTime)>);

/// The files of recipients that tests name.
async fn data_files(workspace: &Location) -> Vec<Stamp> {
    let Ok(engine) = Engine::builder(workspace).open(Access::Files).await else {
        return Vec::new();
    };
    let snapshot = engine.snapshot();
    let mut paths = Vec::new();
    for entry in snapshot.campaigns.values() {
        if let Entry::Ready(loaded) = entry {
            paths.extend(
                loaded
                    .campaign
                    .tests
                    .iter()
                    .filter_map(|test| match &test.recipients {
                        TestRecipients::File(file) => {
                            Some((workspace.folder.join(&file.path), None))
                        }
                        TestRecipients::Inline(_) => None,
                    }),
            );
        }
    }
    stamps(&paths)
}

fn stamps(files: &[Stamp]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    files
        .iter()
        .map(|(path, _)| (path.clone(), stamp(path)))
        .collect()
}
