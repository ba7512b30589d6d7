//! The mail of a campaign, compiled, in each language it was written in: templates parsed, Markdown and CSS done, MIME skeleton
//! laid. Per recipient the templates of one version are rendered into the skeleton's slots, already encoded.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    EmailFacts, Files, Needs, RenderError, RenderedEmail, WebPage,
    check::{Vocabulary, check, check_subject, is_built_in},
    context::{self, Fixed},
    draft::Making,
    payload,
    version::Version,
};
use crate::model::{
    Campaign, Diagnostic, Diagnostics, EmailAddress, EmailMessage, Locale, OutgoingEmail, Purpose,
    Schema, Sender, Topic, Value,
};

/// The mail of a campaign, compiled: templates parsed, Markdown and CSS done, MIME skeleton laid.
pub struct EmailTemplate {
    /// What was written first.
    base: Version,
    translations: Vec<Version>,
    needs: Needs,
    /// Which links the templates show.
    links: Shown,
    fixed: Arc<Fixed>,
    envelope_from: EmailAddress,
    marketing: bool,
    /// The length of the longest message so far: what to make room for.
    longest: AtomicUsize,
}

/// Links that not every message has.
#[derive(Clone, Copy, Debug)]
struct Shown {
    view: bool,
    preferences: bool,
}

impl EmailTemplate {
    /// Compiles subject and body, and their translations. `schemas` are the columns of the campaign's sources: `{{ r.field }}`
    /// that one of them lacks is an error; an empty slice checks no fields. Unknown variables are errors always. Pictures are
    /// taken from `files`. A campaign without a mail gives `None` and no findings.
    pub fn compile(
        campaign: &Campaign,
        sender: &Sender,
        topic: &Topic,
        schemas: &[Arc<Schema>],
        files: &dyn Files,
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
        for subject in message.subjects() {
            found.extend(check(subject, &vocabulary));
            found.extend(check_subject(subject));
        }
        for body in message.bodies() {
            found.extend(check(&body.template, &vocabulary));
        }
        if found.has_errors() {
            return (None, found);
        }
        let making = Making {
            message,
            subject: &message.subject,
            body: &message.body,
            language: message.language.as_ref(),
            marketing: campaign.purpose == Purpose::Marketing,
            sender,
            files,
        };
        match Self::build(campaign, &making, topic, &mut found) {
            Some(template) => (Some(template), found),
            None => (None, found),
        }
    }

    fn build(
        campaign: &Campaign,
        making: &Making<'_>,
        topic: &Topic,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let base = Version::build(campaign, making, topic, found);
        let mut translations = translations(campaign, making, topic, found);
        let sender = making.sender;
        let envelope_from = sender.envelope_from.with_ascii_domain().map_err(|words| {
            Diagnostic::error("email", making.body.template.place().clone(), words)
        });
        let (base, envelope_from) = match (base, envelope_from) {
            (Ok(base), Ok(envelope_from)) => (base, envelope_from),
            (Err(error), _) | (_, Err(error)) => {
                found.push(error);
                return None;
            }
        };
        if found.has_errors() {
            return None;
        }
        share_files(&base, &mut translations);
        let mut needs = base.needs.clone();
        for translation in &translations {
            needs.merge(&translation.needs);
        }
        needs.locale = !translations.is_empty();
        let links = Shown {
            view: needs.variables.contains("view_url"),
            preferences: needs.variables.contains("preferences_url"),
        };
        needs.variables.retain(|name| {
            campaign
                .variables
                .iter()
                .any(|variable| variable.name == *name)
        });
        Some(Self {
            base,
            translations,
            needs,
            links,
            fixed: Arc::new(Fixed::new(campaign, sender, topic)),
            envelope_from,
            marketing: making.marketing,
            longest: AtomicUsize::new(4096),
        })
    }

    /// What the templates read: nothing else needs to be frozen with a delivery.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whether it links to itself in a browser.
    pub fn shows_view(&self) -> bool {
        self.links.view
    }

    /// Whether it links to the recipient's topics.
    pub fn shows_preferences(&self) -> bool {
        self.links.preferences
    }

    /// Whether there are translations.
    pub fn is_translated(&self) -> bool {
        !self.translations.is_empty()
    }

    /// The message for one recipient, for a transport. Fails where a template does: the recipient is then skipped as
    /// `render_error`.
    pub fn render(&self, facts: &EmailFacts<'_>) -> Result<OutgoingEmail, RenderError> {
        let version = self.version(facts);
        let refused = |message: String| RenderError {
            message,
            place: version.body_place.clone(),
        };
        if self.marketing && facts.unsubscribe_url.is_none() {
            return Err(refused(
                "marketing mail needs an unsubscribe link, and there is none".to_owned(),
            ));
        }
        let to = facts.to.with_ascii_domain().map_err(refused)?;
        let context = context::context(&self.fixed, facts);
        let room = self.longest.load(Ordering::Relaxed);
        let mut bytes = Vec::with_capacity(room + room / 8);
        version.render(facts, &to, &context, &mut bytes)?;
        self.longest
            .fetch_max(bytes.len().min(1 << 20), Ordering::Relaxed);
        Ok(OutgoingEmail {
            from: self.envelope_from.clone(),
            to,
            message_id: facts.message_id.to_owned(),
            bytes,
            shared: version.shared.clone(),
        })
    }

    /// The message for one recipient, with what people want to see of it.
    pub fn preview(&self, facts: &EmailFacts<'_>) -> Result<RenderedEmail, RenderError> {
        let outgoing = self.render(facts)?;
        let context = context::context(&self.fixed, facts);
        let version = self.version(facts);
        Ok(RenderedEmail {
            outgoing,
            subject: version.subject(&context)?,
            text: version.plain_text(&context)?,
            html: version.page(&context)?,
            locale: version.locale.clone(),
        })
    }

    /// The message for one recipient, as a browser shows it.
    pub fn page(&self, facts: &EmailFacts<'_>) -> Result<WebPage, RenderError> {
        let context = context::context(&self.fixed, facts);
        let version = self.version(facts);
        Ok(WebPage {
            subject: version.subject(&context)?,
            text: version.plain_text(&context)?,
            html: version.page(&context)?,
        })
    }

    /// The version that a recipient gets.
    fn version(&self, facts: &EmailFacts<'_>) -> &Version {
        if self.translations.is_empty() {
            return &self.base;
        }
        let names = facts.layout.names().iter();
        let value = names
            .zip(facts.values)
            .find(|(name, _)| *name == payload::LOCALE)
            .map(|(_, value)| value);
        let Some(Value::Text(text)) = value else {
            return &self.base;
        };
        let locales = self
            .translations
            .iter()
            .filter_map(|version| version.locale.as_ref());
        match Locale::closest(text, &locales) {
            Some(at) => &self.translations[at],
            None => &self.base,
        }
    }
}

/// The translations. What a locale has no subject or body for is that of the next wider one, in the end what was written first.
fn translations(
    campaign: &Campaign,
    making: &Making<'_>,
    topic: &Topic,
    found: &mut Diagnostics,
) -> Vec<Version> {
    let message: &EmailMessage = making.message;
    let mut versions = Vec::with_capacity(message.translations.len());
    for translation in &message.translations {
        let wider = || {
            let locales: Vec<_> = translation.locale.and_wider().collect();
            locales.into_iter().filter_map(|locale| {
                let mut all = message.translations.iter();
                all.find(|other| other.locale == locale)
            })
        };
        let making = Making {
            subject: wider()
                .find_map(|other| other.subject.as_ref())
                .unwrap_or(&message.subject),
            body: wider()
                .find_map(|other| other.body.as_ref())
                .unwrap_or(&message.body),
            language: Some(&translation.locale),
            ..*making
        };
        let mut findings = Diagnostics::new();
        let built = Version::build(campaign, &making, topic, &mut findings);
        // What a translation shares with others was found there.
        for finding in findings {
            if found.iter().all(|known| *known != finding) {
                found.push(finding);
            }
        }
        match built {
            Ok(mut version) => {
                version.locale = Some(translation.locale.clone());
                versions.push(version);
            }
            Err(error) => found.push(error),
        }
    }
    versions
}

/// Attachments are the same in all versions, and kept once.
fn share_files(base: &Version, translations: &mut [Version]) {
    for block in translations
        .iter_mut()
        .flat_map(|version| &mut version.shared)
    {
        if let Some(same) = base.shared.iter().find(|known| *known == block) {
            *block = Arc::clone(same);
        }
    }
}
