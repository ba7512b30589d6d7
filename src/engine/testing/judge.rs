//! What came, held against what was expected.

use crate::{
    model::{CampaignTest, Channel, Claim, Diagnostic, NotIncluded, SkipReason, Value},
    plan::Checked,
    script::ScriptError,
};

use super::TestFailure;

/// A message, as people read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: Option<String>,
}

/// What became of a recipient.
pub(super) enum Came {
    /// It gets the campaign, by these channels, at these addresses.
    Included(Vec<(Channel, String)>),
    /// And this is what it gets.
    Message(Vec<(Channel, String)>, Message),
    /// It does not.
    Not {
        reason: NotIncluded,
        detail: Option<String>,
        cause: Option<Diagnostic>,
    },
}

impl Came {
    /// As a plan would have it.
    pub(super) fn of(checked: &Checked) -> Self {
        let no_match = |words: &str| Self::Not {
            reason: NotIncluded::NoMatch,
            detail: Some(words.to_owned()),
            cause: None,
        };
        if !checked.asked_for {
            return no_match("the campaign's `keys` do not name it");
        }
        match (&checked.matches, &checked.skip) {
            (Ok(false), _) => no_match("`where` does not hold"),
            (_, Some((reason, detail))) => {
                let failed = checked.matches.as_ref().err();
                let failed = failed.or(checked.variables.as_ref().err());
                let failed = failed.filter(|_| *reason == SkipReason::ScriptError);
                Self::Not {
                    reason: NotIncluded::Skipped(*reason),
                    // What a script said is shown at its place.
                    detail: detail.clone().filter(|_| failed.is_none()),
                    cause: failed.map(script_error),
                }
            }
            (_, None) => Self::Included(
                checked
                    .ways
                    .iter()
                    .filter_map(|way| Some((way.channel, way.address.as_ref().ok()?.text.clone())))
                    .collect(),
            ),
        }
    }

    /// Its message can't be made.
    pub(super) fn render_error(error: Diagnostic) -> Self {
        Self::Not {
            reason: NotIncluded::Skipped(SkipReason::RenderError),
            detail: None,
            cause: Some(error),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Included(channels) | Self::Message(channels, _) => {
                let ways = channels
                    .iter()
                    .map(|(channel, address)| format!("by {channel} to {address}"));
                format!("included, {}", ways.collect::<Vec<_>>().join(" and "))
            }
            Self::Not { reason, detail, .. } => match detail {
                Some(detail) => format!("not included: {} ({detail})", reason.as_str()),
                None => format!("not included: {}", reason.as_str()),
            },
        }
    }

    fn cause(&self) -> Option<Diagnostic> {
        match self {
            Self::Not { cause, .. } => cause.clone(),
            _ => None,
        }
    }
}

fn script_error(error: &ScriptError) -> Diagnostic {
    Diagnostic::error("script-error", error.place.clone(), error.message.as_str())
}

/// What is not as a test expects it.
pub(super) fn judge(
    test: &CampaignTest,
    at: Option<&str>,
    checked: &Checked,
    came: &Came,
) -> Vec<TestFailure> {
    let mut judge = Judge {
        test,
        at,
        failures: Vec::new(),
    };
    judge.inclusion(came);
    if let Came::Message(channels, message) = came {
        judge.message(channels, message);
    }
    judge.variables(checked, came);
    judge.failures
}

struct Judge<'a> {
    test: &'a CampaignTest,
    at: Option<&'a str>,
    failures: Vec<TestFailure>,
}

impl Judge<'_> {
    fn fail<T>(
        &mut self,
        claim: &Claim<T>,
        what: &str,
        difference: (String, String),
        cause: Option<Diagnostic>,
    ) {
        let whose = self.at.map_or_else(String::new, |at| format!(" ({at})"));
        let message = format!("{}{whose}: {what}", self.test.name);
        self.failures.push(TestFailure {
            at: self.at.map(ToOwned::to_owned),
            found: Diagnostic::error("test-failed", claim.place.clone(), message),
            difference: Some(difference),
            cause,
        });
    }

    /// Whether it is included, and if not, why.
    fn inclusion(&mut self, came: &Came) {
        let expected = &self.test.expected;
        if let Some(reason) = &expected.reason {
            let as_expected = matches!(came, Came::Not { reason: why, .. } if *why == reason.value);
            if !as_expected {
                let what = match came {
                    Came::Not { .. } => "it is not included for another reason",
                    _ => "it is included",
                };
                let wanted = format!("not included: {}", reason.value.as_str());
                self.fail(reason, what, (wanted, came.words()), came.cause());
            }
            return;
        }
        let Some(included) = &expected.included else {
            return;
        };
        let is_included = !matches!(came, Came::Not { .. });
        if is_included != included.value {
            let (what, wanted) = if included.value {
                ("it is not included", "included")
            } else {
                ("it is included", "not included")
            };
            let difference = (wanted.to_owned(), came.words());
            self.fail(included, what, difference, came.cause());
        }
    }

    fn message(&mut self, channels: &[(Channel, String)], message: &Message) {
        let expected = &self.test.expected;
        if let Some(channel) = &expected.channel
            && !channels.iter().any(|(by, _)| *by == channel.value)
        {
            let by: Vec<_> = channels.iter().map(|(by, _)| by.as_str()).collect();
            let difference = (channel.value.to_string(), by.join(", "));
            self.fail(channel, "it goes by another channel", difference, None);
        }
        if let Some(subject) = &expected.subject
            && subject.value != message.subject
        {
            let difference = (subject.value.clone(), message.subject.clone());
            self.fail(subject, "the subject is another", difference, None);
        }
        for text in &expected.contains {
            if found_in(message, &text.value).is_none() {
                let difference = (text.value.clone(), message.text.clone());
                self.fail(
                    text,
                    "the message does not have this in it",
                    difference,
                    None,
                );
            }
        }
        for text in &expected.not_contains {
            if let Some(found) = found_in(message, &text.value) {
                let difference = (format!("without {:?}", text.value), found);
                self.fail(text, "the message has this in it", difference, None);
            }
        }
    }

    fn variables(&mut self, checked: &Checked, came: &Came) {
        let expected = &self.test.expected;
        match &checked.variables {
            Ok(variables) => {
                for (name, claim) in &expected.variables {
                    let Some((_, value)) = variables.iter().find(|(other, _)| other == name) else {
                        continue;
                    };
                    if !is_same(&claim.value, value) {
                        let typed = claim.value.type_name() != value.type_name();
                        let difference = (shown(&claim.value, typed), shown(value, typed));
                        let what = format!("the variable `{name}` has another value");
                        self.fail(claim, &what, difference, None);
                    }
                }
            }
            Err(error) => {
                // Where it was why somebody is not included, it is said already.
                let is_said = !self.failures.is_empty() && came.cause().is_some();
                if let Some((name, claim)) = expected.variables.first()
                    && !is_said
                {
                    let what = format!("the variable `{name}` could not be worked out");
                    let difference = (shown(&claim.value, false), "a script error".to_owned());
                    self.fail(claim, &what, difference, Some(script_error(error)));
                }
            }
        }
    }
}

/// The line of a message that has a text in it, whatever the white space between its words.
fn found_in(message: &Message, text: &str) -> Option<String> {
    let text = words(text);
    let parts = [Some(&message.text), message.html.as_ref()];
    parts.into_iter().flatten().find_map(|part| {
        let line = part.lines().find(|line| words(line).contains(&text));
        match line {
            Some(line) => Some(line.trim().to_owned()),
            None => words(part).contains(&text).then(|| part.clone()),
        }
    })
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a value is the expected one. A text stands for what a message would show of the value; numbers are one family.
fn is_same(expected: &Value, came: &Value) -> bool {
    match (expected, came) {
        (Value::Text(expected), Value::Text(came)) => expected == came,
        (Value::Text(expected), came) => *expected == came.to_string(),
        (Value::Integer(expected), Value::Decimal(came)) => came == &(*expected).into(),
        (Value::Decimal(expected), Value::Integer(came)) => expected == &(*came).into(),
        (Value::List(expected), Value::List(came)) => {
            expected.len() == came.len()
                && expected
                    .iter()
                    .zip(came)
                    .all(|(expected, came)| is_same(expected, came))
        }
        (Value::Map(expected), Value::Map(came)) => {
            expected.len() == came.len()
                && expected.iter().all(|(key, expected)| {
                    came.get(key).is_some_and(|came| is_same(expected, came))
                })
        }
        (expected, came) => expected == came,
    }
}

fn shown(value: &Value, typed: bool) -> String {
    let text = match value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Empty => return "empty".to_owned(),
        Value::List(values) => {
            let parts: Vec<_> = values.iter().map(|value| shown(value, false)).collect();
            format!("[{}]", parts.join(", "))
        }
        value => value.to_string(),
    };
    if typed {
        format!("{text} ({})", value.type_name())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_where_a_reader_would_say_so() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let date = Value::Date("2026-12-12".parse().unwrap());
        let list = |values: &[Value]| Value::List(values.to_vec());
        for (expected, came) in [
            (Value::from("Ada"), Value::from("Ada")),
            (Value::from("2026-12-12"), date.clone()),
            (Value::from("12.50"), decimal("12.50")),
            (Value::from(""), Value::Empty),
            (Value::Integer(12), decimal("12.00")),
            (decimal("12.0"), Value::Integer(12)),
            (decimal("12.5"), decimal("12.50")),
            (list(&[Value::Integer(1)]), list(&[decimal("1.0")])),
        ] {
            assert!(is_same(&expected, &came), "{expected:?} {came:?}");
        }
        for (expected, came) in [
            (Value::from("ada"), Value::from("Ada")),
            (Value::Integer(12), Value::from("12")),
            (Value::Boolean(true), Value::from("true")),
            (date, Value::from("2026-12-12")),
            (list(&[]), list(&[Value::Empty])),
        ] {
            assert!(!is_same(&expected, &came), "{expected:?} {came:?}");
        }
    }

    #[test]
    fn texts_are_found_whatever_the_line_breaks() {
        let message = Message {
            subject: String::new(),
            text: "Dear Ada,\nyour plan\nrenews soon.\n".to_owned(),
            html: Some("<p>only <b>here</b></p>".to_owned()),
        };
        assert_eq!(found_in(&message, "Ada").as_deref(), Some("Dear Ada,"));
        assert!(found_in(&message, "plan renews").is_some());
        assert!(found_in(&message, "<b>here</b>").is_some());
        assert!(found_in(&message, "ada").is_none());
    }
}
