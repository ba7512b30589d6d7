//! `[[test]]`: what becomes of a recipient, said beforehand.

mod expected;
mod given;
mod value;

use std::collections::HashSet;

use super::{
    moment,
    surroundings::{Surroundings, undeclared},
};
use crate::model::{
    Audience, CampaignTest, Diagnostic, Item, Reach, Section, SourceName, TestCell, TestFile,
    TestFileFormat, TestRecipient, TestRecipients, Variable, Zone,
};
use crate::workspace::{beside::resolve, words::one_line};

/// The most tests a campaign has.
const MOST: usize = 1_000;

/// What tests of a campaign may speak of.
pub(super) struct Subject<'a> {
    pub(super) audience: &'a Audience,
    pub(super) variables: &'a [Variable],
    pub(super) reach: &'a Reach,
    pub(super) zone: &'a Zone,
}

/// The tests, in the file's order. One with a mistake is left out; its campaign does not check then.
pub(super) fn read(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    subject: &Subject<'_>,
) -> Vec<CampaignTest> {
    let sections = root.array_of_sections("test");
    if sections.len() > MOST {
        root.error(
            "wrong-value",
            sections[MOST].place(),
            format!("a campaign may have at most {MOST} tests"),
        );
        return Vec::new();
    }
    let mut names = HashSet::new();
    sections
        .into_iter()
        .filter_map(|section| {
            let name = section.require_item("name");
            if let Some(name) = &name
                && let Some(text) = one_line(name)
                && !names.insert(text.clone())
            {
                name.error::<()>(
                    "wrong-name",
                    format!("another test of this campaign has the name {text:?}"),
                );
            }
            test(section, name.as_ref(), around, subject)
        })
        .collect()
}

fn test(
    section: Section<'_>,
    name: Option<&Item<'_>>,
    around: &Surroundings<'_>,
    subject: &Subject<'_>,
) -> Option<CampaignTest> {
    let now = section
        .item("now")
        .and_then(|item| moment::instant(&item, subject.zone));
    let source = section
        .item("source")
        .and_then(|item| self::source(&item, subject));
    let recipients = recipients(&section);
    let given = match section.section("given") {
        Some(section) => given::read(section, around, subject.zone, now),
        None => Some(crate::model::Given::default()),
    };
    let expect = section.item("expect");
    if expect.is_none() && !section.has_misspelt("expect") {
        section.report(
            Diagnostic::error("missing-key", section.place(), "[[test]] expects nothing")
                .help("add `expect = { included = true }`, or what else must come of it"),
        );
    }
    let expected = expect.and_then(|item| expected::read(&item, subject));
    let place = section.place();
    section.finish();
    let name = name?;
    Some(CampaignTest {
        place: if place.span.is_empty() {
            name.place()
        } else {
            place
        },
        name: name.read::<String>()?.trim().to_owned(),
        now,
        source,
        recipients: recipients?,
        given: given?,
        expected: expected?,
    })
}

/// Which of the campaign's sources the recipients are of.
fn source(item: &Item<'_>, subject: &Subject<'_>) -> Option<SourceName> {
    let name: SourceName = item.read()?;
    let sources = &subject.audience.sources;
    if sources.contains(&name) || sources.is_empty() {
        return Some(name);
    }
    let names: Vec<_> = sources.iter().map(SourceName::as_str).collect();
    item.report(
        Diagnostic::error(
            "unknown-name",
            item.place(),
            format!("`{name}` is not a source of this campaign"),
        )
        .help(format!("its sources are {}", names.join(", ")))
        .did_you_mean(name.as_str(), names),
    )
}

fn recipients(section: &Section<'_>) -> Option<TestRecipients> {
    match (section.item("recipient"), section.item("recipients_file")) {
        (Some(item), None) => recipient(&item).map(TestRecipients::Inline),
        (None, Some(item)) => file(&item).map(TestRecipients::File),
        (Some(_), Some(item)) => item.error(
            "one-of",
            "`recipient` and `recipients_file`: give one of them",
        ),
        (None, None)
            if section.has_misspelt("recipient") || section.has_misspelt("recipients_file") =>
        {
            None
        }
        (None, None) => {
            section.report(
                Diagnostic::error(
                    "missing-key",
                    section.place(),
                    "[[test]] needs a recipient",
                )
                .help("add `recipient = { … }` with cells of the source, or `recipients_file = \"FILE.csv\"`"),
            );
            None
        }
    }
}

fn recipient(item: &Item<'_>) -> Option<TestRecipient> {
    let section = item.section()?;
    let cells: Vec<Option<TestCell>> = section
        .entries()
        .iter()
        .map(|cell| {
            Some(TestCell {
                column: cell.name.key.clone(),
                column_place: cell.name.place.clone(),
                value: value::read(cell)?,
                place: cell.place(),
            })
        })
        .collect();
    Some(TestRecipient {
        cells: cells.into_iter().collect::<Option<_>>()?,
        place: item.place(),
    })
}

fn file(item: &Item<'_>) -> Option<TestFile> {
    let written: String = item.read()?;
    let format = match written.rsplit_once('.').map(|(_, ending)| ending) {
        Some("csv") => TestFileFormat::Csv,
        Some("jsonl" | "ndjson") => TestFileFormat::JsonLines,
        _ => {
            return item.error(
                "wrong-value",
                format!("`recipients_file`: {written:?} is not a file that ends in .csv or .jsonl"),
            );
        }
    };
    let place = item.place();
    match resolve(place.file.folder(), &written) {
        Some(path) => Some(TestFile {
            path,
            format,
            place,
        }),
        None => item.report(
            Diagnostic::error(
                "outside-workspace",
                place,
                format!("{written:?} does not lie in the workspace"),
            )
            .help("paths are relative to this file"),
        ),
    }
}

/// Reports a topic that the settings do not declare.
fn undeclared_topic(
    item: &Item<'_>,
    around: &Surroundings<'_>,
    name: &crate::model::TopicName,
) -> bool {
    let Some(settings) = around.settings else {
        return false;
    };
    if settings.topics.contains_key(name) {
        return false;
    }
    let names = settings.topics.keys().map(crate::model::TopicName::as_str);
    undeclared(item, "topic", name.as_str(), "topics", names);
    true
}
