use std::time::Duration;

use doorward_accounts::{
    Accounts, LoginFacts, NewToken, NewUser, Rules, Scopes, SealKey, Subject, TokenName, TokenRules, User,
};
use doorward_store::Records;
use doorward_testkit::certificates;
use http::{HeaderName, HeaderValue};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct Stage {
    accounts: Arc<Accounts>,
    alice: User,
    opaque: Authenticator,
    x509: Authenticator,
    edge: Authenticator,
}

impl Stage {
    async fn new() -> Self {
        let seal = SealKey::new(&[7; 32]).unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(Records::memory()), seal, Rules::default()));
        let new = NewUser {
            name: "alice".into(),
            groups: vec!["dev".into()],
            email: "a@b.c".into(),
            ..NewUser::default()
        };
        let alice = accounts.add_user(new, NOW).await.unwrap();
        let ca = |pem: &str| ClientCa::from_pem(pem.as_bytes(), &[]).unwrap();
        let own =
            Opaque { accounts: Arc::clone(&accounts), audiences: vec!["https://ours".into()], gateway: None };
        let edge = FrontProxy {
            ca: ca(certificates::PROXIES),
            allowed_names: vec!["edge".into()],
            headers: IdentityHeaders::default(),
        };
        Self {
            opaque: Authenticator::new("own".into(), Kind::Opaque(own, Sources::default())),
            x509: Authenticator::new("certs".into(), Kind::X509(ca(certificates::CLIENTS))),
            edge: Authenticator::new("edge".into(), Kind::RequestHeader(edge)),
            accounts,
            alice,
        }
    }

    async fn token(&self, audience: &[&str]) -> String {
        let new = NewToken {
            client: "web".into(),
            subject: Subject::of_user(&self.alice),
            scopes: Scopes::parse("orders:read orders:write").unwrap(),
            audience: audience.iter().map(ToString::to_string).collect(),
            rules: TokenRules { access: Some(Duration::from_mins(1)), inactivity: None },
            login: LoginFacts { session: Some("s-1".into()), ..LoginFacts::default() },
        };
        self.accounts.issue_token(new, NOW).await.unwrap().access.into_exposed()
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(line).collect()
}

async fn ask(authenticator: &Authenticator, pem: &str, lines: &[(&str, &str)]) -> Finding {
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|certificate| certificate.unwrap().to_vec())
        .collect();
    let (certificates, headers) = (Shown::new(certificates.into()), headers(lines));
    let presented = Presented {
        headers: &headers,
        query: Some("access_token=x"),
        certificates: certificates.as_deref(),
        of_connection: certificates.as_deref(),
        cookies: CookieTokens::Count,
        now: NOW,
    };
    authenticator.attempt(&presented).await
}

async fn found(authenticator: &Authenticator, pem: &str, lines: &[(&str, &str)]) -> String {
    match ask(authenticator, pem, lines).await {
        Finding::User(user) => format!("{} by {}", user.user.name, user.authenticator),
        Finding::Refused(refusal) => format!("{:?}", refusal.description),
        Finding::Unavailable(_) => "unavailable".to_owned(),
        Finding::Nothing => "nothing".to_owned(),
    }
}

#[tokio::test]
async fn a_token_of_our_own_says_all_that_is_known() {
    let stage = Stage::new().await;
    let raw = stage.token(&["https://ours"]).await;
    let bearer = format!("Bearer {raw}");
    let Finding::User(user) = ask(&stage.opaque, "", &[("authorization", &bearer)]).await else { panic!() };
    assert_eq!((user.user.name.as_str(), user.user.uid.as_str()), ("alice", stage.alice.uid.as_str()));
    assert_eq!(user.user.groups, ["dev", "system:authenticated"]);
    assert_eq!((user.client_id.as_str(), user.session.as_deref()), ("web", Some("s-1")));
    assert_eq!(user.scopes, ["orders:read", "orders:write"]);
    assert_eq!(user.expires, Some(NOW.saturating_add(Duration::from_mins(1))));
    assert_eq!(user.email, "", "nobody has verified it");
    assert_eq!(user.credential.len(), 50, "caches need all of the hash");
    assert!(!user.credential.contains(raw.strip_prefix("sha256~").unwrap()));
    for (path, expected) in [
        ("sub", json!(stage.alice.uid)),
        ("scope", json!("orders:read orders:write")),
        ("preferred_username", json!("alice")),
        ("groups", json!(["dev"])),
        ("email_verified", json!(false)),
        ("aud", json!(["https://ours"])),
    ] {
        assert_eq!(user.claim(path), Some(&expected), "{path}");
    }
}

#[tokio::test]
async fn a_bad_token_makes_nobody_anonymous_and_a_missing_one_nobody_bad() {
    let stage = Stage::new().await;
    let good = format!("Bearer {}", stage.token(&[]).await);
    let theirs = format!("Bearer {}", stage.token(&["https://theirs"]).await);
    let unknown = format!("Bearer sha256~{}", "x".repeat(43));
    let long = format!("Bearer {}", "x".repeat(TOKEN_LIMIT + 1));
    for (lines, expected) in [
        (&[][..], "nothing"),
        (&[("authorization", good.as_str())], "alice by own"),
        (&[("authorization", theirs.as_str())], "Untold"),
        (&[("authorization", unknown.as_str())], "Untold"),
        (&[("authorization", "Bearer a.b.c")], "Untold"),
        (&[("authorization", long.as_str())], "Malformed"),
        (&[("authorization", "Basic x")], "nothing"),
        (&[("authorization", "Bearer")], "nothing"),
        (&[("authorization", good.as_str()), ("authorization", good.as_str())], "Malformed"),
    ] {
        assert_eq!(found(&stage.opaque, "", lines).await, expected, "{lines:?}");
    }
    let name = TokenName::of_access(good.strip_prefix("Bearer ").unwrap()).unwrap();
    stage.accounts.revoke_access(&name, NOW).await.unwrap();
    assert_eq!(found(&stage.opaque, "", &[("authorization", &good)]).await, "Untold");
}

#[tokio::test]
async fn a_websocket_brings_a_token_and_the_best_of_two_counts() {
    let stage = Stage::new().await;
    let raw = stage.token(&[]).await;
    let protocol = |token: &str| {
        let encoded = base64_simd::URL_SAFE_NO_PAD.encode_to_string(token);
        format!("base64url.bearer.authorization.k8s.io.{encoded}, chat")
    };
    let (good, bad, bearer) = (protocol(&raw), protocol("bad"), format!("Bearer {raw}"));
    let upgrade = [("upgrade", "websocket"), ("connection", "Upgrade")];
    for (authorization, protocol, expected) in [
        (None, good.as_str(), "alice by own"),
        (None, bad.as_str(), "Untold"),
        (Some(bearer.as_str()), bad.as_str(), "alice by own"),
        (Some("Bearer bad"), good.as_str(), "alice by own"),
        (None, "base64url.bearer.authorization.k8s.io.YQ==, chat", "Malformed"),
        (None, "chat", "nothing"),
    ] {
        let mut lines = upgrade.to_vec();
        lines.push(("sec-websocket-protocol", protocol));
        lines.extend(authorization.map(|value| ("authorization", value)));
        assert_eq!(found(&stage.opaque, "", &lines).await, expected, "{authorization:?} {protocol}");
    }
}

#[tokio::test]
async fn certificates_and_proxies_in_front_have_no_token_to_complain_of() {
    let stage = Stage::new().await;
    let carol = [("x-remote-user", "carol")];
    for (authenticator, pem, lines, expected) in [
        (&stage.x509, "", &[][..], "nothing"),
        (&stage.x509, certificates::BOB, &[], "bob by certs"),
        (&stage.x509, certificates::STRANGER, &[], "NoToken"),
        (&stage.x509, certificates::NAMELESS, &[], "nothing"),
        (&stage.x509, certificates::RESERVED_NAME, &[], "NoToken"),
        (&stage.edge, certificates::EDGE, &carol, "carol by edge"),
        (&stage.edge, certificates::EDGE, &[], "nothing"),
        (&stage.edge, certificates::OTHER_EDGE, &carol, "NoToken"),
        (&stage.edge, "", &carol, "nothing"),
    ] {
        assert_eq!(found(authenticator, pem, lines).await, expected, "{lines:?}");
    }
    assert!(stage.x509.consumed().is_empty() && stage.edge.identity_headers().is_some());
    assert_eq!(stage.opaque.consumed().len(), 1);
}

#[tokio::test]
async fn sessions_and_nobody_in_particular_are_the_servers() {
    for kind in [Kind::Session, Kind::Anonymous] {
        let authenticator = Authenticator::new("web".into(), kind);
        let lines = [("authorization", "Bearer x")];
        assert_eq!(found(&authenticator, certificates::BOB, &lines).await, "nothing");
    }
}

#[test]
fn descriptions_are_of_a_fixed_list_and_the_one_that_tells_most_is_the_greatest() {
    use Description as D;
    let all = [
        D::NoToken,
        D::Untold,
        D::Malformed,
        D::Issuer,
        D::UnknownKey,
        D::BadSignature,
        D::Audience,
        D::NotYetValid,
        D::Expired,
        D::Revoked,
    ];
    assert!(all.is_sorted());
    assert_eq!(all.iter().filter(|one| one.text().is_some()).count(), 8);
    // RFC 6750 section 3 names the characters.
    assert!(
        all.iter().filter_map(|one| one.text()).all(|text| text.is_ascii() && !text.contains(['"', '\\']))
    );
}
