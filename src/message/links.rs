//! Signed links: tokens that say who wants out of what, or which message somebody wants to see. They reveal no address, do not
//! expire, and survive secret rotation.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

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

/// What a link leads to. A token of one kind is none of another: who was forwarded a way out can't read the message by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// The way out of a topic.
    Unsubscribe,
    /// The message in a browser.
    View,
    /// The topics, on and off.
    Preferences,
}

impl LinkKind {
    /// The first byte of every token: what it is for, and the form of what follows.
    fn version(self) -> u8 {
        match self {
            Self::Unsubscribe => 1,
            Self::View => 2,
            Self::Preferences => 3,
        }
    }

    /// What stands before the token in the path.
    fn letter(self) -> char {
        match self {
            Self::Unsubscribe => 'u',
            Self::View => 'v',
            Self::Preferences => 'p',
        }
    }
}

/// Version, delivery, address and recipient; the topic's name stands behind them.
const FIXED: usize = 1 + 8 + 16 + 16;
/// Half of an HMAC-SHA256, which is as much as RFC 2104 §5 asks for.
const SIGNATURE: usize = 16;
/// The longest token: a topic's name has at most 200 bytes.
const MAX_TOKEN: usize = (FIXED + 200 + SIGNATURE).div_ceil(3) * 4;
/// What keys for links are derived under (BLAKE3 key derivation), so that a secret that is used elsewhere too is another
/// key there.
const CONTEXT: &str = "campanile 2026 signed unsubscribe links";

/// Makes and checks links. Cloning is cheap.
#[derive(Clone)]
pub struct Links {
    keys: Arc<[Hmac<Sha256>]>,
    public_url: Arc<str>,
}

impl Links {
    /// The first secret signs, all verify. `public_url` has no slash at its end.
    ///
    /// # Panics
    /// Without any secret: links that nobody can verify are worse than none.
    pub fn new(secrets: &[Vec<u8>], public_url: &str) -> Self {
        assert!(!secrets.is_empty(), "signing links takes a secret");
        let key = |secret: &Vec<u8>| {
            let derived = blake3::derive_key(CONTEXT, secret);
            Hmac::new_from_slice(&derived).expect("HMAC takes keys of any length")
        };
        Self {
            keys: secrets.iter().map(key).collect(),
            public_url: public_url.trim_end_matches('/').into(),
        }
    }

    /// `https://…/u/TOKEN`.
    pub fn unsubscribe_url(&self, claim: &Claim) -> String {
        self.url(LinkKind::Unsubscribe, claim)
    }

    /// `https://…/LETTER/TOKEN`.
    pub fn url(&self, kind: LinkKind, claim: &Claim) -> String {
        let topic = claim.topic.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(FIXED + topic.len() + SIGNATURE);
        bytes.push(kind.version());
        bytes.extend_from_slice(&claim.delivery.0.to_be_bytes());
        bytes.extend_from_slice(&claim.address.0);
        bytes.extend_from_slice(&claim.recipient.0);
        bytes.extend_from_slice(topic);
        let signature = self.keys[0].clone().chain_update(&bytes).finalize();
        bytes.extend_from_slice(&signature.into_bytes()[..SIGNATURE]);
        let mut url = format!("{}/{}/", self.public_url, kind.letter());
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut url);
        url
    }

    /// What a token says, if it is of this kind and one of the secrets signed it.
    pub fn verify(&self, kind: LinkKind, token: &str) -> Option<Claim> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (said, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        let signed = |key: &Hmac<Sha256>| {
            let mac = key.clone().chain_update(said);
            mac.verify_truncated_left(signature).is_ok()
        };
        if !self.keys.iter().any(signed) {
            return None;
        }
        let (version, rest) = said.split_first()?;
        let (delivery, rest) = rest.split_first_chunk()?;
        let (address, rest) = rest.split_first_chunk()?;
        let (recipient, topic) = rest.split_first_chunk()?;
        (*version == kind.version()).then_some(Claim {
            delivery: DeliveryId(i64::from_be_bytes(*delivery)),
            address: AddressHash(*address),
            recipient: RecipientHash(*recipient),
            topic: std::str::from_utf8(topic).ok()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(topic: &str) -> Claim {
        Claim {
            delivery: DeliveryId::new(crate::model::RunId(7), 12),
            address: AddressHash([1; 16]),
            recipient: RecipientHash([254; 16]),
            topic: topic.parse().unwrap(),
        }
    }

    fn token(links: &Links, claim: &Claim) -> String {
        let url = links.unsubscribe_url(claim);
        url.strip_prefix("https://news.example/u/")
            .unwrap()
            .to_owned()
    }

    #[test]
    fn what_was_signed_is_verified_and_survives_rotation() {
        let old = Links::new(&[b"old".to_vec()], "https://news.example/");
        let new = Links::new(&[b"new".to_vec(), b"old".to_vec()], "https://news.example");
        let claim = claim("offers");
        assert_eq!(
            new.verify(LinkKind::Unsubscribe, &token(&old, &claim)),
            Some(claim.clone())
        );
        assert_eq!(
            new.verify(LinkKind::Unsubscribe, &token(&new, &claim)),
            Some(claim.clone())
        );
        assert_eq!(
            old.verify(LinkKind::Unsubscribe, &token(&new, &claim)),
            None
        );
    }

    #[test]
    fn a_token_of_one_kind_is_none_of_another() {
        let links = Links::new(&[b"s".to_vec()], "https://news.example");
        let kinds = [LinkKind::Unsubscribe, LinkKind::View, LinkKind::Preferences];
        for kind in kinds {
            let url = links.url(kind, &claim("offers"));
            let (_, token) = url.rsplit_once('/').unwrap();
            let good = kinds.map(|other| links.verify(other, token).is_some());
            assert_eq!(good, kinds.map(|other| other == kind), "{url}");
        }
    }

    #[test]
    fn the_longest_topic_fits() {
        let links = Links::new(&[b"s".to_vec()], "https://news.example");
        let claim = claim(&"x".repeat(200));
        let token = token(&links, &claim);
        assert!(token.len() <= MAX_TOKEN);
        assert_eq!(links.verify(LinkKind::Unsubscribe, &token), Some(claim));
    }

    #[test]
    fn a_changed_character_is_noticed() {
        let links = Links::new(&[b"s".to_vec()], "https://news.example");
        let token = token(&links, &claim("offers"));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                links.verify(
                    LinkKind::Unsubscribe,
                    std::str::from_utf8(&changed).unwrap()
                ),
                None,
                "{at}"
            );
        }
        assert_eq!(
            links.verify(LinkKind::Unsubscribe, &token[..token.len() - 1]),
            None
        );
        assert_eq!(
            links.verify(LinkKind::Unsubscribe, &format!("{token}=")),
            None
        );
    }

    proptest! {
        #[test]
        fn a_strangers_token_is_refused(token in "\\PC{0,500}", noise in prop::collection::vec(any::<u8>(), 0..400)) {
            let links = Links::new(&[b"s".to_vec(), b"t".to_vec()], "https://news.example");
            prop_assert_eq!(links.verify(LinkKind::Unsubscribe, &token), None);
            prop_assert_eq!(links.verify(LinkKind::Unsubscribe, &URL_SAFE_NO_PAD.encode(&noise)), None);
        }
    }
}
