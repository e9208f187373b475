//! What the log says at the start about a valid configuration, in the reference's words (reference: logging-metrics.md,
//! "Start-up lines of interest"): people look there for what became of their options.

use doorward_options::{Options, format_duration};
use doorward_upstream::{Target, parse_legacy_uri};

/// All lines, in their order.
pub(crate) fn lines(options: &Options, provider_type: &str) -> Vec<String> {
    let mut lines = files(options);
    if !options.skip_oidc_discovery {
        lines.push("Performing OIDC Discovery...".to_owned());
    }
    lines.extend(mappings(&options.upstreams));
    lines.extend(bearer_tokens(options));
    lines.push(format!("OAuthProxy configured for {provider_type} Client ID: {}", options.client_id));
    lines.push(cookie_settings(options));
    lines.extend(skipped(options));
    lines.extend(options.api_routes.iter().map(|path| format!("API route - Path: {path}")));
    lines
}

fn files(options: &Options) -> Vec<String> {
    [
        ("authenticated emails file", &options.authenticated_emails_file),
        ("htpasswd file:", &options.htpasswd_file),
    ]
    .into_iter()
    .filter(|(_, path)| !path.is_empty())
    .map(|(what, path)| format!("using {what} {path}"))
    .collect()
}

/// Longer paths first, as they are tried.
fn mappings(uris: &[String]) -> Vec<String> {
    let mut upstreams: Vec<_> = uris
        .iter()
        .filter_map(|uri| parse_legacy_uri(uri).ok().map(|(path, _, target)| (path, target, uri)))
        .collect();
    upstreams.sort_by_key(|(path, ..)| std::cmp::Reverse(path.len()));
    let line = |(path, target, uri): &(String, Target, &String)| match target {
        Target::Http { .. } | Target::Unix { .. } => format!("mapping path {path:?} => upstream {uri:?}"),
        Target::Files { directory } => format!("mapping path {path:?} => file system {directory:?}"),
        Target::Static { status } => format!("mapping path {path:?} => static response {}", status.as_u16()),
    };
    upstreams.iter().map(line).collect()
}

fn bearer_tokens(options: &Options) -> Vec<String> {
    if !options.skip_jwt_bearer_tokens {
        return Vec::new();
    }
    let mut lines =
        vec![format!("Skipping JWT tokens from configured OIDC issuer: {:?}", options.oidc_issuer_url)];
    let extra = options.extra_jwt_issuers.iter();
    lines.extend(extra.map(|issuer| format!("Skipping JWT tokens from extra JWT issuer: {issuer:?}")));
    if !options.bearer_token_login_fallback {
        lines.push("Denying requests with invalid JWT tokens".to_owned());
    }
    lines
}

fn cookie_settings(options: &Options) -> String {
    let refresh = if options.cookie_refresh.is_zero() {
        "disabled".to_owned()
    } else {
        format!("after {}", format_duration(options.cookie_refresh))
    };
    format!(
        "Cookie settings: name:{} secure(https):{} httponly:{} expiry:{} domains:{} path:{} samesite:{} refresh:{refresh}",
        options.cookie_name,
        options.cookie_secure,
        options.cookie_httponly,
        format_duration(options.cookie_expire),
        options.cookie_domains.join(","),
        options.cookie_path,
        options.cookie_samesite,
    )
}

fn skipped(options: &Options) -> Vec<String> {
    let everywhere = options.skip_auth_regex.iter().map(|path| ("ALL".to_owned(), path.as_str()));
    let routes = options.skip_auth_routes.iter().map(|route| match route.split_once('=') {
        None => (String::new(), route.as_str()),
        Some((method, path)) => (method.trim_end_matches('!').to_uppercase(), path),
    });
    everywhere
        .chain(routes)
        .map(|(method, path)| format!("Skipping auth - Method: {method} | Path: {path}"))
        .collect()
}
