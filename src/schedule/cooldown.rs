//! How long a recipient rests where the campaign does not say.

use chrono::NaiveDate;

use super::{Limits, cron::CronTimes, limit};
use crate::model::{Campaign, Cooldown, Cron, Period, Schedule, Timing, Unit};

/// How long a recipient of a campaign rests: as it says, else by its schedule.
pub fn cooldown(campaign: &Campaign) -> Cooldown {
    let own = campaign.audience.cooldown;
    own.unwrap_or_else(|| default_cooldown(campaign.schedule.as_ref()))
}

/// How long a recipient rests where the campaign does not say: for ever after a one-off, half the period of a schedule that
/// repeats (of a cron expression: half the shortest time between two local times that it matches), nothing where it is sent
/// only when asked.
pub fn default_cooldown(schedule: Option<&Schedule>) -> Cooldown {
    match schedule.map(|schedule| &schedule.timing) {
        None => Cooldown::None,
        Some(Timing::Now | Timing::At(_)) => Cooldown::Forever,
        Some(Timing::Every { period, .. }) => {
            half(*period).map_or(Cooldown::None, Cooldown::Within)
        }
        Some(Timing::Cron(cron)) => half_of_cron(cron),
    }
}

/// `None` for a single second, which has no half.
fn half(period: Period) -> Option<Period> {
    let Period { count, unit } = period;
    if count % 2 == 0 {
        return Some(Period {
            count: count / 2,
            unit,
        });
    }
    let (halves, unit) = match unit {
        Unit::Second if count == 1 => return None,
        Unit::Second => {
            return Some(Period {
                count: count / 2,
                unit,
            });
        }
        Unit::Minute => (30, Unit::Second),
        Unit::Hour => (30, Unit::Minute),
        Unit::Day => (12, Unit::Hour),
        Unit::Week => (84, Unit::Hour),
        Unit::Month => (15, Unit::Day),
        Unit::Year => (6, Unit::Month),
    };
    Some(Period {
        count: count.saturating_mul(halves),
        unit,
    })
}

/// Looks at the next occurrences of a fixed year, so that the answer is always the same.
fn half_of_cron(cron: &Cron) -> Cooldown {
    const LOOKED_AT: usize = 50;
    let limits = Limits {
        first: limit(2024, 1, 1),
        last: NaiveDate::MAX,
    };
    let Some(times) = CronTimes::new(cron, limits) else {
        return Cooldown::Forever;
    };
    let first = times.local_after(limit(2023, 12, 31).into());
    let locals: Vec<_> = std::iter::successors(first, |local| times.local_after(*local))
        .take(LOOKED_AT)
        .collect();
    let shortest = locals
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).num_seconds() / 2)
        .min();
    match shortest {
        None => Cooldown::Forever,
        Some(seconds) => {
            let (length, unit) = [(86_400, Unit::Day), (3_600, Unit::Hour), (60, Unit::Minute)]
                .into_iter()
                .find(|(length, _)| seconds % length == 0)
                .unwrap_or((1, Unit::Second));
            Cooldown::Within(Period {
                count: u32::try_from(seconds / length).unwrap_or(u32::MAX),
                unit,
            })
        }
    }
}
