use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::*;
use crate::{ListenAddress, Listener};

const OURS: CertificatePem<'_> = CertificatePem {
    chain: include_bytes!("../../tests/tls/cert.pem"),
    key: include_bytes!("../../tests/tls/key.pem"),
};
const OTHER: CertificatePem<'_> = CertificatePem {
    chain: include_bytes!("../../tests/tls/other-cert.pem"),
    key: include_bytes!("../../tests/tls/other-key.pem"),
};
const LIMIT: Duration = Duration::from_secs(10);

fn server(
    certificate: CertificatePem<'_>,
    min_version: TlsVersion,
    suites: &[&str],
) -> Result<TlsServerConfig, TlsConfigError> {
    let cipher_suites: Vec<String> = suites.iter().map(ToString::to_string).collect();
    TlsServerConfig::new(TlsServerOptions { certificate, min_version, cipher_suites: &cipher_suites })
}

#[track_caller]
fn check(certificate: CertificatePem<'_>, suites: &[&str], expected: Result<(), &str>) {
    let made = server(certificate, TlsVersion::Tls12, suites).map(|_| ()).map_err(|error| error.to_string());
    match (made, expected) {
        (Ok(()), Ok(())) => {}
        (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
        (made, expected) => panic!("{suites:?}: {made:?} instead of {expected:?}"),
    }
}

#[test]
fn every_mistake_in_a_tls_listener_is_named() {
    check(OURS, &[], Ok(()));
    check(OURS, &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"], Ok(()));
    check(OURS, &["TLS_AES_128_GCM_SHA256"], Ok(()));
    check(OURS, &["TLS_NO_SUCH_SUITE"], Err("TLS_NO_SUCH_SUITE"));
    check(OURS, &["TLS_RSA_WITH_AES_128_CBC_SHA"], Err("TLS_RSA_WITH_AES_128_CBC_SHA"));
    check(CertificatePem { chain: b"", ..OURS }, &[], Err("no certificate found"));
    check(CertificatePem { key: b"", ..OURS }, &[], Err("private key"));
    check(CertificatePem { key: OTHER.key, ..OURS }, &[], Err("together"));
}

#[test]
fn cve_2024_39321_no_early_data_is_taken() {
    let server = server(OURS, TlsVersion::Tls13, &[]).unwrap();
    assert_eq!((server.0.max_early_data_size, server.0.send_half_rtt_data), (0, false));
}

#[test]
fn only_two_versions_can_be_required() {
    for (text, expected) in [("TLS1.2", Ok(TlsVersion::Tls12)), ("TLS1.3", Ok(TlsVersion::Tls13))] {
        assert_eq!(text.parse(), expected);
    }
    assert!("TLS1.1".parse::<TlsVersion>().is_err());
    assert!("1.2".parse::<TlsVersion>().is_err());
}

/// The client's side of a handshake: the certificate it saw, or the error.
async fn shake(server: &TlsServerConfig, client: ClientConfig) -> io::Result<Vec<u8>> {
    let listener = Listener::bind(&ListenAddress::Tcp("127.0.0.1:0".into()), None).await.unwrap();
    let address = listener.local_address().unwrap();
    let server = server.clone();
    tokio::spawn(async move {
        let accepted = listener.accept().await.unwrap();
        if let Ok(mut stream) = handshake(accepted.socket, &server, LIMIT).await {
            stream.write_all(b"x").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let connector = TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.read_u8().await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

fn client(verification: ServerVerification) -> ClientConfig {
    Arc::unwrap_or_clone(client_config(verification).unwrap())
}

fn client_speaking(version: &'static SupportedProtocolVersion) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified(algorithms)))
        .with_no_client_auth()
}

#[tokio::test]
async fn the_minimum_version_and_the_suites_are_enforced() {
    let tls12 = server(OURS, TlsVersion::Tls12, &[]).unwrap();
    assert!(shake(&tls12, client_speaking(&TLS12)).await.is_ok());
    assert!(shake(&tls12, client_speaking(&TLS13)).await.is_ok());
    let tls13 = server(OURS, TlsVersion::Tls13, &[]).unwrap();
    assert!(shake(&tls13, client_speaking(&TLS12)).await.is_err());
    assert!(shake(&tls13, client_speaking(&TLS13)).await.is_ok());
    // The certificate's key is ECDSA: no suite is left for TLS 1.2, and TLS 1.3 is not concerned.
    let rsa_only = server(OURS, TlsVersion::Tls12, &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]).unwrap();
    assert!(shake(&rsa_only, client_speaking(&TLS12)).await.is_err());
    assert!(shake(&rsa_only, client_speaking(&TLS13)).await.is_ok());
}

#[tokio::test]
async fn an_unknown_certificate_is_accepted_only_without_verification() {
    let server = server(OURS, TlsVersion::Tls12, &[]).unwrap();
    assert!(shake(&server, client(ServerVerification::Disabled)).await.is_ok());
    // Without any system roots there is nothing to trust either.
    if let Ok(verifying) = client_config(ServerVerification::SystemRoots) {
        assert!(shake(&server, Arc::unwrap_or_clone(verifying)).await.is_err());
    }
}

#[tokio::test]
async fn the_certificate_is_the_one_given_and_needs_its_own_key() {
    assert!(server(CertificatePem { key: OTHER.key, ..OURS }, TlsVersion::Tls12, &[]).is_err());
    let mut shown = Vec::new();
    for certificate in [OURS, OTHER] {
        let server = server(certificate, TlsVersion::Tls12, &[]).unwrap();
        shown.push(shake(&server, client(ServerVerification::Disabled)).await.unwrap());
    }
    assert_ne!(shown[0], shown[1]);
}
