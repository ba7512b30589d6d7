//! The sources are read, once, and everything is set going: one async reader, evaluators on threads of their own, and the
//! thread on which the rest of the plan is worked out.
//!
//! Batches are dealt to the evaluators in turn and collected in the same turn, so that their order is kept and only a few of
//! them are ever under way.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::{JoinError, spawn_blocking},
};

use crate::{
    message::payload::Layout,
    model::{OccurrenceName, RunId, Schema, SourceName},
    source::{Batch, Source, SourceError},
    store::{Lease, Store},
};

use super::{
    Plan, PlanError, Progress,
    resolve::Resolver,
    rules::Rules,
    select::{Selectors, Sieve, Sifted},
    spill::Sorted,
};

/// A plan to be worked out, down to what is needed for it.
pub(super) struct Job {
    pub(super) rules: Arc<Rules>,
    pub(super) origins: Vec<Origin>,
    pub(super) selectors: Selectors,
    pub(super) occurrence: OccurrenceName,
    pub(super) now: DateTime<Utc>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) freeze: Option<(Lease, RunId)>,
    pub(super) sample: usize,
    pub(super) progress: Arc<Progress>,
    pub(super) limits: Limits,
}

/// A source, with its name in the settings and its columns as of the start.
pub(super) struct Origin {
    pub(super) name: SourceName,
    pub(super) source: Arc<dyn Source>,
    pub(super) schema: Arc<Schema>,
}

/// How much is held at once.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the sorter that holds whole records.
    pub(super) records: usize,
    /// Bytes of each of the sorters that hold hashes and numbers.
    pub(super) marks: usize,
    /// Rows frozen in one go.
    pub(super) rows: usize,
    /// Bytes frozen in one go, about.
    pub(super) bytes: usize,
    /// Threads that evaluate.
    pub(super) evaluators: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // Reading and sorting take so little beside them that no core is left to these.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            records: 16 << 20,
            marks: 4 << 20,
            rows: 5_000,
            bytes: 4 << 20,
            evaluators: cores.min(16),
        }
    }
}

/// Tells the threads of a plan that nobody waits for it any more.
#[derive(Clone, Default)]
pub(super) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// An error, once nobody waits.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(abandoned());
        }
        Ok(())
    }
}

fn abandoned() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "nobody waits for the plan")
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A batch on its way to an evaluator.
pub(super) struct Dealt {
    pub(super) source: usize,
    pub(super) position: u64,
    pub(super) batch: Batch,
}

/// A plan, and what became of everybody, where that was asked for.
pub(super) struct Worked {
    pub(super) plan: Plan,
    pub(super) fates: Option<Sorted<16>>,
}

/// Works a plan out.
pub(super) async fn carry_out(job: Job) -> Result<Worked, PlanError> {
    let cancelled = Cancelled::default();
    let _guard = CancelOnDrop(cancelled.clone());
    let (mut dealers, mut collected, mut threads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..job.limits.evaluators.max(1) {
        let (dealer, dealt) = mpsc::channel(1);
        let (sifted, collector) = mpsc::channel(1);
        let (rules, selectors) = (job.rules.clone(), job.selectors.clone());
        threads.push(spawn_blocking(move || {
            evaluate(Sieve::new(rules, selectors()), dealt, &sifted);
        }));
        dealers.push(dealer);
        collected.push(collector);
    }
    let (complete, completed) = oneshot::channel();
    let origins = job.origins;
    let progress = job.progress.clone();
    let resolver = Resolver {
        rules: job.rules,
        occurrence: job.occurrence,
        now: job.now,
        store: job.store,
        freeze: job.freeze,
        sample: job.sample,
        progress: job.progress,
        limits: job.limits,
        runtime: Handle::current(),
        cancelled,
    };
    let rest = spawn_blocking(move || {
        resolver.work_out(Collector {
            evaluators: collected,
            turn: 0,
            rows: 0,
            completed: Some(completed),
        })
    });

    let read = deal(&origins, dealers, &progress).await;
    match read {
        // The rest is gone where it failed: its own error says why.
        Ok(Some(rows)) => drop(complete.send(rows)),
        _ => drop(complete),
    }
    let planned = rest.await;
    for thread in threads {
        thread.await.map_err(gone)?;
    }
    let planned = planned.map_err(gone)?;
    read?;
    planned
}

/// A thread that panicked passes its panic on; one that never ran was stopped with the runtime.
pub(super) fn gone(error: JoinError) -> PlanError {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => PlanError::Spill(abandoned()),
    }
}

/// Reads the sources, deals their batches, and gives the number of rows. `None`: an evaluator is gone, and with it the plan.
pub(super) async fn deal(
    origins: &[Origin],
    dealers: Vec<mpsc::Sender<Dealt>>,
    progress: &Progress,
) -> Result<Option<u64>, SourceError> {
    let (mut position, mut turn) = (0, 0);
    for (source, origin) in origins.iter().enumerate() {
        let mut batches = origin.source.read().await?;
        let mut known = origin.schema.clone();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            for recipient in batch.iter().flatten() {
                if !Arc::ptr_eq(&recipient.schema, &known) {
                    check_columns(origin, &recipient.schema)?;
                    known = recipient.schema.clone();
                }
            }
            let rows = batch.len() as u64;
            let dealt = Dealt {
                source,
                position,
                batch,
            };
            if dealers[turn].send(dealt).await.is_err() {
                return Ok(None);
            }
            turn = (turn + 1) % dealers.len();
            position += rows;
            progress.rows.fetch_add(rows, Ordering::Relaxed);
        }
    }
    Ok(Some(position))
}

/// Every column that was there when the layout was made must still be: else messages would lack it, unnoticed.
fn check_columns(origin: &Origin, now: &Schema) -> Result<(), SourceError> {
    let missing = origin
        .schema
        .columns
        .iter()
        .find(|column| !now.columns.contains(column));
    match missing {
        None => Ok(()),
        Some((column, _)) => Err(SourceError {
            source_name: origin.name.clone(),
            message: format!("it changed while it was read: column {column:?} is gone or another"),
            place: None,
        }),
    }
}

/// Every field of a layout must be a column of a source.
pub(super) fn check_layout(layout: &Layout, origins: &[Origin]) -> Result<(), SourceError> {
    let fields = layout
        .names()
        .iter()
        .filter_map(|name| name.strip_prefix("r."));
    for field in fields {
        if origins
            .iter()
            .all(|origin| origin.schema.position(field).is_none())
            && let Some(first) = origins.first()
        {
            return Err(SourceError {
                source_name: first.name.clone(),
                message: format!(
                    "column {field:?}, which the messages need, is not there any more"
                ),
                place: None,
            });
        }
    }
    Ok(())
}

/// An evaluator's thread.
fn evaluate(mut sieve: Sieve, mut dealt: mpsc::Receiver<Dealt>, sifted: &mpsc::Sender<Sifted>) {
    while let Some(Dealt {
        source,
        position,
        batch,
    }) = dealt.blocking_recv()
    {
        if sifted
            .blocking_send(sieve.sift(source, position, batch))
            .is_err()
        {
            return;
        }
    }
}

/// Collects what the evaluators made of the batches, in the order of the sources.
pub(super) struct Collector {
    evaluators: Vec<mpsc::Receiver<Sifted>>,
    turn: usize,
    rows: u64,
    /// The number of all rows, told once they are all dealt.
    completed: Option<oneshot::Receiver<u64>>,
}

impl Collector {
    /// The next batch; `None`: that was all. It is an error where reading has stopped before the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Sifted>> {
        let sifted = self.evaluators[self.turn].blocking_recv();
        self.turn = (self.turn + 1) % self.evaluators.len();
        if let Some(sifted) = &sifted {
            self.rows += sifted.rows;
        } else {
            // Batches are dealt in turn: where one is missing, there is none behind it. A part is never taken for the whole.
            let all = self.completed.take().map(oneshot::Receiver::blocking_recv);
            if all != Some(Ok(self.rows)) {
                return Err(abandoned());
            }
        }
        Ok(sifted)
    }
}
