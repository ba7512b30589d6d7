//! What a plan would meet if it became a run.

use crate::{
    control::Refused,
    model::{HoldReason, Occurrence, Rate, Timing},
    plan::{self, Hold, Outlook, Plan},
    schedule,
    workspace::Loaded,
};

use super::Engine;

impl Engine {
    /// When a run with this plan starts, what holds it, and when it would be through.
    pub(super) async fn outlook(
        &self,
        loaded: &Loaded,
        occurrence: &Occurrence,
        plan: &Plan,
    ) -> Result<Outlook, Refused> {
        let now = self.clock.now();
        let schedule = loaded.campaign.schedule.as_ref();
        let scheduled = schedule.and_then(|schedule| schedule::next(schedule, now));
        let starts = scheduled.is_some().then_some(occurrence.due);
        let (rate, pace) = self.pace_ahead(loaded);
        let always = |moment| Some((moment, None));
        let finishes = rate.filter(|_| plan.totals.to_send > 0).and_then(|rate| {
            plan::last_begins(starts.unwrap_or(now), plan.totals.to_send, rate, always)
        });
        Ok(Outlook {
            starts: starts.map(|at| loaded.zone.at(at)),
            finishes: finishes.map(|at| loaded.zone.at(at)),
            pace,
            holds: self.holds_ahead(loaded, plan).await?,
        })
    }

    /// The rate that a run of the campaign has, and what sets it.
    fn pace_ahead(&self, loaded: &Loaded) -> (Option<Rate>, String) {
        let settings = self.settings();
        let via = loaded.campaign.email.as_ref().map(|email| &email.via);
        let transport = via.and_then(|via| settings.transports.get(via));
        match transport.and_then(|transport| Some((transport, transport.rate?))) {
            Some((transport, rate)) => (Some(rate), format!("{} takes {rate}", transport.name)),
            None => (None, String::new()),
        }
    }

    /// Everything that would hold a run with this plan, by its limits first.
    pub(super) async fn holds_ahead(
        &self,
        loaded: &Loaded,
        plan: &Plan,
    ) -> Result<Vec<Hold>, Refused> {
        let id = &loaded.campaign.id;
        let mut holds = Vec::new();
        let mut hold = |reason: HoldReason, help: String| {
            holds.push(Hold {
                reason: reason.to_string(),
                help,
            });
        };
        let audience = &loaded.campaign.audience;
        if let Some(reason) = plan.hold {
            let to_send = plan.totals.to_send;
            hold(
                reason,
                match (reason, audience.max_recipients) {
                    (HoldReason::TooMany, Some(most)) => {
                        format!("{to_send} to send, more than max_recipients = {most}")
                    }
                    (HoldReason::TooFew, _) => format!(
                        "{to_send} to send, fewer than min_recipients = {}",
                        audience.min_recipients
                    ),
                    (HoldReason::ScriptErrors, _) => format!(
                        "more errors than max_script_errors = {}",
                        audience.max_script_errors
                    ),
                    _ => plan
                        .hold_words
                        .clone()
                        .unwrap_or_else(|| "a limit of the campaign".to_owned()),
                },
            );
        }
        if loaded.campaign.approval.required {
            hold(
                HoldReason::ApprovalNeeded,
                "each run waits for `campanile approve`".to_owned(),
            );
        }
        let Some(store) = &self.store else {
            return Ok(holds);
        };
        let records = store.campaigns().await?;
        let Some(record) = records.iter().find(|record| record.id == *id) else {
            return Ok(holds);
        };
        if record.stopped_at.is_some() {
            hold(
                HoldReason::Stopped,
                format!("`campanile start {id}` ends that"),
            );
        }
        let Some(schedule) = &loaded.campaign.schedule else {
            return Ok(holds);
        };
        if let Some(twin) = self.suspect_of(id).await? {
            hold(
                HoldReason::SuspectedRename,
                format!("it may be {twin} under another name: `id = \"{twin}\"` says so"),
            );
        }
        if matches!(schedule.timing, Timing::Now)
            && record.cursor.is_none()
            && self.is_from_first_load(record).await?
        {
            hold(
                HoldReason::FreshStore,
                "the store is new, nobody knows what was sent before".to_owned(),
            );
        }
        Ok(holds)
    }
}
