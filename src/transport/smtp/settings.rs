//! `kind = "smtp"` in the settings: its keys, checked.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use super::{SmtpTransport, deadlines::Deadlines};
use crate::{
    model::{Channel, Diagnostic, FromToml, Item, Period, SecretRef, Section},
    transport::{Transport, TransportConfig, TransportContext},
};

/// Servers that count messages per connection allow a hundred at least; what is saved beyond a thousand is nothing.
const MESSAGES_PER_CONNECTION: u32 = 1000;

/// The keys of an SMTP transport.
#[derive(Clone, Debug)]
pub(super) struct SmtpSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    /// Whom to believe instead of the system's authorities, relative to the workspace.
    pub(super) ca_file: Option<PathBuf>,
    /// What EHLO says; without it the address of the connection's own end.
    pub(super) hello_name: Option<String>,
    pub(super) login: Option<Login>,
    pub(super) messages_per_connection: u32,
    pub(super) deadlines: Deadlines,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: SecretRef,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// From the first byte (RFC 8314).
    Implicit,
    /// From STARTTLS on (RFC 3207); a server that does not offer it is refused.
    Starttls,
    /// Not at all, to a server on this machine.
    None,
    /// Not at all, to a server anywhere.
    NoneEvenRemote,
}

impl Tls {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::Starttls => "starttls",
            Self::None => "none",
            Self::NoneEvenRemote => "none-even-remote",
        }
    }

    pub(super) fn is_encrypted(self) -> bool {
        matches!(self, Self::Implicit | Self::Starttls)
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            _ => 587,
        }
    }
}

impl FromToml for Tls {
    fn from_toml(item: &Item<'_>) -> Option<Self> {
        let text: String = item.read()?;
        let all = [
            Self::Starttls,
            Self::Implicit,
            Self::None,
            Self::NoneEvenRemote,
        ];
        all.into_iter().find(|tls| tls.name() == text).or_else(|| {
            let diagnostic = Diagnostic::error(
                "wrong-value",
                item.place(),
                format!("`tls` is {text:?}, expected \"starttls\", \"implicit\" or \"none\""),
            );
            item.report(diagnostic.did_you_mean(&text, all.map(Self::name)))
        })
    }
}

impl SmtpSettings {
    /// Reads the keys; what is wrong is recorded.
    pub(super) fn read(section: &Section<'_>) -> Option<Arc<dyn TransportConfig>> {
        // Every key is read before any is missed, so that all errors are found in one go.
        let host = read_host(section);
        let tls = optional::<Tls>(section, "tls");
        let port = optional::<u16>(section, "port").and_then(|port| match port {
            Some(0) => section
                .item("port")?
                .error("out-of-range", "`port` is not between 1 and 65535"),
            port => Some(port),
        });
        let ca_file = optional::<PathBuf>(section, "ca_file");
        let hello_name = read_hello_name(section);
        let login = read_login(section);
        let messages_per_connection =
            optional::<u32>(section, "messages_per_connection").and_then(|count| match count {
                Some(0) => section.item("messages_per_connection")?.error(
                    "out-of-range",
                    "`messages_per_connection` must be at least 1",
                ),
                count => Some(count.unwrap_or(MESSAGES_PER_CONNECTION)),
            });
        let timeout = optional::<Period>(section, "timeout");

        let (host, tls) = (host?, tls?.unwrap_or(Tls::Starttls));
        let safe = check_encryption(section, &host, tls);
        let (port, ca_file, login) = (port?, ca_file?, login?);
        let (hello_name, messages_per_connection) = (hello_name?, messages_per_connection?);
        let deadlines = match timeout? {
            Some(limit) => Deadlines::default().capped(limit.nominal()),
            None => Deadlines::default(),
        };
        safe.then(|| {
            Arc::new(Self {
                port: port.unwrap_or(tls.default_port()),
                ca_file: ca_file.map(|path| section.file().folder().join(path)),
                host,
                tls,
                hello_name,
                login,
                messages_per_connection,
                deadlines,
            }) as Arc<dyn TransportConfig>
        })
    }
}

impl TransportConfig for SmtpSettings {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn build(&self, context: &TransportContext) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(SmtpTransport::new(self.clone(), context)?))
    }
}

/// `None`: it is there and wrong. `Some(None)`: it is not there.
#[allow(clippy::option_option)]
fn optional<T: FromToml>(section: &Section<'_>, key: &'static str) -> Option<Option<T>> {
    match section.item(key) {
        Some(item) => item.read().map(Some),
        None => Some(None),
    }
}

fn read_host(section: &Section<'_>) -> Option<String> {
    let written: String = section.require("host")?;
    let host = written
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(&written);
    if rustls::pki_types::ServerName::try_from(host).is_ok() {
        return Some(host.to_owned());
    }
    let item = section.item("host")?;
    let diagnostic = Diagnostic::error(
        "wrong-value",
        item.place(),
        format!("`host` is not the name of a server: {written:?}"),
    );
    item.report(match written.rsplit_once(':') {
        Some(_) => {
            diagnostic.help("the host alone stands here; the port has its own key, `port = 587`")
        }
        None => diagnostic,
    })
}

#[allow(clippy::option_option)]
fn read_hello_name(section: &Section<'_>) -> Option<Option<String>> {
    let name = optional::<String>(section, "hello_name")?;
    match &name {
        Some(name)
            if name.is_empty()
                || name.len() > 255
                || !name.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            section.item("hello_name")?.error(
                "wrong-value",
                "`hello_name` is a host name such as \"mail.example.org\"",
            )
        }
        _ => Some(name),
    }
}

#[allow(clippy::option_option)]
fn read_login(section: &Section<'_>) -> Option<Option<Login>> {
    let username = optional::<String>(section, "username");
    let password = optional::<SecretRef>(section, "password");
    match (username?, password?) {
        (Some(username), Some(password)) => Some(Some(Login { username, password })),
        (None, None) => Some(None),
        (Some(_), None) => missing(section, "username", "password"),
        (None, Some(_)) => missing(section, "password", "username"),
    }
}

fn missing<T>(section: &Section<'_>, there: &'static str, missing: &str) -> Option<T> {
    section.item(there)?.error(
        "missing-key",
        format!("`{there}` needs `{missing}` beside it"),
    )
}

/// Refuses what would put mail, or a password, on a network in clear text unasked.
fn check_encryption(section: &Section<'_>, host: &str, tls: Tls) -> bool {
    if tls.is_encrypted() || is_loopback(host) {
        return true;
    }
    let Some(item) = section.item("tls") else {
        return true;
    };
    if section.has("username") {
        let diagnostic = Diagnostic::error(
            "login-in-clear",
            item.place(),
            format!("the login to {host} would be readable by everybody on the way"),
        );
        item.report::<()>(diagnostic.help("write tls = \"starttls\" or \"implicit\""));
        return false;
    }
    if tls == Tls::None {
        let diagnostic = Diagnostic::error(
            "mail-in-clear",
            item.place(),
            format!("mail to {host} would be readable by everybody on the way"),
        );
        item.report::<()>(diagnostic.help(
            "write tls = \"starttls\" or \"implicit\"; if this is meant, \"none-even-remote\"",
        ));
        return false;
    }
    true
}

/// Whether a host is this machine, by its name alone.
fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => {
            host.eq_ignore_ascii_case("localhost")
                || host.to_ascii_lowercase().ends_with(".localhost")
        }
    }
}
