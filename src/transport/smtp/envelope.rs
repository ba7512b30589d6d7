//! A mail as the protocol writes it: the commands of its envelope and its dot-stuffed content.

use std::{borrow::Cow, fmt::Write};

use super::extensions::Extensions;
use crate::model::{Answer, EmailAddress, OutgoingEmail, Scope};

/// The commands of one mail, checked against what the server offers.
#[derive(Debug)]
pub(super) struct Envelope {
    /// `MAIL FROM:<…>` with its parameters and line end.
    pub(super) mail: String,
    /// `RCPT TO:<…>` with its line end.
    pub(super) rcpt: String,
}

impl Envelope {
    /// Refuses what this server would not take, before a byte of it is sent.
    pub(super) fn new(mail: &OutgoingEmail, offered: &Extensions) -> Result<Self, Answer> {
        let size = mail.size() as u64;
        if let Some(limit) = offered.max_size.filter(|limit| size > *limit) {
            let words = format!(
                "the message has {size} bytes, and the server takes at most {limit} (SIZE)"
            );
            return Err(refused(Scope::Message, words));
        }
        let utf8 = if [&mail.from, &mail.to]
            .iter()
            .any(|address| needs_utf8(address))
        {
            if !offered.utf8 {
                let (scope, whose) = if needs_utf8(&mail.to) {
                    (Scope::Recipient, "the address")
                } else {
                    (Scope::Message, "the sender's address")
                };
                let words =
                    format!("{whose} is not ASCII, and the server offers no SMTPUTF8 (RFC 6531)");
                return Err(refused(scope, words));
            }
            true
        } else {
            offered.utf8 && !mail.bytes.is_ascii() && !headers(&mail.bytes).is_ascii()
        };
        let (Some(from), Some(to)) = (wire_form(&mail.from), wire_form(&mail.to)) else {
            let words = "the domain of the address can't be written in ASCII (IDNA)".to_owned();
            return Err(refused(Scope::Recipient, words));
        };
        let mut command = format!("MAIL FROM:<{from}>");
        if offered.size {
            let _ = write!(command, " SIZE={size}");
        }
        // Content of eight bits goes out as it is where the server offers no 8BITMIME: servers have been clean for decades, and
        // the other way is to refuse a message that arrives.
        if offered.eight_bit && (utf8 || !mail.bytes.is_ascii()) {
            command.push_str(" BODY=8BITMIME");
        }
        if utf8 {
            command.push_str(" SMTPUTF8");
        }
        command.push_str("\r\n");
        Ok(Self {
            mail: command,
            rcpt: format!("RCPT TO:<{to}>\r\n"),
        })
    }
}

fn refused(scope: Scope, words: String) -> Answer {
    Answer::Refused {
        permanent: true,
        scope,
        no_such_mailbox: false,
        retry_after: None,
        words,
    }
}

/// Only the part before the `@` needs SMTPUTF8: a domain has a form in ASCII.
fn needs_utf8(address: &EmailAddress) -> bool {
    !address
        .as_str()
        .strip_suffix(address.domain())
        .unwrap_or_default()
        .is_ascii()
}

/// The address with its domain in ASCII (RFC 5891); `None` where it has no such form.
fn wire_form(address: &EmailAddress) -> Option<Cow<'_, str>> {
    let domain = address.domain();
    if domain.is_ascii() {
        return Some(address.as_str().into());
    }
    let local = address.as_str().strip_suffix(domain)?;
    let ascii = idna::domain_to_ascii(domain).ok()?;
    Some(format!("{local}{ascii}").into())
}

fn headers(bytes: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    &bytes[..end]
}

/// Appends a message and the dot that ends it (RFC 5321 §4.5.2); gives the place of that dot.
pub(super) fn write_content(message: &[u8], out: &mut Vec<u8>) -> usize {
    write_lines(message, out);
    let dot = out.len();
    out.extend_from_slice(b".\r\n");
    dot
}

/// Appends a message, or the beginning of one that ends with a line, without the dot that ends it. A dot behind a bare CR or LF is
/// doubled too: a server that takes either for a line end must not see an end of the message, and behind it commands.
pub(super) fn write_lines(message: &[u8], out: &mut Vec<u8>) {
    out.reserve(message.len() + 256);
    let mut done = 0;
    for dot in memchr::memchr_iter(b'.', message) {
        if dot == 0 || matches!(message[dot - 1], b'\r' | b'\n') {
            out.extend_from_slice(&message[done..=dot]);
            out.push(b'.');
            done = dot + 1;
        }
    }
    out.extend_from_slice(&message[done..]);
    if !message.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mail(from: &str, to: &str, bytes: &str) -> OutgoingEmail {
        OutgoingEmail {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            message_id: "1@x.example".to_owned(),
            bytes: bytes.into(),
            shared: Vec::new(),
        }
    }

    fn all() -> Extensions {
        Extensions {
            eight_bit: true,
            utf8: true,
            size: true,
            ..Extensions::default()
        }
    }

    #[test]
    fn parameters_are_given_where_they_are_needed_and_offered() {
        let commands = |mail: &OutgoingEmail, offered: &Extensions| {
            Envelope::new(mail, offered)
                .map(|envelope| envelope.mail + envelope.rcpt.as_str())
                .unwrap()
        };
        let ascii = mail("a@x.example", "b@y.example", "A: b\r\n\r\nc\r\n");
        assert_eq!(
            commands(&ascii, &Extensions::default()),
            "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
        );
        assert_eq!(
            commands(&ascii, &all()),
            "MAIL FROM:<a@x.example> SIZE=11\r\nRCPT TO:<b@y.example>\r\n"
        );
        let eight = mail("a@x.example", "b@y.example", "A: b\r\n\r\né\r\n");
        assert!(commands(&eight, &all()).contains(" SIZE=12 BODY=8BITMIME\r\n"));
        assert!(!commands(&eight, &Extensions::default()).contains("BODY"));
        let header = mail("a@x.example", "b@y.example", "A: é\r\n\r\nc\r\n");
        assert!(commands(&header, &all()).contains(" BODY=8BITMIME SMTPUTF8\r\n"));
        let domain = mail("a@x.example", "b@müller.example", "A: b\r\n\r\nc\r\n");
        assert!(
            commands(&domain, &Extensions::default())
                .ends_with("RCPT TO:<b@xn--mller-kva.example>\r\n")
        );
        let local = mail("a@x.example", "jürgen@müller.example", "A: b\r\n\r\nc\r\n");
        assert!(
            commands(&local, &all()).contains("SMTPUTF8\r\nRCPT TO:<jürgen@xn--mller-kva.example>")
        );
    }

    #[test]
    fn what_the_server_would_not_take_is_refused_beforehand() {
        let scope = |mail: &OutgoingEmail, offered: &Extensions| match Envelope::new(mail, offered)
        {
            Err(Answer::Refused {
                permanent: true,
                scope,
                no_such_mailbox: false,
                ..
            }) => scope,
            other => panic!("{other:?}"),
        };
        let plain = Extensions::default();
        assert_eq!(
            scope(&mail("a@x.example", "ü@y.example", ""), &plain),
            Scope::Recipient
        );
        assert_eq!(
            scope(&mail("ü@x.example", "b@y.example", ""), &plain),
            Scope::Message
        );
        let small = Extensions {
            max_size: Some(3),
            ..all()
        };
        assert_eq!(
            scope(&mail("a@x.example", "b@y.example", "four"), &small),
            Scope::Message
        );
        assert!(Envelope::new(&mail("a@x.example", "b@y.example", "abc"), &small).is_ok());
    }

    #[test]
    fn dots_are_doubled_where_a_line_begins() {
        let wire = |message: &str| {
            let mut out = b"before".to_vec();
            let dot = write_content(message.as_bytes(), &mut out);
            assert_eq!(&out[dot..], b".\r\n");
            String::from_utf8(out[6..].to_vec()).unwrap()
        };
        assert_eq!(wire("a\r\n"), "a\r\n.\r\n");
        assert_eq!(wire("a"), "a\r\n.\r\n");
        assert_eq!(wire(""), "\r\n.\r\n");
        assert_eq!(wire(".a.\r\n.\r\n..\r\n"), "..a.\r\n..\r\n...\r\n.\r\n");
        assert_eq!(
            wire("a\n.\r\nMAIL FROM:<>"),
            "a\n..\r\nMAIL FROM:<>\r\n.\r\n"
        );
        assert_eq!(wire("a\r.\rMAIL"), "a\r..\rMAIL\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn a_receiver_gets_back_what_was_sent(lines in proptest::collection::vec("[.a-c]{0,4}", 0..8)) {
            let message = lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>();
            let mut out = Vec::new();
            let dot = write_content(message.as_bytes(), &mut out);
            let sent = String::from_utf8(out).unwrap();
            prop_assert_eq!(sent.find("\r\n.\r\n").map_or(0, |at| at + 2), dot);
            let received: String = sent[..dot].split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert_eq!(received, if message.is_empty() { "\r\n".to_owned() } else { message });
        }
    }
}
