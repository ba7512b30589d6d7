//! Which element of MJML may stand in which: the renderer takes nearly anything and makes something broken of it.

use std::ops::Range;

use super::plain::tag_end;
use crate::model::closest;

/// Elements, and those that may stand in them. All others hold text or HTML.
const CHILDREN: [(&str, &[&str]); 13] = [
    ("mjml", &["mj-head", "mj-body"]),
    (
        "mj-head",
        &[
            "mj-attributes",
            "mj-breakpoint",
            "mj-font",
            "mj-preview",
            "mj-raw",
            "mj-style",
            "mj-title",
        ],
    ),
    (
        "mj-body",
        &["mj-section", "mj-wrapper", "mj-hero", "mj-raw"],
    ),
    ("mj-wrapper", &["mj-section", "mj-hero", "mj-raw"]),
    ("mj-section", &["mj-column", "mj-group", "mj-raw"]),
    ("mj-group", &["mj-column", "mj-raw"]),
    ("mj-column", CONTENT),
    ("mj-hero", CONTENT),
    ("mj-accordion", &["mj-accordion-element", "mj-raw"]),
    (
        "mj-accordion-element",
        &["mj-accordion-title", "mj-accordion-text", "mj-raw"],
    ),
    ("mj-carousel", &["mj-carousel-image"]),
    ("mj-navbar", &["mj-navbar-link", "mj-raw"]),
    ("mj-social", &["mj-social-element", "mj-raw"]),
];

const CONTENT: &[&str] = &[
    "mj-accordion",
    "mj-button",
    "mj-carousel",
    "mj-divider",
    "mj-image",
    "mj-navbar",
    "mj-raw",
    "mj-social",
    "mj-spacer",
    "mj-table",
    "mj-text",
];

/// An element that is unknown, or stands where it may not.
pub(super) struct Misplaced {
    /// Its name in the text.
    pub(super) range: Range<usize>,
    /// What is wrong.
    pub(super) words: String,
    /// What to do.
    pub(super) help: String,
}

/// The first element of MJML that is unknown, or stands where it may not.
pub(super) fn misplaced(text: &str) -> Option<Misplaced> {
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('<').map(|found| at + found) {
        let rest = &text[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            at = start + comment.find("-->").map_or(rest.len(), |end| end + 7);
            continue;
        }
        let closes = rest.starts_with("</");
        let name_at = start + 1 + usize::from(closes);
        let name = text[name_at..]
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .next()
            .unwrap_or_default();
        at = start + 1;
        if name.is_empty() {
            continue;
        }
        let end = tag_end(rest).min(rest.len());
        at = start + end;
        let is_own = name == "mjml" || name.starts_with("mj-");
        if !is_own {
            continue;
        }
        if closes {
            if let Some(last) = open.iter().rposition(|open| *open == name) {
                open.truncate(last);
            }
            continue;
        }
        if let Some((words, help)) = wrong(name, open.last().copied()) {
            let range = name_at..name_at + name.len();
            return Some(Misplaced { range, words, help });
        }
        if !rest[..end].ends_with("/>") {
            open.push(name);
        }
    }
    None
}

fn wrong(name: &str, parent: Option<&str>) -> Option<(String, String)> {
    if parent == Some("mj-attributes") {
        return None;
    }
    let all = || {
        CHILDREN
            .iter()
            .flat_map(|(_, children)| children.iter().copied())
    };
    if name != "mjml" && !all().any(|known| known == name) {
        let help = match closest(name, all()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "https://documentation.mjml.io lists the elements".to_owned(),
        };
        return Some((format!("there is no element `{name}`"), help));
    }
    let allowed = match parent {
        None => &["mjml"][..],
        Some(parent) => CHILDREN
            .iter()
            .find(|(known, _)| *known == parent)
            .map_or(&[][..], |(_, children)| children),
    };
    if allowed.contains(&name) {
        return None;
    }
    let homes: Vec<_> = CHILDREN
        .iter()
        .filter(|(_, children)| children.contains(&name))
        .map(|(home, _)| format!("`{home}`"))
        .collect();
    let words = match parent {
        Some(parent) => format!("`{name}` can't stand in `{parent}`"),
        None => format!("`{name}` can't stand here"),
    };
    let help = match homes.as_slice() {
        [] => "it is what everything else stands in".to_owned(),
        homes => format!("it stands in {}", homes.join(" or ")),
    };
    Some((words, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Option<String> {
        misplaced(text)
            .map(|wrong| format!("{}: {} ({})", &text[wrong.range], wrong.words, wrong.help))
    }

    #[test]
    fn elements_stand_where_they_may() {
        let within = |inner: &str| format!("<mjml><mj-body>{inner}</mj-body></mjml>");
        let column = |inner: &str| {
            within(&format!(
                "<mj-section><mj-column>{inner}</mj-column></mj-section>"
            ))
        };
        for good in [
            column("<mj-text>1 < 2 <b>x</b></mj-text><mj-image src=\"a>b\" />"),
            "<mjml><mj-head><mj-attributes><mj-text color=\"red\" /><mj-class name=\"x\" /></mj-attributes></mj-head></mjml>"
                .to_owned(),
            within("<!-- <mj-foo> --><mj-wrapper><mj-section></mj-section></mj-wrapper>"),
        ] {
            assert_eq!(said(&good), None, "{good}");
        }
        for (bad, words) in [
            (
                column("<mj-txt>x</mj-txt>"),
                "mj-txt: there is no element `mj-txt` (did you mean `mj-text`?)",
            ),
            (
                within("<mj-section><mj-text>x</mj-text></mj-section>"),
                "mj-text: `mj-text` can't stand in `mj-section` (it stands in `mj-column` or `mj-hero`)",
            ),
            (
                column("<mj-text><mj-button>x</mj-button></mj-text>"),
                "mj-button: `mj-button` can't stand in `mj-text` (it stands in `mj-column` or `mj-hero`)",
            ),
            (
                "<mj-body></mj-body>".to_owned(),
                "mj-body: `mj-body` can't stand here (it stands in `mjml`)",
            ),
        ] {
            assert_eq!(said(&bad).as_deref(), Some(words), "{bad}");
        }
    }
}
