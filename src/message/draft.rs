//! From a body to the parts of a message: converted, with their footers, and with the decision how they travel.

use super::{
    Files, Needs,
    footer::{self, Placed},
    html::{self, Keep, Protected},
    language, markdown, mjml,
    pictures::{Picture, Search},
    pieces::{Piece, Tag, cut, drop_tag_lines, push_text, text_of},
    plain,
    skeleton::Encoding,
    spots::{self, Count},
    targets,
    template::{Part, escape_html, read},
    tokens::Tokens,
};
use crate::model::{
    Body, BodyFormat, Diagnostic, Diagnostics, EmailMessage, Excerpt, Locale, Sender, SourceFile,
};

/// How a part becomes what stands in its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// The template is encoded already, and its values are as they are printed.
    Ahead,
    /// The rendered text is encoded as a whole.
    Whole(Encoding),
}

impl Encoded {
    /// The encoding that the part's header names.
    pub(super) fn transfer(self) -> Encoding {
        match self {
            Self::Ahead => Encoding::QuotedPrintable,
            Self::Whole(encoding) => encoding,
        }
    }
}

/// A part with its footer, ready to be compiled.
pub(super) struct Draft {
    /// The template.
    pub(super) pieces: Vec<Piece>,
    /// What it reads.
    pub(super) needs: Needs,
    /// How it travels.
    pub(super) encoded: Encoded,
}

/// The parts of a message with their footers.
pub(super) struct Drafts {
    /// The text.
    pub(super) text: Draft,
    /// The HTML, where the body is not plain text.
    pub(super) html: Option<Draft>,
    /// The pictures that the HTML shows.
    pub(super) pictures: Vec<Picture>,
}

/// What drafts are made of.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    /// The message.
    pub(super) message: &'a EmailMessage,
    /// Its subject, in this language.
    pub(super) subject: &'a Excerpt,
    /// Its body, in this language.
    pub(super) body: &'a Body,
    /// The language, where it is known.
    pub(super) language: Option<&'a Locale>,
    /// Whether it needs a way out.
    pub(super) marketing: bool,
    /// Who writes.
    pub(super) sender: &'a Sender,
    /// Where pictures lie.
    pub(super) files: &'a dyn Files,
}

/// The parts of a message. What is only worth a warning goes into `found`.
pub(super) fn drafts(
    making: &Making<'_>,
    subject: &[Piece],
    body: Vec<Piece>,
    found: &mut Diagnostics,
) -> Result<Drafts, Diagnostic> {
    let &Making {
        marketing, sender, ..
    } = making;
    let (text, html) = convert(making, subject, body, found)?;
    let text = draft(Part::Text, text, marketing, sender)?;
    let (html, pictures) = match html {
        Some((html, pictures)) => (Some(draft(Part::Html, html, marketing, sender)?), pictures),
        None => (None, Vec::new()),
    };
    Ok(Drafts {
        text,
        html,
        pictures,
    })
}

/// The pieces of the text, and of the HTML with its pictures.
type Converted = (Vec<Piece>, Option<(Vec<Piece>, Vec<Picture>)>);

/// The text part, and the HTML where the body is not plain text.
fn convert(
    making: &Making<'_>,
    subject: &[Piece],
    body: Vec<Piece>,
    found: &mut Diagnostics,
) -> Result<Converted, Diagnostic> {
    let written = making.body;
    if written.format == BodyFormat::Text {
        return Ok((drop_tag_lines(body), None));
    }
    let tokens = Tokens::new(&body);
    let styled = |protected, keep| {
        html::inline_css(protected, &tokens, keep).map_err(|words| {
            let place = written.template.place().clone();
            Diagnostic::error("html", place, format!("the style sheet: {words}"))
        })
    };
    let (document, content) = match written.format {
        BodyFormat::Markdown => {
            if let Some(tag) = markdown::torn_row(&body, &tokens) {
                return Err(torn(tag));
            }
            let content = markdown::to_html(&body, &tokens);
            let title = format!("<!--{}-->", tokens.other_word(usize::MAX));
            let language = match making.language {
                Some(language) => language.as_str(),
                None => language::of(&text_of(&body, " ")),
            };
            let document = Protected {
                html: html::shell(&title, language, &content),
                set_aside: Vec::new(),
            };
            (styled(document, Keep::AtRules)?, Some((content, title)))
        }
        // Its styles are where they must be.
        BodyFormat::Mjml => {
            let language = making.language;
            (
                mjml::to_html(&body, &tokens, &written.template, language)?,
                None,
            )
        }
        BodyFormat::Html | BodyFormat::Text => {
            (styled(html::protect(&body, &tokens), Keep::Rest)?, None)
        }
    };
    if let Some(tag) = tokens.displaced(&document) {
        return Err(displaced(tag, written.format));
    }
    let text = plain::to_text(
        content
            .as_ref()
            .map_or(document.as_str(), |(content, _)| content),
        &tokens,
    );
    let text = tokens.restore(&text);
    let search = Search {
        body: written,
        tokens: &tokens,
        files: making.files,
        domain: making.sender.from.address.domain(),
    };
    let (document, pictures) = search.attach(&document, found)?;
    let mut html = Vec::new();
    let title = content.map(|(_, title)| escape_html(&title));
    match title
        .as_deref()
        .and_then(|title| document.split_once(title))
    {
        Some((before, behind)) => {
            html.extend(tokens.restore(before));
            html.extend(title_pieces(subject));
            html.extend(tokens.restore(behind));
        }
        None => html = tokens.restore(&document),
    }
    Ok((text, Some((html, pictures))))
}

/// A loop or condition in Markdown around parts of a table's rows.
fn torn(tag: &Tag) -> Diagnostic {
    let written = &tag.source.text()[tag.range.clone()];
    Diagnostic::error(
        "html",
        tag.source.place_of(tag.range.clone()),
        format!("`{written}` encloses no whole row of the table, and no part of one cell"),
    )
    .help("a loop or condition around rows has each of its tags on a line of its own, between the rows")
}

/// A tag that is not where it was once the body is HTML.
fn displaced(tag: &Tag, format: BodyFormat) -> Diagnostic {
    let written = &tag.source.text()[tag.range.clone()];
    let help = match format {
        BodyFormat::Mjml => {
            "put it between elements, or inside a text or a quoted value; sizes that MJML computes with (`width`, `padding`) must \
             be written out, and `mj-head` can't depend on the recipient"
        }
        _ => "put it between elements, or inside a text or a quoted value",
    };
    Diagnostic::error(
        "html",
        tag.source.place_of(tag.range.clone()),
        format!("`{written}` stands where HTML has no place for it"),
    )
    .help(help)
}

/// The subject as the text of a `<title>`. What it sets stays in it.
fn title_pieces(subject: &[Piece]) -> Vec<Piece> {
    let scope = SourceFile::new("the title", "{% with %} {% endwith %}");
    let mut scope = cut(&Excerpt::whole(&scope)).expect("a scope is a template");
    let end = scope.pop();
    scope.truncate(1);
    let mut pieces = scope;
    for piece in subject {
        match piece {
            Piece::Text(text) => push_text(&mut pieces, &escape_html(text.trim_matches('\n'))),
            Piece::Tag(tag) => pieces.push(Piece::Tag(tag.clone())),
        }
    }
    pieces.extend(end);
    pieces
}

/// A part with its footer.
fn draft(
    part: Part,
    mut pieces: Vec<Piece>,
    marketing: bool,
    sender: &Sender,
) -> Result<Draft, Diagnostic> {
    let end_line = |pieces: &mut Vec<Piece>| {
        // A body ends with a line end, which quoted-printable needs to come to an end itself.
        if let Some(Piece::Text(last)) = pieces.last_mut() {
            last.truncate(last.trim_end_matches('\n').len());
        }
        push_text(pieces, "\n");
    };
    end_line(&mut pieces);
    if marketing {
        let placed = placed(part, &pieces, sender);
        match part {
            Part::Html => footer::add_to_html(&mut pieces, placed),
            Part::Subject | Part::Text => footer::add_to_text(&mut pieces, placed),
        }
        end_line(&mut pieces);
    }
    if part == Part::Html {
        pieces = targets::guard(pieces)?;
    }
    let reading = read(&pieces, &[]);
    let text = text_of(&pieces, "");
    let not_ascii = text.bytes().filter(|byte| !byte.is_ascii()).count();
    let encoded = if not_ascii * 6 > text.len() {
        Encoded::Whole(Encoding::Base64)
    } else if reading.captures {
        Encoded::Whole(Encoding::QuotedPrintable)
    } else {
        Encoded::Ahead
    };
    Ok(Draft {
        pieces,
        needs: reading.needs,
        encoded,
    })
}

/// What every reader of a part finds in it: in HTML, what nobody sees does not count.
fn placed(part: Part, pieces: &[Piece], sender: &Sender) -> Placed {
    let seen = |count| match part {
        Part::Html => spots::seen(pieces, count),
        Part::Subject | Part::Text => pieces.to_vec(),
    };
    let text = seen(Count::Text);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let written_out = |wanted: &str| {
        !wanted.trim().is_empty() && words(&text_of(&text, " ")).contains(&words(wanted))
    };
    Placed {
        link: read(&seen(Count::Links), &["unsubscribe_url"]).always[0],
        address: read(&text, &["sender.address"]).always[0] || written_out(&sender.address),
    }
}
