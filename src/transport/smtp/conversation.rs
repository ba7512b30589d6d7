//! The exchange: messages out, answers in, over a connection that is logged in.
//!
//! With PIPELINING (RFC 2920) the envelope goes out in one piece, and the next one right behind the last message's dot, so that
//! a message costs one round trip:
//!
//! ```text
//! → MAIL RCPT DATA                ← 250 250 354
//! → message . MAIL RCPT DATA      ← 250, 250 250 354
//! → message .                     ← 250
//! ```
//!
//! A message is begun only when its `354` is there and nothing else was said, so that a server whose replies have slipped by
//! one is found out before a message is handed over on the strength of another's reply.

use std::sync::Arc;

use super::{
    deadlines::Deadlines,
    distrust::Distrust,
    envelope::Envelope,
    extensions::Extensions,
    reply::Reply,
    verdict::{Step, ends_conversation, refusal},
    wire::{Broken, Stream, Wire},
};
use crate::model::{Answer, OutgoingEmail, Permit};

/// A connection that mail may be sent over.
pub(super) struct Conversation<S> {
    wire: Wire<S>,
    offered: Extensions,
    deadlines: Deadlines,
    distrust: Arc<Distrust>,
    /// Whether commands go out before the reply to the one before is there.
    pipelined: bool,
    /// A transaction was left behind: RSET comes before the next.
    left_open: bool,
    is_used: bool,
}

/// The reply that is owed to what stands in the out buffer, or went out from it.
#[derive(Default)]
enum Owed {
    #[default]
    Nothing,
    /// To a message; `dot` is where in the buffer it ends.
    Message { permit: Permit, dot: usize },
    /// To the empty message with which a DATA that should have been refused is ended.
    LoneDot,
}

/// What became of an envelope.
enum Offer {
    /// `354`: the message may follow.
    Taken,
    /// The message is not wanted; the conversation goes on.
    Refused(Answer),
}

/// The conversation is over; `answer` is for the message whose envelope was on its way, `words` say why.
struct End {
    answer: Answer,
    words: String,
}

impl<S: Stream> Conversation<S> {
    pub(super) fn new(
        wire: Wire<S>,
        offered: Extensions,
        deadlines: Deadlines,
        distrust: Arc<Distrust>,
    ) -> Self {
        let pipelined = offered.pipelining && !distrust.holds();
        Self {
            wire,
            offered,
            deadlines,
            distrust,
            pipelined,
            left_open: false,
            is_used: false,
        }
    }

    /// Sends the messages in turn, each taken when the one before is ready to be written; each permit that was taken is answered.
    /// Gives whether the conversation can go on; where it can't, no more were taken.
    pub(super) async fn exchange(
        &mut self,
        mut messages: impl Iterator<Item = (Permit, OutgoingEmail)> + Send,
    ) -> bool {
        if let Err(words) = self.nothing_unasked().await {
            // One that was used before may end while it is idle. One that never works must not be opened again and again for
            // the same message.
            if !self.is_used
                && let Some((permit, _)) = messages.next()
            {
                permit.answer(Answer::NotStarted { words });
            }
            return false;
        }
        self.is_used = true;
        match self.exchange_until_end(messages).await {
            Ok(()) => self.wire.is_quiet(),
            Err(words) => {
                tracing::debug!(words, "the conversation is over");
                false
            }
        }
    }

    async fn nothing_unasked(&mut self) -> Result<(), String> {
        match self.wire.unasked().await {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => Err(format!("the server spoke unasked: {reply}")),
            Err(broken) => Err(broken.to_string()),
        }
    }

    async fn exchange_until_end(
        &mut self,
        messages: impl Iterator<Item = (Permit, OutgoingEmail)>,
    ) -> Result<(), String> {
        let mut owed = Owed::Nothing;
        for (permit, mail) in messages {
            let envelope = match Envelope::new(&mail, &self.offered) {
                Ok(envelope) => envelope,
                Err(answer) => {
                    permit.answer(answer);
                    continue;
                }
            };
            match self.offer(&envelope, &mut owed).await {
                Ok(Offer::Taken) => {
                    let dot = self.wire.put(mail);
                    owed = Owed::Message { permit, dot };
                    if !self.pipelined {
                        self.settle(&mut owed).await?;
                    }
                }
                Ok(Offer::Refused(answer)) => permit.answer(answer),
                Err(End { answer, words }) => {
                    permit.answer(answer);
                    return Err(words);
                }
            }
        }
        self.settle(&mut owed).await
    }

    /// Sends an envelope behind whatever waits in the out buffer, settles what is owed for that, and reads what the server says
    /// to the envelope.
    async fn offer(&mut self, envelope: &Envelope, owed: &mut Owed) -> Result<Offer, End> {
        const RESET: &str = "RSET\r\n";
        let commands = [
            (Step::Mail, envelope.mail.as_str()),
            (Step::Rcpt, &envelope.rcpt),
            (Step::Data, "DATA\r\n"),
        ];
        let reset = std::mem::take(&mut self.left_open);
        if reset {
            self.wire.out.extend_from_slice(RESET.as_bytes());
        }
        if self.pipelined {
            for (_, command) in commands {
                self.wire.out.extend_from_slice(command.as_bytes());
            }
        }
        self.settle(owed).await.map_err(End::not_started)?;
        if reset {
            let reply = self.hear(Step::Mail).await.map_err(End::not_started)?;
            if !reply.is_success() {
                return Err(End::not_started(format!("RSET: {reply}")));
            }
        }

        let mut refused: Option<Answer> = None;
        let mut has_recipient = false;
        for (step, command) in commands {
            if !self.pipelined {
                self.wire.out.extend_from_slice(command.as_bytes());
                self.settle(&mut Owed::Nothing)
                    .await
                    .map_err(End::not_started)?;
            }
            let reply = match self.hear(step).await {
                Ok(reply) => reply,
                Err(words) => return Err(End::after(refused, words)),
            };
            match (step, &refused) {
                (Step::Data, None) if reply.code == 354 => {
                    if self.wire.is_quiet() {
                        return Ok(Offer::Taken);
                    }
                    self.distrust.note();
                    return Err(End::not_started(format!(
                        "the server spoke unasked behind {reply}"
                    )));
                }
                (Step::Mail | Step::Rcpt, None) if reply.is_success() => {}
                (_, None) if reply.is_refusal() => {
                    self.left_open = true;
                    let answer = refusal(step, &reply);
                    if ends_conversation(&reply) {
                        if reply.code != 421 && self.pipelined {
                            self.distrust.note();
                        }
                        return Err(End {
                            answer,
                            words: reply.to_string(),
                        });
                    }
                    if !self.pipelined {
                        return Ok(Offer::Refused(answer));
                    }
                    refused = Some(answer);
                }
                // Only what was pipelined behind a refused command comes to be read below.
                (Step::Rcpt, Some(_)) if reply.is_success() => has_recipient = true,
                (Step::Data, Some(_)) if reply.code == 354 && !has_recipient => {
                    self.wire.out.extend_from_slice(b".\r\n");
                    *owed = Owed::LoneDot;
                }
                (_, Some(_)) if reply.is_refusal() && reply.code != 421 => {}
                // A DATA that is open for a recipient must not be ended: an empty message would go out.
                _ => {
                    let words = format!("the server answers {} with {reply}", step.name());
                    return Err(End::after(refused, words));
                }
            }
        }
        let words = || "the server answered no command of the envelope".to_owned();
        Ok(Offer::Refused(
            refused.unwrap_or_else(|| Answer::NotStarted { words: words() }),
        ))
    }

    /// Writes the out buffer and reads the reply that is owed for it. An error says why the conversation is over; what was owed
    /// is answered in either case.
    async fn settle(&mut self, owed: &mut Owed) -> Result<(), String> {
        let owed = std::mem::take(owed);
        let quiet = match &owed {
            Owed::Message { dot, .. } => *dot,
            Owed::LoneDot | Owed::Nothing => 0,
        };
        let flushed = self.wire.flush(quiet, self.deadlines.content).await;
        match owed {
            Owed::Nothing => {}
            Owed::LoneDot => {
                let reply = self
                    .wire
                    .reply(self.deadlines.dot)
                    .await
                    .map_err(|broken| broken.to_string())?;
                if reply.code == 421 {
                    return Err(reply.to_string());
                }
            }
            Owed::Message { permit, dot } => match &flushed {
                Err(torn) if torn.written <= dot => {
                    let answer = match self.wire.reply_at_hand() {
                        Some(reply) if reply.is_refusal() => refusal(Step::Dot, &reply),
                        _ => Answer::NotStarted {
                            words: format!("the message was not written to its end: {}", torn.why),
                        },
                    };
                    permit.answer(answer);
                }
                // Where only what stands behind the message is torn off, its reply may still come.
                _ => self.settle_message(permit).await?,
            },
        }
        flushed.map_err(|torn| torn.why.to_string())
    }

    async fn settle_message(&mut self, permit: Permit) -> Result<(), String> {
        let reply = match self.wire.reply(self.deadlines.dot).await {
            Ok(reply) => reply,
            Err(broken) => {
                let words = format!("the message was written, and then: {broken}");
                permit.answer(Answer::Unknown {
                    words: words.clone(),
                });
                return Err(words);
            }
        };
        let words = reply.to_string();
        if reply.is_success() {
            permit.answer(Answer::Accepted { words });
            Ok(())
        } else if reply.is_refusal() {
            permit.answer(refusal(Step::Dot, &reply));
            self.left_open = true;
            if ends_conversation(&reply) {
                Err(words)
            } else {
                Ok(())
            }
        } else {
            let words = format!("the message was written, and the server answers {words}");
            permit.answer(Answer::Unknown {
                words: words.clone(),
            });
            Err(words)
        }
    }

    /// The reply to a command of the envelope.
    async fn hear(&mut self, step: Step) -> Result<Reply, String> {
        self.wire
            .reply(self.deadlines.envelope)
            .await
            .map_err(|broken| {
                // A server that loses pipelined commands falls silent or out of step, or hangs up in the middle of a group.
                let in_group = !matches!(broken, Broken::Closed(_)) || step != Step::Mail;
                if self.pipelined && in_group {
                    self.distrust.note();
                }
                format!("{}: {broken}", step.name())
            })
    }

    /// Says goodbye (RFC 5321 §4.1.1.10). What the server answers changes nothing.
    pub(super) async fn quit(mut self) {
        self.wire.out.extend_from_slice(b"QUIT\r\n");
        if self.wire.flush(0, self.deadlines.quit).await.is_ok() {
            let _ = self.wire.reply(self.deadlines.quit).await;
            self.wire.shut_down(self.deadlines.quit).await;
        }
    }
}

impl End {
    fn not_started(words: String) -> Self {
        Self::after(None, words)
    }

    /// The refusal that came first is the answer, where there is one.
    fn after(refused: Option<Answer>, words: String) -> Self {
        let answer = refused.unwrap_or_else(|| Answer::NotStarted {
            words: words.clone(),
        });
        Self { answer, words }
    }
}
