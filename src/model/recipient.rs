//! Recipients: rows of a source, with typed fields and roles for the columns that are addresses.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{SourceName, Value, section::from_toml_string};

/// The type of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text; an empty cell is the empty text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// An exact decimal number.
    Decimal,
    /// `true`/`false`, `yes`/`no`, `1`/`0`.
    Boolean,
    /// A calendar date.
    Date,
    /// A moment with an offset.
    Datetime,
    /// Texts separated by commas or semicolons; an empty cell is the empty list.
    List,
    /// Whatever type each value has: for sources whose values have types.
    Any,
}

impl FieldType {
    /// All types.
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Integer,
        Self::Decimal,
        Self::Boolean,
        Self::Date,
        Self::Datetime,
        Self::List,
        Self::Any,
    ];

    /// The type's name in the files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::List => "list",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FieldType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("expected one of string, integer, decimal, boolean, date, datetime, list, any")
    }
}

from_toml_string!(FieldType);

/// Which columns have a meaning to the engine. Names of columns, as the settings give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The stable identity of a recipient.
    pub key: String,
    /// The email address.
    pub email: Option<String>,
    /// The mobile phone number.
    pub phone: Option<String>,
    /// The postal address.
    pub postal: Option<String>,
    /// The language, as a BCP 47 tag.
    pub locale: Option<String>,
    /// The IANA time zone.
    pub timezone: Option<String>,
    /// The channel the recipient prefers.
    pub preferred_channel: Option<String>,
}

impl Roles {
    /// The columns that have a role, the key first.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let optional = [
            &self.email,
            &self.phone,
            &self.postal,
            &self.locale,
            &self.timezone,
            &self.preferred_channel,
        ];
        std::iter::once(self.key.as_str())
            .chain(optional.into_iter().filter_map(|role| role.as_deref()))
    }
}

/// The columns of a source, as of one look at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Name and type, in the source's order.
    pub columns: Vec<(String, FieldType)>,
    /// Which of them have a meaning.
    pub roles: Roles,
}

impl Schema {
    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column == name)
    }

    /// The columns' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }
}

/// One row of a source. `values` has one value for each of the schema's columns.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Where it comes from.
    pub source: SourceName,
    /// The columns.
    pub schema: Arc<Schema>,
    /// The stable identity within the source; never empty.
    pub key: String,
    /// One value a column.
    pub values: Vec<Value>,
}

impl Recipient {
    /// A row of a program's own source: one value for each of the schema's columns. Its source gets its name where the program
    /// adds it.
    pub fn new(schema: &Arc<Schema>, key: impl Into<String>, values: Vec<Value>) -> Self {
        Self {
            source: "unnamed".parse().expect("it is a name"),
            schema: Arc::clone(schema),
            key: key.into(),
            values,
        }
    }

    /// The value of a column; `None` where the source has no such column.
    pub fn get(&self, column: &str) -> Option<&Value> {
        self.schema.position(column).map(|at| &self.values[at])
    }

    /// The text of a role's column (`|roles| &roles.email`), trimmed; `None` where there is no such role or the cell is empty.
    pub fn role(&self, role: impl Fn(&Roles) -> &Option<String>) -> Option<String> {
        let text = self.get(role(&self.schema.roles).as_deref()?)?.to_string();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// A row that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRow {
    /// The line it starts at, from 1, or its number where the source has no lines.
    pub line: u64,
    /// Its key, where that could be read.
    pub key: Option<String>,
    /// The column that is wrong, where one is.
    pub column: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// `line 12, column "balance": …`
impl fmt::Display for InvalidRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.message)
    }
}
