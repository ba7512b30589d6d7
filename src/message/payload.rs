//! What is frozen with a delivery: the values its message needs, by the names of the run's layout.

use std::sync::Arc;

use crate::model::{Recipient, Value};

use super::Needs;

/// The name under which the recipient's language is frozen: no field and no variable can have it.
pub const LOCALE: &str = "@locale";

/// The names of the values in each payload of a run: `r.name` for a field, `first_name` for a variable. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Layout(Arc<[String]>);

impl Layout {
    /// Fields and variables that `needs` names, in a stable order. `columns` are all fields, `variables` all variables.
    pub fn new<'a>(
        needs: &Needs,
        columns: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let fields = columns
            .into_iter()
            .filter(|name| {
                needs
                    .fields
                    .as_ref()
                    .is_none_or(|fields| fields.contains(*name))
            })
            .map(|name| format!("r.{name}"));
        let variables = variables
            .into_iter()
            .filter(|name| needs.variables.contains(*name))
            .map(ToOwned::to_owned);
        let locale = needs.locale.then(|| LOCALE.to_owned());
        Self(fields.chain(variables).chain(locale).collect())
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The values of a recipient in the layout's order; a field or variable that is not there is [`Value::Empty`].
    pub fn values(&self, recipient: &Recipient, variables: &[(&str, &Value)]) -> Vec<Value> {
        self.0
            .iter()
            .map(|name| match name.strip_prefix("r.") {
                None if name == LOCALE => recipient
                    .role(|roles| &roles.locale)
                    .map(|locale| locale.as_str().into())
                    .unwrap_or_default(),
                Some(field) => recipient.get(field).cloned().unwrap_or_default(),
                None => variables
                    .iter()
                    .find(|(variable, _)| variable == name)
                    .map(|(_, value)| (*value).clone())
                    .unwrap_or_default(),
            })
            .collect()
    }

    /// The layout as the store keeps it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(&self.0).expect("a list of strings is JSON")
    }

    /// The layout from what the store kept.
    pub fn from_text(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| format!("the layout of a run is damaged: {error}"))
    }
}

/// The first byte of every payload: the form of what follows.
const VERSION: u8 = 1;

/// The values as bytes (postcard behind a version byte).
pub fn encode(values: &[Value]) -> Vec<u8> {
    postcard::to_extend(values, vec![VERSION]).expect("values have no type that postcard refuses")
}

/// The values from bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Value>, String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|error| format!("a payload is damaged: {error}"))
        }
        Some((version, _)) => Err(format!("a payload has the unknown form {version}")),
        None => Err("a payload is empty".to_owned()),
    }
}
