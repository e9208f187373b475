//! The program under test, as a child process.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crate::{
    browser::{Browser, Request},
    echo::Echo,
    provider::{Issued, Provider},
    wait::{eventually, until},
};

/// Flags, environment and files to start with.
#[derive(Debug)]
pub struct Launch {
    program: String,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    folder: Folder,
    /// Where it will listen.
    pub address: SocketAddr,
    issued: Option<Issued>,
    descriptors: Option<u32>,
}

/// A running program that answers `/ping`. Dropping it ends the process, and fails the test if one of the tokens
/// or secrets of its provider stands in its log.
#[derive(Debug)]
pub struct Doorward {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    /// Files of this launch.
    folder: Folder,
    /// What it was started with.
    started: (String, Vec<String>, Vec<(String, String)>),
    pub address: SocketAddr,
    issued: Option<Issued>,
}

/// How a process ended that was not expected to run.
#[derive(Debug)]
pub struct Exit {
    pub code: Option<i32>,
    /// Both output streams.
    pub output: String,
}

impl Launch {
    pub const COOKIE_SECRET: &'static str = "0123456789abcdef0123456789abcdeF";

    /// Nothing but an address. `program` may be replaced with the variable `DOORWARD_BIN`.
    pub fn bare(program: &str) -> Self {
        let program = std::env::var("DOORWARD_BIN").unwrap_or_else(|_| program.to_owned());
        let address = free_address();
        let flags = vec![format!("--http-address={address}")];
        let (environment, folder) = (Vec::new(), Folder::new());
        Self { program, flags, environment, folder, address, issued: None, descriptors: None }
    }

    /// The usual flags: this provider, this application, everybody welcome.
    pub fn new(program: &str, provider: &Provider, echo: &Echo) -> Self {
        let mut launch = Self::bare(program)
            .flag("--provider=oidc")
            .flag(&format!("--oidc-issuer-url={}", provider.issuer()))
            .flag(&format!("--client-id={}", Provider::CLIENT_ID))
            .flag(&format!("--client-secret={}", Provider::CLIENT_SECRET))
            .flag(&format!("--cookie-secret={}", Self::COOKIE_SECRET))
            .flag("--cookie-secure=false")
            .flag("--email-domain=*")
            .flag(&format!("--upstream={}", echo.url()));
        launch.issued = Some(provider.issued());
        launch
    }

    /// Adds a flag. A list option may be given several times.
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    pub fn flags<'a>(self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        flags.into_iter().fold(self, Self::flag)
    }

    /// Takes a flag away again, all of its values.
    pub fn without(mut self, name: &str) -> Self {
        let prefix = format!("--{name}=");
        self.flags.retain(|flag| !flag.starts_with(&prefix));
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file; `{file:NAME}` in a flag stands for its path.
    pub fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path(name), text).unwrap();
        self
    }

    /// As [`Launch::file`], for a secret: nobody else may read it.
    pub fn private_file(self, name: &str, text: &str) -> Self {
        let launch = self.file(name, text);
        fs::set_permissions(launch.folder.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        launch
    }

    /// Where [`Launch::file`] writes: for files that name others.
    pub fn folder(&self) -> String {
        self.folder.path("").display().to_string().trim_end_matches('/').to_owned()
    }

    /// Lets the process have so many open files and no more.
    pub fn descriptors(mut self, number: u32) -> Self {
        self.descriptors = Some(number);
        self
    }

    /// Where a file of the launch is, or will be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    fn command(&self) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(&self.program),
            Some(number) => {
                let mut shell = Command::new("sh");
                let limited = format!("ulimit -n {number} && exec \"$0\" \"$@\"");
                shell.args(["-c", &limited, &self.program]);
                shell
            }
        };
        for flag in &self.flags {
            command.arg(self.folder.fill_in(flag));
        }
        for (name, value) in &self.environment {
            command.env(name, self.folder.fill_in(value));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts and waits for `/ping`.
    #[track_caller]
    pub fn start(self) -> Doorward {
        let mut child = self.command().spawn().expect("the program can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let readers =
            vec![collect(child.stdout.take().unwrap(), &log), collect(child.stderr.take().unwrap(), &log)];
        let filled = |text: &String| self.folder.fill_in(text);
        let flags = self.flags.iter().map(filled).collect();
        let environment =
            self.environment.iter().map(|(name, value)| (name.clone(), filled(value))).collect();
        let Self { program, folder, address, issued, .. } = self;
        let started = (program, flags, environment);
        let mut doorward = Doorward { child, log, readers, folder, started, address, issued };
        let mut browser = doorward.browser();
        eventually("the program answers /ping", || {
            if let Some(status) = doorward.child.try_wait().unwrap() {
                panic!("the program ended at once ({status}):\n{}", doorward.log());
            }
            browser.try_send(Request::get("/ping")).is_ok()
        });
        doorward
    }

    /// Starts, and waits for an answer from another listener than the usual one.
    #[track_caller]
    pub fn start_at(mut self, address: SocketAddr) -> Doorward {
        self.address = address;
        self.start()
    }

    /// Starts and waits for the end, which has to come soon.
    #[track_caller]
    pub fn fail(self) -> Exit {
        let mut child = self.command().spawn().expect("the program can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let readers =
            [collect(child.stdout.take().unwrap(), &log), collect(child.stderr.take().unwrap(), &log)];
        let mut browser = Browser::new(self.address);
        let status = until("the program ends", || {
            if browser.try_send(Request::get("/ping")).is_ok() {
                let _ = child.kill();
                panic!("started with {:?}, and should not have:\n{}", self.flags, log.lock().unwrap());
            }
            child.try_wait().unwrap()
        });
        for reader in readers {
            reader.join().unwrap();
        }
        let output = log.lock().unwrap().clone();
        Exit { code: status.code(), output }
    }
}

impl Doorward {
    /// Runs another command of the program with the same flags and variables, and waits for its end.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Exit {
        let (program, flags, environment) = &self.started;
        let mut command = Command::new(program);
        command.args(words).args(flags).stdin(Stdio::null());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().expect("the program can be started");
        let text = [output.stdout, output.stderr].concat();
        Exit { code: output.status.code(), output: String::from_utf8_lossy(&text).into_owned() }
    }

    /// A browser with an empty cookie jar.
    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser on another loopback address.
    pub fn browser_from(&self, source: &str) -> Browser {
        Browser::from_address(self.address, source)
    }

    /// Everything written to both output streams so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// Where a file of the launch is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// Waits until the configuration has been reloaded so many times since the start.
    #[track_caller]
    pub fn wait_for_reloads(&self, count: usize) {
        eventually(&format!("{count} reloads"), || self.reloads() >= count);
    }

    /// How often the configuration has been reloaded since the start.
    pub fn reloads(&self) -> usize {
        self.log().matches("Configuration reloaded.").count()
    }

    /// Replaces a file of the launch, and waits until the configuration has been reloaded.
    #[track_caller]
    pub fn reload_with(&self, name: &str, text: &str) {
        let before = self.reloads();
        self.rewrite(name, text);
        self.wait_for_reloads(before + 1);
    }

    /// Asks the process to reload its configuration (SIGHUP), and waits until it has done so.
    #[track_caller]
    pub fn reload(&self) {
        let before = self.reloads();
        self.signal("-HUP");
        self.wait_for_reloads(before + 1);
    }

    /// Replaces a file of the launch.
    pub fn rewrite(&self, name: &str, text: &str) {
        fs::write(self.folder.path(name), text).unwrap();
    }

    /// The text of a file of the launch.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path(name)).unwrap()
    }

    /// The most memory that the process has held so far, in bytes (proc(5), `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Asks the process to stop (SIGTERM).
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        until("the program ends", || self.child.try_wait().unwrap())
    }

    /// Stops the process and returns all that it has written: the line of a request may come after its answer.
    #[track_caller]
    pub fn whole_log(&mut self) -> String {
        self.terminate();
        self.ended();
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        self.log()
    }

    /// The process is alive and answers.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the program ended:\n{}", self.log());
        assert_eq!(self.browser().get("/ping").status, 200);
    }
}

impl Drop for Doorward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprint_log(&self.log());
            return;
        }
        let Some(issued) = &self.issued else { return };
        let log = self.log();
        let mut secrets = issued.secrets();
        secrets.push(Launch::COOKIE_SECRET.to_owned());
        for secret in secrets {
            if let Some(line) = log.lines().find(|line| line.contains(&secret)) {
                panic!("the log holds the secret {secret:?}:\n{line}");
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is how a test says why it failed")]
fn eprint_log(log: &str) {
    eprintln!("--- log of the program ---\n{log}--- end of log ---");
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// A free loopback port below those that the system gives to outgoing connections.
///
/// It is tried by connecting, not by listening: a process that another test starts meanwhile would hold the
/// listener for a moment longer, and the server that the port is for could not have it.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = std::process::id() * 53 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + step % 22_000).unwrap_or(10_000);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpStream::connect(address).is_err() {
            return address;
        }
    }
}

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("doorward-it-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn fill_in(&self, text: &str) -> String {
        match text.split_once("{file:").and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
            Some((before, (name, after))) => format!("{before}{}{after}", self.path(name).display()),
            None => text.to_owned(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
