//! How much one evaluation may do. Rhai counts operations too, but starts again in each closure it calls; this count belongs
//! to the thread and is one for the whole evaluation, what functions of ours do with long lists and texts included.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use rhai::Position;

/// Steps of one evaluation: an endless loop ends after about ten milliseconds.
pub(super) const STEPS: u64 = 250_000;

/// Steps between two looks at the clock. A script that takes fewer never sees it, so that ordinary results do not depend on
/// how busy the machine is.
pub(super) const LOOK: u64 = 2_048;

/// The longest time one evaluation may take: a backstop where single steps move a lot of data.
const LONGEST: Duration = Duration::from_millis(250);

/// What the time between two looks counts for at most: a machine that stood still is not the script's fault.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static NEXT_LOOK: Cell<u64> = const { Cell::new(0) };
    static LAST_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
    static TAKEN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static FAILURE: RefCell<Option<Deferred>> = const { RefCell::new(None) };
}

/// A failure inside a text with `${…}`, where Rhai drops errors: it ends the evaluation at the next step.
#[derive(Clone, Debug)]
pub(super) struct Deferred {
    /// What happened.
    pub(super) message: String,
    /// The path of the script it happened in; `None`: the expression.
    pub(super) source: Option<String>,
    /// Where in it.
    pub(super) position: Position,
}

/// Starts the count of an evaluation.
pub(super) fn start() {
    LEFT.set(STEPS);
    NEXT_LOOK.set(STEPS - LOOK);
    LAST_LOOK.set(None);
    TAKEN.set(Duration::ZERO);
    FAILURE.take();
}

/// Ends the count; gives the failure that was deferred, if one was.
pub(super) fn finish() -> Option<Deferred> {
    FAILURE.take()
}

/// How many steps the evaluation on this thread has taken since it started.
pub(super) fn spent() -> u64 {
    STEPS - LEFT.get()
}

/// Notes a failure that Rhai would drop. The first one counts.
pub(super) fn defer(failure: Deferred) {
    FAILURE.with_borrow_mut(|slot| slot.get_or_insert(failure).clone());
    LEFT.set(0);
}

/// Takes `steps`; `false` where too few are left.
pub(super) fn take(steps: u64) -> bool {
    let Some(left) = LEFT.get().checked_sub(steps) else {
        LEFT.set(0);
        return false;
    };
    LEFT.set(left);
    left > NEXT_LOOK.get() || look(left)
}

#[cold]
fn look(left: u64) -> bool {
    NEXT_LOOK.set(left.saturating_sub(LOOK));
    let now = Instant::now();
    let since = LAST_LOOK
        .replace(Some(now))
        .map_or(Duration::ZERO, |last| now - last);
    TAKEN.set(TAKEN.get() + since.min(LONGEST_LOOK));
    let in_time = TAKEN.get() < LONGEST;
    if !in_time {
        LEFT.set(0);
    }
    in_time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_out_and_stay_out() {
        start();
        assert!(take(STEPS - 1));
        assert!(take(1));
        assert!(!take(1));
        assert!(!take(1));
        start();
        assert!(take(1));
        assert!(!take(u64::MAX));
        assert!(!take(1));
    }
}
