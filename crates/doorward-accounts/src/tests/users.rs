use super::*;

fn login(provider: &str, user_name: &str, preferred: &str) -> ProviderLogin {
    ProviderLogin {
        provider: provider.to_owned(),
        user_name: user_name.to_owned(),
        preferred_username: preferred.to_owned(),
        ..ProviderLogin::default()
    }
}

async fn sign_in(
    accounts: &Accounts,
    login: &ProviderLogin,
    method: MappingMethod,
) -> Result<User, MappingError> {
    accounts.sign_in(login, method, NOW).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a54_what_becomes_of_a_name_that_two_providers_know_is_up_to_the_mapping_method() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let (one, two) = (login("one", "1", "alice"), login("two", "1", "alice"));
        let first = sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap();
        assert_eq!((first.name.as_str(), &first.identities), ("alice", &vec!["one:1".to_owned()]));
        assert_eq!(sign_in(&accounts, &two, MappingMethod::Claim).await, Err(MappingError::Claim));
        assert_eq!(sign_in(&accounts, &two, MappingMethod::Lookup).await, Err(MappingError::Lookup));
        let second = sign_in(&accounts, &two, MappingMethod::Generate).await.unwrap();
        assert_eq!(second.name, "alice2");
        assert_ne!(first.uid, second.uid);
        let three = login("three", "1", "alice");
        let third = sign_in(&accounts, &three, MappingMethod::Add).await.unwrap();
        assert_eq!((third.uid, third.identities.len()), (first.uid.clone(), 2));
        let again = login("one", "2", "alice");
        assert_eq!(sign_in(&accounts, &again, MappingMethod::Generate).await.unwrap().name, "alice3");
        // Once an identity is known, the method does not matter, nor what name is preferred.
        for method in
            [MappingMethod::Claim, MappingMethod::Lookup, MappingMethod::Add, MappingMethod::Generate]
        {
            assert_eq!(sign_in(&accounts, &login("two", "1", "bob"), method).await.unwrap().uid, second.uid);
        }
        assert_eq!(accounts.users(NOW).await.unwrap().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a54_one_identity_that_signs_in_many_times_at_once_is_one_user() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        for method in [MappingMethod::Claim, MappingMethod::Add, MappingMethod::Generate] {
            let users = at_once(10, || {
                let accounts = Arc::clone(&accounts);
                async move { sign_in(&accounts, &login(&format!("{method:?}"), "1", "bob"), method).await }
            })
            .await;
            if method == MappingMethod::Claim || method == MappingMethod::Add {
                let uids: Vec<_> = users.iter().map(|user| user.as_ref().unwrap().uid.clone()).collect();
                assert!(uids.iter().all(|uid| *uid == uids[0]));
            }
        }
        let names: Vec<_> = accounts.users(NOW).await.unwrap().into_iter().map(|user| user.name).collect();
        assert_eq!(names, ["bob", "bob2"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a54_one_identity_is_one_user_whatever_name_it_would_like() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let number = Arc::new(AtomicU32::new(0));
        let users = at_once(10, || {
            let accounts = Arc::clone(&accounts);
            let name = format!("name{}", number.fetch_add(1, Ordering::Relaxed));
            async move { sign_in(&accounts, &login("one", "1", &name), MappingMethod::Claim).await }
        })
        .await;
        assert_eq!(accounts.users(NOW).await.unwrap().len(), 1);
        assert!(users.iter().all(|user| user.as_ref().unwrap().uid == users[0].as_ref().unwrap().uid));
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_tells_does_not_undo_what_the_operator_does_meanwhile() {
    let accounts = accounts();
    let one = login("one", "1", "alice");
    let user = sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap();
    let bytes = accounts.records.get(&records::key::user("alice"), NOW).await.unwrap().unwrap();
    let disable = |user: &mut User| user.standing = Standing::Disabled;
    accounts.change_user("alice", disable, NOW).await.unwrap();
    // As if the user had been read before.
    let told = ProviderLogin { full_name: "Alice".to_owned(), ..one };
    let read = records::Read { value: user, bytes };
    assert_eq!(accounts.bring_up_to_date(read, &told, NOW).await, Ok(None));
    let now = accounts.user("alice", NOW).await.unwrap().unwrap();
    assert_eq!((now.standing, now.full_name.as_str()), (Standing::Disabled, ""));
}

#[tokio::test]
async fn a54_a_user_without_identity_is_claimed_unless_it_has_a_password() {
    let accounts = accounts();
    let prepared = alice(&accounts).await;
    let claimed = sign_in(&accounts, &login("one", "1", "alice"), MappingMethod::Claim).await.unwrap();
    assert_eq!(claimed.uid, prepared.uid);
    accounts.bootstrap(None, NOW).await.unwrap();
    let other = accounts_with(rules());
    other.bootstrap(None, NOW).await.unwrap();
    let admin = login("one", "2", BOOTSTRAP_USER);
    assert_eq!(sign_in(&other, &admin, MappingMethod::Claim).await, Err(MappingError::Claim));
}

#[tokio::test]
async fn a54_an_identity_that_the_operator_noted_is_looked_up() {
    let accounts = accounts();
    let new = NewUser { name: "bob".to_owned(), identities: vec!["one:17".to_owned()], ..NewUser::default() };
    let bob = accounts.add_user(new.clone(), NOW).await.unwrap();
    let found = sign_in(&accounts, &login("one", "17", "x"), MappingMethod::Lookup).await.unwrap();
    assert_eq!(found.uid, bob.uid);
    let second = NewUser { name: "carol".to_owned(), ..new };
    assert_eq!(accounts.add_user(second, NOW).await, Err(AddUserError::IdentityTaken));
    assert_eq!(accounts.user("carol", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn an_identity_whose_user_is_not_the_same_any_more_is_nobody() {
    let accounts = accounts();
    let one = login("one", "1", "alice");
    let first = sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap();
    accounts.remove_user("alice", NOW).await.unwrap();
    let second = sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap();
    assert_ne!(first.uid, second.uid);
    // As if the user had been exchanged behind the identity's back.
    let key = records::key::user("alice");
    let exchanged = User { uid: "other".to_owned(), ..second.clone() };
    let put = |user: &User| {
        let value = records::encode(user).unwrap();
        doorward_store::Transaction::new().put(&key, value, None)
    };
    accounts.commit(put(&exchanged), NOW).await.unwrap();
    assert_eq!(sign_in(&accounts, &one, MappingMethod::Claim).await, Err(MappingError::Lookup));
    let unlisted = User { identities: Vec::new(), ..second };
    accounts.commit(put(&unlisted), NOW).await.unwrap();
    assert_eq!(sign_in(&accounts, &one, MappingMethod::Add).await, Err(MappingError::Lookup));
}

#[tokio::test]
async fn names_that_belong_to_nobody_or_break_lists_are_refused() {
    let accounts = accounts();
    let long = "a".repeat(257);
    let names = [
        "system:anonymous",
        "system:admin",
        "client:web",
        "a:b",
        "a/b",
        "a%2f",
        ".",
        "..",
        "~",
        "a\nb",
        "a\u{85}b",
        "a\u{200b}",
        "a\u{202e}b",
        " a",
        "a ",
        "",
        &long,
    ];
    for name in names {
        let new = NewUser { name: name.to_owned(), ..NewUser::default() };
        assert_eq!(accounts.add_user(new, NOW).await, Err(AddUserError::ReservedName), "{name:?}");
        let method = MappingMethod::Generate;
        let preferred = login("one", "1", if name.is_empty() { "a:b" } else { name });
        assert_eq!(sign_in(&accounts, &preferred, method).await, Err(MappingError::ReservedName), "{name:?}");
    }
    for (provider, name) in [("one", ""), ("o:ne", "1"), ("", "1"), ("one", "a\nb")] {
        let nobody = login(provider, name, "alice");
        assert_eq!(sign_in(&accounts, &nobody, MappingMethod::Add).await, Err(MappingError::ReservedName));
    }
    assert_eq!(accounts.users(NOW).await.unwrap(), []);
    for name in ["alice@example.com", "Ängström", "a b", "...", "system", "client"] {
        assert!(User::is_name(name), "{name}");
    }
}

#[tokio::test]
async fn a_provider_manages_its_own_groups_and_no_reserved_ones() {
    let accounts = accounts();
    let groups = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let one = login("one", "1", "alice");
    let told = |of: &ProviderLogin, names: &[&str]| ProviderLogin { groups: groups(names), ..of.clone() };
    let user = sign_in(&accounts, &told(&one, &["b", "a", "a"]), MappingMethod::Claim).await.unwrap();
    assert_eq!(user.all_groups(), ["a", "b"]);
    let set = |user: &mut User| _ = user.groups.insert(String::new(), vec!["ops".to_owned()]);
    accounts.change_user("alice", set, NOW).await.unwrap();
    let two = told(
        &login("two", "1", "alice"),
        &["c", "system:unauthenticated", "system:authenticated", "system:masters", "", "x\ny"],
    );
    assert_eq!(
        sign_in(&accounts, &two, MappingMethod::Add).await.unwrap().all_groups(),
        ["a", "b", "c", "ops"]
    );
    // Says nothing about groups.
    assert_eq!(sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap().all_groups().len(), 4);
    let user = sign_in(&accounts, &told(&one, &[]), MappingMethod::Claim).await.unwrap();
    assert_eq!(user.all_groups(), ["c", "ops"]);
    let info = user.user_info();
    assert_eq!(info.groups, ["c", "ops", "system:authenticated"]);
}

#[tokio::test]
async fn who_is_disabled_does_not_sign_in() {
    let accounts = accounts();
    let one = login("one", "1", "alice");
    sign_in(&accounts, &one, MappingMethod::Claim).await.unwrap();
    let disable = |user: &mut User| user.standing = Standing::Disabled;
    accounts.change_user("alice", disable, NOW).await.unwrap();
    let told = ProviderLogin { full_name: "Alice".to_owned(), ..one };
    assert_eq!(sign_in(&accounts, &told, MappingMethod::Claim).await, Err(MappingError::Disabled));
    let two = login("two", "1", "alice");
    assert_eq!(sign_in(&accounts, &two, MappingMethod::Add).await, Err(MappingError::Disabled));
    let user = accounts.user("alice", NOW).await.unwrap().unwrap();
    assert_eq!((user.full_name.as_str(), user.identities.len()), ("", 1));
}

#[tokio::test]
async fn names_and_addresses_follow_the_provider() {
    let accounts = accounts();
    let told = |full_name: &str, email: &str| ProviderLogin {
        full_name: full_name.to_owned(),
        email: email.to_owned(),
        email_verified: true,
        ..login("one", "1", "alice")
    };
    let first = told("Alice", "a@example.com");
    sign_in(&accounts, &first, MappingMethod::Claim).await.unwrap();
    let user = accounts.sign_in(&told("Alice B", ""), MappingMethod::Claim, after(5)).await.unwrap();
    assert_eq!((user.full_name.as_str(), user.email.as_str()), ("Alice B", "a@example.com"));
    assert!(user.email_verified);
    assert_eq!((user.created, user.updated), (START, START + 5));
    let unchanged = accounts.sign_in(&told("Alice B", ""), MappingMethod::Claim, after(9)).await.unwrap();
    assert_eq!(unchanged.updated, START + 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_user_at_once_are_all_made() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        alice(&accounts).await;
        let number = Arc::new(AtomicU32::new(0));
        at_once(6, || {
            let (accounts, number) = (Arc::clone(&accounts), Arc::clone(&number));
            async move {
                let group = number.fetch_add(1, Ordering::Relaxed).to_string();
                let change =
                    |user: &mut User| user.groups.entry(String::new()).or_default().push(group.clone());
                accounts.change_user("alice", change, NOW).await.unwrap();
            }
        })
        .await;
        let user = accounts.user("alice", NOW).await.unwrap().unwrap();
        assert_eq!(user.all_groups(), ["0", "1", "2", "3", "4", "5"]);
    })
    .await;
}

#[tokio::test]
async fn name_and_identities_do_not_change() {
    let accounts = accounts();
    let user = sign_in(&accounts, &login("one", "1", "alice"), MappingMethod::Claim).await.unwrap();
    let change = |user: &mut User| {
        user.name = "bob".to_owned();
        user.identities.clear();
    };
    assert_eq!(accounts.change_user("alice", change, NOW).await.unwrap(), user);
    assert_eq!(accounts.change_user("bob", |_| (), NOW).await, Err(ChangeUserError::NoSuchUser));
    assert_eq!(accounts.remove_user("bob", NOW).await, Err(ChangeUserError::NoSuchUser));
}

#[tokio::test]
async fn a_password_is_checked_against_its_user_and_a_disabled_one_has_none() {
    let accounts = accounts();
    let hash = PasswordHash::new(b"right").unwrap();
    let new = NewUser { name: "bob".to_owned(), password: Some(hash.clone()), ..NewUser::default() };
    accounts.add_user(new, NOW).await.unwrap();
    alice(&accounts).await;
    let check = async |name: &str, password: &str| {
        let password = doorward_core::Secret::new(password.as_bytes().to_vec());
        accounts.check_password(name, &password, NOW).await.unwrap().map(|user| user.name)
    };
    assert_eq!(check("bob", "right").await.as_deref(), Some("bob"));
    for (name, password) in
        [("bob", "wrong"), ("bob", ""), ("alice", "right"), ("alice", ""), ("nobody", "right")]
    {
        assert_eq!(check(name, password).await, None, "{name}");
    }
    let disable = |user: &mut User| user.standing = Standing::Disabled;
    accounts.change_user("bob", disable, NOW).await.unwrap();
    assert_eq!(check("bob", "right").await, None);
    assert_eq!(format!("{hash:?}"), "[secret]");
}

#[test]
fn a_password_is_hashed_wholly_or_not_at_all() {
    assert_eq!(PasswordHash::new(b""), Err(UnusablePassword::Empty));
    assert_eq!(PasswordHash::new(&[b'a'; 73]), Err(UnusablePassword::TooLong));
    let longest = PasswordHash::new(&[b'a'; 72]).unwrap();
    assert!(longest.verify(&[b'a'; 72]));
    assert!(!longest.verify(&[b'a'; 73]) && !longest.verify(&[b'a'; 71]) && !longest.verify(b""));
    let with_nul = PasswordHash::new(b"a\0b").unwrap();
    assert!(with_nul.verify(b"a\0b") && !with_nul.verify(b"a") && !with_nul.verify(b"a\0c"));
    let known = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
    assert!(PasswordHash::parse(known).is_ok());
    for text in ["", "{SHA}x", "plain", "$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC"] {
        assert_eq!(PasswordHash::parse(text), Err(InvalidPasswordHash), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a57_the_first_start_makes_a_user_and_the_next_one_keeps_it() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let made = at_once(3, || {
            let accounts = accounts_in(&records, rules());
            async move { accounts.bootstrap(None, NOW).await.unwrap() }
        })
        .await;
        let passwords: Vec<_> = made
            .into_iter()
            .filter_map(|made| match made {
                Bootstrap::PasswordSet(password) => Some(password),
                Bootstrap::Unchanged | Bootstrap::NotFirst => None,
            })
            .collect();
        let [password] = passwords.as_slice() else { panic!("{passwords:?}") };
        assert_eq!(password.expose().len(), 22);
        let bytes = doorward_core::Secret::new(password.expose().clone().into_bytes());
        let user = accounts.check_password(BOOTSTRAP_USER, &bytes, NOW).await.unwrap().unwrap();
        assert!(matches!(accounts.bootstrap(None, NOW).await, Ok(Bootstrap::Unchanged)));
        assert!(matches!(accounts.bootstrap(Some(password), NOW).await, Ok(Bootstrap::Unchanged)));
        assert_eq!(accounts.user(BOOTSTRAP_USER, NOW).await.unwrap(), Some(user));
    })
    .await;
}

#[tokio::test]
async fn another_password_of_the_first_user_ends_what_was_issued_before() {
    let accounts = accounts();
    accounts.bootstrap(None, NOW).await.unwrap();
    let before = accounts.user(BOOTSTRAP_USER, NOW).await.unwrap().unwrap();
    let issued = tokens(&accounts, &before).await;
    let given = SecretString::from("another");
    assert!(matches!(accounts.bootstrap(Some(&given), NOW).await, Ok(Bootstrap::PasswordSet(_))));
    let uid_changed = Err(InvalidToken::User(UserFault::UidChanged));
    assert_eq!(validity(&accounts, &issued.access, NOW).await, uid_changed);
    let second = accounts.user(BOOTSTRAP_USER, NOW).await.unwrap().unwrap();
    let hash = PasswordHash::new(b"a third").unwrap();
    let change = |user: &mut User| user.set_password(hash.clone());
    let third = accounts.change_user(BOOTSTRAP_USER, change, NOW).await.unwrap();
    assert!(before.uid != second.uid && second.uid != third.uid);
    let rename = |user: &mut User| user.full_name = "Admin".to_owned();
    assert_eq!(accounts.change_user(BOOTSTRAP_USER, rename, NOW).await.unwrap().uid, third.uid);
    // Who the user is elsewhere stays true.
    let one = login("one", "1", BOOTSTRAP_USER);
    assert_eq!(sign_in(&accounts, &one, MappingMethod::Add).await.unwrap().uid, third.uid);
    let hash = PasswordHash::new(b"a fourth").unwrap();
    let change = |user: &mut User| user.set_password(hash.clone());
    let fourth = accounts.change_user(BOOTSTRAP_USER, change, NOW).await.unwrap();
    assert_ne!(third.uid, fourth.uid);
    assert_eq!(sign_in(&accounts, &one, MappingMethod::Lookup).await.unwrap().uid, fourth.uid);
    // Of other users only the password changes.
    let alice = alice(&accounts).await;
    let changed = accounts.change_user("alice", change, NOW).await.unwrap();
    assert_eq!(changed.uid, alice.uid);
}

#[tokio::test]
async fn where_there_are_users_there_is_no_first_one() {
    let accounts = accounts();
    alice(&accounts).await;
    assert!(matches!(accounts.bootstrap(None, NOW).await, Ok(Bootstrap::NotFirst)));
    assert_eq!(accounts.user(BOOTSTRAP_USER, NOW).await.unwrap(), None);
}
