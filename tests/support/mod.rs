//! What the tests stand on: a workspace built in a few lines, the program run in it, a daemon in the background, and the
//! peers it talks to.

pub mod browser;
pub mod daemon;
pub mod embedded;
pub mod hook;
pub mod mail;
pub mod peers;
pub mod runs;
pub mod smtp_server;
pub mod smtp_sink;
pub mod workspace;

pub use daemon::Daemon;
pub use hook::Hook;
pub use mail::Mail;
pub use workspace::Workspace;

use std::time::{Duration, Instant};

/// How long a test waits for something that must happen. Long: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Waits until `look` gives something; fails with `what` when patience ends.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An HTTP client, about to be built. The program under test brings its own cryptography; a client in the tests' process needs
/// to be told which.
pub fn http() -> reqwest::blocking::ClientBuilder {
    // Whoever comes second finds it done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::builder()
}

/// A port on the loopback that is free now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A schedule that is due once, in so many seconds from now.
pub fn soon(seconds: i64) -> String {
    let at = chrono::Utc::now() + chrono::TimeDelta::seconds(seconds);
    format!(
        "[schedule]\ntimezone = \"UTC\"\nat = {}",
        at.format("%Y-%m-%dT%H:%M:%S")
    )
}
