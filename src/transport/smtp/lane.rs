//! One connection as the dispatcher sees it: messages in, until its share of them or its time is used up.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{conversation::Conversation, wire::Stream};
use crate::{
    model::Outgoing,
    transport::{Fate, Lane, Messages},
};

/// A connection is used no longer than this: behind a balancer, new ones find the servers that were added.
const MAX_AGE: Duration = Duration::from_mins(10);

/// A connection that is open. Dropped, it is closed at once.
pub(super) struct SmtpLane<S> {
    conversation: Conversation<S>,
    /// How many more messages it may carry.
    left: usize,
    opened: Instant,
    is_usable: bool,
}

impl<S: Stream> SmtpLane<S> {
    pub(super) fn new(conversation: Conversation<S>, messages: usize) -> Self {
        Self {
            conversation,
            left: messages,
            opened: Instant::now(),
            is_usable: true,
        }
    }
}

#[async_trait]
impl<S: Stream + 'static> Lane for SmtpLane<S> {
    async fn send(&mut self, messages: &mut Messages<'_>) -> Fate {
        let (left, opened) = (&mut self.left, self.opened);
        let share = std::iter::from_fn(|| {
            if *left == 0 || opened.elapsed() > MAX_AGE {
                *left = 0;
                return None;
            }
            let (permit, Outgoing::Email(mail)) = messages.next()?;
            *left -= 1;
            Some((permit, mail))
        });
        if self.is_usable {
            self.is_usable = self.conversation.exchange(share).await;
        }
        if self.is_usable && self.left > 0 {
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
