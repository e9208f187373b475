//! What the log says at the start about a valid configuration, in the reference's words (reference: logging-metrics.md,
//! "Start-up lines of interest"): people look there for what became of their options.

use doorward_options::{
    Options, format_duration,
    structured::{Provider, Structured, Upstream},
};

use super::{auth_server::PROVIDER, problems::Problems};

/// Notes all lines, in their order; none where nobody signs in. The providers come with what people call their kinds.
pub(crate) fn note(
    options: &Options,
    structured: &Structured,
    providers: &[(&Provider, &str)],
    problems: &mut Problems<'_>,
) {
    if !providers.is_empty() {
        for line in lines(options, structured, providers) {
            problems.notice(line);
        }
    }
}

fn lines(options: &Options, structured: &Structured, providers: &[(&Provider, &str)]) -> Vec<String> {
    let mut lines = files(options);
    if providers.iter().any(|(provider, _)| !provider.oidc.skip_discovery) {
        lines.push("Performing OIDC Discovery...".to_owned());
    }
    lines.extend(mappings(&structured.upstreams.upstreams));
    lines.extend(bearer_tokens(options, providers));
    lines.extend(providers.iter().map(|(provider, kind)| {
        format!("OAuthProxy configured for {kind} Client ID: {}", provider.client_id)
    }));
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
fn mappings(upstreams: &[Upstream]) -> Vec<String> {
    let mut upstreams: Vec<_> = upstreams.iter().collect();
    upstreams.sort_by_key(|upstream| std::cmp::Reverse(upstream.path.len()));
    let line = |Upstream { path, uri, is_static, static_code, .. }: &Upstream| {
        if *is_static {
            return format!("mapping path {path:?} => static response {}", static_code.unwrap_or(200));
        }
        match uri.strip_prefix("file://") {
            Some(folder) => format!("mapping path {path:?} => file system {folder:?}"),
            None => format!("mapping path {path:?} => upstream {uri:?}"),
        }
    };
    upstreams.into_iter().map(line).collect()
}

fn bearer_tokens(options: &Options, providers: &[(&Provider, &str)]) -> Vec<String> {
    if !options.skip_jwt_bearer_tokens {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (provider, _) in providers.iter().filter(|(provider, _)| provider.provider != PROVIDER) {
        let issuer = &provider.oidc.issuer_url;
        lines.push(format!("Skipping JWT tokens from configured OIDC issuer: {issuer:?}"));
    }
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
