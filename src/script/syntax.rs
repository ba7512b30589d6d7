//! Parsing with diagnostics: Rhai's complaints in plain words, at their place in the file.

use rhai::{AST, LexError, ParseError, ParseErrorType, Position};

use super::{brackets, sandbox::REFUSED};
use crate::model::{Diagnostic, Excerpt, Place, SourceFile};

/// A parsed text, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// The statements, and the closures within.
    pub(super) ast: AST,
    /// The text.
    pub(super) excerpt: Excerpt,
}

/// The place of `length` bytes at a position of the text; the whole text where there is no position.
pub(super) fn place(excerpt: &Excerpt, position: Position, length: usize) -> Place {
    match (position.line(), position.position()) {
        (Some(line), Some(column)) if length > 0 => {
            let start = offset(excerpt.text(), line, column);
            let mut end = (start + length).min(excerpt.text().len());
            while !excerpt.text().is_char_boundary(end) {
                end -= 1;
            }
            excerpt.place_of(start..end.max(start))
        }
        (Some(line), column) => excerpt.place_at(line, column.unwrap_or(1)),
        _ => excerpt.place().clone(),
    }
}

/// The byte offset of a line and a column in characters, both from 1.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    SourceFile::new("", text).offset(line, column)
}

/// A syntax error as a finding.
pub(super) fn diagnostic(excerpt: &Excerpt, error: &ParseError) -> Diagnostic {
    let position = error.position();
    let (before, after) = around(excerpt.text(), position);
    let (mut message, mut help) = words(error.err_type());
    let mut length = match error.err_type() {
        ParseErrorType::Reserved(word) => word.len(),
        _ => 0,
    };
    if matches!(error.err_type(), ParseErrorType::MissingToken(token, _) if token == ";") {
        length = after.len();
        message = match after {
            ")" | "]" | "}" => format!("there is one `{after}` too many"),
            _ => format!("the expression could end before `{after}`, and can't go on with it"),
        };
    }
    let assigned = match error.err_type() {
        ParseErrorType::MismatchedType(..) => assigned_before(excerpt.text(), position),
        _ => None,
    };
    if assigned.is_some() {
        "`=` assigns a value, and an expression can't change anything".clone_into(&mut message);
        help = Some("did you mean `==`?".to_owned());
    }
    if let Some(found) = unclosed(excerpt, error) {
        return found;
    }
    help = help.or_else(|| other_languages(before, after).map(str::to_owned));
    let at = match (error.err_type(), assigned) {
        (_, Some(at)) => excerpt.place_of(at..at + 1),
        // Rhai says so behind the end, or nowhere.
        (ParseErrorType::UnexpectedEOF, None) => {
            let end = excerpt.text().trim_end().len();
            excerpt.place_of(end..end)
        }
        _ => place(excerpt, position, length),
    };
    let found = Diagnostic::error("script-syntax", at, message);
    match help {
        Some(help) => found.help(help),
        None => found,
    }
}

/// Where the `=` stands that takes what Rhai complains about: in `r.x = "a" && r.y` the text stands right behind it.
fn assigned_before(text: &str, position: Position) -> Option<usize> {
    let (line, column) = position.line().zip(position.position())?;
    let before = text[..offset(text, line, column)].trim_end();
    let rest = before.strip_suffix('=')?;
    (!rest.ends_with(|c: char| "=!<>+-*/%&|^".contains(c))).then_some(rest.len())
}

/// The bracket that was never closed, where that is why the text could not be understood.
fn unclosed(excerpt: &Excerpt, error: &ParseError) -> Option<Diagnostic> {
    let text = excerpt.text();
    let position = error.position();
    let at_end = match position.line().zip(position.position()) {
        Some((line, column)) => text[offset(text, line, column)..].trim().is_empty(),
        None => true,
    };
    match error.err_type() {
        ParseErrorType::UnexpectedEOF
        // A function within a function: the one before has no end.
        | ParseErrorType::WrongFnDefinition => {}
        ParseErrorType::MissingToken(..) if at_end => {}
        _ => return None,
    }
    let (at, bracket) = brackets::unclosed(text)?;
    let place = excerpt.place_of(at..at + bracket.len_utf8());
    let (line, _) = place.line_column();
    Some(Diagnostic::error(
        "script-syntax",
        place,
        format!("`{bracket}` in line {line} is not closed"),
    ))
}

fn words(error: &ParseErrorType) -> (String, Option<String>) {
    match error {
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "=" => (
            "`=` assigns a value, and here one is compared".to_owned(),
            Some("did you mean `==`?".to_owned()),
        ),
        ParseErrorType::AssignmentToInvalidLHS(_) => (
            "`=` assigns a value, and nothing can be assigned to what stands before it".to_owned(),
            Some("did you mean `==`?".to_owned()),
        ),
        ParseErrorType::AssignmentToConstant(_) => (
            "`=` assigns a value, and this can't be changed".to_owned(),
            Some("did you mean `==`?".to_owned()),
        ),
        ParseErrorType::Reserved(word)
        | ParseErrorType::BadInput(LexError::ImproperSymbol(word, _))
            if REFUSED.iter().any(|(refused, _)| refused == word) =>
        {
            let help = REFUSED.iter().find(|(refused, _)| refused == word);
            (
                format!("`{word}` can't be used here"),
                help.map(|(_, help)| (*help).to_owned()),
            )
        }
        ParseErrorType::Reserved(word) => (
            format!("`{word}` is a reserved word or symbol"),
            reserved_help(word).map(str::to_owned),
        ),
        ParseErrorType::UnknownOperator(word)
        | ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) => (
            format!("there is no operator `{word}`"),
            reserved_help(word).map(str::to_owned),
        ),
        ParseErrorType::UnexpectedEOF => ("the text ends too early".to_owned(), None),
        ParseErrorType::MissingToken(token, about) => (
            format!("expected `{token}` {about}").trim_end().to_owned(),
            None,
        ),
        ParseErrorType::ExprTooDeep => (
            "the expression is too deeply nested, or has too many operators in a row".to_owned(),
            Some("move a part of it into a function of a script".to_owned()),
        ),
        ParseErrorType::MismatchedType(..) => (
            "`&&`, `||`, `!` and `if` need true or false here".to_owned(),
            None,
        ),
        ParseErrorType::BadInput(LexError::UnterminatedString) => (
            "the string has no end".to_owned(),
            Some("close it with the quote it starts with".to_owned()),
        ),
        ParseErrorType::BadInput(LexError::MalformedChar(text)) => (
            format!("'{text}' is in single quotes, which hold one character only"),
            Some(format!("write \"{text}\" with double quotes")),
        ),
        ParseErrorType::BadInput(LexError::MalformedNumber(text)) => (
            format!("`{text}` is not a number that can be kept exactly"),
            None,
        ),
        ParseErrorType::VariableExpected => ("expected the name of a variable".to_owned(), None),
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let lowered = letters
                .next()
                .map(|first| first.to_lowercase().chain(letters).collect());
            (lowered.unwrap_or(text), None)
        }
    }
}

fn reserved_help(word: &str) -> Option<&'static str> {
    Some(match word {
        "===" | "is" => "did you mean `==`?",
        "!==" => "did you mean `!=`?",
        "and" => "did you mean `&&`?",
        "or" => "did you mean `||`?",
        "not" => "did you mean `!`?",
        "null" | "nil" | "none" | "undefined" => "an empty cell is `()`",
        "->" | "=>" => "a closure is written `|x| …`",
        "#" => "a comment starts with `//`",
        "?" | ":" => "write `if … { … } else { … }`",
        "match" | "case" => "write `if … else if …`",
        _ => return None,
    })
}

/// The word or symbol before a position, and the one at it.
fn around(text: &str, position: Position) -> (&str, &str) {
    let Some((line, column)) = position.line().zip(position.position()) else {
        return ("", "");
    };
    let (before, after) = text.split_at(offset(text, line, column));
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let before = before.trim_end();
    let first = if before.ends_with(word) {
        before.trim_end_matches(word).len()
    } else {
        before
            .trim_end_matches(|c: char| c.is_ascii_punctuation())
            .len()
    };
    let end = if after.starts_with(word) {
        after.find(|c| !word(c))
    } else if after.starts_with("=>") {
        Some(2)
    } else {
        after.chars().next().map(char::len_utf8)
    };
    (&before[first..], &after[..end.unwrap_or(after.len())])
}

/// What somebody who knows another language may have meant.
fn other_languages(before: &str, after: &str) -> Option<&'static str> {
    Some(match (before, after) {
        (_, "and" | "AND") => "did you mean `&&`?",
        (_, "or" | "OR") => "did you mean `||`?",
        ("not" | "NOT", _) => "did you mean `!`?",
        (_, "is" | "eq" | "equals") => "did you mean `==`?",
        (_, "like" | "LIKE") => "write `contains(text, part)`, `starts_with(…)` or `matches(…)`",
        (_, "between" | "BETWEEN") => "write `x >= 1 && x <= 3`",
        (_, "=>") => "did you mean `>=`? A closure is written `|x| …`",
        ("=", "<") => "did you mean `<=`?",
        ("<", ">") => "did you mean `!=`?",
        ("<-", _) => "put a space between `<` and `-`",
        (_, "“" | "”" | "„" | "‘" | "’") => "a text stands in straight quotes: \"text\"",
        (_, ",") => "a number has no separators: write 3000 or 3_000",
        _ => return None,
    })
}
