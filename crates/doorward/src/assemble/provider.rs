//! Options of the identity provider and of the login there.

use std::{fs, path::PathBuf, str::FromStr};

use doorward_authn::bearer::extra_issuer;
use doorward_core::SecretString;
use doorward_jose::Algorithm;
use doorward_oidc::{
    ClientSecret, Config, Discovery, EmailVerification, HttpConfig, IssuerCheck, KeySource, NonceCheck, Pkce,
    ProfileClaims, ProviderKind, Trust,
};
use doorward_options::Options;

use super::problems::Problems;

/// Provider types of the reference that are still to come.
const LATER: [&str; 15] = [
    "adfs",
    "azure",
    "bitbucket",
    "cidaas",
    "digitalocean",
    "entra-id",
    "facebook",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "linkedin",
    "login.gov",
    "nextcloud",
    "sourcehut",
];

/// Checks everything that can be checked without asking the provider.
pub(crate) fn config(options: &Options, problems: &mut Problems<'_>) -> Option<Config> {
    let kind = kind(options, problems);
    restrictions(options, kind, problems);
    if options.client_id.is_empty() {
        problems.add(
            "client-id",
            "missing setting: client-id",
            "write the client id that the provider gave you",
        );
    }
    let client_secret = client_secret(options, problems);
    if options.oidc_issuer_url.is_empty() {
        let mend = "write the provider's issuer, for Keycloak https://host/realms/NAME";
        problems.add("oidc-issuer-url", "missing setting: oidc-issuer-url", mend);
    }
    let keys = keys(options, problems);
    let enabled_algorithms = algorithms(options, problems);
    let http = HttpConfig { trust: trust(options, problems)?, ..HttpConfig::default() };
    Some(Config {
        kind: kind?,
        display_name: display_name(options, kind?),
        issuer: options.oidc_issuer_url.clone(),
        client_id: options.client_id.clone(),
        client_secret: client_secret?,
        scope: scope(options),
        discovery: if options.skip_oidc_discovery { Discovery::Skip } else { Discovery::Fetch },
        login_url: given(&options.login_url),
        redeem_url: given(&options.redeem_url),
        profile_url: given(&options.profile_url),
        validate_url: given(&options.validate_url),
        keys: keys?,
        issuer_check: if options.insecure_oidc_skip_issuer_verification {
            IssuerCheck::Skip
        } else {
            IssuerCheck::Exact
        },
        nonce: nonce(options, problems),
        email_verification: if options.insecure_oidc_allow_unverified_email {
            EmailVerification::Ignored
        } else {
            EmailVerification::Required
        },
        email_claim: email_claim(options),
        groups_claim: options.oidc_groups_claim.clone(),
        audience_claims: options.oidc_audience_claims.clone(),
        extra_audiences: options.oidc_extra_audiences.clone(),
        enabled_algorithms,
        profile_claims: if options.skip_claims_from_profile_url {
            ProfileClaims::Skip
        } else {
            ProfileClaims::Fetch
        },
        pkce: pkce(options, problems),
        response_mode: given(&options.auth_request_response_mode),
        login_parameters: login_parameters(options),
        additional_claims: Vec::new(),
        backend_logout_url: given(&options.backend_logout_url),
        http,
    })
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

/// What the sign-in page calls the provider.
pub(crate) fn display_name(options: &Options, kind: ProviderKind) -> String {
    if !options.provider_display_name.is_empty() {
        return options.provider_display_name.clone();
    }
    match kind {
        ProviderKind::Oidc => "OpenID Connect".to_owned(),
        ProviderKind::KeycloakOidc => "Keycloak OIDC".to_owned(),
    }
}

fn kind(options: &Options, problems: &mut Problems<'_>) -> Option<ProviderKind> {
    let mend = "write --provider=oidc or --provider=keycloak-oidc";
    match options.provider.as_str() {
        "oidc" => Some(ProviderKind::Oidc),
        "keycloak-oidc" => Some(ProviderKind::KeycloakOidc),
        later if LATER.contains(&later) => {
            problems.add("provider", format!("the provider {later} is not implemented yet"), mend);
            None
        }
        unknown => {
            problems.add("provider", format!("there is no provider type {unknown:?}"), mend);
            None
        }
    }
}

/// A restriction that the provider cannot enforce would let everybody in.
fn restrictions(options: &Options, kind: Option<ProviderKind>, problems: &mut Problems<'_>) {
    if !options.allowed_roles.is_empty() && kind != Some(ProviderKind::KeycloakOidc) {
        let message =
            "roles are known of the provider keycloak-oidc only, so this restriction would not be enforced";
        problems.add("allowed-role", message, "use --provider=keycloak-oidc, or --allowed-group");
    }
}

fn client_secret(options: &Options, problems: &mut Problems<'_>) -> Option<ClientSecret> {
    if !options.client_secret.expose().is_empty() {
        return Some(ClientSecret::Inline(options.client_secret.clone()));
    }
    if options.client_secret_file.is_empty() {
        let message = "missing setting: client-secret or client-secret-file";
        problems.add("client-secret", message, "write the client secret that the provider gave you");
        return None;
    }
    let path = PathBuf::from(&options.client_secret_file);
    if let Err(error) = fs::read(&path) {
        let message = format!("could not read client secret file {}: {error}", path.display());
        problems.add("client-secret-file", message, "name a file that the program may read");
        return None;
    }
    Some(ClientSecret::File(path))
}

fn keys(options: &Options, problems: &mut Problems<'_>) -> Option<KeySource> {
    if !options.skip_oidc_discovery {
        return Some(KeySource::Discovered);
    }
    let mend = "write exactly one of --oidc-jwks-url and --oidc-public-key-file";
    match (options.oidc_jwks_url.as_str(), options.oidc_public_key_files.as_slice()) {
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
    let read = fs::read(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"));
    problems.take("oidc-public-key-file", read, "name a PEM file that the program may read")
}

fn algorithms(options: &Options, problems: &mut Problems<'_>) -> Vec<Algorithm> {
    let mend = "write names as in RFC 7518 section 3.1, e.g. RS256, ES256 or EdDSA";
    let names = options.oidc_enabled_signing_algs.iter();
    names
        .filter_map(|name| problems.take("oidc-enabled-signing-alg", Algorithm::from_str(name), mend))
        .collect()
}

fn trust(options: &Options, problems: &mut Problems<'_>) -> Option<Trust> {
    if options.ssl_insecure_skip_verify {
        return Some(Trust::Anything);
    }
    let files: Vec<PathBuf> = options.provider_ca_files.iter().map(PathBuf::from).collect();
    for file in &files {
        if let Err(error) = fs::read(file) {
            let message = format!("the file {} cannot be read: {error}", file.display());
            problems.add("provider-ca-file", message, "name a PEM file that the program may read");
            return None;
        }
    }
    Some(match (files.is_empty(), options.use_system_trust_store) {
        (true, _) => Trust::System,
        (false, true) => Trust::FilesAndSystem(files),
        (false, false) => Trust::Files(files),
    })
}

fn scope(options: &Options) -> String {
    if !options.scope.is_empty() {
        return options.scope.clone();
    }
    let groups = if options.allowed_groups.is_empty() { "" } else { " groups" };
    format!("openid email profile{groups}")
}

/// The nonce is sent unless somebody switched it off, and then checked if the provider returns one; providers that
/// do not return it keep working, as with the reference, unless the check is demanded.
fn nonce(options: &Options, problems: &Problems<'_>) -> NonceCheck {
    match (options.insecure_oidc_skip_nonce, problems.is_set("insecure-oidc-skip-nonce")) {
        (false, _) => NonceCheck::Required,
        (true, false) => NonceCheck::IfPresent,
        (true, true) => NonceCheck::Off,
    }
}

fn email_claim(options: &Options) -> String {
    if options.user_id_claim != "email" && options.oidc_email_claim == "email" {
        return options.user_id_claim.clone();
    }
    options.oidc_email_claim.clone()
}

fn pkce(options: &Options, problems: &mut Problems<'_>) -> Pkce {
    let method = match options.code_challenge_method.as_str() {
        "" => options.force_code_challenge_method.as_str(),
        method => method,
    };
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

fn login_parameters(options: &Options) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    if !options.acr_values.is_empty() {
        parameters.push(("acr_values".to_owned(), options.acr_values.clone()));
    }
    if options.prompt.is_empty() {
        let approval = if options.approval_prompt.is_empty() { "force" } else { &options.approval_prompt };
        parameters.push(("approval_prompt".to_owned(), approval.to_owned()));
    } else {
        parameters.push(("prompt".to_owned(), options.prompt.clone()));
    }
    parameters
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The text of a secret, or of the file that holds it; one newline at the end of a file is not part of it.
pub(crate) fn secret_or_file(secret: &SecretString, file: &str) -> Result<SecretString, String> {
    if !secret.expose().is_empty() || file.is_empty() {
        return Ok(secret.clone());
    }
    let text =
        fs::read_to_string(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).into())
}
