//! What a refusal means: whose fault it is, whether for good, and when to try again.
//!
//! The code says whether (4xx for now, 5xx for good), the step and the enhanced code (RFC 3463) say whose fault. Words count
//! only where the codes leave it open, and in the direction that loses nobody: what looks like the transport's trouble keeps
//! recipients queued, and a mailbox is called missing only where the server says so.

use std::time::Duration;

use super::{phrases, reply::Reply};
use crate::model::{Answer, Scope};

/// When a server that speaks of a rate or a quota is tried again, where it does not say: it is not one that can be met by going
/// more slowly.
const AFTER_RATE: Duration = Duration::from_mins(1);

/// The same where it refused for good (5xx): those are daily or hourly quotas.
const AFTER_QUOTA: Duration = Duration::from_mins(15);

/// The command that a reply belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// MAIL FROM
    Mail,
    /// RCPT TO
    Rcpt,
    /// DATA
    Data,
    /// The end of the message.
    Dot,
}

impl Step {
    /// As words name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Dot => "the message",
        }
    }
}

/// The answer that a refusal (4xx or 5xx) at `step` stands for.
pub(super) fn refusal(step: Step, reply: &Reply) -> Answer {
    let text = reply.lowercase();
    let permanent = reply.code >= 500;
    let scope = scope(step, reply, &text);
    let by_rate = scope == Scope::Transport && is_rate(step, reply, &text);
    let missing = permanent && scope == Scope::Recipient && is_missing(reply, &text);
    let said = (!permanent || by_rate)
        .then(|| phrases::pause(&text))
        .flatten();
    Answer::Refused {
        // A used-up quota fills again and a new conversation starts afresh, whatever the code.
        permanent: permanent && !by_rate && !ends_conversation(reply),
        scope,
        no_such_mailbox: missing,
        retry_after: said
            .or_else(|| by_rate.then_some(if permanent { AFTER_QUOTA } else { AFTER_RATE })),
        words: reply.to_string(),
    }
}

/// Whether the server ends the conversation with this reply, or has lost track of it: none of ours is out of order.
pub(super) fn ends_conversation(reply: &Reply) -> bool {
    match reply.code {
        421 | 503 => true,
        500..=599 => phrases::blames_pipelining(&reply.lowercase()),
        _ => false,
    }
}

#[allow(clippy::match_same_arms)] // each line has a reason of its own
fn scope(step: Step, reply: &Reply, text: &str) -> Scope {
    if is_too_fast(reply, text) {
        return Scope::Rate;
    }
    if is_login(reply) || ends_conversation(reply) || is_rate(step, reply, text) {
        return Scope::Transport;
    }
    if is_too_large(step, reply, text) {
        return Scope::Message;
    }
    match (step, reply.detail) {
        // Non-ASCII addresses that the server turns down (RFC 6531 §3.7.4.2): the envelope's own check passed.
        (Step::Mail | Step::Rcpt, Some((6, 7))) => Scope::Recipient,
        // Nothing but who we are and whom we write for has been said yet.
        (Step::Mail, _) => Scope::Transport,
        // Postfix and others keep what they hold against the client or the sender until the first recipient.
        (_, Some((1, 7 | 8))) => Scope::Transport,
        // The state of the mail system: full, shutting down, misconfigured.
        (_, Some((3, _))) if reply.code < 500 => Scope::Transport,
        (Step::Rcpt, Some((5 | 7, _)) | None) if phrases::blames_client(text) => Scope::Transport,
        // `insufficient system storage` (RFC 5321 §4.2.3)
        (Step::Rcpt | Step::Data, None)
            if reply.code == 452 && !phrases::speaks_of_mailbox(text) =>
        {
            Scope::Transport
        }
        (Step::Rcpt, _) | (_, Some((1 | 2, _))) => Scope::Recipient,
        _ => Scope::Message,
    }
}

/// A login is asked for, was refused or has run out (RFC 4954 §6). 454 stands for a login that does not work just now.
fn is_login(reply: &Reply) -> bool {
    matches!(reply.code, 454 | 530 | 534 | 535 | 538)
        || matches!(reply.detail, Some((7, 8 | 9 | 11)))
}

/// The server asks to go more slowly: it would have taken the message at another time. Greylisting is about one recipient, and
/// what a mailbox may receive is its own affair.
fn is_too_fast(reply: &Reply, text: &str) -> bool {
    if !matches!(reply.code, 421 | 450..=452)
        || is_login(reply)
        || phrases::speaks_of_mailbox(text)
        || phrases::speaks_of_greylisting(text)
    {
        return false;
    }
    match reply.detail {
        Some((2, _)) => false,
        // "Unusual rate", as the largest mailbox provider has it.
        Some((7, 28)) => true,
        _ => phrases::speaks_of_rate(text) || phrases::asks_to_slow_down(text),
    }
}

fn is_rate(step: Step, reply: &Reply, text: &str) -> bool {
    match reply.detail {
        // A full mailbox speaks of a quota too.
        Some((2, _)) => false,
        Some((5, 3)) => true,
        None if step == Step::Rcpt && reply.code == 552 => phrases::speaks_of_rate(text),
        _ => {
            let used_up = phrases::speaks_of_rate(text) || phrases::speaks_of_quota(text);
            used_up && !phrases::speaks_of_mailbox(text)
        }
    }
}

fn is_too_large(step: Step, reply: &Reply, text: &str) -> bool {
    match (reply.code, reply.detail) {
        (552 | 523, None) => step != Step::Rcpt || phrases::speaks_of_size(text),
        (500.., Some((3, 4))) => true,
        (500.., None | Some((0 | 7, _))) => phrases::speaks_of_size(text),
        _ => false,
    }
}

/// Only replies that say that the mailbox does not exist: 5.1.1, 5.1.6 (moved away), 5.1.10 (the domain takes no mail, RFC 7505),
/// and words to that effect where the enhanced code says nothing. Never full (5.2.2), disabled (5.2.1) or policy (5.7.x).
fn is_missing(reply: &Reply, text: &str) -> bool {
    if phrases::blames_policy(text) {
        return false;
    }
    match reply.detail {
        Some((1, 1 | 6 | 10)) => true,
        Some((0 | 1, 0)) | None => {
            matches!(reply.code, 550 | 551 | 553 | 554) && phrases::names_no_mailbox(text)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `temporary|permanent scope [missing] [seconds]`
    fn verdict(step: Step, line: &str) -> String {
        let reply = Reply::take(format!("{line}\r\n").as_bytes())
            .unwrap()
            .unwrap()
            .0;
        match refusal(step, &reply) {
            Answer::Refused {
                permanent,
                scope,
                no_such_mailbox,
                retry_after,
                words,
            } => {
                assert_eq!(words, line);
                let mut out = format!(
                    "{} {scope:?}",
                    if permanent { "permanent" } else { "temporary" }
                );
                if no_such_mailbox {
                    out.push_str(" missing");
                }
                if let Some(after) = retry_after {
                    out = format!("{out} {}", after.as_secs());
                }
                out
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn at_the_recipient() {
        for (line, expected) in [
            ("550 5.1.1 user unknown", "permanent Recipient missing"),
            (
                "550 5.1.1 <b@x>: Recipient address rejected: Access denied",
                "permanent Recipient",
            ),
            ("556 5.1.10 null MX", "permanent Recipient missing"),
            ("550 5.1.6 moved", "permanent Recipient missing"),
            ("550 5.1.2 bad system", "permanent Recipient"),
            ("553 5.1.3 bad syntax", "permanent Recipient"),
            ("550 No such user here", "permanent Recipient missing"),
            (
                "550 5.1.0 Address rejected. User unknown",
                "permanent Recipient missing",
            ),
            ("550 mailbox unavailable", "permanent Recipient"),
            ("550 Requested action not taken", "permanent Recipient"),
            ("550 sender domain does not exist", "permanent Recipient"),
            ("552 5.2.2 mailbox full", "permanent Recipient"),
            ("552 5.2.2 over quota: no such user", "permanent Recipient"),
            ("550 5.2.1 account disabled", "permanent Recipient"),
            ("550 5.7.1 blocked: user unknown", "permanent Recipient"),
            ("554 5.7.1 spam", "permanent Recipient"),
            (
                "554 5.7.1 <b@x>: Relay access denied",
                "permanent Transport",
            ),
            ("550 relaying denied", "permanent Transport"),
            (
                "550 5.1.1 undeliverable: host mx said: 550 relaying denied",
                "permanent Recipient missing",
            ),
            ("550 callout said: relaying denied", "permanent Recipient"),
            (
                "554 5.7.1 <h[1.2.3.4]>: Client host rejected: Access denied",
                "permanent Transport",
            ),
            (
                "450 4.1.8 <a@x>: Sender address rejected: Domain not found",
                "temporary Transport",
            ),
            ("530 5.7.0 Authentication required", "permanent Transport"),
            (
                "450 4.2.0 Greylisted, try again in 300 seconds",
                "temporary Recipient 300",
            ),
            ("450 4.7.1 greylisted", "temporary Recipient"),
            ("452 4.2.2 mailbox over quota", "temporary Recipient"),
            ("450 4.1.1 cannot verify", "temporary Recipient"),
            ("451 local error", "temporary Recipient"),
            ("452 4.5.3 too many recipients", "temporary Rate"),
            ("452 insufficient system storage", "temporary Transport"),
            ("452 mailbox over quota", "temporary Recipient"),
            ("451 4.3.0 temporary failure", "temporary Transport"),
            (
                "451 4.7.1 rate limit exceeded, wait 5 minutes",
                "temporary Rate 300",
            ),
            (
                "550 5.4.5 Daily user sending limit exceeded",
                "temporary Transport 900",
            ),
            (
                "454 4.7.0 Temporary authentication failure",
                "temporary Transport",
            ),
            ("421 4.3.2 shutting down", "temporary Transport"),
            ("503 5.5.1 need MAIL", "temporary Transport"),
            ("552 quota exceeded", "permanent Recipient"),
            ("550 quota exceeded", "temporary Transport 900"),
            ("554 SMTP synchronization error", "temporary Transport"),
        ] {
            assert_eq!(verdict(Step::Rcpt, line), expected, "{line}");
        }
    }

    #[test]
    fn a_rate_is_told_from_what_speaks_of_something_else() {
        for (line, expected) in [
            ("421 4.7.0 Too many messages, slow down", "temporary Rate"),
            ("421 4.7.28 unusual volume", "temporary Rate"),
            (
                "450 4.7.1 Client connection rate limit exceeded",
                "temporary Rate",
            ),
            (
                "451 4.7.0 Server busy. Please try again later",
                "temporary Rate",
            ),
            ("452 4.3.1 throttled", "temporary Rate"),
            ("421 Too many concurrent sessions", "temporary Rate"),
            (
                "450 4.7.1 Greylisted: too many first contacts",
                "temporary Recipient",
            ),
            (
                "450 4.2.1 receiving mail at a rate that prevents more",
                "temporary Recipient",
            ),
            (
                "450 The user you want is receiving mail too fast",
                "temporary Recipient",
            ),
            ("450 4.1.1 cannot verify", "temporary Recipient"),
            ("550 5.7.1 too many messages", "temporary Transport 900"),
            ("550 5.4.6 too many hops", "permanent Recipient"),
            ("421 4.7.0 too many errors", "temporary Transport"),
            ("454 4.7.0 too many logins", "temporary Transport"),
        ] {
            assert_eq!(verdict(Step::Rcpt, line), expected, "{line}");
        }
    }

    #[test]
    fn at_the_sender_the_transport_is_to_blame() {
        for (line, expected) in [
            ("530 5.7.0 log in first", "permanent Transport"),
            ("553 5.7.1 sender not owned", "permanent Transport"),
            ("550 5.1.1 no", "permanent Transport"),
            ("451 4.3.0 later", "temporary Transport"),
            ("552 5.3.4 too big", "permanent Message"),
            ("552 too big", "permanent Message"),
        ] {
            assert_eq!(verdict(Step::Mail, line), expected, "{line}");
        }
    }

    #[test]
    fn behind_the_dot_the_message_is_to_blame() {
        for (line, expected) in [
            ("554 5.7.1 looks like spam", "permanent Message"),
            ("550 5.6.0 bad MIME", "permanent Message"),
            ("552 5.3.4 too big", "permanent Message"),
            ("550 5.1.1 no such user", "permanent Recipient missing"),
            ("552 5.2.2 mailbox full", "permanent Recipient"),
            ("451 4.7.1 try again later", "temporary Message"),
            ("452 4.3.1 disk full", "temporary Transport"),
            ("421 4.7.0 closing", "temporary Transport"),
            (
                "550 5.7.1 sending quota exceeded",
                "temporary Transport 900",
            ),
        ] {
            assert_eq!(verdict(Step::Dot, line), expected, "{line}");
        }
        assert_eq!(
            verdict(Step::Data, "554 no valid recipients"),
            "permanent Message"
        );
        assert_eq!(verdict(Step::Data, "451 later"), "temporary Message");
    }
}
