//! Pictures that lie beside a template: they go with the message, and its HTML shows them from there (`cid:`, RFC 2392).

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Files, NamedFile, flow::decode, plain::tag_end, tokens::Tokens};
use crate::model::{Body, BodyFormat, Diagnostic, Diagnostics, Excerpt, Place};

/// A picture of a message.
#[derive(Clone)]
pub(super) struct Picture {
    /// What the HTML shows it by, without `cid:`.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) content_type: &'static str,
    pub(super) bytes: Arc<[u8]>,
    /// Where it lies in the workspace.
    path: String,
}

/// What pictures are looked for with.
pub(super) struct Search<'a> {
    /// The body whose HTML shows them.
    pub(super) body: &'a Body,
    /// The words in that HTML.
    pub(super) tokens: &'a Tokens,
    /// Where they lie.
    pub(super) files: &'a dyn Files,
    /// Makes their ids unique (RFC 2045 §7).
    pub(super) domain: &'a str,
}

impl Search<'_> {
    /// The HTML with its pictures attached: a `src` that is a path becomes the id of a picture.
    pub(super) fn attach(
        &self,
        html: &str,
        found: &mut Diagnostics,
    ) -> Result<(String, Vec<Picture>), Diagnostic> {
        let mut pictures: Vec<Picture> = Vec::new();
        let mut result = String::with_capacity(html.len());
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            result.push_str(&rest[..at]);
            let (piece, behind) = rest[at..].split_at(piece_end(&rest[at..]));
            rest = behind;
            let Some(source) = source_of(piece) else {
                result.push_str(piece);
                continue;
            };
            let written = decode(&piece[source.clone()]);
            if !piece.contains(" alt=") {
                found.push(no_alt(self.place_of(&written)));
            }
            if self.is_elsewhere(&written) {
                result.push_str(piece);
                continue;
            }
            let id = self.picture(&written, &mut pictures, found)?;
            result.push_str(&piece[..source.start]);
            result.push_str("cid:");
            result.push_str(&id);
            result.push_str(&piece[source.end..]);
        }
        result.push_str(rest);
        if self.body.format == BodyFormat::Markdown {
            found.extend(without_words(&self.body.template));
        }
        Ok((result, pictures))
    }

    /// The id of the picture at a path, which is added where it is new.
    fn picture(
        &self,
        written: &str,
        pictures: &mut Vec<Picture>,
        found: &mut Diagnostics,
    ) -> Result<String, Diagnostic> {
        let place = self.place_of(written);
        if self.tokens.occur_in(written) {
            let words =
                "which picture this is depends on the recipient, so it can't go with the message";
            return Err(Diagnostic::error("picture", place, words)
                .help("give each its own `{% if … %}`, or link to a picture on the web"));
        }
        let NamedFile {
            path,
            name,
            media,
            bytes,
        } = self
            .files
            .open(&place, &percent_decoded(written))
            .map_err(|diagnostic| *diagnostic)?;
        if let Some(known) = pictures.iter().find(|known| known.path == path) {
            return Ok(known.id.clone());
        }
        let Some(media) = media.filter(|media| media.is_image()) else {
            let words = format!("{name} is no picture that mail programs show");
            return Err(Diagnostic::error("picture", place, words).help("use a .png, .jpg or .gif"));
        };
        if !media.is_common_image() {
            let words = format!("many mail programs do not show {}", media.content_type);
            found.push(
                Diagnostic::warning("picture", place, words).help("use a .png, .jpg or .gif"),
            );
        }
        let hash = blake3::hash(&bytes).to_hex();
        // The same content under two paths is two parts.
        let id = format!("{}.{}@{}", &hash[..24], pictures.len() + 1, self.domain);
        pictures.push(Picture {
            id: id.clone(),
            name,
            content_type: media.content_type,
            bytes,
            path,
        });
        Ok(id)
    }

    /// Whether an address is no path: a URL, or what a value says.
    fn is_elsewhere(&self, written: &str) -> bool {
        let scheme = written.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        scheme
            || written.is_empty()
            || written.starts_with("//")
            || self.tokens.at_start(written).is_some()
    }

    /// Where the picture is written, as far as that can be found again.
    fn place_of(&self, written: &str) -> Place {
        let template = &self.body.template;
        let text = template.text();
        let plain = percent_decoded(written);
        let literal = [written, &plain]
            .into_iter()
            .filter(|wanted| !wanted.is_empty())
            .find_map(|wanted| Some((text.find(wanted)?, wanted.len())));
        match literal {
            Some((at, length)) => template.place_of(at..at + length),
            None => template.place_of(0..0),
        }
    }
}

/// The length of what begins with `<`: a comment, a tag, or the character alone.
fn piece_end(html: &str) -> usize {
    match html.strip_prefix("<!--") {
        Some(comment) => comment.find("-->").map_or(html.len(), |end| end + 7),
        None if html[1..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
            tag_end(html).min(html.len())
        }
        None => 1,
    }
}

/// Where the value of `src` stands in the tag of a picture, as its parser wrote it: in double quotes.
fn source_of(tag: &str) -> Option<std::ops::Range<usize>> {
    const SOURCE: &str = " src=\"";
    let name = tag.as_bytes().get(1..5)?;
    if !name[..3].eq_ignore_ascii_case(b"img") || name[3].is_ascii_alphanumeric() {
        return None;
    }
    let start = tag.find(SOURCE)? + SOURCE.len();
    let end = start + tag[start..].find('"')?;
    Some(start..end)
}

fn no_alt(place: Place) -> Diagnostic {
    Diagnostic::warning(
        "no-alt",
        place,
        "a picture without `alt`: who does not see it learns nothing",
    )
    .help("say what it shows: `alt=\"…\"`; `alt=\"\"` for one that only decorates")
}

/// `![](logo.png)`: pictures of Markdown without words.
fn without_words(template: &Excerpt) -> Vec<Diagnostic> {
    let at = template.text().match_indices("![](");
    at.map(|(at, found)| {
        Diagnostic::warning(
            "no-alt",
            template.place_of(at..at + found.len() - 1),
            "a picture without words: who does not see it learns nothing",
        )
        .help("say what it shows between the brackets; `<img src=\"…\" alt=\"\">` is one that only decorates")
    })
    .collect()
}

/// The text with `%20` and its kind decoded (RFC 3986 §2.1), where it is UTF-8 then.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

/// The HTML of a message for a browser, which finds no parts: each picture stands in it.
pub(super) fn inline(html: &str, pictures: &[Picture]) -> String {
    let mut html = html.to_owned();
    for picture in pictures {
        let reference = format!("\"cid:{}\"", picture.id);
        if html.contains(&reference) {
            let data = format!(
                "\"data:{};base64,{}\"",
                picture.content_type,
                STANDARD.encode(&picture.bytes)
            );
            html = html.replace(&reference, &data);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_picture_is_found() {
        for (tag, source) in [
            ("<img src=\"a.png\" alt=\"\">", Some("a.png")),
            ("<IMG class=\"x\" src=\"b\">", Some("b")),
            ("<img alt=\"x\">", None),
            ("<image src=\"a.png\">", None),
            ("<a src=\"a.png\">", None),
            ("<im", None),
            ("<xx\u{a0}src=\"a\">", None),
        ] {
            assert_eq!(source_of(tag).map(|range| &tag[range]), source, "{tag}");
        }
    }

    #[test]
    fn names_in_addresses_are_decoded() {
        assert_eq!(percent_decoded("my%20l%C3%B6go.png"), "my lögo.png");
        assert_eq!(percent_decoded("100%.png"), "100%.png");
        assert_eq!(percent_decoded("%ff.png"), "%ff.png");
        assert_eq!(percent_decoded("%é1"), "%é1");
    }
}
