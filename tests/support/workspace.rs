//! A workspace in a temporary folder, and the program run in it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use super::{Daemon, Mail, free_port};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_campanile");

/// A command that takes longer hangs: it is killed, and its test fails.
const LONGEST: Duration = Duration::from_mins(5);

/// A workspace. [`Workspace::new`] has settings with an outbox, a source `people` (`people.csv`), a sender `acme` and the
/// topics `news` (marketing) and `billing` (transactional).
pub struct Workspace {
    folder: tempfile::TempDir,
    pub web_port: u16,
    pub admin_port: u16,
}

impl Workspace {
    pub fn new() -> Self {
        let (web_port, admin_port) = (free_port(), free_port());
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
            web_port,
            admin_port,
        };
        this.settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\n")
    }

    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            web_port: free_port(),
            admin_port: free_port(),
        }
    }

    /// Writes the settings, with these transports.
    pub fn settings(self, transports: &str) -> Self {
        let (web, admin) = (self.web_port, self.admin_port);
        self.file(
            "campanile.toml",
            &format!(
                r#"
[web]
public_url = "http://127.0.0.1:{web}"
listen = "127.0.0.1:{web}"
admin_listen = "127.0.0.1:{admin}"

[senders.acme]
name = "Acme Energy"
address = "1 Main Street, 12345 Springfield"
from = "Acme Energy <news@acme.example>"

[topics.news]
title = "News"
purpose = "marketing"

[topics.billing]
title = "Billing notices"
purpose = "transactional"

[sources.people]
kind = "csv"
path = "people.csv"
key = "id"
email = "email"

[sources.people.fields]
age = "integer"

{transports}"#
            ),
        )
    }

    /// Adds to the settings.
    pub fn more_settings(self, toml: &str) -> Self {
        let path = self.path("campanile.toml");
        let text = fs::read_to_string(&path).unwrap() + "\n" + toml;
        fs::write(path, text).unwrap();
        self
    }

    /// Writes a file; folders are made.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file of a workspace that is in use.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces text in a file.
    #[track_caller]
    pub fn replace(self, path: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        self.write(path, &text.replace(from, to));
        self
    }

    /// Writes `people.csv` from rows `id,email,name,age`.
    pub fn people(self, rows: &[&str]) -> Self {
        self.file(
            "people.csv",
            &format!("id,email,name,age\n{}\n", rows.join("\n")),
        )
    }

    /// Writes `people.csv` with `n` people: `p0@example.org` and so on.
    pub fn crowd(self, n: usize) -> Self {
        let rows = (0..n).map(|i| format!("{i},p{i}@example.org,Person {i},{}\n", 18 + i % 60));
        let text = std::iter::once("id,email,name,age\n".to_owned()).chain(rows);
        let text: String = text.collect();
        self.file("people.csv", &text)
    }

    /// Writes a campaign in the topic `news` that is sent when asked; `more` is added to its file, before `[email]`.
    pub fn campaign(self, id: &str, more: &str) -> Self {
        self.file(&format!("campaigns/{id}.toml"), &campaign(more))
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program in the workspace.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let (pid, (over, ends)) = (child.id().to_string(), mpsc::channel::<()>());
        let watch = std::thread::spawn(move || {
            if ends.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(over);
        watch.join().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The program, about to be run in the workspace.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .current_dir(self.folder())
            .env_remove("CAMPANILE_STORE")
            .env_remove("CAMPANILE_WORKSPACE")
            .env_remove("CAMPANILE_ENV")
            .env("NO_COLOR", "1")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Starts the daemon with options and waits until it is ready.
    pub fn serve_with(&self, options: &[&str]) -> Daemon {
        Daemon::start_with(self, options)
    }

    /// Starts the daemon and waits until it is ready.
    pub fn serve(&self) -> Daemon {
        Daemon::start(self)
    }

    /// The messages in the outbox, in the order of their recipients.
    pub fn outbox(&self) -> Vec<Mail> {
        let mut mails: Vec<_> = match fs::read_dir(self.path("outbox")) {
            Ok(entries) => entries
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension() == Some(OsStr::new("eml")))
                .map(|path| Mail::read(&fs::read(path).unwrap()))
                .collect(),
            Err(_) => Vec::new(),
        };
        mails.sort_by_key(|mail| mail.header("To"));
        mails
    }

    /// To whom the messages in the outbox are.
    pub fn recipients(&self) -> Vec<String> {
        self.outbox()
            .iter()
            .map(|mail| mail.header("To").unwrap_or_default())
            .collect()
    }
}

/// A campaign in the topic `news` with a short text body.
pub fn campaign(more: &str) -> String {
    format!(
        "topic = \"news\"\nsender = \"acme\"\n\n{more}\n\n[email]\nvia = \"main\"\nsubject = \"Hello {{{{ r.name }}}}\"\nbody_text = \
         \"Dear {{{{ r.name }}}}, this is for you.\"\n"
    )
    .replace("{audience}", "[audience]\nsource = \"people\"")
}

/// What a run of the program gave.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails unless the program ended with `code`.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.stdout))
    }

    /// The standard output as one JSON value a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
