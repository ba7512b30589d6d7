//! An SMTP server that does what a test tells it: it takes every message and records it, but for the steps that it was given
//! another [`Act`] for. It runs in a thread of its own, so that tests with and without a runtime can use it.
//!
//! ```ignore
//! let server = SmtpServer::start(|s| s
//!     .rcpt("b@x.example", Reply(550, "5.1.1 no such user"))
//!     .dot("c@x.example", AcceptThenClose)
//!     .mail(3, Reply(421, "4.3.2 shutting down").then_close()).times(1))
//! .await;
//! …
//! assert_eq!(server.recipients(), ["a@x.example"]);
//! ```
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::return_self_not_must_use
)]

mod script;
mod session;

use std::{
    io::Write,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

pub use self::script::{Act, Act::*, Script, When};
use self::{script::Rule, session::Session};

/// How long a `wait_…` waits before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message that the server took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub from: String,
    pub to: Vec<String>,
    /// What stood behind the address in MAIL FROM.
    pub parameters: String,
    /// The message, without dot-stuffing.
    pub bytes: Vec<u8>,
    /// On which connection it came, from 1.
    pub connection: usize,
}

#[derive(Default)]
struct Record {
    accepted: Vec<Accepted>,
    transcript: Vec<(usize, String)>,
    connections: usize,
    open: usize,
    peak: usize,
    messages: usize,
}

struct Shared {
    script: Mutex<Vec<Rule>>,
    options: Script,
    record: Mutex<Record>,
    changed: watch::Sender<()>,
    acceptor: TlsAcceptor,
}

/// A server that runs until it is dropped.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    ca: tempfile::NamedTempFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SmtpServer {
    /// Starts one on a free port of this machine.
    #[allow(clippy::unused_async)] // so that it reads like every other server in a test
    pub async fn start(script: impl FnOnce(Script) -> Script) -> Self {
        Self::start_blocking(script)
    }

    /// The same, for tests without a runtime.
    pub fn start_blocking(script: impl FnOnce(Script) -> Script) -> Self {
        Self::start_blocking_on(0, script)
    }

    /// The same, on a port that was free a moment ago.
    pub fn start_blocking_on(port: u16, script: impl FnOnce(Script) -> Script) -> Self {
        let options = script(Script::default());
        let (acceptor, ca) = certificate();
        let shared = Arc::new(Shared {
            script: Mutex::new(options.rules.clone()),
            options,
            record: Mutex::default(),
            changed: watch::channel(()).0,
            acceptor,
        });
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = listen(listener, running) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            shared,
            ca,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate to believe, as PEM.
    pub fn ca_file(&self) -> &Path {
        self.ca.path()
    }

    /// What it took so far, in order.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.shared.record.lock().unwrap().accepted.clone()
    }

    /// To whom it took messages so far, in order.
    pub fn recipients(&self) -> Vec<String> {
        self.accepted()
            .into_iter()
            .flat_map(|message| message.to)
            .collect()
    }

    /// How many it took so far.
    pub fn count(&self) -> usize {
        self.shared.record.lock().unwrap().accepted.len()
    }

    /// How many connections were open at once at most.
    pub fn peak(&self) -> usize {
        self.shared.record.lock().unwrap().peak
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.shared.record.lock().unwrap().connections
    }

    /// The commands so far, of all connections; a message's content is not among them, but for the lone dot of an empty one.
    pub fn commands(&self) -> Vec<String> {
        self.shared
            .record
            .lock()
            .unwrap()
            .transcript
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// Waits until it has taken that many.
    pub async fn wait_accepted(&self, count: usize) -> Vec<Accepted> {
        self.wait(|record| record.accepted.len() >= count).await;
        self.accepted()
    }

    /// Waits until no connection is open any more.
    pub async fn wait_closed(&self) {
        self.wait(|record| record.open == 0).await;
    }

    async fn wait(&self, holds: impl Fn(&Record) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !holds(&self.shared.record.lock().unwrap()) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the server waits for what does not happen");
    }

    /// The same without a runtime: waits until it has taken that many.
    pub fn wait_accepted_blocking(&self, count: usize) -> Vec<Accepted> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(self.wait_accepted(count))
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A certificate for this machine, which is its own authority.
fn certificate() -> (TlsAcceptor, tempfile::NamedTempFile) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(made.cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key)
    .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let (connection, open) = {
            let mut record = shared.record.lock().unwrap();
            record.connections += 1;
            record.open += 1;
            record.peak = record.peak.max(record.open);
            (record.connections, record.open)
        };
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // A client that hangs up is no error here.
            let _ = Session::run(connection, open, stream, &shared).await;
            shared.record.lock().unwrap().open -= 1;
            let _ = shared.changed.send(());
        });
    }
}
