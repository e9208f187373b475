//! Events of the `tracing` crate become ordinary log lines. Only doorward's own rooms are heard, from INFO up: other
//! crates speak in their own words about other people's data, and a client must not be able to fill the log by them.

use std::{
    error::Error,
    fmt::{self, Write as _},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

use crate::logs::{Level, Logs};

/// See [`Logs::subscriber`]. Spans are not kept. Clones share the logs.
#[derive(Clone, Debug)]
pub struct LogSubscriber {
    logs: Arc<RwLock<Arc<Logs>>>,
}

impl LogSubscriber {
    pub(crate) fn new(logs: Arc<Logs>) -> Self {
        Self { logs: Arc::new(RwLock::new(logs)) }
    }

    /// Events go to these logs from now on.
    pub fn redirect(&self, logs: Arc<Logs>) {
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = logs;
    }

    fn logs(&self) -> Arc<Logs> {
        Arc::clone(&self.logs.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for LogSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The answer is remembered for good, and other logs may want what these do not.
        metadata.is_event()
            && metadata.target().starts_with("doorward")
            && *metadata.level() <= tracing::Level::INFO
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn event(&self, event: &Event<'_>) {
        let logs = self.logs();
        if !logs.wants_standard() {
            return;
        }
        let metadata = event.metadata();
        let file = metadata.file().and_then(|path| path.rsplit(['/', '\\']).next()).unwrap_or("???");
        let place = format!("{file}:{}", metadata.line().unwrap_or(0));
        let mut text = EventText::default();
        event.record(&mut text);
        let level = match *metadata.level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            _ => Level::Info,
        };
        logs.standard(level, &place, &text.message, &text.fields);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        // Never asked for, since no span is enabled; ids must not be zero.
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The message and the named values of an event.
#[derive(Default)]
struct EventText {
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl EventText {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        match (field.name(), value.into()) {
            ("message", Value::String(text)) => self.message.push_str(&text),
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    /// The error with everything that caused it.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.add(field, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::LogConfig;

    #[track_caller]
    fn check(emit: impl FnOnce(), expected: &str) {
        let mut config = LogConfig::default();
        "{{.File}} {{.Message}}".clone_into(&mut config.standard.format);
        let logs = Arc::new(Logs::in_memory(&config));
        tracing::subscriber::with_default(logs.subscriber(), emit);
        let text = logs.memory();
        let (file, message) = text.split_once(' ').unwrap_or_default();
        assert!(file.is_empty() || file.starts_with("subscriber.rs:"), "{file}");
        assert_eq!(message, expected);
    }

    #[test]
    fn fields_follow_the_message() {
        check(
            || tracing::info!(target: "doorward_oidc", issuer = "http://idp", tries = 3, why = "no answer", "Discovery failed"),
            "Discovery failed issuer=http://idp tries=3 why=\"no answer\"\n",
        );
        let cause = io_error();
        check(
            || tracing::warn!(target: "doorward", error = &cause as &dyn Error, "Lost"),
            "Lost error=\"outer: inner\"\n",
        );
    }

    #[test]
    fn only_doorward_is_heard_and_only_from_info_up() {
        check(|| tracing::error!(target: "hyper", "no"), "");
        check(|| tracing::debug!(target: "doorward_server", "no"), "");
        check(|| tracing::info_span!(target: "doorward_server", "span").in_scope(|| ()), "");
    }

    #[test]
    fn events_cannot_break_a_line() {
        check(|| tracing::info!(target: "doorward", user = "a\nb", "x\ny"), "x\\ny user=\"a\\nb\"\n");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    fn io_error() -> Outer {
        Outer(std::io::Error::other("inner"))
    }
}
