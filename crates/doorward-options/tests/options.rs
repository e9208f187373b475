//! The table against the list of oauth2-proxy's options, the reference page, and whole start-ups from
//! `tests/adapt/*.case`.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use doorward_options::{
    Configuration, Job, Kind, LoadError, Loaded, OPTIONS, OptionDef, Options, Scope, Source, Sources, load,
    problem, reference_markdown,
};

// === The table ===

/// A row of options.tsv: flag, env, key, type, default, deprecated or not, valid with alpha configuration.
fn reference_row(line: &str) -> (String, Vec<String>) {
    let columns: Vec<&str> = line.split('\t').collect();
    let none = |text: &str| if text == "(none)" { String::new() } else { text.to_owned() };
    let deprecated = if columns[5] == "no" { "no" } else { "yes" };
    let scope = if columns[6] == "yes" { "yes" } else { "no" };
    let rest = vec![
        none(columns[1]),
        none(columns[2]),
        columns[3].to_owned(),
        columns[4].to_owned(),
        deprecated.to_owned(),
        scope.to_owned(),
    ];
    (columns[0].to_owned(), rest)
}

fn our_row(def: &OptionDef) -> (String, Vec<String>) {
    let mut env = def.env.unwrap_or_default().to_owned();
    let mut key = def.key.unwrap_or_default().to_owned();
    if let Some(former) = &def.former {
        let _ = write!(env, " | {}", former.env);
        let _ = write!(key, " | {} (deprecated)", former.key);
    }
    let kind = match def.kind {
        Kind::Bool => "bool",
        Kind::BoolWord => "bool (string flag)",
        Kind::Int => "int",
        Kind::Duration | Kind::Interval => "duration",
        Kind::Text | Kind::Secret => "string",
        Kind::List | Kind::SecretList => "string-list",
    };
    let deprecated = if def.deprecated.is_some() { "yes" } else { "no" };
    let scope = if def.scope == Scope::Core { "yes" } else { "no" };
    let rest =
        vec![env, key, kind.to_owned(), def.default.to_owned(), deprecated.to_owned(), scope.to_owned()];
    (format!("--{}", def.flag), rest)
}

/// The options that oauth2-proxy does not have, in the order of the alphabet.
const OUR_OWN: [&str; 30] = [
    "--admin-group",
    "--backchannel-logout",
    "--client-assertion-audience",
    "--client-assertion-file",
    "--client-auth-method",
    "--client-cert-file",
    "--client-cert-key-file",
    "--client-key-algorithm",
    "--client-key-file",
    "--client-key-id",
    "--compat",
    "--cookie-secret-previous",
    "--cookie-secret-previous-file",
    "--doorward-config",
    "--dpop-key-file",
    "--ext-authz-address",
    "--frontchannel-logout",
    "--log-format",
    "--max-auth-age",
    "--page-language",
    "--post-logout-redirect-url",
    "--provider-logout",
    "--pushed-authorization-requests",
    "--required-acr",
    "--revoke-tokens",
    "--session-idle-timeout",
    "--session-ledger-type",
    "--session-max-lifetime",
    "--shutdown-timeout",
    "--strip-own-cookies",
];

#[test]
fn every_option_of_oauth2_proxy_is_in_the_table_as_it_is_there() {
    let reference: BTreeMap<_, _> = include_str!("options.tsv").lines().skip(1).map(reference_row).collect();
    let ours: BTreeMap<_, _> = OPTIONS.iter().map(our_row).collect();
    assert_eq!(reference.len(), 172);
    for (flag, row) in &reference {
        assert_eq!(ours.get(flag), Some(row), "{flag}");
    }
    let added: Vec<_> = ours.keys().filter(|flag| !reference.contains_key(*flag)).collect();
    assert_eq!(added, OUR_OWN.each_ref(), "options of our own have to be listed here");
}

#[test]
fn c34_no_text_repeats_the_misspellings_of_the_reference() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let own = Path::new(file!()).file_name();
    let mut folders = vec![crates.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && path.file_name() != own {
                let text = fs::read_to_string(&path).unwrap();
                for misspelt in ["environent", "loadig"] {
                    assert!(!text.contains(misspelt), "{misspelt} in {}", path.display());
                }
            }
        }
    }
}

#[test]
fn no_name_is_used_twice() {
    let mut seen = BTreeSet::new();
    for def in OPTIONS {
        let former = def.former.iter().flat_map(|former| [former.env, former.key]);
        let key = def.key.filter(|key| *key != def.flag);
        for name in [def.flag].into_iter().chain(def.env).chain(key).chain(former) {
            assert!(seen.insert(name), "{name}");
        }
    }
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
    let written = fs::read_to_string(page).unwrap();
    assert!(
        written == reference_markdown(),
        "run: cargo run -p doorward-options --example options_page > docs/options.md"
    );
}

// === Whole start-ups ===

/// One case: its law, what is written where, and what comes out.
#[derive(Default)]
struct Case {
    law: String,
    args: Vec<OsString>,
    env: BTreeMap<String, String>,
    toml: String,
    yaml: String,
    expected: String,
}

/// The format is described in `tests/adapt/README.md`.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut after_dashes = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(law) = line.strip_prefix("=== ") {
            cases.push(Case { law: law.to_owned(), ..Case::default() });
            after_dashes = false;
            continue;
        }
        let case = cases.last_mut().expect("a case begins with ===");
        if line == "---" {
            after_dashes = true;
        } else if after_dashes {
            let _ = writeln!(case.expected, "{line}");
        } else if let Some(arg) = line.strip_prefix("arg ") {
            case.args.push(arg.into());
        } else if let Some((name, value)) = line.strip_prefix("env ").and_then(|pair| pair.split_once('=')) {
            case.env.insert(name.to_owned(), value.to_owned());
        } else if let Some(toml) = line.strip_prefix("toml ") {
            let _ = writeln!(case.toml, "{toml}");
        } else if let Some(yaml) = line.strip_prefix("yaml ") {
            let _ = writeln!(case.yaml, "{yaml}");
        } else {
            panic!("{}: {line}", case.law);
        }
    }
    cases
}

fn run(case: &Case) -> Result<Loaded, LoadError> {
    let mut args = case.args.clone();
    if !case.toml.is_empty() {
        args.push("--config=/etc/x.cfg".into());
    }
    if !case.yaml.is_empty() {
        args.push("--alpha-config=/etc/x.yaml".into());
    }
    let env = |name: &str| case.env.get(name).cloned();
    let read_file = |path: &Path| match path.to_str() {
        Some("/etc/x.cfg") => Ok(case.toml.clone()),
        Some("/etc/x.yaml") => Ok(case.yaml.clone()),
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
    };
    load(&args, &env, &read_file)
}

/// Every field on one line, from the pretty debug form.
fn fields(options: &Options) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let pretty = format!("{options:#?}");
    let mut current = String::new();
    for line in pretty.lines().filter(|line| line.starts_with("    ")) {
        match line.strip_prefix("    ").and_then(|line| line.split_once(": ")) {
            Some((name, value)) if !name.starts_with(' ') => {
                name.clone_into(&mut current);
                fields.insert(current.clone(), value.to_owned());
            }
            _ => fields.get_mut(&current).unwrap().push_str(line.trim()),
        }
    }
    fields.into_iter().map(|(name, value)| (name, value.trim_end_matches(',').replace(",]", "]"))).collect()
}

/// What came out: the fields that were set, or every line of the refusal.
fn normalised(result: &Result<Loaded, LoadError>) -> String {
    let mut out = String::new();
    match result {
        Ok(Loaded::Help(_)) => out.push_str("help\n"),
        Ok(Loaded::Version) => out.push_str("version\n"),
        Ok(Loaded::Configuration(Configuration { options, structured, own: _, sources }, job)) => {
            match job {
                Job::Serve => {}
                Job::Test => out.push_str("config-test\n"),
                Job::Convert => out.push_str("convert\n"),
            }
            let defaults = fields(&Options::defaults());
            for (name, value) in fields(options) {
                if sources.is_set(&name) {
                    let _ = writeln!(out, "{name} = {value} ({})", sources.of(&name));
                } else {
                    assert_eq!(defaults[&name], value, "{name} changed but has no source");
                }
            }
            if structured.is_some() {
                out.push_str("structured\n");
            }
            for warning in sources.warnings() {
                let _ = writeln!(out, "warning: {warning}");
            }
        }
        Err(error) => {
            for line in error.to_string().lines() {
                let _ = writeln!(out, "exit {}: {line}", error.exit_code());
            }
        }
    }
    out
}

#[test]
fn start_ups_come_out_as_their_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapt");
    let mut wrong = String::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        for case in cases(&fs::read_to_string(&path).unwrap()) {
            count += 1;
            let actual = normalised(&run(&case));
            if actual != case.expected {
                let _ =
                    writeln!(wrong, "=== {}\n--- expected\n{}--- actual\n{actual}", case.law, case.expected);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(count > 30, "only {count} cases were found");
}

#[test]
fn nobody_sees_a_secret() {
    for def in OPTIONS.iter().filter(|def| matches!(def.kind, Kind::Secret | Kind::SecretList)) {
        let key = def.key.unwrap();
        let spellings = [
            Case { args: vec![format!("--{}=hidden\"hidden", def.flag).into()], ..Case::default() },
            Case { args: vec![format!("-{}=hidden", def.flag).into()], ..Case::default() },
            Case { args: vec![format!("-{key}=hidden").into()], ..Case::default() },
            Case { args: vec![format!("--{key}x=hidden").into()], ..Case::default() },
            Case { env: [(def.env.unwrap().to_owned(), "hidden".to_owned())].into(), ..Case::default() },
            Case { toml: format!("{key} = 'hidden'"), ..Case::default() },
            Case { toml: format!("{key} = hidden"), ..Case::default() },
            Case { toml: format!("{key} = 'hidden"), ..Case::default() },
            Case { toml: format!("{key} = {{ a = 'hidden' }}"), ..Case::default() },
        ];
        for case in spellings {
            let shown = format!("{:?}\n{}", run(&case), normalised(&run(&case)));
            assert!(!shown.contains("hidden"), "{}: {shown}", def.flag);
        }
    }
}

#[test]
fn a_later_problem_names_option_source_and_mend() {
    let case = Case { toml: "\nemail_domains = []".to_owned(), ..Case::default() };
    let Ok(Loaded::Configuration(Configuration { sources, .. }, _)) = run(&case) else { panic!() };
    for name in ["email_domains", "email-domain", "--email-domain"] {
        assert_eq!(*sources.of(name), Source::File { path: "/etc/x.cfg".into(), line: 2, column: None });
        let error = problem(&sources, name, "nobody is admitted", "name a domain");
        assert_eq!(error.to_string(), "email-domain: nobody is admitted (/etc/x.cfg line 2); name a domain");
    }
    let error = problem(&Sources::default(), "client_id", "there is none", "give one");
    assert_eq!(error.to_string(), "client-id: there is none (default); give one");
    assert!(!sources.is_set("no-such-option"));
}
