//! What is measured: the programs, their flags and configuration files, a real session, the sets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Contest, Options, Target, http,
    load::{Credential, Load, Pace},
    server::{self, Running, Server, TUNED_HEAP},
};
use crate::{Outcome, process};

mod gateway;
mod tokens;

pub(crate) const NAMES: [&str; 7] = ["auth", "proxy", "chain", "rate", "logs", "tokens", "gateway"];
pub(crate) const SERVER_CPU: &str = "0";
pub(crate) const LOAD_CPU: &str = "1";

const CONNECTIONS: u32 = 32;
const RATE_CONNECTIONS: u32 = 20;
const BODY_BYTES: usize = 1000;

/// With the dot it is no base64url, so it is a key of 32 bytes for every program that reads it.
const COOKIE_SECRET: &str = "0123456789abcdef.123456789abcdef";

/// Headers that each server makes by itself.
const OWN_HEADERS: [&str; 3] = ["connection", "content-length", "date"];

/// Everything that is the same for all contests.
#[derive(Debug)]
pub(crate) struct Ground {
    doorward: PathBuf,
    reference: Option<PathBuf>,
    envoy: Option<PathBuf>,
    parts: PathBuf,
    work: PathBuf,
    /// The application behind the proxies; it runs as long as this value lives, and so does the provider.
    application: Running,
    provider: Running,
    /// The session, as a header.
    cookie: String,
    /// Headers of doorward's answer to the session, for the bare server to repeat.
    headers: Vec<String>,
}

/// Whether the program writes log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logging {
    Off,
    Default,
}

impl Ground {
    /// Builds what is to be measured, starts the application, logs in.
    pub(crate) fn prepare(options: &Options, work: &Path) -> Outcome<Self> {
        let profile = options.profile.as_str();
        let build = |arguments: &[&str]| {
            let arguments = [&["build", "--profile", profile], arguments].concat();
            process::run(&mut process::cargo(&arguments))
        };
        build(&["--package", "xtask", "--features", "bench", "--bin", "bench-parts"])?;
        let folder = process::root().join("target").join(if profile == "dev" { "debug" } else { profile });
        let doorward = if let Some(bin) = &options.bin {
            bin.clone()
        } else {
            build(&["--package", "doorward"])?;
            folder.join("doorward")
        };
        let mut ground = Self {
            doorward,
            reference: options.reference.clone(),
            envoy: process::find_program("envoy"),
            work: work.to_path_buf(),
            application: application(work)?.start(work)?,
            provider: provider(&folder.join("bench-parts"))?.start(work)?,
            parts: folder.join("bench-parts"),
            cookie: String::new(),
            headers: Vec::new(),
        };
        ground.log_in()?;
        Ok(ground)
    }

    /// A session as a browser gets it, and the answer that it earns.
    fn log_in(&mut self) -> Outcome {
        let mut proxy = self.proxy("login", &self.doorward, Logging::Default)?;
        proxy.command.retain(|flag| !is_provider_flag(flag));
        proxy.command.push(format!("--oidc-issuer-url=http://127.0.0.1:{}", self.provider.port));
        proxy.command.push("--skip-provider-button".to_owned());
        let proxy = proxy.start(&self.work)?;
        self.cookie = format!("Cookie: {}", http::log_in(proxy.port)?);
        let answer = http::get(proxy.port, "/oauth2/auth", &self.cookie)?;
        if answer.status != 202 {
            return Err(format!("the session gave {}, not 202", answer.status).into());
        }
        let wanted = |name: &str| !OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
        let headers = answer.headers.iter().filter(|(name, _)| wanted(name));
        self.headers = headers.map(|(name, value)| format!("{name}: {value}")).collect();
        Ok(())
    }

    pub(crate) fn contests(&self, set: &str, seconds: u32) -> Outcome<Vec<Contest>> {
        let closed = |title: &str, path, expect, targets| {
            let load = load(path, expect, Pace::ClosedLoop, seconds);
            Contest { title: title.to_owned(), load, targets, evaluation: None }
        };
        let fixed = |title: &str, path, expect, rate, targets| {
            let load = load(path, expect, Pace::Fixed(rate), seconds);
            let load = Load { connections: RATE_CONNECTIONS, ..load };
            Contest { title: title.to_owned(), load, targets, evaluation: None }
        };
        Ok(match set {
            "auth" => vec![closed("/oauth2/auth, logging off", AUTH, 202, self.judges(Logging::Off)?)],
            "logs" => {
                vec![closed("/oauth2/auth, default logging", AUTH, 202, self.judges(Logging::Default)?)]
            }
            "proxy" => vec![closed("proxy, 1 kB", APPLICATION, 200, self.proxies()?)],
            "chain" => vec![closed("nginx with auth_request, CPU of both", APPLICATION, 200, self.chains()?)],
            "rate" => vec![
                fixed("/oauth2/auth at 2,000 requests/s", AUTH, 202, 2000, self.judges(Logging::Off)?),
                fixed("proxy, 1 kB, at 1,000 requests/s", APPLICATION, 200, 1000, self.proxies()?),
            ],
            "tokens" => self.token_contests(seconds)?,
            "gateway" => self.gateway_contests(seconds)?,
            _ => return Err(format!("no set is named {set}").into()),
        })
    }

    /// With the session.
    fn target(&self, server: Server, helpers: Vec<Server>) -> Target {
        Target { credential: Credential::Header(self.cookie.clone()), server, helpers }
    }

    /// Programs that answer whether a session is good, and one that always says yes.
    fn judges(&self, logging: Logging) -> Outcome<Vec<Target>> {
        let mut servers = self.rivals(logging)?;
        let port = server::free_port()?;
        let command =
            [words(&[&self.parts.to_string_lossy(), "floor", &port.to_string()]), self.headers.clone()]
                .concat();
        let (environment, ready, cpu) = (Vec::new(), "/ping", SERVER_CPU);
        servers.push(Server { name: "bare hyper".to_owned(), command, environment, port, ready, cpu });
        Ok(servers.into_iter().map(|server| self.target(server, Vec::new())).collect())
    }

    /// Programs that let good sessions through to the application, and proxies that ask nobody.
    fn proxies(&self) -> Outcome<Vec<Target>> {
        let mut servers = self.rivals(Logging::Off)?;
        let http = include_str!("../../bench/proxy.conf");
        let http = http.replace("{upstream}", &self.application.port.to_string());
        servers.push(nginx("nginx without auth", &http, &self.work)?);
        if let Some(envoy) = &self.envoy {
            servers.push(self.envoy_server(envoy, "Envoy without auth", "")?);
        }
        Ok(servers.into_iter().map(|server| self.target(server, Vec::new())).collect())
    }

    /// nginx asking each of the programs.
    fn chains(&self) -> Outcome<Vec<Target>> {
        let chain = |judge: Server| {
            let http = include_str!("../../bench/chain.conf");
            let http = http.replace("{upstream}", &self.application.port.to_string());
            let http = http.replace("{judge}", &judge.port.to_string());
            let server = nginx(&format!("nginx + {}", judge.name), &http, &self.work)?;
            Ok(self.target(Server { ready: "/ping", ..server }, vec![judge]))
        };
        self.rivals(Logging::Off)?.into_iter().map(chain).collect()
    }

    fn rivals(&self, logging: Logging) -> Outcome<Vec<Server>> {
        let mut servers = vec![self.proxy("doorward", &self.doorward, logging)?];
        if let Some(reference) = &self.reference {
            servers.push(self.proxy("reference", reference, logging)?);
        }
        Ok(servers)
    }

    /// A program that takes oauth2-proxy's flags. The provider's addresses lead nowhere: nobody logs in under load.
    fn proxy(&self, name: &str, program: &Path, logging: Logging) -> Outcome<Server> {
        let port = server::free_port()?;
        let program = program.to_string_lossy();
        let mut command = words(&[
            &program,
            "--provider=oidc",
            "--skip-oidc-discovery",
            "--oidc-issuer-url=http://127.0.0.1:1",
            "--login-url=http://127.0.0.1:1/auth",
            "--redeem-url=http://127.0.0.1:1/token",
            "--oidc-jwks-url=http://127.0.0.1:1/jwks",
            "--client-id=bench",
            "--client-secret=bench-secret",
            "--cookie-secure=false",
            "--email-domain=*",
            "--set-xauthrequest",
        ]);
        command.push(format!("--http-address=127.0.0.1:{port}"));
        command.push(format!("--cookie-secret={COOKIE_SECRET}"));
        command.push(format!("--redirect-url=http://127.0.0.1:{port}/oauth2/callback"));
        command.push(format!("--upstream=http://127.0.0.1:{}/", self.application.port));
        if logging == Logging::Off {
            command.extend(["request", "auth", "standard"].map(|stream| format!("--{stream}-logging=false")));
        }
        let (environment, ready, cpu) = (Vec::new(), "/ping", SERVER_CPU);
        Ok(Server { name: name.to_owned(), command, environment, port, ready, cpu })
    }

    /// Envoy with this filter, if any, before its router.
    fn envoy_server(&self, envoy: &Path, name: &str, filter: &str) -> Outcome<Server> {
        let port = server::free_port()?;
        let path = self.work.join(format!("{name}.yaml"));
        let text = include_str!("../../bench/envoy.yaml").replace("{filter}", filter);
        let text = text.replace("{port}", &port.to_string());
        fs::write(&path, text.replace("{upstream}", &self.application.port.to_string()))?;
        let command = words(&[
            &envoy.to_string_lossy(),
            "--config-path",
            &path.to_string_lossy(),
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "--log-level",
            "error",
        ]);
        let (environment, ready, cpu) = (Vec::new(), "/", SERVER_CPU);
        Ok(Server { name: name.to_owned(), command, environment, port, ready, cpu })
    }
}

fn load(path: &'static str, expect: u16, pace: Pace, seconds: u32) -> Load {
    Load { path, expect, pace, connections: CONNECTIONS, seconds, cpu: LOAD_CPU }
}

const AUTH: &str = "/oauth2/auth";
const APPLICATION: &str = "/app";

/// Flags that say where the provider is; with discovery only its issuer is given.
fn is_provider_flag(flag: &str) -> bool {
    ["--skip-oidc-discovery", "--oidc-issuer-url=", "--login-url=", "--redeem-url=", "--oidc-jwks-url="]
        .iter()
        .any(|start| flag.starts_with(start))
}

fn provider(parts: &Path) -> Outcome<Server> {
    let port = server::free_port()?;
    let command = words(&[&parts.to_string_lossy(), "provider", &port.to_string()]);
    let name = "provider".to_owned();
    Ok(Server { name, command, environment: Vec::new(), port, ready: "/jwks", cpu: LOAD_CPU })
}

/// The application: nginx with a constant answer, on the CPU of the load.
fn application(work: &Path) -> Outcome<Server> {
    let http = include_str!("../../bench/application.conf").replace("{body}", &"x".repeat(BODY_BYTES));
    Ok(Server { cpu: LOAD_CPU, ..nginx("application", &http, work)? })
}

/// nginx with one worker, no logs, unlimited keep-alive and a heap that stays.
fn nginx(name: &str, http: &str, work: &Path) -> Outcome<Server> {
    let port = server::free_port()?;
    let file = name.replace(' ', "-");
    let text = include_str!("../../bench/common.conf").replace("{http}", http);
    let text = text.replace("{port}", &port.to_string()).replace("{name}", &file);
    let path = work.join(format!("{file}.conf"));
    fs::write(&path, text.replace("{work}", &work.to_string_lossy()))?;
    let program = process::find_program("nginx").ok_or("nginx is not installed")?;
    let command = words(&[&program.to_string_lossy(), "-c", &path.to_string_lossy()]);
    let environment = TUNED_HEAP.to_vec();
    Ok(Server { name: name.to_owned(), command, environment, port, ready: "/", cpu: SERVER_CPU })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
