//! `[safety]` at the last moment: the live settings say where a message may go and where it really goes.

use crate::model::{AddressHash, Channel, EmailAddress, Identity, Safety};

/// The settings' `[safety]` in force. Another value is another guard: what was made under an old one is made again.
#[derive(Debug)]
pub struct Guard {
    safety: Safety,
    /// The hash of the address everything goes to.
    redirect: Option<AddressHash>,
}

impl Guard {
    /// Keeps what `safety` says.
    pub fn new(safety: Safety, identity: &Identity) -> Self {
        let redirect = safety
            .redirect_to
            .as_ref()
            .map(|to| identity.address(Channel::Email, &to.normalized()));
        Self { safety, redirect }
    }

    /// Whether it keeps the same as other settings would.
    pub fn is_for(&self, safety: &Safety) -> bool {
        self.safety == *safety
    }

    /// Whether a message to an address may leave.
    pub(super) fn allows(&self, channel: Channel, address: &str) -> bool {
        let normalized = match channel {
            Channel::Email => match address.parse::<EmailAddress>() {
                Ok(address) => address.normalized(),
                // It goes nowhere, whatever is allowed.
                Err(_) => return true,
            },
            Channel::Sms | Channel::Letter => address.to_owned(),
        };
        self.safety.allows(channel, &normalized)
    }

    /// Where a message to somebody really goes, and whom it was for where that is somebody else.
    pub(super) fn really_to<'a>(
        &'a self,
        to: &'a EmailAddress,
    ) -> (&'a EmailAddress, Option<&'a EmailAddress>) {
        match &self.safety.redirect_to {
            Some(instead) => (instead, Some(to)),
            None => (to, None),
        }
    }

    /// The hash of where a message to `own` really goes.
    pub(super) fn hash(&self, own: AddressHash) -> AddressHash {
        self.redirect.unwrap_or(own)
    }

    /// Whether messages go to somebody else than they are for.
    pub(super) fn redirects(&self) -> bool {
        self.redirect.is_some()
    }
}
