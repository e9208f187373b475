//! `doorward check` says what is wrong and what is risky, wherever it is written.

use std::{
    fs,
    process::{Command, Output},
};

use doorward_testkit::Launch;

use crate::support::PROGRAM;

/// What `doorward check` ends with and prints; `{file:NAME}` in a word stands for a file of the folder.
fn checked(launch: &Launch, words: &[&str]) -> (Option<i32>, String) {
    let folder = launch.folder();
    let words = words.iter().map(|word| word.replace("{file:", &format!("{folder}/")).replace('}', ""));
    let mut command = Command::new(PROGRAM);
    let Output { status, stdout, stderr } =
        command.arg("check").args(words).env("OAUTH2_PROXY_CLIENT_SECRET", "s3cret").output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// A complete configuration in TOML; the issuer does not exist, and need not.
const TOML: &str = r#"provider = "oidc"
oidc_issuer_url = "https://idp.invalid"
client_id = "x"
cookie_secret = "0123456789abcdef0123456789abcdeF"
email_domains = ["example.com"]
redirect_url = "https://app.example.com/oauth2/callback"
upstreams = ["http://127.0.0.1:9/"]
"#;

/// Has a line that begins with the place and holds all parts.
#[track_caller]
fn assert_told(told: &str, place: &str, parts: &[&str]) {
    let is_it = |line: &str| line.contains(place) && parts.iter().all(|part| line.contains(part));
    assert!(told.lines().any(is_it), "{place} {parts:?}:\n{told}");
}

#[test]
fn a_sound_configuration_is_valid_and_nothing_is_said() {
    let launch = Launch::bare(PROGRAM).private_file("a.cfg", TOML);
    let (code, told) = checked(&launch, &["{file:a.cfg}"]);
    assert_eq!((code, told.as_str()), (Some(0), "configuration is valid\n"));
    // Neither the log nor anything else is written.
    let log = launch.path("log");
    let flag = format!("--logging-filename={}", log.display());
    assert_eq!(checked(&launch, &["{file:a.cfg}", &flag]).0, Some(0));
    assert!(!log.exists());
    assert_eq!(fs::read_dir(launch.folder()).unwrap().count(), 1);
}

#[test]
fn b40_mistakes_of_every_dialect_come_together_with_their_places() {
    let broken = TOML.replace("[\"example.com\"]", "7.5").replace("client_id", "clientid");
    let alpha = "upstreamConfig:\n  upstreams:\n    - id: a\n      pth: /\nproviders: 7\n";
    let own = "gateway:\n  routes:\n    - id: a\n      match: {path: /a}\n      upstream: http://127.0.0.1:9\n      \
               authenticate: [nobody]\n      authorize: {policy: none}\n    - {id: a, mtch: {}}\n";
    let launch =
        Launch::bare(PROGRAM).private_file("a.cfg", &broken).file("alpha.yaml", alpha).file("own.yml", own);
    let (code, told) = checked(&launch, &["{file:a.cfg}"]);
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, "a.cfg:3:", &["error: clientid: ", "; "]);
    assert_told(&told, "a.cfg:5:", &["error: email"]);
    let (code, told) = checked(&launch, &["{file:alpha.yaml}"]);
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, "alpha.yaml:4:7: error:", &["pth"]);
    assert_told(&told, "alpha.yaml:5:", &["error: providers"]);
    let (code, told) = checked(&launch, &["{file:own.yml}"]);
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, "own.yml:8:", &["error:", "mtch"]);
    let (code, told) = checked(&launch, &["--skip-auth-route=([", "--cookie-samesite", "sometimes"]);
    assert_eq!(code, Some(1), "{told}");
    assert_told(&told, "flag --skip-auth-route: error: skip-auth-route", &[]);
    assert_told(&told, "flag --cookie-samesite: error: cookie-samesite", &[]);
    assert!(!told.contains("valid\n"), "{told}");
    let (code, told) = checked(&launch, &["{file:own.txt}"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("--doorward-config="), "{told}");
    assert_eq!(checked(&launch, &["--no-such-flag"]).0, Some(2));
}

#[test]
fn what_is_risky_is_told_with_its_place_and_stops_nothing() {
    let launch = Launch::bare(PROGRAM)
        .private_file("a.cfg", TOML)
        .file("open.cfg", TOML)
        .file("users", "bob:{SHA}9SMYoF5RilWWASry7TjeaKwmpGg=\n");
    for (flags, option, part) in [
        (&["--cookie-secure=false"][..], "cookie-secure", "plain HTTP"),
        (&["--cookie-samesite=none"], "cookie-samesite", "other sites"),
        (&["--ssl-insecure-skip-verify"], "ssl-insecure-skip-verify", "not verified"),
        (&["--insecure-oidc-allow-unverified-email"], "insecure-oidc-allow-unverified-email", "verified"),
        (&["--skip-auth-route=GET=/health"], "skip-auth-route", "begin it with ^"),
        (&["--skip-auth-regex=.*"], "skip-auth-regex", "every path"),
        (&["--skip-auth-route=GET!=^/private"], "skip-auth-route", "but these"),
        (&["--trusted-ip=10.0.0.0/8"], "trusted-ip", "10.0.0.0/8"),
        (&["--reverse-proxy"], "reverse-proxy", "--trusted-proxy-ip"),
        (&["--compat=login-for-any-request"], "compat", "unsafe as in oauth2-proxy"),
        (&["--pass-access-token"], "pass-access-token", "access_token"),
        (&["--whitelist-domain=.example.com"], "whitelist-domain", "below example.com"),
        (&["--redis-password=x"], "redis-password", "processes"),
        (&["--approval-prompt=auto"], "approval-prompt", "deprecated"),
        (&["--htpasswd-file={file:users}"], "htpasswd-file", "htpasswd -B"),
        (&["--email-domain=*", "--oidc-issuer-url=https://accounts.google.com"], "email-domain", "anybody"),
        (&["--oidc-issuer-url=http://idp.invalid"], "oidc-issuer-url", "plain HTTP"),
    ] {
        let mut words = vec!["{file:a.cfg}"];
        words.extend_from_slice(flags);
        let (code, told) = checked(&launch, &words);
        assert_eq!(code, Some(0), "{flags:?}: {told}");
        assert_told(&told, "warning: ", &[&format!("--{option}"), part]);
        assert!(told.ends_with("configuration is valid\n"), "{told}");
        let others = told.lines().filter(|line| !line.contains(option));
        assert_eq!(others.count(), 1, "{flags:?}: {told}");
    }
    let (code, told) = checked(&launch, &["{file:open.cfg}"]);
    assert_eq!(code, Some(0));
    assert_told(&told, "open.cfg:4:", &["warning: cookie-secret", "chmod"]);
    assert!(!told.contains("0123456789"), "{told}");
}

#[test]
fn risky_routes_are_told_where_they_stand() {
    let own = "\
gateway:
  authenticators:
    partner:
      type: jwt
      issuer: https://idp.invalid
      audiences: [api]
      identitySource: $$request.querystring.token
    asked:
      type: introspection
      url: https://idp.invalid/introspect
      clientID: x
      clientSecret: y
  routes:
    - id: all
      match: {path: /}
      upstream: http://orders.example.com
      authenticate: [anonymous]
      authorize: {public: true}
      credential: {use: passthrough}
      exposeCredentials: true
";
    let launch = Launch::bare(PROGRAM).private_file("a.toml", TOML).private_file("own.yaml", own);
    let (code, told) = checked(&launch, &["{file:a.toml}", "{file:own.yaml}"]);
    assert_eq!(code, Some(0), "{told}");
    for (place, part) in [
        ("own.yaml:7:", "gateway.authenticators.partner.identitySource"),
        ("own.yaml:8:", "gateway.authenticators.asked.audiences"),
        ("own.yaml:16:", "gateway.routes[0].upstream"),
        ("own.yaml:18:", "gateway.routes[0].authorize"),
        ("own.yaml:19:", "gateway.routes[0].credential"),
        ("own.yaml:20:", "gateway.routes[0].exposeCredentials"),
    ] {
        assert_told(&told, place, &["warning: ", part]);
    }
}

/// The names of the differences that are told.
fn differences(launch: &Launch, flags: &[&str]) -> Vec<String> {
    let words = [&["--against", "oauth2-proxy", "{file:a.cfg}"], flags].concat();
    let (code, told) = checked(launch, &words);
    assert_eq!(code, Some(0), "{flags:?}: {told}");
    let name = |line: &str| Some(line.strip_prefix("difference: ")?.split_once(": ")?.0.to_owned());
    told.lines().filter_map(name).collect()
}

#[test]
fn a_configuration_is_told_what_it_meets_of_the_differences_and_nothing_else() {
    let launch = Launch::bare(PROGRAM).private_file("a.cfg", TOML).file("users", crate::support::BOB);
    let plain = differences(&launch, &[]);
    for name in ["odd-paths", "pkce", "nonce", "state-first", "address-domains", "stale-parts"] {
        assert!(plain.iter().any(|told| told == name), "{name}: {plain:?}");
    }
    for (flags, names) in [
        (
            &["--reverse-proxy"][..],
            &["proxies-trusted", "client-address", "strangers-forwarding-headers", "redirect-header"][..],
        ),
        (&["--reverse-proxy", "--skip-auth-route=^/x$"], &["forwarded-uri", "open-paths"]),
        (&["--force-https"], &["force-https"]),
        (&["--skip-provider-button"], &["logins-for-pages"]),
        (&["--htpasswd-file={file:users}"], &["password-guesses"]),
        (&["--allowed-group=x"], &["restrictions"]),
        (&["--cookie-refresh=1h"], &["refresh-once", "refresh-trouble", "refresh-needless"]),
        (&["--cookie-domain=example.com"], &["cookie-domains"]),
        (
            &["--session-store-type=redis", "--redis-connection-url=redis://127.0.0.1"],
            &["store-down", "new-ticket"],
        ),
        (&["--proxy-websockets=false"], &["websockets-refused"]),
        (&["--flush-interval=5s"], &["flush-interval"]),
        (&["--gcp-healthchecks"], &["gcp-agents"]),
        (&["--metrics-address=127.0.0.1:0"], &["metrics"]),
        (&["--standard-logging=false"], &["failed-starts"]),
        (&["--http-address=unix:///run/x"], &["socket-file"]),
    ] {
        let told = differences(&launch, flags);
        for name in names {
            assert!(told.iter().any(|told| told == name), "{flags:?} {name}: {told:?}");
            assert!(!plain.iter().any(|told| told == name), "{name}: {plain:?}");
        }
    }
    let launch = launch.private_file("b.cfg", &format!("{TOML}cookie_refresh = \"1h\"\n"));
    let (_, told) = checked(&launch, &["--against", "oauth2-proxy", "{file:b.cfg}"]);
    assert_told(&told, "difference: bare-durations: ", &["nanoseconds"]);
    for (flags, gone) in [
        (&["--skip-provider-button", "--compat=login-for-any-request"][..], "logins-for-pages"),
        (&["--insecure-oidc-skip-nonce=false"], "nonce"),
        (&["--code-challenge-method=S256"], "pkce"),
        (&["--shutdown-timeout=0s"], "stop"),
    ] {
        let told = differences(&launch, flags);
        assert!(!told.iter().any(|told| told == gone), "{flags:?}: {told:?}");
    }
}

#[test]
fn differences_and_findings_are_one_object_for_programs() {
    let launch = Launch::bare(PROGRAM).private_file("a.cfg", TOML);
    let words = ["--json", "--against=oauth2-proxy", "{file:a.cfg}", "--reverse-proxy"];
    let (code, told) = checked(&launch, &words);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(checked(&launch, &words), (code, told.clone()), "it says the same every time");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["valid"], told["errors"].as_array().map(Vec::len)), (&true.into(), Some(0)));
    assert_eq!(told["warnings"][0]["place"], "flag --reverse-proxy");
    let first = &told["differences"][0];
    assert_eq!(first["name"], "proxies-trusted");
    assert!(first["switch"].as_str().unwrap().starts_with("--trusted-proxy-ip"), "{first}");
    assert!(["oauth2_proxy", "doorward", "why"].iter().all(|part| first[*part].is_string()), "{first}");
    assert!(told["differences"].as_array().unwrap().iter().any(|one| one["switch"].is_null()));
    let (code, told) = checked(&launch, &["--json", "{file:a.cfg}", "--cookie-samesite=sometimes"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, told["errors"][0]["option"].as_str()), (Some(1), Some("cookie-samesite")));
    assert!(told.get("differences").is_none());
    let (code, told) = checked(&launch, &["--against=nginx"]);
    assert!(code == Some(1) && told.contains("write --against oauth2-proxy"), "{told}");
}
