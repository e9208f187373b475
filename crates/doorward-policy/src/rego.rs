//! Rego, evaluated inside this process by `regorus`. What the engine would get wrong is refused when a policy is loaded
//! (`inspect`) or bounded when it runs (`guard`); every evaluation has a clone of its own, a time limit, and turns
//! errors of built-in functions into errors of the policy, so that `not` never makes a yes of one.
//!
//! Workers are threads that serve many requests. Evaluations take microseconds, less than handing them to another
//! thread would; so they begin on the worker, for `BRIEFLY`, and only what needs longer is done on other threads,
//! of which there are few.

mod guard;
mod inspect;

use std::{
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use regorus::{Engine, LimitError, utils::limits::ExecutionTimerConfig};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{Decision, PolicyFault, Question};

/// How long an evaluation takes at most, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_millis(50);
/// How long an evaluation may keep a worker from its other requests.
const BRIEFLY: Duration = Duration::from_micros(500);
/// A policy that took longer is not tried on the worker for as many questions.
const DETOUR: u32 = 256;
/// How many steps are made between two looks at the clock.
const STEPS: NonZeroU32 = NonZeroU32::new(32).unwrap();
/// For the first evaluation, which prepares all that others share.
const FIRST: Duration = Duration::from_secs(10);
/// The rule that we add where several make up the decision.
const COMPOSED: &str = "data.doorward_query.value";
const LONGEST_COMPLAINT: usize = 300;

/// A policy in Rego.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rego, version 1. At least one. Tests (`*_test.rego`) are passed over.
    pub modules: Vec<Source>,
    /// What lies below `data`: each an object in JSON.
    pub data: Vec<Source>,
    /// The rule whose value is the decision: `data.http.authz.decision`.
    pub query: String,
    pub timeout: Duration,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// Of a data file that was found in a folder: the folders between, below which its content lies in `data`.
    pub under: Vec<String>,
    pub content: String,
}

/// A file of data.
#[derive(Debug)]
struct Data<'a> {
    path: &'a Path,
    under: &'a [String],
    value: Value,
}

/// A policy that can be asked.
#[derive(Debug)]
pub(crate) struct Rego {
    query: String,
    limit: Duration,
    /// Prepared; never evaluated itself.
    engine: Arc<Engine>,
    /// How many questions still go to other threads at once.
    detour: AtomicU32,
}

/// Places for evaluations that take long, shared by all policies of a configuration: they may use half of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }
}

impl Rego {
    /// Loads a policy and tries it. The texts name file and line.
    pub(crate) fn new(config: &Config) -> Result<Self, Vec<String>> {
        let mut engine = Engine::new();
        engine.set_strict_builtin_errors(true);
        // What policies print may be anything of the request, and is dropped with the evaluation's engine.
        engine.set_gather_prints(true);
        let mut faults = Vec::new();
        let modules =
            config.modules.iter().map(|source| (source.path.display().to_string(), &source.content));
        let mut modules = modules.filter(|(path, _)| !path.ends_with("_test.rego")).peekable();
        if modules.peek().is_none() {
            faults.push("it has no Rego file: name at least one in `files`".to_owned());
        }
        for (path, text) in modules {
            let added = engine.add_policy(path, text.clone());
            faults.extend(added.err().map(|error| complaint(&error)));
        }
        let data: Vec<_> =
            config.data.iter().filter_map(|source| keep(Data::read(source), &mut faults)).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        faults.extend(inspect::faults(engine.get_modules(), &data));
        faults.extend(data.iter().filter_map(|data| add_data(&mut engine, data).err()));
        if !faults.is_empty() {
            return Err(faults);
        }
        guard::install(&mut engine).map_err(|error| vec![complaint(&error)])?;
        let query = entry(&mut engine, config.query.trim()).map_err(|fault| vec![fault])?;
        let prepared = prepare(engine, &query).map_err(|fault| vec![fault])?;
        Ok(Self { query, limit: config.timeout, engine: Arc::new(prepared), detour: AtomicU32::new(0) })
    }

    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        places: &Places,
    ) -> Result<Decision, PolicyFault> {
        let input = question.rego_input()?;
        let result = if self.takes_detour() {
            self.evaluate_elsewhere(input, places).await
        } else {
            match evaluate(&self.engine, &self.query, input.clone(), self.limit.min(BRIEFLY)) {
                Err(PolicyFault::Timeout) if self.limit > BRIEFLY => {
                    self.detour.store(DETOUR, Relaxed);
                    self.evaluate_elsewhere(input, places).await
                }
                result => result,
            }
        };
        Decision::read(result?)
    }

    fn takes_detour(&self) -> bool {
        self.detour.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Waiting for a place counts as part of the evaluation.
    async fn evaluate_elsewhere(&self, input: regorus::Value, places: &Places) -> Result<Value, PolicyFault> {
        let begun = Instant::now();
        let Ok(Ok(place)) = timeout(self.limit, Arc::clone(&places.0).acquire_owned()).await else {
            return Err(PolicyFault::Timeout);
        };
        let left = self.limit.saturating_sub(begun.elapsed());
        let (engine, query) = (Arc::clone(&self.engine), self.query.clone());
        let evaluation = spawn_blocking(move || {
            // Held until the thread is free again, also if nobody waits for the answer any more.
            let _place = place;
            evaluate(&engine, &query, input, left)
        });
        // A single step may go on for a while after the engine's own limit.
        match timeout(left + BRIEFLY, evaluation).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(panicked()),
            Err(_) => Err(PolicyFault::Timeout),
        }
    }
}

fn panicked() -> PolicyFault {
    PolicyFault::Evaluation("the engine panicked".to_owned())
}

/// The value of the rule. Nothing of an evaluation stays behind in `engine`.
fn evaluate(
    engine: &Engine,
    query: &str,
    input: regorus::Value,
    limit: Duration,
) -> Result<Value, PolicyFault> {
    let mut engine = engine.clone();
    engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: STEPS });
    engine.set_input(input);
    let value = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(query.to_owned())));
    match value {
        Err(_) => Err(panicked()),
        Ok(Ok(regorus::Value::Undefined)) => Err(PolicyFault::Undefined),
        Ok(Ok(value)) => serde_json::to_value(&value)
            .map_err(|_| PolicyFault::WrongType("it cannot be written as JSON".to_owned())),
        Ok(Err(error)) => match error.downcast_ref() {
            Some(LimitError::TimeLimitExceeded { .. }) => Err(PolicyFault::Timeout),
            _ => Err(PolicyFault::Evaluation(complaint(&error))),
        },
    }
}

/// The rule to evaluate. Where several rules make up one value (`result["allowed"] := …`, `result["headers"] := …`), the
/// engine knows each of them alone, and gets one more for all.
fn entry(engine: &mut Engine, query: &str) -> Result<String, String> {
    match inspect::lies_at(engine.get_modules(), query) {
        inspect::Place::Rule => Ok(query.to_owned()),
        inspect::Place::Rules => {
            let rule = format!("package doorward_query\nvalue := {query}");
            engine.add_policy("query".to_owned(), rule).map_err(|error| complaint(&error))?;
            Ok(COMPOSED.to_owned())
        }
        inspect::Place::Nothing => Err(format!(
            "no file has a rule {query:?}: `query` is the path of a rule, e.g. data.http.authz.decision"
        )),
    }
}

/// Evaluates the rule without a request and with an ordinary one, so that what never works is noticed at the start.
fn prepare(mut engine: Engine, query: &str) -> Result<Engine, String> {
    engine.set_execution_timer_config(ExecutionTimerConfig { limit: FIRST, check_interval: STEPS });
    engine.set_input(regorus::Value::new_object());
    // An error of this evaluation is told below; here it only makes the engine ready.
    let _ = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(query.to_owned())));
    for (input, what) in [(json!({}), "without a request"), (sample(), "with an ordinary request")] {
        let failed = |why: &str| Err(format!("{query:?} fails {what}: {why}"));
        match evaluate(&engine, query, input.into(), FIRST) {
            Err(PolicyFault::Undefined) => {}
            // Parts of it may be undefined for such requests.
            Ok(Value::Object(_)) if query == COMPOSED => {}
            Ok(value) => {
                if let Err(PolicyFault::WrongType(why)) = Decision::read(value) {
                    return failed(&format!("its result is no decision: {why}"));
                }
            }
            Err(PolicyFault::Evaluation(why)) if what == "with an ordinary request" => {
                // Its values are ours, and the policy may know better ones.
                tracing::warn!(
                    policy = query,
                    "the policy cannot decide about the request {SAMPLE_PATH}: {why}"
                );
            }
            Err(fault) => return failed(&fault.to_string()),
        }
    }
    Ok(engine)
}

const SAMPLE_PATH: &str = "/orders/7?x=1";

fn sample() -> Value {
    json!({
        "version": {"ext_authz": "v3", "encoding": "protojson"},
        "attributes": {
            "source": {"address": {"socketAddress": {"address": "192.0.2.1", "portValue": 50000}}},
            "request": {
                "time": {"seconds": 1_800_000_000, "nanos": 0},
                "http": {
                    "id": "sample", "method": "GET", "path": SAMPLE_PATH, "host": "example.com",
                    "scheme": "https", "protocol": "HTTP/1.1", "headers": {"accept": "*/*"}, "size": 0,
                },
            },
        },
        "parsed_path": ["orders", "7"], "parsed_query": {"x": ["1"]}, "parsed_body": null, "truncated_body": false,
        "identity": {
            "authenticated": true, "user": "sample", "uid": "1", "groups": [], "email": "", "scopes": [],
            "client_id": "", "authenticator": "sample", "claims": {}, "actor": null,
        },
        "route": {"id": "sample", "params": {}},
    })
}

impl<'a> Data<'a> {
    fn read(source: &'a Source) -> Result<Self, String> {
        let Source { path, under, content } = source;
        let told = |why: &str| Err(format!("{}: {why}", path.display()));
        match serde_json::from_str(content) {
            Ok(value @ Value::Object(_)) => Ok(Self { path, under, value }),
            Ok(_) => told("data is an object, whose keys are names below `data`"),
            Err(error) => told(&error.to_string()),
        }
    }
}

fn keep<T>(read: Result<T, String>, faults: &mut Vec<String>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

fn add_data(engine: &mut Engine, data: &Data<'_>) -> Result<(), String> {
    let Data { path, under, value } = data;
    let told = |why: &str| Err(format!("{}: {why}", path.display()));
    let nested = under.iter().rev().fold(value.clone(), |value, name| json!({name: value}));
    match engine.add_data(nested.into()) {
        Ok(()) => Ok(()),
        Err(error) => told(&format!("another file already has what it holds ({})", complaint(&error))),
    }
}

/// The engine's words in one line: where, and what.
fn complaint(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let place = text.lines().find_map(|line| line.trim().strip_prefix("--> "));
    let what = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let what = what.trim().trim_start_matches("error: ");
    let told = place.map_or_else(|| what.to_owned(), |place| format!("{place}: {what}"));
    told.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_COMPLAINT).collect()
}

#[cfg(test)]
mod tests;
