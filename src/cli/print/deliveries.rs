//! Deliveries as a table, CSV or JSON, a page at a time: nothing is kept but the widths of the first page.

use std::io;

use super::{Output, clean, csv, mask, moment};
use crate::model::Delivery;

/// How deliveries are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// Comma-separated values with a header; cells that a spreadsheet would compute begin with an apostrophe.
    Csv,
    /// One JSON object a line.
    Json,
}

/// The columns of the table, and those whose texts stand in line however long they are.
const HEADINGS: [&str; 7] = ["RUN", "KEY", "CHANNEL", "STATUS", "AT", "ADDRESS", "REASON"];

/// A cell wider than this does not widen its column.
const WIDEST: usize = 48;

/// Prints pages of deliveries.
pub(in crate::cli) struct Deliveries {
    format: Format,
    /// The widths of the table's columns; `None`: nothing was printed yet.
    widths: Option<[usize; HEADINGS.len()]>,
    started: bool,
}

impl Deliveries {
    /// Nothing printed yet.
    pub(in crate::cli) fn new(format: Format) -> Self {
        Self {
            format,
            widths: None,
            started: false,
        }
    }

    /// Prints a page.
    pub(in crate::cli) fn page(
        &mut self,
        page: &[Delivery],
        output: &mut Output,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => self.rows(page, output),
            Format::Csv => self.records(page, output),
            Format::Json => page
                .iter()
                .try_for_each(|delivery| object(delivery, output)),
        }
    }

    /// What is still to be printed when there are no more pages.
    pub(in crate::cli) fn end(&mut self, output: &mut Output) -> io::Result<()> {
        match self.format {
            Format::Table if self.widths.is_none() => output.note("no deliveries"),
            // An empty list has its header too.
            Format::Csv => self.records(&[], output),
            _ => Ok(()),
        }
    }

    fn rows(&mut self, page: &[Delivery], output: &mut Output) -> io::Result<()> {
        let rows: Vec<_> = page.iter().map(cells).collect();
        let mut first = None;
        let widths = self.widths.get_or_insert_with(|| {
            let headings = HEADINGS.map(ToOwned::to_owned);
            let mut widths = [0; HEADINGS.len()];
            for row in rows.iter().chain([&headings]) {
                for (width, cell) in widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.chars().count().min(WIDEST));
                }
            }
            first = Some(headings);
            widths
        });
        for row in first.iter().chain(&rows) {
            let cells: Vec<_> = row
                .iter()
                .zip(widths.iter())
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            output.line(cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    fn records(&mut self, page: &[Delivery], output: &mut Output) -> io::Result<()> {
        if !std::mem::replace(&mut self.started, true) {
            let names = [
                "run",
                "key",
                "channel",
                "address",
                "status",
                "reason",
                "at",
                "message_id",
                "attempts",
            ];
            csv::record(output, names)?;
        }
        for delivery in page {
            let (run, attempts) = (delivery.run.to_string(), delivery.attempts.to_string());
            let at = timestamp(delivery);
            csv::record(
                output,
                [
                    run.as_str(),
                    &delivery.key,
                    delivery.channel.as_str(),
                    &delivery.address,
                    delivery.status.as_str(),
                    delivery.reason.as_deref().unwrap_or_default(),
                    &at,
                    delivery.message_id.as_deref().unwrap_or_default(),
                    &attempts,
                ],
            )?;
        }
        Ok(())
    }
}

fn timestamp(delivery: &Delivery) -> String {
    delivery
        .at
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn cells(delivery: &Delivery) -> [String; HEADINGS.len()] {
    let reason = delivery.reason.as_deref().unwrap_or_default();
    [
        delivery.run.to_string(),
        if delivery.is_erased() {
            "(erased)".to_owned()
        } else {
            delivery.key.clone()
        },
        delivery.channel.to_string(),
        delivery.status.to_string(),
        moment(delivery.at),
        delivery.address.clone(),
        reason.to_owned(),
    ]
    .map(|cell| clean(&cell).replace(['\n', '\t'], " "))
}

/// The object that programs rely on.
fn object(delivery: &Delivery, output: &mut Output) -> io::Result<()> {
    let shown = |text: &str, masked: fn(&str) -> String| {
        if output.is_unmasked() {
            text.to_owned()
        } else {
            masked(text)
        }
    };
    let address = |text: &str| {
        if text.is_empty() {
            String::new()
        } else {
            crate::model::mask(text)
        }
    };
    let object = serde_json::json!({
        "run": delivery.run,
        "key": shown(&delivery.key, mask::key),
        "channel": delivery.channel,
        "address": shown(&delivery.address, address),
        "status": delivery.status,
        "reason": delivery.reason.as_deref().map(|reason| shown(reason, mask::words)),
        "at": timestamp(delivery),
        "message_id": delivery.message_id,
        "attempts": delivery.attempts,
        "erased": delivery.is_erased(),
    });
    output.json(&object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::print::Captured,
        model::{Channel, DeliveryId, RunId, Status},
    };

    fn delivery(key: &str, address: &str, reason: Option<&str>) -> Delivery {
        Delivery {
            id: DeliveryId::new(RunId(3), 0),
            run: RunId(3),
            key: key.to_owned(),
            channel: Channel::Email,
            address: address.to_owned(),
            status: Status::Failed,
            reason: reason.map(ToOwned::to_owned),
            at: "2026-12-01T09:00:00.123Z".parse().unwrap(),
            message_id: Some("a@b".to_owned()),
            attempts: 2,
        }
    }

    fn print(format: Format, mut captured: Captured) -> String {
        let mut list = Deliveries::new(format);
        let refused = Some("550 5.1.1 <ada@example.org> no\nsuch user");
        let page = [
            delivery("A1", "ada@example.org", refused),
            delivery("=2", "", None),
        ];
        list.page(&page, &mut captured.output).unwrap();
        list.page(&page[1..], &mut captured.output).unwrap();
        list.end(&mut captured.output).unwrap();
        captured.out()
    }

    #[test]
    fn json_has_the_agreed_keys_and_no_address() {
        let text = print(Format::Json, Captured::json());
        assert_eq!(text.lines().count(), 3);
        assert_eq!(
            text.lines().next().unwrap(),
            r#"{"address":"a…@example.org","at":"2026-12-01T09:00:00Z","attempts":2,"channel":"email","erased":false,"key":"A1","message_id":"a@b","reason":"550 5.1.1 <a…@example.org> no\nsuch user","run":3,"status":"failed"}"#
        );
        let text = print(Format::Json, Captured::unmasked());
        assert!(text.contains("\"ada@example.org\"") && text.contains("<ada@example.org>"));
    }

    #[test]
    fn csv_has_one_header_and_no_formulas() {
        let text = print(Format::Csv, Captured::plain());
        assert_eq!(
            text,
            "run,key,channel,address,status,reason,at,message_id,attempts\n\
             3,A1,email,ada@example.org,failed,\"550 5.1.1 <ada@example.org> no\nsuch user\",2026-12-01T09:00:00Z,a@b,2\n\
             3,'=2,email,,failed,,2026-12-01T09:00:00Z,a@b,2\n\
             3,'=2,email,,failed,,2026-12-01T09:00:00Z,a@b,2\n"
        );
    }

    #[test]
    fn a_table_has_one_heading_and_a_line_for_each() {
        let text = print(Format::Table, Captured::plain());
        assert_eq!(
            text,
            "RUN  KEY  CHANNEL  STATUS  AT                       ADDRESS          REASON\n\
             3    A1   email    failed  2026-12-01 09:00:00 UTC  ada@example.org  550 5.1.1 <ada@example.org> no such user\n\
             3    =2   email    failed  2026-12-01 09:00:00 UTC\n\
             3    =2   email    failed  2026-12-01 09:00:00 UTC\n"
        );
    }

    #[test]
    fn an_empty_list_says_so_or_has_its_header() {
        let mut captured = Captured::plain();
        Deliveries::new(Format::Table)
            .end(&mut captured.output)
            .unwrap();
        assert_eq!(captured.err(), "no deliveries\n");
        Deliveries::new(Format::Csv)
            .end(&mut captured.output)
            .unwrap();
        assert!(captured.out().starts_with("run,key,"));
    }
}
