//! A bearer token as a subprotocol of a `WebSocket`: scripts of browsers can set no other header
//! (`base64url.bearer.authorization.k8s.io.<token>`, as Kubernetes reads it). Pure.

use doorward_core::SecretString;
use http::{
    HeaderMap, HeaderValue,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};

pub(crate) const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// What the offered subprotocols hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// No token, or no `WebSocket` is asked for.
    Nothing,
    Token(SecretString),
    Malformed(InvalidOffer),
}

/// Why an offer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOffer {
    #[error("there are several tokens among the subprotocols")]
    Several,
    #[error("the token among the subprotocols is not base64url without padding")]
    Encoding,
    #[error("the token among the subprotocols is not text")]
    NotText,
    /// Browsers end a connection whose answer names none of the offered subprotocols, and the token is never named.
    #[error("no subprotocol is offered beside the token")]
    Alone,
}

/// Looks for a token.
pub fn read(headers: &HeaderMap) -> Offered {
    if !has_item(headers, &UPGRADE, "websocket") || !has_item(headers, &CONNECTION, "upgrade") {
        return Offered::Nothing;
    }
    let (tokens, others): (Vec<&str>, Vec<&str>) = items(headers).partition(|item| item.starts_with(PREFIX));
    let encoded = match tokens.as_slice() {
        [] => return Offered::Nothing,
        [token] => token.strip_prefix(PREFIX).unwrap_or_default(),
        _ => return Offered::Malformed(InvalidOffer::Several),
    };
    if encoded.is_empty() {
        return Offered::Nothing;
    }
    let Ok(token) = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(encoded) else {
        return Offered::Malformed(InvalidOffer::Encoding);
    };
    match String::from_utf8(token) {
        Err(_) => Offered::Malformed(InvalidOffer::NotText),
        Ok(_) if others.is_empty() => Offered::Malformed(InvalidOffer::Alone),
        Ok(token) => Offered::Token(token.into()),
    }
}

/// Takes tokens out of the offered, or of the accepted, subprotocols, whether or not they are any good.
pub fn strip(headers: &mut HeaderMap) {
    let holds_token =
        |value: &HeaderValue| value.as_bytes().windows(PREFIX.len()).any(|part| part == PREFIX.as_bytes());
    if !headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(holds_token) {
        return;
    }
    let others: Vec<&str> = items(headers).filter(|item| !item.contains(PREFIX)).collect();
    match HeaderValue::try_from(others.join(", ")) {
        Ok(value) if !value.is_empty() => headers.insert(SEC_WEBSOCKET_PROTOCOL, value),
        _ => headers.remove(SEC_WEBSOCKET_PROTOCOL),
    };
}

/// All items of all lines. A line that is not text has none.
fn items(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

fn has_item(headers: &HeaderMap, name: &http::HeaderName, wanted: &str) -> bool {
    let mut lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.any(|line| line.split(',').any(|item| item.trim().eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(upgrade: &str, protocols: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_str(upgrade).unwrap());
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        for line in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn item(token: &[u8]) -> String {
        format!("{PREFIX}{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(token))
    }

    #[test]
    fn a10_a11_a12_a_token_is_one_strict_item_beside_another_protocol() {
        use InvalidOffer::{Alone, Encoding, NotText, Several};
        let good = item(b"sha256~p9");
        let found = || Offered::Token("sha256~p9".into());
        let refused = Offered::Malformed;
        for (upgrade, lines, expected) in [
            ("websocket", vec![format!("{good}, chat")], found()),
            ("WebSocket", vec!["chat".into(), good.clone()], found()),
            ("websocket", vec![format!("chat,{good},v2")], found()),
            ("h2c", vec![format!("{good}, chat")], Offered::Nothing),
            ("websocket", vec!["chat".into()], Offered::Nothing),
            ("websocket", vec![], Offered::Nothing),
            ("websocket", vec![format!("{PREFIX}, chat")], Offered::Nothing),
            ("websocket", vec![PREFIX.into()], Offered::Nothing),
            ("websocket", vec![good.clone()], refused(Alone)),
            ("websocket", vec![format!("{good}, ,")], refused(Alone)),
            ("websocket", vec![format!("{good}, {good}, chat")], refused(Several)),
            ("websocket", vec![good.clone(), item(b"x"), "chat".into()], refused(Several)),
            ("websocket", vec![format!("{PREFIX}YQ==, chat")], refused(Encoding)),
            ("websocket", vec![format!("{PREFIX}YR, chat")], refused(Encoding)),
            ("websocket", vec![format!("{PREFIX}a+/a, chat")], refused(Encoding)),
            ("websocket", vec![format!("{PREFIX}a.b, chat")], refused(Encoding)),
            ("websocket", vec![format!("{}, chat", item(b"\xff"))], refused(NotText)),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(read(&headers(upgrade, &lines)), expected, "{upgrade} {lines:?}");
        }
        let mut plain = headers("websocket", &[&format!("{good}, chat")]);
        plain.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        assert_eq!(read(&plain), Offered::Nothing);
    }

    #[test]
    fn nothing_that_looks_like_a_token_is_left() {
        let good = item(b"sha256~p9");
        for (lines, left) in [
            (vec![format!("{good}, chat")], Some("chat")),
            (vec![format!("a, {good}, b,{good}"), "c".into()], Some("a, b, c")),
            (vec![good.clone()], None),
            (vec![format!("{PREFIX}%%%, chat")], Some("chat")),
            (vec![format!("x{good}, chat")], Some("chat")),
            (vec!["a,b".into()], Some("a,b")),
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut headers = headers("websocket", &lines);
            strip(&mut headers);
            assert_eq!(headers.get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap()), left);
        }
        let mut odd = HeaderMap::new();
        let line = [good.as_bytes(), b"\xff, chat"].concat();
        odd.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_bytes(&line).unwrap());
        strip(&mut odd);
        assert!(odd.is_empty());
    }
}
