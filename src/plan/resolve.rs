//! Who is left: duplicates, suppressions and cooldown, found by reading sorted records beside sorted lists.
//!
//! Records are sorted once, by recipient, and read twice: here, to find out about each, and in [`settle`](super::settle), to
//! write it down. Why one is not sent is filed under its number in that order.

use std::{io, sync::Arc};

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::{
    model::{Dedupe, OccurrenceName, RunId, SkipReason},
    store::{Lease, Store},
};

use super::{
    PlanError, Progress,
    candidate::{self, Candidate, Head, KEY, Order},
    cap::Capped,
    cooldown::Rested,
    gather::{Cancelled, Collector, Limits, Worked},
    merge::Records,
    reach,
    rules::Rules,
    select::PROBLEMS,
    settle::{Settler, Tally},
    spill::{Sorted, Sorter},
    suppressed::{Stop, Suppressed},
};

/// How many addresses are looked at in one go.
const ADDRESSES: usize = 512;

/// The part of planning that follows reading.
pub(super) struct Resolver {
    pub(super) rules: Arc<Rules>,
    pub(super) occurrence: OccurrenceName,
    pub(super) now: DateTime<Utc>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) freeze: Option<(Lease, RunId)>,
    pub(super) sample: usize,
    pub(super) progress: Arc<Progress>,
    pub(super) limits: Limits,
    pub(super) runtime: Handle,
    pub(super) cancelled: Cancelled,
}

/// Everything that is known about an audience.
pub(super) struct Resolved {
    /// All records, by recipient.
    pub(super) records: Sorted<KEY>,
    /// How many there are.
    pub(super) count: u64,
    /// Why some of them are not sent, where their row alone does not tell: a [`Stop`] under their number.
    pub(super) stops: Sorted<8>,
}

impl Resolver {
    /// Works the plan out. Blocks: it must not run on the runtime's own threads.
    pub(super) fn work_out(self, mut collector: Collector) -> Result<Worked, PlanError> {
        let look = self.rules.look.as_ref();
        let mut tally = Tally::default();
        tally.fates = look
            .filter(|look| look.fates)
            .map(|_| Sorter::new(self.limits.marks));
        let records = self.collect(&mut collector, &mut tally)?;
        let count = records.count();
        let resolved = self.resolve(records.finish()?, count)?;
        Settler::new(&self, tally).settle(&resolved)
    }

    fn collect(
        &self,
        collector: &mut Collector,
        tally: &mut Tally,
    ) -> Result<Sorter<KEY>, PlanError> {
        let mut records = Sorter::new(self.limits.records);
        while let Some(mut sifted) = collector.next()? {
            self.cancelled.check()?;
            for (key, body) in sifted.pile.iter() {
                records.push(key, body)?;
            }
            tally.totals.total += sifted.rows;
            tally.totals.matched += sifted.matched;
            tally.unasked += sifted.unasked;
            tally.drop_by_clause(&sifted.by_clause);
            if let Some(fates) = &mut tally.fates {
                sifted.fates.drain_to(fates)?;
            }
            for (locale, n) in sifted.by_locale {
                *tally.by_locale.entry(locale).or_default() += n;
            }
            for (channel, n) in sifted.reachable {
                *tally.reachable.entry(channel).or_default() += n;
            }
            tally.unknown_zones += sifted.unknown_zones;
            tally.problems.extend(sifted.problems);
            tally.problems.truncate(PROBLEMS);
        }
        self.add_unknown_keys(&mut records, tally)?;
        Ok(records)
    }

    /// Keys that were asked for and that no source has.
    fn add_unknown_keys(&self, records: &mut Sorter<KEY>, tally: &mut Tally) -> io::Result<()> {
        let (Some(wanted), Some(source)) = (
            &self.rules.wanted,
            self.rules.campaign.audience.sources.first(),
        ) else {
            return Ok(());
        };
        let channel = reach::first_channel(&self.rules.campaign.reach);
        let mut body = Vec::new();
        for (key, position) in wanted.unseen().into_iter().zip(tally.totals.total..) {
            if tally.problems.len() < PROBLEMS {
                tally
                    .problems
                    .push(format!("key {key} is in none of the campaign's sources"));
            }
            body.clear();
            let head = Head {
                key,
                channel,
                skip: Some((SkipReason::UnknownKey, None)),
                ..Head::default()
            };
            Candidate::bare(head).encode(&mut body);
            let hash = self.rules.identity.recipient(source, key).0;
            records.push(candidate::key(hash, Order::new(position, channel)), &body)?;
        }
        Ok(())
    }

    fn resolve(&self, records: Sorted<KEY>, count: u64) -> Result<Resolved, PlanError> {
        let mut stops = Sorter::new(self.limits.marks);
        let mut addresses = Sorter::new(self.limits.marks);
        let mut capped = Capped::new(
            self.store.as_ref(),
            &self.runtime,
            &self.rules,
            &self.occurrence,
            self.now,
        )?;
        self.by_recipient(&records, &mut stops, &mut addresses, capped.as_mut())?;
        self.by_address(&addresses.finish()?, &mut stops, capped.as_ref())?;
        Ok(Resolved {
            records,
            count,
            stops: stops.finish()?,
        })
    }

    fn suppressed(&self) -> Suppressed {
        Suppressed::new(
            self.store.clone(),
            self.runtime.clone(),
            &self.rules.campaign,
        )
    }

    /// Duplicate keys, suppressed recipients, cooldown, the cap. The addresses of those who are left go on.
    fn by_recipient(
        &self,
        records: &Sorted<KEY>,
        stops: &mut Sorter<8>,
        addresses: &mut Sorter<KEY>,
        mut capped: Option<&mut Capped>,
    ) -> Result<(), PlanError> {
        let mut suppressed = self.suppressed();
        let mut rested = Rested::new(
            self.store.clone(),
            self.runtime.clone(),
            &self.rules,
            &self.occurrence,
            self.now,
        )?;
        let mut first: Option<([u8; 16], u64)> = None;
        let mut records = records.records()?;
        let mut number: u64 = 0;
        while let Some((key, body)) = records.pull()? {
            self.pause(number)?;
            let (hash, order) = candidate::parts(&key);
            let head = Candidate::decode(body)?.head;
            let stop = match (first, head.skip) {
                // What can't be read is told under its key, and does not take the place of a row that can.
                (_, Some((SkipReason::InvalidRow, _))) => None,
                (Some((of, row)), _) if of == hash && row != order.position() => {
                    Some((SkipReason::DuplicateKey, None))
                }
                (_, skip) => {
                    first = Some((hash, order.position()));
                    match (skip, head.address_hash) {
                        (Some(_), _) => None,
                        (None, None) => Some((SkipReason::NoAddress, None)),
                        (None, Some(address)) => {
                            let mut stop = suppressed.stop(hash)?;
                            if stop.is_none() && rested.had(hash)? {
                                stop = Some((SkipReason::Cooldown, None));
                            }
                            if let (None, Some(capped)) = (&stop, &mut capped)
                                && capped.recipient(hash)?
                            {
                                stop = Some((SkipReason::FrequencyCap, None));
                            }
                            if stop.is_none() {
                                let key = candidate::key(address.0, order);
                                addresses.push(key, &number.to_be_bytes())?;
                            }
                            stop
                        }
                    }
                }
            };
            if let Some(stop) = stop {
                put(stops, number, &stop)?;
            }
            number += 1;
        }
        Ok(())
    }

    /// Suppressed addresses, those that had enough, duplicate ones.
    fn by_address(
        &self,
        addresses: &Sorted<KEY>,
        stops: &mut Sorter<8>,
        capped: Option<&Capped>,
    ) -> Result<(), PlanError> {
        let once = self.rules.campaign.audience.dedupe == Dedupe::Address;
        let mut suppressed = self.suppressed();
        let mut addresses = addresses.records()?;
        // The address before, and how many of this plan go to it.
        let (mut last, mut here) = (None, 0);
        loop {
            self.cancelled.check()?;
            let page = page(&mut addresses)?;
            if page.is_empty() {
                return Ok(());
            }
            let left = match capped {
                Some(capped) => capped.left(page.iter().map(|(hash, _)| *hash))?,
                None => Vec::new(),
            };
            for (at, (hash, number)) in page.into_iter().enumerate() {
                let again = last == Some(hash);
                if !again {
                    here = 0;
                }
                let stop = match suppressed.stop(hash)? {
                    Some(stop) => Some(stop),
                    None if left.get(at).is_some_and(|left| *left <= here) => {
                        Some((SkipReason::FrequencyCap, None))
                    }
                    None if once && again => Some((SkipReason::DuplicateAddress, None)),
                    None => None,
                };
                last = Some(hash);
                match stop {
                    Some(stop) => put(stops, number, &stop)?,
                    None => here += 1,
                }
            }
        }
    }

    /// Looks up now and then whether anybody still waits.
    pub(super) fn pause(&self, number: u64) -> io::Result<()> {
        if number.is_multiple_of(1024) {
            self.cancelled.check()?;
        }
        Ok(())
    }
}

fn put(stops: &mut Sorter<8>, number: u64, stop: &Stop) -> io::Result<()> {
    let body = postcard::to_allocvec(stop).expect("a reason has no type postcard refuses");
    stops.push(number.to_be_bytes(), &body)
}

/// Reads a reason again.
pub(super) fn read_stop(bytes: &[u8]) -> io::Result<Stop> {
    postcard::from_bytes(bytes).map_err(|_| damaged())
}

/// The next addresses, with the numbers of their records.
fn page(addresses: &mut Records<'_, KEY>) -> io::Result<Vec<([u8; 16], u64)>> {
    let mut page = Vec::with_capacity(ADDRESSES);
    while page.len() < ADDRESSES
        && let Some((key, record)) = addresses.pull()?
    {
        page.push((candidate::parts(&key).0, number(record)?));
    }
    Ok(page)
}

fn number(bytes: &[u8]) -> io::Result<u64> {
    Ok(u64::from_be_bytes(bytes.try_into().map_err(|_| damaged())?))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "one of them is damaged")
}
