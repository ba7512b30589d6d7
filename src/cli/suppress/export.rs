//! `campanile suppress export`: CSV that `import` reads.

use chrono::SecondsFormat;

use super::list::pages;
use crate::{
    cli::{
        desk::Desk,
        exit::Exit,
        failure::Failure,
        print::{Output, csv, plural},
    },
    model::Subject,
};

/// The columns. `key` is `SOURCE:KEY`, for recipients whatever their address.
pub(super) const COLUMNS: [&str; 6] = ["address", "topic", "reason", "at", "origin", "key"];

/// Prints the list. Entries whose address was erased can't be brought back by it: they are counted.
pub(super) async fn carry_out(desk: &impl Desk, output: &mut Output) -> Result<Exit, Failure> {
    csv::record(output, COLUMNS)?;
    let mut erased = 0;
    pages(desk, output, |page, output| {
        for entry in page {
            let (address, key) = match entry.subject {
                _ if entry.shown.is_empty() => {
                    erased += 1;
                    continue;
                }
                Subject::Address(_) => (entry.shown.as_str(), ""),
                Subject::Recipient(_) => ("", entry.shown.as_str()),
            };
            let at = entry.at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let topic = entry.topic.as_ref().map_or("", |topic| topic.as_str());
            csv::record(
                output,
                [
                    address,
                    topic,
                    entry.reason.as_str(),
                    &at,
                    &entry.origin,
                    key,
                ],
            )?;
        }
        Ok(())
    })
    .await?;
    if erased > 0 {
        output.note(format!(
            "{} left out: their addresses were erased",
            plural(erased, "suppression")
        ))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{
            print::Captured,
            samples::{Sitting, suppressions},
        },
        control::Reply,
    };

    #[tokio::test]
    async fn all_but_the_erased_ones_are_printed() {
        let (first, second) = suppressions();
        let mut erased = second.clone();
        erased.shown.clear();
        let desk = Sitting::answering([
            Reply::Suppressions(vec![first, second, erased]),
            Reply::Suppressions(Vec::new()),
        ]);
        let mut captured = Captured::plain();
        carry_out(&desk, &mut captured.output).await.unwrap();
        assert_eq!(
            captured.out(),
            "address,topic,reason,at,origin,key\n\
             ada@example.org,,manual,2026-12-01T09:00:00Z,cli,\n\
             ,offers,unsubscribed,2026-12-01T09:00:00Z,delivery 3-1,customers:A1\n"
        );
        assert_eq!(
            captured.err(),
            "1 suppression left out: their addresses were erased\n"
        );
    }
}
