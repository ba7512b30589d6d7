//! `campanile person`: what is stored about somebody, handed over or erased.

use std::str::FromStr;

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::{Output, plural, thousands},
};
use crate::{
    control::{Command, PersonForgotten, PersonKey, PersonReport, Session},
    model::EmailAddress,
    workspace::Location,
};

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Print everything that is stored about a person, as JSON
    #[command(after_help = "Example:\n  campanile person export ada@example.org > ada.json")]
    Export(Person),
    /// Erase what is stored about a person; that they had something, or want nothing, is kept as hashes
    #[command(
        after_help = "Example: what was sent to them under another address too\n  \
        campanile person forget ada@example.org --key customers:A100"
    )]
    Forget {
        #[command(flatten)]
        person: Person,
        /// Erase without asking
        #[arg(long)]
        yes: bool,
    },
}

/// Whom it is about.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Person {
    /// Their address
    #[arg(value_name = "ADDRESS")]
    address: EmailAddress,
    /// Also what belongs to this recipient, under whatever address
    #[arg(long = "key", value_name = "SOURCE:KEY", value_parser = key)]
    keys: Vec<PersonKey>,
}

fn key(text: &str) -> Result<PersonKey, String> {
    let key = super::suppress::SourceKey::from_str(text)?;
    Ok(PersonKey {
        source: key.source,
        key: key.key,
    })
}

/// Does it.
pub(super) async fn run(
    verb: Verb,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match verb {
        Verb::Export(person) => {
            let session = Session::read(workspace).await?;
            let report = look(&person, &session).await?;
            output.json(&report)?;
            Ok(Exit::Done)
        }
        Verb::Forget { person, yes } => {
            forget(&person, yes, &Session::write(workspace).await?, output).await
        }
    }
}

async fn look(person: &Person, desk: &impl Desk) -> Result<Box<PersonReport>, Failure> {
    let command = Command::ExportPerson {
        address: person.address.clone(),
        keys: person.keys.clone(),
    };
    answer!(desk, command, Person)
}

async fn forget(
    person: &Person,
    yes: bool,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !yes {
        let stored = look(person, desk).await?;
        let question = format!(
            "{} and {} of {} are stored. Erasing them can't be undone. Type yes to erase:",
            deliveries(stored.deliveries.len() as u64),
            plural(stored.suppressions.len() as u64, "suppression"),
            person.address
        );
        match output.ask(&question)? {
            Some(answer) if answer.eq_ignore_ascii_case("yes") => {}
            Some(_) => {
                output.note("nothing was erased")?;
                return Ok(Exit::Held);
            }
            None => {
                return Err(Failure::usage(
                    "nobody is here to confirm that a person's data is erased: run it on a terminal, or add --yes",
                ));
            }
        }
    }
    let command = Command::ForgetPerson {
        address: person.address.clone(),
        keys: person.keys.clone(),
    };
    let forgotten = answer!(desk, command, Forgotten)?;
    tell(forgotten, output)
}

/// Says what was done. What is still to be done has its own exit code.
fn tell(forgotten: PersonForgotten, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(&forgotten)?;
    } else {
        let cancelled = match forgotten.cancelled {
            0 => String::new(),
            n => format!(
                " ({} of them were still to be sent and are cancelled)",
                thousands(n)
            ),
        };
        output.line(format!(
            "erased {}{cancelled}; {} left with nothing but a hash",
            deliveries(forgotten.deliveries),
            plural(forgotten.suppressions, "suppression")
        ))?;
        output.note(
            "what stands in the sources is not Campanile's: take the person out there too, or they are planned again",
        )?;
    }
    if forgotten.on_the_wire > 0 {
        output.note(format!(
            "{} on the wire and could not be erased yet: run it again when the run is over",
            thousands(forgotten.on_the_wire)
        ))?;
        return Ok(Exit::Held);
    }
    if !forgotten.wiped {
        output.note(
            "old pages of the store's log could not be removed while it is read: run it again to remove them",
        )?;
        return Ok(Exit::Held);
    }
    Ok(Exit::Done)
}

fn deliveries(n: u64) -> String {
    match n {
        1 => "1 delivery".to_owned(),
        n => format!("{} deliveries", thousands(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::Sitting},
        control::Reply,
    };

    fn person() -> Person {
        Person {
            address: "ada@example.org".parse().unwrap(),
            keys: vec![key("customers:A:1").unwrap()],
        }
    }

    fn forgotten() -> PersonForgotten {
        PersonForgotten {
            deliveries: 12,
            cancelled: 2,
            suppressions: 1,
            wiped: true,
            ..PersonForgotten::default()
        }
    }

    #[tokio::test]
    async fn it_asks_and_says_what_was_done() {
        for (answer, exit) in [("yes\n", Exit::Done), ("no\n", Exit::Held)] {
            let desk =
                Sitting::answering([Reply::Person(Box::default()), Reply::Forgotten(forgotten())]);
            let mut captured = Captured::answering(answer);
            let done = forget(&person(), false, &desk, &mut captured.output).await;
            assert_eq!(done.unwrap(), exit);
            let asked = desk.asked.lock();
            assert_eq!(
                matches!(asked.last(), Some(Command::ForgetPerson { keys, .. }) if keys[0].key == "A:1"),
                exit == Exit::Done
            );
            assert!(
                captured
                    .err()
                    .contains("0 deliveries and 0 suppressions of ada@example.org")
            );
            if exit == Exit::Done {
                assert_eq!(
                    captured.out(),
                    "erased 12 deliveries (2 of them were still to be sent and are cancelled); 1 suppression left with nothing but a hash\n"
                );
            }
        }
    }

    #[tokio::test]
    async fn without_a_terminal_it_wants_a_yes() {
        let desk = Sitting::answering([Reply::Person(Box::default())]);
        let failure = forget(&person(), false, &desk, &mut Captured::plain().output).await;
        assert_eq!(failure.unwrap_err().exit(), Exit::Usage);
    }

    #[tokio::test]
    async fn what_is_on_the_wire_is_said() {
        let left = PersonForgotten {
            on_the_wire: 1,
            ..forgotten()
        };
        let desk = Sitting::answering([Reply::Forgotten(left)]);
        let mut captured = Captured::plain();
        let exit = forget(&person(), true, &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::Held);
        assert!(captured.err().contains("on the wire"));
    }
}
