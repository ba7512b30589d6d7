//! `campanile report`: every recipient of a run with status and reason.

use super::{
    deliveries::{Wanted, print_all},
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
    model::RunId,
    workspace::Location,
};

/// The arguments of `report`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The run's number, as `status` shows it
    #[arg(value_name = "RUN")]
    run: RunId,
    /// How it is printed; --json is short for json
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "table")]
    format: Format,
}

/// Lists a run's recipients.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::read(workspace).await?;
    carry_out(&arguments, &session, output).await
}

async fn carry_out(
    arguments: &Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // A run that does not exist is an error, not an empty list.
    answer!(desk, Command::Run { run: arguments.run }, Run)?;
    let format = if output.is_json() {
        Format::Json
    } else {
        arguments.format
    };
    let wanted = Wanted {
        run: Some(arguments.run),
        ..Wanted::default()
    };
    print_all(wanted, Deliveries::new(format), desk, output).await?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{
            print::Captured,
            samples::{Sitting, delivery, run},
        },
        control::Reply,
        model::{DeliveryId, RunState, Status},
    };

    #[tokio::test]
    async fn pages_are_asked_for_until_there_are_no_more() {
        let sent = run(RunState::Finished, &[(Status::Sent, 3)]);
        let desk = Sitting::answering([
            Reply::Run(Box::new(sent)),
            Reply::Deliveries(vec![delivery(0), delivery(1)]),
            Reply::Deliveries(vec![delivery(2)]),
            Reply::Deliveries(Vec::new()),
        ]);
        let mut captured = Captured::json();
        let arguments = Arguments {
            run: RunId(3),
            format: Format::Table,
        };
        carry_out(&arguments, &desk, &mut captured.output)
            .await
            .unwrap();
        assert_eq!(captured.out().lines().count(), 3);
        let behind: Vec<_> = desk
            .asked
            .lock()
            .iter()
            .filter_map(|command| match command {
                Command::Deliveries { after, run, .. } => Some((*after, *run)),
                _ => None,
            })
            .collect();
        let id = |sequence| Some(DeliveryId::new(RunId(3), sequence));
        assert_eq!(
            behind,
            [None, id(1), id(2)].map(|after| (after, Some(RunId(3))))
        );
    }
}
