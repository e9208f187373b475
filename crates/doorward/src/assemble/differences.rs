//! Where oauth2-proxy is unsafe, doorward is safe and says so once at start: one block of lines about this very
//! configuration. docs/coming-from-oauth2-proxy.md tells all of it.

use doorward_options::{Options, structured::Structured};

use super::problems::Problems;

/// Names for `--compat`.
pub(crate) const LOGIN_FOR_ANY_REQUEST: &str = "login-for-any-request";
pub(crate) const FORWARDING_HEADERS_OF_STRANGERS: &str = "forwarding-headers-of-strangers";

const COMPAT_NAMES: [(&str, &str); 2] = [
    (
        LOGIN_FOR_ANY_REQUEST,
        "Requests with a body, pictures, scripts and programs begin logins too: a body is lost, and a part of a page can \
         spoil the login of the page",
    ),
    (
        FORWARDING_HEADERS_OF_STRANGERS,
        "Applications get the forwarding headers of peers that are no trusted proxies, which may say anything",
    ),
];

/// `--compat`: unsafe behaviours of oauth2-proxy that somebody wants back.
pub(crate) trait Compat {
    fn brings_back(&self, name: &str) -> bool;
}

impl Compat for Options {
    fn brings_back(&self, name: &str) -> bool {
        self.compat.iter().any(|given| given == name)
    }
}

/// Notes what differs, if anything does, and refuses names that `--compat` does not know.
pub(crate) fn note(options: &Options, structured: &Structured, problems: &mut Problems<'_>) {
    for name in &options.compat {
        if !COMPAT_NAMES.iter().any(|(known, _)| known == name) {
            let known = COMPAT_NAMES.map(|(known, _)| known).join(" or ");
            problems.add("compat", format!("there is no behaviour {name:?}"), format!("write {known}"));
        }
    }
    for (name, price) in COMPAT_NAMES {
        if options.brings_back(name) {
            problems.warn("compat", format!("unsafe as in oauth2-proxy, by {name}: {price}"), "take it away");
        }
    }
    let mut lines = differences(options, structured).peekable();
    if lines.peek().is_some() {
        problems.notice(
            "This configuration is safer here than in oauth2-proxy (docs/coming-from-oauth2-proxy.md):",
        );
    }
    for line in lines {
        problems.notice(format!("- {line}"));
    }
}

/// One sentence for each difference that can be noticed with these options.
fn differences(options: &Options, structured: &Structured) -> impl Iterator<Item = &'static str> {
    let upstreams = &structured.upstreams.upstreams;
    let verified_upstreams = upstreams
        .iter()
        .any(|upstream| upstream.uri.starts_with("https://") && !upstream.insecure_skip_tls_verify);
    let own_authorities = structured.providers.iter().any(|provider| !provider.ca_files.is_empty());
    let sets_no_identity = structured.inject_request_headers.is_empty();
    let opens_paths = !options.skip_auth_routes.is_empty() || !options.skip_auth_regex.is_empty();
    let behind = options.reverse_proxy;
    let asks_directly = options.skip_provider_button && !options.brings_back(LOGIN_FOR_ANY_REQUEST);
    let any_network = options.trusted_proxy_ips.is_empty();
    [
        (
            behind && any_network,
            "Forwarding headers are believed from this machine and private networks only: name other proxies with \
             --trusted-proxy-ip.",
        ),
        (
            behind && !options.trusted_ips.is_empty(),
            "The client address header opens trusted-ip for trusted proxies only.",
        ),
        (
            behind && !options.brings_back(FORWARDING_HEADERS_OF_STRANGERS),
            "Forwarding headers of other peers do not reach applications (--compat=forwarding-headers-of-strangers).",
        ),
        (
            behind && opens_paths,
            "X-Forwarded-Uri decides about questions at the auth endpoint, never about requests that are forwarded.",
        ),
        (opens_paths, "Paths that programs read differently are opened by no rule."),
        (
            asks_directly,
            "Requests with a body, pictures and scripts begin no login (--compat=login-for-any-request).",
        ),
        (
            upstreams.iter().any(|upstream| upstream.proxy_websockets == Some(false)),
            "WebSockets are refused where the configuration says so.",
        ),
        (
            options.ssl_insecure_skip_verify && verified_upstreams,
            "--ssl-insecure-skip-verify is about the provider only: for upstreams there is \
             --ssl-upstream-insecure-skip-verify.",
        ),
        (
            own_authorities && verified_upstreams,
            "--provider-ca-file is about the provider only: upstreams are verified with the roots of the system \
             (SSL_CERT_FILE).",
        ),
        (
            upstreams.iter().any(|upstream| upstream.uri.starts_with("file://")),
            "Folders are not listed.",
        ),
        (
            sets_no_identity && options.skip_auth_strip_headers,
            "Identity headers of clients are removed although none are set (--skip-auth-strip-headers=false keeps \
             them).",
        ),
        (
            !options.htpasswd_file.is_empty(),
            "Passwords are tried once a second after some wrong ones.",
        ),
    ]
    .into_iter()
    .filter_map(|(concerns, line)| concerns.then_some(line))
}

#[cfg(test)]
mod tests {
    use doorward_options::structured::{Header, Upstream};

    use super::*;

    #[test]
    fn only_what_concerns_the_configuration_is_said() {
        let mut structured =
            Structured { inject_request_headers: vec![Header::default()], ..Structured::default() };
        assert_eq!(differences(&Options::defaults(), &structured).count(), 0);
        let options = Options { reverse_proxy: true, ..Options::defaults() };
        structured.upstreams.upstreams =
            vec![Upstream { proxy_websockets: Some(false), ..Upstream::default() }];
        let lines: Vec<&str> = differences(&options, &structured).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        let options = Options { compat: vec![FORWARDING_HEADERS_OF_STRANGERS.to_owned()], ..options };
        assert_eq!(differences(&options, &structured).count(), 2);
    }
}
