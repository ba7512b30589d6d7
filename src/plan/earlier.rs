//! Who had earlier runs: their recipients beside a sorted audience, all read in the order of hashes, a page of each run at a time.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{RecipientHash, RunId},
    store::{Store, StoreError},
};

use super::suppressed::before;

/// How many hashes all pages together may have, and each at least and at most.
const PAGES: usize = 1 << 16;
const PAGE: (usize, usize) = (16, 4096);

/// The recipients of earlier runs.
pub(super) struct EarlierRuns {
    store: Option<Arc<dyn Store>>,
    runtime: Handle,
    runs: Vec<Earlier>,
    /// The next recipient of each run.
    next: BinaryHeap<Reverse<(RecipientHash, usize)>>,
    /// The recipient that was asked for last, and how often it had the runs.
    last: Option<(RecipientHash, u64)>,
    /// The newest run that it had.
    newest: Option<RunId>,
    started: bool,
}

/// How pages are read.
#[derive(Clone, Copy)]
struct Reading {
    /// Only what was had after this moment.
    since: Option<DateTime<Utc>>,
    /// How long a page may become.
    largest: usize,
}

/// One earlier run, a page at a time.
struct Earlier {
    id: RunId,
    page: Vec<(RecipientHash, u64)>,
    at: usize,
    end: bool,
    limit: usize,
    reading: Reading,
}

impl EarlierRuns {
    /// Of these runs; with `since`, only what was had after that moment.
    pub(super) fn new(
        store: Option<Arc<dyn Store>>,
        runtime: Handle,
        runs: Vec<RunId>,
        since: Option<DateTime<Utc>>,
    ) -> Self {
        let reading = Reading {
            since,
            largest: (PAGES / runs.len().max(1)).clamp(PAGE.0, PAGE.1),
        };
        let runs: Vec<_> = runs
            .into_iter()
            .map(|id| Earlier::new(id, reading))
            .collect();
        Self {
            store,
            runtime,
            next: BinaryHeap::with_capacity(runs.len()),
            runs,
            last: None,
            newest: None,
            started: false,
        }
    }

    /// The newest of the runs that the recipient with this hash had: as [`had`](Self::had).
    pub(super) fn run_had(&mut self, hash: [u8; 16]) -> Result<Option<RunId>, StoreError> {
        let had = self.had(hash)?;
        Ok(self.newest.filter(|_| had > 0))
    }

    /// How often the recipient with this hash had one of the runs. Hashes must come in order; the same may come again.
    pub(super) fn had(&mut self, hash: [u8; 16]) -> Result<u64, StoreError> {
        let hash = RecipientHash(hash);
        let Some(store) = &self.store else {
            return Ok(0);
        };
        if let Some((last, n)) = self.last
            && last == hash
        {
            return Ok(n);
        }
        if !self.started {
            self.started = true;
            for (at, run) in self.runs.iter_mut().enumerate() {
                if let Some((next, _)) = run.advance(hash, store, &self.runtime)? {
                    self.next.push(Reverse((next, at)));
                }
            }
        }
        let mut sum = 0;
        self.newest = None;
        while let Some(Reverse((next, at))) = self.next.peek().copied()
            && next <= hash
        {
            self.next.pop();
            let run = &mut self.runs[at];
            // Where the audience has passed the page, all of it is behind.
            let mut found = run.advance(hash, store, &self.runtime)?;
            if let Some((of, n)) = found
                && of == hash
            {
                sum += n;
                self.newest = self.newest.max(Some(run.id));
                run.at += 1;
                found = run.page.get(run.at).copied();
                if found.is_none() && !run.end {
                    found = run.turn(Some(hash), store, &self.runtime)?;
                }
            }
            if let Some((next, _)) = found {
                self.next.push(Reverse((next, at)));
            }
        }
        self.last = Some((hash, sum));
        Ok(sum)
    }
}

impl Earlier {
    fn new(id: RunId, reading: Reading) -> Self {
        Self {
            id,
            page: Vec::new(),
            at: 0,
            end: false,
            limit: PAGE.0,
            reading,
        }
    }

    /// The first recipient of the run that is not before `hash`.
    fn advance(
        &mut self,
        hash: RecipientHash,
        store: &Arc<dyn Store>,
        runtime: &Handle,
    ) -> Result<Option<(RecipientHash, u64)>, StoreError> {
        self.at += self.page[self.at..].partition_point(|(had, _)| *had < hash);
        if let Some(had) = self.page.get(self.at) {
            return Ok(Some(*had));
        }
        if self.end {
            return Ok(None);
        }
        let last = self.page.last().map(|(last, _)| *last);
        self.turn(last.max(before(hash.0).map(RecipientHash)), store, runtime)
    }

    /// Reads the page behind a hash; gives its first recipient.
    fn turn(
        &mut self,
        after: Option<RecipientHash>,
        store: &Arc<dyn Store>,
        runtime: &Handle,
    ) -> Result<Option<(RecipientHash, u64)>, StoreError> {
        self.limit = (self.limit * 2).min(self.reading.largest);
        self.page = match self.reading.since {
            None => {
                let had = runtime.block_on(store.had(self.id, after, self.limit))?;
                had.into_iter().map(|hash| (hash, 1)).collect()
            }
            Some(since) => runtime.block_on(store.had_since(self.id, since, after, self.limit))?,
        };
        self.end = self.page.len() < self.limit;
        self.at = 0;
        Ok(self.page.first().copied())
    }
}
