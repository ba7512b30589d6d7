//! Messages to look at: previews, what a send would do, a message to oneself.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    control::{Preview, Refused, RefusedKind, SendOffer},
    message::{
        self, EmailFacts, EmailTemplate,
        links::{Claim, LinkKind},
        payload::LOCALE,
    },
    model::{
        AddressHash, CampaignId, Channel, DeliveryId, Diagnostic, EmailAddress, Locale, Occurrence,
        OccurrenceName, Outcomes, Outgoing, Permit, Purpose, RecipientHash,
    },
    plan::{self, Checked, Found},
    workspace::Loaded,
};

use super::{Engine, planning::sent_already};

impl Engine {
    /// The message of the first or the named recipient.
    pub(super) async fn preview(
        &self,
        id: &CampaignId,
        recipient: Option<&str>,
        locale: Option<&Locale>,
    ) -> Result<Preview, Refused> {
        let loaded = self.loaded(id)?;
        let is_translated = loaded
            .email
            .as_ref()
            .is_some_and(EmailTemplate::is_translated);
        if locale.is_some() && !is_translated {
            let words = format!("{id} is not translated: `--locale` makes no difference");
            return Err(Refused::new(RefusedKind::Usage, words));
        }
        let occurrence = self.next_occurrence(&loaded, self.clock.now()).await?;
        let one = self.one(&loaded, recipient).await?;
        let address = address(&one);
        let to = address.clone().unwrap_or_else(no_address);
        let rendered = self.render_one(&loaded, &one, &occurrence, &to, locale)?;
        Ok(Preview {
            locale: is_translated.then(|| {
                let translation = rendered.locale.as_ref();
                translation.map(ToString::to_string).unwrap_or_default()
            }),
            key: one.recipient.key.clone(),
            address: address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            way: self.way_in_words(&loaded),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            eml: rendered.outgoing.into_bytes(),
            variables: one
                .variables
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.to_string()))
                .collect(),
            not_sent: one.why_not(),
        })
    }

    /// What `send` would do.
    pub(super) async fn offer_send(
        &self,
        id: &CampaignId,
        label: OccurrenceName,
        unplanned: bool,
    ) -> Result<SendOffer, Refused> {
        let loaded = self.loaded(id)?;
        self.refuse_disabled(&loaded).await?;
        self.refuse_unusable_ways(&loaded)?;
        if let Some(run) = self.run_of_any(id, &label).await? {
            return Err(sent_already(&run));
        }
        let now = self.clock.now();
        let occurrence = Occurrence {
            name: label,
            due: now,
        };
        let (plan, subject) = if unplanned {
            let written = loaded.campaign.email.as_ref();
            let written = written.map(|email| email.subject.text().to_owned());
            (None, written)
        } else {
            let plan = self.look(&loaded, occurrence.clone(), 5).await?;
            let subject = self.first_subject(&loaded, &plan, &occurrence).await?;
            (Some(plan), subject)
        };
        Ok(SendOffer {
            campaign: id.clone(),
            label: occurrence.name,
            environment: self.environment.clone(),
            safety: self.settings().safety.clone(),
            plan,
            name: loaded.campaign.name.clone(),
            ways: BTreeMap::from([(Channel::Email, self.way_in_words(&loaded))]),
            sender: loaded.sender.from.to_string(),
            condition: loaded
                .campaign
                .audience
                .condition
                .as_ref()
                .map(|condition| condition.text().to_owned()),
            template: template_in_words(&loaded),
            subject,
            now: loaded.zone.at(now),
        })
    }

    /// A transport that can't be built (a secret is missing) is said before anything is begun.
    pub(super) fn refuse_unusable_ways(&self, loaded: &Loaded) -> Result<(), Refused> {
        let Some(email) = &loaded.campaign.email else {
            return Ok(());
        };
        match self.build_transport(&self.settings(), &email.via) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refused::new(
                RefusedKind::Failed,
                format!("transport {}: {error}", email.via),
            )),
        }
    }

    /// The subject of the first message of a sample that can be made.
    async fn first_subject(
        &self,
        loaded: &Arc<Loaded>,
        plan: &plan::Plan,
        occurrence: &Occurrence,
    ) -> Result<Option<String>, Refused> {
        for sample in &plan.sample {
            let one = self.one(loaded, Some(&sample.key)).await?;
            let to = address(&one).unwrap_or_else(no_address);
            if let Ok(rendered) = self.render_one(loaded, &one, occurrence, &to, None) {
                return Ok(Some(rendered.subject));
            }
        }
        Ok(None)
    }

    /// One message to an address of one's own. It stands in no ledger, and its links belong to nobody.
    pub(super) async fn test_send(
        &self,
        id: &CampaignId,
        to: &EmailAddress,
        recipient: Option<&str>,
    ) -> Result<String, Refused> {
        let loaded = self.loaded(id)?;
        let occurrence = Occurrence {
            name: super::planning::manual(),
            due: self.clock.now(),
        };
        let safety = self.settings().safety.clone();
        if !safety.allows(Channel::Email, &to.normalized()) {
            return Err(Refused::new(
                RefusedKind::Held,
                format!("nothing goes to {to}: [safety] only_to in the settings does not name it"),
            ));
        }
        let one = self.one(&loaded, recipient).await?;
        let mut outgoing = self
            .render_one(&loaded, &one, &occurrence, to, None)?
            .outgoing;
        let signing = super::loading::signing(&self.workspace, &self.settings())?;
        outgoing.bytes = message::dkim::sign(
            outgoing.bytes,
            &outgoing.shared,
            signing.of(&loaded.sender.id),
            self.clock.now(),
        )
        .map_err(|error| Refused::new(RefusedKind::Failed, error))?;
        let email = loaded.campaign.email.as_ref().ok_or_else(no_mail)?;
        let failed = |message: String| Refused::new(RefusedKind::Failed, message);
        let transport = self
            .build_transport(&self.settings(), &email.via)
            .map_err(failed)?;
        let mut lane = transport
            .open()
            .await
            .map_err(|error| failed(format!("{}: {error}", email.via)))?;
        let (outcomes, mut answers) = Outcomes::channel();
        let permit = Permit::issue(DeliveryId(0), 1, &outcomes);
        lane.send(&mut std::iter::once((permit, Outgoing::Email(outgoing))))
            .await;
        lane.close().await;
        let way = transport.describe();
        match answers.try_recv().map(|answered| answered.answer) {
            Ok(crate::model::Answer::Accepted { words }) => Ok(match &safety.redirect_to {
                None => format!(
                    "the message of {} went to {to} by {way} ({words})",
                    one.recipient.key
                ),
                Some(instead) => format!(
                    "the message of {} went to {instead} by {way} ({words}), not to {to}: [safety] redirect_to in the settings says so",
                    one.recipient.key
                ),
            }),
            Ok(
                crate::model::Answer::Refused { words, .. }
                | crate::model::Answer::NotStarted { words }
                | crate::model::Answer::Unknown { words },
            ) => Err(failed(format!("{way}: {words}"))),
            Err(_) => Err(failed(format!("{way} gave no answer"))),
        }
    }

    /// The first recipient that matches, or the named one.
    pub(super) async fn one(
        &self,
        loaded: &Arc<Loaded>,
        key: Option<&str>,
    ) -> Result<Checked, Refused> {
        let id = &loaded.campaign.id;
        let occurrence = self.next_occurrence(loaded, self.clock.now()).await?;
        let request = self.request(loaded, occurrence).await?;
        let usage = |message: String| Refused::new(RefusedKind::Usage, message);
        match key {
            Some(key) => match plan::check_one(&request, key).await? {
                Found::Recipient(checked) => Ok(*checked),
                Found::Invalid(row) => {
                    Err(Refused::new(RefusedKind::Failed, format!("{key}: {row}")))
                }
                Found::Nobody => Err(usage(format!(
                    "the source of {id} has no recipient with the key {key}"
                ))),
            },
            None => plan::first_matching(&request).await?.ok_or_else(|| {
                usage(format!(
                    "no recipient of {id} matches: `--recipient KEY` names one all the same"
                ))
            }),
        }
    }

    pub(super) fn render_one(
        &self,
        loaded: &Loaded,
        one: &Checked,
        occurrence: &Occurrence,
        to: &EmailAddress,
        locale: Option<&Locale>,
    ) -> Result<message::RenderedEmail, Refused> {
        let template = loaded.email.as_ref().ok_or_else(no_mail)?;
        self.rendered(loaded, template, one, occurrence, to, locale)
            .map_err(|error| Refused::new(RefusedKind::Failed, error.to_string()))
    }

    /// The message of one recipient, or what a script or a template says.
    pub(super) fn rendered(
        &self,
        loaded: &Loaded,
        template: &EmailTemplate,
        one: &Checked,
        occurrence: &Occurrence,
        to: &EmailAddress,
        locale: Option<&Locale>,
    ) -> Result<message::RenderedEmail, Diagnostic> {
        let variables = one.variables.as_ref().map_err(|error| {
            Diagnostic::error("script-error", error.place.clone(), error.message.as_str())
        })?;
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let layout = plan::layout(loaded, std::slice::from_ref(&one.recipient.schema));
        let mut values = layout.values(&one.recipient, &variables);
        if let Some(locale) = locale {
            for (name, value) in layout.names().iter().zip(&mut values) {
                if name == LOCALE {
                    *value = locale.as_str().into();
                }
            }
        }
        // A link of nobody: whoever clicks it in a preview unsubscribes no recipient.
        let claim = Claim {
            delivery: DeliveryId(0),
            address: AddressHash([0; 16]),
            recipient: RecipientHash([0; 16]),
            topic: loaded.topic.name.clone(),
        };
        let links = self.links.load();
        let link = |kind| links.url(kind, &claim);
        let url = link(LinkKind::Unsubscribe);
        let (view, preferences) = (link(LinkKind::View), link(LinkKind::Preferences));
        let settings = self.settings();
        let redirected = settings.safety.redirect_to.as_ref();
        let facts = EmailFacts {
            to: redirected.unwrap_or(to),
            redirected_from: redirected.map(|_| to),
            layout: &layout,
            values: &values,
            occurrence: &occurrence.name,
            now: occurrence.due,
            zone: &loaded.zone,
            date: self.clock.now(),
            message_id: &message::message_id(
                &[
                    b"test",
                    id_bytes(loaded),
                    &self.clock.now().timestamp_micros().to_be_bytes(),
                ],
                loaded.sender.from.address.domain(),
            ),
            unsubscribe_url: (loaded.campaign.purpose == Purpose::Marketing)
                .then_some(url.as_str()),
            unsubscribe_mailto: settings.web.unsubscribe_mailto.as_ref(),
            view_url: Some(&view),
            preferences_url: Some(&preferences),
        };
        template
            .preview(&facts)
            .map_err(|error| Diagnostic::error("render-error", error.place, error.message))
    }

    fn way_in_words(&self, loaded: &Loaded) -> String {
        let Some(email) = &loaded.campaign.email else {
            return "no mail".to_owned();
        };
        match self.build_transport(&self.settings(), &email.via) {
            Ok(transport) => format!("{} ({})", email.via, transport.describe()),
            Err(error) => format!("{}: {error}", email.via),
        }
    }
}

/// Where mail to a recipient goes, if it can.
pub(super) fn address(one: &Checked) -> Option<EmailAddress> {
    let email = one.ways.iter().find(|way| way.channel == Channel::Email)?;
    email.address_written()?.text.parse().ok()
}

fn id_bytes(loaded: &Loaded) -> &[u8] {
    loaded.campaign.id.as_str().as_bytes()
}

fn no_mail() -> Refused {
    Refused::new(RefusedKind::Usage, "the campaign has no [email]")
}

pub(super) fn no_address() -> EmailAddress {
    "nobody@recipient.invalid"
        .parse()
        .expect("the address is valid")
}

fn template_in_words(loaded: &Loaded) -> String {
    let Some(email) = &loaded.campaign.email else {
        return "none".to_owned();
    };
    let file = &email.body.template.place().file;
    if file.path() == loaded.campaign.file.path() {
        "inline".to_owned()
    } else {
        file.path().to_owned()
    }
}
