//! What goes wrong inside, before it is said in the words of [`StoreError`].

use rusqlite::ErrorCode;

use crate::store::{LOCK_PATIENCE, StoreError};

/// The database's no, or ours.
#[derive(Debug)]
pub(super) enum Error {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal in words.
pub(super) fn refused(words: impl Into<String>) -> Error {
    Error::Store(StoreError::Failed(words.into()))
}

impl Error {
    /// What is told to the person who must act.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Store(StoreError::Failed(words)) => words.clone(),
            Self::Store(lost @ StoreError::LeaseLost) => lost.to_string(),
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
                    "another process has kept it locked for {} seconds; end that process ({error})",
                    LOCK_PATIENCE.as_secs()
                ),
                Some(ErrorCode::DiskFull) => {
                    format!(
                        "no room is left on its disk; nothing of this step is written ({error})"
                    )
                }
                Some(ErrorCode::NotADatabase) => format!("the file is not a store ({error})"),
                Some(ErrorCode::DatabaseCorrupt) => {
                    format!("the file is damaged; restore it from a backup ({error})")
                }
                _ => error.to_string(),
            },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            Error::Sqlite(_) => Self::Failed(error.words()),
        }
    }
}
