//! The mail of a campaign, compiled: templates parsed, Markdown and CSS done, MIME skeleton laid. Per recipient the templates
//! are rendered into the skeleton's slots, already encoded.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    EmailFacts, Needs, RenderError, RenderedEmail,
    check::{Vocabulary, check, check_subject, is_built_in},
    context::{self, Fixed},
    draft::{Encoded, drafts},
    header,
    pieces::{Piece, cut, unix_lines},
    quoted_printable,
    skeleton::{self, Encoding, Plan, Segment, Slot},
    template::{Form, Part, Templates, read},
    unsubscribe,
};
use crate::model::{
    Campaign, Diagnostic, Diagnostics, EmailAddress, EmailMessage, Excerpt, OutgoingEmail, Place,
    Purpose, Schema, Sender, Topic,
};

/// The header that says whom a message was for that goes to somebody else, as it begins.
const REDIRECTED_FROM: &str = "X-Campanile-Redirected-From: ";

/// The mail of a campaign, compiled: templates parsed, Markdown and CSS done, MIME skeleton laid.
pub struct EmailTemplate {
    templates: Templates,
    segments: Vec<Segment>,
    needs: Needs,
    fixed: Arc<Fixed>,
    envelope_from: EmailAddress,
    marketing: bool,
    text: Encoded,
    html: Option<Encoded>,
    subject_place: Place,
    body_place: Place,
    /// The length of the longest message so far: what to make room for.
    longest: AtomicUsize,
}

impl EmailTemplate {
    /// Compiles subject and body. `schemas` are the columns of the campaign's sources: `{{ r.field }}` that one of them
    /// lacks is an error; an empty slice checks no fields. Unknown variables are errors always. A campaign without a mail gives
    /// `None` and no findings.
    pub fn compile(
        campaign: &Campaign,
        sender: &Sender,
        topic: &Topic,
        schemas: &[Arc<Schema>],
    ) -> (Option<Self>, Diagnostics) {
        let mut found = Diagnostics::new();
        let Some(message) = &campaign.email else {
            return (None, found);
        };
        let vocabulary = Vocabulary {
            schemas,
            sources: &campaign.audience.sources,
            variables: campaign
                .variables
                .iter()
                .map(|variable| variable.name.as_str())
                .collect(),
            purpose: campaign.purpose,
        };
        for variable in campaign
            .variables
            .iter()
            .filter(|variable| is_built_in(&variable.name))
        {
            let words = format!("`{}` means something else in templates", variable.name);
            found.push(
                Diagnostic::error("reserved-name", variable.name_place.clone(), words)
                    .help("give the variable another name"),
            );
        }
        found.extend(check(&message.subject, &vocabulary));
        found.extend(check_subject(&message.subject));
        found.extend(check(&message.body.template, &vocabulary));
        if found.has_errors() {
            return (None, found);
        }
        match Self::build(campaign, message, sender, topic) {
            Ok(template) => (Some(template), found),
            Err(diagnostic) => {
                found.push(diagnostic);
                (None, found)
            }
        }
    }

    fn build(
        campaign: &Campaign,
        message: &EmailMessage,
        sender: &Sender,
        topic: &Topic,
    ) -> Result<Self, Diagnostic> {
        let body_place = message.body.template.place().clone();
        let unexpected = |words: String| Diagnostic::error("email", body_place.clone(), words);
        let subject = cut(&message.subject)
            .ok_or_else(|| unexpected("the subject does not parse".to_owned()))?;
        let body = cut(&message.body.template)
            .ok_or_else(|| unexpected("the body does not parse".to_owned()))?;
        let marketing = campaign.purpose == Purpose::Marketing;
        let (text, html) = drafts(message, &subject, body, marketing, sender)?;
        let subject_needs = read(&subject, &[]).needs;

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
        compile(Part::Subject, Form::Plain, &subject, &message.subject)?;
        for (part, draft) in [(Part::Text, Some(&text)), (Part::Html, html.as_ref())] {
            let Some(draft) = draft else { continue };
            compile(part, Form::Plain, &draft.pieces, &message.body.template)?;
            if draft.encoded == Encoded::Ahead {
                compile(part, Form::Encoded, &draft.pieces, &message.body.template)?;
            }
        }

        let mut needs = subject_needs;
        needs.merge(&text.needs);
        if let Some(html) = &html {
            needs.merge(&html.needs);
        }
        needs.variables.retain(|name| {
            campaign
                .variables
                .iter()
                .any(|variable| variable.name == *name)
        });

        let segments = skeleton::skeleton(&Plan {
            campaign,
            sender,
            topic,
            text: text.encoded.transfer(),
            html: html.as_ref().map(|html| html.encoded.transfer()),
        })
        .map_err(|words| {
            unexpected(format!(
                "the sender's addresses do not make a mail: {words}"
            ))
        })?;
        Ok(Self {
            templates,
            segments,
            needs,
            fixed: Arc::new(Fixed::new(campaign, sender, topic)),
            envelope_from: sender
                .envelope_from
                .with_ascii_domain()
                .map_err(unexpected)?,
            marketing,
            text: text.encoded,
            html: html.map(|html| html.encoded),
            subject_place: message.subject.place().clone(),
            body_place: body_place.clone(),
            longest: AtomicUsize::new(4096),
        })
    }

    /// What the templates read: nothing else needs to be frozen with a delivery.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The message for one recipient, for a transport. Fails where a template does: the recipient is then skipped as
    /// `render_error`.
    pub fn render(&self, facts: &EmailFacts<'_>) -> Result<OutgoingEmail, RenderError> {
        let refused = |message: String| RenderError {
            message,
            place: self.body_place.clone(),
        };
        if self.marketing && facts.unsubscribe_url.is_none() {
            return Err(refused(
                "marketing mail needs an unsubscribe link, and there is none".to_owned(),
            ));
        }
        let to = facts.to.with_ascii_domain().map_err(&refused)?;
        let context = context::context(&self.fixed, facts);
        let subject = self.subject(&context)?;
        let room = self.longest.load(Ordering::Relaxed);
        let mut bytes = Vec::with_capacity(room + room / 8);
        for segment in &self.segments {
            match segment {
                Segment::Fixed(fixed) => bytes.extend_from_slice(fixed),
                Segment::Own(Slot::To) => {
                    bytes.extend_from_slice(to.as_str().as_bytes());
                    if let Some(own) = facts.redirected_from {
                        write!(bytes, "\r\n{REDIRECTED_FROM}").expect("writing to memory");
                        let length = REDIRECTED_FROM.len();
                        header::push_unstructured(own.as_str(), length, &mut bytes);
                    }
                }
                Segment::Own(Slot::Subject) => {
                    header::push_unstructured(&subject, "Subject: ".len(), &mut bytes);
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
                    unsubscribe::push_headers(facts, &mut bytes).map_err(&refused)?;
                }
                Segment::Own(Slot::Text) => {
                    self.push_body(Part::Text, self.text, &context, &mut bytes)?;
                }
                Segment::Own(Slot::Html) => {
                    let encoded = self
                        .html
                        .expect("the skeleton has HTML where the template does");
                    self.push_body(Part::Html, encoded, &context, &mut bytes)?;
                }
            }
        }
        self.longest
            .fetch_max(bytes.len().min(1 << 20), Ordering::Relaxed);
        Ok(OutgoingEmail {
            from: self.envelope_from.clone(),
            to,
            message_id: facts.message_id.to_owned(),
            bytes,
        })
    }

    /// The message for one recipient, with what people want to see of it.
    pub fn preview(&self, facts: &EmailFacts<'_>) -> Result<RenderedEmail, RenderError> {
        let outgoing = self.render(facts)?;
        let context = context::context(&self.fixed, facts);
        let plain = |part| -> Result<String, RenderError> {
            let mut bytes = Vec::new();
            self.templates
                .render(part, Form::Plain, &context, &mut bytes)?;
            Ok(unix_lines(&String::from_utf8_lossy(&bytes)))
        };
        Ok(RenderedEmail {
            outgoing,
            subject: self.subject(&context)?,
            text: plain(Part::Text)?,
            html: self.html.map(|_| plain(Part::Html)).transpose()?,
        })
    }

    fn subject(&self, context: &minijinja::Value) -> Result<String, RenderError> {
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
