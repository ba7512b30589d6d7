//! The daemon: watch, schedule, send, answer.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "web")]
use tokio::net::TcpListener;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    engine::{Access, Engine},
    workspace::{Change, Location, Watcher},
};

use super::{Refused, RefusedKind, socket};

/// How often the schedules are looked at.
const TICK: Duration = Duration::from_millis(500);
/// At every how manieth look the transports that do not work are built again.
const MEND: u32 = 20;

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {}

/// Opens the workspace and serves it until `shutdown` resolves: then nothing more is claimed, what is on the wire ends, and
/// the next start goes on where this one was.
pub async fn serve(
    workspace: impl Into<Location>,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Refused> {
    let engine = Engine::builder(workspace).open(Access::Write).await?;
    engine.serve(options, shutdown).await
}

impl Engine {
    /// Serves until `shutdown` resolves: watches the files, starts what is due, sends, answers commands and web requests.
    pub async fn serve(
        self: &Arc<Self>,
        _options: ServeOptions,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Refused> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let control = socket::path(self.own_store_path());
        let listener = socket::listen(&control).map_err(|error| {
            Refused::new(
                RefusedKind::Failed,
                format!("{}: {error}", control.display()),
            )
        })?;
        tasks.spawn(socket::answer(
            self.clone(),
            listener,
            control,
            stopped.clone(),
        ));
        #[cfg(feature = "web")]
        self.listen_to_the_web(&mut tasks, &stopped).await?;
        self.announce();
        self.tell_of_safety();
        self.hold_and_release().await?;
        self.start_sending(None).await?;
        tasks.spawn(watch_files(self.clone(), stopped.clone()));
        tasks.spawn(keep_time(self.clone(), stopped.clone()));
        tasks.spawn(follow_up(self.clone(), stopped.clone()));
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            () = self.sending_ended() => Err(Refused::new(
                RefusedKind::Failed,
                "the ledger can't be written any more (was the store taken over by another process?)",
            )),
        };
        tracing::info!("stopping: what is on the wire ends first");
        self.stop_sending().await;
        let _ = stop.send(true);
        let patience = tokio::time::sleep(Duration::from_secs(3));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                ended = tasks.join_next() => if ended.is_none() { break },
                () = &mut patience => break,
            }
        }
        tasks.shutdown().await;
        tracing::info!("stopped");
        outcome
    }

    #[cfg(feature = "web")]
    async fn listen_to_the_web(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        stopped: &watch::Receiver<bool>,
    ) -> Result<(), Refused> {
        let web = self.settings().web.clone();
        let bind = async |key: &str, address: std::net::SocketAddr| {
            TcpListener::bind(address).await.map_err(|error| {
                Refused::new(
                    RefusedKind::Failed,
                    format!("[web] {key} = \"{address}\": {error} (another address, or \"off\")"),
                )
            })
        };
        if let Some(address) = web.listen {
            let listener = bind("listen", address).await?;
            let router = crate::web::public_router(self.clone());
            tasks.spawn(crate::web::serve(listener, router, until(stopped.clone())));
        }
        if let Some(address) = web.admin_listen {
            let listener = bind("admin_listen", address).await?;
            let router = crate::web::admin_router(self.clone());
            tasks.spawn(crate::web::serve(listener, router, until(stopped.clone())));
        }
        Ok(())
    }

    /// Says what is served, as a newcomer wants to know it.
    fn announce(&self) {
        let (settings, snapshot) = (self.settings(), self.snapshot());
        tracing::info!(
            workspace = %self.workspace().display(), store = %self.own_store_path().display(),
            campaigns = snapshot.campaigns.len(), "serving"
        );
        if let Some(environment) = self.environment() {
            tracing::warn!(
                "environment {environment}: campanile.{environment}.toml overrides campanile.toml"
            );
        }
        for found in &snapshot.diagnostics {
            tracing::warn!("{found}");
        }
        if let Some(address) = settings.web.listen {
            tracing::info!(
                "public pages on http://{address} (links in messages start with {})",
                settings.web.public_url
            );
        }
        if let Some(address) = settings.web.admin_listen {
            tracing::info!("status on http://{address}/");
        }
    }

    async fn sending_ended(&self) {
        while self.is_sending().await {
            tokio::time::sleep(TICK).await;
        }
    }
}

#[cfg(feature = "web")]
async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Takes every change of the files into force.
async fn watch_files(engine: Arc<Engine>, mut stopped: watch::Receiver<bool>) {
    let mut watcher = Watcher::start(engine.location(), engine.tree());
    loop {
        let change = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            change = watcher.changed() => change,
        };
        let adopted = match change {
            Change::Tree(tree) => engine.adopt(tree).await,
            Change::Vanished(why) => engine.files_vanished(&why).await,
        };
        if let Err(error) = adopted {
            tracing::error!(%error, "the change of the files is not in force");
        }
    }
}

/// Starts what is due, applies what files and `stop` say, and keeps the heartbeat.
async fn keep_time(engine: Arc<Engine>, mut stopped: watch::Receiver<bool>) {
    let mut looks: u32 = 0;
    loop {
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(MEND) {
            engine.mend_ways().await;
        }
        let tick = async {
            engine.heartbeat().await?;
            engine.note_what_is_new().await?;
            engine.hold_and_release().await?;
            engine.start_what_is_due().await?;
            engine.drop_old_views().await?;
            engine.open_zones(None).await?;
            engine.release_tested().await?;
            engine.finish_without_way().await
        };
        if let Err(error) = tick.await {
            tracing::error!(%error, "schedules");
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Does what follows deliveries that were sent, beside sending. Once it is stopped it ends as soon as nothing more can be done
/// now.
pub(super) async fn follow_up(engine: Arc<Engine>, mut stopped: watch::Receiver<bool>) {
    loop {
        let tried = engine.follow_up().await.unwrap_or_else(|error| {
            tracing::error!(%error, "[after]");
            0
        });
        if tried > 0 {
            continue;
        }
        if *stopped.borrow() {
            return;
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
}
