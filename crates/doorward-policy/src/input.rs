//! The input document (norm B5.2): what the Envoy plugin of Open Policy Agent hands to policies, with identity and route
//! besides. It describes the very request that is forwarded.

mod body;

use std::borrow::Cow;

use doorward_core::Principal;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::{
    PolicyFault,
    question::{Body, Expose, Facts},
};

/// Subprotocols with this prefix are bearer tokens (Kubernetes).
const TOKEN_SUBPROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";
const CREDENTIALS: [HeaderName; 3] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE];

/// Fails if something that policies may decide by cannot be read.
pub(crate) fn document(facts: &Facts<'_>) -> Result<Value, PolicyFault> {
    let (path, query) = split(facts.path_and_query);
    let query = shown_query(query, facts.expose);
    let path_and_query = match &query {
        Cow::Borrowed(_) => Cow::Borrowed(facts.path_and_query),
        Cow::Owned(query) if query.is_empty() => path.into(),
        Cow::Owned(query) => format!("{path}?{query}").into(),
    };
    Ok(json!({
        "version": {"ext_authz": "v3", "encoding": "protojson"},
        "attributes": {"source": source(facts), "request": request(facts, &path_and_query)},
        "parsed_path": parsed_path(path)?,
        "parsed_query": lists(form_urlencoded::parse(query.as_bytes())),
        "parsed_body": match facts.body {
            Body::Whole(bytes) => body::parsed(facts.headers, bytes)?,
            Body::NotRead | Body::Truncated => Value::Null,
        },
        "truncated_body": facts.body == Body::Truncated,
        "identity": identity(facts.who),
        "route": {"id": facts.route, "params": facts.params},
    }))
}

/// The path of a path with a query, read as policies see it: decoded, without the slash at its beginning.
pub(crate) fn parsed_path(path: &str) -> Result<Vec<String>, PolicyFault> {
    let decoded = |part| percent_decode_str(part).decode_utf8().map(Cow::into_owned);
    let path = path.strip_prefix('/').unwrap_or(path);
    let parts: Result<_, _> = path.split('/').map(decoded).collect();
    parts.map_err(|_| PolicyFault::Evaluation("the path is not UTF-8".to_owned()))
}

/// Path and query; the latter is empty if there is none.
pub(crate) fn split(path_and_query: &str) -> (&str, &str) {
    path_and_query.split_once('?').unwrap_or((path_and_query, ""))
}

/// The query without the parameters that nobody may see; borrowed if there are none of them.
fn shown_query<'a>(query: &'a str, expose: Expose<'_>) -> Cow<'a, str> {
    let Expose::Nothing { parameters, .. } = expose else { return query.into() };
    let shown = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes())
            .all(|(name, _)| parameters.iter().all(|hidden| *hidden != name))
    };
    if query.split('&').all(|pair| shown(&pair)) {
        return query.into();
    }
    query.split('&').filter(shown).collect::<Vec<_>>().join("&").into()
}

fn source(facts: &Facts<'_>) -> Value {
    let mut source = Map::new();
    if let Some(peer) = facts.peer {
        let address = json!({"address": peer.ip().to_canonical().to_string(), "portValue": peer.port()});
        source.insert("address".to_owned(), json!({"socketAddress": address}));
    }
    if let Some(principal) = facts.peer_principal {
        source.insert("principal".to_owned(), principal.into());
    }
    Value::Object(source)
}

fn request(facts: &Facts<'_>, path_and_query: &str) -> Value {
    let mut http = json!({
        "id": facts.request_id,
        "method": facts.method.as_str(),
        "path": path_and_query,
        "host": facts.host,
        "scheme": facts.scheme,
        "protocol": protocol(facts.protocol),
        "headers": headers(facts.headers, facts.expose),
        "size": size(facts),
    });
    if let (Body::Whole(bytes), Some(http)) = (facts.body, http.as_object_mut())
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        http.insert("body".to_owned(), text.into());
    }
    json!({"time": {"seconds": facts.time.seconds, "nanos": facts.time.nanos}, "http": http})
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// The body's length as the request states it; -1 if it has one and does not say how long it is.
fn size(facts: &Facts<'_>) -> i64 {
    if let Body::Whole(bytes) = facts.body {
        return i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    }
    let stated =
        facts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let unknown = facts.body == Body::Truncated || facts.headers.contains_key(header::TRANSFER_ENCODING);
    stated.unwrap_or(if unknown { -1 } else { 0 })
}

/// By name in lower case. Fields of one name are joined with commas, bytes that are not UTF-8 replaced.
fn headers(headers: &HeaderMap, expose: Expose<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        if hidden(name, expose) {
            continue;
        }
        let values = headers.get_all(name).iter().map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
        let mut joined = values.collect::<Vec<_>>().join(",");
        if name == header::SEC_WEBSOCKET_PROTOCOL && expose != Expose::Credentials {
            let Some(harmless) = without_tokens(&joined) else { continue };
            joined = harmless;
        }
        shown.insert(name.as_str().to_owned(), joined.into());
    }
    shown
}

fn hidden(name: &HeaderName, expose: Expose<'_>) -> bool {
    match expose {
        Expose::Credentials => false,
        Expose::Nothing { headers, .. } => CREDENTIALS.contains(name) || headers.contains(name),
    }
}

fn without_tokens(subprotocols: &str) -> Option<String> {
    let kept = subprotocols.split(',').map(str::trim).filter(|item| !item.starts_with(TOKEN_SUBPROTOCOL));
    Some(kept.collect::<Vec<_>>().join(",")).filter(|kept| !kept.is_empty())
}

fn identity(who: &Principal) -> Value {
    json!({
        "authenticated": !who.is_anonymous(),
        "user": who.user.name,
        "uid": who.user.uid,
        "groups": who.user.groups,
        "email": who.email,
        "scopes": who.scopes,
        "client_id": who.client_id,
        "authenticator": &*who.authenticator,
        "claims": who.claims,
        "actor": who.actor,
    })
}

/// Values by name, in their order.
fn lists<N: AsRef<str>, V: Into<String>>(pairs: impl Iterator<Item = (N, V)>) -> Value {
    let mut lists = Map::new();
    for (name, value) in pairs {
        let list = lists.entry(name.as_ref()).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(Value::String(value.into()));
        }
    }
    Value::Object(lists)
}

#[cfg(test)]
mod tests;
