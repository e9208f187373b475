use super::*;

const BOB: &str = "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n";
const CAROL: &str = "carol:$2a$05$ZhF3i5ZnxZp1swkKqFp9/uIyk5lPU7TagdgV7y9lNAe8IrIR7/aIO\n";

fn users(text: &str, config: Config) -> Htpasswd {
    Htpasswd::new(Entries::parse(text).unwrap(), config)
}

fn header(credentials: &str) -> Vec<u8> {
    format!("Basic {}", base64_simd::STANDARD.encode_to_string(credentials)).into_bytes()
}

const HERE: ClientIp = ClientIp::Known(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
const ELSEWHERE: ClientIp = ClientIp::Known(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

fn named(name: &str) -> Attempt {
    Attempt::Accepted(Identity { user: name.to_owned(), ..Identity::default() })
}

#[tokio::test]
async fn a_basic_header_has_three_outcomes() {
    let wrong = || Attempt::Refused(Refusal::WrongCredentials);
    let users = users(&format!("{BOB}{CAROL}"), Config::default());
    for (value, expected) in [
        (None, Attempt::NotPresented),
        (Some(b"Bearer x".to_vec()), Attempt::NotPresented),
        (Some(b"Basic %%%".to_vec()), Attempt::Refused(Refusal::Malformed(basic::InvalidBasic::Base64))),
        (Some(header("bob:password")), named("bob")),
        (Some(header("bob:wrong")), wrong()),
        (Some(header("nobody:password")), wrong()),
        (Some(header("carol:secret")), named("carol")),
        (Some(header("carol:sec:ret")), wrong()),
        (Some(header("Bob:password")), wrong()),
    ] {
        let answer = users.attempt_basic(value.as_deref(), HERE, Instant::now()).await;
        assert_eq!(answer, expected, "{value:?}");
    }
}

#[tokio::test]
async fn groups_and_address_come_from_the_configuration() {
    let groups = vec!["local".to_owned(), "staff".to_owned()];
    let users = users(BOB, Config { groups: groups.clone(), email: EmailSource::UserName });
    let now = Instant::now();
    let expected = Identity { user: "bob".to_owned(), groups, ..Identity::default() };
    let form = users.attempt_form(Credentials::new("bob".to_owned(), "password".to_owned()), HERE, now).await;
    assert_eq!(form, Attempt::Accepted(expected.clone()), "the form gives no address");
    let basic = users.attempt_basic(Some(&header("bob:password")), HERE, now).await;
    assert_eq!(basic, Attempt::Accepted(Identity { email: "bob".to_owned(), ..expected }));
}

#[tokio::test]
async fn successors_forget_users_and_what_was_remembered_of_them() {
    let bob = Some(header("bob:password"));
    let now = Instant::now();
    let both = users(&format!("{BOB}{CAROL}"), Config::default());
    assert_eq!(both.attempt_basic(bob.as_deref(), HERE, now).await, named("bob"));
    let same = users(&format!("{BOB}{CAROL}"), Config::default()).after(&both);
    assert!(Arc::ptr_eq(&same.loaded, &both.loaded));
    let carol = users(CAROL, Config::default()).after(&same);
    let gone = carol.attempt_basic(bob.as_deref(), HERE, now).await;
    assert_eq!(gone, Attempt::Refused(Refusal::WrongCredentials));
    assert_eq!(carol.attempt_basic(Some(&header("carol:secret")), HERE, now).await, named("carol"));
}

#[tokio::test]
async fn successors_remember_guesses() {
    let bob = Credentials::new("bob".to_owned(), "wrong".to_owned());
    let now = Instant::now();
    let former = users(BOB, Config::default());
    let attempt = Try::new("bob", HERE);
    while former.guard.throttle.turn(attempt, now) != Turn::Never {}
    let users = users(&format!("{BOB}{CAROL}"), Config::default()).after(&former);
    assert_eq!(users.attempt_form(bob, HERE, now).await, Attempt::Refused(Refusal::Throttled));
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_down_but_right_passwords_get_through() {
    let users = users(BOB, Config::default());
    let now = Instant::now();
    for _ in 0..5 {
        let answer = users.attempt_basic(Some(&header("bob:wrong")), HERE, now).await;
        assert_eq!(answer, Attempt::Refused(Refusal::WrongCredentials));
    }
    for _ in 0..3 {
        users.attempt_basic(Some(&header("bob:wrong")), HERE, now).await;
    }
    let throttled = users.attempt_basic(Some(&header("bob:password")), HERE, now).await;
    assert_eq!(throttled, Attempt::Refused(Refusal::Throttled));
    let elsewhere = users.attempt_basic(Some(&header("bob:password")), ELSEWHERE, now).await;
    assert_eq!(elsewhere, named("bob"), "who guesses here does not lock out elsewhere");
    let later = now + Duration::from_secs(2);
    assert_eq!(users.attempt_basic(Some(&header("bob:password")), HERE, later).await, named("bob"));
    let again = users.attempt_basic(Some(&header("bob:password")), HERE, now).await;
    assert_eq!(again, named("bob"), "what was verified is not throttled");
}

/// All at once; counts the answers of each kind.
async fn at_once(users: &Arc<Htpasswd>, credentials: impl Iterator<Item = String>) -> (usize, usize, usize) {
    let now = Instant::now();
    let mut tries = tokio::task::JoinSet::new();
    for pair in credentials {
        let users = Arc::clone(users);
        tries.spawn(async move { users.attempt_basic(Some(&header(&pair)), HERE, now).await });
    }
    let answers = tries.join_all().await;
    let count = |wanted: &Attempt| answers.iter().filter(|&answer| answer == wanted).count();
    (
        count(&named("bob")),
        count(&Attempt::Refused(Refusal::WrongCredentials)),
        count(&Attempt::Refused(Refusal::Throttled)),
    )
}

#[tokio::test(start_paused = true)]
async fn guesses_at_once_get_no_further_than_guesses_in_a_row() {
    let users = Arc::new(users(BOB, Config::default()));
    let guesses = (0..250).map(|number| format!("bob:guess{number}"));
    assert_eq!(at_once(&users, guesses).await, (0, 8, 242));
}

#[tokio::test(start_paused = true)]
async fn the_same_password_many_times_at_once_is_one_try() {
    let users = Arc::new(users(BOB, Config::default()));
    let page = || std::iter::repeat_n("bob:password".to_owned(), 250);
    assert_eq!(at_once(&users, page()).await, (250, 0, 0));
    let throttled = (0..250).map(|number| format!("bob:guess{number}"));
    at_once(&users, throttled).await;
    assert!(users.loaded.underway.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_password_is_not_found_by_asking_what_is_remembered() {
    let users = Arc::new(users(BOB, Config::default()));
    assert_eq!(at_once(&users, std::iter::once("bob:password".to_owned())).await, (1, 0, 0));
    at_once(&users, (0..250).map(|number| format!("bob:guess{number}"))).await;
    assert_eq!(at_once(&users, std::iter::once("bob:password".to_owned())).await, (0, 0, 1));
}

#[tokio::test]
async fn a_try_that_is_given_up_leaves_nothing_behind() {
    let users = users(CAROL, Config::default());
    let header = header("carol:secret");
    let given_up = users.attempt_basic(Some(&header), HERE, Instant::now());
    // Asked once, whether or not it is done by then.
    let _ = tokio::time::timeout(Duration::ZERO, given_up).await;
    assert!(users.loaded.underway.lock().unwrap().is_empty());
    assert_eq!(users.attempt_basic(Some(&header), HERE, Instant::now()).await, named("carol"));
}

#[tokio::test]
async fn verified_credentials_are_remembered_for_a_while_and_kept_apart() {
    let users = users(&format!("{BOB}{CAROL}"), Config::default());
    let now = Instant::now();
    let right = Credentials::new("carol".to_owned(), "secret".to_owned());
    let remembers = |credentials: &Credentials, client, now| {
        let loaded = &users.loaded;
        let digest = loaded.digest(credentials, Try::new(&credentials.user, client)).unwrap();
        loaded.remembers(&digest, now)
    };
    assert!(!remembers(&right, HERE, now));
    assert_eq!(users.attempt_form(right.clone(), HERE, now).await, named("carol"));
    assert!(remembers(&right, HERE, now));
    assert!(!remembers(&right, HERE, now + REMEMBERED));
    assert!(!remembers(&right, ELSEWHERE, now));
    assert!(!remembers(&right, ClientIp::Unknown, now));
    for (user, password) in [("carols", "ecret"), ("carol", "secreT"), ("caro", "lsecret"), ("bob", "secret")]
    {
        let other = Credentials::new(user.to_owned(), password.to_owned());
        assert!(!remembers(&other, HERE, now), "{user}");
    }
}

#[test]
fn memory_is_bounded() {
    let loaded = Loaded::new(Entries::parse(BOB).unwrap());
    let now = Instant::now();
    for number in 0..2 * MOST_REMEMBERED {
        loaded.remember(number.to_string().as_bytes(), now);
    }
    assert_eq!(loaded.remembered.lock().unwrap().len(), MOST_REMEMBERED);
    loaded.remember(b"late", now + REMEMBERED);
    assert_eq!(loaded.remembered.lock().unwrap().len(), 1, "what expired makes room");
}

#[test]
fn a_password_file_crosses_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Htpasswd>();
    check::<Attempt>();
}

#[tokio::test(start_paused = true)]
async fn passwords_that_others_look_at_are_throttled_alike() {
    let limit = GuessLimit::default();
    let now = Instant::now();
    let guess =
        |answer: Result<Option<u8>, &'static str>| limit.attempt("carol", HERE, now, async move { answer });
    assert_eq!(guess(Ok(Some(1))).await, Ok(1));
    for _ in 0..100 {
        assert_eq!(guess(Err("store")).await, Err(GuessError::Failed("store")), "costs nothing");
    }
    let mut looked = 0;
    while guess(Ok(None)).await == Err(GuessError::Refused(Refusal::WrongCredentials)) {
        looked += 1;
        assert!(looked < 20);
    }
    assert_eq!(guess(Ok(Some(1))).await, Err(GuessError::Refused(Refusal::Throttled)), "not looked at");
    assert_eq!(limit.attempt("carol", ELSEWHERE, now, async { Ok::<_, ()>(Some(2)) }).await, Ok(2));
}
