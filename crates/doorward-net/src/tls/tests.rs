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
    let client_certificates = ClientCertificates::NotAsked;
    let cipher_suites = &cipher_suites;
    TlsServerConfig::new(TlsServerOptions { certificate, min_version, cipher_suites, client_certificates })
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
    Arc::unwrap_or_clone(client_config(verification, None).unwrap())
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
    if let Ok(verifying) = client_config(ServerVerification::SystemRoots, None) {
        assert!(shake(&server, Arc::unwrap_or_clone(verifying)).await.is_err());
    }
}

#[tokio::test]
async fn chosen_authorities_vouch_for_their_own_and_for_nobody_else() {
    const AUTHORITY: &[u8] = include_bytes!("../../tests/tls/authority.pem");
    let issued = CertificatePem {
        chain: include_bytes!("../../tests/tls/issued-cert.pem"),
        key: include_bytes!("../../tests/tls/issued-key.pem"),
    };
    let server = server(issued, TlsVersion::Tls12, &[]).unwrap();
    for (bundle, accepted) in [(AUTHORITY, true), (OTHER.chain, false)] {
        let authorities = Authorities::from_pem(bundle).unwrap();
        let client = client(ServerVerification::Authorities(authorities));
        assert_eq!(shake(&server, client).await.is_ok(), accepted);
    }
    for unusable in [&b""[..], b"no certificate", OURS.key] {
        assert!(matches!(Authorities::from_pem(unusable), Err(TlsConfigError::Authorities(_))));
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

fn asking(min_version: TlsVersion) -> TlsServerConfig {
    let client_certificates = ClientCertificates::Asked;
    let options =
        TlsServerOptions { certificate: OURS, min_version, cipher_suites: &[], client_certificates };
    TlsServerConfig::new(options).unwrap()
}

#[test]
fn of_a_long_chain_only_the_beginning_is_kept() {
    for (lengths, kept) in [
        (&[100, 200][..], &[100, 200][..]),
        (&[KEPT_OF_CHAIN], &[KEPT_OF_CHAIN]),
        (&[KEPT_OF_CHAIN, 1], &[KEPT_OF_CHAIN]),
        (&[100, KEPT_OF_CHAIN, 1], &[100]),
        (&[KEPT_OF_CHAIN + 1, 1], &[0]),
    ] {
        let chain: Vec<_> = lengths.iter().map(|length| CertificateDer::from(vec![0; *length])).collect();
        assert_eq!(bounded(&chain).iter().map(Vec::len).collect::<Vec<_>>(), kept, "{lengths:?}");
    }
}

/// A client that shows this chain and signs with this key, whether or not they belong together.
#[derive(Debug)]
struct Showing(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Showing {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn client_showing(pem: CertificatePem<'_>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let chain = CertificateDer::pem_slice_iter(pem.chain).collect::<Result<Vec<_>, _>>().unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(pem.key).unwrap()).unwrap();
    let mut config = client_speaking(version);
    config.client_auth_cert_resolver = Arc::new(Showing(Arc::new(CertifiedKey::new(chain, key))));
    config
}

/// What the server sees of this many connections, one after the other, of one client.
async fn seen(
    server: &TlsServerConfig,
    client: ClientConfig,
    times: usize,
) -> Vec<io::Result<Option<ShownCertificates>>> {
    let listener = Listener::bind(&ListenAddress::Tcp("127.0.0.1:0".into()), None).await.unwrap();
    let address = listener.local_address().unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let mut all = Vec::new();
    for _ in 0..times {
        let accepting = async {
            let accepted = listener.accept().await.unwrap();
            let mut stream = handshake(accepted.socket, server, LIMIT).await?;
            let shown = shown_certificates(&stream);
            stream.write_all(b"x").await?;
            stream.shutdown().await?;
            Ok(shown)
        };
        let connecting = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let Ok(mut stream) = connector.connect(name, stream).await else { return };
            // To the end, so that session tickets are taken up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        all.push(tokio::join!(accepting, connecting).0);
    }
    all
}

#[tokio::test]
async fn a_certificate_is_shown_to_those_who_ask_and_never_required() {
    let other = CertificateDer::pem_slice_iter(OTHER.chain).next().unwrap().unwrap();
    for (version, min) in [(&TLS12, TlsVersion::Tls12), (&TLS13, TlsVersion::Tls13)] {
        for (client, expected) in
            [(client_speaking(version), None), (client_showing(OTHER, version), Some(other.to_vec()))]
        {
            for shown in seen(&asking(min), client.clone(), 3).await {
                let shown = shown.unwrap().map(|chain| chain[0].clone());
                assert_eq!(shown, expected, "also when a session is resumed");
            }
            let unasked = server(OURS, min, &[]).unwrap();
            assert!(seen(&unasked, client, 1).await[0].as_ref().unwrap().is_none());
        }
        let thief = client_showing(CertificatePem { key: OURS.key, ..OTHER }, version);
        assert!(seen(&asking(min), thief, 1).await[0].is_err(), "somebody else's certificate");
    }
}
