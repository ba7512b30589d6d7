//! Stand-ins for tags while the text around them is converted: words that Markdown, HTML and CSS leave as they are.

use super::pieces::{Piece, Tag, TagKind, push_text};

/// The tags of a template and the words that stand for them.
pub(super) struct Tokens {
    prefix: String,
    tags: Vec<Tag>,
}

/// A stand-in found in converted text: which tag, and the bytes it takes.
struct Found {
    tag: usize,
    start: usize,
    end: usize,
}

impl Tokens {
    /// The tags of `pieces`. The words begin with what occurs nowhere in the text.
    pub(super) fn new(pieces: &[Piece]) -> Self {
        let text: String = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.to_lowercase()),
                Piece::Tag(_) => None,
            })
            .collect();
        // Every number that is taken takes room in the text: one of these is free.
        let prefix = (0..=text.len())
            .map(|number| format!("qz{number}z"))
            .find(|prefix| !text.contains(prefix.as_str()))
            .expect("a text has fewer words than characters");
        let tags = pieces.iter().filter_map(|piece| match piece {
            Piece::Tag(tag) => Some(tag.clone()),
            Piece::Text(_) => None,
        });
        Self {
            prefix,
            tags: tags.collect(),
        }
    }

    /// The tags, in order.
    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The word for a tag.
    pub(super) fn word(&self, tag: usize) -> String {
        format!("{}{tag}x", self.prefix)
    }

    /// The word for a tag as an HTML comment, for places between elements.
    pub(super) fn comment(&self, tag: usize) -> String {
        format!("<!--{}-->", self.word(tag))
    }

    /// A word that stands for something else than a tag.
    pub(super) fn other_word(&self, number: usize) -> String {
        format!("{}o{number}x", self.prefix)
    }

    /// Whether a word for a tag occurs in the text.
    pub(super) fn occur_in(&self, text: &str) -> bool {
        self.find(text, 0).is_some()
    }

    /// The tag whose word the text begins with, and the word's length.
    pub(super) fn at_start(&self, text: &str) -> Option<(usize, usize)> {
        let rest = text.strip_prefix(self.prefix.as_str())?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let tag: usize = rest[..digits].parse().ok()?;
        (tag < self.tags.len() && rest[digits..].starts_with('x'))
            .then_some((tag, self.prefix.len() + digits + 1))
    }

    /// The text with its words, as it was before the tags were taken out of it.
    pub(super) fn protect(&self, pieces: &[Piece]) -> String {
        let mut next = 0;
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Tag(_) => {
                    text.push_str(&self.word(next));
                    next += 1;
                }
            }
        }
        text
    }

    fn find(&self, text: &str, from: usize) -> Option<Found> {
        let mut at = from;
        loop {
            at += text[at..].find(self.prefix.as_str())?;
            if let Some((tag, length)) = self.at_start(&text[at..]) {
                return Some(Found {
                    tag,
                    start: at,
                    end: at + length,
                });
            }
            at += self.prefix.len();
        }
    }

    /// Puts the tags back for their words, in whatever form these came through.
    pub(super) fn restore(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut done = 0;
        while let Some(found) = self.find(text, done) {
            let (mut start, mut end) = (found.start, found.end);
            for (before, after) in [("<!--", "-->"), ("&lt;!--", "--&gt;"), ("", "=\"\"")] {
                if text[done..start].ends_with(before) && text[end..].starts_with(after) {
                    start -= before.len();
                    end += after.len();
                    break;
                }
            }
            push_text(&mut pieces, &text[done..start]);
            pieces.push(Piece::Tag(self.tags[found.tag].clone()));
            done = end;
        }
        push_text(&mut pieces, &text[done..]);
        pieces
    }

    /// The first tag that is not where it was: a block tag that is lost, twice there or out of order (what it encloses would
    /// be wrong), or a value that is printed no more.
    pub(super) fn displaced(&self, text: &str) -> Option<&Tag> {
        let is_block = |tag: usize| self.tags[tag].kind == TagKind::Block;
        let mut blocks = (0..self.tags.len()).filter(|tag| is_block(*tag));
        let mut seen = vec![false; self.tags.len()];
        let mut done = 0;
        while let Some(found) = self.find(text, done) {
            done = found.end;
            seen[found.tag] = true;
            if is_block(found.tag) {
                match blocks.next() {
                    Some(expected) if expected == found.tag => {}
                    expected => {
                        let first = expected.unwrap_or(found.tag).min(found.tag);
                        return Some(&self.tags[first]);
                    }
                }
            }
        }
        let lost = seen.iter().position(|seen| !seen)?;
        Some(&self.tags[lost])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::pieces::cut,
        model::{Excerpt, SourceFile},
    };

    #[test]
    fn words_come_back_as_tags_in_any_form() {
        let text = "qz0z {{ a }}{% if b %}{% endif %}";
        let pieces = cut(&Excerpt::whole(&SourceFile::new("t", text))).unwrap();
        let tokens = Tokens::new(&pieces);
        assert_eq!(tokens.protect(&pieces), "qz0z qz1z0xqz1z1xqz1z2x");
        let restored =
            tokens.restore("<p a qz1z1x=\"\">qz1z0x<!--qz1z2x-->&lt;!--qz1z0x--&gt;qz1z9x");
        let shown: String = restored
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Tag(tag) => format!("[{}]", tag.code.trim()),
            })
            .collect();
        assert_eq!(shown, "<p a [if b]>[a][endif][a]qz1z9x");
        assert!(tokens.displaced("qz1z0x qz1z1x qz1z2x qz1z0x").is_none());
        assert_eq!(tokens.displaced("qz1z2x qz1z1x").unwrap().keyword(), "if");
        assert_eq!(tokens.displaced("qz1z0xqz1z1x").unwrap().keyword(), "endif");
    }
}
