//! Numbers, times and strangers' words as people read them.

use std::fmt::Display;

use chrono::{DateTime, FixedOffset, Utc};

use crate::model::EffectCounts;

/// `1,234,567`
pub(in crate::cli) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 campaign`, `3 campaigns`
pub(in crate::cli) fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(n), if n == 1 { "" } else { "s" })
}

/// `cooldown 5, unsubscribed 1,200`
pub(in crate::cli) fn by_name<K: Display>(counts: impl IntoIterator<Item = (K, u64)>) -> String {
    let parts: Vec<_> = counts
        .into_iter()
        .map(|(name, n)| format!("{name} {}", thousands(n)))
        .collect();
    parts.join(", ")
}

/// `2026-12-01 09:00:00 UTC`
pub(in crate::cli) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-12-01 09:00 +01:00`
pub(in crate::cli) fn zoned(at: DateTime<FixedOffset>) -> String {
    at.format("%Y-%m-%d %H:%M %:z").to_string()
}

/// A stranger's words with what a terminal would obey made visible: control characters, and those that turn the direction of
/// text. Line breaks and tabs stay.
pub(in crate::cli) fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let obeyed = (c.is_control() && !matches!(c, '\n' | '\t'))
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            let (escaped, plain) = if obeyed {
                (Some(c.escape_default()), None)
            } else {
                (None, Some(c))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// What follows deliveries: `12 wait, 1 given up (it answered 503 Service Unavailable)`.
pub(in crate::cli) fn effects_in_words(effects: &EffectCounts) -> String {
    let part = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", thousands(n)));
    let parts = [
        part(effects.waiting, "wait"),
        part(effects.failed, "given up"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match &effects.words {
        Some(words) => format!("{} ({words})", parts.join(", ")),
        None => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        let all: Vec<_> = [0, 12, 999, 1_000, 1_234_567].map(thousands).to_vec();
        assert_eq!(all, ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!(plural(1, "campaign"), "1 campaign");
        assert_eq!(plural(2_000, "run"), "2,000 runs");
        assert_eq!(by_name([("a", 1), ("b", 2_000)]), "a 1, b 2,000");
    }

    #[test]
    fn times_have_their_zone() {
        assert_eq!(
            moment("2026-12-01T09:00:05Z".parse().unwrap()),
            "2026-12-01 09:00:05 UTC"
        );
        assert_eq!(
            zoned("2026-12-01T09:00:05+01:00".parse().unwrap()),
            "2026-12-01 09:00 +01:00"
        );
    }

    #[test]
    fn nobody_steers_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[2Jb\r\u{202e}c\n"),
            "a\\u{1b}[2Jb\\r\\u{202e}c\n"
        );
        assert_eq!(clean("Zoë 漢字\t✉"), "Zoë 漢字\t✉");
    }
}
