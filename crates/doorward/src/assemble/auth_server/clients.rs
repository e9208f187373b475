//! The operator's clients of the built-in server.

use std::time::Duration;

use doorward_oauth::config::{
    Client, ClientSecret, ClientStanding, Consent, GrantType, ImplicitGrant, Pkce, PlainPkce, RedirectMatch,
    ResponseStyle, ScopeRestriction,
};
use doorward_options::structured::own::{self, AuthServer};

use crate::assemble::problems::Problems;

/// What can be read; the rest are complaints.
pub(super) fn clients(server: &AuthServer, problems: &mut Problems<'_>) -> Vec<Client> {
    let written = server.clients.iter().enumerate();
    written.filter_map(|(index, written)| client(index, written, problems)).collect()
}

fn client(index: usize, written: &own::Client, problems: &mut Problems<'_>) -> Option<Client> {
    let place = format!("authServer.clients[{index}]");
    let at = |key: &str| format!("{place}.{key}");
    if written.id.is_empty() {
        problems.add(&at("id"), "missing setting: id", "write the id of the client");
    }
    let secrets = secrets(&place, written, problems);
    let redirect_match = match written.redirect_match.as_str() {
        "" | "exact" => Some(RedirectMatch::Exact),
        "prefix" => {
            problems.notice(format!(
                "The client {:?} may be sent to any address below its redirect URIs ({}: prefix): whoever finds an open \
                 redirect there gets its codes.",
                written.id,
                at("redirectMatch")
            ));
            Some(RedirectMatch::Prefix)
        }
        _ => super::unknown(&at("redirectMatch"), "write exact or prefix", problems),
    };
    let consent = match written.grant_method.as_str() {
        "" | "auto" => Some(Consent::Auto),
        "prompt" => Some(Consent::Prompt),
        "deny" => Some(Consent::Deny),
        _ => super::unknown(&at("grantMethod"), "write auto, prompt or deny", problems),
    };
    let grant_types = grant_types(&place, written, problems);
    let default_scopes = super::scopes(&at("defaultScopes"), &written.default_scopes, problems);
    let id_token_alg =
        super::algorithm(&at("idTokenSignedResponseAlg"), &written.id_token_signed_response_alg, problems);
    let max_age = seconds(&at("accessTokenMaxAgeSeconds"), written.access_token_max_age_seconds, problems);
    let key = at("accessTokenInactivityTimeoutSeconds");
    let inactivity = seconds(&key, written.access_token_inactivity_timeout_seconds, problems);
    super::inactivity_is_sound(&key, inactivity.flatten(), problems);
    let (secrets, grant_types) = (secrets?, grant_types?);
    if grant_types.contains(&GrantType::AuthorizationCode) && written.redirect_uris.is_empty() {
        let mend = "write where browsers are sent back to, or grantTypes without authorization_code";
        problems.add(&at("redirectURIs"), "missing setting: redirectURIs", mend);
    }
    let needs_proof = written.require_pkce.unwrap_or(secrets.is_empty());
    Some(Client {
        secrets,
        redirect_uris: written.redirect_uris.clone(),
        redirect_match: redirect_match?,
        consent: consent?,
        grant_types,
        implicit: if written.allow_implicit { ImplicitGrant::Allowed } else { ImplicitGrant::Refused },
        responses: if written.respond_with_challenges {
            ResponseStyle::Challenges
        } else {
            ResponseStyle::Pages
        },
        pkce: if needs_proof { Pkce::Required } else { Pkce::Optional },
        plain_pkce: if written.allow_plain_pkce { PlainPkce::Allowed } else { PlainPkce::Refused },
        scope_restrictions: written
            .scope_restrictions
            .iter()
            .map(|restriction| ScopeRestriction::Literals(restriction.literals.clone()))
            .collect(),
        default_scopes: default_scopes?,
        access_token_max_age: max_age?,
        inactivity: inactivity?,
        id_token_alg: id_token_alg?,
        post_logout_redirect_uris: written.post_logout_redirect_uris.clone(),
        resources: written.resources.clone(),
        standing: if written.disabled { ClientStanding::Disabled } else { ClientStanding::Enabled },
        ..Client::new(&written.id)
    })
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

fn grant_types(place: &str, written: &own::Client, problems: &mut Problems<'_>) -> Option<Vec<GrantType>> {
    let Some(written) = &written.grant_types else {
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
