//! `[email]`: the mail.

use super::{
    attachments,
    surroundings::{Surroundings, undeclared},
    translations,
};
use crate::model::{
    Body, BodyFormat, Channel, Diagnostic, EmailMessage, Excerpt, Item, Mailbox, Section,
    TransportName,
};
use crate::workspace::settings::MOST_ATTACHED;

/// `None` where a part of it is missing or wrong.
pub(super) fn read(section: Section<'_>, around: &Surroundings<'_>) -> Option<EmailMessage> {
    let via = section
        .require_item("via")
        .and_then(|item| via(&item, around));
    let from = section.take::<Mailbox>("from");
    let subject = section
        .require_item("subject")
        .and_then(|item| subject(&item));
    let body = match (section.item("body"), section.item("body_text")) {
        (Some(item), None) => body_file(&item, around),
        (None, Some(item)) => body_text(&item),
        (Some(_), Some(item)) => item.error("one-of", "`body` and `body_text`: give one of them"),
        (None, None) => {
            section.report(
                Diagnostic::error("missing-key", section.place(), "[email] needs a body")
                    .help("add `body = \"FILE.md\"`, or `body_text = \"…\"`"),
            );
            None
        }
    };
    let language = section.take("language");
    let translations = translations::read(&section, body.as_ref(), around);
    let most_attached = around
        .settings
        .map_or(MOST_ATTACHED, |settings| settings.most_attached);
    let attachments = attachments::read(&section, around, most_attached);
    section.finish();
    Some(EmailMessage {
        via: via?,
        from,
        subject: subject?,
        body: body?,
        language,
        translations,
        attachments,
        most_attached,
    })
}

fn via(item: &Item<'_>, around: &Surroundings<'_>) -> Option<TransportName> {
    let name: TransportName = item.read()?;
    let Some(settings) = around.settings else {
        return Some(name);
    };
    let is_mail = |channel| channel == Channel::Email;
    match settings.transports.get(&name) {
        Some(transport) if is_mail(transport.channel) => Some(name),
        Some(transport) => item.error(
            "wrong-channel",
            format!(
                "the transport `{name}` is for {}, not for email",
                transport.channel
            ),
        ),
        None => {
            let names = settings
                .transports
                .values()
                .filter(|transport| is_mail(transport.channel))
                .map(|transport| transport.name.as_str());
            undeclared(item, "transport", name.as_str(), "transports", names);
            None
        }
    }
}

pub(super) fn subject(item: &Item<'_>) -> Option<Excerpt> {
    let subject: Excerpt = item.read()?;
    let name = &item.name.key;
    if subject.text().trim().is_empty() {
        return item.error("wrong-value", format!("`{name}` is empty"));
    }
    if let Some((at, found)) = subject.text().char_indices().find(|(_, c)| c.is_control()) {
        return item.report(
            Diagnostic::error(
                "wrong-value",
                subject.place_of(at..at + found.len_utf8()),
                format!("`{name}` has a line break or another control character"),
            )
            .help("write it on one line"),
        );
    }
    Some(subject)
}

fn body_text(item: &Item<'_>) -> Option<Body> {
    let template: Excerpt = item.read()?;
    if template.text().trim().is_empty() {
        return item.error("wrong-value", "`body_text` is empty");
    }
    Some(Body {
        template,
        format: BodyFormat::Text,
    })
}

fn body_file(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Body> {
    let path: String = item.read()?;
    let format = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("md") => BodyFormat::Markdown,
        Some("html") => BodyFormat::Html,
        Some("txt") => BodyFormat::Text,
        Some("mjml") => BodyFormat::Mjml,
        _ => {
            return item.error(
                "wrong-value",
                format!("`body`: {path:?} is not a file that ends in .md, .html, .mjml or .txt"),
            );
        }
    };
    let file = around.file(item, &path)?;
    if file.text().trim().is_empty() {
        return item.error("wrong-value", format!("`body`: {} is empty", file.path()));
    }
    Some(Body {
        template: Excerpt::whole(&file),
        format,
    })
}
