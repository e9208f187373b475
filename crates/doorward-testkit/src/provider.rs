//! An identity provider whose behaviour tests change while it runs.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{digest, rand};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::{
    http1::Headers,
    keys::KeyName,
    server::{Received, Reply, Server, Stopped},
    token::{Token, overlay},
};

/// What providers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Discovery,
    Keys,
    Authorize,
    /// The token endpoint, for a code.
    Token,
    /// The token endpoint, for a refresh token.
    Refresh,
    UserInfo,
    Logout,
    Unknown,
}

/// How an endpoint misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Status(u16, &'static str),
    /// No answer until the client gives up.
    Hang,
    /// The connection ends without an answer.
    Close,
    /// This status and this `Location`.
    Redirect(u16, &'static str),
    /// 200 with this as JSON.
    Json(&'static str),
    /// These bytes in place of an answer, and the end of the connection.
    Raw(&'static [u8]),
    /// 200 with something that is not JSON.
    Malformed,
    /// 200 with a gigabyte of JSON, or what of it is taken.
    EndlessBody,
    /// Header lines without end.
    EndlessHeaders,
    /// One interim answer after the other (RFC 9110 section 15.2).
    EndlessInterim,
    /// 200 with 40 MB of JSON.
    HugeBody,
    /// 200 with a small gzip body that unfolds to 200 MB.
    GzipBomb,
    /// 200 with a body that comes a byte at a time and never ends.
    Drip,
}

/// How the client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientProof {
    /// By its secret.
    Secret,
    /// By an assertion (RFC 7521 section 4.2), whatever it says; tests look at it.
    Assertion,
}

/// What becomes of refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// None are given out.
    None,
    Reusable,
    /// Each is good for one use; using one again ends the whole login.
    Rotating,
}

/// Everything that can be changed. Claims and overrides of `null` remove a member.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Claims of ID tokens, over the usual ones.
    pub claims: Map<String, Value>,
    /// How ID tokens are signed.
    pub id_token: Token,
    /// Claims of access tokens; without any they are opaque.
    pub access_claims: Option<Map<String, Value>>,
    /// Claims that userinfo answers with, besides `sub`.
    pub user_info: Map<String, Value>,
    pub expires_in_seconds: u64,
    pub refresh: Refresh,
    /// Whether a refresh brings a new ID token.
    pub refreshed_id_token: bool,
    pub published: Vec<KeyName>,
    /// Members of the discovery document, over the usual ones.
    pub discovery: Map<String, Value>,
    /// Members of token answers, over the usual ones.
    pub token_answer: Map<String, Value>,
    pub client: ClientProof,
    /// What further paths answer with: a status, and JSON.
    pub documents: BTreeMap<String, (u16, Value)>,
    pub faults: BTreeMap<Endpoint, Fault>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            claims: Map::new(),
            id_token: Token::default(),
            access_claims: None,
            user_info: Map::new(),
            expires_in_seconds: 3600,
            refresh: Refresh::Reusable,
            refreshed_id_token: true,
            published: vec![KeyName::Rsa, KeyName::P256, KeyName::Ed25519],
            discovery: Map::new(),
            token_answer: Map::new(),
            client: ClientProof::Secret,
            documents: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }
}

impl Knobs {
    /// Answers a further path with this as JSON.
    pub fn document(&mut self, path: &str, document: Value) {
        self.documents.insert(path.to_owned(), (200, document));
    }

    /// Sets a claim of ID tokens.
    pub fn claim(&mut self, name: &str, value: impl Into<Value>) {
        self.claims.insert(name.to_owned(), value.into());
    }
}

/// A request that came to the provider.
#[derive(Clone, Debug)]
pub struct Call {
    pub endpoint: Endpoint,
    pub method: String,
    pub headers: Headers,
    /// Query and form together.
    pub parameters: BTreeMap<String, String>,
    /// The status it was answered with; 0 for faults that give none.
    pub status: u16,
}

/// A running provider; it stops when dropped.
#[derive(Debug)]
pub struct Provider {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// The secrets that a provider has given out.
#[derive(Clone, Debug)]
pub(crate) struct Issued(Arc<Mutex<State>>);

impl Issued {
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.0.lock().unwrap().secrets.clone()
    }
}

#[derive(Debug, Default)]
struct State {
    issuer: String,
    knobs: Knobs,
    calls: Vec<Call>,
    codes: BTreeMap<String, Code>,
    /// Refresh tokens and the login each belongs to.
    refresh_tokens: BTreeMap<String, RefreshToken>,
    ended_logins: Vec<u64>,
    next_login: u64,
    reuses: usize,
    secrets: Vec<String>,
}

#[derive(Clone, Debug)]
struct Code {
    parameters: BTreeMap<String, String>,
    used: bool,
}

#[derive(Clone, Debug)]
struct RefreshToken {
    login: u64,
    nonce: Option<String>,
    used: bool,
}

impl Provider {
    pub const CLIENT_ID: &'static str = "doorward-client";
    pub const CLIENT_SECRET: &'static str = "the secret of the client/+%";

    /// On any free loopback port.
    pub fn start() -> Self {
        Self::start_at(0)
    }

    /// At a port that is known before the provider is there.
    pub fn start_at(port: u16) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let own = Arc::clone(&state);
        let server = Server::start(port, move |request| State::answer(&own, request));
        let mut locked = state.lock().unwrap();
        locked.issuer = format!("http://{}", server.address);
        locked.secrets.push(Self::CLIENT_SECRET.to_owned());
        drop(locked);
        Self { server, state }
    }

    /// Its name, and the base of its addresses.
    pub fn issuer(&self) -> String {
        format!("http://{}", self.server.address)
    }

    pub fn port(&self) -> u16 {
        self.server.address.port()
    }

    /// Changes the behaviour from the next request on.
    pub fn set(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut self.lock().knobs);
    }

    /// Lets an endpoint misbehave from the next request on.
    pub fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.set(|knobs| _ = knobs.faults.insert(endpoint, fault));
    }

    /// Ends what [`Provider::fail`] began.
    pub fn mend(&self, endpoint: Endpoint) {
        self.set(|knobs| _ = knobs.faults.remove(&endpoint));
    }

    /// The requests for one endpoint so far.
    pub fn calls(&self, endpoint: Endpoint) -> Vec<Call> {
        self.lock().calls.iter().filter(|call| call.endpoint == endpoint).cloned().collect()
    }

    /// The number of requests for one endpoint so far.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.calls(endpoint).len()
    }

    /// How often a rotating refresh token was used again.
    pub fn reuses(&self) -> usize {
        self.lock().reuses
    }

    /// The authorization codes given out so far.
    pub fn codes(&self) -> Vec<String> {
        self.lock().codes.keys().cloned().collect()
    }

    /// Makes an ID token of the present claims that is given to nobody.
    pub fn id_token(&self) -> String {
        self.lock().id_token(None)
    }

    pub(crate) fn issued(&self) -> Issued {
        Issued(Arc::clone(&self.state))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(state: &Mutex<Self>, request: Received) -> Reply {
        let mut state = state.lock().unwrap();
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let mut parameters: BTreeMap<String, String> = parse(query.as_bytes());
        parameters.append(&mut parse(&request.body));
        let endpoint = match path {
            "/.well-known/openid-configuration" => Endpoint::Discovery,
            "/keys" => Endpoint::Keys,
            "/authorize" => Endpoint::Authorize,
            "/token" if parameters.get("grant_type").is_some_and(|grant| grant == "refresh_token") => {
                Endpoint::Refresh
            }
            "/token" => Endpoint::Token,
            "/userinfo" => Endpoint::UserInfo,
            "/logout" => Endpoint::Logout,
            _ => Endpoint::Unknown,
        };
        let reply = match state.knobs.faults.get(&endpoint) {
            Some(fault) => fault.reply(),
            None => match state.knobs.documents.get(path) {
                Some((status, document)) => Reply::json(*status, document),
                None => state.serve(endpoint, &request.headers, &parameters),
            },
        };
        let status = if let Reply::Response { status, .. } = &reply { *status } else { 0 };
        let Received { method, headers, .. } = request;
        state.calls.push(Call { endpoint, method, headers, parameters, status });
        reply
    }

    fn serve(
        &mut self,
        endpoint: Endpoint,
        headers: &Headers,
        parameters: &BTreeMap<String, String>,
    ) -> Reply {
        match endpoint {
            Endpoint::Discovery => Reply::json(200, &self.discovery()),
            Endpoint::Keys => {
                let keys: Vec<Value> = self.knobs.published.iter().map(|key| key.jwk()).collect();
                Reply::json(200, &json!({ "keys": keys }))
            }
            Endpoint::Authorize => self.authorize(parameters),
            Endpoint::Token | Endpoint::Refresh if !self.is_client(headers, parameters) => {
                Reply::json(401, &json!({ "error": "invalid_client" }))
            }
            Endpoint::Token => self.redeem(parameters),
            Endpoint::Refresh => self.refresh(parameters),
            Endpoint::UserInfo => self.user_info(headers),
            Endpoint::Logout => Reply::text(200, "bye"),
            Endpoint::Unknown => Reply::text(404, "not here"),
        }
    }

    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/keys"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "end_session_endpoint": format!("{issuer}/logout"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        });
        overlay(&mut document, &self.knobs.discovery);
        document
    }

    fn is_client(&self, headers: &Headers, parameters: &BTreeMap<String, String>) -> bool {
        match self.knobs.client {
            ClientProof::Secret => is_client(headers, parameters),
            ClientProof::Assertion => {
                parameters.contains_key("client_assertion") && !parameters.contains_key("client_secret")
            }
        }
    }

    fn authorize(&mut self, parameters: &BTreeMap<String, String>) -> Reply {
        let Some(redirect_uri) = parameters.get("redirect_uri") else {
            return Reply::text(400, "no redirect_uri");
        };
        let code = random();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", &code);
        if let Some(state) = parameters.get("state") {
            query.append_pair("state", state);
        }
        let location = format!("{redirect_uri}?{}", query.finish());
        self.codes.insert(code, Code { parameters: parameters.clone(), used: false });
        Reply::Response { status: 302, headers: vec![("Location".into(), location)], body: Vec::new() }
    }

    fn redeem(&mut self, parameters: &BTreeMap<String, String>) -> Reply {
        let invalid =
            |why: &str| Reply::json(400, &json!({ "error": "invalid_grant", "error_description": why }));
        let Some(code) = parameters.get("code").and_then(|code| self.codes.get_mut(code)) else {
            return invalid("unknown code");
        };
        if std::mem::replace(&mut code.used, true) {
            return invalid("the code was used before");
        }
        if code.parameters.get("redirect_uri") != parameters.get("redirect_uri") {
            return invalid("another redirect_uri");
        }
        if !proves_possession(&code.parameters, parameters.get("code_verifier")) {
            return invalid("the code verifier does not match");
        }
        let nonce = code.parameters.get("nonce").cloned();
        self.next_login += 1;
        let login = self.next_login;
        let id_token = self.id_token(nonce.as_deref());
        self.secrets.push(id_token.clone());
        self.tokens(login, nonce, Some(id_token))
    }

    fn refresh(&mut self, parameters: &BTreeMap<String, String>) -> Reply {
        let invalid = Reply::json(400, &json!({ "error": "invalid_grant" }));
        let presented = parameters.get("refresh_token").cloned().unwrap_or_default();
        let Some(token) = self.refresh_tokens.get_mut(&presented) else { return invalid };
        let reused = std::mem::replace(&mut token.used, self.knobs.refresh == Refresh::Rotating);
        let RefreshToken { login, nonce, .. } = token.clone();
        if reused {
            self.reuses += 1;
            self.ended_logins.push(login);
        }
        if self.ended_logins.contains(&login) {
            return invalid;
        }
        let id_token = self.knobs.refreshed_id_token.then(|| self.id_token(nonce.as_deref()));
        self.secrets.extend(id_token.clone());
        self.tokens(login, nonce, id_token)
    }

    fn tokens(&mut self, login: u64, nonce: Option<String>, id_token: Option<String>) -> Reply {
        let access_token = self.access_token();
        let expires_in = self.knobs.expires_in_seconds;
        let mut answer =
            json!({ "token_type": "Bearer", "access_token": access_token, "expires_in": expires_in });
        if let Some(id_token) = id_token {
            answer["id_token"] = id_token.into();
        }
        if self.knobs.refresh != Refresh::None {
            let token = random();
            self.secrets.push(token.clone());
            answer["refresh_token"] = token.clone().into();
            self.refresh_tokens.insert(token, RefreshToken { login, nonce, used: false });
        }
        overlay(&mut answer, &self.knobs.token_answer);
        Reply::json(200, &answer)
    }

    fn access_token(&mut self) -> String {
        let token = match &self.knobs.access_claims {
            None => random(),
            Some(members) => {
                let mut claims = self.usual_claims();
                overlay(&mut claims, members);
                Token::default().sign(&claims)
            }
        };
        self.secrets.push(token.clone());
        token
    }

    fn usual_claims(&self) -> Value {
        let now = now();
        json!({ "iss": self.issuer, "sub": "sub-1", "aud": Provider::CLIENT_ID, "iat": now, "exp": now + 3600 })
    }

    fn id_token(&self, nonce: Option<&str>) -> String {
        let mut claims = self.usual_claims();
        claims["email"] = "jane@example.com".into();
        claims["email_verified"] = true.into();
        claims["preferred_username"] = "jane".into();
        claims["groups"] = json!(["staff", "admins"]);
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        overlay(&mut claims, &self.knobs.claims);
        self.knobs.id_token.sign(&claims)
    }

    fn user_info(&self, headers: &Headers) -> Reply {
        let known = headers
            .first("authorization")
            .strip_prefix("Bearer ")
            .is_some_and(|token| self.secrets.iter().any(|secret| secret == token));
        if !known {
            return Reply::json(401, &json!({ "error": "invalid_token" }));
        }
        let subject = self.knobs.claims.get("sub").cloned().unwrap_or_else(|| "sub-1".into());
        let mut claims = json!({ "sub": subject });
        overlay(&mut claims, &self.knobs.user_info);
        Reply::json(200, &claims)
    }
}

fn parse(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// Client authentication by header or form (RFC 6749 section 2.3.1).
fn is_client(headers: &Headers, parameters: &BTreeMap<String, String>) -> bool {
    let wanted = (Provider::CLIENT_ID.to_owned(), Provider::CLIENT_SECRET.to_owned());
    if let Some(encoded) = headers.first("authorization").strip_prefix("Basic ") {
        let text = String::from_utf8(STANDARD.decode_to_vec(encoded).unwrap_or_default()).unwrap_or_default();
        let decode = |part: &str| parse(format!("x={part}").as_bytes()).remove("x").unwrap_or_default();
        return text.split_once(':').is_some_and(|(id, secret)| (decode(id), decode(secret)) == wanted);
    }
    parameters.get("client_id") == Some(&wanted.0) && parameters.get("client_secret") == Some(&wanted.1)
}

/// RFC 7636 section 4.6.
fn proves_possession(begun: &BTreeMap<String, String>, verifier: Option<&String>) -> bool {
    match (begun.get("code_challenge"), begun.get("code_challenge_method").map(String::as_str), verifier) {
        (None, _, verifier) => verifier.is_none(),
        (Some(challenge), Some("S256"), Some(verifier)) => {
            let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
            *challenge == URL_SAFE_NO_PAD.encode_to_string(hash.as_ref())
        }
        (Some(challenge), _, Some(verifier)) => challenge == verifier,
        (Some(_), _, None) => false,
    }
}

impl Fault {
    fn reply(self) -> Reply {
        match self {
            Self::Status(status, body) => Reply::text(status, body),
            Self::Hang => Reply::Silence,
            Self::Close => Reply::Close,
            Self::Redirect(status, target) => Reply::Response {
                status,
                headers: vec![("Location".into(), target.into())],
                body: Vec::new(),
            },
            Self::Json(body) => Reply::typed(200, "application/json", body),
            Self::Raw(bytes) => Reply::Stream(Box::new(move |stream, _| _ = stream.write_all(bytes))),
            Self::Malformed => Reply::text(200, "<html>{\"access_token\":"),
            Self::EndlessBody => endless(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n{",
                " ",
            ),
            Self::EndlessHeaders => {
                endless("HTTP/1.1 200 OK\r\n", "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
            }
            Self::EndlessInterim => endless("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            Self::HugeBody => {
                Reply::text(200, format!("{{\"padding\":\"{}\"}}", "a".repeat(40 * 1024 * 1024)))
            }
            Self::GzipBomb => {
                let headers = ["Content-Type: application/json", "Content-Encoding: gzip"];
                let headers = headers.iter().filter_map(|line| line.split_once(": "));
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                Reply::Response { status: 200, headers, body: gzip_bomb() }
            }
            Self::Drip => Reply::Stream(Box::new(drip)),
        }
    }
}

/// The same again and again, until the client hangs up.
fn endless(start: &'static str, piece: &'static str) -> Reply {
    Reply::Stream(Box::new(move |stream, stopped| {
        let pieces = piece.repeat(64 * 1024 / piece.len());
        let mut going = stream.write_all(start.as_bytes()).is_ok();
        while going && !stopped.yet() {
            going = stream.write_all(pieces.as_bytes()).is_ok();
        }
    }))
}

fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let blanks = vec![b' '; 1024 * 1024];
    for _ in 0..200 {
        encoder.write_all(&blanks).unwrap();
    }
    encoder.finish().unwrap()
}

fn drip(stream: &mut TcpStream, stopped: &Stopped) {
    let _ = stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n");
    while !stopped.yet() && stream.write_all(b" ").is_ok() {
        thread::sleep(Duration::from_millis(50));
    }
}

fn random() -> String {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
