//! The browser's way to the provider and back (RFC 6749 section 4.1, OIDC Core section 3.1.2).
//! Order is a matter of types: a code can only be redeemed as part of a [`MatchedCallback`], and that
//! comes only from a [`PendingLogin`] whose state was the one returned.

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, rand};
use doorward_core::SecretString;
use url::Url;

use crate::{
    config::{Config, LoginStrength, NonceCheck, Pkce},
    discovery::Metadata,
    provider::Shared,
    token_endpoint::TokenRequestError,
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
    #[error("the provider did not take the login request (RFC 9126): {0}")]
    Pushed(#[from] TokenRequestError),
    #[error("too many logins are beginning at the same time")]
    TooMany,
    #[error("the system has no randomness to give")]
    NoRandomness,
}

impl BeginError {
    /// It may work a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NotReady
                | Self::TooMany
                | Self::Pushed(TokenRequestError::Http(_) | TokenRequestError::Failed { .. })
        )
    }
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

/// An authorization request, not yet on its way.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Where the browser goes, without a query.
    login: Url,
    /// What the login URL has already in its query.
    own: Parameters,
    parameters: Parameters,
    verifier: Option<SecretString>,
}

type Parameters = BTreeMap<String, Vec<String>>;

impl Prepared {
    /// `entropy` becomes the code verifier.
    pub(crate) fn new(
        config: &Config,
        metadata: &Metadata,
        start: &LoginStart<'_>,
        entropy: &[u8; VERIFIER_BYTES],
    ) -> Result<Self, BeginError> {
        let mut login = metadata.login.clone().ok_or(BeginError::NoLoginUrl)?;
        let mut own = Parameters::new();
        for (name, value) in login.query_pairs() {
            own.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        login.set_query(None);
        login.set_fragment(None);
        let challenge = Challenge::choose(&config.pkce, metadata, entropy)?;
        let mut parameters = parameters(config, metadata, start, challenge.as_ref());
        if start.account != AccountChoice::Any {
            own.remove("approval_prompt");
            parameters.remove("approval_prompt");
        }
        Ok(Self { login, own, parameters, verifier: challenge.map(|challenge| challenge.verifier) })
    }

    /// Has the code bound to a key (RFC 9449 section 10).
    pub(crate) fn bind(&mut self, thumbprint: &str) {
        self.parameters.insert("dpop_jkt".to_owned(), vec![thumbprint.to_owned()]);
    }

    /// The parameters, beyond those of the login URL.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(&self.parameters)
    }

    /// The browser takes everything along.
    pub(crate) fn whole(self) -> AuthorizationRequest {
        let mut all = self.own;
        all.extend(self.parameters);
        redirect(self.login, &all, self.verifier)
    }

    /// The browser takes the provider's reference to the request along (RFC 9126 section 4), and nothing that was told
    /// already.
    pub(crate) fn referring(self, client_id: &str, reference: &str) -> AuthorizationRequest {
        let mut all = self.own;
        all.retain(|name, _| !self.parameters.contains_key(name));
        all.insert(CLIENT_ID.to_owned(), vec![client_id.to_owned()]);
        all.insert("request_uri".to_owned(), vec![reference.to_owned()]);
        redirect(self.login, &all, self.verifier)
    }
}

const CLIENT_ID: &str = "client_id";

fn pairs(parameters: &Parameters) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().flat_map(|(name, values)| values.iter().map(|value| (name.as_str(), value.as_str())))
}

fn redirect(mut url: Url, query: &Parameters, verifier: Option<SecretString>) -> AuthorizationRequest {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs(query)).finish();
    url.set_query(Some(&query));
    AuthorizationRequest { url: url.into(), verifier }
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

/// Configured parameters, overlaid by those that this login needs, overlaid by the protocol's.
fn parameters(
    config: &Config,
    metadata: &Metadata,
    start: &LoginStart<'_>,
    challenge: Option<&Challenge>,
) -> Parameters {
    let mut all = Parameters::new();
    for parameter in &config.login_parameters {
        let values = parameter.chosen(start.wishes);
        if !values.is_empty() {
            all.insert(parameter.name.clone(), values.into_iter().map(str::to_owned).collect());
        }
    }
    for (name, value) in demands(&config.strength, start.demands) {
        all.insert(name, vec![value]);
    }
    let mut set = |name: &str, value: &str| all.insert(name.to_owned(), vec![value.to_owned()]);
    set(CLIENT_ID, &config.client_id);
    set("redirect_uri", start.redirect_uri);
    set("response_type", "code");
    let scope = Shared::scope(config, metadata);
    if !scope.is_empty() {
        set("scope", &scope);
    }
    if let Some(resource) = Shared::resource(config, metadata) {
        set("resource", resource);
    }
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
    }
    all
}

/// What this login needs, and what every login does: a route may ask for more than that, and never for less.
fn demands(strength: &LoginStrength, own: &[(&'static str, String)]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    if !strength.acr.is_empty() {
        let told = all.remove("acr_values").unwrap_or_default();
        let mut wanted: Vec<&str> = told.split(' ').filter(|acr| !acr.is_empty()).collect();
        for acr in &strength.acr {
            if !wanted.contains(&acr.as_str()) {
                wanted.push(acr);
            }
        }
        let wanted = wanted.join(" ");
        all.insert("acr_values".to_owned(), wanted);
    }
    if let Some(limit) = strength.max_age {
        let seconds = limit.as_secs();
        let told = all.get("max_age").and_then(|told| told.parse::<u64>().ok());
        all.insert("max_age".to_owned(), told.map_or(seconds, |told| told.min(seconds)).to_string());
    }
    all
}

#[cfg(test)]
mod tests;
