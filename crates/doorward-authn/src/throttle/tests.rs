use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(address: &str) -> ClientIp {
    ClientIp::Known(address.parse().unwrap())
}

fn attempt<'a>(account: &'a str, address: &str) -> Try<'a> {
    Try::new(account, at(address))
}

/// How many of `tries` at the same instant get a turn, at once or later.
fn turns(throttle: &Throttle, tries: usize, attempt: impl Fn(usize) -> ClientIp, now: Instant) -> usize {
    (0..tries).filter(|&number| throttle.turn(Try::new("bob", attempt(number)), now) != Turn::Never).count()
}

#[test]
fn after_some_tries_they_are_a_second_apart() {
    let throttle = Throttle::new();
    let start = Instant::now();
    let bob = attempt("bob", "192.0.2.1");
    for _ in 0..PAIR.free {
        assert_eq!(throttle.turn(bob, start), Turn::Now);
    }
    for seconds in 1..=3 {
        assert_eq!(throttle.turn(bob, start), Turn::After(SECOND * seconds));
    }
    assert_eq!(throttle.turn(bob, start), Turn::Never);
    assert_eq!(throttle.turn(bob, start + SECOND), Turn::After(SECOND * 3));
    assert_eq!(throttle.turn(bob, start + SECOND * 5), Turn::Now);
}

#[test]
fn tries_at_once_get_no_further_than_tries_in_a_row() {
    let throttle = Throttle::new();
    assert_eq!(turns(&throttle, 250, |_| at("192.0.2.1"), Instant::now()), 8);
    assert_eq!(turns(&throttle, 250, |_| ClientIp::Unknown, Instant::now()), 8);
}

#[test]
fn success_and_time_forgive() {
    let throttle = Throttle::new();
    let start = Instant::now();
    let bob = attempt("bob", "192.0.2.1");
    let try_often = || while throttle.turn(bob, start) != Turn::Never {};
    try_often();
    throttle.succeeded(bob);
    assert_eq!(throttle.turn(bob, start), Turn::Now);
    try_often();
    assert_eq!(throttle.turn(bob, start), Turn::Never);
    for _ in 0..PAIR.free {
        assert_eq!(throttle.turn(bob, start + Duration::from_mins(1)), Turn::Now);
    }
}

#[test]
fn what_was_not_looked_at_costs_nothing() {
    let throttle = Throttle::new();
    let now = Instant::now();
    let bob = attempt("bob", "192.0.2.1");
    for _ in 0..1000 {
        assert_eq!(throttle.turn(bob, now), Turn::Now);
        throttle.give_back(bob);
    }
}

#[test]
fn an_attacker_elsewhere_does_not_lock_the_owner_out() {
    let throttle = Throttle::new();
    let mut now = Instant::now();
    for _ in 0..600 {
        turns(&throttle, 20, |_| at("192.0.2.1"), now);
        now += Duration::from_millis(100);
    }
    assert_eq!(throttle.turn(attempt("bob", "192.0.2.2"), now), Turn::Now);
    assert_eq!(throttle.turn(attempt("bob", "2001:db8::1"), now), Turn::Now);
}

#[test]
fn many_attackers_of_one_account_are_slowed_but_not_its_owner_where_he_was_before() {
    let throttle = Throttle::new();
    let now = Instant::now();
    let owner = attempt("bob", "198.51.100.1");
    assert_eq!(throttle.turn(owner, now), Turn::Now);
    throttle.succeeded(owner);
    let crowd = |number: usize| at(&format!("10.0.{}.{}", number / 250, number % 250));
    // The 30 that are free, those for whose turn somebody would wait, and a few where two share a slot by chance.
    let tried = turns(&throttle, 1000, crowd, now);
    assert!((36..=45).contains(&tried), "{tried}");
    assert_eq!(throttle.turn(attempt("bob", "198.51.100.2"), now), Turn::Never);
    assert_eq!(throttle.turn(owner, now), Turn::Now);
}

#[test]
fn one_client_is_slowed_over_all_accounts() {
    let throttle = Throttle::new();
    let now = Instant::now();
    let spray = |address: &str| {
        let names = (0..1000).map(|number| format!("user{number}"));
        names.filter(|name| throttle.turn(attempt(name, address), now) != Turn::Never).count()
    };
    assert!(spray("192.0.2.1") <= 62);
    // A right password of his own does not pay for the guesses.
    throttle.succeeded(attempt("mallory", "192.0.2.1"));
    assert!(spray("192.0.2.1") <= 1);
    assert!(30 < spray("192.0.2.2"));
}

#[test]
fn a_client_of_ipv6_is_its_network() {
    let throttle = Throttle::new();
    let now = Instant::now();
    assert_eq!(turns(&throttle, 100, |number| at(&format!("2001:db8::{number:x}")), now), 8);
    let mapped = |number: usize| at(["192.0.2.1", "::ffff:192.0.2.1"][number % 2]);
    assert_eq!(turns(&throttle, 100, mapped, now), 8);
}

#[test]
fn memory_is_no_way_to_guess_faster() {
    let throttle = Throttle::new();
    let start = Instant::now();
    let bob = attempt("bob", "192.0.2.1");
    for _ in 0..MISSES.free {
        assert!(throttle.may_recall(bob, start));
        throttle.missed(bob, start);
    }
    assert!(!throttle.may_recall(bob, start));
    assert!(throttle.may_recall(attempt("bob", "192.0.2.2"), start));
    assert!(throttle.may_recall(bob, start + SECOND));
}
