//! What README.md shows, run: its commands, in their order, in one copy of the sample workspace, and its examples of files.
//!
//! A block marked `console` is run line by line. A line that begins with `$ ` is a command for the shell, with `campanile` and the
//! copy's own ports; it must end with exit code 0, or with what a comment behind it says (`# exit 5`). `cargo run --release -- serve`
//! starts the daemon, which runs until the end. The lines behind a command are what it prints, shortened: each must be among the
//! lines it really prints, whatever the white space between words. Lines with a digit are not compared (times, hashes, counts),
//! nor are those with `…`.
//!
//! A block marked `toml campanile.toml` or `toml campaign` is a file that must check within the sample workspace.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{Daemon, Workspace, wait_for, workspace::PROGRAM};

/// How the README says to start the daemon.
const SERVE: &str = "cargo run --release -- serve";

/// A fenced block of the README: what stands behind its fence, and its lines.
struct Block {
    mark: String,
    lines: Vec<String>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blocks(mark: &str) -> Vec<Block> {
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(mark), None) => {
                open = Some(Block {
                    mark: mark.trim().to_owned(),
                    lines: Vec::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks.retain(|block| block.mark == mark);
    assert!(!blocks.is_empty(), "README.md has no block marked {mark:?}");
    blocks
}

/// A command of a `console` block with what it is said to do.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    line: String,
    exit: i32,
    prints: Vec<String>,
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in &block.lines {
        if let Some(command) = line.strip_prefix("$ ") {
            let (line, exit) = match command.rsplit_once("# exit ") {
                Some((line, code)) => (line, code.trim().parse().unwrap()),
                None => (command, 0),
            };
            steps.push(Step {
                line: line.trim().to_owned(),
                exit,
                prints: Vec::new(),
            });
        } else {
            let step = steps.last_mut();
            let step = step.unwrap_or_else(|| panic!("{line:?} stands before any command"));
            step.prints.push(line.clone());
        }
    }
    steps
}

/// The words of a line, where it is one that is compared.
fn compared(line: &str) -> Option<String> {
    let is_fixed = !line.contains('…') && !line.contains(|c: char| c.is_ascii_digit());
    let words = words(line);
    (is_fixed && !words.is_empty()).then_some(words)
}

fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A copy of the sample workspace with ports of its own.
fn sample() -> Workspace {
    let workspace = Workspace::new();
    for folder in ["campaigns", "scripts"] {
        copy(&repository().join(folder), &workspace.path(folder));
    }
    let settings = fs::read_to_string(repository().join("campanile.toml")).unwrap();
    workspace.write("campanile.toml", &with_ports(&settings, &workspace));
    workspace
}

fn with_ports(text: &str, workspace: &Workspace) -> String {
    text.replace(
        "127.0.0.1:8025",
        &format!("127.0.0.1:{}", workspace.web_port),
    )
    .replace(
        "127.0.0.1:8026",
        &format!("127.0.0.1:{}", workspace.admin_port),
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A folder where `campanile` is the program under test, in front of the search path.
fn search_path(folder: &Path) -> std::ffi::OsString {
    std::os::unix::fs::symlink(PROGRAM, folder.join("campanile")).unwrap();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from(folder)).chain(std::env::split_paths(&rest));
    std::env::join_paths(folders).unwrap()
}

#[test]
fn the_commands_do_what_the_readme_shows() {
    let workspace = sample();
    let programs = tempfile::tempdir().unwrap();
    let path = search_path(programs.path());
    let mut daemon: Option<Daemon> = None;
    for step in blocks("console").iter().flat_map(steps) {
        if step.line == SERVE {
            daemon = Some(workspace.serve());
            wait_for("mail of the periodic campaign in the outbox", || {
                (!workspace.outbox().is_empty()).then_some(())
            });
            continue;
        }
        let output = Command::new("sh")
            .args(["-c", &with_ports(&step.line, &workspace)])
            .current_dir(workspace.folder())
            .env("PATH", &path)
            .env("NO_COLOR", "1")
            .env_remove("CAMPANILE_STORE")
            .env_remove("CAMPANILE_WORKSPACE")
            .env_remove("CAMPANILE_ENV")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(
            output.status.code(),
            Some(step.exit),
            "$ {}\n{printed}",
            step.line
        );
        let lines: Vec<_> = printed.lines().map(words).collect();
        for expected in step.prints.iter().filter_map(|line| compared(line)) {
            assert!(
                lines.contains(&expected),
                "$ {}\nREADME.md shows:\n{expected}\nit prints:\n{printed}",
                step.line
            );
        }
    }
    let daemon = daemon.expect("README.md starts the daemon");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn the_settings_in_the_readme_check() {
    for block in blocks("toml campanile.toml") {
        let workspace = sample();
        workspace.write("campanile.toml", &block.lines.join("\n"));
        let ran = workspace.run(["check"]).code(0);
        assert!(
            ran.stdout.ends_with(": no errors\n"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn the_campaigns_in_the_readme_check() {
    for block in blocks("toml campaign") {
        let workspace = sample();
        workspace.write("campaigns/billing/example.toml", &block.lines.join("\n"));
        let ran = workspace.run(["check"]).code(0);
        assert!(
            ran.stdout.ends_with(": no errors\n"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn what_a_block_shows_is_read_as_documented() {
    let lines = [
        "$ campanile status",
        "A  B",
        "",
        "$ false   # exit 1",
        "run 3",
        "…",
    ];
    let steps = steps(&Block {
        mark: String::new(),
        lines: lines.map(str::to_owned).to_vec(),
    });
    assert_eq!(steps[0].line, "campanile status");
    assert_eq!((steps[1].line.as_str(), steps[1].exit), ("false", 1));
    let compared_of = |step: &Step| -> Vec<_> {
        step.prints
            .iter()
            .filter_map(|line| compared(line))
            .collect()
    };
    assert_eq!(compared_of(&steps[0]), ["A B"]);
    assert!(compared_of(&steps[1]).is_empty());
}
