//! A small HTTP/1.1 server: a thread a connection, and answers that need not be well behaved.

use std::{
    io::{BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::http1::{Headers, Otherwise, read_body, read_head};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// What to do with it.
pub(crate) enum Reply {
    Response {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Nothing at all until the client gives up.
    Silence,
    /// The connection ends without an answer.
    Close,
    /// Whatever this writes; the connection ends afterwards.
    Stream(Writer),
}

pub(crate) type Writer = Box<dyn FnOnce(&mut TcpStream, &Stopped) + Send>;

impl Reply {
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::typed(status, "application/json", value.to_string())
    }

    pub(crate) fn text(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::typed(status, "text/plain", body)
    }

    pub(crate) fn typed(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Response {
            status,
            headers: vec![("Content-Type".into(), media_type.into())],
            body: body.into(),
        }
    }
}

/// Says whether the server is going away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stopped(Arc<AtomicBool>);

impl Stopped {
    pub(crate) fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stopped: Stopped,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

type Handler = Arc<dyn Fn(Received) -> Reply + Send + Sync>;

impl Server {
    /// Listens on a loopback port; 0 means any.
    pub(crate) fn start(port: u16, handler: impl Fn(Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, stopped: Stopped::default(), open: Arc::default() };
        let (stopped, open) = (server.stopped.clone(), Arc::clone(&server.open));
        let handler: Handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.yet() {
                    return;
                }
                open.lock().unwrap().extend(stream.try_clone());
                let (handler, stopped) = (Arc::clone(&handler), stopped.clone());
                thread::spawn(move || serve(stream, &handler, &stopped));
            }
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.0.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(mut stream: TcpStream, handler: &Handler, stopped: &Stopped) {
    let Ok(reading) = stream.try_clone() else { return };
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(reading);
    while let Ok(Some(head)) = read_head(&mut reader) {
        if head.headers.says("expect", "100-continue") {
            let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let Ok(body) = read_body(&mut reader, &head.headers, Otherwise::Empty) else { break };
        let (method, target) = (head.word(0).to_owned(), head.word(1).to_owned());
        let head_only = method == "HEAD";
        let keep = !head.headers.says("connection", "close");
        match handler(Received { method, target, headers: head.headers, body }) {
            Reply::Response { status, headers, body } => {
                let body = if head_only { Vec::new() } else { body };
                if stream.write_all(&render(status, &headers, &body)).is_err() || !keep {
                    break;
                }
            }
            Reply::Silence => wait_for_the_end(stopped),
            Reply::Close => break,
            Reply::Stream(write) => {
                write(&mut stream, stopped);
                break;
            }
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

pub(crate) fn render(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let head = format!("HTTP/1.1 {status} Scripted\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn wait_for_the_end(stopped: &Stopped) {
    while !stopped.yet() {
        thread::sleep(Duration::from_millis(20));
    }
}
