//! Options of the proxies in front.

use doorward_authz::Networks;
use doorward_options::Options;
use doorward_server::ingress::{Config, Forwarded};
use http::HeaderName;

use super::problems::Problems;

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
    let proxies = proxies?;
    if !proxies.is_empty() {
        return Some(Forwarded::From { proxies, client_ip_header });
    }
    problems.notice(
        "reverse-proxy is on without trusted-proxy-ip: forwarding headers are believed from this machine and from \
         private networks only. Name your proxies with --trusted-proxy-ip."
    );
    let networks = DEFAULT_PROXIES.map(str::to_owned);
    let proxies = problems.take("trusted-proxy-ip", Networks::parse(&networks), mend)?;
    Some(Forwarded::From { proxies, client_ip_header })
}

fn header(option: &str, name: &str, problems: &mut Problems<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"));
    problems.take(option, parsed, "write a header name")
}
