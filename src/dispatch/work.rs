//! What the messages of one run are made with: its pinned campaign, the layout of its payloads, its links.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::Guard;
use crate::{
    message::{
        self, EmailFacts,
        dkim::{self, Signing},
        links::{Claim, LinkKind, Links},
        payload::{self, Layout},
    },
    model::{Channel, EmailAddress, Outgoing, Purpose, Run},
    store::Claimed,
    workspace::Loaded,
};

/// A run, ready to have its messages made.
pub struct RunWork {
    /// The run.
    pub run: Run,
    /// The files it is pinned to, compiled.
    pub loaded: Arc<Loaded>,
    /// The names of the values in its payloads.
    pub layout: Layout,
    /// Makes the links in its messages, with the secrets that are in force when each is made.
    pub links: Arc<ArcSwap<Links>>,
    /// The keys that sign its messages: those in force when each is made.
    pub signing: Arc<ArcSwap<Signing>>,
    /// Says where a message may go, and where it really goes, when it is made and again when it leaves.
    pub guard: Arc<ArcSwap<Guard>>,
    /// The second way in List-Unsubscribe.
    pub unsubscribe_mailto: Option<EmailAddress>,
    /// Recipients whose script or template failed so far.
    pub errors: AtomicU64,
}

impl RunWork {
    /// Counts a recipient whose message could not be made; gives how many there are now.
    pub(super) fn count_error(&self) -> u64 {
        self.errors.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The message of one delivery. The error says where the template failed.
    pub fn render(
        &self,
        claimed: &Claimed,
        channel: Channel,
        now: DateTime<Utc>,
        guard: &Guard,
    ) -> Result<Outgoing, String> {
        debug_assert_eq!(
            channel,
            Channel::Email,
            "campaigns have no other message yet"
        );
        let template = self
            .loaded
            .email
            .as_ref()
            .ok_or("the campaign has no mail")?;
        let own: EmailAddress = claimed.address.parse()?;
        let (to, redirected_from) = guard.really_to(&own);
        let values = payload::decode(&claimed.payload)?;
        let links = self.links.load();
        let claim = Claim {
            delivery: claimed.id,
            address: claimed.address_hash,
            recipient: claimed.recipient,
            topic: self.run.topic.clone(),
        };
        let link = |kind, shown: bool| shown.then(|| links.url(kind, &claim));
        let is_marketing = self.run.purpose == Purpose::Marketing;
        let unsubscribe_url = link(LinkKind::Unsubscribe, is_marketing);
        let view_url = link(LinkKind::View, template.shows_view());
        let preferences_url = link(LinkKind::Preferences, template.shows_preferences());
        let facts = EmailFacts {
            to,
            redirected_from,
            layout: &self.layout,
            values: &values,
            occurrence: &self.run.occurrence,
            now: self.run.due,
            zone: &self.loaded.zone,
            date: now,
            message_id: &self.message_id(claimed, channel),
            unsubscribe_url: unsubscribe_url.as_deref(),
            unsubscribe_mailto: self.unsubscribe_mailto.as_ref(),
            view_url: view_url.as_deref(),
            preferences_url: preferences_url.as_deref(),
        };
        let mut mail = template.render(&facts).map_err(|error| error.to_string())?;
        let signing = self.signing.load();
        let signers = signing.of(&self.loaded.sender.id);
        mail.bytes = dkim::sign(mail.bytes, &mail.shared, signers, now)?;
        Ok(Outgoing::Email(mail))
    }

    /// The Message-ID of a delivery: the same whenever it is tried again.
    pub fn message_id(&self, claimed: &Claimed, channel: Channel) -> String {
        let run = &self.run;
        message::message_id(
            &[
                run.campaign.as_str().as_bytes(),
                run.occurrence.as_str().as_bytes(),
                &claimed.recipient.0,
                channel.as_str().as_bytes(),
            ],
            self.loaded.sender.from.address.domain(),
        )
    }
}
