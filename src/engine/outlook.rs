//! What a plan would meet if it became a run.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    model::{HoldReason, Occurrence, Rate, Rollout, Timing, Window, Zone},
    plan::{Hold, Outlook, Plan},
    schedule::{self, Share},
    workspace::Loaded,
};

use super::Engine;

impl Engine {
    /// When a run with this plan starts, what holds it, and when it would be through. `starts` is when it is due; `None`: when
    /// somebody asks.
    pub(super) async fn outlook(
        &self,
        loaded: &Loaded,
        starts: Option<DateTime<Utc>>,
        plan: &Plan,
    ) -> Result<Outlook, Refused> {
        let ahead = self.pace_ahead(loaded, plan);
        let finishes = ahead.finishes(starts.unwrap_or_else(|| self.clock.now()));
        Ok(Outlook {
            environment: self.environment.clone(),
            starts: starts.map(|at| loaded.zone.at(at)),
            finishes: finishes.map(|at| loaded.zone.at(at)),
            pace: ahead.words.join("; "),
            holds: self.holds_ahead(loaded, plan).await?,
        })
    }

    /// What sets the pace of a run with this plan.
    fn pace_ahead<'a>(&self, loaded: &'a Loaded, plan: &Plan) -> Ahead<'a> {
        let campaign = &loaded.campaign;
        let shares = shares(loaded, plan);
        if shares.is_empty() {
            return Ahead::default();
        }
        let pace = campaign.pace.as_ref();
        let window = pace.and_then(|pace| pace.window.as_ref());
        let settings = self.settings();
        let via = campaign.email.as_ref().map(|email| &email.via);
        let transport = via.and_then(|via| settings.transports.get(via));
        let mut rates = Vec::new();
        let mut words = Vec::new();
        if let Some(rate) = pace.and_then(|pace| pace.rate) {
            rates.push(rate);
            words.push(format!("[pace] {rate}"));
        }
        if let (Some(window), Some(pace)) = (window, pace) {
            let whose = if pace.by_recipient {
                "in each recipient's zone".to_owned()
            } else {
                pace.timezone.to_string()
            };
            words.push(format!("{window} {whose}"));
        }
        if let Some(rollout) = campaign.rollout {
            words.push(format!(
                "{} first, then a wait of {}",
                rollout.first, rollout.wait
            ));
        }
        if let Some((transport, rate)) = transport.and_then(|way| Some((way, way.rate?))) {
            rates.push(rate);
            words.push(format!("{} takes {rate}", transport.name));
        }
        if plan.zones.iter().any(|zone| zone.opens.is_some()) {
            words.push(format!("{} time zones", plan.zones.len()));
        }
        Ahead {
            shares,
            window,
            rate: rates.into_iter().max_by_key(|rate| rate.interval()),
            rollout: campaign.rollout,
            words,
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

/// When the next run of the campaign is due, where its schedule says so.
pub(super) fn due(
    loaded: &Loaded,
    occurrence: &Occurrence,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let schedule = loaded.campaign.schedule.as_ref()?;
    schedule::next(schedule, now).map(|_| occurrence.due)
}

/// What sets the pace of a run to come; of one that has nothing to send, nothing does.
#[derive(Default)]
struct Ahead<'a> {
    shares: Vec<Share>,
    window: Option<&'a Window>,
    /// The slowest of those that count.
    rate: Option<Rate>,
    rollout: Option<Rollout>,
    words: Vec<String>,
}

impl Ahead<'_> {
    /// When the last message begins, of a run that starts at `start`; `None` where nothing sets its pace.
    fn finishes(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.words.is_empty() {
            return None;
        }
        let Some(rollout) = self.rollout else {
            return self.last_begins(start, &self.shares);
        };
        let all = self.shares.iter().map(|share| share.count).sum();
        let (first, rest) = split(&self.shares, rollout.first.of(all));
        let paused = self.last_begins(start, &first)?;
        if rest.is_empty() {
            return Some(paused);
        }
        self.last_begins(rollout.wait.after(paused), &rest)
    }

    fn last_begins(&self, start: DateTime<Utc>, shares: &[Share]) -> Option<DateTime<Utc>> {
        let per_second = self.rate.map(|rate| 1.0 / rate.interval().as_secs_f64());
        schedule::last_begins(start, shares, self.window, per_second)
    }
}

/// What a plan has to send, by when it opens and on whose clocks. What is too late in its zone is not sent.
fn shares(loaded: &Loaded, plan: &Plan) -> Vec<Share> {
    let pace = loaded.campaign.pace.as_ref();
    let own = pace.map_or_else(Zone::utc, |pace| pace.timezone.clone());
    if plan.zones.is_empty() {
        let count = plan.totals.to_send;
        let all = Share {
            count,
            opens: None,
            zone: own,
        };
        return Vec::from_iter((count > 0).then_some(all));
    }
    let by_recipient = pace.is_some_and(|pace| pace.by_recipient);
    let on_time = plan.zones.iter().filter(|zone| !zone.late);
    on_time
        .map(|zone| Share {
            count: zone.to_send,
            opens: zone.opens,
            zone: Zone::named(&zone.zone)
                .filter(|_| by_recipient)
                .unwrap_or_else(|| own.clone()),
        })
        .collect()
}

/// The first so many, of those that open first, and the rest.
fn split(shares: &[Share], mut first: u64) -> (Vec<Share>, Vec<Share>) {
    let mut late_first: Vec<_> = shares.to_vec();
    late_first.sort_by_key(|share| Reverse(share.opens));
    let mut begun = Vec::new();
    while let Some(share) = late_first.last_mut().filter(|_| first > 0) {
        let count = share.count.min(first);
        first -= count;
        share.count -= count;
        begun.push(Share {
            count,
            ..share.clone()
        });
        if share.count == 0 {
            late_first.pop();
        }
    }
    (begun, late_first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RolloutPart;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn share(count: u64, opens: Option<&str>) -> Share {
        Share {
            count,
            opens: opens.map(at),
            zone: Zone::utc(),
        }
    }

    fn ahead(shares: &[Share], rate: Option<&str>) -> Ahead<'static> {
        Ahead {
            shares: shares.to_vec(),
            window: None,
            rate: rate.map(|rate| rate.parse().unwrap()),
            rollout: None,
            words: vec!["it".to_owned()],
        }
    }

    #[test]
    fn the_rest_of_a_rollout_follows_its_pause() {
        let shares = [
            share(10, Some("2026-12-01T12:00:00Z")),
            share(100, None),
            share(20, Some("2026-12-01T18:00:00Z")),
        ];
        let (first, rest) = split(&shares, 105);
        let counts = |shares: &[Share]| shares.iter().map(|share| share.count).collect::<Vec<_>>();
        assert_eq!((counts(&first), counts(&rest)), (vec![100, 5], vec![20, 5]));
        let mut ahead = ahead(&[share(601, None)], Some("1/s"));
        let start = at("2026-12-01T09:00:00Z");
        assert_eq!(ahead.finishes(start), Some(at("2026-12-01T09:10:00Z")));
        ahead.rollout = Some(Rollout {
            first: RolloutPart::Count(61),
            wait: "30m".parse().unwrap(),
        });
        // A minute, the pause, nine minutes.
        assert_eq!(ahead.finishes(start), Some(at("2026-12-01T09:39:59Z")));
        ahead.rollout = Some(Rollout {
            first: RolloutPart::Count(1_000),
            wait: "30m".parse().unwrap(),
        });
        assert_eq!(ahead.finishes(start), Some(at("2026-12-01T09:10:00Z")));
    }

    #[test]
    fn nothing_is_said_where_nothing_sets_the_pace() {
        let start = at("2026-12-01T09:00:00Z");
        let mut without = ahead(&[share(10, None)], None);
        without.words.clear();
        assert_eq!(without.finishes(start), None);
        assert_eq!(Ahead::default().finishes(start), None);
    }
}
