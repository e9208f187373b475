//! The reference's own output, read and, where nothing is random, written again byte by byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use doorward_store::{MemoryLimits, Store};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::codec::v7::{envelope, msgpack, session as codec};
use crate::cookie::set_cookie::{Dress, Kind};
use crate::cookie::split;
use crate::tests::config;
use crate::*;

fn vectors(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors.json")).unwrap();
    let found: Vec<Value> = all.into_iter().filter(|vector| vector["kind"] == kind).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} in {}", vector["id"]))
}

fn optional(vector: &Value, name: &str) -> String {
    vector[name].as_str().unwrap_or_default().to_owned()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

fn time(value: &Value) -> Option<Timestamp> {
    let seconds = value["unix"].as_i64()?;
    let nanos = value["nanos"].as_u64().unwrap().try_into().unwrap();
    // The zero time counts as none.
    Some(Timestamp { seconds, nanos }).filter(|at| at.seconds != -62_135_596_800)
}

fn session(value: &Value) -> Session {
    let token = |name| value[name].as_str().map(SecretString::from);
    let groups = value["g"].as_array().into_iter().flatten();
    let claims = value["ac"].as_object().into_iter().flatten();
    Session {
        created_at: time(&value["ca"]),
        expires_on: time(&value["eo"]),
        tokens: Tokens { access: token("at"), id: token("it"), refresh: token("rt") },
        nonce: value["n_hex"].as_str().map(bytes),
        identity: Identity {
            user: optional(value, "u"),
            email: optional(value, "e"),
            groups: groups.map(|group| group.as_str().unwrap().to_owned()).collect(),
            preferred_username: optional(value, "pu"),
            additional: claims.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>(),
        },
        ..Session::default()
    }
}

fn set_cookies(vector: &Value) -> Vec<&str> {
    vector["set_cookie"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

fn name_and_value(line: &str) -> (&str, &str) {
    line.split(';').next().unwrap().split_once('=').unwrap()
}

fn headers(lines: &[&str]) -> HeaderMap {
    let pairs = lines.iter().map(|line| line.split(';').next().unwrap());
    pairs.map(|pair| (COOKIE, HeaderValue::from_str(pair).unwrap())).collect()
}

/// A configuration that dresses cookies as this line is dressed.
fn dressed_like(line: &str) -> CookieConfig {
    let attributes: Vec<&str> = line.split("; ").skip(1).collect();
    let value = |name: &str| attributes.iter().find_map(|text| text.strip_prefix(name));
    let has = |name: &str| attributes.contains(&name);
    CookieConfig {
        path: value("Path=").unwrap_or_default().to_owned(),
        domains: value("Domain=").map(str::to_owned).into_iter().collect(),
        transport: if has("Secure") { CookieTransport::HttpsOnly } else { CookieTransport::Any },
        script_access: if has("HttpOnly") { ScriptAccess::Forbidden } else { ScriptAccess::Allowed },
        same_site: if has("SameSite=Lax") { SameSite::Lax } else { SameSite::Unset },
        expire: Duration::from_secs(value("Max-Age=").map_or(0, |seconds| seconds.parse().unwrap())),
        ..config()
    }
}

fn configured(vector: &Value) -> CookieConfig {
    CookieConfig {
        name: CookieName::try_from(text(vector, "cookie_name")).unwrap(),
        secret: CookieSecret::try_from(text(vector, "cookie_secret").as_bytes()).unwrap(),
        ..dressed_like(set_cookies(vector)[0])
    }
}

fn signed_at(value: &str) -> Timestamp {
    Timestamp::from_seconds(value.split('|').nth(1).unwrap().parse().unwrap())
}

#[test]
fn signed_values_are_the_same_bytes() {
    for vector in vectors("signed_value") {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, text(&vector, "seed").as_bytes());
        let (name, seconds) = (text(&vector, "cookie_name"), vector["unix"].as_i64().unwrap());
        let payload = bytes(text(&vector, "value_hex"));
        let output = text(&vector, "output");
        assert_eq!(envelope::seal(&key, name, &payload, seconds), output);
        let opened = envelope::open(&key, name, output.as_bytes());
        // A time of few digits is right by signature and refused by form.
        assert_eq!(opened.map(|opened| opened.payload).ok(), (seconds > 0).then_some(payload));
    }
}

#[test]
fn secrets_make_the_same_keys() {
    for vector in vectors("secret_bytes") {
        for case in vector["cases"].as_array().unwrap() {
            let secret = text(case, "secret");
            let made = CookieSecret::try_from(secret.as_bytes());
            assert_eq!(made.is_ok(), case["accepted"].as_bool().unwrap(), "{secret:?}");
            let Ok(made) = made else {
                let length = case["len"].as_u64().unwrap().to_string();
                assert!(made.unwrap_err().to_string().contains(&format!("is {length} bytes")), "{secret:?}");
                continue;
            };
            let key = bytes(text(case, "key_hex"));
            let expected = codec_key(&key, b"some text of more than one block");
            assert_eq!(
                made.cipher.encrypt(b"some text of more than one block", [9; 16]),
                expected,
                "{secret:?}"
            );
            assert_eq!(made.is_ambiguous(), matches!(secret.len(), 16 | 24 | 32) && key != secret.as_bytes());
            assert_eq!(format!("{made:?}"), "[secret]");
        }
    }
}

fn codec_key(key: &[u8], plain: &[u8]) -> Vec<u8> {
    crate::codec::v7::cipher::CookieCipher::new(key).unwrap().encrypt(plain, [9; 16])
}

#[test]
fn times_are_the_same_bytes() {
    for vector in vectors("msgpack_time") {
        for case in vector["cases"].as_array().unwrap() {
            let packed = bytes(text(case, "msgpack_hex"));
            let seconds = case["unix"].as_i64().unwrap();
            let at = Timestamp { seconds, nanos: case["nanos"].as_u64().unwrap().try_into().unwrap() };
            let mut writer = msgpack::Writer::with_capacity(0);
            writer.time(at).unwrap();
            assert_eq!(writer.into_bytes(), packed);
            assert_eq!(msgpack::Reader::new(&packed).time(), Ok(time(case)));
        }
    }
}

#[test]
fn sessions_are_the_same_bytes() {
    for vector in vectors("session_msgpack") {
        let packed = bytes(text(&vector, "msgpack_hex"));
        let expected = session(&vector["session"]);
        assert_eq!(codec::decode(&packed).unwrap(), expected, "{}", vector["id"]);
        let created_at = expected.created_at.unwrap();
        let written = codec::encode(&expected, created_at, StoredTokens::All).unwrap();
        if expected.identity.additional.len() <= 1 {
            assert_eq!(written, packed, "{}", vector["id"]);
        }
        assert_eq!(codec::decode(&written).unwrap(), expected);
    }
}

#[tokio::test]
async fn session_cookies_are_read_and_dressed_the_same() {
    for vector in vectors("session_cookie") {
        let (lines, config) = (set_cookies(&vector), configured(&vector));
        let value: String = lines.iter().map(|line| name_and_value(line).1).collect();
        let keeper = Keeper::cookie(&config);
        let headers = headers(&lines);
        let loaded = keeper.load(&RequestCookies::new(&headers), signed_at(&value)).await.unwrap();
        if vector["session"].is_object() {
            assert_eq!(*loaded.session, session(&vector["session"]), "{}", vector["id"]);
        }
        assert_eq!(loaded.session.created_at.unwrap().seconds, signed_at(&value).seconds);
        let dress = Dress::new(&config, Kind { expire: config.expire, same_site: config.same_site });
        let (written, _) = split::lines(&config.name, &value, dress.attributes("example.com")).unwrap();
        assert_eq!(written, lines, "{}", vector["id"]);
    }
}

#[test]
fn login_cookies_are_read_and_dressed_the_same() {
    for vector in vectors("csrf_cookie") {
        let line = set_cookies(&vector)[0];
        let separate = vector["per_request"].as_bool().unwrap();
        let mut config = CookieConfig {
            name: CookieName::try_from(text(&vector, "cookie_name_base")).unwrap(),
            secret: CookieSecret::try_from(text(&vector, "cookie_secret").as_bytes()).unwrap(),
            csrf_per_request: if separate { PerRequest::Separate } else { PerRequest::Shared },
            ..dressed_like(line)
        };
        config.csrf_expire = config.expire;
        let keeper = CsrfKeeper::new(&config);
        let (name, value) = name_and_value(line);
        let headers = headers(&[line]);
        let (hash, now) = (text(&vector, "state_hash"), signed_at(value));
        let (attempt, found) = keeper.find(hash, &RequestCookies::new(&headers), now).unwrap();
        assert_eq!(found.as_str(), name);
        assert_eq!(attempt.state_hash(), hash);
        if let Some(nonce) = vector["oidc_nonce_param"].as_str() {
            assert_eq!(attempt.nonce_hash(), nonce);
        }
        if let Some(verifier) = vector["code_verifier"].as_str() {
            assert_eq!(attempt.verifier.as_ref().map_or("", |verifier| verifier.expose()), verifier);
        }
        if let Some(lines) = vector["clear_cookie"].as_array() {
            assert_eq!(keeper.clear(&found, "example.com"), lines[0].as_str().unwrap());
        }
        if vector["redirect"].is_string() && vector["state_plain"].is_string() {
            for (encoding, member) in
                [(StateEncoding::Plain, "state_plain"), (StateEncoding::Base64, "state_encoded")]
            {
                let state = text(&vector, member);
                let redirect = text(&vector, "redirect");
                assert_eq!(state_parameter(hash, redirect, encoding), state);
                let expected = ReturnedState { hash: hash.to_owned(), redirect: redirect.to_owned() };
                assert_eq!(parse_state(state, encoding), Ok(expected));
            }
        }
        // Written again it differs in its random part only.
        let none = HeaderMap::new();
        let visit = Visit { cookies: &RequestCookies::new(&none), host: "example.com", now };
        let again = keeper.begin(&attempt, &visit).unwrap();
        let again = again[0].to_str().unwrap();
        assert_eq!(again.len(), line.len());
        assert_eq!(again.split_once(';').unwrap().1, line.split_once(';').unwrap().1);
    }
}

#[tokio::test]
async fn tickets_open_what_the_reference_stored() {
    for vector in vectors("ticket") {
        let (line, config) = (set_cookies(&vector)[0], configured(&vector));
        let store = Arc::new(Store::memory(MemoryLimits::default()));
        store.set(text(&vector, "redis_key"), &bytes(text(&vector, "redis_value_hex")), None).await.unwrap();
        let keeper = Keeper::ticket(&config, Arc::clone(&store));
        let headers = headers(&[line]);
        let cookies = RequestCookies::new(&headers);
        let now = signed_at(name_and_value(line).1);
        let loaded = keeper.load(&cookies, now).await.unwrap();
        if vector["session"].is_object() {
            assert_eq!(*loaded.session, session(&vector["session"]));
        }
        assert_eq!(config.expire.as_secs(), vector["redis_ttl_seconds"].as_u64().unwrap());
        // A refresh keeps the ticket: the same cookie, byte by byte.
        let visit = Visit { cookies: &cookies, host: "example.com", now };
        let lock = keeper.lock(&loaded).await.unwrap();
        let updated = keeper.update(&loaded.session, &loaded, &lock, &visit).await.unwrap();
        let Updated::Kept(saved) = updated else { panic!() };
        assert_eq!(saved.set_cookies, [line]);
        assert!(store.get(text(&vector, "lock_key")).await.unwrap().is_some_and(|token| token.len() == 22));
        lock.release().await;
        assert_eq!(store.get(text(&vector, "lock_key")).await.unwrap(), None);
    }
}

#[test]
fn set_cookie_lines_are_the_same_text() {
    for vector in vectors("set_cookie_rendering") {
        for case in vector["cases"].as_array().unwrap() {
            let output = text(case, "output");
            let max_age = case["max_age"].as_i64().unwrap();
            let mut config = dressed_like(output);
            config.domains =
                Some(text(case, "domain").to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
            let expire = Duration::from_secs(max_age.max(0).unsigned_abs());
            let dress = Dress::new(&config, Kind { expire, same_site: config.same_site });
            let attributes = dress.attributes("example.com");
            let line = if max_age < 0 { attributes.delete("n") } else { attributes.set("n", "v") };
            assert_eq!(line, output);
        }
    }
}
