//! Reading: a few connections of their own, so that questions never wait for the writer, nor the writer for them. Each use is
//! short; a long one would keep the log from being copied into the file.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{
    error::{Result, refused},
    schema,
};
use crate::store::Result as StoreResult;

/// How many connections read side by side.
const CONNECTIONS: usize = 4;

/// The reading connections of one store.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    free: Arc<Semaphore>,
}

impl Readers {
    /// Opens the first connection, so that what is wrong with the file shows now.
    pub(super) fn open(path: PathBuf) -> Result<Arc<Self>> {
        let first = schema::open_reader(&path)?;
        Ok(Arc::new(Self {
            path,
            idle: Mutex::new(vec![first]),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        }))
    }

    /// Asks something, off the async threads. Each statement sees the store as of one moment.
    pub(super) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        let turn = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let readers = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let idle = readers.idle.lock().pop();
            let db = match idle {
                Some(db) => db,
                None => schema::open_reader(&readers.path)?,
            };
            let answer = question(&db)?;
            readers.idle.lock().push(db);
            Ok(answer)
        });
        answer
            .await
            .unwrap_or_else(|error| Err(refused(format!("a question was not answered: {error}"))))
            .map_err(Into::into)
    }
}
