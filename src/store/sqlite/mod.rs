//! The store in a file of `SQLite`: a write-ahead log, an fsync for each commit, one writing thread, readers beside it.
//!
//! `writer` has the thread and what shares a transaction, `advance` the heart of the protocol, `outcome` its rules, `schema` the
//! tables; the other files have one noun each. Here the [`Store`] is put together from them.

mod advance;
mod again;
mod approvals;
mod campaigns;
mod cap;
mod claim;
mod codes;
mod counters;
mod effects;
mod error;
mod gate;
mod guards;
mod meta;
mod outcome;
mod people;
mod plan;
mod questions;
mod reader;
mod recovery;
mod removal;
mod runs;
mod schema;
mod suppressions;
#[cfg(test)]
mod tests;
mod views;
mod writer;
mod zones;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use self::{advance::Handed, reader::Readers, removal::Removal, writer::Writer};
use super::{
    Advance, Begun, CampaignChange, CampaignRecord, Claimed, DeliveryFilter, Effect, Forgotten,
    Frozen, KeptMessage, Lease, NewRun, Opened, Opening, Person, PersonDelivery, Queue, QueueId,
    Result, RunChange, RunFilter, Seal, Settled, Sighting, Store, StoreError, TakenOver, ZoneQueue,
    ZoneState,
};
use crate::model::{
    AddressHash, Approval, CampaignId, Counts, Delivery, DeliveryId, EffectCounts, EffectKind,
    InDoubtPolicy, OccurrenceName, Outcomes, RecipientHash, Run, RunId, RunState, Status, Subject,
    Suppression, SuppressionReason, TopicName,
};

/// More entries of the suppression list than this are added a step at a time, so that nobody waits for an import.
const MANY: usize = 500;

/// The store in one file of `SQLite`.
///
/// Dropping it waits for what was asked for before, and leaves the file without a log beside it.
pub struct SqliteStore {
    // In this order: the writer is the last to close the file, so that it can tidy up.
    readers: Arc<Readers>,
    writer: Option<Writer>,
}

impl SqliteStore {
    /// Opens the file for its one writer; makes it where it is missing (its folder must be there), readable by its owner only.
    pub fn open(path: &Path) -> Result<Self> {
        let (db, path) = schema::open_writer(path)?;
        let readers = Readers::open(path)?;
        Ok(Self {
            readers,
            writer: Some(Writer::start(db)?),
        })
    }

    /// Opens the file beside the process that writes it. What would write fails.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path)
            .map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
        Ok(Self {
            readers: Readers::open(path)?,
            writer: None,
        })
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().ok_or_else(|| {
            StoreError::Failed(
                "it was opened for reading only; another process writes it".to_owned(),
            )
        })
    }

    /// Removes a half plan, rows first, and then what `end` says.
    async fn remove_rows(
        &self,
        lease: Lease,
        run: RunId,
        end: impl Fn(&rusqlite::Connection) -> error::Result<()> + Send + 'static,
    ) -> Result<()> {
        let mut removal = Removal::new(lease, run);
        let work = move |db: &rusqlite::Connection, rows| {
            let gone = removal.step(db, rows)?;
            gone.then(|| end(db)).transpose()
        };
        self.writer()?.long(work).await
    }

    /// Changes the deliveries of a run that have one of the statuses: found by a reader, changed by the writer, a page at a time.
    async fn change_found(
        &self,
        run: RunId,
        statuses: &[Status],
        change: impl Fn(&rusqlite::Connection, &[DeliveryId], &[Status]) -> error::Result<u64>
        + Clone
        + Send
        + 'static,
    ) -> Result<u64> {
        let writer = self.writer()?;
        let statuses: Arc<[Status]> = statuses.into();
        let asked = Arc::clone(&statuses);
        let mut left = self
            .readers
            .ask(move |db| again::how_many(db, run, &asked))
            .await?;
        let (mut after, mut changed) = (None, 0);
        // The counters tell when all are found: what is behind the last one need not be looked at.
        while left > 0 {
            let asked = Arc::clone(&statuses);
            let ids = self
                .readers
                .ask(move |db| again::find(db, run, &asked, after))
                .await?;
            let Some(&last) = ids.last() else { break };
            after = Some(last);
            left = left.saturating_sub(ids.len() as u64);
            let (change, statuses) = (change.clone(), Arc::clone(&statuses));
            changed += writer
                .control(move |db| change(db, &ids, &statuses))
                .await?;
        }
        Ok(changed)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn take_over(&self, now: DateTime<Utc>) -> Result<TakenOver> {
        let (taken, half) = self
            .writer()?
            .control(move |db| recovery::take_over(db, now))
            .await?;
        for run in half {
            self.remove_rows(taken.lease, run, move |db| removal::remove_run(db, run))
                .await?;
        }
        Ok(taken)
    }

    async fn heartbeat(&self, lease: Lease, now: DateTime<Utc>) -> Result<()> {
        self.writer()?
            .control(move |db| meta::heartbeat(db, lease, now))
            .await
    }

    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = name.to_owned();
        self.readers.ask(move |db| meta::setting(db, &name)).await
    }

    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer()?
            .control(move |db| meta::set_setting(db, &name, &value))
            .await
    }

    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        self.readers.ask(campaigns::all).await
    }

    async fn sight(
        &self,
        sightings: Vec<Sighting>,
        now: DateTime<Utc>,
    ) -> Result<Vec<CampaignRecord>> {
        self.writer()?
            .control(move |db| campaigns::sight(db, &sightings, now))
            .await
    }

    async fn change_campaign(&self, id: &CampaignId, change: CampaignChange) -> Result<()> {
        let id = id.clone();
        self.writer()?
            .control(move |db| campaigns::change(db, &id, change))
            .await
    }

    async fn take_over_history(
        &self,
        id: &CampaignId,
        was: Vec<CampaignId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<CampaignId>> {
        let id = id.clone();
        self.writer()?
            .control(move |db| campaigns::take_over_history(db, &id, &was, now))
            .await
    }

    async fn histories(&self) -> Result<Vec<(CampaignId, CampaignId)>> {
        self.readers.ask(campaigns::histories).await
    }

    async fn open_run(&self, lease: Lease, run: NewRun, now: DateTime<Utc>) -> Result<Opened> {
        self.writer()?
            .control(move |db| runs::open(db, lease, &run, now))
            .await
    }

    async fn freeze(&self, lease: Lease, run: RunId, rows: Vec<Frozen>) -> Result<()> {
        let mut rows = rows.into_iter();
        let work = move |db: &rusqlite::Connection, limit| {
            plan::freeze(db, lease, run, &mut rows, limit)?;
            Ok((rows.len() == 0).then_some(()))
        };
        self.writer()?.long(work).await
    }

    async fn add_zones(&self, lease: Lease, run: RunId, zones: Vec<ZoneQueue>) -> Result<()> {
        self.writer()?
            .control(move |db| zones::add(db, lease, run, &zones))
            .await
    }

    async fn freeze_addresses(
        &self,
        lease: Lease,
        run: RunId,
        rows: Vec<(AddressHash, u32)>,
    ) -> Result<()> {
        let mut rows = rows.into_iter();
        let work = move |db: &rusqlite::Connection, limit| {
            plan::freeze_addresses(db, lease, run, &mut rows, limit)?;
            Ok((rows.len() == 0).then_some(()))
        };
        self.writer()?.long(work).await
    }

    async fn seal(&self, lease: Lease, run: RunId, seal: Seal, now: DateTime<Utc>) -> Result<()> {
        if seal.drop_rows {
            return self
                .remove_rows(lease, run, move |db| plan::seal(db, lease, run, &seal, now))
                .await;
        }
        self.writer()?
            .control(move |db| plan::seal(db, lease, run, &seal, now))
            .await
    }

    async fn discard(&self, lease: Lease, run: RunId) -> Result<()> {
        self.writer()?
            .control(move |db| removal::unseal(db, lease, run))
            .await?;
        self.remove_rows(lease, run, move |db| removal::remove_run(db, run))
            .await
    }

    async fn replan(&self, lease: Lease, run: RunId, new: NewRun) -> Result<Run> {
        self.writer()?
            .control(move |db| removal::unseal_untouched(db, lease, run))
            .await?;
        let mut removal = Removal::new(lease, run);
        let work = move |db: &rusqlite::Connection, rows| {
            let gone = removal.step(db, rows)?;
            gone.then(|| runs::renew(db, run, &new)).transpose()
        };
        self.writer()?.long(work).await
    }

    async fn approve(&self, lease: Lease, approval: Approval) -> Result<()> {
        self.writer()?
            .control(move |db| approvals::add(db, lease, &approval))
            .await
    }

    async fn approvals(&self, run: RunId) -> Result<Vec<Approval>> {
        self.readers.ask(move |db| approvals::of(db, run)).await
    }

    async fn keep_bundle(&self, hash: &str, bytes: &[u8]) -> Result<()> {
        let (hash, bytes) = (hash.to_owned(), bytes.to_owned());
        self.writer()?
            .control(move |db| meta::keep_bundle(db, &hash, &bytes))
            .await
    }

    async fn bundle(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        let hash = hash.to_owned();
        self.readers.ask(move |db| meta::bundle(db, &hash)).await
    }

    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        change: RunChange,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let from = from.to_owned();
        self.writer()?
            .control(move |db| runs::change_state(db, run, &from, &change, now))
            .await
    }

    async fn cancel_rows(&self, run: RunId, limit: usize, now: DateTime<Utc>) -> Result<usize> {
        let work = move |db: &rusqlite::Connection, rows: usize| {
            again::cancel(db, run, limit.min(rows).max(1), now)
        };
        self.writer()?.long(work).await
    }

    async fn expire_rows(
        &self,
        run: RunId,
        words: &str,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let words = words.to_owned();
        let work = move |db: &rusqlite::Connection, rows: usize| {
            again::expire(db, run, &words, limit.min(rows).max(1), now)
        };
        self.writer()?.long(work).await
    }

    async fn requeue(
        &self,
        lease: Lease,
        run: RunId,
        statuses: &[Status],
        now: DateTime<Utc>,
    ) -> Result<u64> {
        again::check_again(statuses)?;
        self.change_found(run, statuses, move |db, ids, statuses| {
            again::queue(db, lease, run, ids, statuses, again::Asked::ByName, now)
        })
        .await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>> {
        self.readers.ask(move |db| runs::one(db, id)).await
    }

    async fn run_of(
        &self,
        campaign: &CampaignId,
        occurrence: &OccurrenceName,
    ) -> Result<Option<Run>> {
        let (campaign, occurrence) = (campaign.clone(), occurrence.clone());
        self.readers
            .ask(move |db| runs::of(db, &campaign, &occurrence))
            .await
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        self.readers.ask(move |db| runs::list(db, &filter)).await
    }

    async fn counts(&self, run: RunId) -> Result<Counts> {
        self.readers.ask(move |db| counters::counts(db, run)).await
    }

    async fn counts_of(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, Counts>> {
        let runs = runs.to_owned();
        self.readers
            .ask(move |db| counters::counts_of(db, &runs))
            .await
    }

    async fn open_queues(
        &self,
        lease: Lease,
        only: Option<RunId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Opening>> {
        // The look is a reader's: twice a second, and mostly in vain.
        if !self.readers.ask(move |db| zones::any_due(db, now)).await? {
            return Ok(Vec::new());
        }
        self.writer()?
            .control(move |db| zones::open(db, lease, only, now))
            .await
    }

    async fn expire_queue(
        &self,
        lease: Lease,
        queue: QueueId,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<usize> {
        let work = move |db: &rusqlite::Connection, rows: usize| {
            zones::expire(db, lease, queue, limit.min(rows).max(1), now).map(Some)
        };
        self.writer()?.long(work).await
    }

    async fn zones(&self, run: RunId) -> Result<Vec<ZoneState>> {
        self.readers.ask(move |db| zones::of(db, run)).await
    }

    async fn queues(&self) -> Result<Vec<Queue>> {
        self.readers.ask(claim::queues).await
    }

    async fn claim(
        &self,
        queue: QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Claimed>> {
        self.readers
            .ask(move |db| claim::next(db, queue, after, limit))
            .await
    }

    async fn claim_due(
        &self,
        queue: QueueId,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Claimed>> {
        self.readers
            .ask(move |db| claim::due(db, queue, now, limit))
            .await
    }

    async fn next_due(&self, queue: QueueId) -> Result<Option<DateTime<Utc>>> {
        self.readers.ask(move |db| claim::next_due(db, queue)).await
    }

    async fn advance(
        &self,
        lease: Lease,
        step: Advance,
        outcomes: &Outcomes,
    ) -> Result<Vec<Begun>> {
        let outcomes = outcomes.clone();
        let begin: Vec<_> = step.begin.iter().map(|begin| begin.delivery).collect();
        let handed = self
            .writer()?
            .advance(
                move |db| advance::advance(db, lease, &step),
                move |decisions| Handed::new(decisions, &begin, &outcomes),
            )
            .await?;
        Ok(handed.take())
    }

    async fn settle_doubt(
        &self,
        lease: Lease,
        run: RunId,
        policy: InDoubtPolicy,
        now: DateTime<Utc>,
    ) -> Result<u64> {
        let doubt = &[Status::InDoubt];
        match policy {
            InDoubtPolicy::Keep => Ok(0),
            InDoubtPolicy::Skip => {
                self.change_found(run, doubt, move |db, ids, _| {
                    again::skip_doubt(db, lease, ids, now)
                })
                .await
            }
            InDoubtPolicy::Resend => {
                self.change_found(run, doubt, move |db, ids, statuses| {
                    // A policy queues nothing in a run that a person has ended; `retry` does.
                    match runs::known_state(db, run)? {
                        RunState::Cancelled | RunState::Failed => Ok(0),
                        _ => {
                            again::queue(db, lease, run, ids, statuses, again::Asked::ByPolicy, now)
                        }
                    }
                })
                .await
            }
        }
    }

    async fn add_unsubscribed(&self, run: RunId, n: i64, now: DateTime<Utc>) -> Result<()> {
        self.writer()?
            .control(move |db| guards::add_unsubscribed(db, run, n, now))
            .await
    }

    async fn keep_views(&self, lease: Lease, run: RunId) -> Result<()> {
        self.writer()?
            .control(move |db| views::keep_run(db, lease, run))
            .await
    }

    async fn kept_message(&self, id: DeliveryId) -> Result<Option<KeptMessage>> {
        self.readers.ask(move |db| views::message(db, id)).await
    }

    async fn drop_views(&self, before: DateTime<Utc>) -> Result<u64> {
        let mut dropped = 0;
        let work = move |db: &rusqlite::Connection, limit: usize| {
            let step = views::drop_before(db, before, limit)?;
            dropped += step;
            Ok((step < limit as u64).then_some(dropped))
        };
        self.writer()?.long(work).await
    }

    async fn runs_with_effects(&self) -> Result<Vec<RunId>> {
        self.readers.ask(effects::runs).await
    }

    async fn effects_due(
        &self,
        run: RunId,
        kind: EffectKind,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Effect>> {
        self.readers
            .ask(move |db| effects::due(db, run, kind, now, limit))
            .await
    }

    async fn settle_effects(&self, lease: Lease, settled: Vec<Settled>) -> Result<()> {
        self.writer()?
            .control(move |db| effects::settle(db, lease, &settled))
            .await
    }

    async fn effect_counts(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, EffectCounts>> {
        let runs = runs.to_vec();
        self.readers.ask(move |db| effects::counts(db, &runs)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>> {
        self.readers
            .ask(move |db| questions::deliveries(db, &filter))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        self.readers.ask(move |db| questions::one(db, id)).await
    }

    async fn had(
        &self,
        run: RunId,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<RecipientHash>> {
        self.readers
            .ask(move |db| questions::had(db, run, after, limit))
            .await
    }

    async fn had_since(
        &self,
        run: RunId,
        since: DateTime<Utc>,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<(RecipientHash, u64)>> {
        self.readers
            .ask(move |db| questions::had_since(db, run, since, after, limit))
            .await
    }

    async fn had_by_address(
        &self,
        addresses: Vec<AddressHash>,
        since: DateTime<Utc>,
    ) -> Result<Vec<u64>> {
        self.readers
            .ask(move |db| cap::by_addresses(db, &addresses, since))
            .await
    }

    async fn last_had(
        &self,
        recipient: RecipientHash,
        campaigns: &[CampaignId],
    ) -> Result<Option<DateTime<Utc>>> {
        let campaigns = campaigns.to_owned();
        self.readers
            .ask(move |db| questions::last_had(db, recipient, &campaigns))
            .await
    }

    async fn had_count(
        &self,
        recipient: RecipientHash,
        campaign: &CampaignId,
        since: DateTime<Utc>,
    ) -> Result<u64> {
        let campaign = campaign.clone();
        self.readers
            .ask(move |db| questions::had_count(db, recipient, &campaign, since))
            .await
    }

    async fn suppress(&self, entries: Vec<Suppression>) -> Result<u64> {
        if entries.len() <= MANY {
            return self
                .writer()?
                .control(move |db| suppressions::add(db, &entries))
                .await;
        }
        let mut entries = entries.into_iter();
        let mut new = 0;
        let work = move |db: &rusqlite::Connection, limit| {
            let step: Vec<_> = entries.by_ref().take(limit).collect();
            new += suppressions::add(db, &step)?;
            Ok((entries.len() == 0).then_some(new))
        };
        self.writer()?.long(work).await
    }

    async fn unsuppress(
        &self,
        subject: Subject,
        topic: Option<&TopicName>,
        reason: Option<SuppressionReason>,
    ) -> Result<u64> {
        let topic = topic.cloned();
        self.writer()?
            .control(move |db| suppressions::remove(db, subject, topic.as_ref(), reason))
            .await
    }

    async fn suppressions_of(&self, subject: Subject) -> Result<Vec<Suppression>> {
        self.readers
            .ask(move |db| suppressions::of(db, subject))
            .await
    }

    async fn suppressions(
        &self,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<Suppression>> {
        self.readers
            .ask(move |db| suppressions::page(db, after, limit))
            .await
    }

    async fn find_person(
        &self,
        person: &Person,
        after: DeliveryId,
    ) -> Result<(Vec<DeliveryId>, Option<DeliveryId>)> {
        let person = person.clone();
        self.readers
            .ask(move |db| people::find(db, &person, after))
            .await
    }

    async fn person_delivery(&self, id: DeliveryId) -> Result<Option<PersonDelivery>> {
        self.readers.ask(move |db| people::delivery(db, id)).await
    }

    async fn forget_deliveries(
        &self,
        lease: Lease,
        ids: Vec<DeliveryId>,
        now: DateTime<Utc>,
    ) -> Result<Forgotten> {
        self.writer()?
            .control(move |db| people::forget(db, lease, &ids, now))
            .await
    }

    async fn forget_shown(&self, lease: Lease, subjects: Vec<Subject>) -> Result<u64> {
        self.writer()?
            .control(move |db| people::forget_shown(db, lease, &subjects))
            .await
    }

    async fn wipe(&self) -> Result<bool> {
        self.writer()?.wipe().await
    }

    async fn rates(&self) -> Result<BTreeMap<String, DateTime<Utc>>> {
        self.readers.ask(meta::rates).await
    }
}
