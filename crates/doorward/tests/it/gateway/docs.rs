//! The configurations of docs/gateway.md are sound.

use std::{fs, path::Path};

use doorward_testkit::Launch;

use super::{Echo, PROGRAM, Provider};

/// Files that the page names, which here lie in the folder of the test.
const FOLDER: &str = "/etc/doorward";

#[test]
fn every_configuration_of_the_page_is_valid() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
    let page = fs::read_to_string(page).unwrap();
    let (provider, echo) = (Provider::start(), Echo::start());
    let blocks: Vec<(&str, &str)> = page
        .split("<!-- config: ")
        .skip(1)
        .map(|rest| {
            let (name, after) = rest.split_once(" -->\n```yaml\n").expect("a block of YAML follows");
            (name, after.split_once("```").unwrap().0)
        })
        .collect();
    assert_eq!(page.matches("```yaml").count(), blocks.len(), "each block has a name");
    for (name, block) in blocks {
        // Where a block shows no server, there is one.
        let server =
            "authServer: {enabled: true, issuer: 'https://auth.example.com', store: {type: memory}}\n";
        // The first needs nothing besides.
        let is_whole = name == "first";
        let server = if is_whole || block.contains("authServer:") { "" } else { server };
        let launch = if is_whole { Launch::bare(PROGRAM) } else { Launch::new(PROGRAM, &provider, &echo) };
        let launch = launch.flag("--config-test");
        fs::create_dir(launch.path("policy")).unwrap();
        let yaml = format!("{server}{block}").replace(FOLDER, &launch.folder());
        let exit = launch
            .file("policy/authz.rego", "package http.authz\nimport rego.v1\ndefault decision := false\n")
            .file("ca.pem", include_str!("../tls/certificate.pem"))
            .private_file("partner.secret", "not so secret")
            .private_file("cluster.token", "not so secret")
            .file("doorward.yaml", &yaml)
            .flag("--doorward-config={file:doorward.yaml}")
            .fail();
        assert_eq!(exit.code, Some(0), "{name}: {}", exit.output);
    }
}
