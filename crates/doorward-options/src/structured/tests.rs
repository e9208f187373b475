use std::path::Path;

use super::*;

fn parse(text: &str) -> (Structured, Vec<String>) {
    let mut errors = Vec::new();
    let env = |name: &str| (name == "NAME").then(|| "from-env".to_owned());
    let (structured, _) = Structured::parse(Path::new("alpha.yaml"), text, &env, &mut errors);
    (structured, errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn parsed(text: &str) -> Structured {
    let (structured, errors) = parse(text);
    assert_eq!(errors, Vec::<String>::new());
    structured
}

const FULL: &str = r#"
upstreamConfig:
  proxyRawPath: true
  upstreams:
    - {id: a, path: ^/a/(.*)$, rewriteTarget: /$1, uri: "http://a/", timeout: 1.5, flushInterval: -1s}
    - {ID: b, Path: /, static: true, staticCode: 204, PASSHOSTHEADER: false}
injectRequestHeaders:
  - name: X-A
    preserveRequestValue: true
    InsecureSkipHeaderNormalization: true
    values:
      - claimSource: {claim: user, prefix: "p: ", basicAuthPassword: {fromFile: /pw}}
      - secretSource: {value: "$$tricky \"one\"\n"}
providers:
  - id: main
    provider: oidc
    clientID: ${NAME}
    clientSecret: "012"
    loginURLParameters:
      - name: prompt
        default: [login]
        allow: [{value: none}, {pattern: "^a$"}]
    oidcConfig: {issuerURL: "https://idp", insecureSkipNonce: false, audienceClaims: [azp]}
    additionalClaims: [department]
server:
  BindAddress: 127.0.0.1:4180
  TLS: {Key: {fromFile: /k}, Cert: {fromEnv: CERT}, minVersion: TLS1.3}
metricsServer:
  secureBindAddress: ":9"
"#;

#[test]
fn every_kind_of_value_is_read() {
    let structured = parsed(FULL);
    let [a, b] = structured.upstreams.upstreams.as_slice() else { panic!("two upstreams") };
    assert!(structured.upstreams.proxy_raw_path);
    assert_eq!((a.rewrite_target.as_str(), a.timeout), ("/$1", Some(Duration::from_millis(1500))));
    assert_eq!((a.flush_interval, a.pass_host_header), (Some(Duration::ZERO), None));
    assert_eq!((b.id.as_str(), b.static_code, b.pass_host_header), ("b", Some(204), Some(false)));
    let header = &structured.inject_request_headers[0];
    assert!(header.preserve_request_value && header.insecure_skip_header_normalization);
    let secret = header.values[1].secret_source.as_ref().unwrap();
    assert_eq!(secret.value.expose(), "$tricky \"one\"\n");
    let provider = &structured.providers[0];
    assert_eq!((provider.client_id.as_str(), provider.client_secret.expose().as_str()), ("from-env", "012"));
    assert_eq!(provider.oidc.insecure_skip_nonce, Some(false));
    assert_eq!(
        (provider.oidc.audience_claims.as_slice(), provider.oidc.email_claim.as_str()),
        (&["azp".to_owned()][..], "email")
    );
    assert_eq!(provider.login_url_parameters[0].allow[1].pattern.as_deref(), Some("^a$"));
    assert_eq!(structured.server.tls.as_ref().unwrap().cert.as_ref().unwrap().from_env, "CERT");
    assert_eq!(structured.metrics_server.secure_bind_address, ":9");
}

#[test]
fn what_is_printed_is_read_back() {
    let structured = parsed(FULL);
    let text = structured.to_yaml();
    assert_eq!(parsed(&text), structured, "{text}");
    let expected = "metricsServer:\n    secureBindAddress: \":9\"\nproviders:\n    - clientID: from-env\n      clientSecret: \"012\"\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn awkward_texts_survive_printing() {
    for text in [
        "true",
        "No",
        "null",
        "~",
        "1",
        "1.5",
        "",
        "a: b",
        "a #b",
        "- a",
        "a:",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "|",
        ">",
        "'",
        "\"",
        "\\",
        "$HOME ${HOME} $$A",
        "tab\tnew\nline\r\u{85}\u{2028}\u{7f}",
        " a ",
        "ü",
        "<<",
        "=",
        "0x1f",
        "---",
        "?",
        "a\u{0}b",
    ] {
        let mut structured = Structured::default();
        structured.server.bind_address = text.to_owned();
        let yaml = structured.to_yaml();
        assert_eq!(parsed(&yaml).server.bind_address, text, "{yaml}");
    }
}

#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let (_, errors) = parse(text);
    let matches = errors.len() == expected.len()
        && errors.iter().zip(expected).all(|(error, part)| error.contains(part));
    assert!(matches, "{errors:#?}");
}

#[test]
fn mistakes_name_their_place_and_line() {
    check_refused(
        "server: {BindAddress: 5}\n",
        &["server.bindAddress: a whole number is not accepted here (alpha.yaml line 1, column 23)"],
    );
    check_refused(
        "upstreamConfig:\n  upstreams:\n    - id: a\n      static: yes\n      bogus: 1\n",
        &[
            "upstreamConfig.upstreams[0].static: a text is not accepted here (alpha.yaml line 4, column 15); write true or false",
            "upstreamConfig.upstreams[0].bogus: there is no such key (alpha.yaml line 5, column 7); write one of id, path",
        ],
    );
    check_refused(
        "upstreamConfig: {upstreams: {id: a}}\n",
        &["upstreamConfig.upstreams: a mapping is not accepted"],
    );
    check_refused("- a\n", &["a list is not accepted here"]);
    check_refused(
        "providers: [{clientID: a, ClientId: b}]\n",
        &["providers[0].clientID: the key stands here twice"],
    );
    check_refused("bad: [\n", &["alpha-config: the file is not valid YAML"]);
    check_refused(
        "upstreamConfig: {upstreams: [{timeout: 3}, {timeout: soon}]}\n",
        &["3 is a duration without a unit", "\"soon\""],
    );
    check_refused(
        "providers:\n- allowedGroups: [${NOPE}]\n  keycloakConfig:\n    roles: ${NOPE}\n  scope: ${NOPE}\n",
        &[
            "keycloakConfig.roles: nothing is left here, because the variable NOPE is not set (alpha.yaml line 4",
            "allowedGroups: nothing is left here, because the variable NOPE is not set (alpha.yaml line 2",
        ],
    );
    // Flat claims and secrets of older documentation are no longer read.
    check_refused(
        "injectRequestHeaders: [{name: a, values: [{claim: user}]}]\n",
        &["injectRequestHeaders[0].values[0].claim: there is no such key"],
    );
}

#[test]
fn every_option_that_moves_has_a_place() {
    use crate::defs::{OPTIONS, Scope};
    for def in OPTIONS {
        assert_eq!(path_of(def.flag).is_some(), def.scope == Scope::Legacy, "{}", def.flag);
    }
}
