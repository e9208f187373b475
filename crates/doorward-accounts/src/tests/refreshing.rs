use super::*;

async fn refresh(accounts: &Accounts, raw: &SecretString, now: Timestamp) -> Result<Redeemed, RefreshError> {
    accounts.refresh(raw.expose(), &REQUEST, now).await
}

fn invalid(why: InvalidGrant) -> RefreshError {
    RefreshError::Invalid(why)
}

#[tokio::test(flavor = "multi_thread")]
async fn a48_refreshing_brings_a_new_pair_and_an_old_token_ends_all() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let first = tokens(&accounts, &user).await;
        let (first_access, first_refresh) = (first.access, first.refresh.unwrap());
        let second = refresh(&accounts, &first_refresh, after(60)).await.unwrap();
        let (second_access, second_refresh) = (second.issued.access, second.issued.refresh.unwrap());
        assert_ne!(first_refresh, second_refresh);
        assert_ne!(first_access, second_access);
        for access in [&first_access, &second_access] {
            assert_eq!(validity(&accounts, access, after(60)).await, Ok(()));
        }
        let third = refresh(&accounts, &second_refresh, after(61)).await.unwrap().issued;
        assert_eq!(
            refresh(&accounts, &first_refresh, after(62)).await.err(),
            Some(invalid(InvalidGrant::Reused))
        );
        for access in [&first_access, &second_access, &third.access] {
            assert!(validity(&accounts, access, after(62)).await.is_err());
        }
        let third_refresh = third.refresh.unwrap();
        assert!(refresh(&accounts, &third_refresh, after(62)).await.is_err());
        assert!(refresh(&accounts, &second_refresh, after(62)).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a48_a_lost_answer_is_given_again_for_a_moment() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let raw = tokens(&accounts, &user).await.refresh.unwrap();
        let answers = at_once(20, || {
            let (accounts, raw) = (Arc::clone(&accounts), raw.clone());
            async move { refresh(&accounts, &raw, after(60)).await.unwrap().issued }
        })
        .await;
        let again = refresh(&accounts, &raw, after(65)).await.unwrap().issued;
        for answer in &answers {
            assert_eq!((&answer.access, &answer.refresh), (&again.access, &again.refresh));
            assert_eq!(answer.token, again.token);
        }
        assert_eq!(accounts.tokens_of(&user.uid, after(65)).await.unwrap().len(), 2);
        assert_eq!(refresh(&accounts, &raw, after(66)).await.err(), Some(invalid(InvalidGrant::Reused)));
        assert!(validity(&accounts, &again.access, after(66)).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a48_without_the_moment_one_of_many_wins_and_all_ends() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, Rules { refresh_grace: Duration::ZERO, ..rules() });
        let user = alice(&accounts).await;
        let raw = tokens(&accounts, &user).await.refresh.unwrap();
        let results = at_once(20, || {
            let (accounts, raw) = (Arc::clone(&accounts), raw.clone());
            async move { refresh(&accounts, &raw, after(60)).await }
        })
        .await;
        let won: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
        assert_eq!(won.len(), 1);
        assert!(validity(&accounts, &won[0].issued.access, after(60)).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a48_once_the_successor_was_used_the_moment_is_over() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let first = tokens(&accounts, &user).await.refresh.unwrap();
    let second = refresh(&accounts, &first, after(60)).await.unwrap().issued.refresh.unwrap();
    let third = refresh(&accounts, &second, after(61)).await.unwrap().issued;
    assert_eq!(refresh(&accounts, &first, after(62)).await.err(), Some(invalid(InvalidGrant::Reused)));
    assert!(validity(&accounts, &third.access, after(62)).await.is_err());
}

#[tokio::test]
async fn a48_scopes_become_fewer_for_one_token_and_never_more() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let first = tokens(&accounts, &user).await.refresh.unwrap();
    let (fewer, more) = (scopes("email openid"), scopes("openid groups"));
    let asking = |scopes| RefreshRequest { scopes: Some(scopes), ..REQUEST };
    let refused = accounts.refresh(first.expose(), &asking(&more), after(60)).await;
    assert_eq!(refused.err(), Some(RefreshError::Scope));
    let second = accounts.refresh(first.expose(), &asking(&fewer), after(60)).await.unwrap();
    assert_eq!((second.issued.token.scopes, second.scopes), (fewer.clone(), scopes("openid profile email")));
    // The answer that was lost is given to the same question only.
    let narrow = scopes("openid");
    let again = accounts.refresh(first.expose(), &asking(&narrow), after(61)).await;
    assert_eq!(again.err(), Some(RefreshError::Scope));
    assert!(accounts.refresh(first.expose(), &asking(&fewer), after(61)).await.is_ok());
    let third = refresh(&accounts, &second.issued.refresh.unwrap(), after(62)).await.unwrap();
    assert_eq!(third.issued.token.scopes, scopes("openid profile email"));
}

#[tokio::test]
async fn a48_a_refresh_token_of_another_client_or_of_nobody_brings_nothing_and_ends_nothing() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    let raw = issued.refresh.unwrap();
    let other = RefreshRequest { client: "other", ..REQUEST };
    let refused = accounts.refresh(raw.expose(), &other, after(60)).await;
    assert_eq!(refused.err(), Some(invalid(InvalidGrant::OtherClient)));
    let unknown = FreshToken::refresh(&token::RefreshStart::fresh().unwrap()).unwrap().raw;
    assert_eq!(refresh(&accounts, &unknown, NOW).await.err(), Some(invalid(InvalidGrant::Unknown)));
    assert_eq!(refresh(&accounts, &issued.access, NOW).await.err(), Some(invalid(InvalidGrant::NotOurs)));
    let second = refresh(&accounts, &raw, after(60)).await.unwrap();
    // Also a used one, in the hands of another client, is that client's mistake.
    assert!(accounts.refresh(raw.expose(), &other, after(600)).await.is_err());
    assert_eq!(validity(&accounts, &second.issued.access, after(600)).await, Ok(()));
}

#[tokio::test]
async fn a_refresh_token_is_over_when_it_is_not_used_and_in_any_case_at_last() {
    const DAY: i64 = 86_400;
    let accounts = accounts();
    let user = alice(&accounts).await;
    let unused = tokens(&accounts, &user).await.refresh.unwrap();
    assert_eq!(refresh(&accounts, &unused, after(7 * DAY)).await.err(), Some(invalid(InvalidGrant::Expired)));
    let mut raw = tokens(&accounts, &user).await.refresh.unwrap();
    let mut last = None;
    for week in 1..=4 {
        let issued = refresh(&accounts, &raw, after(week * 6 * DAY)).await.unwrap().issued;
        raw = issued.refresh.unwrap();
        last = Some(issued.access);
    }
    let issued = refresh(&accounts, &raw, after(30 * DAY - 1)).await.unwrap().issued;
    assert!(refresh(&accounts, &issued.refresh.unwrap(), after(30 * DAY)).await.is_err());
    // What the last refreshing brought lives to its end.
    assert_eq!(validity(&accounts, &issued.access, after(31 * DAY - 2)).await, Ok(()));
    assert!(validity(&accounts, &issued.access, after(31 * DAY - 1)).await.is_err());
    assert!(validity(&accounts, &last.unwrap(), after(30 * DAY)).await.is_err());
}

#[tokio::test]
async fn who_may_not_come_in_gets_no_new_tokens() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let raw = tokens(&accounts, &user).await.refresh.unwrap();
    let set = async |standing| {
        accounts.change_user("alice", |user: &mut User| user.standing = standing, NOW).await.unwrap()
    };
    set(Standing::Disabled).await;
    let refused = refresh(&accounts, &raw, after(1)).await;
    assert_eq!(refused.err(), Some(invalid(InvalidGrant::User(UserFault::Disabled))));
    set(Standing::Active).await;
    let raw = refresh(&accounts, &raw, after(2)).await.unwrap().issued.refresh.unwrap();
    remove_record(&accounts, "alice").await;
    alice(&accounts).await;
    let refused = refresh(&accounts, &raw, after(3)).await;
    assert_eq!(refused.err(), Some(invalid(InvalidGrant::User(UserFault::UidChanged))));
}

#[tokio::test]
async fn refreshing_leaves_nothing_behind_that_grows() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let mut raw = tokens(&accounts, &user).await.refresh.unwrap();
    let first = raw.clone();
    let mut sizes = Vec::new();
    for number in 1..=30 {
        // Each access token is over when the next is issued.
        let time = after(number * 86_400);
        let Ok(redeemed) = refresh(&accounts, &raw, time).await else { break };
        raw = redeemed.issued.refresh.unwrap();
        sizes.push(accounts.records.list("", time).await.unwrap().len());
    }
    assert_eq!(sizes.len(), 29);
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    // And yet the first one is known as used.
    let late = after(29 * 86_400 + 60);
    assert_eq!(refresh(&accounts, &first, late).await.err(), Some(invalid(InvalidGrant::Reused)));
    assert_eq!(refresh(&accounts, &raw, late).await.err(), Some(invalid(InvalidGrant::Unknown)));
}

#[tokio::test]
async fn a_refresh_token_that_was_never_issued_ends_the_family_whose_start_it_has() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let raw = tokens(&accounts, &user).await.refresh.unwrap();
    let (start, last) = raw.expose().split_at(raw.expose().len() - 1);
    let forged = SecretString::from(format!("{start}{}", if last == "A" { "B" } else { "A" }));
    assert_eq!(refresh(&accounts, &forged, NOW).await.err(), Some(invalid(InvalidGrant::Reused)));
    assert!(refresh(&accounts, &raw, NOW).await.is_err());
}

#[tokio::test]
async fn a_refresh_token_can_be_looked_at_and_its_family_ended() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    let first = issued.refresh.unwrap();
    let look = async |raw: &SecretString| accounts.look_up_refresh(raw.expose(), after(1)).await.unwrap();
    let found = look(&first).await.unwrap();
    assert_eq!((found.client.as_str(), &found.scopes), ("client", &scopes("openid profile email")));
    assert_eq!(found.validity, RefreshValidity::Valid { until: after(7 * 86_400) });
    let second = refresh(&accounts, &first, after(1)).await.unwrap().issued.refresh.unwrap();
    assert_eq!(look(&first).await.unwrap().validity, RefreshValidity::Invalid);
    assert_eq!(look(&first).await.unwrap().family, found.family);
    accounts.revoke_family(&found.family, after(1)).await.unwrap();
    assert_eq!((look(&first).await, look(&second).await), (None, None));
    assert_eq!(look(&issued.access).await, None);
}
