//! The set `tokens`: what it costs to find out who sends a request, by the kind of credential. Opaque tokens are
//! issued by the program itself, to a user with a password, before anything is measured.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{AUTH, Contest, Credential, Ground, Logging, Pace, SERVER_CPU, Server, Target, load, words};
use crate::{
    Outcome,
    bench::{http, server},
    process,
};

/// jane, whose password is `opensesame`.
const USERS: &str = "jane:$2y$05$uEmwqac.LHqgkNYQ6KsdyOF.Rfz1oPCp.4WGqrjezFlKAZiEqhniy\n";
const PASSWORD: &str = "Authorization: Basic amFuZTpvcGVuc2VzYW1l";
const ISSUE: &str = "/oauth/authorize?client_id=openshift-challenging-client&response_type=token";

/// Where the program keeps its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    Embedded,
    Redis,
}

/// Tokens as headers, and what is needed to run servers that know them.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) folder: PathBuf,
    pub(super) redis: Server,
    pub(super) opaque: String,
    pub(super) opaque_in_redis: String,
    pub(super) signed: String,
}

impl Tokens {
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Ground {
    pub(super) fn token_contests(&self, seconds: u32) -> Outcome<Vec<Contest>> {
        for program in ["ab", "openssl", "redis-server"] {
            process::find_program(program).ok_or_else(|| format!("tokens: {program} is not installed"))?;
        }
        let tokens = self.issue("tokens")?;
        make_certificates(&tokens.folder)?;
        let plain = |name: &str, store, header: &str| -> Outcome<Target> {
            let server = self.with_tokens(name, store, &tokens)?;
            let helpers = if store == Store::Redis { vec![tokens.redis.clone()] } else { Vec::new() };
            Ok(Target { credential: Credential::Header(header.to_owned()), server, helpers })
        };
        let over_tls = |name: &str, credential| -> Outcome<Target> {
            let mut server = self.with_tokens(name, Store::Embedded, &tokens)?;
            let mut own = File::options().append(true).open(tokens.file(&format!("{name}.yaml")))?;
            writeln!(own, "  x509: {{clientCA: {:?}}}", tokens.file("ca.pem"))?;
            server.port = server::free_port()?;
            server.command.push(format!("--https-address=127.0.0.1:{}", server.port));
            server.command.push(format!("--tls-cert-file={}", tokens.file("server.pem")));
            server.command.push(format!("--tls-key-file={}", tokens.file("server.key")));
            // Nothing is served without TLS then.
            server.ready = "";
            Ok(Target { credential, server, helpers: Vec::new() })
        };
        let header_over_tls = |header: &str| Credential::HeaderOverTls(header.to_owned());
        let targets = vec![
            plain("session cookie", Store::Embedded, &self.cookie)?,
            plain("opaque token, embedded", Store::Embedded, &tokens.opaque)?,
            plain("opaque token, Redis", Store::Redis, &tokens.opaque_in_redis)?,
            plain("JWT", Store::Embedded, &tokens.signed)?,
        ];
        let encrypted = vec![
            over_tls("session cookie over TLS", header_over_tls(&self.cookie))?,
            over_tls("opaque token over TLS", header_over_tls(&tokens.opaque))?,
            over_tls("client certificate", Credential::Certificate(tokens.folder.join("client.pem")))?,
        ];
        let contest = |title: &str, targets| {
            let load = load(AUTH, 202, Pace::ClosedLoop, seconds);
            Contest { title: title.to_owned(), load, targets, evaluation: None }
        };
        Ok(vec![contest("credentials", targets), contest("credentials over TLS", encrypted)])
    }

    /// Has one token of each kind issued; what belongs to them is in a folder of that name.
    pub(super) fn issue(&self, folder: &str) -> Outcome<Tokens> {
        let folder = self.work.join(folder);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("users"), USERS)?;
        fs::write(folder.join("seal.key"), "0123456789abcdef0123456789abcdef0123456789abcdef")?;
        fs::set_permissions(folder.join("seal.key"), fs::Permissions::from_mode(0o600))?;
        let mut tokens = Tokens {
            redis: redis(&folder)?,
            opaque: String::new(),
            opaque_in_redis: String::new(),
            signed: signed(self.provider.port)?,
            folder,
        };
        let _redis = tokens.redis.start(&self.work)?;
        let server = self.with_tokens("issuing to Redis", Store::Redis, &tokens)?.start(&self.work)?;
        tokens.opaque_in_redis = issued(server.port)?;
        drop(server);
        let server = self.with_tokens("issuing", Store::Embedded, &tokens)?.start(&self.work)?;
        tokens.opaque = issued(server.port)?;
        Ok(tokens)
    }

    /// The program with its OAuth server. A file of records serves one process, so each has a copy of the first one's.
    pub(super) fn with_tokens(&self, name: &str, store: Store, tokens: &Tokens) -> Outcome<Server> {
        let mut server = self.proxy(name, &self.doorward, Logging::Off)?;
        let place = match store {
            Store::Redis => format!("{{type: redis, url: \"redis://127.0.0.1:{}\"}}", tokens.redis.port),
            Store::Embedded => {
                let own = tokens.file(&format!("{name}.db"));
                let first = tokens.folder.join("issuing.db");
                if first.exists() {
                    fs::copy(first, &own)?;
                }
                format!("{{type: embedded, path: {own:?}}}")
            }
        };
        let text = include_str!("../../../bench/doorward.yaml").replace("{store}", &place);
        let text = text.replace("{folder}", &tokens.folder.to_string_lossy());
        let path = tokens.file(&format!("{name}.yaml"));
        fs::write(&path, text)?;
        let issuer = format!("http://127.0.0.1:{}", self.provider.port);
        server
            .command
            .retain(|flag| !["--oidc-issuer-url=", "--oidc-jwks-url="].iter().any(|of| flag.starts_with(of)));
        server.command.push(format!("--oidc-issuer-url={issuer}"));
        server.command.push(format!("--oidc-jwks-url={issuer}/jwks"));
        server.command.push("--skip-jwt-bearer-tokens".to_owned());
        server.command.push(format!("--doorward-config={path}"));
        Ok(server)
    }
}

/// The token that the program gives to jane, as a header.
fn issued(port: u16) -> Outcome<String> {
    let answer = http::ask(port, "GET", ISSUE, &[PASSWORD, "X-CSRF-Token: 1"])?;
    let location = answer.all("location").next();
    let found = location
        .and_then(|location| location.split(['#', '&']).find_map(|pair| pair.strip_prefix("access_token=")));
    let token = found.ok_or_else(|| format!("no token, but {}: {}", answer.status, answer.body))?;
    Ok(format!("Authorization: Bearer {token}"))
}

/// An ID token of the provider, as a header.
fn signed(port: u16) -> Outcome<String> {
    let agreed = http::get(port, "/auth?redirect_uri=here&state=-&nonce=-", "")?;
    let location = agreed.all("location").next().unwrap_or_default();
    let code = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).ok_or("no code")?;
    let answer = http::ask(port, "POST", &format!("/token?code={code}"), &[])?;
    let tokens: serde_json::Value = serde_json::from_str(&answer.body)?;
    let token = tokens.get("id_token").and_then(serde_json::Value::as_str).ok_or("no ID token")?;
    Ok(format!("Authorization: Bearer {token}"))
}

fn redis(folder: &Path) -> Outcome<Server> {
    let port = server::free_port()?;
    let port_text = port.to_string();
    let folder = folder.to_string_lossy();
    let command = words(&["redis-server", "--bind", "127.0.0.1", "--port", &port_text, "--dir", &folder]);
    let command = [command, words(&["--save", "", "--appendonly", "yes"])].concat();
    let (environment, cpu) = (Vec::new(), SERVER_CPU);
    Ok(Server { name: "redis".to_owned(), command, environment, port, ready: "", cpu })
}

/// An authority, a server and a client, whose certificate and key are one file.
fn make_certificates(folder: &Path) -> Outcome {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        process::output(command.current_dir(folder).args(arguments)).map(drop)
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    let authority = ["req", "-x509", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(&[&authority[..], &key].concat())?;
    let kinds =
        [("server", "/CN=localhost", "serverAuth"), ("client", "/O=developers/CN=jane", "clientAuth")];
    for (name, subject, usage) in kinds {
        let (key_file, file) = (format!("{name}.key"), format!("{name}.pem"));
        let signed = ["req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", subject];
        let usage = format!("extendedKeyUsage={usage}");
        let rest = ["-addext", &usage, "-addext", "basicConstraints=critical,CA:FALSE"];
        openssl(&[&signed[..], &rest, &["-keyout", &key_file, "-out", &file], &key].concat())?;
    }
    let client =
        fs::read_to_string(folder.join("client.pem"))? + &fs::read_to_string(folder.join("client.key"))?;
    fs::write(folder.join("client.pem"), client)?;
    Ok(())
}
