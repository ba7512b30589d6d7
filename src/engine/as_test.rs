//! A recipient as a `[[test]]` of its campaign: TOML that says what becomes of it today.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, SecondsFormat};

use crate::{
    model::{FieldType, SkipReason, SourceName, Value},
    plan::{Checked, Explained, Outcome},
    source::SourceContext,
};

/// What a test is made of.
pub(super) struct Facts<'a> {
    pub(super) explained: &'a Explained,
    pub(super) one: &'a Checked,
    /// How its source writes cells.
    pub(super) source: Option<&'a SourceContext>,
    /// The source of a test that names none.
    pub(super) first_source: Option<&'a SourceName>,
    pub(super) now: DateTime<FixedOffset>,
    pub(super) last_sent: Option<DateTime<FixedOffset>>,
    pub(super) subject: Option<String>,
}

/// The block.
pub(super) fn block(facts: &Facts<'_>) -> String {
    let (expectation, title) = expectation(facts);
    let key = &facts.explained.key;
    let mut text = String::new();
    if let Some((reason, others)) = needs_others(facts) {
        let now = format!("# Now it is skipped as {reason}: a test knows nothing of {others}.\n");
        text += &now;
    }
    text += "[[test]]\n";
    line(&mut text, "name", &string(&format!("{key} {title}")));
    line(&mut text, "now", &moment(facts.now));
    let recipient = &facts.one.recipient;
    if facts.first_source != Some(&recipient.source) {
        line(&mut text, "source", &string(recipient.source.as_str()));
    }
    let cells: Vec<_> = recipient
        .schema
        .columns
        .iter()
        .zip(&recipient.values)
        // What is left out is empty.
        .filter_map(|((column, kind), value)| {
            let cell = cell(facts.source, column, *kind, value)?;
            Some(format!("{} = {cell}", name(column)))
        })
        .collect();
    line(&mut text, "recipient", &table(&cells));
    let given = given(facts);
    if !given.is_empty() {
        line(&mut text, "given", &table(&given));
    }
    line(&mut text, "expect", &table(&expectation));
    text
}

fn line(text: &mut String, key: &str, value: &str) {
    writeln!(text, "{key} = {value}").expect("writing to memory");
}

/// A moment, in whole seconds: campaigns know no others.
fn moment(at: DateTime<FixedOffset>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// What happened to it before, as far as that decides.
fn given(facts: &Facts<'_>) -> Vec<String> {
    let mut given = Vec::new();
    match &facts.explained.outcome {
        Outcome::Skipped {
            reason: SkipReason::Unsubscribed,
            ..
        } => given.push("unsubscribed = true".to_owned()),
        Outcome::Skipped {
            reason: SkipReason::Suppressed,
            detail,
        } => {
            let why = detail.as_deref().unwrap_or("manual");
            given.push(format!("suppressed = {}", string(why)));
        }
        _ => {}
    }
    if let Some(at) = facts.last_sent.filter(|at| *at <= facts.now) {
        given.push(format!("last_sent = {}", moment(at)));
    }
    given
}

/// Why it is skipped, where that is because of other recipients or other campaigns, and whose.
fn needs_others(facts: &Facts<'_>) -> Option<(SkipReason, &'static str)> {
    let Outcome::Skipped { reason, .. } = &facts.explained.outcome else {
        return None;
    };
    let others = match reason {
        SkipReason::DuplicateAddress | SkipReason::DuplicateKey => "other recipients",
        SkipReason::FrequencyCap => "other campaigns",
        SkipReason::Cooldown if facts.last_sent.is_none() => "other campaigns",
        _ => return None,
    };
    Some((*reason, others))
}

/// What is expected, and what the test is called for it.
fn expectation(facts: &Facts<'_>) -> (Vec<String>, String) {
    let included = |channel: &str| {
        let mut expected = vec!["included = true".to_owned()];
        expected.push(format!("channel = {}", string(channel)));
        if let Some(subject) = &facts.subject {
            expected.push(format!("subject = {}", string(subject)));
        }
        (expected, "gets it".to_owned())
    };
    match &facts.explained.outcome {
        Outcome::Included { channel, .. } => included(channel.as_str()),
        // Alone it gets it.
        Outcome::Skipped { .. } if needs_others(facts).is_some() => {
            let ways = facts.one.ways.iter();
            let channel = ways.map(|way| way.channel.as_str()).next();
            included(channel.unwrap_or("email"))
        }
        Outcome::Skipped { reason, .. } => (
            vec![
                "included = false".to_owned(),
                format!("reason = {}", string(reason.as_str())),
            ],
            format!("is skipped as {reason}"),
        ),
        Outcome::NoMatch | Outcome::Unknown => (
            vec![
                "included = false".to_owned(),
                "reason = \"no_match\"".to_owned(),
            ],
            "does not match".to_owned(),
        ),
    }
}

fn table(entries: &[String]) -> String {
    if entries.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", entries.join(", "))
    }
}

/// A cell as the source would have it; `None`: an empty one.
fn cell(
    source: Option<&SourceContext>,
    column: &str,
    kind: FieldType,
    value: &Value,
) -> Option<String> {
    let format = source.and_then(|source| source.format_of(column).format);
    Some(match (value, &format) {
        (Value::Empty, _) => return None,
        (Value::Text(text), _) if text.is_empty() && kind == FieldType::String => return None,
        (Value::List(list), _) if list.is_empty() => return None,
        (Value::Date(date), Some(format)) => string(&date.format(format).to_string()),
        (Value::DateTime(moment), Some(format)) => string(&moment.format(format).to_string()),
        (value, _) => toml(value),
    })
}

/// A value as TOML; decimals and dates as texts, which the source reads as it reads its cells.
fn toml(value: &Value) -> String {
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(toml).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Map(map) => {
            let entries: Vec<_> = map
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Empty))
                .map(|(key, value)| format!("{} = {}", name(key), toml(value)))
                .collect();
            table(&entries)
        }
        other => string(&other.to_string()),
    }
}

/// A key: bare where it may be.
fn name(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        string(key)
    }
}

/// A basic string: JSON's escapes are TOML's, but for the one control character that JSON leaves alone.
fn string(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_string_and_a_key(text in any::<String>(), key in any::<String>()) {
            let toml = format!("{} = {}\n", name(&key), string(&text));
            let table: toml::Table = toml::from_str(&toml).unwrap();
            prop_assert_eq!(table[&key].as_str(), Some(&*text));
        }

        #[test]
        fn nested_values_are_toml(number in any::<i64>(), text in any::<String>(), key in any::<String>()) {
            let map = [(key.clone(), Value::List(vec![Value::Integer(number), text.as_str().into()]))];
            let table: toml::Table = toml::from_str(&format!("x = {}\n", toml(&Value::Map(map.into())))).unwrap();
            let list = table["x"][&key].as_array().unwrap();
            prop_assert_eq!(list[0].as_integer(), Some(number));
            prop_assert_eq!(list[1].as_str(), Some(&*text));
        }
    }

    #[test]
    fn cells_are_written_as_their_source_reads_them() {
        let date = Value::Date("2026-12-01".parse().unwrap());
        let decimal = Value::Decimal("12.50".parse().unwrap());
        assert_eq!(
            cell(None, "x", FieldType::Date, &date).unwrap(),
            "\"2026-12-01\""
        );
        assert_eq!(
            cell(None, "x", FieldType::Decimal, &decimal).unwrap(),
            "\"12.50\""
        );
        assert_eq!(cell(None, "x", FieldType::String, &"".into()), None);
        assert_eq!(cell(None, "x", FieldType::Integer, &Value::Empty), None);
        assert_eq!(table(&[]), "{}");
        assert_eq!(name("account_no"), "account_no");
        assert_eq!(name("account no"), "\"account no\"");
    }
}
