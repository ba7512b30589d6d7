//! Postfix's `smtp-sink`: takes all mail as fast as it comes, and can write it down.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A sink that runs until it is dropped.
pub struct SmtpSink {
    child: Child,
    address: SocketAddr,
}

impl SmtpSink {
    /// Starts one; `None` where `smtp-sink` is not installed (Debian: `postfix`). Where `CI` is set that fails the test.
    pub fn start() -> Option<Self> {
        Self::run(&[])
    }

    /// Starts one that writes each message into a file of its own in `folder`, between the lines `X-Mail-Args: <from>`,
    /// `X-Rcpt-Args: <to>` and an empty line at the end.
    pub fn start_dumping(folder: &Path) -> Option<Self> {
        // It gives its rights away before it writes.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        let template = folder.join("mail");
        Self::run(&["-d", template.to_str().unwrap()])
    }

    fn run(options: &[&str]) -> Option<Self> {
        let Some(program) = find() else {
            assert!(
                std::env::var_os("CI").is_none(),
                "smtp-sink is not installed (Debian: apt-get install postfix)"
            );
            return None;
        };
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut command = Command::new(program);
        command.args(options);
        // Only root may, and must, name a user.
        if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            command.args(["-u", "nobody"]);
        }
        command.args([&format!("127.0.0.1:{}", address.port()), "256"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut sink = Self { child, address };
        sink.wait_until_it_listens();
        Some(sink)
    }

    fn wait_until_it_listens(&mut self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "smtp-sink ended at once"
            );
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "smtp-sink does not listen"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("smtp-sink"))
        .find(|program| program.is_file())
}
