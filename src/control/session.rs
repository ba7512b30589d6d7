//! How a command reaches an engine: through the daemon's socket, or an engine of its own under the free lock.

use std::path::Path;

use super::{Command, Refused, Reply};

/// A way to an engine.
pub struct Session {}

impl Session {
    /// For commands that only read: the daemon if there is one, else the files and the store, read-only.
    pub async fn read(workspace: &Path) -> Result<Self, Refused> {
        let _ = workspace;
        todo!()
    }

    /// For commands that change something: the daemon if there is one, else an engine under the store's lock.
    pub async fn write(workspace: &Path) -> Result<Self, Refused> {
        let _ = workspace;
        todo!()
    }

    /// Whether a daemon is behind it.
    pub fn is_daemon(&self) -> bool {
        todo!()
    }

    /// Carries a command out.
    pub async fn execute(&self, command: Command) -> Result<Reply, Refused> {
        let _ = command;
        todo!()
    }

    /// Where no daemon runs: sends until the run is over, paused or held, or `stop` resolves (then what is in flight ends in
    /// order). With a daemon: waits for the same. `progress` is called whenever the counts have moved.
    pub async fn drive(
        &self,
        run: crate::model::RunId,
        progress: &mut (dyn FnMut(&super::RunStatus) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<super::RunStatus, Refused> {
        let _ = (run, progress, stop);
        todo!()
    }
}
