//! MJML to HTML, once, at load time, with the tags of the template kept out of the way: between elements they are comments, in
//! texts and values words. MJML's sizes are computed here, so no tag can stand in them.

use std::ops::Range;

use css_inline::CSSInliner;
use mrml::prelude::{parser::Error as ParseError, render::RenderOptions};

use super::{
    html::Context,
    mjml_structure::misplaced,
    pieces::{Piece, TagKind},
    tokens::Tokens,
};
use crate::model::{Diagnostic, Excerpt, Locale, Place};

/// The HTML of an MJML body, with words for its tags; block tags between elements are comments.
pub(super) fn to_html(
    pieces: &[Piece],
    tokens: &Tokens,
    source: &Excerpt,
    language: Option<&Locale>,
) -> Result<String, Diagnostic> {
    let mut protected = Protected::new(pieces, tokens, source);
    if let Some(at) = protected.text.find("<mj-include") {
        let place = protected.place(at..at + "<mj-include".len());
        return Err(
            Diagnostic::error("not-built", place, "`mj-include` is not built yet")
                .help("put the part into this file"),
        );
    }
    if let Some(wrong) = misplaced(&protected.text) {
        let place = protected.place(wrong.range);
        let words = format!("MJML: {}", wrong.words);
        return Err(Diagnostic::error("mjml", place, words).help(wrong.help));
    }
    if !protected.text.contains("<mjml") {
        let words = "MJML: there is no <mjml> element";
        return Err(Diagnostic::error("mjml", source.place_of(0..0), words)
            .help("a body in MJML is <mjml><mj-body>…</mj-body></mjml>"));
    }
    protected.soften_spaces();
    let inline = protected.take_inline_styles();
    let parsed = mrml::parse(&protected.text).map_err(|error| protected.explain(&error))?;
    let options = RenderOptions {
        // Fonts come from where the author says (`mj-font`), and from nowhere else.
        fonts: std::collections::HashMap::new(),
        ..RenderOptions::default()
    };
    let html = parsed.element.render(&options).map_err(|error| {
        Diagnostic::error("mjml", source.place_of(0..0), format!("MJML: {error}"))
    })?;
    let html = match language {
        Some(language) => html.replacen("lang=\"und\"", &format!("lang=\"{language}\""), 2),
        None => html,
    };
    if inline.is_empty() {
        return Ok(html);
    }
    CSSInliner::options()
        .load_remote_stylesheets(false)
        .inline_style_tags(false)
        .keep_style_tags(true)
        .keep_link_tags(true)
        .extra_css(Some(inline.into()))
        .build()
        .inline(&html)
        .map_err(|error| {
            let words = format!("the style sheet: {error}");
            Diagnostic::error("mjml", source.place_of(0..0), words)
        })
}

/// MJML with words for its tags, and where its parts were written.
struct Protected<'a> {
    text: String,
    source: &'a Excerpt,
    /// Offsets in the text, ascending, and in the source.
    anchors: Vec<(usize, usize)>,
}

impl<'a> Protected<'a> {
    fn new(pieces: &[Piece], tokens: &Tokens, source: &'a Excerpt) -> Self {
        let mut text = String::new();
        let mut anchors = vec![(0, 0)];
        let mut context = Context::Data;
        let (mut next, mut done) = (0, 0);
        for piece in pieces {
            match piece {
                Piece::Text(piece) => {
                    // White space at its ends may be gone, and line ends be others.
                    let start = piece.trim_start();
                    let line = start.lines().next().unwrap_or_default();
                    let found = source.text()[done..]
                        .find(line)
                        .map_or(done, |at| done + at);
                    anchors.push((text.len() + piece.len() - start.len(), found));
                    text.push_str(piece);
                    context = context.after(piece);
                }
                Piece::Tag(tag) => {
                    anchors.push((text.len(), tag.range.start));
                    let between = context == Context::Data && tag.kind == TagKind::Block;
                    text.push_str(&if between {
                        tokens.comment(next)
                    } else {
                        tokens.word(next)
                    });
                    next += 1;
                    done = tag.range.end;
                }
            }
        }
        Self {
            text,
            source,
            anchors,
        }
    }

    /// Where a range of the text was written.
    fn place(&self, range: Range<usize>) -> Place {
        let end = self.source.text().len();
        let at = |offset: usize| {
            let next = self.anchors.partition_point(|(text, _)| *text <= offset);
            let (text, source) = self.anchors[next.saturating_sub(1)];
            let limit = self.anchors.get(next).map_or(end, |(_, source)| *source);
            let mut at = (source + (offset - text)).min(limit.max(source)).min(end);
            while !self.source.text().is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = at(range.start);
        self.source.place_of(start..at(range.end).max(start))
    }

    /// Between elements of MJML a parser takes white space that begins with a line end, and no other.
    fn soften_spaces(&mut self) {
        let mut from = 0;
        while let Some(at) = self.text[from..].find('>').map(|at| from + at + 1) {
            let rest = &self.text[at..];
            let behind = rest.trim_start_matches([' ', '\t']);
            let spaces = rest.len() - behind.len();
            if spaces > 0 {
                let next = behind.trim_start();
                if next.starts_with("<mj-") || next.starts_with("</mj-") || next.starts_with("<!--")
                {
                    self.text.replace_range(at..=at, "\n");
                }
            }
            from = at + spaces;
        }
    }

    /// Takes out the style sheets that are to be inlined (`<mj-style inline="inline">`); what is left keeps its place.
    fn take_inline_styles(&mut self) -> String {
        const START: &str = "<mj-style";
        const END: &str = "</mj-style>";
        let mut styles = String::new();
        let mut from = 0;
        while let Some(start) = self.text[from..].find(START).map(|at| from + at) {
            let Some(opened) = self.text[start..].find('>').map(|at| start + at + 1) else {
                break;
            };
            from = opened;
            let tag = &self.text[start..opened];
            let is_inline = tag.contains("inline=\"inline\"") || tag.contains("inline='inline'");
            let end = self.text[opened..].find(END).map(|at| opened + at);
            if let (true, Some(end)) = (is_inline, end) {
                styles.push_str(&self.text[opened..end]);
                styles.push('\n');
                let gone = start..end + END.len();
                let blank = format!("<!--{}-->", " ".repeat(gone.len() - "<!---->".len()));
                self.text.replace_range(gone, &blank);
            }
        }
        styles
    }

    /// What the parser says, at its place.
    fn explain(&self, error: &ParseError) -> Diagnostic {
        let (position, words) = match error {
            ParseError::UnexpectedElement { position, .. } => {
                let name = self.text.get(position.start..position.end);
                let name = name.unwrap_or_default().trim_start_matches('<');
                (Some(position), format!("`{name}` has no place here"))
            }
            ParseError::UnexpectedToken { position, .. } => (
                Some(position),
                "this has no place here: is an end tag missing or wrong?".to_owned(),
            ),
            ParseError::MissingAttribute { name, position, .. } => {
                (Some(position), format!("the attribute `{name}` is missing"))
            }
            ParseError::InvalidAttribute { position, .. } => {
                (Some(position), "this attribute can't be read".to_owned())
            }
            ParseError::InvalidFormat { position, .. } => {
                (Some(position), "this can't be read".to_owned())
            }
            ParseError::EndOfStream { .. } => {
                (None, "it ends too early: is an end tag missing?".to_owned())
            }
            ParseError::ParserError { source, .. } => (None, source.to_string()),
            other => (None, other.to_string()),
        };
        let end = self.text.trim_end().len();
        let range = match (position, error) {
            (Some(position), _) => position.start..position.end,
            (None, ParseError::EndOfStream { .. }) => end.saturating_sub(1)..end,
            (None, ParseError::ParserError { source, .. }) => {
                let at = source.pos();
                let at = line_offset(&self.text, at.row as usize, at.col as usize);
                at..at
            }
            (None, _) => 0..0,
        };
        Diagnostic::error("mjml", self.place(range), format!("MJML: {words}"))
            .help("https://documentation.mjml.io lists the elements and where they may stand")
    }
}

/// The offset of a row and column, from 1.
fn line_offset(text: &str, row: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(row.saturating_sub(1))
        .map(str::len)
        .sum();
    let line = text[start.min(text.len())..]
        .lines()
        .next()
        .unwrap_or_default();
    let column = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(line.len(), |(at, _)| at);
    start + column
}
