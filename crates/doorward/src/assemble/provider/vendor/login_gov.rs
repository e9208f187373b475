//! Options of login.gov: a key in place of a secret, and how strong a login has to be.

use std::sync::Arc;

use doorward_jose::{Algorithm, ClientKey};
use doorward_oidc::{AssertionAudience, ClientAuthentication, LoginParameter};
use doorward_options::structured::Provider;
use url::Url;

use crate::assemble::problems::Problems;

const ACR: &str = "http://idmanagement.gov/ns/assurance/loa/1";

/// The key that login.gov knows the public half of.
pub(super) fn key(provider: &Provider, problems: &mut Problems<'_>) -> Option<ClientAuthentication> {
    let written = &provider.login_gov;
    let mend = "write the private key that login.gov knows the certificate of, as PEM, in one of both";
    let (option, pem) = match (written.jwt_key.expose().as_str(), written.jwt_key_file.as_str()) {
        ("", "") => {
            problems.add(
                "jwt-key-file",
                "login.gov needs a private key: missing setting jwt-key or jwt-key-file",
                mend,
            );
            return None;
        }
        (pem, "") => ("jwt-key", pem.as_bytes().to_vec()),
        ("", file) => {
            let read =
                problems.read(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"));
            ("jwt-key-file", problems.take("jwt-key-file", read, mend)?)
        }
        _ => {
            problems.add("jwt-key", "both jwt-key and jwt-key-file are set", mend);
            return None;
        }
    };
    let key = ClientKey::read(&pem, Some(Algorithm::Rs256), None);
    let key = Arc::new(problems.take(option, key, mend)?);
    Some(ClientAuthentication::PrivateKeyJwt { key, audience: AssertionAudience::TokenEndpoint })
}

/// The issuer of the instance that people are sent to.
pub(super) fn issuer(provider: &Provider) -> Option<String> {
    let login = Url::parse(&provider.login_url).ok()?;
    Some(format!("{}/", login.origin().ascii_serialization()))
}

/// Says how strong a login has to be, if nobody did.
pub(super) fn add_strength(parameters: &mut Vec<LoginParameter>) {
    if !parameters.iter().any(|parameter| parameter.name == "acr_values") {
        parameters.push(LoginParameter::fixed("acr_values", ACR));
    }
}
