//! The headers of a message as people read them: unfolded, encoded words decoded (RFC 2047).

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Name and value of each header, in order.
pub(super) fn headers(message: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(message);
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            if let Some((_, value)) = found.last_mut() {
                value.push(' ');
                value.push_str(more.trim_start());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            found.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    for (_, value) in &mut found {
        *value = decode(value);
    }
    found
}

/// The text with its encoded words decoded. White space between two of them is not part of the text (§6.2).
fn decode(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, word) = rest.split_at(start);
        if !(after_word && before.trim().is_empty()) {
            text.push_str(before);
        }
        if let Some((decoded, length)) = encoded_word(word) {
            text.push_str(&decoded);
            rest = &word[length..];
            after_word = true;
        } else {
            text.push_str("=?");
            rest = &word[2..];
            after_word = false;
        }
    }
    text + rest
}

/// The encoded word that `text` begins with, decoded, and its length. Only UTF-8 is written by us.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = rest.find("?=")?;
    let content = &rest[..end];
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(content).ok()?,
        "Q" | "q" => quoted(content)?,
        _ => return None,
    };
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + end + 2;
    Some((String::from_utf8_lossy(&bytes).into_owned(), length))
}

fn quoted(content: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(content.len());
    let mut rest = content.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        bytes.push(match first {
            b'_' => b' ',
            b'=' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encoded_words_are_decoded() {
        for (value, text) in [
            ("plain <a@b.de>", "plain <a@b.de>"),
            ("=?utf-8?B?WsO8cmljaA==?= <a@b.de>", "Zürich <a@b.de>"),
            (
                "=?UTF-8?q?Gr=C3=BC=C3=9Fe_an?= =?utf-8?b?IGFsbGU=?= x",
                "Grüße an alle x",
            ),
            ("=?iso-8859-1?Q?=FC?= y", "=?iso-8859-1?Q?=FC?= y"),
            ("=?utf-8?Q?=Zx?=", "=?utf-8?Q?=Zx?="),
            ("a =? b", "a =? b"),
        ] {
            assert_eq!(decode(value), text);
        }
    }

    #[test]
    fn folded_lines_are_one_and_the_body_is_none() {
        let found = headers(b"A: 1\r\nList: <x>,\r\n <y>\r\n\r\nB: 2");
        assert_eq!(
            found,
            [
                ("A".to_owned(), "1".to_owned()),
                ("List".to_owned(), "<x>, <y>".to_owned())
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, text in "(=\\?utf-8\\?[qQbB]\\?[=_A-Fa-f0-9]{0,9}(\\?=)? ?){0,4}") {
            headers(&bytes);
            decode(&text);
        }
    }
}
