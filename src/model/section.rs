//! Reading a TOML document that people wrote: every value is taken by name, with its place; what is left over is an unknown
//! key. Nothing stops at the first error.

use std::{cell::RefCell, ops::Range, path::PathBuf, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Diagnostic, Diagnostics, Excerpt, Place, SecretRef, SourceFile, closest};

/// A TOML file being read, with one that overrides it where there is such a thing, and what was found wrong with them so far.
pub struct Document {
    file: SourceFile,
    over: Option<SourceFile>,
    found: RefCell<Diagnostics>,
}

impl Document {
    /// Starts on `file`; parse it with [`Document::read`].
    pub fn new(file: &SourceFile) -> Self {
        Self {
            file: file.clone(),
            over: None,
            found: RefCell::default(),
        }
    }

    /// With a file whose values take the place of the first one's. `[tables]` are merged key by key; everything else is
    /// replaced as a whole, `{ inline }` tables and tables of another `kind` too. What is wrong with a value is said where it
    /// stands.
    #[must_use]
    pub fn overridden_by(mut self, file: &SourceFile) -> Self {
        self.over = Some(file.clone());
        self
    }

    /// Parses the file, recording every syntax error, and hands its root table to `read`. Gives what `read` gave, and all
    /// findings.
    pub fn read<T>(self, read: impl FnOnce(Section<'_>) -> T) -> (T, Diagnostics) {
        let files = self.over.iter().chain([&self.file]);
        let roots: Vec<_> = files.map(|file| (file, self.parse(file))).collect();
        let layers = roots.iter().map(|(file, root)| Layer {
            file,
            table: root.get_ref(),
            span: root.span(),
        });
        let layers = layers.collect();
        let value = read(Section::new(&self, layers, String::new()));
        (value, self.found.into_inner())
    }

    fn parse<'a>(&self, file: &'a SourceFile) -> Spanned<DeTable<'a>> {
        let (root, errors) = DeTable::parse_recoverable(file.text());
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.push(Diagnostic::error(
                "toml-syntax",
                Place::new(file, span),
                error.message(),
            ));
        }
        root
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }
}

/// A table as it stands in one file.
#[derive(Clone)]
struct Layer<'a> {
    file: &'a SourceFile,
    table: &'a DeTable<'a>,
    /// Where the table, or the key it stands under, is.
    span: Range<usize>,
}

/// One table of a document. Take what you know from it, then call [`Section::finish`].
pub struct Section<'a> {
    document: &'a Document,
    /// What overrides stands in front; there is always one.
    layers: Vec<Layer<'a>>,
    path: String,
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    fn new(document: &'a Document, layers: Vec<Layer<'a>>, path: String) -> Self {
        Self {
            document,
            layers,
            path,
            known: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// The file being read; where another one overrides it, the first that has this table.
    pub fn file(&self) -> &SourceFile {
        self.base().file
    }

    fn base(&self) -> &Layer<'a> {
        self.layers.last().expect("a section has a table")
    }

    /// The dotted path of this table, empty for the root: `transports.main`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the table stands.
    pub fn place(&self) -> Place {
        Place::new(self.file(), self.base().span.clone())
    }

    /// Whether a key is there (it counts as known from now on).
    pub fn has(&self, key: &'static str) -> bool {
        self.item(key).is_some()
    }

    /// The key's value as it stands, or `None`. The key counts as known from now on.
    pub fn item(&self, key: &'static str) -> Option<Item<'a>> {
        #[cfg(test)]
        asked::note(&self.path, key);
        {
            let mut known = self.known.borrow_mut();
            if !known.contains(&key) {
                known.push(key);
            }
        }
        self.find(key)
    }

    /// The value that counts for a key, and what it overrides where both are tables.
    fn find(&self, key: &str) -> Option<Item<'a>> {
        let mut found: Option<Item<'a>> = None;
        for layer in &self.layers {
            let Some((name, value)) = layer.table.get_key_value(key) else {
                continue;
            };
            match &mut found {
                None => {
                    found = Some(Item {
                        document: self.document,
                        file: layer.file,
                        name: self.name_at(layer.file, key, name.span()),
                        value,
                        under: None,
                    });
                }
                Some(item) => {
                    if let DeValue::Table(table) = value.get_ref()
                        && item.is_added_to(layer.file, value)
                    {
                        item.under = Some(Layer {
                            file: layer.file,
                            table,
                            span: name.span(),
                        });
                    }
                }
            }
        }
        found
    }

    /// The key's value as a `T`. Absent gives `None`; a wrong type or a value out of range is recorded and gives `None`.
    pub fn take<T: FromToml>(&self, key: &'static str) -> Option<T> {
        self.item(key)?.read()
    }

    /// Like [`Section::take`], but an absent key is an error.
    pub fn require<T: FromToml>(&self, key: &'static str) -> Option<T> {
        self.require_item(key)?.read()
    }

    /// Like [`Section::item`], but an absent key is an error.
    pub fn require_item(&self, key: &'static str) -> Option<Item<'a>> {
        let item = self.item(key);
        if item.is_none() {
            self.error(
                "missing-key",
                self.place(),
                format!("{} needs `{key}`", self.title()),
            );
        }
        item
    }

    /// A subtable, or `None` where it is absent; another type is an error.
    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        self.item(key)?.section()
    }

    /// The subtables of a subtable, in the file's order: the senders, the topics, the transports.
    pub fn sections(&self, key: &'static str) -> Vec<(Item<'a>, Section<'a>)> {
        let Some(parent) = self.section(key) else {
            return Vec::new();
        };
        parent
            .entries()
            .into_iter()
            .filter_map(|item| item.section().map(|section| (item, section)))
            .collect()
    }

    /// The tables of an array of tables: the `[[test]]`s.
    pub fn array_of_sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(item) = self.item(key) else {
            return Vec::new();
        };
        let Some(items) = item.elements() else {
            item.wrong_type::<()>("an array of tables");
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                let mut section = item.section()?;
                // All of them have the same name; where each begins tells them apart.
                if let Some(layer) = section.layers.last_mut() {
                    layer.span = item.value.span();
                }
                Some(section)
            })
            .collect()
    }

    /// All entries in the file's order, for tables whose keys are names: `[variables]`, `[sources.x.fields]`. No key of such
    /// a table is unknown; do not call [`Section::finish`] on it.
    pub fn entries(&self) -> Vec<Item<'a>> {
        self.keys()
            .into_iter()
            .filter_map(|key| self.find(key))
            .collect()
    }

    /// The keys of all layers, each once, in the first file's order and then in that of what overrides it.
    fn keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<&'a str> = Vec::new();
        for layer in self.layers.iter().rev() {
            for (key, _) in layer.table {
                let key: &'a str = key.get_ref();
                if self.layers.len() == 1 || !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// Refuses a key that is part of the format but whose feature this version does not have.
    pub fn not_built(&self, key: &'static str, feature: &str) {
        self.refused.borrow_mut().push(key);
        #[cfg(test)]
        asked::refuse(&self.path, key);
        if let Some(item) = self.item(key) {
            self.error(
                "not-built",
                item.name.place.clone(),
                format!("`{key}`: {feature} is not built yet"),
            );
        }
    }

    /// Records an error.
    pub fn error(&self, code: &'static str, place: Place, message: impl Into<String>) {
        self.report(Diagnostic::error(code, place, message));
    }

    /// Records a finding.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.document.push(diagnostic);
    }

    /// Whether one of the keys that were not asked for is nearly `key`: then that is what is wrong.
    pub fn has_misspelt(&self, key: &'static str) -> bool {
        let known = self.known.borrow();
        self.keys()
            .into_iter()
            .filter(|name| !known.contains(name))
            .any(|name| closest(name, known.iter().copied()) == Some(key))
    }

    /// Reports every key that was not asked for as unknown, with "did you mean".
    pub fn finish(self) {
        let known = self.known.borrow();
        let refused = self.refused.borrow();
        let usable: Vec<&str> = known
            .iter()
            .copied()
            .filter(|key| !refused.contains(key))
            .collect();
        let keys = self.layers.iter().rev().flat_map(|layer| {
            let keys = layer.table.iter();
            keys.map(|(key, _)| (layer.file, key))
        });
        for (file, key) in keys {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let place = Place::new(file, key.span());
                let message = match self.path.as_str() {
                    "" => format!("unknown key `{name}`"),
                    path => format!("unknown key `{name}` in [{path}]"),
                };
                let diagnostic = Diagnostic::error("unknown-key", place, message);
                self.document
                    .push(match closest(name, known.iter().copied()) {
                        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
                        None if usable.is_empty() => diagnostic,
                        None => diagnostic.help(format!("known here: {}", usable.join(", "))),
                    });
            }
        }
    }

    fn title(&self) -> String {
        if self.path.is_empty() {
            self.file().path().to_owned()
        } else {
            format!("[{}]", self.path)
        }
    }

    fn name_at(&self, file: &SourceFile, key: &str, span: Range<usize>) -> Name {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Name {
            key: key.to_owned(),
            path,
            place: Place::new(file, span),
        }
    }
}

/// A key with its place.
#[derive(Clone, Debug)]
pub struct Name {
    /// The key itself.
    pub key: String,
    /// The dotted path from the root.
    pub path: String,
    /// Where the key stands.
    pub place: Place,
}

/// One value with its key.
#[derive(Clone)]
pub struct Item<'a> {
    document: &'a Document,
    /// Where it stands.
    file: &'a SourceFile,
    /// Its key.
    pub name: Name,
    value: &'a Spanned<DeValue<'a>>,
    /// The table that this table overrides key by key.
    under: Option<Layer<'a>>,
}

impl<'a> Item<'a> {
    /// Where the value stands.
    pub fn place(&self) -> Place {
        Place::new(self.file, self.value.span())
    }

    /// The raw TOML value.
    pub fn value(&self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// The value as a `T`; what is wrong with it is recorded.
    pub fn read<T: FromToml>(&self) -> Option<T> {
        T::from_toml(self)
    }

    /// The value as a table, or a recorded error.
    pub fn section(&self) -> Option<Section<'a>> {
        match self.value() {
            DeValue::Table(table) => {
                let own = Layer {
                    file: self.file,
                    table,
                    span: self.name.place.span.clone(),
                };
                let layers = [own].into_iter().chain(self.under.clone()).collect();
                Some(Section::new(self.document, layers, self.name.path.clone()))
            }
            _ => self.wrong_type("a table"),
        }
    }

    /// The elements of an array, each under the array's name; `None` for any other type.
    pub fn elements(&self) -> Option<Vec<Item<'a>>> {
        match self.value() {
            DeValue::Array(array) => Some(
                array
                    .iter()
                    .map(|value| Item {
                        document: self.document,
                        file: self.file,
                        name: self.name.clone(),
                        value,
                        under: None,
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Whether the other file's table shows through this one where this one has nothing to say.
    fn is_added_to(&self, file: &SourceFile, other: &Spanned<DeValue<'a>>) -> bool {
        let is_inline = |file: &SourceFile, value: &Spanned<DeValue<'_>>| {
            let written = file.text().get(value.span());
            written.is_some_and(|written| written.starts_with('{'))
        };
        let kind = |table: &DeTable<'_>| -> Option<String> {
            match table.get("kind")?.get_ref() {
                DeValue::String(kind) => Some(kind.to_string()),
                _ => None,
            }
        };
        let (DeValue::Table(own), DeValue::Table(under)) = (self.value(), other.get_ref()) else {
            return false;
        };
        let is_another_kind = kind(own).is_some() && kind(own) != kind(under);
        !is_another_kind && !is_inline(self.file, self.value) && !is_inline(file, other)
    }

    /// Records that the value should be `expected` ("a string, such as \"30d\"") and gives `None`.
    pub fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.error(
            "wrong-type",
            format!("`{}` is {found}, expected {expected}", self.name.key),
        )
    }

    /// Records an error at the value and gives `None`.
    pub fn error<T>(&self, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.report(Diagnostic::error(code, self.place(), message))
    }

    /// Records a finding and gives `None`.
    pub fn report<T>(&self, diagnostic: Diagnostic) -> Option<T> {
        self.document.push(diagnostic);
        None
    }
}

/// A type that is read from a TOML value. An implementation records what is wrong and gives `None`.
pub trait FromToml: Sized {
    /// Reads the value.
    fn from_toml(item: &Item<'_>) -> Option<Self>;
}

impl FromToml for String {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        match item.value() {
            DeValue::String(text) => Some(text.to_string()),
            _ => item.wrong_type("a string"),
        }
    }
}

impl FromToml for bool {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        match item.value() {
            DeValue::Boolean(value) => Some(*value),
            _ => item.wrong_type("true or false"),
        }
    }
}

impl FromToml for Excerpt {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        match item.value() {
            DeValue::String(text) => Some(Excerpt::toml_string(text, item.place())),
            _ => item.wrong_type("a string"),
        }
    }
}

/// A path as written, relative to the folder of the file it stands in.
impl FromToml for PathBuf {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        let text: String = item.read()?;
        if text.is_empty() || text.contains('\0') {
            return item.error("wrong-value", format!("`{}` is not a path", item.name.key));
        }
        Some(text.into())
    }
}

/// A secret: `{ env = "NAME" }` or `{ file = "path" }`, never the secret itself.
impl FromToml for SecretRef {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        if let DeValue::String(_) = item.value() {
            return item.report(
                Diagnostic::error(
                    "secret-in-file",
                    item.place(),
                    "a secret may not stand in the file itself",
                )
                .help("write { env = \"NAME\" } or { file = \"path\" }"),
            );
        }
        let section = item.section()?;
        let (env, file) = (
            section.take::<String>("env"),
            section.take::<PathBuf>("file"),
        );
        section.finish();
        match (env, file) {
            (Some(name), None) => Some(SecretRef::Env(name)),
            (None, Some(path)) => Some(SecretRef::File(item.file.folder().join(path))),
            _ => item.error(
                "wrong-value",
                "a secret is either { env = \"NAME\" } or { file = \"path\" }",
            ),
        }
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        match item.elements() {
            Some(items) => {
                let values: Vec<Option<T>> = items.iter().map(Item::read).collect();
                values.into_iter().collect()
            }
            None => item.wrong_type("an array"),
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl FromToml for $type {
            fn from_toml(item: &Item<'_>) -> Option<Self> {
                let DeValue::Integer(digits) = item.value() else { return item.wrong_type("a whole number") };
                let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
                match number.map(|number| (number, Self::try_from(number))) {
                    Some((_, Ok(number))) => Some(number),
                    // The upper end of a wide type tells nobody anything.
                    Some((..0, _)) if Self::MIN == 0 && Self::BITS > 16 => {
                        item.error("out-of-range", format!("`{}` must be 0 or more", item.name.key))
                    }
                    _ => item.error(
                        "out-of-range",
                        format!("`{}` is not between {} and {}", item.name.key, Self::MIN, Self::MAX),
                    ),
                }
            }
        }
    )*};
}
integers!(u16, u32, u64, i64, usize);

/// Reads a string that is parsed by the type's own [`FromStr`], whose error says what is expected.
pub fn parse_string<T>(item: &Item<'_>) -> Option<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let DeValue::String(text) = item.value() else {
        // What a text must be like there, the error about one that says nothing tells.
        let expected = match "".parse::<T>() {
            Err(error) if error.to_string().starts_with("expected") => {
                format!("a string: {error}")
            }
            _ => "a string".to_owned(),
        };
        return item.wrong_type(&expected);
    };
    match text.parse() {
        Ok(value) => Some(value),
        Err(error) => item.error("wrong-value", format!("`{}`: {error}", item.name.key)),
    }
}

/// Implements [`FromToml`] for types that stand in the file as a string.
macro_rules! from_toml_string {
    ($($type:ty),* $(,)?) => {$(
        impl $crate::model::FromToml for $type {
            fn from_toml(item: &$crate::model::Item<'_>) -> Option<Self> {
                $crate::model::parse_string(item)
            }
        }
    )*};
}
pub(crate) use from_toml_string;

/// Which keys were asked for while files were read, on this thread: what the schemas are compared with.
#[cfg(test)]
pub(crate) mod asked {
    use std::{cell::RefCell, collections::BTreeSet};

    /// Tables and keys.
    #[derive(Debug, Default)]
    pub(crate) struct Asked {
        /// All that were asked for.
        pub(crate) keys: BTreeSet<(String, &'static str)>,
        /// Those that are refused as not built.
        pub(crate) refused: BTreeSet<(String, &'static str)>,
    }

    thread_local! {
        static ASKED: RefCell<Asked> = RefCell::default();
    }

    /// From now on.
    pub(crate) fn start() {
        ASKED.take();
    }

    /// Until now.
    pub(crate) fn take() -> Asked {
        ASKED.take()
    }

    pub(super) fn note(table: &str, key: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.keys.insert((table.to_owned(), key)));
    }

    pub(super) fn refuse(table: &str, key: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.refused.insert((table.to_owned(), key)));
    }
}
