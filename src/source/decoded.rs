//! The bytes of a file → UTF-8.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// What stands for bytes that are not valid in the file's encoding: never valid in UTF-8, so that their row is refused.
const INVALID: u8 = 0xff;

const CHUNK: usize = 64 * 1024;

/// A reader that gives UTF-8. A byte order mark decides the encoding and is removed.
pub(super) struct Decoded<R> {
    input: R,
    /// `None`: the file is UTF-8 and passes through as it is.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    More,
    /// The input is at its end; the decoder has not been told.
    Last,
    Done,
}

impl<R: Read> Decoded<R> {
    /// Looks at the first bytes of `input`; without a mark it is in `encoding`.
    pub(super) fn new(mut input: R, encoding: &'static Encoding) -> io::Result<Self> {
        let mut raw = Vec::with_capacity(CHUNK);
        input.by_ref().take(4).read_to_end(&mut raw)?;
        let (encoding, mark) = match raw[..] {
            [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff] => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file is in UTF-32, which is not supported: save it as UTF-8",
                ));
            }
            [0xef, 0xbb, 0xbf, ..] => (UTF_8, 3),
            [0xff, 0xfe, ..] => (UTF_16LE, 2),
            [0xfe, 0xff, ..] => (UTF_16BE, 2),
            _ => (encoding, 0),
        };
        Ok(Self {
            input,
            decoder: (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling()),
            raw,
            at: mark,
            state: State::More,
        })
    }

    /// Where the bytes come from.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// Gives back where the bytes come from.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// UTF-8 as it is: first what was read to look for the mark.
    fn pass(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let rest = &self.raw[self.at..];
        if rest.is_empty() {
            return self.input.read(out);
        }
        out[..rest.len()].copy_from_slice(rest);
        self.at = self.raw.len();
        Ok(rest.len())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.raw.clear();
        self.at = 0;
        let count = self
            .input
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut self.raw)?;
        if count < CHUNK {
            self.state = State::Last;
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    /// Needs room for at least 16 bytes.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        debug_assert!(out.len() >= 16, "there is room for any character");
        let mut written = 0;
        // The last byte of `out` is kept for a mark of what is invalid.
        while self.state != State::Done && written + 8 < out.len() {
            let Some(decoder) = &mut self.decoder else {
                return self.pass(out);
            };
            let room = out.len() - 1;
            let last = self.state == State::Last;
            let (result, taken, made) = decoder.decode_to_utf8_without_replacement(
                &self.raw[self.at..],
                &mut out[written..room],
                last,
            );
            self.at += taken;
            written += made;
            match result {
                DecoderResult::OutputFull => break,
                DecoderResult::Malformed(..) => {
                    out[written] = INVALID;
                    written += 1;
                }
                DecoderResult::InputEmpty if last => self.state = State::Done,
                DecoderResult::InputEmpty if written > 0 => break,
                DecoderResult::InputEmpty => self.fill()?,
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], encoding: &str, room: usize) -> Vec<u8> {
        let encoding = Encoding::for_label(encoding.as_bytes()).unwrap();
        let mut decoded = Decoded::new(bytes, encoding).unwrap();
        let (mut all, mut out) = (Vec::new(), vec![0; room]);
        loop {
            match decoded.read(&mut out).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&out[..count]),
            }
        }
    }

    #[test]
    fn a_byte_order_mark_wins_and_is_removed() {
        for label in ["utf-8", "windows-1252", "utf-16le"] {
            assert_eq!(decode(b"\xef\xbb\xbfa\xc3\xa9", label, 16), "aé".as_bytes());
            assert_eq!(decode(b"\xff\xfea\0\xe9\0", label, 16), "aé".as_bytes());
            assert_eq!(decode(b"\xfe\xff\0a\0\xe9", label, 16), "aé".as_bytes());
        }
        assert_eq!(decode(b"a", "utf-8", 16), b"a");
        assert_eq!(decode(b"", "utf-16le", 16), b"");
        assert!(Decoded::new(&b"\xff\xfe\0\0a\0\0\0"[..], UTF_8).is_err());
    }

    #[test]
    fn long_text_is_decoded_whole_whatever_the_room() {
        let text = "né€😀,".repeat(40_000);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for room in [16, 17, 1000, 65_536] {
            assert!(
                decode(&utf16, "utf-16le", room) == text.as_bytes(),
                "{room}"
            );
        }
        assert_eq!(decode(b"\x80\xe4", "windows-1252", 16), "€ä".as_bytes());
    }

    #[test]
    fn invalid_bytes_are_marked() {
        // A lone surrogate, then half a code unit at the end.
        assert_eq!(decode(b"a\0\0\xd8b\0\x01", "utf-16le", 16), b"a\xffb\xff");
        assert_eq!(decode(b"a\x81\xff,b", "shift_jis", 16)[0..2], *b"a\xff");
        assert_eq!(decode(b"a\xffb", "utf-8", 16), b"a\xffb");
    }
}
