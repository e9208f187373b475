//! What operators see: three log streams in oauth2-proxy's text formats or as JSON, and the metrics.
//!
//! Nothing that a client, a provider or a cookie brought can break a line or steer a terminal: every value that goes
//! into a line is escaped first. This room is handed texts, never tokens or cookies.
//! Compatibility is stated in the reference page `logging-metrics.md`.

mod clock;
mod escape;
mod file;
mod format;
mod json;
mod line;
mod logs;
mod metrics;
mod output;
mod subscriber;

pub use format::{DEFAULT_AUTH_FORMAT, DEFAULT_REQUEST_FORMAT, DEFAULT_STANDARD_FORMAT};
pub use line::{AuthLine, AuthStatus, ClientField, Decision, RequestLine};
pub use logs::{
    ErrorLines, Layout, Level, LogConfig, LogConfigError, LogFile, Logs, Pings, Rotated, Stream, StreamState,
    TimeZone,
};
pub use metrics::{InFlight, LoginOutcome, Metrics, MetricsError, RefreshOutcome, ReloadOutcome};
pub use subscriber::LogSubscriber;
