//! Markdown in which strangers' words stay words: whatever a recipient, a file or a server says, it makes no link, no
//! mention, no table, no HTML.

use std::fmt::Write as _;

use super::clean;

/// The longest text of one cell.
const LONGEST: usize = 300;

/// A text of a stranger, on one line, for a paragraph, a list or a cell of a table. In `code`, GitHub makes no mentions or
/// links of names and numbers; as entities, no sign means anything to Markdown or HTML.
pub(in crate::cli) fn code(text: &str) -> String {
    let text: Vec<_> = text.split_whitespace().collect();
    let text = text.join(" ");
    if text.is_empty() {
        return String::new();
    }
    let (text, more) = match text.char_indices().nth(LONGEST) {
        Some((at, _)) => (&text[..at], "…"),
        None => (&*text, ""),
    };
    let mut escaped = String::with_capacity(text.len() * 2);
    for c in clean(text).chars() {
        if c.is_ascii_punctuation() && !matches!(c, ',' | '-' | '=') {
            write!(escaped, "&#{};", u32::from(c)).expect("writing to memory");
        } else {
            escaped.push(c);
        }
    }
    format!("<code>{escaped}{more}</code>")
}

/// A block of text as it is, in a language; the fence is longer than any in the text.
pub(in crate::cli) fn fenced(language: &str, text: &str) -> String {
    let text = clean(text);
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat((longest + 1).max(3));
    format!(
        "{fence}{language}\n{}\n{fence}\n",
        text.trim_end_matches('\n')
    )
}

/// A row of a table.
pub(in crate::cli) fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<_> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_of_a_stranger_means_anything() {
        assert_eq!(
            code("a|b <b>\n@team #1"),
            "<code>a&#124;b &#60;b&#62; &#64;team &#35;1</code>"
        );
        assert_eq!(code("\u{202e}x"), "<code>&#92;u&#123;202e&#125;x</code>");
        assert_eq!(code("  "), "");
        assert_eq!(
            fenced("diff", "+a\n```\n<script>\n"),
            "````diff\n+a\n```\n<script>\n````\n"
        );
        assert_eq!(row(["a".to_owned(), String::new()]), "| a |  |\n");
        assert!(code(&"x".repeat(1_000)).len() < 400);
    }

    proptest! {
        #[test]
        fn a_cell_is_one_line_of_plain_text(text in any::<String>()) {
            let code = code(&text);
            prop_assert!(!code.contains(['\n', '\r', '|', '`', '*', '_', '[', ']', '@', '\\']));
            let inner = code.strip_prefix("<code>").and_then(|rest| rest.strip_suffix("</code>"));
            let inner = inner.unwrap_or_default();
            prop_assert!(!inner.contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn nothing_leaves_a_fence(text in "[`a\n]{0,40}") {
            let block = fenced("", &text);
            let fence = block.lines().next().unwrap();
            let closing = block.lines().skip(1).filter(|line| {
                line.starts_with(fence) && line.trim_start_matches('`').trim().is_empty()
            });
            prop_assert_eq!(closing.count(), 1);
        }
    }
}
