use std::time::Duration;

use doorward_accounts::{LoginFacts, NewToken, NewUser, Rules, Scopes, SealKey, Subject, TokenRules, User};
use doorward_store::Records;
use doorward_testkit::certificates;
use http::{
    HeaderName, HeaderValue,
    header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::*;
use crate::front_proxy::IdentityHeaders;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let line = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    lines.iter().map(line).collect()
}

#[test]
fn a04_a06_a07_a_bearer_token_is_the_second_word() {
    let token = |text: &str| Ok(Some(text.into()));
    for (values, expected) in [
        (&["Bearer abc"][..], token("abc")),
        (&["bEaReR abc trailing"], token("abc")),
        (&["  Bearer abc  "], token("abc")),
        (&["Bearer"], Ok(None)),
        (&["Bearer "], Ok(None)),
        (&["Bearer  abc"], Ok(None)),
        (&["Basic abc"], Ok(None)),
        (&["Bearer\tabc"], Ok(None)),
        (&["abc"], Ok(None)),
        (&[""], Ok(None)),
        (&[], Ok(None)),
        (&["Bearer abc", "Bearer abc"], Err(RepeatedAuthorization)),
        (&["Basic abc", "Bearer abc"], Err(RepeatedAuthorization)),
    ] {
        let lines: Vec<(&str, &str)> = values.iter().map(|value| ("authorization", *value)).collect();
        assert_eq!(bearer_token(&headers(&lines)), expected, "{values:?}");
    }
}

#[tokio::test]
async fn a05_a_token_that_is_not_text_makes_nobody_anonymous() {
    let stage = Stage::new().await;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
    let presented =
        Presented { certificates: None, of_connection: None, headers: &headers, jwt: None, now: NOW };
    assert_eq!(shown(stage.chain.attempt(&presented).await), "refused");
}

struct Stage {
    chain: Chain,
    accounts: Arc<Accounts>,
    alice: User,
}

impl Stage {
    async fn new() -> Self {
        let seal = SealKey::new(&[7; 32]).unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(Records::memory()), seal, Rules::default()));
        let new = NewUser { name: "alice".into(), groups: vec!["dev".into()], ..NewUser::default() };
        let alice = accounts.add_user(new, NOW).await.unwrap();
        let ca = |pem: &str| ClientCa::from_pem(pem.as_bytes(), &[]).unwrap();
        let chain = Chain {
            front_proxy: Some(FrontProxy {
                ca: ca(certificates::PROXIES),
                allowed_names: vec!["edge".into()],
                headers: IdentityHeaders::default(),
            }),
            x509: Some(ca(certificates::CLIENTS)),
            opaque: Some(Opaque {
                accounts: Arc::clone(&accounts),
                audiences: vec!["https://ours".into()],
                gateway: None,
            }),
            review: None,
            naming: Naming::Preferred,
        };
        Self { chain, accounts, alice }
    }

    async fn token(&self, audience: &[&str]) -> String {
        let new = NewToken {
            client: "web".into(),
            subject: Subject::of_user(&self.alice),
            scopes: Scopes::parse("user:full").unwrap(),
            audience: audience.iter().map(ToString::to_string).collect(),
            rules: TokenRules { access: Some(Duration::from_mins(1)), inactivity: None },
            login: LoginFacts::default(),
        };
        self.accounts.issue_token(new, NOW).await.unwrap().access.into_exposed()
    }

    async fn ask(&self, pem: &str, lines: &[(&str, &str)], now: Timestamp) -> Outcome {
        let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|certificate| certificate.unwrap().to_vec())
            .collect();
        let (certificates, headers) = (Shown::new(certificates.into()), headers(lines));
        self.chain
            .attempt(&Presented {
                certificates: certificates.as_deref(),
                of_connection: certificates.as_deref(),
                headers: &headers,
                jwt: None,
                now,
            })
            .await
    }

    /// The name and groups of who was found, or what else came of it, in a word.
    async fn found(&self, pem: &str, lines: &[(&str, &str)]) -> String {
        shown(self.ask(pem, lines, NOW).await)
    }
}

fn shown(outcome: Outcome) -> String {
    match outcome {
        Outcome::User(found) => {
            let Authenticated { user, authenticator, .. } = *found;
            format!("{} [{}] {}", user.name, user.groups.join(","), authenticator.word())
        }
        Outcome::NoOpinion => "nobody".into(),
        Outcome::Refused(_) => "refused".into(),
        Outcome::Unavailable(_) => "unavailable".into(),
        Outcome::Repeated => "repeated".into(),
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn a14_a15_a16_a17_a18_a19_a20_the_first_who_knows_somebody_is_believed() {
    let stage = Stage::new().await;
    let good = bearer(&stage.token(&[]).await);
    let bad = bearer(&format!("sha256~{}", "x".repeat(43)));
    let (good, bad) = (("authorization", good.as_str()), ("authorization", bad.as_str()));
    let carol = ("x-remote-user", "carol");
    let bob = "bob [dev,ops,system:authenticated] x509";
    let alice = "alice [dev,system:authenticated] opaque";
    for (certificate, lines, expected) in [
        ("", &[][..], "nobody"),
        ("", &[good], alice),
        ("", &[bad], "refused"),
        ("", &[("authorization", "Basic x")], "nobody"),
        ("", &[good, bad], "repeated"),
        (certificates::BOB, &[], bob),
        (certificates::BOB, &[bad], bob),
        (certificates::BOB, &[good], bob),
        (certificates::STRANGER, &[], "refused"),
        (certificates::STRANGER, &[good], alice),
        (certificates::EXPIRED, &[], "refused"),
        (certificates::SERVER_ONLY, &[], "refused"),
        (certificates::NAMELESS, &[], "nobody"),
        (certificates::NAMELESS, &[good], alice),
        (certificates::TWO_UIDS, &[], "refused"),
        (certificates::RESERVED_NAME, &[], "refused"),
        (certificates::RESERVED_GROUPS, &[], "dave [dev,system:authenticated] x509"),
        (certificates::EDGE, &[carol], "carol [system:authenticated] requestHeader"),
        (certificates::EDGE, &[carol, good], "carol [system:authenticated] requestHeader"),
        (
            certificates::EDGE,
            &[carol, ("x-remote-group", "system:unauthenticated")],
            "carol [system:authenticated] requestHeader",
        ),
        (certificates::EDGE, &[("x-remote-user", "system:anonymous")], "refused"),
        (certificates::OTHER_EDGE, &[carol], "refused"),
        (certificates::OTHER_EDGE, &[carol, good], alice),
        (certificates::BOB, &[carol], bob),
        ("", &[carol], "nobody"),
        ("", &[carol, good], alice),
    ] {
        assert_eq!(stage.found(certificate, lines).await, expected, "{certificate} {lines:?}");
    }
}

#[tokio::test]
async fn a09_a11_a12_a13_a_token_may_come_as_a_subprotocol() {
    let stage = Stage::new().await;
    let raw = stage.token(&[]).await;
    let item = |token: &str| {
        let encoded = base64_simd::URL_SAFE_NO_PAD.encode_to_string(token);
        format!("base64url.bearer.authorization.k8s.io.{encoded}, chat")
    };
    let (good, bad) = (item(&raw), item("sha256~bad"));
    let upgrade = [(UPGRADE.as_str(), "websocket"), (CONNECTION.as_str(), "Upgrade")];
    let with = |protocol: &str, more: &[(&str, &str)]| {
        let mut all = headers(&upgrade);
        all.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::try_from(protocol).unwrap());
        all.extend(headers(more));
        all
    };
    let alice = "alice [dev,system:authenticated] opaque";
    let authorization = bearer(&raw);
    let mut plain = with(&good, &[]);
    plain.remove(UPGRADE);
    for (headers, expected) in [
        (with(&good, &[]), alice),
        (with(&bad, &[]), "refused"),
        (with(&bad, &[("authorization", &authorization)]), alice),
        (with(&good, &[("authorization", "Bearer bad")]), alice),
        (with("chat", &[]), "nobody"),
        (plain, "nobody"),
    ] {
        let presented =
            Presented { certificates: None, of_connection: None, headers: &headers, jwt: None, now: NOW };
        assert_eq!(shown(stage.chain.attempt(&presented).await), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_token_counts_where_and_while_it_is_valid_and_its_scopes_are_told() {
    let stage = Stage::new().await;
    let (ours, theirs) = (stage.token(&["https://ours"]).await, stage.token(&["https://theirs"]).await);
    assert!(stage.found("", &[("authorization", &bearer(&ours))]).await.starts_with("alice"));
    assert_eq!(stage.found("", &[("authorization", &bearer(&theirs))]).await, "refused");
    let later = NOW.saturating_add(Duration::from_mins(1));
    let lines = bearer(&ours);
    assert_eq!(shown(stage.ask("", &[("authorization", &lines)], later).await), "refused");
    let Outcome::User(found) = stage.ask("", &[("authorization", &lines)], NOW).await else { panic!() };
    assert_eq!(found.user.extra["scopes.authorization.openshift.io"], ["user:full"]);
    assert_eq!(found.user.uid, stage.alice.uid);
    assert_eq!(found.credential.len(), 15);
    let long = bearer(&"a".repeat(TOKEN_LIMIT + 1));
    assert_eq!(stage.found("", &[("authorization", &long)]).await, "refused");
}

#[tokio::test]
async fn rejections_name_the_credential_and_not_the_token() {
    let stage = Stage::new().await;
    let raw = format!("sha256~{}", "x".repeat(43));
    for token in [raw.as_str(), "hunter2"] {
        let outcome = stage.ask(certificates::EXPIRED, &[("authorization", &bearer(token))], NOW).await;
        let Outcome::Refused(rejections) = outcome else { panic!() };
        assert_eq!(rejections[0].authenticator, Authenticator::X509);
        assert!(rejections[0].credential.starts_with("X509SHA256="));
        assert!(rejections.len() == 2 && rejections.iter().all(|one| !one.to_string().contains(token)));
    }
}

#[tokio::test]
async fn a_certificate_tells_which_one_it_was() {
    let stage = Stage::new().await;
    let Outcome::User(found) = stage.ask(certificates::BOB, &[], NOW).await else { panic!() };
    assert_eq!(found.user.extra[CREDENTIAL_ID], std::slice::from_ref(&found.credential));
}

#[test]
fn nobody_is_a_part_of_the_system_because_a_provider_says_so() {
    let identity = |user: &str, email: &str, preferred: &str| Identity {
        user: user.into(),
        email: email.into(),
        preferred_username: preferred.into(),
        groups: vec!["dev".into(), "system:masters".into(), "system:unauthenticated".into()],
        ..Identity::default()
    };
    for (identity, naming, expected) in [
        (identity("u1", "a@b.c", "alice"), Naming::Preferred, Some("alice")),
        (identity("u1", "a@b.c", "alice"), Naming::Address, Some("a@b.c")),
        (identity("u1", "", "alice"), Naming::Address, Some("u1")),
        (identity("u1", "", ""), Naming::Preferred, Some("u1")),
        (identity("u1", "", "system:admin"), Naming::Preferred, None),
        (identity("system:anonymous", "", ""), Naming::Address, None),
        (identity("", "", ""), Naming::Address, None),
    ] {
        let user = user_of(&identity, naming);
        assert_eq!(user.as_ref().map(|user| user.name.as_str()), expected);
        if let Some(user) = user {
            assert_eq!(user.groups, ["dev", "system:authenticated"]);
        }
    }
}
