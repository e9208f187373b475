//! The stage that most tests play on: a provider, an application, and doorward between them.

use std::thread;

use doorward_testkit::{Answer, Browser, Doorward, Echo, Launch, Provider};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// The names of doorward's cookies.
pub(crate) const SESSION: &str = "_oauth2_proxy";
pub(crate) const CSRF: &str = "_oauth2_proxy_csrf";

/// bob's password is "builder", carol's is "singer".
pub(crate) const BOB: &str = "bob:{SHA}9SMYoF5RilWWASry7TjeaKwmpGg=\n";
pub(crate) const CAROL: &str = "carol:{SHA}X9zPCbMFzMPlYX7+7QubnxKI7iM=\n";

pub(crate) struct Stage {
    // Dropped first: it looks for the provider's secrets in its log.
    pub(crate) doorward: Doorward,
    pub(crate) provider: Provider,
    pub(crate) echo: Echo,
}

impl Stage {
    /// With the usual flags and these.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self::launch(|launch| launch.flags(flags.iter().copied()))
    }

    pub(crate) fn launch(change: impl FnOnce(Launch) -> Launch) -> Self {
        Self::before(|_| (), change)
    }

    /// As [`Stage::launch`], with a provider that is made ready first.
    pub(crate) fn before(prepare: impl FnOnce(&Provider), change: impl FnOnce(Launch) -> Launch) -> Self {
        let (provider, echo) = (Provider::start(), Echo::start());
        prepare(&provider);
        let doorward = change(Launch::new(PROGRAM, &provider, &echo)).start();
        Self { doorward, provider, echo }
    }

    pub(crate) fn browser(&self) -> Browser {
        self.doorward.browser()
    }

    #[track_caller]
    pub(crate) fn logged_in(&self) -> Browser {
        self.browser().logged_in()
    }

    /// A second doorward in front of the same parts, with the same cookie secret.
    pub(crate) fn sibling(&self, flags: &[&str]) -> Doorward {
        Launch::new(PROGRAM, &self.provider, &self.echo).flags(flags.iter().copied()).start()
    }
}

/// Only programs that failed to start are of interest.
pub(crate) fn parts() -> (Provider, Echo) {
    (Provider::start(), Echo::start())
}

/// Checks all rows of a table at the same time: for rows that mostly wait.
pub(crate) fn at_once<T: Sync>(rows: &[T], check: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| check(row));
        }
    });
}

/// Percent-encodes for a query.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether an answer brings a session cookie.
pub(crate) fn brings_session(answer: &Answer) -> bool {
    answer.set_cookies().iter().any(|cookie| {
        !cookie.name.ends_with("_csrf") && cookie.name.starts_with(SESSION) && !cookie.is_deletion()
    })
}

/// The login of this browser fails, leaves no session, and asks nobody in.
#[track_caller]
pub(crate) fn assert_login_refused(stage: &Stage, why: &str) -> Answer {
    let mut browser = stage.browser();
    let answer = browser.login("/");
    assert!(matches!(answer.status, 403 | 500 | 502), "{why}: {} {}", answer.status, answer.location());
    assert!(!brings_session(&answer), "{why}: a session was given out");
    assert_eq!(browser.get("/oauth2/auth").status, 401, "{why}");
    answer
}

#[track_caller]
pub(crate) fn assert_login_accepted(stage: &Stage, why: &str) {
    let mut browser = stage.browser();
    let answer = browser.login("/");
    assert_eq!(answer.status, 302, "{why}: {}\n{}", answer.text(), stage.doorward.log());
    assert_eq!(browser.get("/oauth2/auth").status, 202, "{why}");
}
