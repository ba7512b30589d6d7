//! Header values: encoded words for what is not ASCII (RFC 2047), folded (RFC 5322 §2.2.3), and never a line break from data.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The longest line that a header should have (RFC 5322 §2.1.1).
const LINE: usize = 78;
/// The longest encoded word (RFC 2047 §2).
const WORD: usize = 75;
/// The most bytes a subject may have.
pub(super) const MAX_SUBJECT: usize = 4096;

/// Why a text can't be a subject, or any other value of a header.
pub(super) fn refuse_controls(text: &str, what: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some('\r' | '\n') => Err(format!("line break in {what}")),
        Some(other) => Err(format!(
            "control character {} in {what}",
            other.escape_unicode()
        )),
    }
}

/// Appends unstructured text (RFC 5322 §2.2.1) that has no control characters. `column` is where it starts in its line.
pub(super) fn push_unstructured(text: &str, column: usize, out: &mut Vec<u8>) {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.contains("=?")
        // Folding would lose spaces at the ends, and can't help a word that is too long.
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.split(' ').enumerate().all(|(at, word)| {
            word.len() < if at == 0 { LINE - column } else { LINE }
        });
    if !plain {
        return push_encoded(text, column, out);
    }
    if column + text.len() <= LINE {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut column = column;
    let mut rest = text;
    while !rest.is_empty() {
        // A word with the spaces before it; a line may break before these and never consists of spaces only.
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = rest[spaces..]
            .find(' ')
            .map_or(rest.len(), |at| spaces + at);
        if column + end > LINE && spaces > 0 {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.extend_from_slice(&rest.as_bytes()[..end]);
        column += end;
        rest = &rest[end..];
    }
}

/// Appends text as encoded words: as quoted-printable where most of it is ASCII, else as base64.
fn push_encoded(text: &str, column: usize, out: &mut Vec<u8>) {
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"!*+-/ ".contains(&byte);
    let escaped = text.bytes().filter(|byte| !literal(*byte)).count();
    let quoted = text.len() + 2 * escaped <= text.len() * 4 / 3 + 4;
    let (open, close) = if quoted {
        ("=?utf-8?q?", "?=")
    } else {
        ("=?utf-8?b?", "?=")
    };
    let mut column = column;
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        if !first {
            out.extend_from_slice(b"\r\n ");
            column = 1;
        }
        first = false;
        let room = WORD
            .min(LINE - column)
            .saturating_sub(open.len() + close.len());
        // The characters that fit, at least one: an encoded word may not cut one in two.
        let mut end = 0;
        let mut width = 0;
        for (at, character) in rest.char_indices() {
            let bytes = character.len_utf8();
            width += match quoted {
                true if bytes == 1 && literal(rest.as_bytes()[at]) => 1,
                true => 3 * bytes,
                false => bytes,
            };
            let taken = if quoted { width } else { width.div_ceil(3) * 4 };
            if taken > room && end > 0 {
                break;
            }
            end = at + bytes;
        }
        let (word, behind) = rest.split_at(end);
        out.extend_from_slice(open.as_bytes());
        if quoted {
            for byte in word.bytes() {
                match byte {
                    b' ' => out.push(b'_'),
                    byte if literal(byte) => out.push(byte),
                    byte => out.extend_from_slice(format!("={byte:02X}").as_bytes()),
                }
            }
        } else {
            out.extend_from_slice(STANDARD.encode(word).as_bytes());
        }
        out.extend_from_slice(close.as_bytes());
        rest = behind;
    }
}

/// A name before an address or a list's id (RFC 5322 §3.2.5, `phrase`).
pub(super) fn phrase(text: &str, column: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    let mut out = Vec::new();
    let short = text.len() + 2 < LINE - column;
    if short
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
    {
        out.extend_from_slice(text.trim().as_bytes());
    } else if short && text.is_ascii() && !text.contains("=?") {
        out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        push_encoded(&text, column, &mut out);
    }
    String::from_utf8(out).expect("encoded words are ASCII")
}

/// Text for a place that takes a token: what is not a letter, a digit or one of `-_./` becomes `-`.
pub(super) fn token(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_./".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(text: &str) -> String {
        let mut out = b"Subject: ".to_vec();
        push_unstructured(text, out.len(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn decoded(header: &str) -> String {
        let mut text = String::new();
        let mut bytes = Vec::new();
        let mut words = false;
        for line in header.split("\r\n") {
            assert!(line.len() <= 78, "{line}");
            assert!(!line.trim().is_empty(), "{header:?}");
            let line = line.strip_prefix("Subject: ").unwrap_or(line);
            let encoded = line.trim_start().strip_prefix("=?utf-8?");
            match encoded.and_then(|word| word.strip_suffix("?=")) {
                None => text.push_str(line),
                Some(word) => {
                    words = true;
                    assert!(line.trim_start().len() <= 75, "{line}");
                    let (form, word) = word.split_at(2);
                    let mut part = Vec::new();
                    if form == "b?" {
                        part = STANDARD.decode(word).unwrap();
                    } else {
                        let mut rest = word.bytes();
                        while let Some(byte) = rest.next() {
                            part.push(match byte {
                                b'_' => b' ',
                                b'=' => {
                                    let pair = [rest.next().unwrap(), rest.next().unwrap()];
                                    u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16)
                                        .unwrap()
                                }
                                other => other,
                            });
                        }
                    }
                    // No character is cut in two.
                    assert!(std::str::from_utf8(&part).is_ok(), "{header}");
                    bytes.extend(part);
                }
            }
        }
        if words {
            String::from_utf8(bytes).unwrap()
        } else {
            text
        }
    }

    #[test]
    fn short_ascii_stays_as_it_is() {
        assert_eq!(
            subject("Your plan renews on 2026-12-12"),
            "Subject: Your plan renews on 2026-12-12"
        );
        assert_eq!(subject("Grüße"), "Subject: =?utf-8?b?R3LDvMOfZQ==?=");
        assert_eq!(
            subject("=?utf-8?q?no?="),
            "Subject: =?utf-8?b?PT91dGYtOD9xP25vPz0=?="
        );
    }

    #[test]
    fn line_breaks_and_controls_are_refused() {
        assert_eq!(
            refuse_controls("a\r\nBcc: x", "subject"),
            Err("line break in subject".to_owned())
        );
        assert!(refuse_controls("a\0", "subject").is_err());
        assert!(refuse_controls("é🎉", "subject").is_ok());
    }

    #[test]
    fn names_are_quoted_or_encoded() {
        assert_eq!(phrase("Billing notices", 9), "Billing notices");
        assert_eq!(phrase("Acme, \"Inc\"", 9), r#""Acme, \"Inc\"""#);
        assert_eq!(phrase("a\r\nBcc: é", 9), "=?utf-8?q?aBcc=3A_=C3=A9?=");
    }

    proptest! {
        #[test]
        fn every_subject_decodes_to_itself(text in "(\\PC| |[a-z]{1,90}|=\\?){1,80}") {
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            prop_assert_eq!(decoded(&subject(&text)), text);
        }
    }
}
