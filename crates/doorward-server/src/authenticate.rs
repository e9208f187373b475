//! Who is asking? A bearer token or password in the request, else the stored session, refreshed when it is due.
//!
//! Three-valued throughout: nothing presented, accepted, refused. A credential that cannot be checked (store down)
//! is never a yes and never ends a session.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_authn::{
    Attempt as Credential, Refusal,
    basic::{self, Presented},
    bearer::{BearerAttempt, BearerRefusal, OnRefusal},
};
use doorward_authz::{Attempt, Judged, Provenance, Verdict, Who};
use doorward_core::{SecretString, Timestamp};
use doorward_oidc::{IdTokenError, RefreshError, Validity};
use doorward_session::{
    Cleared, LoadError, Loaded, Lock, LockError, RequestCookies, SaveError, Saved, SealedWith, Session,
    SessionKey, Updated, Visit,
};
use doorward_telemetry::RefreshOutcome;
use http::{HeaderValue, header::AUTHORIZATION};

use crate::{
    api::{Caller, SESSION},
    explain::Shortfall,
    gate::Gate,
    ingress::Arrival,
    providers::Known as Provider,
    record::AuthStatus,
    refresh::{AttemptResult, Due, End, Outcome, Refreshed, Turn},
};

/// What authentication found.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub standing: Standing,
    /// What was found wrong on the way, for the log.
    pub shortfall: Shortfall,
    /// Cookies to send with whatever the answer will be: refreshed or removed sessions.
    pub set_cookies: Vec<HeaderValue>,
    /// The stored session that says who this is, by the name it has from now on.
    pub key: Option<SessionKey>,
    /// The same visitor in the words of APIs; set only where [`crate::api`] runs.
    pub caller: Option<Box<Caller>>,
}

#[derive(Debug)]
pub(crate) enum Standing {
    Nobody,
    /// There may be a session, but the store cannot be asked.
    Unknown,
    /// A credential came that is worth nothing, and no other may be tried (`--bearer-token-login-fallback=false`).
    Forbidden,
    /// Credentials came, and none is worth anything ([`crate::api`]).
    Rejected,
    /// What came can be read in several ways ([`crate::api`]).
    Malformed,
    Known(Known),
}

/// Somebody with a session.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub session: Arc<Session>,
    pub provenance: Provenance,
}

impl Visitor {
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        match &self.standing {
            Standing::Known(known) => Some(&known.session),
            Standing::Nobody
            | Standing::Unknown
            | Standing::Forbidden
            | Standing::Rejected
            | Standing::Malformed => None,
        }
    }

    /// Whether a stored session or a password says who this is, and no credential of an API.
    pub(crate) fn is_of_session(&self) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.authenticator == SESSION)
    }

    /// The visitor in the words of policy.
    pub(crate) fn attempt(&self) -> Attempt<'_> {
        match &self.standing {
            Standing::Known(known) => {
                let Session { identity, provider, .. } = &*known.session;
                Attempt::Accepted(Who {
                    identity,
                    provenance: known.provenance,
                    provider: provider.as_deref(),
                })
            }
            Standing::Nobody => Attempt::NotPresented,
            // Where anonymous requests pass, those of whom nobody can tell do not.
            Standing::Unknown | Standing::Forbidden | Standing::Rejected | Standing::Malformed => {
                Attempt::Refused
            }
        }
    }

    pub(crate) const fn without(standing: Standing, shortfall: Shortfall) -> Self {
        Self { standing, shortfall, set_cookies: Vec::new(), key: None, caller: None }
    }

    const fn nobody(shortfall: Shortfall) -> Self {
        Self::without(Standing::Nobody, shortfall)
    }

    pub(crate) const fn known(session: Arc<Session>, provenance: Provenance) -> Self {
        Self::without(Standing::Known(Known { session, provenance }), Shortfall::NoSession)
    }
}

/// Whether a due session may be refreshed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Unless the request, judged like this, is let through without a session anyway.
    Renewed(Judged),
    /// In any case.
    RenewedWhenDue,
    /// A sign-out is not worth a call to the provider.
    AsStored,
}

/// The chain: the first scheme that accepts wins; a refused credential is noted and the next scheme is asked.
pub(crate) async fn authenticate(gate: &Arc<Gate>, arrival: &Arrival, freshness: Freshness) -> Visitor {
    let mut shortfall = Shortfall::NoSession;
    match by_bearer_token(gate, arrival).await {
        Token::None => {}
        Token::Accepted(session) => return Visitor::known(session, Provenance::Provider),
        Token::Refused(refusal, OnRefusal::TryNext) => shortfall = Shortfall::Bearer(refusal),
        Token::Refused(refusal, OnRefusal::Forbid) => {
            return Visitor::without(Standing::Forbidden, Shortfall::Bearer(refusal));
        }
    }
    without_tokens(gate, arrival, freshness, shortfall).await
}

/// The rest of the chain: a password, then the stored session. `shortfall` is what was found wrong before.
pub(crate) async fn without_tokens(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    freshness: Freshness,
    mut shortfall: Shortfall,
) -> Visitor {
    match by_password(gate, arrival).await {
        Password::None => {}
        Password::Accepted(session) => return Visitor::known(session, Provenance::PasswordFile),
        Password::Refused(refusal) => shortfall = Shortfall::Password(refusal),
    }
    let mut visitor = by_stored_session(gate, arrival, freshness).await;
    visitor.shortfall = shortfall.or(visitor.shortfall);
    visitor
}

/// What a bearer token came to.
enum Token {
    None,
    Accepted(Arc<Session>),
    Refused(BearerRefusal, OnRefusal),
}

/// Sessions of bearer tokens live for one request: they are never stored, refreshed or turned into cookies.
async fn by_bearer_token(gate: &Gate, arrival: &Arrival) -> Token {
    let Some(bearer) = &gate.sign_in.bearer else { return Token::None };
    let Some(header) = arrival.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return Token::None;
    };
    // Here and below, what is large and rare is boxed, so that ordinary requests do not carry the space for it.
    match Box::pin(bearer.tokens.attempt(Some(header), arrival.now)).await {
        BearerAttempt::NotPresented => Token::None,
        BearerAttempt::Accepted { grant, provider } => Token::Accepted(Arc::new(Session {
            created_at: Some(arrival.now),
            expires_on: grant.expires_on,
            tokens: grant.tokens,
            identity: grant.identity,
            provider,
            ..Session::default()
        })),
        BearerAttempt::Refused(refusal) => Token::Refused(refusal, bearer.on_refusal),
    }
}

/// What a password in the `Authorization` header came to.
enum Password {
    None,
    Accepted(Arc<Session>),
    Refused(Refusal),
}

async fn by_password(gate: &Gate, arrival: &Arrival) -> Password {
    let Some(htpasswd) = &gate.sign_in.htpasswd else { return Password::None };
    let Some(header) = arrival.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes) else {
        return Password::None;
    };
    match Box::pin(htpasswd.attempt_basic(Some(header), arrival.facts.client, Instant::now())).await {
        Credential::NotPresented => Password::None,
        Credential::Refused(refusal) => {
            let user = match basic::read(Some(header)) {
                Presented::Credentials(credentials) => credentials.user,
                Presented::Nothing | Presented::Malformed(_) => String::new(),
            };
            let message = match refusal {
                // The reference's words, which tools look for.
                Refusal::WrongCredentials => "not in Htpasswd File".to_owned(),
                other => other.to_string(),
            };
            let message = format!("Invalid authentication via basic auth: {message}");
            gate.log_auth(arrival, AuthStatus::Failure, &user, &message);
            Password::Refused(refusal)
        }
        Credential::Accepted(identity) => {
            let message = "Authenticated via basic auth and HTpasswd File";
            gate.log_auth(arrival, AuthStatus::Success, &identity.user, message);
            Password::Accepted(Arc::new(Session {
                created_at: Some(arrival.now),
                identity,
                ..Session::default()
            }))
        }
    }
}

pub(crate) async fn by_stored_session(gate: &Arc<Gate>, arrival: &Arrival, freshness: Freshness) -> Visitor {
    let cookies = RequestCookies::new(arrival.headers());
    let loaded = match gate.sessions.keeper.load(&cookies, arrival.now).await {
        Ok(loaded) => loaded,
        Err(LoadError::Absent) => return Visitor::nobody(Shortfall::NoSession),
        Err(LoadError::Unavailable(error)) => {
            return Visitor::without(Standing::Unknown, Shortfall::Store(error.to_string()));
        }
        Err(LoadError::Invalid(why)) => {
            let set_cookies = Box::pin(forget(gate, arrival)).await;
            return Visitor { set_cookies, ..Visitor::nobody(Shortfall::Session(why)) };
        }
    };
    match gate.over(&loaded.session, arrival.now).await {
        Ok(None) => {}
        Ok(Some(end)) => {
            let set_cookies = Box::pin(forget(gate, arrival)).await;
            return Visitor { set_cookies, ..Visitor::nobody(Shortfall::Ended(end)) };
        }
        Err(error) => return Visitor::without(Standing::Unknown, Shortfall::Store(error.to_string())),
    }
    let outdated = is_due(gate, &loaded.session, arrival.now)
        || gate.sessions.limits.wants_note(&loaded.session, arrival.now)
        || loaded.sealed_with() == SealedWith::PreviousSecret;
    let renew = outdated
        && match freshness {
            Freshness::AsStored => false,
            Freshness::RenewedWhenDue => true,
            Freshness::Renewed(judged) => {
                let stranger = gate.access.policy.decide(&arrival.facts, judged, Attempt::NotPresented);
                !matches!(stranger, Verdict::Permit(_))
            }
        };
    if renew {
        return Box::pin(refreshed(gate, arrival, loaded)).await.password_file_if_bare();
    }
    let key = Some(loaded.key());
    Visitor { key, ..Visitor::known(loaded.session, Provenance::Provider) }.password_file_if_bare()
}

impl Visitor {
    /// Sessions of password-file users hold a name only: no token came with them.
    fn password_file_if_bare(mut self) -> Self {
        if let Standing::Known(known) = &mut self.standing
            && is_password_session(&known.session)
        {
            known.provenance = Provenance::PasswordFile;
        }
        self
    }
}

/// Whether the provider is to be asked about a session.
fn is_due(gate: &Gate, session: &Session, now: Timestamp) -> bool {
    gate.sign_in.providers.of_session(session).is_some()
        && gate.sessions.refresh.schedule.due(session, now) == Due::Refresh
}

/// A provider's session always has an expiry, a nonce or a token; one made from the password file has none.
pub(crate) fn is_password_session(session: &Session) -> bool {
    session.expires_on.is_none()
        && session.nonce.is_none()
        && session.tokens == doorward_core::Tokens::default()
}

/// Ends the sessions of this browser: in the store, and for refreshes that are under way. Their cookies go in any case.
pub(crate) async fn end_sessions(gate: &Gate, arrival: &Arrival) -> Cleared {
    let cookies = RequestCookies::new(arrival.headers());
    // First here, then in the store: a refresh that is about to be saved finds the one or the other.
    gate.sessions.refresh.end(gate.sessions.keeper.presented(&cookies, arrival.now), arrival.now);
    let cleared = gate.sessions.keeper.clear(&arrival.visit(&cookies)).await;
    if let Err(error) = &cleared.store {
        tracing::error!("A session could not be removed from the store: {error}");
    }
    cleared
}

/// [`end_sessions`] where nobody can be told that the store is down; the cookies to send.
pub(crate) async fn forget(gate: &Gate, arrival: &Arrival) -> Vec<HeaderValue> {
    end_sessions(gate, arrival).await.set_cookies
}

/// [`forget`] for somebody who was not let in. If the session was ended while this request was under way, the browser
/// has been told, and may hold the cookie of another login by now: there is nothing to send.
pub(crate) async fn clear(gate: &Gate, arrival: &Arrival) -> Vec<HeaderValue> {
    let presented = gate.sessions.keeper.presented(&RequestCookies::new(arrival.headers()), arrival.now);
    let is_late = gate.sessions.keeper.always_clears()
        && !presented.is_empty()
        && presented.iter().all(|key| gate.sessions.refresh.has_ended(key, arrival.now));
    let set_cookies = forget(gate, arrival).await;
    if is_late { Vec::new() } else { set_cookies }
}

/// Keeps the session of a new login in place of those that this browser had, which are over; the cookies to send.
pub(crate) async fn replace(
    gate: &Gate,
    arrival: &Arrival,
    session: &Session,
) -> Result<Vec<HeaderValue>, SaveError> {
    let cookies = RequestCookies::new(arrival.headers());
    let saved = gate.sessions.keeper.create(session, &arrival.visit(&cookies)).await?;
    gate.note(&saved.key, session, arrival.now).await;
    gate.sessions.refresh.end(gate.sessions.keeper.presented(&cookies, arrival.now), arrival.now);
    Ok(saved.set_cookies)
}

async fn refreshed(gate: &Arc<Gate>, arrival: &Arrival, loaded: Loaded) -> Visitor {
    let key = loaded.key();
    let mut outcome = match gate.sessions.refresh.turn(key.clone(), arrival.now) {
        Turn::Ended => return Visitor::nobody(Shortfall::Ended(End::ByVisitor)),
        Turn::Wait(outcome) => outcome,
        Turn::Run(report, outcome) => {
            let work = RefreshWork {
                gate: Arc::clone(gate),
                headers: arrival.headers().clone(),
                host: arrival.facts.host_str().to_owned(),
                now: arrival.now,
            };
            tokio::spawn(async move {
                let before = loaded.key();
                let outcome = work.run(loaded).await;
                work.gate.sessions.refresh.tell_tunnels(before, &outcome.refreshed);
                let _ = report.send(Some(outcome));
            });
            outcome
        }
    };
    let finished = match outcome.wait_for(Option::is_some).await {
        Ok(value) => value.clone(),
        Err(_) => None,
    };
    if gate.sessions.refresh.has_ended(&key, arrival.now) {
        // A sign-out or another login came while this request waited. Cookies sent now would undo it.
        return Visitor::nobody(Shortfall::Ended(End::ByVisitor));
    }
    match finished {
        Some(Outcome { refreshed: Refreshed::Kept { session, set_cookies, key }, .. }) => Visitor {
            set_cookies: set_cookies.to_vec(),
            key: Some(key),
            ..Visitor::known(session, Provenance::Provider)
        },
        Some(Outcome { refreshed: Refreshed::Ended { set_cookies, why }, .. }) => {
            Visitor { set_cookies: set_cookies.to_vec(), ..Visitor::nobody(Shortfall::Ended(why)) }
        }
        None => Visitor::without(Standing::Unknown, Shortfall::RefreshBroken),
    }
}

/// How often the lock of a session is renewed while the provider is asked.
const LOCK_RENEWAL: Duration = Duration::from_secs(3);

/// One refresh, detached from the request that caused it.
struct RefreshWork {
    gate: Arc<Gate>,
    headers: http::HeaderMap,
    host: String,
    now: Timestamp,
}

/// What the provider said.
enum Answer {
    Renewed(Box<Session>),
    /// No refresh token, or the provider is in trouble: the session stays as long as it is good by itself.
    Unchanged,
    /// The provider no longer knows this login, or has given it to somebody who could not have signed in.
    Over,
}

impl RefreshWork {
    async fn run(&self, loaded: Loaded) -> Outcome {
        let is_due = is_due(&self.gate, &loaded.session, self.now);
        if !is_due && !self.gate.sessions.limits.wants_note(&loaded.session, self.now) {
            // Only its seal is old.
            return self.untouched(&loaded, AttemptResult::Renewed);
        }
        let keeper = &self.gate.sessions.keeper;
        let lock = match keeper.lock(&loaded).await {
            Ok(lock) => lock,
            Err(error) => {
                tracing::warn!(
                    "A session is being refreshed elsewhere and was not taken over in time: {error}"
                );
                return self.left_to_others(loaded).await;
            }
        };
        let outcome = self.run_and_renew(loaded, &lock).await;
        lock.release().await;
        outcome
    }

    async fn run_and_renew(&self, loaded: Loaded, lock: &Lock) -> Outcome {
        let mut refreshing = std::pin::pin!(self.run_locked(loaded, lock));
        loop {
            match tokio::time::timeout(LOCK_RENEWAL, refreshing.as_mut()).await {
                Ok(outcome) => return outcome,
                // A slow provider must not let the lock run out, or somebody else would refresh as well.
                Err(_) => {
                    if let Err(error) = lock.renew().await {
                        tracing::warn!("The lock of a session being refreshed could not be renewed: {error}");
                    }
                }
            }
        }
    }

    /// With the lock held: somebody else may have refreshed meanwhile, so the stored session is read again.
    async fn run_locked(&self, loaded: Loaded, lock: &Lock) -> Outcome {
        let loaded = match self.gate.sessions.keeper.reload(&loaded).await {
            Ok(current) => current,
            Err(LoadError::Unavailable(error)) => {
                tracing::error!("The session store cannot be asked: {error}");
                return self.unchanged(loaded, lock).await;
            }
            Err(LoadError::Absent | LoadError::Invalid(_)) => {
                return self.ended(loaded, lock, End::Gone).await;
            }
        };
        if !is_due(&self.gate, &loaded.session, self.now) {
            if self.gate.sessions.limits.wants_note(&loaded.session, self.now) {
                return self.seen(loaded, lock).await;
            }
            return self.untouched(&loaded, AttemptResult::Renewed);
        }
        match self.ask(&loaded.session).await {
            Answer::Renewed(session) => self.save(*session, loaded, lock).await,
            Answer::Unchanged => self.unchanged(loaded, lock).await,
            Answer::Over => self.ended(loaded, lock, End::Refused).await,
        }
    }

    /// Whom to ask about a session: nobody but the provider that it comes from.
    fn provider_of(&self, session: &Session) -> Option<&Provider> {
        self.gate.sign_in.providers.of_session(session)
    }

    async fn ask(&self, session: &Session) -> Answer {
        let Some(provider) = self.provider_of(session) else { return Answer::Unchanged };
        let Some(outcome) = provider.client.renew(&session.tokens, &session.identity, self.now).await else {
            return Answer::Unchanged;
        };
        match outcome {
            Ok(refreshed) => {
                self.gate.telemetry.metrics.session_refresh(RefreshOutcome::Refreshed);
                let mut renewed = session.clone();
                // Also of one from before there were several: from now on its place in the list does not matter.
                renewed.provider = self.gate.sign_in.providers.mark(provider).or(renewed.provider);
                self.gate.mark(&mut renewed, self.now);
                renewed.created_at = Some(self.now);
                renewed.expires_on = refreshed.expires_on;
                let old_id_token: Option<SecretString> = renewed.tokens.id.take();
                renewed.tokens = refreshed.tokens;
                renewed.tokens.id = renewed.tokens.id.or(old_id_token);
                if let Some(identity) = refreshed.identity {
                    renewed.identity = identity;
                }
                Answer::Renewed(Box::new(renewed))
            }
            Err(RefreshError::Rejected(reason)) => {
                tracing::warn!("The provider refused to refresh a session, which ends it: {reason}");
                self.gate.telemetry.metrics.session_refresh(RefreshOutcome::Refused);
                Answer::Over
            }
            // Verified words of the provider about this login: they are not waited out with the old claims.
            Err(error) if error.ends_the_session() => {
                tracing::warn!("A refresh ended a session: {error}");
                self.gate.telemetry.metrics.session_refresh(RefreshOutcome::Refused);
                Answer::Over
            }
            Err(error) => {
                tracing::error!("Unable to refresh session: {error}");
                self.gate.telemetry.metrics.session_refresh(RefreshOutcome::Failed);
                Answer::Unchanged
            }
        }
    }

    /// Writes down that the session was used, and nothing else about it.
    async fn seen(&self, loaded: Loaded, lock: &Lock) -> Outcome {
        let mut session = Session::clone(&loaded.session);
        self.gate.mark(&mut session, self.now);
        self.keep(session, loaded, lock, AttemptResult::Noted).await
    }

    async fn save(&self, session: Session, loaded: Loaded, lock: &Lock) -> Outcome {
        if !self.is_valid(&session).await {
            return self.ended(loaded, lock, End::NotValidated).await;
        }
        self.keep(session, loaded, lock, AttemptResult::Renewed).await
    }

    async fn keep(&self, session: Session, loaded: Loaded, lock: &Lock, attempt: AttemptResult) -> Outcome {
        if self.gate.sessions.refresh.has_ended(&loaded.key(), self.now) {
            return ended_by_somebody_else(&session);
        }
        let cookies = RequestCookies::new(&self.headers);
        let visit = Visit { cookies: &cookies, host: &self.host, now: self.now };
        let saved = match self.gate.sessions.keeper.update(&session, &loaded, lock, &visit).await {
            Ok(Updated::Kept(saved)) => saved,
            Ok(Updated::Ended) => return ended_by_somebody_else(&session),
            Ok(Updated::Overtaken) => return self.left_to_others(loaded).await,
            Err(error) => {
                tracing::error!("A refreshed session could not be saved: {error}");
                Saved { key: loaded.key(), set_cookies: Vec::new() }
            }
        };
        if attempt == AttemptResult::Renewed {
            self.gate.note(&saved.key, &session, self.now).await;
        }
        kept(Arc::new(session), saved, attempt)
    }

    async fn unchanged(&self, loaded: Loaded, lock: &Lock) -> Outcome {
        if let Some(why) = self.is_over(&loaded.session).await {
            return self.ended(loaded, lock, why).await;
        }
        self.untouched(&loaded, AttemptResult::Failed)
    }

    /// The session as it is, sealed with the current secret.
    fn untouched(&self, loaded: &Loaded, attempt: AttemptResult) -> Outcome {
        let as_it_is = || Saved { key: loaded.key(), set_cookies: Vec::new() };
        let saved = match loaded.sealed_with() {
            SealedWith::CurrentSecret => as_it_is(),
            SealedWith::PreviousSecret => {
                let cookies = RequestCookies::new(&self.headers);
                let visit = Visit { cookies: &cookies, host: &self.host, now: self.now };
                self.gate.sessions.keeper.reseal(loaded, &visit).unwrap_or_else(|error| {
                    tracing::error!("A session could not be sealed with the current secret: {error}");
                    as_it_is()
                })
            }
        };
        kept(Arc::clone(&loaded.session), saved, attempt)
    }

    /// What becomes of a session of which somebody else holds the lock, or may have held it meanwhile: what they make
    /// of it stands, and nothing is written or removed here.
    async fn left_to_others(&self, loaded: Loaded) -> Outcome {
        let loaded = match self.gate.sessions.keeper.reload(&loaded).await {
            Ok(current) => current,
            Err(LoadError::Unavailable(_)) => loaded,
            Err(LoadError::Absent | LoadError::Invalid(_)) => return ended_by_somebody_else(&loaded.session),
        };
        if !is_due(&self.gate, &loaded.session, self.now) {
            return self.untouched(&loaded, AttemptResult::Renewed);
        }
        if self.is_over(&loaded.session).await.is_some() {
            return ended_by_somebody_else(&loaded.session);
        }
        self.untouched(&loaded, AttemptResult::Failed)
    }

    /// Whether a session that nobody has refreshed is good no more, and why.
    async fn is_over(&self, session: &Session) -> Option<End> {
        if session.is_expired(self.now) || self.id_token_is_over(session).await {
            return Some(End::Expired);
        }
        if self.is_valid(session).await { None } else { Some(End::NotValidated) }
    }

    /// Asks the validate URL, if there is one. A provider in trouble ends no session.
    async fn is_valid(&self, session: &Session) -> bool {
        let (Some(provider), Some(access_token)) = (self.provider_of(session), &session.tokens.access) else {
            return true;
        };
        match provider.client.validate(access_token, self.now).await {
            Validity::Valid | Validity::Unknown => true,
            Validity::Refused { .. } => false,
        }
    }

    /// A session that nothing refreshes ends with its ID token. That the provider's keys cannot be had, or have
    /// changed, says nothing about a token that was verified at login.
    async fn id_token_is_over(&self, session: &Session) -> bool {
        let (Some(provider), Some(id_token)) = (self.provider_of(session), &session.tokens.id) else {
            return false;
        };
        matches!(provider.client.recheck(id_token, None, self.now).await, Err(IdTokenError::Claims(_)))
    }

    async fn ended(&self, loaded: Loaded, lock: &Lock, why: End) -> Outcome {
        // Whoever took the lock over may have used the refresh token first, and is not to lose what that brought.
        if matches!(lock.renew().await, Err(LockError::TimedOut)) {
            return self.left_to_others(loaded).await;
        }
        tracing::info!("A session ended, because {why}: {}", loaded.session.summary());
        let cookies = RequestCookies::new(&self.headers);
        let visit = Visit { cookies: &cookies, host: &self.host, now: self.now };
        let cleared = self.gate.sessions.keeper.clear(&visit).await;
        if let Err(error) = cleared.store {
            tracing::error!("A session could not be removed from the store: {error}");
        }
        Outcome {
            refreshed: Refreshed::Ended { set_cookies: cleared.set_cookies.into(), why },
            attempt: AttemptResult::Failed,
        }
    }
}

fn kept(session: Arc<Session>, saved: Saved, attempt: AttemptResult) -> Outcome {
    let Saved { key, set_cookies } = saved;
    Outcome { refreshed: Refreshed::Kept { session, set_cookies: set_cookies.into(), key }, attempt }
}

/// The session was ended while the provider was asked: the new tokens are dropped.
fn ended_by_somebody_else(session: &Session) -> Outcome {
    tracing::info!("A session was ended while it was being refreshed: {}", session.summary());
    let refreshed = Refreshed::Ended { set_cookies: Arc::default(), why: End::ByVisitor };
    Outcome { refreshed, attempt: AttemptResult::Failed }
}
