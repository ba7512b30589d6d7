//! From nothing to a conversation: address, TLS, greeting, EHLO, login. TCP, the TLS handshake and the login are mail-send's;
//! what stands between them is done here, with a deadline for each step and no byte passed over: a STARTTLS that is answered
//! with more than its reply is refused (CVE-2011-0411), a server without EHLO is greeted with HELO.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use mail_send::{Credentials, Error, SmtpClient};
use secrecy::ExposeSecret;
use smtp_proto::EhloResponse;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;

use super::{
    SmtpTransport,
    conversation::Conversation,
    extensions::Extensions,
    lane::SmtpLane,
    reply::{Reply, clean},
    settings::{SmtpSettings, Tls},
    wire::{Broken, Stream, Wire},
};
use crate::transport::{Lane, OpenError};

type Opened<T> = Result<T, OpenError>;

fn temporary(words: String) -> OpenError {
    OpenError {
        permanent: false,
        words,
    }
}

fn permanent(words: String) -> OpenError {
    OpenError {
        permanent: true,
        words,
    }
}

impl SmtpTransport {
    /// Opens a connection that is ready for mail.
    pub(super) async fn connect(&self) -> Opened<Box<dyn Lane>> {
        let SmtpSettings { host, port, .. } = &self.settings;
        let opened = self.connect_by_steps().await;
        opened.map_err(|error| OpenError {
            words: format!("{host}:{port}: {}", error.words),
            ..error
        })
    }

    async fn connect_by_steps(&self) -> Opened<Box<dyn Lane>> {
        let (stream, name) = self.dial().await?;
        match self.settings.tls {
            Tls::Implicit => {
                let mut wire = Wire::new(self.encrypt(stream).await?);
                self.greeted(&mut wire).await?;
                self.ready(wire, &name).await
            }
            Tls::Starttls => {
                let mut wire = Wire::new(stream);
                self.greeted(&mut wire).await?;
                let stream = self.start_tls(wire, &name).await?;
                self.ready(Wire::new(self.encrypt(stream).await?), &name)
                    .await
            }
            Tls::None | Tls::NoneEvenRemote => {
                let mut wire = Wire::new(stream);
                self.greeted(&mut wire).await?;
                self.ready(wire, &name).await
            }
        }
    }

    /// A TCP connection, and the name that EHLO says.
    async fn dial(&self) -> Opened<(TcpStream, String)> {
        let settings = &self.settings;
        let limit = settings.deadlines.connect;
        let deadline = Instant::now() + limit;
        let silent = || temporary(format!("no connection within {limit:?}"));
        let found = timeout_at(
            deadline,
            lookup_host((settings.host.as_str(), settings.port)),
        )
        .await;
        let addresses: Vec<SocketAddr> = match found {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(error)) => {
                return Err(temporary(format!("the name can't be looked up: {error}")));
            }
            Err(_) => return Err(silent()),
        };
        let mut last = temporary("the name has no address".to_owned());
        let count = addresses.len() as u32;
        for (tried, address) in (0..).zip(addresses) {
            if settings.tls == Tls::None && !address.ip().is_loopback() {
                last = permanent(format!(
                    "{address} is not this machine, and tls = \"none\" is for this machine only"
                ));
                continue;
            }
            // An address that swallows packets leaves the others their share of the time.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (count - tried);
            match SmtpClient::connect(address, share).await {
                Ok(client) => {
                    let stream = client.stream;
                    // Without it the kernel holds back the end of a message until the start is acknowledged: 40 ms each.
                    let ready = stream.set_nodelay(true).and_then(|()| stream.local_addr());
                    let local = ready.map_err(|error| temporary(error.to_string()))?;
                    return Ok((
                        stream,
                        settings
                            .hello_name
                            .clone()
                            .unwrap_or_else(|| address_literal(local)),
                    ));
                }
                Err(Error::Timeout) => {
                    last = temporary(format!("{address}: no connection within {share:.1?}"));
                }
                Err(error) => last = temporary(format!("{address}: {}", plain(error))),
            }
        }
        Err(last)
    }

    async fn greeted<S: Stream>(&self, wire: &mut Wire<S>) -> Opened<()> {
        let limit = self.settings.deadlines.greeting;
        match wire.reply(limit).await {
            Ok(reply) if reply.is_success() => Ok(()),
            Ok(reply) => Err(temporary(format!("the server greets with {reply}"))),
            Err(broken @ Broken::Silent(_))
                if self.settings.port == 465 && self.settings.tls != Tls::Implicit =>
            {
                Err(temporary(format!(
                    "greeting: {broken}; port 465 usually wants tls = \"implicit\""
                )))
            }
            Err(broken) => Err(temporary(format!("greeting: {broken}"))),
        }
    }

    async fn start_tls(&self, mut wire: Wire<TcpStream>, name: &str) -> Opened<TcpStream> {
        let offered = self.hello(&mut wire, name).await?;
        if !offered.starttls {
            let words = "the server offers no STARTTLS; if it encrypts from the first byte, write tls = \"implicit\"";
            return Err(permanent(words.to_owned()));
        }
        let reply = command(&mut wire, "STARTTLS", self.settings.deadlines.hello).await?;
        if reply.code != 220 {
            return Err(temporary(format!("STARTTLS: {reply}")));
        }
        if !wire.is_quiet() {
            return Err(temporary(
                "STARTTLS: somebody on the way put bytes behind the server's answer".to_owned(),
            ));
        }
        Ok(wire.into_stream())
    }

    async fn encrypt(&self, stream: TcpStream) -> Opened<TlsStream<TcpStream>> {
        let settings = &self.settings;
        let client = SmtpClient {
            stream,
            timeout: settings.deadlines.tls,
        };
        let Some(connector) = &self.connector else {
            return Err(permanent("TLS is not set up".to_owned()));
        };
        match client.into_tls(connector, &settings.host).await {
            Ok(client) => Ok(client.stream),
            Err(Error::Tls(error)) => Err(match &*error {
                rustls::Error::InvalidCertificate(_) => {
                    let help = if settings.ca_file.is_some() {
                        "ca_file does not vouch for it"
                    } else {
                        "if it is signed by an authority of your own, name its certificate in ca_file"
                    };
                    permanent(format!("{error}; {help}"))
                }
                rustls::Error::InvalidMessage(_) => {
                    temporary(format!("the server does not speak TLS here ({error})"))
                }
                _ => temporary(format!("TLS: {error}")),
            }),
            Err(Error::Timeout) => Err(temporary(format!(
                "TLS: {}",
                Broken::Silent(settings.deadlines.tls)
            ))),
            Err(error) => Err(temporary(format!("TLS: {}", plain(error)))),
        }
    }

    /// EHLO and login on a connection that is as private as it gets.
    async fn ready<S: Stream + 'static>(
        &self,
        mut wire: Wire<S>,
        name: &str,
    ) -> Opened<Box<dyn Lane>> {
        let offered = self.hello(&mut wire, name).await?;
        self.log_in(&mut wire, &offered).await?;
        let conversation = Conversation::new(
            wire,
            offered,
            self.settings.deadlines,
            Arc::clone(&self.distrust),
        );
        Ok(Box::new(SmtpLane::new(
            conversation,
            self.settings.messages_per_connection as usize,
        )))
    }

    async fn hello<S: Stream>(&self, wire: &mut Wire<S>, name: &str) -> Opened<Extensions> {
        let limit = self.settings.deadlines.hello;
        let reply = command(wire, &format!("EHLO {name}"), limit).await?;
        if reply.is_success() {
            return Ok(Extensions::read(&reply));
        }
        if reply.code >= 500 {
            let hello = command(wire, &format!("HELO {name}"), limit).await?;
            if hello.is_success() {
                return Ok(Extensions::default());
            }
        }
        Err(temporary(format!("EHLO: {reply}")))
    }

    async fn log_in<S: Stream>(&self, wire: &mut Wire<S>, offered: &Extensions) -> Opened<()> {
        let Some((username, password)) = &self.login else {
            return Ok(());
        };
        if offered.login == 0 {
            return Err(permanent(
                "there is a username, but the server offers no login by PLAIN or LOGIN".to_owned(),
            ));
        }
        // mail-send reads with a buffer of its own: nothing may be left in ours, and what is left in its is a server out of step,
        // which the exchange finds out.
        if !wire.is_quiet() {
            return Err(temporary(
                "the server spoke unasked behind its answer to EHLO".to_owned(),
            ));
        }
        let limit = self.settings.deadlines.login;
        let ways = EhloResponse::<String> {
            auth_mechanisms: offered.login,
            ..EhloResponse::default()
        };
        let credentials = Credentials::new(username.as_str(), password.expose_secret());
        let mut client = SmtpClient {
            stream: wire.stream(),
            timeout: limit,
        };
        match client.authenticate(&credentials, &ways).await {
            Ok(_) => Ok(()),
            Err(Error::AuthenticationFailed(reply)) => {
                let words = clean(&reply.message, 500);
                let words = format!(
                    "the server refuses the login of {username}: {} {words}",
                    reply.code
                );
                Err(OpenError {
                    permanent: reply.code >= 500,
                    words,
                })
            }
            Err(Error::Auth(_) | Error::Base64(_)) => Err(permanent(
                "login: the server asks for something else than a user name and a password"
                    .to_owned(),
            )),
            Err(Error::Timeout) => Err(temporary(format!("login: {}", Broken::Silent(limit)))),
            Err(error) => Err(temporary(format!("login: {}", plain(error)))),
        }
    }
}

/// Sends one command and reads its reply.
async fn command<S: Stream>(wire: &mut Wire<S>, line: &str, limit: Duration) -> Opened<Reply> {
    let verb = line.split(' ').next().unwrap_or_default();
    let broken = |broken: Broken| temporary(format!("{verb}: {broken}"));
    wire.out.extend_from_slice(line.as_bytes());
    wire.out.extend_from_slice(b"\r\n");
    wire.flush(0, limit)
        .await
        .map_err(|torn| broken(torn.why))?;
    wire.reply(limit).await.map_err(broken)
}

/// An error of mail-send in words, without what it says of its own kind.
fn plain(error: Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::UnparseableReply => {
            "the server closed the connection or answered with something that is not SMTP"
                .to_owned()
        }
        error => error.to_string(),
    }
}

/// `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3): a name that is always right.
fn address_literal(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => format!("[{}]", address.ip()),
        SocketAddr::V6(address) => format!("[IPv6:{}]", address.ip()),
    }
}
