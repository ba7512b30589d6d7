//! One version of a campaign's mail: in the language it was written in, or a translation. Its templates are parsed, its MIME
//! skeleton is laid.

use std::{io::Write as _, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    EmailFacts, Needs, RenderError,
    draft::{Drafts, Encoded, Making, drafts},
    header,
    pictures::{self, Picture},
    pieces::{Piece, cut, unix_lines},
    quoted_printable,
    skeleton::{self, Encoding, Plan, Segment, Skeleton, Slot},
    template::{Form, Part, Templates, read},
    unsubscribe,
};
use crate::model::{
    Campaign, Diagnostic, Diagnostics, EmailAddress, EmailMessage, Excerpt, Locale, Place, Topic,
};

/// The header that says whom a message was for that goes to somebody else, as it begins.
const REDIRECTED_FROM: &str = "X-Campanile-Redirected-From: ";

/// A version of the mail.
pub(super) struct Version {
    templates: Templates,
    segments: Vec<Segment>,
    /// What every message ends with.
    pub(super) shared: Vec<Arc<[u8]>>,
    pictures: Vec<Picture>,
    /// What it reads.
    pub(super) needs: Needs,
    text: Encoded,
    html: Option<Encoded>,
    subject_place: Place,
    pub(super) body_place: Place,
    /// The language of a translation; `None`: what was written first.
    pub(super) locale: Option<Locale>,
}

impl Version {
    /// Compiles a version. What is only worth a warning goes into `found`.
    pub(super) fn build(
        campaign: &Campaign,
        making: &Making<'_>,
        topic: &Topic,
        found: &mut Diagnostics,
    ) -> Result<Self, Diagnostic> {
        let &Making {
            message,
            subject: written,
            body: written_body,
            sender,
            ..
        } = making;
        let body_place = written_body.template.place().clone();
        let unexpected = |words: String| Diagnostic::error("email", body_place.clone(), words);
        let subject =
            cut(written).ok_or_else(|| unexpected("the subject does not parse".to_owned()))?;
        let body = cut(&written_body.template)
            .ok_or_else(|| unexpected("the body does not parse".to_owned()))?;
        let Drafts {
            text,
            html,
            pictures,
        } = drafts(making, &subject, body, found)?;
        refuse_too_large(message, &body_place, &pictures)?;

        let mut templates = Templates::new();
        let mut compile = |part, form, pieces: &[Piece], whole: &Excerpt| {
            templates.add(part, form, pieces, whole).map_err(|error| {
                Diagnostic::error(
                    "template-syntax",
                    error.place,
                    format!("in the template: {}", error.message),
                )
            })
        };
        compile(Part::Subject, Form::Plain, &subject, written)?;
        for (part, draft) in [(Part::Text, Some(&text)), (Part::Html, html.as_ref())] {
            let Some(draft) = draft else { continue };
            compile(part, Form::Plain, &draft.pieces, &written_body.template)?;
            if draft.encoded == Encoded::Ahead {
                compile(part, Form::Encoded, &draft.pieces, &written_body.template)?;
            }
        }

        let mut needs = read(&subject, &[]).needs;
        needs.merge(&text.needs);
        if let Some(html) = &html {
            needs.merge(&html.needs);
        }
        let Skeleton { segments, shared } = skeleton::skeleton(&Plan {
            campaign,
            sender,
            topic,
            language: making.language,
            text: text.encoded.transfer(),
            html: html.as_ref().map(|html| html.encoded.transfer()),
            pictures: &pictures,
            attachments: &message.attachments,
        })
        .map_err(|words| {
            unexpected(format!(
                "the sender's addresses do not make a mail: {words}"
            ))
        })?;
        Ok(Self {
            templates,
            segments,
            shared,
            pictures,
            needs,
            text: text.encoded,
            html: html.map(|html| html.encoded),
            subject_place: written.place().clone(),
            body_place: body_place.clone(),
            locale: None,
        })
    }

    /// The message of one recipient, up to what all share.
    pub(super) fn render(
        &self,
        facts: &EmailFacts<'_>,
        to: &EmailAddress,
        context: &minijinja::Value,
        bytes: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let refused = |message: String| RenderError {
            message,
            place: self.body_place.clone(),
        };
        let subject = self.subject(context)?;
        for segment in &self.segments {
            match segment {
                Segment::Fixed(fixed) => bytes.extend_from_slice(fixed),
                Segment::Own(Slot::To) => {
                    bytes.extend_from_slice(to.as_str().as_bytes());
                    if let Some(own) = facts.redirected_from {
                        write!(bytes, "\r\n{REDIRECTED_FROM}").expect("writing to memory");
                        let length = REDIRECTED_FROM.len();
                        header::push_unstructured(own.as_str(), length, bytes);
                    }
                }
                Segment::Own(Slot::Subject) => {
                    header::push_unstructured(&subject, "Subject: ".len(), bytes);
                }
                Segment::Own(Slot::Date) => {
                    let date = facts.date.format("%a, %-d %b %Y %H:%M:%S +0000");
                    write!(bytes, "{date}").expect("writing to memory");
                }
                Segment::Own(Slot::MessageId) => {
                    let printable = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
                    if !facts.message_id.bytes().all(printable) || facts.message_id.len() > 500 {
                        return Err(refused(format!(
                            "{:?} is not a Message-ID",
                            facts.message_id
                        )));
                    }
                    bytes.extend_from_slice(facts.message_id.as_bytes());
                }
                Segment::Own(Slot::Unsubscribe) => {
                    unsubscribe::push_headers(facts, bytes).map_err(&refused)?;
                }
                Segment::Own(Slot::Text) => {
                    self.push_body(Part::Text, self.text, context, bytes)?;
                }
                Segment::Own(Slot::Html) => {
                    let encoded = self
                        .html
                        .expect("the skeleton has HTML where the template does");
                    self.push_body(Part::Html, encoded, context, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// The text, as people read it.
    pub(super) fn plain_text(&self, context: &minijinja::Value) -> Result<String, RenderError> {
        self.plain(Part::Text, context)
    }

    /// The HTML as a browser shows it, where there is any.
    pub(super) fn page(&self, context: &minijinja::Value) -> Result<Option<String>, RenderError> {
        match self.html {
            Some(_) => {
                let html = self.plain(Part::Html, context)?;
                Ok(Some(pictures::inline(&html, &self.pictures)))
            }
            None => Ok(None),
        }
    }

    fn plain(&self, part: Part, context: &minijinja::Value) -> Result<String, RenderError> {
        let mut bytes = Vec::new();
        self.templates
            .render(part, Form::Plain, context, &mut bytes)?;
        Ok(unix_lines(&String::from_utf8_lossy(&bytes)))
    }

    /// The subject, decoded.
    pub(super) fn subject(&self, context: &minijinja::Value) -> Result<String, RenderError> {
        let refused = |message: String| RenderError {
            message,
            place: self.subject_place.clone(),
        };
        let mut bytes = Vec::new();
        self.templates
            .render(Part::Subject, Form::Plain, context, &mut bytes)?;
        let subject = String::from_utf8(bytes).map_err(|error| refused(error.to_string()))?;
        let subject = match subject.trim() {
            trimmed if trimmed.len() == subject.len() => subject,
            trimmed => trimmed.to_owned(),
        };
        if subject.is_empty() {
            return Err(refused("the subject is empty".to_owned()));
        }
        if subject.len() > header::MAX_SUBJECT {
            let most = header::MAX_SUBJECT;
            return Err(refused(format!(
                "the subject has {} bytes; it may have {most}",
                subject.len()
            )));
        }
        header::refuse_controls(&subject, "subject").map_err(refused)?;
        Ok(subject)
    }

    fn push_body(
        &self,
        part: Part,
        encoded: Encoded,
        context: &minijinja::Value,
        bytes: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let Encoded::Whole(encoding) = encoded else {
            return self.templates.render(part, Form::Encoded, context, bytes);
        };
        let mut plain = Vec::new();
        self.templates
            .render(part, Form::Plain, context, &mut plain)?;
        let plain = String::from_utf8_lossy(&plain);
        match encoding {
            Encoding::QuotedPrintable => {
                let mut text = String::with_capacity(plain.len() * 9 / 8);
                quoted_printable::encode(&plain, &mut text).expect("writing to memory");
                bytes.extend_from_slice(text.as_bytes());
            }
            Encoding::Base64 => {
                let text = STANDARD.encode(unix_lines(&plain).replace('\n', "\r\n"));
                for line in text.as_bytes().chunks(76) {
                    bytes.extend_from_slice(line);
                    bytes.extend_from_slice(b"\r\n");
                }
            }
        }
        Ok(())
    }
}

/// Pictures count as attachments do.
fn refuse_too_large(
    message: &EmailMessage,
    place: &Place,
    pictures: &[Picture],
) -> Result<(), Diagnostic> {
    let attached = message.attachments.iter().map(|file| file.bytes.len());
    let shown = pictures.iter().map(|picture| picture.bytes.len());
    let bytes = attached.chain(shown).sum::<usize>() as u64;
    if pictures.is_empty() || bytes <= message.most_attached.bytes() {
        return Ok(());
    }
    let words = format!(
        "pictures and attachments have {}KB together, more than {}",
        bytes.div_ceil(1000),
        message.most_attached
    );
    Err(Diagnostic::error("too-large", place.clone(), words)
        .help("make the pictures smaller, or link to them on the web"))
}
