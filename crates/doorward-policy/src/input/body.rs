//! A request's body as policies see it. What its type names but it is not, and whatever two readers could read in two
//! ways, leaves nothing to decide about.

use std::{
    fmt,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::lists;
use crate::PolicyFault;

/// More parts are an attack.
const MOST_PARTS: usize = 1000;

/// JSON as it is; forms and the text fields of multipart forms as lists by name; null for all other types.
pub(super) fn parsed(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, PolicyFault> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = match (types.next().map(|value| value.to_str()), types.next()) {
        (None, _) => return Ok(Value::Null),
        (Some(Ok(content_type)), None) => content_type,
        _ => return fault("its type cannot be read"),
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = match essence.as_str() {
        "application/json" => Kind::Json,
        "application/x-www-form-urlencoded" => Kind::Form,
        "multipart/form-data" => Kind::Multipart,
        essence if essence.starts_with("application/") && essence.ends_with("+json") => Kind::Json,
        _ => return Ok(Value::Null),
    };
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if !is_utf8(content_type) {
        return fault("it is in another character set than UTF-8");
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
        return fault("it is compressed");
    }
    match kind {
        Kind::Json => match serde_json::from_slice(bytes) {
            Ok(Unambiguous(value)) => Ok(value),
            Err(_) => fault("it is not the JSON that it says it is, or names a key twice"),
        },
        Kind::Form => Ok(lists(form_urlencoded::parse(bytes))),
        Kind::Multipart => multipart(content_type, bytes),
    }
}

enum Kind {
    Json,
    Form,
    Multipart,
}

/// Whether nothing says that the text is in another character set, in which it would read otherwise.
fn is_utf8(content_type: &str) -> bool {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    parameters
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'))
        .all(|value| ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known)))
}

fn fault<T>(why: &str) -> Result<T, PolicyFault> {
    Err(PolicyFault::Evaluation(format!("the request's body cannot be read: {why}")))
}

fn multipart(content_type: &str, bytes: &[u8]) -> Result<Value, PolicyFault> {
    let Ok(boundary) = multer::parse_boundary(content_type) else {
        return fault("its type names no boundary");
    };
    // All bytes are here, so that nothing is ever waited for.
    let mut reading = pin!(text_fields(boundary, Bytes::copy_from_slice(bytes)));
    match reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(fields)) => Ok(lists(fields.into_iter())),
        Poll::Ready(Err(_)) | Poll::Pending => fault("it is not the multipart form that it says it is"),
    }
}

/// The fields without a file name. One that is not UTF-8 is no text.
async fn text_fields(boundary: String, bytes: Bytes) -> Result<Vec<(String, String)>, Unreadable> {
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    let mut parts = 0;
    while let Some(field) = form.next_field().await? {
        parts += 1;
        if parts > MOST_PARTS {
            return Err(Unreadable);
        }
        let (Some(name), None) = (field.name().map(str::to_owned), field.file_name()) else { continue };
        let text = String::from_utf8(field.bytes().await?.into()).map_err(|_| Unreadable)?;
        fields.push((name, text));
    }
    Ok(fields)
}

struct Unreadable;

impl From<multer::Error> for Unreadable {
    fn from(_: multer::Error) -> Self {
        Self
    }
}

/// JSON without objects that name a key twice, of which every reader takes another value.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(object.into())
    }
}
