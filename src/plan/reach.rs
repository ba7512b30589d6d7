//! By which channels a recipient can be reached, and at which addresses.

use super::suppressed::Stop;
use crate::model::{Channel, EmailAddress, Reach, ReachMode, Recipient, SkipReason};

/// One channel of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The channel.
    pub channel: Channel,
    /// The address on it.
    pub address: Result<Address, Unreachable>,
}

/// An address that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What messages are sent to.
    pub text: String,
    /// What all spellings of it share.
    pub normalized: String,
}

/// Why a recipient can't be reached on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// There is no address.
    NoAddress,
    /// There is one, but it is not valid.
    Invalid {
        /// As the source has it.
        written: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is a good one, and a rule of the whole workspace is against writing to it.
    Barred {
        /// The address.
        address: Address,
        /// [`SkipReason::Safety`] or [`SkipReason::Policy`].
        reason: SkipReason,
        /// Why, where the rule says it.
        why: Option<String>,
    },
}

impl Way {
    /// The address, also where it is barred.
    pub fn address_written(&self) -> Option<&Address> {
        match &self.address {
            Ok(address) | Err(Unreachable::Barred { address, .. }) => Some(address),
            Err(Unreachable::NoAddress | Unreachable::Invalid { .. }) => None,
        }
    }

    /// Whether a rule of the whole workspace is against it.
    pub fn is_barred(&self) -> bool {
        matches!(self.address, Err(Unreachable::Barred { .. }))
    }
}

/// The address of a recipient on a channel.
pub(super) fn address(recipient: &Recipient, channel: Channel) -> Result<Address, Unreachable> {
    match channel {
        Channel::Email => {
            let written = recipient
                .role(|roles| &roles.email)
                .ok_or(Unreachable::NoAddress)?;
            match written.parse::<EmailAddress>() {
                Ok(address) => Ok(Address {
                    text: address.as_str().to_owned(),
                    normalized: address.normalized(),
                }),
                Err(words) => Err(Unreachable::Invalid {
                    // The address stands beside the reason; in it, it would outlive being erased.
                    why: words
                        .rsplit_once(" is not an email address: ")
                        .map_or_else(|| words.clone(), |(_, why)| why.to_owned()),
                    written,
                }),
            }
        }
        // Campaigns can't have these channels yet: the workspace refuses `[sms]` and `[letter]`.
        Channel::Sms | Channel::Letter => Err(Unreachable::NoAddress),
    }
}

/// The ways that a campaign takes to a recipient: at least one, be it that it leads nowhere. `bar` is shown each valid address,
/// taken or not, and says what is against it, if anything: such a way leads nowhere, and the next in the order is tried.
pub(super) fn ways(
    recipient: &Recipient,
    reach: &Reach,
    mut bar: impl FnMut(Channel, &Address) -> Option<Stop>,
) -> Vec<Way> {
    let mut all: Vec<Way> = Vec::with_capacity(reach.order.len());
    for channel in &reach.order {
        let address =
            address(recipient, *channel).and_then(|address| match bar(*channel, &address) {
                None => Ok(address),
                Some((reason, why)) => Err(Unreachable::Barred {
                    address,
                    reason,
                    why,
                }),
            });
        all.push(Way {
            channel: *channel,
            address,
        });
    }
    let chosen = match reach.mode {
        ReachMode::All => {
            let none = |way: &Way| way.address == Err(Unreachable::NoAddress);
            if !all.iter().all(none) {
                all.retain(|way| !none(way));
                return all;
            }
            None
        }
        ReachMode::Preferred => preferred(recipient)
            .and_then(|channel| {
                all.iter()
                    .position(|way| way.channel == channel && way.address.is_ok())
            })
            .or_else(|| first(&all)),
        ReachMode::First => first(&all),
    };
    if all.is_empty() {
        return vec![Way {
            channel: first_channel(reach),
            address: Err(Unreachable::NoAddress),
        }];
    }
    vec![all.swap_remove(chosen.unwrap_or(0))]
}

/// The channel that stands for the campaign where no way is taken.
pub(super) fn first_channel(reach: &Reach) -> Channel {
    reach.order.first().copied().unwrap_or(Channel::Email)
}

/// The first way that leads somewhere; else the first that is barred; else the first whose address is wrong.
fn first(all: &[Way]) -> Option<usize> {
    let wrong = |way: &Way| matches!(way.address, Err(Unreachable::Invalid { .. }));
    all.iter()
        .position(|way| way.address.is_ok())
        .or_else(|| all.iter().position(Way::is_barred))
        .or_else(|| all.iter().position(wrong))
}

fn preferred(recipient: &Recipient) -> Option<Channel> {
    recipient
        .role(|roles| &roles.preferred_channel)?
        .to_lowercase()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{FieldType, Roles, Schema, Value};

    fn ways_of(email: &str, order: &[Channel], mode: ReachMode) -> (Vec<Way>, Vec<Channel>) {
        let recipient = Recipient {
            source: "people".parse().unwrap(),
            schema: Arc::new(Schema {
                columns: vec![("mail".to_owned(), FieldType::String)],
                roles: Roles {
                    email: Some("mail".to_owned()),
                    ..Roles::default()
                },
            }),
            key: "A".to_owned(),
            values: vec![Value::from(email)],
        };
        let reach = Reach {
            order: order.to_vec(),
            mode,
        };
        let mut reachable = Vec::new();
        let ways = ways(&recipient, &reach, |channel, _| {
            reachable.push(channel);
            None
        });
        (ways, reachable)
    }

    #[test]
    fn the_first_channel_with_an_address_is_taken() {
        for mode in [ReachMode::First, ReachMode::Preferred, ReachMode::All] {
            let order = [Channel::Sms, Channel::Email];
            let (ways, reachable) = ways_of(" Ada@Example.ORG ", &order, mode);
            assert_eq!(ways.len(), 1);
            assert_eq!(ways[0].channel, Channel::Email);
            let address = ways[0].address.clone().unwrap();
            assert_eq!(address.text, "Ada@example.org");
            assert_eq!(address.normalized, "ada@example.org");
            assert_eq!(reachable, [Channel::Email]);
        }
    }

    #[test]
    fn no_address_and_a_wrong_one_are_told_apart() {
        for mode in [ReachMode::First, ReachMode::Preferred, ReachMode::All] {
            let order = [Channel::Sms, Channel::Email];
            let (ways, reachable) = ways_of("  ", &order, mode);
            assert_eq!(ways.len(), 1);
            assert_eq!(ways[0].channel, Channel::Sms, "the first of the order");
            assert_eq!(ways[0].address, Err(Unreachable::NoAddress));
            assert!(reachable.is_empty());

            let (ways, reachable) = ways_of("ada.example.org", &order, mode);
            assert_eq!(ways.len(), 1);
            assert_eq!(ways[0].channel, Channel::Email, "what is wrong is said");
            let invalid = Unreachable::Invalid {
                written: "ada.example.org".to_owned(),
                why: "it has no @".to_owned(),
            };
            assert_eq!(ways[0].address, Err(invalid));
            assert!(reachable.is_empty());
        }
        let (ways, _) = ways_of("ada@example.org", &[], ReachMode::First);
        assert_eq!(ways[0].address, Err(Unreachable::NoAddress));
    }
}
