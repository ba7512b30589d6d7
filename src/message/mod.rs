//! A delivery becomes bytes: templates, mail, and the links in it.

pub mod dkim;
pub mod links;
pub mod payload;

mod check;
mod comparison;
mod context;
mod draft;
mod email;
mod filters;
mod flow;
mod footer;
mod header;
mod html;
mod language;
mod markdown;
mod mjml;
mod mjml_structure;
mod pictures;
mod pieces;
mod plain;
mod quoted_printable;
mod reads;
mod skeleton;
mod spots;
mod targets;
mod template;
mod tokens;
mod unsubscribe;
mod value;
mod version;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::model::{
    Diagnostic, EmailAddress, Locale, Media, OccurrenceName, OutgoingEmail, Place, Value, Zone,
};
use payload::Layout;

pub use email::EmailTemplate;

/// What templates read of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Fields of `r`; `None`: all of them (a template walks over `r`).
    pub fields: Option<BTreeSet<String>>,
    /// Variables by name.
    pub variables: BTreeSet<String>,
    /// The recipient's language.
    pub locale: bool,
}

impl Needs {
    /// Adds what another template needs.
    fn merge(&mut self, other: &Self) {
        self.fields = match (self.fields.take(), &other.fields) {
            (Some(mut fields), Some(others)) => {
                fields.extend(others.iter().cloned());
                Some(fields)
            }
            _ => None,
        };
        self.variables.extend(other.variables.iter().cloned());
        self.locale |= other.locale;
    }
}

/// Where the pictures lie that templates show.
pub trait Files {
    /// The file that is named at `place`, relative to the folder of the file it is named in; else what is wrong with it.
    fn open(&self, place: &Place, written: &str) -> Result<NamedFile, Box<Diagnostic>>;
}

/// A file that goes with a message.
#[derive(Clone)]
pub struct NamedFile {
    /// Its path in the workspace.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is; `None`: its name does not tell.
    pub media: Option<&'static Media>,
    /// What is in it.
    pub bytes: Arc<[u8]>,
}

/// What one message is made of.
#[derive(Clone, Copy)]
pub struct EmailFacts<'a> {
    /// Whom it goes to.
    pub to: &'a EmailAddress,
    /// Whom it was for, where it goes to somebody else: a header of its own says so.
    pub redirected_from: Option<&'a EmailAddress>,
    /// The names of `values`.
    pub layout: &'a Layout,
    /// The frozen values.
    pub values: &'a [Value],
    /// The occurrence: `run.occurrence` in templates.
    pub occurrence: &'a OccurrenceName,
    /// The run's moment: `run.now` in templates.
    pub now: DateTime<Utc>,
    /// The campaign's zone, in which templates see `run.now`.
    pub zone: &'a Zone,
    /// The Date header.
    pub date: DateTime<Utc>,
    /// The Message-ID, without angle brackets.
    pub message_id: &'a str,
    /// The way out, where there is one: link in the body and header List-Unsubscribe.
    pub unsubscribe_url: Option<&'a str>,
    /// The second way in List-Unsubscribe.
    pub unsubscribe_mailto: Option<&'a EmailAddress>,
    /// The message in a browser, where the templates link to it.
    pub view_url: Option<&'a str>,
    /// The recipient's topics, on and off, where the templates link to them.
    pub preferences_url: Option<&'a str>,
}

/// A message and what people want to see of it.
#[derive(Clone, Debug)]
pub struct RenderedEmail {
    /// What goes on the wire.
    pub outgoing: OutgoingEmail,
    /// The subject, decoded.
    pub subject: String,
    /// The text alternative.
    pub text: String,
    /// The HTML, where the body is not plain text, as a browser shows it: its pictures stand in it.
    pub html: Option<String>,
    /// Which translation it is; `None`: what was written first.
    pub locale: Option<Locale>,
}

/// A message as a browser shows it.
#[derive(Clone, Debug)]
pub struct WebPage {
    /// The subject, decoded.
    pub subject: String,
    /// The text alternative.
    pub text: String,
    /// The HTML, where the body is not plain text; its pictures stand in it.
    pub html: Option<String>,
}

/// A template that failed on a recipient.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct RenderError {
    /// What happened.
    pub message: String,
    /// Where in the template.
    pub place: Place,
}

/// The Message-ID of a delivery (RFC 5322 §3.6.4), without angle brackets: the same whenever it is sent again, so that a
/// resend is recognisable. `seed` identifies the delivery (campaign, occurrence, recipient, channel).
pub fn message_id(seed: &[&[u8]], domain: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in seed {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part);
    }
    let hash = &hasher.finalize().to_hex()[..32];
    if domain.is_ascii() {
        return format!("{hash}@{domain}");
    }
    // Only its name is lost where a domain has no form in ASCII: the hash alone tells messages apart.
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| "campanile.invalid".to_owned());
    format!("{hash}@{domain}")
}
