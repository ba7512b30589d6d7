//! A few recipients spread over the audience, the same at each planning: those whose key hashes lowest.

use std::{collections::BinaryHeap, io};

use crate::{
    message::payload,
    model::{SourceName, Value},
};

use super::{
    Sample,
    candidate::{self, Candidate, Order},
    digest,
    rules::Rules,
};

/// Keeps the `size` deliveries with the lowest ranks.
pub(super) struct Sampler {
    size: usize,
    kept: BinaryHeap<Kept>,
}

struct Kept {
    rank: ([u8; 32], Order),
    sample: Sample,
}

impl Sampler {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            kept: BinaryHeap::new(),
        }
    }

    /// Looks at a delivery that is to be sent.
    pub(super) fn offer(
        &mut self,
        rules: &Rules,
        source: &SourceName,
        order: Order,
        candidate: &Candidate<'_>,
    ) -> io::Result<()> {
        if self.size == 0 {
            return Ok(());
        }
        let head = &candidate.head;
        let parts = [source.as_str().as_bytes(), head.key.as_bytes()];
        let rank = (digest::tagged("campanile sample 1", &parts).into(), order);
        let full = self.kept.len() == self.size;
        if full && self.kept.peek().is_some_and(|last| last.rank <= rank) {
            return Ok(());
        }
        let sample = Sample {
            key: head.key.to_owned(),
            channel: head.channel,
            address: head.address.to_owned(),
            variables: variables(rules, candidate)?,
        };
        self.kept.push(Kept { rank, sample });
        if full {
            self.kept.pop();
        }
        Ok(())
    }

    /// The sample, in the order of the sources.
    pub(super) fn finish(self) -> Vec<Sample> {
        let mut kept = self.kept.into_vec();
        kept.sort_by_key(|kept| kept.rank.1);
        kept.into_iter().map(|kept| kept.sample).collect()
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// All variables of a candidate, from its payload and from what it carries beside it.
fn variables(rules: &Rules, candidate: &Candidate<'_>) -> io::Result<Vec<(String, Value)>> {
    let mut values = vec![Value::Empty; rules.campaign.variables.len()];
    if let Some(layout) = &rules.layout {
        let frozen = payload::decode(candidate.payload).map_err(io::Error::other)?;
        for (name, value) in layout.names().iter().zip(frozen) {
            let mut variables = rules.campaign.variables.iter();
            if let Some(at) = variables.position(|variable| variable.name == *name) {
                values[at] = value;
            }
        }
    }
    if !candidate.carried.is_empty() {
        let carried = candidate::decode_values(candidate.carried)?;
        for (at, value) in rules.carried().zip(carried) {
            values[at] = value;
        }
    }
    Ok(rules
        .variables(&values)
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect())
}
