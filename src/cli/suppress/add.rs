//! `campanile suppress add`

use super::whom::Whom;
use crate::{
    cli::{
        desk::{Desk, answer},
        exit::Exit,
        failure::Failure,
        print::{Output, plural, thousands},
    },
    control::Command,
    model::SuppressionReason,
};

/// The arguments of `suppress add`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// Why: manual, unsubscribed, bounced, complained
    #[arg(long, value_name = "REASON", default_value = "manual")]
    reason: SuppressionReason,
}

/// Adds to the list.
pub(super) async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let targets = arguments.whom.targets(arguments.reason);
    let all = targets.len() as u64;
    let new = answer!(desk, Command::Suppress { targets }, Changed)?;
    if output.is_json() {
        output.json(&serde_json::json!({ "added": new }))?;
    } else {
        let old = match all.saturating_sub(new) {
            0 => String::new(),
            old => format!("; {} were there already", thousands(old)),
        };
        output.line(format!("added {}{old}", plural(new, "suppression")))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::Sitting},
        control::Reply,
    };

    #[tokio::test]
    async fn addresses_and_keys_become_targets() {
        use clap::{Args, FromArgMatches};
        let line = "add ada@example.org --key customers:A1 --topic offers --reason complained";
        let command = Arguments::augment_args(clap::Command::new("add"));
        let matches = command.get_matches_from(line.split(' '));
        let arguments = Arguments::from_arg_matches(&matches).unwrap();
        let desk = Sitting::answering([Reply::Changed(1)]);
        let mut captured = Captured::plain();
        carry_out(arguments, &desk, &mut captured.output)
            .await
            .unwrap();
        assert_eq!(
            captured.out(),
            "added 1 suppression; 1 were there already\n"
        );
        let asked = desk.asked.lock();
        let Command::Suppress { targets } = &asked[0] else {
            panic!("{asked:?}")
        };
        assert_eq!(
            (targets[0].text.as_str(), &targets[0].source),
            ("ada@example.org", &None)
        );
        assert_eq!(targets[1].text, "A1");
        assert_eq!(targets[1].source, Some("customers".parse().unwrap()));
        for target in targets {
            assert_eq!(target.topic, Some("offers".parse().unwrap()));
            assert_eq!(target.reason, SuppressionReason::Complained);
        }
    }
}
