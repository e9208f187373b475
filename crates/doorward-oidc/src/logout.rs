//! Ending a login at the provider, and hearing from the provider that it ended one: `OpenID Connect` RP-Initiated
//! Logout 1.0, Back-Channel Logout 1.0, and token revocation (RFC 7009).

use std::time::Duration;

use doorward_core::{SecretString, Timestamp, Tokens};
use doorward_jose::{
    AudienceRule, ClaimError, Claims, VerifiedClaims,
    claims_check::{check_times, instant},
};
use serde_json::Value;

use crate::{
    provider::{Provider, not_ready},
    token_endpoint::GrantForm,
    verify::IdTokenError,
};

/// What a browser takes along to the provider to sign out there.
#[derive(Clone, Copy, Debug)]
pub struct EndSession<'a> {
    /// The ID token of the session, if it may be shown.
    pub id_token: Option<&'a SecretString>,
    /// Where the provider sends the browser afterwards. It has to be registered there.
    pub return_to: &'a str,
    /// Comes back with the browser, unless it is empty.
    pub state: &'a str,
}

/// The provider cannot be asked to sign anybody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEndSession {
    #[error("the provider's metadata are not known yet")]
    NotReady,
    #[error(
        "the provider's metadata name no end_session_endpoint; take --provider-logout away, or use --backend-logout-url"
    )]
    NotOffered,
}

/// What the provider says that it ended. Verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    /// The session at the provider.
    pub sid: Option<String>,
    pub subject: Option<String>,
    /// No other logout token has it.
    pub id: String,
    /// As long as this token may come again.
    pub replayable_until: Timestamp,
}

/// Why a logout token ended nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoutTokenError {
    #[error(transparent)]
    Token(#[from] IdTokenError),
    #[error(transparent)]
    Claims(#[from] ClaimError),
    #[error("the token is of the type {0:?}, not logout+jwt")]
    WrongType(String),
    #[error("the token is no logout token: {0}")]
    NotForLogout(&'static str),
}

impl LogoutTokenError {
    /// Whether the very same token may be good a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Token(IdTokenError::KeysUnavailable { .. }))
    }
}

/// What the ID token of a kept session says of its login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFacts {
    pub subject: Option<String>,
    pub sid: Option<String>,
}

impl TokenFacts {
    /// Reads a token that was verified when it came, and has been sealed since. Nothing is checked here.
    pub fn of(id_token: &SecretString) -> Self {
        let claims = id_token.expose().split('.').nth(1).and_then(|payload| {
            let json = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?;
            serde_json::from_slice::<Claims>(&json).ok()
        });
        let claims = claims.unwrap_or_default();
        Self { subject: text(&claims, "sub"), sid: text(&claims, "sid") }
    }
}

impl Provider {
    /// The issuer as it is configured, letter by letter.
    pub fn issuer(&self) -> &str {
        &self.shared().config.issuer
    }

    /// Where to send a browser that signs out (RP-Initiated Logout 1.0 section 2).
    pub fn end_session_url(&self, end: &EndSession<'_>) -> Result<String, NoEndSession> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or(NoEndSession::NotReady)?;
        let mut url = metadata.end_session.clone().ok_or(NoEndSession::NotOffered)?;
        let mut query = url.query_pairs_mut();
        if let Some(id_token) = end.id_token {
            query.append_pair("id_token_hint", id_token.expose());
        }
        query
            .append_pair("client_id", &shared.config.client_id)
            .append_pair("post_logout_redirect_uri", end.return_to);
        if !end.state.is_empty() {
            query.append_pair("state", end.state);
        }
        drop(query);
        Ok(url.into())
    }

    /// Takes the tokens of a session back: the refresh token first, for with it many providers end the access token too.
    /// What fails is logged; it takes as long as two requests may.
    pub async fn revoke(&self, tokens: &Tokens, now: Timestamp) {
        let shared = self.shared();
        let Some(metadata) = shared.metadata() else { return };
        let Some(endpoint) = shared.revocation_endpoint(&metadata, now) else {
            tracing::warn!("the provider's metadata name no revocation_endpoint, so its tokens live on");
            return;
        };
        let tokens = [("refresh_token", &tokens.refresh), ("access_token", &tokens.access)];
        for (kind, token) in tokens {
            let Some(token) = token else { continue };
            let fields = [("token", token.expose().as_str()), ("token_type_hint", kind)];
            let form = GrantForm { fields: &fields, secrets: &[token] };
            if let Err(reason) = endpoint.revoke(form).await {
                tracing::warn!(kind, %reason, "the provider did not take back a token");
            }
        }
    }

    /// Checks a logout token (Back-Channel Logout 1.0 section 2.6), all but whether it came before: that is for the
    /// caller, by [`LogoutToken::id`].
    pub async fn logout_token(&self, token: &str, now: Timestamp) -> Result<LogoutToken, LogoutTokenError> {
        let shared = self.shared();
        let metadata = shared.metadata().ok_or_else(not_ready)?;
        let verified = shared.verifier.of_issuer(token, shared.means(&metadata)).await?;
        let audience = AudienceRule::new(&["aud".to_owned()], &shared.config.client_id, &[]);
        audience.check(verified.claims())?;
        believed(&verified, now)
    }
}

fn believed(verified: &VerifiedClaims, now: Timestamp) -> Result<LogoutToken, LogoutTokenError> {
    use LogoutTokenError::NotForLogout;
    match verified.token_type() {
        // Providers from before the final text say nothing, or what they say of everything.
        None | Some("logout+jwt" | "jwt") => {}
        Some(other) => return Err(LogoutTokenError::WrongType(other.to_owned())),
    }
    let claims = verified.claims();
    let issued = instant(claims, "iat")?.ok_or(NotForLogout("it does not say when it was issued (iat)"))?;
    if issued > now.saturating_add(CLOCK_SKEW) {
        return Err(NotForLogout("it was issued in the future (iat)"));
    }
    if now > issued.saturating_add(LONGEST_LIFE) {
        return Err(NotForLogout("it was issued too long ago (iat)"));
    }
    // The final text demands it; before, there was none.
    if claims.contains_key("exp") {
        check_times(claims, now)?;
    }
    if claims.contains_key("nonce") {
        return Err(NotForLogout("it has a nonce, as ID tokens have"));
    }
    let events = claims.get("events").and_then(Value::as_object);
    if !events.and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
        return Err(NotForLogout("it tells of no logout (events)"));
    }
    let id = text(claims, "jti").ok_or(NotForLogout("it has no id (jti)"))?;
    for name in ["sid", "sub"] {
        if claims.contains_key(name) && text(claims, name).is_none() {
            return Err(NotForLogout("its sid or sub is no text, empty, or too long"));
        }
    }
    let (sid, subject) = (text(claims, "sid"), text(claims, "sub"));
    if sid.is_none() && subject.is_none() {
        return Err(NotForLogout("it names neither a session (sid) nor a user (sub)"));
    }
    let replayable_until = issued.saturating_add(LONGEST_LIFE).saturating_add(CLOCK_SKEW);
    Ok(LogoutToken { sid, subject, id, replayable_until })
}

/// A claim that is a text, neither empty nor endless.
fn text(claims: &Claims, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    (1..=MAX_TEXT_BYTES).contains(&text.len()).then(|| text.to_owned())
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const CLOCK_SKEW: Duration = Duration::from_mins(5);
/// Older tokens are refused whatever they say, so that ids need not be remembered for longer.
const LONGEST_LIFE: Duration = Duration::from_mins(30);
const MAX_TEXT_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
