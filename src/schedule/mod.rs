//! When campaigns are due: occurrences, on the calendar of a zone.

use chrono::{DateTime, Utc};

use crate::model::{Cooldown, Occurrence, Schedule};

/// The first occurrence after `after` (not at it). [`Timing::Now`](crate::model::Timing::Now) has none here: the engine opens
/// it when the id is first seen.
pub fn next(schedule: &Schedule, after: DateTime<Utc>) -> Option<Occurrence> {
    let _ = (schedule, after);
    todo!()
}

/// The occurrences after `after` up to and including `until`, in order.
pub fn between(
    schedule: &Schedule,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = Occurrence> {
    let mut at = after;
    std::iter::from_fn(move || {
        let occurrence = next(schedule, at).filter(|occurrence| occurrence.due <= until)?;
        at = occurrence.due;
        Some(occurrence)
    })
}

/// How long a recipient rests where the campaign does not say: for ever after a one-off, half the period of a schedule that
/// repeats, nothing where it is sent only when asked.
pub fn default_cooldown(schedule: Option<&Schedule>) -> Cooldown {
    let _ = schedule;
    todo!()
}
