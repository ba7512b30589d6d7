//! `kind = "smtp"`: mail to a server by SMTP (RFC 5321).
//!
//! | file | holds |
//! |---|---|
//! | settings | the keys, checked |
//! | deadlines | how long each step may take |
//! | connect | from nothing to a conversation: TCP, TLS, EHLO, login |
//! | lane | a connection as the dispatcher sees it |
//! | conversation | the exchange of messages and replies, pipelined |
//! | envelope, extensions | a mail as commands, by what the server offers |
//! | wire, reply | bytes with deadlines, and where a reply ends |
//! | verdict, phrases | what a refusal means |
//! | distrust | servers that offer PIPELINING and can't do it |

mod connect;
mod conversation;
mod deadlines;
mod distrust;
mod envelope;
mod extensions;
mod lane;
mod phrases;
mod reply;
mod settings;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio_rustls::TlsConnector;

use self::{distrust::Distrust, settings::SmtpSettings};
use super::{Caps, Lane, OpenError, Transport, TransportContext, TransportKind, client_config};
use crate::model::Channel;

/// As many messages are useful at hand: enough that a commit is for several, few enough that a slow server takes little with it.
const BATCH: usize = 8;

/// The kind.
pub(super) const KIND: TransportKind = TransportKind {
    name: "smtp",
    read: SmtpSettings::read,
};

/// An SMTP server that mail goes to.
pub(super) struct SmtpTransport {
    settings: SmtpSettings,
    /// User name and password.
    login: Option<(String, SecretString)>,
    /// `None` where nothing is encrypted.
    connector: Option<TlsConnector>,
    distrust: Arc<Distrust>,
    lanes: usize,
}

impl SmtpTransport {
    fn new(settings: SmtpSettings, context: &TransportContext) -> Result<Self, String> {
        let login = match &settings.login {
            Some(login) => {
                let password = login
                    .password
                    .read(&context.workspace)
                    .map_err(|error| format!("password: {error}"))?;
                Some((login.username.clone(), password))
            }
            None => None,
        };
        let connector = if settings.tls.is_encrypted() {
            let ca_file = settings
                .ca_file
                .as_ref()
                .map(|path| context.workspace.join(path));
            Some(connector(ca_file.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            settings,
            login,
            connector,
            distrust: Arc::default(),
            lanes: context.connections,
        })
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    fn caps(&self) -> Caps {
        Caps {
            channel: Channel::Email,
            lanes: self.lanes,
            batch: BATCH,
        }
    }

    fn describe(&self) -> String {
        let SmtpSettings {
            host, port, tls, ..
        } = &self.settings;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        format!("smtp {host}:{port} ({})", tls.name())
    }

    async fn open(&self) -> Result<Box<dyn Lane>, OpenError> {
        self.connect().await
    }
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    Ok(TlsConnector::from(Arc::new(client_config(ca_file)?)))
}
