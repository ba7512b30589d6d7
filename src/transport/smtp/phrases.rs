//! What servers' words speak of, for replies whose codes leave it open. All texts are in lower case.

use std::time::Duration;

/// The longest pause a server may ask for.
const MAX_PAUSE: Duration = Duration::from_hours(24);

fn has_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

/// Too much in too short a time, or all that was allowed.
pub(super) fn speaks_of_rate(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "rate limit",
        "ratelimit",
        "rate exceeded",
        "rate has exceeded",
        "sending rate",
        "sending limit",
        "sending quota",
        "message limit",
        "daily quota",
        "daily limit",
        "hourly quota",
        "hourly limit",
        "too many messages",
        "too many mails",
        "too many recipients",
        "too many connections",
        "too much mail",
        "too fast",
        "throttl",
    ];
    has_any(text, PHRASES)
}

/// The same in other words, of a server that refuses for now.
pub(super) fn asks_to_slow_down(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "slow down",
        "more slowly",
        "too quickly",
        "too frequent",
        "too many requests",
        "too many concurrent",
        "too many sessions",
        "too many smtp",
        "too many emails",
        "too many attempts",
        "too many deliveries",
        "too many e-mails",
        "unusual rate",
        "unusual volume",
        "unexpected volume",
        "high rate",
        "high volume",
        "excessive rate",
        "connection rate",
        "message rate",
        "mail rate",
        "rate too",
        "server busy",
        "system busy",
    ];
    has_any(text, PHRASES)
}

/// A recipient is put off because the server has not met its sender before.
pub(super) fn speaks_of_greylisting(text: &str) -> bool {
    has_any(text, &["greylist", "graylist", "grey list", "gray list"])
}

/// A quota is used up: the sender's, or the mailbox's.
pub(super) fn speaks_of_quota(text: &str) -> bool {
    has_any(
        text,
        &[
            "quota exceeded",
            "exceeded quota",
            "exceeded your quota",
            "over quota",
        ],
    )
}

/// Commands came before they were asked for, says a server that offered PIPELINING.
pub(super) fn blames_pipelining(text: &str) -> bool {
    has_any(
        text,
        &[
            "pipelining",
            "synchronization error",
            "synchronisation error",
        ],
    )
}

/// The recipient's own quota, and not the sender's.
pub(super) fn speaks_of_mailbox(text: &str) -> bool {
    has_any(
        text,
        &[
            "mailbox",
            "recipient's",
            "user is over",
            "user over",
            "inbox",
            "receiving mail",
        ],
    )
}

/// The message is larger than the server takes.
pub(super) fn speaks_of_size(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "message size exceed",
        "message too big",
        "message too large",
        "message is too large",
        "exceeds size limit",
        "size limit exceeded",
    ];
    has_any(text, PHRASES)
}

/// The client or the sender is turned down, with whichever recipient. What the server tells of another server (a callout) is
/// about this recipient only.
pub(super) fn blames_client(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "relay access denied",
        "relaying denied",
        "relay denied",
        "relay not permitted",
        "not permitted to relay",
        "unable to relay",
        "client host rejected",
        "helo command rejected",
        "sender address rejected",
        "authentication required",
        "authentication is required",
        "must authenticate",
    ];
    has_any(text, PHRASES) && !has_any(text, &["said:", "callout", "verif"])
}

/// The refusal is about who writes or what, and not about whether the mailbox exists.
pub(super) fn blames_policy(text: &str) -> bool {
    has_any(
        text,
        &[
            "spam",
            "blocked",
            "blacklist",
            "blocklist",
            "policy",
            "reputation",
            "access denied",
            "sender",
            "greylist",
            "graylist",
        ],
    )
}

/// The mailbox does not exist.
pub(super) fn names_no_mailbox(text: &str) -> bool {
    const PHRASES: &[&str] = &[
        "user unknown",
        "unknown user",
        "no such user",
        "no such mailbox",
        "no such recipient",
        "no such person",
        "no such address",
        "no such account",
        "unknown mailbox",
        "unknown recipient",
        "recipient unknown",
        "mailbox unknown",
        "user not found",
        "mailbox not found",
        "recipient not found",
        "user does not exist",
        "user doesn't exist",
        "mailbox does not exist",
        "mailbox doesn't exist",
        "recipient does not exist",
        "account does not exist",
        "address does not exist",
        "no mailbox here",
    ];
    has_any(text, PHRASES)
}

/// The pause that the server asks for: `try again in 300 seconds`, `wait 5 minutes`.
pub(super) fn pause(text: &str) -> Option<Duration> {
    if !has_any(text, &["again", "retry", "wait", "greylist", "graylist"]) {
        return None;
    }
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: u64 = word[..digits].parse().ok()?;
        let unit = match &word[digits..] {
            "" => words.get(at + 1)?,
            unit => unit,
        };
        let seconds = match unit {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3600,
            _ => return None,
        };
        (count > 0).then(|| Duration::from_secs(count.saturating_mul(seconds)).min(MAX_PAUSE))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pause_is_found_where_one_is_asked_for() {
        let seconds = |text| pause(text).map(|pause| pause.as_secs());
        assert_eq!(
            seconds("greylisted, see http://x/1; try again in 300 seconds"),
            Some(300)
        );
        assert_eq!(seconds("please wait 5 minutes."), Some(300));
        assert_eq!(seconds("retry after 60s"), Some(60));
        assert_eq!(seconds("try again in 99999999999999999999 seconds"), None);
        assert_eq!(
            seconds("try again in 9999999999999999999 hours"),
            Some(86400)
        );
        assert_eq!(seconds("try again later (in 0 seconds)"), None);
        assert_eq!(seconds("300 seconds passed"), None);
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(text in "\\PC{0,80}", count in any::<u64>()) {
            let _ = pause(&format!("again {text} {count} minutes {count}s"));
        }
    }
}
