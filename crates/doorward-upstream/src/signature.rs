//! Request signing: `GAP-Signature`, an HMAC over chosen headers, path and body (`upstreams.md`, "Request signing").
//! What is signed is what is sent: signing is the last step before sending. Proven by the vector `gap-signature`.

use std::fmt;

use aws_lc_rs::hmac;
use bytes::{BufMut, Bytes, BytesMut};
use doorward_net::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::error::ForwardError;

pub(crate) const GAP_AUTH: HeaderName = HeaderName::from_static("gap-auth");
pub(crate) const GAP_SIGNATURE: HeaderName = HeaderName::from_static("gap-signature");

/// A body has to be in memory to be signed. Larger ones are refused.
pub(crate) const SIGNED_BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The headers under the signature, in their order.
const SIGNED_HEADERS: [HeaderName; 11] = [
    header::CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    header::CONTENT_TYPE,
    header::DATE,
    header::AUTHORIZATION,
    HeaderName::from_static("x-forwarded-user"),
    HeaderName::from_static("x-forwarded-email"),
    // Not the name of the header that carries the preferred name, but the one that has always been signed.
    HeaderName::from_static("x-forwarded-preferred-user"),
    HeaderName::from_static("x-forwarded-access-token"),
    header::COOKIE,
    GAP_AUTH,
];

/// Signs requests with a key that the application shares.
pub struct Signer {
    key: hmac::Key,
    /// As it stands before the signature.
    algorithm: &'static str,
}

/// Why a text is no signature key. The text itself is secret and not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSignatureKey {
    #[error("the signature key is not of the form algorithm:key")]
    Form,
    #[error(
        "the signature key has an unsupported hash algorithm; known are sha1, sha224, sha256, sha384, sha512"
    )]
    Algorithm,
}

impl Signer {
    /// Reads `algorithm:key`.
    pub fn parse(text: &str) -> Result<Self, InvalidSignatureKey> {
        let (algorithm, key) = text.split_once(':').ok_or(InvalidSignatureKey::Form)?;
        if key.is_empty() || key.contains(':') {
            return Err(InvalidSignatureKey::Form);
        }
        let (algorithm, hash) = match algorithm {
            "sha1" => ("sha1 ", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            "sha224" => ("sha224 ", hmac::HMAC_SHA224),
            "sha256" => ("sha256 ", hmac::HMAC_SHA256),
            "sha384" => ("sha384 ", hmac::HMAC_SHA384),
            "sha512" => ("sha512 ", hmac::HMAC_SHA512),
            _ => return Err(InvalidSignatureKey::Algorithm),
        };
        Ok(Self { key: hmac::Key::new(hash, key.as_bytes()), algorithm })
    }

    /// Sets `GAP-Auth` and `GAP-Signature`. The whole body is read first.
    pub(crate) async fn sign(&self, request: Request<Body>, user: &str) -> Result<Request<Body>, SignError> {
        let (mut parts, body) = request.into_parts();
        let body = collect(body).await?;
        let headers = &mut parts.headers;
        // The application sees the length as it is signed, also where the client sent pieces of unknown number.
        headers.remove(header::TRANSFER_ENCODING);
        // What is not under the signature is not sent.
        headers.remove(header::TRAILER);
        if !body.is_empty() {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let user = HeaderValue::from_str(user).unwrap_or(HeaderValue::from_static(""));
        headers.insert(GAP_AUTH, user);
        let signature = self.signature(&parts.method, &parts.uri, headers, &body);
        headers.insert(GAP_SIGNATURE, signature);
        Ok(Request::from_parts(parts, Body::from(body)))
    }

    fn signature(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> HeaderValue {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&string_to_sign(method, uri, headers));
        context.update(body);
        let encoded = base64_simd::STANDARD.encode_to_string(context.sign().as_ref());
        let mut value = BytesMut::with_capacity(self.algorithm.len() + encoded.len());
        value.put_slice(self.algorithm.as_bytes());
        value.put_slice(encoded.as_bytes());
        // Base64 has only characters that a header may have.
        HeaderValue::from_maybe_shared(value.freeze()).unwrap_or(HeaderValue::from_static(""))
    }
}

fn string_to_sign(method: &Method, uri: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    text.extend_from_slice(method.as_str().as_bytes());
    text.push(b'\n');
    for name in SIGNED_HEADERS {
        for (index, value) in headers.get_all(name).iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(value.as_bytes());
        }
        text.push(b'\n');
    }
    text.extend(percent_decode_str(uri.path()));
    // An empty query has no question mark here, although the request has.
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        text.push(b'?');
        text.extend_from_slice(query.as_bytes());
    }
    text.push(b'\n');
    text
}

/// Why a request was not signed.
#[derive(Debug)]
pub(crate) enum SignError {
    TooLarge,
    Body(ForwardError),
}

async fn collect(body: Body) -> Result<Bytes, SignError> {
    let mut limited = Limited::new(body, SIGNED_BODY_LIMIT);
    // Copied into one piece: the pieces of a client that sends single bytes would take many times their length.
    let mut collected = BytesMut::new();
    while let Some(frame) = limited.frame().await {
        match frame {
            Ok(frame) => collected.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            Err(error) if error.is::<LengthLimitError>() => return Err(SignError::TooLarge),
            Err(error) => return Err(SignError::Body(ForwardError::UnsignedBody(error.to_string()))),
        }
    }
    Ok(collected.freeze())
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vector() -> Value {
        serde_json::from_str(include_str!("../tests/gap-signature.json")).unwrap()
    }

    fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
        vector[field].as_str().unwrap()
    }

    #[test]
    fn the_reference_vector_is_met() {
        let vector = vector();
        let mut headers = HeaderMap::new();
        for (name, values) in vector["headers"].as_object().unwrap() {
            for value in values.as_array().unwrap() {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, value.as_str().unwrap().parse().unwrap());
            }
        }
        let method: Method = text(&vector, "method").parse().unwrap();
        let uri: Uri = format!("{}?{}", text(&vector, "path"), text(&vector, "query")).parse().unwrap();
        let signed = string_to_sign(&method, &uri, &headers);
        assert_eq!(String::from_utf8(signed).unwrap(), text(&vector, "string_to_sign"));
        let key = format!("{}:{}", text(&vector, "algorithm"), text(&vector, "key"));
        let body = Bytes::from(text(&vector, "body").to_owned());
        let signature = Signer::parse(&key).unwrap().signature(&method, &uri, &headers, &body);
        assert_eq!(signature, text(&vector, "signature"));
    }

    #[tokio::test]
    async fn a_whole_request_is_signed_as_it_is_sent() {
        let request = Request::post("/sig/path?q=1")
            .header("content-type", "text/plain")
            .header("date", "Sat, 01 Jan 2000 00:00:00 GMT")
            .header("content-md5", "abc")
            .header("gap-auth", "x")
            .header("gap-signature", "sha1 evil")
            .header("transfer-encoding", "chunked")
            .body(Body::from("signed body"))
            .unwrap();
        let signed = Signer::parse("sha256:topsecret").unwrap().sign(request, "").await.unwrap();
        let header = |name: &str| signed.headers().get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(header("gap-signature"), ["sha256 SgPBT5OI6EvkzD0ThZn7AI/7/+Xh5nFWaZIY0B4XHbE="]);
        assert_eq!(header("gap-auth"), [""]);
        assert_eq!(header("content-length"), ["11"]);
        assert!(header("transfer-encoding").is_empty());
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let request = Request::post("/").body(Body::from(vec![0; SIGNED_BODY_LIMIT + 1])).unwrap();
        let signed = Signer::parse("sha1:k").unwrap().sign(request, "").await;
        assert!(matches!(signed, Err(SignError::TooLarge)));
    }

    #[test]
    fn a_signature_key_has_two_parts_and_a_known_hash() {
        for algorithm in ["sha1", "sha224", "sha256", "sha384", "sha512"] {
            assert!(Signer::parse(&format!("{algorithm}:k")).is_ok(), "{algorithm}");
        }
        for (text, expected) in [
            ("sha256", InvalidSignatureKey::Form),
            ("sha256:", InvalidSignatureKey::Form),
            ("sha256:a:b", InvalidSignatureKey::Form),
            ("rot13:x", InvalidSignatureKey::Algorithm),
            ("md5:x", InvalidSignatureKey::Algorithm),
        ] {
            assert_eq!(Signer::parse(text).map(|_| ()), Err(expected), "{text}");
        }
    }
}
