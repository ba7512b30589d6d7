//! A transport for tests: it sends nothing and keeps what it was given.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Caps, Fate, Lane, Messages, OpenError, Transport};
use crate::model::{Answer, Channel, Outgoing, OutgoingEmail};

/// A transport that keeps what it was given in memory, for the tests of embedding programs. Clones share what they keep: one
/// is given to the [`Builder`](crate::engine::Builder::transport), another looks at it.
///
/// ```
/// use campanile::{model::Answer, transport::Recorder};
///
/// let accepts_all = Recorder::new();
/// let one_way_street = Recorder::answering(|mail| {
///     if mail.to.to_string().ends_with("@example.org") {
///         Answer::Accepted { words: "taken".into() }
///     } else {
///         Answer::NotStarted { words: "no way there".into() }
///     }
/// });
/// assert!(accepts_all.messages().is_empty());
/// # let _ = one_way_street;
/// ```
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    answer: Box<dyn Fn(&OutgoingEmail) -> Answer + Send + Sync>,
    accepted: Mutex<Vec<OutgoingEmail>>,
}

impl Recorder {
    /// One that accepts everything.
    pub fn new() -> Self {
        Self::answering(|_| Answer::Accepted {
            words: "recorded".to_owned(),
        })
    }

    /// One that answers as it is told; it keeps what was [`Accepted`](Answer::Accepted).
    pub fn answering(answer: impl Fn(&OutgoingEmail) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            answer: Box::new(answer),
            accepted: Mutex::default(),
        }))
    }

    /// What it accepted so far, in that order.
    pub fn messages(&self) -> Vec<OutgoingEmail> {
        self.0.accepted.lock().clone()
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.accepted.lock().len();
        f.debug_struct("Recorder")
            .field("accepted", &count)
            .finish()
    }
}

#[async_trait]
impl Transport for Recorder {
    fn caps(&self) -> Caps {
        Caps {
            channel: Channel::Email,
            lanes: 4,
            batch: 64,
        }
    }

    fn describe(&self) -> String {
        "recorder (nothing is sent)".to_owned()
    }

    async fn open(&self) -> Result<Box<dyn Lane>, OpenError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Lane for Recorder {
    async fn send(&mut self, messages: &mut Messages<'_>) -> Fate {
        for (permit, outgoing) in messages {
            let Outgoing::Email(mail) = outgoing;
            let answer = (self.0.answer)(&mail);
            if matches!(answer, Answer::Accepted { .. }) {
                self.0.accepted.lock().push(mail);
            }
            permit.answer(answer);
        }
        Fate::Open
    }

    async fn close(self: Box<Self>) {}
}
