//! Signed links: tokens that say who wants out of what, reveal no address, do not expire, and survive secret rotation.

use crate::model::{AddressHash, DeliveryId, RecipientHash, TopicName};

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The delivery the link was in; zero for a test message.
    pub delivery: DeliveryId,
    /// The address it went to.
    pub address: AddressHash,
    /// The recipient it was for.
    pub recipient: RecipientHash,
    /// The topic of its campaign.
    pub topic: TopicName,
}

/// Makes and checks links.
#[derive(Clone)]
pub struct Links {}

impl Links {
    /// The first secret signs, all verify. `public_url` has no slash at its end.
    pub fn new(secrets: &[Vec<u8>], public_url: &str) -> Self {
        let _ = (secrets, public_url);
        todo!()
    }

    /// `https://…/u/TOKEN`.
    pub fn unsubscribe_url(&self, claim: &Claim) -> String {
        let _ = claim;
        todo!()
    }

    /// What a token says, if one of the secrets signed it.
    pub fn verify(&self, token: &str) -> Option<Claim> {
        let _ = token;
        todo!()
    }
}
