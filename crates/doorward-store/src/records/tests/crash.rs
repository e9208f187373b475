//! Processes that are killed while they write, and a disk that is full: whatever was answered is there afterwards, and
//! nothing is there by half.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::*;

const WORKERS: usize = 4;
const LATER: Timestamp = at(NOW.seconds + 1);
/// Names the file for a process that is to write.
const FILE: &str = "DOORWARD_TEST_RECORDS";

/// The last number that was answered to each worker.
type Answered = BTreeMap<usize, u64>;

/// Writes number after number, each time to several places together, until it is told to stop.
///
/// It goes on after errors: what was answered is still there then, and what was not is there wholly or not at all.
async fn work(records: &Records, worker: usize, report: impl Fn(Event) -> ControlFlow<()>) {
    let mut number = reached(records, worker).await.expect("it was opened a moment ago");
    let mut go_on = ControlFlow::Continue(());
    while go_on.is_continue() {
        let next = number + 1;
        go_on = match records.commit(step(worker, number), NOW).await {
            Ok(Committed::Done) => {
                number = next;
                report(Event::Answered(worker, number))
            }
            Ok(Committed::Conflict) => panic!("nobody else writes here"),
            Err(_) => {
                let _ = report(Event::Failed);
                let known = reached_at_last(records, worker).await;
                assert!(known == number || known == next, "{number} was answered, but {known} is there");
                number = known;
                report(Event::Read)
            }
        };
    }
}

enum Event {
    Answered(usize, u64),
    Failed,
    /// Reading succeeded after a failure.
    Read,
}

/// From `number` to the next one: counted twice, one entry of a log more and one less, and something that has expired.
fn step(worker: usize, number: u64) -> Transaction {
    let next = number + 1;
    let before = number.to_string();
    let (one, two) = (format!("{worker}/one"), format!("{worker}/two"));
    let condition = match number {
        0 => Transaction::new().if_absent(&one),
        _ => Transaction::new().if_same(&one, before.as_bytes()).if_same(&two, before.as_bytes()),
    };
    let changes = condition.put(&one, next.to_string().into(), None).put(&two, next.to_string().into(), None);
    let changes = changes.put(&entry(worker, next), contents(next), Some(LATER));
    let changes = changes.put(&format!("{worker}/short/{next}"), b"v".into(), Some(at(1)));
    match number.checked_sub(2) {
        Some(old) => changes.delete(&entry(worker, old)),
        None => changes,
    }
}

fn entry(worker: usize, number: u64) -> String {
    format!("{worker}/log/{number:09}")
}

/// Sizes differ, so that the file grows and is used anew.
fn contents(number: u64) -> Vec<u8> {
    let length = number * 7919 % 9000;
    number.to_string().bytes().cycle().take(usize::try_from(length).unwrap()).collect()
}

/// How far a worker has come; checks that this is told by all places alike.
async fn reached(records: &Records, worker: usize) -> Result<u64, StoreError> {
    let (one, two) = (format!("{worker}/one"), format!("{worker}/two"));
    let found = records.get_many(&[&one, &two], NOW).await?;
    assert_eq!(found[0], found[1], "half a commit");
    let Some(number) = &found[0] else { return Ok(0) };
    Ok(str::from_utf8(number).unwrap().parse().unwrap())
}

async fn reached_at_last(records: &Records, worker: usize) -> u64 {
    loop {
        match reached(records, worker).await {
            Ok(number) => return number,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

/// Everything is as the last answers say, or one further for each process that could not say so any more.
async fn check(records: &Records, answered: &Answered, killed: u64) {
    for worker in 0..WORKERS {
        let number = reached_at_last(records, worker).await;
        let known = answered.get(&worker).copied().unwrap_or(0);
        assert!((known..=known + killed).contains(&number), "{known} was answered, but {number} is there");
        let log: Vec<_> = (number.saturating_sub(2).max(1)..=number)
            .map(|number| (entry(worker, number), contents(number)))
            .collect();
        assert_eq!(records.list(&format!("{worker}/log/"), NOW).await.unwrap(), log);
        assert_eq!(names(records, &format!("{worker}/short/"), at(0)).await, Vec::<String>::new());
    }
}

/// Not a test of its own: the process that others kill. Writes until then, and says what was answered.
#[test]
fn a_process_that_writes() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let records = match Records::open(RecordsConfig::Embedded { path: path.into() }).await {
            Ok(records) => Arc::new(records),
            Err(error) => return say(&format!("refused {error}")),
        };
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let records = Arc::clone(&records);
            workers.spawn(async move {
                work(&records, worker, |event| {
                    match event {
                        Event::Answered(worker, number) => say(&format!("answered {worker} {number}")),
                        Event::Failed => say("failed"),
                        Event::Read => say("read"),
                    }
                    ControlFlow::Continue(())
                })
                .await;
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
    });
}

/// Writes a line to standard output in one go.
fn say(line: &str) {
    std::io::stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
}

/// Such a process. It ends with this.
struct Writing {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Writing {
    fn to(folder: &Folder) -> Self {
        // What is too large for it is to be an error, not its end.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "records::tests::crash::a_process_that_writes", "--nocapture"]);
        command.env(FILE, folder.path("records.db")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    /// The next line, or none after the end.
    fn line(&mut self, answered: &mut Answered) -> Option<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some((worker, number)) =
            line.strip_prefix("answered ").and_then(|rest| rest.trim().split_once(' '))
        {
            answered.insert(worker.parse().unwrap(), number.parse().unwrap());
        }
        Some(line)
    }

    /// Reads on until a line begins with `start`, `times` times.
    fn until(&mut self, start: &str, times: usize, answered: &mut Answered) {
        let mut left = times;
        while left > 0 {
            let line = self.line(answered).expect("it goes on");
            assert!(!line.starts_with("refused"), "{line}");
            left -= usize::from(line.starts_with(start));
        }
    }

    /// Kills it, and reads what it still said.
    fn kill(mut self, answered: &mut Answered) {
        self.process.kill().unwrap();
        while self.line(answered).is_some() {}
        self.process.wait().unwrap();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn what_a_killed_process_was_answered_is_in_the_file() {
    let (folder, mut answered) = (Folder::new(), Answered::new());
    for answers in [1, 2, 10, 50, 300, 5, 100] {
        let mut writing = Writing::to(&folder);
        writing.until("answered", answers, &mut answered);
        writing.kill(&mut answered);
        // Another one is killed while it mends the file.
        Writing::to(&folder).kill(&mut answered);
        check(&open(&folder.config()).await, &answered, 2).await;
    }
    assert_eq!(answered.len(), WORKERS);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_ends_by_itself() {
    let (folder, mut answered) = (Folder::new(), Answered::new());
    let mut writing = Writing::to(&folder);
    writing.until("answered", 1, &mut answered);
    let pid = Pid::from_child(&writing.process);
    let size = fs::metadata(folder.path("records.db")).unwrap().len();
    for _ in 0..2 {
        let limit = Rlimit { current: Some(size), maximum: None };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
        writing.until("failed", WORKERS, &mut answered);
        // What is there can be read although nothing can be written.
        writing.until("read", WORKERS, &mut answered);
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
        writing.until("answered", 10 * WORKERS, &mut answered);
    }
    writing.kill(&mut answered);
    check(&open(&folder.config()).await, &answered, 1).await;
}

#[tokio::test]
async fn a_file_serves_one_process() {
    let (folder, mut answered) = (Folder::new(), Answered::new());
    let records = open(&folder.config()).await;
    let mut other = Writing::to(&folder);
    let refusal = loop {
        let line = other.line(&mut answered).unwrap();
        if line.starts_with("refused") {
            break line;
        }
    };
    assert!(refusal.contains("records.db") && refusal.contains("stop that one"), "{refusal}");
    done(&records, put("a", "1"), NOW).await;
    drop(records);
    other = Writing::to(&folder);
    other.until("answered", 1, &mut answered);
    let refusal = Records::open(folder.config()).await.unwrap_err().to_string();
    assert!(refusal.contains("records.db") && refusal.contains("stop that one"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_redis_answered_is_there_again() {
    let mut redis = Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let records = Arc::new(open(&single(&redis)).await);
    let state = Arc::new((Mutex::new(Answered::new()), AtomicU32::new(0)));
    let (count, enough) = (|| state.1.load(Ordering::SeqCst), u32::MAX / 2);
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (records, state) = (Arc::clone(&records), Arc::clone(&state));
        workers.spawn(async move {
            work(&records, worker, |event| {
                if let Event::Answered(worker, number) = event {
                    state.0.lock().unwrap().insert(worker, number);
                    if state.1.fetch_add(1, Ordering::SeqCst) >= enough {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            })
            .await;
        });
    }
    for answers in [1, 20, 300, 3, 100] {
        let goal = count() + answers;
        doorward_testkit::eventually("answers", || count() >= goal);
        redis.stop();
        redis.start_again();
    }
    let goal = count() + 20;
    doorward_testkit::eventually("answers", || count() >= goal);
    state.1.store(enough, Ordering::SeqCst);
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    redis.stop();
    redis.start_again();
    let answered = state.0.lock().unwrap().clone();
    check(&records, &answered, 0).await;
}
