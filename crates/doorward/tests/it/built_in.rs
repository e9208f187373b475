//! The built-in OAuth server as its operators meet it: doorward.yaml and its mistakes, the first start, commands,
//! reloads, and what is left lying about afterwards.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use doorward_testkit::{
    Answer, Doorward, Echo, Launch, Provider, Redis, Request, eventually,
    person::{field, follow, here, sign_in, visit},
};

use crate::support::{BOB, CAROL, PROGRAM, encoded};

/// A folder that outlives the program, for what a restart has to find.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("doorward-built-in-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// A file that its owner alone may read.
    fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// doorward.yaml; `HERE` stands for this folder.
    fn configure(&self, yaml: &str) {
        self.write("doorward.yaml", &yaml.replace("HERE", &self.0.display().to_string()));
    }

    fn launch(&self, echo: &Echo) -> Launch {
        let config = format!("--doorward-config={}", self.path("doorward.yaml"));
        Launch::bare(PROGRAM).flag(&config).flag(&format!("--upstream={}", echo.url()))
    }

    /// Runs a command on the records, and gives what it says.
    #[track_caller]
    fn command(&self, words: &[&str]) -> String {
        let config = format!("--doorward-config={}", self.path("doorward.yaml"));
        let output = Command::new(PROGRAM).args(words).arg(config).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{words:?}: {text}");
        text
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const EMBEDDED: &str = "authServer:\n  store: {path: HERE/auth.db}\n";

/// The word that follows `label` in what the program or a command said.
#[track_caller]
fn said(text: &str, label: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| line.starts_with(&format!("{label} ")));
    let line = line.unwrap_or_else(|| panic!("no {label} in:\n{text}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// A token for a program (`oc login`, Ansible), by the challenging client.
fn token(doorward: &Doorward, user: &str, password: &str) -> Answer {
    let target = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
    doorward.browser().send(Request::get(target).header("X-CSRF-Token", "1").basic(user, password))
}

#[track_caller]
fn token_in(answer: &Answer) -> String {
    let (_, after) = answer.location().split_once("access_token=").unwrap_or_else(|| {
        panic!("no token: {} {} {}", answer.status, answer.location(), answer.text());
    });
    after.split('&').next().unwrap().replace("%7E", "~")
}

fn with_token(doorward: &Doorward, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    doorward
        .browser()
        .send(Request::get("/api").header("Authorization", &bearer).header("Accept", "application/json"))
}

#[test]
fn mistakes_in_doorward_yaml_are_told_with_file_line_and_mend() {
    let place = Place::new();
    let echo = Echo::start();
    place.write("open.key", &"k".repeat(40));
    fs::set_permissions(place.0.join("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    place.write_secret("short.key", "short");
    place.write("ca.pem", include_str!("tls/certificate.pem"));
    for (yaml, line, expected) in [
        ("authServer:\n  isuer: x\n", 2, "authServer.isuer: there is no such key"),
        ("gateway: {routes: [{paths: /}]}\n", 1, "gateway.routes[0].paths: there is no such key"),
        (
            "authServer:\n  issuer: http://auth.example.com\n",
            2,
            "authServer.issuer: the issuer begins with neither",
        ),
        ("authServer:\n  hosts: [other.example.com]\n", 2, "authServer.hosts: the host of the issuer"),
        ("authServer:\n  secretKeyFile: HERE/none\n", 2, "make one with: "),
        ("authServer:\n  secretKeyFile: HERE/open.key\n", 2, "chmod o-rwx"),
        ("authServer:\n  secretKeyFile: HERE/short.key\n", 2, "fewer than 32 bytes"),
        ("authServer:\n  store: {type: redis, url: redis://127.0.0.1}\n", 1, "authServer.secretKeyFile"),
        ("authServer:\n  store:\n    type: sqlite\n", 3, "write embedded, redis or memory"),
        ("authServer:\n  tokens:\n    inactivity: 60s\n", 3, "less than 300 seconds"),
        ("authServer:\n  tokens:\n    accessMaxAge: 0s\n", 3, "authServer.tokens.accessMaxAge"),
        ("authServer:\n  clients:\n    - id: a\n", 3, "authServer.clients[0].redirectURIs: missing setting"),
        (
            "authServer:\n  clients:\n    - id: a\n      redirectURIs: [x]\n      grantMethod: ask\n",
            5,
            "write auto, prompt or deny",
        ),
        (
            "authServer:\n  identityProviders:\n    - name: a\n      type: ldap\n",
            4,
            "write htpasswd, static, oidc, oauth2-proxy, requestHeader or x509",
        ),
        (
            "authServer:\n  identityProviders:\n    - name: a\n      type: static\n      file: x\n",
            5,
            "only a provider of type htpasswd heeds this",
        ),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: requestHeader, headers: [X-U], loginURL: 'https://e'}\n",
            3,
            "clientCA: missing setting",
        ),
        (
            "authServer:\n  clients:\n    - {id: a, redirectURIs: ['https://a/']}\n    - {id: a, redirectURIs: ['https://b/']}\n",
            4,
            "authServer.clients[1]: the client \"a\" is defined twice",
        ),
        ("authServer:\n  clients:\n    - {id: a, redirectURIs: ['https://a/#x']}\n", 3, "has a fragment"),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: static}\n    - {name: e, type: requestHeader, \
             clientCA: HERE/ca.pem, headers: [X-U], challengeURL: 'https://e/${query}'}\n",
            3,
            "a program can follow only one",
        ),
        ("authServer:\n  session: {cookieName: x}\n", 2, "authServer.session.cookieName: the session cookie"),
        ("apiAuth:\n  x509: {clientCA: HERE/none.pem}\n", 2, "apiAuth.x509.clientCA: the file"),
        ("apiAuth:\n  identity: impersonate\n", 2, "apiAuth.identity"),
        ("apiAuth:\n  anonymous: {enabled: true, paths: [healthz]}\n", 2, "write a path such as /healthz"),
        ("apiAuth:\n  tokenReview: {url: 'http://api.example.com/'}\n", 2, "tokens would be sent in clear"),
    ] {
        assert_told(&place, &echo, (yaml, line, expected));
    }
}

/// The program does not start with this doorward.yaml, and says why: at this line, in these words.
#[track_caller]
fn assert_told(place: &Place, echo: &Echo, (yaml, line, expected): (&str, u32, &str)) {
    place.configure(yaml);
    let exit = place.launch(echo).fail();
    assert_eq!(exit.code, Some(1), "{yaml}: {}", exit.output);
    let place = format!("doorward.yaml line {line}, column ");
    let told = exit.output.lines().any(|told| told.contains(expected) && told.contains(&place));
    assert!(told, "{yaml}\nwanted {expected} at {place}:\n{}", exit.output);
}

#[test]
fn certificates_need_a_way_on_which_they_can_come() {
    let (place, echo) = (Place::new(), Echo::start());
    place.write("ca.pem", include_str!("tls/certificate.pem"));
    for row in [
        (
            "apiAuth:\n  trustedClientCertificateHeader: X-Cert\n",
            2,
            "apiAuth.trustedClientCertificateHeader: no proxy is trusted",
        ),
        ("apiAuth:\n  x509: {clientCA: HERE/ca.pem}\n", 2, "apiAuth.x509: client certificates come over TLS"),
        (
            "apiAuth:\n  trustedClientCertificateHeader: X-Cert\n  requestHeader: {clientCA: HERE/ca.pem}\n",
            3,
            "apiAuth.requestHeader: client certificates come over TLS",
        ),
        (
            "apiAuth:\n  trustedClientCertificateHeader: X-Cert\nauthServer:\n  identityProviders:\n    - {name: e, type: \
             requestHeader, clientCA: HERE/ca.pem, headers: [X-U], loginURL: 'https://e'}\n",
            5,
            "authServer.identityProviders[0]: client certificates come over TLS",
        ),
    ] {
        assert_told(&place, &echo, row);
    }
}

#[test]
fn no_key_of_doorward_yaml_is_passed_over() {
    let (place, echo) = (Place::new(), Echo::start());
    place.write_secret("seal.key", &"k".repeat(40));
    place.write("ca.pem", include_str!("tls/certificate.pem"));
    for row in [
        ("authServer:\n  store: {path: HERE/a.db, caFile: HERE/ca.pem}\n", 2, "path belongs to embedded"),
        (
            "authServer:\n  secretKeyFile: HERE/seal.key\n  store: {type: redis, url: redis://h, caFile: HERE/ca.pem}\n",
            3,
            "the url does not ask for TLS",
        ),
        (
            "authServer:\n  clients:\n    - {id: openshift-browser-client, name: Tokens, grantMethod: prompt}\n",
            3,
            "nothing but a name and secrets can be added",
        ),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: static, clientCA: HERE/ca.pem}\n",
            3,
            "only a provider of type requestHeader or x509 heeds this",
        ),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: x509, clientCA: HERE/ca.pem, login: true}\n",
            3,
            "there is nothing to sign in with",
        ),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: oauth2-proxy, challenge: true}\n",
            3,
            "authServer.identityProviders[0].challenge: the provider is shown no passwords",
        ),
        (
            "authServer:\n  identityProviders:\n    - {name: a, type: oauth2-proxy, issuer: 'https://e'}\n",
            3,
            "only a provider of type oidc heeds this",
        ),
        (
            "apiAuth:\n  identity: impersonate\n  impersonate: {tokenFile: HERE/seal.key, certFile: HERE/ca.pem}\n",
            3,
            "apiAuth.impersonate: a token and a certificate of ours",
        ),
    ] {
        assert_told(&place, &echo, row);
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    for (flags, expected) in [
        (&["--proxy-prefix=/oauth"][..], "the built-in OAuth server has its endpoints below /oauth"),
        (
            &["--redirect-url=http://app.example.com/oauth2/callback"],
            "write a redirect URL that begins with https://",
        ),
        (&["--relative-redirect-url"], "whole addresses only"),
    ] {
        let exit = place.launch(&echo).flags(flags.iter().copied()).fail();
        assert!(exit.output.contains(expected), "{flags:?}: {}", exit.output);
    }
    let off = Place::new();
    off.configure("authServer: {enabled: false}\n");
    let exit = off.launch(&echo).flag("--provider=doorward").fail();
    assert!(exit.output.contains("authServer.enabled: the built-in server is off"), "{}", exit.output);
    let exit = Launch::bare(PROGRAM).flag("--provider=doorward").flag("--http-address=0.0.0.0:0").fail();
    assert!(exit.output.contains("missing setting: the address of the built-in server"), "{}", exit.output);
    let valid = Command::new(PROGRAM)
        .args(["--config-test", "--upstream=static://200"])
        .arg(format!("--doorward-config={}", place.path("doorward.yaml")))
        .output()
        .unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
    assert!(!place.0.join("auth.db").exists(), "a test of the configuration makes nothing");
}

#[test]
fn a57_the_first_start_prints_a_password_that_lets_in_and_a_restart_keeps_users_keys_and_sessions() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    let mut doorward = place.launch(&echo).start();
    let password = said(&doorward.log(), "password");
    let mut browser = doorward.browser();
    let answer = sign_in(&mut browser, "admin", &password);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), doorward.log());
    assert_eq!(answer.echoed().first("x-forwarded-user"), "admin");
    let keys = browser.get("/oauth/jwks").text();
    assert!(keys.contains("\"kid\""), "{keys}");
    doorward.terminate();
    doorward.ended();
    let mode = fs::metadata(place.0.join("auth.db.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the key is its owner's alone");

    let doorward = place.launch(&echo).start();
    assert!(!doorward.log().contains("password  "), "{}", doorward.log());
    let mut later = doorward.browser();
    let cookies = browser.cookie_header();
    let answer = later.send(Request::get("/").header("Cookie", &cookies));
    assert_eq!(answer.status, 200, "the session is still good: {}", answer.text());
    assert_eq!(later.get("/oauth/jwks").text(), keys);
    assert_eq!(sign_in(&mut doorward.browser(), "admin", &password).status, 200);
}

#[test]
fn a_user_who_is_disabled_or_changes_groups_is_noticed_within_minutes() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    for (arguments, refreshed) in [
        (&[][..], "refresh:after 5m0s"),
        (&["--cookie-refresh=1h"], "refresh:after 1h0m0s"),
        (&["--cookie-refresh=0"], "refresh:disabled"),
        (&["--cookie-expire=4m"], "refresh:disabled"),
    ] {
        let mut doorward = place.launch(&echo).flags(arguments.iter().copied()).start();
        assert!(doorward.log().contains(refreshed), "{arguments:?}\n{}", doorward.log());
        let login = visit(&mut doorward.browser(), "/");
        let asks = login.location().contains("offline_access");
        assert_eq!(asks, refreshed != "refresh:disabled", "{arguments:?} {}", login.location());
        doorward.terminate();
        assert!(doorward.ended().success());
    }
}

#[test]
fn the_records_belong_to_one_process_also_across_reloads() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    let doorward = place.launch(&echo).start();
    let password = said(&doorward.log(), "password");
    let second = place.launch(&echo).fail();
    assert!(second.output.contains("another process has"), "{}", second.output);
    let command = Command::new(PROGRAM)
        .args(["user", "list"])
        .arg(format!("--doorward-config={}", place.path("doorward.yaml")))
        .output()
        .unwrap();
    assert!(!command.status.success());
    assert!(String::from_utf8_lossy(&command.stderr).contains("stop that one"), "{command:?}");

    let raw = token_in(&token(&doorward, "admin", &password));
    let mut browser = doorward.browser();
    assert_eq!(sign_in(&mut browser, "admin", &password).status, 200);
    doorward.reload();
    assert_eq!(with_token(&doorward, &raw).status, 200);
    assert_eq!(browser.get("/").status, 200);
    let longer = format!("{EMBEDDED}  tokens: {{accessMaxAge: 1h}}\n");
    let before = doorward.reloads();
    place.configure(&longer);
    doorward.wait_for_reloads(before + 1);
    assert_eq!(with_token(&doorward, &raw).status, 200, "{}", doorward.log());
    let answer = token(&doorward, "admin", &password);
    assert!(answer.location().contains("expires_in=3600"), "{}", answer.location());
}

#[test]
fn a56_a_file_of_passwords_is_changed_while_it_is_used_and_a_broken_one_is_not_taken() {
    let place = Place::new();
    let echo = Echo::start();
    place.write("users", BOB);
    let provider = "  identityProviders:\n    - {name: local, type: htpasswd, file: HERE/users, allowWeakHashes: true}\n";
    place.configure(&format!("{EMBEDDED}{provider}"));
    let doorward = place.launch(&echo).start();
    assert_eq!(token(&doorward, "bob", "builder").status, 302, "{}", doorward.log());
    assert_eq!(token(&doorward, "carol", "singer").status, 401);
    let before = doorward.reloads();
    place.write("users", &format!("{BOB}{CAROL}"));
    doorward.wait_for_reloads(before + 1);
    assert_eq!(token(&doorward, "carol", "singer").status, 302);
    place.write("users", &format!("{BOB}dave:nonsense\n"));
    doorward.wait_for_log("Configuration not reloaded");
    assert_eq!(token(&doorward, "carol", "singer").status, 302, "the old table stays");
    assert!(!doorward.log().contains("nonsense"), "{}", doorward.log());

    place.write("users", BOB);
    let strict = provider.replace(", allowWeakHashes: true", "");
    place.configure(&format!("{EMBEDDED}{strict}"));
    let exit = place.launch(&echo).flag("--config-test").fail();
    assert!(exit.output.contains("authServer.identityProviders[0].file"), "{}", exit.output);
}

#[test]
fn a53_a_user_who_was_removed_and_made_again_has_no_use_of_the_old_token() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    let alices =
        said(&place.command(&["user", "add", "alice", "--group=dev", "--email=a@example.com"]), "password");
    let mut doorward = place.launch(&echo).start();
    assert!(!doorward.log().contains("password  "), "there is a user already: {}", doorward.log());
    let raw = token_in(&token(&doorward, "alice", &alices));
    let answer = with_token(&doorward, &raw);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), doorward.log());
    assert_eq!(answer.echoed().first("x-forwarded-user"), "alice");
    assert_eq!(answer.echoed().first("authorization"), "", "the token is not passed on");
    doorward.terminate();
    doorward.ended();

    let tokens = place.command(&["token", "list"]);
    assert!(tokens.contains("alice") && !tokens.contains(&raw), "{tokens}");
    place.command(&["user", "remove", "alice"]);
    let again = said(&place.command(&["user", "add", "alice"]), "password");
    let mut doorward = place.launch(&echo).start();
    assert_eq!(with_token(&doorward, &raw).status, 401);
    let raw = token_in(&token(&doorward, "alice", &again));
    assert_eq!(with_token(&doorward, &raw).status, 200);
    doorward.terminate();
    doorward.ended();

    // A command for each of the other ways to take something back.
    place.command(&["user", "disable", "alice"]);
    let doorward = place.launch(&echo).start();
    assert_eq!(with_token(&doorward, &raw).status, 401);
    assert_eq!(token(&doorward, "alice", &again).status, 401);
}

#[test]
fn commands_take_tokens_back_and_change_keys_and_passwords() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    let password = said(&place.command(&["user", "add", "alice"]), "password");
    let mut doorward = place.launch(&echo).start();
    let raw = token_in(&token(&doorward, "alice", &password));
    let other = token_in(&token(&doorward, "alice", &password));
    doorward.terminate();
    doorward.ended();
    let tokens = place.command(&["token", "list", "alice"]);
    let names: Vec<&str> = tokens.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names.len(), 2, "{tokens}");
    place.command(&["token", "revoke", names[0]]);
    assert_eq!(place.command(&["token", "list", "alice"]).lines().count(), 1);
    place.command(&["token", "revoke", "--user=alice"]);
    assert_eq!(place.command(&["token", "list", "alice"]), "");
    assert!(place.command(&["keys", "rotate"]).contains("They sign in"));
    place.write_secret("password", "a new one\n");
    place.command(&["user", "passwd", "alice", &format!("--password-file={}", place.path("password"))]);
    let doorward = place.launch(&echo).start();
    assert_eq!((with_token(&doorward, &raw).status, with_token(&doorward, &other).status), (401, 401));
    assert_eq!(token(&doorward, "alice", &password).status, 401);
    assert_eq!(token(&doorward, "alice", "a new one").status, 302);
}

#[test]
fn a_client_that_a_command_made_gets_tokens_with_its_secret() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(EMBEDDED);
    let made = place.command(&["client", "add", "reports", "--redirect-uri=https://reports.example.com/cb"]);
    let secret = made.lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    let clients = made.split_once("authServer:\n").unwrap().1;
    assert!(!clients.contains(&secret), "{made}");
    place.configure(&format!("{EMBEDDED}{clients}      grantTypes: [client_credentials]\n"));
    let doorward = place.launch(&echo).start();
    let ask = |secret: &str| {
        let form =
            Request::form("/oauth/token", &[("grant_type", "client_credentials")]).basic("reports", secret);
        doorward.browser().send(form)
    };
    assert_eq!(ask("wrong").status, 401);
    let answer = ask(&secret);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let raw = answer.json()["access_token"].as_str().unwrap().to_owned();
    let answer = with_token(&doorward, &raw);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.echoed().first("x-forwarded-user"), "client:reports");
}

#[test]
fn a58_neither_store_nor_log_holds_a_token_a_code_or_a_password() {
    let place = Place::new();
    let echo = Echo::start();
    place.configure(&format!("{EMBEDDED}  kubernetesAPI: true\n"));
    let password = said(&place.command(&["user", "add", "alice"]), "password");
    let mut doorward = place.launch(&echo).flag("--cookie-refresh=1h").start();
    let mut secrets = vec![password.clone()];

    // A browser, and the code that it carries.
    let mut browser = doorward.browser();
    let mut answer = visit(&mut browser, "/");
    loop {
        for name in ["code", "state"] {
            secrets.extend(answer.location_parameter(name));
        }
        if matches!(answer.status, 302 | 303) {
            answer = visit(&mut browser, &here(answer.location()));
            continue;
        }
        if !answer.text().contains("name=\"password\"") {
            break;
        }
        let (then, csrf) = (field(&answer, "then"), field(&answer, "csrf"));
        secrets.push(csrf.clone());
        let form = [("then", then.as_str()), ("csrf", &csrf), ("username", "alice"), ("password", &password)];
        answer = browser.send(Request::form("/oauth/login/local", &form));
    }
    assert_eq!(answer.status, 200, "{}", doorward.log());
    for cookie in browser.cookie_header().split("; ") {
        secrets.extend(cookie.split_once('=').map(|(_, value)| value.to_owned()));
    }
    // Programs: a token, one in the wrong places, wrong passwords.
    let raw = token_in(&token(&doorward, "alice", &password));
    assert_eq!(with_token(&doorward, &raw).status, 200);
    secrets.push(raw.clone());
    token(&doorward, "alice", "not-the-password-of-alice");
    secrets.push("not-the-password-of-alice".to_owned());
    doorward.browser().get(&format!("/api?access_token={}", encoded(&raw)));
    doorward.browser().get(&format!("/oauth/userinfo?access_token={raw}"));
    for path in ["useroauthaccesstokens", "oauthaccesstokens"] {
        let target = format!("/apis/oauth.openshift.io/v1/{path}/{raw}");
        let request = Request::new("DELETE", &target).header("Authorization", &format!("Bearer {raw}"));
        assert_eq!(doorward.browser().send(request).status, 404, "{path}");
    }
    doorward.browser().send(Request::form("/oauth/revoke", &[("token", &raw)]));
    let secrets: Vec<String> = secrets.into_iter().filter(|secret| secret.len() > 8).collect();
    assert!(secrets.len() > 8, "{secrets:?}");

    let log = doorward.whole_log();
    let dump = fs::read(place.0.join("auth.db")).unwrap();
    for secret in &secrets {
        if let Some(line) = log.lines().find(|line| line.contains(secret.as_str())) {
            panic!("the log holds {secret}: {line}");
        }
        let bytes = secret.as_bytes();
        assert!(!dump.windows(bytes.len()).any(|part| part == bytes), "the store holds {secret}");
    }
}

#[test]
fn an_id_token_of_the_built_in_server_is_no_credential() {
    let (place, echo) = (Place::new(), Echo::start());
    place.configure(EMBEDDED);
    place.write_secret("password", "pineapple");
    place.command(&["user", "add", "ann", &format!("--password-file={}", place.path("password"))]);
    let launch = place.launch(&echo).flag("--skip-jwt-bearer-tokens").flag("--pass-authorization-header");
    let doorward = launch.start();
    let page = sign_in(&mut doorward.browser(), "ann", "pineapple");
    let id_token = page.echoed().first("authorization").strip_prefix("Bearer ").unwrap().to_owned();
    assert!(id_token.starts_with("eyJ"));
    assert_eq!(with_token(&doorward, &id_token).status, 401);
    let basic = Request::get("/api").basic("oauth2", &id_token).header("Accept", "application/json");
    assert_eq!(doorward.browser().send(basic).status, 401);
    assert_eq!(with_token(&doorward, &token_in(&token(&doorward, "ann", "pineapple"))).status, 200);
}

#[test]
fn the_provider_of_the_options_signs_people_in_at_the_built_in_server() {
    let (place, echo, provider) = (Place::new(), Echo::start(), Provider::start());
    let yaml = "  identityProviders:\n    - {name: corp, type: oauth2-proxy}\n";
    place.configure(&format!("{EMBEDDED}{yaml}"));
    let config = format!("--doorward-config={}", place.path("doorward.yaml"));
    let exit = Launch::bare(PROGRAM).flags([&*config, "--provider=doorward"]).fail();
    assert!(
        exit.output.contains("the options configure no provider but this server itself"),
        "{}",
        exit.output
    );
    let exit = Launch::new(PROGRAM, &provider, &echo).flag(&config).without("client-secret").fail();
    assert!(exit.output.contains("client-secret"), "{}", exit.output);

    let doorward = Launch::new(PROGRAM, &provider, &echo).flag(&config).start();
    let mut browser = doorward.browser();
    let mut answer = visit(&mut browser, "/page");
    while !answer.location().starts_with(&provider.issuer()) {
        answer = visit(&mut browser, &here(answer.location()));
    }
    let back = answer.location_parameter("redirect_uri").unwrap();
    assert!(back.ends_with("/oauth/callback/corp"), "{back}");
    let callback = browser.authorize(answer.location());
    let first = visit(&mut browser, &callback);
    let answer = follow(&mut browser, first);
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), doorward.log());
    assert_ne!(answer.echoed().first("x-forwarded-user"), "");
}

#[test]
fn two_servers_over_one_redis_act_as_one_and_never_say_yes_without_it() {
    let (place, echo) = (Place::new(), Echo::start());
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    place.write_secret("seal.key", &"k".repeat(40));
    place.configure(&format!(
        "authServer:\n  issuer: http://127.0.0.1\n  secretKeyFile: HERE/seal.key\n  store: {{type: redis, url: '{}'}}\n",
        redis.url()
    ));
    let password = said(&place.command(&["user", "add", "alice"]), "password");
    let (one, other) = (place.launch(&echo).start(), place.launch(&echo).start());
    let statuses = |raw: &str| (with_token(&one, raw).status, with_token(&other, raw).status);

    let kept = token_in(&token(&one, "alice", &password));
    assert_eq!(statuses(&kept), (200, 200), "{}\n{}", one.log(), other.log());
    let raw = token_in(&token(&one, "alice", &password));
    assert_eq!(statuses(&raw), (200, 200));
    let form = [("token", raw.as_str()), ("client_id", "openshift-challenging-client")];
    assert_eq!(other.browser().send(Request::form("/oauth/revoke", &form)).status, 200);
    assert_eq!(statuses(&raw), (401, 401), "what one takes back, the other does not take any more");

    let target = "/oauth/authorize?response_type=code&client_id=openshift-challenging-client";
    let request = Request::get(target).header("X-CSRF-Token", "1").basic("alice", &password);
    let code = one.browser().send(request).location_parameter("code").unwrap();
    let redeem = |doorward: &Doorward| {
        let client = ("client_id", "openshift-challenging-client");
        let form = [("grant_type", "authorization_code"), ("code", code.as_str()), client];
        doorward.browser().send(Request::form("/oauth/token", &form)).status
    };
    let mut redeemed: Vec<u16> = thread::scope(|scope| {
        let tries: Vec<_> =
            [&one, &other].repeat(4).into_iter().map(|doorward| scope.spawn(|| redeem(doorward))).collect();
        tries.into_iter().map(|tried| tried.join().unwrap()).collect()
    });
    redeemed.sort_unstable();
    assert_eq!(redeemed, [200, 400, 400, 400, 400, 400, 400, 400]);

    redis.stop();
    assert_eq!(statuses(&kept), (503, 503));
    assert_eq!(statuses(&raw), (503, 503));
    assert_eq!(
        (token(&one, "alice", &password).status, token(&other, "alice", &password).status),
        (503, 503)
    );
    redis.start_again();
    eventually("both have their store back", || statuses(&kept) == (200, 200));
    assert_eq!(statuses(&raw), (401, 401));
}
