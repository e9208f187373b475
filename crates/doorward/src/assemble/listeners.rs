//! Options of the listening addresses and their certificates.

use std::{fs, str::FromStr};

use doorward_net::{CertificatePem, ListenAddress, TlsServerConfig, TlsServerOptions, TlsVersion};
use doorward_options::Options;
use doorward_server::gate::HttpsPolicy;

use super::problems::Problems;

/// Where to listen.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub requests: Vec<Endpoint>,
    pub metrics: Vec<Endpoint>,
    pub https: HttpsPolicy,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The option that names the address.
    pub option: &'static str,
    pub address: ListenAddress,
    pub tls: Option<TlsServerConfig>,
}

/// As in the reference, a certificate or key replaces the plain listener by the TLS one.
pub(crate) fn config(options: &Options, problems: &mut Problems<'_>) -> Listeners {
    let mut requests = Vec::new();
    if serves_tls(options) {
        let tls = tls(
            options,
            problems,
            ("tls-cert-file", &options.tls_cert_file),
            ("tls-key-file", &options.tls_key_file),
        );
        requests.extend(endpoint(("https-address", &options.https_address), tls, problems));
    } else {
        requests.extend(endpoint(("http-address", &options.http_address), None, problems));
    }
    let mut metrics = Vec::new();
    metrics.extend(endpoint(("metrics-address", &options.metrics_address), None, problems));
    if is_on(&options.metrics_secure_address) {
        let tls = tls(
            options,
            problems,
            ("metrics-tls-cert-file", &options.metrics_tls_cert_file),
            ("metrics-tls-key-file", &options.metrics_tls_key_file),
        );
        metrics.extend(endpoint(("metrics-secure-address", &options.metrics_secure_address), tls, problems));
    }
    Listeners { requests, metrics, https: https_policy(options) }
}

/// `--force-https` also works behind a proxy that ends TLS: then the port in the address is left alone.
fn https_policy(options: &Options) -> HttpsPolicy {
    if !options.force_https {
        return HttpsPolicy::Optional;
    }
    let port = options.https_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    HttpsPolicy::Required { port: port.filter(|_| serves_tls(options)) }
}

fn serves_tls(options: &Options) -> bool {
    !options.tls_cert_file.is_empty() || !options.tls_key_file.is_empty()
}

fn is_on(address: &str) -> bool {
    !matches!(address, "" | "-")
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
    options: &Options,
    problems: &mut Problems<'_>,
    (cert_option, cert_file): (&str, &str),
    (key_option, key_file): (&str, &str),
) -> Option<TlsServerConfig> {
    let chain = pem(cert_option, cert_file, problems);
    let key = pem(key_option, key_file, problems);
    let version = if options.tls_min_version.is_empty() {
        Some(TlsVersion::default())
    } else {
        problems.take("tls-min-version", options.tls_min_version.parse(), "write TLS1.2 or TLS1.3")
    };
    let (chain, key, min_version) = (chain?, key?, version?);
    let certificate = CertificatePem { chain: &chain, key: &key };
    let config = TlsServerConfig::new(TlsServerOptions {
        certificate,
        min_version,
        cipher_suites: &options.tls_cipher_suites,
    });
    problems.take(
        cert_option,
        config,
        "give a certificate chain, its private key and known cipher suites in PEM",
    )
}

fn pem(option: &str, path: &str, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    if path.is_empty() {
        problems.add(option, "a TLS listener needs a certificate and a key", "name a PEM file");
        return None;
    }
    let read = fs::read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    problems.take(option, read, "name a PEM file that the program may read")
}
