//! The addresses of the built-in server. They are configured, and never taken from a request.

use std::{collections::BTreeSet, net::SocketAddr};

use doorward_core::redirect::AllowedHosts;
use doorward_oauth::config::Issuer;
use doorward_options::{Options, structured::own::AuthServer};
use doorward_server::redirects::{self, RedirectUri, RelativeRedirectUrl, SecureCookies};
use url::Url;

use super::{SignInAt, Surroundings};
use crate::assemble::problems::Problems;

const MEND: &str = "write the address that browsers and clients use, such as https://auth.example.com";

pub(super) struct Addresses {
    pub(super) issuer: Issuer,
    pub(super) hosts: Vec<String>,
    /// Where our own sign-in returns to.
    pub(super) own_sign_in: Vec<String>,
    /// Where it may lead to from there.
    pub(super) own_targets: Vec<String>,
}

pub(super) fn addresses(
    server: &AuthServer,
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<Addresses> {
    let issuer = issuer(server, around, problems);
    let hosts = hosts(server, problems);
    let (issuer, hosts) = (issuer?, hosts?);
    let url = Url::parse(issuer.as_str()).ok()?;
    let own = url.host_str().unwrap_or_default();
    if !hosts.is_empty() && !hosts.iter().any(|host| host == own) {
        let message = format!("the host of the issuer, {own}, is not among them");
        problems.add("authServer.hosts", message, "add it, or leave the hosts out");
    }
    let own_sign_in = match around.sign_in {
        SignInAt::BuiltIn => callbacks(around.options, &url, &hosts, problems)?,
        SignInAt::Elsewhere | SignInAt::Nowhere => Vec::new(),
    };
    // Told by whoever reads the option, if it cannot be read.
    let listed = AllowedHosts::parse(&around.options.whitelist_domains).unwrap_or_default();
    Some(Addresses { issuer, hosts, own_sign_in, own_targets: listed.policy_sources() })
}

/// What is written, else the origin of the redirect URL, else the address at which this machine alone reaches us.
fn issuer(server: &AuthServer, around: Surroundings<'_>, problems: &mut Problems<'_>) -> Option<Issuer> {
    if !server.issuer.is_empty() {
        return problems.take("authServer.issuer", Issuer::parse(&server.issuer), MEND);
    }
    if let Some(url) = Url::parse(&around.options.redirect_url).ok().filter(Url::has_host) {
        let issuer = Issuer::parse(&url.origin().ascii_serialization());
        let mend =
            "write a redirect URL that begins with https://, or write authServer.issuer in doorward.yaml";
        return problems.take("redirect-url", issuer, mend);
    }
    let listener = &around.structured.server.bind_address;
    let address: Option<SocketAddr> = listener.trim_start_matches("http://").parse().ok();
    let own = address.filter(|address| address.ip().is_loopback() && address.port() != 0);
    if let Some(own) = own {
        return problems.take("authServer.issuer", Issuer::parse(&format!("http://{own}")), MEND);
    }
    problems.add("authServer.issuer", "missing setting: the address of the built-in server", MEND);
    None
}

fn hosts(server: &AuthServer, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let before = problems.count();
    let mut hosts = Vec::new();
    for (index, host) in server.hosts.iter().enumerate() {
        let parsed = url::Host::parse(host).map(|host| host.to_string());
        match parsed {
            Ok(normal) => hosts.push(normal),
            Err(error) => {
                let place = format!("authServer.hosts[{index}]");
                problems.add(&place, format!("{host:?}: {error}"), "write a host without scheme and port");
            }
        }
    }
    (problems.count() == before).then_some(hosts)
}

/// The addresses that our own sign-in may come back to.
fn callbacks(
    options: &Options,
    issuer: &Url,
    hosts: &[String],
    problems: &mut Problems<'_>,
) -> Option<Vec<String>> {
    if options.relative_redirect_url {
        let message = "the built-in server sends browsers to whole addresses only";
        problems.add("relative-redirect-url", message, "take it away");
        return None;
    }
    let (relative, secure) = (RelativeRedirectUrl::MadeAbsolute, SecureCookies::No);
    let path = match redirects::redirect_uri(&options.redirect_url, &options.proxy_prefix, relative, secure) {
        Ok(RedirectUri::Fixed(uri)) => return Some(vec![uri]),
        Ok(RedirectUri::FromRequest { path, .. }) => path,
        // Told by whoever reads the option.
        Err(_) => return None,
    };
    let mut origins = BTreeSet::from([issuer.origin().ascii_serialization()]);
    let port = issuer.port().map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = issuer.scheme();
    origins.extend(hosts.iter().map(|host| format!("{scheme}://{host}{port}")));
    if scheme == "http" {
        // A loopback address, which people know by several names.
        let names = ["127.0.0.1", "[::1]", "localhost"];
        origins.extend(names.map(|name| format!("http://{name}{port}")));
    }
    Some(origins.into_iter().map(|origin| format!("{origin}{path}")).collect())
}
