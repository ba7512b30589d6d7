//! What the exit codes mean.

use std::process::ExitCode;

use crate::control::RefusedKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It is done.
    Done = 0,
    /// It failed at run time.
    Failed = 1,
    /// It was asked for something that does not exist, or in a way that can't be understood.
    Usage = 2,
    /// The workspace does not check.
    Broken = 3,
    /// Tests failed.
    TestsFailed = 4,
    /// It is held or was refused: it needs a person, is over a limit, or the label was sent already.
    Held = 5,
    /// It is done, but some of it failed.
    SomeFailed = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<RefusedKind> for Exit {
    fn from(kind: RefusedKind) -> Self {
        match kind {
            RefusedKind::Failed => Self::Failed,
            RefusedKind::Usage => Self::Usage,
            RefusedKind::Broken => Self::Broken,
            RefusedKind::Held => Self::Held,
        }
    }
}
