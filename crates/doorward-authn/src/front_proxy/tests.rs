use std::sync::Arc;

use doorward_testkit::certificates;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn shown(pem: &str) -> Option<Arc<Shown>> {
    let ders = CertificateDer::pem_slice_iter(pem.as_bytes());
    Shown::new(ders.map(|certificate| certificate.unwrap().to_vec()).collect())
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn proxy(allowed: &[&str]) -> FrontProxy {
    FrontProxy {
        ca: ClientCa::from_pem(certificates::PROXIES.as_bytes(), &[]).unwrap(),
        allowed_names: allowed.iter().map(ToString::to_string).collect(),
        headers: IdentityHeaders::default(),
    }
}

#[test]
fn a18_a19_only_an_allowed_proxy_names_somebody() {
    let alice = headers(&[("x-remote-user", "alice")]);
    let user = || Said::User(UserInfo { name: "alice".into(), ..UserInfo::default() });
    for (allowed, certificate, headers, expected) in [
        (&["edge"][..], certificates::EDGE, &alice, user()),
        (&[], certificates::OTHER_EDGE, &alice, user()),
        (&["edge"], certificates::OTHER_EDGE, &alice, Said::Refused(Disbelieved::OtherName)),
        (&["bob"], certificates::BOB, &alice, Said::Refused(BadCertificate::UnknownIssuer.into())),
        (&["edge"], "", &alice, Said::Nothing),
        (&["edge"], certificates::EDGE, &HeaderMap::new(), Said::Nothing),
        (&["edge"], certificates::BOB, &HeaderMap::new(), Said::Nothing),
    ] {
        assert_eq!(proxy(allowed).attempt(shown(certificate).as_deref(), headers, NOW), expected);
    }
}

#[test]
fn headers_are_read_as_kubernetes_does_but_never_twice() {
    let read = |lines: &[(&'static str, &'static str)]| IdentityHeaders::default().read(&headers(lines));
    let full = read(&[
        ("x-remote-user", "alice"),
        ("x-remote-uid", "u-1"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "a,b"),
        ("x-remote-extra-acme.com%2fproject", "p1"),
        ("x-remote-extra-acme.com%2fproject", "p2"),
        ("x_remote_group", "root"),
    ]);
    let extra = [("acme.com/project".to_owned(), vec!["p1".to_owned(), "p2".to_owned()])].into();
    let groups = vec!["dev".to_owned(), "a,b".to_owned()];
    assert_eq!(full, Ok(Some(UserInfo { name: "alice".into(), uid: "u-1".into(), groups, extra })));
    for (lines, expected) in [
        (&[("x-remote-user", "")][..], Ok(None)),
        (&[("x_remote_user", "alice")], Ok(None)),
        (&[("x-remote-group", "dev")], Ok(None)),
        (&[("x-remote-user", "alice"), ("x-remote-user", "root")], Err(Disbelieved::Header)),
        (&[("x-remote-user", "alice"), ("x-remote-extra-%ff", "a")], Err(Disbelieved::Header)),
    ] {
        assert_eq!(read(lines), expected, "{lines:?}");
    }
}

#[test]
fn every_spelling_belongs_to_the_identity() {
    let mut headers = IdentityHeaders::default();
    headers.user.push(HeaderName::from_static("x_login"));
    for (name, expected) in [
        ("x-remote-user", true),
        ("x-remote-uid", true),
        ("x-remote-extra-a", true),
        ("x-login", true),
        ("x-remote-users", false),
        ("x-remote-addr", false),
    ] {
        assert_eq!(headers.includes(name), expected, "{name}");
    }
}
