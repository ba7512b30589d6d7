//! The rows of a run go into the ledger, a few thousand at a time: while some are written, the next ones are made.

use std::{future::Future, io, sync::Arc};

use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    model::{AddressHash, RunId},
    store::{Frozen, Lease, Store, StoreError, ZoneQueue},
};

use super::{
    PlanError,
    gather::{Limits, gone},
    resolve::Resolver,
    spill::Sorter,
};

/// Writes the rows of one run. Dropped before its end, it writes no more.
pub(super) struct Freezer {
    store: Arc<dyn Store>,
    lease: Lease,
    run: RunId,
    runtime: Handle,
    limits: Limits,
    rows: Vec<Frozen>,
    bytes: usize,
    /// Addresses of the deliveries that are to be sent, with their sequence numbers.
    addresses: Sorter<20>,
    /// What is being written; one at most, so that rows come in their order.
    writing: JoinSet<Result<(), StoreError>>,
}

impl Freezer {
    /// `None`: the plan is only looked at.
    pub(super) fn open(resolver: &Resolver) -> Result<Option<Self>, StoreError> {
        let Some((lease, run)) = resolver.freeze else {
            return Ok(None);
        };
        let Some(store) = resolver.store.clone() else {
            let words = "a plan can only be frozen where there is a store";
            return Err(StoreError::Failed(words.to_owned()));
        };
        Ok(Some(Self {
            store,
            lease,
            run,
            runtime: resolver.runtime.clone(),
            limits: resolver.limits,
            rows: Vec::new(),
            bytes: 0,
            addresses: Sorter::new(resolver.limits.marks),
            writing: JoinSet::new(),
        }))
    }

    /// Each zone of the plan has queues of its own.
    pub(super) fn add_zones(&self, zones: Vec<ZoneQueue>) -> Result<(), StoreError> {
        self.runtime
            .block_on(self.store.add_zones(self.lease, self.run, zones))
    }

    pub(super) fn push(&mut self, row: Frozen) -> Result<(), PlanError> {
        if let (None, Some(address)) = (&row.skip, row.address_hash) {
            let mut key = [0; 20];
            key[..16].copy_from_slice(&address.0);
            key[16..].copy_from_slice(&row.sequence.to_be_bytes());
            self.addresses.push(key, &[])?;
        }
        self.bytes += size_of::<Frozen>() + row.key.len() + row.address.len() + row.payload.len();
        self.rows.push(row);
        if self.rows.len() >= self.limits.rows || self.bytes >= self.limits.bytes {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PlanError> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let (store, lease, run) = (self.store.clone(), self.lease, self.run);
        self.write(async move { store.freeze(lease, run, rows).await })
    }

    fn write(
        &mut self,
        rows: impl Future<Output = Result<(), StoreError>> + Send + 'static,
    ) -> Result<(), PlanError> {
        self.wait()?;
        self.writing.spawn_on(rows, &self.runtime);
        Ok(())
    }

    /// Until what is being written is written.
    fn wait(&mut self) -> Result<(), PlanError> {
        while let Some(written) = self.runtime.block_on(self.writing.join_next()) {
            written.map_err(gone)??;
        }
        Ok(())
    }

    /// What is left of the rows, then all addresses in their order.
    pub(super) fn finish(mut self, check: impl Fn() -> io::Result<()>) -> Result<(), PlanError> {
        self.flush()?;
        let addresses = std::mem::replace(&mut self.addresses, Sorter::new(0)).finish()?;
        let mut addresses = addresses.records()?;
        loop {
            check()?;
            let mut rows = Vec::with_capacity(self.limits.rows);
            while rows.len() < self.limits.rows
                && let Some((key, _)) = addresses.pull()?
            {
                let (mut hash, mut sequence) = ([0; 16], [0; 4]);
                hash.copy_from_slice(&key[..16]);
                sequence.copy_from_slice(&key[16..]);
                rows.push((AddressHash(hash), u32::from_be_bytes(sequence)));
            }
            if rows.is_empty() {
                return self.wait();
            }
            let (store, lease, run) = (self.store.clone(), self.lease, self.run);
            self.write(async move { store.freeze_addresses(lease, run, rows).await })?;
        }
    }
}
