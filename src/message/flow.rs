//! Plain text as it is made of HTML: white space, blank lines and the lines' prefixes, with tags of the template in between.

use super::{pieces::TagKind, tokens::Tokens};

/// Text as it grows: white space collapsed, blank lines between blocks, prefixes before lines. Tags of the template take
/// no room in it.
pub(super) struct Flow<'t> {
    tokens: &'t Tokens,
    pub(super) out: String,
    /// Line ends to write before the next text.
    pending: usize,
    /// Line ends that stand last, tags aside.
    ended: usize,
    /// A space to write before the next text, if that is on the same line.
    pub(super) space: bool,
    pub(super) prefixes: Vec<String>,
    /// What stands before the first line of a list's item, in the place of the last prefix.
    pub(super) bullet: Option<String>,
    pub(super) hidden: usize,
    pub(super) preformatted: usize,
}

impl<'t> Flow<'t> {
    /// Nothing yet.
    pub(super) fn new(tokens: &'t Tokens) -> Self {
        Self {
            tokens,
            out: String::new(),
            pending: 0,
            ended: 2,
            space: false,
            prefixes: Vec::new(),
            bullet: None,
            hidden: 0,
            preformatted: 0,
        }
    }

    pub(super) fn space_lines(&mut self, lines: usize) {
        self.pending = self.pending.max(lines.saturating_sub(self.ended));
    }

    pub(super) fn break_line(&mut self) {
        self.begin_text();
        self.pending = 1;
    }

    fn end_lines(&mut self) {
        for _ in 0..self.pending {
            self.out.push('\n');
        }
        if self.pending > 0 {
            self.space = false;
        }
        self.ended += self.pending;
        self.pending = 0;
    }

    /// Gets ready to write text.
    fn begin_text(&mut self) {
        self.end_lines();
        if self.ended > 0 {
            let bullet = self.bullet.take();
            let plain =
                self.prefixes.len() - usize::from(bullet.is_some() && !self.prefixes.is_empty());
            for prefix in &self.prefixes[..plain] {
                self.out.push_str(prefix);
            }
            self.out.push_str(&bullet.unwrap_or_default());
        } else if self.space {
            self.out.push(' ');
        }
        self.space = false;
        self.ended = 0;
    }

    pub(super) fn word(&mut self, word: &str) {
        if self.hidden == 0 {
            self.begin_text();
            self.out.push_str(word);
        }
    }

    /// A tag between elements: it takes its place at the start of a line, where there is one.
    pub(super) fn tag(&mut self, tag: usize) {
        if self.tokens.tags()[tag].kind == TagKind::Print {
            return self.word(&self.tokens.word(tag));
        }
        self.end_lines();
        if self.space && self.ended == 0 {
            self.out.push(' ');
        }
        self.space = false;
        self.out.push_str(&self.tokens.word(tag));
    }

    /// The block tags of a text that is not shown: what they set or enclose may matter where it is.
    pub(super) fn block_tags(&mut self, text: &str) {
        let mut at = 0;
        while at < text.len() {
            if let Some((tag, length)) = self.tokens.at_start(&text[at..]) {
                if self.tokens.tags()[tag].kind == TagKind::Block {
                    self.tag(tag);
                }
                at += length;
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return self.block_tags(text);
        }
        let text = decode(text);
        if self.preformatted > 0 {
            for (at, line) in text.split('\n').enumerate() {
                if at > 0 {
                    self.break_line();
                }
                if !line.is_empty() {
                    self.word(line);
                }
            }
            return;
        }
        for (at, word) in text.split([' ', '\n', '\t', '\r', '\u{c}']).enumerate() {
            self.space |= at > 0;
            if !word.is_empty() {
                self.begin_text();
                self.out.push_str(word);
            }
        }
    }
}

/// The character references that a serializer writes (HTML §13.3), and numeric ones.
pub(super) fn decode(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest[1..]
            .split_once(';')
            .map(|(name, _)| name)
            .unwrap_or_default();
        let character = match reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some('\u{a0}'),
            other => other.strip_prefix('#').and_then(|number| {
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?).filter(|c| !c.is_control())
            }),
        };
        let length = character.map_or(1, |_| reference.len() + 2);
        decoded.push(character.unwrap_or('&'));
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}
