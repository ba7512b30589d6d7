//! Why a command did not do what it was asked, on its way to an exit code.

use std::io;

use super::exit::Exit;
use crate::control::{Refused, RefusedKind};

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The engine said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was printed could not be written. A closed pipe (`| head`) is no failure.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The command was not understood.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Refused::new(RefusedKind::Usage, message).into()
    }

    /// Something outside of the engine failed.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Refused::new(RefusedKind::Failed, message).into()
    }

    /// The engine answered another question.
    pub(super) fn unexpected() -> Self {
        Self::failed(
            "the daemon's answer is not understood; is it of another version? Restart `campanile serve`",
        )
    }

    /// The exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Refused(refused) => refused.kind.into(),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// What is said about it; `None`: nothing.
    pub(super) fn words(&self) -> Option<String> {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            other => Some(other.to_string()),
        }
    }
}
