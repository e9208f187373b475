//! The authorization endpoint (norm A3): a request is checked, its user found, asked if need be, and the client gets a
//! code or token. Browsers are asked by pages; programs by a challenge, which a page can never set off.

mod challenge;
mod consent;
mod redirect_uri;
mod reply;
mod request;
mod who;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use doorward_accounts::{
    CodeRedirect, LoginFacts, NewCode, NewToken, Redeemed, Refreshing, Scopes, Session, Subject, TokenRules,
    Unavailable, User,
};
use doorward_template::words::{Message, Words};
use http::{HeaderValue, Method, StatusCode, header::SET_COOKIE};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::{
    challenge::filled,
    reply::{form_target, place},
    request::Request,
};
use self::{
    reply::Delivery,
    request::{Code, FRESH, Fault, Prompt, Refused, Registry, ResponseType},
    who::Who,
};
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    config::{Client, Config, Consent, GrantType, PROXY_CLIENT, ProviderChoice, ResponseStyle, SessionMode},
    idp::{Reason, Vouched},
    pages::{ChoicePage, Notice, with_browser},
    params::{InvalidParams, Lists, Params},
    scope,
    throttle::Turn,
};

/// What the demand for a new login is kept as.
const FRESH_KIND: &str = "fresh";
/// How long a person may take to sign in anew.
const FRESH_LIFE: Duration = Duration::from_hours(1);

/// The demand for a new login. The address that carries its name can be handed to others, so it counts in one browser.
#[derive(Debug, Serialize, Deserialize)]
struct Demand {
    /// Seconds since the Unix epoch.
    made: i64,
    browser: String,
}

/// Somebody who is known, for one request.
struct Known {
    user: User,
    provider: String,
    amr: Vec<String>,
    /// Seconds since the Unix epoch.
    auth_time: i64,
    session: Option<Session>,
    /// For a session that was opened just now.
    cookie: Option<HeaderValue>,
}

impl OAuthServer {
    /// The authorization endpoint.
    pub(crate) async fn authorize(&self, call: &Call) -> Answer {
        let params = match authorize_params(call) {
            Ok(params) => params,
            Err(why) => {
                return self.refuse(&Refused::Here(Fault::new(Code::InvalidRequest, why.to_string())), call);
            }
        };
        let request = match Request::read(&params, self.registry()) {
            Ok(request) => request,
            Err(refused) => return self.refuse(&refused, call),
        };
        // A form of another site comes without our cookies; asked for anew, it comes with them.
        if call.method == Method::POST && request.client.responses == ResponseStyle::Pages {
            return answer::see_other(&self.authorize_path(&request.query));
        }
        let known = match self.who(request.client, call).await {
            Who::Session(found) => Known::by_session(*found),
            Who::Vouched(vouched) => Known::by_proof(*vouched, call),
            Who::Refused(reason) if request.client.responses == ResponseStyle::Challenges => {
                return self.challenge(&request, Some(reason), call);
            }
            Who::Refused(reason @ (Reason::MappingClaim | Reason::MappingLookup)) => {
                let sentence = reason.message();
                return self.pages.to(call).notice(Notice::new(
                    StatusCode::FORBIDDEN,
                    Message::YouAreNotSignedIn,
                    sentence,
                ));
            }
            Who::Nobody | Who::Refused(_) => return self.ask_to_sign_in(&request, call).await,
            Who::Malformed(why) => {
                return self.refuse(&Refused::Here(Fault::new(Code::InvalidRequest, why)), call);
            }
            Who::Unavailable(why) => return self.no_store("authorize", call, &why),
        };
        match self.decide(&request, known, call).await {
            Ok(answer) => answer,
            Err(why) => self.no_store("authorize", call, &why.to_string()),
        }
    }

    /// What happens to the request of somebody who is known.
    async fn decide(&self, request: &Request<'_>, known: Known, call: &Call) -> Result<Answer, Unavailable> {
        let Some(known) = self.fresh_enough(request, known, call).await? else {
            return Ok(self.ask_to_sign_in(request, call).await);
        };
        match self.hint_is_about(request, &known.user, call).await? {
            Hint::SameUser => (),
            Hint::OtherUser => {
                let refused = request.refused(Code::LoginRequired, "another user is signed in");
                return self.refuse_known(&refused, known, call).await;
            }
            Hint::Unreadable => {
                let refused = request.refused(Code::InvalidRequest, "the id_token_hint is no token of ours");
                return self.refuse_known(&refused, known, call).await;
            }
        }
        if request.client.consent == Consent::Deny {
            let refused = request.refused(Code::AccessDenied, "nobody may use this client");
            return self.refuse_known(&refused, known, call).await;
        }
        let subject = Subject::of_user(&known.user);
        let consented = match request.client.consent {
            Consent::Auto => request.scopes.clone(),
            Consent::Prompt | Consent::Deny => {
                self.accounts.consented(&subject, &request.client.id, call.now).await?
            }
        };
        let missing = request.scopes.clone().without(&consented);
        if missing.is_empty() && !request.prompt.wants_consent() {
            return self.give(request, known, &request.scopes, call).await;
        }
        if request.prompt == Prompt::Silent || request.client.responses == ResponseStyle::Challenges {
            let refused = request.refused(Code::ConsentRequired, "the user has not agreed to all scopes yet");
            return self.refuse_known(&refused, known, call).await;
        }
        let asked = if request.prompt.wants_consent() { request.scopes.clone() } else { missing };
        self.ask_for_consent(request, known, &asked, call).await
    }

    /// Somebody who has signed in recently enough; `None` if they have to sign in anew.
    async fn fresh_enough(
        &self,
        request: &Request<'_>,
        known: Known,
        call: &Call,
    ) -> Result<Option<Known>, Unavailable> {
        if self.is_fresh_enough(request, &known, call).await? {
            return Ok(Some(known));
        }
        // A front proxy or a certificate opens no session by itself: back from there, or where there is no page to go to,
        // what comes with the request is the new login.
        if request.fresh.is_none() && self.offered().next().is_some() {
            return Ok(None);
        }
        let Who::Vouched(vouched) = self.proven(request.client, call).await else { return Ok(None) };
        let known = Known::by_proof(*vouched, call);
        Ok(self.is_fresh_enough(request, &known, call).await?.then_some(known))
    }

    /// Whether the user has signed in recently enough for what the client wants.
    async fn is_fresh_enough(
        &self,
        request: &Request<'_>,
        known: &Known,
        call: &Call,
    ) -> Result<bool, Unavailable> {
        let age = u64::try_from(call.now.seconds.saturating_sub(known.auth_time)).unwrap_or(0);
        // Zero is never recent enough, also within the same second (OpenID Connect Core 1.0 section 3.1.2.1).
        let too_old = request.max_age.is_some_and(|most| most.is_zero() || most.as_secs() < age);
        if !too_old && !request.prompt.wants_login() {
            return Ok(true);
        }
        // Who proves it with this very request has signed in just now, unless a choice of account is wanted.
        if known.session.is_none() && !request.prompt.wants_account() {
            if let Some(raw) = &request.fresh {
                self.accounts.take_once::<Demand>(FRESH_KIND, raw, call.now).await?;
            }
            return Ok(true);
        }
        let Some(raw) = &request.fresh else { return Ok(false) };
        let demand: Option<Demand> = self.accounts.look_once(FRESH_KIND, raw, call.now).await?;
        let browser = self.cookies.fingerprint(&call.headers);
        let is_met = |demand: Demand| demand.made <= known.auth_time && Some(demand.browser) == browser;
        if !demand.is_some_and(is_met) {
            return Ok(false);
        }
        // Once: whoever finds the address in the history has to sign in anew.
        Ok(self.accounts.take_once::<Demand>(FRESH_KIND, raw, call.now).await?.is_some())
    }

    /// Whether the ID token that the client shows is about this user.
    async fn hint_is_about(
        &self,
        request: &Request<'_>,
        user: &User,
        call: &Call,
    ) -> Result<Hint, Unavailable> {
        let Some(hint) = &request.id_token_hint else { return Ok(Hint::SameUser) };
        let Ok(keys) = self.accounts.keys(call.now).await else { return Err(Unavailable::Unreadable) };
        // It may have expired: it is a hint, and shows only whom the client knows.
        let Ok(verified) = keys.verify(hint.expose(), call.now) else { return Ok(Hint::Unreadable) };
        let claims = verified.claims();
        let says = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_for_client = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(&request.client.id)),
            one => one.and_then(Value::as_str) == Some(&request.client.id),
        };
        // Whatever else is signed with these keys says its type.
        let is_id_token = matches!(verified.token_type(), None | Some("jwt"));
        if says("iss") != Some(self.config.issuer.as_str()) || !is_for_client || !is_id_token {
            return Ok(Hint::Unreadable);
        }
        Ok(if says("sub") == Some(user.uid.as_str()) { Hint::SameUser } else { Hint::OtherUser })
    }

    /// Nobody is signed in, or not recently enough: programs are challenged, people are led to a page.
    async fn ask_to_sign_in(&self, request: &Request<'_>, call: &Call) -> Answer {
        if request.client.responses == ResponseStyle::Challenges {
            return self.challenge(request, None, call);
        }
        if request.prompt == Prompt::Silent {
            return self.refuse(&request.refused(Code::LoginRequired, "nobody is signed in"), call);
        }
        if !request.prompt.wants_login() && request.max_age.is_none() {
            return self.lead_to_login(request, &request.query, call);
        }
        if self.throttle.begins(call.client, call.now) == Turn::Later {
            return self.too_many_logins(call);
        }
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        let demand = Demand { made: call.now.seconds, browser: browser.fingerprint() };
        match self.accounts.keep_once(FRESH_KIND, &demand, FRESH_LIFE, call.now).await {
            Ok(raw) => {
                let query = form_urlencoded::Serializer::new(request.query.clone())
                    .append_pair(FRESH, raw.expose())
                    .finish();
                with_browser(self.lead_to_login(request, &query, call), &browser)
            }
            Err(why) => self.no_store("authorize", call, &why.to_string()),
        }
    }

    fn lead_to_login(&self, request: &Request<'_>, query: &str, call: &Call) -> Answer {
        let offered: Vec<&str> = self.offered().map(|provider| provider.name.as_str()).collect();
        let wanted = request.provider.map(|provider| provider.name.as_str());
        let one = match (wanted, offered.as_slice()) {
            (Some(wanted), all) => all.iter().find(|name| **name == wanted).copied(),
            (None, [only]) if self.config.provider_choice == ProviderChoice::WhenSeveral => Some(*only),
            (None, _) => None,
        };
        match one {
            Some(name) => {
                let mut onward = form_urlencoded::Serializer::new(String::new());
                onward.append_pair("then", &self.authorize_path(query));
                answer::redirect(&format!(
                    "{}?{}",
                    self.path(&format!("/oauth/login/{name}")),
                    onward.finish()
                ))
            }
            None if wanted.is_some() || offered.is_empty() => self.no_way_to_sign_in(call),
            None => {
                let address = |name: &'_ str| {
                    let query =
                        form_urlencoded::Serializer::new(query.to_owned()).append_pair("idp", name).finish();
                    self.authorize_path(&query)
                };
                let providers = offered.iter().map(|name| (*name, address(name))).collect();
                self.pages.to(call).choice(ChoicePage { client: request.client.display_name(), providers })
            }
        }
    }

    pub(crate) fn no_way_to_sign_in(&self, call: &Call) -> Answer {
        self.pages.to(call).notice(Notice {
            explanation: Message::AskTheOperator.into(),
            mend: Words::english(
                "No identity provider with login: true fits this request. With a client certificate or a front proxy, \
                 the request has to carry it.",
            ),
            ..Notice::new(StatusCode::FORBIDDEN, Message::NoWayToSignIn, Message::NoWayWithBrowser)
        })
    }

    /// Gives the client what it asked for, in part or whole.
    async fn give(
        &self,
        request: &Request<'_>,
        known: Known,
        scopes: &Scopes,
        call: &Call,
    ) -> Result<Answer, Unavailable> {
        let known = self.with_session(request, known, call).await?;
        let delivery = match request.response {
            ResponseType::Code => self.issue_code(request, &known, scopes, call).await?,
            ResponseType::Token => self.issue_token(request, &known, scopes, call).await?,
        };
        Line::new("authorize", Outcome::Permit)
            .user(&known.user.name)
            .client_id(&request.client.id)
            .authenticator(&known.provider)
            .write(call);
        self.end_of_flow(self.delivered(delivery, request, call), known, call).await
    }

    /// A session for people who came without one, so that the next client needs no further login.
    async fn with_session(
        &self,
        request: &Request<'_>,
        known: Known,
        call: &Call,
    ) -> Result<Known, Unavailable> {
        let is_wanted = request.client.responses == ResponseStyle::Pages
            && self.config.session.mode == SessionMode::Sso
            && known.session.is_none();
        if is_wanted { self.begin_session(known, call).await } else { Ok(known) }
    }

    async fn begin_session(&self, known: Known, call: &Call) -> Result<Known, Unavailable> {
        let vouched = Vouched { user: known.user, provider: known.provider, amr: known.amr };
        let (raw, session) = self.open_session(&vouched, call).await?;
        let cookie = Some(self.cookies.set_session(&raw));
        Ok(Known { cookie, ..Known::by_session((vouched.user, session)) })
    }

    async fn issue_code(
        &self,
        request: &Request<'_>,
        known: &Known,
        scopes: &Scopes,
        call: &Call,
    ) -> Result<Delivery, Unavailable> {
        let redirect = match &request.redirect_sent {
            Some(sent) => CodeRedirect::Asked(sent.clone()),
            None => CodeRedirect::Only(request.reply.redirect_uri().to_owned()),
        };
        // OpenID Connect clients say that they want to go on without the user (Core section 11).
        let wants_refresh = !scopes.contains(scope::OPENID) || scopes.contains(scope::OFFLINE_ACCESS);
        let refreshing = if wants_refresh && request.client.may_use(GrantType::RefreshToken) {
            Refreshing::Allowed
        } else {
            Refreshing::NotAllowed
        };
        self.will_hear(request.client, known, call).await?;
        let new = NewCode {
            client: request.client.id.clone(),
            subject: Subject::of_user(&known.user),
            scopes: scopes.clone(),
            audience: request.audience.clone(),
            redirect,
            challenge: request.challenge.clone(),
            login: self.login_facts(request, known),
            rules: token_rules(request.client),
            refreshing,
        };
        let code = self.accounts.issue_code(new, call.now).await?;
        Ok(request.reply.deliver(self.config.issuer.as_str(), &[("code", code.expose())]))
    }

    /// A client that wants to hear of logouts is noted before it learns of the login.
    async fn will_hear(&self, client: &Client, known: &Known, call: &Call) -> Result<(), Unavailable> {
        match (&known.session, self.config.session.mode) {
            (Some(session), SessionMode::Sso) if client.back_channel_logout_uri.is_some() => {
                self.accounts.note_client_of_session(session, &client.id, call.now).await
            }
            _ => Ok(()),
        }
    }

    async fn issue_token(
        &self,
        request: &Request<'_>,
        known: &Known,
        scopes: &Scopes,
        call: &Call,
    ) -> Result<Delivery, Unavailable> {
        self.will_hear(request.client, known, call).await?;
        let new = NewToken {
            client: request.client.id.clone(),
            subject: Subject::of_user(&known.user),
            scopes: scopes.clone(),
            audience: request.audience.clone(),
            rules: token_rules(request.client),
            login: self.login_facts(request, known),
        };
        let login = new.login.clone();
        let Ok(keys) = self.accounts.keys(call.now).await else { return Err(Unavailable::Unreadable) };
        let issued = self.accounts.issue_token(new, call.now).await?;
        let redeemed = Redeemed { issued, scopes: scopes.clone(), login, user: Some(known.user.clone()) };
        let Ok((access, life)) = self.formed(&redeemed, &keys, call.now) else {
            return Err(Unavailable::Unreadable);
        };
        let scope = scopes.to_string();
        let expires = life.map(|left| left.as_secs().to_string());
        let mut parameters =
            vec![("access_token", access.expose().as_str()), ("scope", &scope), ("token_type", "Bearer")];
        if let Some(seconds) = &expires {
            parameters.push(("expires_in", seconds));
        }
        Ok(request.reply.deliver(self.config.issuer.as_str(), &parameters))
    }

    fn login_facts(&self, request: &Request<'_>, known: &Known) -> LoginFacts {
        // A session that ends with the flow is nothing that anybody could refer to later.
        let session = match self.config.session.mode {
            SessionMode::Sso => known.session.as_ref().map(|session| session.sid.clone()),
            SessionMode::PerFlow => None,
        };
        LoginFacts {
            auth_time: Some(known.auth_time),
            amr: known.amr.clone(),
            session,
            nonce: request.nonce.clone(),
        }
    }

    /// What a page has to name in `form-action` if its form ends at the client of this request. Our own sign-in leads
    /// from there to the page that was wanted first, which may be elsewhere.
    pub(crate) fn form_targets(&self, request: &Request<'_>) -> String {
        let first = request.reply.form_target();
        let further =
            if request.client.id == PROXY_CLIENT { self.config.own_targets.as_slice() } else { &[] };
        further.iter().fold(first, |all, target| format!("{all} {target}"))
    }

    fn delivered(&self, delivery: Delivery, request: &Request<'_>, call: &Call) -> Answer {
        self.sent(delivery, &request.reply.form_target(), call)
    }

    fn sent(&self, delivery: Delivery, target: &str, call: &Call) -> Answer {
        match delivery {
            Delivery::Redirect(location) => answer::redirect(location.expose()),
            Delivery::Form { action, fields } => self.pages.to(call).form_post(&action, &fields, target),
        }
    }

    async fn refuse_known(
        &self,
        refused: &Refused,
        known: Known,
        call: &Call,
    ) -> Result<Answer, Unavailable> {
        self.end_of_flow(self.refuse(refused, call), known, call).await
    }

    /// The answer with the session, which ends here if it was for this flow only, however that went.
    async fn end_of_flow(
        &self,
        mut answer: Answer,
        known: Known,
        call: &Call,
    ) -> Result<Answer, Unavailable> {
        match (self.config.session.mode, known.session) {
            (SessionMode::PerFlow, Some(session)) => {
                self.accounts.end_session_by_sid(&session.sid, call.now).await?;
                answer.headers_mut().append(SET_COOKIE, self.cookies.clear_session());
            }
            _ => {
                if let Some(cookie) = known.cookie {
                    answer.headers_mut().append(SET_COOKIE, cookie);
                }
            }
        }
        Ok(answer)
    }

    /// Tells an error: to the client, or to whoever asks.
    fn refuse(&self, refused: &Refused, call: &Call) -> Answer {
        match refused {
            Refused::Here(fault) => {
                log_refusal(fault, call);
                let Fault { code, description } = fault;
                if wants_page(call) {
                    self.pages.to(call).notice(Notice {
                        explanation: Message::LinkIsWrong.into(),
                        ..Notice::new(
                            StatusCode::BAD_REQUEST,
                            Message::RequestNotGranted,
                            Words::english(sentence(description)),
                        )
                    })
                } else {
                    answer::oauth_error(StatusCode::BAD_REQUEST, code.name(), description)
                }
            }
            Refused::There(reply, fault) => {
                log_refusal(fault, call);
                let parameters =
                    [("error", fault.code.name()), ("error_description", fault.description.as_str())];
                self.sent(reply.deliver(self.config.issuer.as_str(), &parameters), &reply.form_target(), call)
            }
        }
    }

    pub(crate) const fn registry(&self) -> Registry<'_> {
        Registry { config: &self.config, clients: &self.clients }
    }

    /// The path of this endpoint with a query.
    pub(crate) fn authorize_path(&self, query: &str) -> String {
        format!("{}?{query}", self.path("/oauth/authorize"))
    }
}

fn log_refusal(fault: &Fault, call: &Call) {
    let reason = format!("{}: {}", fault.code.name(), fault.description);
    Line::new("authorize", Outcome::Deny).reason(&reason).write(call);
}

/// Where a request leads, granted or refused; `None`: nowhere. For fuzzing.
pub(crate) fn target(query: &str, config: &Config, clients: &BTreeMap<String, Client>) -> Option<String> {
    let params = Params::of_text(query).ok()?;
    let reply = match Request::read(&params, Registry { config, clients }) {
        Ok(request) => request.reply,
        Err(Refused::There(reply, _)) => reply,
        Err(Refused::Here(_)) => return None,
    };
    match reply.deliver(config.issuer.as_str(), &[("code", "c")]) {
        Delivery::Redirect(target) => Some(target.into_exposed()),
        Delivery::Form { .. } => None,
    }
}

/// What an ID token that a client shows says about the user.
enum Hint {
    SameUser,
    OtherUser,
    Unreadable,
}

impl Known {
    fn by_session((user, session): (User, Session)) -> Self {
        Self {
            user,
            provider: session.provider.clone(),
            amr: session.amr.clone(),
            auth_time: session.auth_time,
            session: Some(session),
            cookie: None,
        }
    }

    fn by_proof(vouched: Vouched, call: &Call) -> Self {
        let Vouched { user, provider, amr } = vouched;
        Self { user, provider, amr, auth_time: call.now.seconds, session: None, cookie: None }
    }
}

/// Parameters stand in the query of a GET, or in the body of a POST (`OpenID Connect` Core section 3.1.2.1).
fn authorize_params(call: &Call) -> Result<Params, InvalidParams> {
    let query = Params::of_query(call)?;
    if call.method != Method::POST {
        return Ok(query);
    }
    if query.is_empty() { Params::of_body(call, Lists::Refused) } else { Err(InvalidParams::Both) }
}

fn token_rules(client: &Client) -> TokenRules {
    TokenRules { access: client.access_token_max_age, inactivity: client.inactivity }
}

/// Whether whoever asks is a browser: it accepts pages, or says nothing of what it accepts and names itself as one.
pub(crate) fn wants_page(call: &Call) -> bool {
    let text =
        |name: http::HeaderName| call.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let accept = text(http::header::ACCEPT);
    let accepts_pages = accept.split(',').any(|one| {
        let media = one.split(';').next().unwrap_or("").trim();
        media.eq_ignore_ascii_case("text/html") || media.eq_ignore_ascii_case("application/xhtml+xml")
    });
    accepts_pages
        || (matches!(accept.trim(), "" | "*/*") && text(http::header::USER_AGENT).starts_with("Mozilla"))
}

/// A description as a sentence.
pub(crate) fn sentence(description: &str) -> String {
    let mut letters = description.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}
