//! The lines of a file, one after the other, in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

/// A longer line is refused: a file without line breaks would be read into memory whole.
const LONGEST: usize = 8 << 20;

/// Reads one line after the other; its buffer is used again.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    number: u64,
    text: Vec<u8>,
}

/// One line, valid until the next is read.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u64,
    /// Without its line break; `None`: it is longer than any line may be.
    pub(super) bytes: Option<&'a [u8]>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 << 10, input),
            number: 0,
            text: Vec::new(),
        }
    }

    /// Where the text comes from.
    pub(super) fn input(&self) -> &R {
        self.input.get_ref()
    }

    /// Gives back where the text comes from.
    pub(super) fn into_input(self) -> R {
        self.input.into_inner()
    }

    /// The next line; `None` at the end of the file.
    pub(super) fn read(&mut self) -> io::Result<Option<Line<'_>>> {
        self.text.clear();
        let most = LONGEST as u64 + 2;
        let count = self
            .input
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.text)?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if self.text.last() == Some(&b'\n') {
            self.text.pop();
        } else if count as u64 == most {
            self.pass_over()?;
        }
        if self.text.last() == Some(&b'\r') {
            self.text.pop();
        }
        let bytes = (self.text.len() <= LONGEST).then_some(self.text.as_slice());
        Ok(Some(Line { number, bytes }))
    }

    /// The rest of a line that is too long.
    fn pass_over(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.input.fill_buf()?;
            let (end, found) = match memchr::memchr(b'\n', buffer) {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            };
            let at_end = buffer.is_empty();
            self.input.consume(end);
            if found || at_end {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(u64, Option<usize>)> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.read().unwrap() {
            all.push((line.number, line.bytes.map(<[u8]>::len)));
        }
        all
    }

    #[test]
    fn lines_end_with_lf_crlf_or_the_file() {
        assert_eq!(
            lines(b"ab\r\n\nc"),
            [(1, Some(2)), (2, Some(0)), (3, Some(1))]
        );
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [(1, Some(0))]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut text = vec![b'a'; LONGEST];
        text.extend_from_slice(b"\r\n");
        text.extend(vec![b'b'; LONGEST + 1]);
        text.extend_from_slice(b"\nc\n");
        text.extend(vec![b'd'; 3 * LONGEST]);
        assert_eq!(
            lines(&text),
            [(1, Some(LONGEST)), (2, None), (3, Some(1)), (4, None)]
        );
    }
}
