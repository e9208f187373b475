use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const KNOWN: &str = r#"{"status":{"authenticated":true,"user":{"username":"sa","uid":"1","groups":["g"],
    "extra":{"k":["v"]}}}}"#;

/// A reviewer that gives the same answer to everybody, and how often it was asked. What it was asked has to hold all of
/// `parts`.
fn reviewer(
    status: &'static str,
    body: &'static str,
    parts: &'static [&'static str],
) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/review", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 4096];
            // The question ends with its JSON.
            while !request.ends_with(b"}}") {
                let length = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            let request = String::from_utf8(request).unwrap();
            let complete = parts.iter().all(|part| request.contains(part));
            count.fetch_add(1, Ordering::SeqCst);
            let (status, body) = if complete { (status, body) } else { ("418 Teapot", "") };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

fn config(url: Url) -> Config {
    Config {
        url,
        token: Some("own-token".into()),
        http: HttpConfig::default(),
        audiences: vec![],
        implicit_audiences: vec![],
        cache: Duration::from_mins(1),
        on_error: OnError::Refuse,
    }
}

async fn judged(config: Config) -> Result<UserInfo, ReviewRefusal> {
    TokenReview::new(config).unwrap().attempt("t", NOW).await
}

#[tokio::test]
async fn a_reviewer_is_asked_as_kubernetes_asks_and_believed_for_our_audience_only() {
    const FOR_ALL: &[&str] = &["Bearer own-token", r#""kind":"TokenReview""#, r#""token":"t""#];
    const FOR_API: &[&str] = &[r#""audiences":["api"]"#];
    const TO_API: &str =
        r#"{"status":{"authenticated":true,"user":{"username":"sa"},"audiences":["api","x"]}}"#;
    const TO_OTHER: &str = r#"{"status":{"authenticated":true,"user":{"username":"sa"},"audiences":["x"]}}"#;
    let status = |code| Err(ReviewRefusal::Unanswered(ReviewError::Status(code)));
    let unreadable = || Err(ReviewRefusal::Unanswered(ReviewError::Unreadable));
    for (answer, audiences, implicit, expected) in [
        (("201 Created", KNOWN, FOR_ALL), &[][..], &[][..], Ok("sa")),
        (("200 OK", KNOWN, &[]), &[], &[], Ok("sa")),
        (("200 OK", TO_API, FOR_API), &["api"], &[], Ok("sa")),
        (("200 OK", TO_OTHER, FOR_API), &["api"], &["api"], Err(ReviewRefusal::Audience)),
        (("200 OK", KNOWN, FOR_API), &["api"], &[], Err(ReviewRefusal::Audience)),
        (("200 OK", KNOWN, FOR_API), &["api"], &["api"], Ok("sa")),
        (
            ("200 OK", r#"{"status":{"authenticated":false,"error":"no"}}"#, &[]),
            &[],
            &[],
            Err(ReviewRefusal::Unknown),
        ),
        (("200 OK", "{}", &[]), &[], &[], Err(ReviewRefusal::Unknown)),
        (("200 OK", "[]x", &[]), &[], &[], unreadable()),
        (("200 OK", r#"{"status":{"authenticated":"true"}}"#, &[]), &[], &[], unreadable()),
        (("403 Forbidden", KNOWN, &[]), &[], &[], status(403)),
        (("500 Broken", KNOWN, &[]), &[], &[], status(500)),
    ] {
        let (url, _) = reviewer(answer.0, answer.1, answer.2);
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let config = Config { audiences: list(audiences), implicit_audiences: list(implicit), ..config(url) };
        let expected = expected.map(str::to_owned);
        assert_eq!(judged(config).await.map(|user| user.name), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_ten_seconds_at_most_and_no_answer_not_at_all() {
    let (url, asked) = reviewer("200 OK", KNOWN, &[]);
    let review = TokenReview::new(config(url)).unwrap();
    for (token, seconds, count) in [("t", 0, 1), ("t", 9, 1), ("u", 9, 2), ("t", 10, 3), ("t", -5, 4)] {
        let now = Timestamp::from_seconds(NOW.seconds + seconds);
        assert!(review.attempt(token, now).await.is_ok());
        assert_eq!(asked.load(Ordering::SeqCst), count, "{token} {seconds}");
    }
    let (url, asked) = reviewer("503 Busy", "", &[]);
    let review = TokenReview::new(config(url)).unwrap();
    for count in 1..3 {
        let refusal = review.attempt("t", NOW).await.unwrap_err();
        assert!(refusal.is_unavailable(OnError::Unavailable) && !refusal.is_unavailable(OnError::Refuse));
        assert_eq!(asked.load(Ordering::SeqCst), count);
    }
}
