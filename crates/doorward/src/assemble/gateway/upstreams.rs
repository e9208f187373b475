//! `upstream` of a route: where its requests go, and for whom.

use std::fmt::Write as _;

use doorward_authz::gateway::Expression;
use doorward_net::tls::Authorities;
use doorward_options::structured::own::gateway::{Route as Written, RouteUpstream};
use doorward_upstream::{
    HostHeader, HttpScheme, Rewrite, Target, TlsVerification, UpstreamConfig, parse_legacy_uri,
};

use super::{conditions, conditions::Known, parts};
use crate::assemble::problems::Problems;

/// All of a route, and the conditions under which each is taken.
pub(super) fn upstreams(
    (place, id): (&str, &str),
    route: &Written,
    known: Known<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Vec<Expression>, Vec<UpstreamConfig>)> {
    let place = format!("{place}.upstream");
    let written = &route.upstream.0;
    if written.is_empty() {
        problems.add(
            &place,
            "missing setting: where requests go",
            "write an address such as http://orders:8080",
        );
        return None;
    }
    let (mut conditions, mut configs) = (Vec::new(), Vec::new());
    for (index, upstream) in written.iter().enumerate() {
        let (place, id) = match written.len() {
            // It may be written without a list.
            1 => (place.clone(), id.to_owned()),
            _ => (format!("{place}[{index}]"), format!("{id}[{index}]")),
        };
        let is_last = index + 1 == written.len();
        let when = match (&upstream.when, is_last) {
            (None, _) => Some(Expression::Public),
            (Some(_), true) => {
                let message = "whoever fulfils none of the conditions could go nowhere";
                let mend = "take the condition away, or add an upstream without one behind it";
                problems.add(&format!("{place}.when"), message, mend);
                None
            }
            (Some(when), false) => conditions::expression(&format!("{place}.when"), when, known, problems),
        };
        conditions.extend(when);
        configs.extend(config((&place, id), upstream, &route.matches.path, problems));
    }
    (conditions.len() == written.len() && configs.len() == written.len()).then_some((conditions, configs))
}

fn config(
    (place, id): (&str, String),
    written: &RouteUpstream,
    route: &str,
    problems: &mut Problems<'_>,
) -> Option<UpstreamConfig> {
    let before = problems.count();
    let url = format!("{place}.url");
    if written.url.is_empty() {
        problems.add(&url, "missing setting: the address", "write an address such as http://orders:8080");
        return None;
    }
    let mend = "write http://host:port, https://host, h2c://host:port, unix:///socket or file:///folder/";
    let (path, _, target) = problems.take(&url, parse_legacy_uri(&written.url), mend)?;
    if matches!(target, Target::Http { .. }) && (path != "/" || written.url.contains(['?', '#'])) {
        let message = "the address of an application has no path here";
        problems.add(
            &url,
            message,
            "take it away, and write stripPrefix or rewrite if the path is to change",
        );
    }
    let tls = tls(place, written, &target, problems);
    let rewrite = rewrite(place, written, route, problems);
    let (path, rewrite) = rewrite?.unzip();
    let defaults = UpstreamConfig::new(path.unwrap_or_else(|| "/".to_owned()), id, target);
    let config = UpstreamConfig {
        rewrite,
        pass_host_header: match written.pass_host_header {
            Some(false) => HostHeader::FromTarget,
            Some(true) | None => HostHeader::FromClient,
        },
        timeout: written.timeout.unwrap_or(defaults.timeout),
        tls: tls?,
        ..defaults
    };
    (problems.count() == before).then_some(config)
}

fn tls(
    place: &str,
    written: &RouteUpstream,
    target: &Target,
    problems: &mut Problems<'_>,
) -> Option<TlsVerification> {
    let is_https = matches!(target, Target::Http { scheme: HttpScheme::Https, .. });
    let ca_file = format!("{place}.caFile");
    match (written.insecure_skip_verify, written.ca_file.as_str()) {
        (true, "") if is_https => {
            problems.notice(format!(
                "{place}.insecureSkipVerify: whoever is between can read and change what goes there. caFile names an \
                 authority of yours."
            ));
            Some(TlsVerification::Insecure)
        }
        (false, "") => Some(TlsVerification::Verify),
        (true, "") => {
            let message = "there is no certificate that could be verified: the url is not https";
            problems.add(&format!("{place}.insecureSkipVerify"), message, "take it away");
            None
        }
        (true, _) => {
            let message = "the certificate is not verified, so the authority means nothing";
            problems.add(&ca_file, message, "take insecureSkipVerify away");
            None
        }
        (false, _) if !is_https => {
            let message = "there is no certificate that could be verified: the url is not https";
            problems.add(&ca_file, message, "take it away, or write https");
            None
        }
        (false, path) => {
            let pem = parts::pem(&ca_file, path, problems)?;
            let mend = "name a PEM file with certificates of authorities";
            problems.take(&ca_file, Authorities::from_pem(&pem), mend).map(TlsVerification::Authorities)
        }
    }
}

/// The expression whose match is replaced, and by what; `Some(None)` if the path stays.
#[expect(clippy::option_option, reason = "outer: did it work; inner: does the path change")]
fn rewrite(
    place: &str,
    written: &RouteUpstream,
    route: &str,
    problems: &mut Problems<'_>,
) -> Option<Option<(String, Rewrite)>> {
    match (written.strip_prefix.as_str(), written.rewrite.as_str()) {
        ("", "") => Some(None),
        (prefix, "") => {
            let bare = prefix.trim_end_matches('/');
            if !prefix.starts_with('/') || bare.is_empty() {
                let message = format!("{prefix:?} is no beginning of a path that could be taken away");
                problems.add(&format!("{place}.stripPrefix"), message, "write for example /api");
                return None;
            }
            Some(Some((format!("^{}(?:/|$)", escaped(bare)), Rewrite { target: "/".to_owned() })))
        }
        ("", target) => {
            if !target.starts_with('/') {
                let message = format!("{target:?} is no path");
                problems.add(&format!("{place}.rewrite"), message, "write for example /v2/{id}");
                return None;
            }
            let (expression, names) = expression_of(route);
            let target = groups(target, &names).map_err(|name| format!("the route's path has no {{{name}}}"));
            let mend = "name what stands in braces in match.path";
            let target = problems.take(&format!("{place}.rewrite"), target, mend)?;
            Some(Some((expression, Rewrite { target })))
        }
        _ => {
            let message = "stripPrefix stands beside it, and there is one path";
            problems.add(&format!("{place}.rewrite"), message, "take one of the two away");
            None
        }
    }
}

/// The route's path as an expression, with the names of its variables in the order of its groups. What a prefix leaves
/// stays behind the new path.
fn expression_of(route: &str) -> (String, Vec<&str>) {
    let mut names = Vec::new();
    let mut expression = "^".to_owned();
    let mut segments = route.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let variable = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        expression.push('/');
        match variable {
            Some(rest) if rest.ends_with("...") => {
                names.push(rest.trim_end_matches('.'));
                expression.push_str("(.*)");
            }
            Some("$") => (),
            Some(name) => {
                names.push(name);
                expression.push_str("([^/]+)");
            }
            None if is_last && matches!(segment, "" | "**") => return (expression, names),
            None => expression.push_str(&escaped(segment)),
        }
    }
    expression.push('$');
    (expression, names)
}

/// `{name}` as the engine of rewrites writes it. The error is a name that nobody knows.
fn groups(target: &str, names: &[&str]) -> Result<String, String> {
    let mut written = String::new();
    let mut rest = target;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        let name = name.trim_end_matches("...");
        let place = names.iter().position(|known| *known == name).ok_or_else(|| name.to_owned())?;
        written.push_str(&before.replace('$', "$$"));
        let _ = write!(written, "${{{}}}", place + 1);
        rest = behind;
    }
    written.push_str(&rest.replace('$', "$$"));
    Ok(written)
}

/// Text as an expression for itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || "/_-~".contains(c) {
            escaped.push(c);
        } else {
            let _ = write!(escaped, "\\x{{{:x}}}", u32::from(c));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_the_expression_of_its_requests() {
        for (route, expression, names) in [
            ("/orders", "^/orders$", &[][..]),
            ("/orders/{id}", "^/orders/([^/]+)$", &["id"]),
            ("/a.b/{x}/c/{rest...}", "^/a\\x{2e}b/([^/]+)/c/(.*)$", &["x", "rest"]),
            ("/files/", "^/files/", &[]),
            ("/files/**", "^/files/", &[]),
            ("/files/{$}", "^/files/$", &[]),
            ("/", "^/", &[]),
        ] {
            let (found, found_names) = expression_of(route);
            assert_eq!((found.as_str(), found_names.as_slice()), (expression, names), "{route}");
        }
    }

    #[test]
    fn a_new_path_names_parts_of_the_old_one() {
        for (target, expected) in [
            ("/v2/{id}", Ok("/v2/${1}")),
            ("/{rest...}?of={id}", Ok("/${2}?of=${1}")),
            ("/cost$/x", Ok("/cost$$/x")),
            ("/{other}", Err("other".to_owned())),
            ("/{id", Err("id".to_owned())),
        ] {
            assert_eq!(groups(target, &["id", "rest"]), expected.map(ToOwned::to_owned), "{target}");
        }
    }
}
