use doorward_testkit::certificates;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn ders(pem: &str) -> Vec<Vec<u8>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|certificate| certificate.unwrap().to_vec()).collect()
}

fn ca() -> ClientCa {
    ClientCa::from_pem(certificates::CLIENTS.as_bytes(), &[]).unwrap()
}

#[track_caller]
fn check(ca: &ClientCa, pem: &str, expected: Result<(&str, &[&str], &str), BadCertificate>) {
    let found = ca.verify(&ders(pem), NOW);
    let found = found.map(|subject| (subject.common_name, subject.organizations, subject.uid));
    let expected = expected.map(|(name, groups, uid)| {
        (name.to_owned(), groups.iter().map(ToString::to_string).collect(), uid.to_owned())
    });
    assert_eq!(found, expected);
}

#[test]
fn a14_a15_a17_a_good_certificate_names_its_subject() {
    let ca = ca();
    check(&ca, certificates::BOB, Ok(("bob", &["dev", "ops"], "")));
    check(&ca, certificates::CAROL, Ok(("carol", &[], "c-1")));
    check(&ca, certificates::NAMELESS, Ok(("", &["dev"], "")));
    check(&ca, certificates::FRANK_CHAIN, Ok(("frank", &[], "")));
    check(&ca, certificates::FRANK_ALONE, Err(BadCertificate::UnknownIssuer));
    check(&ca, certificates::STRANGER, Err(BadCertificate::UnknownIssuer));
    check(&ca, certificates::EXPIRED, Err(BadCertificate::OutsideValidity));
    check(&ca, certificates::FUTURE, Err(BadCertificate::OutsideValidity));
    check(&ca, certificates::SERVER_ONLY, Err(BadCertificate::Purpose));
    check(&ca, certificates::TWO_UIDS, Err(BadCertificate::Uid));
    check(&ca, certificates::TWO_NAMES, Err(BadCertificate::SeveralNames));
    assert_eq!(ca.verify(&[], NOW), Err(BadCertificate::Unreadable));
    assert!(ca.verify(&[b"junk".to_vec()], NOW).is_err());
}

#[test]
fn what_a_list_revokes_is_out_and_a_list_has_to_be_there() {
    let with =
        ClientCa::from_pem(certificates::CLIENTS.as_bytes(), &[certificates::CLIENTS_CRL.into()]).unwrap();
    check(&with, certificates::BOB, Ok(("bob", &["dev", "ops"], "")));
    check(&with, certificates::REVOKED, Err(BadCertificate::Revoked));
    // Nobody knows what the intermediate authority has revoked.
    check(&with, certificates::FRANK_CHAIN, Err(BadCertificate::Revoked));
    let later = Timestamp::from_seconds(4_800_000_000);
    assert!(with.verify(&ders(certificates::BOB), later).is_err());
    check(&ca(), certificates::REVOKED, Ok(("erin", &[], "")));
}

#[test]
fn every_mistake_in_the_files_is_named() {
    for (certificates, revocations, part) in [
        ("", &[][..], "no certificate"),
        (certificates::KEY, &[], "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &[], "read"),
        (certificates::CLIENTS, &[b"junk".to_vec()], "revocation"),
        (certificates::CLIENTS, &[b"0junk".to_vec()], "revocation"),
    ] {
        let error = ClientCa::from_pem(certificates.as_bytes(), revocations).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_certificate_is_named_by_its_hash() {
    let id = credential_id(b"");
    assert_eq!(id, "X509SHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn a_proxy_hands_on_a_certificate_as_nginx_does() {
    let escaped = |pem: &str| pem.replace('\n', "%0A").replace(' ', "%20").replace('+', "%2B");
    assert_eq!(from_header(escaped(certificates::BOB).as_bytes()), ders(certificates::BOB));
    assert_eq!(from_header(escaped(certificates::FRANK_CHAIN).as_bytes()).len(), 2);
    assert!(from_header(b"").is_empty());
    for junk in [&b"junk"[..], b"-----BEGIN CERTIFICATE-----", b"%00\xff"] {
        let shown = from_header(junk);
        assert!(shown.len() == 1 && ca().verify(&shown, NOW).is_err());
    }
}
