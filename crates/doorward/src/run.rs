//! Serving, from checked options to the last answer.

use std::{
    ffi::OsString,
    future::pending,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::SecretString;
use doorward_options::{Configuration, Loaded, OptionError};
use doorward_server::gate::Limits;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    assemble::{self, Assembled, Purpose},
    demo,
    files::Files,
    reload::{self, Reloader},
    sockets::Sockets,
};

/// The headers of a request must arrive within this time, and an idle connection is kept as long. It is longer than
/// the minute for which nginx keeps its connections, so that nginx closes first and never sends into a closed one.
const HEADER_READ: Duration = Duration::from_secs(75);

/// Why the program ends with a failure. The text is complete: it is printed as it stands.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("invalid configuration:\n{}", indented(.0))]
    Invalid(Vec<OptionError>),
    #[error("{}", indented(.0).trim_start())]
    Bind(Vec<OptionError>),
    #[error("the program cannot start: {0}")]
    Start(#[from] io::Error),
    #[error("{0}")]
    Command(String),
    #[error("doorward demo takes no arguments but an address to listen on, such as 127.0.0.1:4180")]
    DemoArguments,
}

fn indented(errors: &[OptionError]) -> String {
    errors.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")
}

/// `--config-test`: says whether the configuration is valid. The provider is not asked.
pub(crate) fn config_test(configuration: &mut Configuration, files: &Files) -> Result<(), Failure> {
    // The log is not opened: that would make a file, and perhaps one that the service may not write.
    configuration.options.logging_filename.clear();
    assemble::check(configuration, Purpose::Operator, files, None).map_err(Failure::Invalid)?;
    let _ = writeln!(io::stdout(), "configuration is valid");
    Ok(())
}

/// `--convert-config-to-alpha`: prints the structured form of the options. They need not be complete.
pub(crate) fn convert(configuration: &Configuration) -> Result<(), Failure> {
    let structured = assemble::converted(configuration).map_err(Failure::Invalid)?;
    let (moved, beside) = configuration.sources.written();
    for (sentence, flags) in
        [("in this file now, to be taken out", moved), ("not in this file, to be kept", beside)]
    {
        if !flags.is_empty() {
            let _ = writeln!(io::stderr(), "{sentence}: {}", flags.join(", "));
        }
    }
    let _ = write!(io::stdout(), "{}", structured.to_yaml());
    Ok(())
}

/// `doorward convert`, with the arguments of any configuration: prints it as doorward.yaml. It need not be complete.
pub(crate) fn convert_to_native(args: &[OsString]) -> Result<(), Failure> {
    let loaded =
        reload::read(args, &Files::default()).map_err(|error| Failure::Command(error.to_string()))?;
    let Loaded::Configuration(configuration, _) = loaded else {
        let message = "convert: give the options, files and variables of a configuration";
        return Err(Failure::Command(message.to_owned()));
    };
    let structured = assemble::converted(&configuration).map_err(Failure::Invalid)?;
    let Configuration { options, own, sources, .. } = &configuration;
    if own.is_some() {
        let message =
            format!("# authServer, apiAuth and gateway of {} stay as they are.", options.doorward_config);
        let _ = writeln!(io::stdout(), "{message}");
    }
    let _ = write!(io::stdout(), "{}", doorward_options::to_native(&structured, options, sources));
    Ok(())
}

/// The main job: serve until SIGINT or SIGTERM.
pub(crate) fn serve(args: Vec<OsString>, configuration: &Configuration, files: Files) -> Result<(), Failure> {
    let origin = Origin::Arguments { args, files };
    runtime()?.block_on(serve_until_stopped(configuration, Purpose::Operator, origin))
}

/// Where the configuration comes from.
enum Origin {
    /// From outside, where it may change.
    Arguments {
        args: Vec<OsString>,
        files: Files,
    },
    Demo,
}

/// `doorward demo [ADDRESS]`.
pub(crate) fn demo(args: &[OsString]) -> Result<(), Failure> {
    let address = match args {
        [] => "127.0.0.1:4180",
        [address] => address.to_str().filter(|text| is_address(text)).ok_or(Failure::DemoArguments)?,
        _ => return Err(Failure::DemoArguments),
    };
    runtime()?.block_on(async {
        let (application, _serving) = demo::serve_application().await?;
        let password: SecretString = random_text::<12>()?.into();
        let user = demo::user(&password).map_err(io::Error::other)?;
        let _ = writeln!(
            io::stdout(),
            "\n  Open http://{address} and sign in:\n\n      user      {}\n      password  {}\n",
            user.name,
            password.expose()
        );
        let configuration = demo::configuration(address, application);
        Box::pin(serve_until_stopped(&configuration, Purpose::Demo(user), Origin::Demo)).await
    })
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.starts_with('-') && port.parse::<u16>().is_ok())
}

pub(crate) fn random_text<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(bytes))
}

/// The main thread's runtime: accepting, background work, and the session store's connection.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn serve_until_stopped(
    configuration: &Configuration,
    purpose: Purpose,
    origin: Origin,
) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let (origin, files) = match origin {
        Origin::Arguments { args, files } => (Some((args, Reloader::hangup()?)), files),
        Origin::Demo => (None, Files::default()),
    };
    let checked = assemble::check(configuration, purpose, &files, None);
    let checked = checked.map_err(Failure::Invalid)?;
    let subscriber = checked.logging.logs.subscriber();
    // A second subscriber can only come from a test in the same process, which has its own ideas.
    let _ = tracing::subscriber::set_global_default(subscriber.clone());
    for notice in checked.notices(&configuration.sources) {
        tracing::info!("{notice}");
    }
    let assembled = Box::pin(assemble::connect(checked, configuration, None)).await;
    let Assembled { gate, listeners, former } = assembled.map_err(Failure::Invalid)?;
    let limits = Limits { header_read: HEADER_READ };
    let mut sockets = Sockets::new(Arc::clone(&gate), limits)?;
    let plan = sockets.plan(listeners, &configuration.sources).await.map_err(Failure::Bind)?;
    sockets.carry_out(plan, gate);
    let reloads = async {
        match origin {
            Some((args, hangup)) => {
                let reloader = Reloader::new(args, hangup, subscriber, former, files);
                Box::pin(reloader.run(&mut sockets)).await
            }
            None => pending().await,
        }
    };
    let signal = tokio::select! {
        signal = stop.wait() => signal,
        never = reloads => match never {},
    };
    tracing::info!("{signal} came: finishing the requests under way.");
    sockets.close().await;
    Ok(())
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
