//! Whole lives of sessions, with a browser that keeps its cookies as told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::Timestamp;
use doorward_store::{MemoryLimits, Store};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::codec::Unsealable;
use crate::tests::config;
use crate::*;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const HOST: &str = "app.example.com:4180";

#[derive(Clone, Debug, Default, PartialEq)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    fn obey(&mut self, lines: &[HeaderValue]) {
        for line in lines {
            let line = line.to_str().unwrap();
            assert!(line.len() <= 4000, "{}", line.len());
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("; Max-Age=0") {
                assert!(value.is_empty());
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        HeaderMap::from_iter([(COOKIE, pairs.join("; ").parse().unwrap())])
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Text that does not compress.
fn noise(length: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            [usize::try_from(state >> 58).unwrap()]
    };
    (0..length).map(|_| char::from(next())).collect()
}

fn session(token_length: usize) -> Session {
    let mut session = Session { created_at: Some(NOW), ..Session::default() };
    session.identity.user = format!("user-{token_length}");
    session.tokens.access = Some(noise(token_length).into());
    session
}

async fn load(keeper: &Keeper, browser: &Browser, now: Timestamp) -> Result<Loaded, LoadError> {
    let headers = browser.headers();
    keeper.load(&RequestCookies::new(&headers), now).await
}

async fn create(keeper: &Keeper, browser: &mut Browser, session: &Session) {
    let headers = browser.headers();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    browser.obey(&keeper.create(session, &visit).await.unwrap().set_cookies);
}

async fn update(keeper: &Keeper, browser: &mut Browser, session: &Session, loaded: &Loaded) {
    let headers = browser.headers();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    let lock = keeper.lock(loaded).await.unwrap();
    match keeper.update(session, loaded, &lock, &visit).await.unwrap() {
        Updated::Kept(saved) => browser.obey(&saved.set_cookies),
        other => panic!("{other:?}"),
    }
    lock.release().await;
}

async fn clear(keeper: &Keeper, browser: &mut Browser) -> usize {
    let headers = browser.headers();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    let cleared = keeper.clear(&visit).await;
    cleared.store.unwrap();
    browser.obey(&cleared.set_cookies);
    cleared.set_cookies.len()
}

fn ticket_keeper() -> (Keeper, Arc<Store>) {
    let store = Arc::new(Store::memory(MemoryLimits::default()));
    (Keeper::ticket(&config(), Arc::clone(&store)), store)
}

fn assert_unsealable(result: &Result<Loaded, LoadError>, what: impl std::fmt::Debug) {
    assert!(matches!(result, Err(LoadError::Invalid(InvalidSession::Unsealable(Unsealable)))), "{what:?}");
}

#[tokio::test]
async fn a_session_of_any_size_comes_back_in_as_many_cookies_as_it_takes() {
    let keeper = Keeper::cookie(&config());
    for (length, parts) in [(10, 1), (2500, 1), (3000, 2), (6000, 3), (40_000, 14)] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(length)).await;
        assert_eq!(browser.0.len(), parts, "{length} {:?}", browser.names());
        for _ in 0..2 {
            let loaded = load(&keeper, &browser, NOW).await.unwrap();
            assert_eq!(*loaded.session, session(length));
        }
        // Another process with the same secret reads it as well.
        let loaded = load(&Keeper::cookie(&config()), &browser, NOW).await.unwrap();
        assert_eq!(*loaded.session, session(length));
        assert_eq!(clear(&keeper, &mut browser).await, parts);
        assert_eq!(browser, Browser::default());
        assert_eq!(load(&keeper, &browser, NOW).await.unwrap_err(), LoadError::Absent);
    }
    let headers = HeaderMap::new();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    assert_eq!(keeper.create(&session(200_000), &visit).await.unwrap_err(), SaveError::TooLarge);
}

#[tokio::test]
async fn every_part_is_full_but_the_last() {
    let keeper = Keeper::cookie(&config());
    let headers = HeaderMap::new();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    for length in 2700..2830 {
        let lines = keeper.create(&session(length), &visit).await.unwrap().set_cookies;
        let (last, full) = lines.split_last().unwrap();
        assert!(full.iter().all(|line| line.len() == 4000) && last.len() <= 4000, "{length}");
    }
}

#[tokio::test]
async fn a_session_that_changes_its_number_of_parts_leaves_nothing_behind() {
    let keeper = Keeper::cookie(&config());
    let lengths = [10, 6000, 3000, 10, 3000, 6000, 10];
    let mut browser = Browser::default();
    for length in lengths {
        create(&keeper, &mut browser, &session(length)).await;
        assert_eq!(*load(&keeper, &browser, NOW).await.unwrap().session, session(length));
    }
    assert_eq!(browser.names(), ["_oauth2_proxy"]);
}

#[tokio::test]
async fn what_the_reference_leaves_behind_does_not_hide_the_session() {
    let keeper = Keeper::cookie(&config());
    let (mut single, mut two, mut three) = (Browser::default(), Browser::default(), Browser::default());
    create(&keeper, &mut single, &session(10)).await;
    create(&keeper, &mut two, &session(3000)).await;
    create(&keeper, &mut three, &session(6000)).await;
    // Fewer parts after a refresh: the tail of the longer session is still there.
    let mut shrunk = three.clone();
    shrunk.0.extend(two.0.clone());
    assert_eq!(*load(&keeper, &shrunk, NOW).await.unwrap().session, session(3000));
    // From one cookie to several: the single one is out of date, and no longer verifies.
    let mut grown = two.clone();
    grown.0.insert("_oauth2_proxy".to_owned(), "outdated".to_owned());
    assert_eq!(*load(&keeper, &grown, NOW).await.unwrap().session, session(3000));
    // A single cookie that verifies wins over parts that do not.
    let mut both = single.clone();
    both.0.insert("_oauth2_proxy_0".to_owned(), "outdated".to_owned());
    assert_eq!(*load(&keeper, &both, NOW).await.unwrap().session, session(10));
    // A single part is good under the name of the whole.
    let value = single.0["_oauth2_proxy"].clone();
    let lone = Browser(BTreeMap::from([("_oauth2_proxy_0".to_owned(), value)]));
    assert_eq!(*load(&keeper, &lone, NOW).await.unwrap().session, session(10));
}

#[tokio::test]
async fn changed_cookies_are_all_refused_alike() {
    for keeper in [Keeper::cookie(&config()), ticket_keeper().0] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(50)).await;
        load(&keeper, &browser, NOW).await.unwrap();
        let (name, value) = browser.0.pop_first().unwrap();
        let with = |value: String| Browser(BTreeMap::from([(name.clone(), value)]));
        for at in 0..value.len() {
            let mut changed = value.clone();
            let other = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
            changed.replace_range(at..=at, other);
            assert_unsealable(&load(&keeper, &with(changed), NOW).await, at);
            assert_unsealable(&load(&keeper, &with(value.split_at(at).0.to_owned()), NOW).await, at);
        }
        for extra in ["A", "=", "|", "AAAA"] {
            assert_unsealable(&load(&keeper, &with(format!("{value}{extra}")), NOW).await, extra);
        }
        for garbage in ["", "garbage", "a|b|c", "||", "|||"] {
            assert_unsealable(&load(&keeper, &with(garbage.to_owned()), NOW).await, garbage);
        }
        assert!(load(&keeper, &with(value), NOW).await.is_ok());
    }
}

#[tokio::test]
async fn parts_have_to_be_complete_and_in_their_places() {
    let keeper = Keeper::cookie(&config());
    let mut browser = Browser::default();
    create(&keeper, &mut browser, &session(6000)).await;
    let whole = browser.clone();
    for name in whole.names() {
        let mut without = whole.clone();
        without.0.remove(name);
        assert!(load(&keeper, &without, NOW).await.is_err(), "{name}");
    }
    let mut swapped = whole.clone();
    swapped.0.insert("_oauth2_proxy_0".to_owned(), whole.0["_oauth2_proxy_1"].clone());
    swapped.0.insert("_oauth2_proxy_1".to_owned(), whole.0["_oauth2_proxy_0"].clone());
    assert_unsealable(&load(&keeper, &swapped, NOW).await, "swapped");
    assert!(load(&keeper, &whole, NOW).await.is_ok());
}

#[tokio::test]
async fn a_cookie_is_bound_to_its_name_secret_and_purpose() {
    let keeper = Keeper::cookie(&config());
    let mut browser = Browser::default();
    create(&keeper, &mut browser, &session(10)).await;
    let value = browser.0["_oauth2_proxy"].clone();
    let renamed = CookieConfig { name: CookieName::try_from("other").unwrap(), ..config() };
    let under_other_name = Browser(BTreeMap::from([("other".to_owned(), value)]));
    assert_unsealable(&load(&Keeper::cookie(&renamed), &under_other_name, NOW).await, "name");
    let secret = CookieSecret::try_from(&b"another secret!!"[..]).unwrap();
    assert_unsealable(
        &load(&Keeper::cookie(&CookieConfig { secret, ..config() }), &browser, NOW).await,
        "secret",
    );
    let (tickets, _) = ticket_keeper();
    assert_unsealable(&load(&tickets, &browser, NOW).await, "a session is no ticket");
    create(&tickets, &mut browser, &session(10)).await;
    assert_unsealable(&load(&keeper, &browser, NOW).await, "a ticket is no session");
}

#[tokio::test]
async fn age_is_looked_at_again_each_time() {
    for keeper in [Keeper::cookie(&config()), ticket_keeper().0] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(10)).await;
        let at = |offset: i64| Timestamp::from_seconds(NOW.seconds + offset);
        let week = 7 * 24 * 3600;
        for (offset, good) in
            [(0, true), (week - 1, true), (week, false), (-299, true), (-300, false), (0, true)]
        {
            let loaded = load(&keeper, &browser, at(offset)).await;
            match (good, loaded) {
                (true, Ok(_)) | (false, Err(LoadError::Invalid(InvalidSession::OutsideLifetime))) => {}
                (_, loaded) => panic!("{offset} {loaded:?}"),
            }
        }
    }
    let keeper = Keeper::cookie(&CookieConfig { expire: Duration::ZERO, ..config() });
    let mut browser = Browser::default();
    create(&keeper, &mut browser, &session(10)).await;
    assert!(load(&keeper, &browser, Timestamp::from_seconds(9_000_000_000)).await.is_ok());
}

#[tokio::test]
async fn minimal_cookies_hold_no_tokens_and_stored_sessions_do() {
    let minimal = CookieConfig { stored_tokens: StoredTokens::None, ..config() };
    let store = Arc::new(Store::memory(MemoryLimits::default()));
    for (keeper, kept) in [(Keeper::cookie(&minimal), false), (Keeper::ticket(&minimal, store), true)] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(10)).await;
        let loaded = load(&keeper, &browser, NOW).await.unwrap();
        assert_eq!(loaded.session.tokens.access.is_some(), kept);
    }
}

#[tokio::test]
async fn a_session_without_creation_time_is_created_now() {
    for keeper in [Keeper::cookie(&config()), ticket_keeper().0] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &Session::default()).await;
        assert_eq!(load(&keeper, &browser, NOW).await.unwrap().session.created_at, Some(NOW));
    }
}

#[tokio::test]
async fn a_login_never_uses_a_ticket_that_was_there_before() {
    let (keeper, _) = ticket_keeper();
    let mut attacker = Browser::default();
    create(&keeper, &mut attacker, &session(1)).await;
    let mut victim = attacker.clone();
    create(&keeper, &mut victim, &session(2)).await;
    assert_ne!(attacker, victim);
    assert_eq!(*load(&keeper, &victim, NOW).await.unwrap().session, session(2));
    let planted = load(&keeper, &attacker, NOW).await.unwrap_err();
    assert_eq!(planted, LoadError::Invalid(InvalidSession::NotInStore));
}

#[tokio::test]
async fn a_refresh_keeps_the_ticket_and_clearing_deletes_it() {
    let (keeper, _) = ticket_keeper();
    let mut browser = Browser::default();
    create(&keeper, &mut browser, &session(1)).await;
    let before = browser.clone();
    let loaded = load(&keeper, &browser, NOW).await.unwrap();
    update(&keeper, &mut browser, &session(2), &loaded).await;
    assert_eq!(before, browser);
    let again = keeper.reload(&loaded).await.unwrap();
    assert_eq!(*again.session, session(2));
    assert_eq!(again.key(), loaded.key());
    assert_eq!(clear(&keeper, &mut browser).await, 1);
    assert_eq!(
        load(&keeper, &before, NOW).await.unwrap_err(),
        LoadError::Invalid(InvalidSession::NotInStore)
    );
    // One deletion is sent even to a browser that showed nothing, and old parts go as well.
    assert_eq!(clear(&keeper, &mut Browser::default()).await, 1);
    let mut parts = Browser::default();
    create(&Keeper::cookie(&config()), &mut parts, &session(6000)).await;
    assert_eq!(clear(&keeper, &mut parts).await, 4);
}

#[tokio::test]
async fn a_stored_session_that_was_ended_is_not_brought_back_by_a_refresh() {
    let (keeper, _) = ticket_keeper();
    for replaced_by_login in [false, true] {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(1)).await;
        let before = browser.clone();
        let loaded = load(&keeper, &browser, NOW).await.unwrap();
        if replaced_by_login {
            create(&keeper, &mut browser, &session(2)).await;
        } else {
            clear(&keeper, &mut browser).await;
        }
        let headers = before.headers();
        let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
        let lock = keeper.lock(&loaded).await.unwrap();
        let updated = keeper.update(&session(3), &loaded, &lock, &visit).await.unwrap();
        lock.release().await;
        assert!(matches!(updated, Updated::Ended));
        let gone = load(&keeper, &before, NOW).await.unwrap_err();
        assert_eq!(gone, LoadError::Invalid(InvalidSession::NotInStore));
    }
}

#[tokio::test]
async fn what_is_kept_comes_back_under_the_key_it_was_given() {
    for keeper in [Keeper::cookie(&config()), ticket_keeper().0] {
        for length in [10, 6000] {
            let mut browser = Browser::default();
            create(&keeper, &mut browser, &session(length)).await;
            let loaded = load(&keeper, &browser, NOW).await.unwrap();
            let headers = browser.headers();
            let cookies = RequestCookies::new(&headers);
            assert_eq!(keeper.presented(&cookies, NOW), [loaded.key()]);
            let visit = Visit { cookies: &cookies, host: HOST, now: NOW };
            let lock = keeper.lock(&loaded).await.unwrap();
            let updated = keeper.update(&session(length + 1), &loaded, &lock, &visit).await.unwrap();
            lock.release().await;
            let Updated::Kept(saved) = updated else { panic!() };
            browser.obey(&saved.set_cookies);
            assert_eq!(load(&keeper, &browser, NOW).await.unwrap().key(), saved.key);
        }
        let headers = Browser::default().headers();
        assert_eq!(keeper.presented(&RequestCookies::new(&headers), NOW), []);
    }
}

/// Another site on the same domain may have set cookies under our name, and browsers may send them first.
#[tokio::test]
async fn a_cookie_that_somebody_else_has_set_hides_no_session() {
    let (tickets, store) = ticket_keeper();
    let mut ended = Browser::default();
    create(&tickets, &mut ended, &session(7)).await;
    let signed_out = ended.0["_oauth2_proxy"].clone();
    clear(&tickets, &mut ended).await;
    for (keeper, length) in
        [(Keeper::cookie(&config()), 10), (Keeper::cookie(&config()), 6000), (tickets, 10)]
    {
        let mut browser = Browser::default();
        create(&keeper, &mut browser, &session(length)).await;
        let ours: Vec<String> = browser.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for tossed in [
            "_oauth2_proxy=bad; ",
            "_oauth2_proxy=bad; _oauth2_proxy=a|1700000000|b; _oauth2_proxy=; ",
            "_oauth2_proxy_0=bad; ",
            "_oauth2_proxy_0=bad; _oauth2_proxy_1=bad; _oauth2_proxy_1=bad; ",
            &format!("_oauth2_proxy={signed_out}; "),
        ] {
            let line = format!("{tossed}{}", ours.join("; "));
            let headers = HeaderMap::from_iter([(COOKIE, line.parse().unwrap())]);
            let cookies = RequestCookies::new(&headers);
            let loaded = keeper.load(&cookies, NOW).await.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(*loaded.session, session(length), "{tossed}");
            assert!(keeper.presented(&cookies, NOW).contains(&loaded.key()), "{tossed}");
        }
        let line = format!("{}{}", "_oauth2_proxy=bad; _oauth2_proxy_0=bad; ".repeat(4), ours.join("; "));
        let headers = HeaderMap::from_iter([(COOKIE, line.parse().unwrap())]);
        assert!(keeper.load(&RequestCookies::new(&headers), NOW).await.is_err(), "not without end");
        // Whoever signs out ends all that the browser shows.
        let line = format!("_oauth2_proxy=bad; {}", ours.join("; "));
        let headers = HeaderMap::from_iter([(COOKIE, line.parse().unwrap())]);
        let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
        keeper.clear(&visit).await.store.unwrap();
        assert_eq!(load(&keeper, &browser, NOW).await.is_err(), keeper.always_clears());
    }
    drop(store);
}

#[tokio::test]
async fn another_process_with_the_same_store_waits_too() {
    let (one, store) = ticket_keeper();
    let two = Keeper::ticket(&config(), store);
    let mut browser = Browser::default();
    create(&one, &mut browser, &session(1)).await;
    let loaded = load(&two, &browser, NOW).await.unwrap();
    let held = one.lock(&loaded).await.unwrap();
    held.renew().await.unwrap();
    let waiting = tokio::spawn(async move { two.lock(&loaded).await.unwrap().release().await });
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert!(!waiting.is_finished());
    held.release().await;
    waiting.await.unwrap();
}

/// The first process stalls, its lock runs out, and somebody else refreshes the session.
#[tokio::test]
async fn who_has_lost_the_lock_overwrites_nothing() {
    let (one, store) = ticket_keeper();
    let two = Keeper::ticket(&config(), Arc::clone(&store));
    let mut browser = Browser::default();
    create(&one, &mut browser, &session(1)).await;
    let loaded = load(&one, &browser, NOW).await.unwrap();
    let lost = one.lock(&loaded).await.unwrap();
    let key = lost.in_its_store().unwrap().key.to_owned();
    store.delete(&key).await.unwrap();
    update(&two, &mut browser, &session(2), &loaded).await;

    let headers = browser.headers();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    let taken = two.lock(&loaded).await.unwrap();
    for _ in 0..2 {
        // While the other still holds it, and when it is free again.
        let updated = one.update(&session(3), &loaded, &lost, &visit).await.unwrap();
        assert!(matches!(updated, Updated::Overtaken));
        assert_eq!(lost.renew().await, Err(LockError::TimedOut));
        assert_eq!(*load(&one, &browser, NOW).await.unwrap().session, session(2));
        store.delete(&key).await.unwrap();
    }
    taken.release().await;
    lost.release().await;
}

#[test]
fn every_future_is_send_and_every_keeper_shared() {
    fn send<T: Send>(_: T) {}
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Keeper>();
    shared::<CsrfKeeper>();
    shared::<Loaded>();
    let keeper = Keeper::cookie(&config());
    let headers = HeaderMap::new();
    let cookies = RequestCookies::new(&headers);
    let visit = Visit { cookies: &cookies, host: HOST, now: NOW };
    let session = session(1);
    send(keeper.load(&cookies, NOW));
    send(keeper.create(&session, &visit));
    send(keeper.clear(&visit));
    send(keeper.ready());
}

#[tokio::test]
async fn what_a_previous_secret_sealed_is_read_and_sealed_anew() {
    let retired = CookieSecret::try_from(&b"fedcba9876543210"[..]).unwrap();
    let old = CookieConfig { secret: retired.clone(), ..config() };
    let reading = |retired_at| CookieConfig {
        previous: vec![PreviousSecret { secret: retired.clone(), retired: retired_at }],
        ..config()
    };
    let store = Arc::new(Store::memory(MemoryLimits::default()));
    let keeper = |config: &CookieConfig, kind: usize| match kind {
        0 => Keeper::cookie(config),
        _ => Keeper::ticket(config, Arc::clone(&store)),
    };
    let at = |offset: i64| Timestamp::from_seconds(NOW.seconds + offset);
    for kind in [0, 1] {
        let mut browser = Browser::default();
        create(&keeper(&old, kind), &mut browser, &session(10)).await;
        assert_unsealable(&load(&keeper(&config(), kind), &browser, NOW).await, "no previous secret");
        assert_unsealable(
            &load(&keeper(&reading(Some(at(-301))), kind), &browser, NOW).await,
            "sealed later",
        );
        let reading = keeper(&reading(Some(at(-299))), kind);
        assert!(
            load(&reading, &browser, at(7 * 24 * 3600)).await.is_err(),
            "a previous secret prolongs nothing"
        );
        let loaded = load(&reading, &browser, NOW).await.unwrap();
        assert_eq!(loaded.sealed_with(), SealedWith::PreviousSecret);
        assert_eq!(load(&reading, &browser, NOW).await.unwrap().sealed_with(), SealedWith::PreviousSecret);
        assert_eq!(reading.presented(&RequestCookies::new(&browser.headers()), NOW).len(), 1);

        let headers = browser.headers();
        let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
        let saved = reading.reseal(&loaded, &visit).unwrap();
        browser.obey(&saved.set_cookies);
        let again = load(&keeper(&config(), kind), &browser, NOW).await.unwrap();
        assert_eq!((again.sealed_with(), again.key()), (SealedWith::CurrentSecret, saved.key));
        assert_eq!(again.session, loaded.session);
    }
    let attempt = LoginAttempt::random().unwrap();
    let mut browser = Browser::default();
    let headers = browser.headers();
    let visit = Visit { cookies: &RequestCookies::new(&headers), host: HOST, now: NOW };
    browser.obey(&CsrfKeeper::new(&old).begin(&attempt, &visit).unwrap());
    let headers = browser.headers();
    let find = |config: &CookieConfig| {
        CsrfKeeper::new(config).find(&attempt.state_hash(), &RequestCookies::new(&headers), NOW)
    };
    assert!(find(&reading(None)).unwrap().0 == attempt);
    assert!(find(&config()).is_err());
}
