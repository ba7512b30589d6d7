//! The parts of a message as compiled templates: how they are put together from pieces, rendered, and how their errors find
//! back to the place that was written.

use std::{collections::BTreeSet, fmt::Write as _, io, ops::Range, sync::OnceLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior,
    machinery::parse,
    syntax::SyntaxConfig,
    value::{Value, ValueKind},
};

use super::{
    Needs, RenderError, filters,
    pieces::{Piece, TagKind, unix_lines},
    quoted_printable,
    reads::{Use, always_prints, walk},
    value::{EMPTY_MARK, Kind},
};
use crate::model::{Excerpt, Place};

/// How many instructions a part may take: a loop over ten thousand items fits, an endless one ends in milliseconds.
const FUEL: u64 = 500_000;

/// The most bytes a part may have when it is rendered.
const MAX_RENDERED: usize = 8 << 20;

/// Which template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The subject, plain.
    Subject,
    /// The text body or alternative.
    Text,
    /// The HTML.
    Html,
}

impl Part {
    /// The template's name: the formatter tells by it what to do.
    fn name(self, form: Form) -> &'static str {
        match (self, form) {
            (Self::Subject, _) => "subject",
            (Self::Text, Form::Plain) => "text",
            (Self::Text, Form::Encoded) => "text encoded",
            (Self::Html, Form::Plain) => "html",
            (Self::Html, Form::Encoded) => "html encoded",
        }
    }
}

/// What a template's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text or HTML for people.
    Plain,
    /// The same in quoted-printable, encoded piece by piece.
    Encoded,
}

/// The compiled templates of one message.
pub(super) struct Templates {
    environment: Environment<'static>,
    maps: Vec<(&'static str, SourceMap)>,
}

/// Where the tags of a compiled template were written.
struct SourceMap {
    tags: Vec<(Range<usize>, super::pieces::Tag)>,
    whole: Excerpt,
}

impl SourceMap {
    fn place(&self, range: Range<usize>) -> Place {
        let at = self.tags.partition_point(|(tag, _)| tag.end <= range.start);
        match self.tags.get(at) {
            Some((code, tag)) => {
                let inside = |offset: usize| offset.clamp(code.start, code.end) - code.start;
                let start = operand_start(&tag.code, inside(range.start));
                tag.source.place_of(tag.written(start..inside(range.end)))
            }
            None => self.whole.place_of(0..0),
        }
    }
}

/// Jinja's spans of `a.b.c` begin at a dot in the middle of it: this is where it begins itself.
fn operand_start(code: &str, at: usize) -> usize {
    if !code[at..].starts_with('.') {
        return at;
    }
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    code[..at].trim_end_matches(name).len()
}

/// Delimiters no template can have: control characters are refused in them.
fn compiled_syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .variable_delimiters("\u{1}", "\u{2}")
        .block_delimiters("\u{3}", "\u{4}")
        .comment_delimiters("\u{5}", "\u{6}")
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters differ")
}

fn environment() -> Environment<'static> {
    static SHARED: OnceLock<Environment<'static>> = OnceLock::new();
    SHARED
        .get_or_init(|| {
            let mut environment = Environment::new();
            environment.set_syntax(compiled_syntax());
            environment.set_undefined_behavior(UndefinedBehavior::Strict);
            environment.set_fuel(Some(FUEL));
            environment.set_recursion_limit(100);
            environment.set_debug(false);
            environment.set_formatter(print);
            environment.set_auto_escape_callback(|name| {
                if name.starts_with("html") {
                    AutoEscape::Html
                } else {
                    AutoEscape::None
                }
            });
            filters::add(&mut environment);
            environment
        })
        .clone()
}

impl Templates {
    /// No templates yet.
    pub(super) fn new() -> Self {
        Self {
            environment: environment(),
            maps: Vec::new(),
        }
    }

    /// Compiles a part. `whole` stands for it where an error has no place of its own.
    pub(super) fn add(
        &mut self,
        part: Part,
        form: Form,
        pieces: &[Piece],
        whole: &Excerpt,
    ) -> Result<(), RenderError> {
        let (source, tags) = assemble(pieces, form);
        let map = SourceMap {
            tags,
            whole: whole.clone(),
        };
        let name = part.name(form);
        self.environment
            .add_template_owned(name, source)
            .map_err(|error| render_error(&error, &map))?;
        self.maps.push((name, map));
        Ok(())
    }

    /// Renders a part behind what `out` has.
    pub(super) fn render(
        &self,
        part: Part,
        form: Form,
        facts: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let name = part.name(form);
        let template = self
            .environment
            .get_template(name)
            .expect("only parts that were added are rendered");
        let bounded = Bounded {
            left: MAX_RENDERED,
            out,
        };
        match template.render_captured_to(facts.clone(), bounded) {
            Ok(_) => Ok(()),
            Err(error) => {
                let (_, map) = self
                    .maps
                    .iter()
                    .find(|(known, _)| *known == name)
                    .expect("every template has its map");
                Err(render_error(&error, map))
            }
        }
    }
}

/// Pieces as the source of a template, with the ranges of its tags' code.
fn assemble(pieces: &[Piece], form: Form) -> (String, Vec<(Range<usize>, super::pieces::Tag)>) {
    let mut source = String::new();
    let mut tags = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) if form == Form::Encoded => {
                quoted_printable::encode(text, &mut source).expect("writing to a string");
            }
            Piece::Text(text) => source.push_str(text),
            Piece::Tag(tag) => {
                let (open, close) = match tag.kind {
                    TagKind::Print => ("\u{1} ", " \u{2}"),
                    TagKind::Block => ("\u{3} ", " \u{4}"),
                };
                source.push_str(open);
                let start = source.len();
                source.push_str(&tag.code);
                tags.push((start..source.len(), tag.clone()));
                source.push_str(close);
            }
        }
    }
    (source, tags)
}

/// What a part made of these pieces reads, and how it behaves.
pub(super) struct Reading {
    /// Fields and variables.
    pub(super) needs: Needs,
    /// Whether text becomes a value before it is printed, so that it can't be encoded piece by piece.
    pub(super) captures: bool,
    /// Which of the names asked for it prints whatever the recipient is.
    pub(super) always: Vec<bool>,
}

/// Reads the templates again as they are assembled: a part may have lost or gained tags when it was converted.
pub(super) fn read(pieces: &[Piece], asked: &[&str]) -> Reading {
    let (source, _) = assemble(pieces, Form::Plain);
    let mut reading = Reading {
        needs: Needs {
            fields: Some(BTreeSet::new()),
            variables: BTreeSet::new(),
            locale: false,
        },
        captures: false,
        always: vec![false; asked.len()],
    };
    let Ok(template) = parse(&source, "part", compiled_syntax()) else {
        return reading;
    };
    walk(&template, &mut |what, _| match what {
        Use::Name("r") => reading.needs.fields = None,
        Use::Part("r", field, _) => {
            if let Some(fields) = &mut reading.needs.fields {
                fields.insert(field.into_owned());
            }
        }
        Use::Name(name) | Use::Part(name, ..) => {
            reading.needs.variables.insert(name.to_owned());
        }
        Use::Capture => reading.captures = true,
        _ => {}
    });
    reading.always = asked
        .iter()
        .map(|name| always_prints(&template, name))
        .collect();
    reading
}

/// A writer that refuses more than so many bytes.
struct Bounded<'a> {
    left: usize,
    out: &'a mut Vec<u8>,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => {
                self.left = left;
                self.out.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => Err(io::Error::other("the message is too long")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn render_error(error: &Error, map: &SourceMap) -> RenderError {
    let place = match error.range() {
        Some(range) => map.place(range),
        None => map.place(0..0),
    };
    let message = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => {
            "the template takes too long: is there an endless loop?".to_owned()
        }
        (ErrorKind::WriteFailure, _) => {
            format!("the message would have more than {MAX_RENDERED} bytes")
        }
        (ErrorKind::UndefinedError, None) => {
            let written = place
                .file
                .text()
                .get(place.span.clone())
                .unwrap_or_default();
            format!("`{written}` is not defined")
        }
        // Jinja's word for the values that it does not know from inside.
        (_, Some(detail)) => detail.replace("plain object", "decimal, date or empty cell"),
        (kind, None) => kind.to_string(),
    };
    RenderError { message, place }
}

/// Prints a value: escaped in HTML, encoded in quoted-printable, and never one that is not there.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let encoded = state.name().ends_with(" encoded");
    let escaped = !value.is_safe() && !matches!(state.auto_escape(), AutoEscape::None);
    if let Some(text) = value.as_str() {
        return write(out, text, escaped, encoded);
    }
    // What an `if` without an `else` gives: nothing, on purpose. Other undefined values never get here.
    if value.is_undefined() {
        return Ok(());
    }
    let mut text = String::new();
    to_text(value, &mut text)?;
    write(out, &text, escaped, encoded)
}

/// What is printed of a value.
pub(super) fn to_text(value: &Value, text: &mut String) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::None => return Err(nothing_to_print()),
        ValueKind::Seq | ValueKind::Iterable => {
            for (at, item) in value.try_iter()?.enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                to_text(&item, text)?;
            }
        }
        ValueKind::Map => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "this is a map: name the part of it to print",
            ));
        }
        ValueKind::Plain if matches!(Kind::of(value), Kind::Empty) => {
            return Err(nothing_to_print());
        }
        _ => write!(text, "{value}").map_err(Error::from)?,
    }
    Ok(())
}

fn nothing_to_print() -> Error {
    Error::new(
        ErrorKind::InvalidOperation,
        "the cell is empty: write `… or \"something\"` to print something else",
    )
}

fn write(out: &mut Output<'_>, text: &str, escaped: bool, encoded: bool) -> Result<(), Error> {
    if text.contains(EMPTY_MARK) {
        return Err(nothing_to_print());
    }
    let special = |byte: &u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'');
    let escaped = if escaped && text.as_bytes().iter().any(special) {
        Some(escape_html(text))
    } else {
        None
    };
    let text = escaped.as_deref().unwrap_or(text);
    let written = if encoded {
        quoted_printable::encode(text, out)
    } else if text.contains('\r') {
        out.write_str(&unix_lines(text))
    } else {
        out.write_str(text)
    };
    written.map_err(Error::from)
}

/// Text as HTML shows it, in elements and in quoted attributes.
pub(super) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
