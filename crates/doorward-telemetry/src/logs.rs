//! The three log streams: ordinary messages, attempts to authenticate, requests. Immutable once built; each line is
//! formatted into a buffer of the thread and written at once.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use doorward_core::Timestamp;

use crate::{
    file::RotatingFile,
    format::{
        AUTH_FIELDS, DEFAULT_AUTH_FORMAT, DEFAULT_REQUEST_FORMAT, DEFAULT_STANDARD_FORMAT, Field, Format,
        InvalidFormat, Line, REQUEST_FIELDS, STANDARD_FIELDS,
    },
    line::{AuthLine, RequestLine, StandardLine},
    output::{self, Output},
    subscriber::LogSubscriber,
};

/// A buffer that one huge line made larger than this is given back.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;

/// Everything that the logs need to know. `Default` is oauth2-proxy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub standard: Stream,
    pub auth: Stream,
    pub request: Stream,
    pub layout: Layout,
    /// Decoded paths without request lines.
    pub exclude_paths: Vec<String>,
    pub pings: Pings,
    pub time_zone: TimeZone,
    pub errors: ErrorLines,
    /// Replaces standard output.
    pub file: Option<LogFile>,
}

impl Default for LogConfig {
    fn default() -> Self {
        let on = |format: &str| Stream { state: StreamState::On, format: format.to_owned() };
        Self {
            standard: on(DEFAULT_STANDARD_FORMAT),
            auth: on(DEFAULT_AUTH_FORMAT),
            request: on(DEFAULT_REQUEST_FORMAT),
            layout: Layout::Text,
            exclude_paths: Vec::new(),
            pings: Pings::Logged,
            time_zone: TimeZone::Local,
            errors: ErrorLines::Stderr,
            file: None,
        }
    }
}

/// One class of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub state: StreamState,
    /// A Go text template.
    pub format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    On,
    Off,
}

/// The form of all lines (`--log-format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By the template of each stream.
    Text,
    /// One JSON object a line, whatever the templates say.
    Json,
}

/// Whether health checks have request lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pings {
    Logged,
    Silent,
}

/// Whose wall clock timestamps show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeZone {
    Local,
    Utc,
}

/// Where ordinary messages about errors go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorLines {
    /// To standard error, also when there is a log file.
    Stderr,
    /// To where all other lines go.
    WithOthers,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    pub path: PathBuf,
    /// The size at which the file is set aside; 0 means 100 MB.
    pub max_size_mb: u32,
    /// Set-aside files older than this are deleted; 0 keeps them.
    pub max_age_days: u32,
    /// How many set-aside files are kept; 0 sets no limit.
    pub max_backups: u32,
    pub rotated: Rotated,
}

/// What happens to files that were set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    Keep,
    /// With gzip.
    Compress,
}

/// Why there can be no logs. Each names the option to correct.
#[derive(Debug, thiserror::Error)]
pub enum LogConfigError {
    #[error("{option}: {reason}")]
    Format { option: &'static str, reason: String },
    #[error("logging-filename: unable to write to log file {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// How serious an ordinary message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// The open logs.
#[derive(Debug)]
pub struct Logs {
    standard: Option<Format>,
    auth: Option<Format>,
    request: Option<Format>,
    excluded: HashSet<String>,
    pings: Pings,
    zone: TimeZone,
    errors: ErrorLines,
    output: Output,
}

impl Logs {
    /// Compiles the formats and opens the file, which a line on standard output names. With every stream off, one warning
    /// on standard error says so.
    pub fn new(config: &LogConfig) -> Result<Self, LogConfigError> {
        let output = match &config.file {
            None => Output::Stdout,
            Some(rules) => {
                let file = RotatingFile::open(rules, config.time_zone)
                    .map_err(|source| LogConfigError::File { path: rules.path.clone(), source })?;
                Output::File(Mutex::new(file))
            }
        };
        let logs = Self::with_output(config, output)?;
        // What is left to say where people would look in vain from now on.
        let elsewhere = || {
            let usual = LogConfig { layout: config.layout, ..LogConfig::default() };
            Self::with_output(&usual, Output::Stdout)
        };
        let place = concat!("logs.rs:", line!());
        if let Some(rules) = &config.file {
            let message = format!("Redirecting logging to file: {}", rules.path.display());
            elsewhere()?.standard(Level::Info, place, &message, &[]);
        }
        if logs.standard.is_none() && logs.auth.is_none() && logs.request.is_none() {
            let warning = "Warning: Logging disabled. No further logs will be shown.";
            elsewhere()?.standard(Level::Error, place, warning, &[]);
        }
        Ok(logs)
    }

    fn with_output(config: &LogConfig, output: Output) -> Result<Self, LogConfigError> {
        let LogConfig { standard, auth, request, layout, exclude_paths, pings, time_zone, errors, file: _ } =
            config;
        Ok(Self {
            standard: compile(standard, *layout, STANDARD_FIELDS, "standard-logging-format")?,
            auth: compile(auth, *layout, AUTH_FIELDS, "auth-logging-format")?,
            request: compile(request, *layout, REQUEST_FIELDS, "request-logging-format")?,
            excluded: exclude_paths.iter().cloned().collect(),
            pings: *pings,
            zone: *time_zone,
            errors: *errors,
            output,
        })
    }

    /// Whether the server should call [`Logs::request`] for health checks.
    pub const fn pings(&self) -> Pings {
        self.pings
    }

    /// Whether a request of this decoded path has a line: asked before one is gathered. The path is decoded only if
    /// some are excluded.
    pub fn wants_request<'p>(&self, path: impl FnOnce() -> Cow<'p, str>) -> bool {
        self.request.is_some() && (self.excluded.is_empty() || !self.excluded.contains(&*path()))
    }

    /// Writes the line of a finished request. Excluded paths are the caller's business ([`Logs::wants_request`]).
    pub fn request(&self, line: &RequestLine<'_>) {
        let Some(format) = &self.request else { return };
        let now = line.started.saturating_add(line.duration);
        self.write_line(format, line, |text| self.output.write(text, now));
    }

    /// Writes the line of an attempt to authenticate.
    pub fn auth(&self, line: &AuthLine<'_>) {
        let Some(format) = &self.auth else { return };
        self.write_line(format, line, |text| self.output.write(text, line.at));
    }

    /// Writes an ordinary message; `file_line` is `file.rs:line` of the code that speaks.
    pub fn standard(
        &self,
        level: Level,
        file_line: &str,
        message: &str,
        fields: &[(&'static str, serde_json::Value)],
    ) {
        let Some(format) = &self.standard else { return };
        let line = StandardLine { file_line, level, message, fields, at: Timestamp::from(SystemTime::now()) };
        self.write_line(format, &line, |text| match (level, self.errors) {
            (Level::Error, ErrorLines::Stderr) => output::write_stderr(text),
            (Level::Error, ErrorLines::WithOthers) | (Level::Info | Level::Warn, _) => {
                self.output.write(text, line.at);
            }
        });
    }

    /// Formats one line into the thread's buffer and hands it over.
    fn write_line(&self, format: &Format, line: &impl Line, send: impl FnOnce(&[u8])) {
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        format.push_line(&mut buffer, line, self.zone);
        buffer.push(b'\n');
        send(&buffer);
        if buffer.capacity() <= KEPT_BUFFER_BYTES {
            buffer.clear();
            // During the end of a thread the buffer is gone already, and so is the need for it.
            let _ = BUFFER.try_with(|kept| kept.set(buffer));
        }
    }

    /// A `tracing` subscriber whose events become ordinary messages of these logs.
    pub fn subscriber(self: &Arc<Self>) -> LogSubscriber {
        LogSubscriber::new(Arc::clone(self))
    }

    #[cfg(test)]
    pub(crate) fn in_memory(config: &LogConfig) -> Self {
        Self::with_output(config, Output::Memory(Mutex::default())).unwrap()
    }

    /// Everything written since the last call.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> String {
        match &self.output {
            Output::Memory(text) => String::from_utf8(std::mem::take(&mut text.lock().unwrap())).unwrap(),
            Output::Stdout | Output::File(_) => unreachable!("these logs are not in memory"),
        }
    }

    /// Whether ordinary messages are written at all.
    pub(crate) const fn wants_standard(&self) -> bool {
        self.standard.is_some()
    }
}

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A format is checked also when its stream is off: it may be switched on later, by itself.
fn compile(
    stream: &Stream,
    layout: Layout,
    known: &[Field],
    option: &'static str,
) -> Result<Option<Format>, LogConfigError> {
    let format = Format::compile(&stream.format, known)
        .map_err(|reason: InvalidFormat| LogConfigError::Format { option, reason: reason.to_string() })?;
    Ok(match (stream.state, layout) {
        (StreamState::On, Layout::Text) => Some(format),
        (StreamState::On, Layout::Json) => Some(Format::Json),
        (StreamState::Off, _) => None,
    })
}

#[cfg(test)]
mod tests;
