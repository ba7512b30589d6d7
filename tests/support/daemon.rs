//! `campanile serve` in the background.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use super::{Workspace, wait_for};

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
    admin_port: u16,
}

impl Daemon {
    /// Starts it and waits until it is ready.
    pub fn start(workspace: &Workspace) -> Self {
        Self::launch(workspace).ready()
    }

    /// The same, with options.
    pub fn start_with(workspace: &Workspace, options: &[&str]) -> Self {
        Self::launch_with(workspace, options).ready()
    }

    fn ready(self) -> Self {
        let mut daemon = self;
        wait_for("the daemon to be ready", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", daemon.log());
            }
            get(daemon.admin_port, "/readyz")
                .filter(|answer| answer.starts_with("HTTP/1.1 200"))
                .map(drop)
        });
        daemon
    }

    /// Starts it and waits for nothing.
    pub fn launch(workspace: &Workspace) -> Self {
        Self::launch_with(workspace, &[])
    }

    fn launch_with(workspace: &Workspace, options: &[&str]) -> Self {
        let log = workspace.path("daemon.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = workspace
            .command(["serve"].iter().chain(options))
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            admin_port: workspace.admin_port,
        }
    }

    /// What it logged so far, with what earlier daemons of the workspace did.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM); gives its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let killed = std::process::Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(killed.success());
        wait_for("the daemon to end", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// What the daemon answers to a GET, headers and all.
pub fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
