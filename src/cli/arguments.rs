//! What can be typed.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use super::{
    approve, cancel, deliveries, eval, explain, functions, init, pause, person, plan, preview,
    print::ColorChoice, report, resume, retry, schema, send, serve, status, stop, suppress, test,
};
use crate::model::EnvironmentName;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "campanile",
    version,
    about = "Bulk email from campaigns that live as files",
    after_help = "Example: see what is wrong, who would get what, then run it\n  \
        campanile check && campanile plan && campanile serve\n\n\
        Exit codes: 0 done, 1 failed at run time, 2 usage, 3 the workspace does not check, 4 tests failed, \
        5 held or refused, 6 done but some failed",
    propagate_version = true,
    arg_required_else_help = true
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What every verb understands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// The folder with campanile.toml
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".",
        env = "CAMPANILE_WORKSPACE"
    )]
    pub(super) workspace: PathBuf,
    /// Let campanile.ENV.toml override the settings
    #[arg(long, global = true, value_name = "ENV", env = "CAMPANILE_ENV")]
    pub(super) env: Option<EnvironmentName>,
    /// Print JSON, for programs; addresses are masked
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show whole addresses in JSON too
    #[arg(long, global = true)]
    pub(super) unmasked: bool,
    /// When to use colours (`NO_COLOR` is honoured)
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto"
    )]
    pub(super) color: ColorChoice,
    /// Log more: -v info, -vv debug
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a workspace to begin with: settings, a campaign, a script, and what editors need
    #[command(after_help = "Example:\n  campanile init news --with github")]
    Init(init::Arguments),
    /// Load everything and report every error at once
    #[command(after_help = "Example:\n  campanile check --json | jq -r .message")]
    Check,
    /// Run the [[test]] blocks of campaigns
    #[command(
        after_help = "Example: again after each save\n  campanile test billing/renewal --watch"
    )]
    Test(test::Arguments),
    /// Try an expression on a recipient, or on all of a source
    #[command(after_help = "Example: how many, and one of them\n  \
        campanile eval 'r.balance < 0'\n  \
        campanile eval 'money(r.balance, \"EUR\")' --recipient A1000")]
    Eval(eval::Arguments),
    /// Show who would get what, and who not and why; writes nothing
    #[command(after_help = "Example: what an edit changes, for a pull request\n  \
        campanile plan --base main --format markdown > comment.md")]
    Plan(plan::Arguments),
    /// Show the message of one recipient
    #[command(
        after_help = "Example:\n  campanile preview billing/renewal --recipient A100 --out preview/"
    )]
    Preview(preview::Arguments),
    /// Say why: each rule in turn for one recipient, or why a campaign has or has not started
    #[command(
        after_help = "Example: why did A100 not get it?\n  campanile explain billing/renewal A100\n  \
        campanile explain billing/renewal A100 --occurrence 2026-12-01"
    )]
    Explain(explain::Arguments),
    /// Run the daemon: watch the files, schedule, send, answer
    #[command(after_help = "Example:\n  campanile serve --log-format json --log-level debug")]
    Serve(serve::Arguments),
    /// Send a campaign now, after showing what would happen and asking
    #[command(after_help = "Example: to yourself first, then to everybody\n  \
        campanile send news/launch --to me@example.org\n  \
        campanile send news/launch --as launch-2")]
    Send(send::Arguments),
    /// Show campaigns, runs, transports and errors
    #[command(after_help = "Example:\n  campanile status --watch")]
    Status(status::Arguments),
    /// Halt a run
    #[command(after_help = "Example:\n  campanile pause 3")]
    Pause(pause::Arguments),
    /// Let a paused or held run go on
    #[command(after_help = "Example:\n  campanile resume 3")]
    Resume(resume::Arguments),
    /// Let a run go that waits for an approval, as it is planned
    #[command(after_help = "Example: four eyes\n  campanile approve 3 --not-by ada@acme.example")]
    Approve(approve::Arguments),
    /// End a run: what was not sent never is
    #[command(after_help = "Example:\n  campanile cancel 3")]
    Cancel(cancel::Arguments),
    /// Try the failed (and, where asked, the in-doubt) deliveries of a run again
    #[command(after_help = "Example:\n  campanile retry 3 --status failed,in_doubt")]
    Retry(retry::Arguments),
    /// Stop campaigns, whatever their files say, until `start`
    #[command(after_help = "Example: the big red button\n  campanile stop --all")]
    Stop(stop::Arguments),
    /// End a `stop`
    #[command(after_help = "Example:\n  campanile start billing/renewal")]
    Start(stop::Arguments),
    /// List every recipient of a run with status and reason
    #[command(after_help = "Example:\n  campanile report 3 --format csv > report.csv")]
    Report(report::Arguments),
    /// List deliveries over all runs
    #[command(
        after_help = "Example: what failed since yesterday\n  campanile deliveries --status failed,in_doubt --since 24h"
    )]
    Deliveries(deliveries::Arguments),
    /// List the functions that scripts may call, with an example each
    #[command(
        after_help = "Example:\n  campanile functions days_until\n  campanile functions --definitions editor/"
    )]
    Functions(functions::Arguments),
    /// Print the JSON Schemas of the files, for editors
    #[command(after_help = "Example:\n  campanile schema --out schemas")]
    Schema(schema::Arguments),
    /// Hand over, or erase, what is stored about a person
    #[command(
        subcommand,
        after_help = "Example:\n  campanile person export ada@example.org > ada.json"
    )]
    Person(person::Verb),
    /// Keep addresses from being written to
    #[command(
        subcommand,
        after_help = "Example:\n  campanile suppress add ada@example.org --topic offers"
    )]
    Suppress(suppress::Verb),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        fn check(command: &clap::Command) {
            for verb in command.get_subcommands() {
                let help = verb
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let name = verb.get_name();
                assert!(help.starts_with("Example") && help.contains(name), "{name}");
                assert!(verb.get_about().is_some(), "{name}");
                check(verb);
            }
        }
        check(&Arguments::command());
    }

    #[test]
    fn global_options_stand_anywhere() {
        for line in [
            "campanile --workspace w --json status",
            "campanile status --json --workspace w",
        ] {
            let arguments = parse(line).unwrap();
            assert!(arguments.global.json);
            assert_eq!(arguments.global.workspace, PathBuf::from("w"));
        }
        assert_eq!(parse("campanile check -vv").unwrap().global.verbose, 2);
        assert!(parse("campanile check --color sometimes").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "campanile",
            "campanile fly",
            "campanile pause",
            "campanile explain",
            "campanile explain a --as-test",
            "campanile pause three",
            "campanile approve",
            "campanile plan ../x",
            "campanile send",
            "campanile send a --as two/parts",
            "campanile send a --to nobody",
            "campanile send a --recipient A1",
            "campanile stop",
            "campanile stop a --all",
            "campanile start",
            "campanile retry 3 --status sent",
            "campanile report 3 --format xml",
            "campanile deliveries --status lost",
            "campanile deliveries --since soon",
            "campanile person forget",
            "campanile person forget nobody",
            "campanile person forget a@b.de --key A1",
            "campanile suppress add",
            "campanile suppress add nobody",
            "campanile suppress add a@b.de --reason whim",
            "campanile suppress add --key A1",
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.use_stderr(), "{line}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
