//! The mail as a whole: one campaign and one recipient, and a reader of messages for the tests in here.

mod files;
mod findings;
mod mime;
mod mjml;
mod printing;
mod translations;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

use super::{payload::Layout, quoted_printable::decode, *};
use crate::model::{
    Body, BodyFormat, Campaign, EmailMessage, Excerpt, FieldType, Place, Purpose, Roles, Schema,
    Sender, Size, SourceFile, Topic, Value, Variable, Zone,
};

const URL: &str = "https://news.example/u/TOKEN";

/// One campaign and one recipient, to be changed as a test needs it.
struct Mail {
    campaign: Campaign,
    sender: Sender,
    topic: Topic,
    schemas: Vec<Arc<Schema>>,
    values: Vec<(&'static str, Value)>,
    to: &'static str,
    url: Option<&'static str>,
    mailto: Option<EmailAddress>,
}

fn excerpt(path: &str, text: &str) -> Excerpt {
    Excerpt::whole(&SourceFile::new(path, text))
}

fn mail(format: BodyFormat, subject: &str, body: &str) -> Mail {
    let file = SourceFile::new("campaigns/a.toml", "first_name = 'r.name'");
    let variable = |name: &str| Variable {
        name: name.to_owned(),
        name_place: Place::new(&file, 0..10),
        expression: excerpt("campaigns/a.toml", "r.name"),
    };
    let column = |name: &str, kind| (name.to_owned(), kind);
    let mut campaign = Campaign::for_tests("campaigns/a.toml", "billing/renewal");
    campaign.name = "Renewal reminder".to_owned();
    campaign.audience.sources = vec!["customers".parse().unwrap()];
    campaign.variables = vec![variable("first_name"), variable("amount")];
    campaign.email = Some(EmailMessage {
        via: "main".parse().unwrap(),
        from: None,
        subject: excerpt("campaigns/a.toml", subject),
        body: Body {
            template: excerpt("campaigns/a.md", body),
            format,
        },
        language: None,
        translations: Vec::new(),
        attachments: Vec::new(),
        most_attached: Size::megabytes(10),
    });
    Mail {
        campaign,
        sender: Sender {
            id: "acme".parse().unwrap(),
            name: "Acme Energy".to_owned(),
            address: "1 Main Street, 12345 Springfield".to_owned(),
            from: "Acme Energy <news@acme.example>".parse().unwrap(),
            reply_to: Some("help@acme.example".parse().unwrap()),
            envelope_from: "bounces@acme.example".parse().unwrap(),
        },
        topic: Topic {
            name: "offers".parse().unwrap(),
            title: "Offers".to_owned(),
            purpose: Purpose::Marketing,
        },
        schemas: vec![Arc::new(Schema {
            columns: vec![
                column("name", FieldType::String),
                column("balance", FieldType::Decimal),
                column("age", FieldType::Integer),
                column("renews_on", FieldType::Date),
                column("tags", FieldType::List),
            ],
            roles: Roles::default(),
        })],
        values: vec![
            ("r.name", "Ada King".into()),
            ("r.balance", Value::Decimal("12.50".parse().unwrap())),
            ("r.age", Value::Empty),
            ("r.renews_on", Value::Date("2026-12-12".parse().unwrap())),
            ("r.tags", Value::List(vec!["a".into(), "<b>".into()])),
            ("first_name", "Ada".into()),
            ("amount", "12.50 EUR".into()),
        ],
        to: "ada@example.org",
        url: Some(URL),
        mailto: None,
    }
}

/// Where the pictures of these tests lie: `logo.png` and `photo.jpg`.
struct Folder;

impl Files for Folder {
    fn open(&self, place: &Place, written: &str) -> Result<NamedFile, Box<Diagnostic>> {
        let bytes: &[u8] = match written {
            "logo.png" | "my logo.png" => b"\x89PNG\r\n\x1a\nlogo",
            "photo.jpg" => b"\xff\xd8\xffphoto",
            "terms.pdf" => b"%PDF-1.7",
            _ => {
                let words = format!("there is no file {written}");
                return Err(Box::new(Diagnostic::error(
                    "no-such-file",
                    place.clone(),
                    words,
                )));
            }
        };
        Ok(NamedFile {
            path: format!("campaigns/{written}"),
            name: written.to_owned(),
            media: Media::of_name(written),
            bytes: bytes.into(),
        })
    }
}

impl Mail {
    fn compiled(&self) -> (Option<EmailTemplate>, crate::model::Diagnostics) {
        let (campaign, sender, topic) = (&self.campaign, &self.sender, &self.topic);
        EmailTemplate::compile(campaign, sender, topic, &self.schemas, &Folder)
    }

    fn findings(&self) -> Vec<String> {
        let (template, found) = self.compiled();
        assert_eq!(template.is_none(), found.has_errors());
        found.iter().map(ToString::to_string).collect()
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let at = self
            .values
            .iter()
            .position(|(known, _)| *known == name)
            .unwrap();
        self.values[at].1 = value.into();
        self
    }

    fn try_preview(&self) -> Result<RenderedEmail, RenderError> {
        let (template, found) = self.compiled();
        self.preview_of(&template.unwrap_or_else(|| panic!("{found:?}")))
    }

    fn preview_of(&self, template: &EmailTemplate) -> Result<RenderedEmail, RenderError> {
        let names: Vec<&str> = self.values.iter().map(|(name, _)| *name).collect();
        let layout = Layout::from_text(&serde_json::to_string(&names).unwrap()).unwrap();
        let values: Vec<Value> = self.values.iter().map(|(_, value)| value.clone()).collect();
        template.preview(&EmailFacts {
            redirected_from: None,
            to: &self.to.parse().unwrap(),
            layout: &layout,
            values: &values,
            occurrence: &OccurrenceName::label("2026-12-01").unwrap(),
            now: moment("2026-12-01T08:00:00Z"),
            zone: &"Europe/Berlin".parse::<Zone>().unwrap(),
            date: moment("2026-12-01T08:05:09Z"),
            message_id: "0123@acme.example",
            unsubscribe_url: self.url,
            unsubscribe_mailto: self.mailto.as_ref(),
            view_url: Some("https://news.example/v/TOKEN"),
            preferences_url: Some("https://news.example/p/TOKEN"),
        })
    }

    fn preview(&self) -> RenderedEmail {
        self.try_preview().unwrap()
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn text(template: &str) -> Mail {
    let mut mail = mail(BodyFormat::Text, "Hello", template);
    mail.campaign.purpose = Purpose::Transactional;
    mail
}

fn shown(template: &str) -> String {
    text(template).preview().text.trim_end().to_owned()
}

fn refusal(template: &str) -> String {
    text(template).try_preview().unwrap_err().to_string()
}

/// The message's headers, unfolded, and its parts, decoded.
fn parse(bytes: &[u8]) -> (Vec<(String, String)>, Vec<String>) {
    let message = std::str::from_utf8(bytes).unwrap();
    for line in message.split("\r\n") {
        assert!(
            line.len() <= 998 && !line.contains(['\r', '\n', '\0']),
            "{line:?}"
        );
    }
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let headers = headers(head);
    let value = |headers: &[(String, String)], name: &str| {
        let found = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let kind = value(&headers, "Content-Type");
    let Some((_, boundary)) = kind.split_once("boundary=\"") else {
        let part = decoded(&value(&headers, "Content-Transfer-Encoding"), body);
        return (headers, vec![part]);
    };
    let boundary = boundary.split_once('"').unwrap().0;
    let body = format!("\r\n{body}");
    let mut parts: Vec<&str> = body.split(&format!("\r\n--{boundary}")).collect();
    assert_eq!(parts.first(), Some(&""));
    assert_eq!(parts.pop(), Some("--\r\n"));
    let parts = parts[1..].iter().map(|part| {
        let (head, body) = part
            .strip_prefix("\r\n")
            .unwrap()
            .split_once("\r\n\r\n")
            .unwrap();
        let encoding = value(&self::headers(head), "Content-Transfer-Encoding");
        // The line end before a boundary belongs to it.
        decoded(&encoding, &format!("{body}\r\n"))
    });
    let parts = parts.collect();
    (headers, parts)
}

fn headers(head: &str) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let split = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    unfolded
        .split("\r\n")
        .map(|line| split(line).unwrap())
        .collect()
}

fn decoded(encoding: &str, body: &str) -> String {
    match encoding {
        "quoted-printable" => decode(body),
        "base64" => String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap(),
        other => panic!("{other}"),
    }
}

fn crlf(text: &str) -> String {
    pieces::unix_lines(text).replace('\n', "\r\n")
}
