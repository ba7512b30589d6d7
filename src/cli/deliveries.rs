//! `campanile deliveries`: deliveries over all runs.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::{
        Output,
        deliveries::{Deliveries, Format},
    },
};
use crate::{
    control::{Command, Session},
    model::{Channel, Clock, DeliveryId, Period, RunId, Status, SystemClock},
    workspace::Location,
};

/// How many are asked for at once.
const PAGE: usize = 1_000;

/// The arguments of `deliveries`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only with these statuses: queued, sending, deferred, sent, delivered, bounced, complained, failed, `in_doubt`, skipped,
    /// expired, cancelled
    #[arg(long = "status", value_name = "STATUS", value_delimiter = ',')]
    statuses: Vec<Status>,
    /// Only on this channel
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<Channel>,
    /// Only what changed since then: 2026-12-01T09:00:00+01:00, a date (from its beginning in UTC), or 24h ago
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only of the recipient with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only of this run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// How it is printed; --json is short for json
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// A moment.
    Moment(DateTime<Utc>),
    /// So long ago.
    Ago(Period),
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Moment(moment.to_utc()));
        }
        if let Ok(date) = text.parse::<NaiveDate>() {
            return Ok(Self::Moment(date.and_time(NaiveTime::MIN).and_utc()));
        }
        text.parse().map(Self::Ago).map_err(|_| {
            "expected a moment such as 2026-12-01T09:00:00+01:00, a date such as 2026-12-01, or a length of time such as 24h"
        })
    }
}

impl Since {
    fn moment(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Moment(moment) => moment,
            Self::Ago(period) => period.before(now),
        }
    }
}

/// Lists deliveries.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::read(workspace).await?;
    let format = if output.is_json() {
        Format::Json
    } else {
        arguments.format
    };
    let wanted = Wanted {
        run: arguments.run,
        statuses: arguments.statuses,
        channel: arguments.channel,
        since: arguments.since.map(|since| since.moment(SystemClock.now())),
        key: arguments.key,
    };
    print_all(wanted, Deliveries::new(format), &session, output).await?;
    Ok(Exit::Done)
}

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) run: Option<RunId>,
    pub(super) statuses: Vec<Status>,
    pub(super) channel: Option<Channel>,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) key: Option<String>,
}

impl Wanted {
    fn behind(&self, after: Option<DeliveryId>) -> Command {
        let Self {
            run,
            statuses,
            channel,
            since,
            key,
        } = self.clone();
        Command::Deliveries {
            run,
            statuses,
            channel,
            since,
            key,
            after,
            limit: PAGE,
        }
    }
}

/// Prints all deliveries that are wanted; a page at a time is in memory.
pub(super) async fn print_all(
    wanted: Wanted,
    mut printer: Deliveries,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = answer!(desk, wanted.behind(after), Deliveries)?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.id);
        printer.page(&page, output)?;
    }
    printer.end(output)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_moment_a_date_or_a_length_of_time() {
        let now = "2026-12-02T00:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("2026-12-01T09:00:00+01:00", "2026-12-01T08:00:00Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z"),
            ("24h", "2026-12-01T00:00:00Z"),
            ("7d", "2026-11-25T00:00:00Z"),
        ] {
            let since: Since = text.parse().unwrap();
            assert_eq!(
                since.moment(now),
                moment.parse::<DateTime<Utc>>().unwrap(),
                "{text}"
            );
        }
        for text in ["", "soon", "2026-13-01", "2026-12-01 09:00", "-1h"] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }
}
