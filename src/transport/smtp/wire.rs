//! The connection with its buffers: bytes out under a deadline, replies in under another. What it knows of SMTP is only where
//! a reply ends.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::client::TlsStream;

use super::{
    envelope::{write_content, write_lines},
    reply::{MAX_REPLY, Reply},
};
use crate::model::OutgoingEmail;

/// A block of a message has the deadline of a step for itself, so that a large one is not cut off on a slow line.
const BLOCK: usize = 256 * 1024;

/// The buffer for what goes out keeps at most this much between messages.
const KEPT: usize = 256 * 1024;

/// What a connection runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Whether bytes of a write that failed may have left all the same: records that were encrypted before the failure.
    const BUFFERS: bool;
}

impl Stream for TcpStream {
    const BUFFERS: bool = false;
}

impl Stream for TlsStream<TcpStream> {
    const BUFFERS: bool = true;
}

/// Why a connection can't be used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The other side closed it, or the network did.
    Closed(String),
    /// The deadline of a step passed.
    Silent(Duration),
    /// The server does not keep to the protocol.
    Violation(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(words) | Self::Violation(words) => f.write_str(words),
            Self::Silent(limit) => write!(f, "no answer within {limit:?}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Self::Closed("the server closed the connection".to_owned())
            }
            _ => Self::Closed(format!("the connection was lost: {error}")),
        }
    }
}

/// A write that did not come to its end.
#[derive(Debug)]
pub(super) struct Torn {
    /// At most this many bytes reached the server.
    pub(super) written: usize,
    pub(super) why: Broken,
}

/// A connection with its buffers.
pub(super) struct Wire<S> {
    stream: S,
    /// What [`Wire::flush`] writes next.
    pub(super) out: Vec<u8>,
    /// What is written in the midst of it, behind so many bytes: blocks that many messages share.
    shared: Option<(usize, Vec<Arc<[u8]>>)>,
    incoming: Incoming,
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            out: Vec::new(),
            shared: None,
            incoming: Incoming::new(),
        }
    }

    /// The stream alone. What was read and not used is lost: ask [`Wire::is_quiet`] first.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }

    /// The stream, for a step that another library does.
    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Puts a message and the dot that ends it behind what [`Wire::flush`] writes next; gives the place of that dot in it. At
    /// most one message is put between two flushes.
    pub(super) fn put(&mut self, mail: OutgoingEmail) -> usize {
        if mail.shared.is_empty() {
            return write_content(&mail.bytes, &mut self.out);
        }
        write_lines(&mail.bytes, &mut self.out);
        let at = self.out.len();
        let shared: usize = mail.shared.iter().map(|block| block.len()).sum();
        self.shared = Some((at, mail.shared));
        self.out.extend_from_slice(b".\r\n");
        at + shared
    }

    /// Whether nothing of what was read is unused.
    pub(super) fn is_quiet(&self) -> bool {
        self.incoming.is_empty()
    }

    /// Looks, without waiting, whether something came unasked: a reply (`421`, when a server ends an idle connection), an end.
    pub(super) async fn unasked(&mut self) -> Result<Option<Reply>, Broken> {
        let heard = poll_fn(|cx| match self.incoming.poll_fill(&mut self.stream, cx) {
            Poll::Ready(heard) => Poll::Ready(Some(heard)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        match (self.incoming.take()?, heard) {
            (Some(reply), _) => Ok(Some(reply)),
            (None, Some(Err(error))) => Err(error.into()),
            (None, _) if !self.is_quiet() => {
                Err(Broken::Violation("the server spoke unasked".to_owned()))
            }
            (None, _) => Ok(None),
        }
    }

    /// The next reply.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Reply, Broken> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(reply) = self.incoming.take()? {
                return Ok(reply);
            }
            let fill = poll_fn(|cx| self.incoming.poll_fill(&mut self.stream, cx));
            match timeout_at(deadline, fill).await {
                Ok(filled) => filled?,
                Err(_) => return Err(Broken::Silent(limit)),
            }
        }
    }

    /// A reply that has been read already.
    pub(super) fn reply_at_hand(&mut self) -> Option<Reply> {
        self.incoming.take().ok().flatten()
    }

    /// Writes [`Wire::out`] and empties it. A server that speaks before `quiet` bytes are written ends the write: nothing was
    /// asked yet that it could answer.
    pub(super) async fn flush(&mut self, quiet: usize, limit: Duration) -> Result<(), Torn> {
        let mut written = 0;
        let result = self.write_out(&mut written, quiet, limit).await;
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.shared = None;
        result.map_err(|why| Torn { written, why })
    }

    /// Ends the stream in the way TLS asks for.
    pub(super) async fn shut_down(mut self, limit: Duration) {
        let end = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
        let _ = timeout_at(Instant::now() + limit, end).await;
    }

    async fn write_out(
        &mut self,
        written: &mut usize,
        quiet: usize,
        limit: Duration,
    ) -> Result<(), Broken> {
        let mut deadline = Instant::now() + limit;
        let mut block = BLOCK;
        let shared = self.shared.as_ref();
        let total = self.out.len() + shared.map_or(0, |(_, blocks)| length(blocks));
        while *written < total {
            if *written >= block {
                block += BLOCK;
                deadline = Instant::now() + limit;
            }
            let end = total.min(block);
            let step = poll_fn(|cx| {
                let piece = piece(&self.out, shared, *written, end);
                match Pin::new(&mut self.stream).poll_write(cx, piece) {
                    Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(more)) => {
                        *written += more;
                        Poll::Ready(Ok(()))
                    }
                    Poll::Ready(Err(error)) => {
                        // The server may have said why before it hung up.
                        let _ = self.incoming.poll_fill(&mut self.stream, cx);
                        if S::BUFFERS {
                            *written = end;
                        }
                        Poll::Ready(Err(error))
                    }
                    Poll::Pending => self.incoming.poll_fill(&mut self.stream, cx),
                }
            });
            match timeout_at(deadline, step).await {
                Ok(done) => done?,
                Err(_) => return Err(Broken::Silent(limit)),
            }
            if *written < quiet && !self.is_quiet() {
                return Err(Broken::Violation(
                    "the server spoke before the message was written".to_owned(),
                ));
            }
        }
        let flush = poll_fn(|cx| {
            let flushed = Pin::new(&mut self.stream).poll_flush(cx);
            if flushed.is_pending() {
                ready!(self.incoming.poll_fill(&mut self.stream, cx))?;
                cx.waker().wake_by_ref();
            }
            flushed
        });
        match timeout_at(deadline, flush).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Broken::Silent(limit)),
        }
    }
}

fn length(blocks: &[Arc<[u8]>]) -> usize {
    blocks.iter().map(|block| block.len()).sum()
}

/// The bytes from `from`, at most to `end`, that lie in one piece.
fn piece<'a>(
    out: &'a [u8],
    shared: Option<&'a (usize, Vec<Arc<[u8]>>)>,
    from: usize,
    end: usize,
) -> &'a [u8] {
    let (at, blocks): (usize, &[_]) = match shared {
        Some((at, blocks)) => (*at, blocks),
        None => (out.len(), &[]),
    };
    let pieces = std::iter::once(&out[..at])
        .chain(blocks.iter().map(AsRef::as_ref))
        .chain(std::iter::once(&out[at..]));
    let mut start = 0;
    for piece in pieces {
        if from < start + piece.len() {
            return &piece[from - start..(end - start).min(piece.len())];
        }
        start += piece.len();
    }
    &[]
}

/// What was read and not used yet.
struct Incoming {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Incoming {
    fn new() -> Self {
        Self {
            bytes: vec![0; 2 * MAX_REPLY].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first reply that is complete.
    fn take(&mut self) -> Result<Option<Reply>, Broken> {
        let Some((reply, length)) = Reply::take(&self.bytes[self.start..self.end])? else {
            return Ok(None);
        };
        self.start += length;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        Ok(Some(reply))
    }

    /// Reads more. An end is an error, and so is more than anybody asked for.
    fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.bytes.len() {
            return Poll::Ready(Err(io::Error::other(
                "the server says more than it was asked",
            )));
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        match room.filled().len() {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            more => {
                self.end += more;
                Poll::Ready(Ok(()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_word_before_the_end_stops_the_write_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let (stream, accepted) = tokio::join!(stream, listener.accept());
        // It speaks, and never reads: more is written than the buffers on the way hold.
        let mut server = accepted.unwrap().0;
        server.write_all(b"552 too big\r\n").await.unwrap();
        let mut wire = Wire::new(stream.unwrap());
        wire.out = vec![b'a'; 64 << 20];
        let torn = wire
            .flush(64 << 20, Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(matches!(torn.why, Broken::Violation(_)), "{torn:?}");
        assert!(torn.written < 64 << 20);
        assert_eq!(wire.reply_at_hand().unwrap().code, 552);
    }
}
