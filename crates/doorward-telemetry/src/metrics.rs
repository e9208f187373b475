//! The metrics. Names, labels and buckets of the first three are oauth2-proxy's, so that dashboards keep working;
//! `doorward_*` are our own. Labels come from closed sets only: no client can make a series.
//! The request path looks up no label: the series of a status code or method is found by its place in a table.

use std::{sync::OnceLock, time::Duration};

use http::{Method, StatusCode};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Labels of the duration histogram, in the order of [`method_index`]; the last is for all other methods.
const METHODS: [&str; 11] =
    ["get", "put", "head", "post", "delete", "connect", "options", "notify", "trace", "patch", "unknown"];
/// Status codes from 100 to 999.
const FIRST_STATUS: usize = 100;
const STATUS_COUNT: usize = 900;

/// Why the metrics cannot be set up: two of them share a name, or a name is not valid.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be set up: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    Accepted,
    /// The user is not allowed, or the provider refused.
    Denied,
    /// No answer was possible.
    Failed,
}

/// How the refresh of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    Refreshed,
    /// The provider refused.
    Refused,
    /// No answer was possible.
    Failed,
}

/// How a reload of the configuration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    Taken,
    /// The old configuration stays.
    Refused,
}

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    requests_by_status: Box<[OnceLock<IntCounter>]>,
    in_flight: IntGauge,
    durations: HistogramVec,
    durations_by_method: [OnceLock<Histogram>; METHODS.len()],
    by_route: IntCounterVec,
    logins: IntCounterVec,
    refreshes: IntCounterVec,
    last_reload: IntGauge,
    scrapes: IntCounter,
    scrapes_in_flight: IntGauge,
}

impl Metrics {
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let requests =
            counters("oauth2_proxy_requests_total", "Requests answered, by HTTP status code.", "code")?;
        let in_flight = gauge("oauth2_proxy_requests_in_flight", "Requests being answered now.")?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "oauth2_proxy_response_duration_seconds",
                "Time taken by requests, by method.",
            ),
            &["method"],
        )?;
        registry.register(Box::new(durations.clone()))?;
        let by_route = IntCounterVec::new(
            Opts::new(
                "doorward_gateway_requests_total",
                "Requests that a route took, by route and HTTP status code.",
            ),
            &["route", "code"],
        )?;
        registry.register(Box::new(by_route.clone()))?;
        let logins = counters("doorward_logins_total", "Logins ended, by outcome.", "outcome")?;
        let refreshes =
            counters("doorward_session_refresh_total", "Session refreshes ended, by outcome.", "outcome")?;
        let last_reload = gauge(
            "doorward_config_last_reload_successful",
            "1 if the configuration in use is the one last read, 0 if that was refused.",
        )?;
        last_reload.set(1);
        let scrapes =
            counters("promhttp_metric_handler_requests_total", "Scrapes, by HTTP status code.", "code")?;
        let scrapes_in_flight =
            gauge("promhttp_metric_handler_requests_in_flight", "Scrapes being answered now.")?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let metrics = Self {
            requests,
            requests_by_status: (0..STATUS_COUNT).map(|_| OnceLock::new()).collect(),
            in_flight,
            durations,
            durations_by_method: Default::default(),
            by_route,
            logins,
            refreshes,
            last_reload,
            scrapes: scrapes.with_label_values(&["200"]),
            scrapes_in_flight,
            registry,
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    /// Outcomes are shown before they first happen: a rate over a series that just appeared misses its first event.
    fn show_zeros(&self) {
        for outcome in [LoginOutcome::Accepted, LoginOutcome::Denied, LoginOutcome::Failed] {
            self.logins.with_label_values(&[login_label(outcome)]).inc_by(0);
        }
        for outcome in [RefreshOutcome::Refreshed, RefreshOutcome::Refused, RefreshOutcome::Failed] {
            self.refreshes.with_label_values(&[refresh_label(outcome)]).inc_by(0);
        }
    }

    /// Counts a request as in flight until the guard is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight { gauge: self.in_flight.clone() }
    }

    /// Counts a finished request: one behind the health checks, whether answered here or by an application.
    pub fn observe(&self, status: StatusCode, method: &Method, duration: Duration) {
        let place = usize::from(status.as_u16()).checked_sub(FIRST_STATUS);
        match place.and_then(|place| self.requests_by_status.get(place)) {
            Some(counter) => {
                counter.get_or_init(|| self.requests.with_label_values(&[status.as_str()])).inc();
            }
            None => self.requests.with_label_values(&[status.as_str()]).inc(),
        }
        let index = method_index(method);
        if let (Some(histogram), Some(label)) = (self.durations_by_method.get(index), METHODS.get(index)) {
            histogram
                .get_or_init(|| self.durations.with_label_values(&[label]))
                .observe(duration.as_secs_f64());
        }
    }

    /// Counts a finished request that a route of the gateway took. Routes are the configuration's, so there are few.
    pub fn routed(&self, route: &str, status: StatusCode) {
        self.by_route.with_label_values(&[route, status.as_str()]).inc();
    }

    pub fn login(&self, outcome: LoginOutcome) {
        self.logins.with_label_values(&[login_label(outcome)]).inc();
    }

    pub fn session_refresh(&self, outcome: RefreshOutcome) {
        self.refreshes.with_label_values(&[refresh_label(outcome)]).inc();
    }

    pub fn config_reload(&self, outcome: ReloadOutcome) {
        self.last_reload.set(i64::from(outcome == ReloadOutcome::Taken));
    }

    /// The exposition, in the text format 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`).
    pub fn render(&self) -> String {
        self.scrapes_in_flight.inc();
        let mut text = String::new();
        // Only metrics without a name or a value make encoding fail, and none such was registered.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        self.scrapes_in_flight.dec();
        self.scrapes.inc();
        text
    }
}

/// A request in flight; see [`Metrics::begin`].
#[derive(Debug)]
pub struct InFlight {
    gauge: IntGauge,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

fn method_index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::PUT => 1,
        Method::HEAD => 2,
        Method::POST => 3,
        Method::DELETE => 4,
        Method::CONNECT => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 8,
        Method::PATCH => 9,
        _ if method.as_str() == "NOTIFY" => 7,
        _ => METHODS.len() - 1,
    }
}

const fn login_label(outcome: LoginOutcome) -> &'static str {
    match outcome {
        LoginOutcome::Accepted => "accepted",
        LoginOutcome::Denied => "denied",
        LoginOutcome::Failed => "failed",
    }
}

const fn refresh_label(outcome: RefreshOutcome) -> &'static str {
    match outcome {
        RefreshOutcome::Refreshed => "refreshed",
        RefreshOutcome::Refused => "refused",
        RefreshOutcome::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metrics: &Metrics, expected: &[&str]) {
        let text = metrics.render();
        for line in expected {
            assert!(text.lines().any(|shown| shown == *line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn requests_are_counted_by_status() {
        let metrics = Metrics::new().unwrap();
        for status in [403, 403, 401, 999] {
            metrics.observe(StatusCode::from_u16(status).unwrap(), &Method::GET, Duration::ZERO);
        }
        check(
            &metrics,
            &[
                "# TYPE oauth2_proxy_requests_total counter",
                r#"oauth2_proxy_requests_total{code="403"} 2"#,
                r#"oauth2_proxy_requests_total{code="401"} 1"#,
                r#"oauth2_proxy_requests_total{code="999"} 1"#,
            ],
        );
    }

    #[test]
    fn durations_are_kept_by_method_and_unknown_methods_share_a_series() {
        let metrics = Metrics::new().unwrap();
        for method in ["GET", "POST", "NOTIFY", "BREW", "get"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            metrics.observe(StatusCode::OK, &method, Duration::from_millis(7));
        }
        check(
            &metrics,
            &[
                "# TYPE oauth2_proxy_response_duration_seconds histogram",
                r#"oauth2_proxy_response_duration_seconds_bucket{method="get",le="0.005"} 0"#,
                r#"oauth2_proxy_response_duration_seconds_bucket{method="get",le="0.01"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_bucket{method="get",le="2.5"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_bucket{method="get",le="10"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_bucket{method="get",le="+Inf"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_sum{method="get"} 0.007"#,
                r#"oauth2_proxy_response_duration_seconds_count{method="post"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_count{method="notify"} 1"#,
                r#"oauth2_proxy_response_duration_seconds_count{method="unknown"} 2"#,
            ],
        );
    }

    #[test]
    fn a_request_is_in_flight_until_its_guard_is_dropped() {
        let metrics = Metrics::new().unwrap();
        let guards = [metrics.begin(), metrics.begin()];
        check(&metrics, &["oauth2_proxy_requests_in_flight 2"]);
        drop(guards);
        check(&metrics, &["oauth2_proxy_requests_in_flight 0"]);
    }

    #[test]
    fn outcomes_are_shown_before_they_happen() {
        let metrics = Metrics::new().unwrap();
        check(&metrics, &[r#"doorward_logins_total{outcome="accepted"} 0"#]);
        metrics.login(LoginOutcome::Accepted);
        metrics.session_refresh(RefreshOutcome::Failed);
        check(
            &metrics,
            &[
                r#"doorward_logins_total{outcome="accepted"} 1"#,
                r#"doorward_session_refresh_total{outcome="failed"} 1"#,
                r#"promhttp_metric_handler_requests_total{code="200"} 1"#,
                "promhttp_metric_handler_requests_in_flight 1",
            ],
        );
    }

    #[test]
    fn the_process_shows_its_memory() {
        let text = Metrics::new().unwrap().render();
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
