//! The set `gateway`: what routes cost, from one that anybody may take to one that a policy decides about. All of them
//! end at the same application. Each table has its own base; where a store or a policy engine works for a route, its
//! CPU time counts as the route's.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use super::{
    APPLICATION, Contest, Credential, Ground, Logging, Pace, SERVER_CPU, Server, Target, load, nginx,
    tokens::{Store, Tokens},
    words,
};
use crate::{
    Outcome,
    bench::{http, server},
    process,
};

const OPEN: &str = "authenticate: anonymous, authorize: {public: true}, credential: none";
const SIGNED: &str = "authenticate: jwt, credential: passthrough";
const OPAQUE: &str = "authenticate: opaque, credential: none";
const PHANTOM: &str = "authenticate: opaque, credential: {use: internal, audience: bench}";
const DECIDED: &str = "authenticate: opaque, authorize: {policy: bench}, credential: none";
const DECIDED_TWICE: &str =
    "authenticate: opaque, authorize: {all: [{policy: bench}, {policy: again}]}, credential: none";

/// What is sent where nobody has to be known.
const NOBODY: &str = "X-Nothing: -";

/// A route under test.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    name: &'a str,
    route: &'a str,
    policy: Policy,
    store: Store,
}

impl<'a> Case<'a> {
    const fn new(name: &'a str, route: &'a str) -> Self {
        Self { name, route, policy: Policy::None, store: Store::Embedded }
    }
}

/// Who evaluates the policy of a route that has one.
#[derive(Clone, Copy, Debug)]
enum Policy {
    None,
    Embedded,
    /// Open Policy Agent on this port.
    Remote(u16),
}

impl Ground {
    pub(super) fn gateway_contests(&self, seconds: u32) -> Outcome<Vec<Contest>> {
        process::find_program("redis-server").ok_or("gateway: redis-server is not installed")?;
        let tokens = self.issue("gateway")?;
        fs::write(tokens.folder.join("policy.rego"), include_str!("../../../bench/policy.rego"))?;
        let contest = |title: &str, targets| {
            let load = load(APPLICATION, 200, Pace::ClosedLoop, seconds);
            Contest { title: title.to_owned(), load, targets, evaluation: None }
        };
        let decided = contest("policy, 1 kB", self.decided(&tokens)?);
        Ok(vec![
            contest("open to all, 1 kB", self.open(&tokens)?),
            contest("JWT authoriser, 1 kB", self.signed(&tokens)?),
            contest("opaque token outside, JWT inside, 1 kB", self.phantom(&tokens)?),
            Contest { evaluation: Some([0, 1, 2]), ..decided },
        ])
    }

    /// A route beside what does the same without routes.
    fn open(&self, tokens: &Tokens) -> Outcome<Vec<Target>> {
        let mut legacy = self.proxy("upstream of the options", &self.doorward, Logging::Off)?;
        legacy.command.push("--skip-auth-route=^/app$".to_owned());
        let upstream = self.application.port.to_string();
        let http = include_str!("../../../bench/proxy.conf").replace("{upstream}", &upstream);
        let mut servers = vec![
            legacy,
            self.route(Case::new("route", OPEN), tokens)?,
            nginx("nginx without auth", &http, &self.work)?,
        ];
        if let Some(envoy) = &self.envoy {
            servers.push(self.envoy_server(envoy, "Envoy without auth", "")?);
        }
        Ok(servers.into_iter().map(|server| target(server, NOBODY)).collect())
    }

    /// A signed token, verified here and by Envoy, with the same key; both pass it on.
    fn signed(&self, tokens: &Tokens) -> Outcome<Vec<Target>> {
        let mut servers = vec![self.route(Case::new("JWT route", SIGNED), tokens)?];
        if let Some(envoy) = &self.envoy {
            let keys = tokens.file("jwks.json");
            fs::write(&keys, http::get(self.provider.port, "/jwks", "")?.body)?;
            let filter = include_str!("../../../bench/envoy-jwt.yaml").replace("{issuer}", &self.issuer());
            servers.push(self.envoy_server(envoy, "Envoy jwt_authn", &filter.replace("{jwks}", &keys))?);
        }
        // How much of it is the token.
        servers.push(self.route(Case::new("route open to all", OPEN), tokens)?);
        Ok(servers.into_iter().map(|server| target(server, &tokens.signed)).collect())
    }

    /// An opaque token is looked up at each request, and the application gets a signed one.
    fn phantom(&self, tokens: &Tokens) -> Outcome<Vec<Target>> {
        let in_redis = Case { store: Store::Redis, ..Case::new("phantom JWT, Redis", PHANTOM) };
        let in_redis = target(self.route(in_redis, tokens)?, &tokens.opaque_in_redis);
        let embedded = |name, route| -> Outcome<Target> {
            Ok(target(self.route(Case::new(name, route), tokens)?, &tokens.opaque))
        };
        Ok(vec![
            embedded("phantom JWT, embedded", PHANTOM)?,
            Target { helpers: vec![tokens.redis.clone()], ..in_redis },
            embedded("opaque token, nothing inside", OPAQUE)?,
        ])
    }

    /// The same route without and with a policy, evaluated here and elsewhere. What asking twice costs beyond asking once
    /// is an evaluation and nothing else: what is known of the request is written down for the first.
    fn decided(&self, tokens: &Tokens) -> Outcome<Vec<Target>> {
        let target = |case| -> Outcome<Target> { Ok(target(self.route(case, tokens)?, &tokens.opaque)) };
        let mut targets = vec![
            target(Case::new("without policy", OPAQUE))?,
            target(Case { policy: Policy::Embedded, ..Case::new("embedded Rego", DECIDED) })?,
            target(Case {
                policy: Policy::Embedded,
                ..Case::new("embedded Rego, asked twice", DECIDED_TWICE)
            })?,
        ];
        if let Some(program) = process::find_program("opa") {
            let engine = policy_agent(&program, &tokens.file("policy.rego"))?;
            let policy = Policy::Remote(engine.port);
            let remote = target(Case { policy, ..Case::new("remote OPA", DECIDED) })?;
            targets.push(Target { helpers: vec![engine], ..remote });
        }
        Ok(targets)
    }

    /// The program with this route and no other way to the application.
    fn route(&self, case: Case<'_>, tokens: &Tokens) -> Outcome<Server> {
        let mut server = self.with_tokens(case.name, case.store, tokens)?;
        server.command.retain(|flag| !flag.starts_with("--upstream="));
        let text = include_str!("../../../bench/gateway.yaml")
            .replace("{issuer}", &self.issuer())
            .replace("{upstream}", &self.application.port.to_string())
            .replace("{policies}", &policies(case.policy, &tokens.file("policy.rego")))
            .replace("{route}", case.route);
        let mut own = File::options().append(true).open(tokens.file(&format!("{}.yaml", case.name)))?;
        own.write_all(text.as_bytes())?;
        Ok(server)
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.provider.port)
    }
}

fn target(server: Server, header: &str) -> Target {
    Target { credential: Credential::Header(header.to_owned()), server, helpers: Vec::new() }
}

fn policies(policy: Policy, file: &str) -> String {
    let policy = match policy {
        Policy::None => return String::new(),
        Policy::Embedded => format!("{{type: rego, files: [{file:?}], query: data.bench.allow}}"),
        Policy::Remote(port) => {
            format!("{{type: opa, url: \"http://127.0.0.1:{port}/v1/data/bench/allow\"}}")
        }
    };
    // Of one name is asked once a request.
    format!("  policies:\n    bench: {policy}\n    again: {policy}\n")
}

/// Open Policy Agent, silent, with the policy of the embedded engine.
fn policy_agent(program: &Path, policy: &str) -> Outcome<Server> {
    let port = server::free_port()?;
    let address = format!("127.0.0.1:{port}");
    let program = program.to_string_lossy();
    let mut command = words(&[&program, "run", "--server", "--addr", &address, "--log-level", "error"]);
    command.extend(words(&["--skip-version-check", policy]));
    let (environment, ready, cpu) = (Vec::new(), "/health", SERVER_CPU);
    Ok(Server { name: "Open Policy Agent".to_owned(), command, environment, port, ready, cpu })
}
