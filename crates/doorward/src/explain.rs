//! `doorward explain`: how the configuration decides about a request that nobody sends. The decision is that of the
//! server ([`doorward_server::rehearsal`]). Neither store nor identity provider is asked, so that it can run beside the
//! server; policies are.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::SystemTime,
};

use doorward_core::{Timestamp, request::Scheme};
use doorward_net::{Body, Peer, WorkerId};
use doorward_options::Loaded;
use doorward_server::{
    ingress::{Connection, Duty},
    rehearsal::{End, Line, Rehearsal, Sender, Told, rehearse},
};
use http::{HeaderName, HeaderValue, Method, Request, header::HOST};
use serde_json::Value;

use crate::{
    assemble::{self, Purpose},
    files::Files,
    manage::Words,
    reload,
    run::{Failure, runtime},
};

const FLAGS: [&str; 12] = [
    "--url",
    "--as",
    "--method",
    "--header",
    "--body",
    "--client-ip",
    "--group",
    "--scope",
    "--email",
    "--claim",
    "--client",
    "--authenticator",
];

const USAGE: &str = "\
doorward explain --url=URL [--as=USER [--group=GROUP]... [--scope=SCOPE]... [--email=ADDRESS] [--claim=NAME=VALUE]...
                 [--client=ID] [--authenticator=NAME]] [--method=METHOD] [--header='NAME: VALUE']... [--body=TEXT]
                 [--client-ip=ADDRESS]
It takes --doorward-config=FILE, --config=FILE and all other options but --scope too. Values of claims are JSON, or text.
It ends with 0 if the request may pass, and with 3 if it may not.";

/// An address of nobody (RFC 5737), for who names none.
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// What the program ends with if a request may not pass.
const TURNED_AWAY: u8 = 3;

/// Runs the command; `args` are what follows its name.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode, Failure> {
    let words: Option<Vec<String>> = args.iter().map(|word| word.to_str().map(ToOwned::to_owned)).collect();
    let mut words = Words::split(words.ok_or_else(usage)?, &FLAGS);
    if !words.positional.is_empty() {
        return Err(usage());
    }
    let rehearsal = rehearsal(&mut words)?;
    let files = Files::default();
    let mut configuration = match reload::read(&words.others, &files) {
        Ok(Loaded::Configuration(configuration, _)) => configuration,
        Ok(Loaded::Help(_) | Loaded::Version) => return Err(usage()),
        Err(error) => return Err(Failure::Command(error.to_string())),
    };
    // Nothing is logged: that would make a file, and perhaps one that the service may not write.
    configuration.options.logging_filename.clear();
    let checked = assemble::check(&configuration, Purpose::Operator, &files, None);
    let checked = checked.map_err(Failure::Invalid)?.rehearsed();
    let told = runtime()?.block_on(async {
        let assembled = Box::pin(assemble::connect(checked, &configuration, None)).await;
        let gate = assembled.map_err(Failure::Invalid)?.gate;
        Ok::<_, Failure>(Box::pin(rehearse(&gate, rehearsal)).await)
    })?;
    let _ = io::stdout().write_all(text(&told).as_bytes());
    Ok(match told.end {
        End::Passes | End::Ours => ExitCode::SUCCESS,
        End::TurnedAway => ExitCode::from(TURNED_AWAY),
    })
}

fn usage() -> Failure {
    Failure::Command(format!("write\n{USAGE}"))
}

fn wrong(flag: &str, value: &str, why: &str) -> Failure {
    Failure::Command(format!("{flag}={value:?}: {why}"))
}

/// The request that is meant, and who sends it.
fn rehearsal(words: &mut Words) -> Result<Rehearsal, Failure> {
    let url = words.last("--url").ok_or_else(usage)?;
    let (scheme, host, target) =
        split(&url).ok_or_else(|| wrong("--url", &url, "write a whole URL, with http:// or https://"))?;
    let method = words.last("--method").unwrap_or_else(|| "GET".to_owned());
    let method: Method = method.parse().map_err(|_| wrong("--method", &method, "this is no method"))?;
    let body = words.last("--body").map_or_else(Body::default, Body::from);
    let request = Request::builder().method(method).uri(target).header(HOST, host).body(body);
    let mut request = request.map_err(|error| wrong("--url", &url, &error.to_string()))?;
    for line in words.all("--header") {
        let (name, value) = header(&line).ok_or_else(|| wrong("--header", &line, "write NAME: VALUE"))?;
        request.headers_mut().append(name, value);
    }
    let client = match words.last("--client-ip") {
        None => SOMEWHERE,
        Some(text) => text.parse().map_err(|_| wrong("--client-ip", &text, "write an IP address"))?,
    };
    let connection = Connection {
        peer: Peer::Ip(SocketAddr::new(client, 0)),
        scheme,
        worker: WorkerId(0),
        certificates: None,
        duty: Duty::Carry,
    };
    Ok(Rehearsal { request, connection, sender: sender(words)?, now: Timestamp::from(SystemTime::now()) })
}

/// Scheme, host and target of a URL, each exactly as it is written.
fn split(url: &str) -> Option<(Scheme, &str, &str)> {
    let (scheme, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (Scheme::Https, rest),
        (_, Some(rest)) => (Scheme::Http, rest),
        _ => return None,
    };
    let (host, target) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
    (!host.is_empty()).then_some((scheme, host, if target.is_empty() { "/" } else { target }))
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn sender(words: &mut Words) -> Result<Option<Sender>, Failure> {
    let name = words.last("--as");
    let mut sender = Sender {
        email: words.last("--email").unwrap_or_default(),
        groups: words.all("--group"),
        client_id: words.last("--client").unwrap_or_default(),
        authenticator: words.last("--authenticator").unwrap_or_default(),
        ..Sender::default()
    };
    for scopes in words.all("--scope") {
        sender.scopes.extend(scopes.split_whitespace().map(ToOwned::to_owned));
    }
    for claim in words.all("--claim") {
        let (name, value) =
            claim.split_once('=').ok_or_else(|| wrong("--claim", &claim, "write NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        sender.claims.insert(name.to_owned(), value);
    }
    match name {
        Some(name) if !name.is_empty() => Ok(Some(Sender { name, ..sender })),
        _ if sender != Sender::default() => {
            Err(Failure::Command("name somebody by --as=USER too".to_owned()))
        }
        _ => Ok(None),
    }
}

/// A line for each step, what it is about in a column of its own. What others said ends in a terminal.
fn text(told: &Told) -> String {
    let mut text = String::new();
    for Line { subject, depth, text: words } in &told.lines {
        let _ = write!(text, "{subject:<12}{:indent$}", "", indent = depth * 2);
        for letter in words.chars() {
            if letter.is_control() {
                text.extend(letter.escape_default());
            } else {
                text.push(letter);
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_as_it_is_written() {
        for (url, expected) in [
            ("https://a.test/x?y=1", Some((Scheme::Https, "a.test", "/x?y=1"))),
            ("http://a.test:8080", Some((Scheme::Http, "a.test:8080", "/"))),
            ("https://a.test//x/%2e%2e/y", Some((Scheme::Https, "a.test", "//x/%2e%2e/y"))),
            ("https://[::1]:443/x", Some((Scheme::Https, "[::1]:443", "/x"))),
            ("/x", None),
            ("https:///x", None),
            ("ftp://a.test/", None),
        ] {
            assert_eq!(split(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_told_is_one_line_a_step() {
        let line = |subject, depth, text: &str| Line { subject, depth, text: text.to_owned() };
        let lines = vec![line("route", 0, "a: \"yes\"\u{1b}[2J"), line("authorize", 1, "x\ny")];
        let told = Told { lines, end: End::Passes };
        assert_eq!(text(&told), "route       a: \"yes\"\\u{1b}[2J\nauthorize     x\\ny\n");
    }
}
