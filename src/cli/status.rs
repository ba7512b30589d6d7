//! `campanile status`: everything at a glance.

use std::{pin::pin, time::Duration};

use super::{
    desk::answer,
    exit::Exit,
    failure::Failure,
    print::{Output, Table, by_name, effects_in_words, moment, thousands, zoned},
    safety::settings_in_force,
    signals,
};
use crate::{
    control::{Command, Session, StatusReport},
    model::RunState,
    workspace::Location,
};

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show it again each second until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Shows the state.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !arguments.watch {
        let session = Session::read(workspace).await?;
        let report = answer!(&session, Command::Status, Status)?;
        show(&report, output)?;
        return Ok(Exit::Done);
    }
    let mut interrupted = pin!(signals::signal());
    loop {
        // Each look opens its own way: a daemon that is restarted is found again.
        let report = tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            report = look(workspace) => report,
        };
        output.clear()?;
        match report {
            Ok(report) => show(&report, output)?,
            Err(failure) => output.note(failure)?,
        }
        output.flush()?;
        tokio::select! {
            () = &mut interrupted => return Ok(Exit::Done),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

async fn look(workspace: &Location) -> Result<Box<StatusReport>, Failure> {
    let session = Session::read(workspace).await?;
    answer!(&session, Command::Status, Status)
}

fn show(report: &StatusReport, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.masked_json(report)?;
        return Ok(());
    }
    settings_in_force(report.environment.as_ref(), &report.safety, output)?;
    campaigns(report, output)?;
    runs(report, output)?;
    transports(report, output)?;
    if !report.errors.is_empty() {
        output.line("")?;
        output.title("Findings in the files")?;
        for error in &report.errors {
            output.line(format!("  {error}"))?;
        }
    }
    if !report.daemon {
        let begun = report.runs.iter().any(|run| run.state == RunState::Sending);
        output.line("")?;
        output.line(if begun {
            "No daemon is running: what is begun goes on while a `campanile send` is at it, else with `campanile serve`."
        } else {
            "No daemon is running: nothing is sent until `campanile serve` or `campanile send`."
        })?;
    }
    Ok(())
}

fn campaigns(report: &StatusReport, output: &mut Output) -> Result<(), Failure> {
    if report.campaigns.is_empty() {
        output.line("There are no campaigns.")?;
        return Ok(());
    }
    let mut table = Table::new(["CAMPAIGN", "STATE", "NEXT", "TOPIC", "ERROR"]);
    for campaign in &report.campaigns {
        table.row([
            campaign.id.to_string(),
            campaign.state.as_str().to_owned(),
            campaign.next.map(zoned).unwrap_or_default(),
            campaign.topic.clone().unwrap_or_default(),
            campaign
                .error
                .clone()
                .or(campaign.warning.clone())
                .unwrap_or_default(),
        ]);
    }
    output.table(table)?;
    Ok(())
}

fn runs(report: &StatusReport, output: &mut Output) -> Result<(), Failure> {
    if report.runs.is_empty() {
        return Ok(());
    }
    let headings = [
        "RUN",
        "CAMPAIGN",
        "OCCURRENCE",
        "DUE",
        "STATE",
        "TO SEND",
        "DELIVERIES",
    ];
    let mut table = Table::new(headings).numbers(&[0, 5]);
    for run in &report.runs {
        let state = match &run.reason {
            Some(reason) => format!("{} ({reason})", run.state),
            None => run.state.to_string(),
        };
        table.row([
            run.id.to_string(),
            run.campaign.to_string(),
            run.occurrence.to_string(),
            moment(run.due),
            state,
            thousands(run.totals.to_send),
            by_name(run.counts.iter().map(|(status, n)| (status, *n))),
        ]);
    }
    output.line("")?;
    output.table(table)?;
    for run in &report.runs {
        if let Some(help) = &run.help {
            output.line(format!("run {}: {help}", run.id))?;
        }
        if let Some(effects) = &run.effects {
            output.line(format!(
                "run {}: [after]: {}",
                run.id,
                effects_in_words(effects)
            ))?;
        }
    }
    Ok(())
}

fn transports(report: &StatusReport, output: &mut Output) -> Result<(), Failure> {
    if report.transports.is_empty() {
        return Ok(());
    }
    let headings = ["TRANSPORT", "WAY", "CONNECTIONS", "SENT", "RATE", "ERROR"];
    let mut table = Table::new(headings).numbers(&[2, 3]);
    for transport in &report.transports {
        table.row([
            transport.name.clone(),
            transport.description.clone(),
            transport.connections.to_string(),
            thousands(transport.sent),
            transport
                .rate
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            transport.error.clone().unwrap_or_default(),
        ]);
    }
    output.line("")?;
    output.table(table)?;
    for transport in &report.transports {
        let reason = transport
            .rate
            .as_ref()
            .and_then(|rate| rate.reason.as_ref());
        if let Some(reason) = reason {
            output.line(format!("{} was slowed down: {reason}", transport.name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::run},
        control::{CampaignState, CampaignStatus, RateStatus, TransportStatus},
        model::{RunState, Status},
    };

    fn report() -> StatusReport {
        let mut held = run(RunState::Held, &[(Status::Queued, 1_234)]);
        held.reason = Some("too_many".to_owned());
        held.help = Some("`campanile resume 3` sends it all the same".to_owned());
        StatusReport {
            daemon: false,
            environment: None,
            safety: crate::model::Safety::default(),
            campaigns: vec![CampaignStatus {
                id: "billing/renewal".parse().unwrap(),
                name: "Renewal reminder".to_owned(),
                state: CampaignState::Scheduled,
                error: None,
                warning: None,
                next: Some("2026-12-01T09:00:00+01:00".parse().unwrap()),
                topic: Some("billing".to_owned()),
            }],
            runs: vec![held],
            transports: vec![TransportStatus {
                name: "main".to_owned(),
                description: "outbox folder outbox/".to_owned(),
                connections: 1,
                sent: 12_000,
                rate: Some(RateStatus {
                    configured: Some("200/1s".to_owned()),
                    per_second: 12.5,
                    reason: Some("450 4.7.1 slow down".to_owned()),
                }),
                error: Some("the disk is full".to_owned()),
            }],
            errors: vec!["campaigns/a.toml:3:7: no".to_owned()],
        }
    }

    #[test]
    fn people_see_tables() {
        let mut captured = Captured::plain();
        show(&report(), &mut captured.output).unwrap();
        insta::assert_snapshot!(captured.out(), @r#"
        CAMPAIGN         STATE      NEXT                     TOPIC    ERROR
        billing/renewal  scheduled  2026-12-01 09:00 +01:00  billing

        RUN  CAMPAIGN         OCCURRENCE  DUE                      STATE            TO SEND  DELIVERIES
          3  billing/renewal  2026-12-01  2026-12-01 08:00:00 UTC  held (too_many)    1,234  queued 1,234
        run 3: `campanile resume 3` sends it all the same

        TRANSPORT  WAY                    CONNECTIONS    SENT  RATE               ERROR
        main       outbox folder outbox/            1  12,000  12.50/s of 200/1s  the disk is full
        main was slowed down: 450 4.7.1 slow down

        Findings in the files
          campaigns/a.toml:3:7: no

        No daemon is running: nothing is sent until `campanile serve` or `campanile send`.
        "#);
    }

    #[test]
    fn what_is_being_sent_is_not_said_to_stand_still() {
        let mut captured = Captured::plain();
        let mut report = report();
        report.runs = vec![run(RunState::Sending, &[(Status::Queued, 3)])];
        show(&report, &mut captured.output).unwrap();
        let words = "what is begun goes on while a `campanile send` is at it";
        assert!(captured.out().contains(words), "{}", captured.out());
    }

    #[test]
    fn programs_get_the_agreed_keys() {
        let mut captured = Captured::json();
        show(&report(), &mut captured.output).unwrap();
        let value: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
        let campaign = &value["campaigns"][0];
        assert_eq!(campaign["id"], "billing/renewal");
        assert_eq!(campaign["state"], "scheduled");
        assert_eq!(campaign["error"], serde_json::Value::Null);
        assert_eq!(campaign["next"], "2026-12-01T09:00:00+01:00");
        assert_eq!(campaign["topic"], "billing");
        let run = &value["runs"][0];
        assert_eq!(
            (&run["id"], &run["campaign"]),
            (&3.into(), &"billing/renewal".into())
        );
        assert_eq!(
            (&run["state"], &run["reason"]),
            (&"held".into(), &"too_many".into())
        );
        assert_eq!(
            (&run["occurrence"], &run["digest"]),
            (&"2026-12-01".into(), &"d1".into())
        );
        assert_eq!(run["counts"], serde_json::json!({ "queued": 1_234 }));
    }
}
