//! What is risky about a valid configuration: one warning a setting, with its place, what it does and how to mend it.
//! The log tells it at start, and `doorward check` at any time.

mod files;
mod own;
mod rules;

use std::net::IpAddr;

use doorward_options::{
    Options,
    structured::{Provider, Structured},
};
use url::{Host, Url};

use super::{Form, Written, problems::Problems};

/// Warns of everything that is risky. What is wrong is told elsewhere.
pub(crate) fn note(written: &Written<'_>, problems: &mut Problems<'_>) {
    let Written { options, structured, form, own } = *written;
    for (place, provider) in structured.providers.iter().enumerate() {
        problems.look_at_provider(place);
        of_provider(provider, problems);
        of_admission(options, provider, problems);
    }
    problems.look_at_provider(0);
    of_provider_options(options, structured, problems);
    of_cookies(options, problems);
    of_hops(options, problems);
    rules::note(options, problems);
    of_structured(structured, form, problems);
    of_the_rest(options, problems);
    files::note(written, problems);
    if let Some(own) = own {
        own::note(own, problems);
    }
}

/// Whether it holds; of which option or place; what it does; how to mend it.
type Risk<'a> = (bool, &'a str, &'a str, &'a str);

fn warn_of(risks: &[Risk<'_>], problems: &mut Problems<'_>) {
    for (holds, option, message, mend) in risks {
        if *holds {
            problems.warn(option, *message, *mend);
        }
    }
}

fn of_provider(provider: &Provider, problems: &mut Problems<'_>) {
    let oidc = &provider.oidc;
    let risks = [
        (
            oidc.insecure_allow_unverified_email,
            "insecure-oidc-allow-unverified-email",
            "addresses count that the provider has not verified: who registers there with the address of another is \
             taken for them",
            "let the provider verify addresses, and take this away",
        ),
        (
            oidc.insecure_skip_issuer_verification,
            "insecure-oidc-skip-issuer-verification",
            "tokens count whoever they say has issued them, such as other tenants of the same provider",
            "write the issuer as the provider itself writes it, and take this away",
        ),
        (
            oidc.insecure_skip_nonce == Some(true),
            "insecure-oidc-skip-nonce",
            "an ID token that was issued for another login counts here too",
            "take this away, or write false",
        ),
        (
            is_plain(&oidc.issuer_url),
            "oidc-issuer-url",
            "keys and tokens of the issuer come over plain HTTP: whoever is on the way can sign in as anybody",
            "write an https address",
        ),
        (
            is_plain(&oidc.jwks_url),
            "oidc-jwks-url",
            "the keys of the provider come over plain HTTP: whoever is on the way can sign in as anybody",
            "write an https address",
        ),
        (
            is_plain(&provider.redeem_url),
            "redeem-url",
            "the client secret and tokens go over plain HTTP",
            "write an https address",
        ),
    ];
    warn_of(&risks, problems);
}

fn of_provider_options(options: &Options, structured: &Structured, problems: &mut Problems<'_>) {
    let has_provider = structured.providers.iter().any(|provider| !provider.client_id.is_empty());
    let is_pinned = !options.redirect_url.is_empty() || options.relative_redirect_url;
    let risks = [
        (
            options.ssl_insecure_skip_verify,
            "ssl-insecure-skip-verify",
            "the certificate of the provider is not verified: whoever is on the way can sign in as anybody",
            "name its authority with provider-ca-file, and take this away",
        ),
        (
            has_provider && !is_pinned,
            "redirect-url",
            "the address to which providers send browsers back is made of the host that a request names",
            "pin it down with --redirect-url",
        ),
        (
            is_plain(&options.redirect_url),
            "redirect-url",
            "browsers come back from the provider over plain HTTP, with the code of the login",
            "write an https address",
        ),
        (
            options.extra_jwt_issuers.iter().any(|issuer| issuer.starts_with("http://") && is_plain(issuer)),
            "extra-jwt-issuers",
            "the keys of an issuer come over plain HTTP: whoever is on the way can make tokens for anybody",
            "write an https address",
        ),
    ];
    warn_of(&risks, problems);
}

/// Whether everybody in the world may come in.
fn of_admission(options: &Options, provider: &Provider, problems: &mut Problems<'_>) {
    let everybody = options.email_domains.iter().any(|domain| domain == "*");
    let restrictions = [
        &provider.allowed_groups,
        &provider.keycloak.groups,
        &provider.keycloak.roles,
        &provider.microsoft_entra_id.allowed_tenants,
        &provider.github.users,
        &provider.gitlab.group,
        &provider.gitlab.projects,
        &provider.google.group,
    ];
    let names = [
        &provider.github.org,
        &provider.github.team,
        &provider.github.repo,
        &provider.bitbucket.team,
        &provider.bitbucket.repository,
    ];
    let is_restricted =
        restrictions.iter().any(|names| !names.is_empty()) || names.iter().any(|name| !name.is_empty());
    if everybody && !is_restricted && is_public(provider) {
        problems.warn(
            "email-domain",
            "everybody may come in who has an account at this provider, where anybody can make one",
            "name your domains, or addresses by authenticated-emails-file, or groups by allowed-group",
        );
    }
}

/// Whether anybody can make an account there.
fn is_public(provider: &Provider) -> bool {
    const HOSTS: [&str; 6] = [
        "accounts.google.com",
        "appleid.apple.com",
        "github.com",
        "gitlab.com",
        "www.facebook.com",
        "www.linkedin.com",
    ];
    const TENANTS: [&str; 3] = ["/common/", "/consumers/", "/organizations/"];
    let Ok(issuer) = Url::parse(&provider.oidc.issuer_url) else {
        let own = !provider.login_url.is_empty();
        return !own && matches!(&*provider.provider, "google" | "github" | "gitlab" | "bitbucket");
    };
    let host = issuer.host_str().unwrap_or_default();
    let is_any_tenant = TENANTS.iter().any(|tenant| issuer.path().starts_with(tenant));
    HOSTS.contains(&host) || (host == "login.microsoftonline.com" && is_any_tenant)
}

fn of_cookies(options: &Options, problems: &mut Problems<'_>) {
    let is_for_all_sites = |word: &str| word.eq_ignore_ascii_case("none");
    let risks = [
        (
            !options.cookie_secure && problems.is_set("cookie-secure"),
            "cookie-secure",
            "browsers send the session over plain HTTP too, where anybody on the way can take it",
            "serve over https, and take this away",
        ),
        (
            !options.cookie_httponly,
            "cookie-httponly",
            "scripts in pages can read the session and send it elsewhere",
            "take this away",
        ),
        (
            is_for_all_sites(&options.cookie_samesite),
            "cookie-samesite",
            "pages of all other sites can make browsers send requests with the session",
            "write lax, or take this away",
        ),
        (
            is_for_all_sites(&options.cookie_csrf_samesite),
            "cookie-csrf-samesite",
            "pages of all other sites can make browsers send the cookie that guards logins",
            "write lax, or take this away",
        ),
    ];
    warn_of(&risks, problems);
}

fn of_hops(options: &Options, problems: &mut Problems<'_>) {
    let risks = [
        (
            options.reverse_proxy && options.trusted_proxy_ips.is_empty(),
            "reverse-proxy",
            "every machine in this network may say where a request comes from and what it asks for",
            "name the proxies in front with --trusted-proxy-ip",
        ),
        (
            options.show_debug_on_error,
            "show-debug-on-error",
            "strangers see the details of failures",
            "take this away; the log has them",
        ),
    ];
    warn_of(&risks, problems);
    for entry in options.trusted_proxy_ips.iter().filter(|entry| is_wider(entry, (8, 7))) {
        let message = format!("everybody in {entry} may say where a request comes from and what it asks for");
        problems.warn("trusted-proxy-ip", message, "name the proxies in front only");
    }
    for entry in options.trusted_ips.iter().filter(|entry| is_wider(entry, (16, 48))) {
        let message = format!("everybody in {entry} comes in without a login");
        problems.warn("trusted-ip", message, "name single machines or small networks");
    }
    for entry in options.whitelist_domains.iter().map(|entry| entry.trim()) {
        let Some(domain) = entry.strip_prefix('.').or_else(|| entry.strip_prefix("*.")) else { continue };
        let message = format!(
            "logins and sign-outs may send browsers to any host below {domain}, also to one that somebody else runs"
        );
        problems.warn("whitelist-domain", message, "name the hosts");
    }
}

/// Whether a network has a shorter prefix than this, for IPv4 and for IPv6.
fn is_wider(entry: &str, (v4, v6): (u8, u8)) -> bool {
    let Some((base, prefix)) = entry.trim().split_once('/') else { return false };
    let shortest = match base.parse() {
        Ok(IpAddr::V4(_)) => v4,
        Ok(IpAddr::V6(_)) => v6,
        Err(_) => return false,
    };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix < shortest)
}

/// What goes to applications.
fn of_structured(structured: &Structured, form: Form, problems: &mut Problems<'_>) {
    let place = |place: String, flag: &str| match form {
        Form::Flat => flag.to_owned(),
        Form::Structured => place,
    };
    for (index, upstream) in structured.upstreams.upstreams.iter().enumerate() {
        if upstream.insecure_skip_tls_verify {
            let place = place(
                format!("upstreamConfig.upstreams[{index}].insecureSkipTLSVerify"),
                "ssl-upstream-insecure-skip-verify",
            );
            let message = format!(
                "the certificate of {:?} is not verified: whoever is on the way gets what is meant for it",
                upstream.path
            );
            problems.warn(&place, message, "give it a certificate that SSL_CERT_FILE vouches for");
        }
    }
    for (index, header) in structured.inject_request_headers.iter().enumerate() {
        let claims = || header.values.iter().filter_map(|value| value.claim_source.as_ref());
        let token = claims().find(|source| matches!(&*source.claim, "access_token" | "refresh_token"));
        if let Some(token) = token {
            let place = place(format!("injectRequestHeaders[{index}]"), "pass-access-token");
            let message = format!(
                "every application gets the {} of its users in {}, and can act for them elsewhere",
                token.claim, header.name
            );
            problems.warn(
                &place,
                message,
                "take it away, or exchange the token for one that is made out to it",
            );
        }
        if header.preserve_request_value {
            let place = place(
                format!("injectRequestHeaders[{index}].preserveRequestValue"),
                "skip-auth-strip-headers",
            );
            let message = format!(
                "clients may add to the header {} (preserveRequestValue, --skip-auth-strip-headers=false)",
                header.name
            );
            problems.warn(&place, message, "applications must not take all of it for our word");
        }
    }
}

fn of_the_rest(options: &Options, problems: &mut Problems<'_>) {
    let risks = [(
        options.redis_insecure_skip_tls_verify,
        "redis-insecure-skip-tls-verify",
        "the certificate of Redis is not verified: whoever is on the way gets its password and the sessions",
        "name its authority with redis-ca-path, and take this away",
    )];
    warn_of(&risks, problems);
}

/// Whether this is an address of plain HTTP that leaves this machine.
fn is_plain(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_a_risk_beyond_this_machine() {
        for (address, expected) in [
            ("http://idp.example.com", true),
            ("http://10.0.0.1:8080/x", true),
            ("https://idp.example.com", false),
            ("http://localhost:8080", false),
            ("http://app.localhost", false),
            ("http://127.0.0.9/", false),
            ("http://[::1]/", false),
            ("unix:///run/x", false),
            ("", false),
        ] {
            assert_eq!(is_plain(address), expected, "{address}");
        }
    }

    #[test]
    fn wide_networks_are_known() {
        for (entry, expected) in [
            ("0.0.0.0/0", true),
            ("10.0.0.0/8", true),
            ("192.168.0.0/16", false),
            ("::/0", true),
            ("fd00::/48", false),
            ("10.0.0.1", false),
            ("nowhere/1", false),
        ] {
            assert_eq!(is_wider(entry, (16, 48)), expected, "{entry}");
        }
    }
}
