//! Addresses in what machines read and logs keep: masked, unless asked for.

use crate::model::{EmailAddress, mask};

/// The text with each email address in it masked.
pub(in crate::cli) fn words(text: &str) -> String {
    if !text.contains('@') {
        return text.to_owned();
    }
    let outside = |c: char| c.is_whitespace() || "<>()[]{}\"',;:|=".contains(c);
    text.split_inclusive(outside)
        .map(|part| {
            let (word, end) = match part.char_indices().next_back() {
                Some((at, last)) if outside(last) => part.split_at(at),
                _ => (part, ""),
            };
            match word.split_once('@') {
                Some((local, domain))
                    if !local.is_empty() && !domain.is_empty() && !is_file(domain) =>
                {
                    format!("{}{end}", mask(word))
                }
                _ => part.to_owned(),
            }
        })
        .collect()
}

/// Whether what looks like a domain is the rest of a file's name: the outbox calls its files after Message-IDs.
fn is_file(domain: &str) -> bool {
    domain
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending == "eml")
}

/// A recipient's key, masked where it is an address itself.
pub(in crate::cli) fn key(key: &str) -> String {
    match key.parse::<EmailAddress>() {
        Ok(address) => address.masked(),
        Err(_) => key.to_owned(),
    }
}

/// Every string in a JSON value, masked.
pub(in crate::cli) fn json(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = words(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(json),
        serde_json::Value::Object(map) => map.values_mut().for_each(json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_in_words_are_masked() {
        for (text, masked) in [
            ("ada@example.org", "a…@example.org"),
            (
                "550 5.1.1 <ada.king@example.org>: Recipient address rejected",
                "550 5.1.1 <a…@example.org>: Recipient address rejected",
            ),
            ("mailto:a@b.de,c@d.ef", "mailto:a…@b.de,c…@d.ef"),
            ("at 5 @ noon", "at 5 @ noon"),
            ("wrote 0f15@acme.example.eml", "wrote 0f15@acme.example.eml"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(words(text), masked);
        }
        assert_eq!(key("A100"), "A100");
        assert_eq!(key("ada@example.org"), "a…@example.org");
    }

    proptest! {
        #[test]
        fn no_address_survives(before in "[a-z <>:,]{0,8}", local in "[a-z.]{2,9}", after in "[ <>:,]?[a-z ]{0,5}") {
            let text = format!("{before} {local}@example.org{after}");
            let full = format!("{local}@example.org");
            prop_assert!(!words(&text).contains(&full));
        }

        #[test]
        fn any_text_is_read(text in ".{0,60}") {
            words(&text);
        }
    }
}
