//! Keyed 128-bit hashes that stand for a recipient or an address: they outlive the person's data and say nothing about it
//! to whoever lacks the store's key.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Channel, SourceName};

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }
    )*};
}

hashes! {
    /// Stands for a recipient: source and key.
    RecipientHash;
    /// Stands for an address on a channel.
    AddressHash;
}

/// Makes the hashes of one store (BLAKE3, keyed).
#[derive(Clone)]
pub struct Identity([u8; 32]);

impl Identity {
    /// `key` is made at a store's first start and kept in it.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The hash of a recipient.
    pub fn recipient(&self, source: &SourceName, key: &str) -> RecipientHash {
        RecipientHash(self.hash(b'r', source.as_str(), key))
    }

    /// The hash of an address, as [`EmailAddress::normalized`](super::EmailAddress::normalized) or E.164 gives it.
    pub fn address(&self, channel: Channel, normalized: &str) -> AddressHash {
        AddressHash(self.hash(b'a', channel.as_str(), normalized))
    }

    fn hash(&self, domain: u8, scope: &str, text: &str) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher
            .update(&[domain])
            .update(&(scope.len() as u64).to_le_bytes())
            .update(scope.as_bytes());
        hasher.update(text.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }
}
