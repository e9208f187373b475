//! Several instances as `docs/several-instances.md` has them: `HAProxy` in front, Redis with a sentinel behind, and load
//! while the master dies, then an instance, then the store. No session is lost, and nobody gets in who should not.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use doorward_testkit::{
    Answer, Browser, Doorward, Echo, Launch, Redis, Request, Security, Watched, eventually, person,
};

use crate::docs::{block, fill};
use crate::doorward::binary;
use crate::process::{Leashed, Program, find_program, free_port, scratch};

const PAGE: &str = "../several-instances.md";
const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// Instances of one configuration behind `HAProxy`.
struct Deployment {
    instances: Vec<Doorward>,
    door: SocketAddr,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    _haproxy: Leashed,
    _app: Echo,
}

/// What somebody shows.
enum Credential {
    Session(Browser),
    Token(String),
}

impl Deployment {
    /// `yaml` says where the store is; `HERE` stands for the folder, and `DOOR` for the address of `HAProxy`.
    fn start(count: usize, yaml: &str, environment: &[(&'static str, &str)]) -> Self {
        let (folder, app) = (scratch("several"), Echo::start());
        let door = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let here = folder.display().to_string();
        let yaml = yaml.replace("HERE", &here).replace("DOOR", &format!("http://{door}"));
        fs::write(folder.join("doorward.yaml"), yaml).expect("the folder is writable");
        private(&folder.join("seal.key"), &"k".repeat(40));
        let config = format!("--doorward-config={here}/doorward.yaml");
        let instances: Vec<Doorward> = (0..count)
            .map(|_| {
                let launch = Launch::bare(PROGRAM).flag(&config).flag(&format!("--upstream={}", app.url()));
                let launch = launch.flag(&format!("--redirect-url=http://{door}/oauth2/callback"));
                environment.iter().fold(launch, |launch, (name, value)| launch.variable(name, value)).start()
            })
            .collect();
        let haproxy = haproxy(&folder, door, &instances);
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let deployment = Self { instances, door, folder, environment, _haproxy: haproxy, _app: app };
        eventually("HAProxy answers", || {
            Browser::new(door).try_send(Request::get("/ping")).is_ok_and(|answer| answer.status == 200)
        });
        deployment
    }

    /// Runs a command on the records, and gives what it says.
    fn command(&self, words: &[&str]) -> String {
        let config = format!("--doorward-config={}/doorward.yaml", self.folder.display());
        let mut command = Command::new(binary());
        command.args(words).arg(config).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the program starts");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{words:?}: {text}");
        text
    }

    /// A new user; the password.
    fn user(&self, name: &str) -> String {
        let said = self.command(&["user", "add", name]);
        let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix("password "));
        line.unwrap_or_else(|| panic!("no password in {said}")).trim().to_owned()
    }

    /// A person who signs in, in whatever order `HAProxy` has the instances answer.
    fn session(&self, user: &str, password: &str) -> Credential {
        let mut browser = Browser::new(self.door);
        let answer = person::sign_in(&mut browser, user, password);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.echoed().first("x-forwarded-user"), user);
        Credential::Session(browser)
    }

    fn token(&self, user: &str, password: &str) -> Credential {
        let target = "/oauth/authorize?response_type=token&client_id=openshift-challenging-client";
        let request = Request::get(target).header("X-CSRF-Token", "1").basic(user, password);
        let answer = Browser::new(self.door).send(request);
        let (_, after) = answer.location().split_once("access_token=").expect("a token");
        Credential::Token(after.split('&').next().expect("a value").replace("%7E", "~"))
    }

    /// What each instance says to a credential.
    fn statuses(&self, credential: &Credential) -> Vec<u16> {
        let ask = |one: &Doorward| credential.ask(one.address, self.door).expect("an answer").status;
        self.instances.iter().map(ask).collect()
    }

    fn all_say(&self, credential: &Credential, status: u16) -> bool {
        self.statuses(credential).iter().all(|one| *one == status)
    }

    fn revoke_at(&self, instance: usize, credential: &Credential) {
        let Credential::Token(token) = credential else { panic!("no token") };
        let form = [("token", token.as_str()), ("client_id", "openshift-challenging-client")];
        assert_eq!(
            self.instances[instance].browser().send(Request::form("/oauth/revoke", &form)).status,
            200
        );
    }
}

impl Credential {
    /// Asks for a page of the application, at `HAProxy` or past it.
    fn ask(&self, at: SocketAddr, door: SocketAddr) -> io::Result<Answer> {
        self.send(Request::get("/page"), at, door)
    }

    fn send(&self, request: Request, at: SocketAddr, door: SocketAddr) -> io::Result<Answer> {
        let request = request.header("Host", &door.to_string());
        let request = match self {
            Self::Session(browser) => {
                request.header("Accept", "text/html").header("Cookie", &browser.cookie_header())
            }
            Self::Token(token) => request.header("Authorization", &format!("Bearer {token}")),
        };
        Browser::new(at).try_send(request)
    }
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).expect("the folder is writable");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the mode can be set");
}

/// The page's `HAProxy`. It has as many servers as the page names; those that are not there are down.
fn haproxy(folder: &Path, door: SocketAddr, instances: &[Doorward]) -> Leashed {
    let address = |index: usize| match instances.get(index) {
        Some(instance) => instance.address.to_string(),
        None => "127.0.0.1:1".to_owned(),
    };
    let text = fill(
        &block(PAGE, "haproxy"),
        &[
            (":443 ssl crt /etc/haproxy/example.com.pem", &door.to_string()),
            ("X-Forwarded-Proto https", "X-Forwarded-Proto http"),
            ("10.0.0.11:4180", &address(0)),
            ("10.0.0.12:4180", &address(1)),
            ("10.0.0.13:4180", &address(2)),
        ],
    );
    let path = folder.join("haproxy.cfg");
    fs::write(&path, text).expect("the folder is writable");
    let program = find_program(&["haproxy"]);
    Program::new([program.as_str(), "-db", "-f", &path.display().to_string()]).start("haproxy")
}

/// What came of a load.
#[derive(Default)]
struct Tally {
    let_in: AtomicUsize,
    failed: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    /// From now on nobody may be let in.
    closed: AtomicBool,
    over: AtomicBool,
}

/// Ends the load also when a test fails.
struct Ending<'a>(&'a Tally);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

impl Tally {
    /// Asks again and again. Who is `kept` is let in or told to wait, and never sent away; who is not is never let in.
    fn load(&self, door: SocketAddr, kept: &[Credential], gone: &[Credential]) {
        let all = || kept.iter().map(|one| (one, true)).chain(gone.iter().map(|one| (one, false)));
        while !self.over.load(Ordering::SeqCst) {
            for (credential, is_kept) in all() {
                let closed = self.closed.load(Ordering::SeqCst);
                match credential.ask(door, door).map(|answer| answer.status) {
                    Ok(200) if is_kept && !closed => self.let_in.fetch_add(1, Ordering::SeqCst),
                    Ok(500..=599) | Err(_) => self.failed.fetch_add(1, Ordering::SeqCst),
                    Ok(302 | 401) if !is_kept => 0,
                    Ok(status) => {
                        let what = format!("{status}, kept: {is_kept}, closed: {closed}");
                        self.wrong.lock().expect("no panic").push(what);
                        0
                    }
                };
            }
        }
    }

    fn let_in(&self) -> usize {
        self.let_in.load(Ordering::SeqCst)
    }

    /// Waits until more are let in.
    fn goes_on(&self) {
        let before = self.let_in();
        eventually("people are let in", || self.let_in() > before + 30);
    }

    fn assert_right(&self) {
        let wrong = self.wrong.lock().expect("no panic");
        assert!(wrong.is_empty(), "{} wrong answers, such as {:?}", wrong.len(), wrong.first());
    }
}

/// Waits until the replica has everything.
fn replicated(watched: &Watched) {
    let [master, _] = &watched.servers;
    eventually("the replica has everything", || {
        let info = master.cli(&["-a", Watched::PASSWORD, "info", "replication"]);
        let of_master = info.lines().find_map(|line| line.trim().strip_prefix("master_repl_offset:"));
        of_master.is_some_and(|offset| info.contains(&format!("offset={offset},")))
    });
}

#[test]
fn b13_b21_three_instances_lose_no_session_and_let_nobody_in_while_the_master_and_one_of_them_die() {
    let mut watched = Watched::start(Security::Plain);
    let yaml = fill(
        &block(PAGE, "yaml"),
        &[
            ("https://auth.example.com", "DOOR"),
            ("/etc/doorward", "HERE"),
            ("mymaster", Watched::NAME),
            ("sentinel.example.com:26379", &watched.sentinel.place()),
            ("10.0.0.5", "127.0.0.1"),
        ],
    );
    let passwords =
        [("REDIS_PASSWORD", Watched::PASSWORD), ("SENTINEL_PASSWORD", Watched::SENTINEL_PASSWORD)];
    let mut deployment = Deployment::start(3, &yaml, &passwords);
    let (alice, bob) = (deployment.user("alice"), deployment.user("bob"));
    let mut kept: Vec<Credential> = (0..3).map(|_| deployment.session("alice", &alice)).collect();
    kept.push(deployment.token("alice", &alice));
    for credential in &kept {
        assert!(deployment.all_say(credential, 200));
    }

    // What one instance takes back, the others refuse at the next request.
    let revoked = deployment.token("alice", &alice);
    assert!(deployment.all_say(&revoked, 200));
    deployment.revoke_at(0, &revoked);
    assert_eq!(deployment.statuses(&revoked), [401; 3]);
    let signed_out = deployment.session("alice", &alice);
    let second = deployment.instances[1].address;
    assert!(signed_out.send(Request::get("/oauth2/sign_out"), second, deployment.door).is_ok());
    assert_eq!(deployment.statuses(&signed_out), [302; 3]);
    let disabled = deployment.token("bob", &bob);
    assert!(deployment.all_say(&disabled, 200));
    deployment.command(&["user", "disable", "bob"]);
    assert_eq!(deployment.statuses(&disabled), [401; 3]);

    let (gone, late) = ([revoked, signed_out, disabled], deployment.token("alice", &alice));
    replicated(&watched);
    let (tally, door) = (Tally::default(), deployment.door);
    thread::scope(|scope| {
        let _ending = Ending(&tally);
        for _ in 0..3 {
            scope.spawn(|| tally.load(door, &kept, &gone));
        }
        tally.goes_on();
        watched.kill_master();
        eventually("all instances have found the other master", || {
            kept.iter().all(|credential| deployment.all_say(credential, 200))
        });
        tally.goes_on();
        assert!(deployment.all_say(&late, 200));
        deployment.revoke_at(2, &late);
        assert_eq!(deployment.statuses(&late), [401; 3]);
        drop(deployment.instances.pop());
        tally.goes_on();
    });
    tally.assert_right();
    for credential in &kept {
        assert!(deployment.all_say(credential, 200));
    }
    for credential in gone.iter().chain([&late]) {
        assert!(deployment.statuses(credential).iter().all(|status| matches!(status, 302 | 401)));
    }
}

#[test]
fn b42_without_their_store_two_instances_let_nobody_in_and_go_on_when_it_is_back() {
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let yaml = format!(
        "authServer:\n  issuer: DOOR\n  secretKeyFile: HERE/seal.key\n  store: {{type: redis, url: '{url}'}}\n\
         sessions: {{session_store_type: redis, redis_connection_url: '{url}'}}\n\
         proxies: {{reverse_proxy: true, trusted_proxy_ips: [127.0.0.1]}}\n",
        url = redis.url()
    );
    let deployment = Deployment::start(2, &yaml, &[]);
    let alice = deployment.user("alice");
    let session = deployment.session("alice", &alice);
    let token = deployment.token("alice", &alice);
    let revoked = deployment.token("alice", &alice);
    deployment.revoke_at(0, &revoked);
    let (kept, gone) = ([session, token], [revoked]);
    let (tally, door) = (Tally::default(), deployment.door);
    thread::scope(|scope| {
        let _ending = Ending(&tally);
        for _ in 0..3 {
            scope.spawn(|| tally.load(door, &kept, &gone));
        }
        tally.goes_on();
        redis.stop();
        tally.closed.store(true, Ordering::SeqCst);
        let [session, token] = &kept;
        assert_eq!(deployment.statuses(token), [503; 2]);
        assert_eq!(deployment.statuses(&gone[0]), [503; 2]);
        assert_eq!(deployment.statuses(session), [500; 2], "as oauth2-proxy answers");
        let failed = tally.failed.load(Ordering::SeqCst);
        eventually("many ask in vain", || tally.failed.load(Ordering::SeqCst) > failed + 30);
        tally.closed.store(false, Ordering::SeqCst);
        redis.start_again();
        eventually("both have their store back", || kept.iter().all(|one| deployment.all_say(one, 200)));
        tally.goes_on();
    });
    tally.assert_right();
    assert_eq!(deployment.statuses(&gone[0]), [401; 2]);
}
