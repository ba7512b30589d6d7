//! The ledger and the rest of what must last, behind one trait; [`sqlite`] is the default.
//!
//! A delivery's life: frozen with its plan, claimed (read only), begun (its intent is durable: only now there is a
//! [`Permit`]), sent, done (its outcome is durable). What a crash leaves begun and not done becomes `in_doubt`.

mod lock;
mod open;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    AddressHash, Approval, CampaignId, Channel, Counts, Delivery, DeliveryId, EffectCounts,
    EffectKind, InDoubtPolicy, Occurrence, OccurrenceName, Outcomes, Period, Permit, Purpose,
    RecipientHash, Rollout, Run, RunId, RunState, SkipReason, SourceName, Status, StopIf, Subject,
    Suppression, SuppressionReason, TopicName, Totals, TransportName,
};

pub use lock::{Lock, LockError, beside};
pub use open::{open, open_read_only};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// What lasts. One process writes a store at a time (it holds the lease); every method is one transaction.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // ---- the store itself ----

    /// Takes over the store: raises the epoch, so that what an earlier holder still tries is refused. Also turns every intent
    /// that was left into `in_doubt`, deletes half plans (runs that are `planning`), and says what it found. The heartbeat stays
    /// as it was until the first [`heartbeat`](Self::heartbeat) of the new holder, so that a start which is cut short before it
    /// has held what must be held finds the same again.
    async fn take_over(&self, now: DateTime<Utc>) -> Result<TakenOver>;
    /// Notes that the holder is alive.
    async fn heartbeat(&self, lease: Lease, now: DateTime<Utc>) -> Result<()>;
    /// A named value: made secrets, the identity key.
    async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// Sets a named value.
    async fn set_setting(&self, name: &str, value: &[u8]) -> Result<()>;

    // ---- campaigns ----

    /// All campaigns that were ever seen.
    async fn campaigns(&self) -> Result<Vec<CampaignRecord>>;
    /// Notes that campaigns are there. The first sighting of an id sets `first_seen`; later ones update name, source, topic
    /// and `last_seen`, and clear `removed_at` and `vanished_at`.
    async fn sight(
        &self,
        sightings: Vec<Sighting>,
        now: DateTime<Utc>,
    ) -> Result<Vec<CampaignRecord>>;
    /// Changes what is noted about one campaign.
    async fn change_campaign(&self, id: &CampaignId, change: CampaignChange) -> Result<()>;
    /// A campaign goes on as others did (`was`): that is noted, and their open runs that were never `sending` become its own.
    /// Where one of them is stopped, so is it. Gives those that were not noted before.
    async fn take_over_history(
        &self,
        id: &CampaignId,
        was: Vec<CampaignId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<CampaignId>>;
    /// Who goes on as whom: (the campaign, what it was before).
    async fn histories(&self) -> Result<Vec<(CampaignId, CampaignId)>>;

    // ---- runs and their plans ----

    /// Opens the run of an occurrence in state `planning`, unless there is one: at most one for each campaign and occurrence,
    /// for ever.
    async fn open_run(&self, lease: Lease, run: NewRun, now: DateTime<Utc>) -> Result<Opened>;
    /// Appends planned deliveries to a run in state `planning`. Rows come sorted by recipient hash; their sequence numbers are
    /// given and ascend.
    async fn freeze(&self, lease: Lease, run: RunId, rows: Vec<Frozen>) -> Result<()>;
    /// Gives each zone of a run in state `planning` queues of its own, one for each of the run's channels, before the first rows
    /// are frozen: from then on every row names its zone.
    async fn add_zones(&self, lease: Lease, run: RunId, zones: Vec<ZoneQueue>) -> Result<()>;
    /// Adds the addresses of a run's queued deliveries, sorted by address hash.
    async fn freeze_addresses(
        &self,
        lease: Lease,
        run: RunId,
        rows: Vec<(AddressHash, u32)>,
    ) -> Result<()>;
    /// Ends planning: notes digests and totals and sets the state, in one transaction.
    async fn seal(&self, lease: Lease, run: RunId, seal: Seal, now: DateTime<Utc>) -> Result<()>;
    /// Deletes a run that was never begun, with its rows, so that its occurrence can be planned again. Fails once a permit was
    /// made for one of its deliveries.
    async fn discard(&self, lease: Lease, run: RunId) -> Result<()>;
    /// Begins the plan of a run anew, for other files: its rows go, it is `planning` again, and nobody has let it go yet. Fails
    /// once the run was `sending`: what was claimed of it then must never meet another plan. What is `planning` when the
    /// process ends is a half plan, and is deleted with the run at the next [`take_over`](Self::take_over).
    async fn replan(&self, lease: Lease, run: RunId, new: NewRun) -> Result<Run>;
    /// Notes an approval.
    async fn approve(&self, lease: Lease, approval: Approval) -> Result<()>;
    /// The approvals of a run, the latest first.
    async fn approvals(&self, run: RunId) -> Result<Vec<Approval>>;
    /// Keeps the files a run is pinned to, by content hash; keeping the same again does nothing.
    async fn keep_bundle(&self, hash: &str, bytes: &[u8]) -> Result<()>;
    /// The kept files.
    async fn bundle(&self, hash: &str) -> Result<Option<Vec<u8>>>;
    /// Moves a run from one of `from` to another state. `false`: it was in none of them, and nothing changed. Sets
    /// `started_at` at the first `sending` and `ended_at` where the new state is over. Raises the run's epoch. A run with open
    /// deliveries does not become `finished`: `false` then too. One that was paused behind its first part sends the rest now, and
    /// one that a person let go counts its shares anew.
    async fn move_run(
        &self,
        run: RunId,
        from: &[RunState],
        change: RunChange,
        now: DateTime<Utc>,
    ) -> Result<bool>;
    /// Marks up to `limit` open deliveries of a cancelled run as cancelled; gives how many there were. Call until 0. What is on
    /// the wire keeps its outcome; one that would be tried again is cancelled instead. Does nothing for a run in another state.
    async fn cancel_rows(&self, run: RunId, limit: usize, now: DateTime<Utc>) -> Result<usize>;
    /// Marks up to `limit` open deliveries of a run that is not over as expired, with words; gives how many there were. Call
    /// until 0. What is on the wire keeps its outcome.
    async fn expire_rows(
        &self,
        run: RunId,
        words: &str,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<usize>;
    /// Queues deliveries of a run again that are in one of `statuses` (failed, in doubt), when asked by name, and a run that
    /// was over with them (one that is held or paused stays so). Gives how many; those whose payload is gone stay as they are.
    /// Cursors go back: whoever claims from the run's queues asks for [`queues`](Self::queues) again.
    async fn requeue(
        &self,
        lease: Lease,
        run: RunId,
        statuses: &[Status],
        now: DateTime<Utc>,
    ) -> Result<u64>;
    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<Run>>;
    /// The run of an occurrence, if it has one.
    async fn run_of(
        &self,
        campaign: &CampaignId,
        occurrence: &OccurrenceName,
    ) -> Result<Option<Run>>;
    /// Runs, newest first.
    async fn runs(&self, filter: RunFilter) -> Result<Vec<Run>>;
    /// The counters of a run.
    async fn counts(&self, run: RunId) -> Result<Counts>;
    /// The counters of several runs.
    async fn counts_of(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, Counts>>;

    // ---- sending ----

    /// Opens the queues whose time has come, of all runs (or `only` one) that are sending, or were and are halted, and gives them: those that
    /// opened, and those that are too late, which stay closed until [`expire_queue`](Self::expire_queue) has emptied them.
    async fn open_queues(
        &self,
        lease: Lease,
        only: Option<RunId>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Opening>>;
    /// Marks up to `limit` deliveries of a queue that is too late as expired; gives how many there were. Call until 0.
    async fn expire_queue(
        &self,
        lease: Lease,
        queue: QueueId,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<usize>;
    /// The zones of a run, in the order they open; none where it does not go by zones.
    async fn zones(&self, run: RunId) -> Result<Vec<ZoneState>>;
    /// The queues of runs in state `sending`, but for those whose time is yet to come.
    async fn queues(&self) -> Result<Vec<Queue>>;
    /// Up to `limit` queued deliveries of a queue behind `after`, in order, without those that were released until later.
    /// Read only.
    async fn claim(
        &self,
        queue: QueueId,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Claimed>>;
    /// Up to `limit` deferred or released deliveries of a queue whose time has come, oldest first. Read only.
    async fn claim_due(
        &self,
        queue: QueueId,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Claimed>>;
    /// When the next deferred delivery of a queue is due.
    async fn next_due(&self, queue: QueueId) -> Result<Option<DateTime<Utc>>>;
    /// The heart: in one durable transaction, records outcomes and begins attempts. Each `begin` is checked again (the
    /// run's state, its campaign's `stopped`, suppressions by address and key, the cooldown group, the cap, the delivery's status); only when the intents are
    /// durable are permits made. The answers are in the order of `begin`.
    async fn advance(&self, lease: Lease, step: Advance, outcomes: &Outcomes)
    -> Result<Vec<Begun>>;
    /// Turns in-doubt deliveries of a run into what its policy says: `resend` queues those that it has not queued before, `skip` skips them (reason
    /// `doubt`), `keep` does nothing. Gives how many changed.
    async fn settle_doubt(
        &self,
        lease: Lease,
        run: RunId,
        policy: InDoubtPolicy,
        now: DateTime<Utc>,
    ) -> Result<u64>;

    /// Recipients of a run unsubscribed by the links in its messages, or took that back (a negative number). May hold the run.
    async fn add_unsubscribed(&self, run: RunId, n: i64, now: DateTime<Utc>) -> Result<()>;

    // ---- messages that can be read in a browser ----

    /// Keeps what the messages of a run are made of when they are sent: they can be read in a browser. A store that knows
    /// nothing of that keeps none.
    async fn keep_views(&self, _lease: Lease, _run: RunId) -> Result<()> {
        Ok(())
    }
    /// What the message of a delivery was made of, or will be, if its run keeps that and it was not dropped.
    async fn kept_message(&self, _id: DeliveryId) -> Result<Option<KeptMessage>> {
        Ok(None)
    }
    /// Drops what was kept of messages that were sent before a moment; gives of how many.
    async fn drop_views(&self, _before: DateTime<Utc>) -> Result<u64> {
        Ok(0)
    }

    // ---- what follows a send ----

    /// Runs with effects that wait.
    async fn runs_with_effects(&self) -> Result<Vec<RunId>>;
    /// Up to `limit` effects of a run and kind whose time has come, oldest first. Read only.
    async fn effects_due(
        &self,
        run: RunId,
        kind: EffectKind,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Effect>>;
    /// Records what came of effects.
    async fn settle_effects(&self, lease: Lease, settled: Vec<Settled>) -> Result<()>;
    /// How many effects of these runs wait or were given up; runs without any are left out.
    async fn effect_counts(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, EffectCounts>>;

    // ---- questions ----

    /// A page of deliveries, in the order of their numbers.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<Delivery>>;
    /// One delivery with the run it belongs to.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>>;
    /// Deliveries of a run that counted as had (sending, in doubt, sent and later), sorted by recipient hash, after a hash: for
    /// cooldown by merging.
    async fn had(
        &self,
        run: RunId,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<RecipientHash>>;
    /// The same with what was had after a moment only, and how many deliveries each recipient had: for caps by merging.
    async fn had_since(
        &self,
        run: RunId,
        since: DateTime<Utc>,
        after: Option<RecipientHash>,
        limit: usize,
    ) -> Result<Vec<(RecipientHash, u64)>>;
    /// How many deliveries of marketing runs each of these addresses had after a moment: for caps. In their order, which is best
    /// that of the hashes.
    async fn had_by_address(
        &self,
        addresses: Vec<AddressHash>,
        since: DateTime<Utc>,
    ) -> Result<Vec<u64>>;
    /// When the recipient last had the campaign (any of `campaigns`), if ever: for `last_sent(r)` in scripts.
    async fn last_had(
        &self,
        recipient: RecipientHash,
        campaigns: &[CampaignId],
    ) -> Result<Option<DateTime<Utc>>>;
    /// How many deliveries the recipient had since a moment, of one campaign: for `sent_count(r, "30d")` in scripts.
    async fn had_count(
        &self,
        recipient: RecipientHash,
        campaign: &CampaignId,
        since: DateTime<Utc>,
    ) -> Result<u64>;

    // ---- suppressions ----

    /// Adds entries; an entry that is there already keeps its date. Gives how many were new.
    async fn suppress(&self, entries: Vec<Suppression>) -> Result<u64>;
    /// Removes the entry of a subject, topic and reason (`None`: any reason). Gives how many were removed.
    async fn unsuppress(
        &self,
        subject: Subject,
        topic: Option<&TopicName>,
        reason: Option<SuppressionReason>,
    ) -> Result<u64>;
    /// What stands against a subject.
    async fn suppressions_of(&self, subject: Subject) -> Result<Vec<Suppression>>;
    /// A page of the list, sorted by the subject's hash, after a hash: for merging, lists and exports. The last subject of a
    /// page is there with all its entries, so a page may have a few more than `limit`.
    async fn suppressions(&self, after: Option<[u8; 16]>, limit: usize)
    -> Result<Vec<Suppression>>;

    // ---- people ----

    /// Deliveries of a person behind a number, and how far was looked; `None`: to the end. A look passes a bounded number of all
    /// deliveries: ask until the end.
    async fn find_person(
        &self,
        person: &Person,
        after: DeliveryId,
    ) -> Result<(Vec<DeliveryId>, Option<DeliveryId>)>;
    /// One delivery with all that is stored of it.
    async fn person_delivery(&self, id: DeliveryId) -> Result<Option<PersonDelivery>>;
    /// Erases key, address, message details and payload of deliveries. Those that were still to be sent are cancelled first; those
    /// on the wire stay as they are. The hashes stay.
    async fn forget_deliveries(
        &self,
        lease: Lease,
        ids: Vec<DeliveryId>,
        now: DateTime<Utc>,
    ) -> Result<Forgotten>;
    /// Erases how these subjects were written on the suppression list; they stay on it. Gives how many entries changed.
    async fn forget_shown(&self, lease: Lease, subjects: Vec<Subject>) -> Result<u64>;
    /// Takes what was erased out of the store's files too. `false`: somebody is reading, try again.
    async fn wipe(&self) -> Result<bool>;

    // ---- rates ----

    /// The theoretical arrival times (GCRA) of all rate buckets, as the last [`Advance::rates`] left them.
    async fn rates(&self) -> Result<BTreeMap<String, DateTime<Utc>>>;
}

/// What goes wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has taken over: this one must stop.
    #[error("another process has taken over the store")]
    LeaseLost,
    /// The database said no.
    #[error("store: {0}")]
    Failed(String),
}

/// What a method of [`Store`] gives.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The right to write, as of one take-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Raised at each take-over.
    pub epoch: i64,
}

/// What [`Store::take_over`] found.
#[derive(Clone, Debug)]
pub struct TakenOver {
    /// The right to write.
    pub lease: Lease,
    /// When the last holder was last alive; `None`: the store is new.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// How many deliveries are in doubt now because their answer was never seen, per run.
    pub in_doubt: BTreeMap<RunId, u64>,
    /// Occurrences whose half plan was deleted: they will be planned again.
    pub discarded: Vec<(CampaignId, OccurrenceName)>,
}

/// What is noted about a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignRecord {
    /// Its id.
    pub id: CampaignId,
    /// Its name when it was last seen.
    pub name: String,
    /// Its first source and its topic when it was last seen.
    pub source: Option<SourceName>,
    /// Its topic when it was last seen.
    pub topic: Option<TopicName>,
    /// The campaigns it shared its cooldown with when it was last seen.
    pub cooldown_group: Option<String>,
    /// When the id was first seen: occurrences at or before this moment never fire.
    pub first_seen: DateTime<Utc>,
    /// When it was last seen.
    pub last_seen: DateTime<Utc>,
    /// Since when its file is gone.
    pub removed_at: Option<DateTime<Utc>>,
    /// Up to which moment its schedule has been looked at; later occurrences are still to come.
    pub cursor: Option<DateTime<Utc>>,
    /// Since when `campanile stop` holds it.
    pub stopped_at: Option<DateTime<Utc>>,
    /// Since when it is gone together with so many others that it looks like an unmounted disk.
    pub vanished_at: Option<DateTime<Utc>>,
    /// How long its file may be away, as it last said.
    pub removal_grace: Option<Period>,
}

/// A campaign that is there.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its id.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// Its first source; `None` for a broken file.
    pub source: Option<SourceName>,
    /// Its topic; `None` for a broken file.
    pub topic: Option<TopicName>,
    /// How long its file may be away; `None` for a broken file.
    pub removal_grace: Option<Period>,
    /// Its `cooldown_group`; of a broken file (without a source) what was known stays.
    pub cooldown_group: Option<String>,
}

/// A change to what is noted about a campaign.
#[derive(Clone, Copy, Debug)]
pub enum CampaignChange {
    /// The schedule was looked at up to here.
    Cursor(DateTime<Utc>),
    /// Its file is gone, or back.
    RemovedAt(Option<DateTime<Utc>>),
    /// It is stopped, or not.
    StoppedAt(Option<DateTime<Utc>>),
    /// It is gone together with many others.
    VanishedAt(Option<DateTime<Utc>>),
}

/// A run to be opened.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Whose.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: Occurrence,
    /// Whether a person asked for it; else it is of the schedule.
    pub asked: bool,
    /// When what has not begun of it is too old.
    pub expires_at: Option<DateTime<Utc>>,
    /// What its recipients may unsubscribe from.
    pub topic: TopicName,
    /// Whether unsubscribing counts.
    pub purpose: Purpose,
    /// The pinned files, if they are kept already.
    pub bundle: Option<String>,
    /// Names of the values in each payload, in order; the same for all deliveries of the run.
    pub layout: String,
    /// The part that goes out first: behind it the run pauses, and says when it goes on.
    pub rollout: Option<Rollout>,
    /// The shares that hold it.
    pub stop_if: Option<StopIf>,
    /// The group that its campaign shares the cooldown with.
    pub cooldown_group: Option<String>,
    /// Whether it spares those who had another run of its campaign, or of the group, since it was planned; else only the others
    /// spare those who had this one.
    pub waits: bool,
    /// The transport of each channel that the campaign may use: a queue is made for each.
    pub queues: Vec<(Channel, TransportName)>,
    /// What follows each delivery that is sent: its effects are made with its outcome.
    pub effects: Vec<EffectKind>,
}

/// What came of opening a run.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It is new.
    New(Run),
    /// It was there: nothing happened.
    Exists(Run),
}

/// A planned delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Its place in the run, from 0, ascending.
    pub sequence: u32,
    /// Whom it is for.
    pub recipient: RecipientHash,
    /// Where it goes; `None` where there is no valid address.
    pub address_hash: Option<AddressHash>,
    /// How it goes.
    pub channel: Channel,
    /// Its zone, where the run goes by zones.
    pub zone: Option<Arc<str>>,
    /// The recipient's key, for reports.
    pub key: String,
    /// The address as written, for reports.
    pub address: String,
    /// Why it is not sent, with details; `None`: it is queued.
    pub skip: Option<(SkipReason, Option<String>)>,
    /// What the message needs; empty for a skipped one.
    pub payload: Vec<u8>,
}

/// The end of planning.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The digest of the content.
    pub content_digest: String,
    /// The digest of the plan.
    pub plan_digest: String,
    /// What was counted.
    pub totals: Totals,
    /// The run's next state.
    pub state: RunState,
    /// Why, where it is held.
    pub reason: Option<String>,
    /// The limit that the plan exceeds, with words.
    pub limit: Option<String>,
    /// What is erased from the plan where it can't be kept (a source error): `true` deletes the rows but keeps the run.
    pub drop_rows: bool,
}

/// A change of a run's state.
#[derive(Clone, Debug)]
pub struct RunChange {
    /// The new state.
    pub state: RunState,
    /// Why; replaces what stood there.
    pub reason: Option<String>,
    /// Whether a person let it go in spite of its limits; `None` leaves it as it is.
    pub released: Option<bool>,
}

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
    /// In one of these states; empty: any.
    pub states: Vec<RunState>,
    /// Of this purpose.
    pub purpose: Option<Purpose>,
    /// Not over, or over after this moment.
    pub at_work_since: Option<DateTime<Utc>>,
    /// At most this many; `None`: all.
    pub limit: Option<usize>,
}

/// The number of a queue: what opens and closes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueId(pub i64);

/// The deliveries of one run that go by one transport.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its number.
    pub id: QueueId,
    /// The run.
    pub run: RunId,
    /// Raised whenever the run's state changes or deliveries of it are queued again: what was claimed before is claimed anew.
    pub epoch: i64,
    /// The run's campaign.
    pub campaign: CampaignId,
    /// The channel.
    pub channel: Channel,
    /// The transport that the campaign's files named when the run was planned.
    pub transport: TransportName,
    /// The zone of its recipients, where theirs counts.
    pub zone: Option<String>,
    /// The names of the values in each payload.
    pub layout: String,
    /// The last delivery before which nothing is queued any more: where claiming starts after a restart.
    pub cursor: Option<DeliveryId>,
}

/// The queues of a zone, to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneQueue {
    /// Its name.
    pub zone: String,
    /// When they open; `None`: at once.
    pub opens: Option<DateTime<Utc>>,
    /// Until when they must have opened: else it is too late; `None`: it never is.
    pub expires: Option<DateTime<Utc>>,
}

/// A queue whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The queue.
    pub queue: QueueId,
    /// Its run.
    pub run: RunId,
    /// Its zone.
    pub zone: String,
    /// When it was to open.
    pub opens: DateTime<Utc>,
    /// Whether that is too long ago.
    pub late: bool,
}

/// A zone of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneState {
    /// Its name.
    pub zone: String,
    /// When it opens; `None`: it was open from the start.
    pub opens: Option<DateTime<Utc>>,
    /// Whether its time has come.
    pub is_open: bool,
    /// Whether something of it is left to send.
    pub has_more: bool,
}

/// A delivery that is about to be sent.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its number.
    pub id: DeliveryId,
    /// Whom it is for.
    pub recipient: RecipientHash,
    /// Where it goes.
    pub address_hash: AddressHash,
    /// The recipient's key.
    pub key: String,
    /// The address as written.
    pub address: String,
    /// What the message needs.
    pub payload: Vec<u8>,
    /// How often it was tried before.
    pub attempts: u32,
    /// When its first try began, where there was one: for `give_up_after`.
    pub first_try: Option<DateTime<Utc>>,
    /// The Message-ID of earlier tries.
    pub message_id: Option<String>,
}

/// What a message was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMessage {
    /// What it needed.
    pub payload: Vec<u8>,
    /// The names of the values in that.
    pub layout: String,
}

/// One step of many deliveries at once.
#[derive(Clone, Debug, Default)]
pub struct Advance {
    /// The moment.
    pub now: DateTime<Utc>,
    /// Outcomes that came in.
    pub done: Vec<Done>,
    /// Attempts that are to begin.
    pub begin: Vec<Begin>,
    /// Where claiming of a queue has come to: nothing is queued at or before it. The store stops it before the first delivery
    /// that is.
    pub cursors: Vec<(QueueId, DeliveryId)>,
    /// Theoretical arrival times of rate buckets that moved.
    pub rates: Vec<(String, DateTime<Utc>)>,
    /// The cap over all marketing runs that what begins is checked against.
    pub cap: Option<Cap>,
}

/// How many messages of marketing runs a recipient and an address may have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Who had that many gets no more.
    pub most: u32,
    /// Counted from this moment on.
    pub since: DateTime<Utc>,
}

/// An attempt that is to begin.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whom it is for.
    pub recipient: RecipientHash,
    /// Where it goes.
    pub address_hash: AddressHash,
    /// The Message-ID it will carry.
    pub message_id: String,
}

/// What came of a [`Begin`].
#[derive(Debug)]
pub enum Begun {
    /// It may be sent, once.
    Permit(Permit),
    /// The last check stopped it; it is recorded as skipped.
    Skipped(SkipReason),
    /// Its run is not sending, its campaign is stopped, or it is not queued any more: nothing changed.
    NotNow,
}

/// An outcome to be recorded. Its intent ends with it, where it had one.
#[derive(Clone, Debug)]
pub struct Done {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What became of it.
    pub outcome: Outcome,
    /// The server's words, or details.
    pub reason: Option<String>,
    /// Its address is not to be written to any more, on any topic: the mailbox does not exist.
    pub suppress: bool,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The transport took it. The payload is dropped.
    Sent,
    /// It is tried again at this moment; not before.
    Deferred(DateTime<Utc>),
    /// Nothing was tried in earnest (the transport is down): it is queued as if it had never begun, to be looked at again
    /// then.
    Released(DateTime<Utc>),
    /// It was refused for good. The payload is kept for `retry`.
    Failed,
    /// The answer was never seen. The payload is kept for `resend` and `retry`.
    InDoubt,
    /// It is too late. The payload is dropped.
    Expired,
    /// It is not sent, without having begun. The payload is dropped.
    Skipped(SkipReason),
}

/// A person: an address, and recipients whatever their address.
#[derive(Clone, Debug)]
pub struct Person {
    /// The address.
    pub address: AddressHash,
    /// The recipients.
    pub recipients: Vec<RecipientHash>,
}

/// A delivery with all that is stored of it.
#[derive(Clone, Debug)]
pub struct PersonDelivery {
    /// As reports show it.
    pub delivery: Delivery,
    /// Whom it is for.
    pub recipient: RecipientHash,
    /// When its first try began.
    pub first_try: Option<DateTime<Utc>>,
    /// What its message needs, as long as it is kept.
    pub payload: Option<Vec<u8>>,
    /// The names of the payload's values.
    pub layout: String,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Deliveries that had something to erase.
    pub erased: u64,
    /// How many of them were still to be sent, and are cancelled.
    pub cancelled: u64,
    /// Deliveries that are on the wire.
    pub on_the_wire: u64,
}

/// What is to be done for a delivery that was sent.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What is to be done.
    pub kind: EffectKind,
    /// How often it was tried.
    pub tries: u32,
    /// When the delivery was sent.
    pub at: DateTime<Utc>,
    /// How it was sent.
    pub channel: Channel,
    /// The recipient's key; empty where the person was forgotten.
    pub key: String,
    /// The address as written.
    pub address: String,
    /// The Message-ID.
    pub message_id: Option<String>,
    /// Whose run it was.
    pub campaign: CampaignId,
    /// Of when.
    pub occurrence: OccurrenceName,
}

/// What came of an [`Effect`].
#[derive(Clone, Debug)]
pub struct Settled {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What was to be done.
    pub kind: EffectKind,
    /// What came of it.
    pub outcome: Settlement,
}

/// What came of an attempt to do what follows a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done.
    Held,
    /// It is tried again, not before this moment.
    Again {
        /// When.
        at: DateTime<Utc>,
        /// What happened.
        words: String,
    },
    /// It is never tried again.
    GivenUp {
        /// Why.
        words: String,
    },
}

/// Which deliveries, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this run.
    pub run: Option<RunId>,
    /// With one of these statuses; empty: any.
    pub statuses: Vec<Status>,
    /// On this channel.
    pub channel: Option<Channel>,
    /// Changed at or after this moment.
    pub since: Option<DateTime<Utc>>,
    /// With this key.
    pub key: Option<String>,
    /// Behind this one.
    pub after: Option<DeliveryId>,
    /// At most this many.
    pub limit: usize,
}

/// How long a writer waits for a lock that another process holds before it gives up and says so.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(30);
