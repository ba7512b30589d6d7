//! Who had the campaign too recently: the recipients of its earlier runs beside a sorted audience, all read in the order of
//! hashes.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{Campaign, Cooldown, OccurrenceName, RecipientHash, Run, RunId},
    schedule,
    store::{RunFilter, Store, StoreError},
};

use super::{history, suppressed::before};

/// How many hashes all pages together may have, and each at least and at most.
const PAGES: usize = 1 << 16;
const PAGE: (usize, usize) = (16, 4096);

/// The recipients of earlier runs.
pub(super) struct Rested {
    store: Option<Arc<dyn Store>>,
    runtime: Handle,
    runs: Vec<Earlier>,
    /// The next recipient of each run.
    next: BinaryHeap<Reverse<(RecipientHash, usize)>>,
    started: bool,
    /// How long a page may become.
    largest: usize,
}

/// One earlier run, a page at a time.
struct Earlier {
    id: RunId,
    page: Vec<RecipientHash>,
    at: usize,
    end: bool,
    limit: usize,
}

impl Rested {
    /// By the runs that count for an occurrence of the campaign that is planned at `now`.
    pub(super) fn new(
        store: Option<Arc<dyn Store>>,
        runtime: Handle,
        campaign: &Campaign,
        occurrence: &OccurrenceName,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let cooldown = campaign
            .audience
            .cooldown
            .unwrap_or_else(|| schedule::default_cooldown(campaign.schedule.as_ref()));
        let mut runs = Vec::new();
        if let Some(store) = &store
            && cooldown != Cooldown::None
        {
            for id in history::ids_of(campaign) {
                let filter = RunFilter {
                    campaign: Some(id),
                    ..RunFilter::default()
                };
                for run in runtime.block_on(store.runs(filter))? {
                    // The run that is planned now, of which a plan that is only looked at knows no number.
                    let itself = run.campaign == campaign.id && run.occurrence == *occurrence;
                    if !itself && counts(&run, cooldown, now) {
                        runs.push(Earlier::new(run.id));
                    }
                }
            }
        }
        Ok(Self {
            store,
            runtime,
            next: BinaryHeap::with_capacity(runs.len()),
            started: false,
            largest: (PAGES / runs.len().max(1)).clamp(PAGE.0, PAGE.1),
            runs,
        })
    }

    /// Which of the runs the recipient with this hash had, if any: as [`had`](Self::had).
    pub(super) fn run_had(&mut self, hash: [u8; 16]) -> Result<Option<RunId>, StoreError> {
        if !self.had(hash)? {
            return Ok(None);
        }
        let next = self.next.peek();
        Ok(next.map(|Reverse((_, at))| self.runs[*at].id))
    }

    /// Whether the recipient with this hash had one of the runs. Hashes must come in order; the same may come again.
    pub(super) fn had(&mut self, hash: [u8; 16]) -> Result<bool, StoreError> {
        let hash = RecipientHash(hash);
        let Some(store) = &self.store else {
            return Ok(false);
        };
        let advance = |run: &mut Earlier| run.advance(hash, store, &self.runtime, self.largest);
        if !self.started {
            self.started = true;
            for (at, run) in self.runs.iter_mut().enumerate() {
                if let Some(next) = advance(run)? {
                    self.next.push(Reverse((next, at)));
                }
            }
        }
        while let Some(Reverse((next, at))) = self.next.peek().copied()
            && next < hash
        {
            self.next.pop();
            if let Some(next) = advance(&mut self.runs[at])? {
                self.next.push(Reverse((next, at)));
            }
        }
        Ok(self
            .next
            .peek()
            .is_some_and(|Reverse((next, _))| *next == hash))
    }
}

impl Earlier {
    fn new(id: RunId) -> Self {
        Self {
            id,
            page: Vec::new(),
            at: 0,
            end: false,
            limit: PAGE.0,
        }
    }

    /// The first recipient of the run that is not before `hash`.
    fn advance(
        &mut self,
        hash: RecipientHash,
        store: &Arc<dyn Store>,
        runtime: &Handle,
        largest: usize,
    ) -> Result<Option<RecipientHash>, StoreError> {
        loop {
            self.at += self.page[self.at..].partition_point(|had| *had < hash);
            if let Some(had) = self.page.get(self.at) {
                return Ok(Some(*had));
            }
            if self.end {
                return Ok(None);
            }
            let after = self
                .page
                .last()
                .copied()
                .max(before(hash.0).map(RecipientHash));
            self.limit = (self.limit * 2).min(largest);
            self.page = runtime.block_on(store.had(self.id, after, self.limit))?;
            self.end = self.page.len() < self.limit;
            self.at = 0;
        }
    }
}

/// Whether who had this run must rest at `now`. The ledger knows when a run was last at work, not when each recipient was
/// written to: whoever had it counts until the last of them is rested. A run that is not over counts as at work.
fn counts(run: &Run, cooldown: Cooldown, now: DateTime<Utc>) -> bool {
    match cooldown {
        Cooldown::None => false,
        Cooldown::Forever => true,
        Cooldown::Within(period) => {
            let worked = run.ended_at.filter(|_| run.state.is_over());
            worked.is_none_or(|ended| ended > period.before(now))
        }
    }
}
