//! A program that is called by webhooks: it keeps what it was told and answers as it is told.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The code it was answered with.
    pub code: u16,
}

impl Call {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answer = Box<dyn Fn(usize, &str) -> String + Send + Sync>;

/// The program. It listens until the test ends.
pub struct Hook {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Hook {
    /// `answer` gives the code and perhaps more header lines, from the number of the call (from 0) and its body.
    pub fn start(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// On a port that is known before.
    pub fn on(
        listener: TcpListener,
        answer: impl Fn(usize, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let (kept, answer): (_, Arc<Answer>) = (calls.clone(), Arc::new(Box::new(answer)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || serve(stream, &kept, &answer));
            }
        });
        Self { port, calls }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sent", self.port)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The keys of those who were accepted, sorted, repeats included.
    pub fn accepted(&self) -> Vec<String> {
        let calls = self.calls();
        let accepted = calls.iter().filter(|call| call.code < 300);
        let mut keys: Vec<_> = accepted
            .map(|call| call.json()["data"]["key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    }
}

fn serve(mut stream: TcpStream, calls: &Mutex<Vec<Call>>, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let said = {
            let mut calls = calls.lock().unwrap();
            let said = answer(calls.len(), &body);
            let code = said[..3].parse().unwrap();
            calls.push(Call {
                headers,
                body,
                code,
            });
            said
        };
        write!(stream, "HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}
