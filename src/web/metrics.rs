//! The state as Prometheus reads it (text format 0.0.4).
//!
//! Labels come from the files (campaigns, transports) or from fixed lists; a run's number, an address or a server's words
//! never become one. Campaigns beyond [`CAMPAIGNS`] share one label.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
};

use crate::{
    control::{CampaignState, StatusReport},
    model::{HoldReason, RunState, SkipReason},
};

/// What `/metrics` is served as.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// This many campaigns have a label of their own.
const CAMPAIGNS: usize = 500;

/// What the rest, and what is not on a fixed list, is counted as.
const OTHER: &str = "other";

/// The metrics of a report.
pub(super) fn metrics(report: &StatusReport) -> String {
    let mut text = Exposition::default();

    text.family(
        "campanile_build_info",
        "gauge",
        "The version that runs; always 1.",
    );
    text.sample(
        "campanile_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );

    text.family("campanile_campaigns", "gauge", "Campaigns by state.");
    for state in CampaignState::ALL {
        let n = report
            .campaigns
            .iter()
            .filter(|campaign| campaign.state == state)
            .count();
        text.sample("campanile_campaigns", &[("state", state.as_str())], n);
    }

    text.family(
        "campanile_campaign_broken",
        "gauge",
        "1 for each campaign whose files do not check.",
    );
    let mut names = Names::default();
    let broken = sums(
        report
            .campaigns
            .iter()
            .filter(|campaign| campaign.state == CampaignState::Broken)
            .map(|campaign| (names.of(campaign.id.as_str()), 1)),
    );
    for (campaign, n) in broken {
        text.sample("campanile_campaign_broken", &[("campaign", campaign)], n);
    }

    text.family(
        "campanile_findings",
        "gauge",
        "Findings in the workspace's files.",
    );
    text.sample("campanile_findings", &[], report.errors.len());

    text.family(
        "campanile_runs",
        "gauge",
        "Runs by state: all that are not over, and the last few that are.",
    );
    for state in RunState::ALL {
        let n = report.runs.iter().filter(|run| run.state == *state).count();
        text.sample("campanile_runs", &[("state", state.as_str())], n);
    }

    text.family(
        "campanile_runs_held",
        "gauge",
        "Runs that wait for a person, by reason.",
    );
    let held = sums(
        report
            .runs
            .iter()
            .filter(|run| run.state == RunState::Held)
            .map(|run| {
                let reason = run.reason.as_deref().unwrap_or_default();
                (
                    known(reason, HoldReason::ALL.iter().map(|reason| reason.as_str())),
                    1,
                )
            }),
    );
    for (reason, n) in held {
        text.sample("campanile_runs_held", &[("reason", reason)], n);
    }

    text.family(
        "campanile_deliveries",
        "gauge",
        "Deliveries of the runs of campanile_runs, by campaign and status.",
    );
    let mut names = Names::default();
    let deliveries = sums(report.runs.iter().flat_map(|run| {
        let campaign = names.of(run.campaign.as_str());
        run.counts
            .iter()
            .map(move |(status, n)| ((campaign, status.as_str()), *n))
    }));
    for ((campaign, status), n) in deliveries {
        text.sample(
            "campanile_deliveries",
            &[("campaign", campaign), ("status", status)],
            n,
        );
    }

    text.family(
        "campanile_deliveries_skipped",
        "gauge",
        "Skipped deliveries of the runs of campanile_runs, by reason.",
    );
    let skipped = sums(report.runs.iter().flat_map(|run| {
        run.skipped.iter().map(|(reason, n)| {
            (
                known(reason, SkipReason::ALL.iter().map(|reason| reason.as_str())),
                *n,
            )
        })
    }));
    for (reason, n) in skipped {
        text.sample("campanile_deliveries_skipped", &[("reason", reason)], n);
    }

    text.family(
        "campanile_transport_up",
        "gauge",
        "Whether a transport takes messages.",
    );
    for transport in &report.transports {
        let up = u8::from(transport.error.is_none());
        text.sample(
            "campanile_transport_up",
            &[("transport", &transport.name)],
            up,
        );
    }

    text.family(
        "campanile_transport_connections",
        "gauge",
        "Open connections of a transport.",
    );
    for transport in &report.transports {
        text.sample(
            "campanile_transport_connections",
            &[("transport", &transport.name)],
            transport.connections,
        );
    }

    text.family(
        "campanile_transport_sent_total",
        "counter",
        "Messages a transport took since the daemon started.",
    );
    for transport in &report.transports {
        text.sample(
            "campanile_transport_sent_total",
            &[("transport", &transport.name)],
            transport.sent,
        );
    }

    text.family(
        "campanile_transport_rate",
        "gauge",
        "Messages a second that a transport takes at most, where anything limits it.",
    );
    for transport in &report.transports {
        if let Some(rate) = &transport.rate {
            let labels = [("transport", transport.name.as_str())];
            text.sample("campanile_transport_rate", &labels, rate.per_second);
        }
    }

    text.family(
        "campanile_transport_slowed_down",
        "gauge",
        "Whether a transport goes more slowly than its settings say, because its server asked for it.",
    );
    for transport in &report.transports {
        let slowed = transport
            .rate
            .as_ref()
            .is_some_and(|rate| rate.reason.is_some());
        text.sample(
            "campanile_transport_slowed_down",
            &[("transport", &transport.name)],
            u8::from(slowed),
        );
    }
    text.0
}

/// The names that have a label of their own: the first that come.
#[derive(Default)]
struct Names<'a>(std::collections::BTreeSet<&'a str>);

impl<'a> Names<'a> {
    fn of(&mut self, name: &'a str) -> &'a str {
        if self.0.contains(name) || self.0.len() < CAMPAIGNS {
            self.0.insert(name);
            name
        } else {
            OTHER
        }
    }
}

/// The name where it is on the list, with or without details behind a colon.
fn known(text: &str, mut list: impl Iterator<Item = &'static str>) -> &'static str {
    let name = text.split(':').next().unwrap_or_default().trim();
    list.find(|known| *known == name).unwrap_or(OTHER)
}

fn sums<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    let mut sums = BTreeMap::new();
    for (key, n) in counts {
        *sums.entry(key).or_insert(0) += n;
    }
    sums
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}\n"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}\n", labels.join(",")));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.0.write_fmt(line).expect("a string takes any text");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = Exposition::default();
        text.sample("a", &[("b", "x\\y\"z\nw")], 1);
        assert_eq!(text.0, "a{b=\"x\\\\y\\\"z\\nw\"} 1\n");
    }

    #[test]
    fn words_never_become_a_label() {
        let skips = || SkipReason::ALL.iter().map(|reason| reason.as_str());
        assert_eq!(known("cooldown", skips()), "cooldown");
        assert_eq!(known("script_error: a.rhai:1:2 …", skips()), "script_error");
        assert_eq!(known("550 no such user", skips()), OTHER);
    }

    #[test]
    fn campaigns_beyond_the_limit_share_a_label() {
        let ids: Vec<_> = (0..CAMPAIGNS + 5).map(|n| format!("c{n}")).collect();
        let mut names = Names::default();
        let labels: std::collections::BTreeSet<_> = ids.iter().map(|id| names.of(id)).collect();
        assert_eq!(labels.len(), CAMPAIGNS + 1);
        assert_eq!(names.of("c0"), "c0");
    }
}
