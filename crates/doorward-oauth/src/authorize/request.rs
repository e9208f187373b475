//! A request to the authorization endpoint, checked in the order of the norm (A3.1). Pure. What is wrong before client and
//! redirect URI are known is told to whoever asks, and leads nowhere; what is wrong after that is told to the client.

use std::{collections::BTreeMap, time::Duration};

use doorward_accounts::{Challenge, ChallengeMethod, Scopes};
use doorward_core::SecretString;

use super::{
    redirect_uri,
    reply::{Mode, Reply},
};
use crate::{
    config::{
        CHALLENGING_CLIENT, Client, Config, GrantType, IdentityProvider, ImplicitGrant, Pkce, PlainPkce,
    },
    params::Params,
    scope::{self, ScopeError},
};

/// Our own parameter: proof that the user has signed in since this request was first made.
pub(super) const FRESH: &str = "doorward_fresh";
/// More bytes than all parameters of an honest request have.
const LONGEST: usize = 8 * 1024;

/// What is known before any request comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registry<'a> {
    pub(crate) config: &'a Config,
    pub(crate) clients: &'a BTreeMap<String, Client>,
}

/// A request that may be granted, if its user agrees.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) client: &'a Client,
    pub(crate) reply: Reply,
    /// The redirect URI as it was sent; the token endpoint wants to see the same.
    pub(crate) redirect_sent: Option<String>,
    pub(crate) response: ResponseType,
    pub(crate) scopes: Scopes,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) nonce: Option<String>,
    pub(crate) prompt: Prompt,
    /// How long ago the user may have signed in.
    pub(crate) max_age: Option<Duration>,
    pub(crate) login_hint: Option<String>,
    pub(crate) id_token_hint: Option<SecretString>,
    /// The provider that the client chose for the user.
    pub(crate) provider: Option<&'a IdentityProvider>,
    /// The resources that the token is for (RFC 8707).
    pub(crate) audience: Vec<String>,
    pub(crate) fresh: Option<String>,
    /// All parameters but our own, encoded anew: the same request again.
    pub(crate) query: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseType {
    Code,
    Token,
}

/// What the client wants the user to be asked (`OpenID Connect` Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// Whatever is needed.
    #[default]
    AsNeeded,
    /// Nothing at all.
    Silent,
    /// These, needed or not.
    Ask { login: Wanted, consent: Wanted, account: Wanted },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Yes,
    No,
}

impl Prompt {
    pub(crate) fn wants_login(self) -> bool {
        matches!(self, Self::Ask { login: Wanted::Yes, .. }) || self.wants_account()
    }

    pub(crate) fn wants_consent(self) -> bool {
        matches!(self, Self::Ask { consent: Wanted::Yes, .. })
    }

    pub(crate) fn wants_account(self) -> bool {
        matches!(self, Self::Ask { account: Wanted::Yes, .. })
    }
}

/// Why a request is refused, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Whoever asks, by 400: nobody knows where a redirect would lead.
    Here(Fault),
    /// The client, by redirect.
    There(Reply, Fault),
}

/// An error in the words of RFC 6749 section 4.1.2.1. Never holds anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// Printable ASCII without quotes and backslashes.
    pub(crate) description: String,
}

impl Fault {
    pub(crate) fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    UnauthorizedClient,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    RequestNotSupported,
    RequestUriNotSupported,
    LoginRequired,
    ConsentRequired,
}

impl Code {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
        }
    }
}

use Code::{InvalidRequest, InvalidScope, UnauthorizedClient};

impl<'a> Request<'a> {
    /// Checks the parameters of a request. That none is there twice has been seen to by [`Params`].
    pub(crate) fn read(params: &Params, registry: Registry<'a>) -> Result<Self, Refused> {
        let here = |code, why: &str| Refused::Here(Fault::new(code, why));
        let query = encoded(params);
        if query.len() > LONGEST {
            return Err(here(InvalidRequest, "the request is too long"));
        }
        let client = params
            .get("client_id")
            .and_then(|id| registry.clients.get(id))
            .filter(|client| client.is_enabled())
            .ok_or_else(|| {
                here(UnauthorizedClient, "there is no such client; send the client_id of a registered one")
            })?;
        let redirect_uri = redirect_uri(client, params).map_err(|why| here(InvalidRequest, why))?;
        let state = params.get("state").map(str::to_owned);
        // A provider that does not exist is a mistake in a link, which its author sees at once.
        let provider = provider(params, registry.config).map_err(|why| here(InvalidRequest, why));
        let reply = Reply { redirect_uri, mode: mode_of_errors(params), state };
        Self::read_the_rest(params, registry, client, reply.clone(), query)
            .map_err(|fault| Refused::There(reply, fault))
            .and_then(|request| Ok(Self { provider: provider?, ..request }))
    }

    fn read_the_rest(
        params: &Params,
        registry: Registry<'a>,
        client: &'a Client,
        mut reply: Reply,
        query: String,
    ) -> Result<Self, Fault> {
        let response = response_type(params, client)?;
        reply.mode = response_mode(params, response)?;
        let challenge = challenge(params, client, response)?;
        let scopes = scopes(params, client, registry.config)?;
        let prompt = prompt(params)?;
        let max_age = max_age(params)?;
        Ok(Self {
            client,
            reply,
            redirect_sent: params.get("redirect_uri").map(str::to_owned),
            response,
            scopes,
            challenge,
            nonce: params.get("nonce").map(str::to_owned),
            prompt,
            max_age,
            login_hint: params.get("login_hint").map(str::to_owned),
            id_token_hint: params.get("id_token_hint").map(SecretString::from),
            provider: None,
            audience: audience(params, registry.config)?,
            fresh: params.get(FRESH).map(str::to_owned),
            query,
        })
    }

    /// The refusal of this request that the client is told.
    pub(crate) fn refused(&self, code: Code, description: &str) -> Refused {
        Refused::There(self.reply.clone(), Fault::new(code, description))
    }
}

fn encoded(params: &Params) -> String {
    let pairs = params.pairs().filter(|(name, _)| *name != FRESH);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn redirect_uri(client: &Client, params: &Params) -> Result<String, &'static str> {
    if let Some(wanted) = params.get("redirect_uri") {
        return if redirect_uri::is_registered(client, wanted) {
            Ok(wanted.to_owned())
        } else {
            Err("the redirect_uri is not registered for this client; register this very text")
        };
    }
    let asks_for_openid =
        params.get("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "openid"));
    match client.redirect_uris.as_slice() {
        [only] if !asks_for_openid => Ok(only.clone()),
        _ => Err("the redirect_uri is missing"),
    }
}

fn provider<'a>(params: &Params, config: &'a Config) -> Result<Option<&'a IdentityProvider>, &'static str> {
    let Some(name) = params.get("idp") else { return Ok(None) };
    let found = config.providers.iter().find(|provider| provider.name == name);
    found.map(Some).ok_or("there is no identity provider of the name that idp gives")
}

/// How a client is told about a request that is wrong: as it asked to be answered, if that makes sense.
fn mode_of_errors(params: &Params) -> Mode {
    let usual = match params.get("response_type") {
        Some("token") => Mode::Fragment,
        _ => Mode::Query,
    };
    match params.get("response_mode").and_then(Mode::parse) {
        Some(Mode::Query) | None => usual,
        Some(mode) => mode,
    }
}

fn response_type(params: &Params, client: &Client) -> Result<ResponseType, Fault> {
    match params.get("response_type") {
        None => Err(Fault::new(InvalidRequest, "the response_type is missing")),
        Some("code") if client.may_use(GrantType::AuthorizationCode) => Ok(ResponseType::Code),
        Some("token") if client.implicit == ImplicitGrant::Allowed => Ok(ResponseType::Token),
        Some("code" | "token") => {
            Err(Fault::new(UnauthorizedClient, "the client may not use this response_type"))
        }
        Some(_) => {
            Err(Fault::new(Code::UnsupportedResponseType, "the response_type is neither code nor token"))
        }
    }
}

fn response_mode(params: &Params, response: ResponseType) -> Result<Mode, Fault> {
    let mode = match (params.get("response_mode").map(Mode::parse), response) {
        (None, ResponseType::Code) => Mode::Query,
        (None, ResponseType::Token) => Mode::Fragment,
        (Some(None), _) => {
            return Err(Fault::new(
                InvalidRequest,
                "the response_mode is none of query, fragment, form_post",
            ));
        }
        (Some(Some(Mode::Query)), ResponseType::Token) => {
            return Err(Fault::new(
                InvalidRequest,
                "a token is never sent in a query; leave response_mode out",
            ));
        }
        (Some(Some(mode)), _) => mode,
    };
    if params.has("request") {
        return Err(Fault::new(Code::RequestNotSupported, "request objects are not supported"));
    }
    if params.has("request_uri") {
        return Err(Fault::new(Code::RequestUriNotSupported, "request objects are not supported"));
    }
    Ok(mode)
}

/// RFC 7636 section 4.3.
fn challenge(params: &Params, client: &Client, response: ResponseType) -> Result<Option<Challenge>, Fault> {
    let wrong = |why: &str| Fault::new(InvalidRequest, why);
    let method = params.get("code_challenge_method");
    let Some(value) = params.get("code_challenge") else {
        // Ansible names a method and sends no challenge.
        if method.is_some() && client.id != CHALLENGING_CLIENT {
            return Err(wrong("there is a code_challenge_method and no code_challenge"));
        }
        let is_needed = response == ResponseType::Code && client.is_public() && client.pkce == Pkce::Required;
        return if is_needed { Err(wrong("the code_challenge is missing (PKCE)")) } else { Ok(None) };
    };
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if !(43..=128).contains(&value.len()) || !value.bytes().all(is_unreserved) {
        return Err(wrong("the code_challenge is not 43 to 128 unreserved characters"));
    }
    let method = match method {
        Some("S256") => ChallengeMethod::S256,
        Some("plain") | None if client.plain_pkce == PlainPkce::Allowed => ChallengeMethod::Plain,
        _ => return Err(wrong("the code_challenge_method is not S256")),
    };
    Ok(Some(Challenge { method, value: value.to_owned() }))
}

fn scopes(params: &Params, client: &Client, config: &Config) -> Result<Scopes, Fault> {
    let asked = Scopes::parse(params.get("scope").unwrap_or_default())
        .map_err(|_| Fault::new(InvalidScope, "the scope has characters that no scope has"))?;
    let scopes = scope::granted(config, client, asked).map_err(|why| {
        let code = match why {
            ScopeError::Unknown(_) => InvalidScope,
            ScopeError::NotAllowed(_) => Code::AccessDenied,
        };
        Fault::new(code, why.to_string())
    })?;
    if scopes.is_empty() {
        return Err(Fault::new(InvalidScope, "the scope is missing, and the client has no default"));
    }
    Ok(scopes)
}

fn prompt(params: &Params) -> Result<Prompt, Fault> {
    let Some(text) = params.get("prompt") else { return Ok(Prompt::AsNeeded) };
    let (mut silent, mut login, mut consent, mut account) = (Wanted::No, Wanted::No, Wanted::No, Wanted::No);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => silent = Wanted::Yes,
            "login" => login = Wanted::Yes,
            "consent" => consent = Wanted::Yes,
            "select_account" => account = Wanted::Yes,
            _ => {
                let why = "the prompt has a word that is none of none, login, consent, select_account";
                return Err(Fault::new(InvalidRequest, why));
            }
        }
    }
    let asks = [login, consent, account].contains(&Wanted::Yes);
    match silent {
        Wanted::Yes if asks => Err(Fault::new(InvalidRequest, "the prompt none stands alone")),
        Wanted::Yes => Ok(Prompt::Silent),
        Wanted::No if asks => Ok(Prompt::Ask { login, consent, account }),
        Wanted::No => Ok(Prompt::AsNeeded),
    }
}

fn max_age(params: &Params) -> Result<Option<Duration>, Fault> {
    let Some(text) = params.get("max_age") else { return Ok(None) };
    let seconds = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.and_then(|text| text.parse::<u32>().ok());
    match seconds {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        None => Err(Fault::new(InvalidRequest, "the max_age is not a number of seconds")),
    }
}

fn audience(params: &Params, config: &Config) -> Result<Vec<String>, Fault> {
    let Some(resource) = params.get("resource") else { return Ok(Vec::new()) };
    if config.resources.iter().any(|known| known.uri == resource) {
        Ok(vec![resource.to_owned()])
    } else {
        Err(Fault::new(Code::InvalidTarget, "the resource is not known"))
    }
}

#[cfg(test)]
mod tests;
