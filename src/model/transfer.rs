//! The hand-over of a message to a transport: permission, message, answer.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{DeliveryId, EmailAddress};

/// Permission to send one delivery once. Only the store makes it, when the intent is durable. It can't be copied; dropped
/// without an answer it reports [`Answer::Unknown`].
#[must_use = "a permit that is dropped reports the delivery as in doubt"]
pub struct Permit {
    delivery: DeliveryId,
    attempt: u32,
    outcomes: Option<Outcomes>,
}

impl Permit {
    /// Called by a store after the commit that made the intent durable, and by nobody else.
    pub(crate) fn issue(delivery: DeliveryId, attempt: u32, outcomes: &Outcomes) -> Self {
        Self {
            delivery,
            attempt,
            outcomes: Some(outcomes.clone()),
        }
    }

    /// The delivery that may be sent.
    pub fn delivery(&self) -> DeliveryId {
        self.delivery
    }

    /// Which try it is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Ends the attempt with the transport's answer.
    pub fn answer(mut self, answer: Answer) {
        self.finish(answer);
    }

    fn finish(&mut self, answer: Answer) {
        if let Some(outcomes) = self.outcomes.take() {
            // The receiver lives as long as the dispatcher; after it nobody can use an answer: the intent stays, and recovery
            // reports the delivery as in doubt.
            let _ = outcomes.0.send(Answered {
                delivery: self.delivery,
                attempt: self.attempt,
                answer,
            });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.finish(Answer::Unknown {
            words: "the transport gave no answer".to_owned(),
        });
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit({}, attempt {})", self.delivery, self.attempt)
    }
}

/// Where answers go: the sending half of a queue that the dispatcher reads.
#[derive(Clone, Debug)]
pub struct Outcomes(mpsc::UnboundedSender<Answered>);

impl Outcomes {
    /// A queue for answers. It is bounded by the permits that exist, `max_in_doubt` at most.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Answered>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

/// An answer with the attempt it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which try, from 1.
    pub attempt: u32,
    /// What the transport said.
    pub answer: Answer,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The transport took responsibility. Its own id or words for it, such as a server's queue id.
    Accepted {
        /// The words of the answer.
        words: String,
    },
    /// The transport refused it.
    Refused {
        /// Whether trying again can't help.
        permanent: bool,
        /// Whose fault it is.
        scope: Scope,
        /// The mailbox does not exist: do not write to it again (RFC 3463: 5.1.1 and its kin).
        no_such_mailbox: bool,
        /// When to try again at the earliest, where the transport said so.
        retry_after: Option<Duration>,
        /// The words of the refusal.
        words: String,
    },
    /// It was not handed over: nothing was sent, or the connection was lost before the end of the message was written.
    NotStarted {
        /// What happened.
        words: String,
    },
    /// It was handed over, and no answer came.
    Unknown {
        /// What happened.
        words: String,
    },
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This recipient's: others may well be accepted.
    Recipient,
    /// This message's: the same message to another would be refused too.
    Message,
    /// The transport's, which is too fast: it goes on more slowly, and the recipient stays queued.
    Rate,
    /// The transport's (a refused login, a used-up quota, a shutdown): recipients stay queued.
    Transport,
}

/// A message ready for a transport.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A mail.
    Email(OutgoingEmail),
}

/// A mail with its envelope.
#[derive(Clone, Debug)]
pub struct OutgoingEmail {
    /// The envelope's sender (MAIL FROM).
    pub from: EmailAddress,
    /// The envelope's recipient (RCPT TO).
    pub to: EmailAddress,
    /// The Message-ID, without angle brackets.
    pub message_id: String,
    /// The message (RFC 5322): CRLF line ends, no line over 998 octets, no dot-stuffing. Where there is a `shared`, all up to that.
    pub bytes: Vec<u8>,
    /// What all messages of a campaign end with (pictures, attachments), encoded once: blocks of whole lines, none of which
    /// begins with a dot. Empty for most.
    pub shared: Vec<Arc<[u8]>>,
}

impl OutgoingEmail {
    /// How many bytes the message has.
    pub fn size(&self) -> usize {
        let shared: usize = self.shared.iter().map(|block| block.len()).sum();
        self.bytes.len() + shared
    }

    /// The whole message in one piece.
    pub fn into_bytes(mut self) -> Vec<u8> {
        for block in &self.shared {
            self.bytes.extend_from_slice(block);
        }
        self.bytes
    }
}
