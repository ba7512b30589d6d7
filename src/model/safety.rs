//! `[safety]` of the settings: what no campaign can escape.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Channel, EmailAddress, section::from_toml_string};

/// `[safety]`: whom everything is kept from, and where it goes instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safety {
    /// Nobody is written to whose address matches none of these; empty: everybody may be.
    #[serde(default)]
    pub only_to: Vec<AddressPattern>,
    /// Every message goes here instead.
    #[serde(default)]
    pub redirect_to: Option<EmailAddress>,
}

impl Safety {
    /// Whether there is anything that it keeps.
    pub fn is_on(&self) -> bool {
        *self != Self::default()
    }

    /// Whether a delivery to an address, in its normalized form, may leave.
    pub fn allows(&self, channel: Channel, normalized: &str) -> bool {
        match channel {
            Channel::Email => {
                self.only_to.is_empty() || self.only_to.iter().any(|one| one.matches(normalized))
            }
            // Patterns are of email addresses, and so is where it goes instead.
            Channel::Sms | Channel::Letter => !self.is_on(),
        }
    }

    /// What it does, a line each.
    pub fn in_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if !self.only_to.is_empty() {
            let patterns: Vec<_> = self.only_to.iter().map(AddressPattern::as_str).collect();
            words.push(format!("only {} gets anything", patterns.join(", ")));
        }
        if let Some(to) = &self.redirect_to {
            words.push(format!("every message goes to {to} instead"));
        }
        words
    }
}

/// A pattern of email addresses: `*@acme.example`, `qa+*@acme.example`. `*` stands for any characters but `@`, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressPattern(String);

impl AddressPattern {
    /// The pattern, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a normalized address is of this pattern.
    pub fn matches(&self, normalized: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let address: Vec<char> = normalized.chars().collect();
        let (mut at, mut of) = (0, 0);
        // Where to go on from when what follows the last star does not fit: one character further.
        let mut star: Option<(usize, usize)> = None;
        while at < address.len() {
            match pattern.get(of) {
                Some('*') => {
                    star = Some((of, at));
                    of += 1;
                }
                Some('?') if address[at] != '@' => (at, of) = (at + 1, of + 1),
                Some(c) if *c == address[at] => (at, of) = (at + 1, of + 1),
                _ => match star {
                    Some((of_star, from)) if address[from] != '@' => {
                        star = Some((of_star, from + 1));
                        (at, of) = (from + 1, of_star + 1);
                    }
                    _ => return false,
                },
            }
        }
        pattern[of..].iter().all(|c| *c == '*')
    }
}

impl FromStr for AddressPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            Err(format!(
                "{text:?} is not a pattern of addresses: {what}, as in \"*@acme.example\""
            ))
        };
        match text.trim().split_once('@') {
            None => wrong("it needs an @"),
            Some((local, domain)) if local.is_empty() || domain.is_empty() => {
                wrong("something must stand on both sides of the @")
            }
            Some((_, domain)) if domain.contains('@') => wrong("it may have one @"),
            _ if text
                .trim()
                .contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>".contains(c)) =>
            {
                wrong("one pattern is expected")
            }
            _ => Ok(Self(text.trim().to_lowercase())),
        }
    }
}

impl TryFrom<String> for AddressPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AddressPattern> for String {
    fn from(pattern: AddressPattern) -> String {
        pattern.0
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

from_toml_string!(AddressPattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        pattern.parse::<AddressPattern>().unwrap().matches(address)
    }

    #[test]
    fn a_star_stands_for_anything_on_its_side_of_the_at() {
        for (pattern, address) in [
            ("*@acme.example", "ada@acme.example"),
            ("*@ACME.example", "ada@acme.example"),
            ("qa+*@acme.example", "qa+@acme.example"),
            ("*+*@*.example", "a+b+c@acme.example"),
            ("q?@acme.example", "qa@acme.example"),
            ("qa@acme.example", "qa@acme.example"),
            ("*@*", "a@b.c"),
        ] {
            assert!(matches(pattern, address), "{pattern} {address}");
        }
        for (pattern, address) in [
            ("*@acme.example", "ada@notacme.example"),
            ("*@acme.example", "ada@acme.example.org"),
            ("*@acme.example", "ada@mail.acme.example"),
            ("*@acme.example", "\"a@acme.example\"@example.org"),
            ("q?@acme.example", "q@acme.example"),
            ("qa@acme.example", "aqa@acme.example"),
            ("*a@acme.example", "b@acme.example"),
            ("*@acme.example", "@"),
        ] {
            assert!(!matches(pattern, address), "{pattern} {address}");
        }
    }

    #[test]
    fn what_matches_nobody_is_no_pattern() {
        for wrong in [
            "",
            "*",
            "acme.example",
            "@acme.example",
            "ada@",
            "a@b@c",
            "a@b.c, d@e.f",
        ] {
            assert!(wrong.parse::<AddressPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_can_not_be_redirected_does_not_leave() {
        let safety = Safety {
            only_to: Vec::new(),
            redirect_to: Some("qa@acme.example".parse().unwrap()),
        };
        assert!(safety.allows(Channel::Email, "ada@example.org"));
        assert!(!safety.allows(Channel::Sms, "+491701234567"));
        assert!(Safety::default().allows(Channel::Sms, "+491701234567"));
    }

    proptest::proptest! {
        #[test]
        fn a_pattern_without_wildcards_matches_itself_only(
            one in "[a-c]{1,3}@[a-c]{1,3}", other in "[a-c]{1,3}@[a-c]{1,3}",
        ) {
            proptest::prop_assert!(matches(&one, &one));
            proptest::prop_assert_eq!(matches(&one, &other), one == other);
        }
    }
}
