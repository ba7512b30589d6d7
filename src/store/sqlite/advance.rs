//! The heart: what came of attempts and which attempts begin, in one transaction.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    mem,
};

use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::{
    cap::{self, Limit},
    claim::run_of,
    codes::{At, Code, Id, range},
    counters::{Moves, Stand},
    effects,
    error::Result,
    gate::Gate,
    guards::{self, FirstPart},
    meta,
    outcome::{Change, Standing, change},
    plan::bounded,
    runs, suppressions, views,
};
use crate::{
    model::{
        Answer, Channel, DeliveryId, Outcomes, Permit, Purpose, RunId, RunState, SkipReason,
        Status, Subject, Suppression, SuppressionReason, TopicName,
    },
    store::{Advance, Begin, Begun, Done, Lease, Outcome, QueueId},
};

/// What the transaction decided about a [`Begin`]. It becomes a [`Begun`] when it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Its intent stands, for this attempt.
    Begin(u32),
    Skip(SkipReason),
    NotNow,
}

/// A transaction's statements and sums.
struct Step<'c> {
    db: &'c Connection,
    now: DateTime<Utc>,
    gates: BTreeMap<RunId, Option<Gate>>,
    limit: Option<Limit>,
    moves: Moves,
    /// Effects that were made, by run.
    effects: BTreeMap<RunId, i64>,
    stand: CachedStatement<'c>,
    set: CachedStatement<'c>,
    take_back: CachedStatement<'c>,
    start: CachedStatement<'c>,
    intend: CachedStatement<'c>,
    end_intent: CachedStatement<'c>,
    drop_payload: CachedStatement<'c>,
    keep_view: CachedStatement<'c>,
    put_off: CachedStatement<'c>,
    end_due: CachedStatement<'c>,
}

pub(super) fn advance(db: &Connection, lease: Lease, advance: &Advance) -> Result<Vec<Decision>> {
    meta::check(db, lease)?;
    let mut step = Step::new(db, advance.now)?;
    if let (Some(cap), [_, ..]) = (advance.cap, &advance.begin[..]) {
        let first = cap::first_since(db, cap.since)?;
        step.limit = Some(Limit { cap, first });
    }
    for done in &advance.done {
        step.record(done)?;
    }
    step.weigh()?;
    let decisions = advance
        .begin
        .iter()
        .map(|begin| step.begin(begin))
        .collect::<Result<_>>()?;
    mem::take(&mut step.moves).apply(db)?;
    step.pause()?;
    for (run, made) in &step.effects {
        effects::count(db, *run, *made, 0)?;
    }
    for (queue, to) in &advance.cursors {
        move_cursor(db, *queue, *to)?;
    }
    meta::set_rates(db, &advance.rates)?;
    Ok(decisions)
}

impl<'c> Step<'c> {
    fn new(db: &'c Connection, now: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            db,
            now,
            gates: BTreeMap::new(),
            limit: None,
            moves: Moves::default(),
            effects: BTreeMap::new(),
            stand: db.prepare_cached(
                "SELECT d.channel, d.status, d.reason, d.attempts, d.queue, d.recipient_hash, d.address_hash, due.at,
                     intent.id IS NOT NULL
                 FROM delivery d LEFT JOIN due ON due.id = d.id LEFT JOIN intent ON intent.id = d.id WHERE d.id = ?1",
            )?,
            set: db.prepare_cached(
                "UPDATE delivery SET status = ?2, reason = ?3, detail = ?4, at = ?5 WHERE id = ?1",
            )?,
            take_back: db.prepare_cached(
                "UPDATE delivery SET attempts = attempts - 1, first_try = CASE WHEN attempts > 1 THEN first_try END,
                     message_id = CASE WHEN attempts > 1 THEN message_id END WHERE id = ?1",
            )?,
            start: db.prepare_cached(
                "UPDATE delivery SET status = ?2, reason = NULL, detail = NULL, at = ?3, attempts = ?4,
                     first_try = coalesce(first_try, ?3), message_id = ?5 WHERE id = ?1",
            )?,
            intend: db.prepare_cached("INSERT INTO intent (id, attempt, at) VALUES (?1, ?2, ?3)")?,
            end_intent: db.prepare_cached("DELETE FROM intent WHERE id = ?1")?,
            drop_payload: db.prepare_cached("DELETE FROM payload WHERE id = ?1")?,
            keep_view: db.prepare_cached(views::KEEP)?,
            put_off: db.prepare_cached(
                "INSERT INTO due (id, queue, at) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = excluded.at",
            )?,
            end_due: db.prepare_cached("DELETE FROM due WHERE id = ?1")?,
        })
    }

    fn gate(&mut self, run: RunId) -> Result<Option<&mut Gate>> {
        let gate = match self.gates.entry(run) {
            Entry::Occupied(gate) => gate.into_mut(),
            Entry::Vacant(place) => place.insert(Gate::read(self.db, run)?),
        };
        Ok(gate.as_mut())
    }

    fn standing(&mut self, delivery: DeliveryId) -> Result<Option<Standing>> {
        let standing = self.stand.query_row([Id(delivery)], |row| {
            let reason: Option<Code<SkipReason>> = row.get(2)?;
            Ok(Standing {
                channel: row.get::<_, Code<Channel>>(0)?.0,
                stand: Stand {
                    status: row.get::<_, Code<Status>>(1)?.0,
                    reason: reason.map(|reason| reason.0),
                },
                attempts: row.get(3)?,
                queue: row.get(4)?,
                recipient: row.get::<_, Id<_>>(5)?.0,
                address: row.get::<_, Option<Id<_>>>(6)?.map(|hash| hash.0),
                due: row.get::<_, Option<At>>(7)?.map(|at| at.0),
                in_flight: row.get(8)?,
            })
        });
        Ok(standing.optional()?)
    }

    /// Records an outcome, unless it says nothing about how the delivery stands now.
    fn record(&mut self, done: &Done) -> Result<()> {
        let (id, run) = (done.delivery, done.delivery.run());
        let Some(row) = self.standing(id)? else {
            return Ok(());
        };
        if done.suppress {
            self.suppress(&row, id)?;
        }
        let no_mailbox = done.suppress && done.outcome == Outcome::Failed;
        let gate = self.gate(run)?.map(|gate| {
            if let Some(watched) = &mut gate.watched {
                watched.all += 1;
                watched.no_mailbox += u64::from(no_mailbox);
            }
            (gate.state, gate.keeps_views, gate.effects)
        });
        let state = gate.map(|(state, ..)| state);
        let (keeps_views, follows) =
            gate.map_or((false, 0), |(_, keeps, follows)| (keeps, follows));
        let cancelled = state == Some(RunState::Cancelled);
        let Some(Change {
            stand,
            again,
            took_back,
            keeps_payload,
        }) = change(&row, done.outcome, cancelled)
        else {
            return Ok(());
        };
        self.set.execute(params![
            Id(id),
            Code(stand.status),
            stand.reason.map(Code),
            done.reason.as_deref().map(bounded),
            At(self.now)
        ])?;
        if took_back {
            self.take_back.execute([Id(id)])?;
        }
        if row.in_flight {
            self.end_intent.execute([Id(id)])?;
        }
        match again {
            Some(at) => {
                self.put_off.execute(params![Id(id), row.queue, At(at)])?;
            }
            None if row.due.is_some() => {
                self.end_due.execute([Id(id)])?;
            }
            None => {}
        }
        if !keeps_payload {
            if keeps_views && stand.status == Status::Sent {
                self.keep_view.execute(params![Id(id), At(self.now)])?;
            }
            self.drop_payload.execute([Id(id)])?;
        }
        self.moves.shift(run, row.channel, row.stand, stand);
        if stand.status == Status::Sent && follows != 0 {
            *self.effects.entry(run).or_default() += effects::add(self.db, id, follows, self.now)?;
        }
        if state.is_some_and(RunState::is_over) {
            runs::extend(self.db, run, self.now)?;
        }
        Ok(())
    }

    /// The mailbox does not exist: nobody writes to it again, on any topic.
    fn suppress(&self, row: &Standing, id: DeliveryId) -> Result<()> {
        let Some(address) = row.address else {
            return Ok(());
        };
        let shown = self
            .db
            .prepare_cached("SELECT address FROM delivery WHERE id = ?1")?
            .query_row([Id(id)], |row| row.get(0))?;
        let entry = Suppression {
            subject: Subject::Address(address),
            topic: None,
            reason: SuppressionReason::Bounced,
            at: self.now,
            shown,
            origin: format!("delivery {id}"),
        };
        suppressions::add(self.db, [&entry])?;
        Ok(())
    }

    /// The last check, and the intent of who passes it.
    fn begin(&mut self, begin: &Begin) -> Result<Decision> {
        let (id, run) = (begin.delivery, begin.delivery.run());
        let Some(gate) = self.gate(run)? else {
            return Ok(Decision::NotNow);
        };
        if gate.state != RunState::Sending || gate.stopped {
            return Ok(Decision::NotNow);
        }
        let (topic, purpose) = (gate.topic.clone(), gate.purpose);
        let Some(row) = self.standing(id)?.filter(|row| row.may_begin(self.now)) else {
            return Ok(Decision::NotNow);
        };
        let is_new = row.stand.status == Status::Queued;
        if is_new && !self.has_room(run)? {
            return Ok(Decision::NotNow);
        }
        if row.due.is_some() {
            self.end_due.execute([Id(id)])?;
        }
        if let Some(reason) = self.against(begin, &row, &topic, purpose)? {
            let detail = (reason != SuppressionReason::Unsubscribed).then(|| reason.as_str());
            return self.skip(id, &row, reason.skip_reason(), detail);
        }
        let db = self.db;
        if let Some(gate) = self.gate(run)?
            && gate.had_a_sibling(db, &row)?
        {
            return self.skip(id, &row, SkipReason::Cooldown, None);
        }
        if let Some(limit) = self.limit.filter(|_| purpose == Purpose::Marketing)
            && let Some(gate) = self.gate(run)?
            && gate.has_had_enough(db, run, &row, limit)?
        {
            return self.skip(id, &row, SkipReason::FrequencyCap, None);
        }
        let attempt = row.attempts.saturating_add(1);
        self.intend
            .execute(params![Id(id), attempt, At(self.now)])?;
        self.start.execute(params![
            Id(id),
            Code(Status::Sending),
            At(self.now),
            attempt,
            begin.message_id
        ])?;
        self.moves
            .shift(run, row.channel, row.stand, Status::Sending.into());
        self.note_begun(run)?;
        if is_new && let Some(part) = self.first_part(run)? {
            part.begin();
        }
        Ok(Decision::Begin(attempt))
    }

    /// Ends a delivery that the last check stopped.
    fn skip(
        &mut self,
        id: DeliveryId,
        row: &Standing,
        reason: SkipReason,
        detail: Option<&str>,
    ) -> Result<Decision> {
        let stand = Stand::from(reason);
        self.set.execute(params![
            Id(id),
            Code(stand.status),
            stand.reason.map(Code),
            detail,
            At(self.now)
        ])?;
        self.drop_payload.execute([Id(id)])?;
        self.moves.shift(id.run(), row.channel, row.stand, stand);
        if row.stand.status == Status::Queued
            && let Some(part) = self.first_part(id.run())?
        {
            part.skip();
        }
        Ok(Decision::Skip(reason))
    }

    /// By the row's own address and key, and by those it is really sent to where they differ (a redirect).
    fn against(
        &self,
        begin: &Begin,
        row: &Standing,
        topic: &TopicName,
        purpose: Purpose,
    ) -> Result<Option<SuppressionReason>> {
        let sent_to = [
            Subject::Address(begin.address_hash),
            Subject::Recipient(begin.recipient),
        ];
        let own = [
            Subject::Address(row.address.unwrap_or(begin.address_hash)),
            Subject::Recipient(row.recipient),
        ];
        let against = suppressions::against(self.db, &sent_to, topic, purpose)?;
        if against.is_some() || own == sent_to {
            return Ok(against);
        }
        suppressions::against(self.db, &own, topic, purpose)
    }

    fn first_part(&mut self, run: RunId) -> Result<Option<&mut FirstPart>> {
        Ok(self.gate(run)?.and_then(|gate| gate.first_part.as_mut()))
    }

    /// Whether the run's first part, if it has one, has room for another delivery.
    fn has_room(&mut self, run: RunId) -> Result<bool> {
        Ok(self.first_part(run)?.is_none_or(|part| part.has_room()))
    }

    /// Holds the runs whose shares are exceeded by what came in. Costs nothing where no run has any.
    fn weigh(&mut self) -> Result<()> {
        let runs: Vec<_> = self
            .gates
            .iter()
            .filter_map(|(run, gate)| Some((*run, gate.as_ref()?.watched.as_ref()?)))
            .filter(|(_, watched)| watched.all > 0)
            .map(|(run, watched)| (run, watched.no_mailbox))
            .collect();
        if runs.is_empty() {
            return Ok(());
        }
        mem::take(&mut self.moves).apply(self.db)?;
        for (run, no_mailbox) in runs {
            if no_mailbox > 0 {
                guards::add_no_mailbox(self.db, run, no_mailbox)?;
            }
            if guards::weigh(self.db, run, self.now)?
                && let Some(gate) = self.gate(run)?
            {
                gate.state = RunState::Held;
            }
        }
        Ok(())
    }

    /// Pauses the runs whose first part has begun with this step.
    fn pause(&mut self) -> Result<()> {
        for (run, gate) in &self.gates {
            if let Some(gate) = gate
                && gate.state == RunState::Sending
                && let Some(wait) = gate.first_part.as_ref().and_then(FirstPart::pause)
            {
                guards::pause(self.db, *run, wait.after(self.now), self.now)?;
            }
        }
        Ok(())
    }

    /// From the first message on the run can't be planned again.
    fn note_begun(&mut self, run: RunId) -> Result<()> {
        let db = self.db;
        if let Some(gate) = self.gate(run)?
            && !gate.begun
        {
            db.prepare_cached("UPDATE run SET begun = 1 WHERE id = ?1")?
                .execute([Id(run)])?;
            gate.begun = true;
        }
        Ok(())
    }
}

/// Never past a delivery that is still queued, whatever the caller believes: claiming would not find it again. Looks at each
/// delivery of a run once, as the cursor passes it.
fn move_cursor(db: &Connection, queue: QueueId, to: DeliveryId) -> Result<()> {
    let Some((run, zoned)) = run_of(db, queue)? else {
        return Ok(());
    };
    let (first, end) = range(run);
    let from: Option<i64> = db
        .prepare_cached("SELECT cursor FROM queue WHERE id = ?1")?
        .query_row([queue.0], |row| row.get(0))?;
    let from = from.unwrap_or(first - 1);
    let to = to.0.min(end - 1);
    if to <= from {
        return Ok(());
    }
    let queued: Option<i64> = db
        .prepare_cached(if zoned {
            "SELECT d.id FROM delivery d INDEXED BY delivery_by_zone
             WHERE d.id > ?1 AND d.id <= ?2 AND d.queue = ?3 AND d.zoned = 1 AND d.status = ?4
                 AND NOT EXISTS (SELECT 1 FROM due WHERE due.id = d.id) ORDER BY d.id LIMIT 1"
        } else {
            "SELECT d.id FROM delivery d WHERE d.id > ?1 AND d.id <= ?2 AND d.queue = ?3 AND d.status = ?4
                 AND NOT EXISTS (SELECT 1 FROM due WHERE due.id = d.id) ORDER BY d.id LIMIT 1"
        })?
        .query_row(params![from, to, queue.0, Code(Status::Queued)], |row| row.get(0))
        .optional()?;
    let to = queued.map_or(to, |queued| queued - 1);
    if to > from {
        db.prepare_cached("UPDATE queue SET cursor = ?2 WHERE id = ?1")?
            .execute([queue.0, to])?;
    }
    Ok(())
}

/// What goes back to the dispatcher. Where nobody takes it (the dispatcher was dropped while it waited), its permits are given
/// back: nothing of them was sent.
pub(super) struct Handed(Vec<Begun>);

impl Handed {
    /// Makes the permits. Called after the commit, and only then.
    pub(super) fn new(decisions: Vec<Decision>, begin: &[DeliveryId], outcomes: &Outcomes) -> Self {
        Self(
            decisions
                .into_iter()
                .zip(begin)
                .map(|(decision, &delivery)| match decision {
                    Decision::Begin(attempt) => {
                        Begun::Permit(Permit::issue(delivery, attempt, outcomes))
                    }
                    Decision::Skip(reason) => Begun::Skipped(reason),
                    Decision::NotNow => Begun::NotNow,
                })
                .collect(),
        )
    }

    pub(super) fn take(mut self) -> Vec<Begun> {
        mem::take(&mut self.0)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for begun in self.0.drain(..) {
            if let Begun::Permit(permit) = begun {
                permit.answer(Answer::NotStarted {
                    words: "whoever asked for the permit did not wait for it".to_owned(),
                });
            }
        }
    }
}
