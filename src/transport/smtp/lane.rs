//! One connection as the dispatcher sees it: batches in, until its share of messages or its time is used up.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{conversation::Conversation, wire::Stream};
use crate::{
    model::{Answer, Outgoing, OutgoingEmail, Permit},
    transport::{Fate, Lane},
};

/// A connection is used no longer than this: behind a balancer, new ones find the servers that were added.
const MAX_AGE: Duration = Duration::from_mins(10);

/// A connection that is open. Dropped, it is closed at once.
pub(super) struct SmtpLane<S> {
    conversation: Conversation<S>,
    /// How many more messages it may carry.
    left: usize,
    /// How many a batch has at most: with less left than that, a new connection comes before the next batch.
    batch: usize,
    opened: Instant,
    is_usable: bool,
}

impl<S: Stream> SmtpLane<S> {
    pub(super) fn new(conversation: Conversation<S>, messages: usize, batch: usize) -> Self {
        Self {
            conversation,
            left: messages,
            batch,
            opened: Instant::now(),
            is_usable: true,
        }
    }
}

#[async_trait]
impl<S: Stream + 'static> Lane for SmtpLane<S> {
    async fn send(&mut self, batch: Vec<(Permit, Outgoing)>) -> Fate {
        let mut mails: Vec<(Permit, OutgoingEmail)> = batch
            .into_iter()
            .map(|(permit, Outgoing::Email(mail))| (permit, mail))
            .collect();
        let share = if self.is_usable {
            self.left.min(mails.len())
        } else {
            0
        };
        let beyond = mails.split_off(share);
        self.left -= share;
        if !mails.is_empty() {
            self.is_usable = self.conversation.exchange(mails).await;
        }
        for (permit, _) in beyond {
            permit.answer(Answer::NotStarted {
                words: "the connection has carried its share of messages".to_owned(),
            });
        }
        if self.is_usable && self.left >= self.batch && self.opened.elapsed() < MAX_AGE {
            Fate::Open
        } else {
            Fate::Closed
        }
    }

    async fn close(self: Box<Self>) {
        if self.is_usable {
            self.conversation.quit().await;
        }
    }
}
