//! Signing out (`OpenID Connect` RP-Initiated Logout 1.0, norm A3.9). A client that shows whose session it means ends it at
//! once; everybody else's users are asked, so that no link and no image signs anybody out. What ends is the session of the
//! very browser, whatever the client says.

use doorward_accounts::{KeysError, Session, Unavailable, User};
use doorward_core::Timestamp;
use doorward_template::words::Message;
use http::{Method, StatusCode, header::SET_COOKIE};
use serde_json::Value;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    authorize::form_target,
    back_channel::Ended,
    call::{Answer, Call},
    config::{Client, TokensOnLogout},
    pages::{LogoutPage, Notice},
    params::Params,
};

const EVENT: &str = "logout";

/// Why a request to sign out is refused. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum LogoutError {
    #[error("there is no client of the name that was sent")]
    UnknownClient,
    #[error("the id_token_hint belongs to another client than the one that was sent")]
    OtherClient,
    #[error("the application names a place to return to and does not say which application it is")]
    NoClient,
    #[error("the place to return to is none that is registered for the application")]
    Unregistered,
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// What a client wishes.
struct Wish<'a> {
    client: Option<&'a Client>,
    /// The `sub` of the ID token that the client was given.
    hinted: Option<String>,
    target: Option<Target<'a>>,
}

/// Where the browser goes afterwards: registered for the client, letter by letter.
struct Target<'a> {
    uri: &'a str,
    state: Option<&'a str>,
}

impl OAuthServer {
    pub(crate) async fn logout(&self, call: &Call) -> Answer {
        let params = match Params::of_page(call) {
            Ok(params) => params,
            Err(why) => return self.notice_of_request(&why.to_string(), call),
        };
        match self.logged_out(&params, call).await {
            Ok(answer) => answer,
            Err(LogoutError::Unavailable(why)) => self.no_store(EVENT, call, &why.to_string()),
            Err(why) => {
                Line::new(EVENT, Outcome::Deny).reason(&why).write(call);
                self.notice_of_request(&why.to_string(), call)
            }
        }
    }

    async fn logged_out(&self, params: &Params, call: &Call) -> Result<Answer, LogoutError> {
        let wish = self.wish(params, call).await?;
        let confirmed = call.method == Method::POST && params.has("csrf");
        if confirmed && !self.cookies.is_from_our_page(&call.headers, params.get("csrf")) {
            return Ok(self.refused_form(call));
        }
        let Some((user, session)) = self.session(call).await? else { return Ok(self.farewell(&wish, call)) };
        let is_meant = wish.hinted.as_ref().is_some_and(|sub| *sub == user.uid);
        if !confirmed && !is_meant {
            return Ok(self.ask_to_sign_out(&wish, &user, call));
        }
        self.end(&user, &session, call.now).await?;
        let line = Line::new(EVENT, Outcome::Permit).user(&user.name).authenticator(&session.provider);
        match wish.client {
            Some(client) => line.client_id(&client.id).write(call),
            None => line.write(call),
        }
        Ok(self.farewell(&wish, call))
    }

    async fn wish<'a>(&'a self, params: &'a Params, call: &Call) -> Result<Wish<'a>, LogoutError> {
        let named = params
            .get("client_id")
            .map(|id| self.client(id).ok_or(LogoutError::UnknownClient))
            .transpose()?;
        // A hint that cannot be read is none: then the user is asked.
        let hint = match params.get("id_token_hint") {
            Some(token) => self.hint(token, call).await?,
            None => None,
        };
        let client = match (named, &hint) {
            (Some(named), Some((_, hinted))) if named.id != hinted.id => {
                return Err(LogoutError::OtherClient);
            }
            (None, Some((_, hinted))) => Some(*hinted),
            (named, _) => named,
        };
        let target = match (params.get("post_logout_redirect_uri"), client) {
            (None, _) => None,
            (Some(_), None) => return Err(LogoutError::NoClient),
            (Some(uri), Some(client)) if client.post_logout_redirect_uris.iter().any(|own| own == uri) => {
                Some(Target { uri, state: params.get("state") })
            }
            (Some(_), Some(_)) => return Err(LogoutError::Unregistered),
        };
        Ok(Wish { client, hinted: hint.map(|(sub, _)| sub), target })
    }

    /// User and client of an ID token of ours. It may have expired: it is a hint.
    async fn hint(&self, token: &str, call: &Call) -> Result<Option<(String, &Client)>, LogoutError> {
        let keys = match self.accounts.keys(call.now).await {
            Ok(keys) => keys,
            Err(KeysError::Unavailable(why)) => return Err(why.into()),
            Err(KeysError::Sealed(_) | KeysError::Key(_)) => return Ok(None),
        };
        let Ok(verified) = keys.verify(token, call.now) else { return Ok(None) };
        let says = |name: &str| verified.claims().get(name).and_then(Value::as_str);
        // Whatever else is signed with these keys says its type.
        let is_id_token =
            verified.token_type() == Some("jwt") && says("iss") == Some(self.config.issuer.as_str());
        let client = says("aud").and_then(|id| self.client(id));
        Ok(says("sub").map(str::to_owned).zip(client).filter(|_| is_id_token))
    }

    fn ask_to_sign_out(&self, wish: &Wish<'_>, user: &User, call: &Call) -> Answer {
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        let mut fields = Vec::new();
        if let Some(client) = wish.client {
            fields.push(("client_id", client.id.as_str()));
        }
        if let Some(Target { uri, state }) = &wish.target {
            fields.push(("post_logout_redirect_uri", *uri));
            fields.extend(state.map(|state| ("state", state)));
        }
        self.pages.to(call).logout(&LogoutPage {
            user: &user.name,
            action: &self.path("/oauth/logout"),
            fields,
            browser: &browser,
            form_target: &wish.target.as_ref().map(|target| form_target(target.uri)).unwrap_or_default(),
        })
    }

    /// First the tokens, then the session: if that breaks off, whoever signs out can try again. Then the clients hear of it.
    pub(crate) async fn end(
        &self,
        user: &User,
        session: &Session,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        if self.config.tokens_on_logout == TokensOnLogout::Revoke {
            self.accounts.revoke_all_of_session(&user.uid, &session.sid, now).await?;
        }
        let sid = &session.sid;
        let known = self.listeners(sid, now).await?;
        self.accounts.end_session_by_sid(sid, now).await?;
        // From here on none is added any more.
        let clients = if self.tells_clients() {
            self.accounts.take_clients_of_session(sid, now).await.unwrap_or(known)
        } else {
            known
        };
        self.tell(&clients, Ended { sid, uid: &user.uid }, now).await;
        Ok(())
    }

    /// Back to the client, or a page that says what happened.
    fn farewell(&self, wish: &Wish<'_>, call: &Call) -> Answer {
        let mut answer = match &wish.target {
            Some(target) => answer::redirect(&target.address()),
            None => self.pages.to(call).notice(Notice {
                explanation: Message::OtherApplications.into(),
                ..Notice::new(StatusCode::OK, Message::SignedOut, Message::SignedOutHere)
            }),
        };
        if self.cookies.session(&call.headers).is_some() {
            answer.headers_mut().append(SET_COOKIE, self.cookies.clear_session());
        }
        answer
    }
}

impl Target<'_> {
    fn address(&self) -> String {
        let Self { uri, state: Some(state) } = self else { return self.uri.to_owned() };
        let state: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
        format!("{uri}{}{state}", if uri.contains('?') { '&' } else { '?' })
    }
}

#[cfg(test)]
mod tests {
    use doorward_accounts::{LoginFacts, NewCode, Rules, Subject};
    use doorward_store::Records;
    use serde_json::Value;

    use crate::{
        Answer,
        config::TokensOnLogout,
        testing::{NOW, TestServer, call, config, redeem, text},
    };

    const BYE: &str = "https%3A%2F%2Fweb.example.com%2Fbye";

    /// A browser in which alice is signed in, and what `web` was given then.
    struct Browser {
        test: TestServer,
        cookie: String,
        tokens: Value,
    }

    impl Browser {
        async fn signed_in(tokens_on_logout: TokensOnLogout) -> Self {
            let config = crate::Config { tokens_on_logout, ..config() };
            let test = TestServer::over(Records::memory(), config, Rules::default()).await;
            let (cookie, sid) = test.signed_in().await;
            let login = LoginFacts { session: Some(sid), ..LoginFacts::default() };
            let tokens = test.tokens_of(NewCode { login, ..test.new_code("web", "openid") }).await;
            Self { test, cookie, tokens }
        }

        async fn get(&self, query: &str) -> Answer {
            self.test.send(call("GET", &format!("/oauth/logout{query}")).header("cookie", &self.cookie)).await
        }

        async fn sid(&self) -> String {
            let raw = self.cookie.split_once('=').unwrap().1;
            self.test.accounts.session(raw, NOW).await.unwrap().unwrap().session.sid
        }

        async fn is_signed_in(&self) -> bool {
            let raw = self.cookie.split_once('=').unwrap().1;
            self.test.accounts.session(raw, NOW).await.unwrap().is_some()
        }

        fn hint(&self) -> &str {
            text(&self.tokens, "id_token")
        }
    }

    fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[tokio::test]
    async fn a_client_with_the_id_token_ends_the_session_and_gets_the_browser_back() {
        let browser = Browser::signed_in(TokensOnLogout::Keep).await;
        let query = format!("?id_token_hint={}&post_logout_redirect_uri={BYE}&state=a%26b", browser.hint());
        let answer = browser.get(&query).await;
        assert_eq!(answer.status(), 302);
        assert_eq!(header(&answer, "location"), "https://web.example.com/bye?state=a%26b");
        assert!(header(&answer, "set-cookie").starts_with("__Host-doorward-auth=;"));
        assert!(!browser.is_signed_in().await);
        // Tokens stay, unless they are to go too.
        let userinfo = call("GET", "/oauth/userinfo").bearer(text(&browser.tokens, "access_token"));
        assert_eq!(browser.test.send(userinfo).await.status(), 200);
        // Once more: nothing is left to end, and the browser returns all the same.
        assert_eq!(browser.get(&query).await.status(), 302);
    }

    #[tokio::test]
    async fn tokens_of_the_session_go_with_it_if_the_operator_says_so() {
        let browser = Browser::signed_in(TokensOnLogout::Revoke).await;
        let without = NewCode { login: LoginFacts::default(), ..browser.test.new_code("web", "openid") };
        let other = browser.test.tokens_of(without).await;
        let login = LoginFacts { session: Some(browser.sid().await), ..LoginFacts::default() };
        let late = NewCode { login, ..browser.test.new_code("web", "openid") };
        let late = browser.test.accounts.issue_code(late, NOW).await.unwrap();
        browser.get(&format!("?id_token_hint={}", browser.hint())).await;
        // A code that was on its way brings nothing any more.
        assert_eq!(browser.test.post(redeem(&late).basic("web", "web-secret")).await.0, 400);
        for (tokens, status) in [(&browser.tokens, 401), (&other, 200)] {
            let userinfo = call("GET", "/oauth/userinfo").bearer(text(tokens, "access_token"));
            assert_eq!(browser.test.send(userinfo).await.status(), status);
        }
    }

    #[tokio::test]
    async fn an_administrator_sees_logins_and_ends_them_by_names_that_open_nothing() {
        let browser = Browser::signed_in(TokensOnLogout::Revoke).await;
        let server = &browser.test.server;
        let logins = server.sessions_of("alice", NOW).await.unwrap();
        let [login] = logins.as_slice() else { panic!("{logins:?}") };
        assert_eq!(login.provider, "local");
        assert!(!browser.cookie.contains(&login.id) && login.id != browser.sid().await);
        assert_eq!(server.sessions_of("nobody", NOW).await.unwrap(), []);
        assert!(!server.end_session_of("alice", &browser.sid().await, NOW).await.unwrap());
        assert!(!server.end_session_of("nobody", &login.id, NOW).await.unwrap());
        assert!(browser.is_signed_in().await);
        assert!(server.end_session_of("alice", &login.id, NOW).await.unwrap());
        assert!(!browser.is_signed_in().await);
        let userinfo = call("GET", "/oauth/userinfo").bearer(text(&browser.tokens, "access_token"));
        assert_eq!(browser.test.send(userinfo).await.status(), 401, "revokeTokensOnLogout counts here too");
        let browser = Browser::signed_in(TokensOnLogout::Keep).await;
        assert_eq!(browser.test.server.end_sessions_of("alice", NOW).await.unwrap(), 1);
        assert!(!browser.is_signed_in().await);
    }

    #[tokio::test]
    async fn without_a_good_hint_the_user_is_asked_and_nothing_ends() {
        let browser = Browser::signed_in(TokensOnLogout::Keep).await;
        let access = text(&browser.tokens, "access_token").to_owned();
        let bob = doorward_accounts::NewUser { name: "bob".to_owned(), ..Default::default() };
        let bob = browser.test.accounts.add_user(bob, NOW).await.unwrap();
        let code = NewCode { subject: Subject::of_user(&bob), ..browser.test.new_code("web", "openid") };
        let foreign = browser.test.tokens_of(code).await;
        for query in [
            String::new(),
            "?client_id=web".to_owned(),
            format!("?id_token_hint={access}"),
            "?id_token_hint=a.b.c".to_owned(),
            format!("?id_token_hint={}", text(&foreign, "id_token")),
            format!("?client_id=web&post_logout_redirect_uri={BYE}"),
        ] {
            let answer = browser.get(&query).await;
            assert_eq!(answer.status(), 200, "{query}");
            let page = str::from_utf8(answer.body()).unwrap();
            assert!(page.contains("Sign out?") && page.contains("alice"), "{query}: {page}");
            assert!(browser.is_signed_in().await, "{query}");
        }
    }

    #[tokio::test]
    async fn a45_only_the_form_of_our_own_page_signs_out() {
        let browser = Browser::signed_in(TokensOnLogout::Keep).await;
        let page = browser.get(&format!("?client_id=web&post_logout_redirect_uri={BYE}&state=s")).await;
        let csrf = header(&page, "set-cookie").split(';').next().unwrap().to_owned();
        let value = csrf.split_once('=').unwrap().1.to_owned();
        let post = |cookies: String, csrf: &str| {
            let form = format!("csrf={csrf}&client_id=web&post_logout_redirect_uri={BYE}&state=s");
            call("POST", "/oauth/logout").form(form.as_bytes()).header("cookie", &cookies)
        };
        for (cookies, field) in [
            (browser.cookie.clone(), value.as_str()),
            (format!("{}; {csrf}", browser.cookie), "x"),
            (format!("{}; {csrf}", browser.cookie), ""),
        ] {
            let answer = browser.test.send(post(cookies, field)).await;
            assert_eq!(answer.status(), 403);
            assert!(browser.is_signed_in().await);
        }
        let answer = browser.test.send(post(format!("{}; {csrf}", browser.cookie), &value)).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "location")),
            (302, "https://web.example.com/bye?state=s")
        );
        assert!(!browser.is_signed_in().await);
    }

    #[tokio::test]
    async fn nobody_is_sent_to_a_place_that_is_not_registered() {
        let browser = Browser::signed_in(TokensOnLogout::Keep).await;
        let hint = browser.hint().to_owned();
        for query in [
            "?post_logout_redirect_uri=https://web.example.com/bye".to_owned(),
            "?client_id=web&post_logout_redirect_uri=https://evil.example".to_owned(),
            "?client_id=web&post_logout_redirect_uri=https://web.example.com/bye/".to_owned(),
            "?client_id=web&post_logout_redirect_uri=https://web.example.com/bye%3Fx".to_owned(),
            format!("?id_token_hint={hint}&post_logout_redirect_uri=https://evil.example"),
            format!("?id_token_hint={hint}&client_id=spa"),
            "?client_id=nobody".to_owned(),
            "?client_id=web&client_id=web".to_owned(),
        ] {
            let answer = browser.get(&query).await;
            assert_eq!((answer.status().as_u16(), header(&answer, "location")), (400, ""), "{query}");
            assert!(browser.is_signed_in().await, "{query}");
        }
        // Who is not signed in is told so.
        let answer = browser.test.send(call("GET", "/oauth/logout")).await;
        assert_eq!(answer.status(), 200);
        assert!(str::from_utf8(answer.body()).unwrap().contains("Signed out"));
        let code = browser.test.code("web", "openid").await;
        assert_eq!(browser.test.send(redeem(&code).basic("web", "web-secret")).await.status(), 200);
    }
}
