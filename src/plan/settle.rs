//! The last pass: in the order of recipients, every record becomes a row of the ledger (where the plan is frozen), and the
//! plan is summed up.

use std::{collections::BTreeMap, io, sync::Arc, sync::atomic::Ordering};

use crate::{
    model::{Audience, Channel, HoldReason, RecipientHash, SkipReason, Totals},
    store::{Frozen, StoreError},
};

use super::{
    Plan, PlanError,
    candidate::{self, Candidate, Order},
    change::changed_too_much,
    digest::PlanDigest,
    fate::{self, Fate},
    freeze::Freezer,
    funnel::{self, Counted},
    gather::Worked,
    resolve::{Resolved, Resolver, read_stop},
    sample::Sampler,
    spill::Sorter,
    suppressed::Stop,
};

/// What a plan counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) totals: Totals,
    pub(super) reachable: BTreeMap<Channel, u64>,
    pub(super) by_locale: BTreeMap<String, u64>,
    pub(super) problems: Vec<String>,
    /// Rows that `keys` do not name.
    pub(super) unasked: u64,
    /// What became of everybody, where somebody asks.
    pub(super) fates: Option<Sorter<16>>,
    by_clause: Vec<u64>,
    pub(super) unknown_zones: u64,
    /// Deliveries to send, by the number of their zone.
    zones: Vec<u64>,
    by_channel: BTreeMap<Channel, u64>,
    skipped: BTreeMap<SkipReason, u64>,
}

impl Tally {
    /// Adds rows that each clause dropped.
    pub(super) fn drop_by_clause(&mut self, dropped: &[u64]) {
        self.by_clause.resize(dropped.len(), 0);
        for (sum, n) in self.by_clause.iter_mut().zip(dropped) {
            *sum += n;
        }
    }
}

/// Sums a plan up and freezes it.
pub(super) struct Settler<'a> {
    resolver: &'a Resolver,
    tally: Tally,
    digest: PlanDigest,
    sampler: Sampler,
    freezer: Option<Freezer>,
    /// The names of the zones, by number; none where they do not count.
    zones: Vec<Arc<str>>,
    sequence: u64,
}

impl<'a> Settler<'a> {
    pub(super) fn new(resolver: &'a Resolver, tally: Tally) -> Self {
        Self {
            resolver,
            tally,
            digest: PlanDigest::new(),
            sampler: Sampler::new(resolver.sample),
            freezer: None,
            zones: Vec::new(),
            sequence: 0,
        }
    }

    /// Reads all records and gives the plan.
    pub(super) fn settle(mut self, resolved: &Resolved) -> Result<Worked, PlanError> {
        let progress = &self.resolver.progress;
        progress.records.store(resolved.count, Ordering::Relaxed);
        self.freezer = Freezer::open(self.resolver)?;
        if let Some(table) = &self.resolver.rules.zones {
            let queues = table.queues();
            self.zones = queues
                .iter()
                .map(|queue| queue.zone.as_str().into())
                .collect();
            self.tally.zones = vec![0; queues.len()];
            if let Some(freezer) = &self.freezer {
                freezer.add_zones(queues)?;
            }
        }
        let mut records = resolved.records.records()?;
        let mut stops = resolved.stops.records()?;
        let mut number: u64 = 0;
        while let Some((key, body)) = records.pull()? {
            self.resolver.pause(number)?;
            let mut stop = None;
            if stops.peek()? == Some(number.to_be_bytes())
                && let Some((_, reason)) = stops.pull()?
            {
                stop = Some(read_stop(reason)?);
            }
            self.row(&key, &Candidate::decode(body)?, stop)?;
            number += 1;
        }
        self.finish()
    }

    /// One row of the ledger.
    fn row(
        &mut self,
        key: &[u8; candidate::KEY],
        candidate: &Candidate<'_>,
        stop: Option<Stop>,
    ) -> Result<(), PlanError> {
        let (recipient, order) = candidate::parts(key);
        let head = &candidate.head;
        let stop = stop.or_else(|| {
            head.skip
                .map(|(reason, detail)| (reason, detail.map(ToOwned::to_owned)))
        });
        match &stop {
            Some((reason, _)) => *self.tally.skipped.entry(*reason).or_default() += 1,
            None => self.count_in(order, candidate)?,
        }
        if let Some(fates) = &mut self.tally.fates {
            let fate = match &stop {
                Some((reason, _)) => Fate::Skipped(*reason),
                None => Fate::sent(&head.digest),
            };
            fates.push(recipient, &fate::encode(fate, head.key))?;
        }
        let sequence = u32::try_from(self.sequence).map_err(|_| {
            StoreError::Failed("a run can have 4,294,967,296 deliveries, no more".to_owned())
        })?;
        self.sequence += 1;
        if let Some(freezer) = &mut self.freezer {
            freezer.push(Frozen {
                sequence,
                recipient: RecipientHash(recipient),
                address_hash: head.address_hash,
                channel: head.channel,
                zone: self.zones.get(usize::from(head.zone)).cloned(),
                key: head.key.to_owned(),
                address: head.address.to_owned(),
                payload: match stop {
                    None => candidate.payload.to_vec(),
                    Some(_) => Vec::new(),
                },
                skip: stop,
            })?;
        }
        let settled = &self.resolver.progress.settled;
        settled.store(self.sequence, Ordering::Relaxed);
        Ok(())
    }

    /// A delivery that is to be sent.
    fn count_in(&mut self, order: Order, candidate: &Candidate<'_>) -> io::Result<()> {
        let rules = &self.resolver.rules;
        let head = &candidate.head;
        let source = &rules.campaign.audience.sources[head.source as usize];
        self.tally.totals.to_send += 1;
        *self.tally.by_channel.entry(head.channel).or_default() += 1;
        if let Some(n) = self.tally.zones.get_mut(usize::from(head.zone)) {
            *n += 1;
        }
        self.digest.add(&head.digest);
        self.sampler.offer(rules, source, order, candidate)
    }

    fn finish(self) -> Result<Worked, PlanError> {
        if let Some(freezer) = self.freezer {
            freezer.finish(|| self.resolver.cancelled.check())?;
        }
        let tally = self.tally;
        let rules = &self.resolver.rules;
        let campaign = &rules.campaign;
        let mut hold = hold(&campaign.audience, tally.totals.to_send, &tally.skipped);
        let mut hold_words = None;
        if let (None, Some(store)) = (hold, &self.resolver.store) {
            hold_words = self.resolver.runtime.block_on(changed_too_much(
                store,
                campaign,
                &self.resolver.occurrence,
                tally.totals.to_send,
            ))?;
            hold = hold_words.as_ref().map(|_| HoldReason::ChangedTooMuch);
        }
        let funnel = rules.look.as_ref().map(|look| {
            funnel::funnel(&Counted {
                totals: tally.totals,
                unasked: rules.wanted.as_ref().map(|_| tally.unasked),
                clauses: &look.clauses,
                by_clause: &tally.by_clause,
                skipped: &tally.skipped,
            })
        });
        let plan = Plan {
            campaign: campaign.id.clone(),
            occurrence: self.resolver.occurrence.clone(),
            digest: self.digest.finish(),
            hold,
            hold_words,
            totals: tally.totals,
            by_channel: tally.by_channel,
            reachable: tally.reachable,
            by_locale: tally.by_locale,
            skipped: tally.skipped,
            zones: self
                .resolver
                .rules
                .zones
                .as_ref()
                .map(|table| table.shares(&tally.zones))
                .unwrap_or_default(),
            unknown_zones: tally.unknown_zones,
            sample: self.sampler.finish(),
            problems: tally.problems,
            safety: self.resolver.rules.safety.clone(),
            funnel: funnel.unwrap_or_default(),
            outlook: None,
        };
        let fates = tally.fates.map(Sorter::finish).transpose()?;
        Ok(Worked { plan, fates })
    }
}

/// Why a run with this plan would be held. Failing scripts come first: too few are left because of them.
fn hold(
    audience: &Audience,
    to_send: u64,
    skipped: &BTreeMap<SkipReason, u64>,
) -> Option<HoldReason> {
    let failed = skipped.get(&SkipReason::ScriptError).copied();
    if failed.unwrap_or(0) > audience.max_script_errors {
        Some(HoldReason::ScriptErrors)
    } else if audience.max_recipients.is_some_and(|max| to_send > max) {
        Some(HoldReason::TooMany)
    } else if to_send < audience.min_recipients {
        Some(HoldReason::TooFew)
    } else {
        None
    }
}
