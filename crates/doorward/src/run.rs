//! Serving, from checked options to the last answer.

use std::{
    ffi::OsString,
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use doorward_net::{BindError, Listener};
use doorward_options::{OptionError, Options, Sources, Structured};
use doorward_server::{
    connection::{Workers, serve_metrics},
    gate::Limits,
};
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    assemble::{self, SignInSource, listeners::Endpoint},
    demo,
};

/// The headers of a request must arrive within this time, and an idle connection is kept as long. It is longer than
/// the minute for which nginx keeps its connections, so that nginx closes first and never sends into a closed one.
const HEADER_READ: Duration = Duration::from_secs(75);
/// No stop waits longer than this for requests under way, also where nobody set a limit: some thirty years.
const LONGEST_DRAIN: Duration = Duration::from_hours(24 * 365 * 30);

/// Why the program ends with a failure. The text is complete: it is printed as it stands.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("invalid configuration:\n{}", indented(.0))]
    Invalid(Vec<OptionError>),
    #[error("{option}: {source}")]
    Bind { option: &'static str, source: BindError },
    #[error("the program cannot start: {0}")]
    Start(#[from] io::Error),
    #[error("doorward demo takes no arguments but an address to listen on, such as 127.0.0.1:4180")]
    DemoArguments,
}

fn indented(errors: &[OptionError]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}

/// `--config-test`: says whether the configuration is valid. The provider is not asked.
pub(crate) fn config_test(
    options: &Options,
    structured: Option<&Structured>,
    sources: &Sources,
) -> Result<(), Failure> {
    assemble::check(options, structured, sources, SignInSource::Options).map_err(Failure::Invalid)?;
    let _ = writeln!(io::stdout(), "configuration is valid");
    Ok(())
}

/// `--convert-config-to-alpha`: prints the structured form of the options. They need not be complete.
pub(crate) fn convert(
    options: &Options,
    structured: Option<Structured>,
    sources: &Sources,
) -> Result<(), Failure> {
    let (structured, problems) = structured
        .map_or_else(|| assemble::converted(options, sources), |structured| (structured, Vec::new()));
    if !problems.is_empty() {
        return Err(Failure::Invalid(problems));
    }
    let _ = write!(io::stdout(), "{}", structured.to_yaml());
    Ok(())
}

/// The main job: serve until SIGINT or SIGTERM.
pub(crate) fn serve(
    options: &Options,
    structured: Option<&Structured>,
    sources: &Sources,
) -> Result<(), Failure> {
    runtime()?.block_on(serve_until_stopped(options, structured, sources, SignInSource::Options))
}

/// `doorward demo [ADDRESS]`.
pub(crate) fn demo(args: &[OsString]) -> Result<(), Failure> {
    let address = match args {
        [] => "127.0.0.1:4180",
        [address] => address.to_str().filter(|text| !text.starts_with('-')).ok_or(Failure::DemoArguments)?,
        _ => return Err(Failure::DemoArguments),
    };
    runtime()?.block_on(async {
        let (application, _serving) = demo::serve_application().await?;
        let password = random_text::<12>()?;
        let options = demo::options(address, application, random_text::<32>()?);
        let hash = bcrypt::hash(&password, DEMO_COST).map_err(io::Error::other)?;
        let _ = writeln!(
            io::stdout(),
            "\n  Open http://{address} and sign in:\n\n      user      {}\n      password  {password}\n",
            demo::USER
        );
        let source = SignInSource::Demo {
            htpasswd: format!("{}:{hash}\n", demo::USER),
            banner: demo::BANNER.to_owned(),
        };
        Box::pin(serve_until_stopped(&options, None, &Sources::default(), source)).await
    })
}

/// Cheap enough for a debug build; the password is random and lives as long as the process.
const DEMO_COST: u32 = 6;

fn random_text<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
}

/// The main thread's runtime: accepting, background work, and the session store's connection.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve_until_stopped(
    options: &Options,
    structured: Option<&Structured>,
    sources: &Sources,
    source: SignInSource,
) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let mut checked = assemble::check(options, structured, sources, source).map_err(Failure::Invalid)?;
    // A second subscriber can only come from a test in the same process, which has its own ideas.
    let _ = tracing::subscriber::set_global_default(checked.logs.subscriber());
    for notice in sources.warnings().iter().chain(&std::mem::take(&mut checked.notices)) {
        tracing::info!("{notice}");
    }
    let connected = assemble::connect(checked, options, sources).await;
    let (assembled, listeners) = connected.map_err(Failure::Invalid)?;
    let gate = Arc::new(ArcSwap::from_pointee(assembled.gate));
    let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let drain = Some(options.shutdown_timeout).filter(|limit| !limit.is_zero()).unwrap_or(LONGEST_DRAIN);
    let workers = Workers::start(workers, &gate, Limits { header_read: HEADER_READ, drain })?;
    let workers = Arc::new(workers);

    let mut tasks = JoinSet::new();
    for endpoint in listeners.requests {
        let (address, listener) = bind(endpoint).await?;
        tracing::info!("Listening on {address}.");
        let workers = Arc::clone(&workers);
        tasks.spawn(async move { workers.accept_from(&listener).await });
    }
    for endpoint in listeners.metrics {
        let (address, listener) = bind(endpoint).await?;
        tracing::info!("Serving metrics on {address}.");
        tasks.spawn(serve_metrics(listener, Arc::clone(&gate)));
    }
    let signal = stop.wait().await;
    tracing::info!("{signal} came: finishing the requests under way.");
    tasks.shutdown().await;
    if let Some(workers) = Arc::into_inner(workers) {
        workers.drain().await;
    }
    drop(assembled.watches);
    Ok(())
}

async fn bind(endpoint: Endpoint) -> Result<(String, Listener), Failure> {
    let Endpoint { option, address, tls } = endpoint;
    let listener = Listener::bind(&address, tls).await.map_err(|source| Failure::Bind { option, source })?;
    Ok((address.to_string(), listener))
}

/// The signals that end the program.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
