//! `campanile suppress`: the list of those who are not written to.

mod add;
mod export;
mod import;
mod list;
mod remove;
mod rows;
mod whom;

pub(super) use whom::SourceKey;

use super::{exit::Exit, failure::Failure, print::Output};
use crate::{control::Session, engine::Engine, workspace::Location};

/// What can be done to the list.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Add addresses or recipients
    #[command(
        after_help = "Example:\n  campanile suppress add ada@example.org --topic offers\n  \
        campanile suppress add --key customers:A100"
    )]
    Add(add::Arguments),
    /// Remove addresses or recipients, whatever the reason they are on the list for
    #[command(after_help = "Example:\n  campanile suppress remove ada@example.org --topic offers")]
    Remove(remove::Arguments),
    /// Show the list
    #[command(after_help = "Example:\n  campanile suppress list --json")]
    List(list::Arguments),
    /// Add a file of addresses: one a line, or CSV with the columns address, topic, reason
    #[command(after_help = "Example:\n  campanile suppress import bounced.csv --reason bounced")]
    Import(import::Arguments),
    /// Print the list as CSV that `import` reads
    #[command(after_help = "Example:\n  campanile suppress export > suppressed.csv")]
    Export,
}

/// Does it.
pub(super) async fn run(
    verb: Verb,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match verb {
        Verb::Add(arguments) => {
            add::carry_out(arguments, &Session::write(workspace).await?, output).await
        }
        Verb::Remove(arguments) => {
            remove::carry_out(arguments, &Session::write(workspace).await?, output).await
        }
        Verb::List(arguments) => {
            list::carry_out(&arguments, &Session::read(workspace).await?, output).await
        }
        Verb::Import(arguments) => {
            // The file is looked at before the store is opened: most mistakes are in it.
            let settings = Engine::check(workspace).await?.settings.clone();
            let topics = settings
                .map(|settings| settings.topics.keys().cloned().collect::<import::Topics>());
            let topics = topics.as_ref();
            let file = import::check(&arguments, topics, output)?;
            let desk = Session::write(workspace).await?;
            import::carry_out(&arguments, file, topics, &desk, output).await
        }
        Verb::Export => export::carry_out(&Session::read(workspace).await?, output).await,
    }
}
