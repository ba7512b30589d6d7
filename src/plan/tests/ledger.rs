//! A ledger in memory: the parts of the store that planning needs, which check what they are given.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::world::LIMITS;
use crate::{model::*, store::*};

/// A ledger in memory: the parts that planning needs.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) frozen: Mutex<Vec<Frozen>>,
    pub(super) addresses: Mutex<Vec<(AddressHash, u32)>>,
    pub(super) suppressions: Mutex<Vec<Suppression>>,
    pub(super) runs: Mutex<Vec<Run>>,
    pub(super) had: Mutex<BTreeMap<RunId, BTreeSet<RecipientHash>>>,
    /// How many messages an address had.
    pub(super) had_by_address: Mutex<BTreeMap<AddressHash, u64>>,
    /// How often pages were asked for.
    pub(super) pages: Mutex<usize>,
    pub(super) fails: bool,
    /// Recipients and channels of the frozen rows that stand for a recipient.
    pub(super) own: Mutex<BTreeSet<(RecipientHash, Channel)>>,
}

#[async_trait]
impl Store for Ledger {
    async fn runs_with_effects(&self) -> Result<Vec<RunId>> {
        unimplemented!("planning does nothing after a send")
    }

    async fn effects_due(
        &self,
        _: RunId,
        _: crate::model::EffectKind,
        _: DateTime<Utc>,
        _: usize,
    ) -> Result<Vec<crate::store::Effect>> {
        unimplemented!("planning does nothing after a send")
    }

    async fn settle_effects(&self, _: Lease, _: Vec<crate::store::Settled>) -> Result<()> {
        unimplemented!("planning does nothing after a send")
    }

    async fn effect_counts(
        &self,
        _: &[RunId],
    ) -> Result<std::collections::BTreeMap<RunId, crate::model::EffectCounts>> {
        unimplemented!("planning does nothing after a send")
    }

    async fn freeze(&self, lease: Lease, run: RunId, rows: Vec<Frozen>) -> Result<()> {
        if self.fails {
            return Err(StoreError::LeaseLost);
        }
        assert_eq!((lease.epoch, run), (1, RunId(9)));
        assert!(!rows.is_empty() && rows.len() <= LIMITS.rows);
        let mut frozen = self.frozen.lock();
        for row in rows {
            if let Some(last) = frozen.last() {
                assert_eq!(row.sequence, last.sequence + 1);
                assert!(row.recipient >= last.recipient, "sorted");
            } else {
                assert_eq!(row.sequence, 0);
            }
            let twin = matches!(
                row.skip,
                Some((SkipReason::DuplicateKey | SkipReason::InvalidRow, _))
            );
            let of = (row.recipient, row.channel);
            assert!(
                twin || self.own.lock().insert(of),
                "one row a recipient and channel"
            );
            frozen.push(row);
        }
        Ok(())
    }

    async fn add_zones(&self, _: Lease, _: RunId, _: Vec<ZoneQueue>) -> Result<()> {
        assert!(self.frozen.lock().is_empty(), "before the first rows");
        Ok(())
    }

    async fn freeze_addresses(
        &self,
        _: Lease,
        _: RunId,
        rows: Vec<(AddressHash, u32)>,
    ) -> Result<()> {
        assert!(!rows.is_empty() && rows.len() <= LIMITS.rows);
        let mut addresses = self.addresses.lock();
        for row in rows {
            assert!(addresses.last().is_none_or(|last| *last < row), "sorted");
            addresses.push(row);
        }
        Ok(())
    }

    async fn run_of(&self, _: &CampaignId, _: &OccurrenceName) -> Result<Option<Run>> {
        unimplemented!()
    }

    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>> {
        let of = |run: &&Run| {
            filter
                .campaign
                .as_ref()
                .is_none_or(|id| *id == run.campaign)
                && filter.purpose.is_none_or(|purpose| purpose == run.purpose)
                && filter
                    .at_work_since
                    .is_none_or(|since| run.ended_at.is_none_or(|ended| ended > since))
        };
        Ok(self.runs.lock().iter().filter(of).cloned().collect())
    }

    async fn had(
        &self,
        run: RunId,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<RecipientHash>> {
        *self.pages.lock() += 1;
        let had = self.had.lock();
        let behind = |hash: &&RecipientHash| after.is_none_or(|after| **hash > after);
        let page = had[&run].iter().filter(behind).take(limit).copied();
        Ok(page.collect())
    }

    async fn had_since(
        &self,
        run: RunId,
        since: DateTime<Utc>,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<(RecipientHash, u64)>> {
        let of = |of: &Run| of.id == run && of.ended_at.is_none_or(|ended| ended > since);
        if !self.runs.lock().iter().any(of) {
            return Ok(Vec::new());
        }
        let had = self.had(run, after, limit).await?;
        Ok(had.into_iter().map(|hash| (hash, 1)).collect())
    }

    async fn had_by_address(
        &self,
        addresses: Vec<AddressHash>,
        _: DateTime<Utc>,
    ) -> Result<Vec<u64>> {
        *self.pages.lock() += 1;
        assert!(addresses.is_sorted());
        let had = self.had_by_address.lock();
        let had = addresses.iter().map(|hash| had.get(hash).copied());
        Ok(had.map(Option::unwrap_or_default).collect())
    }

    async fn suppressions(
        &self,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<Suppression>> {
        *self.pages.lock() += 1;
        let list = self.suppressions.lock();
        let behind = |entry: &&Suppression| after.is_none_or(|after| entry.subject.bytes() > after);
        Ok(list.iter().filter(behind).take(limit).cloned().collect())
    }

    async fn suppressions_of(&self, subject: Subject) -> Result<Vec<Suppression>> {
        let list = self.suppressions.lock();
        let of = |entry: &&Suppression| entry.subject == subject;
        Ok(list.iter().filter(of).cloned().collect())
    }

    async fn last_had(
        &self,
        recipient: RecipientHash,
        campaigns: &[CampaignId],
    ) -> Result<Option<DateTime<Utc>>> {
        let had = self.had.lock();
        let runs = self.runs.lock();
        let of =
            |run: &&Run| campaigns.contains(&run.campaign) && had[&run.id].contains(&recipient);
        Ok(runs.iter().filter(of).filter_map(|run| run.ended_at).max())
    }

    async fn had_count(
        &self,
        recipient: RecipientHash,
        campaign: &CampaignId,
        since: DateTime<Utc>,
    ) -> Result<u64> {
        let had = self.had.lock();
        let runs = self.runs.lock();
        let of = |run: &&Run| {
            run.campaign == *campaign
                && run.ended_at >= Some(since)
                && had[&run.id].contains(&recipient)
        };
        Ok(runs.iter().filter(of).count() as u64)
    }

    async fn take_over(&self, _: DateTime<Utc>) -> Result<TakenOver> {
        unimplemented!()
    }
    async fn heartbeat(&self, _: Lease, _: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
    async fn setting(&self, _: &str) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
    async fn set_setting(&self, _: &str, _: &[u8]) -> Result<()> {
        unimplemented!()
    }
    async fn campaigns(&self) -> Result<Vec<CampaignRecord>> {
        unimplemented!()
    }
    async fn sight(&self, _: Vec<Sighting>, _: DateTime<Utc>) -> Result<Vec<CampaignRecord>> {
        unimplemented!()
    }
    async fn change_campaign(&self, _: &CampaignId, _: CampaignChange) -> Result<()> {
        unimplemented!()
    }
    async fn take_over_history(
        &self,
        _: &CampaignId,
        _: Vec<CampaignId>,
        _: DateTime<Utc>,
    ) -> Result<Vec<CampaignId>> {
        unimplemented!()
    }
    async fn histories(&self) -> Result<Vec<(CampaignId, CampaignId)>> {
        unimplemented!()
    }
    async fn expire_rows(&self, _: RunId, _: &str, _: usize, _: DateTime<Utc>) -> Result<usize> {
        unimplemented!()
    }
    async fn replan(&self, _: Lease, _: RunId, _: NewRun) -> Result<Run> {
        unimplemented!()
    }
    async fn approve(&self, _: Lease, _: Approval) -> Result<()> {
        unimplemented!()
    }
    async fn approvals(&self, _: RunId) -> Result<Vec<Approval>> {
        unimplemented!()
    }
    async fn open_run(&self, _: Lease, _: NewRun, _: DateTime<Utc>) -> Result<Opened> {
        unimplemented!()
    }
    async fn seal(&self, _: Lease, _: RunId, _: Seal, _: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
    async fn discard(&self, _: Lease, _: RunId) -> Result<()> {
        unimplemented!()
    }
    async fn keep_bundle(&self, _: &str, _: &[u8]) -> Result<()> {
        unimplemented!()
    }
    async fn bundle(&self, _: &str) -> Result<Option<Vec<u8>>> {
        unimplemented!()
    }
    async fn move_run(
        &self,
        _: RunId,
        _: &[RunState],
        _: RunChange,
        _: DateTime<Utc>,
    ) -> Result<bool> {
        unimplemented!()
    }
    async fn cancel_rows(&self, _: RunId, _: usize, _: DateTime<Utc>) -> Result<usize> {
        unimplemented!()
    }
    async fn requeue(&self, _: Lease, _: RunId, _: &[Status], _: DateTime<Utc>) -> Result<u64> {
        unimplemented!()
    }
    async fn run(&self, _: RunId) -> Result<Option<Run>> {
        unimplemented!()
    }
    async fn counts(&self, run: RunId) -> Result<Counts> {
        let n = self.had.lock()[&run].len() as u64;
        Ok(Counts(vec![Count {
            channel: Channel::Email,
            status: Status::Sent,
            reason: None,
            n,
        }]))
    }
    async fn counts_of(&self, _: &[RunId]) -> Result<BTreeMap<RunId, Counts>> {
        unimplemented!()
    }
    async fn open_queues(
        &self,
        _: Lease,
        _: Option<RunId>,
        _: DateTime<Utc>,
    ) -> Result<Vec<Opening>> {
        unimplemented!()
    }
    async fn expire_queue(
        &self,
        _: Lease,
        _: QueueId,
        _: usize,
        _: DateTime<Utc>,
    ) -> Result<usize> {
        unimplemented!()
    }
    async fn zones(&self, _: RunId) -> Result<Vec<ZoneState>> {
        unimplemented!()
    }
    async fn queues(&self) -> Result<Vec<Queue>> {
        unimplemented!()
    }
    async fn claim(&self, _: QueueId, _: Option<DeliveryId>, _: usize) -> Result<Vec<Claimed>> {
        unimplemented!()
    }
    async fn claim_due(&self, _: QueueId, _: DateTime<Utc>, _: usize) -> Result<Vec<Claimed>> {
        unimplemented!()
    }
    async fn next_due(&self, _: QueueId) -> Result<Option<DateTime<Utc>>> {
        unimplemented!()
    }
    async fn advance(&self, _: Lease, _: Advance, _: &Outcomes) -> Result<Vec<Begun>> {
        unimplemented!()
    }
    async fn settle_doubt(
        &self,
        _: Lease,
        _: RunId,
        _: InDoubtPolicy,
        _: DateTime<Utc>,
    ) -> Result<u64> {
        unimplemented!()
    }
    async fn add_unsubscribed(&self, _: RunId, _: i64, _: DateTime<Utc>) -> Result<()> {
        unimplemented!()
    }
    async fn deliveries(&self, _: DeliveryFilter) -> Result<Vec<Delivery>> {
        unimplemented!()
    }
    async fn delivery(&self, _: DeliveryId) -> Result<Option<Delivery>> {
        unimplemented!()
    }
    async fn suppress(&self, _: Vec<Suppression>) -> Result<u64> {
        unimplemented!()
    }
    async fn unsuppress(
        &self,
        _: Subject,
        _: Option<&TopicName>,
        _: Option<SuppressionReason>,
    ) -> Result<u64> {
        unimplemented!()
    }
    async fn find_person(
        &self,
        _: &Person,
        _: DeliveryId,
    ) -> Result<(Vec<DeliveryId>, Option<DeliveryId>)> {
        unimplemented!()
    }
    async fn person_delivery(&self, _: DeliveryId) -> Result<Option<PersonDelivery>> {
        unimplemented!()
    }
    async fn forget_deliveries(
        &self,
        _: Lease,
        _: Vec<DeliveryId>,
        _: DateTime<Utc>,
    ) -> Result<Forgotten> {
        unimplemented!()
    }
    async fn forget_shown(&self, _: Lease, _: Vec<Subject>) -> Result<u64> {
        unimplemented!()
    }
    async fn wipe(&self) -> Result<bool> {
        unimplemented!()
    }
    async fn rates(&self) -> Result<BTreeMap<String, DateTime<Utc>>> {
        unimplemented!()
    }
}
