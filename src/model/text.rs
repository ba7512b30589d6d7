//! Source text and places in it: a file as it was read, a range of its bytes, and excerpts such as a Rhai expression that
//! stands inside a TOML string.

use std::{fmt, ops::Range, path::Path, sync::Arc};

/// A text file as it was read: its path relative to the workspace, and its content. Cloning is cheap.
#[derive(Clone)]
pub struct SourceFile(Arc<Inner>);

struct Inner {
    path: String,
    text: String,
}

impl SourceFile {
    /// `path` is relative to the workspace, with `/` between its parts.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            text: text.into(),
        }))
    }

    /// The path relative to the workspace, with `/` between its parts.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The folder the file lies in, relative to the workspace; empty for the workspace itself.
    pub fn folder(&self) -> &Path {
        Path::new(&self.0.path).parent().unwrap_or(Path::new(""))
    }

    /// The whole content.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Line and column of a byte offset, both from 1; columns count characters. An offset past the end is the end.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text().len());
        while !self.text().is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text()[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// The byte offset of a line and a column, both from 1; columns count characters. Clamped to the line's end.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let text = self.text();
        let start = match line {
            0 | 1 => 0,
            line => text
                .match_indices('\n')
                .nth(line - 2)
                .map_or(text.len(), |(at, _)| at + 1),
        };
        let rest = &text[start..];
        let end = rest.find('\n').unwrap_or(rest.len());
        start
            + rest[..end]
                .char_indices()
                .nth(column.saturating_sub(1))
                .map_or(end, |(at, _)| at)
    }
}

impl PartialEq for SourceFile {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.path == other.0.path && self.0.text == other.0.text)
    }
}

impl Eq for SourceFile {}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.0.path)
    }
}

/// A range of a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: SourceFile,
    /// Byte offsets into its text.
    pub span: Range<usize>,
}

impl Place {
    /// A range of `file`.
    pub fn new(file: &SourceFile, span: Range<usize>) -> Self {
        Self {
            file: file.clone(),
            span,
        }
    }

    /// The start of the file: for what concerns the file as a whole.
    pub fn start_of(file: &SourceFile) -> Self {
        Self::new(file, 0..0)
    }

    /// Line and column of the start, from 1.
    pub fn line_column(&self) -> (usize, usize) {
        self.file.line_column(self.span.start)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.file.path())
    }
}

/// A piece of text in another language (Rhai, Jinja, Markdown) together with where it stands: a whole file, or the value of
/// a TOML string. Offsets into the decoded text translate back to the file, escapes and line breaks included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    text: Arc<str>,
    place: Place,
    toml_string: bool,
}

impl Excerpt {
    /// A file of its own, such as a template or a script.
    pub fn whole(file: &SourceFile) -> Self {
        Self {
            text: file.text().into(),
            place: Place::new(file, 0..file.text().len()),
            toml_string: false,
        }
    }

    /// The value `text` of the TOML string that stands, quotes included, at `place`.
    pub fn toml_string(text: &str, place: Place) -> Self {
        Self {
            text: text.into(),
            place,
            toml_string: true,
        }
    }

    /// The decoded text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the whole excerpt stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where a range of the decoded text stands in the file.
    pub fn place_of(&self, range: Range<usize>) -> Place {
        if !self.toml_string {
            return Place::new(&self.place.file, range);
        }
        let raw = self
            .place
            .file
            .text()
            .get(self.place.span.clone())
            .unwrap_or_default();
        let at = |decoded| self.place.span.start + raw_offset(raw, decoded);
        let start = at(range.start);
        Place::new(&self.place.file, start..at(range.end).max(start))
    }

    /// Where a line and a column of the decoded text (from 1, columns in characters) stand in the file.
    pub fn place_at(&self, line: usize, column: usize) -> Place {
        let decoded = SourceFile::new("", self.text.to_string()).offset(line, column);
        let width = self.text[decoded..]
            .chars()
            .next()
            .filter(|c| *c != '\n')
            .map_or(0, char::len_utf8);
        self.place_of(decoded..decoded + width)
    }
}

/// The offset in `raw` (a TOML string with its quotes) at which the decoded text has reached `decoded` bytes.
fn raw_offset(raw: &str, decoded: usize) -> usize {
    let multiline = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let basic = raw.starts_with('"');
    let mut at = if multiline { 3 } else { 1 };
    if multiline {
        at += if raw[at..].starts_with("\r\n") {
            2
        } else {
            usize::from(raw[at..].starts_with('\n'))
        };
    }
    let end = raw
        .len()
        .saturating_sub(if multiline { 3 } else { 1 })
        .max(at);
    let mut done = 0;
    while done < decoded && at < end {
        let rest = &raw[at..];
        let (raw_len, decoded_len) = match rest.as_bytes() {
            [b'\\', ..] if basic => escape(rest),
            _ => rest
                .chars()
                .next()
                .map_or((1, 1), |c| (c.len_utf8(), c.len_utf8())),
        };
        at += raw_len;
        done += decoded_len;
    }
    // An escaped line break stands for nothing: what comes next starts behind it.
    while done == decoded
        && basic
        && multiline
        && raw[at..].starts_with('\\')
        && escape(&raw[at..]).1 == 0
    {
        at += escape(&raw[at..]).0;
    }
    at.min(end)
}

/// Length in the file and in the decoded text of the escape that `rest` starts with.
fn escape(rest: &str) -> (usize, usize) {
    let hex = |digits: usize| {
        let width = rest
            .get(2..2 + digits)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .and_then(char::from_u32);
        // What is no escape at all may be anything, also half a character too long.
        width.map_or((2, 1), |c| (2 + digits, c.len_utf8()))
    };
    match rest.as_bytes().get(1) {
        Some(b'u') => hex(4),
        Some(b'U') => hex(8),
        Some(b'x') => hex(2),
        Some(b' ' | b'\t' | b'\n' | b'\r') => (
            1 + rest[1..].len() - rest[1..].trim_start_matches([' ', '\t', '\n', '\r']).len(),
            0,
        ),
        _ => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(toml: &str, needle: &str) -> String {
        let table = toml::de::DeTable::parse(toml).unwrap();
        let (_, value) = table.get_ref().iter().next().unwrap();
        let decoded = value.get_ref().as_str().unwrap().to_owned();
        let file = SourceFile::new("a.toml", toml);
        let excerpt = Excerpt::toml_string(&decoded, Place::new(&file, value.span()));
        let at = decoded.find(needle).unwrap();
        let place = excerpt.place_of(at..at + needle.len());
        format!("{place} {}", &toml[place.span.clone()])
    }

    #[test]
    fn an_offset_in_a_toml_string_is_found_in_the_file() {
        assert_eq!(place_of("a = 'x == y'", "y"), "a.toml:1:11 y");
        assert_eq!(place_of(r#"a = "x == \"é\" && y""#, "y"), "a.toml:1:20 y");
        assert_eq!(place_of(r#"a = "\u00e9é\t y""#, "y"), "a.toml:1:16 y");
        assert_eq!(place_of("a = \"\"\"\nx &&\n  y\"\"\"", "y"), "a.toml:3:3 y");
        assert_eq!(
            place_of("a = \"\"\"\\\n   x && \\\n  y\"\"\"", "y"),
            "a.toml:3:3 y"
        );
        assert_eq!(place_of("a = '''\r\nx &&\r\n  y'''", "y"), "a.toml:3:3 y");
    }

    #[test]
    fn lines_and_columns_count_characters() {
        let file = SourceFile::new("a", "é\nüx");
        assert_eq!(file.line_column(5), (2, 2));
        assert_eq!(file.offset(2, 2), 5);
        assert_eq!(file.offset(9, 9), file.text().len());
    }
}
