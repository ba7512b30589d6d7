//! The mail in other languages: bodies lie beside the body (`renewal.de.md` beside `renewal.md`), subjects stand in
//! `[email.subjects]`.

use std::collections::BTreeMap;

use super::{email, surroundings::Surroundings};
use crate::{
    model::{Body, Campaign, Diagnostic, Excerpt, Locale, Section, Translation},
    workspace::Tree,
};

/// The translations, by locale. What is wrong is recorded.
pub(super) fn read(
    section: &Section<'_>,
    body: Option<&Body>,
    around: &Surroundings<'_>,
) -> Vec<Translation> {
    let mut subjects = subjects(section);
    let mut found: BTreeMap<Locale, Translation> = BTreeMap::new();
    for (locale, body) in bodies(section, body, &subjects, around) {
        let subject = subjects.remove(&locale);
        if subject.is_none() && !has_wider(&locale, &subjects, &found) {
            section.report(
                Diagnostic::warning(
                    "no-translation",
                    body.template.place_of(0..0),
                    format!("[email.subjects] has no `{locale}`: the subject is not translated"),
                )
                .help(format!("add `{locale} = \"…\"` to it")),
            );
        }
        let translation = Translation {
            locale: locale.clone(),
            subject,
            body: Some(body),
        };
        found.insert(locale, translation);
    }
    for (locale, subject) in subjects {
        let has_body = locale
            .and_wider()
            .any(|wider| found.get(&wider).is_some_and(|known| known.body.is_some()));
        if !has_body {
            section.report(
                Diagnostic::warning(
                    "no-translation",
                    subject.place().clone(),
                    format!("there is no body in `{locale}`: only the subject is translated"),
                )
                .help(match body {
                    Some(body) if is_file(section, body) => {
                        let path = body.template.place().file.path();
                        format!("write it to {}", path_of(path, &locale))
                    }
                    _ => "translations of a body are files beside it: use `body = \"FILE.md\"`"
                        .to_owned(),
                }),
            );
        }
        let translation = Translation {
            locale: locale.clone(),
            subject: Some(subject),
            body: None,
        };
        found.insert(locale, translation);
    }
    found.into_values().collect()
}

/// Whether a wider locale has a subject.
fn has_wider(
    locale: &Locale,
    subjects: &BTreeMap<Locale, Excerpt>,
    found: &BTreeMap<Locale, Translation>,
) -> bool {
    locale.and_wider().any(|wider| {
        subjects.contains_key(&wider)
            || found
                .get(&wider)
                .is_some_and(|known| known.subject.is_some())
    })
}

fn subjects(section: &Section<'_>) -> BTreeMap<Locale, Excerpt> {
    let mut subjects = BTreeMap::new();
    let Some(table) = section.section("subjects") else {
        return subjects;
    };
    for item in table.entries() {
        let locale: Locale = match item.name.key.parse() {
            Ok(locale) => locale,
            Err(expected) => {
                let words = format!("`{}`: {expected}", item.name.key);
                section.error("wrong-value", item.name.place.clone(), words);
                continue;
            }
        };
        let Some(subject) = email::subject(&item) else {
            continue;
        };
        if subjects.insert(locale.clone(), subject).is_some() {
            let words = format!("there are two subjects in `{locale}`");
            section.error("duplicate-name", item.name.place.clone(), words);
        }
    }
    subjects
}

/// The files beside the body that are named after it and a locale. Two letters are enough for widely known languages; others
/// count where there is a subject in them.
fn bodies(
    section: &Section<'_>,
    body: Option<&Body>,
    subjects: &BTreeMap<Locale, Excerpt>,
    around: &Surroundings<'_>,
) -> BTreeMap<Locale, Body> {
    let mut bodies = BTreeMap::new();
    let Some(body) = body.filter(|body| is_file(section, body)) else {
        return bodies;
    };
    let path = body.template.place().file.path();
    let is_named = |locale: &Locale| subjects.contains_key(locale);
    for (locale, other) in beside(around.tree, path, is_named) {
        let other = other.as_str();
        let file = match around.tree.open(other) {
            Some(Ok(file)) => file,
            Some(Err(diagnostic)) => {
                section.report(diagnostic);
                continue;
            }
            None => continue,
        };
        around.used.borrow_mut().insert(other.to_owned());
        let template = Excerpt::whole(&file);
        if file.text().trim().is_empty() {
            let words = format!("{other} is empty");
            section.error("wrong-value", template.place().clone(), words);
            continue;
        }
        let format = body.format;
        if bodies
            .insert(locale.clone(), Body { template, format })
            .is_some()
        {
            let words = format!("there is another body in `{locale}`");
            section.error(
                "duplicate-name",
                Excerpt::whole(&file).place_of(0..0),
                words,
            );
        }
    }
    bodies
}

/// The files that are translations of the body at `path`, by their names. `is_named`: languages that count though they are not
/// widely known.
fn beside(tree: &Tree, path: &str, is_named: impl Fn(&Locale) -> bool) -> Vec<(Locale, String)> {
    let Some((stem, ending)) = path.rsplit_once('.') else {
        return Vec::new();
    };
    let start = format!("{stem}.");
    tree.paths_starting(&start)
        .filter_map(|other| {
            let between = other[start.len()..]
                .strip_suffix(ending)?
                .strip_suffix('.')?;
            let locale: Locale = between.parse().ok()?;
            (locale.is_well_known() || is_named(&locale)).then(|| (locale, other.to_owned()))
        })
        .collect()
}

/// Whether a mail that was read before has all the translations that lie beside its body now.
pub(in crate::workspace) fn is_complete(campaign: &Campaign, tree: &Tree) -> bool {
    let Some(email) = &campaign.email else {
        return true;
    };
    let path = email.body.template.place().file.path();
    if path == campaign.file.path() {
        return true;
    }
    let known = |locale: &Locale| {
        let mut all = email.translations.iter();
        all.any(|translation| translation.locale == *locale && translation.body.is_some())
    };
    let named = |locale: &Locale| {
        let mut all = email.translations.iter();
        all.any(|translation| translation.locale == *locale)
    };
    beside(tree, path, named)
        .iter()
        .all(|(locale, _)| known(locale))
}

fn is_file(section: &Section<'_>, body: &Body) -> bool {
    body.template.place().file.path() != section.file().path()
}

fn path_of(path: &str, locale: &Locale) -> String {
    match path.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}.{locale}.{ending}"),
        None => format!("{path}.{locale}"),
    }
}
