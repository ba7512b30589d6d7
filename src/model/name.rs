//! The names things have in the files: campaigns, topics, sources, transports, senders.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::section::from_toml_string;

/// Why a text is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing is there.
    #[error("a name may not be empty")]
    Empty,
    /// More than 200 bytes.
    #[error("a name may have at most 200 bytes")]
    TooLong,
    /// A character that a name may not have.
    #[error("{0:?} may not stand in a name: letters, digits, `-`, `_` and `.` may")]
    Character(char),
    /// An empty part, `.` or `..` between slashes.
    #[error("the parts between slashes may not be empty, `.` or `..`")]
    Part,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident ($slash:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                validate(text, $slash).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        from_toml_string!($name);
    )*};
}

names! {
    /// A campaign's id: its path under `campaigns/` without `.toml` (`billing/renewal`), or what its `id =` says.
    CampaignId(true);
    /// A topic: what a recipient unsubscribes from.
    TopicName(false);
    /// A source of recipients.
    SourceName(false);
    /// A configured way out for a channel.
    TransportName(false);
    /// Who is writing.
    SenderName(false);
    /// A set of settings that override the others: `staging` for `campanile.staging.toml`.
    EnvironmentName(false);
}

fn validate(text: &str, slash: bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > 200 {
        return Err(NameError::TooLong);
    }
    let allowed = |c: char| {
        c.is_alphanumeric() || matches!(c, '-' | '_' | '.') || (slash && matches!(c, '/' | ' '))
    };
    if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        return Err(NameError::Character(bad));
    }
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(NameError::Part);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked_when_it_is_made() {
        assert!("billing/renewal".parse::<CampaignId>().is_ok());
        assert_eq!("billing/../x".parse::<CampaignId>(), Err(NameError::Part));
        assert_eq!("a/b".parse::<TopicName>(), Err(NameError::Character('/')));
        assert_eq!("".parse::<TopicName>(), Err(NameError::Empty));
        assert_eq!(
            "a\nb".parse::<CampaignId>(),
            Err(NameError::Character('\n'))
        );
    }
}
