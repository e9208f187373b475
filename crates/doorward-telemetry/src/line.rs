//! What a line tells, as values. Texts that came off the wire are bytes here: escaping is done when they are written,
//! so nothing has to be valid UTF-8 before.

use std::{
    fmt,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use doorward_core::Timestamp;

use crate::{
    clock,
    escape::{self, Blanks},
    format::{Field, Line},
    logs::{Level, TimeZone},
};

/// Who sent the request, as the logs show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientField {
    /// The connection's peer, shown as `ip:port`.
    Peer(SocketAddr),
    /// The client that a trusted hop named, or the peer when the hop named nobody: shown without a port.
    Ip(IpAddr),
    /// The peer of a unix socket, shown as `@`.
    UnixPeer,
}

impl fmt::Display for ClientField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 client of a dual-stack socket is shown as what it is.
            Self::Peer(peer) => write!(f, "{}", SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Self::Ip(ip) => write!(f, "{}", ip.to_canonical()),
            Self::UnixPeer => f.write_str("@"),
        }
    }
}

/// How a request was decided, and why.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// `permit`, `login`, `deny` or `error`.
    pub outcome: &'a str,
    /// The reason in a word of ours.
    pub reason: &'a str,
    /// The rule that decided; empty if none did.
    pub rule: &'a str,
    /// A sentence for people; empty where the outcome needs none.
    pub message: &'a str,
    /// What was found wrong; empty if there is no more to say.
    pub detail: &'a str,
    /// How the operator mends it; empty where there is nothing to mend.
    pub mend: &'a str,
}

/// One finished request (reference: logging-metrics.md, request fields).
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    pub client: ClientField,
    /// The host under which the client reached us; raw header bytes.
    pub host: &'a [u8],
    pub method: &'a http::Method,
    /// Path and query as they came.
    pub uri: &'a str,
    pub protocol: http::Version,
    /// Raw header bytes; empty without the header.
    pub user_agent: &'a [u8],
    /// E-mail, else user; empty if nobody is logged in.
    pub username: &'a str,
    /// Raw header bytes.
    pub request_id: &'a [u8],
    /// The id of the application that answered; empty if none was asked.
    pub upstream: &'a str,
    /// The answer's status code.
    pub status: u16,
    /// Bytes of the answer's body.
    pub size: u64,
    pub started: Timestamp,
    pub duration: Duration,
    /// `None` for requests that need no permission.
    pub decision: Option<Decision<'a>>,
}

/// How an attempt to authenticate ended. Tools search logs for these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthStatus {
    Success,
    /// The credential was refused.
    Failure,
    /// No answer was possible.
    Error,
}

impl AuthStatus {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Success => "AuthSuccess",
            Self::Failure => "AuthFailure",
            Self::Error => "AuthError",
        }
    }
}

/// One attempt to authenticate (reference: logging-metrics.md, auth fields).
#[derive(Clone, Copy, Debug)]
pub struct AuthLine<'a> {
    pub client: ClientField,
    /// The host under which the client reached us; raw header bytes.
    pub host: &'a [u8],
    pub method: &'a http::Method,
    pub protocol: http::Version,
    /// Raw header bytes; empty without the header.
    pub user_agent: &'a [u8],
    /// E-mail, else user, as far as the attempt named one; else empty.
    pub username: &'a str,
    /// Raw header bytes.
    pub request_id: &'a [u8],
    pub status: AuthStatus,
    /// Free text without secrets.
    pub message: &'a str,
    pub at: Timestamp,
    /// How that decided the request, if it did. In JSON lines only.
    pub decision: Option<Decision<'a>>,
}

/// One message of the program about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StandardLine<'a> {
    /// `file.rs:line` of the code that speaks.
    pub(crate) file_line: &'a str,
    pub(crate) level: Level,
    pub(crate) message: &'a str,
    /// Named values. In text they follow the message.
    pub(crate) fields: &'a [(&'static str, serde_json::Value)],
    pub(crate) at: Timestamp,
}

impl Line for RequestLine<'_> {
    fn push(&self, field: Field, zone: TimeZone, out: &mut Vec<u8>) {
        match field {
            Field::Client => push_client(out, self.client),
            Field::Host => column(out, self.host),
            Field::Outcome => self.push_decided(out, |decision| decision.outcome),
            Field::Protocol => push_protocol(out, self.protocol),
            Field::Reason => self.push_decided(out, |decision| decision.reason),
            Field::RequestDuration => push_seconds(out, self.duration),
            Field::RequestId => column(out, self.request_id),
            Field::RequestMethod => out.extend_from_slice(self.method.as_str().as_bytes()),
            Field::RequestUri => escape::quoted(out, self.uri.as_bytes()),
            Field::ResponseSize => push_number(out, self.size),
            Field::Rule => self.push_decided(out, |decision| decision.rule),
            Field::StatusCode => push_number(out, self.status.into()),
            Field::Timestamp => clock::push_timestamp(out, self.started, zone),
            Field::Upstream => column_or_dash(out, self.upstream),
            Field::UserAgent => escape::quoted(out, self.user_agent),
            Field::Username => column_or_dash(out, self.username),
            Field::File | Field::Message | Field::Status => (),
        }
    }
}

impl<'a> RequestLine<'a> {
    fn push_decided(&self, out: &mut Vec<u8>, word: impl Fn(Decision<'a>) -> &'a str) {
        column_or_dash(out, self.decision.map_or("", word));
    }
}

impl Line for AuthLine<'_> {
    fn push(&self, field: Field, zone: TimeZone, out: &mut Vec<u8>) {
        match field {
            Field::Client => push_client(out, self.client),
            Field::Host => column(out, self.host),
            Field::Message => message(out, self.message),
            Field::Protocol => push_protocol(out, self.protocol),
            Field::RequestId => column(out, self.request_id),
            Field::RequestMethod => out.extend_from_slice(self.method.as_str().as_bytes()),
            Field::Status => out.extend_from_slice(self.status.word().as_bytes()),
            Field::Timestamp => clock::push_timestamp(out, self.at, zone),
            Field::UserAgent => escape::quoted(out, self.user_agent),
            Field::Username => column_or_dash(out, self.username),
            Field::File
            | Field::Outcome
            | Field::Reason
            | Field::RequestDuration
            | Field::RequestUri
            | Field::ResponseSize
            | Field::Rule
            | Field::StatusCode
            | Field::Upstream => (),
        }
    }
}

impl Line for StandardLine<'_> {
    fn push(&self, field: Field, zone: TimeZone, out: &mut Vec<u8>) {
        match field {
            Field::File => column(out, self.file_line.as_bytes()),
            Field::Message => {
                message(out, self.message);
                self.fields.iter().for_each(|(name, value)| push_named(out, name, value));
            }
            Field::Timestamp => clock::push_timestamp(out, self.at, zone),
            _ => (),
        }
    }
}

fn column(out: &mut Vec<u8>, text: &[u8]) {
    escape::plain(out, text, Blanks::Escape);
}

fn column_or_dash(out: &mut Vec<u8>, text: &str) {
    column(out, if text.is_empty() { b"-" } else { text.as_bytes() });
}

fn message(out: &mut Vec<u8>, text: &str) {
    escape::plain(out, text.as_bytes(), Blanks::Keep);
}

/// ` name=value`, in quotes where the value could be taken for something else.
fn push_named(out: &mut Vec<u8>, name: &str, value: &serde_json::Value) {
    out.push(b' ');
    message(out, name);
    out.push(b'=');
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_word = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'=');
    if !text.is_empty() && text.bytes().all(is_word) {
        out.extend_from_slice(text.as_bytes());
    } else {
        escape::quoted(out, text.as_bytes());
    }
}

// Writing to a vector cannot fail, hence the ignored results below.

fn push_client(out: &mut Vec<u8>, client: ClientField) {
    let _ = write!(out, "{client}");
}

fn push_protocol(out: &mut Vec<u8>, protocol: http::Version) {
    let _ = write!(out, "{protocol:?}");
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    let _ = write!(out, "{number}");
}

/// Seconds with three decimals, rounded.
fn push_seconds(out: &mut Vec<u8>, duration: Duration) {
    let milliseconds = (duration.as_nanos() + 500_000) / 1_000_000;
    let _ = write!(out, "{}.{:03}", milliseconds / 1000, milliseconds % 1000);
}
