//! The digest of a plan: what is sent to whom, whatever the order.
//!
//! A multiset hash after `LtHash` (Bellare and Micciancio's lattice construction): each delivery is hashed by itself, stretched
//! by BLAKE3's extendable output to 1,024 numbers of 16 bits, and these are added up, each wrapping. Adding is commutative, so
//! that the order in which deliveries come does not count and nothing has to be kept or sorted. Finding another set of
//! deliveries with the same sums is a hard lattice problem (unlike with XOR, where two equal ones cancel each other). The
//! digest is the BLAKE3 hash of the sums and the number of deliveries, in hexadecimal. It depends on no key and no machine.

use crate::model::{Channel, SourceName, Value};

const LANES: usize = 1024;

/// The hash of `parts` under a domain: each is preceded by its length, so that no two lists of parts share one.
pub(super) fn tagged(domain: &str, parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    add(&mut hasher, domain.as_bytes());
    for part in parts {
        add(&mut hasher, part);
    }
    hasher.finalize()
}

fn add(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher
        .update(&(part.len() as u64).to_le_bytes())
        .update(part);
}

/// The hash of one delivery: source, key, channel, address, and all variables by name and value.
pub(super) fn delivery<'a>(
    source: &SourceName,
    key: &str,
    channel: Channel,
    address: &str,
    variables: impl Iterator<Item = (&'a str, &'a Value)>,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in [
        "campanile delivery 1",
        source.as_str(),
        key,
        channel.as_str(),
        address,
    ] {
        add(&mut hasher, part.as_bytes());
    }
    let mut bytes = Vec::new();
    for (name, value) in variables {
        add(&mut hasher, name.as_bytes());
        bytes.clear();
        bytes = postcard::to_extend(value, bytes).expect("values have no type postcard refuses");
        add(&mut hasher, &bytes);
    }
    hasher.finalize().into()
}

/// The sums over all deliveries so far.
pub(super) struct PlanDigest {
    sums: Box<[u16; LANES]>,
    deliveries: u64,
}

impl PlanDigest {
    /// Of nothing.
    pub(super) fn new() -> Self {
        Self {
            sums: Box::new([0; LANES]),
            deliveries: 0,
        }
    }

    /// Adds the delivery with this hash.
    pub(super) fn add(&mut self, delivery: &[u8; 32]) {
        let mut stretched = [0; LANES * 2];
        blake3::Hasher::new()
            .update(b"campanile plan 1")
            .update(delivery)
            .finalize_xof()
            .fill(&mut stretched);
        let (numbers, _) = stretched.as_chunks::<2>();
        for (sum, number) in self.sums.iter_mut().zip(numbers) {
            *sum = sum.wrapping_add(u16::from_le_bytes(*number));
        }
        self.deliveries += 1;
    }

    /// The digest, in hexadecimal.
    pub(super) fn finish(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        add(&mut hasher, b"campanile plan digest 1");
        hasher.update(&self.deliveries.to_le_bytes());
        for sum in self.sums.iter() {
            hasher.update(&sum.to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(deliveries: &[[u8; 32]]) -> String {
        let mut digest = PlanDigest::new();
        for delivery in deliveries {
            digest.add(delivery);
        }
        digest.finish()
    }

    fn one(source: &str, key: &str, address: &str, variables: &[(&str, Value)]) -> [u8; 32] {
        let variables = variables.iter().map(|(name, value)| (*name, value));
        let source = source.parse().unwrap();
        delivery(&source, key, Channel::Email, address, variables)
    }

    #[test]
    fn the_order_does_not_count_and_nothing_cancels() {
        let [a, b, c] = ["A", "B", "C"].map(|key| one("s", key, "a@b.de", &[]));
        assert_eq!(of(&[a, b, c]), of(&[c, a, b]));
        assert_ne!(of(&[a, b]), of(&[a, b, c, c]));
        assert_ne!(of(&[]), of(&[c, c]));
        assert_ne!(of(&[a, a]), of(&[b, b]));
        assert_eq!(of(&[]).len(), 64);
        // 16 bits wrap after as many equal deliveries: their number still tells.
        assert_ne!(of(&[]), of(&vec![a; 65_536]));
    }

    #[test]
    fn every_part_counts() {
        let number = [("n", Value::Integer(1))];
        let base = one("s", "k", "a@b.de", &number);
        for other in [
            one("t", "k", "a@b.de", &number),
            one("s", "l", "a@b.de", &number),
            one("s", "k", "b@b.de", &number),
            one("s", "k", "a@b.de", &[("m", Value::Integer(1))]),
            one("s", "k", "a@b.de", &[("n", Value::Integer(2))]),
            one("s", "k", "a@b.de", &[("n", Value::from("1"))]),
            one("s", "k", "a@b.de", &[]),
            one(
                "s",
                "k",
                "a@b.de",
                &[("n", Value::Integer(1)), ("m", Value::Empty)],
            ),
            delivery(
                &"s".parse().unwrap(),
                "k",
                Channel::Sms,
                "a@b.de",
                number.iter().map(|(name, value)| (*name, value)),
            ),
        ] {
            assert_ne!(base, other);
        }
        // No text moves from one part to the next unseen.
        assert_ne!(one("s", "ka", "@b.de", &[]), one("s", "k", "a@b.de", &[]));
    }
}
