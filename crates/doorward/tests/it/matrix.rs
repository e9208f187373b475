//! Every road of a request against every kind of credential, printed. The expected table is a file that people
//! read and that a change of behaviour has to change; `UPDATE_GOLDEN=1` writes it anew.

use std::{collections::BTreeMap, fs};

use doorward_testkit::{Answer, Browser, Launch, Request, resigned};
use serde_json::json;

use crate::support::{SESSION, Stage};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/access_matrix.txt");

const REQUESTS: [&str; 18] = [
    "GET /ping",
    "GET /ready",
    "GET /robots.txt",
    "GET /oauth2/auth",
    "GET /oauth2/auth?allowed_groups=board",
    "GET /oauth2/userinfo",
    "GET /oauth2/sign_in",
    "GET /oauth2/start",
    "GET /oauth2/callback",
    "GET /oauth2/sign_out",
    "GET /oauth2/static/css/bulma.min.css",
    "GET /oauth2/unknown",
    "GET /page",
    "POST /page",
    "OPTIONS /page",
    "GET /page?allowed_groups=board",
    "GET /open",
    "GET /api/x",
];

/// What somebody got to see: whose answer it was, and where it leads.
fn describe(stage: &Stage, answer: &Answer) -> String {
    let status = answer.status;
    let location = answer.location();
    let cleared = answer.set_cookies().iter().any(|cookie| cookie.name == SESSION && cookie.is_deletion());
    let what = if location.starts_with(&stage.provider.issuer()) {
        "to provider".to_owned()
    } else if !location.is_empty() {
        format!("to {location}")
    } else if answer.text().starts_with("{\"body_length\"") {
        "application".to_owned()
    } else {
        let media = answer.header("content-type").split(';').next().unwrap_or_default();
        media.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let mut text = format!("{status} {what}");
    if cleared {
        text.push_str(" -session");
    }
    text.trim_end().to_owned()
}

fn table(title: &str, stage: &Stage, credentials: &[(&str, BTreeMap<String, String>)]) -> String {
    let mut rows = vec![
        [&["request"][..], &credentials.iter().map(|(name, _)| *name).collect::<Vec<_>>()]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    ];
    for line in REQUESTS {
        let (method, target) = line.split_once(' ').unwrap();
        let mut row = vec![line.to_owned()];
        for (_, cookies) in credentials {
            let mut browser: Browser = stage.browser();
            browser.cookies.clone_from(cookies);
            row.push(describe(stage, &browser.send(Request::new(method, target))));
        }
        rows.push(row);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap();
    let widths: Vec<usize> = (0..=credentials.len()).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    format!("{title}\n\n{}\n", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn every_road_gives_every_credential_what_the_table_says() {
    let mut text = String::new();
    for (title, flags) in [
        ("Sign-in page", &[][..]),
        ("Straight to the provider (--skip-provider-button)", &["--skip-provider-button"]),
        (
            "Preflight requests open, JSON errors (--skip-auth-preflight --force-json-errors)",
            &["--skip-auth-preflight", "--force-json-errors"],
        ),
    ] {
        let stage = Stage::launch(|launch| {
            launch
                .flags(["--allowed-group=staff", "--skip-auth-route=^/open$", "--api-route=^/api/"])
                .flags(flags.iter().copied())
        });
        let good = stage.logged_in().cookies;
        stage.provider.set(|knobs| knobs.claim("groups", json!(["guests"])));
        let unrestricted = stage.sibling(&[]);
        let guest = unrestricted.browser().logged_in().cookies;
        let one = |value: &str| BTreeMap::from([(SESSION.to_owned(), value.to_owned())]);
        let credentials = [
            ("no credential", BTreeMap::new()),
            ("garbage", one("garbage")),
            ("expired", one(&resigned(Launch::COOKIE_SECRET, SESSION, &good[SESSION], 10_000_000))),
            ("wrong group", guest),
            ("good", good),
        ];
        text.push_str(&table(title, &stage, &credentials));
        text.push('\n');
    }
    let text = text.trim_end().to_owned() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(GOLDEN, &text).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(text == golden, "the table has changed; if that is meant, run with UPDATE_GOLDEN=1\n{text}");
}
