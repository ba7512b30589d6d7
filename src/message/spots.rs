//! Where in HTML the tags of a template stand: in text that is seen, in an attribute, or where nobody looks.

use super::pieces::{Piece, Step, Tag, TagKind, push_text};

/// Where a `{{ … }}` stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// In text that is seen.
    Text,
    /// In the value of an attribute.
    Attribute(Attribute),
    /// In a comment, in an element that is not seen, or in the name of something.
    Unseen,
}

/// The attribute whose value a tag stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    /// The element, in small letters.
    pub(super) element: String,
    /// The attribute's name, in small letters.
    pub(super) name: String,
    /// Whether the value may begin with what is printed here.
    pub(super) begins: bool,
    /// Whether the element is in a part of the page that is seen.
    pub(super) seen: bool,
}

/// Elements whose content readers do not get to see.
const UNSEEN: [&str; 10] = [
    "head", "template", "noscript", "object", "select", "datalist", "canvas", "audio", "video",
    "frameset",
];

/// Elements whose content is text to their end tag, and not seen as part of the page either.
const RAW: [&str; 8] = [
    "style", "script", "title", "textarea", "iframe", "noembed", "noframes", "xmp",
];

/// Which attributes count as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Text alone.
    Text,
    /// Text, and where the links in it lead.
    Links,
}

/// What readers get to see of a part: its text, and the tags in it. All statements stay, so that it is still a template.
pub(super) fn seen(pieces: &[Piece], count: Count) -> Vec<Piece> {
    let mut scan = Scan::new();
    let mut result = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                let mut shown = String::new();
                scan.text(text, &mut shown);
                push_text(&mut result, &shown);
            }
            Piece::Tag(tag) => {
                let counts = match scan.tag(tag) {
                    _ if tag.kind == TagKind::Block => true,
                    Spot::Text => true,
                    Spot::Attribute(attribute) => {
                        count == Count::Links
                            && attribute.seen
                            && attribute.element == "a"
                            && attribute.name == "href"
                    }
                    Spot::Unseen => false,
                };
                if counts {
                    result.push(Piece::Tag(tag.clone()));
                }
            }
        }
    }
    result
}

/// The piece, and the offset in it, where the body of the page ends.
pub(super) fn body_end(pieces: &[Piece]) -> Option<(usize, usize)> {
    let mut scan = Scan::new();
    let mut found = None;
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                if let Some(offset) = scan.text(text, &mut String::new()) {
                    found = Some((at, offset));
                }
            }
            Piece::Tag(tag) => drop(scan.tag(tag)),
        }
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between elements, or in their text.
    Data,
    /// Inside `<!-- … -->`.
    Comment,
    /// Inside `<!…>` or `<?…>`.
    Declaration,
    /// In the name of an element.
    Element,
    /// In an element's tag, before the name of an attribute.
    Inside,
    /// In the name of an attribute.
    Name,
    /// Behind the name of an attribute.
    BehindName,
    /// Behind the `=`.
    BeforeValue,
    /// In a value, with its quote where it has one.
    Value(Option<char>),
    /// In an element whose content is text to its end tag.
    Raw,
}

/// Goes through HTML once, all branches of its statements one after the other.
pub(super) struct Scan {
    state: State,
    element: String,
    closes: bool,
    attribute: String,
    /// Whether the value has begun with something that is always there.
    begun: bool,
    /// The outermost element that is not seen, and how many of its name are open.
    unseen: Option<(String, usize)>,
    /// How many statements are open, here and where the value began.
    depth: usize,
    value_depth: usize,
}

impl Scan {
    /// At the beginning of a page.
    pub(super) fn new() -> Self {
        Self {
            state: State::Data,
            element: String::new(),
            closes: false,
            attribute: String::new(),
            begun: false,
            unseen: None,
            depth: 0,
            value_depth: 0,
        }
    }

    /// Goes over a text, adds what is seen of it to `shown`, and says where the last `</body` in it is.
    pub(super) fn text(&mut self, text: &str, shown: &mut String) -> Option<usize> {
        let mut body_end = None;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            let mut step = c.len_utf8();
            match self.state {
                State::Data if c == '<' => {
                    let named = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
                    if let Some(comment) = rest.strip_prefix("<!--") {
                        // `<!-->` is a whole comment.
                        if !comment.starts_with('>') && !comment.starts_with("->") {
                            step = 4;
                            self.state = State::Comment;
                        } else {
                            self.state = State::Declaration;
                        }
                    } else if rest[1..].strip_prefix('/').is_some_and(named) {
                        if starts_with_name(&rest[2..], "body") {
                            body_end = Some(at);
                        }
                        step = 2;
                        self.open_tag(true);
                    } else if named(&rest[1..]) {
                        self.open_tag(false);
                    } else if rest[1..].starts_with(['!', '?', '/']) {
                        self.state = State::Declaration;
                    } else if self.unseen.is_none() {
                        shown.push(c);
                    }
                }
                State::Data if self.unseen.is_none() => shown.push(c),
                State::Comment if rest.starts_with("-->") || rest.starts_with("--!>") => {
                    step = rest.find('>').map_or(step, |end| end + 1);
                    self.state = State::Data;
                }
                State::Declaration if c == '>' => self.state = State::Data,
                State::Data | State::Comment | State::Declaration => {}
                State::Raw => {
                    if rest
                        .strip_prefix("</")
                        .is_some_and(|rest| starts_with_name(rest, &self.element))
                    {
                        step = 2;
                        self.open_tag(true);
                    }
                }
                _ => self.in_tag(c),
            }
            at += step;
        }
        body_end
    }

    /// Goes over a tag, and says where it stands.
    pub(super) fn tag(&mut self, tag: &Tag) -> Spot {
        if self.state == State::BeforeValue {
            self.begin_value(None);
        }
        if tag.kind == TagKind::Block {
            match tag.step() {
                Step::Open => self.depth += 1,
                Step::Close => self.depth = self.depth.saturating_sub(1),
                Step::Middle | Step::Alone => {}
            }
            return Spot::Unseen;
        }
        match self.state {
            State::Data if self.unseen.is_none() => Spot::Text,
            State::Value(_) => Spot::Attribute(Attribute {
                element: self.element.clone(),
                name: self.attribute.clone(),
                begins: !self.begun,
                seen: self.unseen.is_none(),
            }),
            State::Inside | State::BehindName => {
                self.attribute.clear();
                self.state = State::Name;
                Spot::Unseen
            }
            _ => Spot::Unseen,
        }
    }

    fn open_tag(&mut self, closes: bool) {
        self.state = State::Element;
        self.closes = closes;
        self.element.clear();
    }

    fn begin_value(&mut self, quote: Option<char>) {
        self.state = State::Value(quote);
        self.begun = false;
        self.value_depth = self.depth;
    }

    fn in_tag(&mut self, c: char) {
        match (self.state, c) {
            (State::Value(Some(quote)), c) if c == quote => self.state = State::Inside,
            (State::Value(Some(_)), c) => self.value(c),
            (_, '>') => self.end_tag(),
            (State::BeforeValue, '"' | '\'') => self.begin_value(Some(c)),
            (State::BeforeValue, c) if c.is_ascii_whitespace() => {}
            (State::BeforeValue, c) => {
                self.begin_value(None);
                self.value(c);
            }
            (State::Name, c) if c.is_ascii_whitespace() => self.state = State::BehindName,
            (State::BehindName, c) if c.is_ascii_whitespace() => {}
            (State::Name | State::BehindName, '=') => self.state = State::BeforeValue,
            (_, c) if c.is_ascii_whitespace() => self.state = State::Inside,
            (State::Value(None), c) => self.value(c),
            (_, '/') => self.state = State::Inside,
            (State::Element, c) => self.element.push(c.to_ascii_lowercase()),
            (State::Name, c) => self.attribute.push(c.to_ascii_lowercase()),
            (_, c) => {
                self.attribute.clear();
                self.attribute.push(c.to_ascii_lowercase());
                self.state = State::Name;
            }
        }
    }

    fn value(&mut self, c: char) {
        let blank = c.is_whitespace() || c.is_control();
        self.begun |= !blank && self.depth <= self.value_depth;
    }

    fn end_tag(&mut self) {
        let name = self.element.as_str();
        self.state = State::Data;
        match &mut self.unseen {
            Some((open, _)) if open == "head" && name == "body" && !self.closes => {
                self.unseen = None;
            }
            Some((open, count)) if open == name => {
                *count = if self.closes { *count - 1 } else { *count + 1 };
                if *count == 0 {
                    self.unseen = None;
                }
            }
            None if !self.closes && UNSEEN.contains(&name) => {
                self.unseen = Some((name.to_owned(), 1));
            }
            _ => {}
        }
        if !self.closes && RAW.contains(&name) {
            self.state = State::Raw;
        }
    }
}

/// Whether text begins with the name of an element and not of a longer one.
fn starts_with_name(text: &str, name: &str) -> bool {
    text.get(..name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
        && text[name.len()..].starts_with(|c: char| c.is_ascii_whitespace() || "/>".contains(c))
}
