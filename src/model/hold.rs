//! Why runs wait, and what ends each wait: one table, which `status`, refusals, `explain` and the README speak from.

use std::fmt;

use super::{CampaignId, RunId, run::named};

named! {
    /// Why a run is held.
    HoldReason {
        /// It needs an approval.
        ApprovalNeeded = "approval_needed",
        /// More recipients than `max_recipients`.
        TooMany = "too_many",
        /// Fewer recipients than `min_recipients`.
        TooFew = "too_few",
        /// The audience changed by more than `max_change`.
        ChangedTooMuch = "changed_too_much",
        /// More script errors than `max_script_errors`.
        ScriptErrors = "script_errors",
        /// A source could not be read, or changed while it was read.
        SourceError = "source_error",
        /// The campaign's files do not check.
        Broken = "broken",
        /// The campaign's file is gone.
        Removed = "removed",
        /// The campaign looks like one that vanished.
        SuspectedRename = "suspected_rename",
        /// The store is new: nobody knows what was sent before.
        FreshStore = "fresh_store",
        /// The store is older than it should be.
        StaleLedger = "stale_ledger",
        /// The campaign's tests fail.
        TestsFailed = "tests_failed",
        /// `[stop_if]` says so.
        StopIf = "stop_if",
        /// It is later than `grace` allows.
        Late = "late",
        /// `campanile stop`.
        Stopped = "stopped",
    }
}

/// What ends a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// `campanile resume RUN`, with the words that say what it does.
    Resume(&'static str),
    /// `campanile approve RUN`, which records who; `resume` does it too.
    Approve,
    /// Nothing that is said to the run: something else mends it, and then it goes on by itself.
    ByItself(&'static str),
    /// `campanile start ID`.
    Start,
    /// The campaign's file says which campaign it is; or `approve` or `resume` say that it is another.
    Identity,
}

impl HoldReason {
    /// The reason in `reason: words`.
    pub fn of(text: &str) -> Option<Self> {
        text.split(':').next()?.parse().ok()
    }

    /// Because of what: the rest of "it is held because …".
    pub fn because(self) -> &'static str {
        match self {
            Self::ApprovalNeeded => {
                "it was planned anew after an edit, and nobody has seen that plan"
            }
            Self::TooMany => "more are to get it than `max_recipients`",
            Self::TooFew => "fewer are to get it than `min_recipients`",
            Self::ChangedTooMuch => "its audience changed by more than `max_change`",
            Self::ScriptErrors => "more scripts or templates failed than `max_script_errors`",
            Self::SourceError => "its source can't be read, or changed while it was",
            Self::Broken => "the campaign's files do not check",
            Self::Removed => "the campaign's file is gone",
            Self::SuspectedRename => {
                "the campaign is new, and one with its source and topic vanished"
            }
            Self::FreshStore => "the store is new: nobody knows what was sent before",
            Self::StaleLedger => {
                "nobody wrote the store for so long that it may be a restored backup"
            }
            Self::TestsFailed => "the campaign's tests fail",
            Self::StopIf => "a share in `[stop_if]` is exceeded",
            Self::Late => "its time has passed by more than `grace`",
            Self::Stopped => "of `campanile stop`",
        }
    }

    /// What ends it. `campanile cancel RUN` ends every held run.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::ApprovalNeeded | Self::TooMany | Self::TooFew | Self::ChangedTooMuch => {
                Remedy::Approve
            }
            Self::ScriptErrors | Self::FreshStore | Self::StaleLedger => {
                Remedy::Resume("lets it go all the same")
            }
            Self::StopIf => Remedy::Resume("lets it go and counts anew"),
            Self::Late => Remedy::Resume("sends it late"),
            Self::SourceError => Remedy::Resume("plans it again, once the source can be read"),
            Self::TestsFailed => Remedy::Resume("lets it go all the same; so does mending them"),
            Self::Broken => Remedy::ByItself("mend the files"),
            Self::Removed => Remedy::ByItself("bring the file back before `removal_grace` is over"),
            Self::SuspectedRename => Remedy::Identity,
            Self::Stopped => Remedy::Start,
        }
    }

    /// What to do about a run that is held for it, with the command.
    pub fn help(self, run: RunId, campaign: &CampaignId) -> String {
        let end = format!("`campanile cancel {run}` ends it");
        match self.remedy() {
            Remedy::Resume(does) => format!("`campanile resume {run}` {does}, {end}"),
            Remedy::Approve => format!("`campanile approve {run}` lets it go all the same, {end}"),
            Remedy::ByItself(mend) => format!("{mend}, then it goes on by itself; {end}"),
            Remedy::Start => format!("`campanile start {campaign}` lets it go on, {end}"),
            Remedy::Identity => format!(
                "if it is the same campaign, give it the old one's id (`id = \"…\"`) or `was = [\"…\"]`; if it is another, \
                 `campanile approve {run}` lets it go, {end}"
            ),
        }
    }

    /// Whether it ends by itself, when the files or `campanile start` allow it again.
    pub fn ends_by_itself(self) -> bool {
        matches!(self.remedy(), Remedy::ByItself(_) | Remedy::Start)
    }
}

impl fmt::Display for Remedy {
    /// What ends it, in the words of a table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resume(does) => write!(f, "`resume`, which {does}"),
            Self::Approve => f.write_str("`approve`, `resume`"),
            Self::ByItself(mend) => f.write_str(mend),
            Self::Start => f.write_str("`campanile start`"),
            Self::Identity => {
                f.write_str("`id = \"OLD\"` or `was = [\"OLD\"]`, else `approve`, `resume`")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hold_names_what_ends_it() {
        let campaign: CampaignId = "billing/renewal".parse().unwrap();
        for reason in HoldReason::ALL {
            let help = reason.help(RunId(7), &campaign);
            assert!(
                help.contains("`campanile cancel 7` ends it"),
                "{reason}: {help}"
            );
            let says_how = match reason.remedy() {
                Remedy::Resume(_) => help.contains("`campanile resume 7`"),
                Remedy::Approve | Remedy::Identity => help.contains("`campanile approve 7`"),
                Remedy::Start => help.contains("`campanile start billing/renewal`"),
                Remedy::ByItself(_) => help.contains("by itself"),
            };
            assert!(says_how, "{reason}: {help}");
            assert!(!reason.because().is_empty());
        }
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        for reason in HoldReason::ALL {
            let row = format!(
                "| `{reason}` | {} | {} |\n",
                reason.because(),
                reason.remedy()
            );
            assert!(readme.contains(&row), "README.md lacks {row}");
        }
    }
}
