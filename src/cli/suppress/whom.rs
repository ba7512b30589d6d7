//! Whom a suppression is about, as it is typed.

use std::str::FromStr;

use crate::{
    control::SuppressionTarget,
    model::{EmailAddress, SourceName, SuppressionReason, TopicName},
};

/// Addresses and recipients on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct Whom {
    /// Email addresses
    #[arg(value_name = "ADDRESS", required_unless_present = "keys")]
    addresses: Vec<EmailAddress>,
    /// Recipients, whatever their address: the source's name and the key in it
    #[arg(long = "key", value_name = "SOURCE:KEY")]
    keys: Vec<SourceKey>,
    /// Only this topic; everything if not given
    #[arg(long, value_name = "TOPIC")]
    topic: Option<TopicName>,
}

impl Whom {
    /// What the engine is asked to change.
    pub(super) fn targets(self, reason: SuppressionReason) -> Vec<SuppressionTarget> {
        let addresses = self
            .addresses
            .into_iter()
            .map(|address| (address.as_str().to_owned(), None));
        let keys = self
            .keys
            .into_iter()
            .map(|SourceKey { source, key }| (key, Some(source)));
        addresses
            .chain(keys)
            .map(|(text, source)| SuppressionTarget {
                text,
                source,
                topic: self.topic.clone(),
                reason,
                origin: "cli".to_owned(),
                at: None,
            })
            .collect()
    }
}

/// A recipient: `SOURCE:KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct SourceKey {
    /// The source.
    pub(in crate::cli) source: SourceName,
    /// The key in it.
    pub(in crate::cli) key: String,
}

impl FromStr for SourceKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((source, key)) if !key.is_empty() => Ok(Self {
                source: source
                    .parse()
                    .map_err(|error| format!("{source:?} is not a source's name: {error}"))?,
                key: key.to_owned(),
            }),
            _ => Err("expected SOURCE:KEY, such as customers:A100".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_is_named_by_source_and_key() {
        let found: SourceKey = "customers:A:1".parse().unwrap();
        assert_eq!(
            (found.source.as_str(), found.key.as_str()),
            ("customers", "A:1")
        );
        for text in ["A1", "customers:", ":A1", "a/b:A1"] {
            assert!(text.parse::<SourceKey>().is_err(), "{text}");
        }
    }
}
