//! `<prefix>/callback`: the provider sends the browser back (OpenID Connect Core section 3.1.2.5).
//!
//! The order is the security of it: the attempt's cookie is opened, the state compared, and only then the code is
//! redeemed, at the provider with which the attempt began and nowhere else. An attempt that cannot be finished (another tab, an old page, a lost cookie) never ends in a dead end:
//! with a session the browser goes on to its page, without one a new login is begun, once.

use std::sync::Arc;

use doorward_authz::DenialReason;
use doorward_core::redirect::SafeRedirect;
use doorward_net::Body;
use doorward_oidc::{Grant, PendingLogin, PublicFailure, RedeemError, WrongIssuer};
use doorward_session::{CsrfError, RequestCookies, Session, parse_state};
use doorward_telemetry::LoginOutcome;
use doorward_template::words::{Message, Words};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::{
    authenticate::{self, Freshness, authenticate},
    explain::{Explanation, Outcome, Reason},
    form::Form,
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    login::{Beginning, read_mark},
    pages::{self, Links, Problem},
    providers::Known,
    record::{AuthStatus, Record},
    redirects::{self, OwnEndpoints},
    respond, rounds,
    trouble::{self, Elsewhere, Trouble},
};

/// What Keycloak sends when its sign-in page was left open for too long and then used: another try will do.
const GIVEN_UP: &str = "temporarily_unavailable";
const TOO_LATE: &str = "authentication_expired";

pub(crate) async fn answer(gate: &Arc<Gate>, mut arrival: Arrival, record: &mut Record) -> Response<Body> {
    let form = match Form::read(&mut arrival, gate.access.semicolons).await {
        Ok(form) => form,
        Err(error) => {
            return gate
                .error_page(&arrival, &Problem::new(error.status_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
    };
    if gate.sign_in.providers.is_empty() {
        return gate.error_page(&arrival, &Problem::new(StatusCode::NOT_FOUND));
    }
    let began_at = began_at(gate, &arrival, &form);
    // Checked before anything else of the answer is believed (RFC 9207 section 2.4); a repeated one is no answer either.
    let issuer = form.only("iss").or_else(|| form.first("iss").map(|_| ""));
    if let Some(provider) = began_at
        && let Err(error) = provider.client.accepts_issuer(issuer)
    {
        return from_another_issuer(gate, &arrival, record, &error);
    }
    let given_up = match (form.first("error"), form.first("error_description")) {
        (Some(GIVEN_UP), Some(TOO_LATE)) => true,
        (Some(error), description) => return provider_error(gate, &arrival, record, (error, description)),
        (None, _) => false,
    };
    let returned = form.only("state").and_then(|state| parse_state(state, gate.sign_in.state).ok());
    let Some(returned) = returned else {
        let message = "A callback came with a missing, repeated or malformed state parameter.";
        let explanation = Explanation::new(Outcome::Deny, Reason::StateMalformed, message);
        let mend = "see whether something changes the query on its way back: a proxy, or --encode-state that only some \
                    instances have";
        gate.explain(&arrival, record, explanation.mended_by(mend));
        let problem = Problem {
            explanation: Message::AnswerIncomplete.into(),
            debug: "invalid length or form of the state parameter".into(),
            ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        };
        return gate.error_page(&arrival, &problem);
    };
    let (hash, beginning, elsewhere) = read_mark(&returned.hash);
    let target = redirects::accept(&gate.redirects, &gate.routes, &returned.redirect, OwnEndpoints::Refused)
        .unwrap_or_else(SafeRedirect::root);
    let mut login = Returned { gate, arrival: &arrival, record, target, beginning, elsewhere, began_at };
    if given_up && login.beginning == Beginning::ByPerson {
        let message = "The provider waited too long for a sign-in, which is begun anew.";
        login.explain(Explanation::new(Outcome::Login, Reason::ProviderRefused, message));
        return respond::redirect(StatusCode::FOUND, &login.restart_location(), &Method::GET);
    }
    if given_up {
        let why = "the provider waited too long for the sign-in, twice";
        return login.unusable(Reason::ProviderRefused, why, Vec::new()).await;
    }
    let matched = match login.match_attempt(hash, form.only("code")).await {
        Ok(matched) => matched,
        Err(response) => return *response,
    };
    login.finish(matched).await
}

/// Where the login began that a callback is about. With several providers only the attempt knows, if there is one.
fn began_at<'g>(gate: &'g Gate, arrival: &Arrival, form: &Form) -> Option<&'g Known> {
    let providers = &gate.sign_in.providers;
    if let Some(only) = providers.only() {
        return Some(only);
    }
    let returned = parse_state(form.only("state")?, gate.sign_in.state).ok()?;
    let (hash, ..) = read_mark(&returned.hash);
    let cookies = RequestCookies::new(arrival.headers());
    let (attempt, _) = gate.sessions.csrf.find(hash, &cookies, arrival.now).ok()?;
    providers.of_attempt(&attempt)
}

/// The answer to a login at one provider comes from another (RFC 9700 section 4.4).
fn from_another_issuer(
    gate: &Gate,
    arrival: &Arrival,
    record: &mut Record,
    error: &WrongIssuer,
) -> Response<Body> {
    let explanation = Explanation::new(Outcome::Deny, Reason::IssuerMismatch, "A callback was refused.");
    let mend = "the answer names another issuer than --oidc-issuer-url: write it as the provider does, to the letter, and see \
                whether two providers send browsers to the same callback";
    gate.explain(arrival, record, explanation.because(error).mended_by(mend));
    let problem = Problem {
        explanation: Message::AnswerFromElsewhere.into(),
        debug: error.to_string(),
        ..Problem::new(StatusCode::FORBIDDEN)
    };
    gate.error_page(arrival, &problem)
}

/// The provider sent the browser back without a code (RFC 6749 section 4.1.2.1). Its words are shown, escaped and
/// cut; they are unauthenticated.
fn provider_error(
    gate: &Gate,
    arrival: &Arrival,
    record: &mut Record,
    (error, description): (&str, Option<&str>),
) -> Response<Body> {
    let error: String = error.chars().filter(|character| !character.is_control()).take(120).collect();
    let description: String =
        description.unwrap_or("").chars().filter(|character| !character.is_control()).take(300).collect();
    let message = "Error while parsing OAuth2 callback: the provider answered with an error.";
    let redirect_uri = gate.redirects.redirect_uri.for_request(&arrival.facts);
    let Trouble { reason, cause, mend, told } = trouble::sent_back(&error, &description, &redirect_uri);
    let mut explanation = Explanation::new(Outcome::Deny, reason, message);
    explanation = explanation.because(format!("{error} {description}").trim()).mended_by(mend);
    if !cause.is_empty() {
        explanation = explanation.and(&cause);
    }
    gate.explain(arrival, record, explanation);
    let problem = Problem {
        message: Words::from(Message::ProviderError).with("error", error),
        // Its own words say most; where they are about how this site is set up, ours say what people can do.
        explanation: match told {
            Message::ProviderError => Words::Foreign(description),
            told => told.into(),
        },
        ..Problem::new(StatusCode::FORBIDDEN)
    };
    gate.error_page(arrival, &problem)
}

/// A callback whose state could be read.
struct Returned<'a> {
    gate: &'a Arc<Gate>,
    arrival: &'a Arrival,
    record: &'a mut Record,
    target: SafeRedirect,
    beginning: Beginning,
    elsewhere: Elsewhere,
    /// The answer is from there, as far as it says.
    began_at: Option<&'a Known>,
}

/// A callback that belongs to an attempt of this browser.
struct Matched<'a> {
    callback: doorward_oidc::MatchedCallback,
    provider: &'a Known,
    /// Kept with the session, as the reference does, for later checks of ID tokens.
    nonce: Vec<u8>,
    clear_csrf: HeaderValue,
}

impl<'a> Returned<'a> {
    async fn match_attempt(
        &mut self,
        hash: &str,
        code: Option<&str>,
    ) -> Result<Matched<'a>, Box<Response<Body>>> {
        let cookies = RequestCookies::new(self.arrival.headers());
        let gate = self.gate;
        let csrf = &gate.sessions.csrf;
        let (attempt, name) = match csrf.find(hash, &cookies, self.arrival.now) {
            Ok(found) => found,
            Err(CsrfError::Mismatch { name }) => {
                let clear = csrf.clear(&name, self.arrival.facts.host_str());
                return Err(Box::new(self.mismatched("the state belongs to another login", clear).await));
            }
            Err(error) => return Err(Box::new(self.lost_cookie(&error).await)),
        };
        let clear_csrf = csrf.clear(&name, self.arrival.facts.host_str());
        // Of another than the only provider, or of one that is gone: its code is for nobody else.
        let began_at = gate.sign_in.providers.of_attempt(&attempt);
        let Some(provider) = began_at.filter(|at| self.began_at.is_some_and(|own| own.id == at.id)) else {
            let why = "the login began at a provider that is not configured any more";
            return Err(Box::new(self.unusable(Reason::CsrfMismatch, why, vec![clear_csrf]).await));
        };
        let pending = PendingLogin {
            state_hash: attempt.state_hash(),
            nonce_hash: attempt.nonce_hash(),
            verifier: attempt.verifier.clone(),
        };
        let Some(code) = code.filter(|code| !code.is_empty()) else {
            let message = "Error redeeming code during OAuth2 callback: the code is missing or repeated.";
            let explanation = Explanation::new(Outcome::Deny, Reason::CodeMissing, message);
            self.explain(
                explanation
                    .mended_by("the provider has to answer with a code: see its settings for this client"),
            );
            let problem = Problem {
                explanation: Message::ProviderSentNoCode.into(),
                ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
            };
            return Err(Box::new(self.failed(&problem)));
        };
        match pending.accept(hash, code.into()) {
            Ok(callback) => Ok(Matched { callback, provider, nonce: attempt.nonce.to_vec(), clear_csrf }),
            Err(mismatch) => Err(Box::new(self.mismatched(&mismatch.to_string(), clear_csrf).await)),
        }
    }

    async fn finish(&mut self, matched: Matched<'_>) -> Response<Body> {
        let Matched { callback, provider, nonce, clear_csrf } = matched;
        let redirect_uri = self.gate.redirects.redirect_uri.for_request(&self.arrival.facts);
        let grant = match provider.client.redeem(callback, &redirect_uri, self.arrival.now).await {
            Ok(grant) => grant,
            Err(error) => return self.redeem_failed(&error, &redirect_uri, clear_csrf),
        };
        let session = Arc::new(self.session(grant, nonce, provider));
        let user = session.identity.display_name().to_owned();
        if let Err(denial) = self.gate.check_at_login(&session) {
            self.record.identify(&session);
            let message = "Invalid authentication via OAuth2: unauthorized";
            self.gate.log_auth(self.arrival, AuthStatus::Failure, &user, message);
            let groups = session.identity.groups.len();
            let seen = format!("the provider named {groups} groups of the account");
            let explanation = Explanation::denial(&denial);
            let is_of_groups = denial.reason == DenialReason::GroupMissing;
            self.explain(if is_of_groups { explanation.and(&seen) } else { explanation });
            return with_cookies(self.failed(&Problem::denied(&denial, &user)), vec![clear_csrf]);
        }
        self.record.identify(&session);
        match authenticate::replace(self.gate, self.arrival, &session).await {
            Ok(mut set_cookies) => {
                let message = format!("Authenticated via OAuth2: {}", session.summary());
                self.gate.log_auth(self.arrival, AuthStatus::Success, &user, &message);
                self.record.decide(Explanation::new(Outcome::Permit, Reason::LoginFinished, ""));
                self.gate.telemetry.metrics.login(LoginOutcome::Accepted);
                set_cookies.push(clear_csrf);
                set_cookies.extend(rounds::count(self.gate, self.arrival, &session.identity.user));
                let answer = with_cookies(respond::redirect_to(&self.target, &Method::GET), set_cookies);
                trouble::note_size(self.gate, self.arrival, answer.headers());
                answer
            }
            Err(error) => {
                let message = "Error saving session state.";
                let explanation = Explanation::new(Outcome::Error, Reason::SessionNotSaved, message);
                self.explain(explanation.because(&error).mended_by(trouble::STORE));
                let problem = Problem {
                    explanation: Message::SignInNotKept.into(),
                    debug: error.to_string(),
                    ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                };
                with_cookies(self.failed(&problem), vec![clear_csrf])
            }
        }
    }

    fn session(&self, grant: Grant, nonce: Vec<u8>, provider: &Known) -> Session {
        let expire = self.gate.sessions.lifetime;
        let expires_on =
            grant.expires_on.or_else(|| expire.map(|expire| self.arrival.now.saturating_add(expire)));
        let mut session = Session {
            created_at: Some(self.arrival.now),
            expires_on,
            tokens: grant.tokens,
            nonce: Some(nonce),
            identity: grant.identity,
            provider: self.gate.sign_in.providers.mark(provider),
            ..Session::default()
        };
        self.gate.mark(&mut session, self.arrival.now);
        session
    }

    fn redeem_failed(
        &mut self,
        error: &RedeemError,
        redirect_uri: &str,
        clear_csrf: HeaderValue,
    ) -> Response<Body> {
        let mut problem =
            Problem { debug: error.to_string(), ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR) };
        let failure = error.public();
        let Trouble { reason, cause, mend, told } = trouble::not_redeemed(error, redirect_uri);
        problem.explanation = match &failure {
            PublicFailure::AudienceMismatch { claim, values, expected, .. } => Words::from(told)
                .with("claim", claim.as_str())
                .with("values", values.join(", "))
                .with("expected", expected.join(", ")),
            _ if told == Message::TokenForSomebodyElse => Message::TokenNotVerified.into(),
            _ => told.into(),
        };
        if matches!(failure, PublicFailure::NonceMismatch) {
            let message = "Session validation failed: the nonce is not the one of this login";
            let explanation = Explanation::new(Outcome::Deny, Reason::NonceMismatch, message);
            let explanation = explanation.because(error).mended_by(mend);
            self.gate.explain_as(self.arrival, self.record, ("", message), explanation);
        } else {
            let message = "Error redeeming code during OAuth2 callback.";
            let explanation = Explanation::new(Outcome::Deny, reason, message).because(error).mended_by(mend);
            self.explain(if cause.is_empty() { explanation } else { explanation.and(&cause) });
        }
        match failure {
            PublicFailure::NonceMismatch => {
                problem.status = StatusCode::FORBIDDEN;
                with_cookies(self.failed(&problem), vec![clear_csrf])
            }
            PublicFailure::AudienceMismatch { mend, .. } => {
                problem.mend = Words::english(mend);
                self.failed(&problem)
            }
            _ => self.failed(&problem),
        }
    }

    /// The cookie is that of another login than the state.
    async fn mismatched(&mut self, why: &str, clear_csrf: HeaderValue) -> Response<Body> {
        let message = "Invalid authentication via OAuth2: CSRF token mismatch, potential attack";
        let explanation = Explanation::new(Outcome::Deny, Reason::CsrfMismatch, message).because(why).mended_by(
            "another tab or page began a login meanwhile: set --cookie-csrf-per-request, so that each has its own cookie",
        );
        self.gate.explain_as(self.arrival, self.record, ("", message), explanation);
        match self.of_somebody_known(vec![clear_csrf]).await {
            Ok(response) => response,
            Err(set_cookies) => self.begin_anew(Message::BegunElsewhere, set_cookies),
        }
    }

    /// The browser did not send the cookie of this login, or none that is good.
    async fn lost_cookie(&mut self, error: &CsrfError) -> Response<Body> {
        let Trouble { reason, cause, mend, told } =
            trouble::lost_cookie(self.gate, self.arrival, error, self.elsewhere);
        let (message, result) = match self.of_somebody_known(Vec::new()).await {
            Ok(response) => {
                ("A callback of another login attempt came from somebody who is signed in.", Ok(response))
            }
            Err(set_cookies) => ("A login could not be finished.", Err(set_cookies)),
        };
        let explanation = Explanation::new(Outcome::Deny, reason, message).because(error).mended_by(mend);
        self.explain(if cause.is_empty() { explanation } else { explanation.and(&cause) });
        result.unwrap_or_else(|set_cookies| self.begin_anew(told, set_cookies))
    }

    /// A login that came back but cannot be used.
    async fn unusable(&mut self, reason: Reason, why: &str, set_cookies: Vec<HeaderValue>) -> Response<Body> {
        let (message, result) = match self.of_somebody_known(set_cookies).await {
            Ok(response) => {
                ("A callback of another login attempt came from somebody who is signed in.", Ok(response))
            }
            Err(set_cookies) => ("A login could not be finished.", Err(set_cookies)),
        };
        self.explain(Explanation::new(Outcome::Deny, reason, message).because(why));
        result.unwrap_or_else(|set_cookies| self.begin_anew(Message::BegunElsewhere, set_cookies))
    }

    /// Whoever has a session goes on to the page, whatever became of this attempt. For others, the cookies to send.
    async fn of_somebody_known(
        &self,
        mut set_cookies: Vec<HeaderValue>,
    ) -> Result<Response<Body>, Vec<HeaderValue>> {
        let visitor = authenticate(self.gate, self.arrival, Freshness::AsStored).await;
        set_cookies.extend(visitor.set_cookies.iter().cloned());
        if visitor.session().is_none() {
            return Err(set_cookies);
        }
        Ok(with_cookies(respond::redirect_to(&self.target, &Method::GET), set_cookies))
    }

    /// The page that says so, and once leads to another login by itself.
    fn begin_anew(&self, told: Message, set_cookies: Vec<HeaderValue>) -> Response<Body> {
        let problem = Problem {
            message: Message::NoCsrf.into(),
            explanation: told.into(),
            links: Links::Retry(self.target.clone()),
            ..Problem::new(StatusCode::FORBIDDEN)
        };
        let page = with_cookies(self.failed(&problem), set_cookies);
        match self.beginning {
            Beginning::ByPerson => pages::with_refresh(page, &self.restart_location()),
            Beginning::Restarted => page,
        }
    }

    fn restart_location(&self) -> String {
        let rd: String = form_urlencoded::byte_serialize(self.target.as_str().as_bytes()).collect();
        let at = self.began_at.filter(|_| self.gate.sign_in.providers.are_several());
        let provider = at.map(|at| form_urlencoded::byte_serialize(at.id.as_bytes()).collect::<String>());
        let provider = provider.map(|id| format!("&provider={id}")).unwrap_or_default();
        format!("{}/start?restarted=true&rd={rd}{provider}", self.gate.routes.prefix)
    }

    fn failed(&self, problem: &Problem) -> Response<Body> {
        let outcome =
            if problem.status == StatusCode::FORBIDDEN { LoginOutcome::Denied } else { LoginOutcome::Failed };
        self.gate.telemetry.metrics.login(outcome);
        self.gate.error_page(self.arrival, problem)
    }

    fn explain(&mut self, explanation: Explanation) {
        self.gate.explain(self.arrival, self.record, explanation);
    }
}
