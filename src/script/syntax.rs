//! Parsing with diagnostics: Rhai's complaints in plain words, at their place in the file.

use rhai::{AST, LexError, ParseError, ParseErrorType, Position};

use super::sandbox::REFUSED;
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
    let (message, help) = words(error.err_type());
    let position = error.position();
    let length = match error.err_type() {
        ParseErrorType::Reserved(word) => word.len(),
        _ => 0,
    };
    let at = match error.err_type() {
        // Rhai says so behind the end, or nowhere.
        ParseErrorType::UnexpectedEOF => {
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
        ParseErrorType::UnknownOperator(word) => (
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
        "===" => "did you mean `==`?",
        "!==" => "did you mean `!=`?",
        "and" => "did you mean `&&`?",
        "or" => "did you mean `||`?",
        "not" => "did you mean `!`?",
        "null" | "nil" | "none" | "undefined" => "an empty cell is `()`",
        "?" | ":" => "write `if … { … } else { … }`",
        "is" => "did you mean `==`?",
        "match" | "case" => "write `if … else if …`",
        _ => return None,
    })
}
