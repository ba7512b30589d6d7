//! What came of tests, for people and for programs.

use serde_json::json;

use super::Tested;
use crate::{
    cli::{
        failure::Failure,
        print::{Output, clean, plural},
    },
    engine::{TestFailure, TestOutcome},
    model::Diagnostic,
};

/// So many lines are shown of what was expected, and of what came.
const LINES: usize = 20;

/// What does not check.
pub(super) fn wrong(found: &[&Diagnostic], output: &mut Output) -> Result<(), Failure> {
    for diagnostic in found {
        if output.is_json() {
            output.json(&diagnostic.to_json())?;
        } else {
            let text = diagnostic.render(output.err_color());
            output.rendered(&format!("{text}\n"))?;
        }
    }
    Ok(())
}

/// Each test, and what is not as it was expected.
pub(super) fn outcomes(tested: &[Tested], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return objects(tested, output);
    }
    for one in tested {
        output.title(&one.campaign)?;
        match &one.outcomes {
            Err(_) => output.line("  it does not check: none of its tests was run")?,
            Ok(outcomes) if outcomes.is_empty() => output.line("  no tests")?,
            Ok(outcomes) => {
                for outcome in outcomes {
                    output.shown(&line(outcome, output.out_color()))?;
                }
            }
        }
    }
    for outcome in tested.iter().flat_map(Tested::failed) {
        for failure in &outcome.failures {
            output.line("")?;
            let text = explain(failure, output.out_color());
            output.shown(&text)?;
        }
    }
    let n = tested.iter().map(|one| one.outcomes().len()).sum::<usize>() as u64;
    let failed = tested.iter().map(|one| one.failed().count()).sum::<usize>();
    output.line("")?;
    output.line(format!(
        "{}, {}: {}",
        plural(tested.len() as u64, "campaign"),
        plural(n, "test"),
        match failed {
            0 if n == 0 => "nothing was tested".to_owned(),
            0 => "all passed".to_owned(),
            failed => format!("{failed} failed"),
        }
    ))?;
    Ok(())
}

fn line(outcome: &TestOutcome, color: bool) -> String {
    let passed = outcome.failures.is_empty();
    let verdict = match (passed, color) {
        (true, false) => "ok    ".to_owned(),
        (true, true) => "\u{1b}[32mok    \u{1b}[0m".to_owned(),
        (false, false) => "FAILED".to_owned(),
        (false, true) => "\u{1b}[1;31mFAILED\u{1b}[0m".to_owned(),
    };
    let many = match outcome.recipients {
        0 | 1 => String::new(),
        n => format!(" ({})", plural(n as u64, "recipient")),
    };
    format!("  {verdict}  {}{many}", clean(&outcome.name))
}

/// A failure with its place, what was expected and what came, and what a script said.
pub(super) fn explain(failure: &TestFailure, color: bool) -> String {
    let mut text = failure.found.render(color);
    if let Some((expected, came)) = &failure.difference {
        text.push_str("\n\n");
        text.push_str(&difference(expected, came, color));
    }
    if let Some(cause) = &failure.cause {
        text.push_str("\n\n");
        text.push_str(&cause.render(color));
    }
    text
}

/// `-` what was expected, `+` what came.
fn difference(expected: &str, came: &str, color: bool) -> String {
    let mut lines = Vec::new();
    for (sign, what, text, paint) in [('-', "expected", expected, 31), ('+', "came", came, 32)] {
        let text = clean(text);
        let all: Vec<&str> = text.trim_end().lines().collect();
        let mut push = |line: String| {
            lines.push(if color {
                format!("\u{1b}[{paint}m{line}\u{1b}[0m")
            } else {
                line
            });
        };
        match all.as_slice() {
            [] => push(format!("  {sign} {what}: nothing")),
            [line] => push(format!("  {sign} {what}: {line}")),
            all => {
                push(format!("  {sign} {what}:"));
                for line in all.iter().take(LINES) {
                    push(format!("  {sign} {line}").trim_end().to_owned());
                }
                if all.len() > LINES {
                    let more = plural((all.len() - LINES) as u64, "line");
                    push(format!("  {sign} … ({more} more)"));
                }
            }
        }
    }
    lines.join("\n")
}

fn objects(tested: &[Tested], output: &mut Output) -> Result<(), Failure> {
    for one in tested {
        if one.outcomes.as_ref().is_ok_and(Vec::is_empty) {
            output.note(format!("{} has no tests", one.campaign))?;
        }
        for outcome in one.outcomes() {
            let (line, column) = outcome.place.line_column();
            let failures: Vec<_> = outcome.failures.iter().map(object).collect();
            output.masked_json(&json!({
                "campaign": outcome.campaign, "test": outcome.name, "ok": outcome.failures.is_empty(),
                "file": outcome.place.file.path(), "line": line, "column": column,
                "recipients": outcome.recipients, "failures": failures,
            }))?;
        }
    }
    Ok(())
}

fn object(failure: &TestFailure) -> serde_json::Value {
    let (line, column) = failure.found.place.line_column();
    let (expected, came) = match &failure.difference {
        Some((expected, came)) => (Some(expected), Some(came)),
        None => (None, None),
    };
    json!({
        "file": failure.found.place.file.path(), "line": line, "column": column, "at": failure.at,
        "message": failure.found.message, "expected": expected, "came": came,
        "cause": failure.cause.as_ref().map(Diagnostic::to_json),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_signed_line_by_line() {
        assert_eq!(
            difference("a\u{1b}[1m", "b\nc\n", false),
            "  - expected: a\\u{1b}[1m\n  + came:\n  + b\n  + c"
        );
        assert_eq!(
            difference("x", "", true),
            "\u{1b}[31m  - expected: x\u{1b}[0m\n\u{1b}[32m  + came: nothing\u{1b}[0m"
        );
        let long = "line\n".repeat(30);
        assert!(difference("x", &long, false).ends_with("+ … (10 lines more)"));
    }
}
