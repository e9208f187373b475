//! From originals in answers to handles.

use std::{borrow::Cow, io::Read as _, time::Duration};

use bytes::Bytes;
use doorward_accounts::Original;
use doorward_core::{SecretString, Timestamp};
use flate2::read::MultiGzDecoder;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, SET_COOKIE,
        TRANSFER_ENCODING,
    },
    response,
};
use serde_json::{Map, Value};

use super::{Field, Handles, MOST_BODY, SwapFault, SwapFault::Unswappable};
use crate::scrub;

/// Originals of fewer bytes are not looked for in other texts: they may stand there by chance.
const LEAST_TELLING: usize = 16;
/// What was said about a body counts no more when it was changed.
const OF_THE_BODY: [HeaderName; 8] = [
    CONTENT_ENCODING,
    TRANSFER_ENCODING,
    ETAG,
    ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Replaces cookies, and fields of `body` unless that is empty or tells of a failure.
pub(super) async fn swap(
    handles: &Handles,
    head: &mut response::Parts,
    (body, sent): (Bytes, &[SecretString]),
    now: Timestamp,
) -> Result<Bytes, SwapFault> {
    let cookies = cookies(handles, &head.headers)?;
    let mut document = None;
    if head.status.is_success() && !body.is_empty() {
        document = Some(parse(head, &body)?);
    }
    let mut lives: Vec<(String, Duration)> =
        cookies.iter().map(|cookie| (cookie.value.clone(), cookie.life.unwrap_or(handles.life))).collect();
    if let Some(document) = &document {
        for field in &handles.fields {
            collect(field, document, handles.life, &mut lives)?;
        }
    }
    let swaps = if lives.is_empty() { Vec::new() } else { keep(handles, lives, now).await? };
    // First the cookies, so that none is taken for an echo of itself.
    set_cookies(&mut head.headers, &cookies, &swaps)?;
    let originals = swaps.iter().map(|(original, _)| original).chain(sent);
    let telling: Vec<SecretString> =
        originals.filter(|text| LEAST_TELLING <= text.expose().len()).cloned().collect();
    scrub(&mut head.headers, &telling);
    // What was read is written anew also where nothing was replaced, so that no reader finds more in it than we did.
    let Some(document) = &mut document else {
        if !body.is_empty() {
            check_silent(&decoded(&head.headers, &body)?, &telling)?;
        }
        return Ok(body);
    };
    replace(document, &swaps);
    let text = document.to_string();
    check_silent(text.as_bytes(), &telling)?;
    for name in OF_THE_BODY {
        head.headers.remove(name);
    }
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    Ok(text.into())
}

/// Reads the document in a body.
fn parse(head: &response::Parts, body: &[u8]) -> Result<Value, SwapFault> {
    let kind = head.headers.get(CONTENT_TYPE).and_then(media_type).unwrap_or_default();
    if !is_json(&kind) {
        return Err(Unswappable("is no JSON document"));
    }
    if head.status == StatusCode::PARTIAL_CONTENT || head.headers.contains_key(CONTENT_RANGE) {
        return Err(Unswappable("is a part of a document"));
    }
    serde_json::from_slice(&decoded(&head.headers, body)?).map_err(|_| Unswappable("is no JSON document"))
}

/// A body as whoever reads it sees it.
fn decoded<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, SwapFault> {
    let text = match encoding(headers)? {
        Encoding::Identity => Cow::Borrowed(body),
        Encoding::Gzip => Cow::Owned(gunzip(body)?),
    };
    if MOST_BODY < text.len() { Err(Unswappable("is longer than 1 MiB")) } else { Ok(text) }
}

/// Whoever sends a handle where an application repeats it, in an error for instance, would learn what it stands for.
fn check_silent(text: &[u8], originals: &[SecretString]) -> Result<(), SwapFault> {
    let text = String::from_utf8_lossy(text);
    if originals.iter().any(|original| text.contains(original.expose().as_str())) {
        return Err(Unswappable("repeats a token inside another text"));
    }
    Ok(())
}

enum Encoding {
    Identity,
    Gzip,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, SwapFault> {
    let mut lines = headers.get_all(CONTENT_ENCODING).iter();
    let unknown = Unswappable("is compressed in an unknown way");
    match (lines.next(), lines.next()) {
        (None, _) => Ok(Encoding::Identity),
        (Some(one), None) => match one.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "identity" | "" => Ok(Encoding::Identity),
            "gzip" | "x-gzip" => Ok(Encoding::Gzip),
            _ => Err(unknown),
        },
        (Some(_), Some(_)) => Err(unknown),
    }
}

/// Decompresses, up to a little more than counts.
fn gunzip(body: &[u8]) -> Result<Vec<u8>, SwapFault> {
    let mut text = Vec::new();
    let mut reader = MultiGzDecoder::new(body).take(MOST_BODY as u64 + 1);
    reader.read_to_end(&mut text).map_err(|_| Unswappable("is not compressed as it says"))?;
    Ok(text)
}

/// Finds the originals in a field, and for how long they are good.
fn collect(
    field: &Field,
    document: &Value,
    life: Duration,
    found: &mut Vec<(String, Duration)>,
) -> Result<(), SwapFault> {
    let mut parents = Vec::new();
    find(document, &field.parent, &mut parents);
    let mut values: Vec<(&Value, Duration)> = Vec::new();
    if let (Some(value), false) = (document.get(&field.text), field.parent.is_empty()) {
        // The name itself holds the dots.
        values.push((value, life));
    }
    for parent in parents {
        let mut named = Vec::new();
        find(parent, std::slice::from_ref(&field.name), &mut named);
        let life = parent.as_object().and_then(|parent| told_life(parent, &field.name)).unwrap_or(life);
        values.extend(named.into_iter().map(|value| (value, life)));
    }
    for (value, life) in values {
        match value {
            Value::Null => (),
            Value::String(text) if text.is_empty() => (),
            Value::String(text) => found.push((text.clone(), life)),
            _ => return Err(Unswappable("has a field to replace that is no text")),
        }
    }
    Ok(())
}

fn find<'a>(value: &'a Value, names: &[String], found: &mut Vec<&'a Value>) {
    let Some((name, rest)) = names.split_first() else {
        found.push(value);
        return;
    };
    match value {
        Value::Object(members) => members.get(name).into_iter().for_each(|value| find(value, rest, found)),
        Value::Array(items) if name == "*" => items.iter().for_each(|item| find(item, rest, found)),
        Value::Array(items) => {
            if let Some(item) = name.parse().ok().and_then(|index: usize| items.get(index)) {
                find(item, rest, found);
            }
        }
        _ => (),
    }
}

/// What stands beside a field about its life: `expires_in`, for a refresh token as some servers say it.
fn told_life(beside: &Map<String, Value>, name: &str) -> Option<Duration> {
    let names: &[&str] = match name {
        "refresh_token" => &["refresh_expires_in", "refresh_token_expires_in"],
        _ => &["expires_in"],
    };
    let seconds = names.iter().find_map(|name| beside.get(*name)).and_then(Value::as_u64)?;
    (0 < seconds).then(|| Duration::from_secs(seconds))
}

/// Keeps originals, and gives each of them with its handle. One that stands in several places has one handle.
async fn keep(
    handles: &Handles,
    mut lives: Vec<(String, Duration)>,
    now: Timestamp,
) -> Result<Vec<(SecretString, SecretString)>, SwapFault> {
    // Of the same text the longest life comes first, and stays.
    lives.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
    lives.dedup_by(|one, other| one.0 == other.0);
    let originals: Vec<Original> = lives
        .into_iter()
        .map(|(text, life)| Original {
            text: text.into(),
            expires: now.saturating_add(life),
            form: handles.form,
        })
        .collect();
    let realm = handles.realm();
    let made = realm.accounts().keep_behind_handles(realm.name(), &originals, now).await?;
    Ok(originals.into_iter().map(|original| original.text).zip(made).collect())
}

fn handle_of<'a>(swaps: &'a [(SecretString, SecretString)], text: &str) -> Option<&'a SecretString> {
    swaps.iter().find(|(original, _)| original.expose() == text).map(|(_, handle)| handle)
}

/// Replaces originals wherever they are a whole text: some servers say the same token twice.
fn replace(value: &mut Value, swaps: &[(SecretString, SecretString)]) {
    match value {
        Value::String(text) => {
            if let Some(handle) = handle_of(swaps, text) {
                text.clone_from(handle.expose());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, swaps)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, swaps)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// A cookie to replace.
struct Cookie {
    /// Which of the lines.
    line: usize,
    name: String,
    value: String,
    /// With the semicolon before them.
    attributes: String,
    life: Option<Duration>,
}

fn cookies(handles: &Handles, headers: &HeaderMap) -> Result<Vec<Cookie>, SwapFault> {
    let mut found = Vec::new();
    for (line, value) in headers.get_all(SET_COOKIE).iter().enumerate() {
        let (name, rest) = split_once(value.as_bytes(), b'=');
        let name = name.trim_ascii();
        if !handles.cookies.iter().any(|known| known.as_bytes() == name) {
            continue;
        }
        let text = |bytes: &[u8]| {
            let text =
                str::from_utf8(bytes).map_err(|_| Unswappable("has a cookie to replace that is no text"));
            text.map(str::to_owned)
        };
        let (value, attributes) = split_once(rest.unwrap_or_default(), b';');
        let (name, value) = (text(name)?, text(value.trim_ascii())?);
        let attributes = text(attributes.unwrap_or_default())?;
        if value.is_empty() || value == "\"\"" {
            continue;
        }
        found.push(Cookie { line, name, value, life: max_age(&attributes), attributes });
    }
    Ok(found)
}

/// The seconds of `Max-Age` (RFC 6265 section 5.2.2).
fn max_age(attributes: &str) -> Option<Duration> {
    let mut attributes = attributes.split(';').filter_map(|attribute| attribute.split_once('='));
    let (_, seconds) = attributes.find(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn set_cookies(
    headers: &mut HeaderMap,
    cookies: &[Cookie],
    swaps: &[(SecretString, SecretString)],
) -> Result<(), SwapFault> {
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for (number, line) in lines.into_iter().enumerate() {
        let Some(Cookie { name, value, attributes, .. }) =
            cookies.iter().find(|cookie| cookie.line == number)
        else {
            headers.append(SET_COOKIE, line);
            continue;
        };
        let handle = handle_of(swaps, value).ok_or(Unswappable("has a cookie that was lost"))?;
        let separator = if attributes.is_empty() { "" } else { ";" };
        let text = format!("{name}={}{separator}{attributes}", handle.expose());
        let line = HeaderValue::from_str(&text).map_err(|_| Unswappable("has a cookie that is no text"))?;
        headers.append(SET_COOKIE, line);
    }
    Ok(())
}

fn split_once(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = text.splitn(2, |byte| *byte == separator);
    (parts.next().unwrap_or_default(), parts.next())
}

/// The media type without parameters, in lower case.
pub(super) fn media_type(value: &HeaderValue) -> Option<String> {
    let essence = value.to_str().ok()?.split(';').next()?;
    Some(essence.trim().to_ascii_lowercase())
}

/// RFC 6839 section 3.1.
pub(super) fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind.ends_with("+json")
}
