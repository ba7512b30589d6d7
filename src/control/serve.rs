//! The daemon: watches, schedules, sends and serves until it is told to stop.

use std::path::Path;

use super::Refused;

/// What a daemon is asked for beyond what the settings say.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServeOptions {}

/// Runs the daemon until `shutdown` resolves, then ends in order: nothing new begins, what is on the wire finishes.
pub async fn serve(
    workspace: &Path,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Refused> {
    let _ = (workspace, options, shutdown);
    todo!()
}
