//! Reading sorted records: from memory, or from the runs of a temporary file, of which the next record is always the lowest
//! that any of them has.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::spill::Buffer;

/// What each run's reader buffers (a single record may need more), and a run's writer.
const SMALLEST_CHUNK: usize = 4 * 1024;
pub(super) const LARGEST_CHUNK: usize = 64 * 1024;

/// Where in its file a run stands.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Reads sorted records, one after the other.
pub(super) enum Records<'a, const K: usize> {
    Memory { buffer: &'a Buffer<K>, at: usize },
    Merged(Merge<'a, K>),
}

impl<const K: usize> Records<'_, K> {
    /// The key of the next record.
    pub(super) fn peek(&mut self) -> io::Result<Option<[u8; K]>> {
        match self {
            Self::Memory { buffer, at } => Ok(buffer.record(*at).map(|(key, _)| *key)),
            Self::Merged(merge) => merge.peek(),
        }
    }

    /// The next record.
    pub(super) fn pull(&mut self) -> io::Result<Option<([u8; K], &[u8])>> {
        match self {
            Self::Memory { buffer, at } => {
                *at += 1;
                Ok(buffer.record(*at - 1).map(|(key, body)| (*key, body)))
            }
            Self::Merged(merge) => merge.pull(),
        }
    }
}

/// Several runs as one.
pub(super) struct Merge<'a, const K: usize> {
    readers: Vec<RunReader<'a, K>>,
    /// The next key of each run but that of `lent`. Of equal keys, the earlier run's comes first.
    next: BinaryHeap<Reverse<([u8; K], usize)>>,
    /// The run whose record was given out last, and is yet to be stepped over.
    lent: Option<usize>,
}

impl<'a, const K: usize> Merge<'a, K> {
    pub(super) fn new(file: &'a File, runs: &[Run], limit: usize) -> io::Result<Self> {
        let chunk = (limit / runs.len().max(1)).clamp(SMALLEST_CHUNK, LARGEST_CHUNK);
        let mut merge = Self {
            readers: Vec::with_capacity(runs.len()),
            next: BinaryHeap::with_capacity(runs.len()),
            lent: None,
        };
        for (at, run) in runs.iter().enumerate() {
            let mut reader = RunReader::new(file, *run, chunk);
            if let Some(key) = reader.step()? {
                merge.next.push(Reverse((key, at)));
            }
            merge.readers.push(reader);
        }
        Ok(merge)
    }

    fn peek(&mut self) -> io::Result<Option<[u8; K]>> {
        if let Some(at) = self.lent.take()
            && let Some(key) = self.readers[at].step()?
        {
            self.next.push(Reverse((key, at)));
        }
        Ok(self.next.peek().map(|Reverse((key, _))| *key))
    }

    pub(super) fn pull(&mut self) -> io::Result<Option<([u8; K], &[u8])>> {
        self.peek()?;
        let Some(Reverse((key, at))) = self.next.pop() else {
            return Ok(None);
        };
        self.lent = Some(at);
        Ok(Some((key, self.readers[at].body())))
    }
}

/// Reads one run, a chunk at a time.
struct RunReader<'a, const K: usize> {
    file: &'a File,
    /// What of the run is not in the buffer yet.
    unread: Run,
    chunk: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the current record's body starts, and where it ends.
    body: (usize, usize),
}

impl<'a, const K: usize> RunReader<'a, K> {
    fn new(file: &'a File, run: Run, chunk: usize) -> Self {
        Self {
            file,
            unread: run,
            chunk,
            buffer: Vec::new(),
            body: (0, 0),
        }
    }

    /// Goes to the next record and gives its key.
    fn step(&mut self) -> io::Result<Option<[u8; K]>> {
        let at = self.body.1;
        if at == self.buffer.len() && self.unread.start == self.unread.end {
            self.buffer = Vec::new();
            self.body = (0, 0);
            return Ok(None);
        }
        let at = self.fill(at, K + 4)?;
        let mut key = [0; K];
        key.copy_from_slice(&self.buffer[at..at + K]);
        let mut length = [0; 4];
        length.copy_from_slice(&self.buffer[at + K..at + K + 4]);
        let length = u32::from_le_bytes(length) as usize;
        let at = self.fill(at, K + 4 + length)?;
        let start = at + K + 4;
        self.body = (start, start + length);
        Ok(Some(key))
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.body.0..self.body.1]
    }

    /// Sees to it that `wanted` bytes are there from `at`, which may move: where to is the result.
    fn fill(&mut self, at: usize, wanted: usize) -> io::Result<usize> {
        let there = self.buffer.len() - at;
        if there >= wanted {
            return Ok(at);
        }
        self.buffer.drain(..at);
        if self.buffer.capacity() > 2 * self.chunk.max(wanted) {
            self.buffer.shrink_to(self.chunk.max(wanted));
        }
        let left = self.unread.end - self.unread.start;
        let more =
            (self.chunk.max(wanted) - there).min(usize::try_from(left).unwrap_or(usize::MAX));
        if there + more < wanted {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a temporary file is shorter than it was written",
            ));
        }
        self.buffer.resize(there + more, 0);
        self.file.seek(SeekFrom::Start(self.unread.start))?;
        self.file.read_exact(&mut self.buffer[there..])?;
        self.unread.start += more as u64;
        Ok(0)
    }
}
