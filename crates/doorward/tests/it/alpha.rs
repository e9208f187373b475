//! The structured file in oauth2-proxy's alpha form.

use std::process::Command;

use doorward_testkit::{Doorward, Echo, Headers, Launch, Provider, Request};

use crate::support::{PROGRAM, parts};

/// The flags that stand beside the file.
const BESIDE: [&str; 3] = ["--cookie-secure=false", "--email-domain=*", "--alpha-config={file:alpha.yaml}"];

fn launch(yaml: &str, provider: &Provider, echo: &Echo) -> Launch {
    let launch = Launch::new(PROGRAM, provider, echo);
    let beside = format!("--cookie-secret={}", Launch::COOKIE_SECRET);
    let address = launch.address.to_string();
    let moved = ["http-address", "provider", "oidc-issuer-url", "client-id", "client-secret", "upstream"];
    let launch = moved.into_iter().fold(launch, Launch::without);
    let launch = ["cookie-secret", "cookie-secure", "email-domain"].into_iter().fold(launch, Launch::without);
    launch.file("alpha.yaml", &yaml.replace("ADDRESS", &address)).flags(BESIDE).flag(&beside)
}

/// The usual provider and listener, and what else is given.
fn yaml(provider: &Provider, echo: &Echo, more: &str) -> String {
    format!(
        "server: {{bindAddress: \"ADDRESS\"}}\n\
         upstreamConfig: {{upstreams: [{{id: echo, path: /, uri: \"{}\"}}]}}\n\
         providers:\n\
         - id: main\n  provider: oidc\n  clientID: {}\n  clientSecret: {}\n  oidcConfig: {{issuerURL: \"{}\"}}\n\
         {more}",
        echo.url(),
        Provider::CLIENT_ID,
        Provider::CLIENT_SECRET,
        provider.issuer(),
    )
}

fn converted(flags: &[String]) -> String {
    let output = Command::new(PROGRAM).arg("--convert-config-to-alpha").args(flags).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names and values of the headers by which application and client are told who signed in.
fn identity(doorward: &Doorward) -> [Headers; 2] {
    let mut browser = doorward.browser().logged_in();
    let answer = browser.get("/page");
    let wanted = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == "authorization" || name.starts_with("x-auth-request-") || name.starts_with("x-forwarded-")
    };
    let identity =
        |headers: Headers| Headers(headers.0.into_iter().filter(|(name, _)| wanted(name)).collect());
    [identity(answer.echoed()), identity(answer.headers)]
}

#[test]
fn converted_options_do_what_the_options_did() {
    let (provider, echo) = parts();
    let identity_flags =
        ["--set-xauthrequest", "--set-basic-auth", "--basic-auth-password=p$w: 'x'", "--prompt=login"];
    let flat = Launch::new(PROGRAM, &provider, &echo).flags(identity_flags).start();
    let mut flags: Vec<String> = identity_flags.map(str::to_owned).to_vec();
    flags.extend([
        "--http-address=ADDRESS".to_owned(),
        "--provider=oidc".to_owned(),
        format!("--oidc-issuer-url={}", provider.issuer()),
        format!("--client-id={}", Provider::CLIENT_ID),
        format!("--client-secret={}", Provider::CLIENT_SECRET),
        format!("--upstream={}", echo.url()),
    ]);
    let text = converted(&flags);
    let structured = launch(&text, &provider, &echo).start();
    assert_eq!(identity(&structured), identity(&flat), "{text}");
    let begin = |doorward: &Doorward| {
        let location = doorward.browser().get("/oauth2/start").location().to_owned();
        let mut parameters: Vec<String> =
            location.split(['?', '&']).map(|pair| pair.split('=').next().unwrap().to_owned()).collect();
        parameters.sort();
        parameters
    };
    assert_eq!(begin(&structured), begin(&flat));
}

#[test]
fn every_mistake_of_the_file_is_reported_with_its_place() {
    const FILE: &str = "\
upstreamConfig:
  upstreams:
  - {id: a, path: /, uri: \"http://127.0.0.1:9\"}
  - {id: a, path: /x, uri: \"ftp://x\"}
  - {path: /y, static: true, staticCode: 99}
  - {id: b, uri: \"http://b\", staticCode: 200}
  - {id: c, path: /c}
injectRequestHeaders:
- name: X-A
  values:
  - {claimSource: {claim: email}, secretSource: {value: hidden}}
  - {claimSource: {prefix: x}}
- name: x-a
  values: [{secretSource: {value: hidden, fromEnv: NOPE}}, {secretSource: {fromFile: /nope}}, {secretSource: {fromEnv: NO_SUCH_VARIABLE}}, {}]
- values: []
- name: 'X A'
- name: Host
  values: [{claimSource: {claim: user}}]
server: {bindAddress: '1', secureBindAddress: ':0'}
metricsServer: {secureBindAddress: ':0', tls: {key: {fromFile: /nope}, cert: {fromFile: /nope}}}
providers:
- provider: oidc
  clientSecret: hidden
  loginURLParameters: [{name: a}, {name: a, allow: [{value: x, pattern: y}, {}, {pattern: '('}]}, {allow: []}]
  githubConfig: {org: mine}
  keycloakConfig: {roles: [admin]}
- {id: second}
";
    let (provider, echo) = parts();
    let exit = launch(FILE, &provider, &echo).fail();
    assert_eq!(exit.code, Some(1));
    assert!(!exit.output.contains("hidden"), "{}", exit.output);
    for expected in [
        "upstreamConfig.upstreams[1].uri: the upstream \"ftp://x\" has an invalid scheme",
        "upstreamConfig.upstreams[2].id: upstream has empty id",
        "upstreamConfig.upstreams[2].staticCode: upstream \"\" has the staticCode 99",
        "upstreamConfig.upstreams[3].path: upstream \"b\" has empty path",
        "upstreamConfig.upstreams[3].staticCode: upstream \"b\" has staticCode (200), but is not a static upstream",
        "upstreamConfig.upstreams[4].uri: upstream \"c\" has empty uri",
        "injectRequestHeaders[0].values[0]: invalid header \"X-A\": header value has multiple entries",
        "injectRequestHeaders[0].values[1].claimSource: invalid header \"X-A\": claim should not be empty",
        "injectRequestHeaders[1]: multiple headers found with name \"x-a\"",
        "injectRequestHeaders[1].values[0].secretSource: multiple values specified for secret source",
        "injectRequestHeaders[1].values[1].secretSource: error loading secret from file: \"/nope\"",
        "injectRequestHeaders[1].values[2].secretSource: error loading secret from environment: NO_SUCH_VARIABLE",
        "injectRequestHeaders[1].values[3]: invalid header \"x-a\": header value has multiple entries",
        "injectRequestHeaders[2].name: header has empty name",
        "injectRequestHeaders[3].name: \"X A\" is no header name",
        "injectRequestHeaders[4].name: the header host says where a message goes",
        "server.bindAddress: ",
        "server.tls.cert.fromFile: a TLS listener needs a certificate and a key",
        "metricsServer.tls.key.fromFile: error loading secret from file: \"/nope\"",
        "providers[0].id: provider has empty id",
        "providers[0].clientID: provider missing setting: client-id",
        "providers[0].oidcConfig.issuerURL: missing setting",
        "providers[0].loginURLParameters[1]: the parameter \"a\" is there twice",
        "providers[0].loginURLParameters[1].allow[0]: a rule needs exactly one",
        "providers[0].loginURLParameters[1].allow[1]: a rule needs exactly one",
        "providers[0].loginURLParameters[1].allow[2]: error compiling regex",
        "providers[0].loginURLParameters[2]: the parameter has no name",
        "providers[0].githubConfig.org: only the provider github",
        "providers[0].keycloakConfig.roles: roles are known of the provider keycloak-oidc only",
    ] {
        assert!(exit.output.contains(expected), "{expected}\n{}", exit.output);
    }
    assert!(exit.output.contains("alpha.yaml line 6,"), "{}", exit.output);
}

/// It refuses files with keys that it does not know.
#[test]
fn what_oauth2_proxy_does_not_know_is_printed_only_if_somebody_asked_for_it() {
    let own = ["clientAuth", "pushedAuthorizationRequests", "dpopKeyFile", "requiredACR", "maxAuthAge"];
    let usual =
        ["--provider=oidc", "--client-id=a", "--client-secret=b", "--oidc-issuer-url=https://id.example"];
    let usual = usual.map(str::to_owned).to_vec();
    let plain = converted(&usual);
    assert!(own.iter().all(|key| !plain.contains(key)), "{plain}");
    let asked = [
        "--client-auth-method=private_key_jwt",
        "--client-key-file=/key",
        "--pushed-authorization-requests",
        "--dpop-key-file=/dpop",
        "--required-acr=gold",
        "--max-auth-age=5m",
    ];
    let asked = converted(&[usual, asked.map(str::to_owned).to_vec()].concat());
    assert!(own.iter().all(|key| asked.contains(key)), "{asked}");
}

#[test]
fn the_example_of_the_page_is_valid() {
    let page = include_str!("../../../../docs/alpha-configuration.md");
    let block = page.split("<!-- block: alpha -->\n```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let (provider, echo) = parts();
    let exit = launch(block, &provider, &echo)
        .variable("CLIENT_SECRET", "a")
        .variable("API_KEY", "b")
        .flag("--config-test")
        .fail();
    assert_eq!((exit.code, exit.output.trim()), (Some(0), "configuration is valid"));
}

#[test]
fn a_restriction_that_an_unset_variable_empties_is_refused() {
    let (provider, echo) = parts();
    for lost in ["allowedGroups: [${NOPE}]", "allowedGroups: ${NOPE}", "keycloakConfig: {roles: [$NOPE]}"] {
        let exit = launch(&yaml(&provider, &echo, &format!("  {lost}\n")), &provider, &echo).fail();
        assert_eq!(exit.code, Some(1), "{lost}");
        assert!(exit.output.contains("the variable NOPE is not set"), "{lost}: {}", exit.output);
    }
    let quoted = yaml(&provider, &echo, "  allowedGroups: [\"${NOPE}\"]\n");
    let doorward = launch(&quoted, &provider, &echo).start();
    assert_eq!(doorward.browser().login("/").status, 403);
}

#[test]
fn nothing_to_listen_on_and_no_provider_are_mistakes() {
    let (provider, echo) = parts();
    let exit = launch("providers: []\n", &provider, &echo).fail();
    assert_eq!(exit.code, Some(1));
    assert!(exit.output.contains("server.bindAddress: no address to listen on"), "{}", exit.output);
    assert!(exit.output.contains("providers: at least one provider has to be defined"), "{}", exit.output);
}

#[test]
fn only_the_endpoint_that_begins_a_login_takes_wishes() {
    let (provider, echo) = parts();
    let parameters = "  loginURLParameters:\n  - {name: login_hint, allow: [{pattern: .}]}\n  - {name: state, allow: [{pattern: .}]}\n";
    let doorward =
        launch(&yaml(&provider, &echo, parameters), &provider, &echo).flag("--skip-provider-button").start();
    let hint = |target: &str| doorward.browser().get(target).location().contains("login_hint=bob");
    assert!(hint("/oauth2/start?login_hint=bob"));
    assert!(hint("/oauth2/sign_in?login_hint=bob"));
    assert!(!hint("/page?login_hint=bob"));
    assert!(!hint("/oauth2/start?login_hin=bob"));
    let location = doorward.browser().get("/oauth2/start?state=mine&redirect_uri=x").location().to_owned();
    assert!(!location.contains("mine") && !location.contains("redirect_uri=x"), "{location}");
}

#[test]
fn headers_that_nobody_asked_for_do_not_pass_either() {
    let (provider, echo) = parts();
    let doorward = launch(&yaml(&provider, &echo, ""), &provider, &echo).start();
    let mut browser = doorward.browser().logged_in();
    let spoofed =
        Request::get("/page").header("X-Forwarded-User", "root").header("X_Auth_Request_Email", "root");
    let answer = browser.send(spoofed);
    let seen = answer.echoed();
    assert!(!seen.0.iter().any(|(_, value)| value == "root"), "{seen:?}");
}
