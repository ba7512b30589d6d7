//! Programs that tests talk to. Where one is absent its tests are skipped, and say so; with `CI` set that is a failure.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

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
    Some(run_python(&program("python3")?, script, arguments))
}

/// The same with a Python that has a module, which Debian's `package` brings. `None`: none has it.
#[track_caller]
pub fn python_with(
    module: &str,
    package: &str,
    script: &str,
    arguments: &[&str],
) -> Option<String> {
    let debian = PathBuf::from("/usr/bin/python3");
    let has_it = |python: &PathBuf| {
        let import = format!("import {module}");
        let tried = Command::new(python).args(["-c", &import]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    if let Some(python) = program("python3").into_iter().chain([debian]).find(has_it) {
        return Some(run_python(&python, script, arguments));
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no Python has the module {module}: `tests/run` installs {package}"
    );
    eprintln!("skipped: no Python has the module {module} ({package})");
    None
}

#[track_caller]
fn run_python(python: &Path, script: &str, arguments: &[&str]) -> String {
    let output = Command::new(python)
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
    String::from_utf8(output.stdout).unwrap()
}
