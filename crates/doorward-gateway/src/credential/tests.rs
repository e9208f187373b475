use http::header::SET_COOKIE;

use super::*;
use crate::{
    Phantom, PhantomConfig,
    testing::{alice, issuer, request, token_of},
};

#[tokio::test]
async fn what_the_client_sent_goes_on_only_where_it_shall() {
    let alice = alice();
    for (credential, removes) in
        [(Credential::Passthrough, 0), (Credential::None, 1), (Credential::Forwarded, 1)]
    {
        let made = credential.make(&request(&alice)).await.unwrap();
        assert_eq!((made.remove.len(), made.set.len(), made.secrets.len()), (removes, 0, 0));
    }
}

#[tokio::test]
async fn b14_an_answer_that_repeats_the_token_loses_that_line() {
    let phantom = Phantom::new(issuer(), PhantomConfig::default()).unwrap();
    let made = Credential::Jwt(phantom).make(&request(&alice())).await.unwrap();
    let token = token_of(&made);
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: String| {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    };
    add("authorization", format!("Bearer {}", token.expose()));
    add("x-echo", format!("authorization=Bearer {}; a=b", token.expose()));
    add("set-cookie", "a=b".to_owned());
    add("set-cookie", format!("t={}", token.expose()));
    add("content-type", "text/plain".to_owned());
    assert_eq!(scrub(&mut headers, &made.secrets), 3);
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["content-type", "set-cookie"]);
    assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=b"]);
    assert_eq!(scrub(&mut headers, &["".into()]), 0);
    assert!(!format!("{made:?}").contains(token.expose()), "{made:?}");
}
