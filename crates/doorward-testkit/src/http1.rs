//! HTTP/1.1 messages (RFC 9112) as they stand on the wire.

use std::io::{self, BufRead, Read};

/// Far above anything a test expects; a fault of ours must not fill the memory.
const MAX_BODY: u64 = 64 * 1024 * 1024;

/// Header lines in their order and spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of this name in any case; empty if there is none.
    pub fn first(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or("")
    }

    /// All values of this name in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    pub(crate) fn says(&self, name: &str, token: &str) -> bool {
        self.all(name).iter().any(|line| line.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
    }
}

/// The first line and the header lines of a message.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Headers,
}

impl Head {
    /// One of the blank-separated words of the first line; empty if there are fewer.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.first.split(' ').nth(index).unwrap_or("")
    }
}

/// Reads a head; `None` if the connection ends before one begins.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head { first, headers: Headers(headers) }));
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&line);
    Ok(Some(text.trim_end_matches('\n').trim_end_matches('\r').to_owned()))
}

/// How a body ends when neither a length nor chunks say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Requests.
    Empty,
    /// Responses.
    UntilClose,
}

pub(crate) fn read_body(
    reader: &mut impl BufRead,
    headers: &Headers,
    otherwise: Otherwise,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if headers.says("transfer-encoding", "chunked") {
        read_chunks(reader, &mut body)?;
    } else if let Ok(length) = headers.first("content-length").parse::<u64>() {
        reader.take(length.min(MAX_BODY)).read_to_end(&mut body)?;
        if (body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else if otherwise == Otherwise::UntilClose {
        reader.take(MAX_BODY).read_to_end(&mut body)?;
    }
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let length = u64::from_str_radix(digits, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if length == 0 {
            while !read_line(reader)?.unwrap_or_default().is_empty() {}
            return Ok(());
        }
        reader.take(length.min(MAX_BODY)).read_to_end(body)?;
        read_line(reader)?;
    }
}
