//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::{
    authorize,
    config::{Client, Config, ImplicitGrant, Issuer, Pkce, RedirectMatch},
    then::Then,
};

/// Clients of which each takes another way.
static CONFIG: LazyLock<Option<(Config, BTreeMap<String, Client>)>> = LazyLock::new(|| {
    let mut config = Config::new(Issuer::parse("https://auth.example.com").ok()?);
    let uris = |uris: &[&str]| uris.iter().map(|&uri| uri.to_owned()).collect();
    config.clients = vec![
        Client { redirect_uris: uris(&["https://app.example/cb?a=b"]), ..Client::new("app") },
        Client {
            redirect_uris: uris(&["https://below.example/d/"]),
            redirect_match: RedirectMatch::Prefix,
            implicit: ImplicitGrant::Allowed,
            pkce: Pkce::Optional,
            ..Client::new("below")
        },
    ];
    let clients = config.all_clients().into_iter().map(|client| (client.id.clone(), client)).collect();
    Some((config, clients))
});

/// The query of a request to the authorization endpoint. Whatever leads anywhere leads to a place that was registered, in
/// one line.
pub fn authorize_request(bytes: &[u8]) {
    let Some((config, clients)) = &*CONFIG else { return };
    let Ok(query) = str::from_utf8(bytes) else { return };
    let Some(target) = authorize::target(query, config, clients) else { return };
    let registered = clients.values().flat_map(|client| &client.redirect_uris);
    let mut places = registered.map(String::as_str).chain(["http://127.0.0.1:", "http://[::1]:"]);
    assert!(places.any(|place| target.starts_with(place)), "{target}");
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
    assert!(target.contains("iss=https%3A%2F%2Fauth.example.com"), "{target}");
}

/// Where a login is to lead: a path of this server, whatever was asked for.
pub fn then(bytes: &[u8]) {
    let Ok(wanted) = str::from_utf8(bytes) else { return };
    let then = Then::parse(Some(wanted));
    let path = then.as_str();
    assert!(path == "/" || path == wanted, "{path}");
    assert!(path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\"), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    let base = url::Url::parse("https://auth.example.com/x/y");
    let joined = base.ok().and_then(|base| base.join(path).ok());
    assert_eq!(
        joined.and_then(|url| url.host_str().map(str::to_owned)).as_deref(),
        Some("auth.example.com"),
        "{path}"
    );
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn a_request_leads_to_a_registered_place_or_nowhere() {
        corpus::run("authorize_request", super::authorize_request);
    }

    #[test]
    fn a_login_leads_to_a_path_of_this_server() {
        corpus::run("then", super::then);
    }
}
