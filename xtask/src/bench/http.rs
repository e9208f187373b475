//! Just enough of an HTTP client to ask whether a server is up, to look at one answer, and to log in.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Outcome;

const TIMEOUT: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 8;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As they came, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }
}

/// One GET to this machine; `credential` is a header or nothing.
pub(crate) fn get(port: u16, path: &str, credential: &str) -> Outcome<Answer> {
    ask(port, "GET", path, &[credential])
}

/// One request without a body to this machine.
pub(crate) fn ask(port: u16, method: &str, path: &str, headers: &[&str]) -> Outcome<Answer> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let lines = headers.iter().filter(|header| !header.is_empty()).map(|header| format!("{header}\r\n"));
    let headers: String = lines.collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| format!("no HTTP answer from port {port}").into())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    Some(Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
}

/// Logs in through the proxy on this port, at a provider that agrees at once. The result is the session's `Cookie`.
pub(crate) fn log_in(port: u16) -> Outcome<String> {
    let mut jar: Vec<(String, String)> = Vec::new();
    let mut url = format!("http://127.0.0.1:{port}/oauth2/start?rd=/");
    for _ in 0..MOST_REDIRECTS {
        let (at, path) = split(&url).ok_or_else(|| format!("cannot follow {url}"))?;
        let cookie = if at == port { join(&jar, |_| true) } else { String::new() };
        let cookie = if cookie.is_empty() { cookie } else { format!("Cookie: {cookie}") };
        let answer = get(at, path, &cookie)?;
        for cookie in answer.all("set-cookie") {
            let (name, value) =
                cookie.split(';').next().and_then(|pair| pair.split_once('=')).unwrap_or_default();
            jar.retain(|(known, _)| known != name);
            if !value.is_empty() {
                jar.push((name.to_owned(), value.to_owned()));
            }
        }
        let session = join(&jar, |name| !name.contains("csrf"));
        if !session.is_empty() {
            return Ok(session);
        }
        let location = answer.all("location").next();
        let location = location
            .ok_or_else(|| format!("login ended at {url} with {}: {}", answer.status, answer.body))?;
        url = if location.starts_with('/') {
            format!("http://127.0.0.1:{at}{location}")
        } else {
            location.to_owned()
        };
    }
    Err(format!("login goes round in circles, last to {url}").into())
}

fn join(jar: &[(String, String)], wanted: impl Fn(&str) -> bool) -> String {
    let pairs = jar.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("; ")
}

/// Port and path of `http://127.0.0.1:PORT/PATH`.
fn split(url: &str) -> Option<(u16, &str)> {
    let rest = url.strip_prefix("http://127.0.0.1:")?;
    let slash = rest.find('/')?;
    Some((rest.get(..slash)?.parse().ok()?, rest.get(slash..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_headers() {
        let answer =
            parse("HTTP/1.1 202 Accepted\r\nSet-Cookie: a=b; Path=/\r\nset-cookie: c=\r\n\r\nbody").unwrap();
        assert_eq!(answer.status, 202);
        assert_eq!(answer.all("Set-Cookie").collect::<Vec<_>>(), ["a=b; Path=/", "c="]);
        assert_eq!(answer.body, "body");
    }

    #[test]
    fn only_this_machine_is_spoken_to() {
        assert_eq!(split("http://127.0.0.1:80/a?b"), Some((80, "/a?b")));
        assert_eq!(split("http://example.com:80/"), None);
    }
}
