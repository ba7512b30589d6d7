//! Clients that dawdle, against deadlines of a moment.

use axum::{
    body::Bytes,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use super::*;

const AGES: Duration = Duration::from_hours(1);
const MOMENT: Duration = Duration::from_millis(20);

const PATIENT: Limits = Limits {
    headers: AGES,
    request: AGES,
    connection: AGES,
    connections: 8,
    farewell: AGES,
};

struct Server {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

async fn start(limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/long", post(async |body: Bytes| body.len().to_string()));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(serve_within(limits, listener, router, async move {
        let _ = stopped.await;
    }));
    Server {
        address,
        stop: Some(stop),
        task,
    }
}

impl Server {
    async fn connect(&self, first: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        stream
    }
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let server = start(Limits {
        headers: MOMENT,
        ..PATIENT
    })
    .await;
    let stream = server
        .connect("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        .await;
    assert!(!rest(stream).await.contains("200 OK"));
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_off() {
    let server = start(Limits {
        request: MOMENT,
        ..PATIENT
    })
    .await;
    let stream = server
        .connect("POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    assert!(rest(stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_connection_that_never_ends_is_ended() {
    let server = start(Limits {
        connection: MOMENT,
        ..PATIENT
    })
    .await;
    assert_eq!(rest(server.connect("").await).await, "");
}

#[tokio::test]
async fn one_more_than_the_limit_waits_its_turn() {
    let server = start(Limits {
        connections: 1,
        ..PATIENT
    })
    .await;
    let first = server.connect("GET / HTTP/1.1\r\nHost: a\r\n").await;
    let second = server
        .connect("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    drop(first);
    assert!(rest(second).await.ends_with("here"));
}

#[tokio::test]
async fn shutdown_lets_a_request_end_and_takes_no_more() {
    let mut server = start(PATIENT).await;
    let mut stream = server
        .connect(
            "POST /long HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        )
        .await;
    let mut proceed = [0; 25];
    stream.read_exact(&mut proceed).await.unwrap();
    assert_eq!(&proceed, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.stop.take().unwrap().send(()).unwrap();
    stream.write_all(b"abc").await.unwrap();
    assert!(rest(stream).await.ends_with("\r\n\r\n3"));
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
