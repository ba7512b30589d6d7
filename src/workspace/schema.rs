//! JSON Schemas of the files people write, for their editors: what keys there are, what they mean, what they may be. What a
//! schema can't say (that a topic is declared, that a condition checks) is what `check` is for.
//!
//! Draft 7, which every TOML editor reads. A test reads a file that has every table there is and compares the keys that the
//! parser asks for with those that stand here: neither may have one more.

mod campaign;
mod settings;
mod shape;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

/// One of the files people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `campanile.toml`.
    Settings,
    /// `campanile.ENV.toml`: the same keys, and none of them has to be there.
    Environment,
    /// `campaigns/**/*.toml`.
    Campaign,
}

impl Schema {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Settings, Self::Environment, Self::Campaign];

    /// Its name: `settings`, `environment` or `campaign`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Environment => "environment",
            Self::Campaign => "campaign",
        }
    }

    /// What its file is called.
    pub fn file_name(self) -> String {
        format!("{}.schema.json", self.name())
    }

    /// The schema.
    pub fn to_json(self) -> Value {
        let (title, shape) = match self {
            Self::Settings => ("Settings of a Campanile workspace", settings::shape()),
            Self::Environment => {
                let title = "What an environment of a Campanile workspace has of its own";
                (title, shape::partial(settings::shape()))
            }
            Self::Campaign => ("A Campanile campaign", campaign::shape()),
        };
        let mut schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": title,
        });
        if let (Some(schema), Value::Object(shape)) = (schema.as_object_mut(), shape) {
            schema.extend(shape);
        }
        schema
    }
}
