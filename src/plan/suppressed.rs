//! The suppression list beside a sorted audience: both are read in the order of hashes, a page of the list at a time, and parts
//! of the list that the audience does not touch are never read.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    model::{Campaign, Purpose, SkipReason, Suppression, SuppressionReason, TopicName},
    store::{Store, StoreError},
};

/// Pages grow from the first to the second.
const PAGE: (usize, usize) = (128, 2048);

/// Why somebody is not written to, with details.
pub(super) type Stop = (SkipReason, Option<String>);

/// Whom a campaign may not write to.
pub(super) struct Suppressed {
    store: Option<Arc<dyn Store>>,
    runtime: Handle,
    topic: TopicName,
    purpose: Purpose,
    page: Vec<Suppression>,
    /// The first entry of the page that may still be asked for.
    at: usize,
    /// The hash up to which the page is the whole list.
    covered: Option<[u8; 16]>,
    /// Whether there is nothing behind the page.
    end: bool,
    limit: usize,
}

impl Suppressed {
    /// By what `store` has; without one nobody is suppressed.
    pub(super) fn new(store: Option<Arc<dyn Store>>, runtime: Handle, campaign: &Campaign) -> Self {
        Self {
            end: store.is_none(),
            store,
            runtime,
            topic: campaign.topic.clone(),
            purpose: campaign.purpose,
            page: Vec::new(),
            at: 0,
            covered: None,
            limit: PAGE.0,
        }
    }

    /// Why the recipient or the address with this hash may not be written to. Hashes must come in order; the same may come
    /// again.
    pub(super) fn stop(&mut self, hash: [u8; 16]) -> Result<Option<Stop>, StoreError> {
        loop {
            self.at += self.page[self.at..].partition_point(|entry| entry.subject.bytes() < hash);
            if self.at < self.page.len() || self.end || self.covered >= Some(hash) {
                break;
            }
            self.turn(self.covered.max(before(hash)))?;
        }
        let of_hash = self.page[self.at..]
            .iter()
            .take_while(|entry| entry.subject.bytes() == hash);
        Ok(strongest(of_hash, &self.topic, self.purpose))
    }

    /// Reads the page after a hash.
    fn turn(&mut self, after: Option<[u8; 16]>) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            self.end = true;
            return Ok(());
        };
        let mut limit = self.limit;
        loop {
            let mut page = self.runtime.block_on(store.suppressions(after, limit))?;
            self.end = page.len() < limit;
            if !self.end {
                // More of the last subject may stand behind the page: it is left for the next.
                let last = page.last().map(|entry| entry.subject.bytes());
                page.truncate(page.partition_point(|entry| Some(entry.subject.bytes()) < last));
                if page.is_empty() {
                    limit *= 2;
                    continue;
                }
            }
            self.covered = page.last().map(|entry| entry.subject.bytes());
            self.page = page;
            self.at = 0;
            self.limit = (self.limit * 2).min(PAGE.1);
            return Ok(());
        }
    }
}

/// The hash just before `hash`; `None` before all.
pub(super) fn before(hash: [u8; 16]) -> Option<[u8; 16]> {
    u128::from_be_bytes(hash)
        .checked_sub(1)
        .map(u128::to_be_bytes)
}

/// What all entries of one subject come to for a campaign: a bounce outweighs that somebody unsubscribed.
pub(super) fn strongest<'a>(
    entries: impl Iterator<Item = &'a Suppression>,
    topic: &TopicName,
    purpose: Purpose,
) -> Option<Stop> {
    entries
        .filter(|entry| entry.topic.as_ref().is_none_or(|of| of == topic))
        .map(|entry| entry.reason)
        // Transactional mail ignores who unsubscribed, never who bounced, complained or was suppressed by hand.
        .filter(|reason| {
            purpose == Purpose::Marketing || *reason != SuppressionReason::Unsubscribed
        })
        .max()
        .map(|reason| {
            let skip = reason.skip_reason();
            let detail = skip == SkipReason::Suppressed;
            (skip, detail.then(|| reason.as_str().to_owned()))
        })
}
