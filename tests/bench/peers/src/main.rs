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
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<usize>().ok());
    match (arguments.first().map(String::as_str), number(1), number(2), number(3)) {
        (Some("pool"), Some(port), Some(messages), Some(connections)) => {
            pool(port as u16, messages, connections).await
        }
        (Some("nodelay"), Some(port), Some(messages), Some(connections)) => {
            nodelay(port as u16, messages, connections).await
        }
        (Some("line"), Some(port), Some(delay), None) => line(port as u16, delay as u64).await,
        _ => {
            eprintln!("peers pool|nodelay PORT MESSAGES CONNECTIONS, or peers line PORT MILLISECONDS");
            exit(2)
        }
    }
}

fn message(n: usize) -> Result<Message> {
    let sentence = "The sun sets before five now, and the night tariff makes electricity a third cheaper until the end of March. \n";
    let body = format!(
        "Dear Person,\n\nyou owe us €{n}.50 and have been with us since 2015.\n\n{}",
        sentence.repeat(44)
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
async fn carry(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, delay: Duration) -> Result {
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
        if sender.send((Instant::now() + delay, buffer[..n].to_vec())).await.is_err() {
            break;
        }
    }
    drop(sender);
    writing.await?
}
