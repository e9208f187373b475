use doorward_store::MemoryLimits;

use super::*;
use crate::{Keeper, RequestCookies, Visit, tests::config};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW.seconds + seconds)
}

fn memory() -> Arc<Store> {
    Arc::new(Store::memory(MemoryLimits::default()))
}

fn ledger(store: &Arc<Store>, tickets: Tickets) -> Ledger {
    let name = CookieName::try_from("_oauth2_proxy").unwrap();
    Ledger::new(Arc::clone(store), name, Some(Duration::from_hours(1)), tickets)
}

fn names(sid: Option<&str>, subject: Option<&str>, user: &str) -> Names {
    Names {
        sid: sid.map(str::to_owned),
        subject: subject.map(str::to_owned),
        provider: None,
        user: user.to_owned(),
        email: format!("{user}@example.com"),
        preferred_username: format!("name-of-{user}"),
    }
}

fn sid(sid: &str, subject: Option<&str>) -> Whom {
    Whom::Sid { sid: sid.to_owned(), subject: subject.map(str::to_owned), at: first() }
}

fn first() -> At {
    At::First("main".into())
}

fn subject(subject: &str) -> Whom {
    Whom::Subject { subject: subject.to_owned(), at: first() }
}

#[tokio::test]
async fn who_was_ended_is_out_and_nobody_else_is() {
    let alice = names(Some("s1"), Some("alice"), "alice");
    let without_sid = names(None, Some("alice"), "alice");
    let bob = names(Some("s2"), Some("bob"), "bob");
    // Each row: who is ended at 10; whether a login at 5 and one at 15 are over, of alice, of alice without a sid, of bob.
    let rows = [
        (sid("s1", None), [(true, true), (false, false), (false, false)]),
        (sid("s1", Some("alice")), [(true, true), (true, false), (false, false)]),
        (subject("alice"), [(true, false), (true, false), (false, false)]),
        (Whom::User("alice".to_owned()), [(true, false), (true, false), (false, false)]),
        (Whom::User("Alice@Example.com".to_owned()), [(true, false), (true, false), (false, false)]),
        (Whom::User("name-of-alice".to_owned()), [(true, false), (true, false), (false, false)]),
        (Whom::User("s1".to_owned()), [(false, false); 3]),
        (Whom::User("ALICE".to_owned()), [(false, false); 3]),
        (subject("alice@example.com"), [(false, false); 3]),
        (sid("alice", None), [(false, false); 3]),
        (sid("s9", Some("alice")), [(false, false), (true, false), (false, false)]),
    ];
    for (whom, expected) in rows {
        let ledger = ledger(&memory(), Tickets::Elsewhere);
        assert_eq!(ledger.end(&whom, at(10)).await, Ok(vec![]));
        for (names, (early, late)) in [&alice, &without_sid, &bob].into_iter().zip(expected) {
            let found = (
                ledger.has_ended(names, at(5)).await.unwrap(),
                ledger.has_ended(names, at(15)).await.unwrap(),
            );
            assert_eq!(found, (early, late), "{whom:?}: {names:?}");
        }
        assert!(!ledger.has_ended(&Names::default(), at(5)).await.unwrap());
    }
}

/// Users and sessions are called so by one provider; what another says of the same names ends nothing.
#[tokio::test]
async fn a_provider_ends_sessions_of_its_own_alone() {
    let of = |provider: Option<&str>| Names {
        provider: provider.map(Into::into),
        ..names(Some("s1"), Some("alice"), "alice")
    };
    let [main, partner] = ["main", "partner"].map(|id| of(Some(id)));
    let unsaid = of(None);
    let by = |at: At| {
        [
            Whom::Sid { sid: "s1".to_owned(), subject: None, at: at.clone() },
            Whom::Subject { subject: "alice".to_owned(), at },
        ]
    };
    for (at, expected) in [
        (At::First("main".into()), [true, false, true]),
        (At::Provider("partner".into()), [false, true, false]),
        (At::Provider("other".into()), [false; 3]),
        (At::First("other".into()), [false, false, true]),
    ] {
        for whom in by(at) {
            let ledger = ledger(&memory(), Tickets::Elsewhere);
            ledger.end(&whom, at_ten()).await.unwrap();
            for (names, expected) in [&main, &partner, &unsaid].into_iter().zip(expected) {
                assert_eq!(ledger.has_ended(names, NOW).await, Ok(expected), "{whom:?} {names:?}");
            }
        }
    }
    // An administrator means people, wherever they sign in.
    let ledger = ledger(&memory(), Tickets::Elsewhere);
    ledger.end(&Whom::User("alice".to_owned()), at_ten()).await.unwrap();
    for names in [&main, &partner, &unsaid] {
        assert_eq!(ledger.has_ended(names, NOW).await, Ok(true));
    }
}

fn at_ten() -> Timestamp {
    at(10)
}

#[tokio::test]
async fn a_record_that_cannot_be_read_ends_rather_than_not() {
    let store = memory();
    let ledger = ledger(&store, Tickets::Elsewhere);
    let names = names(None, None, "alice");
    for value in ["", "soon", "5", "x.y"] {
        store.set(&ledger.ended_key(names.all()[0]), value.as_bytes(), None).await.unwrap();
        assert!(ledger.has_ended(&names, at(5)).await.unwrap(), "{value}");
    }
}

#[tokio::test]
async fn the_id_of_a_logout_token_is_new_once() {
    let ledger = ledger(&memory(), Tickets::Elsewhere);
    assert_eq!(ledger.is_first("j", NOW, at(60)).await, Ok(true));
    assert_eq!(ledger.is_first("j", NOW, at(60)).await, Ok(false));
    assert_eq!(ledger.is_first("k", NOW, at(60)).await, Ok(true));
}

/// Keeps a session and writes it down; its key in the store.
async fn kept(store: &Arc<Store>, user: &str, since: i64) -> String {
    let keeper = Keeper::ticket(&config(), Arc::clone(store));
    let mut session = Session { created_at: Some(at(since)), ..Session::default() };
    session.identity.user = user.to_owned();
    let headers = http::HeaderMap::new();
    let cookies = RequestCookies::new(&headers);
    let visit = Visit { cookies: &cookies, host: "h", now: at(since) };
    let saved = keeper.create(&session, &visit).await.unwrap();
    let ledger = ledger(store, Tickets::InStore);
    ledger.note(&saved.key, &session, &names(Some("s1"), Some(user), user), at(since)).await.unwrap();
    saved.key.in_store().unwrap().to_owned()
}

#[tokio::test]
async fn sessions_in_the_store_are_listed_and_removed() {
    let store = memory();
    let book = ledger(&store, Tickets::InStore);
    let (second, first) = (kept(&store, "alice", 20).await, kept(&store, "alice", 10).await);
    let other = kept(&store, "bob", 15).await;
    let listed = book.list("alice@example.com", at(30)).await.unwrap();
    let times: Vec<_> = listed.iter().map(|session| (session.since, session.expires)).collect();
    assert_eq!(times, [(at(10).seconds, at(3910).seconds), (at(20).seconds, at(3920).seconds)]);
    assert!(listed.iter().all(|session| session.id.len() == 32 && !session.ticket.contains(&session.id)));
    // One alone, and only with its owner's name.
    assert_eq!(book.end_one("bob", &listed[0].id, at(30)).await, Ok(None));
    assert!(book.end_one("alice", &listed[0].id, at(30)).await.unwrap().is_some());
    assert_eq!(book.end_one("alice", &listed[0].id, at(30)).await, Ok(None));
    assert_eq!(store.get(&first).await, Ok(None));
    assert!(store.get(&second).await.unwrap().is_some());
    assert_eq!(book.list("alice", at(30)).await.unwrap().len(), 1);
    // The rest, and what expired is not listed.
    assert_eq!(book.list("bob", at(4000)).await, Ok(vec![]));
    assert_eq!(book.end(&Whom::User("alice".to_owned()), at(30)).await.unwrap().len(), 1);
    assert_eq!(store.get(&second).await, Ok(None));
    let third = kept(&store, "alice", 40).await;
    assert_eq!(book.end_sid("s1", &At::First("main".into()), at(50)).await.unwrap().len(), 2);
    assert_eq!((store.get(&third).await, store.get(&other).await), (Ok(None), Ok(None)));
    // Without a record: whoever signs in anew there is in.
    assert!(!book.has_ended(&names(Some("s1"), None, "x"), at(60)).await.unwrap());
}

#[tokio::test]
async fn nothing_but_tickets_of_ours_is_removed_whatever_a_list_says() {
    let store = memory();
    let book = ledger(&store, Tickets::InStore);
    store.set("somebody-elses", b"1", None).await.unwrap();
    let member = Listed { member: "1 somebody-elses".to_owned(), expires: at(60).seconds };
    let name = Name { kind: Kind::User, at: None, text: "alice" };
    store.list_add(&book.list_key(name), &member, NOW.seconds, Duration::from_mins(1)).await.unwrap();
    book.end(&Whom::User("alice".to_owned()), NOW).await.unwrap();
    assert!(store.get("somebody-elses").await.unwrap().is_some());
}
