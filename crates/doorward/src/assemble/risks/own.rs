//! What is risky in doorward.yaml: routes, what they name, the built-in server.

use doorward_options::structured::own::{
    ApiAuth, AuthServer, Own,
    gateway::{Authenticator, Expression, Gateway, OneOrMore, Route},
};

use super::{Problems, Risk, is_plain, warn_of};

pub(super) fn note(own: &Own, problems: &mut Problems<'_>) {
    if let Some(server) = own.auth_server.as_ref().filter(|server| server.enabled != Some(false)) {
        of_server(server, problems);
    }
    if let Some(api) = &own.api_auth {
        of_api(api, problems);
    }
    if let Some(gateway) = &own.gateway {
        of_parts(gateway, problems);
        for (index, route) in gateway.routes.iter().enumerate() {
            of_route(&format!("gateway.routes[{index}]"), route, gateway, problems);
        }
    }
}

/// Warns of what is below a place.
fn warn_below(place: &str, risks: &[Risk<'_>], problems: &mut Problems<'_>) {
    for (holds, key, message, mend) in risks {
        warn_of(&[(*holds, &format!("{place}.{key}"), message, mend)], problems);
    }
}

fn of_server(server: &AuthServer, problems: &mut Problems<'_>) {
    let risks = [(
        is_plain(&server.issuer),
        "issuer",
        "passwords and tokens go over plain HTTP, where anybody on the way can take them",
        "write an https address",
    )];
    warn_below("authServer", &risks, problems);
    for (index, client) in server.clients.iter().enumerate() {
        let risks = [
            (
                client.allow_implicit,
                "allowImplicit",
                "tokens come in the address of a page, which histories keep and scripts read",
                "let the client use authorization codes with PKCE, and take this away",
            ),
            (
                client.allow_plain_pkce,
                "allowPlainPkce",
                "whoever sees the address of a login can use its code",
                "let the client use S256, and take this away",
            ),
            (
                client.require_pkce == Some(false),
                "requirePkce",
                "a code that somebody else got hold of can be used",
                "let the client use PKCE, and take this away",
            ),
            (
                client.redirect_match == "prefix",
                "redirectMatch",
                "codes are sent to every address that begins with one of redirectURIs, also to open redirects there",
                "write whole addresses, and take this away",
            ),
        ];
        warn_below(&format!("authServer.clients[{index}]"), &risks, problems);
    }
    for (index, provider) in server.identity_providers.iter().enumerate() {
        let risks = [
            (
                provider.allow_weak_hashes,
                "allowWeakHashes",
                "whoever gets the file finds its passwords out quickly",
                "make them anew with htpasswd -B, and take this away",
            ),
            (
                provider.password_grant,
                "passwordGrant",
                "passwords of the provider are shown to this program, and no second factor is asked for",
                "let command lines use codes or tokens, and take this away",
            ),
            (
                is_plain(&provider.issuer),
                "issuer",
                "keys and tokens of the issuer come over plain HTTP: whoever is on the way can sign in as anybody",
                "write an https address",
            ),
        ];
        warn_below(&format!("authServer.identityProviders[{index}]"), &risks, problems);
    }
}

fn of_api(api: &ApiAuth, problems: &mut Problems<'_>) {
    if !api.anonymous.enabled {
        return;
    }
    for (index, path) in api.anonymous.paths.iter().flatten().enumerate() {
        if matches!(path.as_str(), "/" | "/*" | "*") {
            problems.warn(
                &format!("apiAuth.anonymous.paths[{index}]"),
                "everybody may send API requests to every path without a credential",
                "write which paths are open",
            );
        }
    }
}

/// What routes name.
fn of_parts(gateway: &Gateway, problems: &mut Problems<'_>) {
    const PLAIN: &str = "what is said goes over plain HTTP, where anybody on the way can read and change it";
    for (name, authenticator) in gateway.authenticators.iter() {
        let Authenticator { kind, issuer, jwks_uri, url, audiences, identity_source, .. } = authenticator;
        let is_of_others = kind == "introspection";
        let is_in_query = identity_source.0.iter().any(|source| source.starts_with("$request.querystring"));
        let risks = [
            (is_plain(issuer), "issuer", PLAIN, "write an https address"),
            (is_plain(jwks_uri), "jwksUri", PLAIN, "write an https address"),
            (is_plain(url), "url", PLAIN, "write an https address"),
            (
                is_of_others && audiences.is_empty(),
                "audiences",
                "tokens that were made out to other services open this door too: any of them can use those of its \
                 users here",
                "name the audience of this service",
            ),
            (
                is_in_query,
                "identitySource",
                "tokens stand in addresses, which logs, histories and Referer headers keep",
                "let clients send them in a header",
            ),
        ];
        warn_below(&format!("gateway.authenticators.{name}"), &risks, problems);
    }
    for (name, policy) in gateway.policies.iter() {
        let risks = [(is_plain(&policy.url), "url", PLAIN, "write an https address, or ask on this machine")];
        warn_below(&format!("gateway.policies.{name}"), &risks, problems);
    }
    for (name, credential) in gateway.credentials.iter() {
        let risks = [(is_plain(&credential.token_url), "tokenURL", PLAIN, "write an https address")];
        warn_below(&format!("gateway.credentials.{name}"), &risks, problems);
    }
}

fn of_route(place: &str, route: &Route, gateway: &Gateway, problems: &mut Problems<'_>) {
    let is_everywhere = matches!(route.matches.path.as_str(), "" | "/");
    let kind = |name: &str| {
        gateway.authenticators.iter().find(|(known, _)| *known == name).map(|(_, one)| &*one.kind)
    };
    let anonymous = |name: &String| kind(name).unwrap_or(name) == "anonymous";
    let names = route.authenticate.as_ref().map_or(&[][..], |OneOrMore(names)| names);
    let is_open = names.iter().any(anonymous) && route.authorize.as_ref().is_some_and(may_be_public);
    let used = route.credential.0.credential.as_str();
    let written = gateway.credentials.iter().find(|(name, _)| *name == used);
    let is_passed = written.map_or(used, |(_, one)| &*one.kind) == "passthrough";
    let risks = [
        (
            is_open && is_everywhere,
            "authorize",
            "everybody may see every path without a credential, also those that are yet to come",
            "write which paths are open, each as a route of its own",
        ),
        (
            route.expose_credentials,
            "exposeCredentials",
            "policies see the tokens and cookies of clients, and so does whoever they ask and log to",
            "let policies read input.identity, and take this away",
        ),
        (
            is_passed,
            "credential",
            "the application gets the credential of its users, and can use it wherever it counts",
            "write forwarded, or a credential of type jwt or exchange that is made out to the application",
        ),
    ];
    warn_below(place, &risks, problems);
    for (index, upstream) in route.upstream.0.iter().enumerate() {
        let risks = [
            (
                is_plain(&upstream.url),
                "url",
                "requests and credentials go over plain HTTP, where anybody on the way can read and change them",
                "write an https address, unless the network itself is encrypted",
            ),
            (
                upstream.insecure_skip_verify,
                "insecureSkipVerify",
                "the certificate is not verified: whoever is on the way gets what is meant for the application",
                "name its authority with caFile, and take this away",
            ),
        ];
        warn_below(&format!("{place}.upstream[{index}]"), &risks, problems);
    }
}

/// Whether the conditions may let in whoever comes.
fn may_be_public(expression: &Expression) -> bool {
    match expression {
        Expression::Public(public) => *public,
        Expression::Any(parts) => parts.iter().any(may_be_public),
        Expression::All(parts) => parts.iter().all(may_be_public),
        _ => false,
    }
}
