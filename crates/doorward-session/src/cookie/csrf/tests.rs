use http::HeaderMap;
use http::header::COOKIE;

use super::*;
use crate::tests::config;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn keeper(change: impl FnOnce(&mut CookieConfig)) -> CsrfKeeper {
    let mut config = config();
    change(&mut config);
    CsrfKeeper::new(&config)
}

fn per_request(limit: usize) -> CsrfKeeper {
    keeper(|config| {
        config.csrf_per_request = PerRequest::Separate;
        config.csrf_limit = Some(limit);
    })
}

fn attempt(number: u8) -> LoginAttempt {
    LoginAttempt { verifier: Some("verifier".into()), ..LoginAttempt::new([number; 32], [7; 32]) }
}

/// What a browser would send after getting these lines.
fn browser(lines: &[HeaderValue]) -> HeaderMap {
    let pairs = lines.iter().map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned());
    pairs.map(|pair| (COOKIE, pair.parse().unwrap())).collect()
}

fn begin(keeper: &CsrfKeeper, attempt: &LoginAttempt, headers: &HeaderMap, now: Timestamp) -> Vec<String> {
    let cookies = RequestCookies::new(headers);
    let lines = keeper.begin(attempt, &Visit { cookies: &cookies, host: "example.com", now }).unwrap();
    lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect()
}

fn lines(texts: &[String]) -> Vec<HeaderValue> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_login_is_found_again_by_its_state_and_by_no_other() {
    for keeper in [keeper(|_| {}), per_request(3)] {
        let (one, two) = (attempt(1), attempt(2));
        let headers = browser(&lines(&begin(&keeper, &one, &HeaderMap::new(), NOW)));
        let cookies = RequestCookies::new(&headers);
        let (found, name) = keeper.find(&one.state_hash(), &cookies, NOW).unwrap();
        assert_eq!(found, one);
        assert!(keeper.clear(&name, "example.com").to_str().unwrap().contains("Max-Age=0"));
        assert!(keeper.find(&two.state_hash(), &cookies, NOW).is_err());
        let later = NOW.saturating_add(std::time::Duration::from_mins(15));
        let expired = CsrfError::Invalid(InvalidSession::OutsideLifetime);
        assert_eq!(keeper.find(&one.state_hash(), &cookies, later), Err(expired));
        let none = HeaderMap::new();
        assert_eq!(keeper.find(&one.state_hash(), &RequestCookies::new(&none), NOW), Err(CsrfError::Missing));
    }
}

#[test]
fn the_cookie_of_another_login_is_named_and_does_not_open_this_one() {
    let keeper = keeper(|_| {});
    let headers = browser(&lines(&begin(&keeper, &attempt(1), &HeaderMap::new(), NOW)));
    let error = keeper.find(&attempt(2).state_hash(), &RequestCookies::new(&headers), NOW).unwrap_err();
    let CsrfError::Mismatch { name } = error else { panic!() };
    assert_eq!(name.as_str(), "_oauth2_proxy_csrf");
    let mut short = attempt(1).state_hash();
    short.pop();
    for hash in ["", "x", ":", "ä", &short] {
        let error = keeper.find(hash, &RequestCookies::new(&headers), NOW).unwrap_err();
        assert!(matches!(error, CsrfError::Mismatch { .. }), "{hash}");
    }
}

#[test]
fn of_several_cookies_with_the_name_the_first_that_verifies_counts() {
    let keeper = keeper(|_| {});
    let good = browser(&lines(&begin(&keeper, &attempt(1), &HeaderMap::new(), NOW)));
    let mut headers = HeaderMap::from_iter([(COOKIE, "_oauth2_proxy_csrf=planted; x=y".parse().unwrap())]);
    headers.append(COOKIE, good[COOKIE].clone());
    assert!(keeper.find(&attempt(1).state_hash(), &RequestCookies::new(&headers), NOW).is_ok());
}

#[test]
fn every_flipped_byte_of_a_login_cookie_is_noticed() {
    let keeper = keeper(|_| {});
    let good = begin(&keeper, &attempt(1), &HeaderMap::new(), NOW).remove(0);
    let value = good.split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
    for at in 0..value.len() {
        let mut changed = value.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let line = format!("_oauth2_proxy_csrf={}", String::from_utf8(changed).unwrap());
        let headers = HeaderMap::from_iter([(COOKIE, line.parse().unwrap())]);
        let error = keeper.find(&attempt(1).state_hash(), &RequestCookies::new(&headers), NOW).unwrap_err();
        assert_eq!(error, CsrfError::Invalid(InvalidSession::Unsealable(Unsealable)), "{at}");
    }
}

#[test]
fn a_login_comes_back_and_only_what_it_has_is_written() {
    let whole = attempt(1).encode().unwrap();
    assert!(whole.starts_with(b"\x83\xa1s\xc4\x20"));
    assert_eq!(LoginAttempt::decode(&whole), Ok(attempt(1)));
    let foreign = [b"\x84", &whole[1..], b"\xa2rd\xa6/app?x"].concat();
    assert_eq!(LoginAttempt::decode(&foreign), Ok(attempt(1)), "fields we do not know are passed over");
    let bare = LoginAttempt { verifier: None, ..attempt(1) };
    assert!(bare.encode().unwrap().starts_with(b"\x82\xa1s\xc4\x20"));
    assert_eq!(LoginAttempt::decode(&bare.encode().unwrap()), Ok(bare));
    let named = LoginAttempt { provider: Some("partner".into()), ..attempt(1) };
    assert_eq!(named.encode().unwrap(), [b"\x92\xa7partner", &whole[..]].concat());
    assert_eq!(LoginAttempt::decode(&named.encode().unwrap()), Ok(named));
    for bytes in [&b"\x80"[..], b"\x82\xa1s\xc4\x01x\xa1n\xc4\x01x", b"\x90", b""] {
        assert_eq!(LoginAttempt::decode(bytes), Err(Unsealable));
    }
}

#[test]
fn login_cookies_have_their_own_lifetime_and_same_site() {
    let keeper = keeper(|config| {
        config.csrf_expire = std::time::Duration::from_secs(90);
        config.csrf_same_site = Some(crate::SameSite::Strict);
    });
    let line = begin(&keeper, &attempt(1), &HeaderMap::new(), NOW).remove(0);
    let attributes = "; Path=/; Domain=example.com; Max-Age=90; HttpOnly; Secure; SameSite=Strict";
    assert!(line.ends_with(attributes), "{line}");
}

#[test]
fn the_oldest_logins_beyond_the_limit_are_removed() {
    let keeper = per_request(2);
    let at = |age: i64| Timestamp::from_seconds(NOW.seconds - age);
    let name = |number| keeper.name(&attempt(number).state_hash()).as_str().to_owned();
    let one_of = |number, age| begin(&keeper, &attempt(number), &HeaderMap::new(), at(age)).remove(0);
    let removed = |texts: &[String]| -> Vec<String> {
        let new = begin(&keeper, &attempt(9), &browser(&lines(texts)), NOW);
        assert!(new[0].starts_with(&format!("{}=", name(9))));
        new[1..].iter().map(|line| line.split('=').next().unwrap().to_owned()).collect()
    };
    assert!(removed(&[]).is_empty());
    assert!(removed(&[one_of(1, 10), one_of(2, 20)]).is_empty());
    assert_eq!(removed(&[one_of(1, 10), one_of(2, 30), one_of(3, 20)]), [name(2)]);
    assert_eq!(removed(&[one_of(1, 10), one_of(2, 40), one_of(3, 20), one_of(4, 30)]), [name(2), name(4)]);
    // What is too old or foreign is of no use and goes first.
    let foreign = "_oauth2_proxy_AAAAAAAA_csrf=x".to_owned();
    let texts = [one_of(1, 10), foreign.clone(), one_of(2, 5), one_of(3, 100_000)];
    assert_eq!(removed(&texts), ["_oauth2_proxy_AAAAAAAA_csrf".to_owned(), name(3)]);
    // Other cookies are left alone.
    let others = [
        "_oauth2_proxy_csrf=a",
        "_oauth2_proxy_AAAAAAA_csrf=a",
        "other_AAAAAAAA_csrf=a",
        "_oauth2_proxy_0=a",
    ];
    assert!(removed(&others.map(str::to_owned)).is_empty());
}

#[test]
fn without_a_limit_or_with_a_shared_cookie_nothing_is_removed() {
    let texts: Vec<String> =
        (1..6).flat_map(|number| begin(&per_request(9), &attempt(number), &HeaderMap::new(), NOW)).collect();
    let shared = keeper(|config| config.csrf_limit = Some(1));
    for keeper in [per_request(0), shared] {
        assert_eq!(begin(&keeper, &attempt(9), &browser(&lines(&texts)), NOW).len(), 1);
    }
}

#[test]
fn a_login_attempt_does_not_show_its_secrets() {
    let mut attempt = attempt(65);
    attempt.verifier = Some("hidden".into());
    let shown = format!("{attempt:?}");
    assert!(!shown.contains("hidden") && !shown.contains("65"), "{shown}");
    let random = LoginAttempt::random().unwrap();
    assert_ne!(random.state, random.nonce);
    assert_eq!((random.state_hash().len(), random.nonce_hash().len()), (43, 43));
}
