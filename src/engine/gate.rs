//! What a planned run waits for before its first message.

use chrono::{DateTime, Utc};

use crate::{
    model::{Approval, Campaign, HoldReason, Missed, Occurrence, Run, RunState},
    schedule,
};

/// A planned run of which no message has begun, and what is known about it.
pub(super) struct Waiting<'a> {
    pub(super) run: &'a Run,
    /// Its campaign as its files are now.
    pub(super) campaign: &'a Campaign,
    pub(super) approvals: &'a [Approval],
    /// Whether it may begin however late it is: it was planned just now, or a person says so.
    pub(super) may_be_late: bool,
}

/// Where such a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It waits for a person, and why: a [`HoldReason`], with words or without.
    Held(String),
    /// It waits for `campanile approve`.
    AwaitingApproval,
    /// It waits for its time.
    Scheduled,
    /// It may begin.
    Open,
}

impl Waiting<'_> {
    pub(super) fn gate(&self, now: DateTime<Utc>) -> Gate {
        let run = self.run;
        if let Some(limit) = run.limit.as_ref().filter(|_| !run.released) {
            return Gate::Held(limit.clone());
        }
        if self.is_late(now) {
            return Gate::Held(HoldReason::Late.to_string());
        }
        if self.campaign.approval.required && !self.is_approved(now) {
            return Gate::AwaitingApproval;
        }
        if now < begins(run, self.campaign) {
            Gate::Scheduled
        } else {
            Gate::Open
        }
    }

    /// Whether somebody has approved what is to be sent, as it is, and lately enough.
    fn is_approved(&self, now: DateTime<Utc>) -> bool {
        let rule = self.campaign.approval;
        self.approvals
            .iter()
            .any(|approval| approval.counts(self.run, rule, now))
    }

    fn is_late(&self, now: DateTime<Utc>) -> bool {
        !self.may_be_late && late_from(self.run, self.campaign).is_some_and(|at| at < now)
    }
}

/// From when on a run that has not begun is late; `None`: never. One that a person asked for has no time that it could miss.
pub(super) fn late_from(run: &Run, campaign: &Campaign) -> Option<DateTime<Utc>> {
    let schedule = campaign.schedule.as_ref().filter(|_| !run.asked)?;
    (schedule.missed == Missed::Skip).then(|| {
        schedule
            .grace
            .after(schedule::ends(schedule, &occurrence(run)))
    })
}

/// When the first message of a run may begin: when it is due, or, where it goes by its recipients' zones, when the first zone
/// is. Its zones open by themselves.
pub(super) fn begins(run: &Run, campaign: &Campaign) -> DateTime<Utc> {
    match campaign.schedule.as_ref().filter(|_| !run.asked) {
        Some(schedule) => schedule::begins(schedule, &occurrence(run)),
        None => run.due,
    }
}

fn occurrence(run: &Run) -> Occurrence {
    Occurrence {
        name: run.occurrence.clone(),
        due: run.due,
    }
}

impl Gate {
    /// The state of a run that stands there, and why.
    pub(super) fn state(self) -> (RunState, Option<String>) {
        match self {
            Self::Held(reason) => (RunState::Held, Some(reason)),
            Self::AwaitingApproval => (RunState::AwaitingApproval, None),
            Self::Scheduled => (RunState::Scheduled, None),
            Self::Open => (RunState::Sending, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApprovalRule, Period, Purpose, RunId, Schedule, Timing, Totals};

    fn at(hour: u32) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + i64::from(hour) * 3_600, 0).unwrap()
    }

    /// Due at 10, with two hours of grace; an approval counts for five hours.
    fn world() -> (Run, Campaign) {
        let mut campaign = Campaign::for_tests("campaigns/a.toml", "a");
        campaign.schedule = Some(Schedule {
            timing: Timing::Now,
            timezone: crate::model::Zone::utc(),
            by_recipient: false,
            start: None,
            until: None,
            missed: Missed::Skip,
            grace: Period::hours(2),
            plan_ahead: None,
            place: crate::model::Place::start_of(&campaign.file),
        });
        campaign.approval = ApprovalRule {
            required: true,
            expires: Period::hours(5),
        };
        let run = Run {
            id: RunId(3),
            campaign: campaign.id.clone(),
            occurrence: crate::model::OccurrenceName::label("o").unwrap(),
            due: at(10),
            state: RunState::Scheduled,
            reason: None,
            topic: "offers".parse().unwrap(),
            purpose: Purpose::Marketing,
            bundle: None,
            content_digest: Some("c".to_owned()),
            plan_digest: Some("p".to_owned()),
            opened_at: at(0),
            sealed_at: Some(at(0)),
            started_at: None,
            ended_at: None,
            released: false,
            limit: None,
            asked: false,
            expires_at: None,
            begun: false,
            goes_on_at: None,
            unsubscribed: 0,
            totals: Totals::default(),
        };
        (run, campaign)
    }

    fn approval(content: &str, plan: &str, hour: u32) -> Approval {
        Approval {
            run: RunId(3),
            content_digest: content.to_owned(),
            plan_digest: plan.to_owned(),
            who: "Ada".to_owned(),
            at: at(hour),
        }
    }

    fn late() -> Gate {
        Gate::Held("late".to_owned())
    }

    fn gate(run: &Run, campaign: &Campaign, approvals: &[Approval], hour: u32) -> Gate {
        let waiting = Waiting {
            run,
            campaign,
            approvals,
            may_be_late: false,
        };
        waiting.gate(at(hour))
    }

    #[test]
    fn an_approval_binds_to_both_digests_and_expires() {
        let (run, campaign) = world();
        assert_eq!(gate(&run, &campaign, &[], 1), Gate::AwaitingApproval);
        for (content, plan) in [("other", "p"), ("c", "other")] {
            let void = approval(content, plan, 1);
            assert_eq!(gate(&run, &campaign, &[void], 2), Gate::AwaitingApproval);
        }
        let good = [approval("x", "p", 7), approval("c", "p", 6)];
        assert_eq!(gate(&run, &campaign, &good, 7), Gate::Scheduled);
        assert_eq!(gate(&run, &campaign, &good, 10), Gate::Open);
        // One that has expired when the first message would begin no longer counts.
        assert_eq!(gate(&run, &campaign, &good, 11), Gate::AwaitingApproval);
    }

    #[test]
    fn who_waits_beyond_the_grace_is_late() {
        let (mut run, campaign) = world();
        assert_eq!(gate(&run, &campaign, &[], 12), Gate::AwaitingApproval);
        assert_eq!(gate(&run, &campaign, &[], 13), late());
        let good = [approval("c", "p", 12)];
        assert_eq!(gate(&run, &campaign, &good, 13), late());
        let resumed = Waiting {
            run: &run,
            campaign: &campaign,
            approvals: &good,
            may_be_late: true,
        };
        assert_eq!(resumed.gate(at(13)), Gate::Open);
        // What a person asks for has no time that it could miss; nor has what is sent however late.
        run.asked = true;
        assert_eq!(gate(&run, &campaign, &good, 13), Gate::Open);
    }

    #[test]
    fn a_limit_comes_first_and_ends_when_a_person_lets_it_go() {
        let (mut run, campaign) = world();
        run.limit = Some("too_many".to_owned());
        let good = [approval("c", "p", 6)];
        assert_eq!(
            gate(&run, &campaign, &good, 7),
            Gate::Held("too_many".to_owned())
        );
        run.released = true;
        assert_eq!(gate(&run, &campaign, &good, 7), Gate::Scheduled);
        assert_eq!(gate(&run, &campaign, &[], 7), Gate::AwaitingApproval);
    }
}
