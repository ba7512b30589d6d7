//! The text alternative, made of HTML once, at load time. It goes through the HTML from front to back, so that the tags of
//! the template stay exactly where they are: between the rows of a table, around the items of a list.

use super::{
    flow::{Flow, decode},
    tokens::Tokens,
};

/// HTML as its parser writes it (names in lower case, values quoted) as text, with the same words for tags.
pub(super) fn to_text(html: &str, tokens: &Tokens) -> String {
    let mut flow = Flow::new(tokens);
    let mut elements: Vec<Element> = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            let end = comment.find("-->").unwrap_or(comment.len());
            match tokens.at_start(comment) {
                Some((tag, length)) if length == end => flow.tag(tag),
                _ => flow.block_tags(&comment[..end]),
            }
            rest = comment.get(end + 3..).unwrap_or_default();
        } else if rest.starts_with('<')
            && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!".contains(c))
        {
            let end = tag_end(rest);
            element(&rest[1..end - 1], &mut elements, &mut flow);
            rest = &rest[end..];
            // What is no HTML ends at its end tag, whatever stands in it.
            if let Some(open) = elements.last()
                && matches!(open.name.as_str(), "style" | "script")
            {
                let end = rest.find(&format!("</{}", open.name)).unwrap_or(rest.len());
                flow.block_tags(&rest[..end]);
                rest = &rest[end..];
            }
        } else {
            // The first character is text, even where it is a `<`.
            let behind = rest.chars().next().map_or(0, char::len_utf8);
            let end = rest[behind..]
                .find('<')
                .map_or(rest.len(), |at| behind + at);
            flow.text(&rest[..end]);
            rest = &rest[end..];
        }
    }
    let mut text = flow.out;
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The length of the tag that `html` begins with; quoted values may have a `>`.
pub(super) fn tag_end(html: &str) -> usize {
    let mut quote = None;
    for (at, byte) in html.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    html.len().max(2)
}

/// An open element.
struct Element {
    name: String,
    hidden: bool,
    /// Of a link: its target, and where its text begins.
    link: Option<(String, usize)>,
    /// Of an ordered list: the next number.
    number: Option<u64>,
    /// Of a table: whether it has a header, so that its cells are set apart; of a row: how many cells it has.
    header: bool,
    cells: usize,
}

fn element(inside: &str, elements: &mut Vec<Element>, flow: &mut Flow<'_>) {
    if let Some(name) = inside.strip_prefix('/') {
        let name = name.trim();
        // Well-formed HTML closes what was opened last; in a fragment of an author's own an end may be missing.
        if let Some(at) = elements.iter().rposition(|open| open.name == name) {
            for open in elements.drain(at..).rev().collect::<Vec<_>>() {
                close(&open, elements, flow);
            }
        }
        return;
    }
    let (name, attributes) = match inside.find(|c: char| c.is_ascii_whitespace() || c == '/') {
        Some(end) => inside.split_at(end),
        None => (inside, ""),
    };
    let name = name.to_ascii_lowercase();
    let attributes = read_attributes(attributes);
    let attribute = |wanted: &str| {
        let found = attributes.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    for (name, value) in &attributes {
        if !matches!(name.as_str(), "href" | "alt") {
            flow.block_tags(name);
            flow.block_tags(value);
        }
    }
    let style = attribute("style").unwrap_or_default().replace(' ', "");
    let mut open = Element {
        hidden: matches!(name.as_str(), "title" | "style" | "script" | "template")
            || attribute("hidden").is_some()
            || style.to_ascii_lowercase().contains("display:none"),
        link: None,
        number: None,
        header: false,
        cells: 0,
        name,
    };
    match open.name.as_str() {
        "br" => flow.break_line(),
        "hr" => {
            flow.space_lines(2);
            flow.word("---");
            flow.space_lines(2);
        }
        "img" => {
            if let Some(alt) = attribute("alt").filter(|alt| !alt.trim().is_empty()) {
                flow.text(alt);
            }
        }
        "a" => {
            let target = attribute("href").unwrap_or_default().trim().to_owned();
            open.link = Some((target, flow.out.len()));
        }
        "ol" => open.number = Some(attribute("start").and_then(|n| n.parse().ok()).unwrap_or(1)),
        "li" => list_item(elements, flow),
        "blockquote" => {
            flow.space_lines(2);
            flow.prefixes.push("> ".to_owned());
        }
        "pre" => {
            flow.space_lines(2);
            flow.preformatted += 1;
        }
        "th" | "td" => cell(open.name == "th", elements, flow),
        _ => {}
    }
    let void = matches!(
        open.name.as_str(),
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "track"
            | "wbr"
            | "!doctype"
    );
    if void {
        return;
    }
    flow.space_lines(blank_lines(&open.name, elements));
    flow.hidden += usize::from(open.hidden);
    elements.push(open);
}

fn close(closed: &Element, elements: &[Element], flow: &mut Flow<'_>) {
    if let Some((target, start)) = &closed.link {
        let text = flow.out.get(*start..).unwrap_or_default().trim();
        let target = decode(target);
        let shown = target.strip_prefix("mailto:").unwrap_or(&target);
        if !target.is_empty() && !target.starts_with('#') && !text.ends_with(shown) {
            // In angle brackets (RFC 3986 appendix C): a full stop behind it must not become part of the link.
            flow.space = true;
            flow.word(&format!("<{target}>"));
        }
    }
    match closed.name.as_str() {
        "li" | "blockquote" => {
            flow.bullet = None;
            flow.prefixes.pop();
        }
        "pre" => flow.preformatted -= 1,
        _ => {}
    }
    flow.hidden -= usize::from(closed.hidden);
    flow.space_lines(blank_lines(&closed.name, elements));
}

fn list_item(elements: &mut [Element], flow: &mut Flow<'_>) {
    flow.space_lines(1);
    let list = elements
        .iter_mut()
        .rev()
        .find(|open| matches!(open.name.as_str(), "ul" | "ol"));
    let bullet = match list.and_then(|list| list.number.as_mut()) {
        Some(number) => {
            *number += 1;
            format!("{}. ", *number - 1)
        }
        None => "- ".to_owned(),
    };
    flow.prefixes.push(" ".repeat(bullet.len()));
    flow.bullet = Some(bullet);
}

fn cell(header: bool, elements: &mut [Element], flow: &mut Flow<'_>) {
    let mut bars = header;
    if let Some(table) = elements.iter_mut().rev().find(|open| open.name == "table") {
        table.header |= header;
        bars = table.header;
    }
    if let Some(row) = elements.iter_mut().rev().find(|open| open.name == "tr") {
        row.cells += 1;
        if row.cells > 1 {
            flow.text(" ");
            if bars {
                flow.text("| ");
            }
        }
    }
}

/// How far an element stands from what is before and behind it, in line ends.
fn blank_lines(name: &str, around: &[Element]) -> usize {
    match name {
        "ul" | "ol" if around.iter().any(|open| open.name == "li") => 1,
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "blockquote" | "pre"
        | "table" | "dl" => 2,
        "div" | "li" | "tr" | "section" | "article" | "header" | "footer" | "main" | "nav"
        | "aside" | "figure" | "figcaption" | "address" | "dt" | "dd" | "form" | "fieldset"
        | "center" | "caption" | "body" => 1,
        _ => 0,
    }
}

fn read_attributes(text: &str) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return attributes;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/')
            .unwrap_or(rest.len())
            .max(1);
        let end = (end..=rest.len())
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(behind) = rest.strip_prefix('=') {
            let behind = behind.trim_start();
            (value, rest) = match behind.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    behind[1..].split_once(quote).unwrap_or((&behind[1..], ""))
                }
                _ => behind.split_at(behind.find(char::is_whitespace).unwrap_or(behind.len())),
            };
        }
        attributes.push((name, value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::{
            html::protect,
            pieces::{Piece, cut},
        },
        model::{Excerpt, SourceFile},
    };

    fn text(html: &str) -> String {
        let pieces = cut(&Excerpt::whole(&SourceFile::new("t.html", html))).unwrap();
        let tokens = Tokens::new(&pieces);
        let text = to_text(&protect(&pieces, &tokens).html, &tokens);
        let shown = tokens.restore(&text).into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Tag(tag) => format!("[{}]", tag.code.trim()),
        });
        shown.collect()
    }

    #[test]
    fn html_becomes_readable_text() {
        assert_eq!(
            text(
                "<html><head><title>no</title><style>no</style></head><body>\n\
                 <div style=\"display: none\">no</div>\
                 <h1>Hello  {{ name }}!</h1>\n<p>One &amp; <b>two</b><br>three\n four</p>\
                 <ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li></ul>\
                 <blockquote><p>q</p><p>r</p></blockquote>\
                 <pre>x\n  y</pre><hr><p><img src=\"x\" alt=\"A picture\"></p></body></html>"
            ),
            "Hello [name]!\n\nOne & two\nthree four\n\n- a\n- b\n  1. c\n  2. d\n\n> q\n\n> r\n\nx\n  y\n\n---\n\nA picture\n"
        );
    }

    #[test]
    fn links_show_where_they_lead() {
        assert_eq!(
            text(
                "<p><a href=\"{{ url }}?a&amp;b\">Renew</a>. <a href=\"https://a.example\">https://a.example</a> \
                 <a href=\"mailto:a@b.example\">a@b.example</a> <a href=\"#top\">Top</a>\
                 <a href=\"https://i.example\"><img src=\"i\"></a></p>"
            ),
            "Renew <[url]?a&b>. https://a.example a@b.example Top <https://i.example>\n"
        );
    }

    #[test]
    fn tables_have_their_rows_and_loops_stay_around_them() {
        assert_eq!(
            text(
                "<table><tr><th>a</th><th>b</th></tr>{% for x in y %}<tr><td>{{ x.a }}</td><td>{{ x.b }}</td></tr>{% endfor %}</table><p>c</p>"
            ),
            "a | b\n[for x in y][x.a] | [x.b]\n[endfor]\nc\n"
        );
    }

    #[test]
    fn blocks_that_are_left_out_leave_no_gap() {
        assert_eq!(
            text(
                "<p>a</p>{% if x %}<p>b</p>{% else %}<p>c</p>{% endif %}<p>d {% if y %}e{% endif %} f</p>"
            ),
            "a\n\n[if x]b\n\n[else]c\n\n[endif]d [if y]e[endif] f\n"
        );
    }
}
