use super::*;

fn original(text: &str, expires: Timestamp) -> Original {
    Original { text: text.into(), expires, form: HandleForm::Random }
}

#[tokio::test(flavor = "multi_thread")]
async fn b18_a_handle_leads_to_what_it_stands_for_in_its_realm_until_it_is_over() {
    everywhere(async |records| {
        let (accounts, other) = (accounts_in(&records, rules()), accounts_in(&records, rules()));
        let kept = [original("eyJ.first", after(60)), original("eyJ.second", after(600))];
        let handles = accounts.keep_behind_handles("login", &kept, NOW).await.unwrap();
        let find = async |realm: &str, handle: &SecretString, now| {
            other.behind_handle(realm, handle.expose(), now).await.unwrap()
        };
        assert_eq!(find("login", &handles[0], after(59)).await, Some(kept[0].text.clone()));
        assert_eq!(find("login", &handles[1], after(59)).await, Some(kept[1].text.clone()));
        assert_eq!(find("other", &handles[0], NOW).await, None);
        assert_eq!(find("login", &handles[0], after(61)).await, None);
        accounts.forget_handles(&handles[1..], NOW).await.unwrap();
        assert_eq!(find("login", &handles[1], NOW).await, None);
        for none in ["", "gwh~", "eyJ.first", "gwh~0123456789012345678901234567890123456789012"] {
            assert_eq!(find("login", &none.into(), NOW).await, None, "{none}");
        }
    })
    .await;
}

#[tokio::test]
async fn b18_the_store_alone_yields_nothing_of_what_is_behind_handles() {
    let records = Arc::new(Records::memory());
    let accounts = accounts_in(&records, rules());
    let kept = [original("eyJ.header.signature", after(60)), original("eyJ.header.signature", after(60))];
    let handles = accounts.keep_behind_handles("login", &kept, NOW).await.unwrap();
    assert_ne!(handles[0], handles[1]);
    let stored = records.list("", NOW).await.unwrap();
    assert_eq!(stored.len(), 2);
    for (key, value) in stored {
        let (key, value) = (key.clone(), String::from_utf8(value).unwrap());
        for secret in [&handles[0], &handles[1], &kept[0].text] {
            let random = secret.expose().split('~').next_back().unwrap();
            assert!(!key.contains(random) && !value.contains(random));
        }
        // Nor does the seal key of the store help: what is sealed was sealed under the handle.
        assert!(seal_key().open("doorward gateway handle 1 login", &value).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b20_the_signature_of_a_split_token_completes_what_is_kept() {
    everywhere(async |records| {
        let accounts = accounts_in(&records, rules());
        let signature = "s".repeat(86);
        let token = format!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.{signature}");
        let split = |text: &str| Original { form: HandleForm::Signature, ..original(text, after(60)) };
        // What is no signed token, or has no signature worth the name, is not split.
        let kept = [split(&token), split("opaque"), split("a.b.short"), split(&format!("a.{token}"))];
        let handles = accounts.keep_behind_handles("", &kept, NOW).await.unwrap();
        assert_eq!(*handles[0].expose(), format!("gws~{signature}"));
        for (handle, original) in handles.iter().zip(&kept) {
            let found = accounts.behind_handle("", handle.expose(), NOW).await.unwrap();
            assert_eq!(found, Some(original.text.clone()));
        }
        assert!(handles[1..].iter().all(|handle| handle.expose().starts_with("gwh~")));
        // The store has no signature, and what it has does not open without it.
        for (key, value) in records.list("", NOW).await.unwrap() {
            let value = String::from_utf8(value).unwrap();
            for part in [signature.as_str(), "eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJhbGljZSJ9"] {
                assert!(!key.contains(part) && !value.contains(part));
            }
        }
        let other = format!("gws~{}", "t".repeat(86));
        assert_eq!(accounts.behind_handle("", &other, NOW).await.unwrap(), None);
    })
    .await;
}
