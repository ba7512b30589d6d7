//! Markdown to HTML, once, at load time, with the tags of the template kept out of the way. A block tag on a line of its own
//! belongs to what it encloses: to items of a list, to rows of a table, or to whole blocks.

use std::fmt::Write as _;

use comrak::{Options, markdown_to_html};

use super::{
    pieces::{Piece, Step, Tag, TagKind},
    tokens::Tokens,
};

/// The HTML of a Markdown body, with words for its tags; block tags between elements are comments.
pub(super) fn to_html(pieces: &[Piece], tokens: &Tokens) -> String {
    let text = link_addresses(&tokens.protect(pieces), tokens);
    let mut lines: Vec<Line<'_>> = text.lines().map(|line| Line::new(line, tokens)).collect();
    place_tags(&mut lines, tokens);
    let mut markdown = String::with_capacity(text.len());
    let mut moved = Vec::new();
    for line in &lines {
        match (&line.tags[..], &line.home) {
            ([], _) => markdown.push_str(line.text),
            (tags, Home::Block) => {
                markdown.push_str(line.indent());
                for tag in tags {
                    markdown.push_str(&tokens.comment(*tag));
                }
            }
            (tags, Home::Item(marker)) => {
                markdown.push_str(marker);
                for tag in tags {
                    markdown.push_str(&tokens.word(*tag));
                    moved.push((*tag, "li"));
                }
            }
            (tags, Home::Row) => {
                markdown.push_str("| ");
                for tag in tags {
                    markdown.push_str(&tokens.word(*tag));
                    moved.push((*tag, "tr"));
                }
                markdown.push_str(" |");
            }
        }
        markdown.push('\n');
    }
    let mut html = markdown_to_html(&markdown, &options());
    for (tag, element) in moved {
        lift_out(&mut html, tag, element, tokens);
    }
    html
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    // The HTML in a template is its author's; values are escaped when they are printed.
    options.render.r#unsafe = true;
    options
}

/// `<{{ url }}>` is a link to the value, as `<https://…>` is one to itself.
fn link_addresses(text: &str, tokens: &Tokens) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let behind = &rest[at + 1..];
        match tokens.at_start(behind) {
            Some((tag, length))
                if behind[length..].starts_with('>')
                    && tokens.tags()[tag].kind == TagKind::Print =>
            {
                let word = &behind[..length];
                result.push_str(&rest[..at]);
                write!(result, "[{word}]({word})").expect("writing to memory");
                rest = &behind[length + 1..];
            }
            _ => {
                result.push_str(&rest[..=at]);
                rest = behind;
            }
        }
    }
    result.push_str(rest);
    result
}

/// Where the tags of a line of their own belong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Home {
    /// Between blocks.
    Block,
    /// Between the items of a list whose lines begin like this.
    Item(String),
    /// Between the rows of a table.
    Row,
}

/// A line of Markdown; `tags` where it has nothing but block tags.
struct Line<'a> {
    text: &'a str,
    tags: Vec<usize>,
    home: Home,
}

impl<'a> Line<'a> {
    fn new(text: &'a str, tokens: &Tokens) -> Self {
        let mut tags = Vec::new();
        let mut rest = text.trim();
        while let Some((tag, length)) = tokens.at_start(rest) {
            if tokens.tags()[tag].kind != TagKind::Block {
                break;
            }
            tags.push(tag);
            rest = rest[length..].trim_start();
        }
        if !rest.is_empty() {
            tags.clear();
        }
        Self {
            text,
            tags,
            home: Home::Block,
        }
    }

    fn indent(&self) -> &'a str {
        &self.text[..self.text.len() - self.text.trim_start().len()]
    }

    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Indentation and marker, where the line begins an item of a list: `"- "`, `"  1. "`.
    fn marker(&self) -> Option<String> {
        let indent = self.indent();
        let rest = &self.text[indent.len()..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let sign = rest[digits..].chars().next()?;
        let fits = match digits {
            0 => matches!(sign, '-' | '*' | '+'),
            1..=9 => matches!(sign, '.' | ')'),
            _ => false,
        };
        let behind = &rest[digits + sign.len_utf8()..];
        // Three of them are a line across the page.
        let rule = digits == 0
            && rest
                .chars()
                .filter(|c| !c.is_whitespace())
                .all(|c| c == sign)
            && rest.len() > 2;
        (fits && !rule && (behind.is_empty() || behind.starts_with([' ', '\t'])))
            .then(|| format!("{indent}{}{sign} ", &rest[..digits]))
    }
}

/// The first tag of a statement that begins in one cell of a table and ends in another, or in none: what it encloses would be
/// no whole row.
pub(super) fn torn_row<'t>(pieces: &[Piece], tokens: &'t Tokens) -> Option<&'t Tag> {
    let text = tokens.protect(pieces);
    let mut in_table = false;
    for line in text.lines() {
        if is_delimiter_row(line) {
            in_table = true;
        } else if line.trim().is_empty() {
            in_table = false;
        }
        if !in_table || Line::new(line, tokens).tags.len() == 1 {
            continue;
        }
        for cell in line.split('|') {
            let mut open = Vec::new();
            for tag in tags_in(cell, tokens) {
                match tokens.tags()[tag].step() {
                    Step::Open => open.push(tag),
                    Step::Close if open.pop().is_none() => return Some(&tokens.tags()[tag]),
                    _ => {}
                }
            }
            if let Some(tag) = open.first() {
                return Some(&tokens.tags()[*tag]);
            }
        }
    }
    None
}

/// Finds the home of each line of tags.
fn place_tags(lines: &mut [Line<'_>], tokens: &Tokens) {
    // Statements that are open: the lines of their tags so far, where each of these had a line of its own.
    let mut open: Vec<Option<Vec<usize>>> = Vec::new();
    for at in 0..lines.len() {
        let [tag] = lines[at].tags[..] else {
            // Tags within text, or several on one line, open and close statements that stay where they are.
            for tag in tags_in(lines[at].text, tokens) {
                match tokens.tags()[tag].step() {
                    Step::Open => open.push(None),
                    Step::Middle => {
                        if let Some(last) = open.last_mut() {
                            *last = None;
                        }
                    }
                    Step::Close => drop(open.pop()),
                    Step::Alone => {}
                }
            }
            continue;
        };
        match tokens.tags()[tag].step() {
            Step::Open => open.push(Some(vec![at])),
            Step::Middle => {
                if let Some(Some(group)) = open.last_mut() {
                    group.push(at);
                }
            }
            Step::Close => {
                if let Some(Some(mut group)) = open.pop() {
                    group.push(at);
                    let home = home_of(lines, &group);
                    for line in group {
                        lines[line].home = home.clone();
                    }
                }
            }
            Step::Alone => {}
        }
    }
}

fn tags_in(text: &str, tokens: &Tokens) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if let Some((tag, length)) = tokens.at_start(&text[at..]) {
            if tokens.tags()[tag].kind == TagKind::Block {
                found.push(tag);
            }
            at += length;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// What the tags on the lines of `group` enclose: items of one list, rows of one table, or blocks.
fn home_of(lines: &[Line<'_>], group: &[usize]) -> Home {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return Home::Block;
    };
    let inside = || {
        lines[first + 1..*last]
            .iter()
            .filter(|line| line.tags.is_empty())
    };
    let mut content = inside().filter(|line| !line.is_blank()).peekable();
    let Some(start) = content.peek() else {
        return Home::Block;
    };
    if let Some(marker) = start.marker() {
        let indent = start.indent().len();
        let sign = marker.trim_end().chars().next_back();
        let one_list = content.all(|line| match line.marker() {
            Some(other) if line.indent().len() == indent => {
                other.trim_end().chars().next_back() == sign
            }
            _ => line.indent().len() > indent,
        });
        return if one_list {
            Home::Item(marker)
        } else {
            Home::Block
        };
    }
    let rows = inside().all(|line| line.text.contains('|'));
    let above = lines[..*first]
        .iter()
        .rev()
        .filter(|line| line.tags.is_empty())
        .take_while(|line| !line.is_blank());
    if rows && above.into_iter().any(|line| is_delimiter_row(line.text)) {
        return Home::Row;
    }
    Home::Block
}

/// `|---|:-:|`: what makes a table of the lines around it.
fn is_delimiter_row(text: &str) -> bool {
    text.contains('-') && text.contains('|') && text.trim().chars().all(|c| "|-: \t".contains(c))
}

/// Replaces the `<li>` or `<tr>` that was made of a tag by the tag.
fn lift_out(html: &mut String, tag: usize, element: &str, tokens: &Tokens) {
    let Some(at) = html.find(&tokens.word(tag)) else {
        return;
    };
    let end_tag = format!("</{element}>");
    let start = html[..at].rfind(&format!("<{element}>"));
    let end = html[at..]
        .find(&end_tag)
        .map(|end| at + end + end_tag.len());
    if let (Some(start), Some(end)) = (start, end) {
        // Several tags may share the line.
        let comments: String = tags_in(&html[start..end], tokens)
            .into_iter()
            .map(|tag| tokens.comment(tag))
            .collect();
        html.replace_range(start..end, &comments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::pieces::cut,
        model::{Excerpt, SourceFile},
    };

    fn html(markdown: &str) -> String {
        let pieces = cut(&Excerpt::whole(&SourceFile::new("t.md", markdown))).unwrap();
        let tokens = Tokens::new(&pieces);
        let html = to_html(&pieces, &tokens);
        assert!(tokens.displaced(&html).is_none(), "{html}");
        let shown = tokens.restore(&html).into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Tag(tag) => format!("[{}]", tag.code.trim()),
        });
        shown.collect()
    }

    #[test]
    fn tags_stay_in_text_links_and_code() {
        assert_eq!(
            html(
                "# Hi *{{ r.name }}*\n\n[Renew]({{ url }}) <{{ url }}> `{{ x }}` https://a.example/{{ id }}\n"
            ),
            "<h1>Hi <em>[r.name]</em></h1>\n<p><a href=\"[url]\">Renew</a> <a href=\"[url]\">[url]</a> \
             <code>[x]</code> <a href=\"https://a.example/[id]\">https://a.example/[id]</a></p>\n"
        );
    }

    #[test]
    fn a_block_tag_on_its_own_line_is_not_in_a_paragraph() {
        assert_eq!(
            html("a\n{% if x %}\nb\n\n{% else %}\n\n> c\n{% endif %}\nd {% if y %}e{% endif %}\n"),
            "<p>a</p>\n[if x]\n<p>b</p>\n[else]\n<blockquote>\n<p>c</p>\n</blockquote>\n[endif]\n<p>d [if y]e[endif]</p>\n"
        );
    }

    #[test]
    fn loops_around_items_make_one_list() {
        assert_eq!(
            html("- a\n{% for x in r.tags %}\n- {{ x }}\n{% endfor %}\n- b\n"),
            "<ul>\n<li>a</li>\n[for x in r.tags]\n<li>[x]</li>\n[endfor]\n<li>b</li>\n</ul>\n"
        );
        assert_eq!(
            html("Tags:\n\n{% for x in r.tags %}\n1. {{ x }}\n   and\n{% endfor %}\n"),
            "<p>Tags:</p>\n<ol>\n[for x in r.tags]\n<li>[x]\nand</li>\n[endfor]\n</ol>\n"
        );
        assert_eq!(
            html("{% if a %}\n- x\n\nText\n{% endif %}\n"),
            "[if a]\n<ul>\n<li>x</li>\n</ul>\n<p>Text</p>\n[endif]\n"
        );
    }

    #[test]
    fn a_loop_that_tears_a_row_is_found() {
        let torn = |markdown: &str| {
            let pieces = cut(&Excerpt::whole(&SourceFile::new("t.md", markdown))).unwrap();
            let tokens = Tokens::new(&pieces);
            torn_row(&pieces, &tokens).map(|tag| tag.code.trim().to_owned())
        };
        let table =
            |rows: &str| format!("| a | b |\n|---|---|\n{rows}\n\n{{% if x %}} | {{% endif %}}\n");
        for rows in [
            "{% for x in y %}| {{ x }} | {{ x }} |{% endfor %}",
            "{% for x in y %}| {{ x }} |\n{% endfor %}",
            "| {% for x in y %} | {% endfor %} |",
        ] {
            assert_eq!(torn(&table(rows)).as_deref(), Some("for x in y"), "{rows}");
        }
        for rows in [
            "{% for x in y %}\n| {{ x }} | {{ x }} |\n{% endfor %}",
            "| {% if x %}a{% else %}b{% endif %} | c |",
            "{% for x in y %}\n| {% if x %}a{% endif %} | c |\n{% endfor %}",
        ] {
            assert_eq!(torn(&table(rows)), None, "{rows}");
        }
    }

    #[test]
    fn loops_around_rows_make_one_table() {
        assert_eq!(
            html(
                "| a | b |\n|---|--:|\n{% for x in y %}\n| {{ x.a }} | {{ x.b }} |\n{% endfor %}\n| c | d |\n"
            ),
            "<table>\n<thead>\n<tr>\n<th>a</th>\n<th align=\"right\">b</th>\n</tr>\n</thead>\n<tbody>\n[for x in y]\n\
             <tr>\n<td>[x.a]</td>\n<td align=\"right\">[x.b]</td>\n</tr>\n[endfor]\n\
             <tr>\n<td>c</td>\n<td align=\"right\">d</td>\n</tr>\n</tbody>\n</table>\n"
        );
    }
}
