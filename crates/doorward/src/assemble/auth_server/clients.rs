//! The operator's clients of the built-in server.

use std::time::Duration;

use doorward_oauth::config::{
    Client, ClientSecret, ClientStanding, Consent, GrantType, ImplicitGrant, Pkce, PlainPkce, RedirectMatch,
    ResponseStyle, ScopeRestriction, is_built_in,
};
use doorward_options::structured::own::{self, AuthServer};
use url::Url;

use crate::assemble::problems::Problems;

/// What can be read; the rest are complaints.
pub(super) fn clients(server: &AuthServer, problems: &mut Problems<'_>) -> Vec<Client> {
    let written = server.clients.iter().enumerate();
    written.filter_map(|(index, written)| client(index, written, problems)).collect()
}

fn client(index: usize, written: &own::Client, problems: &mut Problems<'_>) -> Option<Client> {
    let place = format!("authServer.clients[{index}]");
    if written.id.is_empty() {
        problems.add(&format!("{place}.id"), "missing setting: id", "write the id of the client");
    }
    let secrets = secrets(&place, written, problems);
    if is_built_in(&written.id) {
        return built_in(&place, written, secrets?, problems);
    }
    rest(&place, written, secrets?, problems)
}

/// What can be added to a client that is there anyway.
fn built_in(
    place: &str,
    written: &own::Client,
    secrets: Vec<ClientSecret>,
    problems: &mut Problems<'_>,
) -> Option<Client> {
    let own::Client { id, name, secret, secret_file, secret_hashes, .. } = written.clone();
    let heeded = own::Client { id, name, secret, secret_file, secret_hashes, ..own::Client::default() };
    if *written != heeded {
        let message =
            format!("the client {:?} is built in: nothing but a name and secrets can be added", heeded.id);
        problems.add(place, message, "take the other keys away, or choose another id");
        return None;
    }
    Some(Client { name: heeded.name, secrets, ..Client::new(&heeded.id) })
}

/// A client of the operator's. Every key is named here: one that nobody reads does not compile.
fn rest(
    place: &str,
    written: &own::Client,
    secrets: Vec<ClientSecret>,
    problems: &mut Problems<'_>,
) -> Option<Client> {
    let own::Client {
        id,
        name,
        // Read already.
        secret: _,
        secret_file: _,
        secret_hashes: _,
        redirect_uris,
        redirect_match,
        grant_method,
        grant_types,
        allow_implicit,
        respond_with_challenges,
        require_pkce,
        allow_plain_pkce,
        scope_restrictions,
        default_scopes,
        access_token_max_age_seconds,
        access_token_inactivity_timeout_seconds,
        id_token_signed_response_alg,
        post_logout_redirect_uris,
        backchannel_logout_uri,
        resources,
        disabled,
    } = written;
    let at = |key: &str| format!("{place}.{key}");
    let redirect_match = matching(&at("redirectMatch"), id, redirect_match, problems);
    let consent = consent(&at("grantMethod"), grant_method, problems);
    let grants = grants(place, grant_types.as_deref(), problems);
    let default_scopes = super::scopes(&at("defaultScopes"), default_scopes, problems);
    let id_token_alg =
        super::algorithm(&at("idTokenSignedResponseAlg"), id_token_signed_response_alg, problems);
    let max_age = seconds(&at("accessTokenMaxAgeSeconds"), *access_token_max_age_seconds, problems);
    let key = at("accessTokenInactivityTimeoutSeconds");
    let inactivity = seconds(&key, *access_token_inactivity_timeout_seconds, problems);
    super::inactivity_is_sound(&key, inactivity.flatten(), problems);
    let back_channel = address(&at("backchannelLogoutURI"), backchannel_logout_uri, problems);
    let grant_types = grants?;
    if grant_types.contains(&GrantType::AuthorizationCode) && redirect_uris.is_empty() {
        let mend = "write where browsers are sent back to, or grantTypes without authorization_code";
        problems.add(&at("redirectURIs"), "missing setting: redirectURIs", mend);
    }
    let needs_proof = require_pkce.unwrap_or(secrets.is_empty());
    let restrictions = scope_restrictions.iter();
    Some(Client {
        name: name.clone(),
        secrets,
        redirect_uris: redirect_uris.clone(),
        redirect_match: redirect_match?,
        consent: consent?,
        grant_types,
        implicit: if *allow_implicit { ImplicitGrant::Allowed } else { ImplicitGrant::Refused },
        responses: if *respond_with_challenges { ResponseStyle::Challenges } else { ResponseStyle::Pages },
        pkce: if needs_proof { Pkce::Required } else { Pkce::Optional },
        plain_pkce: if *allow_plain_pkce { PlainPkce::Allowed } else { PlainPkce::Refused },
        scope_restrictions: restrictions
            .map(|own::ScopeRestriction { literals }| ScopeRestriction::Literals(literals.clone()))
            .collect(),
        default_scopes: default_scopes?,
        access_token_max_age: max_age?,
        inactivity: inactivity?,
        id_token_alg: id_token_alg?,
        post_logout_redirect_uris: post_logout_redirect_uris.clone(),
        back_channel_logout_uri: back_channel?,
        resources: resources.clone(),
        standing: if *disabled { ClientStanding::Disabled } else { ClientStanding::Enabled },
        ..Client::new(id)
    })
}

/// `Some(None)` if none is written. What it has to be like, the server tells.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn address(place: &str, written: &str, problems: &mut Problems<'_>) -> Option<Option<Url>> {
    if written.is_empty() {
        return Some(None);
    }
    problems
        .take(place, Url::parse(written), "write an address such as https://app.example.com/logout")
        .map(Some)
}

fn matching(place: &str, id: &str, written: &str, problems: &mut Problems<'_>) -> Option<RedirectMatch> {
    match written {
        "" | "exact" => Some(RedirectMatch::Exact),
        "prefix" => {
            problems.notice(format!(
                "The client {id:?} may be sent to any address below its redirect URIs ({place}: prefix): whoever finds an \
                 open redirect there gets its codes."
            ));
            Some(RedirectMatch::Prefix)
        }
        _ => super::unknown(place, "write exact or prefix", problems),
    }
}

fn consent(place: &str, written: &str, problems: &mut Problems<'_>) -> Option<Consent> {
    match written {
        "" | "auto" => Some(Consent::Auto),
        "prompt" => Some(Consent::Prompt),
        "deny" => Some(Consent::Deny),
        _ => super::unknown(place, "write auto, prompt or deny", problems),
    }
}

/// All secrets, wherever they are written.
fn secrets(place: &str, written: &own::Client, problems: &mut Problems<'_>) -> Option<Vec<ClientSecret>> {
    let before = problems.count();
    let mut secrets = Vec::new();
    if !written.secret.expose().is_empty() {
        secrets.push(ClientSecret::of(written.secret.expose()));
    }
    if !written.secret_file.is_empty() {
        let place = format!("{place}.secretFile");
        let mend = "name a file with the secret of the client";
        let text = problems.read_secret_text(&place, &written.secret_file, mend)?;
        if text.expose().is_empty() {
            problems.add(&place, "the file is empty", mend);
        }
        secrets.push(ClientSecret::of(text.expose()));
    }
    for (index, hash) in written.secret_hashes.iter().enumerate() {
        let place = format!("{place}.secretHashes[{index}]");
        let parsed = ClientSecret::from_hash(hash).ok_or("this is no hash of a secret");
        secrets.extend(problems.take(&place, parsed, "make one with: doorward client add NAME"));
    }
    (problems.count() == before).then_some(secrets)
}

fn grants(place: &str, written: Option<&[String]>, problems: &mut Problems<'_>) -> Option<Vec<GrantType>> {
    let Some(written) = written else {
        return Some(vec![GrantType::AuthorizationCode]);
    };
    let known = |name: &String| GrantType::ALL.into_iter().find(|known| known.name() == name);
    let mut grants = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let Some(grant) = known(name) else {
            let place = format!("{place}.grantTypes[{index}]");
            let mend = "write authorization_code, refresh_token or client_credentials";
            return super::unknown(&place, mend, problems);
        };
        grants.push(grant);
    }
    Some(grants)
}

/// `Some(None)` if nothing is written.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn seconds(place: &str, written: Option<i64>, problems: &mut Problems<'_>) -> Option<Option<Duration>> {
    let Some(written) = written else { return Some(None) };
    let seconds = u64::try_from(written).map_err(|_| format!("{written} is below zero"));
    problems
        .take(place, seconds, "write a number of seconds, 0 for no end")
        .map(Duration::from_secs)
        .map(Some)
}
