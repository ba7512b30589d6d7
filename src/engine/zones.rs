//! Runs that go by their recipients' zones: what their plans are told, and zones whose time comes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    control::Refused,
    model::{Missed, Occurrence, RunId, Zone},
    plan::Zoned,
    schedule,
    workspace::Loaded,
};

use super::Engine;

/// How many deliveries of a zone that is too late are marked in one transaction.
const EXPIRE_ROWS: usize = 5_000;

impl Engine {
    /// What a plan is told about zones; `None`: the campaign does not go by its recipients' zones.
    pub(super) async fn zoned(
        &self,
        loaded: &Loaded,
        occurrence: &Occurrence,
    ) -> Result<Option<Zoned>, Refused> {
        let campaign = &loaded.campaign;
        if !campaign.goes_by_zones() {
            return Ok(None);
        }
        let schedule = campaign.schedule.as_ref();
        let local = schedule.and_then(|schedule| schedule::local_time(schedule, occurrence));
        let pace = campaign.pace.as_ref();
        if local.is_none() && !pace.is_some_and(|pace| pace.by_recipient && pace.window.is_some()) {
            // Asked for by hand: the schedule says nothing about it.
            return Ok(None);
        }
        let default = schedule
            .filter(|schedule| schedule.by_recipient)
            .map(|schedule| &schedule.timezone)
            .or(pace.map(|pace| &pace.timezone))
            .map_or_else(Zone::utc, Zone::clone);
        let grace = schedule
            .filter(|schedule| schedule.missed == Missed::Skip)
            .map(|schedule| schedule.grace);
        let records = match &self.store {
            Some(store) => store.campaigns().await?,
            None => Vec::new(),
        };
        let record = records.iter().find(|record| record.id == campaign.id);
        Ok(Some(Zoned {
            default,
            local,
            grace,
            not_before: record.map(|record| record.first_seen),
            now: self.clock.now(),
        }))
    }

    /// Opens the zones whose time has come, of all runs or of one; those that were missed are too late.
    pub(crate) async fn open_zones(self: &Arc<Self>, only: Option<RunId>) -> Result<(), Refused> {
        let (store, lease) = (self.store()?, self.lease()?);
        let openings = store.open_queues(lease, only, self.clock.now()).await?;
        let mut late: BTreeMap<RunId, (usize, usize)> = BTreeMap::new();
        let mut opened = false;
        for opening in openings {
            opened = true;
            if !opening.late {
                tracing::info!(run = %opening.run, zone = opening.zone, "its time has come");
                continue;
            }
            let (zones, recipients) = late.entry(opening.run).or_default();
            *zones += 1;
            loop {
                let now = self.clock.now();
                match store
                    .expire_queue(lease, opening.queue, EXPIRE_ROWS, now)
                    .await?
                {
                    0 => break,
                    n => *recipients += n,
                }
            }
        }
        for (run, (zones, recipients)) in late {
            tracing::warn!(%run, zones, recipients, "missed by more than the schedule's grace: not sent");
        }
        if opened {
            self.wake().await;
        }
        Ok(())
    }
}
