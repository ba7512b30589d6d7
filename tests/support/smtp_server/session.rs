//! One connection of the server: commands in, replies out, as the script has it.

use std::{fmt::Write, io};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use super::{
    Accepted, Act, Shared,
    script::{Step, When},
};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// How a step ended.
enum Next {
    /// Nothing special was told: do what servers do.
    Usual,
    /// It was said, with this code.
    Said(u16),
}

pub(super) struct Session<'a> {
    shared: &'a Shared,
    connection: usize,
    stream: BufReader<Box<dyn Duplex>>,
    encrypted: bool,
    logged_in: bool,
    nth: usize,
    from: Option<(String, String)>,
    to: Vec<String>,
    /// The last recipient that was named, accepted or not: what rules go by.
    named: String,
    content: Vec<u8>,
}

impl<'a> Session<'a> {
    pub(super) async fn run(
        connection: usize,
        open: usize,
        stream: TcpStream,
        shared: &'a Shared,
    ) -> io::Result<()> {
        let encrypted = shared.options.implicit_tls;
        let stream: Box<dyn Duplex> = if encrypted {
            Box::new(shared.acceptor.accept(stream).await?)
        } else {
            Box::new(stream)
        };
        let mut session = Self {
            shared,
            connection,
            stream: BufReader::new(stream),
            encrypted,
            logged_in: false,
            nth: 0,
            from: None,
            to: Vec::new(),
            named: String::new(),
            content: Vec::new(),
        };
        if let Some((_, act)) = shared
            .options
            .beyond
            .as_ref()
            .filter(|(most, _)| open > *most)
        {
            session.perform(act.clone()).await?;
            return Ok(());
        }
        if let Next::Usual = session.act(Step::Greeting).await? {
            session.say(220, "test.example ready").await?;
        }
        loop {
            let line = session.line().await?;
            session.note(&line);
            if shared.options.swallows_pipelined {
                let behind = session.stream.buffer().len();
                session.stream.consume(behind);
            }
            if !session.command(&line).await? {
                return Ok(());
            }
        }
    }

    fn note(&self, line: &str) {
        self.shared
            .record
            .lock()
            .unwrap()
            .transcript
            .push((self.connection, line.to_owned()));
    }

    async fn line(&mut self) -> io::Result<String> {
        let bytes = self.raw_line().await?;
        Ok(String::from_utf8_lossy(&bytes)
            .trim_end_matches(['\r', '\n'])
            .to_owned())
    }

    async fn raw_line(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_until(b'\n', &mut bytes).await?;
        if bytes.ends_with(b"\n") {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.shared.options.pieces {
            for byte in bytes {
                self.stream.write_all(&[*byte]).await?;
                self.stream.flush().await?;
                tokio::task::yield_now().await;
            }
            return Ok(());
        }
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn say(&mut self, code: u16, text: &str) -> io::Result<()> {
        let lines: Vec<&str> = text.split('\n').collect();
        let mut reply = String::new();
        for (at, line) in lines.iter().enumerate() {
            let separator = if at + 1 == lines.len() { ' ' } else { '-' };
            let _ = write!(reply, "{code}{separator}{line}\r\n");
        }
        self.write(reply.as_bytes()).await
    }

    /// Does what the script tells for this step.
    async fn act(&mut self, step: Step) -> io::Result<Next> {
        let address = match step {
            Step::Mail => self
                .from
                .as_ref()
                .map(|(from, _)| from.clone())
                .unwrap_or_default(),
            _ => self.named.clone(),
        };
        let found = {
            let mut rules = self.shared.script.lock().unwrap();
            let rule = rules.iter_mut().find(|rule| {
                let fits = match &rule.when {
                    When::Always => true,
                    When::Address(wanted) => *wanted == address,
                    When::Nth(nth) => *nth == self.nth,
                };
                rule.step == step && rule.times > 0 && fits
            });
            rule.map(|rule| {
                rule.times -= 1;
                rule.act.clone()
            })
        };
        match found {
            Some(act) => self.perform(act).await,
            None => Ok(Next::Usual),
        }
    }

    async fn perform(&mut self, mut act: Act) -> io::Result<Next> {
        let mut then = None;
        loop {
            let said = match act {
                Act::After(pause, later) => {
                    tokio::time::sleep(pause).await;
                    act = *later;
                    continue;
                }
                Act::Then(first, second) => {
                    then = Some(*second);
                    act = *first;
                    continue;
                }
                Act::Reply(code, text) => {
                    self.say(code, text).await?;
                    code
                }
                Act::Raw(bytes) => {
                    self.write(bytes).await?;
                    0
                }
                Act::AcceptThenClose => {
                    self.accept();
                    act = Act::Close;
                    continue;
                }
                Act::AcceptThenSilence => {
                    self.accept();
                    act = Act::Silence;
                    continue;
                }
                Act::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
                Act::Silence => {
                    let mut rest = [0; 1024];
                    while self.stream.read(&mut rest).await? > 0 {}
                    act = Act::Close;
                    continue;
                }
                Act::Stall => std::future::pending().await,
            };
            match then.take() {
                Some(second) => act = second,
                None => return Ok(Next::Said(said)),
            }
        }
    }

    fn accept(&mut self) {
        let bytes = std::mem::take(&mut self.content);
        let (from, parameters) = self.from.take().unwrap_or_default();
        let message = Accepted {
            from,
            to: std::mem::take(&mut self.to),
            parameters,
            bytes,
            connection: self.connection,
        };
        self.shared.record.lock().unwrap().accepted.push(message);
        let _ = self.shared.changed.send(());
    }

    /// Gives whether the session goes on.
    async fn command(&mut self, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" if self.shared.options.only_helo => {
                self.say(502, "5.5.1 not implemented").await?;
            }
            "EHLO" => self.ehlo().await?,
            "HELO" => self.say(250, "test.example").await?,
            "STARTTLS" => self.start_tls().await?,
            "AUTH" => self.log_in(rest).await?,
            "MAIL" => self.mail(rest).await?,
            "RCPT" => {
                self.named = address(rest).0;
                match self.act(Step::Rcpt).await? {
                    Next::Said(250..=259) => self.to.push(self.named.clone()),
                    Next::Said(_) => {}
                    Next::Usual if self.from.is_none() => self.say(503, "5.5.1 MAIL first").await?,
                    Next::Usual => {
                        self.to.push(self.named.clone());
                        self.say(250, "2.1.5 ok").await?;
                    }
                }
            }
            "DATA" => self.data().await?,
            "RSET" => {
                (self.from, self.to) = (None, Vec::new());
                if let Next::Usual = self.act(Step::Rset).await? {
                    self.say(250, "2.0.0 ok").await?;
                }
            }
            "NOOP" => self.say(250, "2.0.0 ok").await?,
            "QUIT" => {
                self.say(221, "2.0.0 bye").await?;
                return Ok(false);
            }
            _ => self.say(500, "5.5.2 what?").await?,
        }
        Ok(true)
    }

    async fn ehlo(&mut self) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Ehlo).await? {
            return Ok(());
        }
        let options = &self.shared.options;
        let usual = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
        let mut lines = vec!["test.example".to_owned()];
        lines.extend(
            options
                .extensions
                .as_deref()
                .unwrap_or(&usual)
                .iter()
                .map(ToString::to_string),
        );
        if options.starttls && !self.encrypted {
            lines.push("STARTTLS".to_owned());
        }
        if options.user.is_some() {
            lines.push(format!("AUTH {}", options.ways.unwrap_or("PLAIN LOGIN")));
        }
        self.say(250, &lines.join("\n")).await
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Starttls).await? {
            return Ok(());
        }
        let injected = self.shared.options.injects.unwrap_or_default();
        self.write(&[b"220 2.0.0 go\r\n".as_slice(), injected].concat())
            .await?;
        let plain = std::mem::replace(
            &mut self.stream,
            BufReader::new(Box::new(tokio::io::empty())),
        );
        let encrypted = self.shared.acceptor.accept(plain.into_inner()).await?;
        self.stream = BufReader::new(Box::new(encrypted));
        self.encrypted = true;
        Ok(())
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        if let Next::Said(_) = self.act(Step::Auth).await? {
            return Ok(());
        }
        let (way, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let decode = |text: &str| {
            BASE64_STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let given = if way.eq_ignore_ascii_case("PLAIN") {
            decode(initial).and_then(|text| {
                let mut parts = text.splitn(3, '\0').skip(1).map(ToOwned::to_owned);
                Some((parts.next()?, parts.next()?))
            })
        } else {
            self.say(334, &BASE64_STANDARD.encode("Username:")).await?;
            let name = self.line().await?;
            self.say(334, &BASE64_STANDARD.encode("Password:")).await?;
            let password = self.line().await?;
            decode(&name).zip(decode(&password))
        };
        if given.is_some() && given == self.shared.options.user {
            self.logged_in = true;
            self.say(235, "2.7.0 welcome").await
        } else {
            self.say(535, "5.7.8 who are you?").await
        }
    }

    async fn mail(&mut self, rest: &str) -> io::Result<()> {
        let nested = self.from.is_some();
        self.nth = {
            let mut record = self.shared.record.lock().unwrap();
            record.messages += 1;
            record.messages
        };
        self.from = Some(address(rest));
        match self.act(Step::Mail).await? {
            Next::Said(250..=259) => return Ok(()),
            Next::Said(_) => {}
            Next::Usual if self.shared.options.user.is_some() && !self.logged_in => {
                self.say(530, "5.7.0 log in first").await?;
            }
            Next::Usual if nested => self.say(503, "5.5.1 nested MAIL").await?,
            Next::Usual => return self.say(250, "2.1.0 ok").await,
        }
        self.from = None;
        Ok(())
    }

    async fn data(&mut self) -> io::Result<()> {
        match self.act(Step::Data).await? {
            Next::Said(354) => {}
            Next::Said(_) => return Ok(()),
            Next::Usual if self.to.is_empty() && !self.shared.options.eager_354 => {
                return self.say(503, "5.5.1 RCPT first").await;
            }
            Next::Usual => self.say(354, "go on").await?,
        }
        let mut bytes = Vec::new();
        let mut lines = 0;
        loop {
            let line = self.raw_line().await?;
            if line == b".\r\n" {
                break;
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            lines += 1;
            if lines == 1 {
                self.act(Step::Content).await?;
            }
        }
        if lines == 0 {
            self.note(".");
        }
        if self.to.is_empty() {
            self.from = None;
            return self.say(554, "5.5.1 no valid recipients").await;
        }
        self.content = bytes;
        match self.act(Step::Dot).await? {
            Next::Said(200..=299) => self.accept(),
            Next::Said(_) => {}
            Next::Usual => {
                // Recorded first: who has the answer finds it in the record.
                self.accept();
                self.say(250, "2.0.0 Ok: queued").await?;
            }
        }
        (self.from, self.to) = (None, Vec::new());
        Ok(())
    }
}

/// The address of `FROM:<a@x> SIZE=3`, and what stands behind it.
fn address(rest: &str) -> (String, String) {
    let address = rest.split_once('<').map_or(rest, |(_, behind)| behind);
    let (address, parameters) = address.rsplit_once('>').unwrap_or((address, ""));
    (address.to_owned(), parameters.trim().to_owned())
}
