use std::sync::atomic::{AtomicUsize, Ordering};

use doorward_testkit::certificates;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime, pem::PemObject},
    server::danger::ClientCertVerified,
};

use super::*;

const NOW: i64 = 1_800_000_000;
/// The first second of 2120, when all good certificates of the tests end, and their list.
const END: i64 = 4_733_510_400;

/// Counts how often it is asked.
#[derive(Debug)]
struct Counting(Arc<dyn ClientCertVerifier>, AtomicUsize);

impl ClientCertVerifier for Counting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.verify_client_cert(leaf, others, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        unreachable!()
    }
}

fn ders(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|certificate| certificate.unwrap().to_vec()).collect()
}

fn shown(pems: &[&str]) -> Arc<Shown> {
    Shown::new(pems.iter().flat_map(|pem| ders(pem)).collect()).unwrap()
}

fn ca(pem: &str, lists: &[Vec<u8>]) -> ClientCa {
    ClientCa::from_pem(pem.as_bytes(), lists).unwrap()
}

fn counted(ca: ClientCa) -> (ClientCa, Arc<Counting>) {
    let counting = Arc::new(Counting(ca.verifier, AtomicUsize::new(0)));
    (ClientCa { verifier: Arc::<Counting>::clone(&counting), ..ca }, counting)
}

/// Asks at these seconds: whether somebody is found, and how often the authority was asked until then.
#[track_caller]
fn check(ca: ClientCa, shown: &Shown, expected: &[(i64, Result<(), BadCertificate>, usize)]) {
    let (ca, counting) = counted(ca);
    for (second, found, asked) in expected {
        let subject = shown.subject(&ca, Timestamp::from_seconds(*second));
        assert_eq!(subject.map(drop), *found, "{second}");
        assert_eq!(counting.1.load(Ordering::Relaxed), *asked, "{second}");
    }
}

#[test]
fn a14_a_certificate_is_judged_once_a_minute_and_anew_when_the_clock_goes_back() {
    let rows = [(NOW, 1), (NOW, 1), (NOW + 59, 1), (NOW + 60, 2), (NOW + 61, 2), (NOW + 59, 3), (NOW, 4)];
    let rows = rows.map(|(second, asked)| (second, Ok(()), asked));
    check(ca(certificates::CLIENTS, &[]), &shown(&[certificates::BOB]), &rows);
}

#[test]
fn a14_who_is_kept_is_who_was_found() {
    let (ca, bob, now) =
        (ca(certificates::CLIENTS, &[]), shown(&[certificates::BOB]), Timestamp::from_seconds(NOW));
    let judged = ca.verify(bob.certificates(), now);
    assert_eq!((bob.subject(&ca, now), bob.subject(&ca, now)), (judged.clone(), judged));
}

#[test]
fn a15_a_certificate_that_ends_meanwhile_is_refused_at_once() {
    let expired = Err(BadCertificate::OutsideValidity);
    let rows = [(END - 9, Ok(()), 1), (END - 1, Ok(()), 1), (END, Ok(()), 2), (END + 1, expired, 3)];
    for chain in [certificates::BOB, certificates::FRANK_CHAIN] {
        check(ca(certificates::CLIENTS, &[]), &shown(&[chain]), &rows);
    }
}

#[test]
fn nothing_is_kept_beyond_the_end_of_anything_that_was_shown() {
    let mut with_junk = ders(certificates::BOB);
    with_junk.push(b"junk".to_vec());
    for shown in [shown(&[certificates::BOB, certificates::EXPIRED]), Shown::new(with_junk.into()).unwrap()] {
        check(ca(certificates::CLIENTS, &[]), &shown, &[(NOW, Ok(()), 1), (NOW, Ok(()), 2)]);
    }
}

#[test]
fn nothing_is_kept_beyond_the_lists_of_revoked_certificates() {
    let list = || vec![certificates::CLIENTS_CRL.into()];
    let listed = ca(certificates::CLIENTS, &list());
    assert_eq!(listed.lists_until, Timestamp::from_seconds(END));
    let old = Err(BadCertificate::Revoked);
    let rows = [(END - 9, Ok(()), 1), (END - 1, Ok(()), 1), (END, old, 2)];
    check(listed, &shown(&[certificates::BOB]), &rows);
    let shorter =
        ClientCa { lists_until: Timestamp::from_seconds(NOW + 5), ..ca(certificates::CLIENTS, &list()) };
    let rows = [(NOW, Ok(()), 1), (NOW + 4, Ok(()), 1), (NOW + 5, Ok(()), 2), (NOW + 5, Ok(()), 3)];
    check(shorter, &shown(&[certificates::BOB]), &rows);
}

#[test]
fn a_refusal_is_not_kept() {
    const NEW_YEAR_OF_2100: i64 = 4_102_444_800;
    let early = Err(BadCertificate::OutsideValidity);
    let rows = [(NEW_YEAR_OF_2100 - 1, early, 1), (NEW_YEAR_OF_2100, Ok(()), 2)];
    check(ca(certificates::CLIENTS, &[]), &shown(&[certificates::FUTURE]), &rows);
}

#[test]
fn another_authority_judges_for_itself_also_in_the_same_place_of_memory() {
    let (erin, now) = (shown(&[certificates::REVOKED]), Timestamp::from_seconds(NOW));
    for _ in 0..100 {
        assert!(erin.subject(&ca(certificates::CLIENTS, &[]), now).is_ok());
        let listed = ca(certificates::CLIENTS, &[certificates::CLIENTS_CRL.into()]);
        assert_eq!(erin.subject(&listed, now), Err(BadCertificate::Revoked));
        assert_eq!(erin.subject(&ca(certificates::PROXIES, &[]), now), Err(BadCertificate::UnknownIssuer));
    }
    // A copy of an authority is the same one.
    let (ca, counting) = counted(ca(certificates::CLIENTS, &[]));
    assert!(erin.subject(&ca, now).is_ok() && erin.subject(&ca.clone(), now).is_ok());
    assert_eq!(counting.1.load(Ordering::Relaxed), 1);
}

#[test]
fn nothing_shown_is_nobody() {
    assert!(Shown::new(Arc::from([])).is_none());
}
