//! Brackets that were opened and never closed, in a text that may be wrong otherwise.

/// What is open at some point of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// A bracket, and what closes it.
    Bracket(char, char),
    /// A text between backticks, in which `${` begins an expression.
    Text,
}

/// The innermost bracket that is open at the end, and its byte offset; `None` too where brackets don't match.
pub(super) fn unclosed(text: &str) -> Option<(usize, char)> {
    let mut open: Vec<(usize, Open)> = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let in_text = matches!(open.last(), Some((_, Open::Text)));
        let mut step = c.len_utf8();
        match c {
            '`' if in_text && rest.starts_with("``") => step = 2,
            '`' if in_text => drop(open.pop()),
            '$' if in_text && rest.starts_with("${") => {
                open.push((at + 1, Open::Bracket('{', '}')));
                step = 2;
            }
            _ if in_text => {}
            '`' => open.push((at, Open::Text)),
            '/' if rest.starts_with("//") => step = rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => step = comment(rest),
            '"' | '\'' => step = string(rest, c),
            '(' => open.push((at, Open::Bracket('(', ')'))),
            '[' => open.push((at, Open::Bracket('[', ']'))),
            '{' => open.push((at, Open::Bracket('{', '}'))),
            ')' | ']' | '}' => match open.pop() {
                Some((_, Open::Bracket(_, closes))) if closes == c => {}
                _ => return None,
            },
            _ => {}
        }
        at += step;
    }
    match open.pop()? {
        (at, Open::Bracket(bracket, _)) => Some((at, bracket)),
        (_, Open::Text) => None,
    }
}

/// The length of the comment that `rest` begins with; comments nest.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string that `rest` begins with.
fn string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_innermost_that_is_open() {
        for (text, expected) in [
            ("fn f() {\n  if x {\n 1\n}", Some((7, '{'))),
            ("(a && [b)", None),
            ("(a && [b]", Some((0, '('))),
            ("{ \"}\" '}' // }\n /* } /* } */ } */ `}`", Some((0, '{'))),
            ("`a ${ f({ `}` }) } (` (", Some((22, '('))),
            ("`a ${ b", Some((4, '{'))),
            ("{ \"\\\"}\" }", None),
            ("\"é{\" {", Some((6, '{'))),
        ] {
            assert_eq!(unclosed(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_gone_through(text in "[-a-z{}()\\[\\]\"'`$/*\\\\é\n ]{0,60}") {
            if let Some((at, bracket)) = unclosed(&text) {
                prop_assert!(text[at..].starts_with(bracket));
            }
        }
    }
}
