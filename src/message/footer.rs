//! The footer of marketing mail: the way out and the sender's postal address, in each part that does not place them itself.

use super::{
    pieces::{Piece, cut, push_text},
    spots::body_end,
};
use crate::model::{Excerpt, SourceFile};

/// What a part has by itself, whoever the recipient is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// The link.
    pub(super) link: bool,
    /// The postal address.
    pub(super) address: bool,
}

const TEXT_LINK: &str =
    "\n-- \n{{ sender.name }}\n{{ sender.address }}\n\nUnsubscribe: {{ unsubscribe_url }}\n";
const TEXT_LINK_ONLY: &str = "\n-- \nUnsubscribe: {{ unsubscribe_url }}\n";
const TEXT_ADDRESS: &str = "\n-- \n{{ sender.name }}\n{{ sender.address }}\n";

const HTML_LINK: &str = "<br>\n<a href=\"{{ unsubscribe_url }}\" style=\"color: inherit; text-decoration: underline;\">Unsubscribe</a>";
const HTML_ADDRESS: &str =
    "{{ sender.name }} &middot; <span style=\"white-space: pre-line;\">{{ sender.address }}</span>";

/// Adds what is missing to the text part.
pub(super) fn add_to_text(pieces: &mut Vec<Piece>, placed: Placed) {
    let footer = match (placed.link, placed.address) {
        (true, true) => return,
        (true, false) => TEXT_ADDRESS,
        (false, true) => TEXT_LINK_ONLY,
        (false, false) => TEXT_LINK,
    };
    pieces.extend(template(footer));
}

/// Adds what is missing to the HTML, as the last thing in its body.
pub(super) fn add_to_html(pieces: &mut Vec<Piece>, placed: Placed) {
    let content = match (placed.link, placed.address) {
        (true, true) => return,
        (true, false) => HTML_ADDRESS.to_owned(),
        (false, true) => HTML_LINK.trim_start_matches("<br>\n").to_owned(),
        (false, false) => format!("{HTML_ADDRESS}{HTML_LINK}"),
    };
    // The class is for dark mode in the shell of Markdown bodies; this grey has contrast on white (WCAG 2.2 §1.4.3).
    let footer = template(&format!(
        "<div class=\"footer\" role=\"contentinfo\" style=\"max-width: 600px; margin: 0 auto; padding: 16px 24px 32px; \
         font-family: Arial, sans-serif; font-size: 13px; line-height: 1.5; color: #595f69; text-align: center;\">\
         {content}</div>\n"
    ));
    let end = body_end(pieces);
    let mut behind = Vec::new();
    if let Some((at, cut_at)) = end {
        behind = pieces.split_off(at + 1);
        if let Some(Piece::Text(text)) = pieces.last_mut() {
            let rest = text.split_off(cut_at);
            behind.insert(0, Piece::Text(rest));
        }
    }
    pieces.extend(footer);
    for piece in behind {
        match piece {
            Piece::Text(text) => push_text(pieces, &text),
            tag @ Piece::Tag(_) => pieces.push(tag),
        }
    }
}

fn template(text: &str) -> Vec<Piece> {
    cut(&Excerpt::whole(&SourceFile::new("the footer", text))).expect("the footers are templates")
}
