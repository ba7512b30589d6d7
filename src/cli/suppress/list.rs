//! `campanile suppress list`

use chrono::SecondsFormat;
use serde_json::json;

use super::export;
use crate::{
    cli::{
        desk::{Desk, answer},
        exit::Exit,
        failure::Failure,
        print::{Output, Table, mask, moment},
    },
    control::Command,
    model::{Subject, Suppression},
};

/// How many are asked for at once.
const PAGE: usize = 1_000;

/// The arguments of `suppress list`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// How it is printed; --json is short for json
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
}

/// How the list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// As `export` prints it.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Shows the list.
pub(super) async fn carry_out(
    arguments: &Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if output.is_json() || arguments.format == Format::Json {
        pages(desk, output, |page, output| {
            page.iter().try_for_each(|entry| object(entry, output))
        })
        .await?;
        return Ok(Exit::Done);
    }
    if arguments.format == Format::Csv {
        return export::carry_out(desk, output).await;
    }
    let mut headed = false;
    pages(desk, output, |page, output| {
        // One table a page: memory does not grow with the list.
        let mut table = Table::new(["WHO", "TOPIC", "REASON", "SINCE", "FROM"]);
        for entry in page {
            table.row([
                shown(entry),
                entry
                    .topic
                    .as_ref()
                    .map_or("all", |topic| topic.as_str())
                    .to_owned(),
                entry.reason.to_string(),
                moment(entry.at),
                entry.origin.clone(),
            ]);
        }
        headed = true;
        output.table(table)
    })
    .await?;
    if !headed {
        output.note("nobody is suppressed")?;
    }
    Ok(Exit::Done)
}

/// Hands on the list page by page.
pub(super) async fn pages(
    desk: &impl Desk,
    output: &mut Output,
    mut print: impl FnMut(&[Suppression], &mut Output) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let command = Command::Suppressions { after, limit: PAGE };
        let page = answer!(desk, command, Suppressions)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.subject.bytes());
        print(&page, output)?;
    }
}

/// The address or key, or what is left of it.
fn shown(entry: &Suppression) -> String {
    match (entry.shown.as_str(), entry.subject) {
        ("", Subject::Address(hash)) => format!("(erased address {hash:?})"),
        ("", Subject::Recipient(hash)) => format!("(erased recipient {hash:?})"),
        (text, _) => text.to_owned(),
    }
}

fn object(entry: &Suppression, output: &mut Output) -> std::io::Result<()> {
    let masked = |text: &str| match entry.subject {
        _ if output.is_unmasked() || text.is_empty() => text.to_owned(),
        Subject::Address(_) => crate::model::mask(text),
        Subject::Recipient(_) => mask::words(text),
    };
    let kind = match entry.subject {
        Subject::Address(_) => "address",
        Subject::Recipient(_) => "key",
    };
    let object = json!({
        "kind": kind, kind: masked(&entry.shown), "topic": entry.topic, "reason": entry.reason,
        "at": entry.at.to_rfc3339_opts(SecondsFormat::Secs, true), "origin": mask::words(&entry.origin),
    });
    output.json(&object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{
            print::Captured,
            samples::{Sitting, suppressions},
        },
        control::Reply,
    };

    async fn print(mut captured: Captured, format: Format) -> Captured {
        let (first, second) = suppressions();
        let desk = Sitting::answering([
            Reply::Suppressions(vec![first.clone()]),
            Reply::Suppressions(vec![second]),
            Reply::Suppressions(Vec::new()),
        ]);
        carry_out(&Arguments { format }, &desk, &mut captured.output)
            .await
            .unwrap();
        let asked = desk.asked.lock();
        assert!(matches!(
            asked[0],
            Command::Suppressions { after: None, .. }
        ));
        assert!(
            matches!(asked[1], Command::Suppressions { after: Some(after), .. } if after == first.subject.bytes())
        );
        captured
    }

    #[tokio::test]
    async fn programs_get_an_object_a_line() {
        let text = print(Captured::json(), Format::Table).await.out();
        assert_eq!(
            text,
            "{\"address\":\"a…@example.org\",\"at\":\"2026-12-01T09:00:00Z\",\"kind\":\"address\",\"origin\":\"cli\",\"reason\":\"manual\",\"topic\":null}\n\
             {\"at\":\"2026-12-01T09:00:00Z\",\"key\":\"customers:A1\",\"kind\":\"key\",\"origin\":\"delivery 3-1\",\"reason\":\"unsubscribed\",\"topic\":\"offers\"}\n"
        );
    }

    #[tokio::test]
    async fn people_get_a_table() {
        let text = print(Captured::plain(), Format::Table).await.out();
        assert!(text.starts_with("WHO"), "{text}");
        assert!(
            text.contains("ada@example.org  all    manual  2026-12-01 09:00:00 UTC  cli\n"),
            "{text}"
        );
    }
}
