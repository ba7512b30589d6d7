//! When a run that sends nothing now goes on: its window is closed, or its next zone's time has not come.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, Utc};

use crate::{
    control::{Refused, RunStatus},
    model::{Pace, Run, RunState, Zone},
    schedule,
    store::ZoneState,
    workspace::{Entry, Loaded},
};

use super::Engine;

/// What a run waits for that sends nothing now.
struct Wait {
    reason: &'static str,
    until: DateTime<FixedOffset>,
    help: String,
}

impl Engine {
    /// Completes what is told of a run: it is `sending`, and yet nothing of it may begin now.
    pub(super) async fn tell_hours(
        &self,
        run: &Run,
        status: &mut RunStatus,
    ) -> Result<(), Refused> {
        if run.state == RunState::Sending
            && let Some(wait) = self.wait_of(run).await?
        {
            status.help = Some(wait.help);
            status.reason = Some(wait.reason.to_owned());
            status.goes_on_at = Some(wait.until.to_utc());
        }
        Ok(())
    }

    async fn wait_of(&self, run: &Run) -> Result<Option<Wait>, Refused> {
        let Some(loaded) = self.known_files(run) else {
            return Ok(None);
        };
        let campaign = &loaded.campaign;
        let (pace, now) = (campaign.pace.as_ref(), self.clock.now());
        if !campaign.goes_by_zones() {
            return Ok(pace.and_then(|pace| closed(pace, &pace.timezone, now)));
        }
        let zones: Vec<_> = match &self.store {
            Some(store) => store.zones(run.id).await?,
            None => Vec::new(),
        };
        if zones.is_empty() {
            return Ok(pace.and_then(|pace| closed(pace, &pace.timezone, now)));
        }
        let mut waits = Vec::new();
        for state in zones.iter().filter(|state| state.has_more) {
            let zone: Zone = state.zone.parse().unwrap_or_else(|_| Zone::utc());
            let wait = match to_come(state, &zone, now) {
                Some(wait) => Some(wait),
                None => pace.and_then(|pace| {
                    let zone = if pace.by_recipient {
                        &zone
                    } else {
                        &pace.timezone
                    };
                    closed(pace, zone, now)
                }),
            };
            match wait {
                // Something of it may begin now.
                None => return Ok(None),
                Some(wait) => waits.push(wait),
            }
        }
        Ok(waits.into_iter().min_by_key(|wait| wait.until))
    }

    /// The files that a run is pinned to where they are at hand, else those of its campaign now.
    fn known_files(&self, run: &Run) -> Option<Arc<Loaded>> {
        if let Some(work) = self.work.lock().get(&run.id) {
            return Some(work.loaded.clone());
        }
        match self.snapshot().campaigns.get(&run.campaign)? {
            Entry::Ready(loaded) => Some(loaded.clone()),
            Entry::Broken(_) => None,
        }
    }
}

fn closed(pace: &Pace, zone: &Zone, now: DateTime<Utc>) -> Option<Wait> {
    let span = schedule::span(pace.window.as_ref()?, zone, now)?;
    let until = zone.at(span.opens);
    (!span.holds(now)).then(|| Wait {
        reason: "window",
        help: format!("outside its window: goes on at {}", shown(until)),
        until,
    })
}

fn to_come(state: &ZoneState, zone: &Zone, now: DateTime<Utc>) -> Option<Wait> {
    let opens = state.opens.filter(|_| !state.is_open)?;
    let until = zone.at(opens.max(now));
    Some(Wait {
        reason: "zone",
        help: format!("its next zone, {}, is due at {}", state.zone, shown(until)),
        until,
    })
}

fn shown(at: DateTime<FixedOffset>) -> String {
    at.format("%Y-%m-%d %H:%M %:z").to_string()
}
