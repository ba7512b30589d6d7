//! What a run waits for, until when, and what to do about it: in words.

use chrono::{DateTime, Utc};

use crate::{
    control::{ApprovalState, ApprovalStatus},
    model::{HoldReason, Run, RunState, Zone},
    workspace::Loaded,
};

use super::{
    gate::{begins, late_from},
    lifecycle::waits_behind_first_part,
};

/// What a run waits for.
pub(super) struct Waits {
    /// When it goes on by itself.
    due: Option<DateTime<Utc>>,
    /// When it is late.
    late: Option<DateTime<Utc>>,
    zone: Zone,
}

impl Waits {
    /// `loaded` is its campaign as its files are now, if they check.
    pub(super) fn of(run: &Run, loaded: Option<&Loaded>) -> Self {
        let waits = matches!(run.state, RunState::Scheduled | RunState::AwaitingApproval);
        Self {
            due: if waits_behind_first_part(run) {
                run.goes_on_at
            } else {
                Some(loaded.map_or(run.due, |loaded| begins(run, &loaded.campaign)))
                    .filter(|_| waits)
            },
            late: loaded
                .filter(|_| waits)
                .and_then(|loaded| late_from(run, &loaded.campaign)),
            zone: loaded.map_or_else(Zone::utc, |loaded| loaded.zone.clone()),
        }
    }

    /// Until when it waits: until it is due, or, where it waits for a person, until it is late.
    pub(super) fn until(&self) -> Option<DateTime<Utc>> {
        self.due.map(|due| self.late.unwrap_or(due))
    }

    /// What to do about a run that waits.
    pub(super) fn help(&self, run: &Run, approval: Option<&ApprovalStatus>) -> Option<String> {
        let id = run.id;
        match run.state {
            RunState::Held => {
                let reason = run.held()?;
                let help = if reason == HoldReason::Broken
                    && run.reason.as_deref() != Some(HoldReason::Broken.as_str())
                {
                    // Its own files, not those of the campaign: nothing that is edited mends them.
                    format!(
                        "`campanile resume {id}` tries it again, `campanile cancel {id}` ends it"
                    )
                } else {
                    reason.help(id, &run.campaign)
                };
                Some(format!("{}: {help}", reason_in_words(reason, run)))
            }
            RunState::Paused if waits_behind_first_part(run) => Some(format!(
                "its first part is out, the rest goes on by itself at {}: `campanile resume {id}` lets it go on at once, \
                 `campanile pause {id}` keeps it from doing so, `campanile cancel {id}` ends it",
                self.at(run.goes_on_at.unwrap_or(run.due))
            )),
            RunState::Paused => Some(format!(
                "`campanile resume {id}` lets it go on, `campanile cancel {id}` ends it"
            )),
            RunState::AwaitingApproval => Some(self.awaiting(run, approval)),
            RunState::Scheduled => Some(match approval {
                Some(approval) => format!(
                    "approved by {}; it goes out at {}, `campanile cancel {id}` ends it",
                    approval.by,
                    self.at(self.due.unwrap_or(run.due))
                ),
                None => format!(
                    "it goes out at {}, `campanile cancel {id}` ends it",
                    self.at(self.due.unwrap_or(run.due))
                ),
            }),
            _ => None,
        }
    }

    fn awaiting(&self, run: &Run, approval: Option<&ApprovalStatus>) -> String {
        let before = approval.map(|approval| {
            let why = match (approval.state, approval.changed) {
                (_, Some(part)) => format!("is void: {part} since"),
                (ApprovalState::Expired, None) => {
                    format!("expired at {}", self.at(approval.expires_at))
                }
                (_, None) => "does not count".to_owned(),
            };
            format!("the approval by {} {why}; ", approval.by)
        });
        let until = match self.late {
            Some(late) => format!(", late after {}", self.at(late)),
            None => String::new(),
        };
        let id = run.id;
        format!(
            "{}`campanile approve {id}` lets it go (due {}{until}), `campanile cancel {id}` ends it",
            before.unwrap_or_default(),
            self.at(self.due.unwrap_or(run.due))
        )
    }

    fn at(&self, moment: DateTime<Utc>) -> String {
        self.zone
            .at(moment)
            .format("%Y-%m-%d %H:%M %:z")
            .to_string()
    }
}

/// A reason whose words, which stand behind it, are told as help; the reason's name stands for itself elsewhere.
pub(super) fn told_as_help(run: &Run) -> Option<(HoldReason, &str)> {
    let (_, words) = run.reason.as_deref()?.split_once(": ")?;
    let reason = run.held()?;
    let tells = matches!(
        reason,
        HoldReason::ChangedTooMuch | HoldReason::StopIf | HoldReason::TestsFailed
    );
    tells.then_some((reason, words))
}

/// Why it is held, with the numbers that a limit was measured against.
fn reason_in_words(reason: HoldReason, run: &Run) -> String {
    match (reason, told_as_help(run)) {
        (HoldReason::ChangedTooMuch, Some((_, words))) => format!("its audience changed {words}"),
        (_, Some((_, words))) => words.to_owned(),
        (HoldReason::TooMany | HoldReason::TooFew, None) => {
            format!("{} to send, and {}", run.totals.to_send, reason.because())
        }
        (_, None) => reason.because().to_owned(),
    }
}
