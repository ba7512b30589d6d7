//! `cron = "…"`: what is wrong with it, field by field.

use chrono::DateTime;

use crate::{
    model::{Cron, Diagnostic, Item, Schedule},
    schedule,
};

/// The fields with their smallest and greatest number.
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 7),
];

/// The expression, or recorded errors that name the field.
pub(super) fn read(item: &Item<'_>) -> Option<Cron> {
    let text: String = item.read()?;
    let wrong = wrong_fields(&text);
    for message in &wrong {
        item.error::<()>("wrong-value", format!("`cron`: {message}"));
    }
    if wrong.is_empty() { item.read() } else { None }
}

fn wrong_fields(text: &str) -> Vec<String> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (at, (field, (name, least, most))) in fields.iter().zip(FIELDS).enumerate() {
        let mut alone = ["*"; FIELDS.len()];
        alone[at] = field;
        if alone.join(" ").parse::<Cron>().is_ok() {
            continue;
        }
        let outside = numbers(field)
            .find(|number| {
                number
                    .parse()
                    .map_or(true, |number: u32| !(least..=most).contains(&number))
            })
            .filter(|number| *number != *field);
        wrong.push(match outside {
            Some(number) => {
                format!("the {name} is {least} to {most}, and {number} in `{field}` is not")
            }
            None if field.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("the {name} is {least} to {most}, not {field}")
            }
            None => format!(
                "`{field}` is no {name}: {least} to {most}, `*`, a list (1,2), a range (1-5) or a step (*/5)"
            ),
        });
    }
    wrong
}

/// The plain numbers of a field, without steps.
fn numbers(field: &str) -> impl Iterator<Item = &str> {
    field
        .split(',')
        .filter_map(|part| part.split('/').next())
        .flat_map(|part| part.split('-'))
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Warns of an expression that no date matches, such as February 30.
pub(super) fn warn_if_never(schedule: &Schedule, item: &Item<'_>) {
    if let (Some(start), Some(until)) = (schedule.start, schedule.until)
        && until < start
    {
        // That is an error of its own.
        return;
    }
    if schedule::next(schedule, DateTime::UNIX_EPOCH).is_none() {
        let between = if schedule.start.is_some() || schedule.until.is_some() {
            " within `start` and `until`"
        } else {
            ""
        };
        item.report::<()>(Diagnostic::warning(
            "never-due",
            item.place(),
            format!("this never happens: no date{between} matches it"),
        ));
    }
}
