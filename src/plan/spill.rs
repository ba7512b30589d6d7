//! Sorting more than fits in memory: records are gathered in a bounded buffer; when it is full they are sorted and written to
//! a temporary file as a run; runs are merged as they are read. What fits never touches the disk.
//!
//! A record is a key of fixed length, by whose bytes it is sorted, and a body. Equal keys keep the order they came in. The
//! file has no name and belongs to its owner only: it is gone with the sorter, however the process ends.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
};

use super::merge::{LARGEST_CHUNK, Merge, Records, Run};

/// How many runs are merged at once; more are merged in several passes.
const FAN_IN: usize = 256;

/// Takes records, in any order.
pub(super) struct Sorter<const K: usize> {
    limit: usize,
    buffer: Buffer<K>,
    disk: Option<Disk>,
    /// The most bytes that were ever held.
    peak: usize,
    count: u64,
}

pub(super) struct Buffer<const K: usize> {
    entries: Vec<Entry<K>>,
    bodies: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry<const K: usize> {
    key: [u8; K],
    start: u32,
    length: u32,
}

pub(super) struct Disk {
    file: File,
    end: u64,
    runs: Vec<Run>,
}

impl<const K: usize> Sorter<K> {
    /// Holds at most `limit` bytes in memory.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            // Places in the buffer have 32 bits.
            limit: limit.min(1 << 30),
            buffer: Buffer::new(),
            disk: None,
            peak: 0,
            count: 0,
        }
    }

    /// Adds a record.
    pub(super) fn push(&mut self, key: [u8; K], body: &[u8]) -> io::Result<()> {
        self.count += 1;
        let cost = size_of::<Entry<K>>() + body.len();
        if self.buffer.held() + cost > self.limit {
            self.spill()?;
        }
        if cost > self.limit {
            // Larger than all of the buffer: a run of its own, never copied.
            return self.disk()?.write_run(|run| run.record(&key, body));
        }
        self.buffer.push(key, body);
        self.peak = self.peak.max(self.buffer.held());
        Ok(())
    }

    /// How many records there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The records, sorted.
    pub(super) fn finish(mut self) -> io::Result<Sorted<K>> {
        if self.disk.is_none() {
            self.buffer.sort();
            return Ok(Sorted::Memory(self.buffer));
        }
        self.spill()?;
        // The buffer's memory goes back before the readers' is taken.
        self.buffer = Buffer::new();
        let mut disk = self
            .disk
            .take()
            .expect("it was looked for a few lines above");
        while disk.runs.len() > FAN_IN {
            disk = merge_pass::<K>(&disk, self.limit)?;
        }
        Ok(Sorted::Disk {
            disk,
            limit: self.limit,
        })
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.buffer.entries.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::replace(&mut self.buffer, Buffer::new());
        buffer.sort();
        self.disk()?.write_run(|run| {
            let mut records = (0..).map_while(|at| buffer.record(at));
            records.try_for_each(|(key, body)| run.record(key, body))
        })?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn disk(&mut self) -> io::Result<&mut Disk> {
        if self.disk.is_none() {
            self.disk = Some(Disk::new()?);
        }
        Ok(self.disk.as_mut().expect("it was made a line above"))
    }

    #[cfg(test)]
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    #[cfg(test)]
    pub(super) fn has_spilled(&self) -> bool {
        self.disk.is_some()
    }
}

impl<const K: usize> Buffer<K> {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            bodies: Vec::new(),
        }
    }

    fn held(&self) -> usize {
        self.entries.len() * size_of::<Entry<K>>() + self.bodies.len()
    }

    fn push(&mut self, key: [u8; K], body: &[u8]) {
        self.entries.push(Entry {
            key,
            start: self.bodies.len() as u32,
            length: body.len() as u32,
        });
        self.bodies.extend_from_slice(body);
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bodies.clear();
    }

    fn sort(&mut self) {
        // Bodies lie in the order they came in: equal keys keep it. An empty body starts where the one behind it does.
        self.entries
            .sort_unstable_by(|a, b| (&a.key, a.start, a.length).cmp(&(&b.key, b.start, b.length)));
    }

    /// The record at a place in the order.
    pub(super) fn record(&self, at: usize) -> Option<(&[u8; K], &[u8])> {
        let entry = self.entries.get(at)?;
        let body = &self.bodies[entry.start as usize..][..entry.length as usize];
        Some((&entry.key, body))
    }
}

impl Disk {
    fn new() -> io::Result<Self> {
        let file = tempfile::tempfile().map_err(|error| {
            let folder = std::env::temp_dir();
            io::Error::new(
                error.kind(),
                format!(
                    "{}: {error} (TMPDIR names another folder)",
                    folder.display()
                ),
            )
        })?;
        Ok(Self {
            file,
            end: 0,
            runs: Vec::new(),
        })
    }

    fn write_run(
        &mut self,
        records: impl FnOnce(&mut RunWriter<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = self.end;
        (&self.file).seek(SeekFrom::Start(start))?;
        let mut run = RunWriter {
            out: BufWriter::with_capacity(LARGEST_CHUNK, &self.file),
            written: 0,
        };
        records(&mut run)?;
        run.out.flush()?;
        self.end = start + run.written;
        self.runs.push(Run {
            start,
            end: self.end,
        });
        Ok(())
    }
}

struct RunWriter<'a> {
    out: BufWriter<&'a File>,
    written: u64,
}

impl RunWriter<'_> {
    /// Key, length of the body, body.
    fn record(&mut self, key: &[u8], body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len())
            .map_err(|_| io::Error::other("a recipient needs more than 4 GiB"))?;
        self.out.write_all(key)?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.written += (key.len() + 4 + body.len()) as u64;
        Ok(())
    }
}

/// Fewer and longer runs, in a new file.
fn merge_pass<const K: usize>(disk: &Disk, limit: usize) -> io::Result<Disk> {
    let mut merged = Disk::new()?;
    for runs in disk.runs.chunks(FAN_IN) {
        let mut records = Merge::<K>::new(&disk.file, runs, limit)?;
        merged.write_run(|run| {
            while let Some((key, body)) = records.pull()? {
                run.record(&key, body)?;
            }
            Ok(())
        })?;
    }
    Ok(merged)
}

/// Sorted records, which can be read as often as one likes.
pub(super) enum Sorted<const K: usize> {
    Memory(Buffer<K>),
    Disk { disk: Disk, limit: usize },
}

impl<const K: usize> Sorted<K> {
    /// Reads them from the start.
    pub(super) fn records(&self) -> io::Result<Records<'_, K>> {
        Ok(match self {
            Self::Memory(buffer) => Records::Memory { buffer, at: 0 },
            Self::Disk { disk, limit } => {
                Records::Merged(Merge::new(&disk.file, &disk.runs, *limit)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Record = ([u8; 2], Vec<u8>);

    fn sorted(records: &[Record], limit: usize) -> (Vec<Record>, bool) {
        let mut sorter = Sorter::<2>::new(limit);
        for (key, body) in records {
            sorter.push(*key, body).unwrap();
            assert!(sorter.buffer.held() <= limit);
        }
        assert!(sorter.peak() <= limit, "{} > {limit}", sorter.peak());
        assert_eq!(sorter.count(), records.len() as u64);
        let spilled = sorter.has_spilled();
        let whole = sorter.finish().unwrap();
        let read = || {
            let mut records = whole.records().unwrap();
            let mut all = Vec::new();
            loop {
                let next = records.peek().unwrap();
                let Some((key, body)) = records.pull().unwrap() else {
                    assert_eq!(next, None);
                    return all;
                };
                assert_eq!(next, Some(key));
                all.push((key, body.to_vec()));
            }
        };
        let first = read();
        assert_eq!(first, read(), "the second reading is another");
        (first, spilled)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn spilled_or_not_the_order_is_that_of_a_stable_sort(
            records in prop::collection::vec((any::<[u8; 2]>(), prop::collection::vec(any::<u8>(), 0..40)), 0..300),
            limit in 1usize..4000,
        ) {
            let mut expected = records.clone();
            expected.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(&sorted(&records, limit).0, &expected);
            prop_assert_eq!(&sorted(&records, 1 << 20).0, &expected);
        }
    }

    #[test]
    fn equal_keys_keep_their_order_over_runs_and_passes() {
        // One record a run: more runs than are merged at once.
        let records: Vec<_> = (0..700u32)
            .map(|n| ([0, (n % 3) as u8], n.to_le_bytes().to_vec()))
            .collect();
        let mut expected = records.clone();
        expected.sort_by_key(|(key, _)| *key);
        let (all, spilled) = sorted(&records, size_of::<Entry<2>>() + 4);
        assert!(spilled);
        assert_eq!(all, expected);
    }

    #[test]
    fn runs_longer_than_what_is_read_at_once_stay_whole() {
        let records: Vec<_> = (0..20_000u32)
            .map(|n| {
                let mixed = n.wrapping_mul(2_654_435_761).to_be_bytes();
                let body = [&mixed[..], &[mixed[2]; 60][..usize::from(mixed[3]) % 60]];
                ([mixed[0], mixed[1]], body.concat())
            })
            .collect();
        let mut expected = records.clone();
        expected.sort_by_key(|(key, _)| *key);
        let (all, spilled) = sorted(&records, LARGEST_CHUNK);
        assert!(spilled);
        assert_eq!(all, expected);
    }

    #[test]
    fn a_record_larger_than_the_buffer_passes() {
        let large = vec![7; 3 * LARGEST_CHUNK];
        let records = [([2, 0], vec![1]), ([1, 0], large), ([0, 0], vec![2])];
        let mut expected = records.to_vec();
        expected.sort();
        assert_eq!(sorted(&records, 100).0, expected);
    }

    #[test]
    fn what_fits_never_touches_the_disk() {
        let records: Vec<_> = (0..=255).map(|n| ([n, 0], vec![n; 10])).collect();
        assert!(!sorted(&records, 1 << 16).1);
        assert!(!sorted(&[], 0).1);
    }
}
