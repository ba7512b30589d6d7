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
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::return_self_not_must_use
)]

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

pub use Act::{AcceptThenClose, AcceptThenSilence, Close, Raw, Reply, Silence};

/// How long a `wait_…` waits before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server does at a step.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says this; each line of the text is a line of the reply.
    Reply(u16, &'static str),
    /// Says exactly these bytes.
    Raw(&'static [u8]),
    /// Hangs up without a word.
    Close,
    /// Says nothing more and waits until the client hangs up.
    Silence,
    /// At the dot: takes the message, then hangs up without a word.
    AcceptThenClose,
    /// At the dot: takes the message, then says nothing more.
    AcceptThenSilence,
    /// Waits, then does that.
    After(Duration, Box<Act>),
    /// Does that, then hangs up.
    ThenClose(Box<Act>),
}

impl Act {
    /// Waits before it does it.
    pub fn after(self, pause: Duration) -> Self {
        Self::After(pause, Box::new(self))
    }

    /// Hangs up when it has done it.
    pub fn then_close(self) -> Self {
        Self::ThenClose(Box::new(self))
    }
}

/// The steps that can be scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Content,
    Dot,
    Rset,
}

/// For which messages a rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// For all.
    Always,
    /// For this address: the sender's at MAIL, the recipient's at every other step.
    Address(String),
    /// For the n-th message (MAIL command) since the server started, from 1.
    Nth(usize),
}

impl From<&str> for When {
    fn from(address: &str) -> Self {
        Self::Address(address.to_owned())
    }
}

impl From<usize> for When {
    fn from(nth: usize) -> Self {
        Self::Nth(nth)
    }
}

#[derive(Clone, Debug)]
struct Rule {
    step: Step,
    when: When,
    act: Act,
    times: usize,
}

/// What the server is told before it starts.
#[derive(Clone, Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
    extensions: Option<Vec<&'static str>>,
    only_helo: bool,
    starttls: bool,
    implicit_tls: bool,
    user: Option<(String, String)>,
    ways: Option<&'static str>,
    pieces: bool,
    swallows_pipelined: bool,
    eager_354: bool,
    injects: Option<&'static [u8]>,
}

impl Script {
    fn rule(mut self, step: Step, when: impl Into<When>, act: Act) -> Self {
        self.rules.push(Rule {
            step,
            when: when.into(),
            act,
            times: usize::MAX,
        });
        self
    }

    /// Instead of the greeting.
    pub fn greeting(self, act: Act) -> Self {
        self.rule(Step::Greeting, When::Always, act)
    }
    /// Instead of the answer to EHLO.
    pub fn ehlo(self, act: Act) -> Self {
        self.rule(Step::Ehlo, When::Always, act)
    }
    /// Instead of the answer to STARTTLS.
    pub fn starttls_answer(self, act: Act) -> Self {
        self.rule(Step::Starttls, When::Always, act)
    }
    /// Instead of the answer to a login.
    pub fn auth(self, act: Act) -> Self {
        self.rule(Step::Auth, When::Always, act)
    }
    /// Instead of the answer to MAIL FROM: of a sender, of the n-th message, or always.
    pub fn mail(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Mail, when, act)
    }
    /// Instead of the answer to RCPT TO.
    pub fn rcpt(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Rcpt, when, act)
    }
    /// Instead of the answer to DATA.
    pub fn data(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Data, when, act)
    }
    /// Behind the first line of a message.
    pub fn content(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Content, when, act)
    }
    /// Instead of the answer to a message. One that is answered with 2xx is recorded as accepted.
    pub fn dot(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Dot, when, act)
    }
    /// Instead of the answer to RSET.
    pub fn rset(self, act: Act) -> Self {
        self.rule(Step::Rset, When::Always, act)
    }
    /// The rule before holds so often only.
    pub fn times(mut self, times: usize) -> Self {
        self.rules
            .last_mut()
            .expect("a rule stands before `times`")
            .times = times;
        self
    }

    /// What EHLO offers, instead of PIPELINING, 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES.
    pub fn extensions(mut self, extensions: &[&'static str]) -> Self {
        self.extensions = Some(extensions.to_vec());
        self
    }
    /// Knows no EHLO.
    pub fn only_helo(mut self) -> Self {
        self.only_helo = true;
        self
    }
    /// Offers STARTTLS with a certificate of its own, see [`SmtpServer::ca_file`].
    pub fn starttls(mut self) -> Self {
        self.starttls = true;
        self
    }
    /// Speaks TLS from the first byte.
    pub fn implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }
    /// Puts bytes behind the answer to STARTTLS, as an attacker on the way would.
    pub fn injects_behind_starttls(mut self, bytes: &'static [u8]) -> Self {
        self.injects = Some(bytes);
        self
    }
    /// Wants a login before MAIL, by PLAIN or LOGIN.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }
    /// Which ways to log in are offered, instead of `PLAIN LOGIN`.
    pub fn login_ways(mut self, ways: &'static str) -> Self {
        self.ways = Some(ways);
        self
    }
    /// Sends every byte on its own.
    pub fn one_byte_pieces(mut self) -> Self {
        self.pieces = true;
        self
    }
    /// Loses whatever came together with a command and stands behind it.
    pub fn swallows_pipelined(mut self) -> Self {
        self.swallows_pipelined = true;
        self
    }
    /// Answers DATA with 354 even where no recipient was accepted.
    pub fn eager_354(mut self) -> Self {
        self.eager_354 = true;
        self
    }
}

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
        let options = script(Script::default());
        let (acceptor, ca) = certificate();
        let shared = Arc::new(Shared {
            script: Mutex::new(options.rules.clone()),
            options,
            record: Mutex::default(),
            changed: watch::channel(()).0,
            acceptor,
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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
        let connection = {
            let mut record = shared.record.lock().unwrap();
            record.connections += 1;
            record.open += 1;
            record.connections
        };
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            // A client that hangs up is no error here.
            let _ = Session::run(connection, stream, &shared).await;
            shared.record.lock().unwrap().open -= 1;
            let _ = shared.changed.send(());
        });
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// How a step ended.
enum Next {
    /// Nothing special was told: do what servers do.
    Usual,
    /// It was said, with this code.
    Said(u16),
}

struct Session<'a> {
    shared: &'a Shared,
    connection: usize,
    stream: BufReader<Box<dyn Duplex>>,
    encrypted: bool,
    logged_in: bool,
    nth: usize,
    from: Option<(String, String)>,
    to: Vec<String>,
    /// The last recipient that was named, accepted or not: what rules go by.
    named: String,
    content: Vec<u8>,
}

impl<'a> Session<'a> {
    async fn run(connection: usize, stream: TcpStream, shared: &'a Shared) -> io::Result<()> {
        let encrypted = shared.options.implicit_tls;
        let stream: Box<dyn Duplex> = if encrypted {
            Box::new(shared.acceptor.accept(stream).await?)
        } else {
            Box::new(stream)
        };
        let mut session = Self {
            shared,
            connection,
            stream: BufReader::new(stream),
            encrypted,
            logged_in: false,
            nth: 0,
            from: None,
            to: Vec::new(),
            named: String::new(),
            content: Vec::new(),
        };
        if let Next::Usual = session.act(Step::Greeting).await? {
            session.say(220, "test.example ready").await?;
        }
        loop {
            let line = session.line().await?;
            session.note(&line);
            if shared.options.swallows_pipelined {
                let behind = session.stream.buffer().len();
                session.stream.consume(behind);
            }
            if !session.command(&line).await? {
                return Ok(());
            }
        }
    }

    fn note(&self, line: &str) {
        self.shared
            .record
            .lock()
            .unwrap()
            .transcript
            .push((self.connection, line.to_owned()));
    }

    async fn line(&mut self) -> io::Result<String> {
        let bytes = self.raw_line().await?;
        Ok(String::from_utf8_lossy(&bytes)
            .trim_end_matches(['\r', '\n'])
            .to_owned())
    }

    async fn raw_line(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_until(b'\n', &mut bytes).await?;
        if bytes.ends_with(b"\n") {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.shared.options.pieces {
            for byte in bytes {
                self.stream.write_all(&[*byte]).await?;
                self.stream.flush().await?;
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn say(&mut self, code: u16, text: &str) -> io::Result<()> {
        let lines: Vec<&str> = text.split('\n').collect();
        let mut reply = String::new();
        for (at, line) in lines.iter().enumerate() {
            let separator = if at + 1 == lines.len() { ' ' } else { '-' };
            reply.push_str(&format!("{code}{separator}{line}\r\n"));
        }
        self.write(reply.as_bytes()).await
    }

    /// Does what the script tells for this step.
    async fn act(&mut self, step: Step) -> io::Result<Next> {
        let address = match step {
            Step::Mail => self
                .from
                .as_ref()
                .map(|(from, _)| from.clone())
                .unwrap_or_default(),
            _ => self.named.clone(),
        };
        let found = {
            let mut rules = self.shared.script.lock().unwrap();
            let rule = rules.iter_mut().find(|rule| {
                let fits = match &rule.when {
                    When::Always => true,
                    When::Address(wanted) => *wanted == address,
                    When::Nth(nth) => *nth == self.nth,
                };
                rule.step == step && rule.times > 0 && fits
            });
            rule.map(|rule| {
                rule.times -= 1;
                rule.act.clone()
            })
        };
        match found {
            Some(act) => self.perform(act).await,
            None => Ok(Next::Usual),
        }
    }

    async fn perform(&mut self, mut act: Act) -> io::Result<Next> {
        let closed = || Err(io::ErrorKind::ConnectionAborted.into());
        let mut hangs_up = false;
        loop {
            act = match act {
                Act::After(pause, then) => {
                    tokio::time::sleep(pause).await;
                    *then
                }
                Act::ThenClose(first) => {
                    hangs_up = true;
                    *first
                }
                Act::Reply(code, text) => {
                    self.say(code, text).await?;
                    return if hangs_up {
                        closed()
                    } else {
                        Ok(Next::Said(code))
                    };
                }
                Act::Raw(bytes) => {
                    self.write(bytes).await?;
                    return if hangs_up {
                        closed()
                    } else {
                        Ok(Next::Said(0))
                    };
                }
                Act::Close => return closed(),
                Act::AcceptThenClose => {
                    self.accept();
                    return closed();
                }
                Act::AcceptThenSilence => {
                    self.accept();
                    Act::Silence
                }
                Act::Silence => {
                    let mut rest = [0; 1024];
                    while self.stream.read(&mut rest).await? > 0 {}
                    return closed();
                }
            };
        }
    }

    fn accept(&mut self) {
        let bytes = std::mem::take(&mut self.content);
        let (from, parameters) = self.from.take().unwrap_or_default();
        let message = Accepted {
            from,
            to: std::mem::take(&mut self.to),
            parameters,
            bytes,
            connection: self.connection,
        };
        self.shared.record.lock().unwrap().accepted.push(message);
        let _ = self.shared.changed.send(());
    }

    /// Gives whether the session goes on.
    async fn command(&mut self, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" if self.shared.options.only_helo => {
                self.say(502, "5.5.1 not implemented").await?
            }
            "EHLO" => self.ehlo().await?,
            "HELO" => self.say(250, "test.example").await?,
            "STARTTLS" => self.start_tls().await?,
            "AUTH" => self.log_in(rest).await?,
            "MAIL" => self.mail(rest).await?,
            "RCPT" => {
                self.named = address(rest).0;
                match self.act(Step::Rcpt).await? {
                    Next::Said(250..=259) => self.to.push(self.named.clone()),
                    Next::Said(_) => {}
                    Next::Usual if self.from.is_none() => self.say(503, "5.5.1 MAIL first").await?,
                    Next::Usual => {
                        self.to.push(self.named.clone());
                        self.say(250, "2.1.5 ok").await?;
                    }
                }
            }
            "DATA" => self.data().await?,
            "RSET" => {
                (self.from, self.to) = (None, Vec::new());
                if let Next::Usual = self.act(Step::Rset).await? {
                    self.say(250, "2.0.0 ok").await?;
                }
            }
            "NOOP" => self.say(250, "2.0.0 ok").await?,
            "QUIT" => {
                self.say(221, "2.0.0 bye").await?;
                return Ok(false);
            }
            _ => self.say(500, "5.5.2 what?").await?,
        }
        Ok(true)
    }

    async fn ehlo(&mut self) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Ehlo).await? {
            return Ok(());
        }
        let options = &self.shared.options;
        let usual = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
        let mut lines = vec!["test.example".to_owned()];
        lines.extend(
            options
                .extensions
                .as_deref()
                .unwrap_or(&usual)
                .iter()
                .map(ToString::to_string),
        );
        if options.starttls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if options.user.is_some() {
            lines.push(format!("AUTH {}", options.ways.unwrap_or("PLAIN LOGIN")));
        }
        self.say(250, &lines.join("\n")).await
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Starttls).await? {
            return Ok(());
        }
        let injected = self.shared.options.injects.unwrap_or_default();
        self.write(&[b"220 2.0.0 go\r\n".as_slice(), injected].concat())
            .await?;
        let plain = std::mem::replace(
            &mut self.stream,
            BufReader::new(Box::new(tokio::io::empty())),
        );
        let encrypted = self.shared.acceptor.accept(plain.into_inner()).await?;
        self.stream = BufReader::new(Box::new(encrypted));
        self.encrypted = true;
        Ok(())
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Auth).await? {
            return Ok(());
        }
        let (way, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let given = if way.eq_ignore_ascii_case("PLAIN") {
            decode(initial).and_then(|text| {
                let mut parts = text.splitn(3, '\0').skip(1).map(ToOwned::to_owned);
                Some((parts.next()?, parts.next()?))
            })
        } else {
            self.say(334, &BASE64_STANDARD.encode("Username:")).await?;
            let name = self.line().await?;
            self.say(334, &BASE64_STANDARD.encode("Password:")).await?;
            let password = self.line().await?;
            decode(&name).zip(decode(&password))
        };
        if given.is_some() && given == self.shared.options.user {
            self.logged_in = true;
            self.say(235, "2.7.0 welcome").await
        } else {
            self.say(535, "5.7.8 who are you?").await
        }
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        let nested = self.from.is_some();
        self.nth = {
            let mut record = self.shared.record.lock().unwrap();
            record.messages += 1;
            record.messages
        };
        self.from = Some(address(rest));
        match self.act(Step::Mail).await? {
            Next::Said(250..=259) => return Ok(()),
            Next::Said(_) => {}
            Next::Usual if self.shared.options.user.is_some() && !self.logged_in => {
                self.say(530, "5.7.0 log in first").await?;
            }
            Next::Usual if nested => self.say(503, "5.5.1 nested MAIL").await?,
            Next::Usual => return self.say(250, "2.1.0 ok").await,
        }
        self.from = None;
        Ok(())
    }

    async fn data(&mut self) -> io::Result<()> {
        match self.act(Step::Data).await? {
            Next::Said(354) => {}
            Next::Said(_) => return Ok(()),
            Next::Usual if self.to.is_empty() && !self.shared.options.eager_354 => {
                return self.say(503, "5.5.1 RCPT first").await;
            }
            Next::Usual => self.say(354, "go on").await?,
        }
        let mut bytes = Vec::new();
        let mut lines = 0;
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" {
                break;
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            lines += 1;
            if lines == 1 {
                self.act(Step::Content).await?;
            }
        }
        if lines == 0 {
            self.note(".");
        }
        if self.to.is_empty() {
            self.from = None;
            return self.say(554, "5.5.1 no valid recipients").await;
        }
        self.content = bytes;
        match self.act(Step::Dot).await? {
            Next::Said(200..=299) => self.accept(),
            Next::Said(_) => {}
            Next::Usual => {
                // Recorded first: who has the answer finds it in the record.
                self.accept();
                self.say(250, "2.0.0 Ok: queued").await?;
            }
        }
        (self.from, self.to) = (None, Vec::new());
        Ok(())
    }
}

/// The address of `FROM:<a@x> SIZE=3`, and what stands behind it.
fn address(rest: &str) -> (String, String) {
    let address = rest.split_once('<').map_or(rest, |(_, behind)| behind);
    let (address, parameters) = address.rsplit_once('>').unwrap_or((address, ""));
    (address.to_owned(), parameters.trim().to_owned())
}
