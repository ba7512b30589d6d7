//! `dkim` of a sender: which keys sign its mail.

use crate::model::{Diagnostic, FromToml, Item, Mailbox, SecretRef};

/// A key that signs a sender's mail (RFC 6376).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimSettings {
    /// The domain that vouches for the mail, in ASCII.
    pub domain: String,
    /// The public key lies in the DNS at `selector._domainkey.domain`.
    pub selector: String,
    /// The private key, in PEM: RSA or Ed25519.
    pub key: SecretRef,
}

impl FromToml for DkimSettings {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        let section = item.section()?;
        let domain = section.require_item("domain").and_then(|item| name(&item));
        let selector = section
            .require_item("selector")
            .and_then(|item| name(&item));
        let key = section.require("key");
        section.finish();
        Some(Self {
            domain: domain?,
            selector: selector?,
            key: key?,
        })
    }
}

/// A name in the DNS, in ASCII.
fn name(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let ascii = idna::domain_to_ascii(&text).unwrap_or_default();
    let label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(allowed)
    };
    if ascii.len() <= 253 && ascii.split('.').all(label) {
        return Some(ascii);
    }
    let example = match item.name.key.as_str() {
        "domain" => "acme.example",
        _ => "s1",
    };
    item.error(
        "wrong-value",
        format!(
            "`{}`: {text:?} is not a name in the DNS such as \"{example}\"",
            item.name.key
        ),
    )
}

/// The keys of a sender: one table, or a list of them. A message carries a signature of each.
pub(super) fn read(item: &Item<'_>, from: Option<&Mailbox>) -> Option<Vec<DkimSettings>> {
    let keys: Vec<DkimSettings> = match item.elements() {
        Some(items) => items.iter().map(Item::read).collect::<Option<_>>()?,
        None => vec![item.read()?],
    };
    for (at, key) in keys.iter().enumerate() {
        let same =
            |other: &&DkimSettings| other.domain == key.domain && other.selector == key.selector;
        if keys[..at].iter().any(|other| same(&other)) {
            return item.error(
                "duplicate",
                format!(
                    "`dkim` names the key {} of {} twice",
                    key.selector, key.domain
                ),
            );
        }
    }
    let written = from.and_then(|from| from.address.with_ascii_domain().ok());
    let aligned = |key: &DkimSettings| {
        written.as_ref().is_none_or(|from| {
            let domain = from.domain();
            domain == key.domain || domain.ends_with(&format!(".{}", key.domain))
        })
    };
    if !keys.iter().any(aligned) {
        item.report::<()>(
            Diagnostic::warning(
                "dkim-domain",
                item.place(),
                "no key signs for the domain of `from`: receivers that ask for DMARC will not count it",
            )
            .help("sign with a key of the domain that stands in `from`"),
        );
    }
    Some(keys)
}
