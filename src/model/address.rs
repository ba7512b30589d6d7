//! Email addresses and mailboxes.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::section::from_toml_string;

/// A valid email address (RFC 5321 §4.1.2, RFC 6531), trimmed, its domain in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(Arc<str>);

impl EmailAddress {
    /// The address as written, its domain in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address as servers without SMTPUTF8 know it: its domain in ASCII (RFC 5890, `xn--…`), its local part as it is.
    pub fn with_ascii_domain(&self) -> Result<Self, String> {
        if self.domain().is_ascii() {
            return Ok(self.clone());
        }
        let (local, domain) = self.0.rsplit_once('@').unwrap_or_default();
        match idna::domain_to_ascii(domain) {
            Ok(domain) => Ok(Self(format!("{local}@{domain}").into())),
            Err(_) => Err(format!(
                "the domain of {} has no form in ASCII",
                self.masked()
            )),
        }
    }

    /// The form two spellings of one mailbox share: all in lower case.
    pub fn normalized(&self) -> String {
        self.0.to_lowercase()
    }

    /// `a…@example.org`: for logs, JSON and Markdown.
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// An address as logs show it: the first character and the domain of an email address, the first two characters of any other.
pub fn mask(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{}…@{domain}", local.chars().take(1).collect::<String>()),
        None => format!("{}…", address.chars().take(2).collect::<String>()),
    }
}

impl FromStr for EmailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let invalid = |why: &str| Err(format!("{text:?} is not an email address: {why}"));
        if text.contains([',', ';', '<', '>']) || text.matches('@').count() > 1 {
            return invalid("one address is expected");
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return invalid("it has no @");
        };
        if text.len() > 254 || local.len() > 64 {
            return invalid("it is too long");
        }
        if !domain.contains('.') || domain.split('.').any(|label| label.len() > 63) {
            return invalid("its domain is not one");
        }
        if text.contains(char::is_control) {
            return invalid("it has a control character");
        }
        match lettre::Address::new(local, domain) {
            Ok(_) => Ok(Self(format!("{local}@{}", domain.to_lowercase()).into())),
            Err(error) => invalid(&error.to_string().to_lowercase()),
        }
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> String {
        address.0.as_ref().to_owned()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Masked: debug output ends up in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// A name and an address: `Acme Energy <news@acme.example>`, or the address alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// The display name, where there is one.
    pub name: Option<String>,
    /// The address.
    pub address: EmailAddress,
}

impl FromStr for Mailbox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(char::is_control) {
            return Err("a mailbox may not have control characters".to_owned());
        }
        match text
            .trim()
            .strip_suffix('>')
            .and_then(|rest| rest.rsplit_once('<'))
        {
            Some((name, address)) => {
                let name = name.trim().trim_matches('"').trim();
                Ok(Self {
                    name: (!name.is_empty()).then(|| name.to_owned()),
                    address: address.parse()?,
                })
            }
            None => Ok(Self {
                name: None,
                address: text.parse()?,
            }),
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

from_toml_string!(EmailAddress, Mailbox);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_when_they_are_made() {
        for good in [
            "a@example.org",
            " Ada.King+x@Example.ORG ",
            "jürgen@müller.example",
            "o'hara@example.org",
        ] {
            assert!(good.parse::<EmailAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "a@@b.c",
            "a b@c.de",
            "a@b.c, d@e.f",
            "a@b.c\r\nBcc: x@y.z",
            "<a@b.de>",
            "@b.de",
        ] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
        assert_eq!(
            "Ada@Example.ORG".parse::<EmailAddress>().unwrap().as_str(),
            "Ada@example.org"
        );
        assert_eq!(
            format!("{:?}", "ada@example.org".parse::<EmailAddress>().unwrap()),
            "a…@example.org"
        );
    }

    #[test]
    fn a_domain_has_a_form_in_ascii() {
        let address: EmailAddress = "jürgen@müller.example".parse().unwrap();
        assert_eq!(
            address.with_ascii_domain().unwrap().as_str(),
            "jürgen@xn--mller-kva.example"
        );
    }

    #[test]
    fn mailboxes_have_a_name_or_none() {
        let mailbox: Mailbox = "\"Acme, Energy\" <news@acme.example>".parse().unwrap();
        assert_eq!(mailbox.name.as_deref(), Some("Acme, Energy"));
        assert!("Acme <x>".parse::<Mailbox>().is_err());
    }
}
