//! The private start page: campaigns, runs and transports at a glance. Read only.

use maud::{Markup, html};

use super::page::{Width, page};
use crate::control::StatusReport;

/// The page.
pub(super) fn overview(report: &StatusReport) -> Markup {
    let content = html! {
        h1 { "Campanile" }
        @if let Some(environment) = &report.environment { p { strong { "Environment: " (environment) } } }
        @for words in report.safety.in_words() { p { strong { "Safety: " (words) } } }
        @if !report.errors.is_empty() {
            h2 { "Findings in the files" }
            ul { @for error in &report.errors { li { (error) } } }
        }
        h2 { "Campaigns" }
        @if report.campaigns.is_empty() { p { "There are none." } } @else {
            div.scroll { table {
                thead { tr { th { "Campaign" } th { "Name" } th { "State" } th { "Next" } th { "Topic" } th { "Error" } } }
                tbody { @for campaign in &report.campaigns { tr {
                    td { (campaign.id) }
                    td { (campaign.name) }
                    td { (campaign.state.as_str()) }
                    td { @if let Some(next) = campaign.next { (next.format("%Y-%m-%d %H:%M %:z")) } }
                    td { (campaign.topic.as_deref().unwrap_or_default()) }
                    td { (campaign.error.as_deref().unwrap_or_default()) }
                } } }
            } }
        }
        h2 { "Runs" }
        @if report.runs.is_empty() { p { "There are none." } } @else {
            div.scroll { table {
                thead { tr { th { "Run" } th { "Campaign" } th { "Occurrence" } th { "State" } th { "Reason" } th { "To send" } th { "Deliveries" } } }
                tbody { @for run in &report.runs { tr {
                    td.number { (run.id) }
                    td { (run.campaign) }
                    td { (run.occurrence) }
                    td { (run.state) }
                    td {
                        (run.reason.as_deref().unwrap_or_default())
                        @if let Some(help) = &run.help { br; (help) }
                    }
                    td.number { (run.totals.to_send) }
                    td { @for (status, n) in &run.counts { (status) " " (n) br; } }
                } } }
            } }
        }
        @if !report.transports.is_empty() {
            h2 { "Transports" }
            div.scroll { table {
                thead { tr { th { "Transport" } th { "Way" } th { "Connections" } th { "Sent" } th { "Rate" } th { "Error" } } }
                tbody { @for transport in &report.transports { tr {
                    td { (transport.name) }
                    td { (transport.description) }
                    td.number { (transport.connections) }
                    td.number { (transport.sent) }
                    td { @if let Some(rate) = &transport.rate {
                        (rate)
                        @if let Some(reason) = &rate.reason { br; (reason) }
                    } }
                    td { (transport.error.as_deref().unwrap_or_default()) }
                } } }
            } }
        }
    };
    page("Campanile", Width::Tables, &content)
}
