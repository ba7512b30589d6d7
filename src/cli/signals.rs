//! SIGINT and SIGTERM: the first asks for an orderly end, the second ends at once.

use std::io::Write;

use super::exit::Exit;

/// Resolves at the first signal. From then on another one ends the process.
pub(super) async fn interrupted() {
    signal().await;
    // The output is somebody else's while this waits; nothing can be done where standard error is gone.
    let _ = writeln!(
        std::io::stderr(),
        "stopping: what is on the wire finishes first; once more to quit at once"
    );
    tokio::spawn(async {
        signal().await;
        std::process::exit(i32::from(Exit::Failed as u8));
    });
}

/// Resolves at the next signal.
#[cfg(unix)]
pub(super) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers the system's own hold: the signal ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Resolves at the next signal.
#[cfg(not(unix))]
pub(super) async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
