//! The configuration of a running program: read again at SIGHUP and when one of its files changes, and taken over as a
//! whole or not at all.

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use doorward_options::{Configuration, LoadError, Loaded, OptionError, load};

use doorward_telemetry::{LogSubscriber, ReloadOutcome};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

use crate::{
    assemble::{self, Assembled, Checked, Former, Purpose},
    files::{EmptyConfig, Files, PERIOD, Watch},
    sockets::Sockets,
};

/// A configuration that fails for a reason that may pass (provider or store do not answer) is tried again after this.
const RETRY: Duration = Duration::from_secs(10);

/// What arguments, environment and files say.
pub(crate) fn read(args: &[OsString], files: &Files) -> Result<Loaded, LoadError> {
    load(args, &|name| env::var(name).ok(), &|path| files.read_config(path))
}

/// Keeps the configuration current.
#[derive(Debug)]
pub(crate) struct Reloader {
    args: Vec<OsString>,
    hangup: Signal,
    subscriber: LogSubscriber,
    former: Former,
    watch: Watch,
    empty: EmptyConfig,
    /// Why the last configuration was refused, and when it is tried again.
    refused: Vec<String>,
    retry: Option<Instant>,
}

/// What makes the configuration be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    Hangup,
    Change,
    Retry,
}

/// Why the old configuration stays.
#[derive(Debug)]
enum Refusal {
    Invalid(Vec<OptionError>),
    /// It may be right, but cannot be used just now.
    Unusable(Vec<OptionError>),
}

/// A configuration that was read.
struct Fresh {
    checked: Checked,
    configuration: Configuration,
}

impl Reloader {
    /// From here on SIGHUP does not end the program.
    pub(crate) fn hangup() -> io::Result<Signal> {
        signal(SignalKind::hangup())
    }

    pub(crate) fn new(
        args: Vec<OsString>,
        hangup: Signal,
        subscriber: LogSubscriber,
        former: Former,
        files: Files,
    ) -> Self {
        Self {
            args,
            hangup,
            subscriber,
            former,
            empty: files.next_empty(),
            watch: Watch::new(files),
            refused: Vec::new(),
            retry: None,
        }
    }

    pub(crate) async fn run(mut self, sockets: &mut Sockets) -> Infallible {
        loop {
            let occasion = self.occasion().await;
            let outcome = Box::pin(self.reload(occasion, sockets)).await;
            let metrics = &self.former.gate.telemetry.metrics;
            match outcome {
                Ok(()) => {
                    metrics.config_reload(ReloadOutcome::Taken);
                    (self.refused, self.retry) = (Vec::new(), None);
                    tracing::info!("Configuration reloaded.");
                }
                Err(refusal) => {
                    metrics.config_reload(ReloadOutcome::Refused);
                    self.report(occasion, refusal);
                }
            }
        }
    }

    async fn occasion(&mut self) -> Occasion {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => return Occasion::Hangup,
                () = sleep(PERIOD) => {}
            }
            if self.watch.look().await {
                return Occasion::Change;
            }
            if self.retry.is_some_and(|at| at <= Instant::now()) {
                return Occasion::Retry;
            }
        }
    }

    async fn reload(&mut self, occasion: Occasion, sockets: &mut Sockets) -> Result<(), Refusal> {
        let former = match occasion {
            // Whoever moves log files away says so by SIGHUP.
            Occasion::Hangup => self.former.clone().without_logs(),
            Occasion::Change | Occasion::Retry => self.former.clone(),
        };
        let (args, files) = (self.args.clone(), Files::new(self.empty));
        // Files may be slow.
        let reading = spawn_blocking(move || {
            let fresh = check(&args, &files, &former);
            (fresh, files, former)
        });
        let Ok((fresh, files, former)) = reading.await else {
            self.watch.or_else(Files::default());
            return Err(Refusal::Unusable(Vec::new()));
        };
        let assembled = match fresh {
            Ok(fresh) => Box::pin(self.take_over(fresh, &former, sockets)).await,
            Err(errors) => Err(Refusal::Invalid(errors)),
        };
        match assembled {
            Ok(()) => {
                self.empty = files.next_empty();
                self.watch = Watch::new(files);
                Ok(())
            }
            Err(refusal) => {
                self.watch.or_else(files);
                Err(refusal)
            }
        }
    }

    /// Contacts whom the configuration names, and takes it over.
    async fn take_over(
        &mut self,
        fresh: Fresh,
        former: &Former,
        sockets: &mut Sockets,
    ) -> Result<(), Refusal> {
        let Fresh { checked, configuration } = fresh;
        let logs = Arc::clone(&checked.logging.logs);
        let assembled = Box::pin(assemble::connect(checked, &configuration, Some(former))).await;
        let Assembled { gate, listeners, former } = assembled.map_err(Refusal::Unusable)?;
        if gate.sign_in.providers.are_behind(&self.former.gate.sign_in.providers) {
            let (message, mend) =
                ("the provider does not answer, and the old one does", "wait, or correct it");
            let error = doorward_options::problem(&configuration.sources, "oidc-issuer-url", message, mend);
            return Err(Refusal::Unusable(vec![error]));
        }
        let plan = sockets.plan(listeners, &configuration.sources).await.map_err(Refusal::Unusable)?;
        self.subscriber.redirect(logs);
        for notice in former.notices.iter().filter(|notice| !self.former.notices.contains(notice)) {
            tracing::info!("{notice}");
        }
        sockets.carry_out(plan, gate);
        self.former = former;
        Ok(())
    }

    fn report(&mut self, occasion: Occasion, refusal: Refusal) {
        let (errors, retry) = match refusal {
            Refusal::Invalid(errors) => (errors, None),
            Refusal::Unusable(errors) => (errors, Some(Instant::now() + RETRY)),
        };
        self.retry = retry;
        let refused: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if occasion == Occasion::Retry && refused == self.refused {
            return;
        }
        for error in &refused {
            tracing::error!("{error}");
        }
        let next = if retry.is_some() { "It is tried again from time to time." } else { "Correct it." };
        tracing::error!("Configuration not reloaded, the old one stays. {next}");
        self.refused = refused;
    }
}

fn check(args: &[OsString], files: &Files, former: &Former) -> Result<Fresh, Vec<OptionError>> {
    match read(args, files) {
        Ok(Loaded::Configuration(configuration, _)) => {
            let checked = assemble::check(&configuration, Purpose::Operator, files, Some(former))?;
            Ok(Fresh { checked, configuration })
        }
        Err(LoadError::Invalid(errors)) => Err(errors),
        // The arguments are those that the program was started with.
        Ok(Loaded::Help(_) | Loaded::Version) | Err(LoadError::Usage { .. }) => Err(Vec::new()),
    }
}
