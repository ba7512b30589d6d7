//! Files that a command makes.

use std::{fs, path::Path};

use super::{failure::Failure, print::Output};

/// Writes files into a folder, which is made where it is not there; what is there already is replaced.
pub(super) fn write_all(
    folder: &Path,
    files: &[(String, String)],
    output: &mut Output,
) -> Result<(), Failure> {
    for (name, text) in files {
        let path = folder.join(name);
        write(&path, text)?;
        output.line(path.display())?;
    }
    Ok(())
}

/// Writes a file, and makes the folders it lies in.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let within = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(within)?;
    }
    fs::write(path, text).map_err(within)
}
