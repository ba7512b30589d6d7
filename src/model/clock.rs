//! Where the engine takes its time from.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A clock. The engine takes the time from nowhere else, so that a test (or an embedding program) can hold it still.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The moment it is.
    fn now(&self) -> DateTime<Utc>;

    /// Returns when `at` has come; at once where it has passed. A clock that is set back meanwhile makes it no longer.
    async fn sleep_until(&self, at: DateTime<Utc>);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        let Ok(away) = (at - Utc::now()).to_std() else {
            return;
        };
        // In steps, so that a wall clock that is set forward is noticed; one that is set back makes nothing longer.
        let begun = std::time::Instant::now();
        while let Ok(left) = (at - Utc::now()).to_std()
            && let Some(most) = away.checked_sub(begun.elapsed())
        {
            tokio::time::sleep(left.min(most).min(std::time::Duration::from_secs(1))).await;
        }
    }
}
