//! A foreign relying party, `mod_auth_openidc` on Apache, sends people to the built-in OAuth server.

use std::fs;

use serde_json::json;

use crate::browser::Browser;
use crate::doorward::{COOKIE_SECRET, Doorward, Launch};
use crate::echo::Echo;
use crate::process::{Leashed, Program, find_program, free_port, scratch, until};

const MODULES: &str = "/usr/lib/apache2/modules";
const SECRET: &str = "a-secret-of-apache-4711";

/// The password of alice, as `htpasswd -nbB alice alice` prints it.
fn users() -> String {
    let output =
        std::process::Command::new(find_program(&["htpasswd"])).args(["-nbB", "alice", "alice"]).output();
    String::from_utf8(output.expect("htpasswd runs").stdout).expect("text")
}

/// Doorward with a client whose callback is at this address.
async fn server(callback: &str) -> Doorward {
    let folder = scratch("oauth-server");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    fs::write(file("users.htpasswd"), users()).expect("the users can be written");
    fs::write(file("seal.key"), "a key that seals what has to be sealed").expect("the key can be written");
    let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(file("seal.key"), own).expect("the key is ours");
    let launch = Launch::bare();
    let settings = json!({"authServer": {
        "issuer": launch.url(),
        "store": {"type": "embedded", "path": file("auth.db")},
        "secretKeyFile": file("seal.key"),
        "identityProviders": [{"name": "local", "type": "htpasswd", "file": file("users.htpasswd"), "login": true}],
        "clients": [{"id": "apache", "secret": SECRET, "redirectURIs": [callback], "grantMethod": "auto"}],
    }});
    fs::write(file("doorward.yaml"), settings.to_string()).expect("the settings can be written");
    launch
        .flag(&format!("--doorward-config={}", file("doorward.yaml")))
        .flag(&format!("--cookie-secret={COOKIE_SECRET}"))
        .flag("--email-domain=*")
        .flag("--upstream=static://200")
        .start()
        .await
}

/// Apache in front of an application, listening here.
async fn apache(port: u16, issuer: &str, application: &str) -> Leashed {
    let folder = scratch("apache");
    let place = folder.to_string_lossy();
    let modules =
        ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "proxy", "proxy_http"];
    let modules = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so")).join("\n");
    let text = format!(
        "ServerRoot {place}\nServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {place}/apache.pid\n\
         ErrorLog /dev/stderr\nLogLevel warn\nUser www-data\nGroup www-data\nStartServers 1\n{modules}\n\
         OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration\nOIDCClientID apache\n\
         OIDCClientSecret {SECRET}\nOIDCRedirectURI http://127.0.0.1:{port}/callback\n\
         OIDCCryptoPassphrase a-passphrase-of-apache\nOIDCPKCEMethod S256\nOIDCScope \"openid profile\"\n\
         ProxyPass /callback !\nProxyPass / {application}/\n\
         <Location />\nAuthType openid-connect\nRequire valid-user\n</Location>\n"
    );
    let file = folder.join("apache.conf");
    fs::write(&file, text).expect("the configuration can be written");
    let mut process =
        Program::new([&*find_program(&["apache2"]), "-X", "-f", &file.to_string_lossy()]).start("apache");
    until("Apache listens", async || {
        process.must_run();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a39_apache_lets_in_whom_the_server_names() {
    let (application, port) = (Echo::start().await, free_port());
    let door = server(&format!("http://127.0.0.1:{port}/callback")).await;
    let _apache = apache(port, &door.url, &application.url).await;

    let browser = Browser::open().await;
    let page = format!("http://127.0.0.1:{port}/reports?month=11");
    browser.goto(&page).await;
    browser.wait_for_url_under(&format!("{}/oauth/login", door.url)).await;
    browser.fill_in("[name=username]", "alice").await;
    browser.fill_in("[name=password]", "alice").await;
    browser.click("[type=submit]").await;
    let seen = browser.application_at(&page).await;
    assert_eq!(seen.header("oidc_claim_preferred_username"), "alice", "{seen:?}");
    assert_eq!(seen.header("oidc_claim_iss"), door.url);
    assert!(!seen.header("oidc_claim_sub").is_empty(), "{seen:?}");
}
