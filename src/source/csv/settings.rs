//! The keys that only a CSV source has.

use std::path::PathBuf;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};

use crate::model::{Diagnostic, Item, Section};

/// `path`, `delimiter`, `encoding`, `header`, `columns`, `skip_lines`.
#[derive(Clone, Debug)]
pub(super) struct CsvSettings {
    /// Relative to the workspace.
    pub(super) path: PathBuf,
    pub(super) delimiter: u8,
    pub(super) encoding: &'static Encoding,
    /// The names where the file has no header.
    pub(super) columns: Option<Vec<String>>,
    /// Lines before the header, or before the first row.
    pub(super) skip_lines: u64,
}

impl CsvSettings {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let path: Option<PathBuf> = section.require("path");
        let delimiter = optional(section, "delimiter", b',', |item| delimiter(&item));
        let encoding = optional(section, "encoding", UTF_8, |item| encoding(&item));
        let skip_lines = optional(section, "skip_lines", 0, |item| item.read());
        let header = optional(section, "header", None, |item| item.read().map(Some));
        let columns = optional(section, "columns", None, |item| columns(&item).map(Some));
        match (header, &columns) {
            (Some(Some(true)), Some(Some(_))) => section.item("columns")?.report(
                Diagnostic::error(
                    "wrong-value",
                    section.item("columns")?.place(),
                    "the names stand in the header already: `columns` is for files without one",
                )
                .help("remove `columns`, or say header = false"),
            ),
            (Some(Some(false)), Some(None)) => section.item("header")?.report(
                Diagnostic::error(
                    "missing-key",
                    section.item("header")?.place(),
                    "a file without a header needs `columns`",
                )
                .help("name them in their order: columns = [\"account_no\", \"email\"]"),
            ),
            _ => Some(Self {
                columns: header.and(columns)?,
                path: section.file().folder().join(path?),
                delimiter: delimiter?,
                encoding: encoding?,
                skip_lines: skip_lines?,
            }),
        }
    }
}

/// The key's value; `default` where it is absent, `None` where it is wrong.
fn optional<T>(
    section: &Section<'_>,
    key: &'static str,
    default: T,
    read: impl FnOnce(Item<'_>) -> Option<T>,
) -> Option<T> {
    match section.item(key) {
        Some(item) => read(item),
        None => Some(default),
    }
}

fn delimiter(item: &Item<'_>) -> Option<u8> {
    let text: String = item.read()?;
    match text.as_bytes() {
        b"tab" | b"\t" => Some(b'\t'),
        [byte] if byte.is_ascii_graphic() && !byte.is_ascii_alphanumeric() && *byte != b'"' => {
            Some(*byte)
        }
        _ => item.error(
            "wrong-value",
            format!("`delimiter` is one character such as \",\", \";\" or \"|\", or \"tab\", not {text:?}"),
        ),
    }
}

fn encoding(item: &Item<'_>) -> Option<&'static Encoding> {
    const USUAL: [&str; 8] = [
        "utf-8",
        "utf-16le",
        "utf-16be",
        "windows-1252",
        "iso-8859-1",
        "iso-8859-15",
        "shift_jis",
        "gb18030",
    ];
    let label: String = item.read()?;
    // The labels that browsers may not decode are decoded to nothing useful: they are as good as unknown.
    let found = Encoding::for_label(label.as_bytes()).filter(|found| *found != REPLACEMENT);
    if found.is_none() {
        let message = format!("there is no encoding {label:?}");
        let unknown = Diagnostic::error("wrong-value", item.place(), message)
            .help(format!("encodings have names such as {}", USUAL.join(", ")));
        return item.report(unknown.did_you_mean(&label, USUAL));
    }
    found
}

fn columns(item: &Item<'_>) -> Option<Vec<String>> {
    let Some(elements) = item.elements() else {
        return item.wrong_type("an array of names");
    };
    if elements.is_empty() {
        return item.error("wrong-value", "`columns` names at least one column");
    }
    let mut names: Vec<String> = Vec::with_capacity(elements.len());
    let mut valid = true;
    for element in &elements {
        let Some(name) = element.read::<String>() else {
            valid = false;
            continue;
        };
        let name = name.trim().to_owned();
        if name.is_empty() {
            valid = false;
            element.error::<()>("wrong-value", "a column needs a name");
        } else if names.contains(&name) {
            valid = false;
            element.error::<()>("wrong-value", format!("two columns have the name {name:?}"));
        }
        names.push(name);
    }
    valid.then_some(names)
}
