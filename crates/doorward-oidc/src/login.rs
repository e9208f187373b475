//! The browser's way to the provider and back (RFC 6749 section 4.1, OIDC Core section 3.1.2).
//! Order is a matter of types: a code can only be redeemed as part of a [`MatchedCallback`], and that
//! comes only from a [`PendingLogin`] whose state was the one returned.

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, rand};
use doorward_core::SecretString;
use url::Url;

use crate::{
    config::{Config, NonceCheck, Pkce},
    discovery::Metadata,
};

/// A login a browser is to be sent on.
#[derive(Clone, Copy, Debug)]
pub struct LoginStart<'a> {
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// The value of `state`, whole.
    pub state: &'a str,
    /// What the ID token's nonce must be: a hash of the secret in the browser's cookie.
    pub nonce_hash: &'a str,
    pub account: AccountChoice,
    /// Parameters that whoever begins the login would like to send, as `(name, value)`. Only those that the
    /// configuration allows are heeded.
    pub wishes: &'a [(String, String)],
    /// Parameters that this login needs, in place of configured ones of these names.
    pub demands: &'a [(&'static str, String)],
}

/// Whether the provider may log in whoever it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountChoice {
    Any,
    /// The user wants to be asked: the present account was refused.
    Another,
    /// The user has to prove anew who it is.
    Anew,
}

/// Where to send the browser, and what to keep for its return.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationRequest {
    pub url: String,
    /// The PKCE code verifier, if PKCE is used.
    pub verifier: Option<SecretString>,
}

/// Why no login can be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    #[error("the provider's metadata are not known yet")]
    NotReady,
    #[error("the code challenge method {0:?} is not supported, only S256 and plain are")]
    UnsupportedPkce(String),
    #[error("no login URL is configured")]
    NoLoginUrl,
    #[error("the system has no randomness to give")]
    NoRandomness,
}

/// What was kept of a login when it began. It accepts at most one callback (RFC 6749 section 10.12).
#[derive(Clone, Debug)]
pub struct PendingLogin {
    /// The hash that `state` carried.
    pub state_hash: String,
    /// What the ID token's nonce must be.
    pub nonce_hash: String,
    pub verifier: Option<SecretString>,
}

/// The returned state is not the one of this login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state of the callback is not the one of the login this browser began")]
pub struct StateMismatch;

/// The authorization response comes from another provider than the one this login was begun with (a mix-up attack).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongIssuer {
    #[error("the authorization response names the issuer {found:?}, expected was {expected:?}")]
    Other { expected: String, found: String },
    #[error("the authorization response names no issuer (iss), although the provider's metadata promise it")]
    Missing,
}

/// A callback that belongs to the login this browser began.
#[derive(Debug)]
pub struct MatchedCallback {
    pub(crate) code: SecretString,
    pub(crate) nonce_hash: String,
    pub(crate) verifier: Option<SecretString>,
}

impl PendingLogin {
    /// Compares the returned state in constant time. An empty state matches nothing.
    pub fn accept(
        self,
        returned_state_hash: &str,
        code: SecretString,
    ) -> Result<MatchedCallback, StateMismatch> {
        if self.state_hash.is_empty() {
            return Err(StateMismatch);
        }
        verify_slices_are_equal(self.state_hash.as_bytes(), returned_state_hash.as_bytes())
            .map_err(|_| StateMismatch)?;
        Ok(MatchedCallback { code, nonce_hash: self.nonce_hash, verifier: self.verifier })
    }
}

/// Builds the authorization request. `entropy` becomes the code verifier.
pub(crate) fn authorization_request(
    config: &Config,
    metadata: &Metadata,
    start: &LoginStart<'_>,
    entropy: &[u8; VERIFIER_BYTES],
) -> Result<AuthorizationRequest, BeginError> {
    let mut url = metadata.login.clone().ok_or(BeginError::NoLoginUrl)?;
    let challenge = Challenge::choose(&config.pkce, metadata, entropy)?;
    let query = parameters(config, metadata, start, challenge.as_ref(), &url);
    url.set_query(Some(&query));
    url.set_fragment(None);
    Ok(AuthorizationRequest { url: url.into(), verifier: challenge.map(|challenge| challenge.verifier) })
}

/// Fresh randomness for a code verifier.
pub(crate) fn entropy() -> Result<[u8; VERIFIER_BYTES], BeginError> {
    let mut bytes = [0; VERIFIER_BYTES];
    rand::fill(&mut bytes).map_err(|_| BeginError::NoRandomness)?;
    Ok(bytes)
}

/// 128 letters of base64url, the longest verifier RFC 7636 section 4.1 allows.
pub(crate) const VERIFIER_BYTES: usize = 96;

struct Challenge {
    method: &'static str,
    /// What the provider sees now.
    sent: String,
    verifier: SecretString,
}

impl Challenge {
    fn choose(
        wanted: &Pkce,
        metadata: &Metadata,
        entropy: &[u8; VERIFIER_BYTES],
    ) -> Result<Option<Self>, BeginError> {
        let verifier = base64_simd::URL_SAFE_NO_PAD.encode_to_string(entropy);
        let (method, sent) = match wanted {
            Pkce::Off => return Ok(None),
            Pkce::Auto if !metadata.offers_s256 => return Ok(None),
            Pkce::Unsupported(name) => return Err(BeginError::UnsupportedPkce(name.clone())),
            Pkce::Auto | Pkce::S256 => ("S256", hash(&verifier)),
            Pkce::Plain => ("plain", verifier.clone()),
        };
        Ok(Some(Self { method, sent, verifier: verifier.into() }))
    }
}

fn hash(verifier: &str) -> String {
    let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(digest.as_ref())
}

/// The query: what the login URL has already, overlaid by configured parameters, overlaid by the protocol's.
fn parameters(
    config: &Config,
    metadata: &Metadata,
    start: &LoginStart<'_>,
    challenge: Option<&Challenge>,
    url: &Url,
) -> String {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        all.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    for parameter in &config.login_parameters {
        let values = parameter.chosen(start.wishes);
        if !values.is_empty() {
            all.insert(parameter.name.clone(), values.into_iter().map(str::to_owned).collect());
        }
    }
    for (name, value) in start.demands {
        all.insert((*name).to_owned(), vec![value.clone()]);
    }
    let mut set = |name: &str, value: &str| all.insert(name.to_owned(), vec![value.to_owned()]);
    set("client_id", &config.client_id);
    set("redirect_uri", start.redirect_uri);
    set("response_type", "code");
    set("scope", &config.scope);
    set("state", start.state);
    if config.nonce != NonceCheck::Off {
        set("nonce", start.nonce_hash);
    }
    if let Some(mode) = &config.response_mode {
        set("response_mode", mode);
    }
    if let Some(challenge) = challenge {
        set("code_challenge", &challenge.sent);
        set("code_challenge_method", challenge.method);
    }
    let prompt = match start.account {
        AccountChoice::Any => None,
        AccountChoice::Another if metadata.offers_account_choice => Some("select_account"),
        AccountChoice::Another | AccountChoice::Anew => Some("login"),
    };
    if let Some(prompt) = prompt {
        set("prompt", prompt);
        all.remove("approval_prompt");
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, values) in &all {
        for value in values {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests;
