//! Listening addresses and their certificates.

use std::str::FromStr;

use doorward_net::{
    CertificatePem, ClientCertificates, ListenAddress, TlsServerConfig, TlsServerOptions, TlsVersion,
};
use doorward_options::{
    Options,
    structured::{SecretSource, Server, Structured, Tls},
};
use doorward_server::gate::HttpsPolicy;

use super::{Form, problems::Problems, secret_source};

/// Where to listen.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub requests: Vec<Endpoint>,
    pub metrics: Vec<Endpoint>,
    /// Where Envoy asks.
    pub checks: Vec<Endpoint>,
    pub https: HttpsPolicy,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The option that names the address.
    pub option: &'static str,
    pub address: ListenAddress,
    pub tls: Option<TlsServerConfig>,
}

/// The options of a server. Those that moved go by their place in the structured file where there is one.
#[derive(Debug, Clone, Copy)]
struct Names {
    plain: &'static str,
    secure: &'static str,
    cert: &'static str,
    key: &'static str,
}

const REQUESTS: Names =
    Names { plain: "http-address", secure: "https-address", cert: "tls-cert-file", key: "tls-key-file" };
const METRICS: Names = Names {
    plain: "metrics-address",
    secure: "metrics-secure-address",
    cert: "metrics-tls-cert-file",
    key: "metrics-tls-key-file",
};

pub(crate) fn config(
    options: &Options,
    structured: &Structured,
    form: Form,
    certificates: ClientCertificates,
    problems: &mut Problems<'_>,
) -> Listeners {
    let requests = endpoints(&structured.server, REQUESTS, certificates, problems);
    if form == Form::Structured
        && !is_on(&structured.server.bind_address)
        && !is_on(&structured.server.secure_bind_address)
    {
        let message = "no address to listen on: the structured form has no default";
        problems.add("http-address", message, "write server.bindAddress, such as 127.0.0.1:4180");
    }
    let metrics = endpoints(&structured.metrics_server, METRICS, ClientCertificates::NotAsked, problems);
    let checks = endpoint(("ext-authz-address", &options.ext_authz_address), None, problems);
    let checks = checks.into_iter().collect();
    Listeners { requests, metrics, checks, https: https_policy(options, &structured.server) }
}

/// `--force-https` also works behind a proxy that ends TLS: then the port in the address is left alone.
fn https_policy(options: &Options, server: &Server) -> HttpsPolicy {
    if !options.force_https {
        return HttpsPolicy::Optional;
    }
    let port = server.secure_bind_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    HttpsPolicy::Required { port }
}

fn is_on(address: &str) -> bool {
    !matches!(address, "" | "-")
}

fn endpoints(
    server: &Server,
    names: Names,
    certificates: ClientCertificates,
    problems: &mut Problems<'_>,
) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    endpoints.extend(endpoint((names.plain, &server.bind_address), None, problems));
    if is_on(&server.secure_bind_address) {
        let nothing = Tls::default();
        let tls = tls(server.tls.as_ref().unwrap_or(&nothing), names, certificates, problems);
        endpoints.extend(endpoint((names.secure, &server.secure_bind_address), tls, problems));
    }
    endpoints
}

fn endpoint(
    (option, address): (&'static str, &str),
    tls: Option<TlsServerConfig>,
    problems: &mut Problems<'_>,
) -> Option<Endpoint> {
    if !is_on(address) {
        return None;
    }
    let mend = "write host:port, unix:///path or fd:3";
    let address = problems.take(option, ListenAddress::from_str(address), mend)?;
    Some(Endpoint { option, address, tls })
}

fn tls(
    tls: &Tls,
    names: Names,
    client_certificates: ClientCertificates,
    problems: &mut Problems<'_>,
) -> Option<TlsServerConfig> {
    let chain = pem(names.cert, tls.cert.as_ref(), problems);
    let key = pem(names.key, tls.key.as_ref(), problems);
    let version = if tls.min_version.is_empty() {
        Some(TlsVersion::default())
    } else {
        problems.take("tls-min-version", tls.min_version.parse(), "write TLS1.2 or TLS1.3")
    };
    let (chain, key, min_version) = (chain?, key?, version?);
    let config = TlsServerConfig::new(TlsServerOptions {
        certificate: CertificatePem { chain: &chain, key: &key },
        min_version,
        cipher_suites: &tls.cipher_suites,
        client_certificates,
    });
    let mend = "give a certificate chain, its private key and known cipher suites in PEM";
    problems.take(names.cert, config, mend)
}

fn pem(option: &str, source: Option<&SecretSource>, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let Some(source) = source else {
        problems.add(option, "a TLS listener needs a certificate and a key", "name a PEM file");
        return None;
    };
    secret_source::bytes(source, option, problems)
}
