//! Options of the upstreams.

use std::sync::Arc;

use doorward_options::Options;
use doorward_upstream::{
    HostHeader, KeepAlive, PathForm, Signer, TlsVerification, UpstreamConfig, Upstreams, WebSockets,
    parse_legacy_uri,
};

use super::problems::Problems;

const MEND: &str =
    "write http://host:port/path/, https://…, unix:///socket, file:///folder/#/path/ or static://200";

pub(crate) fn config(options: &Options, problems: &mut Problems<'_>) -> Option<Upstreams> {
    let mut configs = Vec::new();
    let mut complete = true;
    for uri in &options.upstreams {
        match problems.take("upstream", parse_legacy_uri(uri), MEND) {
            Some((path, id, target)) => {
                configs.push(with_options(options, UpstreamConfig::new(path, id, target)));
            }
            None => complete = false,
        }
    }
    let signer = signer(options, problems);
    if !complete {
        return None;
    }
    let mend = "give every upstream a path of its own";
    let upstreams = problems.take("upstream", Upstreams::new(configs, PathForm::Decoded), mend)?;
    Some(match signer? {
        Some(signer) => upstreams.signed_by(&Arc::new(signer)),
        None => upstreams,
    })
}

/// The options that the reference applies to every upstream alike.
fn with_options(options: &Options, config: UpstreamConfig) -> UpstreamConfig {
    UpstreamConfig {
        pass_host_header: if options.pass_host_header {
            HostHeader::FromClient
        } else {
            HostHeader::FromTarget
        },
        websockets: if options.proxy_websockets { WebSockets::Allowed } else { WebSockets::Refused },
        timeout: options.upstream_timeout,
        keep_alive: if options.disable_keep_alives { KeepAlive::Close } else { KeepAlive::Reuse },
        tls: if options.ssl_upstream_insecure_skip_verify {
            TlsVerification::Insecure
        } else {
            TlsVerification::Verify
        },
        flush_interval: options.flush_interval,
        ..config
    }
}

/// `Some(None)` if requests are not signed.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a signer")]
fn signer(options: &Options, problems: &mut Problems<'_>) -> Option<Option<Signer>> {
    if options.signature_key.expose().is_empty() {
        return Some(None);
    }
    let mend = "write algorithm:key with sha1, sha224, sha256, sha384 or sha512";
    problems.take("signature-key", Signer::parse(options.signature_key.expose()), mend).map(Some)
}
