use super::*;

fn parse(text: &str) -> (Own, Vec<String>) {
    let mut errors = Vec::new();
    let env = |name: &str| (name == "SECRET").then(|| "s3cret".to_owned());
    let (own, _) = Own::parse(Path::new("doorward.yaml"), text, &env, &mut errors);
    (own, errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn parsed(text: &str) -> Own {
    let (own, errors) = parse(text);
    assert_eq!(errors, Vec::<String>::new());
    own
}

/// The example of the documentation, less the gateway.
const FULL: &str = r#"
authServer:
  enabled: true
  issuer: https://auth.example.com
  hosts: [auth.example.com]
  store: {type: embedded, path: /var/lib/proxy/auth.db}
  secretKeyFile: /etc/proxy/seal.key
  kubernetesAPI: true
  tokens: {accessMaxAge: 24h, authorizeMaxAge: 5m, inactivity: 0s}
  session: {mode: sso, idle: 1h, max: 12h}
  identityProviders:
    - {name: local, type: htpasswd, file: users.htpasswd, login: true, challenge: true, mappingMethod: claim}
    - {name: corp, type: oidc, login: true, issuer: https://idp, clientID: x, clientSecretFile: f, claims: {preferredUsername: [email]}}
    - {name: edge, type: requestHeader, clientCA: ca.pem, clientCommonNames: [edge], headers: [X-Remote-User],
       loginURL: "https://edge/sso?then=${url}", challengeURL: "https://edge/ch?${query}"}
  clients:
    - {id: grafana, secret: "${SECRET}", redirectURIs: [https://g/login], grantMethod: prompt,
       grantTypes: [authorization_code, refresh_token], scopeRestrictions: [{literals: [openid, profile]}],
       accessTokenMaxAgeSeconds: 3600, accessTokenInactivityTimeoutSeconds: 600}
  resources: {"https://orders": {scopes: [orders:read], format: jwt}}
apiAuth:
  x509: {clientCA: ca.pem}
  requestHeader: {clientCA: fp.pem, allowedNames: [edge]}
  anonymous: {enabled: true, paths: [/healthz]}
  impersonation: {enabled: false}
"#;

#[test]
fn the_whole_example_is_read() {
    let Own { auth_server, api_auth, gateway, .. } = parsed(FULL);
    assert_eq!(gateway, None);
    let (server, api) = (auth_server.unwrap(), api_auth.unwrap());
    assert_eq!((server.enabled, server.issuer.as_str()), (Some(true), "https://auth.example.com"));
    assert_eq!(
        (server.store.kind.as_str(), server.store.path.as_str()),
        ("embedded", "/var/lib/proxy/auth.db")
    );
    assert_eq!(server.tokens.access_max_age, Some(Duration::from_hours(24)));
    assert_eq!((server.tokens.inactivity, server.tokens.refresh_idle), (Some(Duration::ZERO), None));
    let [local, corp, edge] = server.identity_providers.as_slice() else { panic!("three providers") };
    assert_eq!((local.kind.as_str(), local.challenge), ("htpasswd", Some(true)));
    assert_eq!(
        (corp.challenge, corp.claims.preferred_username.as_slice()),
        (None, &["email".to_owned()][..])
    );
    assert_eq!(edge.login_url, "https://edge/sso?then=${url}", "what the request fills in is kept");
    let client = &server.clients[0];
    assert_eq!(client.secret.expose(), "s3cret");
    assert_eq!(client.access_token_max_age_seconds, Some(3600));
    assert_eq!(client.scope_restrictions[0].literals, ["openid", "profile"]);
    let resource = server.resources.iter().next().unwrap();
    assert_eq!((resource.0, resource.1.format.as_str()), ("https://orders", "jwt"));
    assert_eq!(api.anonymous.paths.unwrap(), ["/healthz"]);
    assert_eq!(api.request_header.unwrap().allowed_names, ["edge"]);
}

#[test]
fn every_mistake_is_named_with_its_line() {
    for (text, expected) in [
        (
            "authServer:\n  isuer: x\n",
            "authServer.isuer: there is no such key (doorward.yaml line 2, column 3); write one of enabled, issuer",
        ),
        (
            "authServer:\n  clients:\n    - id: 7\n",
            "authServer.clients[0].id: a whole number is not accepted here (doorward.yaml line 3, column 11); write a text",
        ),
        (
            "authServer: {tokens: {accessMaxAge: 24}}\n",
            "authServer.tokens.accessMaxAge: 24 is a duration without a unit (doorward.yaml line 1, column 37)",
        ),
        (
            "provider: []\n",
            "provider: there is no such key (doorward.yaml line 1, column 1); write one of authServer, apiAuth",
        ),
        (
            "authServer:\n  resources: [a]\n",
            "authServer.resources: a list is not accepted here (doorward.yaml line 2, column 14); write keys with values",
        ),
        (
            "apiAuth:\n  requestHeader:\n    allowedNames: $NOBODY\n",
            "apiAuth.requestHeader.allowedNames: nothing is left here, because the variable NOBODY is not set",
        ),
        ("authServer: {\n", "doorward-config: the file is not valid YAML: "),
    ] {
        let (_, errors) = parse(text);
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
        assert!(errors[0].starts_with(expected), "{text}:\n{}\n{expected}", errors[0]);
    }
}

#[test]
fn all_mistakes_are_told_together() {
    let (_, errors) = parse("authServer: {a: 1, b: 2}\napiAuth: {c: 3}\ngateway: {d: 4}\n");
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn every_key_is_described_on_its_page_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doorward-yaml.md");
    let page = std::fs::read_to_string(path).unwrap();
    let described = |record: &str| -> Vec<String> {
        let (_, after) = page.split_once(&format!("<!-- record: {record} -->\n")).expect(record);
        let rows = after.lines().take_while(|line| line.starts_with('|')).skip(2);
        let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
        let key = |cells: Vec<&str>| {
            assert!(cells.len() >= 3, "{record}: {cells:?}");
            cells[0].trim_matches(['|', ' ', '`']).to_owned()
        };
        cells.map(key).collect()
    };
    for (record, keys) in RECORDS.iter().chain(gateway::RECORDS) {
        assert_eq!(described(record), *keys, "{record}");
    }
    let top = ["authServer", "apiAuth", "gateway"].into_iter();
    let top: Vec<_> = top.chain(Native::fields().into_iter().map(|(key, _)| key)).collect();
    assert_eq!(described("Own"), top);
    assert_eq!(page.matches("<!-- record: ").count(), RECORDS.len() + gateway::RECORDS.len() + 1);
}

#[test]
fn what_requests_fill_in_is_no_variable() {
    let yaml = "gateway:\n  authenticators:\n    cognito: {type: jwt, identitySource: [$request.header.X-Token, \"$$request.cookie.t\"]}\n";
    let gateway = parsed(yaml).gateway.unwrap();
    let (_, cognito) = gateway.authenticators.iter().next().unwrap();
    assert_eq!(cognito.identity_source.0, ["$request.header.X-Token", "$request.cookie.t"]);
}
