//! The Unix socket of a daemon: a line of JSON is a command, a line of JSON its answer. Only the daemon's own user may speak.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
};

use crate::{engine::Engine, model::EnvironmentName, store::beside};

use super::{Command, Refused, RefusedKind, Reply};

/// The longest path a socket may have on every system.
const LONGEST_PATH: usize = 100;
/// The longest command: a list of suppressions is sent in pages.
const LONGEST_COMMAND: u64 = 16 * 1024 * 1024;

/// Where the socket of a store is: beside it, or, where that path is too long for a socket, in a private folder for
/// temporary files.
pub(super) fn path(store: &Path) -> PathBuf {
    let path = beside(store, ".sock");
    if path.as_os_str().len() <= LONGEST_PATH {
        return path;
    }
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
    let owner = store
        .parent()
        .and_then(|folder| folder.metadata().ok())
        .map_or(0, |folder| folder.uid());
    std::env::temp_dir()
        .join(format!("campanile-{owner}"))
        .join(format!("{}.sock", &hash[..16]))
}

/// Listens for commands. The store's lock is held: a socket that is there is left over.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers commands until it is told to stop.
pub(super) async fn answer(
    engine: Arc<Engine>,
    listener: UnixListener,
    path: PathBuf,
    mut stop: watch::Receiver<bool>,
) {
    let owner = path.metadata().map(|socket| socket.uid()).ok();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = stream.peer_cred().map(|peer| peer.uid()).ok();
                if peer == owner || peer == Some(0) {
                    tokio::spawn(converse(engine.clone(), stream));
                } else {
                    tracing::warn!(?peer, "another user tried to give commands");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
    let _ = std::fs::remove_file(&path);
}

async fn converse(engine: Arc<Engine>, stream: UnixStream) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let limited = &mut tokio::io::AsyncReadExt::take(&mut reading, LONGEST_COMMAND);
        match limited.read_until(b'\n', &mut line).await {
            Ok(n) if n > 0 => {}
            _ => return,
        }
        let reply = match serde_json::from_slice::<Request<Command>>(&line) {
            Ok(request) if request.environment.as_ref() != engine.environment() => {
                Err(another_environment(engine.environment()))
            }
            // A task of its own: a command that was begun ends, whether or not anybody waits for the answer.
            Ok(Request { command, .. }) => {
                let engine = engine.clone();
                let carried_out = tokio::spawn(async move { engine.execute(command).await });
                carried_out.await.unwrap_or_else(|error| {
                    Err(Refused::new(RefusedKind::Failed, error.to_string()))
                })
            }
            Err(error) => Err(Refused::new(
                RefusedKind::Usage,
                format!("the daemon does not know this command (is it another version?): {error}"),
            )),
        };
        let mut answer = serde_json::to_vec(&reply).expect("replies are JSON");
        answer.push(b'\n');
        if writing.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Whoever means one environment must not be answered by the daemon of another.
fn another_environment(served: Option<&EnvironmentName>) -> Refused {
    let (what, say) = match served {
        Some(served) => (
            format!("environment {served}"),
            format!("say `--env {served}`"),
        ),
        None => ("no environment".to_owned(), "leave `--env` out".to_owned()),
    };
    Refused::new(
        RefusedKind::Usage,
        format!(
            "the daemon of this store serves {what}: {say}, or give each environment a store of its own ([store] path)"
        ),
    )
}

/// A command, and the environment it is meant for.
#[derive(serde::Serialize, serde::Deserialize)]
struct Request<C> {
    environment: Option<EnvironmentName>,
    command: C,
}

/// Gives a daemon a command, which it refuses where it serves another environment.
pub(super) async fn ask(
    path: &Path,
    environment: Option<&EnvironmentName>,
    command: &Command,
) -> Result<Reply, Refused> {
    let failed = |error: io::Error| {
        Refused::new(
            RefusedKind::Failed,
            format!("the daemon at {}: {error}", path.display()),
        )
    };
    let mut stream = UnixStream::connect(path).await.map_err(failed)?;
    let request = Request {
        environment: environment.cloned(),
        command,
    };
    let mut line = serde_json::to_vec(&request).expect("commands are JSON");
    line.push(b'\n');
    stream.write_all(&line).await.map_err(failed)?;
    let mut answer = Vec::new();
    BufReader::new(stream)
        .read_until(b'\n', &mut answer)
        .await
        .map_err(failed)?;
    if answer.is_empty() {
        return Err(Refused::new(
            RefusedKind::Failed,
            "the daemon ended before it answered",
        ));
    }
    serde_json::from_slice::<Result<Reply, Refused>>(&answer).unwrap_or_else(|error| {
        Err(Refused::new(
            RefusedKind::Failed,
            format!("the daemon's answer makes no sense (is it another version?): {error}"),
        ))
    })
}
