use doorward_core::Identity;
use serde_json::{Value, json};

use super::*;
use crate::{
    Config, Discovery, IssuerCheck, KeySource, ProviderKind, PublicFailure, RedeemError,
    provider::Provider,
    testing::{Fake, Reply, Seen, now},
    vendor::tests_of_id_tokens::{Stage, assert_groups, parameter, redeem, refresh},
};

const MEMBERS: &str = "/v1.0/me/transitiveMemberOf";

fn entra(tenants: &[&str]) -> ProviderKind {
    let allowed_tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
    ProviderKind::EntraId(EntraId { allowed_tenants })
}

/// The ID token of somebody in too many groups.
fn overage() -> Value {
    json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint":
        "https://graph.windows.net/t/users/u/getMemberObjects"}}})
}

/// Graph with this many pages of two groups.
fn graph_of(fake: &Fake, pages: usize) {
    let base = fake.base.clone();
    fake.on(MEMBERS, move |seen: &Seen| {
        let query = seen.head.split(' ').nth(1).unwrap_or_default().to_owned();
        let page = query.split("skiptoken=").nth(1).map_or(0, |page| page.parse::<usize>().unwrap());
        let mut body = json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#directoryObjects",
            "value": [{"@odata.type": "#microsoft.graph.group", "id": format!("g{page}")}, {"id": "shared"}]});
        if page + 1 < pages {
            let next = format!("{base}{MEMBERS}?$select=id&$top=999&$skiptoken={}", page + 1);
            body["@odata.nextLink"] = next.into();
        }
        Reply::json(200, &body)
    });
}

#[tokio::test]
async fn groups_that_did_not_fit_are_read_from_graph_page_by_page() {
    for (claims, pages, groups) in [
        (json!({}), 1, vec!["dev", "ops"]),
        (overage(), 1, vec!["g0", "shared"]),
        (overage(), 3, vec!["g0", "shared", "g1", "g2"]),
        (json!({"groups": null, "hasgroups": true}), 1, vec!["g0", "shared"]),
        (json!({"groups": null, "hasgroups": "true"}), 1, vec![]),
        (json!({"groups": null, "_claim_names": {"x": "src1"}}), 1, vec![]),
    ] {
        let stage = Stage::new().await;
        stage.gives(claims.clone());
        graph_of(&stage.fake, pages);
        let grant = stage.login(entra(&[])).await.unwrap();
        assert_groups(&grant, &groups);
        for asked in stage.fake.seen(MEMBERS) {
            assert_eq!(asked.header("authorization").as_deref(), Some("Bearer at"), "{claims}");
            assert_eq!(asked.header("consistencylevel").as_deref(), Some("eventual"));
        }
    }
}

#[tokio::test]
async fn what_graph_says_wrongly_is_no_group() {
    let elsewhere =
        json!({"value": [], "@odata.nextLink": "https://attacker.example/v1.0/me/transitiveMemberOf"});
    for (reply, reason, public) in [
        (Reply::json(200, &elsewhere), "at another place", PublicFailure::ProviderUnreachable),
        (
            Reply::json(200, &json!({"value": [], "@odata.nextLink": 7})),
            "at another place",
            PublicFailure::ProviderUnreachable,
        ),
        (Reply::json(200, &json!({"value": {}})), "no list", PublicFailure::ProviderUnreachable),
        (
            Reply::typed(200, "text/html", "<html>"),
            "not what it promises",
            PublicFailure::ProviderUnreachable,
        ),
        (Reply::status(429), "no more requests", PublicFailure::ProviderUnreachable),
        (Reply::status(503), "status 503", PublicFailure::ProviderUnreachable),
        (
            Reply::redirect("https://attacker.example/"),
            "redirects to another place",
            PublicFailure::ProviderUnreachable,
        ),
        (Reply::status(403), "GroupMember.Read.All", PublicFailure::TokenInvalid),
    ] {
        let stage = Stage::new().await;
        stage.gives(overage());
        stage.fake.says(MEMBERS, reply);
        let error = stage.login(entra(&[])).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.public(), public, "{error}");
    }
    let stage = Stage::new().await;
    stage.gives(overage());
    graph_of(&stage.fake, usize::MAX);
    let error = stage.login(entra(&[])).await.unwrap_err();
    assert!(error.to_string().contains("more than 50 pages"), "{error}");
    assert_eq!(stage.fake.count(MEMBERS), MAX_PAGES);
}

#[tokio::test]
async fn entries_that_are_no_groups_are_passed_over() {
    let stage = Stage::new().await;
    stage.gives(overage());
    let entries = json!({"value": [{"id": "g"}, {"id": 7}, {"id": ""}, {}, null, "g2", {"id": "g"}]});
    stage.fake.says(MEMBERS, Reply::json(200, &entries));
    assert_groups(&stage.login(entra(&[])).await.unwrap(), &["g"]);
}

#[tokio::test]
async fn a_refresh_reads_the_groups_anew_and_a_fault_keeps_the_last_known() {
    let stage = Stage::new().await;
    stage.gives(overage());
    graph_of(&stage.fake, 2);
    let provider = stage.provider(entra(&[])).await;
    let current = redeem(&provider).await.unwrap().identity;
    graph_of(&stage.fake, 1);
    let refreshed = refresh(&provider, &current).await.unwrap();
    assert_eq!(refreshed.identity.unwrap().groups, ["g0", "shared"]);
    for reply in [Reply::status(500), Reply::status(429), Reply::json(200, &json!({"value": 1}))] {
        stage.fake.says(MEMBERS, reply);
        assert_eq!(refresh(&provider, &current).await.unwrap().identity, None, "as it was");
    }
    stage.fake.says(MEMBERS, Reply::status(403));
    assert!(refresh(&provider, &current).await.unwrap_err().ends_the_session());
    // Somebody who was switched off.
    let refused =
        json!({"error": "invalid_grant", "error_description": "AADSTS50057: The user account is disabled."});
    stage.fake.says("/token", Reply::json(400, &refused));
    assert!(refresh(&provider, &current).await.unwrap_err().ends_the_session());
}

/// A provider that any tenant of this cloud may sign in at.
async fn multi_tenant(stage: &Stage, tenants: &[&str]) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", stage.fake.base));
    let config = Config {
        kind: entra(tenants),
        issuer: format!("{}/organizations/v2.0", stage.fake.base),
        issuer_check: IssuerCheck::Skip,
        discovery: Discovery::Skip,
        login_url: at("/authorize"),
        redeem_url: at("/token"),
        profile_url: at("/userinfo"),
        keys: KeySource::Url(format!("{}/jwks", stage.fake.base)),
        enabled_algorithms: vec![doorward_jose::Algorithm::EdDsa],
        ..stage.fake.config()
    };
    Provider::connect(config).await.unwrap()
}

#[tokio::test]
async fn only_tenants_of_the_cloud_that_are_allowed_sign_in() {
    let stage = Stage::new().await;
    let base = stage.fake.base.clone();
    for (issuer, allowed, is_let_in) in [
        (format!("{base}/t-1/v2.0"), &[][..], true),
        (format!("{base}/t-1/v2.0"), &["t-1"], true),
        (format!("{base}/T-1/v2.0"), &["t-0", "t-1"], true),
        (format!("{base}/t-2/v2.0"), &["t-1"], false),
        (format!("{base}/t-1"), &[], false),
        (format!("{base}/t-1/v1.0"), &[], false),
        (format!("{base}/t-1/x/v2.0"), &[], false),
        (format!("{base}/t-1/v2.0/v2.0"), &["t-1"], false),
        (format!("{base}//v2.0"), &[], false),
        (format!("{base}.attacker.example/t-1/v2.0"), &["t-1"], false),
        ("https://attacker.example/t-1/v2.0".to_owned(), &["t-1"], false),
        (String::new(), &[], false),
    ] {
        stage.gives(json!({"iss": issuer}));
        let provider = multi_tenant(&stage, allowed).await;
        let outcome = redeem(&provider).await;
        assert_eq!(outcome.is_ok(), is_let_in, "{issuer} {allowed:?}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(matches!(error, RedeemError::IdToken(_)), "{error}");
        }
        // A token that somebody presents is no other way in.
        let token = stage.signer.sign(&stage.fake.claims(json!({"iss": issuer})));
        assert_eq!(provider.verify_bearer(&token.into(), now()).await.is_ok(), is_let_in, "{issuer}");
    }
}

#[tokio::test]
async fn with_one_issuer_no_other_tenant_counts() {
    let stage = Stage::new().await;
    let base = stage.fake.base.clone();
    for (issuer, allowed, is_let_in) in [
        (format!("{base}/t-1/v2.0"), &[][..], true),
        (format!("{base}/t-1/v2.0"), &["t-2"], false),
        (format!("{base}/t-2/v2.0"), &["t-2"], false),
    ] {
        stage.gives(json!({"iss": issuer}));
        let config = Config {
            issuer: format!("{base}/t-1/v2.0"),
            issuer_check: IssuerCheck::Exact,
            ..shared_config(&multi_tenant(&stage, allowed).await)
        };
        let provider = Provider::connect(config).await.unwrap();
        assert_eq!(redeem(&provider).await.is_ok(), is_let_in, "{issuer} {allowed:?}");
    }
}

fn shared_config(provider: &Provider) -> Config {
    provider.shared().config.clone()
}

fn azure(field: &str, resource: &str) -> ProviderKind {
    ProviderKind::Azure(Azure { group_field: field.to_owned(), resource: resource.to_owned() })
}

/// The older endpoints; `login` tells their version.
async fn older(stage: &Stage, login: &str, kind: ProviderKind) -> Provider {
    let at = |path: &str| Some(format!("{}{path}", stage.fake.base));
    let config = Config {
        login_url: at(login),
        profile_url: at("/v1.0/me"),
        scope: "openid groups".to_owned(),
        kind,
        ..shared_config(&multi_tenant(stage, &[]).await)
    };
    Provider::connect(config).await.unwrap()
}

#[tokio::test]
async fn azure_has_two_versions_that_want_other_parameters() {
    let stage = Stage::new().await;
    let graph = format!("{}/.default", stage.fake.base);
    stage.gives(json!({}));
    for (login, scope, resource) in [
        ("/common/oauth2/authorize", "openid groups".to_owned(), Some("https://api.example")),
        ("/common/oauth2/v2.0/authorize", format!("openid {graph}"), None),
    ] {
        stage.fake.says(MEMBERS, Reply::json(200, &json!({"value": []})));
        let provider = older(&stage, login, azure("id", "https://api.example")).await;
        assert_eq!(parameter(&provider, "scope").await, Some(scope));
        assert_eq!(parameter(&provider, "resource").await.as_deref(), resource);
        redeem(&provider).await.unwrap();
        let form = stage.fake.seen("/token").pop().unwrap().form;
        assert_eq!(form.get("resource").map(String::as_str), resource);
        assert_eq!(form.get("client_secret").map(String::as_str), Some("s3cret+"));
    }
}

#[tokio::test]
async fn azure_reads_security_groups_by_the_field_that_is_wanted() {
    for (field, select, groups) in [
        ("id", "displayName,id", vec!["dev", "ops", "g-1", "g-2"]),
        ("displayName", "displayName,id", vec!["dev", "ops", "Admins"]),
        ("mailNickname", "displayName,id,mailNickname", vec!["dev", "ops", "adm"]),
        ("x&y=1", "displayName,id,x&y=1", vec!["dev", "ops"]),
    ] {
        let stage = Stage::new().await;
        stage.gives(json!({}));
        let page =
            json!({"value": [{"id": "g-1", "displayName": "Admins", "mailNickname": "adm"}, {"id": "g-2"}]});
        stage.fake.says(MEMBERS, Reply::json(200, &page));
        let provider = older(&stage, "/oauth2/v2.0/authorize", azure(field, "")).await;
        let grant = redeem(&provider).await.unwrap();
        assert_groups(&grant, &groups);
        let head = stage.fake.seen(MEMBERS).remove(0).head;
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let url = Url::parse("http://h").unwrap().join(&target).unwrap();
        let asked: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let expected = [("$count", "true"), ("$filter", "securityEnabled eq true"), ("$select", select)];
        assert_eq!(asked, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[tokio::test]
async fn azure_looks_for_an_address_in_the_profile() {
    for (profile, email) in [
        (json!({"mail": "a@corp.example", "userPrincipalName": "b@corp.example"}), Some("a@corp.example")),
        (
            json!({"mail": null, "otherMails": ["c@x.example", "d@x.example"], "userPrincipalName": "b@c"}),
            Some("c@x.example"),
        ),
        (json!({"otherMails": [], "userPrincipalName": "b@corp.example"}), Some("b@corp.example")),
        (json!({"otherMails": [7], "userPrincipalName": {"a": 1}}), None),
        (json!({}), None),
    ] {
        let stage = Stage::new().await;
        stage.gives(json!({"email": null}));
        stage.fake.says("/v1.0/me", Reply::json(200, &profile));
        let provider = older(&stage, "/oauth2/authorize", azure("id", "")).await;
        let outcome = redeem(&provider).await.map(|grant| grant.identity.email);
        assert_eq!(outcome.ok().as_deref(), email, "{profile}");
    }
    // With an address in the ID token nobody asks for a profile, which a token for another resource could not see.
    let stage = Stage::new().await;
    stage.gives(json!({"preferred_username": null, "groups": null}));
    let provider = older(&stage, "/oauth2/authorize", azure("id", "")).await;
    redeem(&provider).await.unwrap();
    assert_eq!(stage.fake.count("/v1.0/me"), 0);
}

#[tokio::test]
async fn azure_reads_groups_anew_at_a_refresh() {
    let stage = Stage::new().await;
    stage.gives(json!({"groups": null}));
    let page = |id: &str| Reply::json(200, &json!({"value": [{"id": id}]}));
    stage.fake.says(MEMBERS, page("old"));
    let provider = older(&stage, "/oauth2/v2.0/authorize", azure("id", "")).await;
    let current = redeem(&provider).await.unwrap().identity;
    assert_eq!(current.groups, ["old"]);
    stage.fake.says(MEMBERS, page("new"));
    assert_eq!(refresh(&provider, &current).await.unwrap().identity.unwrap().groups, ["new"]);
    stage.fake.says(MEMBERS, Reply::status(502));
    assert_eq!(refresh(&provider, &current).await.unwrap().identity, None);
    // Sessions of before know no user, only an address.
    stage.fake.says(MEMBERS, page("new"));
    let former = Identity { user: String::new(), ..current };
    assert!(refresh(&provider, &former).await.is_ok());
}
