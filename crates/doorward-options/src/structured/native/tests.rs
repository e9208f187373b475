use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::{Configuration, LoadError, Loaded, Source, load, to_native};

/// Loads with this doorward.yaml and these further arguments.
fn loaded(yaml: &str, args: &[&str]) -> Result<Configuration, String> {
    let env = |name: &str| match name {
        "OAUTH2_PROXY_COOKIE_SECRET" => Some("of-the-environment".to_owned()),
        "DOMAIN" => Some("example.com".to_owned()),
        _ => None,
    };
    let file = |path: &Path| match path.to_str() {
        Some("doorward.yaml") => Ok(yaml.to_owned()),
        Some("proxy.toml") => Ok("cookie_name = \"of-toml\"\n".to_owned()),
        Some("alpha.yaml") => Ok("providers: [{clientID: a}]".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let named = ["--doorward-config=doorward.yaml"];
    let named = if yaml.is_empty() { &[][..] } else { &named[..] };
    let args: Vec<OsString> = named.iter().chain(args).map(OsString::from).collect();
    match load(&args, &env, &file) {
        Ok(Loaded::Configuration(configuration, _)) => Ok(configuration),
        Ok(_) => Err("no configuration".to_owned()),
        Err(error @ (LoadError::Invalid(_) | LoadError::Usage { .. })) => Err(error.to_string()),
    }
}

/// Without columns, which `yaml` and `read` see to.
fn lines(told: &str) -> String {
    let mut parts = told.split(", column ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

const WHOLE: &str = r#"
providers:
  - provider: oidc
    id: main
    clientID: app
    clientSecret: s
    oidcConfig: {issuerURL: https://idp.example.com}
upstreams:
  - {id: app, path: /, uri: "http://127.0.0.1:8080"}
proxyRawPath: true
listeners:
  main: {bindAddress: "127.0.0.1:4180"}
  metrics: {bindAddress: "127.0.0.1:9090"}
  force_https: true
headers:
  request: [{name: X-User, values: [{claimSource: {claim: user}}]}]
sessions:
  session_store_type: redis
  redis_connection_url: redis://localhost
cookies:
  cookie_name: _app
  cookie_expire: 12h
  cookie_domains: [one.example.com, two.example.com]
access:
  email_domains: "${DOMAIN}"
"#;

#[test]
fn sections_hold_options_and_records_the_structured_form() {
    let Configuration { options, structured, sources, .. } = loaded(WHOLE, &[]).unwrap();
    let structured = structured.unwrap();
    assert_eq!(structured.providers.len(), 1);
    assert_eq!(structured.server.bind_address, "127.0.0.1:4180");
    assert_eq!(structured.metrics_server.bind_address, "127.0.0.1:9090");
    assert!(structured.upstreams.proxy_raw_path && structured.upstreams.upstreams.len() == 1);
    assert_eq!(structured.inject_request_headers.len(), 1);
    assert!(options.force_https);
    assert_eq!(options.session_store_type, "redis");
    assert_eq!(options.cookie_expire.as_secs(), 12 * 3600);
    assert_eq!(options.cookie_domains, ["one.example.com", "two.example.com"]);
    assert_eq!(options.email_domains, ["example.com"]);
    let at = |option: &str| lines(&crate::problem(&sources, option, "m", "n").to_string());
    assert_eq!(at("cookie-name"), "cookie-name: m (doorward.yaml line 21); n");
    assert_eq!(at("client-id"), "providers[0].clientID: m (doorward.yaml line 5); n");
    assert_eq!(at("upstreamConfig.upstreams[0].uri"), "upstreams[0].uri: m (doorward.yaml line 9); n");
    assert_eq!(at("http-address"), "listeners.main.bindAddress: m (doorward.yaml line 12); n");
}

#[test]
fn every_other_layer_goes_before_the_file() {
    let yaml = "cookies: {cookie_name: of-yaml, cookie_secret: of-yaml}";
    let told = |args: &[&str]| {
        let Configuration { options, sources, .. } = loaded(yaml, args).unwrap();
        assert_eq!(options.cookie_secret.expose(), "of-the-environment");
        (options.cookie_name.clone(), lines(&sources.of("cookie-name").to_string()))
    };
    assert_eq!(told(&[]), ("of-yaml".to_owned(), "doorward.yaml line 1".to_owned()));
    assert_eq!(told(&["--config=proxy.toml"]).0, "of-toml");
    assert_eq!(told(&["--config=proxy.toml", "--cookie-name=of-flag"]).0, "of-flag");
}

#[test]
fn a_key_in_the_wrong_place_is_told_the_right_one() {
    for (yaml, expected) in [
        (
            "sessions: {cookie_name: x}",
            "sessions.cookie_name: there is no such key (doorward.yaml line 1); write cookie_name under cookies",
        ),
        (
            "cookies: {cookie-name: x}",
            "cookies.cookie-name: there is no such key (doorward.yaml line 1); write cookie_name under cookies",
        ),
        (
            "login: {client_id: x}",
            "login.client_id: there is no such key (doorward.yaml line 1); write it as providers[0].clientID",
        ),
        (
            "program: {config: x}",
            "program.config: there is no such key (doorward.yaml line 1); give it on the command line as --config",
        ),
        (
            "pages: {nonsense: x}",
            "pages.nonsense: there is no such key (doorward.yaml line 1); remove it, or correct it with the help of --help",
        ),
        (
            "listeners: {nonsense: x}",
            "listeners.nonsense: there is no such key (doorward.yaml line 1); write one of main, metrics or the name of an option, or remove it",
        ),
        (
            "cookies: {cookie_secure: maybe}",
            "cookie-secure: \"maybe\" is neither true nor false (doorward.yaml line 1); write true or false",
        ),
        (
            "cookies: {cookie_name: [a, b]}",
            "cookie-name: a list is not accepted (doorward.yaml line 1); write one value",
        ),
        (
            "cookies: {cookie_name: {a: b}}",
            "cookies.cookie_name: a mapping is not accepted here (doorward.yaml line 1); write a value, or a list of texts, each after a dash",
        ),
        (
            "cookies: {cookie_expire: 5}",
            "cookie-expire: \"5\" is a duration without a unit (doorward.yaml line 1); write numbers with units, such as 90s, 1h30m or 168h; only 0 needs no unit",
        ),
    ] {
        assert_eq!(
            loaded(yaml, &[]).map(|_| ()).map_err(|told| lines(&told)),
            Err(expected.to_owned()),
            "{yaml}"
        );
    }
    let lost = loaded("access:\n  email_domains: ${UNSET}\n", &[]).map(|_| ()).unwrap_err();
    assert!(lost.contains("nothing is left here, because the variable UNSET is not set"), "{lost}");
}

#[test]
fn records_stand_in_one_file_only() {
    let yaml = "providers: [{clientID: app}]";
    for (args, expected) in [
        (&["--alpha-config=alpha.yaml"][..], "leave them out of doorward.yaml, or leave --alpha-config out"),
        (
            &["--client-id=x"],
            "unknown flag: --client-id (with the providers, upstreams, listeners or headers of --doorward-config it is providers[0].clientID in that file)",
        ),
    ] {
        let told = loaded(yaml, args).map(|_| ()).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn what_is_converted_says_the_same() {
    let args = [
        "--config=proxy.toml",
        "--cookie-expire=3h",
        "--email-domain=*",
        "--whitelist-domain=.example.com",
        "--skip-auth-route=GET=^/public$",
        "--request-logging=false",
        "--footer=",
    ];
    let Configuration { options, sources, .. } = loaded("", &args).unwrap();
    let text = to_native(&crate::Structured::default(), &options, &sources);
    let again = loaded(&text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let expected = crate::Options { doorward_config: "doorward.yaml".to_owned(), ..*options };
    assert_eq!(*again.options, expected, "{text}");
    assert!(text.contains("cookie_expire: 3h0m0s # was cookie-expire (flag --cookie-expire)"), "{text}");
    assert!(text.contains("cookie_secret: \"${OAUTH2_PROXY_COOKIE_SECRET}\""), "{text}");
    assert!(!text.contains("of-the-environment"));

    let Configuration { options, structured, sources, .. } = loaded(WHOLE, &[]).unwrap();
    let structured = structured.unwrap();
    let text = to_native(&structured, &options, &sources);
    let again = loaded(&text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((*again.options, *again.structured.unwrap()), (*options, *structured), "{text}");
    assert!(matches!(again.sources.of("cookie-name"), Source::File { .. }));
}

#[test]
fn the_schema_has_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&crate::schema()).unwrap();
    for place in [
        "authServer/properties/issuer",
        "apiAuth/properties/x509/properties/clientCA",
        "providers/items/properties/oidcConfig/properties/issuerURL",
        "listeners/properties/main/properties/tls",
        "listeners/properties/force_https",
        "sessions/properties/session_store_type",
        "access/properties/email_domains/items",
    ] {
        assert!(schema.pointer(&format!("/properties/{place}")).is_some(), "{place}");
    }
    for def in crate::OPTIONS {
        if let Some((section, key)) = super::place_of(def) {
            assert!(schema.pointer(&format!("/properties/{section}/properties/{key}")).is_some(), "{key}");
        } else {
            let elsewhere = super::super::path_of(def.flag).is_some() || def.key.is_none();
            assert!(elsewhere || def.flag == "doorward-config", "{} has no place", def.flag);
        }
    }
}
