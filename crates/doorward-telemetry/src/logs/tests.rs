use std::{fs, net::SocketAddr, time::Duration};

use http::{Method, Version};

use super::*;
use crate::line::{AuthStatus, ClientField, Decision};

const STARTED: Timestamp = Timestamp { seconds: 1_795_332_897, nanos: 900_000_000 };

fn config() -> LogConfig {
    LogConfig { time_zone: TimeZone::Utc, ..LogConfig::default() }
}

fn peer() -> ClientField {
    ClientField::Peer("127.0.0.1:59584".parse::<SocketAddr>().unwrap())
}

fn request() -> RequestLine<'static> {
    RequestLine {
        client: peer(),
        host: b"127.0.0.1:14180",
        method: &Method::GET,
        uri: "/",
        protocol: Version::HTTP_11,
        user_agent: b"",
        username: "",
        request_id: b"1b170a87",
        upstream: "",
        status: 403,
        size: 8496,
        started: STARTED,
        duration: Duration::from_micros(400),
        decision: None,
    }
}

fn auth() -> AuthLine<'static> {
    AuthLine {
        client: peer(),
        host: b"app.example",
        method: &Method::GET,
        protocol: Version::HTTP_2,
        user_agent: b"curl/8",
        username: "jane@example.com",
        request_id: b"d1b22807",
        status: AuthStatus::Success,
        message: "Authenticated via OAuth2: Session{email:jane@example.com}",
        at: STARTED,
        decision: None,
    }
}

#[track_caller]
fn check(line: &RequestLine<'_>, expected: &str) {
    let logs = Logs::in_memory(&config());
    logs.request(line);
    assert_eq!(logs.memory(), format!("{expected}\n"));
}

#[track_caller]
fn check_auth(line: AuthLine<'_>, expected: &str) {
    let logs = Logs::in_memory(&config());
    logs.auth(&line);
    assert_eq!(logs.memory(), format!("{expected}\n"));
}

#[track_caller]
fn check_format(format: &str, expected: &str) {
    let mut config = config();
    format.clone_into(&mut config.request.format);
    let logs = Logs::in_memory(&config);
    logs.request(&RequestLine { username: "jane", uri: "/x?y", upstream: "app", ..request() });
    assert_eq!(logs.memory(), format!("{expected}\n"));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut LogConfig), expected: &[&str]) {
    let mut config = config();
    change(&mut config);
    let message = Logs::new(&config).unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[test]
fn a_request_line_is_that_of_oauth2_proxy() {
    check(
        &request(),
        "127.0.0.1:59584 - 1b170a87 - - [2026/11/22 07:34:57] 127.0.0.1:14180 GET - \"/\" HTTP/1.1 \"\" 403 8496 0.000",
    );
    check(
        &RequestLine {
            client: ClientField::Ip("2001:db8::1".parse().unwrap()),
            method: &Method::POST,
            uri: "/a?b=%20",
            protocol: Version::HTTP_2,
            user_agent: br#"Mozilla/5.0 (X11) "x""#,
            username: "jane@example.com",
            upstream: "/app/",
            status: 200,
            duration: Duration::from_micros(1_234_500),
            ..request()
        },
        "2001:db8::1 - 1b170a87 - jane@example.com [2026/11/22 07:34:57] 127.0.0.1:14180 POST /app/ \"/a?b=%20\" \
         HTTP/2.0 \"Mozilla/5.0 (X11) \\\"x\\\"\" 200 8496 1.235",
    );
}

#[test]
fn an_auth_line_is_that_of_oauth2_proxy() {
    check_auth(
        auth(),
        "127.0.0.1:59584 - d1b22807 - jane@example.com [2026/11/22 07:34:57] [AuthSuccess] Authenticated via OAuth2: \
         Session{email:jane@example.com}",
    );
    check_auth(
        AuthLine {
            client: ClientField::UnixPeer,
            username: "",
            status: AuthStatus::Failure,
            message: "no",
            ..auth()
        },
        "@ - d1b22807 - - [2026/11/22 07:34:57] [AuthFailure] no",
    );
    check_auth(
        AuthLine { status: AuthStatus::Error, message: "no", ..auth() },
        "127.0.0.1:59584 - d1b22807 - jane@example.com [2026/11/22 07:34:57] [AuthError] no",
    );
}

#[test]
fn an_ipv4_client_of_a_dual_stack_socket_is_shown_as_ipv4() {
    let peer = ClientField::Peer("[::ffff:192.0.2.7]:80".parse().unwrap());
    check_auth(
        AuthLine { client: peer, message: "m", ..auth() },
        "192.0.2.7:80 - d1b22807 - jane@example.com [2026/11/22 07:34:57] [AuthSuccess] m",
    );
}

#[test]
fn no_value_can_forge_a_line_or_a_column() {
    check_auth(
        AuthLine {
            request_id: b"x - admin [2026/01/01 00:00:00] [AuthSuccess]\r\n",
            username: "a [AuthSuccess]\x1b[2K",
            message: "failed\n127.0.0.1:1 - x - root",
            ..auth()
        },
        r"127.0.0.1:59584 - x\x20-\x20admin\x20[2026/01/01\x2000:00:00]\x20[AuthSuccess]\r\n - a\x20[AuthSuccess]\x1b[2K [2026/11/22 07:34:57] [AuthSuccess] failed\n127.0.0.1:1 - x - root",
    );
    check(
        &RequestLine { host: b"a\nb c", user_agent: b"\xff\x00\n", ..request() },
        r#"127.0.0.1:59584 - 1b170a87 - - [2026/11/22 07:34:57] a\nb\x20c GET - "/" HTTP/1.1 "\xff\x00\n" 403 8496 0.000"#,
    );
}

#[test]
fn formats_choose_and_order_the_fields() {
    check_format(
        "REQ {{.RequestMethod}} {{.RequestURI}} {{.StatusCode}} {{.Username}} {{.Host}} END",
        "REQ GET \"/x?y\" 403 jane 127.0.0.1:14180 END",
    );
    check_format("{{ .Upstream }}", "app");
    check_format("", "");
    check_format("a \\ \"b\"", "a \\ \"b\"");
}

#[test]
fn formats_may_be_whole_templates() {
    check_format(
        "{{if eq .Username \"-\"}}nobody{{else}}{{.Username | printf \"%q\"}}{{end}} {{.RequestURI}}",
        "\"jane\" \"/x?y\"",
    );
    check_format("{{with .Upstream}}to {{.}} by {{$.RequestMethod}}{{end}}", "to app by GET");
    check_format("{{/* nothing */}}{{.StatusCode -}} !", "403!");
    check_format(
        "{{range .Username}}{{end}}",
        "this line's format failed: line 1: range cannot go over string",
    );
}

#[test]
fn a_format_with_an_unknown_field_or_bad_syntax_stops_the_start() {
    check_refused(|config| config.request.format = "{{.Nope}}".into(), &["request-logging-format", "Nope"]);
    check_refused(
        |config| config.request.format = "{{.Message}}".into(),
        &["request-logging-format", "Message"],
    );
    check_refused(|config| config.auth.format = "{{.Client".into(), &["auth-logging-format"]);
    check_refused(
        |config| config.auth.format = "{{if .Client}}{{$.Nope}}{{end}}".into(),
        &["auth-logging-format", "Nope"],
    );
    check_refused(
        |config| config.standard = Stream { state: StreamState::Off, format: "{{.Client}}".into() },
        &["standard-logging-format", "Client"],
    );
}

#[test]
fn an_excluded_path_has_no_request_line() {
    let mut config = config();
    config.exclude_paths = vec!["/ping".into(), "/hush".into()];
    config.request.format = "{{.RequestURI}}".into();
    let logs = Logs::in_memory(&config);
    for path in ["/hush", "/hush/", "/loud", "/ping"] {
        assert_eq!(logs.wants_request(|| path.into()), !matches!(path, "/hush" | "/ping"), "{path}");
    }
}

#[test]
fn a_path_is_looked_at_only_where_some_are_excluded() {
    let mut config = config();
    assert!(Logs::in_memory(&config).wants_request(|| unreachable!("no path is excluded")));
    config.request.state = StreamState::Off;
    config.exclude_paths = vec!["/x".into()];
    assert!(!Logs::in_memory(&config).wants_request(|| unreachable!("there are no request lines")));
}

#[test]
fn a_stream_that_is_off_writes_nothing() {
    let mut config = config();
    for stream in [&mut config.standard, &mut config.auth, &mut config.request] {
        stream.state = StreamState::Off;
    }
    let logs = Logs::in_memory(&config);
    logs.request(&request());
    logs.auth(&auth());
    logs.standard(Level::Error, "a.rs:1", "x", &[]);
    assert_eq!(logs.memory(), "");
}

#[test]
fn errors_go_with_the_others_only_if_asked() {
    let mut config = config();
    config.standard.format = "[{{.File}}] {{.Message}}".into();
    config.errors = ErrorLines::WithOthers;
    let logs = Logs::in_memory(&config);
    logs.standard(Level::Error, "main.rs:7", "broken\nfor real", &[]);
    assert_eq!(logs.memory(), "[main.rs:7] broken\\nfor real\n");
    config.errors = ErrorLines::Stderr;
    let logs = Logs::in_memory(&config);
    logs.standard(Level::Error, "main.rs:7", "this line is for standard error", &[]);
    assert_eq!(logs.memory(), "");
}

#[test]
fn a_log_file_that_cannot_be_written_stops_the_start() {
    let folder = std::env::temp_dir();
    let file =
        LogFile { path: folder, max_size_mb: 1, max_age_days: 0, max_backups: 0, rotated: Rotated::Keep };
    check_refused(|config| config.file = Some(file), &["logging-filename"]);
}

#[test]
fn lines_go_to_the_file_and_follow_what_is_there() {
    let folder = crate::file::tests::Folder::new("append");
    let path = folder.path().join("deep/er/o.log");
    let rules = LogFile {
        path: path.clone(),
        max_size_mb: 1,
        max_age_days: 0,
        max_backups: 0,
        rotated: Rotated::Keep,
    };
    let config = LogConfig { file: Some(rules), ..config() };
    for _ in 0..2 {
        Logs::new(&config).unwrap().request(&request());
    }
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 2);
}

fn json_config() -> LogConfig {
    LogConfig { layout: Layout::Json, ..config() }
}

fn denied() -> Decision<'static> {
    Decision {
        outcome: "deny",
        reason: "group_missing",
        rule: "default",
        message: "No.",
        detail: "no group",
        mend: "",
    }
}

#[test]
fn json_lines_have_stable_names_in_a_stable_order() {
    let logs = Logs::in_memory(&json_config());
    logs.request(&RequestLine { username: "jane", upstream: "app", decision: Some(denied()), ..request() });
    assert_eq!(
        logs.memory(),
        "{\"time\":\"2026-11-22T07:34:57.900Z\",\"stream\":\"request\",\"level\":\"info\",\"message\":\"No.\",\
         \"outcome\":\"deny\",\"reason\":\"group_missing\",\"rule\":\"default\",\"detail\":\"no group\",\
         \"client\":\"127.0.0.1:59584\",\"request_id\":\"1b170a87\",\"user\":\"jane\",\"host\":\"127.0.0.1:14180\",\
         \"method\":\"GET\",\"upstream\":\"app\",\"uri\":\"/\",\"protocol\":\"HTTP/1.1\",\"status\":403,\"size\":8496,\
         \"duration\":0.0004}\n",
    );
    logs.auth(&AuthLine { status: AuthStatus::Failure, message: "no", ..auth() });
    assert_eq!(
        logs.memory(),
        "{\"time\":\"2026-11-22T07:34:57.900Z\",\"stream\":\"auth\",\"level\":\"warn\",\"message\":\"no\",\
         \"auth_status\":\"AuthFailure\",\"client\":\"127.0.0.1:59584\",\"request_id\":\"d1b22807\",\
         \"user\":\"jane@example.com\",\"host\":\"app.example\",\"method\":\"GET\",\"protocol\":\"HTTP/2.0\",\
         \"user_agent\":\"curl/8\"}\n",
    );
    logs.standard(Level::Info, "a.rs:1", "A thing.", &[("tries", 3.into()), ("why", "no answer".into())]);
    let line = logs.memory();
    let (head, tail) = line.split_at_checked("{\"time\":\"2026-11-22T07:34:57.900Z\"".len()).unwrap();
    assert!(head.starts_with("{\"time\":\"20") && head.ends_with("Z\""), "{head}");
    assert_eq!(
        tail,
        ",\"stream\":\"standard\",\"level\":\"info\",\"message\":\"A thing.\",\"file\":\"a.rs:1\",\"tries\":3,\
         \"why\":\"no answer\"}\n",
    );
}

#[test]
fn no_value_can_break_a_json_line() {
    let logs = Logs::in_memory(&json_config());
    logs.request(&RequestLine {
        host: b"a\nb",
        user_agent: "\"}\r\n{\u{85}\u{2028}\u{9b}\u{202e}\u{e0001}\x1b[2K\x7f".as_bytes(),
        request_id: b"\xff\n",
        username: "jane\n{\"stream\":\"auth\"}",
        ..request()
    });
    let line = logs.memory();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let printable = |char: char| crate::escape::is_printable(char) || char == '\n';
    assert!(line.chars().all(printable), "{line}");
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["host"], "a\nb");
    assert_eq!(value["user_agent"], "\"}\r\n{\u{85}\u{2028}\u{9b}\u{202e}\u{e0001}\x1b[2K\x7f");
    assert_eq!(value["request_id"], "\u{fffd}\n");
    assert_eq!(value["user"], "jane\n{\"stream\":\"auth\"}");
}

#[test]
fn json_replaces_the_templates_but_does_not_excuse_them() {
    check_refused(
        |config| {
            config.layout = Layout::Json;
            config.request.format = "{{.Nope}}".into();
        },
        &["request-logging-format", "Nope"],
    );
}

#[test]
fn a_template_can_show_the_decision() {
    let mut config = config();
    config.request.format = "{{.Outcome}} {{.Reason}} {{.Rule}}".into();
    let logs = Logs::in_memory(&config);
    logs.request(&RequestLine { decision: Some(denied()), ..request() });
    logs.request(&request());
    assert_eq!(logs.memory(), "deny group_missing default\n- - -\n");
}
