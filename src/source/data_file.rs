//! A file that holds recipients: opened, and looked at again at its end, so that a file that changed meanwhile is noticed.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

/// A regular file being read.
#[derive(Debug)]
pub(super) struct DataFile {
    file: File,
    path: PathBuf,
    shown: String,
    opened: Fingerprint,
    read: u64,
}

/// What tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    size: u64,
    modified: Option<SystemTime>,
    /// When its metadata changed, which nobody can set: a program that puts the time of change back is noticed by it.
    touched: (i64, i64),
    identity: (u64, u64),
}

/// File systems note times in steps, of a few milliseconds at most.
const STEP: Duration = Duration::from_millis(25);
/// Some only in seconds, the coarsest in two.
const COARSE_STEP: Duration = Duration::from_millis(2_100);

impl DataFile {
    /// Opens `path`; errors call it `shown`, the path as the settings have it.
    pub(super) fn open(path: &Path, shown: &str) -> Result<Self, String> {
        let fail = |error: &io::Error| match error.kind() {
            io::ErrorKind::NotFound => format!("{shown}: there is no such file"),
            io::ErrorKind::PermissionDenied => format!("{shown}: it may not be read by this user"),
            _ => format!("{shown}: {error}"),
        };
        // Looked at before it is opened: to open a pipe is to wait for its writer.
        let metadata = fs::metadata(path).map_err(|error| fail(&error))?;
        if metadata.is_dir() {
            return Err(format!("{shown}: it is a folder, not a file"));
        }
        if !metadata.is_file() {
            return Err(format!("{shown}: it is not a regular file"));
        }
        let file = File::open(path).map_err(|error| fail(&error))?;
        let metadata = settled(&file).map_err(|error| fail(&error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            shown: shown.to_owned(),
            opened: Fingerprint::of(&metadata),
            read: 0,
        })
    }

    /// Goes back to the start.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.read = 0;
        self.file.rewind()
    }

    /// Once the end was reached: whether what was read is the file as it was when it was opened, and still is.
    pub(super) fn unchanged(&self) -> Result<(), String> {
        let changed = || {
            format!(
                "{}: the file changed while it was read; run again when it is complete (best written under another name \
                 and then renamed)",
                self.shown
            )
        };
        let by_handle = self.file.metadata().map_err(|_| changed())?;
        let by_path = fs::metadata(&self.path).map_err(|_| changed())?;
        let same = self.opened == Fingerprint::of(&by_handle)
            && self.opened == Fingerprint::of(&by_path)
            && self.read == self.opened.size;
        if same { Ok(()) } else { Err(changed()) }
    }
}

/// The file's metadata, once its time of change is so long ago that another change would have another time: a file that was
/// written a moment ago may be written again within the same step of the clock.
fn settled(file: &File) -> io::Result<Metadata> {
    let metadata = file.metadata()?;
    let Ok(modified) = metadata.modified() else {
        return Ok(metadata);
    };
    let whole_seconds = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since.subsec_nanos() == 0);
    let step = if whole_seconds { COARSE_STEP } else { STEP };
    match SystemTime::now().duration_since(modified) {
        Ok(ago) if ago < step => {
            thread::sleep(step.saturating_sub(ago));
            file.metadata()
        }
        _ => Ok(metadata),
    }
}

impl Read for DataFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

impl Fingerprint {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            touched: touched(metadata),
            identity: identity(metadata),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(unix)]
fn touched(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn touched(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_right_after_opening_is_noticed_whatever_time_it_bears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        for _ in 0..20 {
            fs::write(&path, "id\n1\n").unwrap();
            let mut file = DataFile::open(&path, "a.csv").unwrap();
            fs::write(&path, "id\n2\n").unwrap();
            io::copy(&mut file, &mut io::sink()).unwrap();
            assert!(file.unchanged().is_err());
        }
        let mut file = DataFile::open(&path, "a.csv").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "id\n3\n").unwrap();
        let written = File::options().write(true).open(&path).unwrap();
        written.set_modified(before).unwrap();
        io::copy(&mut file, &mut io::sink()).unwrap();
        assert!(file.unchanged().is_err());
        let mut file = DataFile::open(&path, "a.csv").unwrap();
        io::copy(&mut file, &mut io::sink()).unwrap();
        assert_eq!(file.unchanged(), Ok(()));
    }
}
