//! The pages about single providers: each shows a configuration that is right as it stands.

use std::{fs, path::Path, process::Command};

use doorward_testkit::page;

use crate::support::PROGRAM;

const KEY: &str = include_str!("../../../doorward-jose/tests/data/client_keys/rsa.pem");

/// Page and type of each provider. The page of `keycloak-oidc` is tried on a real Keycloak.
const PAGES: [(&str, &str); 16] = [
    ("adfs", "adfs"),
    ("azure", "azure"),
    ("bitbucket", "bitbucket"),
    ("cidaas", "cidaas"),
    ("digitalocean", "digitalocean"),
    ("entra-id", "entra-id"),
    ("facebook", "facebook"),
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("google", "google"),
    ("keycloak-legacy", "keycloak"),
    ("linkedin", "linkedin"),
    ("login-gov", "login.gov"),
    ("nextcloud", "nextcloud"),
    ("oidc", "oidc"),
    ("sourcehut", "sourcehut"),
];

#[test]
fn each_page_has_a_configuration_that_is_valid() {
    let folder = std::env::temp_dir().join(format!("doorward-provider-pages-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // What the pages name as files of the operator.
    fs::write(folder.join("key.pem"), KEY).unwrap();
    let account = serde_json::json!({
        "type": "service_account", "client_email": "doorward@example.iam.gserviceaccount.com",
        "private_key_id": "1", "private_key": KEY, "token_uri": "https://oauth2.googleapis.com/token",
    });
    fs::write(folder.join("service-account.json"), account.to_string()).unwrap();
    let program = std::env::var("DOORWARD_BIN").unwrap_or_else(|_| PROGRAM.to_owned());
    for (name, kind) in PAGES {
        let shown = page::block(&format!("providers/{name}.md"), "block: configuration");
        assert!(shown.contains(&format!("provider = \"{kind}\"\n")), "{name}");
        let file = folder.join(format!("{name}.toml"));
        fs::write(&file, shown.replace("/etc/doorward", folder.to_str().unwrap())).unwrap();
        let run = Command::new(&program)
            .arg("--config")
            .arg(&file)
            .arg("--config-test")
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}: {said}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn there_is_no_other_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    let mut found: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    assert_eq!(found, PAGES.map(|(name, _)| name));
}
