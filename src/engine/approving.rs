//! Approvals: `campanile approve`.

use std::sync::Arc;

use crate::{
    control::{ApprovalState, ApprovalStatus, Refused, RefusedKind},
    model::{Approval, HoldReason, Run, RunId, RunState},
    store::RunChange,
};

use super::{Engine, lifecycle::Standing};

impl Engine {
    /// Notes who lets a run go as it is planned, and ends the hold that waited for that.
    pub(super) async fn approve(
        self: &Arc<Self>,
        id: RunId,
        by: String,
        not_by: Option<&str>,
        digest: Option<&str>,
    ) -> Result<(), Refused> {
        let refuse = |message: String| Err(Refused::new(RefusedKind::Held, message));
        let run = self.run(id).await?;
        let held = run.held();
        match (run.state, held) {
            (RunState::Planning, _) => {
                return refuse(format!(
                    "run {id} is being planned: there is nothing to approve yet"
                ));
            }
            (state, _) if state.is_over() || run.begun || state == RunState::Sending => {
                return refuse(format!("run {id} is {state}: there is nothing to approve"));
            }
            (_, Some(reason @ (HoldReason::SourceError | HoldReason::TestsFailed))) => {
                return refuse(format!(
                    "run {id} has no plan, as {}: {}",
                    reason.because(),
                    reason.help(id, &run.campaign)
                ));
            }
            _ => {}
        }
        let by = by.trim().to_owned();
        if by.is_empty() {
            let message = "who approves? `--by WHO` says it";
            return Err(Refused::new(RefusedKind::Usage, message));
        }
        if not_by.is_some_and(|author| is_same_person(&by, author)) {
            return refuse(format!(
                "{by} is the author of what is approved: run {id} needs the approval of somebody else"
            ));
        }
        self.refuse_unseen(&run).await?;
        let (Some(content), Some(plan)) = (run.content_digest.clone(), run.plan_digest.clone())
        else {
            return refuse(format!("run {id} has no plan: there is nothing to approve"));
        };
        if let Some(seen) = digest.filter(|seen| seen.is_empty() || !plan.starts_with(*seen)) {
            return refuse(format!(
                "the plan of run {id} has the digest {plan}, not {seen}: look at it again"
            ));
        }
        let approval = Approval {
            run: id,
            content_digest: content,
            plan_digest: plan,
            who: by.clone(),
            at: self.clock.now(),
        };
        self.store()?.approve(self.lease()?, approval).await?;
        tracing::info!(run = %id, campaign = %run.campaign, by, "approved");
        self.let_go_if_approved(&run, held).await
    }

    /// What the approval of a run ends.
    async fn let_go_if_approved(
        self: &Arc<Self>,
        run: &Run,
        held: Option<HoldReason>,
    ) -> Result<(), Refused> {
        let ends = match (run.state, held) {
            (RunState::AwaitingApproval | RunState::Scheduled, _) => true,
            (RunState::Held, Some(HoldReason::SuspectedRename)) => {
                self.clear_suspicion(&run.campaign).await?;
                true
            }
            // A limit that the plan exceeds is what was approved; other holds have other ends.
            (RunState::Held, held) => run.limit.is_some() && held == run.over_limit(),
            _ => false,
        };
        if !ends {
            return Ok(());
        }
        let (state, reason) = match self.standing_of(&run.campaign).await? {
            // With broken settings nothing starts.
            Standing::AsTheyAre | Standing::Over(_) => return Ok(()),
            Standing::Held(reason) => (RunState::Held, Some(reason.to_string())),
            Standing::Good => {
                let approved = Run {
                    released: true,
                    ..run.clone()
                };
                self.gate_of(&approved, true).await?.state()
            }
        };
        let change = RunChange {
            state,
            reason,
            released: Some(true),
        };
        self.store()?
            .move_run(run.id, &[run.state], change, self.clock.now())
            .await?;
        self.wake().await;
        Ok(())
    }

    /// The latest approval of a run of which no message has begun, and whether it counts.
    pub(super) async fn approval_status(
        &self,
        run: &Run,
    ) -> Result<Option<ApprovalStatus>, Refused> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let approvals = store.approvals(run.id).await?;
        let Some(latest) = approvals.first() else {
            return Ok(None);
        };
        let Ok(campaign) = self.campaign_of(run).await else {
            return Ok(None);
        };
        let (rule, now) = (campaign.approval, self.clock.now());
        // An earlier one may count where a later one does not: the plan came back to what it was.
        let counts = |approval: &&Approval| run.begun || approval.counts(run, rule, now);
        let shown = approvals.iter().find(counts).unwrap_or(latest);
        let state = match shown.voided_by(run) {
            _ if counts(&shown) => ApprovalState::Counts,
            Some(_) => ApprovalState::Void,
            None => ApprovalState::Expired,
        };
        Ok(Some(ApprovalStatus {
            by: shown.who.clone(),
            at: shown.at,
            expires_at: shown.expires_at(rule),
            state,
            changed: shown
                .voided_by(run)
                .filter(|_| state == ApprovalState::Void),
        }))
    }
}

/// Whether two ways to write a person mean the same one: their mail addresses agree, or all of it does.
fn is_same_person(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.trim().to_lowercase();
    let parts = |text: &str| {
        let text = plain(text);
        match text.split_once('<') {
            Some((name, address)) => (
                name.trim().to_owned(),
                address.trim_end_matches('>').trim().to_owned(),
            ),
            None if text.contains('@') => (String::new(), text),
            None => (text, String::new()),
        }
    };
    let ((name, address), (other_name, other_address)) = (parts(one), parts(other));
    let same = |one: &str, other: &str| !one.is_empty() && one == other;
    same(&address, &other_address) || same(&name, &other_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_is_known_by_name_or_address() {
        for (one, other, same) in [
            ("Ada", "ada ", true),
            ("Ada <ada@acme.example>", "ADA@acme.example", true),
            ("Ada <ada@acme.example>", "Ada", true),
            ("Ada <ada@acme.example>", "Grace <ada@acme.example>", true),
            ("Ada <ada@acme.example>", "Ada <ada@home.example>", true),
            ("Ada", "Grace", false),
            ("Ada <ada@acme.example>", "grace@acme.example", false),
            ("", "", false),
        ] {
            assert_eq!(is_same_person(one, other), same, "{one} / {other}");
        }
    }
}
