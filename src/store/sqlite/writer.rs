//! The one thread that writes. Three queues: control commands, then advancing deliveries, then plans and other long work, a step
//! at a time. What waits in the first two shares one transaction, so one fsync (group commit); nobody is answered before it.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    error::{Error, Result, refused},
    schema,
};
use crate::store::{LOCK_PATIENCE, Result as StoreResult, StoreError};

/// Rows that a step of long work takes while something sends: the next advance waits for about a millisecond.
const STEP_BESIDE_SENDING: usize = 200;
/// Rows that a step of long work takes otherwise: what the fsync costs no longer shows.
const STEP_ALONE: usize = 10_000;
/// How long after an advance something counts as sending.
const SENDING: Duration = Duration::from_secs(1);
/// How often long work may be passed over before it gets a step, however much else waits.
const PATIENCE: u32 = 4;
/// How many jobs share a transaction at most.
const GROUP: usize = 256;
/// How long the last act, copying the log into the file, waits for readers.
const FAREWELL: Duration = Duration::from_millis(500);

/// The writing thread. Dropping it does what was asked for before, and waits for that.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    control: VecDeque<Box<dyn Job>>,
    advance: VecDeque<Box<dyn Job>>,
    long: VecDeque<Box<dyn Job>>,
    wipes: VecDeque<oneshot::Sender<StoreResult<bool>>>,
    passed_over: u32,
    closed: bool,
}

/// What the thread does next.
enum Next {
    Group {
        jobs: Vec<Box<dyn Job>>,
        advances: bool,
    },
    Step(Box<dyn Job>),
    Wipe(oneshot::Sender<StoreResult<bool>>),
}

/// Something to be done within a transaction.
trait Job: Send {
    /// Does it, or a part of at most `rows` rows.
    fn work(&mut self, db: &Connection, rows: usize) -> Result<Progress>;
    /// Answers who asked, after the transaction.
    fn answer(self: Box<Self>, end: Result<()>);
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    More,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(db: Connection) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("campanile-store".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || write(&db, &shared)
            })
            .map_err(|error| refused(format!("its thread does not start: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A command: short, and served first.
    pub(super) async fn control<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        let job = Once {
            work: Some(work),
            value: None,
            then: |value| value,
            reply,
        };
        self.shared
            .push(|waiting| &mut waiting.control, Box::new(job));
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// A step of deliveries. `then` is called after the commit and only then.
    pub(super) async fn advance<T: Send + 'static, R: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce(T) -> R + Send + 'static,
    ) -> StoreResult<R> {
        let (reply, answer) = oneshot::channel();
        let job = Once {
            work: Some(work),
            value: None,
            then,
            reply,
        };
        self.shared
            .push(|waiting| &mut waiting.advance, Box::new(job));
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Long work, served last, a step of some rows in each transaction: `work` is called until it gives `Some`.
    pub(super) async fn long<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection, usize) -> Result<Option<T>> + Send + 'static,
    ) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        let job = Steps {
            work,
            value: None,
            reply,
        };
        self.shared.push(|waiting| &mut waiting.long, Box::new(job));
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Writer {
    /// Takes what was erased out of the files, between two transactions. `false`: somebody is reading.
    pub(super) async fn wipe(&self) -> StoreResult<bool> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.shared.waiting.lock();
            if !waiting.closed {
                waiting.wipes.push_back(reply);
            }
        }
        self.shared.wake.notify_one();
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.waiting.lock().closed = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has caught what could panic; were it dead all the same, there would be nothing left to do.
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Failed("its writing thread has ended".to_owned())
}

impl Shared {
    fn push(
        &self,
        queue: impl FnOnce(&mut Waiting) -> &mut VecDeque<Box<dyn Job>>,
        job: Box<dyn Job>,
    ) {
        let mut waiting = self.waiting.lock();
        // Closed while somebody holds the writer: the thread has died. Dropping the job tells the asker.
        if !waiting.closed {
            queue(&mut waiting).push_back(job);
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Waits for work; `None`: closed, and all is done.
    fn next(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(next) = waiting.pick() {
                return Some(next);
            }
            if waiting.closed {
                return None;
            }
            self.wake.wait(&mut waiting);
        }
    }
}

impl Waiting {
    fn pick(&mut self) -> Option<Next> {
        if let Some(asker) = self.wipes.pop_front() {
            return Some(Next::Wipe(asker));
        }
        let urgent = !self.control.is_empty() || !self.advance.is_empty();
        if urgent && (self.long.is_empty() || self.passed_over < PATIENCE) {
            if !self.long.is_empty() {
                self.passed_over += 1;
            }
            // Commands first: a stop or an unsubscribe counts for what would begin in the same transaction.
            let controls = self.control.len().min(GROUP);
            let mut jobs: Vec<_> = self.control.drain(..controls).collect();
            let advances = self.advance.len().min(GROUP - controls);
            jobs.extend(self.advance.drain(..advances));
            return Some(Next::Group {
                jobs,
                advances: advances > 0,
            });
        }
        self.passed_over = 0;
        self.long.pop_front().map(Next::Step)
    }
}

/// When the thread ends, however it ends, whoever waits is told.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.closed = true;
        waiting.control.clear();
        waiting.advance.clear();
        waiting.long.clear();
        waiting.wipes.clear();
    }
}

fn write(db: &Connection, shared: &Shared) {
    let _closing = Closing(shared);
    let mut last_advance: Option<Instant> = None;
    while let Some(next) = shared.next() {
        match next {
            Next::Group { jobs, advances } => {
                group(db, jobs);
                if advances {
                    last_advance = Some(Instant::now());
                }
            }
            Next::Wipe(asker) => {
                // Readers are short: who is in the way is gone at the next try.
                let _ = db.busy_timeout(FAREWELL);
                let wiped = schema::wipe(db);
                let _ = db.busy_timeout(LOCK_PATIENCE);
                let _ = asker.send(wiped.map_err(Into::into));
            }
            Next::Step(job) => {
                let sends = last_advance.is_some_and(|at| at.elapsed() < SENDING);
                let rows = if sends {
                    STEP_BESIDE_SENDING
                } else {
                    STEP_ALONE
                };
                if let Some(job) = step(db, job, rows) {
                    shared.waiting.lock().long.push_back(job);
                }
            }
        }
    }
    // Best effort: what stays in the log is read from there by the next who opens the file.
    let _ = db.busy_timeout(FAREWELL);
    let _ = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

/// One step of long work in its own transaction; gives the job back where more is to come.
fn step(db: &Connection, mut job: Box<dyn Job>, rows: usize) -> Option<Box<dyn Job>> {
    if job.is_abandoned() {
        return None;
    }
    let end = begin(db).and_then(|()| {
        let progress = attempt(&mut *job, db, rows)?;
        db.execute_batch("COMMIT")?;
        Ok(progress)
    });
    match end {
        Ok(Progress::More) => return Some(job),
        Ok(Progress::Done) => job.answer(Ok(())),
        Err(error) => {
            roll_back(db);
            job.answer(Err(error));
        }
    }
    None
}

/// Several jobs in one transaction. One that fails takes back what it did and leaves the others alone.
fn group(db: &Connection, jobs: Vec<Box<dyn Job>>) {
    // A lock that can't be had is waited for once, not once for each.
    if let Err(error) = begin(db) {
        return fail(jobs, &error);
    }
    let mut done: Vec<Box<dyn Job>> = Vec::with_capacity(jobs.len());
    for mut job in jobs {
        match member(db, &mut *job, done.is_empty()) {
            Ok(()) => done.push(job),
            Err(error) => {
                // Some failures (a full disk) end the transaction and with it what the others did.
                if db.is_autocommit() && !done.is_empty() {
                    fail(mem::take(&mut done), &error);
                }
                job.answer(Err(error));
            }
        }
    }
    if done.is_empty() {
        roll_back(db);
        return;
    }
    match db.execute_batch("COMMIT") {
        Ok(()) => {
            for job in done {
                job.answer(Ok(()));
            }
        }
        Err(error) => {
            roll_back(db);
            fail(done, &error.into());
        }
    }
}

/// Runs one job of a group: the first that works has the transaction to itself, the later ones stand behind a savepoint each.
fn member(db: &Connection, job: &mut dyn Job, first: bool) -> Result<()> {
    if first {
        if db.is_autocommit() {
            begin(db)?;
        }
        return attempt(job, db, usize::MAX)
            .map(drop)
            .inspect_err(|_| roll_back(db));
    }
    db.prepare_cached("SAVEPOINT job")?.execute([])?;
    let result = attempt(job, db, usize::MAX);
    if result.is_err() && !db.is_autocommit() {
        db.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    if !db.is_autocommit() {
        db.prepare_cached("RELEASE job")?.execute([])?;
    }
    result.map(drop)
}

/// A job that panics has failed; the thread and the other jobs go on.
fn attempt(job: &mut dyn Job, db: &Connection, rows: usize) -> Result<Progress> {
    catch_unwind(AssertUnwindSafe(|| job.work(db, rows))).unwrap_or_else(|_| {
        Err(refused(
            "a write failed by a defect of Campanile; nothing of it is written",
        ))
    })
}

fn begin(db: &Connection) -> Result<()> {
    // For the write lock at once: a transaction that must wait for it later can't be waited for.
    Ok(db.execute_batch("BEGIN IMMEDIATE")?)
}

fn roll_back(db: &Connection) {
    if !db.is_autocommit() {
        // The only failure is that there is no transaction any more.
        let _ = db.execute_batch("ROLLBACK");
    }
}

fn fail(jobs: Vec<Box<dyn Job>>, error: &Error) {
    let words = error.words();
    for job in jobs {
        job.answer(Err(refused(words.clone())));
    }
}

struct Once<F, T, G, R> {
    work: Option<F>,
    value: Option<T>,
    then: G,
    reply: oneshot::Sender<StoreResult<R>>,
}

impl<F, T, G, R> Job for Once<F, T, G, R>
where
    F: FnOnce(&Connection) -> Result<T> + Send,
    T: Send,
    G: FnOnce(T) -> R + Send,
    R: Send,
{
    fn work(&mut self, db: &Connection, _rows: usize) -> Result<Progress> {
        let work = self.work.take().expect("a job is run once");
        self.value = Some(work(db)?);
        Ok(Progress::Done)
    }

    fn answer(self: Box<Self>, end: Result<()>) {
        let Self {
            value, then, reply, ..
        } = *self;
        // Who has stopped waiting needs no answer.
        let _ = reply.send(match (end, value) {
            (Ok(()), Some(value)) => Ok(then(value)),
            (Ok(()), None) => Err(stopped()),
            (Err(error), _) => Err(error.into()),
        });
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

struct Steps<F, T> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<F, T> Job for Steps<F, T>
where
    F: FnMut(&Connection, usize) -> Result<Option<T>> + Send,
    T: Send,
{
    fn work(&mut self, db: &Connection, rows: usize) -> Result<Progress> {
        self.value = (self.work)(db, rows)?;
        Ok(if self.value.is_some() {
            Progress::Done
        } else {
            Progress::More
        })
    }

    fn answer(self: Box<Self>, end: Result<()>) {
        // Who has stopped waiting needs no answer.
        let _ = self.reply.send(match (end, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(stopped()),
            (Err(error), _) => Err(error.into()),
        });
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}
