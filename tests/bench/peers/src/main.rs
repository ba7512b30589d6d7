//! `peers canned PORT MESSAGES CONNECTIONS`: the same bytes again and again, as fast as SMTP allows: each envelope together with the end
//! of the message before it. What is left of the server's and the machine's time where a sender does nothing else.
//! `peers pool PORT MESSAGES CONNECTIONS`: lettre's pool as it is shipped.
//! `peers nodelay PORT MESSAGES CONNECTIONS`: lettre's connections with TCP_NODELAY set on each, kept as its pool keeps them.
//! `peers line PORT MILLISECONDS`: prints its own port; what comes in there goes to PORT, so many milliseconds later, and back.

use std::{
    env,
    error::Error,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::header::ContentType,
    transport::smtp::{
        PoolConfig,
        client::{AsyncSmtpConnection, AsyncTokioStream},
        extension::ClientId,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize| {
        arguments
            .get(at)
            .and_then(|text| text.parse::<usize>().ok())
    };
    match (
        arguments.first().map(String::as_str),
        number(1),
        number(2),
        number(3),
    ) {
        (Some("canned"), Some(port), Some(messages), Some(connections)) => {
            canned(port as u16, messages, connections).await
        }
        (Some("pool"), Some(port), Some(messages), Some(connections)) => {
            pool(port as u16, messages, connections).await
        }
        (Some("nodelay"), Some(port), Some(messages), Some(connections)) => {
            nodelay(port as u16, messages, connections).await
        }
        (Some("line"), Some(port), Some(delay), None) => line(port as u16, delay as u64).await,
        _ => {
            eprintln!(
                "peers canned|pool|nodelay PORT MESSAGES CONNECTIONS, or peers line PORT MILLISECONDS"
            );
            exit(2)
        }
    }
}

const SENTENCE: &str = "The sun sets before five now, and the night tariff makes electricity a third cheaper until the end of March. ";

async fn canned(port: u16, messages: usize, connections: usize) -> Result {
    const ENVELOPE: &str = "MAIL FROM:<news@acme.example>\r\nRCPT TO:<p@example.org>\r\nDATA\r\n";
    let content = format!("{SENTENCE}\r\n").repeat(44) + ".\r\n";
    let tasks: Vec<_> = (0..connections)
        .map(|n| messages / connections + usize::from(n < messages % connections))
        .filter(|share| *share > 0)
        .map(|share| {
            let one = (content.clone() + ENVELOPE).into_bytes();
            let last = (content.clone() + "QUIT\r\n").into_bytes();
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                said(&mut stream, "220 ").await?;
                stream.write_all(b"EHLO localhost\r\n").await?;
                said(&mut stream, "250 ").await?;
                stream.write_all(ENVELOPE.as_bytes()).await?;
                for _ in 1..share {
                    said(&mut stream, "354 ").await?;
                    stream.write_all(&one).await?;
                }
                said(&mut stream, "354 ").await?;
                stream.write_all(&last).await?;
                said(&mut stream, "221 ").await
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Reads until the last line begins so.
async fn said(stream: &mut TcpStream, code: &str) -> Result {
    let mut heard = Vec::new();
    loop {
        if stream.read_buf(&mut heard).await? == 0 {
            return Err(format!("no {code}in {}", String::from_utf8_lossy(&heard)).into());
        }
        let lines = heard.strip_suffix(b"\r\n");
        let last = lines.and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
        if last.is_some_and(|last| last.starts_with(code.as_bytes())) {
            return Ok(());
        }
    }
}

fn message(n: usize) -> Result<Message> {
    let body = format!(
        "Dear Person,\n\nyou owe us €{n}.50 and have been with us since 2015.\n\n{}",
        format!("{SENTENCE}\n").repeat(44)
    );
    Ok(Message::builder()
        .from("Acme Energy <news@acme.example>".parse()?)
        .to(format!("p{n}@example.org").parse()?)
        .subject("Person, news for you")
        .message_id(None)
        .header(ContentType::TEXT_PLAIN)
        .body(body)?)
}

async fn pool(port: u16, messages: usize, connections: usize) -> Result {
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .pool_config(PoolConfig::new().max_size(connections as u32))
        .build();
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (transport, next) = (transport.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= messages {
                        return Result::Ok(());
                    }
                    transport.send(message(n)?).await?;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn nodelay(port: u16, messages: usize, connections: usize) -> Result {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let next = next.clone();
            tokio::spawn(async move {
                let stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let stream: Box<dyn AsyncTokioStream> = Box::new(stream);
                let hello = ClientId::Domain("localhost".to_owned());
                let mut connection =
                    AsyncSmtpConnection::connect_with_transport(stream, &hello).await?;
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= messages {
                        connection.quit().await?;
                        return Result::Ok(());
                    }
                    let message = message(n)?;
                    connection
                        .send(message.envelope(), &message.formatted())
                        .await?;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn line(port: u16, milliseconds: u64) -> Result {
    let delay = Duration::from_millis(milliseconds);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The first packet of a connection crosses the line too.
            tokio::time::sleep(2 * delay).await;
            let far = TcpStream::connect(("127.0.0.1", port)).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            tokio::spawn(carry(near_in, far_out, delay));
            tokio::spawn(carry(far_in, near_out, delay));
            Result::Ok(())
        });
    }
}

/// What is read is written so much later; more is read meanwhile.
async fn carry(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    delay: Duration,
) -> Result {
    let (sender, mut waiting) = mpsc::channel::<(Instant, Vec<u8>)>(4096);
    let writing = tokio::spawn(async move {
        while let Some((at, bytes)) = waiting.recv().await {
            tokio::time::sleep_until(at.into()).await;
            to.write_all(&bytes).await?;
        }
        to.shutdown().await?;
        Result::Ok(())
    });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        if sender
            .send((Instant::now() + delay, buffer[..n].to_vec()))
            .await
            .is_err()
        {
            break;
        }
    }
    drop(sender);
    writing.await?
}
