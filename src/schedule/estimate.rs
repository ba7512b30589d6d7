//! When a run will be through, by its pace, its hours and its zones.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Span, span};
use crate::model::{Window, Zone};

/// Deliveries of a run that open together.
#[derive(Clone, Debug)]
pub struct Share {
    /// How many.
    pub count: u64,
    /// When they may begin at the earliest; `None`: at once.
    pub opens: Option<DateTime<Utc>>,
    /// The zone on whose clocks the window opens and closes.
    pub zone: Zone,
}

/// A run that takes longer than so many openings and closings has no end that anybody would wait for.
const STEPS: usize = 20_000;

/// When the last delivery begins, of a run that starts at `start`: of those that are open at the same time each gets its turn.
/// Without a rate everything begins as soon as it is open. `None`: never, or not within any time that is worth telling.
pub fn last_begins(
    start: DateTime<Utc>,
    shares: &[Share],
    window: Option<&Window>,
    per_second: Option<f64>,
) -> Option<DateTime<Utc>> {
    let interval = match per_second {
        None => 0.0,
        Some(rate) if rate > 0.0 => 1.0 / rate,
        Some(_) => return None,
    };
    let mut left: Vec<Left<'_>> = shares
        .iter()
        .filter(|share| share.count > 0)
        .map(|share| Left {
            share,
            // Seconds of work; the first of all takes none.
            work: share.count as f64 * interval,
            span: None,
        })
        .collect();
    let mut at = start;
    for _ in 0..STEPS {
        if left.is_empty() {
            return at
                .checked_sub_signed(seconds(interval)?)
                .map(|end| end.max(start));
        }
        let (mut open, mut next) = (0_u32, DateTime::<Utc>::MAX_UTC);
        let mut least = f64::MAX;
        for one in &mut left {
            let span = one.span_at(at, window)?;
            if span.holds(at) {
                open += 1;
                least = least.min(one.work);
                next = next.min(span.closes);
            } else {
                next = next.min(span.opens);
            }
        }
        if open == 0 {
            at = next;
            continue;
        }
        // Until one of them is through, or something opens or closes.
        let room = (next - at).num_milliseconds() as f64 / 1e3;
        let through = least * f64::from(open);
        let takes = through.min(room);
        for one in &mut left {
            if one.span.is_some_and(|span| span.holds(at)) {
                one.work -= takes / f64::from(open);
            }
        }
        left.retain(|one| one.work > interval / 1e6 || (interval == 0.0 && !one.is_open(at)));
        at = if takes < room {
            at.checked_add_signed(seconds(takes)?)?
        } else {
            next
        };
    }
    None
}

/// What is left of a share.
struct Left<'a> {
    share: &'a Share,
    work: f64,
    span: Option<Span>,
}

impl Left<'_> {
    /// The time in which it is open that `at` lies in, or the next one.
    fn span_at(&mut self, at: DateTime<Utc>, window: Option<&Window>) -> Option<Span> {
        if let Some(span) = self.span.filter(|span| at < span.closes) {
            return Some(span);
        }
        let from = self.share.opens.map_or(at, |opens| opens.max(at));
        let found = match window {
            None => Span {
                opens: from,
                closes: DateTime::<Utc>::MAX_UTC,
            },
            Some(window) => {
                let span = span(window, &self.share.zone, from)?;
                Span {
                    opens: span.opens.max(from),
                    closes: span.closes,
                }
            }
        };
        self.span = Some(found);
        self.span
    }

    fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.span.is_some_and(|span| span.holds(at))
    }
}

fn seconds(seconds: f64) -> Option<TimeDelta> {
    // A thousand years are as good as never.
    (seconds < 3.2e10).then(|| TimeDelta::microseconds((seconds * 1e6) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn share(count: u64, zone: &str, opens: Option<&str>) -> Share {
        Share {
            count,
            opens: opens.map(at),
            zone: zone.parse().unwrap(),
        }
    }

    fn end(shares: &[Share], window: Option<&str>, per_second: Option<f64>) -> String {
        let window = window.map(|hours| Window {
            hours: hours.parse().unwrap(),
            days: "Mon-Sun".parse().unwrap(),
        });
        let end = last_begins(
            at("2026-12-01T09:00:00Z"),
            shares,
            window.as_ref(),
            per_second,
        );
        end.map_or("never".to_owned(), |end| {
            end.format("%d %H:%M:%S").to_string()
        })
    }

    #[test]
    fn it_takes_as_long_as_the_rate_says() {
        let utc = |n| [share(n, "UTC", None)];
        assert_eq!(end(&utc(61), None, Some(1.0)), "01 09:01:00");
        assert_eq!(end(&utc(501), None, Some(500.0 / 3600.0)), "01 10:00:00");
        assert_eq!(end(&utc(1_000), None, None), "01 09:00:00");
        assert_eq!(end(&utc(0), None, Some(1.0)), "01 09:00:00");
        assert_eq!(end(&[], None, Some(1.0)), "01 09:00:00");
        assert_eq!(end(&utc(u64::MAX), None, Some(1.0)), "never");
        assert_eq!(end(&utc(1), None, Some(0.0)), "never");
    }

    #[test]
    fn windows_are_waited_for() {
        let utc = |n| [share(n, "UTC", None)];
        // An hour is left today, two each day after.
        let hourly = Some(12.0 / 3600.0);
        assert_eq!(end(&utc(12), Some("08:00-10:00"), hourly), "01 09:55:00");
        assert_eq!(end(&utc(13), Some("08:00-10:00"), hourly), "02 08:00:00");
        assert_eq!(
            end(&utc(12 + 24 + 3), Some("08:00-10:00"), hourly),
            "03 08:10:00"
        );
        assert_eq!(end(&utc(5), Some("10:00-11:00"), None), "01 10:00:00");
    }

    #[test]
    fn zones_begin_at_their_time_and_share_the_rate() {
        let zones = [
            share(60, "Europe/Berlin", Some("2026-12-01T08:00:00Z")),
            share(60, "America/New_York", Some("2026-12-01T14:00:00Z")),
            share(60, "Pacific/Pago_Pago", Some("2026-12-01T20:00:00Z")),
        ];
        assert_eq!(end(&zones, None, None), "01 20:00:00");
        assert_eq!(end(&zones, None, Some(1.0)), "01 20:00:59");
        // At one a minute each takes an hour; at one each ten minutes they overlap.
        assert_eq!(end(&zones, None, Some(1.0 / 60.0)), "01 20:59:00");
        assert_eq!(end(&zones, None, Some(1.0 / 600.0)), "02 14:50:00");
    }
}
