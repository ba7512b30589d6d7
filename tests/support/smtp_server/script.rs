//! What the server is told to do, step by step.

use std::time::Duration;

/// What the server does at a step.
#[derive(Clone, Debug)]
pub enum Act {
    /// Says this; each line of the text is a line of the reply.
    Reply(u16, &'static str),
    /// Says exactly these bytes.
    Raw(&'static [u8]),
    /// Hangs up without a word.
    Close,
    /// Says nothing more and waits until the client hangs up.
    Silence,
    /// At the dot: takes the message, then hangs up without a word.
    AcceptThenClose,
    /// At the dot: takes the message, then says nothing more.
    AcceptThenSilence,
    /// Waits, then does that.
    After(Duration, Box<Act>),
    /// Neither reads nor says anything more, nor notices that the client hangs up.
    Stall,
    /// Says the first, then does the second.
    Then(Box<Act>, Box<Act>),
}

impl Act {
    /// Waits before it does it.
    pub fn after(self, pause: Duration) -> Self {
        Self::After(pause, Box::new(self))
    }

    /// Does something more when it has said it.
    pub fn then(self, second: Self) -> Self {
        Self::Then(Box::new(self), Box::new(second))
    }

    /// Hangs up when it has said it.
    pub fn then_close(self) -> Self {
        self.then(Self::Close)
    }
}

/// The steps that can be scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Content,
    Dot,
    Rset,
}

/// For which messages a rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// For all.
    Always,
    /// For this address: the sender's at MAIL, the recipient's at every other step.
    Address(String),
    /// For the n-th message (MAIL command) since the server started, from 1.
    Nth(usize),
}

impl From<&str> for When {
    fn from(address: &str) -> Self {
        Self::Address(address.to_owned())
    }
}

impl From<usize> for When {
    fn from(nth: usize) -> Self {
        Self::Nth(nth)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) step: Step,
    pub(super) when: When,
    pub(super) act: Act,
    pub(super) times: usize,
}

/// What the server is told before it starts.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // each is told on its own
pub struct Script {
    pub(super) rules: Vec<Rule>,
    pub(super) extensions: Option<Vec<&'static str>>,
    pub(super) only_helo: bool,
    pub(super) starttls: bool,
    pub(super) implicit_tls: bool,
    pub(super) user: Option<(String, String)>,
    pub(super) ways: Option<&'static str>,
    pub(super) pieces: bool,
    pub(super) swallows_pipelined: bool,
    pub(super) eager_354: bool,
    pub(super) injects: Option<&'static [u8]>,
    pub(super) beyond: Option<(usize, Act)>,
}

impl Script {
    fn rule(mut self, step: Step, when: impl Into<When>, act: Act) -> Self {
        self.rules.push(Rule {
            step,
            when: when.into(),
            act,
            times: usize::MAX,
        });
        self
    }

    /// Instead of the greeting.
    pub fn greeting(self, act: Act) -> Self {
        self.rule(Step::Greeting, When::Always, act)
    }
    /// Instead of the answer to EHLO.
    pub fn ehlo(self, act: Act) -> Self {
        self.rule(Step::Ehlo, When::Always, act)
    }
    /// Instead of the answer to STARTTLS.
    pub fn starttls_answer(self, act: Act) -> Self {
        self.rule(Step::Starttls, When::Always, act)
    }
    /// Instead of the answer to a login.
    pub fn auth(self, act: Act) -> Self {
        self.rule(Step::Auth, When::Always, act)
    }
    /// Instead of the answer to MAIL FROM: of a sender, of the n-th message, or always.
    pub fn mail(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Mail, when, act)
    }
    /// Instead of the answer to RCPT TO.
    pub fn rcpt(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Rcpt, when, act)
    }
    /// Instead of the answer to DATA.
    pub fn data(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Data, when, act)
    }
    /// Behind the first line of a message.
    pub fn content(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Content, when, act)
    }
    /// Instead of the answer to a message. One that is answered with 2xx is recorded as accepted.
    pub fn dot(self, when: impl Into<When>, act: Act) -> Self {
        self.rule(Step::Dot, when, act)
    }
    /// Instead of the answer to RSET.
    pub fn rset(self, act: Act) -> Self {
        self.rule(Step::Rset, When::Always, act)
    }
    /// The rule before holds so often only.
    pub fn times(mut self, times: usize) -> Self {
        self.rules
            .last_mut()
            .expect("a rule stands before `times`")
            .times = times;
        self
    }

    /// Instead of the greeting for whoever connects while so many others are connected; then it hangs up.
    pub fn beyond(mut self, most: usize, act: Act) -> Self {
        self.beyond = Some((most, act));
        self
    }
    /// What EHLO offers, instead of PIPELINING, 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES.
    pub fn extensions(mut self, extensions: &[&'static str]) -> Self {
        self.extensions = Some(extensions.to_vec());
        self
    }
    /// Knows no EHLO.
    pub fn only_helo(mut self) -> Self {
        self.only_helo = true;
        self
    }
    /// Offers STARTTLS with a certificate of its own, see [`SmtpServer::ca_file`].
    pub fn starttls(mut self) -> Self {
        self.starttls = true;
        self
    }
    /// Speaks TLS from the first byte.
    pub fn implicit_tls(mut self) -> Self {
        self.implicit_tls = true;
        self
    }
    /// Puts bytes behind the answer to STARTTLS, as an attacker on the way would.
    pub fn injects_behind_starttls(mut self, bytes: &'static [u8]) -> Self {
        self.injects = Some(bytes);
        self
    }
    /// Wants a login before MAIL, by PLAIN or LOGIN.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }
    /// Which ways to log in are offered, instead of `PLAIN LOGIN`.
    pub fn login_ways(mut self, ways: &'static str) -> Self {
        self.ways = Some(ways);
        self
    }
    /// Sends every byte on its own.
    pub fn one_byte_pieces(mut self) -> Self {
        self.pieces = true;
        self
    }
    /// Loses whatever came together with a command and stands behind it.
    pub fn swallows_pipelined(mut self) -> Self {
        self.swallows_pipelined = true;
        self
    }
    /// Answers DATA with 354 even where no recipient was accepted.
    pub fn eager_354(mut self) -> Self {
        self.eager_354 = true;
        self
    }
}
