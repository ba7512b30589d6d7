//! `campanile eval`: an expression, tried.

use serde_json::json;

use super::{
    exit::Exit,
    failure::Failure,
    print::{Facts, Output, Table, plural, thousands},
};
use crate::{
    engine::{Access, Engine, Evaluated, Evaluation},
    model::{CampaignId, Diagnostic, SourceName, Value},
    plan::Survey,
    script::ScriptError,
    workspace::Location,
};

/// So many of the most frequent values are shown.
const VALUES: usize = 20;

/// The arguments of `eval`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The expression, in Rhai: it sees `r` and `run`, and calls functions of scripts
    #[arg(value_name = "EXPR")]
    expression: String,
    /// Over which source; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    source: Option<SourceName>,
    /// On this recipient only
    #[arg(long, value_name = "KEY")]
    recipient: Option<String>,
    /// With this campaign's source, variables, time zone and history
    #[arg(long, value_name = "ID")]
    campaign: Option<CampaignId>,
    /// Show this many recipients
    #[arg(long, value_name = "N", default_value_t = 5)]
    sample: u16,
}

/// Tries an expression, on the files as they are now.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    // Only the history of a campaign needs the store.
    let access = match &arguments.campaign {
        Some(_) => Access::Read,
        None => Access::Files,
    };
    let engine = Engine::builder(workspace).open(access).await?;
    let evaluated = engine
        .evaluate(Evaluation {
            expression: arguments.expression,
            source: arguments.source,
            campaign: arguments.campaign,
            recipient: arguments.recipient,
            sample: usize::from(arguments.sample),
        })
        .await?;
    match evaluated {
        Evaluated::Unsound(found) => {
            for diagnostic in &found {
                refuse(diagnostic, output)?;
            }
            Ok(Exit::Usage)
        }
        Evaluated::One { source, key, value } => one(&source, &key, value, output),
        Evaluated::All { source, survey } => {
            if output.is_json() {
                output.masked_json(&object(&source, &survey))?;
            } else {
                show(&source, &survey, output)?;
            }
            Ok(match survey.errors {
                0 => Exit::Done,
                _ => Exit::SomeFailed,
            })
        }
    }
}

fn refuse(diagnostic: &Diagnostic, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.json(&diagnostic.to_json())?;
    } else {
        let text = diagnostic.render(output.err_color());
        output.rendered(&text)?;
    }
    Ok(())
}

fn one(
    source: &SourceName,
    key: &str,
    value: Result<Value, ScriptError>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    match value {
        Ok(value) if output.is_json() => {
            output.masked_json(&json!({
                "source": source, "key": key, "type": value.type_name(), "value": value.to_json(),
            }))?;
        }
        Ok(value) => output.line(shown(&value))?,
        Err(error) => {
            refuse(&diagnostic(&error), output)?;
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

fn diagnostic(error: &ScriptError) -> Diagnostic {
    Diagnostic::error("script-error", error.place.clone(), error.message.as_str())
}

/// `"Ada" (string)`
fn shown(value: &Value) -> String {
    match value {
        Value::Empty => "empty".to_owned(),
        Value::Text(text) => format!("\"{text}\" (string)"),
        Value::List(values) => format!("[{value}] (list of {})", values.len()),
        value => format!("{value} ({})", value.type_name()),
    }
}

fn show(source: &SourceName, survey: &Survey, output: &mut Output) -> Result<(), Failure> {
    output.title(format!(
        "{source}: {}",
        plural(survey.recipients, "recipient")
    ))?;
    let mut facts = Facts::default();
    let boolean = survey.yes + survey.no > 0;
    if boolean {
        facts.add("true", share(survey.yes, survey.recipients));
        facts.add("false", share(survey.no, survey.recipients));
    }
    if survey.errors > 0 {
        facts.add("errors", share(survey.errors, survey.recipients));
    }
    if survey.invalid > 0 {
        facts.add("invalid rows", thousands(survey.invalid));
    }
    facts.add("true for", survey.yes_sample.join(", "));
    facts.add("false for", survey.no_sample.join(", "));
    for line in facts.lines() {
        output.line(line)?;
    }
    if !survey.values.is_empty() {
        values(survey, output)?;
    }
    if let Some((_, first)) = survey.failed.first() {
        let mut table = Table::new(["KEY", "ERROR"]);
        for (key, error) in &survey.failed {
            table.row([key.clone(), error.message.clone()]);
        }
        output.line("")?;
        output.table(table)?;
        output.line("")?;
        refuse(&diagnostic(first), output)?;
    }
    Ok(())
}

fn values(survey: &Survey, output: &mut Output) -> Result<(), Failure> {
    let different = match (survey.more, survey.values.len() as u64) {
        (true, n) => format!("more than {}", plural(n, "different value")),
        (false, n) => plural(n, "different value"),
    };
    output.line(format!("  {different}"))?;
    // Where nearly everybody has another value, how often each comes says nothing.
    if survey.values.first().is_some_and(|first| first.n > 1) {
        let mut table = Table::new(["RECIPIENTS", "VALUE", "TYPE"]).numbers(&[0]);
        for value in survey.values.iter().take(VALUES) {
            let n = thousands(value.n);
            let n = if survey.more { format!("≥ {n}") } else { n };
            let text = match value.kind {
                "empty" => String::new(),
                _ => value.shown.replace('\n', " "),
            };
            table.row([n, text, value.kind.to_owned()]);
        }
        output.line("")?;
        output.table(table)?;
        if survey.values.len() > VALUES {
            let rest = survey.values.len() - VALUES;
            output.line(format!("… and {}", plural(rest as u64, "other value")))?;
        }
    }
    if !survey.sample.is_empty() {
        let mut table = Table::new(["KEY", "VALUE"]);
        for (key, value) in &survey.sample {
            table.row([key.clone(), shown(value).replace('\n', " ")]);
        }
        output.line("")?;
        output.table(table)?;
    }
    Ok(())
}

/// `200 (56%)`
fn share(n: u64, of: u64) -> String {
    match of {
        0 => thousands(n),
        of if n > 0 && n * 200 < of => format!("{} (<1%)", thousands(n)),
        of => format!("{} ({}%)", thousands(n), (n * 100 + of / 2) / of),
    }
}

fn object(source: &SourceName, survey: &Survey) -> serde_json::Value {
    let values: Vec<_> = survey
        .values
        .iter()
        .take(VALUES)
        .map(|value| json!({ "value": value.shown, "type": value.kind, "count": value.n }))
        .collect();
    let sample: Vec<_> = survey
        .sample
        .iter()
        .map(|(key, value)| json!({ "key": key, "type": value.type_name(), "value": value.to_json() }))
        .collect();
    let failed: Vec<_> = survey
        .failed
        .iter()
        .map(|(key, error)| json!({ "key": key, "error": diagnostic(error).to_json() }))
        .collect();
    json!({
        "source": source, "recipients": survey.recipients, "invalid": survey.invalid,
        "true": survey.yes, "false": survey.no, "errors": survey.errors,
        "true_for": survey.yes_sample, "false_for": survey.no_sample, "failed": failed,
        "values": values, "different_values": survey.values.len(), "more_different_values": survey.more,
        "sample": sample, "invalid_rows": survey.invalid_rows,
    })
}
