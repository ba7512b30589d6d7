//! Rows that are read by blocking work → a stream: a thread reads ahead by a few batches, no more.

use futures::{StreamExt, stream::BoxStream};
use tokio::sync::mpsc;

use super::{BATCH_ROWS, Batch, SourceContext, SourceError};
use crate::model::{InvalidRow, Recipient};

/// How many batches may wait for their reader.
const AHEAD: usize = 2;

/// A batch is full at this many bytes of text too, so that rows with long cells stay bounded.
const BATCH_BYTES: usize = 1 << 20;

enum Message {
    Batch(Batch),
    Failed(SourceError),
    /// All rows were read. Without it the end of the channel is a failure, never the end of the audience.
    End,
}

/// Where the reading thread puts its rows.
pub(super) struct Rows {
    sender: mpsc::Sender<Message>,
    batch: Batch,
    bytes: usize,
}

/// Why reading ended before its end.
pub(super) enum Stopped {
    /// Nobody wants more rows.
    Unwanted,
    /// The source can't be read.
    Failed(SourceError),
}

impl Rows {
    /// Adds a row that is about `bytes` long.
    pub(super) fn push(
        &mut self,
        row: Result<Recipient, InvalidRow>,
        bytes: usize,
    ) -> Result<(), Stopped> {
        if self.batch.capacity() == 0 {
            self.batch.reserve_exact(BATCH_ROWS);
        }
        self.batch.push(row);
        self.bytes += bytes;
        if self.batch.len() == BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        self.bytes = 0;
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.sender
            .blocking_send(Message::Batch(batch))
            .map_err(|_| Stopped::Unwanted)
    }
}

/// Runs `read` on a thread for blocking work. Dropping the stream ends it at its next batch.
pub(super) fn stream(
    context: &SourceContext,
    read: impl FnOnce(&mut Rows) -> Result<(), Stopped> + Send + 'static,
) -> BoxStream<'static, Result<Batch, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut rows = Rows {
            sender,
            batch: Batch::new(),
            bytes: 0,
        };
        let last = match read(&mut rows).and_then(|()| rows.flush()) {
            Ok(()) => Message::End,
            Err(Stopped::Failed(error)) => Message::Failed(error),
            Err(Stopped::Unwanted) => return,
        };
        // Nobody listens any more: nobody misses it.
        let _ = rows.sender.blocking_send(last);
    });
    let broken_off = context.error("reading broke off before the end: see the log");
    futures::stream::unfold(Some((receiver, broken_off)), |state| async move {
        let (mut receiver, broken_off) = state?;
        match receiver.recv().await {
            Some(Message::Batch(batch)) => Some((Ok(batch), Some((receiver, broken_off)))),
            Some(Message::Failed(error)) => Some((Err(error), None)),
            Some(Message::End) => None,
            None => Some((Err(broken_off), None)),
        }
    })
    .boxed()
}

/// Runs blocking work that is short, such as opening a file and reading its header.
pub(super) async fn blocking<T: Send + 'static>(
    context: &SourceContext,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|message| context.error(message)),
        Err(_) => Err(context.error("reading broke off: see the log")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> SourceContext {
        SourceContext {
            name: "people".parse().unwrap(),
            workspace: ".".into(),
            roles: crate::model::Roles::default(),
            fields: Vec::new(),
        }
    }

    fn row(line: u64) -> Result<Recipient, InvalidRow> {
        Err(InvalidRow {
            line,
            key: None,
            column: None,
            message: String::new(),
        })
    }

    async fn sizes(
        mut stream: BoxStream<'static, Result<Batch, SourceError>>,
    ) -> Vec<Result<usize, String>> {
        let mut sizes = Vec::new();
        while let Some(batch) = stream.next().await {
            sizes.push(
                batch
                    .map(|batch| batch.len())
                    .map_err(|error| error.message),
            );
        }
        sizes
    }

    #[tokio::test]
    async fn batches_are_bounded_by_rows_and_by_bytes() {
        let by_rows = stream(&context(), |rows| {
            (0..2500).try_for_each(|line| rows.push(row(line), 10))
        });
        assert_eq!(sizes(by_rows).await, [Ok(1024), Ok(1024), Ok(452)]);
        let by_bytes = stream(&context(), |rows| {
            (0..5).try_for_each(|line| rows.push(row(line), BATCH_BYTES / 2))
        });
        assert_eq!(sizes(by_bytes).await, [Ok(2), Ok(2), Ok(1)]);
    }

    #[tokio::test]
    async fn a_reader_that_panics_is_an_error_and_not_the_end() {
        let stream = stream(&context(), |rows| {
            (0..1024).try_for_each(|line| rows.push(row(line), 1))?;
            panic!("on purpose")
        });
        assert_eq!(
            sizes(stream).await,
            [
                Ok(1024),
                Err("reading broke off before the end: see the log".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn a_dropped_stream_stops_its_reader() {
        let (stopped, was_stopped) = tokio::sync::oneshot::channel();
        let mut stream = stream(&context(), move |rows| {
            let end = (0..).try_for_each(|line| rows.push(row(line), 1));
            stopped.send(()).expect("the test waits for it");
            end
        });
        assert!(stream.next().await.is_some());
        drop(stream);
        was_stopped.await.unwrap();
    }
}
