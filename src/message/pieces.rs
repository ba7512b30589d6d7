//! A Jinja template cut into its tags and the text between them, so that the text can be converted (Markdown, CSS, MIME) once,
//! at load time, and the tags go back to where they were. Every tag keeps the place it was written at.

use std::ops::Range;

use minijinja::{
    machinery::{Token, parse, tokenize},
    syntax::SyntaxConfig,
};

use super::comparison;
use crate::model::Excerpt;

/// Text, or a tag.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// What is printed as it is, with `\n` line ends; whitespace control (`{%-`), comments and raw blocks are done.
    Text(String),
    /// `{{ … }}` or `{% … %}`.
    Tag(Tag),
}

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagKind {
    /// `{{ … }}`
    Print,
    /// `{% … %}`
    Block,
}

/// What a block tag does to the statements around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Begins one.
    Open,
    /// Begins another branch of one.
    Middle,
    /// Ends one.
    Close,
    /// Neither.
    Alone,
}

/// A tag, without its delimiters.
#[derive(Clone, Debug)]
pub(super) struct Tag {
    /// What it does.
    pub(super) kind: TagKind,
    /// What stands between the delimiters, its comparisons spelled as calls of ours.
    pub(super) code: String,
    /// Offsets in `code` and where they stand in `source`, both ascending.
    anchors: Vec<(usize, usize)>,
    /// The whole tag in `source`, delimiters included.
    pub(super) range: Range<usize>,
    /// The template it was written in.
    pub(super) source: Excerpt,
}

impl Tag {
    /// The word a block tag begins with: `if`, `endfor`.
    pub(super) fn keyword(&self) -> &str {
        self.code.split_whitespace().next().unwrap_or_default()
    }

    /// What a block tag does to the statements around it.
    pub(super) fn step(&self) -> Step {
        match self.keyword() {
            "else" | "elif" => Step::Middle,
            "do" => Step::Alone,
            "set" if self.code.contains('=') => Step::Alone,
            end if end.starts_with("end") => Step::Close,
            _ => Step::Open,
        }
    }

    /// The tag with what it prints given to a function first.
    pub(super) fn inside_call(&self, function: &str) -> Self {
        let lead = self.code.len() - self.code.trim_start().len();
        let code = self.code.trim();
        let open = format!("{function}((");
        let (start, end) = (open.len(), open.len() + code.len());
        let written = self.written(lead..lead + code.len());
        let mut anchors = vec![(0, written.start), (start, written.start)];
        let inner = self.anchors.iter().filter_map(|(at, source)| {
            let at = at.checked_sub(lead)? + start;
            (at > start && at < end).then_some((at, *source))
        });
        anchors.extend(inner);
        anchors.extend([(end, written.end), (end + 2, written.end)]);
        Self {
            code: format!("{open}{code}))"),
            anchors,
            ..self.clone()
        }
    }

    /// Where a range of `code` was written.
    pub(super) fn written(&self, range: Range<usize>) -> Range<usize> {
        let at = |offset: usize| {
            let next = self.anchors.partition_point(|(code, _)| *code <= offset);
            let Some((code, source)) = next.checked_sub(1).map(|last| self.anchors[last]) else {
                return self.range.start;
            };
            let end = self
                .anchors
                .get(next)
                .map_or(self.range.end, |(_, source)| *source);
            (source + (offset - code)).min(end)
        };
        let start = at(range.start);
        start..at(range.end).max(start)
    }
}

/// The syntax that templates are written in.
pub(super) fn written_syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build()
        .expect("the default delimiters are valid")
}

/// Cuts a template; `None` where it does not parse.
pub(super) fn cut(source: &Excerpt) -> Option<Vec<Piece>> {
    let text = source.text();
    parse(text, "template", written_syntax()).ok()?;
    let mut pieces = Vec::new();
    let mut tokens: Vec<(Token<'_>, Range<usize>)> = Vec::new();
    let mut start = 0..0;
    let mut done = 0;
    for token in tokenize(text, false, written_syntax()) {
        let (token, span) = token.ok()?;
        let range = span.start_offset as usize..span.end_offset as usize;
        match token {
            Token::TemplateData(data) => {
                let data = behind_comment(data, text, done, range.start, &pieces);
                push_text(&mut pieces, &unix_lines(data));
                done = range.end;
            }
            Token::VariableStart | Token::BlockStart => {
                start = range;
                tokens.clear();
            }
            Token::VariableEnd | Token::BlockEnd => {
                let kind = match token {
                    Token::VariableEnd => TagKind::Print,
                    _ => TagKind::Block,
                };
                let inside = start.end..range.start;
                let edits = comparison::spell_as_calls(&tokens, kind == TagKind::Block);
                let (code, anchors) = apply(text, inside, &edits);
                pieces.push(Piece::Tag(Tag {
                    kind,
                    code,
                    anchors,
                    range: start.start..range.end,
                    source: source.clone(),
                }));
                done = range.end;
            }
            other => tokens.push((other, range)),
        }
    }
    if let Some(Piece::Text(first)) = pieces.first_mut()
        && let Some(rest) = first.strip_prefix('\u{feff}')
    {
        *first = rest.to_owned();
    }
    Some(pieces)
}

/// A comment that has a line of its own takes the line with it.
fn behind_comment<'t>(
    data: &'t str,
    text: &str,
    done: usize,
    start: usize,
    before: &[Piece],
) -> &'t str {
    let comment = text
        .get(done..start)
        .is_some_and(|gap| gap.starts_with("{#"));
    let at_line_start = match before.last() {
        None => true,
        Some(Piece::Text(text)) => text.ends_with('\n'),
        Some(Piece::Tag(_)) => false,
    };
    if comment && at_line_start {
        let rest = data.strip_prefix('\r').unwrap_or(data);
        return rest.strip_prefix('\n').unwrap_or(data);
    }
    data
}

/// Replaces ranges of `text[inside]`; gives the new text and where its parts come from.
fn apply(
    text: &str,
    inside: Range<usize>,
    edits: &[(Range<usize>, String)],
) -> (String, Vec<(usize, usize)>) {
    let mut code = String::with_capacity(inside.len() + 16);
    let mut anchors = vec![(0, inside.start)];
    let mut at = inside.start;
    for (range, new) in edits {
        code.push_str(&text[at..range.start]);
        anchors.push((code.len(), range.start));
        code.push_str(new);
        anchors.push((code.len(), range.end));
        at = range.end;
    }
    code.push_str(&text[at..inside.end]);
    (code, anchors)
}

/// The text with `\n` for every line end.
pub(super) fn unix_lines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

/// Adds text to pieces, joining it to text that is there.
pub(super) fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// The text between the tags, with `gap` for each tag.
pub(super) fn text_of(pieces: &[Piece], gap: &str) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Tag(_) => gap,
        })
        .collect()
}

/// Lines that have nothing but block tags leave no line behind: in plain text an `{% if %}` on a line of its own would
/// otherwise be seen as an empty one.
pub(super) fn drop_tag_lines(pieces: Vec<Piece>) -> Vec<Piece> {
    // Positions of the tags that share a line with nothing but each other and spaces.
    let mut alone = vec![false; pieces.len()];
    let mut line: Vec<usize> = Vec::new();
    let mut clean = true;
    let mut settle = |line: &mut Vec<usize>, clean: bool| {
        for at in line.drain(..) {
            alone[at] = clean;
        }
    };
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Tag(tag) => {
                line.push(at);
                clean &= tag.kind == TagKind::Block;
            }
            Piece::Text(text) => {
                let mut rows = text.split('\n');
                clean &= rows.next().is_some_and(blank);
                if let Some(last) = rows.next_back() {
                    settle(&mut line, clean);
                    clean = blank(last);
                }
            }
        }
    }
    settle(&mut line, clean);

    let mut result: Vec<Piece> = Vec::with_capacity(pieces.len());
    let count = pieces.len();
    let mut behind = false;
    for (at, piece) in pieces.into_iter().enumerate() {
        match piece {
            Piece::Tag(tag) => {
                behind = alone[at];
                result.push(Piece::Tag(tag));
            }
            Piece::Text(text) => {
                let mut rest = text.as_str();
                if behind {
                    // The rest of the tags' line, with its end; between two tags of one line there is no end.
                    rest = match rest.split_once('\n') {
                        Some((_, rest)) => rest,
                        None => "",
                    };
                }
                let before = at + 1 < count && alone[at + 1];
                if before && (rest.contains('\n') || behind || at == 0) {
                    rest = match rest.rfind('\n') {
                        Some(end) => &rest[..=end],
                        None => "",
                    };
                }
                push_text(&mut result, rest);
                behind = false;
            }
        }
    }
    result
}

fn blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceFile;

    fn pieces(text: &str) -> Vec<Piece> {
        cut(&Excerpt::whole(&SourceFile::new("t", text))).unwrap()
    }

    fn shown(pieces: &[Piece]) -> String {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Tag(tag) => format!("[{}]", tag.code.trim()),
            })
            .collect()
    }

    #[test]
    fn whitespace_control_comments_and_raw_blocks_are_done() {
        assert_eq!(
            shown(&pieces("a  {%- if x -%}  b {% endif %}\r\nc")),
            "a[if x]b [endif]\nc"
        );
        assert_eq!(shown(&pieces("a\n{# no #}\nb {# no #}c")), "a\nb c");
        assert_eq!(shown(&pieces("{% raw %}{{ x }}{% endraw %}!")), "{{ x }}!");
        assert_eq!(shown(&pieces("\u{feff}a\n")), "a\n");
    }

    #[test]
    fn comparisons_become_calls_that_know_where_they_were_written() {
        let text = "{{ r.a + 1 < r.b }}";
        let pieces = pieces(text);
        let Piece::Tag(tag) = &pieces[0] else {
            panic!("a tag")
        };
        assert_eq!(tag.code.trim(), r#"__compare(r.a + 1 ,"<", r.b)"#);
        let at = tag.code.find("r.b").unwrap();
        let written = tag.written(at..at + 3);
        assert_eq!(&text[written], "r.b");
    }

    #[test]
    fn tags_alone_on_a_line_leave_no_line() {
        let text = "a\n  {% if x %}\nb {% if y %}c{% endif %}\n{% endif %}\nd {{ e }}\n{{ f }}\n";
        assert_eq!(
            shown(&drop_tag_lines(pieces(text))),
            "a\n[if x]b [if y]c[endif]\n[endif]d [e]\n[f]\n"
        );
        assert_eq!(
            shown(&drop_tag_lines(pieces(
                "{% set x = 1 %} {% set y = 2 %}\nz\n{% if x %}\n\n{% endif %}"
            ))),
            "[set x = 1][set y = 2]z\n[if x]\n[endif]"
        );
    }
}
