//! A delivery becomes bytes: templates, mail, and the links in it.

pub mod links;
pub mod payload;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::model::{
    Campaign, Diagnostics, EmailAddress, OccurrenceName, OutgoingEmail, Place, Schema, Sender,
    Topic, Value,
};
use payload::Layout;
use std::sync::Arc;

/// The mail of a campaign, compiled: templates parsed, Markdown and CSS done, MIME skeleton laid.
pub struct EmailTemplate {}

impl EmailTemplate {
    /// Compiles subject and body. `schemas` are the columns of the campaign's sources: `{{ r.field }}` that none of them has
    /// is an error; an empty slice checks no fields. Unknown variables are errors always.
    pub fn compile(
        campaign: &Campaign,
        sender: &Sender,
        topic: &Topic,
        schemas: &[Arc<Schema>],
    ) -> (Option<Self>, Diagnostics) {
        let _ = (campaign, sender, topic, schemas);
        todo!()
    }

    /// What the templates read: nothing else needs to be frozen with a delivery.
    pub fn needs(&self) -> &Needs {
        todo!()
    }

    /// The message for one recipient. Fails where a template does: the recipient is then skipped as `render_error`.
    pub fn render(&self, facts: &EmailFacts<'_>) -> Result<RenderedEmail, RenderError> {
        let _ = facts;
        todo!()
    }
}

/// What templates read of a recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Fields of `r`; `None`: all of them (a template walks over `r`).
    pub fields: Option<BTreeSet<String>>,
    /// Variables by name.
    pub variables: BTreeSet<String>,
}

/// What one message is made of.
pub struct EmailFacts<'a> {
    /// Whom it goes to.
    pub to: &'a EmailAddress,
    /// The names of `values`.
    pub layout: &'a Layout,
    /// The frozen values.
    pub values: &'a [Value],
    /// The occurrence: `run.occurrence` in templates.
    pub occurrence: &'a OccurrenceName,
    /// The run's moment: `run.now` in templates.
    pub now: DateTime<Utc>,
    /// The Date header.
    pub date: DateTime<Utc>,
    /// The Message-ID, without angle brackets.
    pub message_id: &'a str,
    /// The way out, where there is one: link in the body and header List-Unsubscribe.
    pub unsubscribe_url: Option<&'a str>,
    /// The second way in List-Unsubscribe.
    pub unsubscribe_mailto: Option<&'a EmailAddress>,
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
    /// The HTML, where the body is not plain text.
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
    format!("{}@{domain}", &hasher.finalize().to_hex()[..32])
}
