//! The store that a path names. There is one kind yet, SQLite; a build without the feature `sqlite` has none.

use std::{path::Path, sync::Arc};

use super::{Result, Store};

/// Opens the store in the file at `path` to write it; the file is made where there is none.
#[cfg(feature = "sqlite")]
pub fn open(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(super::SqliteStore::open(path)?))
}

/// Opens the store in the file at `path` to look at it, while another process may be writing it.
#[cfg(feature = "sqlite")]
pub fn open_read_only(path: &Path) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(super::SqliteStore::open_read_only(path)?))
}

/// Refuses: this build has no kind of store.
#[cfg(not(feature = "sqlite"))]
pub fn open(path: &Path) -> Result<Arc<dyn Store>> {
    let message = format!(
        "{}: this build has no SQLite (feature `sqlite`)",
        path.display()
    );
    Err(super::StoreError::Failed(message))
}

/// Refuses: this build has no kind of store.
#[cfg(not(feature = "sqlite"))]
pub fn open_read_only(path: &Path) -> Result<Arc<dyn Store>> {
    open(path)
}
