//! doorward.yaml as the whole configuration.

use std::process::Command;

use doorward_testkit::{Echo, Launch, Provider};

use crate::support::{PROGRAM, parts};

/// Nothing but this doorward.yaml.
fn launch(yaml: &str, provider: &Provider, echo: &Echo) -> Launch {
    let launch = Launch::new(PROGRAM, provider, echo);
    let yaml = yaml.replace("ADDRESS", &launch.address.to_string());
    let said = [
        "http-address",
        "provider",
        "oidc-issuer-url",
        "client-id",
        "client-secret",
        "upstream",
        "cookie-secret",
        "cookie-secure",
        "email-domain",
    ];
    let launch = said.into_iter().fold(launch, Launch::without);
    launch.file("doorward.yaml", &yaml).flag("--doorward-config={file:doorward.yaml}")
}

fn flags(provider: &Provider, echo: &Echo) -> Vec<String> {
    vec![
        "--http-address=ADDRESS".to_owned(),
        "--provider=oidc".to_owned(),
        format!("--oidc-issuer-url={}", provider.issuer()),
        format!("--client-id={}", Provider::CLIENT_ID),
        format!("--client-secret={}", Provider::CLIENT_SECRET),
        format!("--upstream={}", echo.url()),
        format!("--cookie-secret={}", Launch::COOKIE_SECRET),
        "--cookie-secure=false".to_owned(),
        "--email-domain=*".to_owned(),
        "--set-xauthrequest".to_owned(),
        "--skip-auth-route=GET=^/public$".to_owned(),
    ]
}

fn converted(flags: &[String]) -> String {
    let output = Command::new(PROGRAM).arg("convert").args(flags).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn one_file_is_the_whole_configuration() {
    let (provider, echo) = parts();
    let yaml = converted(&flags(&provider, &echo));
    assert!(yaml.contains("#   providers[0].clientID was client-id (flag --client-id)\n"), "{yaml}");
    assert!(yaml.contains("cookie_secure: false # was cookie-secure (flag --cookie-secure)\n"), "{yaml}");
    let doorward = launch(&yaml, &provider, &echo).start();
    let mut browser = doorward.browser();
    assert_eq!(browser.get("/public").status, 200);
    assert_eq!(browser.get("/private").status, 403);
    let mut browser = browser.logged_in();
    let answer = browser.get("/private");
    assert_eq!((answer.status, answer.headers.has("x-auth-request-email")), (200, true));
}

#[test]
fn a_converted_configuration_converts_to_itself() {
    let (provider, echo) = parts();
    let yaml = converted(&flags(&provider, &echo));
    let folder = std::env::temp_dir().join(format!("doorward-native-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("doorward.yaml");
    std::fs::write(&file, &yaml).unwrap();
    let again = converted(&[format!("--doorward-config={}", file.display())]);
    std::fs::remove_dir_all(&folder).unwrap();
    let said = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split(" # was ").next().unwrap_or_default().to_owned());
        lines.filter(|line| !line.starts_with('#')).collect()
    };
    assert_eq!(said(&again), said(&yaml));
}

#[test]
fn mistakes_are_told_by_their_place_in_the_file() {
    let (provider, echo) = parts();
    let yaml = "providers: [{provider: oidc, clientID: '', clientSecret: s}]\n\
                upstreams: [{id: a, path: /, uri: 'ftp://x'}]\n\
                listeners: {main: {bindAddress: ADDRESS}}\n\
                cookies: {cookie_secret: short}\n\
                access: {email_domains: ['*']}\n";
    let exit = launch(yaml, &provider, &echo).fail();
    assert_eq!(exit.code, Some(1));
    for expected in
        ["providers[0].clientID: ", "upstreams[0].uri: ", "doorward.yaml line 2, column", "cookie-secret: "]
    {
        assert!(exit.output.contains(expected), "{expected}\n{}", exit.output);
    }
}

#[test]
fn the_schema_is_printed_for_editors() {
    let output = Command::new(PROGRAM).arg("schema").output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["cookies"]["additionalProperties"], false);
}
