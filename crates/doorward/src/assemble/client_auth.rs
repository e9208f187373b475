//! Options that say how the provider learns who we are (`clientAuth`), and what binds its tokens to us.

use std::{str::FromStr, sync::Arc};

use doorward_jose::{Algorithm, ClientKey};
use doorward_oidc::{
    AssertionAudience, ClientAuth, ClientAuthentication, ClientIdentity, Config, HttpConfig, LoginStrength,
    Protocol, PushedRequests,
};
use doorward_options::structured::{self, Provider};

use super::{problems::Problems, provider::client_secret};

const METHODS: &str = "write client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, \
                       tls_client_auth, self_signed_tls_client_auth or none";

/// By which method, and with what.
pub(super) fn authentication(
    provider: &Provider,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    let written = &provider.client_auth;
    unused(provider, problems);
    match written.method.as_str() {
        "" => client_secret(provider, problems).map(ClientAuthentication::Secret),
        "client_secret_basic" => {
            let secret = client_secret(provider, problems)?;
            Some(ClientAuthentication::SecretIn(secret, ClientAuth::Basic))
        }
        "client_secret_post" => {
            let secret = client_secret(provider, problems)?;
            Some(ClientAuthentication::SecretIn(secret, ClientAuth::Post))
        }
        "client_secret_jwt" => {
            let secret = client_secret(provider, problems)?;
            Some(ClientAuthentication::SecretJwt { secret, audience: audience(&written.audience) })
        }
        "private_key_jwt" => private_key(written, problems),
        "tls_client_auth" | "self_signed_tls_client_auth" => Some(ClientAuthentication::Mtls),
        "none" => Some(ClientAuthentication::Public),
        other => {
            problems.add(
                "client-auth-method",
                format!("there is no client authentication {other:?}"),
                METHODS,
            );
            None
        }
    }
}

/// `config` with what is demanded beyond the usual.
pub(super) fn strengthened(
    config: Config,
    provider: &Provider,
    problems: &mut Problems<'_>,
) -> Option<Config> {
    let identity = identity(&provider.client_auth, problems);
    let dpop = dpop(&provider.dpop_key_file, problems);
    let wants_push = provider.pushed_authorization_requests == Some(true);
    let strength = LoginStrength { acr: provider.required_acr.clone(), max_age: provider.max_auth_age };
    if config.kind.protocol() == Protocol::OAuth2 {
        let written = [
            ("required-acr", !strength.acr.is_empty()),
            ("max-auth-age", strength.max_age.is_some()),
            ("dpop-key-file", !provider.dpop_key_file.is_empty()),
            ("pushed-authorization-requests", wants_push),
        ];
        for (option, _) in written.into_iter().filter(|(_, is_set)| *is_set) {
            let message =
                "this kind of provider does not speak OpenID Connect, so this would not be enforced";
            problems.add(option, message, "take it away, or use a provider of OpenID Connect");
        }
    }
    let (client_identity, dpop) = (identity?, dpop?);
    let pushed_requests = if wants_push { PushedRequests::Always } else { PushedRequests::WhereRequired };
    let http = HttpConfig { client_identity, ..config.http };
    Some(Config { http, dpop, pushed_requests, strength, ..config })
}

/// A secret or key that is written and not used gives a false sense of it.
fn unused(provider: &Provider, problems: &mut Problems<'_>) {
    let written = &provider.client_auth;
    let method = written.method.as_str();
    let is_jwt = matches!(method, "private_key_jwt" | "client_secret_jwt");
    let takes_secret = method.is_empty() || method.starts_with("client_secret_");
    let signs = method == "private_key_jwt" && written.assertion_file.is_empty();
    for (option, is_set, is_used) in [
        ("client-key-file", !written.key_file.is_empty(), method == "private_key_jwt"),
        ("client-assertion-file", !written.assertion_file.is_empty(), method == "private_key_jwt"),
        ("client-key-id", !written.key_id.is_empty(), signs),
        ("client-key-algorithm", !written.algorithm.is_empty(), signs),
        (
            "client-assertion-audience",
            !written.audience.is_empty(),
            is_jwt && written.assertion_file.is_empty(),
        ),
        ("client-secret", !provider.client_secret.expose().is_empty(), takes_secret),
        ("client-secret-file", !provider.client_secret_file.is_empty(), takes_secret),
    ] {
        if is_set && !is_used {
            let message = match method {
                "" => "without client-auth-method this is not used".to_owned(),
                method => format!("the client authentication {method} does not use this"),
            };
            problems.add(option, message, "take it away, or choose the method that needs it");
        }
    }
}

fn private_key(
    written: &structured::ClientAuth,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    match (written.key_file.as_str(), written.assertion_file.as_str()) {
        ("", "") => {
            let message = "missing setting: the key that private_key_jwt signs with";
            problems.add("client-key-file", message, KEY_MEND);
            None
        }
        ("", path) => {
            problems.read_secret("client-assertion-file", path, "name a file that the program may read")?;
            Some(ClientAuthentication::AssertionFile(path.into()))
        }
        (path, "") => {
            let mend = "write RS256, PS256, ES256 or EdDSA, whichever the key is for";
            let algorithm = match written.algorithm.as_str() {
                "" => None,
                name => Some(problems.take("client-key-algorithm", Algorithm::from_str(name), mend)?),
            };
            let kid = Some(written.key_id.as_str()).filter(|kid| !kid.is_empty());
            let key = key("client-key-file", path, (algorithm, kid), problems)?;
            Some(ClientAuthentication::PrivateKeyJwt { key, audience: audience(&written.audience) })
        }
        _ => {
            let message = "both client-key-file and client-assertion-file are set";
            problems.add("client-assertion-file", message, "take one of the two away");
            None
        }
    }
}

const KEY_MEND: &str =
    "name a file with a private key in PEM or as JWK: RSA with 2048 bits or more, P-256 or Ed25519";

fn key(
    option: &str,
    path: &str,
    (algorithm, kid): (Option<Algorithm>, Option<&str>),
    problems: &mut Problems<'_>,
) -> Option<Arc<ClientKey>> {
    let content = problems.read_secret(option, path, KEY_MEND)?;
    let key = ClientKey::read(content.expose(), algorithm, kid);
    let key = key.map_err(|error| format!("the file {path:?} cannot be used: {error}"));
    problems.take(option, key, KEY_MEND).map(Arc::new)
}

fn audience(text: &str) -> AssertionAudience {
    match text {
        "" | "token-endpoint" => AssertionAudience::TokenEndpoint,
        "issuer" => AssertionAudience::Issuer,
        other => AssertionAudience::Other(other.to_owned()),
    }
}

/// The certificate to show. `Some(None)` if there is none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn identity(written: &structured::ClientAuth, problems: &mut Problems<'_>) -> Option<Option<ClientIdentity>> {
    let is_needed = matches!(written.method.as_str(), "tls_client_auth" | "self_signed_tls_client_auth");
    match (written.cert_file.as_str(), written.cert_key_file.as_str()) {
        ("", "") if !is_needed => Some(None),
        ("", _) => {
            let message = "missing setting: the certificate to show to the provider";
            problems.add(
                "client-cert-file",
                message,
                "name a PEM file with the certificate that the provider knows",
            );
            None
        }
        (_, "") => {
            let message = "missing setting: the key of the certificate";
            problems.add("client-cert-key-file", message, "name a PEM file with the private key");
            None
        }
        (path, key) => {
            let mend = "name a PEM file that the program may read";
            let read =
                problems.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
            let certificates = problems.take("client-cert-file", read, mend);
            let key = problems.read_secret("client-cert-key-file", key, mend);
            Some(Some(ClientIdentity { path: path.into(), certificates: certificates?, key: key? }))
        }
    }
}

/// The key that tokens are bound to. `Some(None)` if there is none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn dpop(path: &str, problems: &mut Problems<'_>) -> Option<Option<Arc<ClientKey>>> {
    if path.is_empty() {
        return Some(None);
    }
    key("dpop-key-file", path, (None, None), problems).map(Some)
}
