//! The engine in this process, with a clock that tests set: what the program does at an hour that is not now.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use campanile::{
    control::ServeOptions,
    engine::{Access, Engine},
    model::Clock,
};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::oneshot;

use super::{Workspace, wait_for};

/// The system's clock, set forward or back.
#[derive(Clone)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// One that shows this moment now.
    pub fn at(moment: &str) -> Self {
        let clock = Self(Arc::default());
        clock.set(moment);
        clock
    }

    /// Sets it.
    pub fn set(&self, moment: &str) {
        let moment: DateTime<Utc> = moment.parse().unwrap();
        let offset = moment - Utc::now();
        self.0
            .store(offset.num_microseconds().unwrap(), Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::microseconds(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        while self.now() < at {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A daemon in this process; the program's commands reach it as they reach any other.
pub struct Embedded {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts it and waits until it answers.
    pub fn serve(workspace: &Workspace, clock: &TestClock) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (folder, clock) = (workspace.folder().to_owned(), clock.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let builder = Engine::builder(folder).clock(clock);
                let engine = builder.open(Access::Write).await.unwrap();
                let stopped = async { drop(stopped.await) };
                engine
                    .serve(ServeOptions::default(), stopped)
                    .await
                    .unwrap();
            });
        });
        let running = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        wait_for("the engine to answer", || {
            assert!(
                !running.thread.as_ref().unwrap().is_finished(),
                "the engine ended"
            );
            let status = workspace.run(["status", "--json"]);
            (status.code == Some(0) && status.json()["daemon"] == true).then_some(())
        });
        running
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}
