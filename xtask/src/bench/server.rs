//! Servers under test and beside it: started on a CPU of their own, waited for, ended with their whole process group.

use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::http;
use crate::{Outcome, process};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Start-up times are not known better than this.
const POLL: Duration = Duration::from_micros(500);

/// glibc gives back and takes again a few kB of heap with every request that has a large cookie, unless told not to:
/// a quarter of nginx's time, which would flatter everybody else.
pub(crate) const TUNED_HEAP: [(&str, &str); 2] =
    [("MALLOC_TRIM_THRESHOLD_", "67108864"), ("MALLOC_TOP_PAD_", "8388608")];

/// How to start a server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    pub(crate) port: u16,
    /// Asked until it answers with a status below 500; if nothing is to be asked, because it speaks
    /// no plain HTTP, that it takes connections is enough.
    pub(crate) ready: &'static str,
    /// The CPU it is bound to.
    pub(crate) cpu: &'static str,
}

/// A server that runs; it ends with this value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) port: u16,
    /// From the call to the first answer.
    pub(crate) start_up: Duration,
}

impl Server {
    /// Starts the server and waits for its first answer. Its output goes to a file in `work`.
    pub(crate) fn start(&self, work: &Path) -> Outcome<Running> {
        let log = work.join(format!("{}.log", self.name));
        let output = File::options().create(true).append(true).open(&log)?;
        let begin = Instant::now();
        let child = Command::new("taskset")
            .args(["-c", self.cpu])
            .args(&self.command)
            .envs(self.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let mut running = Running { child, port: self.port, start_up: Duration::ZERO };
        loop {
            if let Some(status) = running.child.try_wait()? {
                return Err(format!("{} ended with {status}; see {}", self.name, log.display()).into());
            }
            if self.is_ready() {
                running.start_up = begin.elapsed();
                return Ok(running);
            }
            if begin.elapsed() > START_LIMIT {
                return Err(format!("{} is not ready; see {}", self.name, log.display()).into());
            }
            thread::sleep(POLL);
        }
    }

    fn is_ready(&self) -> bool {
        match self.ready {
            "" => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            path => http::get(self.port, path, "").is_ok_and(|answer| answer.status < 500),
        }
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        drop(process::output(Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null())));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal("-TERM");
        let begin = Instant::now();
        while begin.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.signal("-KILL");
        drop(self.child.wait());
    }
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
