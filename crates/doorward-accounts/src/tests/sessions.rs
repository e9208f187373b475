use super::*;

fn of(user: &User) -> NewSession {
    NewSession { subject: Subject::of_user(user), provider: "local".to_owned(), amr: vec!["pwd".to_owned()] }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lasts_while_it_is_used_and_ends_in_any_case() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let (raw, opened) = accounts.open_session(of(&user), NOW).await.unwrap();
        let goes_on = async |seconds| accounts.session(raw.expose(), after(seconds)).await.unwrap().is_some();
        let found = accounts.session(raw.expose(), NOW).await.unwrap().unwrap();
        assert_eq!((found.session, found.user), (opened, user));
        let mut time = 0;
        while time + 3599 < 43_200 {
            time += 3599;
            assert!(goes_on(time).await, "{time}");
        }
        assert!(goes_on(43_199).await);
        assert!(!goes_on(43_200).await);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_not_used_ends() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let (raw, _) = accounts.open_session(of(&user), NOW).await.unwrap();
    // Too soon to be written down.
    assert!(accounts.session(raw.expose(), after(359)).await.unwrap().is_some());
    assert!(accounts.session(raw.expose(), after(3600)).await.unwrap().is_none());
    let (raw, _) = accounts.open_session(of(&user), NOW).await.unwrap();
    assert!(accounts.session(raw.expose(), after(360)).await.unwrap().is_some());
    assert!(accounts.session(raw.expose(), after(3959)).await.unwrap().is_some());
}

#[tokio::test]
async fn every_login_is_a_session_of_its_own_and_only_its_secret_opens_it() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let (first, one) = accounts.open_session(of(&user), NOW).await.unwrap();
    let (second, two) = accounts.open_session(of(&user), NOW).await.unwrap();
    assert_ne!(first, second);
    assert_ne!(one.sid, two.sid);
    let hash = token::hash(first.expose());
    for text in [one.sid.as_str(), &hash, "", "x", "../session/x"] {
        assert_eq!(accounts.session(text, NOW).await.unwrap(), None, "{text}");
    }
    accounts.end_session(first.expose(), NOW).await.unwrap();
    assert_eq!(accounts.session(first.expose(), NOW).await.unwrap(), None);
    assert!(accounts.session(second.expose(), NOW).await.unwrap().is_some());
    accounts.end_session_by_sid(&one.sid, NOW).await.unwrap();
    accounts.end_session_by_sid(&two.sid, NOW).await.unwrap();
    assert_eq!(accounts.session(second.expose(), NOW).await.unwrap(), None);
    let (third, _) = accounts.open_session(of(&user), NOW).await.unwrap();
    accounts.end_sessions_of_user(&user.uid, NOW).await.unwrap();
    assert_eq!(accounts.session(third.expose(), NOW).await.unwrap(), None);
    assert_eq!(accounts.records.list("s", NOW).await.unwrap(), []);
    assert_eq!(accounts.records.list("user-session/", NOW).await.unwrap(), []);
}

#[tokio::test]
async fn using_a_session_does_not_bring_an_ended_one_back() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let (raw, session) = accounts.open_session(of(&user), NOW).await.unwrap();
    let hash = token::hash(raw.expose());
    let bytes = accounts.records.get(&records::key::session(&hash), NOW).await.unwrap().unwrap();
    accounts.end_session(raw.expose(), NOW).await.unwrap();
    // As if the session had been read before it was ended.
    let noted = accounts.note_seen(&hash, session.clone(), &bytes, after(1000)).await;
    assert_ne!(noted, session);
    assert_eq!(accounts.session(raw.expose(), after(1000)).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_is_over_for_who_may_not_come_in() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let (raw, _) = accounts.open_session(of(&user), NOW).await.unwrap();
    let set = async |standing| {
        accounts.change_user("alice", |user: &mut User| user.standing = standing, NOW).await.unwrap()
    };
    set(Standing::Disabled).await;
    assert_eq!(accounts.session(raw.expose(), NOW).await.unwrap(), None);
    set(Standing::Active).await;
    assert!(accounts.session(raw.expose(), NOW).await.unwrap().is_some());
    accounts.remove_user("alice", NOW).await.unwrap();
    alice(&accounts).await;
    assert_eq!(accounts.session(raw.expose(), NOW).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_taken_once_is_taken_once_as_what_it_is_and_in_time() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let keep = async || accounts.keep_once("a", &7_u32, Duration::from_mins(10), NOW).await.unwrap();
        let take = async |kind: &str, raw: &SecretString, now| {
            accounts.take_once::<u32>(kind, raw.expose(), now).await.unwrap()
        };
        let raw = keep().await;
        assert_eq!(take("b", &raw, NOW).await, None);
        assert_eq!(accounts.look_once("a", raw.expose(), NOW).await, Ok(Some(7_u32)));
        let taken = at_once(20, || {
            let (accounts, raw) = (Arc::clone(&accounts), raw.clone());
            async move { accounts.take_once::<u32>("a", raw.expose(), NOW).await.unwrap() }
        })
        .await;
        assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), [7]);
        assert_eq!(accounts.look_once::<u32>("a", raw.expose(), NOW).await, Ok(None));
        let raw = keep().await;
        assert_eq!(take("a", &raw, after(600)).await, None);
    })
    .await;
}

#[tokio::test]
async fn consent_grows_and_belongs_to_one_user_and_one_client() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let subject = Subject::of_user(&user);
    let consented =
        async |subject: &Subject, client: &str| accounts.consented(subject, client, NOW).await.unwrap();
    assert_eq!(consented(&subject, "web").await, scopes(""));
    accounts.add_consent(&subject, "web", &scopes("openid email"), NOW).await.unwrap();
    accounts.add_consent(&subject, "web", &scopes("email groups"), NOW).await.unwrap();
    assert_eq!(consented(&subject, "web").await, scopes("openid email groups"));
    assert_eq!(consented(&subject, "web/2").await, scopes(""));
    accounts.remove_user("alice", NOW).await.unwrap();
    let again = Subject::of_user(&alice(&accounts).await);
    assert_eq!(consented(&again, "web").await, scopes(""));
    accounts.add_consent(&again, "web", &scopes("openid"), NOW).await.unwrap();
    assert_eq!(consented(&again, "web").await, scopes("openid"));
    accounts.forget_consent(&again, "web", NOW).await.unwrap();
    assert_eq!(consented(&again, "web").await, scopes(""));
}
