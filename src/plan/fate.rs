//! What became of every single row of the sources, for comparing two plans: sorted by recipient, in fixed memory.

use std::io;

use serde::{Deserialize, Serialize};

use crate::model::SkipReason;

use super::{
    merge::Records,
    spill::{Sorted, Sorter},
};

/// What became of one row, or of one delivery of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Fate {
    /// `keys` do not name it.
    NotAsked,
    /// The condition does not hold: which clause it is that does not.
    Clause(u32),
    /// A rule skipped it.
    Skipped(SkipReason),
    /// It is sent: a part of the delivery's digest.
    Sent([u8; 8]),
}

impl Fate {
    /// Of a delivery that is sent.
    pub(super) fn sent(digest: &[u8; 32]) -> Self {
        let mut part = [0; 8];
        part.copy_from_slice(&digest[..8]);
        Self::Sent(part)
    }

    /// What became of a recipient with two of them: whoever is sent anything is sent to.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Sent(mut one), Self::Sent(other)) => {
                for (a, b) in one.iter_mut().zip(other) {
                    *a ^= b.rotate_left(1);
                }
                Self::Sent(one)
            }
            // A second row does not hide what became of the first.
            (Self::Skipped(SkipReason::DuplicateKey), other) => other,
            (one, Self::Skipped(SkipReason::DuplicateKey)) => one,
            _ => self.max(other),
        }
    }
}

/// The fates of rows on their way to a sorter.
#[derive(Default)]
pub(super) struct Fates(Vec<([u8; 16], Vec<u8>)>);

impl Fates {
    /// Adds one.
    pub(super) fn push(&mut self, recipient: [u8; 16], fate: Fate, key: &str) {
        self.0.push((recipient, encode(fate, key)));
    }

    /// Moves them on.
    pub(super) fn drain_to(&mut self, sorter: &mut Sorter<16>) -> io::Result<()> {
        self.0
            .drain(..)
            .try_for_each(|(recipient, body)| sorter.push(recipient, &body))
    }
}

/// A record of the sorter.
pub(super) fn encode(fate: Fate, key: &str) -> Vec<u8> {
    postcard::to_allocvec(&(fate, key)).expect("a fate has no type postcard refuses")
}

/// What became of everybody, and the clauses by which that is told.
pub(crate) struct Everybody {
    pub(super) fates: Sorted<16>,
    pub(super) clauses: Vec<String>,
}

/// One recipient.
pub(super) struct Person {
    pub(super) recipient: [u8; 16],
    pub(super) fate: Fate,
    pub(super) key: String,
}

/// Recipients one after the other, each once, in the order of their hashes.
pub(super) struct People<'a> {
    records: Records<'a, 16>,
}

impl<'a> People<'a> {
    pub(super) fn of(everybody: &'a Everybody) -> io::Result<Self> {
        Ok(Self {
            records: everybody.fates.records()?,
        })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Person>> {
        let Some((recipient, body)) = self.records.pull()? else {
            return Ok(None);
        };
        let (mut fate, key) = decode(body)?;
        let key = key.to_owned();
        while self.records.peek()? == Some(recipient) {
            if let Some((_, body)) = self.records.pull()? {
                fate = fate.and(decode(body)?.0);
            }
        }
        Ok(Some(Person {
            recipient,
            fate,
            key,
        }))
    }
}

fn decode(body: &[u8]) -> io::Result<(Fate, &str)> {
    postcard::from_bytes(body)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "one of them is damaged"))
}
