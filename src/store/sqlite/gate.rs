//! What a run says about its deliveries: read once in a transaction, before the first of them is looked at.

use std::rc::Rc;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};

use super::{
    cap::{self, Limit},
    codes::{At, Id, Text},
    error::Result,
    guards::FirstPart,
    outcome::Standing,
};
use crate::model::{Purpose, RunId, RunState, TopicName};

/// What a run says about its deliveries, read once in a transaction.
pub(super) struct Gate {
    pub(super) state: RunState,
    pub(super) stopped: bool,
    pub(super) topic: TopicName,
    pub(super) purpose: Purpose,
    pub(super) begun: bool,
    /// What its messages are made of is kept.
    pub(super) keeps_views: bool,
    pub(super) opened_at: DateTime<Utc>,
    /// The other marketing runs at work since this one was opened, where it was asked for.
    others: Option<Rc<[RunId]>>,
    /// The other runs at work since then of its campaign, and of its cooldown group, where it has a cooldown.
    siblings: Rc<[RunId]>,
    /// What may begin before the run pauses, where it goes out in parts.
    pub(super) first_part: Option<FirstPart>,
    /// What came in, where the run has shares that hold it.
    pub(super) watched: Option<Watched>,
    /// What follows a delivery that was sent, as one number.
    pub(super) effects: i64,
}

/// Outcomes of a run that are recorded in this step.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) all: u64,
    /// How many of them said that there is no such mailbox.
    pub(super) no_mailbox: u64,
}

impl Gate {
    pub(super) fn read(db: &Connection, run: RunId) -> Result<Option<Self>> {
        let mut gate = db.prepare_cached(
            "SELECT run.state, campaign.stopped_at IS NOT NULL, run.topic, run.purpose, run.begun, run.opened_at,
                 run.rollout, run.to_send, run.stop_if IS NOT NULL, run.waits,
                 EXISTS (SELECT 1 FROM view_run WHERE view_run.run = run.id), run.effects
             FROM run LEFT JOIN campaign ON campaign.id = run.campaign WHERE run.id = ?1",
        )?;
        let gate = gate.query_row([Id(run)], |row| {
            let rollout: Option<String> = row.get(6)?;
            let to_send = row.get::<_, i64>(7)? as u64;
            let gate = Self {
                state: row.get::<_, Text<_>>(0)?.0,
                stopped: row.get(1)?,
                topic: row.get::<_, Text<_>>(2)?.0,
                purpose: row.get::<_, Text<_>>(3)?.0,
                begun: row.get(4)?,
                keeps_views: row.get(10)?,
                opened_at: row.get::<_, At>(5)?.0,
                others: None,
                siblings: Rc::default(),
                first_part: None,
                watched: row.get::<_, bool>(8)?.then(Watched::default),
                effects: row.get(11)?,
            };
            Ok((gate, rollout, to_send, row.get::<_, bool>(9)?))
        });
        let Some((mut gate, rollout, to_send, waits)) = gate.optional()? else {
            return Ok(None);
        };
        if let Some(rollout) = rollout {
            gate.first_part = Some(FirstPart::read(db, run, &rollout, to_send)?);
        }
        if waits {
            gate.siblings = cap::siblings_at_work(db, run, gate.opened_at)?.into();
        }
        Ok(Some(gate))
    }

    /// Whether the recipient had another of these since this one was planned: the plan could not know.
    pub(super) fn had_a_sibling(&self, db: &Connection, row: &Standing) -> Result<bool> {
        let had = cap::by_recipient(db, row.recipient, &self.siblings, self.opened_at)?;
        Ok(had > 0)
    }

    /// By address always; by recipient, which needs a look at each run of the cap's time, only where another run gave them
    /// something since this one was planned.
    pub(super) fn has_had_enough(
        &mut self,
        db: &Connection,
        run: RunId,
        row: &Standing,
        limit: Limit,
    ) -> Result<bool> {
        let (most, since) = (u64::from(limit.cap.most), limit.cap.since);
        if let Some(address) = row.address
            && cap::by_address(db, address, since, limit.first)? >= most
        {
            return Ok(true);
        }
        let others = if let Some(others) = &self.others {
            others.clone()
        } else {
            let others: Rc<[RunId]> = cap::at_work(db, run, self.opened_at)?.into();
            self.others = Some(others.clone());
            others
        };
        let meanwhile = self.opened_at.max(since);
        if cap::by_recipient(db, row.recipient, &others, meanwhile)? == 0 {
            return Ok(false);
        }
        let all = cap::at_work(db, run, since)?;
        Ok(cap::by_recipient(db, row.recipient, &all, since)? >= most)
    }
}
