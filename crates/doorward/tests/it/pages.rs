//! Pages in the reader's language, and what they lead to.

use doorward_testkit::{Answer, Browser, Request};

use crate::{
    gateway::Gated,
    support::{BOB, Stage, encoded},
};

/// A language, what a browser asks for to get it, and its words for signing in, having no permission, being signed out,
/// the password, and another account.
const LANGUAGES: [(&str, &str, [&str; 5]); 7] = [
    (
        "en",
        "en-GB,en;q=0.9",
        ["Sign in", "You do not have permission", "Signed out", "Password", "Use another account"],
    ),
    (
        "de",
        "de-AT,de;q=0.9,en;q=0.8",
        [
            "Anmelden",
            "Sie dürfen auf diese Seite nicht zugreifen",
            "Abgemeldet",
            "Passwort",
            "Anderes Konto verwenden",
        ],
    ),
    (
        "es",
        "es-MX",
        ["Iniciar sesión", "No tiene permiso", "Sesión cerrada", "Contraseña", "Usar otra cuenta"],
    ),
    (
        "fr",
        "fr;q=0.9, en;q=0.1",
        [
            "Se connecter",
            "Vous n’êtes pas autorisé",
            "Déconnecté",
            "Mot de passe",
            "Utiliser un autre compte",
        ],
    ),
    (
        "ja",
        "ja",
        [
            "サインイン",
            "アクセスする権限がありません",
            "サインアウトしました",
            "パスワード",
            "別のアカウントを使用",
        ],
    ),
    ("ko", "ko-KR", ["로그인", "접근할 권한이 없습니다", "로그아웃됨", "비밀번호", "다른 계정 사용"]),
    ("zh", "zh-TW,zh;q=0.9", ["登录", "您没有访问此页面的权限", "已退出登录", "密码", "使用其他账号"]),
];

fn asks(target: &str, accepted: &str) -> Request {
    Request::get(target).header("Accept-Language", accepted)
}

#[track_caller]
fn assert_in(answer: &Answer, language: &str) {
    let page = answer.text();
    assert_eq!(
        (answer.header("content-language"), answer.header("vary")),
        (language, "Accept-Language"),
        "{page}"
    );
    assert!(page.contains(&format!("<html lang=\"{language}\" dir=\"ltr\">")), "{page}");
}

#[track_caller]
fn assert_says(answer: &Answer, words: &str) {
    assert!(answer.text().contains(words), "{words}\n{}", answer.text());
}

#[test]
fn every_page_is_in_the_language_that_the_browser_asks_for() {
    let stage = Stage::launch(|launch| {
        let launch =
            launch.flags(["--htpasswd-file={file:users}", "--allowed-group=nobody", "--provider-logout"]);
        launch.file("users", BOB)
    });
    for (language, accepted, [sign_in, denied, signed_out, password, another]) in LANGUAGES {
        let page = stage.browser().send(asks("/oauth2/sign_in", accepted));
        assert_eq!(page.status, 200);
        assert_in(&page, language);
        for words in [sign_in, password] {
            assert_says(&page, words);
        }
        // No session: the same page, where a login is needed.
        let page = stage.browser().send(asks("/page", accepted));
        assert_eq!(page.status, 403);
        assert_in(&page, language);
        assert!(page.header("cache-control").contains("no-store"));
        let form = Request::form("/oauth2/sign_in", &[("username", "bob"), ("password", "wrong")]);
        assert_in(&stage.browser().send(form.header("Accept-Language", accepted)), language);
        let page = stage.browser().send(asks("/oauth2/callback?error=%3Cb%3E", accepted));
        assert_eq!(page.status, 403);
        assert_in(&page, language);
        assert!(page.text().contains("&lt;b&gt;") && !page.text().contains("<b>"), "{}", page.text());
        assert_says(&page, another);
        let page = stage.browser().send(asks("/oauth2/signed_out", accepted));
        assert_in(&page, language);
        assert_says(&page, signed_out);
        // Known, and in no group that is allowed.
        let page = refused_login(&stage, accepted);
        assert_eq!(page.status, 403);
        assert_in(&page, language);
        for words in [denied, another, "<strong>jane@example.com</strong>"] {
            assert_says(&page, words);
        }
    }
}

/// The last page of a login that ends in a refusal.
fn refused_login(stage: &Stage, accepted: &str) -> Answer {
    let mut browser = stage.browser();
    let started = browser.start("/page").location().to_owned();
    let callback = browser.authorize(&started);
    browser.send(asks(&callback, accepted))
}

#[test]
fn pages_of_the_built_in_server_are_in_the_same_language() {
    let gated = Gated::new(
        "  routes: [{id: all, match: {path: /all/}, upstream: UPSTREAM, authenticate: session}]\n",
    );
    for (language, accepted, [sign_in, _, signed_out, password, _]) in LANGUAGES {
        let page = gated.ask(asks("/oauth/login", accepted).header("Accept", "text/html"));
        assert_eq!(page.status, 200, "{}", page.text());
        assert_in(&page, language);
        for words in [sign_in, password] {
            assert_says(&page, words);
        }
        assert!(page.header("cache-control").contains("no-store"));
        let page = gated.ask(asks("/oauth/logout", accepted).header("Accept", "text/html"));
        assert_in(&page, language);
        assert_says(&page, signed_out);
        // A mistake of a client: its words are for developers, in English everywhere.
        let page =
            gated.ask(asks("/oauth/authorize?client_id=%3Cb%3E", accepted).header("Accept", "text/html"));
        assert_eq!(page.status, 400);
        assert_in(&page, language);
        assert!(!page.text().contains("<b>"), "{}", page.text());
        assert_eq!(
            page.text().contains("<span lang=\"en\" dir=\"ltr\">"),
            language != "en",
            "{}",
            page.text()
        );
    }
}

#[test]
fn the_operator_fixes_the_language_and_programs_get_no_page() {
    let stage = Stage::new(&["--page-language=ja"]);
    let page = stage.browser().send(asks("/oauth2/sign_in", "de"));
    assert!(page.text().contains("<html lang=\"ja\""), "{}", page.text());
    assert_eq!((page.header("content-language"), page.header("vary")), ("ja", ""));
    let answer = stage.browser().send(asks("/page", "de").header("Accept", "application/json"));
    assert_eq!((answer.status, answer.header("content-language"), answer.text().trim()), (401, "", "{}"));
}

#[test]
fn templates_of_the_operator_stay_english() {
    let stage = Stage::launch(|launch| {
        let folder = format!("--custom-templates-dir={}", launch.folder());
        let launch = launch.file("sign_in.html", "{{.ProviderName}}|{{.Words}}|{{.Lang}}");
        launch.file("error.html", "{{.Title}}|{{.Message}}|{{.StatusCode}}").flag(&folder)
    });
    let page = stage.browser().send(asks("/oauth2/sign_in", "de"));
    assert_eq!((page.header("content-language"), page.header("vary")), ("", ""));
    assert_eq!(page.text(), "OpenID Connect||");
    let page = stage.browser().send(asks("/oauth2/callback?error=x", "de"));
    let expected = "Forbidden|Login Failed: The upstream identity provider returned an error: x|403";
    assert_eq!(page.text(), expected);
}

#[test]
fn whoever_wants_another_account_is_signed_out_and_asked_which() {
    let stage = Stage::new(&[]);
    let begin = |browser: &mut Browser, headers: &[(&str, &str)]| {
        let target = format!("/oauth2/start?rd={}&another_account=true", encoded("/page"));
        let request =
            headers.iter().fold(Request::get(&target), |request, (name, value)| request.header(name, value));
        browser.send(request)
    };
    let mut browser = stage.logged_in();
    let answer = begin(&mut browser, &[]);
    assert_eq!(answer.status, 302);
    let prompt = answer.location_parameter("prompt").unwrap_or_default();
    assert!(matches!(prompt.as_str(), "select_account" | "login"), "{}", answer.location());
    assert_eq!(browser.get("/oauth2/auth").status, 401, "the session is over");
    // A picture on a page of another site signs nobody out.
    let mut browser = stage.logged_in();
    begin(&mut browser, &[("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(browser.get("/oauth2/auth").status, 202);
}

#[test]
fn a_refusal_on_a_route_says_who_is_signed_in_to_people_only() {
    let gated = Gated::new(
        "  routes:
    - {id: ops, match: {path: /ops/}, upstream: UPSTREAM, authenticate: [session, opaque], authorize: {groups: {any: [ops]}}}
",
    );
    let mut browser = gated.doorward.browser().logged_in();
    for (language, accepted, [_, _, _, _, another]) in LANGUAGES {
        let page = browser.send(asks("/ops/x", accepted).header("Accept", "text/html"));
        assert_eq!(page.status, 403, "{}", page.text());
        assert_in(&page, language);
        for words in [another, "<strong>jane@example.com</strong>", "another_account"] {
            assert_says(&page, words);
        }
    }
    let answer = browser.send(Request::get("/ops/x").header("Accept", "application/json"));
    assert_eq!((answer.status, answer.header("content-type")), (403, "application/json"));
    assert!(!answer.text().contains("jane"), "{}", answer.text());
    // Whoever shows a token is not signed in.
    let token = gated.opaque();
    let request = Request::get("/ops/x").header("Authorization", &format!("Bearer {token}"));
    let page = gated.ask(request.header("Accept", "text/html"));
    assert_eq!(page.status, 403);
    assert!(!page.text().contains("<strong"), "{}", page.text());
}
