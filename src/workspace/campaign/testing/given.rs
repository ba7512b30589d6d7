//! `given`: what happened to a test's recipients before.

use chrono::{DateTime, Utc};
use toml::de::DeValue;

use super::{super::surroundings::Surroundings, moment, undeclared_topic};
use crate::model::{
    Diagnostic, Given, Item, LastSent, Period, Section, SuppressionReason, TopicName, Unsubscribed,
    Zone,
};

/// The most messages somebody may have had.
const MOST: u32 = 1_000;

/// With mistakes it is not whole; its campaign does not check then.
pub(super) fn read(
    section: Section<'_>,
    around: &Surroundings<'_>,
    zone: &Zone,
    now: Option<DateTime<Utc>>,
) -> Option<Given> {
    let unsubscribed = section
        .item("unsubscribed")
        .and_then(|item| unsubscribed(&item, around));
    let suppressed = section
        .item("suppressed")
        .and_then(|item| suppressed(&item));
    let last_item = section.item("last_sent");
    let last_sent = last_item
        .as_ref()
        .and_then(|item| last_sent(item, zone, now));
    let count = section.item("sent_count");
    let sent_count = match (&count, &last_item) {
        (Some(item), None) => item.report(
            Diagnostic::error(
                "missing-key",
                item.name.place.clone(),
                "`sent_count` needs `last_sent`: when they were sent",
            )
            .help("add `last_sent = \"10d\"`, or a moment"),
        ),
        (Some(item), Some(_)) => match item.read::<u32>()? {
            0 => item.error(
                "wrong-value",
                "`sent_count` is 0, and `last_sent` says that something was sent",
            ),
            n if n > MOST => {
                item.error("out-of-range", format!("`sent_count` is more than {MOST}"))
            }
            n => Some(n),
        },
        (None, _) => Some(1),
    };
    section.finish();
    Some(Given {
        unsubscribed: unsubscribed.unwrap_or_default(),
        suppressed,
        last_sent,
        sent_count: sent_count?,
    })
}

/// `true`: from everything; a topic, or several.
fn unsubscribed(item: &Item<'_>, around: &Surroundings<'_>) -> Option<Unsubscribed> {
    let topic = |item: &Item<'_>| {
        let name: TopicName = item.read()?;
        (!undeclared_topic(item, around, &name)).then_some(name)
    };
    match item.value() {
        DeValue::Boolean(false) => Some(Unsubscribed::FromNothing),
        DeValue::Boolean(true) => Some(Unsubscribed::FromAll),
        DeValue::String(_) => Some(Unsubscribed::From(vec![topic(item)?])),
        DeValue::Array(_) => {
            let topics: Vec<_> = item.elements()?.iter().map(topic).collect();
            Some(Unsubscribed::From(
                topics.into_iter().collect::<Option<_>>()?,
            ))
        }
        _ => item.wrong_type("true, false, a topic or an array of topics"),
    }
}

/// `true`: by hand; or why.
fn suppressed(item: &Item<'_>) -> Option<SuppressionReason> {
    const REASONS: [SuppressionReason; 3] = [
        SuppressionReason::Bounced,
        SuppressionReason::Complained,
        SuppressionReason::Manual,
    ];
    match item.value() {
        DeValue::Boolean(false) => None,
        DeValue::Boolean(true) => Some(SuppressionReason::Manual),
        DeValue::String(text) => {
            let names = REASONS.map(SuppressionReason::as_str);
            let found = REASONS.iter().find(|reason| reason.as_str() == text);
            if found.is_none() {
                item.report::<()>(
                    Diagnostic::error(
                        "wrong-value",
                        item.place(),
                        format!(
                            "`suppressed`: expected true, false or one of {}",
                            names.join(", ")
                        ),
                    )
                    .did_you_mean(text, names),
                );
            }
            found.copied()
        }
        _ => item.wrong_type("true, false, \"bounced\", \"complained\" or \"manual\""),
    }
}

/// A moment, or a period before the test's.
fn last_sent(item: &Item<'_>, zone: &Zone, now: Option<DateTime<Utc>>) -> Option<LastSent> {
    if let DeValue::String(text) = item.value()
        && !text.contains('-')
    {
        return match text.parse::<Period>() {
            Ok(period) => Some(LastSent::Ago(period)),
            Err(error) => item.error(
                "wrong-value",
                format!("`last_sent`: {error}; or a moment such as 2026-11-20T09:00:00+01:00"),
            ),
        };
    }
    let at = moment::instant(item, zone)?;
    if now.is_some_and(|now| at > now) {
        return item.error("wrong-value", "`last_sent` is later than the test's `now`");
    }
    Some(LastSent::At(at))
}
