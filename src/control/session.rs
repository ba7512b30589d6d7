//! How a command reaches an engine: through the daemon's socket, or an engine of its own under the free lock.

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};

use crate::{
    engine::{Access, Engine},
    model::{CampaignId, EnvironmentName, OccurrenceName, RunId, RunState},
    workspace::Location,
};

use super::{Command, Refused, RefusedKind, Reply, RunStatus, serve::follow_up, socket};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// How long what follows the last deliveries may take before a foreground send ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// A way to an engine.
pub struct Session(Way);

enum Way {
    /// With the environment that it must serve.
    Daemon(PathBuf, Option<EnvironmentName>),
    Own(Arc<Engine>),
}

/// An engine that one has already, such as that of an embedding program.
impl From<Arc<Engine>> for Session {
    fn from(engine: Arc<Engine>) -> Self {
        Self(Way::Own(engine))
    }
}

impl Engine {
    /// Plans the occurrence that `label` names and sends it, until the run is over, held or paused. While
    /// [`serve`](Self::serve) runs it is that which sends. A label that was sent before is refused: nobody gets the same
    /// twice. Where an audience is held (over a limit, say) the run says why.
    pub async fn send(
        self: &Arc<Self>,
        campaign: &CampaignId,
        label: &OccurrenceName,
    ) -> Result<RunStatus, Refused> {
        let session = Session::from(self.clone());
        let send = Command::Send {
            campaign: campaign.clone(),
            label: label.clone(),
            digest: None,
            somebody: false,
        };
        let run = match self.execute(send).await? {
            Reply::Run(run) => run.id,
            other => return Err(unexpected(&other)),
        };
        let (mut nobody_looks, never) = (|_: &RunStatus| {}, std::future::pending());
        if self.is_sending().await {
            session.watch(run, &mut nobody_looks, never).await?;
            return session.look(run).await;
        }
        session.drive(run, &mut nobody_looks, never).await
    }
}

fn unexpected(reply: &Reply) -> Refused {
    Refused::new(
        RefusedKind::Failed,
        format!("the engine answered something else: {reply:?}"),
    )
}

impl Session {
    /// For commands that only read: the daemon if there is one, else the files and the store, read-only.
    pub async fn read(workspace: impl Into<Location>) -> Result<Self, Refused> {
        Self::open(workspace.into(), Access::Read).await
    }

    /// For commands that change something: the daemon if there is one, else an engine under the store's lock.
    pub async fn write(workspace: impl Into<Location>) -> Result<Self, Refused> {
        Self::open(workspace.into(), Access::Write).await
    }

    /// For what is asked about the files as they lie in the folder, whatever a daemon has taken up of them: an engine of its
    /// own that only reads.
    pub async fn own(workspace: impl Into<Location>) -> Result<Self, Refused> {
        let engine = Engine::builder(workspace).open(Access::Read).await?;
        Ok(Self(Way::Own(engine)))
    }

    async fn open(location: Location, access: Access) -> Result<Self, Refused> {
        let socket = socket::path(&Engine::store_path(location.clone()).await?);
        if tokio::net::UnixStream::connect(&socket).await.is_ok() {
            return Ok(Self(Way::Daemon(socket, location.environment)));
        }
        Ok(Self(Way::Own(
            Engine::builder(location).open(access).await?,
        )))
    }

    /// Whether a daemon is behind it.
    pub fn is_daemon(&self) -> bool {
        matches!(self.0, Way::Daemon(..))
    }

    /// Carries a command out.
    pub async fn execute(&self, command: Command) -> Result<Reply, Refused> {
        match &self.0 {
            Way::Daemon(socket, environment) => {
                socket::ask(socket, environment.as_ref(), &command).await
            }
            Way::Own(engine) => engine.execute(command).await,
        }
    }

    /// Where no daemon runs: sends until the run is over, paused or held, or `stop` resolves (then what is in flight ends in
    /// order). With a daemon: waits for the same. `progress` is called whenever the counts have moved.
    pub async fn drive(
        &self,
        run: RunId,
        progress: &mut (dyn FnMut(&RunStatus) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<RunStatus, Refused> {
        let (ended, end) = watch::channel(false);
        let mut following = JoinSet::new();
        if let Way::Own(engine) = &self.0 {
            engine.start_sending(Some(run)).await?;
            following.spawn(follow_up(engine.clone(), end));
        }
        let watched = self.watch(run, progress, stop).await;
        if let Way::Own(engine) = &self.0 {
            engine.stop_sending().await;
            let _ = ended.send(true);
            // What is not done then is done by the next `serve` or `send`.
            let all = async { while following.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(PATIENCE, all).await;
        }
        watched?;
        self.look(run).await
    }

    async fn watch(
        &self,
        run: RunId,
        progress: &mut (dyn FnMut(&RunStatus) + Send),
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Refused> {
        let mut stop = pin!(stop);
        let mut shown = None;
        loop {
            // Listened for before it is looked at: what ends in between is not missed.
            let mut over = pin!(self.until_a_run_is_over());
            let _ = futures::poll!(over.as_mut());
            let status = self.look(run).await?;
            let now = (status.state, status.counts.clone());
            if shown.as_ref() != Some(&now) {
                progress(&status);
                shown = Some(now);
            }
            let goes_on = matches!(
                status.state,
                RunState::Planning | RunState::Scheduled | RunState::Sending
            );
            match &self.0 {
                Way::Own(engine) => {
                    // Nobody else is there to let the rest of a rollout go when its time has come.
                    if !goes_on && status.goes_on_at.is_none() {
                        return Ok(());
                    }
                    engine.heartbeat().await?;
                    engine.open_zones(Some(run)).await?;
                    if !goes_on {
                        engine.hold_and_release().await?;
                    }
                }
                Way::Daemon(..) if goes_on => {}
                Way::Daemon(..) => return Ok(()),
            }
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = over => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Where a daemon sends, it does not tell: it is asked again and again.
    async fn until_a_run_is_over(&self) {
        match &self.0 {
            Way::Own(engine) => engine.until_a_run_is_over().await,
            Way::Daemon(..) => std::future::pending().await,
        }
    }

    async fn look(&self, run: RunId) -> Result<RunStatus, Refused> {
        match self.execute(Command::Run { run }).await? {
            Reply::Run(status) => Ok(*status),
            other => Err(unexpected(&other)),
        }
    }
}
