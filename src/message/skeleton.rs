//! The MIME skeleton of a campaign's mail: lettre makes it once, with marks where a message has something of its own; per
//! recipient only these slots are filled.

use std::sync::Arc;

use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Attachment as LettreAttachment, Body, Mailbox as LettreMailbox, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};

use super::{header, pictures::Picture};
use crate::model::{Attachment, Campaign, Locale, Mailbox, Purpose, Sender, Topic};

/// What differs from message to message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The address in To.
    To,
    /// The subject, encoded.
    Subject,
    /// The date.
    Date,
    /// The Message-ID, without angle brackets.
    MessageId,
    /// List-Unsubscribe and List-Unsubscribe-Post, whole lines, or nothing.
    Unsubscribe,
    /// The text, encoded.
    Text,
    /// The HTML, encoded.
    Html,
}

/// The header that stands for [`Slot::Unsubscribe`]'s lines.
const UNSUBSCRIBE_LINE: &str = "X-Campanile-Slot: ";

impl Slot {
    const ALL: [Self; 7] = [
        Self::To,
        Self::Subject,
        Self::Date,
        Self::MessageId,
        Self::Unsubscribe,
        Self::Text,
        Self::Html,
    ];

    fn mark(self) -> String {
        format!("campanile-slot-{self:?}-slot")
    }
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// The same in every message.
    Fixed(Vec<u8>),
    /// Of each message.
    Own(Slot),
}

/// How a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// RFC 2045 §6.7: for what is mostly ASCII.
    QuotedPrintable,
    /// RFC 2045 §6.8: for what is mostly not.
    Base64,
}

impl Encoding {
    fn lettre(self) -> ContentTransferEncoding {
        match self {
            Self::QuotedPrintable => ContentTransferEncoding::QuotedPrintable,
            Self::Base64 => ContentTransferEncoding::Base64,
        }
    }
}

/// What a skeleton is made of.
pub(super) struct Plan<'a> {
    /// Whose messages.
    pub(super) campaign: &'a Campaign,
    /// Who writes them.
    pub(super) sender: &'a Sender,
    /// What they are about.
    pub(super) topic: &'a Topic,
    /// The language they are written in, where it is known.
    pub(super) language: Option<&'a Locale>,
    /// How the text travels.
    pub(super) text: Encoding,
    /// How the HTML travels, where there is any.
    pub(super) html: Option<Encoding>,
    /// The pictures that it shows.
    pub(super) pictures: &'a [Picture],
    /// The files that go with it.
    pub(super) attachments: &'a [Attachment],
}

/// A message but for what each has of its own.
pub(super) struct Skeleton {
    /// Its segments, in order.
    pub(super) segments: Vec<Segment>,
    /// What follows them in every message: pictures, then attachments, encoded.
    pub(super) shared: Vec<Arc<[u8]>>,
}

/// The skeleton of the campaign's messages.
pub(super) fn skeleton(plan: &Plan<'_>) -> Result<Skeleton, String> {
    let written_from = plan
        .campaign
        .email
        .as_ref()
        .and_then(|email| email.from.as_ref())
        .unwrap_or(&plan.sender.from);
    let from = lettre_mailbox(written_from)?;
    let domain = from.email.domain().to_owned();
    let envelope = Envelope::new(Some(from.email.clone()), vec![from.email.clone()])
        .map_err(|error| error.to_string())?;
    let mut builder = Message::builder().envelope(envelope).from(from);
    if let Some(reply_to) = &plan.sender.reply_to {
        builder = builder.reply_to(lettre_mailbox(reply_to)?);
    }
    builder = builder
        .raw_header(raw("To", &Slot::To.mark()))
        .raw_header(raw("Subject", &Slot::Subject.mark()))
        // lettre reads this one back, so what it reads is a date.
        .raw_header(HeaderValue::dangerous_new_pre_encoded(
            HeaderName::new_from_ascii_str("Date"),
            "Tue, 01 Dec 2026 09:00:00 +0000".to_owned(),
            Slot::Date.mark(),
        ))
        .raw_header(raw("Message-ID", &format!("<{}>", Slot::MessageId.mark())))
        .raw_header(raw("List-Id", &list_id(plan.topic, &domain)))
        .raw_header(raw(
            UNSUBSCRIBE_LINE.trim_end_matches(": "),
            &Slot::Unsubscribe.mark(),
        ))
        .raw_header(raw("Feedback-ID", &feedback_id(plan, &domain)));
    // Both keep auto-responders from answering; a notice that a machine sends says so (RFC 3834 §5), a mailing says bulk.
    builder = builder.raw_header(match plan.campaign.purpose {
        Purpose::Marketing => raw("Precedence", "bulk"),
        Purpose::Transactional => raw("Auto-Submitted", "auto-generated"),
    });
    // RFC 3282 §2.
    if let Some(language) = plan.language {
        builder = builder.raw_header(raw("Content-Language", language.as_str()));
    }
    let text = || {
        SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .body(marked_body(Slot::Text, plan.text))
    };
    let alternative = plan
        .html
        .map(|encoding| {
            let html = SinglePart::builder()
                .header(ContentType::TEXT_HTML)
                .body(marked_body(Slot::Html, encoding));
            let both = MultiPart::alternative()
                .boundary(boundary(plan.campaign, "campanile"))
                .singlepart(text());
            Ok::<_, String>(match plan.pictures {
                [] => both.singlepart(html),
                pictures => both.multipart(related(plan.campaign, html, pictures)?),
            })
        })
        .transpose()?;
    let mixed = boundary(plan.campaign, "mixed");
    let message = match (alternative, plan.attachments) {
        (None, []) => builder.singlepart(text()),
        (Some(alternative), []) => builder.multipart(alternative),
        (alternative, attachments) => {
            let parts = MultiPart::mixed().boundary(&mixed);
            let mut parts = match alternative {
                None => parts.singlepart(text()),
                Some(alternative) => parts.multipart(alternative),
            };
            for attachment in attachments {
                let part = LettreAttachment::new(attachment.name.clone());
                parts = parts.singlepart(file(part, &attachment.content_type, &attachment.bytes)?);
            }
            builder.multipart(parts)
        }
    };
    let message = message.map_err(|error| error.to_string())?;
    let mut segments = cut(&message.formatted());
    let mut shared: Vec<Arc<[u8]>> = Vec::new();
    let has_files = !plan.pictures.is_empty() || !plan.attachments.is_empty();
    if has_files && let Some(Segment::Fixed(end)) = segments.pop() {
        let attachments = find(&end, format!("--{mixed}\r\n").as_bytes());
        let (pictures, attachments) = end.split_at(attachments.unwrap_or(end.len()));
        if plan.pictures.is_empty() {
            segments.push(Segment::Fixed(pictures.to_vec()));
        } else {
            shared.push(pictures.into());
        }
        if !attachments.is_empty() {
            shared.push(attachments.into());
        }
    }
    debug_assert!(
        shared
            .iter()
            .all(|block| find(block, b"\n.").is_none() && block.ends_with(b"\r\n"))
    );
    Ok(Skeleton { segments, shared })
}

/// The HTML with the pictures it shows (RFC 2387).
fn related(
    campaign: &Campaign,
    html: SinglePart,
    pictures: &[Picture],
) -> Result<MultiPart, String> {
    let kind = format!(
        "multipart/related; type=\"text/html\"; boundary=\"{}\"",
        boundary(campaign, "related")
    );
    let kind = ContentType::parse(&kind).map_err(|error| error.to_string())?;
    let mut parts = MultiPart::builder().header(kind).singlepart(html);
    for picture in pictures {
        let part = LettreAttachment::new_inline_with_name(picture.id.clone(), picture.name.clone());
        parts = parts.singlepart(file(part, picture.content_type, &picture.bytes)?);
    }
    Ok(parts)
}

/// A file as a part, in base64.
fn file(part: LettreAttachment, content_type: &str, bytes: &[u8]) -> Result<SinglePart, String> {
    let content_type = ContentType::parse(content_type).map_err(|error| error.to_string())?;
    let body = Body::new_with_encoding(bytes.to_vec(), ContentTransferEncoding::Base64)
        .map_err(|_| "a file can't be encoded".to_owned())?;
    Ok(part.body(body, content_type))
}

/// `=_` never occurs in quoted-printable and neither sign of it in the same place of base64, so no body has this line. No
/// boundary begins with another.
fn boundary(campaign: &Campaign, name: &str) -> String {
    let hash = blake3::hash(campaign.id.as_str().as_bytes()).to_hex();
    format!("=_{name}_{}", &hash[..16])
}

fn raw(name: &str, value: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii(name.to_owned()).expect("header names are ASCII");
    HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), value.to_owned())
}

fn marked_body(slot: Slot, encoding: Encoding) -> Body {
    Body::dangerous_pre_encoded(slot.mark().into_bytes(), encoding.lettre())
}

fn lettre_mailbox(mailbox: &Mailbox) -> Result<LettreMailbox, String> {
    let address: Address = mailbox
        .address
        .with_ascii_domain()?
        .as_str()
        .parse()
        .map_err(|error| format!("{}: {error}", mailbox.address))?;
    Ok(LettreMailbox::new(mailbox.name.clone(), address))
}

/// `Billing notices <billing.acme.example>` (RFC 2919 §3).
fn list_id(topic: &Topic, domain: &str) -> String {
    let label = idna::domain_to_ascii(topic.name.as_str())
        .unwrap_or_else(|_| header::token(topic.name.as_str()))
        .replace('/', "-");
    let id = format!("<{}.{domain}>", label.trim_matches('.'));
    let title = header::phrase(&topic.title, "List-Id: ".len());
    if title.is_empty() {
        id
    } else if "List-Id: ".len() + title.len() + 1 + id.len() > 78 {
        format!("{title}\r\n {id}")
    } else {
        format!("{title} {id}")
    }
}

/// `campaign:topic:purpose:sender`: four fields, the last of 5 to 15 characters and the same for all of a sender's mail, as
/// Gmail's feedback loop wants them.
fn feedback_id(plan: &Plan<'_>, domain: &str) -> String {
    let short =
        |text: &str, most: usize| header::token(text).chars().take(most).collect::<String>();
    let sender = format!("{}\0{domain}", plan.sender.id);
    let hash = blake3::hash(sender.as_bytes()).to_hex();
    format!(
        "{}:{}:{}:{}-{}",
        short(plan.campaign.id.as_str(), 100),
        short(plan.topic.name.as_str(), 60),
        plan.campaign.purpose,
        short(plan.sender.id.as_str(), 8),
        &hash[..6],
    )
}

fn cut(formatted: &[u8]) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut rest = formatted;
    loop {
        let next = Slot::ALL
            .into_iter()
            .filter_map(|slot| find(rest, slot.mark().as_bytes()).map(|at| (at, slot)))
            .min_by_key(|(at, _)| *at);
        let Some((at, slot)) = next else {
            segments.push(Segment::Fixed(rest.to_vec()));
            return segments;
        };
        let (mut before, mut behind) = (&rest[..at], &rest[at + slot.mark().len()..]);
        match slot {
            // The slot has lines of its own, with their names and their ends.
            Slot::Unsubscribe => {
                before = before
                    .strip_suffix(UNSUBSCRIBE_LINE.as_bytes())
                    .unwrap_or(before);
                behind = behind.strip_prefix(b"\r\n").unwrap_or(behind);
            }
            // An encoded body ends with its own line end, and lettre adds one.
            Slot::Text | Slot::Html => {
                behind = behind.strip_prefix(b"\r\n").unwrap_or(behind);
            }
            _ => {}
        }
        segments.push(Segment::Fixed(before.to_vec()));
        segments.push(Segment::Own(slot));
        rest = behind;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}
