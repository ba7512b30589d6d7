//! What the pages ask of an engine: two small traits, so that the pages can be tried without one.

use async_trait::async_trait;

use crate::{
    control::{Refused, StatusReport},
    engine::{Engine, OptOut},
    message::links::Claim,
    model::Topic,
};

/// What the public pages ask.
#[async_trait]
pub(super) trait WayOut: Send + Sync + 'static {
    /// What a token says, if it is one of ours.
    fn claim(&self, token: &str) -> Option<Claim>;
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
}

#[async_trait]
impl WayOut for Engine {
    fn claim(&self, token: &str) -> Option<Claim> {
        self.claim(token)
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
