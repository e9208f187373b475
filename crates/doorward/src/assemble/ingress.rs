//! Options of the proxies in front.

use doorward_authz::Networks;
use doorward_options::Options;
use doorward_server::ingress::{Config, Forwarded, StrangersHeaders};
use http::HeaderName;

use super::{
    differences::{Compat, FORWARDING_HEADERS_OF_STRANGERS},
    problems::Problems,
};

/// Whose forwarding headers are believed when nobody is named: this machine and private networks, where load
/// balancers live. The reference believes everybody.
const DEFAULT_PROXIES: [&str; 6] =
    ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

const CLIENT_IP_HEADERS: [&str; 5] =
    ["x-forwarded-for", "x-real-ip", "x-proxyuser-ip", "x-envoy-external-address", "cf-connecting-ip"];

pub(crate) fn config(options: &Options, problems: &mut Problems<'_>) -> Option<Config> {
    let request_id_header = header("request-id-header", &options.request_id_header, problems);
    let forwarded = forwarded(options, problems);
    Some(Config { forwarded: forwarded?, request_id_header: request_id_header? })
}

fn forwarded(options: &Options, problems: &mut Problems<'_>) -> Option<Forwarded> {
    let mend = "write addresses or networks such as 10.0.0.0/8";
    let proxies = problems.take("trusted-proxy-ip", Networks::parse(&options.trusted_proxy_ips), mend);
    if !options.reverse_proxy {
        return proxies.map(|_| Forwarded::Ignored);
    }
    let client_ip_header = header("real-client-ip-header", &options.real_client_ip_header, problems)?;
    if !CLIENT_IP_HEADERS.contains(&client_ip_header.as_str()) {
        let message = format!("real_client_ip_header {client_ip_header:?} is not supported");
        let mend =
            "write X-Forwarded-For, X-Real-IP, X-ProxyUser-IP, X-Envoy-External-Address or CF-Connecting-IP";
        problems.add("real-client-ip-header", message, mend);
        return None;
    }
    let mut proxies = proxies?;
    if proxies.is_empty() {
        let networks = DEFAULT_PROXIES.map(str::to_owned);
        proxies = problems.take("trusted-proxy-ip", Networks::parse(&networks), mend)?;
    }
    let strangers = if options.brings_back(FORWARDING_HEADERS_OF_STRANGERS) {
        StrangersHeaders::PassedOn
    } else {
        StrangersHeaders::Removed
    };
    Some(Forwarded::From { proxies, client_ip_header, strangers })
}

fn header(option: &str, name: &str, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"));
    problems.take(option, parsed, "write a header name")
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use doorward_options::Sources;

    use super::*;

    #[test]
    fn a7_by_default_only_this_machine_and_private_networks_are_proxies() {
        let options = Options { reverse_proxy: true, ..Options::defaults() };
        let sources = Sources::default();
        let files = crate::files::Files::default();
        let mut problems = Problems::new(&sources, &files);
        let Some(Forwarded::From { proxies, .. }) = forwarded(&options, &mut problems) else {
            panic!("{:?}", problems.into_found());
        };
        for (address, trusted) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("192.168.1.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("172.32.0.1", false),
            ("169.254.1.1", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
            ("fe80::1", false),
            ("::ffff:8.8.8.8", false),
        ] {
            assert_eq!(proxies.contains(address.parse::<IpAddr>().unwrap()), trusted, "{address}");
        }
    }
}
