//! What the pages ask of an engine: two small traits, so that the pages can be tried without one.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{
    control::{Refused, StatusReport},
    engine::{Engine, OptOut, Preferences},
    message::{
        WebPage,
        links::{Claim, LinkKind},
    },
    model::{Topic, TopicName},
};

/// What the public pages ask.
#[async_trait]
pub(super) trait WayOut: Send + Sync + 'static {
    /// What a token says, if it is one of ours and of this kind.
    fn claim(&self, kind: LinkKind, token: &str) -> Option<Claim>;
    /// The topic of a claim, where the settings still have it.
    fn topic(&self, claim: &Claim) -> Option<Topic>;
    /// Who wrote, as recipients know them.
    fn sender_name(&self, claim: &Claim) -> Option<String>;
    /// Whether the claim's recipient is out of the topic, and out of everything.
    async fn unsubscribed(&self, claim: &Claim) -> Result<(bool, bool), Refused>;
    /// Lets the recipient out.
    async fn unsubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused>;
    /// Takes that back.
    async fn resubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused>;
    /// What the claim's recipient wants to get.
    async fn preferences(&self, claim: &Claim) -> Result<Preferences, Refused>;
    /// Sets that: these topics and no others.
    async fn prefer(&self, claim: &Claim, wanted: &BTreeSet<TopicName>) -> Result<(), Refused>;
    /// The claim's message as a browser shows it, where it is still kept.
    async fn view(&self, claim: &Claim) -> Result<Option<WebPage>, Refused>;
}

#[async_trait]
impl WayOut for Engine {
    fn claim(&self, kind: LinkKind, token: &str) -> Option<Claim> {
        self.claim(kind, token)
    }

    fn topic(&self, claim: &Claim) -> Option<Topic> {
        self.topic(claim)
    }

    fn sender_name(&self, claim: &Claim) -> Option<String> {
        self.sender_name(claim)
    }

    async fn unsubscribed(&self, claim: &Claim) -> Result<(bool, bool), Refused> {
        self.unsubscribed(claim).await
    }

    async fn unsubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.unsubscribe(claim, scope).await
    }

    async fn resubscribe(&self, claim: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.resubscribe(claim, scope).await
    }

    async fn preferences(&self, claim: &Claim) -> Result<Preferences, Refused> {
        self.preferences(claim).await
    }

    async fn prefer(&self, claim: &Claim, wanted: &BTreeSet<TopicName>) -> Result<(), Refused> {
        self.prefer(claim, wanted).await
    }

    async fn view(&self, claim: &Claim) -> Result<Option<WebPage>, Refused> {
        self.view(claim).await
    }
}

/// What the private pages ask.
#[async_trait]
pub(super) trait Watched: Send + Sync + 'static {
    /// Everything at a glance.
    async fn status(&self) -> Result<StatusReport, Refused>;
    /// Whether runs can be planned and sent; else why not.
    async fn ready(&self) -> Result<(), String>;
}

#[async_trait]
impl Watched for Engine {
    async fn status(&self) -> Result<StatusReport, Refused> {
        self.status().await
    }

    async fn ready(&self) -> Result<(), String> {
        self.ready().await
    }
}
