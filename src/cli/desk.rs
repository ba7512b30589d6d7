//! Where the verbs put their questions, so that a test can sit there.

use crate::{
    control::{Command, Refused, Reply, RunStatus, Session},
    model::RunId,
};

/// Somebody who carries commands out.
pub(super) trait Desk {
    /// Whether it is a daemon, which goes on when the command has ended.
    fn is_daemon(&self) -> bool;

    /// Carries a command out.
    async fn execute(&self, command: Command) -> Result<Reply, Refused>;

    /// Sends a run, or waits for it, until it is over, waits for a person, or `stop` resolves.
    async fn drive(
        &self,
        run: RunId,
        progress: &mut (dyn FnMut(&RunStatus) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<RunStatus, Refused>;
}

impl Desk for Session {
    fn is_daemon(&self) -> bool {
        self.is_daemon()
    }

    async fn execute(&self, command: Command) -> Result<Reply, Refused> {
        self.execute(command).await
    }

    async fn drive(
        &self,
        run: RunId,
        progress: &mut (dyn FnMut(&RunStatus) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<RunStatus, Refused> {
        self.drive(run, progress, stop).await
    }
}

/// Carries a command out and takes the kind of reply that answers it.
macro_rules! answer {
    ($desk:expr, $command:expr, $reply:ident) => {
        match $crate::cli::desk::Desk::execute($desk, $command).await {
            Ok($crate::control::Reply::$reply(content)) => Ok(content),
            Ok(_) => Err($crate::cli::failure::Failure::unexpected()),
            Err(refused) => Err($crate::cli::failure::Failure::from(refused)),
        }
    };
}
pub(super) use answer;
