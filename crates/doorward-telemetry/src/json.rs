//! Lines as JSON, one object each (`--log-format=json`). Names and their order are stable: docs/logging.md lists them.
//! What is empty is left out, all but the first four members.

use std::{borrow::Cow, io, time::Duration};

use serde::{
    Serialize,
    ser::{SerializeMap as _, Serializer as _},
};
use serde_json::ser::Formatter;

use crate::{
    clock,
    escape::is_printable,
    line::{AuthLine, AuthStatus, ClientField, Decision, RequestLine, StandardLine},
    logs::Level,
};

/// A line that has a JSON form.
pub(crate) trait JsonLine {
    /// Writes all members.
    fn members(&self, object: &mut Members<'_>);
}

/// Appends the object, without a newline.
pub(crate) fn push(out: &mut Vec<u8>, line: &impl JsonLine) {
    let start = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Printable);
    // Neither writing to a vector nor a member of a plain type can fail. If one did, half a line is worse than none.
    let written = serializer.serialize_map(None).and_then(|map| {
        let mut members = Members { map, failed: None };
        line.members(&mut members);
        match members.failed {
            None => members.map.end(),
            Some(error) => Err(error),
        }
    });
    if written.is_err() {
        out.truncate(start);
    }
}

type Map<'a> = serde_json::ser::Compound<'a, &'a mut Vec<u8>, Printable>;

/// An object being written.
pub(crate) struct Members<'a> {
    map: Map<'a>,
    failed: Option<serde_json::Error>,
}

impl Members<'_> {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        if let Err(error) = self.map.serialize_entry(name, value) {
            self.failed = Some(error);
        }
    }

    fn put_text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.put(name, text);
        }
    }

    /// Bytes that are no text are replaced by U+FFFD.
    fn put_bytes(&mut self, name: &str, bytes: &[u8]) {
        self.put_text(name, &String::from_utf8_lossy(bytes));
    }

    fn head(&mut self, at: doorward_core::Timestamp, stream: &str, level: Level, message: &str) {
        self.put("time", &clock::rfc3339(at));
        self.put("stream", stream);
        self.put("level", level.word());
        self.put("message", message);
    }

    fn put_decision(&mut self, decision: Option<&Decision<'_>>) {
        let Some(Decision { outcome, reason, rule, message: _, detail, mend }) = decision else { return };
        self.put_text("outcome", outcome);
        self.put_text("reason", reason);
        self.put_text("rule", rule);
        self.put_text("detail", detail);
        self.put_text("mend", mend);
    }
}

impl JsonLine for StandardLine<'_> {
    fn members(&self, object: &mut Members<'_>) {
        object.head(self.at, "standard", self.level, self.message);
        object.put("file", self.file_line);
        for (name, value) in self.fields {
            object.put(name, value);
        }
    }
}

impl JsonLine for AuthLine<'_> {
    fn members(&self, object: &mut Members<'_>) {
        let level = match self.status {
            AuthStatus::Success => Level::Info,
            AuthStatus::Failure => Level::Warn,
            AuthStatus::Error => Level::Error,
        };
        object.head(self.at, "auth", level, self.message);
        object.put("auth_status", self.status.word());
        object.put_decision(self.decision.as_ref());
        object.put_text("client", &client(self.client));
        object.put_bytes("request_id", self.request_id);
        object.put_text("user", self.username);
        object.put_bytes("host", self.host);
        object.put("method", self.method.as_str());
        object.put("protocol", &format!("{:?}", self.protocol));
        object.put_bytes("user_agent", self.user_agent);
    }
}

impl JsonLine for RequestLine<'_> {
    fn members(&self, object: &mut Members<'_>) {
        let message = self.decision.map_or("", |decision| decision.message);
        let message = if message.is_empty() { "Request answered." } else { message };
        object.head(self.started, "request", Level::Info, message);
        object.put_decision(self.decision.as_ref());
        object.put_text("client", &client(self.client));
        object.put_bytes("request_id", self.request_id);
        object.put_text("user", self.username);
        object.put_bytes("host", self.host);
        object.put("method", self.method.as_str());
        object.put_text("upstream", self.upstream);
        object.put("uri", self.uri);
        object.put("protocol", &format!("{:?}", self.protocol));
        object.put_bytes("user_agent", self.user_agent);
        object.put("status", &self.status);
        object.put("size", &self.size);
        object.put("duration", &microseconds(self.duration));
    }
}

fn client(client: ClientField) -> Cow<'static, str> {
    match client {
        ClientField::UnixPeer => "@".into(),
        shown => shown.to_string().into(),
    }
}

/// Seconds, cut to microseconds: more digits mean nothing.
fn microseconds(duration: Duration) -> f64 {
    Duration::new(duration.as_secs(), duration.subsec_micros() * 1000).as_secs_f64()
}

/// Compact JSON in which everything that is not printable is escaped, also beyond what JSON asks for (RFC 8259
/// section 7): some programs break lines at U+0085 and U+2028, and terminals obey U+009B.
struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some((position, char)) = rest.char_indices().find(|(_, char)| !is_printable(*char)) {
            let (plain, from) = rest.split_at(position);
            out.write_all(plain.as_bytes())?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = from.split_at(char.len_utf8()).1;
        }
        out.write_all(rest.as_bytes())
    }
}
