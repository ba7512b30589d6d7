//! Records and the lines they stand on: what the csv crate's reader does, plus exact lines, an end for rows that have none,
//! and an error for a quote that is never closed.

use std::{
    io::{self, Read},
    ops::Range,
};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// A longer row is refused: a quote that is not closed would read the whole file into memory.
pub(super) const LONGEST_ROW: usize = 8 << 20;

/// A row with more cells is refused.
const MOST_CELLS: usize = 1 << 16;

/// Reads one record after the other; its buffers are used again.
pub(super) struct Records<R> {
    input: R,
    buffer: Box<[u8]>,
    pending: Range<usize>,
    parser: Reader,
    lines: Lines,
    text: Vec<u8>,
    ends: Vec<usize>,
}

/// One record, valid until the next is read.
pub(super) struct Record<'a> {
    /// The line it starts at, from 1.
    pub(super) line: u64,
    /// The line its last cell ends at.
    pub(super) last_line: u64,
    /// It was longer than any row may be; its cells are lost.
    pub(super) too_long: bool,
    text: &'a [u8],
    ends: &'a [usize],
}

/// Why no record could be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    /// The file ends within a quoted cell.
    OpenQuote {
        /// Where the cell begins.
        line: u64,
    },
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Record<'_> {
    /// How many cells there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All cells, one after the other.
    pub(super) fn text(&self) -> &[u8] {
        self.text
    }

    /// Where in the text a cell stands.
    pub(super) fn range(&self, at: usize) -> Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        start..self.ends[at]
    }

    /// About how much memory its row takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + 32 * self.ends.len()
    }
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            buffer: vec![0; 64 * 1024].into(),
            pending: 0..0,
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            lines: Lines::default(),
            text: vec![0; 1024],
            ends: vec![0; 64],
        }
    }

    /// Where the text comes from.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// Passes over one line; false at the end of the file.
    pub(super) fn skip_line(&mut self) -> io::Result<bool> {
        let mut any = false;
        while self.fill()? {
            let byte = self.buffer[self.pending.start];
            // The line ended with CR; a LF belongs to the same line break.
            if any && self.lines.after_cr {
                if byte == b'\n' {
                    self.take(1);
                }
                return Ok(true);
            }
            self.take(1);
            any = true;
            if byte == b'\n' {
                return Ok(true);
            }
        }
        Ok(any)
    }

    /// The next record; `None` at the end of the file.
    pub(super) fn read(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        // Blank lines, so that the record's line is its own.
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            match self.buffer[self.pending.start] {
                b'\r' | b'\n' => self.take(1),
                _ => break,
            }
        }
        let line = self.lines.line();
        let mut open_line = line;
        let (mut written, mut cells, mut dropped) = (0, 0, 0);
        let mut too_long = false;
        loop {
            // A line break ends the file's last record, except within a quoted cell.
            let at_end = !self.fill()?;
            let chunk: &[u8] = if at_end {
                b"\n"
            } else {
                &self.buffer[self.pending.clone()]
            };
            let (result, taken, made, ended) =
                self.parser
                    .read_record(chunk, &mut self.text[written..], &mut self.ends[cells..]);
            if !at_end {
                self.take(taken);
            }
            written += made;
            cells += ended;
            if ended > 0 {
                let open = &self.text[self.ends[cells - 1].saturating_sub(dropped)..written];
                open_line = self.lines.line().saturating_sub(breaks(open));
            }
            match result {
                ReadRecordResult::Record => {
                    let last_line = self.lines.line() - u64::from(self.lines.at_break);
                    return Ok(Some(Record {
                        line,
                        last_line,
                        too_long,
                        text: &self.text[..if too_long { 0 } else { written }],
                        ends: &self.ends[..if too_long { 0 } else { cells }],
                    }));
                }
                ReadRecordResult::InputEmpty if at_end => {
                    return Err(ReadError::OpenQuote { line: open_line });
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() < LONGEST_ROW => {
                    self.text.resize(self.text.len() * 2, 0);
                }
                ReadRecordResult::OutputFull => {
                    too_long = true;
                    dropped += written;
                    written = 0;
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_CELLS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    too_long = true;
                    cells = 0;
                }
                // Bytes were read since the last record: the parser has one to give.
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Whether there are bytes to look at.
    fn fill(&mut self) -> io::Result<bool> {
        while self.pending.is_empty() {
            match self.input.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.pending = 0..count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) {
        let taken = self.pending.start..self.pending.start + count;
        self.lines.pass(&self.buffer[taken]);
        self.pending.start += count;
    }
}

/// Counts line breaks: LF, CRLF, and CR alone.
#[derive(Default)]
struct Lines {
    breaks: u64,
    after_cr: bool,
    /// The last byte was a line break.
    at_break: bool,
}

impl Lines {
    fn line(&self) -> u64 {
        self.breaks + 1
    }

    fn pass(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        // A CRLF that is cut in two was counted at its CR.
        self.breaks += breaks(bytes) - u64::from(self.after_cr && bytes[0] == b'\n');
        self.after_cr = *last == b'\r';
        self.at_break = matches!(last, b'\r' | b'\n');
    }
}

// The compiler makes of this as good a loop as a crate for it would.
#[allow(clippy::naive_bytecount)]
fn breaks(bytes: &[u8]) -> u64 {
    let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count() as u64;
    let returns = count(b'\r');
    let pairs = if returns == 0 {
        0
    } else {
        bytes.windows(2).filter(|pair| pair == b"\r\n").count() as u64
    };
    count(b'\n') + returns - pairs
}
