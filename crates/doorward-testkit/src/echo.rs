//! The application behind doorward: it answers with what it received, and remembers it.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    http1::Headers,
    server::{Received, Reply, Server, Stopped},
};

/// A request as the application saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Seen {
    fn describe(&self) -> Value {
        json!({
            "method": self.method,
            "target": self.target,
            "headers": self.headers.0,
            "body_length": self.body.len(),
        })
    }
}

/// Special paths: `/status/NNN`; `/answer?Name=value` sets these headers on the answer; `/sse` sends one event and
/// keeps the stream open until [`Echo::release`]; `/held` answers at [`Echo::release`]; `/ws` takes an upgrade and
/// sends back every byte; `/ws-refused` answers an upgrade with 404; `/large` answers with 64 MB; `/close` hangs up. Everything else is told as JSON.
#[derive(Debug)]
pub struct Echo {
    server: Server,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    released: Mutex<bool>,
    release: Condvar,
}

impl Echo {
    /// On a loopback port of its own.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        Self { server: Server::start(0, move |request| own.answer(request)), state }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Everything that came so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many requests came for exactly this target.
    pub fn count(&self, target: &str) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|seen| seen.target == target).count()
    }

    /// Lets `/held` and `/sse` finish, from now on.
    pub fn release(&self) {
        *self.state.released.lock().unwrap() = true;
        self.state.release.notify_all();
    }
}

impl State {
    fn answer(self: &Arc<Self>, request: Received) -> Reply {
        let Received { method, target, headers, body } = request;
        let seen = Seen { method, target, headers, body };
        self.seen.lock().unwrap().push(seen.clone());
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        match path {
            "/sse" => {
                let state = Arc::clone(self);
                Reply::Stream(Box::new(move |stream, stopped| state.stream_events(stream, stopped)))
            }
            "/held" => {
                let state = Arc::clone(self);
                Reply::Stream(Box::new(move |stream, stopped| {
                    state.wait_for_release(stopped);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld");
                }))
            }
            "/ws" if seen.headers.has("upgrade") => Reply::Stream(Box::new(send_back_bytes)),
            "/ws-refused" => Reply::text(404, "no upgrade here"),
            "/large" => Reply::Stream(Box::new(stream_megabytes)),
            "/close" => Reply::Close,
            "/answer" => {
                let headers = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
                Reply::Response { status: 200, headers, body: b"answer".to_vec() }
            }
            _ => match path.strip_prefix("/status/").and_then(|code| code.parse().ok()) {
                Some(status) => Reply::text(status, "status"),
                None => Reply::json(200, &seen.describe()),
            },
        }
    }

    fn stream_events(&self, stream: &mut std::net::TcpStream, stopped: &Stopped) {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n";
        let _ = stream.write_all(head.as_bytes());
        self.wait_for_release(stopped);
        let _ = stream.write_all(b"data: last\n\n");
    }

    fn wait_for_release(&self, stopped: &Stopped) {
        let mut released = self.released.lock().unwrap();
        while !*released && !stopped.yet() {
            released = self.release.wait_timeout(released, Duration::from_millis(50)).unwrap().0;
        }
    }
}

fn stream_megabytes(stream: &mut std::net::TcpStream, _stopped: &Stopped) {
    let megabyte = vec![b'x'; 1024 * 1024];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * megabyte.len());
    let _ = stream.write_all(head.as_bytes());
    for _ in 0..64 {
        if stream.write_all(&megabyte).is_err() {
            return;
        }
    }
}

fn send_back_bytes(stream: &mut std::net::TcpStream, _stopped: &Stopped) {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
