//! Quoted-printable (RFC 2045 §6.7), in pieces that fit together: each piece begins at the start of a line and ends there,
//! with a soft line break where it has to. So the unchanging parts of a body are encoded once, at load time, and what stands
//! between them per recipient needs to know nothing about its neighbours.

use std::{
    fmt::{self, Write},
    ops::Range,
};

/// The longest line without its `=`.
const WIDTH: usize = 75;

/// Writes `text` encoded. Line ends of any kind become CRLF; nothing else changes when it is decoded.
pub(super) fn encode(text: &str, out: &mut impl Write) -> fmt::Result {
    let bytes = text.as_bytes();
    // Bytes that stand for themselves are ASCII, so a run of them is text; an empty one may lie inside a character.
    let literally = |out: &mut dyn Write, run: Range<usize>| {
        if run.is_empty() {
            Ok(())
        } else {
            out.write_str(&text[run])
        }
    };
    // The column in the line, and where the run of bytes that stand for themselves began.
    let (mut column, mut run) = (0, 0);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let literal = match byte {
            b'\n' | b'\r' => {
                literally(out, run..at)?;
                out.write_str("\r\n")?;
                at += if bytes[at..].starts_with(b"\r\n") {
                    2
                } else {
                    1
                };
                (column, run) = (0, at);
                continue;
            }
            // A space may not end a line, and a dot at its start is what SMTP stumbles over.
            b' ' | b'\t' => !matches!(bytes.get(at + 1), Some(b'\n' | b'\r')),
            b'.' => column > 0,
            b'=' => false,
            33..=126 => true,
            _ => false,
        };
        let width = if literal { 1 } else { 3 };
        if column + width > WIDTH {
            literally(out, run..at)?;
            out.write_str("=\r\n")?;
            (column, run) = (0, at);
            continue;
        }
        column += width;
        if !literal {
            literally(out, run..at)?;
            write_byte(byte, out)?;
            run = at + 1;
        }
        at += 1;
    }
    literally(out, run..text.len())?;
    if column > 0 {
        out.write_str("=\r\n")?;
    }
    Ok(())
}

fn write_byte(byte: u8, out: &mut impl Write) -> fmt::Result {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let code = [
        b'=',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ];
    out.write_str(std::str::from_utf8(&code).expect("hexadecimal digits are ASCII"))
}

#[cfg(test)]
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    for line in text.split_inclusive("\r\n") {
        let (line, end) = match line.strip_suffix("\r\n") {
            Some(line) => (line, "\r\n"),
            None => (line, ""),
        };
        assert!(line.len() <= 76, "{line}");
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        assert!(!line.ends_with([' ', '\t']), "{line:?}");
        let (line, end) = match line.strip_suffix('=') {
            Some(line) => (line, ""),
            None => (line, end),
        };
        let mut rest = line.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'=' => {
                    let pair = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
                }
                other => other,
            });
        }
        bytes.extend_from_slice(end.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        encode(text, &mut out).unwrap();
        out
    }

    #[test]
    fn a_piece_begins_and_ends_at_the_start_of_a_line() {
        assert_eq!(encoded(""), "");
        assert_eq!(encoded("a=b"), "a=3Db=\r\n");
        assert_eq!(encoded("é\n"), "=C3=A9\r\n");
        assert_eq!(encoded("a \r\nb\r.\n"), "a=20\r\nb\r\n=2E\r\n");
        let long = encoded(&"x".repeat(2000));
        assert!(
            long.lines()
                .all(|line| line.len() == 76 || line.len() == 51),
            "{long}"
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(pieces in prop::collection::vec("(\\PC|[ \t\r\n=._]){0,120}", 1..5)) {
            let whole: String = pieces.iter().map(|piece| encoded(piece)).collect();
            let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let expected: String = pieces.iter().map(|piece| lines(piece)).collect();
            prop_assert_eq!(decode(&whole), expected);
        }
    }
}
