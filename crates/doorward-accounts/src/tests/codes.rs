use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a41_one_code_is_redeemed_once_however_many_try() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
        let results = at_once(50, || {
            let (accounts, code) = (Arc::clone(&accounts), code.clone());
            async move { accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await }
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for error in lost.into_iter().map(Result::unwrap_err) {
            assert_eq!(error, RedeemError::Invalid(InvalidGrant::Reused));
        }
        let issued = won.into_iter().next().unwrap().unwrap().issued;
        assert!(validity(&accounts, &issued.access, NOW).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a42_a_code_that_is_used_twice_ends_what_it_brought() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
        let redeemed = accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await.unwrap();
        let refreshed =
            accounts.refresh(redeemed.issued.refresh.unwrap().expose(), &REQUEST, after(1)).await.unwrap();
        let (first, second) = (redeemed.issued.access, refreshed.issued.access);
        for access in [&first, &second] {
            assert_eq!(validity(&accounts, access, after(2)).await, Ok(()));
        }
        // Whoever has a used code may not be the client it was for.
        let stranger =
            Redemption { client: "other", redirect_uri: None, verifier: Some("x"), audience: None };
        let replayed = accounts.redeem_code(code.expose(), &stranger, after(3)).await.unwrap_err();
        assert_eq!(replayed, RedeemError::Invalid(InvalidGrant::Reused));
        assert!(validity(&accounts, &first, after(3)).await.is_err());
        assert!(validity(&accounts, &second, after(3)).await.is_err());
        let refresh = refreshed.issued.refresh.unwrap();
        assert!(accounts.refresh(refresh.expose(), &REQUEST, after(3)).await.is_err());
        assert_eq!(accounts.tokens_of(&user.uid, after(3)).await.unwrap(), []);
    })
    .await;
}

fn challenged(method: ChallengeMethod, value: &str) -> NewCode {
    let challenge = Some(Challenge { method, value: value.to_owned() });
    NewCode { challenge, ..new_code(&nobody()) }
}

/// The code of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn nobody() -> User {
    User::make(NewUser { name: "alice".to_owned(), ..NewUser::default() }, NOW).unwrap()
}

#[tokio::test]
async fn a40_a_code_is_redeemed_as_it_was_asked_for() {
    use InvalidGrant::{OtherClient, OtherRedirect, VerifierMissing, VerifierUnasked, VerifierWrong};
    let plain = || new_code(&nobody());
    let s256 = || challenged(ChallengeMethod::S256, CHALLENGE);
    let only = || NewCode { redirect: CodeRedirect::Only(REDIRECT.to_owned()), ..plain() };
    let verified = |verifier| Redemption { verifier: Some(verifier), ..REDEMPTION };
    let redirected = |redirect_uri| Redemption { redirect_uri, ..REDEMPTION };
    let table: [(NewCode, Redemption<'_>, Option<InvalidGrant>); 15] = [
        (plain(), REDEMPTION, None),
        (plain(), Redemption { client: "other", ..REDEMPTION }, Some(OtherClient)),
        (plain(), Redemption { client: "Client", ..REDEMPTION }, Some(OtherClient)),
        (plain(), redirected(None), Some(OtherRedirect)),
        (plain(), redirected(Some("https://client.example/cb/")), Some(OtherRedirect)),
        (plain(), redirected(Some("https://other.example/cb")), Some(OtherRedirect)),
        (only(), redirected(None), None),
        (only(), REDEMPTION, None),
        (only(), redirected(Some("https://other.example/cb")), Some(OtherRedirect)),
        (plain(), verified(VERIFIER), Some(VerifierUnasked)),
        (s256(), verified(VERIFIER), None),
        (s256(), REDEMPTION, Some(VerifierMissing)),
        (s256(), verified(CHALLENGE), Some(VerifierWrong)),
        (challenged(ChallengeMethod::Plain, VERIFIER), verified(VERIFIER), None),
        (challenged(ChallengeMethod::Plain, VERIFIER), verified(CHALLENGE), Some(VerifierWrong)),
    ];
    let accounts = accounts();
    let user = alice(&accounts).await;
    for (position, (new, redemption, expected)) in table.into_iter().enumerate() {
        let new = NewCode { subject: Subject::of_user(&user), ..new };
        let code = accounts.issue_code(new, NOW).await.unwrap();
        let found = accounts.redeem_code(code.expose(), &redemption, NOW).await;
        let expected = expected.map(RedeemError::Invalid);
        assert_eq!(found.err(), expected, "{position}");
    }
}

#[tokio::test]
async fn a40_a_code_is_over_after_its_time_and_a_failure_does_not_use_it_up() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let wrong = Redemption { client: "other", ..REDEMPTION };
    assert!(accounts.redeem_code(code.expose(), &wrong, after(1)).await.is_err());
    assert!(accounts.redeem_code(code.expose(), &REDEMPTION, after(299)).await.is_ok());
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let late = accounts.redeem_code(code.expose(), &REDEMPTION, after(300)).await.unwrap_err();
    assert_eq!(late, RedeemError::Invalid(InvalidGrant::Unknown));
    for raw in ["", "sha256~", "rt~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x"] {
        let none = accounts.redeem_code(raw, &REDEMPTION, NOW).await.unwrap_err();
        assert_eq!(none, RedeemError::Invalid(InvalidGrant::NotOurs));
    }
}

#[tokio::test]
async fn a_code_and_a_token_are_not_taken_for_each_other() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    assert_eq!(validity(&accounts, &code, NOW).await, Err(InvalidToken::Unknown));
    let issued = tokens(&accounts, &user).await;
    let redeemed = accounts.redeem_code(issued.access.expose(), &REDEMPTION, NOW).await.unwrap_err();
    assert_eq!(redeemed, RedeemError::Invalid(InvalidGrant::Unknown));
    let refresh = issued.refresh.unwrap();
    assert_eq!(validity(&accounts, &refresh, NOW).await, Err(InvalidToken::NotOurs));
}

#[tokio::test]
async fn a_code_tells_what_was_granted_and_how_the_user_signed_in() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let login = LoginFacts {
        auth_time: Some(5),
        amr: vec!["pwd".to_owned()],
        session: Some("sid".to_owned()),
        nonce: Some("n".to_owned()),
    };
    let rules = TokenRules { access: Some(Duration::from_mins(1)), inactivity: None };
    let new = NewCode { login: login.clone(), rules, refreshing: Refreshing::NotAllowed, ..new_code(&user) };
    let code = accounts.issue_code(new, NOW).await.unwrap();
    let redeemed = accounts.redeem_code(code.expose(), &REDEMPTION, after(10)).await.unwrap();
    assert_eq!(redeemed.login, login);
    assert_eq!(redeemed.user.as_ref(), Some(&user));
    assert!(redeemed.issued.refresh.is_none());
    let token = redeemed.issued.token;
    assert_eq!((token.created, token.expires_in), (after(10).seconds, Some(60)));
    assert_eq!((token.session.as_deref(), token.scopes), (Some("sid"), scopes("openid profile email")));
    assert_eq!(validity(&accounts, &redeemed.issued.access, after(69)).await, Ok(()));
    assert_eq!(validity(&accounts, &redeemed.issued.access, after(70)).await, Err(InvalidToken::Unknown));
}

#[tokio::test]
async fn a_code_of_somebody_who_may_not_come_in_any_more_brings_nothing() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let disable = |user: &mut User| user.standing = Standing::Disabled;
    accounts.change_user("alice", disable, NOW).await.unwrap();
    let redeem = async || accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await.unwrap_err();
    assert_eq!(redeem().await, RedeemError::Invalid(InvalidGrant::User(UserFault::Disabled)));
    accounts.remove_user("alice", NOW).await.unwrap();
    assert_eq!(redeem().await, RedeemError::Invalid(InvalidGrant::User(UserFault::Gone)));
    alice(&accounts).await;
    assert_eq!(redeem().await, RedeemError::Invalid(InvalidGrant::User(UserFault::UidChanged)));
}

#[tokio::test]
async fn a_token_is_for_resources_that_were_asked_for() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let new = NewCode { audience: list(&["https://a", "https://b"]), ..new_code(&user) };
    let code = accounts.issue_code(new, NOW).await.unwrap();
    let (more, one) = (list(&["https://a", "https://c"]), list(&["https://b"]));
    let asking = |audience| Redemption { audience: Some(audience), ..REDEMPTION };
    let refused = accounts.redeem_code(code.expose(), &asking(&more), NOW).await.unwrap_err();
    assert_eq!(refused, RedeemError::Target);
    let redeemed = accounts.redeem_code(code.expose(), &asking(&one), NOW).await.unwrap();
    assert_eq!(redeemed.issued.token.audience, one);
    let refresh = redeemed.issued.refresh.unwrap();
    let asking = |audience| RefreshRequest { audience: Some(audience), ..REQUEST };
    let refused = accounts.refresh(refresh.expose(), &asking(&more), NOW).await.unwrap_err();
    assert_eq!(refused, RefreshError::Target);
    let refreshed = accounts.refresh(refresh.expose(), &REQUEST, NOW).await.unwrap();
    assert_eq!(refreshed.issued.token.audience, list(&["https://a", "https://b"]));
}
