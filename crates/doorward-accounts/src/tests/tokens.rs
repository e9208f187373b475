use super::*;

/// What a token with such rules is, `seconds` after its birth.
struct Life {
    accounts: Arc<Accounts>,
    issued: Issued,
}

impl Life {
    async fn new(access: u64, inactivity: u64) -> Self {
        let accounts = accounts();
        let user = alice(&accounts).await;
        let rules = TokenRules {
            access: Some(Duration::from_secs(access)),
            inactivity: Some(Duration::from_secs(inactivity)),
        };
        let issued = accounts.issue_token(NewToken { rules, ..grant(&user) }, NOW).await.unwrap();
        Self { accounts, issued }
    }

    async fn used(&self, seconds: i64) -> Result<(), InvalidToken> {
        validity(&self.accounts, &self.issued.access, after(seconds)).await
    }

    async fn seen(&self, seconds: i64) -> Result<(), InvalidToken> {
        let raw = self.issued.access.expose();
        self.accounts.validate(raw, Activity::DoesNotCount, after(seconds)).await.map(|_| ())
    }

    async fn until(&self) -> Option<i64> {
        let token = self.accounts.access_token(&self.issued.token.name, NOW).await.unwrap().unwrap();
        token.inactivity.map(|inactivity| inactivity.until)
    }
}

#[tokio::test]
async fn a52_a_token_ends_after_its_life() {
    let life = Life::new(2, 0).await;
    assert_eq!(life.used(1).await, Ok(()));
    assert_eq!(life.used(2).await, Err(InvalidToken::Unknown));
    let for_ever = Life::new(0, 0).await;
    assert_eq!(for_ever.issued.token.remaining(NOW), None);
    assert_eq!(for_ever.used(1_000_000_000).await, Ok(()));
}

#[tokio::test]
async fn a52_a_token_ends_when_it_is_not_used_and_lives_while_it_is() {
    let life = Life::new(1000, 300).await;
    assert_eq!(life.used(300).await, Ok(()));
    assert_eq!(life.used(601).await, Err(InvalidToken::Inactive));
    let life = Life::new(1000, 300).await;
    for seconds in [200, 400, 600, 800, 999] {
        assert_eq!(life.used(seconds).await, Ok(()), "{seconds}");
    }
    assert_eq!(life.used(1000).await, Err(InvalidToken::Unknown));
    let unused = Life::new(1000, 300).await;
    assert_eq!(unused.used(301).await, Err(InvalidToken::Inactive));
}

#[tokio::test]
async fn a52_use_is_written_now_and_then_and_never_lowers_what_stands() {
    let life = Life::new(10_000, 300).await;
    assert_eq!(life.until().await, Some(300));
    for (seconds, until) in [(99, 300), (100, 400), (150, 400), (50, 400), (250, 550), (249, 550)] {
        life.used(seconds).await.unwrap();
        assert_eq!(life.until().await, Some(until), "{seconds}");
    }
    life.seen(500).await.unwrap();
    assert_eq!(life.until().await, Some(550));
}

#[tokio::test]
async fn a52_a_timeout_beyond_the_life_is_no_timeout_and_none_is_never_added() {
    let short = Life::new(200, 300).await;
    short.used(150).await.unwrap();
    assert_eq!(short.until().await, Some(300));
    let none = Life::new(1000, 0).await;
    none.used(999).await.unwrap();
    assert_eq!(none.until().await, None);
    let forever = Life::new(0, 300).await;
    forever.used(250).await.unwrap();
    assert_eq!(forever.until().await, Some(550));
    assert_eq!(forever.used(551).await, Err(InvalidToken::Inactive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a53_a_user_who_is_made_again_is_another_user() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let first = alice(&accounts).await;
        let issued = tokens(&accounts, &first).await;
        assert_eq!(validity(&accounts, &issued.access, NOW).await, Ok(()));
        remove_record(&accounts, "alice").await;
        let fault = |fault| Err(InvalidToken::User(fault));
        assert_eq!(validity(&accounts, &issued.access, NOW).await, fault(UserFault::Gone));
        let second = alice(&accounts).await;
        assert_ne!(first.uid, second.uid);
        assert_eq!(validity(&accounts, &issued.access, NOW).await, fault(UserFault::UidChanged));
        assert_eq!(accounts.tokens_of(&second.uid, NOW).await.unwrap(), []);
        let issued = tokens(&accounts, &second).await;
        accounts.remove_user("alice", NOW).await.unwrap();
        assert!(validity(&accounts, &issued.access, NOW).await.is_err());
        alice(&accounts).await;
        assert!(validity(&accounts, &issued.access, NOW).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_token_tells_who_its_user_is_now() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    let change = |user: &mut User| {
        let groups = ["ops", "system:masters", "system:authenticated", "dev"].map(str::to_owned);
        user.groups.insert(String::new(), groups.to_vec());
        user.full_name = "Alice".to_owned();
    };
    accounts.change_user("alice", change, NOW).await.unwrap();
    let valid = accounts.validate(issued.access.expose(), Activity::Counts, NOW).await.unwrap();
    assert_eq!(valid.user.unwrap().full_name, "Alice");
    let info = valid.user_info;
    assert_eq!((info.name.as_str(), &info.uid), ("alice", &user.uid));
    assert_eq!(info.groups, ["dev", "ops", "system:authenticated"]);
    assert_eq!(info.extra[SCOPES_EXTRA], ["openid", "profile", "email"]);
    let disable = |user: &mut User| user.standing = Standing::Disabled;
    accounts.change_user("alice", disable, NOW).await.unwrap();
    let disabled = validity(&accounts, &issued.access, NOW).await;
    assert_eq!(disabled, Err(InvalidToken::User(UserFault::Disabled)));
}

#[tokio::test]
async fn a_client_in_its_own_name_is_no_user() {
    let accounts = accounts();
    let subject = Subject::Client { id: "alice".to_owned() };
    let user = alice(&accounts).await;
    let new = NewToken { subject, ..grant(&user) };
    let issued = accounts.issue_token(new, NOW).await.unwrap();
    let valid = accounts.validate(issued.access.expose(), Activity::Counts, NOW).await.unwrap();
    assert_eq!(valid.user, None);
    assert_eq!(
        (valid.user_info.name.as_str(), valid.user_info.uid.as_str()),
        ("client:alice", "client:alice")
    );
    assert_eq!(valid.user_info.groups, ["system:authenticated"]);
    assert_eq!(accounts.tokens_of("client:alice", NOW).await.unwrap(), [issued.token]);
    assert_eq!(accounts.tokens_of(&user.uid, NOW).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_revoked_at_once_and_nothing_else_is() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        // Another instance.
        let other = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let (first, second) = (tokens(&accounts, &user).await, tokens(&accounts, &user).await);
        let names = async || {
            let own = other.tokens_of(&user.uid, NOW).await.unwrap();
            own.into_iter().map(|token| token.name).collect::<Vec<_>>()
        };
        let mut both = vec![first.token.name.clone(), second.token.name.clone()];
        both.sort();
        assert_eq!(names().await, both);
        accounts.revoke_access(&first.token.name, NOW).await.unwrap();
        assert_eq!(validity(&other, &first.access, NOW).await, Err(InvalidToken::Unknown));
        assert_eq!(validity(&other, &second.access, NOW).await, Ok(()));
        assert_eq!(names().await, std::slice::from_ref(&second.token.name));
        // The refresh token is another thing to revoke.
        assert!(accounts.refresh(first.refresh.unwrap().expose(), &REQUEST, NOW).await.is_ok());
        accounts.revoke_all_of_user(&user.uid, NOW).await.unwrap();
        assert!(validity(&other, &second.access, NOW).await.is_err());
        assert!(other.refresh(second.refresh.unwrap().expose(), &REQUEST, NOW).await.is_err());
        assert_eq!(names().await, []);
        accounts.revoke_access(&second.token.name, NOW).await.unwrap();
        accounts.revoke_family(&second.token.family, NOW).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn without_the_record_of_its_family_a_token_is_worth_nothing() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    // As if the program had been killed after the first of the deletions.
    let key = records::key::family(&issued.token.family);
    accounts.commit(doorward_store::Transaction::new().delete(&key), NOW).await.unwrap();
    assert_eq!(validity(&accounts, &issued.access, NOW).await, Err(InvalidToken::Revoked));
    assert_eq!(accounts.tokens_of(&user.uid, NOW).await, Ok(Vec::new()));
    assert_eq!(accounts.access_token(&issued.token.name, NOW).await, Ok(None));
    let refresh = issued.refresh.unwrap();
    assert!(accounts.refresh(refresh.expose(), &REQUEST, NOW).await.is_err());
    assert_eq!(accounts.look_up_refresh(refresh.expose(), NOW).await, Ok(None));
}

#[tokio::test]
async fn nothing_of_what_is_revoked_stays_for_ever() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let rules = TokenRules { access: Some(Duration::ZERO), inactivity: None };
    let family = tokens(&accounts, &user).await;
    let request = RefreshRequest { rules, ..REQUEST };
    let refresh = family.refresh.unwrap();
    accounts.refresh(refresh.expose(), &request, NOW).await.unwrap();
    let single = accounts.issue_token(NewToken { rules, ..grant(&user) }, NOW).await.unwrap();
    let far = after(1_000_000_000);
    assert_eq!(accounts.tokens_of(&user.uid, far).await.unwrap().len(), 2);
    accounts.revoke_access(&single.token.name, NOW).await.unwrap();
    accounts.revoke_family(&family.token.family, NOW).await.unwrap();
    let left = accounts.records.list("", far).await.unwrap();
    assert_eq!(left.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), ["user/alice"]);
    accounts.issue_token(NewToken { rules, ..grant(&user) }, NOW).await.unwrap();
    accounts.remove_user("alice", NOW).await.unwrap();
    assert_eq!(accounts.records.list("", far).await.unwrap(), []);
}

#[tokio::test]
async fn what_a_login_session_brought_ends_by_itself() {
    let accounts = accounts();
    let user = alice(&accounts).await;
    let in_session = |sid: &str| NewToken {
        login: LoginFacts { session: Some(sid.to_owned()), ..LoginFacts::default() },
        ..grant(&user)
    };
    let one = accounts.issue_token(in_session("one"), NOW).await.unwrap();
    let two = accounts.issue_token(in_session("two"), NOW).await.unwrap();
    let none = accounts.issue_token(grant(&user), NOW).await.unwrap();
    accounts.revoke_all_of_session(&user.uid, "one", NOW).await.unwrap();
    assert!(validity(&accounts, &one.access, NOW).await.is_err());
    assert!(validity(&accounts, &two.access, NOW).await.is_ok());
    assert!(validity(&accounts, &none.access, NOW).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_refreshed_meanwhile_survives_that_everything_is_revoked() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let user = alice(&accounts).await;
        let chains = (0..4).map(|_| {
            let (accounts, user) = (Arc::clone(&accounts), user.clone());
            tokio::spawn(async move {
                let mut all = vec![tokens(&accounts, &user).await];
                for _ in 0..20 {
                    let raw = all.last().unwrap().refresh.clone().unwrap();
                    let Ok(next) = accounts.refresh(raw.expose(), &REQUEST, NOW).await else { break };
                    all.push(next.issued);
                }
                all
            })
        });
        let chains: Vec<_> = chains.collect();
        // At least one family is there, so that the two meet.
        while accounts.tokens_of(&user.uid, NOW).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        accounts.revoke_all_of_user(&user.uid, NOW).await.unwrap();
        let mut ended = 0;
        for chain in chains {
            let all = chain.await.unwrap();
            let mut valid = 0;
            for issued in &all {
                valid += usize::from(validity(&accounts, &issued.access, NOW).await.is_ok());
            }
            // A chain that began later is not meant; of one that was, nothing is left.
            assert!(valid == 0 || valid == all.len(), "{valid} of {}", all.len());
            ended += usize::from(valid == 0);
        }
        assert!(0 < ended);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_a_token_asks_the_store_twice() {
    let (redis, records) = in_redis().await;
    let accounts = accounts_in(&records, rules());
    let user = alice(&accounts).await;
    let issued = tokens(&accounts, &user).await;
    redis.cli(&["config", "resetstat"]);
    validity(&accounts, &issued.access, NOW).await.unwrap();
    let statistics = redis.cli(&["info", "commandstats"]);
    let asked: Vec<&str> = statistics.lines().filter(|line| line.starts_with("cmdstat_")).collect();
    let mget = asked.iter().find(|line| line.starts_with("cmdstat_mget:")).unwrap();
    assert!(mget.contains("calls=2,"), "{asked:?}");
    assert!(!asked.iter().any(|line| line.starts_with("cmdstat_eval")), "{asked:?}");
}

#[tokio::test]
async fn using_a_token_does_not_bring_a_revoked_one_back() {
    let life = Life::new(10_000, 300).await;
    let name = &life.issued.token.name;
    let bytes = life.accounts.records.get(&records::key::access(name), NOW).await.unwrap().unwrap();
    life.accounts.revoke_access(name, NOW).await.unwrap();
    // As if the token had been read before it was revoked.
    let noted = life.accounts.note_use(life.issued.token.clone(), &bytes, after(200)).await;
    assert_ne!(noted, life.issued.token);
    assert_eq!(life.used(200).await, Err(InvalidToken::Unknown));
}

#[tokio::test]
async fn a_signed_token_is_denied_until_it_is_over() {
    let accounts = accounts();
    accounts.deny_jwt("a/../b", after(60), NOW).await.unwrap();
    assert!(accounts.is_denied("a/../b", after(59)).await.unwrap());
    assert!(!accounts.is_denied("a/../b", after(60)).await.unwrap());
    assert!(!accounts.is_denied("a", after(1)).await.unwrap());
}

#[tokio::test]
async fn a58_the_store_holds_no_token_in_clear() {
    let accounts = accounts();
    let password = SecretString::from("correct horse".to_owned());
    accounts.bootstrap(Some(&password), NOW).await.unwrap();
    let user = accounts.user(BOOTSTRAP_USER, NOW).await.unwrap().unwrap();
    let code = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let first = accounts.redeem_code(code.expose(), &REDEMPTION, NOW).await.unwrap().issued;
    let first_refresh = first.refresh.unwrap();
    let second = accounts.refresh(first_refresh.expose(), &REQUEST, NOW).await.unwrap().issued;
    let (cookie, _) = accounts
        .open_session(
            NewSession { subject: Subject::of_user(&user), provider: "local".to_owned(), amr: Vec::new() },
            NOW,
        )
        .await
        .unwrap();
    let once = accounts.keep_once("login", &1, Duration::from_mins(1), NOW).await.unwrap();
    let secret = accounts.generated_secret("client", NOW).await.unwrap();
    accounts.keys(NOW).await.unwrap();
    let unused = accounts.issue_code(new_code(&user), NOW).await.unwrap();
    let dump = accounts.records.list("", NOW).await.unwrap();
    assert!(10 < dump.len());
    let secrets = [
        password,
        code,
        first.access,
        first_refresh,
        second.access,
        second.refresh.unwrap(),
        cookie,
        once,
        secret,
        unused,
    ];
    for (key, value) in dump {
        let line = format!("{key} {}", String::from_utf8(value).unwrap());
        for secret in &secrets {
            let part = secret.expose().rsplit('~').next().unwrap();
            assert!(!line.contains(part), "{key}");
        }
    }
}
