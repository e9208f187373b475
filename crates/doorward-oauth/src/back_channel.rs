//! Telling clients that a login has ended (`OpenID Connect` Back-Channel Logout 1.0): each that was given something in the
//! session and has named an address for it gets a logout token there. The session is over whatever they answer.

use std::{sync::Arc, time::Duration};

use doorward_accounts::{KeyRing, Unavailable};
use doorward_core::{SecretString, Timestamp};
use doorward_jose::Claims;
use doorward_oidc::{HttpClient, HttpConfig, HttpError};
use http::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::sleep};
use url::Url;

use crate::{OAuthServer, config::Client, cookies::random};

/// What a logout token says (section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const TOKEN_TYPE: &str = "logout+jwt";
/// As long as the standard recommends.
const LIFE: Duration = Duration::from_mins(2);
/// Messages under way. Whoever signs out waits for a place.
const MESSAGES: usize = 64;
/// Before each further attempt; all of them lie within the life of the token.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 64 * 1024;

/// The way to the clients.
#[derive(Debug)]
pub(crate) struct BackChannel {
    http: Arc<HttpClient>,
    places: Arc<Semaphore>,
}

impl BackChannel {
    /// None if no client wants to be told. The text says what is wrong with the way.
    pub(crate) fn for_clients<'a>(
        mut clients: impl Iterator<Item = &'a Client>,
    ) -> Result<Option<Self>, String> {
        if !clients.any(|client| client.back_channel_logout_uri.is_some()) {
            return Ok(None);
        }
        let limits = HttpConfig { total_timeout: ANSWER_LIMIT, ..HttpConfig::default() };
        let http = HttpClient::new(&limits)
            .map_err(|why| format!("clients cannot be told of logouts: {why}; correct the system's roots"))?;
        Ok(Some(Self { http: Arc::new(http), places: Arc::new(Semaphore::new(MESSAGES)) }))
    }
}

/// A session that is over, by its public id and its user's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) sid: &'a str,
    pub(crate) uid: &'a str,
}

impl OAuthServer {
    /// The clients that are to hear of the end of a session. Nothing is asked of the store if no client wants to.
    pub(crate) async fn listeners(&self, sid: &str, now: Timestamp) -> Result<Vec<String>, Unavailable> {
        match self.back_channel {
            Some(_) => self.accounts.clients_of_session(sid, now).await,
            None => Ok(Vec::new()),
        }
    }

    /// Whether any client wants to hear of logouts.
    pub(crate) const fn tells_clients(&self) -> bool {
        self.back_channel.is_some()
    }

    /// Sends each of these clients a logout token. What fails is logged, and tried again a few times.
    pub(crate) async fn tell(&self, clients: &[String], ended: Ended<'_>, now: Timestamp) {
        let Some(channel) = self.back_channel.as_ref().filter(|_| !clients.is_empty()) else { return };
        let keys = match self.accounts.keys(now).await {
            Ok(keys) => keys,
            Err(why) => {
                tracing::error!("Clients cannot be told that a session has ended: {why}");
                return;
            }
        };
        for client in clients.iter().filter_map(|id| self.client(id)) {
            let Some(uri) = client.back_channel_logout_uri.clone() else { continue };
            match self.logout_token(client, ended, (&keys, now)) {
                Ok(token) => {
                    let Ok(place) = Arc::clone(&channel.places).acquire_owned().await else { continue };
                    let (http, id) = (Arc::clone(&channel.http), client.id.clone());
                    tokio::spawn(async move {
                        let _place = place;
                        deliver(&http, (&id, uri), &token).await;
                    });
                }
                Err(why) => {
                    let id = &client.id;
                    tracing::error!("The client {id:?} cannot be told that a session has ended: {why}");
                }
            }
        }
    }

    /// Section 2.4: what a client needs to find its session, and nothing about the user besides.
    fn logout_token(
        &self,
        client: &Client,
        ended: Ended<'_>,
        (keys, now): (&KeyRing, Timestamp),
    ) -> Result<SecretString, String> {
        let claims = json!({
            "iss": self.config.issuer.as_str(),
            "aud": client.id,
            "iat": now.seconds,
            "exp": now.saturating_add(LIFE).seconds,
            "jti": random().map_err(|why| why.to_string())?,
            "sub": ended.uid,
            "sid": ended.sid,
            "events": { EVENT: {} },
        });
        let claims: Claims = match claims {
            Value::Object(claims) => claims,
            _ => Claims::new(),
        };
        let algorithm = client.id_token_alg.unwrap_or(self.config.signing);
        keys.sign(algorithm, TOKEN_TYPE, &claims, now).map_err(|why| why.to_string())
    }
}

/// One message (section 2.5). A client that refuses it knows why, and is not asked again.
async fn deliver(http: &HttpClient, (id, uri): (&str, Url), token: &SecretString) {
    let mut pauses = PAUSES.iter();
    loop {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", token.expose())
            .finish();
        let request = http.post(uri.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = request.header(CACHE_CONTROL, "no-store").body(form);
        let why = match http.send_within(request, LARGEST_ANSWER).await {
            Ok(answer) if answer.status.is_success() => return,
            Ok(answer) if answer.status == StatusCode::BAD_REQUEST => {
                tracing::warn!("The client {id:?} refuses to hear that a session has ended.");
                return;
            }
            Ok(answer) => format!("it answers with the status {}", answer.status.as_u16()),
            Err(error) => in_our_words(&error),
        };
        let Some(pause) = pauses.next() else {
            tracing::warn!("The client {id:?} did not hear that a session has ended: {why}");
            return;
        };
        sleep(*pause).await;
    }
}

/// The HTTP client's errors speak of providers.
fn in_our_words(error: &HttpError) -> String {
    error.to_string().replace("the provider", "the client")
}

#[cfg(test)]
mod tests {
    use doorward_accounts::Rules;
    use doorward_store::Records;
    use doorward_testkit::{Echo, eventually};
    use serde_json::json;

    use super::*;
    use crate::{
        config::Consent,
        testing::{CHALLENGE, ISSUER, NOW, TestServer, call, config},
    };

    /// Two clients that want to hear of logouts, and one that does not. alice is signed in.
    struct Stage {
        test: TestServer,
        receiver: Echo,
        cookie: String,
        sid: String,
    }

    impl Stage {
        async fn new() -> Self {
            let receiver = Echo::start();
            let mut config = config();
            for client in &mut config.clients {
                client.consent = Consent::Auto;
                if client.id != "other" {
                    let uri = format!("{}/told/{}", receiver.url(), client.id);
                    client.back_channel_logout_uri = Some(uri.parse().unwrap());
                }
            }
            let test = TestServer::over(Records::memory(), config, Rules::default()).await;
            let (cookie, sid) = test.signed_in().await;
            Self { test, receiver, cookie, sid }
        }

        /// alice goes to an application.
        async fn visits(&self, client: &str) {
            let target = format!(
                "/oauth/authorize?response_type=code&client_id={client}&scope=openid&state=s\
                 &code_challenge_method=S256&code_challenge={CHALLENGE}\
                 &redirect_uri=https%3A%2F%2F{client}.example.com%2Fcb"
            );
            let answer = self.test.send(call("GET", &target).header("cookie", &self.cookie)).await;
            let location = answer.headers()["location"].to_str().unwrap();
            assert!(location.contains("code="), "{location}");
        }

        fn told(&self) -> Vec<String> {
            let mut told: Vec<String> = self.receiver.seen().iter().map(|seen| seen.target.clone()).collect();
            told.sort();
            told
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_clients_of_a_session_hear_of_its_end_and_no_others() {
        let stage = Stage::new().await;
        stage.visits("web").await;
        stage.visits("web").await;
        assert_eq!(stage.test.server.end_sessions_of("alice", NOW).await.unwrap(), 1);
        eventually("the client hears of it", || !stage.told().is_empty());
        assert_eq!(stage.told(), ["/told/web"]);
        let seen = stage.receiver.seen().remove(0);
        let (name, token) = std::str::from_utf8(&seen.body).unwrap().split_once('=').unwrap();
        assert_eq!((seen.method.as_str(), name), ("POST", "logout_token"));
        let keys = stage.test.accounts.keys(NOW).await.unwrap();
        let verified = keys.verify(token, NOW).unwrap();
        assert_eq!(verified.token_type(), Some("logout+jwt"));
        let claims = verified.into_claims();
        let expected = json!({
            "iss": ISSUER, "aud": "web", "iat": NOW.seconds, "exp": NOW.seconds + 120, "jti": claims["jti"],
            "sub": stage.test.alice.uid, "sid": stage.sid, "events": { EVENT: {} },
        });
        assert_eq!(Value::Object(claims), expected, "and no nonce, ever");
        // Once it is over nobody is told again.
        assert_eq!(
            stage.test.accounts.clients_of_session(&stage.sid, NOW).await.unwrap(),
            Vec::<String>::new()
        );
    }

    #[tokio::test]
    async fn a_logout_token_is_nothing_but_a_logout_token() {
        let stage = Stage::new().await;
        stage.visits("web").await;
        let keys = stage.test.accounts.keys(NOW).await.unwrap();
        let client = stage.test.server.client("web").unwrap();
        let ended = Ended { sid: &stage.sid, uid: &stage.test.alice.uid };
        let token = stage.test.server.logout_token(client, ended, (&keys, NOW)).unwrap();
        let userinfo = call("GET", "/oauth/userinfo").bearer(token.expose());
        assert_eq!(stage.test.send(userinfo).await.status(), 401);
        let hinted = format!("/oauth/logout?id_token_hint={}", token.expose());
        let answer = stage.test.send(call("GET", &hinted).header("cookie", &stage.cookie)).await;
        assert!(std::str::from_utf8(answer.body()).unwrap().contains("Sign out?"), "no hint either");
    }

    #[tokio::test]
    async fn the_end_of_a_session_waits_for_no_client() {
        let stage = Stage::new().await;
        stage.visits("web").await;
        stage.visits("spa").await;
        let none = stage.test.accounts.clients_of_session("another", NOW).await.unwrap();
        assert_eq!(none, Vec::<String>::new());
        let clients = stage.test.accounts.clients_of_session(&stage.sid, NOW).await.unwrap();
        assert_eq!(clients, ["spa", "web"]);
        drop(stage.receiver);
        assert_eq!(stage.test.server.end_sessions_of("alice", NOW).await.unwrap(), 1);
        assert!(!stage.test.accounts.is_session_open(&stage.sid, NOW).await.unwrap());
    }
}
