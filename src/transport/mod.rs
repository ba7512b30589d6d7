//! Ways out: one file or folder per kind, behind one trait. Transports never see the store: what may be sent comes with a
//! [`Permit`], what came of it goes to the permit as an answer.
//!
//! A new kind is one new file (its settings, how they are read, the [`Transport`] itself) and one line in [`KINDS`].

mod custom;
mod outbox;
mod recorder;
mod smtp;
mod tls;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;

use crate::model::{Channel, Outgoing, Permit, Section, TransportName};

pub(crate) use custom::added;
pub use recorder::Recorder;
pub(crate) use tls::client_config;

/// A configured way out for one channel.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// What it can do.
    fn caps(&self) -> Caps;

    /// One line for people before they send: `smtp smtp.example.org:587 (starttls)`, `outbox folder outbox/`.
    fn describe(&self) -> String;

    /// Opens a connection. Several may be open side by side.
    async fn open(&self) -> Result<Box<dyn Lane>, OpenError>;
}

/// One connection of a transport.
#[async_trait]
pub trait Lane: Send {
    /// Takes `messages` and sends them, one by one or some at a time, until none is at hand or the lane is done; at least one
    /// is there. More come to hand while it sends, so the next one is taken as late as it can be used: what is at hand can still
    /// go out over another connection. Every permit that was taken is answered as its outcome comes, which may be before this
    /// returns; one that is dropped counts as unknown. Where [`Fate::Closed`] comes back the caller opens another lane, for what
    /// was not taken too.
    async fn send(&mut self, messages: &mut Messages<'_>) -> Fate;

    /// Ends the connection in the way its protocol asks for.
    async fn close(self: Box<Self>);
}

/// What is at hand for a lane.
pub type Messages<'a> = dyn Iterator<Item = (Permit, Outgoing)> + Send + 'a;

/// Whether a lane can be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It can.
    Open,
    /// The connection is gone, or has served its share of messages.
    Closed,
}

/// What a transport can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The channel it serves.
    pub channel: Channel,
    /// How many lanes are useful side by side.
    pub lanes: usize,
    /// How many messages are useful at hand for one lane.
    pub batch: usize,
}

/// Why a connection could not be opened: it is the transport's fault, and its recipients stay queued.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct OpenError {
    /// Whether a person has to act (a refused login, a bad certificate), or trying again may help (a refused connection).
    pub permanent: bool,
    /// The server's words, or what happened.
    pub words: String,
}

/// The settings of one kind of transport, checked; builds the transport.
pub trait TransportConfig: std::fmt::Debug + Send + Sync + 'static {
    /// The channel.
    fn channel(&self) -> Channel;

    /// The transport. Reads secrets and certificates, opens no connection.
    fn build(&self, context: &TransportContext) -> Result<Arc<dyn Transport>, String>;
}

/// What every kind of transport is given.
#[derive(Clone, Debug)]
pub struct TransportContext {
    /// The transport's name in the settings.
    pub name: TransportName,
    /// The workspace's folder: relative paths start there.
    pub workspace: PathBuf,
    /// How many connections side by side.
    pub connections: usize,
}

/// A kind of transport: its name in `kind =`, and how its own keys are read from its table.
pub struct TransportKind {
    /// The name.
    pub name: &'static str,
    /// Reads the keys that only this kind has; records what is wrong and gives `None` then.
    pub read: fn(&Section<'_>) -> Option<Arc<dyn TransportConfig>>,
}

/// All kinds that this build has.
pub const KINDS: &[TransportKind] = &[custom::KIND, outbox::KIND, smtp::KIND];
