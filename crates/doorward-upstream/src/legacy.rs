//! Upstreams as one URI, the way `--upstream` takes them (`upstreams.md`, "URI forms"). The path of an `http` URI is
//! a routing key only; it is never put before the paths of requests.

use std::path::PathBuf;

use http::{StatusCode, Uri, uri::Authority};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::config::{HttpScheme, Target};

/// Why a text is no upstream URI.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UpstreamUriError {
    #[error("the upstream {uri:?} has an invalid scheme; known are http, https, h2c, unix, file and static")]
    Scheme { uri: String },
    #[error("the upstream {uri:?} has no valid host")]
    Host { uri: String },
    /// The text is not repeated: it holds a password.
    #[error("an upstream must not hold a user name or password")]
    UserInfo,
    #[error("the upstream {uri:?} names no file, folder or socket by an absolute path")]
    Path { uri: String },
    #[error("the upstream {uri:?} has a route that does not begin with a slash")]
    Route { uri: String },
    #[error("the upstream {uri:?} has no status code from 200 to 599")]
    StaticCode { uri: String },
}

/// Reads one upstream URI: the path to route, the upstream's id, and its target.
pub fn parse_legacy_uri(uri: &str) -> Result<(String, String, Target), UpstreamUriError> {
    let whole = || uri.to_owned();
    let (scheme, rest) = uri.split_once(':').ok_or_else(|| UpstreamUriError::Scheme { uri: whole() })?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "http" => parse_http(uri, HttpScheme::Http),
        "https" => parse_http(uri, HttpScheme::Https),
        "h2c" => parse_http(uri, HttpScheme::H2c),
        "unix" => {
            let socket = absolute(uri, rest)?;
            Ok((String::from("/"), socket.clone(), Target::Unix { socket: socket.into() }))
        }
        "file" => parse_file(uri, rest),
        "static" => {
            let status =
                rest.trim_end_matches('/').parse::<u16>().ok().filter(|code| (200..600).contains(code));
            let status = status.and_then(|code| StatusCode::from_u16(code).ok());
            let status = status.ok_or_else(|| UpstreamUriError::StaticCode { uri: whole() })?;
            Ok((String::from("/"), whole(), Target::Static { status }))
        }
        _ => Err(UpstreamUriError::Scheme { uri: whole() }),
    }
}

fn parse_http(text: &str, scheme: HttpScheme) -> Result<(String, String, Target), UpstreamUriError> {
    let no_host = || UpstreamUriError::Host { uri: text.to_owned() };
    let uri: Uri = text.parse().map_err(|_invalid| no_host())?;
    let authority: &Authority = uri.authority().ok_or_else(no_host)?;
    if authority.as_str().contains('@') {
        return Err(UpstreamUriError::UserInfo);
    }
    scheme.host_and_port(authority).ok_or_else(no_host)?;
    let path = match uri.path() {
        "" => String::from("/"),
        path => decoded(path),
    };
    Ok((path.clone(), path, Target::Http { scheme, authority: authority.clone() }))
}

fn parse_file(uri: &str, rest: &str) -> Result<(String, String, Target), UpstreamUriError> {
    let (directory, route) = match rest.split_once('#') {
        Some((directory, route)) if !route.is_empty() => (directory, Some(decoded(route))),
        Some((directory, _)) => (directory, None),
        None => (rest, None),
    };
    let directory = absolute(uri, directory)?;
    let route = route.unwrap_or_else(|| directory.clone());
    if !route.starts_with('/') {
        return Err(UpstreamUriError::Route { uri: uri.to_owned() });
    }
    Ok((route.clone(), route, Target::Files { directory: PathBuf::from(directory) }))
}

fn absolute(uri: &str, path: &str) -> Result<String, UpstreamUriError> {
    let path = decoded(path);
    if !path.starts_with('/') || path.contains('\0') {
        return Err(UpstreamUriError::Path { uri: uri.to_owned() });
    }
    Ok(path)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, path: &str, id: &str, target: &Target) {
        let (found_path, found_id, found_target) = parse_legacy_uri(uri).unwrap();
        assert_eq!((found_path.as_str(), found_id.as_str(), &found_target), (path, id, target), "{uri}");
    }

    fn http(scheme: HttpScheme, authority: &'static str) -> Target {
        Target::Http { scheme, authority: Authority::from_static(authority) }
    }

    fn files(directory: &str) -> Target {
        Target::Files { directory: directory.into() }
    }

    #[test]
    fn every_documented_form_is_read() {
        check("http://127.0.0.1:8080", "/", "/", &http(HttpScheme::Http, "127.0.0.1:8080"));
        check("http://127.0.0.1:8080/", "/", "/", &http(HttpScheme::Http, "127.0.0.1:8080"));
        check("https://app.test/a/b/", "/a/b/", "/a/b/", &http(HttpScheme::Https, "app.test"));
        check("HTTP://app.test/a%20b", "/a b", "/a b", &http(HttpScheme::Http, "app.test"));
        check("h2c://app.test:50051", "/", "/", &http(HttpScheme::H2c, "app.test:50051"));
        check("http://[::1]:81/x", "/x", "/x", &http(HttpScheme::Http, "[::1]:81"));
        check("unix:///run/a.sock", "/", "/run/a.sock", &Target::Unix { socket: "/run/a.sock".into() });
        check("file:///srv/www/", "/srv/www/", "/srv/www/", &files("/srv/www/"));
        check("file:///srv/www/#/static/", "/static/", "/static/", &files("/srv/www/"));
        check("file:///dev/null", "/dev/null", "/dev/null", &files("/dev/null"));
        check("static://202", "/", "static://202", &Target::Static { status: StatusCode::ACCEPTED });
    }

    #[track_caller]
    fn check_refused(uri: &str, part: &str) {
        let error = parse_legacy_uri(uri).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("upstream"), "{uri}: {error}");
    }

    #[test]
    fn other_texts_are_refused_with_their_mistake() {
        check_refused("ftp://x/", "scheme");
        check_refused("127.0.0.1:8080", "scheme");
        check_refused("", "scheme");
        check_refused("http://", "host");
        check_refused("h2c:///path", "host");
        check_refused("http:///path", "host");
        check_refused("http://h:port/", "host");
        check_refused("http://h:99999/", "host");
        check_refused("http://u:p@h/", "user name");
        check_refused("unix://", "absolute path");
        check_refused("unix://relative", "absolute path");
        check_refused("file://", "absolute path");
        check_refused("file:///srv/#static/", "slash");
        check_refused("static://ok", "status code");
        check_refused("static://101", "status code");
        check_refused("static://999", "status code");
    }
}
