//! `campanile suppress import`: a file of addresses, looked through before anything is changed.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Seek},
    path::{Path, PathBuf},
};

use super::rows::{Row, Rows, Wrong};
use crate::{
    cli::{
        desk::{Desk, answer},
        exit::Exit,
        failure::Failure,
        print::{Output, plural, thousands},
    },
    control::{Command, SuppressionTarget},
    model::{SuppressionReason, TopicName, closest},
};

/// How many are sent to the engine at once.
const BATCH: usize = 1_000;

/// The arguments of `suppress import`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The file; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The topic of lines that name none; everything if not given
    #[arg(long, value_name = "TOPIC")]
    topic: Option<TopicName>,
    /// The reason of lines that name none: manual, unsubscribed, bounced, complained
    #[arg(long, value_name = "REASON", default_value = "manual")]
    reason: SuppressionReason,
    /// Import the good lines although there are bad ones
    #[arg(long)]
    skip_bad: bool,
}

impl Arguments {
    fn name(&self) -> String {
        if self.file == Path::new("-") {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        }
    }

    fn target(&self, row: Row) -> SuppressionTarget {
        SuppressionTarget {
            text: row.text,
            source: row.source,
            topic: row.topic.or_else(|| self.topic.clone()),
            reason: row.reason.unwrap_or(self.reason),
            origin: row.origin.unwrap_or_else(|| self.origin()),
            at: row.at,
        }
    }

    fn origin(&self) -> String {
        match self.file.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "import".to_owned(),
        }
    }
}

/// The topics that the settings have.
pub(super) type Topics = BTreeSet<TopicName>;

/// The row, where its topic is one of `topics`; without them (the settings do not check) the engine is the judge.
fn known(row: Row, topics: Option<&Topics>) -> Result<Row, Wrong> {
    match (&row.topic, topics) {
        (Some(topic), Some(topics)) if !topics.contains(topic) => {
            let near = closest(topic.as_str(), topics.iter().map(TopicName::as_str))
                .map(|near| format!(" (did you mean {near}?)"))
                .unwrap_or_default();
            Err(Wrong {
                line: row.line,
                message: format!("the settings have no topic {topic}{near}"),
            })
        }
        _ => Ok(row),
    }
}

/// A file that was looked through.
pub(super) struct Checked {
    file: File,
    good: u64,
    bad: u64,
}

/// Looks through the file and reports every bad line.
pub(super) fn check(
    arguments: &Arguments,
    topics: Option<&Topics>,
    output: &mut Output,
) -> Result<Checked, Failure> {
    let name = arguments.name();
    let failed = |error: io::Error| Failure::failed(format!("{name} can't be read: {error}"));
    let mut file = open(&arguments.file).map_err(failed)?;
    let (mut good, mut bad) = (0, 0);
    for row in Rows::new(&file) {
        match row.map_err(failed)?.and_then(|row| known(row, topics)) {
            Ok(_) => good += 1,
            Err(wrong) => {
                bad += 1;
                output.note(format!("{name}:{}: {}", wrong.line, wrong.message))?;
            }
        }
    }
    file.rewind().map_err(failed)?;
    if bad > 0 && !arguments.skip_bad {
        return Err(Failure::usage(format!(
            "{name} has {}: nothing was imported; correct them, or add --skip-bad",
            plural(bad, "bad line")
        )));
    }
    Ok(Checked { file, good, bad })
}

/// The file, or a copy of standard input: it is read twice.
fn open(path: &Path) -> io::Result<File> {
    if path != Path::new("-") {
        return File::open(path);
    }
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut io::stdin(), &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}

/// Imports the good lines.
pub(super) async fn carry_out(
    arguments: &Arguments,
    checked: Checked,
    topics: Option<&Topics>,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let name = arguments.name();
    let failed = |error: io::Error| Failure::failed(format!("{name} can't be read: {error}"));
    let (mut batch, mut added, mut read) = (Vec::new(), 0, 0);
    for row in Rows::new(&checked.file) {
        let Ok(row) = row.map_err(failed)?.and_then(|row| known(row, topics)) else {
            continue;
        };
        read += 1;
        batch.push(arguments.target(row));
        if batch.len() == BATCH {
            let targets = std::mem::take(&mut batch);
            added += answer!(desk, Command::Suppress { targets }, Changed)?;
        }
    }
    if !batch.is_empty() {
        added += answer!(desk, Command::Suppress { targets: batch }, Changed)?;
    }
    if read != checked.good {
        return Err(Failure::failed(format!(
            "{name} changed while it was read: {} were imported; import it again",
            thousands(read)
        )));
    }
    if output.is_json() {
        let counts = serde_json::json!({ "read": read, "added": added, "bad": checked.bad });
        output.json(&counts)?;
    } else {
        let old = read.saturating_sub(added);
        output.line(format!(
            "read {}: added {}, {} were there already, {} bad",
            plural(read + checked.bad, "line"),
            thousands(added),
            thousands(old),
            thousands(checked.bad)
        ))?;
    }
    Ok(if checked.bad > 0 {
        Exit::SomeFailed
    } else {
        Exit::Done
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::Sitting},
        control::Reply,
    };

    fn arguments(folder: &Path, text: &str, skip_bad: bool) -> Arguments {
        let file = folder.join("list.csv");
        std::fs::write(&file, text).unwrap();
        Arguments {
            file,
            topic: None,
            reason: SuppressionReason::Bounced,
            skip_bad,
        }
    }

    #[tokio::test]
    async fn a_good_file_is_imported_in_batches() {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<_> = (0..=BATCH).map(|n| format!("a{n}@example.org")).collect();
        let text = lines.join("\n");
        let arguments = arguments(folder.path(), &text, false);
        let desk = Sitting::answering([Reply::Changed(999), Reply::Changed(1)]);
        let mut captured = Captured::plain();
        let checked = check(&arguments, None, &mut captured.output).unwrap();
        let exit = carry_out(&arguments, checked, None, &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::Done);
        assert_eq!(
            captured.out(),
            "read 1,001 lines: added 1,000, 1 were there already, 0 bad\n"
        );
        let asked = desk.asked.lock();
        let Command::Suppress { targets } = &asked[1] else {
            panic!("{asked:?}")
        };
        assert_eq!(targets[0].text, format!("a{BATCH}@example.org"));
        assert_eq!(targets[0].reason, SuppressionReason::Bounced);
        assert_eq!(targets[0].origin, "list.csv");
    }

    #[test]
    fn one_bad_line_stops_all_and_every_one_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let text =
            "address,topic\nada@example.org,offers\nnobody,offers\nbob@example.org,of/fers\n";
        let refusing = arguments(folder.path(), text, false);
        let mut captured = Captured::plain();
        let failure = check(&refusing, None, &mut captured.output).err().unwrap();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(
            failure.to_string().ends_with(
                "has 2 bad lines: nothing was imported; correct them, or add --skip-bad"
            )
        );
        let said = captured.err();
        assert!(
            said.contains("list.csv:3: \"nobody\" is not an email address"),
            "{said}"
        );
        assert!(
            said.contains("list.csv:4: \"of/fers\" is not a topic's name"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn bad_lines_are_skipped_where_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let skipping = arguments(folder.path(), "nobody\nada@example.org\n", true);
        let mut captured = Captured::plain();
        let checked = check(&skipping, None, &mut captured.output).unwrap();
        let desk = Sitting::answering([Reply::Changed(1)]);
        let exit = carry_out(&skipping, checked, None, &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::SomeFailed);
        assert!(captured.out().ends_with("1 bad\n"));
    }

    #[tokio::test]
    async fn a_line_with_a_topic_that_is_not_there_is_a_bad_line() {
        let folder = tempfile::tempdir().unwrap();
        let text = "ada@example.org,offers\nbob@example.org,ofers\n";
        let topics = Topics::from(["offers".parse().unwrap()]);
        let mut captured = Captured::plain();
        let refusing = arguments(folder.path(), text, false);
        let failure = check(&refusing, Some(&topics), &mut captured.output);
        assert_eq!(failure.err().unwrap().exit(), Exit::Usage);
        let said = captured.err();
        assert!(
            said.contains("list.csv:2: the settings have no topic ofers (did you mean offers?)"),
            "{said}"
        );
        let skipping = arguments(folder.path(), text, true);
        let checked = check(&skipping, Some(&topics), &mut captured.output).unwrap();
        let desk = Sitting::answering([Reply::Changed(1)]);
        carry_out(
            &skipping,
            checked,
            Some(&topics),
            &desk,
            &mut captured.output,
        )
        .await
        .unwrap();
        let asked = desk.asked.lock();
        let Command::Suppress { targets } = &asked[0] else {
            panic!("{asked:?}")
        };
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].text, "ada@example.org");
    }
}
