//! DKIM signatures (RFC 6376; Ed25519: RFC 8463): who vouches for a message, in a header that receivers check.
//!
//! Relaxed canonicalization for headers and body, so that relays may fold and re-space. What a forger could add a second of
//! (From, Subject, To and the other headers that mail programs show or act on) is signed once more than it is there (RFC 6376
//! §8.15, "oversigned"); the way out is covered as RFC 8058 §4 asks for.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use ring::{
    digest::{Context, SHA256, digest},
    rand::SystemRandom,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};

use crate::model::SenderName;

/// The keys in force, by sender.
#[derive(Debug, Default)]
pub struct Signing(BTreeMap<SenderName, Vec<Signer>>);

impl Signing {
    /// Adds a key of a sender.
    pub fn add(&mut self, sender: SenderName, signer: Signer) {
        self.0.entry(sender).or_default().push(signer);
    }

    /// The keys of a sender; none where its mail is not signed.
    pub fn of(&self, sender: &SenderName) -> &[Signer] {
        self.0.get(sender).map_or(&[], Vec::as_slice)
    }
}

/// The headers that are signed, once more than they are there: a second one of them, or a first, breaks the signature.
const SIGNED: [&str; 14] = [
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
];

/// A line of the signature's header has at most this many characters, where it can be folded.
const LINE: usize = 76;

/// One key that signs.
pub struct Signer {
    key: Key,
    /// `v=1; a=…; c=…; d=…; s=…;`
    head: String,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// A key never shows in a log.
impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs for `domain`, whose public key lies in the DNS at `selector._domainkey.domain`. `pem` is the private key: RSA of 2048
    /// bits or more (PKCS #8 or PKCS #1), or Ed25519 (PKCS #8). The error says what is wrong with the key.
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| "it holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")?;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    Ok(key) => Key::Ed25519(key),
                    Err(_) => rsa(RsaKeyPair::from_pkcs8(der))?,
                }
            }
            PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()))?,
            _ => return Err("it is neither an RSA nor an Ed25519 key".to_owned()),
        };
        let algorithm = match key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        Ok(Self {
            key,
            head: format!("v=1; a={algorithm}; c=relaxed/relaxed; d={domain}; s={selector};"),
        })
    }

    /// The header for a message that was taken apart.
    fn header(&self, message: &Canonical, at: DateTime<Utc>) -> Result<String, String> {
        let mut value = String::with_capacity(1024);
        let mut column = "DKIM-Signature: ".len();
        let mut append = |text: &str| {
            if column + 1 + text.len() > LINE {
                value.push_str("\r\n\t");
                column = 8;
            } else if !value.is_empty() {
                value.push(' ');
                column += 1;
            }
            value.push_str(text);
            column += text.len();
        };
        for tag in self.head.split(' ') {
            append(tag);
        }
        append(&format!("t={};", at.timestamp()));
        // White space may stand around the colons (RFC 6376 §3.5).
        let last = message.names.len().saturating_sub(1);
        for (at, name) in message.names.iter().enumerate() {
            let start = if at == 0 { "h=" } else { "" };
            let end = if at == last { ';' } else { ':' };
            append(&format!("{start}{name}{end}"));
        }
        append(&format!("bh={};", message.body_hash));
        append("b=");

        let mut signed = message.headers.clone();
        relaxed_header(b"DKIM-Signature", value.as_bytes(), &mut signed);
        let signature = STANDARD.encode(self.sign(&signed)?);
        let mut rest = signature.as_str();
        let mut room = LINE.saturating_sub(column);
        while !rest.is_empty() {
            let (line, behind) = rest.split_at(room.min(rest.len()));
            value.push_str(line);
            if !behind.is_empty() {
                value.push_str("\r\n\t");
            }
            (rest, room) = (behind, LINE - 8);
        }
        Ok(format!("DKIM-Signature: {value}\r\n"))
    }

    fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, String> {
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    signed,
                    &mut signature,
                )
                .map_err(|_| "the RSA key can't sign".to_owned())?;
                Ok(signature)
            }
            // What is signed is the hash (RFC 8463 §3).
            Key::Ed25519(key) => Ok(key.sign(digest(&SHA256, signed).as_ref()).as_ref().to_vec()),
        }
    }
}

fn rsa(key: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<Key, String> {
    match key {
        Ok(key) => Ok(Key::Rsa(Box::new(key))),
        Err(error) if error.to_string() == "TooSmall" => {
            Err("an RSA key needs 2048 bits or more".to_owned())
        }
        Err(error) => Err(format!(
            "it is no RSA or Ed25519 key that can sign: {error}"
        )),
    }
}

/// Puts a signature of each of the signers in front of a message (RFC 5322, CRLF line ends). `shared` are whole lines that
/// follow it, as in [`OutgoingEmail::shared`](crate::model::OutgoingEmail::shared).
pub fn sign(
    message: Vec<u8>,
    shared: &[Arc<[u8]>],
    signers: &[Signer],
    at: DateTime<Utc>,
) -> Result<Vec<u8>, String> {
    if signers.is_empty() {
        return Ok(message);
    }
    let canonical = Canonical::of(&message, shared);
    let mut signed = Vec::with_capacity(message.len() + 1024 * signers.len());
    for signer in signers {
        signed.extend_from_slice(signer.header(&canonical, at)?.as_bytes());
    }
    signed.extend_from_slice(&message);
    Ok(signed)
}

/// What all signatures of a message share.
struct Canonical {
    /// The names in `h=`.
    names: Vec<&'static str>,
    /// The headers that they name, canonical, in that order.
    headers: Vec<u8>,
    /// The hash of the canonical body, in base64.
    body_hash: String,
}

impl Canonical {
    fn of(message: &[u8], shared: &[Arc<[u8]>]) -> Self {
        let (fields, body) = take_apart(message);
        let (mut names, mut headers) = (Vec::new(), Vec::with_capacity(1024));
        for name in SIGNED {
            // Of several with one name the last comes first (RFC 6376 §5.4.2).
            for (field, value) in fields.iter().rev() {
                if field.eq_ignore_ascii_case(name.as_bytes()) {
                    names.push(name);
                    relaxed_header(field, value, &mut headers);
                    headers.extend_from_slice(b"\r\n");
                }
            }
            names.push(name);
        }
        Self {
            names,
            headers,
            body_hash: body_hash(body, shared),
        }
    }
}

/// A header's name, and its value with its folds.
type Field<'a> = (&'a [u8], &'a [u8]);

/// The headers and the body of a message.
fn take_apart(message: &[u8]) -> (Vec<Field<'_>>, &[u8]) {
    let mut fields = Vec::new();
    let mut rest = message;
    loop {
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            return (fields, body);
        }
        let mut end = 0;
        // A header goes on where the next line begins with white space.
        while let Some(line) = memchr::memmem::find(&rest[end..], b"\r\n") {
            end += line + 2;
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, behind) = rest.split_at(end);
        let Some(colon) = memchr::memchr(b':', field) else {
            return (fields, behind);
        };
        fields.push((&field[..colon], &field[colon + 1..]));
        rest = behind;
    }
}

/// RFC 6376 §3.4.2, without the line end.
fn relaxed_header(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(
        name.iter()
            .filter(|byte| !is_space(**byte))
            .map(u8::to_ascii_lowercase),
    );
    out.push(b':');
    let words = value.split(|byte| is_space(*byte) || matches!(byte, b'\r' | b'\n'));
    for (at, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The hash of a body that goes on with shared lines, in base64.
fn body_hash(body: &[u8], shared: &[Arc<[u8]>]) -> String {
    let mut relaxed = RelaxedBody::default();
    relaxed.out.reserve(body.len() + 2);
    relaxed.add(body);
    if shared.is_empty() {
        return STANDARD.encode(digest(&SHA256, &relaxed.out));
    }
    let mut hash = Context::new(&SHA256);
    hash.update(&relaxed.out);
    for block in shared {
        relaxed.out.clear();
        if is_relaxed(block) {
            relaxed.end_empty_lines();
            hash.update(&relaxed.out);
            hash.update(block);
        } else {
            relaxed.add(block);
            hash.update(&relaxed.out);
        }
    }
    STANDARD.encode(hash.finish())
}

/// Whether canonicalization would leave lines as they are. Encoded files are megabytes, and they are.
fn is_relaxed(lines: &[u8]) -> bool {
    let has = |wanted: &[u8]| memchr::memmem::find(lines, wanted).is_some();
    lines.len() > 2
        && lines.ends_with(b"\r\n")
        && !lines.ends_with(b"\r\n\r\n")
        && !has(b"  ")
        && !has(b"\t")
        && !has(b" \r\n")
}

/// RFC 6376 §3.4.4: white space is one space, none at the end of a line; no empty lines at the end.
#[derive(Default)]
struct RelaxedBody {
    out: Vec<u8>,
    /// Empty lines count only once something stands behind them.
    empty: usize,
}

impl RelaxedBody {
    fn add(&mut self, body: &[u8]) {
        let mut rest = body;
        while !rest.is_empty() {
            let (line, behind) = match memchr::memmem::find(rest, b"\r\n") {
                Some(end) => (&rest[..end], &rest[end + 2..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = behind;
            let written = line
                .iter()
                .rposition(|byte| !is_space(*byte))
                .map_or(0, |at| at + 1);
            if written == 0 {
                self.empty += 1;
                continue;
            }
            self.end_empty_lines();
            relaxed_line(&line[..written], &mut self.out);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    fn end_empty_lines(&mut self) {
        for _ in 0..std::mem::take(&mut self.empty) {
            self.out.extend_from_slice(b"\r\n");
        }
    }
}

fn relaxed_line(mut line: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr2(b' ', b'\t', line) {
        out.extend_from_slice(&line[..at]);
        out.push(b' ');
        let next = line[at..].iter().position(|byte| !is_space(*byte));
        line = &line[next.map_or(line.len(), |next| at + next)..];
    }
    out.extend_from_slice(line);
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("../../tests/fixtures/dkim-rsa.pem");
    const RSA_PKCS1: &str = include_str!("../../tests/fixtures/dkim-rsa-pkcs1.pem");
    const ED25519: &str = include_str!("../../tests/fixtures/dkim-ed25519.pem");
    const MESSAGE: &str = "From: Acme <news@acme.example>\r\nTo: ada@example.org\r\nSubject: A long\r\n\t one\r\n\
        Message-ID: <1@acme.example>\r\n\r\nHello  there \r\n\r\n\r\n";

    fn at() -> DateTime<Utc> {
        "2026-12-01T09:00:00Z".parse().unwrap()
    }

    fn signer(pem: &str) -> Signer {
        Signer::new("acme.example", "s1", pem).unwrap()
    }

    fn relaxed_body(body: &[u8]) -> Vec<u8> {
        let mut relaxed = RelaxedBody::default();
        relaxed.add(body);
        relaxed.out
    }

    #[test]
    fn shared_lines_are_signed_as_if_they_stood_in_the_message() {
        for (own, shared) in [
            ("a\r\n\r\n", &["--b\r\nQUJD\r\n", "--c--\r\n"][..]),
            ("a \r\n", &["x  y\r\n\r\n", "\r\nz\t\r\n"]),
            ("\r\n", &["\r\n", "\r\n"]),
            ("a\r\n", &["b \r\n\r\n"]),
        ] {
            let whole = format!("{own}{}", shared.concat());
            let blocks: Vec<Arc<[u8]>> =
                shared.iter().map(|block| block.as_bytes().into()).collect();
            assert_eq!(
                body_hash(own.as_bytes(), &blocks),
                body_hash(whole.as_bytes(), &[]),
                "{whole:?}"
            );
        }
    }

    /// The examples of RFC 6376 §3.4.5 and §3.4.4.
    #[test]
    fn canonical_forms_are_those_of_the_standard() {
        let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let (fields, body) = take_apart(message);
        let mut headers = Vec::new();
        for (name, value) in fields {
            relaxed_header(name, value, &mut headers);
            headers.extend_from_slice(b"\r\n");
        }
        assert_eq!(headers, b"a:X\r\nb:Y Z\r\n");
        assert_eq!(relaxed_body(body), b" C\r\nD E\r\n");
        assert_eq!(relaxed_body(b""), b"");
        assert_eq!(relaxed_body(b"\r\n\r\n"), b"");
        assert_eq!(relaxed_body(b"a"), b"a\r\n");
        assert_eq!(relaxed_body(b"a\r\n\r\nb\t\t c\r\n"), b"a\r\n\r\nb c\r\n");
    }

    #[test]
    fn each_key_signs_and_the_message_stays_as_it_is() {
        let keys = [signer(RSA), signer(ED25519)];
        let signed = sign(MESSAGE.into(), &[], &keys, at()).unwrap();
        let signed = String::from_utf8(signed).unwrap();
        let headers = signed.strip_suffix(MESSAGE).unwrap();
        assert_eq!(headers.matches("DKIM-Signature: ").count(), 2);
        assert!(headers.starts_with(
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=acme.example; s=s1;\r\n\tt=1796115600; h=from: from: to:"
        ), "{headers}");
        assert!(headers.contains("a=ed25519-sha256;"));
        assert!(headers.lines().all(|line| line.len() <= 78), "{headers}");
    }

    #[test]
    fn a_name_that_is_not_there_is_signed_as_absent() {
        let canonical = Canonical::of(MESSAGE.as_bytes(), &[]);
        let count = |name: &str| {
            canonical
                .names
                .iter()
                .filter(|known| **known == name)
                .count()
        };
        assert_eq!((count("from"), count("subject"), count("cc")), (2, 2, 1));
        assert_eq!(
            String::from_utf8(canonical.headers).unwrap(),
            "from:Acme <news@acme.example>\r\nto:ada@example.org\r\nsubject:A long one\r\nmessage-id:<1@acme.example>\r\n"
        );
    }

    #[test]
    fn the_same_key_in_either_form_signs_the_same() {
        let of = |pem| sign(MESSAGE.into(), &[], &[signer(pem)], at()).unwrap();
        assert_eq!(of(RSA), of(RSA_PKCS1));
    }

    #[test]
    fn a_key_that_is_none_says_why() {
        let refused = |pem: &str| Signer::new("acme.example", "s1", pem).unwrap_err();
        assert!(refused("rubbish").contains("no private key in PEM"));
        let small = include_str!("../../tests/fixtures/dkim-rsa-1024.pem");
        assert_eq!(refused(small), "an RSA key needs 2048 bits or more");
        let cut = RSA.replace("MII", "AAA");
        assert!(
            refused(&cut).starts_with("it is no RSA or Ed25519 key"),
            "{}",
            refused(&cut)
        );
    }

    #[test]
    fn no_message_is_too_odd_to_be_signed() {
        for odd in [
            "",
            "\r\n",
            "no colon\r\n\r\nbody",
            "From: a",
            "From: a\r\n b",
            ":\r\n\r\n",
        ] {
            let signed = sign(odd.into(), &[], &[signer(ED25519)], at()).unwrap();
            assert!(signed.ends_with(odd.as_bytes()));
        }
    }
}
