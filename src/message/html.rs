//! HTML at load time: tags of the template kept out of the way, CSS inlined, and the shell that Markdown bodies get.

use css_inline::CSSInliner;

use super::{
    pieces::{Piece, Step, TagKind},
    tokens::Tokens,
};

/// HTML that a parser may have, and what of it no parser may see: a word and the text it stands for.
pub(super) struct Protected {
    /// The HTML with words for its tags.
    pub(super) html: String,
    /// What comes back when the HTML is written again.
    pub(super) set_aside: Vec<(String, String)>,
}

/// HTML with words for its tags: comments where elements may stand, so that a parser leaves them there (text between the
/// rows of a table it would move out of the table), bare words in text, attributes and style sheets. Attributes that come and
/// go (`<td {% if x %} class="a" {% endif %}>`) are set aside: a parser would sort them.
pub(super) fn protect(pieces: &[Piece], tokens: &Tokens) -> Protected {
    let mut context = Context::Data;
    let mut next = 0;
    let mut html = String::new();
    let mut set_aside = Vec::new();
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        at += 1;
        match piece {
            Piece::Text(text) => {
                html.push_str(text);
                context = context.after(text);
            }
            Piece::Tag(tag) => {
                let between_elements = context == Context::Data && tag.kind == TagKind::Block;
                if between_elements && opens_rows(&html, &pieces[at..]) {
                    html.push_str("<tbody>");
                }
                let group = match context {
                    Context::Tag(None, _) => statement(&pieces[at - 1..], context),
                    _ => None,
                };
                if let Some(length) = group {
                    let mut text = String::from(" ");
                    for piece in &pieces[at - 1..at - 1 + length] {
                        match piece {
                            Piece::Text(piece) => text.push_str(piece),
                            Piece::Tag(_) => {
                                text.push_str(&tokens.word(next));
                                next += 1;
                            }
                        }
                    }
                    text.push(' ');
                    let word = tokens.other_word(set_aside.len());
                    html.push(' ');
                    html.push_str(&word);
                    html.push(' ');
                    set_aside.push((format!(" {word}=\"\""), text));
                    at += length - 1;
                    continue;
                }
                html.push_str(&if between_elements {
                    tokens.comment(next)
                } else {
                    tokens.word(next)
                });
                next += 1;
            }
        }
    }
    Protected { html, set_aside }
}

/// How many pieces a statement takes from its first tag to its last, where it stays within one element's tag.
fn statement(pieces: &[Piece], mut context: Context) -> Option<usize> {
    let mut depth = 0;
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => context = context.after(text),
            Piece::Tag(tag) if tag.kind == TagKind::Block => match tag.step() {
                Step::Open => depth += 1,
                Step::Close => depth -= 1,
                Step::Middle | Step::Alone => {}
            },
            Piece::Tag(_) => {}
        }
        if !matches!(context, Context::Tag(..)) {
            return None;
        }
        if depth == 0 {
            return (at > 0).then_some(at + 1);
        }
    }
    None
}

/// Whether a table has just begun and its rows follow: the `<tbody>` that a parser puts around them has to begin before a
/// tag that encloses them.
fn opens_rows(before: &str, behind: &[Piece]) -> bool {
    let table = before
        .trim_end()
        .rsplit_once('<')
        .is_some_and(|(_, last)| last.ends_with('>') && starts_with_tag(last, "table"));
    let next = behind.iter().find_map(|piece| match piece {
        Piece::Text(text) => Some(text.trim_start()).filter(|text| !text.is_empty()),
        Piece::Tag(_) => None,
    });
    table && next.is_some_and(|next| next.starts_with('<') && starts_with_tag(&next[1..], "tr"))
}

/// Where in HTML a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Between elements, or in their text.
    Data,
    /// Inside `<…>`, in a quoted value where there is a quote.
    Tag(Option<u8>, Raw),
    /// Inside `<!-- … -->`.
    Comment,
    /// Inside an element whose content is not HTML.
    Raw(Raw),
}

/// An element whose content is text to its end tag; `No` for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    No,
    Element(&'static str),
}

/// Elements whose content is text to their end tag, those of MJML among them.
const RAW: [&str; 7] = [
    "style",
    "script",
    "title",
    "textarea",
    "mj-style",
    "mj-title",
    "mj-preview",
];

impl Context {
    /// The context behind `text`.
    pub(super) fn after(mut self, text: &str) -> Self {
        let mut rest = text;
        while let Some(first) = rest.as_bytes().first() {
            let mut step = 1;
            self = match self {
                Self::Data if rest.starts_with("<!--") => {
                    step = 4;
                    Self::Comment
                }
                Self::Data if *first == b'<' && begins_tag(rest) => {
                    let name = RAW
                        .into_iter()
                        .find(|name| starts_with_tag(&rest[1..], name));
                    Self::Tag(None, name.map_or(Raw::No, Raw::Element))
                }
                Self::Comment if rest.starts_with("-->") => {
                    step = 3;
                    Self::Data
                }
                Self::Raw(Raw::Element(name))
                    if rest.starts_with("</") && starts_with_tag(&rest[2..], name) =>
                {
                    Self::Tag(None, Raw::No)
                }
                Self::Tag(None, raw) => match first {
                    b'"' | b'\'' => Self::Tag(Some(*first), raw),
                    b'>' if raw == Raw::No => Self::Data,
                    b'>' => Self::Raw(raw),
                    _ => self,
                },
                Self::Tag(Some(quote), raw) if *first == quote => Self::Tag(None, raw),
                other => other,
            };
            while !rest.is_char_boundary(step) {
                step += 1;
            }
            rest = &rest[step..];
        }
        self
    }
}

fn begins_tag(text: &str) -> bool {
    matches!(
        text.as_bytes().get(1),
        Some(b'a'..=b'z' | b'A'..=b'Z' | b'/' | b'!')
    )
}

/// Whether text begins with the name of an element and not of a longer one.
fn starts_with_tag(text: &str, name: &str) -> bool {
    text.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
        && !text[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
}

/// What of a style sheet stays when its rules stand in `style` attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// What could not be inlined: `@media`, `:hover`, rules for elements that are not there.
    Rest,
    /// `@media` and its kin only: enough for a style sheet that is ours.
    AtRules,
}

/// Inlines style sheets into `style` attributes, for the clients that know nothing else. A style sheet with tags in it stays
/// as it is: what it says is not known yet.
pub(super) fn inline_css(
    protected: Protected,
    tokens: &Tokens,
    keep: Keep,
) -> Result<String, String> {
    let Protected { html, set_aside } = take_templated_styles(protected, tokens);
    let inlined = CSSInliner::options()
        .load_remote_stylesheets(false)
        .keep_style_tags(keep == Keep::Rest)
        .remove_inlined_selectors(keep == Keep::Rest)
        .keep_at_rules(keep == Keep::AtRules)
        .keep_link_tags(true)
        .build()
        .inline(&html)
        .map_err(|error| error.to_string())?;
    let mut inlined = inlined;
    for (word, text) in set_aside {
        inlined = inlined.replacen(&word, &text, 1);
    }
    Ok(inlined)
}

fn take_templated_styles(protected: Protected, tokens: &Tokens) -> Protected {
    let Protected {
        html,
        mut set_aside,
    } = protected;
    let lower = html.to_ascii_lowercase();
    let mut result = String::with_capacity(html.len());
    let mut done = 0;
    while let Some(start) = lower[done..].find("<style").map(|at| done + at) {
        let end = lower[start..]
            .find("</style>")
            .map_or(html.len(), |at| start + at + "</style>".len());
        result.push_str(&html[done..start]);
        let style = &html[start..end];
        if tokens.occur_in(style) {
            let word = format!("<!--{}-->", tokens.other_word(set_aside.len()));
            result.push_str(&word);
            set_aside.push((word, style.to_owned()));
        } else {
            result.push_str(style);
        }
        done = end;
    }
    result.push_str(&html[done..]);
    Protected {
        html: result,
        set_aside,
    }
}

/// The page a Markdown body stands in. It reads well on a phone and on a desktop, in light and in dark, and says its language
/// to screen readers where it is known.
pub(super) fn shell(title: &str, language: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<div class=\"page\" dir=\"auto\" role=\"article\" aria-roledescription=\"email\">\n\
         {content}</div>\n</body>\n</html>\n"
    )
}

/// Sizes in px and plain colours: what every mail client knows.
const STYLE: &str = "
body { margin: 0; padding: 0; background-color: #f3f4f6; color: #1f2937; -webkit-text-size-adjust: 100%; }
.page { max-width: 600px; margin: 0 auto; padding: 32px 24px; background-color: #ffffff; font-family: -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif; font-size: 16px; line-height: 1.6; overflow-wrap: break-word; word-break: break-word; }
h1 { margin: 0 0 20px; font-size: 26px; line-height: 1.25; }
h2 { margin: 32px 0 12px; font-size: 20px; line-height: 1.3; }
h3, h4, h5, h6 { margin: 24px 0 8px; font-size: 17px; line-height: 1.4; }
p { margin: 0 0 16px; }
ul, ol { margin: 0 0 16px; padding-left: 24px; }
li { margin: 0 0 6px; }
a { color: #0b57d0; text-decoration: underline; }
img { max-width: 100%; height: auto; border: 0; }
blockquote { margin: 0 0 16px; padding: 4px 16px; border-left: 4px solid #d1d5db; color: #4b5563; }
pre { margin: 0 0 16px; padding: 12px 16px; background-color: #f3f4f6; border-radius: 6px; white-space: pre-wrap; font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 14px; line-height: 1.5; }
code { font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 14px; }
hr { margin: 28px 0; border: 0; border-top: 1px solid #d1d5db; }
table { margin: 0 0 16px; border-collapse: collapse; }
th, td { padding: 8px 12px; border: 1px solid #d1d5db; text-align: start; vertical-align: top; }
@media (max-width: 480px) {
  .page { padding: 20px 16px !important; }
}
@media (prefers-color-scheme: dark) {
  body { background-color: #111827 !important; color: #e5e7eb !important; }
  .page { background-color: #1f2937 !important; }
  a { color: #93c5fd !important; }
  .footer, .footer a { color: #9ca3af !important; }
  blockquote { color: #9ca3af !important; border-color: #4b5563 !important; }
  pre { background-color: #111827 !important; }
  th, td, hr { border-color: #4b5563 !important; }
}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        message::pieces::cut,
        model::{Excerpt, SourceFile},
    };

    fn inlined(html: &str) -> String {
        let pieces = cut(&Excerpt::whole(&SourceFile::new("t.html", html))).unwrap();
        let tokens = Tokens::new(&pieces);
        let html = inline_css(protect(&pieces, &tokens), &tokens, Keep::Rest).unwrap();
        assert!(tokens.displaced(&html).is_none(), "{html}");
        let restored = tokens.restore(&html);
        let shown = restored.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Tag(tag) if tag.kind == TagKind::Print => format!("{{{{{}}}}}", tag.code),
            Piece::Tag(tag) => format!("{{%{}%}}", tag.code),
        });
        shown.collect()
    }

    #[test]
    fn css_is_inlined_around_the_tags() {
        let html = inlined(
            "<style>td { color: red } @media (max-width: 9px) { td { color: blue } } a:hover { color: green }</style>\
             <table>{% for x in r.xs %}<tr><td class=\"{{ x }}\">{{ x }}</td></tr>{% endfor %}</table>\
             <a href=\"{{ u }}?a=1&b=2\" {% if y %}title=\"z\"{% endif %}>x</a>",
        );
        for part in [
            "<tbody>{% for x in r.xs %}<tr><td class=\"{{ x }}\" style=\"color: red;\">{{ x }}</td></tr>{% endfor %}</tbody>",
            "href=\"{{ u }}?a=1&amp;b=2\"",
            "@media (max-width: 9px)",
            "a:hover",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert!(!html.contains("td { color: red }"), "{html}");
    }

    #[test]
    fn attributes_that_come_and_go_stay_together() {
        let html = inlined(
            "<p{% if a %} title=\"{{ z }}\" {% else %} class=\"b\"{% endif %} {{ c }} align=\"left\">x</p>",
        );
        assert!(
            html.contains(" {% if a %} title=\"{{ z }}\" {% else %} class=\"b\"{% endif %} "),
            "{html}"
        );
    }

    #[test]
    fn a_style_sheet_with_tags_stays() {
        let html = inlined(
            "<style>p { color: {{ c }} } {% if d %}b { color: red }{% endif %}</style><p>a</p>",
        );
        assert!(
            html.contains(
                "<style>p { color: {{ c }} } {% if d %}b { color: red }{% endif %}</style>"
            ),
            "{html}"
        );
    }

    #[test]
    fn tags_in_titles_comments_and_scripts_survive() {
        let html = inlined(
            "<!DOCTYPE html><html><head><title>{% if a %}x{% endif %}</title></head>\
             <body><!--[if mso]>{{ b }}<![endif]--><p>1 < 2 {% if c %}d{% endif %}</p></body></html>",
        );
        for part in [
            "<title>{% if a %}x{% endif %}</title>",
            "<!--[if mso]>{{ b }}<![endif]-->",
        ] {
            assert!(html.contains(part), "{html}");
        }
    }
}
