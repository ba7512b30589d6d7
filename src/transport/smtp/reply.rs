//! Replies: how many bytes are one, what it says, and its words for people.

use std::fmt;

use smtp_proto::response::parser::ResponseReceiver;

use super::wire::Broken;

/// A reply may have this many bytes over all its lines. RFC 5321 §4.5.3.1.5 asks for 512 a line; the longest ones that
/// servers really send have a dozen lines.
pub(super) const MAX_REPLY: usize = 4096;

/// At most this many bytes of a server's words are kept.
const MAX_WORDS: usize = 500;

/// One reply of a server (RFC 5321 §4.2), all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// 200 to 599.
    pub(super) code: u16,
    /// Subject and detail of the enhanced code (RFC 3463): `5.1.1` has `(1, 1)`. Its class says no more than the code.
    pub(super) detail: Option<(u8, u8)>,
    enhanced: [u8; 3],
    text: String,
}

impl Reply {
    /// Takes the first reply from the start of `bytes`: the reply and its length, or `None` where more bytes are needed.
    pub(super) fn take(bytes: &[u8]) -> Result<Option<(Self, usize)>, Broken> {
        let Some(length) = frame(bytes)? else {
            return Ok(None);
        };
        let parsed = ResponseReceiver::default()
            .parse(&mut bytes[..length].iter())
            .map_err(|_| garbage(bytes))?;
        let known = matches!(parsed.esc[0], 2 | 4 | 5);
        let reply = Self {
            code: parsed.code,
            detail: known.then_some((parsed.esc[1], parsed.esc[2])),
            enhanced: parsed.esc,
            text: parsed.message,
        };
        Ok(Some((reply, length)))
    }

    /// Whether the command was carried out (2xx).
    pub(super) fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether the command was refused, for now or for good (4xx or 5xx).
    pub(super) fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// The lines behind the codes.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The text in lower case, for phrases to be looked for.
    pub(super) fn lowercase(&self) -> String {
        self.text.to_lowercase()
    }
}

/// The words of the server, in one clean line: `550 5.1.1 no such user`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let enhanced = match (self.detail, self.enhanced) {
            (Some(_), [class, subject, detail]) => format!("{class}.{subject}.{detail}"),
            (None, _) => String::new(),
        };
        let words = format!("{} {enhanced} {}", self.code, self.text);
        f.write_str(&clean(&words, MAX_WORDS))
    }
}

/// The length of the first reply in `bytes`; `None`: it goes on. Garbage is told by its first wrong byte, so that nobody waits
/// for the end of a line that never comes.
fn frame(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let mut at = 0;
    loop {
        let line = &bytes[at..];
        let code = &line[..line.len().min(3)];
        let wrong = code.iter().any(|byte| !byte.is_ascii_digit())
            || code
                .first()
                .is_some_and(|class| !(b'2'..=b'5').contains(class))
            || !bytes.starts_with(code)
            || line.get(3).is_some_and(|byte| !b" -\r\n".contains(byte));
        if wrong {
            return Err(garbage(bytes));
        }
        let Some(end) = memchr::memchr(b'\n', line) else {
            return if bytes.len() >= MAX_REPLY {
                Err(endless())
            } else {
                Ok(None)
            };
        };
        at += end + 1;
        if at > MAX_REPLY {
            return Err(endless());
        }
        if line[3] != b'-' {
            return Ok(Some(at));
        }
    }
}

fn endless() -> Broken {
    Broken::Violation(format!(
        "the server's answer is longer than {MAX_REPLY} bytes"
    ))
}

fn garbage(bytes: &[u8]) -> Broken {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    Broken::Violation(format!(
        "the server's answer is not SMTP: {:?}",
        clean(&start, 80)
    ))
}

/// `text` in one line without control characters, of at most `limit` bytes.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > limit {
            let mut end = limit - '…'.len_utf8();
            while !out.is_char_boundary(end) {
                end -= 1;
            }
            out.truncate(end);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn only(bytes: &str) -> Reply {
        let (reply, length) = Reply::take(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        reply
    }

    #[test]
    fn code_enhanced_code_and_words_are_read() {
        let reply = only("550 5.1.1 no such user\r\n");
        assert_eq!((reply.code, reply.detail), (550, Some((1, 1))));
        assert_eq!(reply.to_string(), "550 5.1.1 no such user");
        assert_eq!(only("250\r\n").to_string(), "250");
        assert_eq!(only("250 \r\n").code, 250);
        assert_eq!(only("354 go\n").code, 354);
        assert_eq!(only("550 relay 1.2.3.4 no\r\n").detail, None);
        assert_eq!(only("550 5.7.133 x\r\n").detail, Some((7, 133)));
    }

    #[test]
    fn lines_are_joined_and_control_characters_dropped() {
        let reply =
            only("550-5.7.1 Blocked,\u{1b}[31m\r\n550-5.7.1   see\tus\r\n550 5.7.1 now\r\n");
        assert_eq!(reply.to_string(), "550 5.7.1 Blocked, [31m see us now");
        let long = only(&format!("550 {}\r\n", "é".repeat(600))).to_string();
        assert!(
            long.len() <= MAX_WORDS && long.ends_with('…'),
            "{}",
            long.len()
        );
    }

    #[test]
    fn a_reply_ends_where_it_ends() {
        let bytes = b"250-a\r\n250 b\r\n354 c\r\n";
        let (first, length) = Reply::take(bytes).unwrap().unwrap();
        assert_eq!((first.code, length), (250, 14));
        assert_eq!(Reply::take(&bytes[length..]).unwrap().unwrap().0.code, 354);
        for cut in 0..14 {
            assert_eq!(Reply::take(&bytes[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn what_is_no_reply_is_told_by_its_first_bytes() {
        for bad in [
            "H",
            "25x",
            "2500 ok",
            "\r\n",
            "25\r\n",
            "650 x",
            "150 x",
            "999 x",
            "250-a\r\n550 b\r\n",
            "250-a\r\nb",
        ] {
            assert!(Reply::take(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Reply::take(&[b"250 ".as_slice(), &[b'a'; MAX_REPLY]].concat()).is_err());
        assert!(Reply::take("250-a\r\n".repeat(1000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reply::take(&bytes);
            let coded = [b"250-".as_slice(), &bytes, b"\r\n250 ", &bytes, b"\r\n"].concat();
            if let Ok(Some((reply, length))) = Reply::take(&coded) {
                prop_assert!(length <= coded.len());
                let words = reply.to_string();
                prop_assert!(words.len() <= MAX_WORDS && !words.contains(char::is_control));
            }
        }
    }
}
