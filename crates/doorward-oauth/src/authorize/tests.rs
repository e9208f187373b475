//! Whole flows, from the request of a client to its answer.

use std::sync::Arc;

use doorward_authn::x509::ClientCa;
use doorward_core::Timestamp;
use doorward_testkit::certificates;
use http::StatusCode;
use serde_json::json;

use super::*;
use crate::{
    config::{
        Client, Config, Consent, IdentityProvider, LoginOffer, ProviderChoice, ProviderKind,
        RequestHeaderProvider, ScopeDefinition,
    },
    testing::{
        NOW,
        browser::{Browser, hidden, htpasswd, location, parameter, provider, server, server_at, text},
        call,
    },
};

const CLI: &str = "/oauth/authorize?client_id=openshift-challenging-client&response_type=code&state=1";
const IMPLICIT: &str = "/oauth/authorize?client_id=openshift-challenging-client&response_type=token";
const WEB: &str = "/oauth/authorize?client_id=web&response_type=code&scope=user%3Ainfo&state=s";
const OIDC: &str = "/oauth/authorize?client_id=web&redirect_uri=https%3A%2F%2Fweb.example%2Fcb&response_type=code&scope=openid&state=s";
const BOB: (&str, &str) = ("bob", "password");
const CAROL: (&str, &str) = ("carol", "secret");

fn basic(user: (&str, &str)) -> String {
    format!("Basic {}", base64_simd::STANDARD.encode_to_string(format!("{}:{}", user.0, user.1)))
}

/// A confidential client that users are asked about.
fn web(config: &mut Config) {
    config.clients.push(Client {
        secrets: vec![crate::config::ClientSecret::of("s")],
        redirect_uris: vec!["https://web.example/cb".to_owned()],
        consent: Consent::Auto,
        ..Client::new("web")
    });
}

fn prompting(config: &mut Config) {
    web(config);
    config.clients[0].consent = Consent::Prompt;
    config.scopes.push(ScopeDefinition {
        name: "orders:read".to_owned(),
        description: "See <your> orders".to_owned(),
        warning: "Careful & slow".to_owned(),
    });
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds + seconds)
}

async fn ask(server: &OAuthServer, call: Call) -> Answer {
    Browser::default().send(server, call).await
}

fn header(answer: &Answer, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a26_a31_e1_a_program_is_challenged_and_gets_its_code() {
    let server = server(|_| ());
    let challenged = ask(&server, call("GET", CLI).header("x-csrf-token", "1")).await;
    assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&challenged, "www-authenticate"), "Basic realm=\"openshift\"");
    let given =
        ask(&server, call("GET", CLI).header("x-csrf-token", "1").header("authorization", &basic(BOB))).await;
    let target = location(&given);
    assert!(target.starts_with("https://auth.example.com/oauth/token/implicit?code=sha256~"), "{target}");
    assert!(target.ends_with("&iss=https%3A%2F%2Fauth.example.com&state=1"), "{target}");
    // The header decides about challenges only.
    let without = ask(&server, call("GET", CLI).header("authorization", &basic(BOB))).await;
    assert_eq!(without.status(), StatusCode::FOUND);
    assert!(without.headers().get("set-cookie").is_none(), "programs keep no session");
}

#[tokio::test]
async fn a28_a_token_is_cut_out_between_its_neighbours() {
    let server = server(|_| ());
    let target = location(&ask(&server, call("GET", IMPLICIT).header("authorization", &basic(BOB))).await);
    let (place, fragment) = target.split_once('#').unwrap();
    assert_eq!(place, "https://auth.example.com/oauth/token/implicit");
    let names: Vec<&str> = fragment.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    assert_eq!(names, ["access_token", "expires_in", "iss", "scope", "token_type"]);
    let token = fragment.split_once("access_token=").unwrap().1.split_once("&expires").unwrap().0;
    assert!(token.starts_with("sha256~"), "it is not decoded: {token}");
    assert_eq!(parameter(&target, "expires_in").unwrap(), "86400");
    assert_eq!(parameter(&target, "scope").unwrap(), "user:full");
    let token = parameter(&target, "access_token").unwrap();
    assert!(server.accounts.validate(&token, doorward_accounts::Activity::Counts, NOW).await.is_ok());
}

#[tokio::test]
async fn a29_a30_e2_wrong_credentials_are_challenged_anew_and_pages_set_off_no_prompt() {
    let server = server(|_| ());
    let wrong = basic(("bob", "wrong"));
    let csrf =
        ask(&server, call("GET", CLI).header("x-csrf-token", "1").header("authorization", &wrong)).await;
    assert_eq!(
        (csrf.status(), header(&csrf, "www-authenticate").as_str()),
        (StatusCode::UNAUTHORIZED, "Basic realm=\"openshift\"")
    );
    for call in [
        call("GET", CLI),
        call("GET", CLI).header("x-csrf-token", " "),
        call("GET", CLI).header("authorization", &wrong),
    ] {
        let plain = ask(&server, call).await;
        assert_eq!(plain.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&plain, "www-authenticate"), "");
        let sentence = "Send a non-empty X-CSRF-Token header to be offered a Basic challenge";
        assert_eq!(header(&plain, "warning"), format!("199 doorward \"{sentence}\""));
        assert!(header(&plain, "content-type").starts_with("text/plain"));
        assert_eq!(text(&plain), sentence);
    }
    let malformed = ask(&server, call("GET", CLI).header("authorization", "Basic %%%")).await;
    assert_eq!(malformed.status(), StatusCode::BAD_REQUEST);
    let twice = call("GET", CLI).header("authorization", &basic(BOB)).header("authorization", &basic(BOB));
    assert_eq!(ask(&server, twice).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a32_without_a_challenge_a_program_is_told_where_tokens_are() {
    let server = server(|config| config.providers[0].challenge = crate::config::ChallengeOffer::NotOffered);
    let answer =
        ask(&server, call("GET", CLI).header("x-csrf-token", "1").header("authorization", &basic(BOB))).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&answer, "link"), "<https://auth.example.com/oauth/token/request>; rel=\"related\"");
    assert!(text(&answer).contains("https://auth.example.com/oauth/token/request"));
    assert!(header(&answer, "warning").starts_with("199 doorward "));
    assert_eq!(header(&answer, "www-authenticate"), "");
}

fn edge() -> IdentityProvider {
    let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    provider(
        "edge",
        ProviderKind::RequestHeader(Box::new(RequestHeaderProvider {
            client_ca: ClientCa::from_pem(certificates::PROXIES.as_bytes(), &[]).unwrap(),
            allowed_names: texts(&["edge"]),
            headers: texts(&["X-Remote-User", "SSO-User"]),
            preferred_username_headers: texts(&["X-Remote-Login"]),
            name_headers: Vec::new(),
            email_headers: texts(&["X-Remote-Mail"]),
            group_headers: texts(&["X-Remote-Group"]),
            login_url: Some("https://edge/sso?then=${url}".to_owned()),
            challenge_url: Some("https://edge/ch?${query}".to_owned()),
        })),
    )
}

fn shown(call: Call, pem: &str) -> Call {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let ders = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.unwrap().to_vec());
    let certificates: Arc<[Vec<u8>]> = ders.collect();
    Call { of_connection: Arc::clone(&certificates), certificates, ..call }
}

#[tokio::test]
async fn a33_a_front_proxy_signs_programs_and_people_in() {
    let server = server(|config| {
        web(config);
        config.providers = vec![edge()];
    });
    let sent = location(&ask(&server, call("GET", CLI).header("x-csrf-token", "1")).await);
    assert_eq!(sent, "https://edge/ch?client_id=openshift-challenging-client&response_type=code&state=1");
    let mut browser = Browser::default();
    let page = location(&browser.get(&server, WEB).await);
    let sent = location(&browser.get(&server, &page).await);
    let back = parameter(&sent, "then").unwrap();
    assert!(sent.starts_with("https://edge/sso?then=https%3A%2F%2Fauth%2Eexample%2Ecom"), "{sent}");
    assert!(back.starts_with("https://auth.example.com/oauth/authorize?client_id=web"), "{back}");

    let call = |user: &str| call("GET", CLI).header("x-remote-user", user);
    for (call, is_in) in [
        (shown(call("dave"), certificates::EDGE), true),
        (call("dave"), false),
        (shown(call("dave"), certificates::OTHER_EDGE), false),
        (shown(call("dave"), certificates::BOB), false),
        (shown(call("dave").header("x-remote-user", "eve"), certificates::EDGE), false),
        (shown(call(""), certificates::EDGE), false),
    ] {
        let target = location(&ask(&server, call.clone()).await);
        assert_eq!(parameter(&target, "code").is_some(), is_in, "{call:?}");
    }
}

#[tokio::test]
async fn a47_a_new_login_at_a_front_proxy_counts_although_a_session_is_there() {
    let server = server(|config| {
        web(config);
        config.providers = vec![edge()];
    });
    let dave = |target: &str| shown(call("GET", target).header("x-remote-user", "dave"), certificates::EDGE);
    let mut browser = Browser::default();
    assert!(location(&browser.send(&server, dave(OIDC)).await).contains("?code="));
    assert!(browser.cookies.contains_key("__Host-doorward-auth"));
    for demand in ["&prompt=login", "&prompt=select_account", "&max_age=5"] {
        browser.now = Timestamp::from_seconds(browser.now.seconds + 10);
        let login = location(&browser.send(&server, dave(&format!("{OIDC}{demand}"))).await);
        assert!(login.starts_with("/oauth/login/edge?"), "{demand} {login}");
        let edge = location(&browser.get(&server, &login).await);
        let back = parameter(&edge, "then").unwrap();
        let back = back.strip_prefix("https://auth.example.com").unwrap();
        assert!(location(&browser.send(&server, dave(back)).await).contains("?code="), "{demand}");
        let stranger = location(&browser.send(&server, call("GET", back)).await);
        assert!(demand == "&max_age=5" || stranger.starts_with("/oauth/login/edge?"), "{demand} {stranger}");
    }
}

#[tokio::test]
async fn a20_reserved_groups_are_dropped_and_a_reserved_name_is_nobody() {
    let server = server(|config| config.providers = vec![edge()]);
    let call = |user: &str| shown(call("GET", CLI).header("x-remote-user", user), certificates::EDGE);
    let dave =
        call("dave").header("x-remote-group", "dev").header("x-remote-group", "system:unauthenticated");
    assert!(location(&ask(&server, dave).await).contains("code="));
    let user = server.accounts.user("dave", NOW).await.unwrap().unwrap();
    assert_eq!(user.groups["edge"], ["dev"]);
    for name in ["system:anonymous", "system:admin", "client:x", "a/b", ".."] {
        let target = location(&ask(&server, call(name)).await);
        assert!(!target.contains("code="), "{name}");
        assert_eq!(server.accounts.user(name, NOW).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_certificate_is_a_user_where_that_is_wanted() {
    let ca = ClientCa::from_pem(certificates::CLIENTS.as_bytes(), &[]).unwrap();
    let server = server(|config| config.providers.push(provider("cards", ProviderKind::X509(ca))));
    let given = ask(&server, shown(call("GET", CLI), certificates::BOB)).await;
    assert!(location(&given).contains("code="));
    let bob = server.accounts.user("bob", NOW).await.unwrap().unwrap();
    assert_eq!(
        (bob.identities.as_slice(), bob.groups["cards"].as_slice()),
        (&["cards:bob".to_owned()][..], &["dev".to_owned(), "ops".to_owned()][..])
    );
    for pem in
        [certificates::STRANGER, certificates::EXPIRED, certificates::NAMELESS, certificates::SERVER_ONLY]
    {
        assert_eq!(ask(&server, shown(call("GET", CLI), pem)).await.status(), StatusCode::UNAUTHORIZED);
    }
    // The password of a bob of another provider proves another bob.
    let other = ask(&server, call("GET", CLI).header("authorization", &basic(BOB))).await;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
    assert!(text(&other).starts_with("mapping_claim_error"), "{}", text(&other));
}

#[tokio::test]
async fn a_proxy_that_hands_on_certificates_is_not_its_client_and_its_client_is_no_proxy() {
    let ca = ClientCa::from_pem(certificates::CLIENTS.as_bytes(), &[]).unwrap();
    let server = server(|config| config.providers = vec![edge(), provider("cards", ProviderKind::X509(ca))]);
    let handed_on = |client: &str, proxy: &str| Call {
        certificates: shown(call("GET", CLI), client).certificates,
        ..shown(call("GET", CLI).header("x-remote-user", "dave"), proxy)
    };
    for (client, proxy, is_in) in [
        (certificates::BOB, "", true),
        ("", certificates::BOB, false),
        (certificates::EDGE, "", false),
        ("", certificates::EDGE, true),
    ] {
        let target = location(&ask(&server, handed_on(client, proxy)).await);
        assert_eq!(parameter(&target, "code").is_some(), is_in, "{client} {proxy}");
    }
}

#[tokio::test]
async fn a34_a_lured_browser_gives_a_program_nothing() {
    let server = server(web);
    let mut browser = Browser::default();
    let page = location(&browser.get(&server, WEB).await);
    browser.log_in(&server, &page, BOB).await;
    assert!(location(&browser.get(&server, WEB).await).contains("code="));
    let lured = browser.get(&server, IMPLICIT).await;
    assert_eq!(lured.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(header(&lured, "www-authenticate"), "");
}

#[tokio::test]
async fn a35_several_providers_are_a_choice() {
    let server = server(|config| {
        web(config);
        config.providers.push(htpasswd("other"));
        config.providers.push(IdentityProvider { login: LoginOffer::NotOffered, ..htpasswd("hidden") });
    });
    let mut browser = Browser::default();
    let choice = browser.get(&server, WEB).await;
    assert_eq!(choice.status(), StatusCode::OK);
    let page = text(&choice);
    assert!(
        page.contains("idp=local") && page.contains("idp=other") && !page.contains("idp=hidden"),
        "{page}"
    );
    let straight = location(&browser.get(&server, &format!("{WEB}&idp=other")).await);
    assert!(straight.starts_with("/oauth/login/other?then=%2Foauth%2Fauthorize%3F"), "{straight}");
    assert_eq!(browser.get(&server, &format!("{WEB}&idp=nobody")).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(browser.get(&server, &format!("{WEB}&idp=hidden")).await.status(), StatusCode::FORBIDDEN);
    let inside = browser.log_in(&server, &straight, BOB).await;
    assert!(
        location(&browser.get(&server, &location(&inside)).await).starts_with("https://web.example/cb?code=")
    );
}

#[tokio::test]
async fn one_provider_is_no_choice_unless_the_operator_wants_it_and_none_is_an_error() {
    let always = server(|config| {
        web(config);
        config.provider_choice = ProviderChoice::Always;
    });
    assert_eq!(Browser::default().get(&always, WEB).await.status(), StatusCode::OK);
    let none = server(|config| {
        web(config);
        config.providers[0].login = LoginOffer::NotOffered;
    });
    let answer = Browser::default().get(&none, WEB).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(header(&answer, "www-authenticate"), "");
}

#[tokio::test]
async fn a36_e5_errors_are_told_to_the_client_only_where_it_is_known() {
    let server = server(web);
    let wrong = "/oauth/authorize?client_id=nobody&response_type=code";
    let program = ask(&server, call("GET", wrong).header("accept", "application/json")).await;
    assert_eq!(program.status(), StatusCode::BAD_REQUEST);
    let document: Value = serde_json::from_str(&text(&program)).unwrap();
    assert_eq!(document["error"], json!("unauthorized_client"));
    assert!(program.headers().get("location").is_none());
    let person = Browser::default().get(&server, wrong).await;
    assert!(
        header(&person, "content-type").starts_with("text/html")
            && person.status() == StatusCode::BAD_REQUEST
    );
    let evil = "/oauth/authorize?client_id=web&response_type=code&redirect_uri=https%3A%2F%2Fevil.example%2F%3Cscript%3E";
    let person = Browser::default().get(&server, evil).await;
    assert!(person.headers().get("location").is_none() && !text(&person).contains("evil"));
    let told = location(&Browser::default().get(&server, &WEB.replace("user%3Ainfo", "nonsense")).await);
    assert!(
        told.starts_with("https://web.example/cb?error=invalid_scope&error_description=")
            && told.ends_with("&iss=https%3A%2F%2Fauth.example.com&state=s"),
        "{told}"
    );
    // What a caller says of errors is nothing to pass on.
    let reflected = Browser::default().get(&server, &format!("{WEB}&error=access_denied")).await;
    assert!(location(&reflected).starts_with("/oauth/login/local?"));
}

#[tokio::test]
async fn a_login_opens_a_new_session_and_leads_back() {
    let server = server(web);
    let mut browser = Browser::default();
    let page = location(&browser.get(&server, WEB).await);
    assert!(page.starts_with("/oauth/login/local?then=%2Foauth%2Fauthorize%3F"), "{page}");
    let form = browser.get(&server, &page).await;
    assert!(header(&form, "content-security-policy").contains("form-action 'self' https://web.example;"));
    assert!(text(&form).contains("<strong>web</strong>"));
    // Somebody has prepared a session for this browser.
    browser.cookies.insert("__Host-doorward-auth".to_owned(), "prepared".to_owned());
    let inside = browser.log_in(&server, &page, BOB).await;
    let first = browser.cookies["__Host-doorward-auth"].clone();
    assert_ne!(first, "prepared");
    let back = location(&inside);
    assert!(location(&browser.get(&server, &back).await).starts_with("https://web.example/cb?code="));
    browser.log_in(&server, &page, BOB).await;
    assert_ne!(browser.cookies["__Host-doorward-auth"], first);
    assert_eq!(server.accounts.session(&first, NOW).await.unwrap(), None, "the former one is over");
}

#[tokio::test]
async fn a29_a45_a_wrong_form_gets_nobody_in_and_says_why() {
    let server = server(web);
    let page = "/oauth/login/local?then=%2Fx";
    let mut browser = Browser::default();
    let csrf = hidden(&browser.get(&server, page).await, "csrf");
    for (csrf, user, password, reason) in [
        (csrf.as_str(), "bob", "wrong", "access_denied"),
        (csrf.as_str(), "nobody", "password", "access_denied"),
        (csrf.as_str(), "bob\u{7}", "password", "access_denied"),
        (csrf.as_str(), "", "password", "user_required"),
        (csrf.as_str(), "bob", "", "user_required"),
        ("", "bob", "password", "token_expired"),
        (&"A".repeat(43), "bob", "password", "token_expired"),
    ] {
        let fields = [("then", "/x"), ("csrf", csrf), ("username", user), ("password", password)];
        let target = location(&browser.post(&server, "/oauth/login/local", &fields).await);
        assert_eq!(target, format!("/oauth/login/local?reason={reason}&then=%2Fx"), "{user} {password}");
        assert!(!browser.cookies.contains_key("__Host-doorward-auth"));
        assert!(text(&browser.get(&server, &target).await).contains("role=\"alert\""));
    }
    // Login CSRF: the page of the attacker's own browser is worth nothing in another.
    let fields = [("then", "/x"), ("csrf", &csrf), ("username", "bob"), ("password", "password")];
    let other = Browser::default().post(&server, "/oauth/login/local", &fields).await;
    assert!(location(&other).contains("reason=token_expired"));
    assert_eq!(server.accounts.user("bob", NOW).await.unwrap(), None, "nothing was stored");
    assert_eq!(Browser::default().get(&server, "/oauth/login/nobody").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a46_after_a_login_nobody_is_led_elsewhere() {
    let server = server(web);
    for then in
        ["//evil.example", "/\\evil.example", "https://evil.example", "/%0d%0aX: y", "/\u{9}/evil.example"]
    {
        let mut browser = Browser::default();
        let csrf = hidden(&browser.get(&server, "/oauth/login/local").await, "csrf");
        let fields = [("then", then), ("csrf", &csrf), ("username", "bob"), ("password", "password")];
        assert_eq!(location(&browser.post(&server, "/oauth/login/local", &fields).await), "/", "{then:?}");
    }
}

/// Signs bob in and leads him to the page that asks.
async fn asked(server: &OAuthServer, browser: &mut Browser, target: &str) -> String {
    let mut next = location(&browser.get(server, target).await);
    if next.starts_with("/oauth/login") {
        let inside = browser.log_in(server, &next, BOB).await;
        next = location(&browser.get(server, &location(&inside)).await);
    }
    next
}

async fn answered(
    server: &OAuthServer,
    browser: &mut Browser,
    page: &str,
    ticked: &[&str],
    answer: &str,
) -> Answer {
    let shown = browser.get(server, page).await;
    let (interaction, csrf) = (hidden(&shown, "interaction"), hidden(&shown, "csrf"));
    let mut fields = vec![("interaction", interaction.as_str()), ("csrf", &csrf), ("answer", answer)];
    fields.extend(ticked.iter().map(|name| (*name, "yes")));
    browser.post(server, "/oauth/authorize/approve", &fields).await
}

#[tokio::test]
async fn pages_call_a_client_by_its_name_and_take_it_for_text() {
    let server = server(|config| {
        prompting(config);
        config.clients[0].name = "<b>The & Web</b>".to_owned();
        config.provider_choice = ProviderChoice::Always;
    });
    let mut browser = Browser::default();
    let shown = "<strong>&lt;b&gt;The &amp; Web&lt;/b&gt;</strong>";
    let choice = browser.get(&server, WEB).await;
    assert!(text(&choice).contains(shown), "{}", text(&choice));
    let page = location(&browser.get(&server, &format!("{WEB}&idp=local")).await);
    assert!(text(&browser.get(&server, &page).await).contains(shown));
    let inside = browser.log_in(&server, &page, BOB).await;
    let page = location(&browser.get(&server, &location(&inside)).await);
    let consent = browser.get(&server, &page).await;
    assert!(text(&consent).contains(shown) && text(&consent).contains(" at <strong>web.example</strong>"));
}

#[tokio::test]
async fn the_form_for_our_own_sign_in_may_lead_to_where_people_wanted_to_go() {
    let server = server(|config| {
        prompting(config);
        config.own_sign_in = vec!["https://app.example.com/oauth2/callback".to_owned()];
        config.own_targets = vec!["http://*.example.org:8443".to_owned()];
        config.own_consent = Consent::Prompt;
    });
    let mut browser = Browser::default();
    let own = "/oauth/authorize?client_id=proxy&response_type=code&scope=openid\
               &redirect_uri=https%3A%2F%2Fapp.example.com%2Foauth2%2Fcallback";
    let page = location(&browser.get(&server, own).await);
    let form = browser.get(&server, &page).await;
    let policy = "form-action 'self' https://app.example.com http://*.example.org:8443;";
    assert!(header(&form, "content-security-policy").contains(policy));
    assert!(text(&form).contains("to continue to <strong>app.example.com</strong>"));
    let inside = browser.log_in(&server, &page, BOB).await;
    let page = location(&browser.get(&server, &location(&inside)).await);
    let consent = browser.get(&server, &page).await;
    assert!(header(&consent, "content-security-policy").contains(policy));
    assert!(text(&consent).contains("The application <strong>app.example.com</strong> asks"));
}

#[tokio::test]
async fn a43_users_are_asked_once_for_each_scope() {
    let server = server(prompting);
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, WEB).await;
    assert!(page.starts_with("/oauth/authorize/approve?interaction="), "{page}");
    let shown = browser.get(&server, &page).await;
    assert!(header(&shown, "content-security-policy").contains("form-action 'self' https://web.example;"));
    for part in ["web.example", "<strong>bob</strong>", "user:info"] {
        assert!(text(&shown).contains(part), "{part}");
    }
    let done = answered(&server, &mut browser, &page, &["scope-0"], "approve").await;
    assert!(location(&done).starts_with("https://web.example/cb?code="));
    assert!(location(&browser.get(&server, WEB).await).contains("?code="), "not asked again");
    let more = WEB.replace("scope=", "scope=orders%3Aread+");
    let page = location(&browser.get(&server, &more).await);
    let shown = text(&browser.get(&server, &page).await);
    assert!(shown.contains("See &lt;your&gt; orders") && shown.contains("Careful &amp; slow"), "{shown}");
    assert_eq!(shown.matches("type=\"checkbox\"").count(), 1, "only what is new");
    // Another user is asked for herself.
    let mut carol = Browser::default();
    let login = location(&carol.get(&server, WEB).await);
    let inside = carol.log_in(&server, &login, CAROL).await;
    assert!(location(&carol.get(&server, &location(&inside)).await).contains("/approve?"));
}

#[tokio::test]
async fn a44_denied_or_narrowed_is_what_the_client_gets() {
    let server = server(prompting);
    let mut browser = Browser::default();
    let both = WEB.replace("scope=", "scope=orders%3Aread+");
    let page = asked(&server, &mut browser, &both).await;
    let denied = location(&answered(&server, &mut browser, &page, &["scope-0", "scope-1"], "deny").await);
    assert!(
        denied.starts_with("https://web.example/cb?error=access_denied&") && denied.ends_with("&state=s"),
        "{denied}"
    );
    let page = asked(&server, &mut browser, &both).await;
    let none = location(&answered(&server, &mut browser, &page, &[], "approve").await);
    assert!(none.contains("error=access_denied"), "{none}");
    let page = asked(&server, &mut browser, &both).await;
    let narrowed =
        location(&answered(&server, &mut browser, &page, &["scope-1", "scope-7"], "approve").await);
    let code = parameter(&narrowed, "code").unwrap();
    let redemption =
        doorward_accounts::Redemption { client: "web", redirect_uri: None, verifier: None, audience: None };
    let redeemed = server.accounts.redeem_code(&code, &redemption, NOW).await.unwrap();
    assert_eq!(redeemed.scopes.to_string(), "user:info");
    assert!(
        asked(&server, &mut browser, &both).await.contains("/approve?"),
        "the other one is asked for again"
    );
}

#[tokio::test]
async fn a45_a_question_is_answered_once_by_the_one_who_was_asked() {
    let server = server(prompting);
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, WEB).await;
    let shown = browser.get(&server, &page).await;
    let (interaction, csrf) = (hidden(&shown, "interaction"), hidden(&shown, "csrf"));
    let approve = "/oauth/authorize/approve";
    let fields = |interaction: &'_ str, csrf: &'_ str| {
        [
            ("interaction", interaction.to_owned()),
            ("csrf", csrf.to_owned()),
            ("scope-0", "yes".to_owned()),
            ("answer", "approve".to_owned()),
        ]
    };
    let post = async |browser: &mut Browser, fields: [(&str, String); 4]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post(&server, approve, &fields).await.status()
    };
    // Tampered CSRF.
    assert_eq!(post(&mut browser, fields(&interaction, &"A".repeat(43))).await, StatusCode::FORBIDDEN);
    assert_eq!(post(&mut browser, fields(&interaction, "")).await, StatusCode::FORBIDDEN);
    // A session of somebody else, with a page of its own.
    let mut carol = Browser::default();
    carol.log_in(&server, "/oauth/login/local", CAROL).await;
    let own = hidden(&carol.get(&server, "/oauth/login/local").await, "csrf");
    assert_eq!(carol.get(&server, &page).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&mut carol, fields(&interaction, &own)).await, StatusCode::FORBIDDEN);
    // A later session of the same user.
    let mut again = browser.clone();
    again.log_in(&server, "/oauth/login/local", BOB).await;
    assert_eq!(post(&mut again, fields(&interaction, &csrf)).await, StatusCode::FORBIDDEN);
    let subject = Subject::of_user(&server.accounts.user("bob", NOW).await.unwrap().unwrap());
    assert!(server.accounts.consented(&subject, "web", NOW).await.unwrap().is_empty(), "nothing was stored");
    // Once, and not twice; and not too late.
    let page = asked(&server, &mut again, WEB).await;
    let shown = again.get(&server, &page).await;
    let (interaction, csrf) = (hidden(&shown, "interaction"), hidden(&shown, "csrf"));
    assert_eq!(post(&mut again, fields(&interaction, &csrf)).await, StatusCode::FOUND);
    assert_eq!(post(&mut again, fields(&interaction, &csrf)).await, StatusCode::BAD_REQUEST);
    assert_eq!(post(&mut again, fields("nonsense", &csrf)).await, StatusCode::BAD_REQUEST);
    let page = location(&again.get(&server, &format!("{WEB}&prompt=consent")).await);
    let interaction = hidden(&again.get(&server, &page).await, "interaction");
    again.now = later(601);
    assert_eq!(post(&mut again, fields(&interaction, &csrf)).await, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a47_prompt_none_never_shows_a_page() {
    let server = server(prompting);
    let silent = format!("{OIDC}&prompt=none");
    let mut browser = Browser::default();
    assert!(location(&browser.get(&server, &silent).await).contains("error=login_required"));
    let page = asked(&server, &mut browser, OIDC).await;
    assert!(location(&browser.get(&server, &silent).await).contains("error=consent_required"));
    answered(&server, &mut browser, &page, &["scope-0"], "approve").await;
    assert!(location(&browser.get(&server, &silent).await).contains("?code="));
    browser.now = later(100);
    assert!(
        location(&browser.get(&server, &format!("{silent}&max_age=99")).await)
            .contains("error=login_required")
    );
    assert!(location(&browser.get(&server, &format!("{silent}&max_age=100")).await).contains("?code="));
    // Asked again, where the client wants it.
    assert!(location(&browser.get(&server, &format!("{OIDC}&prompt=consent")).await).contains("/approve?"));
}

#[tokio::test]
async fn a47_prompt_login_and_max_age_are_satisfied_by_a_new_login_only() {
    let server = server(web);
    for demand in ["&prompt=login", "&max_age=0", "&prompt=select_account"] {
        let mut browser = Browser::default();
        browser.log_in(&server, "/oauth/login/local", BOB).await;
        browser.now = later(10);
        let target = format!("{OIDC}{demand}");
        let login = location(&browser.get(&server, &target).await);
        assert!(login.starts_with("/oauth/login/local?"), "{demand} {login}");
        // Back without having signed in: no.
        let then = parameter(&login, "then").unwrap();
        assert!(location(&browser.get(&server, &then).await).starts_with("/oauth/login/local?"), "{demand}");
        browser.now = later(20);
        let inside = browser.log_in(&server, &login, BOB).await;
        browser.now = later(25);
        let code = parameter(&location(&browser.get(&server, &location(&inside)).await), "code").unwrap();
        let redirect_uri = Some("https://web.example/cb");
        let redemption =
            doorward_accounts::Redemption { client: "web", redirect_uri, verifier: None, audience: None };
        let redeemed = server.accounts.redeem_code(&code, &redemption, browser.now).await.unwrap();
        assert_eq!(redeemed.login.auth_time, Some(NOW.seconds + 20), "{demand}");
        // The address in the history is worth nothing.
        assert!(location(&browser.get(&server, &then).await).starts_with("/oauth/login/local?"), "{demand}");
    }
}

#[tokio::test]
async fn a_new_login_that_was_demanded_in_another_browser_counts_nowhere_else() {
    let server = server(web);
    let target = format!("{OIDC}&prompt=login");
    let mut other = Browser::default();
    let prepared = parameter(&location(&other.get(&server, &target).await), "then").unwrap();
    let mut browser = Browser { now: later(10), ..Browser::default() };
    browser.log_in(&server, "/oauth/login/local", BOB).await;
    browser.now = later(1000);
    assert!(location(&browser.get(&server, &prepared).await).starts_with("/oauth/login/local?"));
    browser.cookies.remove("__Host-csrf");
    assert!(location(&browser.get(&server, &prepared).await).starts_with("/oauth/login/local?"));
}

#[tokio::test]
async fn strangers_do_not_fill_the_store_with_logins_that_they_only_begin() {
    let server = server(web);
    let begin = |client: [u8; 4], at: i64| {
        let mut call = call("GET", &format!("{OIDC}&prompt=login")).at(later(at));
        call.client = doorward_core::ClientIp::Known(client.into());
        let endpoint = server.find("auth.example.com", &call.path).unwrap();
        server.answer(endpoint, call)
    };
    for _ in 0..600 {
        assert_eq!(begin([192, 0, 2, 7], 0).await.status(), StatusCode::FOUND);
    }
    let refused = begin([192, 0, 2, 7], 0).await;
    assert_eq!(
        (refused.status(), header(&refused, "retry-after").as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "10")
    );
    assert_eq!(begin([192, 0, 2, 8], 0).await.status(), StatusCode::FOUND);
    assert_eq!(begin([192, 0, 2, 7], 1).await.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_hint_names_who_has_to_be_signed_in() {
    let server = server(web);
    let mut browser = Browser::default();
    browser.log_in(&server, "/oauth/login/local", BOB).await;
    let uid = server.accounts.user("bob", NOW).await.unwrap().unwrap().uid;
    let keys = server.accounts.keys(NOW).await.unwrap();
    let sign = |typ: &str, changes: Value| {
        let mut claims =
            json!({"iss": "https://auth.example.com", "sub": uid, "aud": "web", "exp": NOW.seconds + 60});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object().unwrap().clone();
        keys.sign(doorward_jose::Algorithm::Es256, typ, &claims, NOW).unwrap().into_exposed()
    };
    for (hint, expected) in [
        (sign("JWT", json!({})), "?code="),
        (sign("JWT", json!({"exp": NOW.seconds - 60, "aud": ["other", "web"]})), "?code="),
        (sign("JWT", json!({"sub": "another"})), "error=login_required"),
        (sign("JWT", json!({"iss": "https://evil.example"})), "error=invalid_request"),
        (sign("JWT", json!({"aud": "other"})), "error=invalid_request"),
        (sign("at+jwt", json!({})), "error=invalid_request"),
        ("nonsense".to_owned(), "error=invalid_request"),
    ] {
        for prompt in ["", "&prompt=none"] {
            let target =
                location(&browser.get(&server, &format!("{OIDC}&id_token_hint={hint}{prompt}")).await);
            assert!(target.contains(expected), "{target}");
        }
    }
}

#[tokio::test]
async fn a_session_can_end_with_its_flow() {
    let server = server(|config| {
        prompting(config);
        config.session.mode = SessionMode::PerFlow;
    });
    let mut browser = Browser::default();
    let page = asked(&server, &mut browser, WEB).await;
    let raw = browser.cookies["__Host-doorward-auth"].clone();
    let done = answered(&server, &mut browser, &page, &["scope-0"], "approve").await;
    assert!(location(&done).contains("?code="));
    assert!(!browser.cookies.contains_key("__Host-doorward-auth"));
    assert_eq!(server.accounts.session(&raw, NOW).await.unwrap(), None);
    assert!(location(&browser.get(&server, WEB).await).starts_with("/oauth/login/local?"));
    // Also if it leads to nothing.
    let page = asked(&server, &mut browser, &format!("{WEB}&prompt=consent")).await;
    let done = answered(&server, &mut browser, &page, &[], "deny").await;
    assert!(location(&done).contains("error=access_denied"));
    assert!(!browser.cookies.contains_key("__Host-doorward-auth"));
}

#[tokio::test]
async fn a_form_carries_the_answer_where_the_client_wants_it() {
    let server = server(web);
    let mut browser = Browser::default();
    browser.log_in(&server, "/oauth/login/local", BOB).await;
    let page = browser.get(&server, &format!("{WEB}&response_mode=form_post")).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = header(&page, "content-security-policy");
    assert!(
        policy.contains("form-action 'self' https://web.example;") && policy.contains("script-src 'sha256-")
    );
    assert!(text(&page).contains("action=\"https://web.example/cb\""));
    assert!(hidden(&page, "code").starts_with("sha256~"));
    assert_eq!(hidden(&page, "state"), "s");
}

#[tokio::test]
async fn a_request_by_form_is_asked_for_anew_so_that_cookies_come_along() {
    let server = server(web);
    let mut browser = Browser::default();
    browser.log_in(&server, "/oauth/login/local", BOB).await;
    let fields = [("client_id", "web"), ("response_type", "code"), ("scope", "user:info"), ("state", "a b")];
    let again = browser.post(&server, "/oauth/authorize", &fields).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    assert!(location(&browser.get(&server, &location(&again)).await).contains("?code="));
    let both = browser.post(&server, "/oauth/authorize?state=1", &fields).await;
    assert_eq!(both.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tokens_are_shown_to_the_browser_that_asked_and_once() {
    let server = server(|_| ());
    let mut browser = Browser::default();
    let authorize = location(&browser.get(&server, "/oauth/token/request").await);
    let login = location(&browser.get(&server, &authorize).await);
    let inside = browser.log_in(&server, &login, BOB).await;
    let display = location(&browser.get(&server, &location(&inside)).await);
    let display = display.strip_prefix("https://auth.example.com").unwrap();
    let button = browser.get(&server, display).await;
    assert_eq!(button.status(), StatusCode::OK);
    // Another browser, and a page of another site.
    assert_eq!(Browser::default().get(&server, display).await.status(), StatusCode::BAD_REQUEST);
    let (code, state, csrf) = (hidden(&button, "code"), hidden(&button, "state"), hidden(&button, "csrf"));
    let fields = |csrf: &str| [("code", code.clone()), ("state", state.clone()), ("csrf", csrf.to_owned())];
    let post = async |browser: &mut Browser, fields: [(&str, String); 3]| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post(&server, "/oauth/token/display", &fields).await
    };
    assert_eq!(post(&mut browser, fields("")).await.status(), StatusCode::FORBIDDEN);
    let shown = post(&mut browser, fields(&csrf)).await;
    let page = text(&shown);
    assert_eq!(shown.status(), StatusCode::OK);
    assert!(page.contains("oc login --token=sha256~") && page.contains("1 day"), "{page}");
    let again = post(&mut browser, fields(&csrf)).await;
    assert_eq!(again.status(), StatusCode::BAD_REQUEST);
    assert!(text(&again).contains("/oauth/token/request") && !text(&again).contains(&code));
    assert!(text(&browser.get(&server, "/oauth/token/implicit").await).contains("access_token"));
}

#[tokio::test]
async fn over_plain_http_cookies_are_named_so_that_browsers_take_them() {
    let server = server_at("http://127.0.0.1:4180", web);
    let mut browser = Browser::default();
    let page = location(&browser.get(&server, WEB).await);
    let inside = browser.log_in(&server, &page, BOB).await;
    assert!(location(&browser.get(&server, &location(&inside)).await).contains("?code="));
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["doorward-auth", "doorward-auth-csrf"]);
}

#[tokio::test]
async fn every_page_carries_the_same_headers_and_loads_one_sheet() {
    let server = server(web);
    let mut browser = Browser::default();
    for target in ["/oauth/login/local", "/oauth/login/nobody", "/oauth/authorize?client_id=nobody"] {
        let page = browser.get(&server, target).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(header(&page, name), value, "{target}");
        }
        assert!(
            header(&page, "content-security-policy").starts_with("default-src 'none'; style-src 'self';")
        );
        assert!(text(&page).contains("href=\"/oauth/style.css?v=") && !text(&page).contains("<script"));
    }
    let sheet = browser.get(&server, "/oauth/style.css").await;
    assert!(header(&sheet, "content-type").starts_with("text/css"));
    assert!(header(&sheet, "cache-control").contains("max-age"));
}
