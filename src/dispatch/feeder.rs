//! Claims deliveries from the ledger, has them rendered, and hands them to the lanes of one transport: one of each queue in
//! turn, so that a small urgent campaign is not behind a million others, and none waits for the pace or the hours of another.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

use crate::{
    model::{HoldReason, RunId},
    store::{QueueId, StoreError},
};

use super::{
    NoWork, Shared,
    fill::{self, Allowed, Filled},
    flight::{QueueState, Ready, TransportState},
};

/// How many deliveries are claimed and rendered of one queue at a time, at most.
const CHUNK: usize = 64;
/// The same before it is known how large its messages are.
const FIRST_CHUNK: usize = 8;
/// How many bytes of rendered messages all queues together hold, about.
const STOCK_BYTES: usize = 16 << 20;
/// How many queues are claimed from and rendered side by side.
const FILLS: usize = 4;
/// How often the store is asked which queues there are, where nothing says so earlier.
const REFRESH: Duration = Duration::from_millis(250);

/// Feeds one transport until it is stopped.
pub(super) async fn feed(
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    ready: mpsc::Sender<Ready>,
    stop: watch::Receiver<bool>,
) {
    let lines = Lines {
        shared,
        transport,
        all: BTreeMap::new(),
        turns: VecDeque::new(),
        alarms: BTreeSet::new(),
        turn: 0,
        fills: JoinSet::new(),
        side_by_side: Arc::new(Semaphore::new(FILLS)),
    };
    if let Err(error) = lines.feed(ready, stop).await {
        tracing::debug!(%error, "nothing more is claimed");
    }
}

/// The queues of one transport.
struct Lines {
    shared: Arc<Shared>,
    transport: Arc<TransportState>,
    all: BTreeMap<QueueId, Line>,
    /// Those that have rendered messages, in the order of their turns.
    turns: VecDeque<QueueId>,
    /// When those that may not go on yet are asked again.
    alarms: BTreeSet<(DateTime<Utc>, QueueId)>,
    /// How often a pace let something go.
    turn: u64,
    fills: JoinSet<Filled>,
    side_by_side: Arc<Semaphore>,
}

/// One queue, with what is rendered of it.
struct Line {
    queue: Arc<QueueState>,
    stock: VecDeque<Ready>,
    /// Somebody claims and renders for it.
    filling: bool,
    /// It had nothing to claim: it is asked again at the next look.
    rests: bool,
    /// It is known to have something to claim. One that has a pace takes no place in it before that is known.
    has_more: bool,
    /// When its pace let something of it go last, as a number that grows: whoever waited longest comes first.
    turn: u64,
    /// When it is asked again, where it may not go on yet.
    alarm: Option<DateTime<Utc>>,
    /// How large its largest message was, where one was rendered.
    size: Option<usize>,
}

impl Lines {
    /// Ends when it is told to, or with the error that nothing can be done about.
    async fn feed(
        mut self,
        ready: mpsc::Sender<Ready>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let mut next_look = Instant::now();
        loop {
            if Instant::now() >= next_look {
                let pause = match self.look().await {
                    Ok(()) => REFRESH,
                    Err(error) => put_up_with(error)?,
                };
                next_look = Instant::now() + pause;
            }
            self.ring();
            let pause = self
                .next_alarm()
                .min(next_look.saturating_duration_since(Instant::now()));
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                place = ready.reserve(), if !self.turns.is_empty() => {
                    let Ok(place) = place else {
                        return Ok(());
                    };
                    let mut place = Some(place);
                    while let Some(here) = place.take() {
                        let Some(message) = self.deal() else {
                            break;
                        };
                        here.send(message);
                        place = ready.try_reserve().ok();
                    }
                }
                Some(filled) = self.fills.join_next() => {
                    // A fill is never aborted, and whoever renders catches panics.
                    if let Some(error) = self.stock(filled.expect("a fill does not panic")) {
                        next_look += put_up_with(error)?;
                    }
                }
                () = self.shared.wake.notified() => next_look = Instant::now(),
                () = self.transport.settled.notified() => next_look = Instant::now(),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Which queues opened, closed, and are done with.
    async fn look(&mut self) -> Result<(), StoreError> {
        self.refresh().await?;
        self.finish_drained().await?;
        self.transport.keep_rate(&*self.shared.store).await?;
        for line in self.all.values_mut() {
            line.rests = false;
        }
        self.fill_in_turn(self.all.keys().copied().collect());
        Ok(())
    }

    /// Takes up the queues that opened, drops those that closed: what is rendered of them is still queued.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        let open: Vec<_> = self
            .shared
            .store
            .queues()
            .await?
            .into_iter()
            .filter(|queue| queue.transport == self.transport.way.name)
            .filter(|queue| self.shared.only.is_none_or(|only| queue.run == only))
            .collect();
        self.all.retain(|id, line| {
            open.iter()
                .any(|queue| queue.id == *id && queue.epoch == line.queue.queue.epoch)
        });
        self.turns.retain(|id| self.all.contains_key(id));
        for queue in open {
            if self.all.contains_key(&queue.id) {
                continue;
            }
            match self.shared.runs.work(queue.run, &queue).await {
                Ok(work) => {
                    let id = queue.id;
                    let queue = QueueState::new(
                        queue,
                        work,
                        &self.shared.buckets,
                        self.transport.settled.clone(),
                    );
                    self.all.insert(id, Line::new(queue));
                }
                Err(NoWork::Later(words)) => {
                    tracing::warn!(run = %queue.run, error = words, "not sent yet: trying again");
                }
                Err(NoWork::Never(words)) => {
                    self.shared
                        .runs
                        .hold(queue.run, HoldReason::Broken, &words)
                        .await;
                }
            }
        }
        Ok(())
    }

    /// Asks those whose time has come.
    fn ring(&mut self) {
        let now = self.shared.clock.now();
        let mut rung = Vec::new();
        while let Some((at, id)) = self.alarms.first().copied()
            && at <= now
        {
            self.alarms.pop_first();
            let line = self.all.get_mut(&id);
            if let Some(line) = line.filter(|line| line.alarm == Some(at)) {
                line.alarm = None;
                rung.push(id);
            }
        }
        self.fill_in_turn(rung);
    }

    /// Who waited longest comes first: those of one campaign share its pace.
    fn fill_in_turn(&mut self, mut lines: Vec<QueueId>) {
        lines.sort_by_key(|id| (self.all.get(id).map(|line| line.turn), *id));
        for id in lines {
            self.fill(id);
        }
    }

    /// A queue that may not go on yet is asked again then.
    fn wake_at(&mut self, id: QueueId, at: DateTime<Utc>) {
        if let Some(line) = self.all.get_mut(&id)
            && line.alarm.is_none_or(|earlier| at < earlier)
        {
            line.alarm = Some(at);
            self.alarms.insert((at, id));
        }
    }

    fn next_alarm(&self) -> Duration {
        let next = self
            .alarms
            .first()
            .map(|(at, _)| *at - self.shared.clock.now());
        next.map_or(REFRESH, |left| left.to_std().unwrap_or(Duration::ZERO))
    }

    /// The next message of the queue whose turn it is.
    fn deal(&mut self) -> Option<Ready> {
        let now = self.shared.clock.now();
        while let Some(id) = self.turns.pop_front() {
            let Some(line) = self.all.get_mut(&id) else {
                continue;
            };
            if let Some(opens) = line.queue.closed_until(now) {
                line.give_back(opens);
                self.wake_at(id, opens);
                continue;
            }
            let Some(message) = line.stock.pop_front() else {
                continue;
            };
            if !line.stock.is_empty() {
                self.turns.push_back(id);
            }
            self.fill(id);
            return Some(message);
        }
        None
    }

    /// Has more of a queue rendered, where it has little left, and its pace and its hours allow it.
    fn fill(&mut self, id: QueueId) {
        let now = self.shared.clock.now();
        let lines = self.all.len();
        let Some(line) = self.all.get_mut(&id) else {
            return;
        };
        let chunk = line.chunk(lines);
        if line.filling || line.rests || line.stock.len() > chunk / 2 {
            return;
        }
        let not_before = if let Some(opens) = line.queue.closed_until(now) {
            line.give_back(opens);
            Err(opens)
        } else {
            match &line.queue.pace {
                None => Ok(Allowed::As(chunk)),
                Some(_) if !line.has_more => Ok(Allowed::ToLook),
                Some((bucket, spacing)) => bucket.admit(*spacing, chunk).map(Allowed::By),
            }
        };
        match not_before {
            Err(at) => self.wake_at(id, at),
            Ok(allowed) => {
                line.filling = true;
                if matches!(allowed, Allowed::By(_)) {
                    self.turn += 1;
                    line.turn = self.turn;
                }
                let (shared, queue) = (self.shared.clone(), line.queue.clone());
                let side_by_side = self.side_by_side.clone();
                self.fills.spawn(async move {
                    let _turn = side_by_side.acquire_owned().await;
                    fill::fill(&shared, queue, allowed).await
                });
            }
        }
    }

    /// Takes what was rendered.
    fn stock(&mut self, filled: Filled) -> Option<StoreError> {
        let id = filled.queue.queue.id;
        let line = self.all.get_mut(&id)?;
        if !Arc::ptr_eq(&line.queue, &filled.queue) {
            // The queue was closed meanwhile; all of it is still queued.
            return None;
        }
        line.filling = false;
        if filled.size > 0 {
            line.size = line.size.max(Some(filled.size));
        }
        let is_new = line.stock.is_empty() && !filled.made.is_empty();
        line.stock.extend(filled.made);
        if is_new {
            self.turns.push_back(id);
        }
        match filled.claimed {
            Ok(0) => (line.rests, line.has_more) = (true, false),
            Ok(_) => {
                line.has_more = true;
                self.fill(id);
            }
            Err(error) => {
                line.rests = true;
                return Some(error);
            }
        }
        None
    }

    /// Tells of runs of which nothing is left.
    async fn finish_drained(&mut self) -> Result<(), StoreError> {
        let mut runs: BTreeMap<RunId, bool> = BTreeMap::new();
        for line in self.all.values() {
            *runs.entry(line.queue.queue.run).or_insert(true) &= line.queue.claims.is_settled();
        }
        for (run, _) in runs.into_iter().filter(|(_, settled)| *settled) {
            if self.shared.store.counts(run).await?.open() == 0 {
                self.shared.runs.drained(run).await;
            }
        }
        Ok(())
    }
}

/// How long to wait with a ledger that can't be read. One that another process has taken is not read any more.
fn put_up_with(error: StoreError) -> Result<Duration, StoreError> {
    match error {
        StoreError::LeaseLost => Err(error),
        StoreError::Failed(_) => {
            tracing::error!(%error, "the ledger can't be read: trying again in a second");
            Ok(Duration::from_secs(1))
        }
    }
}

impl Line {
    fn new(queue: QueueState) -> Self {
        Self {
            queue: Arc::new(queue),
            stock: VecDeque::new(),
            filling: false,
            rests: false,
            has_more: false,
            turn: 0,
            alarm: None,
            size: None,
        }
    }

    /// How many to render at a time, so that all queues together hold no more than their share of memory.
    fn chunk(&self, lines: usize) -> usize {
        match self.size {
            None => FIRST_CHUNK,
            Some(size) => (STOCK_BYTES / lines.max(1) / size.max(1)).clamp(1, CHUNK),
        }
    }

    /// What is rendered of it is claimed again, not before `at`.
    fn give_back(&mut self, at: DateTime<Utc>) {
        // A moment beyond the calendar is one that does not come.
        let at = at.min(DateTime::<Utc>::MAX_UTC - TimeDelta::days(1));
        for message in self.stock.drain(..) {
            self.queue.claims.give_back(message.begin.delivery, at);
        }
    }
}
