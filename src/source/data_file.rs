//! A file that holds recipients: opened, and looked at again at its end, so that a file that changed meanwhile is noticed.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
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
    identity: (u64, u64),
}

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
        let metadata = file.metadata().map_err(|error| fail(&error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            shown: shown.to_owned(),
            opened: Fingerprint::of(&metadata),
            read: 0,
        })
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
            identity: identity(metadata),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}
