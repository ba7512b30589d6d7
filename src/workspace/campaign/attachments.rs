//! `[email] attachments`: files that go with every message.

use toml::de::DeValue;

use super::surroundings::Surroundings;
use crate::model::{Attachment, Diagnostic, Item, Section, Size, refuse_program};

/// The longest name of a file that systems take, in bytes.
const MAX_NAME: usize = 200;
/// More of them are a mistake.
const MAX_FILES: usize = 50;

/// `["terms.pdf", { path = "x.bin", name = "X.bin", type = "application/x" }]`. What is wrong is recorded.
pub(super) fn read(
    section: &Section<'_>,
    around: &Surroundings<'_>,
    most: Size,
) -> Vec<Attachment> {
    let Some(item) = section.item("attachments") else {
        return Vec::new();
    };
    let Some(items) = item.elements() else {
        item.wrong_type::<()>("a list of files, such as [\"terms.pdf\"]");
        return Vec::new();
    };
    if items.len() > MAX_FILES {
        item.error::<()>(
            "too-many-files",
            format!("a message may have at most {MAX_FILES} attachments"),
        );
        return Vec::new();
    }
    let mut attachments: Vec<Attachment> = Vec::with_capacity(items.len());
    for file in &items {
        let Some(attachment) = attachment(file, around) else {
            continue;
        };
        if attachments
            .iter()
            .any(|other| other.name == attachment.name)
        {
            file.report::<()>(
                Diagnostic::error(
                    "duplicate-name",
                    file.place(),
                    format!("two attachments are called {:?}", attachment.name),
                )
                .help("give one of them another `name`"),
            );
        }
        attachments.push(attachment);
    }
    let bytes: usize = attachments.iter().map(|file| file.bytes.len()).sum();
    if bytes as u64 > most.bytes() {
        item.report::<()>(too_large(bytes as u64, most, &item));
    }
    attachments
}

fn too_large(bytes: u64, most: Size, item: &Item<'_>) -> Diagnostic {
    let has = bytes.div_ceil(1000);
    Diagnostic::error(
        "too-large",
        item.place(),
        format!("the attachments have {has}KB together, more than {most}"),
    )
    .help("link to a web page instead; `[limits] attachments = \"20MB\"` in campanile.toml allows more, many mail servers do not")
}

fn attachment(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Attachment> {
    if let DeValue::String(path) = item.value() {
        let file = around.attachment(item, path)?;
        let content_type = match file.media {
            Some(media) => media.content_type.to_owned(),
            None => return item.report(unknown_type(item, &file.name)),
        };
        return Some(Attachment {
            name: file.name,
            content_type,
            bytes: file.bytes,
            place: item.place(),
        });
    }
    if !matches!(item.value(), DeValue::Table(_)) {
        return item.wrong_type(
            "a file, such as \"terms.pdf\" or { path = \"terms.pdf\", name = \"Terms.pdf\" }",
        );
    }
    let section = item.section()?;
    let path = section
        .require_item("path")
        .and_then(|item| Some((item.read::<String>()?, item)));
    let name = section.item("name");
    let content_type = section.item("type");
    section.finish();
    let (path, path_item) = path?;
    let file = around.attachment(&path_item, &path)?;
    let name = match &name {
        Some(item) => file_name(item)?,
        None => file.name.clone(),
    };
    let content_type = match (&content_type, file.media) {
        (Some(item), _) => media_type(item)?,
        (None, Some(media)) => media.content_type.to_owned(),
        (None, None) => return item.report(unknown_type(&path_item, &file.name)),
    };
    Some(Attachment {
        name,
        content_type,
        bytes: file.bytes,
        place: path_item.place(),
    })
}

fn unknown_type(item: &Item<'_>, name: &str) -> Diagnostic {
    Diagnostic::error(
        "unknown-type",
        item.place(),
        format!("what kind of file {name} is can't be told from its name"),
    )
    .help("say it: { path = \"…\", type = \"application/octet-stream\" }")
}

/// What the file is called in the message: a name, not a path.
fn file_name(item: &Item<'_>) -> Option<String> {
    let name: String = item.read()?;
    let refused = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    if name.trim() != name || name.is_empty() || name.contains(refused) || name.starts_with('.') {
        return item.error(
            "wrong-value",
            format!("`name`: {name:?} is not the name of a file, such as \"Terms.pdf\""),
        );
    }
    if name.len() > MAX_NAME {
        return item.error(
            "wrong-value",
            format!("`name` has more than {MAX_NAME} bytes"),
        );
    }
    match refuse_program(&name) {
        Ok(()) => Some(name),
        Err(error) => {
            item.report(Diagnostic::error(error.code, item.place(), error.message).help(error.help))
        }
    }
}

/// `type/subtype` (RFC 2045 §5.1). What holds other parts is none.
fn media_type(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let token = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        !text.is_empty() && text.len() <= 100 && text.chars().all(allowed)
    };
    let text = text.to_ascii_lowercase();
    match text.split_once('/') {
        Some(("multipart" | "message", _)) => item.error(
            "wrong-value",
            format!("`type`: \"{text}\" is not the type of a file"),
        ),
        Some((kind, subtype)) if token(kind) && token(subtype) => Some(text),
        _ => item.error(
            "wrong-value",
            format!("`type`: {text:?} is not a content type such as \"application/pdf\""),
        ),
    }
}
