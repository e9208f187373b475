//! A browser with a cookie jar that follows nothing by itself and sends every byte as it is told.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::{
    cookie::SetCookie,
    http1::{Headers, Otherwise, read_body, read_head},
};

/// After so long an answer counts as missing.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so long without a byte, a raw exchange counts as finished.
const SILENCE: Duration = Duration::from_millis(700);

/// One request. `Host`, `Content-Length`, `Cookie` and `Connection: close` are added unless given.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Method and target go out as they are given, valid or not.
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `GET` of this target.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header line, also if there is one of this name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// A form to post.
    pub fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::new("POST", target).header("Content-Type", "application/x-www-form-urlencoded").body(&body)
    }

    /// Basic credentials (RFC 7617).
    pub fn basic(self, user: &str, password: &str) -> Self {
        let credentials = base64_simd::STANDARD.encode_to_string(format!("{user}:{password}"));
        self.header("Authorization", &format!("Basic {credentials}"))
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    fn render(&self, host: &str, cookies: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut line = |name: &str, value: &str| text.push_str(&[name, ": ", value, "\r\n"].concat());
        if !self.has("host") {
            line("Host", host);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.has("cookie") && !cookies.is_empty() {
            line("Cookie", cookies);
        }
        if !self.has("connection") {
            line("Connection", "close");
        }
        if !self.body.is_empty() && !self.has("content-length") && !self.has("transfer-encoding") {
            line("Content-Length", &self.body.len().to_string());
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.first(name)
    }

    /// Where the answer leads; empty if nowhere.
    pub fn location(&self) -> &str {
        self.header("location")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }

    pub fn set_cookies(&self) -> Vec<SetCookie> {
        self.headers.all("set-cookie").into_iter().map(SetCookie::parse).collect()
    }

    /// The header lines that the echo application reports to have received.
    #[track_caller]
    pub fn echoed(&self) -> Headers {
        let lines = self.json()["headers"].clone();
        Headers(
            serde_json::from_value(lines).unwrap_or_else(|_| panic!("not from the echo: {}", self.text())),
        )
    }

    /// The value of a parameter in the query of `Location`.
    pub fn location_parameter(&self, name: &str) -> Option<String> {
        parameter(self.location(), name)
    }

    fn read(reader: &mut impl io::BufRead, method: &str) -> io::Result<Self> {
        loop {
            let head = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = head.word(1).parse().map_err(|_| io::ErrorKind::InvalidData)?;
            let body = match status {
                100 | 102..=199 => continue,
                101 | 204 | 304 => Vec::new(),
                _ if method == "HEAD" => Vec::new(),
                _ => read_body(reader, &head.headers, Otherwise::UntilClose)?,
            };
            return Ok(Self { status, headers: head.headers, body });
        }
    }
}

/// The value of a parameter in the query of a URL.
pub(crate) fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1.split('#').next()?;
    form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// Somebody in front of doorward.
#[derive(Clone, Debug)]
pub struct Browser {
    server: SocketAddr,
    source: IpAddr,
    /// Name and value of every cookie.
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// With an empty cookie jar.
    pub fn new(server: SocketAddr) -> Self {
        Self { server, source: IpAddr::V4(Ipv4Addr::LOCALHOST), cookies: BTreeMap::new() }
    }

    /// The same, but its connections come from this address.
    pub fn from_address(server: SocketAddr, source: &str) -> Self {
        Self { source: source.parse().unwrap(), ..Self::new(server) }
    }

    /// The address of doorward as it stands in `Host`.
    pub fn host(&self) -> String {
        self.server.to_string()
    }

    /// [`Browser::send`] for a plain `GET`.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Answer {
        self.send(Request::get(target))
    }

    /// Sends a request and keeps the cookies of the answer.
    #[track_caller]
    pub fn send(&mut self, request: Request) -> Answer {
        let what = format!("{} {}", request.method, request.target);
        self.try_send(request).unwrap_or_else(|error| panic!("no answer to {what}: {error}"))
    }

    /// As [`Browser::send`], for when there may be no answer.
    pub fn try_send(&mut self, request: Request) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        let answer =
            connection.send(&request.render(&self.host(), &self.cookie_header()), &request.method)?;
        self.keep(&answer);
        Ok(answer)
    }

    /// Opens a connection for whatever a test wants to write.
    pub fn connect(&self) -> io::Result<Connection> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(self.source, 0).into())?;
        socket.connect(&self.server.into())?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { reader: BufReader::new(stream) })
    }

    /// Writes bytes and reads until the end or a long silence.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut connection = self.connect().unwrap();
        connection.write(bytes);
        connection.rest()
    }

    /// Sends a request with the browser's cookies on an open connection, without `Connection: close`.
    pub fn send_on(&mut self, connection: &mut Connection, request: Request) -> io::Result<Answer> {
        let request =
            if request.has("connection") { request } else { request.header("Connection", "keep-alive") };
        let answer =
            connection.send(&request.render(&self.host(), &self.cookie_header()), &request.method)?;
        self.keep(&answer);
        Ok(answer)
    }

    /// All cookies as one `Cookie` header.
    pub fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.set_cookies() {
            if cookie.is_deletion() {
                self.cookies.remove(&cookie.name);
            } else {
                self.cookies.insert(cookie.name, cookie.value);
            }
        }
    }

    /// Logs in and returns the answer of the callback.
    #[track_caller]
    pub fn login(&mut self, target: &str) -> Answer {
        let start = self.start(target);
        let callback = self.authorize(start.location());
        self.get(&callback)
    }

    /// Logs in, and fails the test if that does not work.
    #[track_caller]
    pub fn logged_in(mut self) -> Self {
        let answer = self.login("/");
        assert_eq!(answer.status, 302, "the login failed: {}", answer.text());
        self
    }

    /// Begins a login that is to end at `target`.
    #[track_caller]
    pub fn start(&mut self, target: &str) -> Answer {
        let rd: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let answer = self.get(&format!("/oauth2/start?rd={rd}"));
        assert_eq!(answer.status, 302, "the login did not begin: {}", answer.text());
        answer
    }

    /// Signs in at the provider; the target of the callback at doorward.
    #[track_caller]
    pub fn authorize(&self, url: &str) -> String {
        let (host, target) = split_url(url);
        let mut provider = Self::new(host.parse().unwrap_or_else(|_| panic!("not the provider: {url}")));
        let answer = provider.get(&target);
        assert_eq!(answer.status, 302, "the provider refused: {}", answer.text());
        split_url(answer.location()).1
    }
}

/// Host with port, and everything behind it.
#[track_caller]
fn split_url(url: &str) -> (String, String) {
    let rest = url.split_once("://").unwrap_or_else(|| panic!("not an absolute URL: {url:?}")).1;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (host, target) = rest.split_at(slash);
    (host.to_owned(), if target.is_empty() { "/".to_owned() } else { target.to_owned() })
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Writes bytes; a peer that hung up is noticed when reading.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    /// Reads the next answer; `method` is that of the request it belongs to.
    pub fn answer(&mut self, method: &str) -> io::Result<Answer> {
        Answer::read(&mut self.reader, method)
    }

    fn send(&mut self, bytes: &[u8], method: &str) -> io::Result<Answer> {
        self.write(bytes);
        self.answer(method)
    }

    /// Reads exactly as many bytes as `expected` has.
    pub fn read_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Everything until the end of the connection or a long silence.
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.reader.get_mut().set_read_timeout(Some(SILENCE));
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = self.reader.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
