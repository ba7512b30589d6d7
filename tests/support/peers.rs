//! Programs that tests talk to. Where one is absent its tests are skipped, and say so; with `CI` set that is a failure.

use std::{path::PathBuf, process::Command};

/// The path of a program, looked for in `PATH` and where Debian puts servers.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name} is not installed: `tests/run` installs it"
        );
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// Runs a Python script with arguments; gives its standard output. `None`: there is no Python.
#[track_caller]
pub fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program("python3")?)
        .arg("-c")
        .arg(script)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}
