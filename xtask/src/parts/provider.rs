//! An `OpenID` provider that agrees to every login at once: discovery, keys, authorization and token endpoints. Its
//! tokens have the size of those of a common provider, since the size of the cookie decides what a request costs.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::{self, SystemRandom},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::Failure;

const LIFETIME_SECONDS: u64 = 7 * 24 * 60 * 60;
const MOST_BODY_BYTES: u64 = 64 * 1024;

/// The modulus of a 2048 bit key within its `RSAPublicKey` (RFC 8017 appendix A.1.1): a sequence and an integer of four
/// bytes of head each, one byte for the sign, 256 bytes of number.
const MODULUS: std::ops::Range<usize> = 9..265;
/// 65537.
const EXPONENT: &str = "AQAB";

struct Provider {
    issuer: String,
    key: KeyPair,
    random: SystemRandom,
    /// Nonces of logins that wait for their code to be redeemed.
    codes: HashMap<String, String>,
}

struct Request {
    method: String,
    path: String,
    /// Of the query, or of the body.
    parameters: HashMap<String, String>,
}

enum Answer {
    Json(Value),
    Redirect(String),
    NotFound,
}

pub(crate) fn serve(port: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    let mut provider = Provider {
        issuer: format!("http://127.0.0.1:{port}"),
        key: KeyPair::generate(KeySize::Rsa2048)?,
        random: SystemRandom::new(),
        codes: HashMap::new(),
    };
    // One request a connection and one after the other will do for a handful of logins.
    for stream in listener.incoming() {
        let mut stream = stream?;
        if let Some(request) = read(&stream) {
            let answer = provider.answer(&request)?;
            // A client that goes away is no news.
            let _ = write(&mut stream, &answer);
        }
    }
    Ok(())
}

impl Provider {
    fn answer(&mut self, request: &Request) -> Result<Answer, Failure> {
        Ok(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/.well-known/openid-configuration") => Answer::Json(self.discovery()),
            ("GET", "/jwks") => Answer::Json(self.keys()?),
            ("GET", "/auth") => self.agree(request)?,
            ("POST", "/token") => Answer::Json(self.redeem(request)?),
            _ => Answer::NotFound,
        })
    }

    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/auth"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    fn keys(&self) -> Result<Value, Failure> {
        let modulus = self.key.public_key().as_ref().get(MODULUS).ok_or("a public key of unknown form")?;
        let modulus = URL_SAFE_NO_PAD.encode_to_string(modulus);
        Ok(
            json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": modulus, "e": EXPONENT}]}),
        )
    }

    fn agree(&mut self, request: &Request) -> Result<Answer, Failure> {
        let parameter = |name: &str| request.parameters.get(name).cloned().unwrap_or_default();
        let code = self.unique()?;
        self.codes.insert(code.clone(), parameter("nonce"));
        Ok(Answer::Redirect(format!(
            "{}?code={code}&state={}",
            parameter("redirect_uri"),
            encode(&parameter("state"))
        )))
    }

    fn redeem(&mut self, request: &Request) -> Result<Value, Failure> {
        let code = request.parameters.get("code").ok_or("no code")?;
        let nonce = self.codes.remove(code).unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let session = self.unique()?;
        let common = |own: Value| -> Result<Value, Failure> {
            let mut claims = json!({
                "iss": self.issuer,
                "sub": "12345678-90ab-cdef-1234-567890abcdef",
                "iat": now,
                "auth_time": now,
                "exp": now + LIFETIME_SECONDS,
                "jti": self.unique()?,
                "sid": session,
            });
            if let (Some(claims), Some(own)) = (claims.as_object_mut(), own.as_object()) {
                claims.extend(own.clone());
            }
            Ok(claims)
        };
        let id = common(json!({
            "aud": "bench",
            "nonce": nonce,
            "email": "jane.doe@example.com",
            "email_verified": true,
            "preferred_username": "jane.doe",
            "groups": ["developers", "ops", "team-blue"],
        }))?;
        let access = common(json!({"aud": "account", "azp": "bench", "scope": "openid email profile"}))?;
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "access_token": self.sign(&access)?,
            "id_token": self.sign(&id)?,
        }))
    }

    fn sign(&self, claims: &Value) -> Result<String, Failure> {
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": "bench"}).to_string();
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode_to_string(head.as_bytes()),
            URL_SAFE_NO_PAD.encode_to_string(claims.to_string().as_bytes())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut signature)?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(&signature)))
    }

    fn unique(&self) -> Result<String, Failure> {
        let bytes: [u8; 24] = rand::generate(&self.random)?.expose();
        Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, mut parameters) = (path.to_owned(), form(query));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => (),
            None => break,
        }
    }
    let mut body = String::new();
    reader.take(MOST_BODY_BYTES.min(length)).read_to_string(&mut body).ok()?;
    parameters.extend(form(&body));
    Some(Request { method, path, parameters })
}

fn write(stream: &mut TcpStream, answer: &Answer) -> std::io::Result<()> {
    let (status, location, body) = match answer {
        Answer::Json(value) => ("200 OK", String::new(), value.to_string()),
        Answer::Redirect(url) => ("302 Found", format!("Location: {url}\r\n"), String::new()),
        Answer::NotFound => ("404 Not Found", String::new(), String::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{location}Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

fn form(text: &str) -> HashMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default()];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            _ => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn encode(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}
