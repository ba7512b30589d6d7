//! What can be known to be wrong with a template before anybody gets it, each at its place, with what to do.

use std::{ops::Range, sync::Arc};

use minijinja::machinery::parse;

use super::{
    filters::{FILTERS, FUNCTIONS, TESTS, date_format},
    pieces::{Piece, TagKind, cut, written_syntax},
    reads::{Use, walk},
};
use crate::model::{Diagnostic, Diagnostics, Excerpt, Purpose, Schema, SourceName, closest};

/// The most bytes a template may have.
const MAX_BYTES: usize = 1 << 20;

/// The names every template sees, with the parts they have. `r` has the recipient's fields.
const BUILT_IN: [(&str, &[&str]); 8] = [
    ("r", &[]),
    ("campaign", &["id", "name"]),
    ("run", &["occurrence", "now"]),
    ("sender", &["name", "address"]),
    ("topic", &["name", "title"]),
    ("unsubscribe_url", &[]),
    ("view_url", &[]),
    ("preferences_url", &[]),
];

/// What templates of one campaign may use.
pub(super) struct Vocabulary<'a> {
    /// The columns of the campaign's sources; empty: unknown.
    pub(super) schemas: &'a [Arc<Schema>],
    /// Their names, in the same order.
    pub(super) sources: &'a [SourceName],
    /// The campaign's variables.
    pub(super) variables: Vec<&'a str>,
    /// What the campaign is for: not every purpose has every name.
    pub(super) purpose: Purpose,
}

impl Vocabulary<'_> {
    fn names(&self) -> impl Iterator<Item = &str> {
        let built_in = BUILT_IN.iter().map(|(name, _)| *name);
        built_in.chain(self.variables.iter().copied())
    }
}

/// Whether a name is one that every template has, so that a variable can't have it.
pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}

/// Everything that is wrong with a template.
pub(super) fn check(source: &Excerpt, vocabulary: &Vocabulary<'_>) -> Diagnostics {
    let mut found = Diagnostics::new();
    let text = source.text();
    if text.len() > MAX_BYTES {
        found.push(Diagnostic::error(
            "template-too-long",
            source.place_of(0..0),
            format!(
                "a template may have at most {MAX_BYTES} bytes; this one has {}",
                text.len()
            ),
        ));
        return found;
    }
    if let Some((at, bad)) = text
        .char_indices()
        .find(|(_, c)| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        found.push(
            Diagnostic::error(
                "control-character",
                source.place_of(at..at + bad.len_utf8()),
                format!(
                    "a template may not have the control character {}",
                    bad.escape_unicode()
                ),
            )
            .help("take it out; it can't be seen, and mail can't carry it"),
        );
        return found;
    }
    match parse(text, "template", written_syntax()) {
        Ok(template) => walk(&template, &mut |what, range| {
            if let Some(diagnostic) = judge(&what, range, source, vocabulary) {
                found.push(diagnostic);
            }
        }),
        Err(error) => found.push(syntax_error(&error, source)),
    }
    found
}

fn syntax_error(error: &minijinja::Error, source: &Excerpt) -> Diagnostic {
    let end = source.text().len();
    let place = match (error.range(), error.line()) {
        (Some(range), _) => source.place_of(range.start.min(end)..range.end.min(end)),
        (None, Some(line)) => source.place_at(line, 1),
        (None, None) => source.place_of(0..0),
    };
    let words = error.detail().unwrap_or("this is no template");
    let found = Diagnostic::error(
        "template-syntax",
        place,
        format!("in the template: {words}"),
    );
    if words.contains("unknown statement") {
        return found.help("statements are if, for, set, with, macro and filter");
    }
    if words.contains("end of") {
        return found.help("every `{{` needs its `}}`, every `{% if %}` its `{% endif %}`");
    }
    found
}

fn judge(
    what: &Use<'_>,
    range: Range<usize>,
    source: &Excerpt,
    vocabulary: &Vocabulary<'_>,
) -> Option<Diagnostic> {
    let range = match what {
        // What is wrong with a part is at the part; what is wrong with the whole name is at the name.
        Use::Part(root, _, name) if !BUILT_IN.iter().any(|(known, _)| known == root) => {
            name.clone()
        }
        _ => range,
    };
    let error =
        |code, words: String| Diagnostic::error(code, source.place_of(range.clone()), words);
    match what {
        Use::Name("unsubscribe_url") | Use::Part("unsubscribe_url", ..)
            if vocabulary.purpose == Purpose::Transactional =>
        {
            Some(
                error(
                    "no-way-out",
                    "transactional mail has no way out to link to: `unsubscribe_url` is for marketing campaigns"
                        .to_owned(),
                )
                .help("take it out, or make it a marketing campaign with `purpose = \"marketing\"`"),
            )
        }
        Use::Name(name) => name_error(name, vocabulary, error),
        Use::Part(root, part, _) => match BUILT_IN.iter().find(|(name, _)| name == root) {
            Some(("r", _)) => field_error(part, vocabulary, error),
            Some((_, parts)) if !parts.is_empty() && !parts.contains(&part.as_ref()) => Some(
                error("unknown-variable", format!("`{root}` has no `{part}`"))
                    .help(format!("it has {}", parts.join(" and "))),
            ),
            Some(_) => None,
            None => name_error(root, vocabulary, error),
        },
        Use::Filter(name, written_out) => match (FILTERS.contains(name), written_out) {
            (false, _) => {
                let found = error("unknown-filter", format!("there is no filter `{name}`"));
                Some(match closest(name, FILTERS.iter().copied()) {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => {
                        found.help("compute it in [variables], where scripts have more functions")
                    }
                })
            }
            (true, Some(format)) if *name == "date" => date_format(format)
                .err()
                .map(|words| error("date-format", words).help("as in `| date(\"%d.%m.%Y\")`")),
            _ => None,
        },
        Use::Test(name) => (!TESTS.contains(name)).then(|| {
            error("unknown-test", format!("there is no test `{name}`"))
                .did_you_mean(name, TESTS.iter().copied())
        }),
        Use::Function(name) => (!FUNCTIONS.contains(name)).then(|| {
            let found = error("unknown-function", format!("there is no function `{name}`"));
            if FILTERS.contains(name) {
                return found.help(format!("`{name}` is a filter: write `… | {name}`"));
            }
            match closest(name, FUNCTIONS.iter().copied()) {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help("functions of scripts are called in [variables]"),
            }
        }),
        Use::Method(name) => {
            let found = error(
                "no-methods",
                format!("values have no methods such as `{name}`"),
            );
            Some(if FILTERS.contains(name) {
                found.help(format!("write `… | {name}`"))
            } else {
                found.help("use a filter, or compute it in [variables]")
            })
        }
        Use::Forbidden(statement) => Some(
            error(
                "forbidden-statement",
                format!("`{{% {statement} %}}` does not work here: a message is one template"),
            )
            .help("put the text into this template"),
        ),
        Use::Capture => None,
    }
}

fn name_error(
    name: &str,
    vocabulary: &Vocabulary<'_>,
    error: impl Fn(&'static str, String) -> Diagnostic,
) -> Option<Diagnostic> {
    if vocabulary.names().any(|known| known == name) || FUNCTIONS.contains(&name) {
        return None;
    }
    let found = error("unknown-variable", format!("there is no variable `{name}`"));
    if vocabulary
        .schemas
        .iter()
        .any(|schema| schema.position(name).is_some())
    {
        return Some(found.help(format!("the field of the recipient is `r.{name}`")));
    }
    Some(match closest(name, vocabulary.names()) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help("variables are declared in [variables]; fields are `r.field`"),
    })
}

fn field_error(
    field: &str,
    vocabulary: &Vocabulary<'_>,
    error: impl Fn(&'static str, String) -> Diagnostic,
) -> Option<Diagnostic> {
    let schemas = vocabulary.schemas;
    let has_it = |schema: &Arc<Schema>| schema.position(field).is_some();
    let lacks_it = schemas.iter().position(|schema| !has_it(schema))?;
    if schemas.iter().any(has_it) {
        let source = vocabulary.sources.get(lacks_it);
        let name = source.map_or("of this campaign", SourceName::as_str);
        let found = error(
            "unknown-field",
            format!(
                "the source `{name}` has no field `{field}`, and other sources of this campaign do"
            ),
        );
        return Some(found.help(format!(
            "a variable says what stands there instead: {field} = 'get(r, \"{field}\", \"…\")', printed as {{{{ {field} }}}}"
        )));
    }
    let found = error(
        "unknown-field",
        format!("no source of this campaign has a field `{field}`"),
    );
    if vocabulary.variables.contains(&field) {
        return Some(found.help(format!("the variable is `{field}`, without `r.`")));
    }
    let names = || schemas.iter().flat_map(|schema| schema.names());
    Some(match closest(field, names()) {
        Some(near) => found.help(format!("did you mean `r.{near}`?")),
        None => found.help(format!("it has {}", names().collect::<Vec<_>>().join(", "))),
    })
}

/// A subject is one line.
pub(super) fn check_subject(subject: &Excerpt) -> Option<Diagnostic> {
    let pieces = cut(subject)?;
    let last = pieces.len().checked_sub(1)?;
    let broken = pieces.iter().enumerate().any(|(at, piece)| match piece {
        Piece::Text(text) => {
            let text = if at == 0 { text.trim_start() } else { text };
            let text = if at == last { text.trim_end() } else { text };
            text.contains(['\n', '\t'])
        }
        Piece::Tag(tag) => tag.kind == TagKind::Print && tag.code.trim().is_empty(),
    });
    broken.then(|| {
        let found = Diagnostic::error(
            "subject-lines",
            subject.place().clone(),
            "the subject has more than one line",
        );
        found.help("write it on one line, without tabs; `{%-` and `-%}` take white space away")
    })
}
