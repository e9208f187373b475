//! Options of the identity provider and of the login there.

pub(crate) mod vendor;

use std::{path::PathBuf, str::FromStr};

use doorward_authn::bearer::extra_issuer;
use doorward_core::{SecretString, pattern::PathPattern};
use doorward_jose::Algorithm;
use doorward_oidc::{
    AllowedValue, CaFile, ClientSecret, Config, ConnectError, Discovery, EmailVerification, HttpConfig,
    IssuerCheck, KeySource, LoginParameter, NonceCheck, Pkce, ProfileClaims, Protocol, ProviderKind, Trust,
};
use doorward_options::{
    Options,
    structured::{Oidc, Provider, Structured},
};

use super::{client_auth, problems::Problems};

/// Looks through the list of providers: people sign in at any of them, and the first is the one of oauth2-proxy.
pub(crate) fn look_through(structured: &Structured, problems: &mut Problems<'_>) {
    for (index, provider) in structured.providers.iter().enumerate() {
        let earlier = structured.providers.iter().take(index);
        if earlier.into_iter().any(|earlier| earlier.id == provider.id) {
            let message =
                format!("multiple providers found with id {:?}: provider ids must be unique", provider.id);
            problems.add(&format!("providers[{index}].id"), message, "give every provider an id of its own");
        }
    }
    match structured.providers.as_slice() {
        [] => {
            let message = "at least one provider has to be defined";
            problems.add("providers", message, "write the provider at which people sign in");
        }
        [_] => {}
        several => {
            let ids: Vec<&str> = several.iter().map(|provider| provider.id.as_str()).collect();
            problems.notice(format!(
                "People choose among {} providers: {}. oauth2-proxy knows the first only.",
                ids.len(),
                ids.join(", ")
            ));
        }
    }
}

/// What every provider needs.
fn missing(provider: &Provider, kind: &ProviderKind, problems: &mut Problems<'_>) {
    if provider.id.is_empty() {
        let message = "provider has empty id: ids are required for all providers";
        problems.add("providers[0].id", message, "write any name for the provider");
    }
    if provider.client_id.is_empty() {
        problems.add(
            "client-id",
            "provider missing setting: client-id",
            "write the client id that the provider gave you",
        );
    }
    if vendor::has_written_issuer(kind) && provider.oidc.issuer_url.is_empty() {
        let mend = "write the provider's issuer, for Keycloak https://host/realms/NAME";
        problems.add("oidc-issuer-url", "missing setting: oidc-issuer-url", mend);
    }
}

/// Checks everything that can be checked without asking the provider.
pub(crate) fn config(provider: &Provider, options: &Options, problems: &mut Problems<'_>) -> Option<Config> {
    let Some(kind) = vendor::kind(provider, problems) else {
        // What else is wrong depends on it.
        return None;
    };
    missing(provider, &kind, problems);
    vendor::refuse_foreign(provider, problems);
    vendor::endpoints(provider, &kind, problems);
    let client_authentication = vendor::client_authentication(provider, problems);
    let is_discovered = kind.protocol() == Protocol::OpenIdConnect;
    let keys = keys(&kind, &provider.oidc, problems);
    let enabled_algorithms = algorithms(&provider.oidc, problems);
    let login_parameters = login_parameters(provider, problems);
    let http = HttpConfig { trust: trust(provider, options, problems)?, ..HttpConfig::default() };
    let defaults = kind.defaults();
    let mut config = Config {
        display_name: either(&provider.name, defaults.name).unwrap_or_default(),
        issuer: provider.oidc.issuer_url.clone(),
        client_id: provider.client_id.clone(),
        client_authentication: client_authentication?,
        scope: vendor::scope(provider, &kind),
        discovery: if provider.oidc.skip_discovery || !is_discovered {
            Discovery::Skip
        } else {
            Discovery::Fetch
        },
        login_url: either(&provider.login_url, defaults.login_url),
        redeem_url: either(&provider.redeem_url, defaults.redeem_url),
        profile_url: either(&provider.profile_url, defaults.profile_url),
        validate_url: either(&provider.validate_url, defaults.validate_url),
        keys: keys?,
        issuer_check: if provider.oidc.insecure_skip_issuer_verification || !is_discovered {
            IssuerCheck::Skip
        } else {
            IssuerCheck::Exact
        },
        nonce: if is_discovered { nonce(&provider.oidc) } else { NonceCheck::Off },
        email_verification: if provider.oidc.insecure_allow_unverified_email {
            EmailVerification::Ignored
        } else {
            EmailVerification::Required
        },
        email_claim: email_claim(&provider.oidc),
        groups_claim: provider.oidc.groups_claim.clone(),
        audience_claims: provider.oidc.audience_claims.clone(),
        extra_audiences: provider.oidc.extra_audiences.clone(),
        enabled_algorithms,
        profile_claims: if provider.skip_claims_from_profile_url {
            ProfileClaims::Skip
        } else {
            ProfileClaims::Fetch
        },
        pkce: pkce(&provider.code_challenge_method, problems),
        response_mode: given(&provider.auth_request_response_mode),
        login_parameters: login_parameters?,
        additional_claims: provider.additional_claims.clone(),
        backend_logout_url: given(&provider.backend_logout_url),
        http,
        kind,
        ..Config::new(String::new(), String::new())
    };
    vendor::adapt(provider, &mut config);
    let config = client_auth::strengthened(config, provider, problems)?;
    // An issuer that is missing has been told of.
    if !(vendor::has_written_issuer(&config.kind) && provider.oidc.issuer_url.is_empty())
        && let Err(error) = config.check()
    {
        problems.add(option_of(&error), error.to_string(), connect_mend(&error));
        return None;
    }
    Some(config)
}

/// The option that has to change before the provider can be used.
pub(crate) fn option_of(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::InvalidUrl { name: "login URL", .. } => "login-url",
        ConnectError::InvalidUrl { name: "redeem URL", .. } => "redeem-url",
        ConnectError::InvalidUrl { name: "profile URL", .. } => "profile-url",
        ConnectError::InvalidUrl { name: "JWKS URL", .. } => "oidc-jwks-url",
        ConnectError::InvalidUrl { name: "validate URL", .. } => "validate-url",
        ConnectError::PublicKeyFile { .. } => "oidc-public-key-file",
        ConnectError::ClientSecretFile { .. } => "client-secret-file",
        ConnectError::AssertionFile { .. } => "client-assertion-file",
        ConnectError::ShortSecret => "client-secret",
        ConnectError::NoPushedRequests => "pushed-authorization-requests",
        ConnectError::NoDpop { .. } => "dpop-key-file",
        ConnectError::NoClientIdentity | ConnectError::ClientIdentity { .. } => "client-cert-file",
        ConnectError::CaFile { .. } | ConnectError::UntrustedCertificate { .. } => "provider-ca-file",
        ConnectError::NoCommonAlgorithm { .. } => "oidc-enabled-signing-alg",
        ConnectError::InvalidUrl { .. }
        | ConnectError::IssuerMismatch { .. }
        | ConnectError::NoKeySource
        | ConnectError::Tls { .. } => "oidc-issuer-url",
    }
}

/// What to do about it.
pub(crate) fn connect_mend(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::InvalidUrl { .. } => "write a whole URL, such as https://id.example.com/realms/main",
        ConnectError::IssuerMismatch { .. } => "write the issuer letter by letter as the provider does",
        ConnectError::PublicKeyFile { .. } => "name PEM files with public keys",
        ConnectError::ClientSecretFile { .. } => "name a file that the program may read",
        ConnectError::AssertionFile { .. } => "name the file that the platform writes the assertion to",
        ConnectError::ShortSecret => "have the provider make a longer secret, or use private_key_jwt",
        ConnectError::NoPushedRequests => "take the option away, or switch them on at the provider",
        ConnectError::NoDpop { .. } => "take the option away, or name a key for an algorithm that is listed",
        ConnectError::NoClientIdentity | ConnectError::ClientIdentity { .. } => {
            "name PEM files with the certificate that the provider knows and with its key"
        }
        ConnectError::CaFile { .. } => "name PEM files with certificates of authorities",
        ConnectError::UntrustedCertificate { .. } => {
            "name the authority that signed the provider's certificate"
        }
        ConnectError::NoCommonAlgorithm { .. } => "enable an algorithm that the provider offers",
        ConnectError::NoKeySource | ConnectError::Tls { .. } => "correct the provider's options",
    }
}

/// Providers whose tokens are accepted besides the main one's (`--extra-jwt-issuers`).
pub(crate) fn extra_issuers(options: &Options, main: &Config, problems: &mut Problems<'_>) -> Vec<Config> {
    if !options.skip_jwt_bearer_tokens {
        return Vec::new();
    }
    let mend = "write issuer=audience, for example https://issuer.example.com=my-api";
    let entries = options.extra_jwt_issuers.iter();
    entries.filter_map(|entry| problems.take("extra-jwt-issuers", extra_issuer(entry, main), mend)).collect()
}

/// The secret that the provider gave us.
pub(super) fn client_secret(provider: &Provider, problems: &mut Problems<'_>) -> Option<ClientSecret> {
    if !provider.client_secret.expose().is_empty() {
        return Some(ClientSecret::Inline(provider.client_secret.clone()));
    }
    if provider.client_secret_file.is_empty() {
        let message = "missing setting: client-secret or client-secret-file";
        problems.add("client-secret", message, "write the client secret that the provider gave you");
        return None;
    }
    let path = PathBuf::from(&provider.client_secret_file);
    if let Err(error) = problems.read(&path) {
        let message = format!("could not read client secret file {}: {error}", path.display());
        problems.add("client-secret-file", message, "name a file that the program may read");
        return None;
    }
    Some(ClientSecret::File(path))
}

fn keys(kind: &ProviderKind, oidc: &Oidc, problems: &mut Problems<'_>) -> Option<KeySource> {
    if !vendor::has_written_issuer(kind) {
        return Some(KeySource::None);
    }
    if !oidc.skip_discovery {
        return Some(KeySource::Discovered);
    }
    let mend = "write exactly one of --oidc-jwks-url and --oidc-public-key-file";
    match (oidc.jwks_url.as_str(), oidc.public_key_files.as_slice()) {
        ("", []) => {
            problems.add("oidc-jwks-url", "without discovery the provider's keys must be named", mend);
            None
        }
        (url, []) => Some(KeySource::Url(url.to_owned())),
        ("", files) => {
            let read: Option<Vec<_>> = files.iter().map(|file| public_key(file, problems)).collect();
            read.map(KeySource::Pem)
        }
        _ => {
            problems.add(
                "oidc-public-key-file",
                "both --oidc-jwks-url and --oidc-public-key-file are set",
                mend,
            );
            None
        }
    }
}

fn public_key(file: &str, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let read = problems.read(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"));
    problems.take("oidc-public-key-file", read, "name a PEM file that the program may read")
}

fn algorithms(oidc: &Oidc, problems: &mut Problems<'_>) -> Vec<Algorithm> {
    let mend = "write names as in RFC 7518 section 3.1, e.g. RS256, ES256 or EdDSA";
    let names = oidc.enabled_signing_algs.iter();
    names
        .filter_map(|name| problems.take("oidc-enabled-signing-alg", Algorithm::from_str(name), mend))
        .collect()
}

fn trust(provider: &Provider, options: &Options, problems: &mut Problems<'_>) -> Option<Trust> {
    if options.ssl_insecure_skip_verify {
        return Some(Trust::Anything);
    }
    let mend = "name a PEM file that the program may read";
    let read: Option<Vec<CaFile>> = provider
        .ca_files
        .iter()
        .map(|file| {
            let pem = problems.read(file).map_err(|error| format!("the file {file} cannot be read: {error}"));
            problems.take("provider-ca-file", pem, mend).map(|pem| CaFile { path: file.into(), pem })
        })
        .collect();
    let files = read?;
    Some(match (files.is_empty(), provider.use_system_trust_store) {
        (true, _) => Trust::System,
        (false, true) => Trust::FilesAndSystem(files),
        (false, false) => Trust::Files(files),
    })
}

/// The nonce is sent unless somebody switched it off, and then checked if the provider returns one; providers that
/// do not return it keep working, as with the reference, unless the check is demanded.
fn nonce(oidc: &Oidc) -> NonceCheck {
    match oidc.insecure_skip_nonce {
        Some(false) => NonceCheck::Required,
        None => NonceCheck::IfPresent,
        Some(true) => NonceCheck::Off,
    }
}

fn email_claim(oidc: &Oidc) -> String {
    let claim = if oidc.user_id_claim != "email" && oidc.email_claim == "email" {
        &oidc.user_id_claim
    } else {
        &oidc.email_claim
    };
    claim.clone()
}

fn pkce(method: &str, problems: &mut Problems<'_>) -> Pkce {
    match method {
        "" => Pkce::Auto,
        "S256" => Pkce::S256,
        "plain" => Pkce::Plain,
        other => {
            problems
                .notice(format!("code-challenge-method {other:?} is unknown: logins will fail. Write S256."));
            Pkce::Unsupported(other.to_owned())
        }
    }
}

fn login_parameters(provider: &Provider, problems: &mut Problems<'_>) -> Option<Vec<LoginParameter>> {
    let mut parameters: Vec<LoginParameter> = Vec::new();
    let mut complete = true;
    for (index, written) in provider.login_url_parameters.iter().enumerate() {
        let place = format!("providers[0].loginURLParameters[{index}]");
        let mut fail = |place: &str, message: String, mend: &str| {
            problems.add(place, message, mend);
            complete = false;
        };
        if written.name.is_empty() {
            fail(&place, "the parameter has no name".to_owned(), "write its name");
        }
        if parameters.iter().any(|earlier| earlier.name == written.name) {
            let message = format!("the parameter {:?} is there twice", written.name);
            fail(&place, message, "put everything about a parameter into one entry");
        }
        let mut allowed = Vec::new();
        for (index, rule) in written.allow.iter().enumerate() {
            let place = format!("{place}.allow[{index}]");
            match (&rule.value, &rule.pattern) {
                (Some(value), None) => allowed.push(AllowedValue::Exactly(value.clone())),
                (None, Some(pattern)) => match PathPattern::parse(pattern) {
                    Ok(pattern) => allowed.push(AllowedValue::Matching(pattern)),
                    Err(error) => fail(&place, error.to_string(), "write a regular expression of RE2 syntax"),
                },
                _ => {
                    let message = "a rule needs exactly one of value and pattern".to_owned();
                    fail(&place, message, "split the rule, or complete it");
                }
            }
        }
        parameters.push(LoginParameter {
            name: written.name.clone(),
            values: written.default.clone(),
            allowed,
        });
    }
    complete.then_some(parameters)
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is written, else what is usual; nothing if neither is there.
fn either(written: &str, usual: &str) -> Option<String> {
    given(written).or_else(|| given(usual))
}

/// The text of a secret, or of the file that holds it; one newline at the end of a file is not part of it.
pub(crate) fn secret_or_file(
    secret: &SecretString,
    file: &str,
    problems: &Problems<'_>,
) -> Result<SecretString, String> {
    if !secret.expose().is_empty() || file.is_empty() {
        return Ok(secret.clone());
    }
    let text =
        problems.read_text(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).into())
}
