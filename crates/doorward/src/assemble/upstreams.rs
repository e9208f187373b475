//! The upstreams.

use std::sync::Arc;

use doorward_options::{
    Options,
    structured::{Upstream, UpstreamSet},
};
use doorward_upstream::{
    HostHeader, KeepAlive, PathForm, Rewrite, Signer, Target, TlsVerification, UpstreamConfig, Upstreams,
    WebSockets, parse_legacy_uri,
};
use http::StatusCode;

use super::{Form, api_auth, problems::Problems};

pub(crate) fn config(
    set: &UpstreamSet,
    form: Form,
    (options, api): (&Options, Option<&api_auth::Plan>),
    problems: &mut Problems<'_>,
) -> Option<Upstreams> {
    let towards = api.map(|api| &api.towards);
    let mut configs = Vec::new();
    for (index, upstream) in set.upstreams.iter().enumerate() {
        configs.extend(upstream_config(upstream, &Place { form, index }, problems).map(|config| {
            UpstreamConfig {
                identity: towards.and_then(|towards| towards.identity.clone()),
                tls: match (config.tls, towards.and_then(|towards| towards.authorities.as_ref())) {
                    (TlsVerification::Verify, Some(authorities)) => {
                        TlsVerification::Authorities(authorities.clone())
                    }
                    (tls, _) => tls,
                },
                ..config
            }
        }));
    }
    let signer = signer(options, problems);
    if configs.len() < set.upstreams.len() {
        return None;
    }
    let path_form = if set.proxy_raw_path { PathForm::Raw } else { PathForm::Decoded };
    let mend = "correct this upstream; ids and paths are unique, and paths begin with a slash";
    let upstreams = problems.take("upstream", Upstreams::new(configs, path_form), mend)?;
    Some(match signer? {
        Some(signer) => upstreams.signed_by(&Arc::new(signer)),
        None => upstreams,
    })
}

/// Which upstream is spoken of.
struct Place {
    form: Form,
    index: usize,
}

impl Place {
    fn of(&self, field: &str) -> String {
        match self.form {
            Form::Flat => "upstream".to_owned(),
            Form::Structured => format!("upstreamConfig.upstreams[{}].{field}", self.index),
        }
    }
}

fn upstream_config(
    upstream: &Upstream,
    place: &Place,
    problems: &mut Problems<'_>,
) -> Option<UpstreamConfig> {
    let Upstream { id, path, .. } = upstream;
    let before = problems.count();
    if id.is_empty() {
        let message = "upstream has empty id: ids are required for all upstreams";
        problems.add(&place.of("id"), message, "write any name for the upstream");
    }
    if path.is_empty() {
        let message = format!("upstream {id:?} has empty path: paths are required for all upstreams");
        problems.add(&place.of("path"), message, "write the path it serves, such as /");
    }
    let target = target(upstream, place, problems)?;
    if problems.count() > before {
        return None;
    }
    let defaults = UpstreamConfig::new(path.clone(), id.clone(), target);
    Some(UpstreamConfig {
        rewrite: (!upstream.rewrite_target.is_empty())
            .then(|| Rewrite { target: upstream.rewrite_target.clone() }),
        pass_host_header: match upstream.pass_host_header {
            Some(false) => HostHeader::FromTarget,
            Some(true) | None => HostHeader::FromClient,
        },
        websockets: match upstream.proxy_websockets {
            Some(false) => WebSockets::Refused,
            Some(true) | None => WebSockets::Allowed,
        },
        timeout: upstream.timeout.unwrap_or(defaults.timeout),
        keep_alive: if upstream.disable_keep_alives { KeepAlive::Close } else { KeepAlive::Reuse },
        tls: if upstream.insecure_skip_tls_verify {
            TlsVerification::Insecure
        } else {
            TlsVerification::Verify
        },
        ..defaults
    })
}

fn target(upstream: &Upstream, place: &Place, problems: &mut Problems<'_>) -> Option<Target> {
    let Upstream { id, uri, .. } = upstream;
    if upstream.is_static {
        let code = upstream.static_code.unwrap_or(200);
        let status = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
        let status = status.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| format!("upstream {id:?} has the staticCode {code}"));
        let mend = "write a status from 200 to 599";
        return problems.take(&place.of("staticCode"), status, mend).map(|status| Target::Static { status });
    }
    if let Some(code) = upstream.static_code {
        let message = format!("upstream {id:?} has staticCode ({code}), but is not a static upstream");
        problems.add(&place.of("staticCode"), message, "add static: true, or remove the code");
    }
    if uri.is_empty() {
        let message =
            format!("upstream {id:?} has empty uri: uris are required for all non-static upstreams");
        problems.add(&place.of("uri"), message, "write the address of the application");
        return None;
    }
    let mend = "write http://host:port, https://host, h2c://host:port, unix:///socket or file:///folder/";
    problems.take(&place.of("uri"), parse_legacy_uri(uri), mend).map(|(_path, _id, target)| target)
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
