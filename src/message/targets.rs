//! Where links lead: what data says there must not run as a program.

use minijinja::{Error, ErrorKind, value::Value};

use super::{
    pieces::{Piece, Tag, TagKind},
    spots::{Attribute, Scan, Spot},
    template::to_text,
};
use crate::model::Diagnostic;

/// The function that values go through where a link begins with them.
pub(super) const FUNCTION: &str = "__link";

/// Schemes of addresses that are programs, or pages of their own.
const ACTIVE: [&str; 3] = ["javascript:", "vbscript:", "data:"];

/// Attributes that hold an address.
const ADDRESSES: [&str; 9] = [
    "href",
    "src",
    "action",
    "formaction",
    "xlink:href",
    "background",
    "data",
    "poster",
    "srcset",
];

/// HTML whose links are looked at when they are printed. What runs when somebody clicks may not come from data at all.
pub(super) fn guard(pieces: Vec<Piece>) -> Result<Vec<Piece>, Diagnostic> {
    let mut scan = Scan::new();
    let guarded = pieces.into_iter().map(|piece| {
        let tag = match piece {
            Piece::Text(text) => {
                scan.text(&text, &mut String::new());
                return Ok(Piece::Text(text));
            }
            Piece::Tag(tag) => tag,
        };
        match scan.tag(&tag) {
            Spot::Attribute(attribute) if tag.kind == TagKind::Print => {
                if is_event(&attribute.name) {
                    return Err(in_event(&attribute, &tag));
                }
                let address = ADDRESSES.contains(&attribute.name.as_str());
                Ok(Piece::Tag(if address && attribute.begins {
                    tag.inside_call(FUNCTION)
                } else {
                    tag
                }))
            }
            _ => Ok(Piece::Tag(tag)),
        }
    });
    guarded.collect()
}

fn is_event(attribute: &str) -> bool {
    attribute
        .strip_prefix("on")
        .is_some_and(|event| event.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn in_event(attribute: &Attribute, tag: &Tag) -> Diagnostic {
    let words = format!(
        "`{}` is a program, and a value in it could be one too",
        attribute.name
    );
    Diagnostic::error(
        "event-handler",
        tag.source.place_of(tag.range.clone()),
        words,
    )
    .help("take the attribute out: mail programs do not run it")
}

/// The value itself, where it may be what a link begins with.
pub(super) fn link(value: Value) -> Result<Value, Error> {
    let mut printed = String::new();
    if !value.is_undefined() {
        to_text(&value, &mut printed)?;
    }
    match active(&printed) {
        Some(scheme) => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("a link may not start with `{scheme}`"),
        )),
        None => Ok(value),
    }
}

/// The active scheme that an address begins with. Browsers drop line ends, tabs and what cannot be seen before they look.
fn active(address: &str) -> Option<&'static str> {
    let unseen = |c: &char| {
        c.is_control() || c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}')
    };
    let start: String = address
        .chars()
        .filter(|c| !unseen(c))
        .take(16)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    ACTIVE.into_iter().find(|scheme| start.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_schemes_are_seen_through_disguises() {
        for address in [
            "javascript:alert(1)",
            " \t JaVaScRiPt:x",
            "\u{1}java\nscript\r:x",
            "\u{feff}javascript:",
        ] {
            assert_eq!(active(address), Some("javascript:"), "{address:?}");
        }
        assert_eq!(active("DATA:text/html,x"), Some("data:"));
        assert_eq!(active("vbscript:x"), Some("vbscript:"));
        for address in [
            "https://a.example/?x=javascript:",
            "/javascript:",
            "database",
            "mailto:data@a.example",
            "",
        ] {
            assert_eq!(active(address), None, "{address:?}");
        }
    }
}
