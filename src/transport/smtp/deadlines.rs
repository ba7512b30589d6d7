//! How long each step may take.

use std::time::Duration;

/// The deadlines of the steps of RFC 5321 §4.5.3.2, shorter than there but for the last: giving up on a message that was
/// written leaves it in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadlines {
    /// The name's look-up and the connection, over all its addresses.
    pub(super) connect: Duration,
    /// The server's first line.
    pub(super) greeting: Duration,
    /// EHLO, HELO, STARTTLS.
    pub(super) hello: Duration,
    /// The TLS handshake.
    pub(super) tls: Duration,
    /// Each line of the login.
    pub(super) login: Duration,
    /// MAIL, RCPT, DATA, RSET, each.
    pub(super) envelope: Duration,
    /// Each block of a message on its way out.
    pub(super) content: Duration,
    /// The reply to a message.
    pub(super) dot: Duration,
    /// QUIT: nothing hangs on it.
    pub(super) quit: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(20),
            greeting: seconds(60),
            hello: seconds(30),
            tls: seconds(30),
            login: seconds(60),
            envelope: seconds(120),
            content: seconds(120),
            dot: seconds(600),
            quit: seconds(2),
        }
    }
}

impl Deadlines {
    /// None of them longer than `limit`.
    #[must_use]
    pub(super) fn capped(self, limit: Duration) -> Self {
        Self {
            connect: self.connect.min(limit),
            greeting: self.greeting.min(limit),
            hello: self.hello.min(limit),
            tls: self.tls.min(limit),
            login: self.login.min(limit),
            envelope: self.envelope.min(limit),
            content: self.content.min(limit),
            dot: self.dot.min(limit),
            quit: self.quit.min(limit),
        }
    }
}
