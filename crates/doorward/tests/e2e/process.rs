//! Child processes that never outlive the test run, however it ends.
//! Each child runs under a small shell that holds one end of a pipe; when the pipe closes, by `Drop` or because
//! the test process is gone, the shell ends the child and everything in its process group.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// How long a condition may take to come true before a test gives up. Never a promise of speed.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

const LEASH: &str = r#"
exec 3<&0
"$@" 3<&- </dev/null &
child=$!
{ cat <&3; kill -TERM "$child"; sleep 20; kill -KILL "$child"; } >/dev/null 2>&1 &
exec 3<&-
wait "$child"
code=$?
trap '' TERM
kill -TERM 0
exit "$code"
"#;

/// A running child. Dropping it ends the child, waits for that, and shows its log if the test is failing.
pub(crate) struct Leashed {
    name: String,
    shell: Child,
    log: PathBuf,
}

/// What to run: program, arguments, and variables added to the environment.
#[derive(Clone, Default)]
pub(crate) struct Program {
    pub(crate) words: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

impl Program {
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), environment: Vec::new() }
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts the program with its output in a log file of its own. Settings of doorward in the environment of
    /// whoever runs the tests are kept away from it.
    pub(crate) fn start(&self, name: &str) -> Leashed {
        let log = scratch(name).join("log");
        let output = File::create(&log).expect("the log file can be made");
        let mut command = Command::new("sh");
        command.args(["-c", LEASH, "leash"]).args(&self.words);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("OAUTH2_PROXY_") {
                command.env_remove(variable);
            }
        }
        let shell = command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a second handle on the log"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .expect("sh starts");
        Leashed { name: name.to_owned(), shell, log }
    }
}

impl Leashed {
    /// Everything the child has written so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log is readable")).into_owned()
    }

    /// Panics with the log when the child has ended although it should run.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.shell.try_wait().expect("the child can be asked") {
            panic!("{} ended: {status}\n{}", self.name, self.log());
        }
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n");
            eprintln!("--- end of the log of {} ({})\n{tail}\n---", self.name, self.log.display());
        }
    }
}

/// A fresh folder for one thing's files, under cargo's target folder. Those of earlier runs are removed.
pub(crate) fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        remove_earlier_runs(&all);
    }
    let folder = all.join(format!("{}/{number:03}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Each run has a folder named by its process id; another run may be under way.
fn remove_earlier_runs(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The first path of a program, or a failure that says how to get it. Daemons live in `/usr/sbin`.
pub(crate) fn find_program(names: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(OsStr::new(&format!("{path}:/usr/sbin:/sbin"))).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{} is missing: run scripts/parts install", names.join(" or ")))
        .to_string_lossy()
        .into_owned()
}

/// A port on 127.0.0.1 that is free and handed out once. Below the ephemeral range, so that no outgoing
/// connection takes it meanwhile. Tried by connecting: a listener of ours could live on for a moment in a process
/// that is being started elsewhere.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 500).expect("below 500") * 20;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
}

/// Polls until `attempt` yields a value. The only way tests wait.
pub(crate) async fn until<T>(what: &str, attempt: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, attempt).await
}

/// [`until`] for what may take longer than usual.
pub(crate) async fn within<T>(limit: Duration, what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(limit, poll).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}
