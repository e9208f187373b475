//! One burst of load: wrk as fast as it goes, or h2load at a fixed rate. Numbers are `f64` from the start, since all
//! that happens to them is division.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, process};

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) path: &'static str,
    /// The status that every answer should have.
    pub(crate) expect: u16,
    pub(crate) pace: Pace,
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// The CPU that the generator is bound to.
    pub(crate) cpu: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Each connection sends its next request when the last is answered.
    ClosedLoop,
    /// So many requests a second over all connections.
    Fixed(u32),
}

/// How requests say who sends them.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A header.
    Header(String),
    /// A header, over TLS.
    HeaderOverTls(String),
    /// A PEM file with a certificate and its key.
    Certificate(PathBuf),
}

impl Credential {
    pub(crate) fn header(&self) -> &str {
        match self {
            Self::Header(header) | Self::HeaderOverTls(header) => header,
            Self::Certificate(_) => "X-Nothing: -",
        }
    }
}

/// What came of a burst.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Yield {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Answers of another class than expected, and connections that failed.
    pub(crate) bad: f64,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedLoop => f.write_str("as fast as it goes"),
            Self::Fixed(rate) => write!(f, "{rate} requests/s"),
        }
    }
}

impl Load {
    pub(crate) fn send(&self, port: u16, credential: &Credential, work: &Path) -> Outcome<Yield> {
        match (credential, self.pace) {
            (Credential::Header(header), Pace::ClosedLoop) => self.send_by_wrk(port, header),
            (Credential::Header(header), Pace::Fixed(rate)) => self.send_by_h2load(port, header, rate, work),
            (Credential::HeaderOverTls(_) | Credential::Certificate(_), _) => {
                self.send_by_ab(port, credential)
            }
        }
    }

    fn bound(&self) -> Command {
        let mut command = Command::new("taskset");
        command.args(["-c", self.cpu]);
        command
    }

    fn send_by_wrk(&self, port: u16, header: &str) -> Outcome<Yield> {
        let mut command = self.bound();
        command.args(["wrk", "--latency", "-t1"]);
        command.args([format!("-c{}", self.connections), format!("-d{}s", self.seconds)]);
        command.args(["-H", header]).arg(format!("http://127.0.0.1:{port}{}", self.path));
        let text = process::output(&mut command)?;
        parse_wrk(&text).ok_or_else(|| format!("wrk said: {text}").into())
    }

    fn send_by_h2load(&self, port: u16, header: &str, rate: u32, work: &Path) -> Outcome<Yield> {
        let log = work.join("h2load.log");
        let _ = fs::remove_file(&log);
        let rate = f64::from(rate) / f64::from(self.connections);
        let mut command = self.bound();
        command.args(["h2load", "--h1", "-t1"]).arg(format!("--log-file={}", log.display()));
        command.args([format!("-c{}", self.connections), format!("-D{}", self.seconds)]);
        command.args([&format!("--rps={rate}"), "-H", header]);
        command.arg(format!("http://127.0.0.1:{port}{}", self.path));
        let text = process::output(&mut command)?;
        let times = fs::read_to_string(&log)?;
        let class = self.expect / 100;
        parse_h2load(&text, &times, class, f64::from(self.seconds))
            .ok_or_else(|| format!("h2load said: {text}").into())
    }

    /// The one of them that can show a certificate.
    fn send_by_ab(&self, port: u16, credential: &Credential) -> Outcome<Yield> {
        let mut command = self.bound();
        command.args(["ab", "-q", "-k", "-t", &self.seconds.to_string(), "-n", "100000000"]);
        command.args(["-c", &self.connections.to_string(), "-H", credential.header()]);
        if let Credential::Certificate(file) = credential {
            command.arg("-E").arg(file);
        }
        let text = process::output(command.arg(format!("https://127.0.0.1:{port}{}", self.path)))?;
        parse_ab(&text).ok_or_else(|| format!("ab said: {text}").into())
    }
}

fn parse_wrk(text: &str) -> Option<Yield> {
    let mut burst = Yield::default();
    for line in text.lines().map(str::trim) {
        if let Some(time) = line.strip_prefix("50%") {
            burst.p50_us = microseconds(time.trim())?;
        } else if let Some(time) = line.strip_prefix("99%") {
            burst.p99_us = microseconds(time.trim())?;
        } else if let Some((count, rest)) = line.split_once(" requests in ") {
            burst.requests = count.parse().ok()?;
            burst.seconds = microseconds(rest.split(',').next()?)? / 1e6;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses: ") {
            burst.bad += count.parse::<f64>().ok()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors: ") {
            burst.bad += errors.split([' ', ',']).filter_map(|word| word.parse::<f64>().ok()).sum::<f64>();
        }
    }
    (burst.requests > 0.0).then_some(burst)
}

fn parse_ab(text: &str) -> Option<Yield> {
    let mut burst = Yield::default();
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        let mut number = |place| words.nth(place)?.parse::<f64>().ok();
        if line.starts_with("Complete requests:") {
            burst.requests = number(2)?;
        } else if line.starts_with("Time taken for tests:") {
            burst.seconds = number(4)?;
        } else if line.starts_with("Failed requests:") || line.starts_with("Non-2xx responses:") {
            burst.bad += number(2)?;
        } else if line.starts_with("50%") {
            // Whole milliseconds.
            burst.p50_us = number(1)? * 1e3;
        } else if line.starts_with("99%") {
            burst.p99_us = number(1)? * 1e3;
        }
    }
    (burst.requests > 0.0).then_some(burst)
}

fn parse_h2load(text: &str, times: &str, class: u16, seconds: f64) -> Option<Yield> {
    let codes = text.lines().find_map(|line| line.strip_prefix("status codes: "))?;
    let mut burst = Yield { seconds, ..Yield::default() };
    for (count, name) in codes.split(", ").filter_map(|code| code.split_once(' ')) {
        let count: f64 = count.parse().ok()?;
        burst.requests += count;
        if name != format!("{class}xx") {
            burst.bad += count;
        }
    }
    let mut latencies: Vec<f64> =
        times.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect();
    latencies.sort_by(f64::total_cmp);
    burst.p50_us = *latencies.get(latencies.len() / 2)?;
    burst.p99_us = *latencies.get(latencies.len() * 99 / 100)?;
    Some(burst)
}

/// Reads `634.00us`, `1.25ms`, `3.00s` or `1.00m`.
fn microseconds(text: &str) -> Option<f64> {
    let unit_at = text.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_says_is_understood() {
        let text = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 32 connections\n  Latency Distribution\n     \
                    50%  634.00us\n     75%  1.00ms\n     99%    1.25ms\n  2000 requests in 3.00s, 1.20MB read\n  \
                    Socket errors: connect 0, read 2, write 0, timeout 1\n  Non-2xx or 3xx responses: 5\n";
        let expected = Yield { requests: 2000.0, seconds: 3.0, p50_us: 634.0, p99_us: 1250.0, bad: 8.0 };
        assert_eq!(parse_wrk(text), Some(expected));
        assert_eq!(parse_wrk("unable to connect"), None);
    }

    #[test]
    fn what_ab_says_is_understood() {
        let text = "Concurrency Level:      32\nTime taken for tests:   3.002 seconds\nComplete requests:      9000\n\
                    Failed requests:        2\nNon-2xx responses:      3\nKeep-Alive requests:    8900\n\
                    Percentage of the requests served within a certain time (ms)\n  50%      9\n  99%     12\n 100%     90\n";
        let expected = Yield { requests: 9000.0, seconds: 3.002, p50_us: 9000.0, p99_us: 12000.0, bad: 5.0 };
        assert_eq!(parse_ab(text), Some(expected));
        assert_eq!(parse_ab("SSL handshake failed"), None);
    }

    #[test]
    fn what_h2load_says_is_understood() {
        let text = "finished in 4.00s\nstatus codes: 90 2xx, 0 3xx, 10 4xx, 0 5xx\n";
        let times = "1\t202\t300\n2\t202\t100\n3\t202\t200\n";
        let expected = Yield { requests: 100.0, seconds: 4.0, p50_us: 200.0, p99_us: 300.0, bad: 10.0 };
        assert_eq!(parse_h2load(text, times, 2, 4.0), Some(expected));
        assert_eq!(parse_h2load(text, "", 2, 4.0), None);
    }
}
