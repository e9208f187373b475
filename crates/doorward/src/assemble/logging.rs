//! Options of the logs.

use std::sync::Arc;

use doorward_options::Options;
use doorward_telemetry::{
    ErrorLines, Layout, LogConfig, LogConfigError, LogFile, Logs, Pings, Rotated, Stream, StreamState,
    TimeZone,
};

use super::problems::Problems;

/// Open logs, and what they were opened with.
#[derive(Clone, Debug)]
pub(crate) struct Logging {
    pub config: LogConfig,
    pub logs: Arc<Logs>,
}

/// Opens the logs, unless they are open already.
pub(crate) fn open(
    options: &Options,
    former: Option<&Logging>,
    problems: &mut Problems<'_>,
) -> Option<Logging> {
    let layout = match options.log_format.as_str() {
        "text" => Layout::Text,
        "json" => Layout::Json,
        other => {
            let message = format!("{other:?} is no form of log lines");
            problems.add("log-format", message, "write text or json");
            return None;
        }
    };
    let config = config(options, layout);
    if let Some(former) = former.filter(|former| former.config == config) {
        return Some(former.clone());
    }
    match Logs::new(&config) {
        Ok(logs) => Some(Logging { config, logs: Arc::new(logs) }),
        Err(error) => {
            let option = match &error {
                LogConfigError::Format { option, .. } => option,
                LogConfigError::File { .. } => "logging-filename",
            };
            problems.add(option, error.to_string(), "correct the format, or name a file that can be written");
            None
        }
    }
}

/// Settings of the three streams.
fn config(options: &Options, layout: Layout) -> LogConfig {
    let stream = |on: bool, format: &str| Stream {
        state: if on { StreamState::On } else { StreamState::Off },
        format: format.to_owned(),
    };
    let file = (!options.logging_filename.is_empty()).then(|| LogFile {
        path: options.logging_filename.clone().into(),
        max_size_mb: whole(options.logging_max_size),
        max_age_days: whole(options.logging_max_age),
        max_backups: whole(options.logging_max_backups),
        rotated: if options.logging_compress { Rotated::Compress } else { Rotated::Keep },
    });
    LogConfig {
        standard: stream(options.standard_logging, &options.standard_logging_format),
        auth: stream(options.auth_logging, &options.auth_logging_format),
        request: stream(options.request_logging, &options.request_logging_format),
        layout,
        exclude_paths: options.exclude_logging_paths.clone(),
        pings: if options.silence_ping_logging { Pings::Silent } else { Pings::Logged },
        time_zone: if options.logging_local_time { TimeZone::Local } else { TimeZone::Utc },
        errors: if options.errors_to_info_log { ErrorLines::WithOthers } else { ErrorLines::Stderr },
        file,
    }
}

/// Negative numbers mean the same as nothing.
fn whole(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}
