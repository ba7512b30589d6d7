//! A record of the sorters: one delivery that may come to be, and what is known of it so far.

use std::io;

use serde::{Deserialize, Serialize};

use crate::model::{AddressHash, Channel, SkipReason, Value};

/// What records are sorted by: the recipient's hash, then where the row stood in the sources, then the channel.
pub(super) const KEY: usize = 24;

/// Where a row stood in the sources, and a channel of it: the order in which the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order(u64);

impl Order {
    /// The `position`th row of all sources, from 0.
    pub(super) fn new(position: u64, channel: Channel) -> Self {
        Self(position << 2 | u64::from(channel.index()))
    }

    /// The row.
    pub(super) fn position(self) -> u64 {
        self.0 >> 2
    }
}

/// A hash and an order as a key: the bytes sort as the pair does.
pub(super) fn key(hash: [u8; 16], order: Order) -> [u8; KEY] {
    let mut key = [0; KEY];
    key[..16].copy_from_slice(&hash);
    key[16..].copy_from_slice(&order.0.to_be_bytes());
    key
}

/// The parts of a [`key`].
pub(super) fn parts(key: &[u8; KEY]) -> ([u8; 16], Order) {
    let (mut hash, mut order) = ([0; 16], [0; 8]);
    hash.copy_from_slice(&key[..16]);
    order.copy_from_slice(&key[16..]);
    (hash, Order(u64::from_be_bytes(order)))
}

/// One delivery that may come to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Candidate<'a> {
    /// Its head.
    pub(super) head: Head<'a>,
    /// What the message needs.
    pub(super) payload: &'a [u8],
    /// Variables that only the sample shows.
    pub(super) carried: &'a [u8],
}

/// What is known of every candidate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head<'a> {
    /// Which of the campaign's sources it comes from.
    pub(super) source: u32,
    /// Its key there.
    pub(super) key: &'a str,
    /// How it goes.
    pub(super) channel: Channel,
    /// The number of its zone, where zones count.
    pub(super) zone: u16,
    /// Where it goes, or would.
    pub(super) address: &'a str,
    /// The hash of that, where it is valid.
    pub(super) address_hash: Option<AddressHash>,
    /// What the plan's digest has of it; zero where it is not sent.
    pub(super) digest: [u8; 32],
    /// Why it is not sent, as far as its row alone tells.
    #[serde(borrow)]
    pub(super) skip: Option<(SkipReason, Option<&'a str>)>,
}

impl Default for Head<'_> {
    fn default() -> Self {
        Self {
            source: 0,
            key: "",
            channel: Channel::Email,
            zone: 0,
            address: "",
            address_hash: None,
            digest: [0; 32],
            skip: None,
        }
    }
}

impl<'a> Candidate<'a> {
    /// One that is not sent: it needs nothing.
    pub(super) fn bare(head: Head<'a>) -> Self {
        Self {
            head,
            payload: &[],
            carried: &[],
        }
    }

    /// Appends it to `bytes`.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let head = (&self.head, self.payload.len() as u32);
        *bytes = postcard::to_extend(&head, std::mem::take(bytes))
            .expect("a head has no type postcard refuses");
        bytes.extend_from_slice(self.payload);
        bytes.extend_from_slice(self.carried);
    }

    /// Reads it again.
    pub(super) fn decode(bytes: &'a [u8]) -> io::Result<Self> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "one of them is damaged");
        let ((head, length), rest): ((Head<'a>, u32), _) =
            postcard::take_from_bytes(bytes).map_err(|_| damaged())?;
        let (payload, carried) = rest.split_at_checked(length as usize).ok_or_else(damaged)?;
        Ok(Self {
            head,
            payload,
            carried,
        })
    }
}

/// Values as a record carries them.
pub(super) fn encode_values(values: &[&Value]) -> Vec<u8> {
    postcard::to_allocvec(values).expect("values have no type postcard refuses")
}

/// Carried values, read again.
pub(super) fn decode_values(bytes: &[u8]) -> io::Result<Vec<Value>> {
    postcard::from_bytes(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "one of them is damaged"))
}

/// Keys and candidates on their way to a sorter, in one piece of memory.
#[derive(Default)]
pub(super) struct Pile {
    keys: Vec<([u8; KEY], usize)>,
    bytes: Vec<u8>,
}

impl Pile {
    /// Adds one.
    pub(super) fn push(&mut self, key: [u8; KEY], candidate: &Candidate<'_>) {
        candidate.encode(&mut self.bytes);
        self.keys.push((key, self.bytes.len()));
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = ([u8; KEY], &[u8])> {
        let mut start = 0;
        self.keys.iter().map(move |(key, end)| {
            let body = &self.bytes[start..*end];
            start = *end;
            (*key, body)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_candidate_is_read_as_it_was_written() {
        let mut pile = Pile::default();
        let candidate = Candidate {
            head: Head {
                source: 3,
                key: "Äda",
                channel: Channel::Letter,
                zone: 300,
                address: "a@b.de",
                address_hash: Some(AddressHash([9; 16])),
                digest: [1; 32],
                skip: Some((SkipReason::ScriptError, Some("words"))),
            },
            payload: &[1, 2, 3],
            carried: &[4, 5],
        };
        pile.push([0; KEY], &candidate);
        pile.push([1; KEY], &Candidate::default());
        let read: Vec<_> = pile
            .iter()
            .map(|(key, body)| (key[0], Candidate::decode(body).unwrap()))
            .collect();
        assert_eq!(read[0].1.head.key, "Äda");
        assert_eq!(read[0].1.head.skip, candidate.head.skip);
        assert_eq!(read[0].1.payload, [1, 2, 3]);
        assert_eq!(read[0].1.carried, [4, 5]);
        assert_eq!(read[1], (1, Candidate::default()));
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Candidate::decode(&bytes);
            let _ = decode_values(&bytes);
        }

        #[test]
        fn keys_sort_as_what_they_are_made_of(
            a in any::<([u8; 16], u32)>(), b in any::<([u8; 16], u32)>(),
        ) {
            let pair = |(hash, position): ([u8; 16], u32)| (hash, Order::new(u64::from(position), Channel::Sms));
            let (a, b) = (pair(a), pair(b));
            prop_assert_eq!(key(a.0, a.1).cmp(&key(b.0, b.1)), a.cmp(&b));
            prop_assert_eq!(parts(&key(a.0, a.1)), a);
        }
    }
}
