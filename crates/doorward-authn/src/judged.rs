//! What becomes of one credential at one authenticator: the parts that the chain of API requests and the named
//! authenticators of the gateway share.

use std::fmt::Display;

use ::aws_lc_rs::digest::{SHA256, digest};
use doorward_accounts::{Accounts, Activity, DerivedToken, InvalidToken, TokenName, ValidToken};
use doorward_core::{Timestamp, UserInfo, user_info::ANONYMOUS};
use http::HeaderMap;

use crate::{
    chain::{CREDENTIAL_ID, Opaque},
    front_proxy::{FrontProxy, Said},
    token_review::TokenReview,
    x509::{ClientCa, Shown, credential_id, hex},
};

/// What somebody is told whose name may not be one.
pub(crate) const RESERVED: &str = "the name is empty, reserved or unreadable";

/// What one authenticator says of one credential.
#[derive(Debug)]
pub(crate) enum Judged<T = Vouched> {
    /// It is not of its kind.
    Nothing,
    Good(T),
    Bad(Doubt),
    /// Nobody can tell at the moment.
    Unknown(Doubt),
}

/// Somebody, without what nobody may assert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vouched {
    pub(crate) user: UserInfo,
    /// Names the credential: a hash of all of it.
    pub(crate) credential: String,
}

/// Why a credential says nothing. For logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) credential: String,
    pub(crate) reason: String,
}

impl Doubt {
    pub(crate) fn new(credential: String, reason: &(impl Display + ?Sized)) -> Self {
        Self { credential, reason: reason.to_string() }
    }
}

fn vouched(user: UserInfo, credential: String) -> Judged {
    match admit(user) {
        Some(user) => Judged::Good(Vouched { user, credential }),
        None => Judged::Bad(Doubt::new(credential, RESERVED)),
    }
}

/// The subject of a certificate that the client showed.
pub(crate) fn certificate(ca: &ClientCa, shown: &Shown, now: Timestamp) -> Judged {
    let credential = credential_id(shown.leaf());
    match shown.subject(ca, now) {
        Ok(subject) if subject.common_name.is_empty() => Judged::Nothing,
        Ok(subject) => {
            let user = UserInfo {
                name: subject.common_name,
                uid: subject.uid,
                groups: subject.organizations,
                extra: [(CREDENTIAL_ID.to_owned(), vec![credential.clone()])].into(),
            };
            vouched(user, credential)
        }
        Err(why) => Judged::Bad(Doubt::new(credential, &why)),
    }
}

/// Whom a proxy in front names.
pub(crate) fn front_proxy(
    proxy: &FrontProxy,
    shown: Option<&Shown>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Judged {
    let credential = || shown.map(|shown| credential_id(shown.leaf())).unwrap_or_default();
    match proxy.attempt(shown, headers, now) {
        Said::Nothing => Judged::Nothing,
        Said::User(user) => vouched(user, credential()),
        Said::Refused(why) => Judged::Bad(Doubt::new(credential(), &why)),
    }
}

/// Whom a token is about that our own server has issued.
pub(crate) async fn opaque(own: &Opaque, token: &str, now: Timestamp) -> Judged<(Vouched, ValidToken)> {
    let Some(name) = TokenName::of_access(token) else { return Judged::Nothing };
    own_token(&own.accounts, (&name, &own.audiences), now).await
}

/// Whom the token of our own server is about that is stored under a name. Whoever asks has seen that the name is true.
pub(crate) async fn own_token(
    accounts: &Accounts,
    (name, audiences): (&TokenName, &[String]),
    now: Timestamp,
) -> Judged<(Vouched, ValidToken)> {
    let credential = name.as_str().to_owned();
    match accounts.validate_name(name, Activity::Counts, now).await {
        Ok(valid) => {
            let audience = &valid.token.audience;
            if !audience.is_empty() && !audience.iter().any(|one| audiences.contains(one)) {
                return Judged::Bad(Doubt::new(credential, "the token is for another resource"));
            }
            match admit(valid.user_info.clone()) {
                Some(user) => Judged::Good((Vouched { user, credential }, valid)),
                None => Judged::Bad(Doubt::new(credential, RESERVED)),
            }
        }
        Err(InvalidToken::NotOurs) => Judged::Nothing,
        Err(InvalidToken::Unavailable(error)) => Judged::Unknown(Doubt::new(credential, &error)),
        Err(why) => Judged::Bad(Doubt::new(credential, &why)),
    }
}

/// Whom a token is about that the gateway has signed in place of another.
pub(crate) async fn derived(own: &Opaque, token: &str, now: Timestamp) -> Judged<(Vouched, DerivedToken)> {
    let Some(issuer) = &own.gateway else { return Judged::Nothing };
    let credential = || token_id(token);
    match own.accounts.validate_derived(token, issuer, now).await {
        Ok(derived) if !derived.audience.iter().any(|one| own.audiences.contains(one)) => {
            Judged::Bad(Doubt::new(credential(), "the token is for another resource"))
        }
        Ok(derived) => match admit(derived.user_info.clone()) {
            Some(user) => Judged::Good((Vouched { user, credential: credential() }, derived)),
            None => Judged::Bad(Doubt::new(credential(), RESERVED)),
        },
        Err(InvalidToken::NotOurs) => Judged::Nothing,
        Err(InvalidToken::Unavailable(error)) => Judged::Unknown(Doubt::new(credential(), &error)),
        Err(why) => Judged::Bad(Doubt::new(credential(), &why)),
    }
}

/// Whom a token is about that somebody else judges.
pub(crate) async fn review(review: &TokenReview, token: &str, now: Timestamp) -> Judged {
    let credential = || token_id(token);
    match review.attempt(token, now).await {
        Ok(user) => vouched(user, credential()),
        Err(why) if why.is_unavailable(review.on_error()) => Judged::Unknown(Doubt::new(credential(), &why)),
        Err(why) => Judged::Bad(Doubt::new(credential(), &why)),
    }
}

/// Drops the reserved groups and adds the one of everybody known; `None` if nobody may be called so.
pub(crate) fn admit(mut user: UserInfo) -> Option<UserInfo> {
    let is_readable = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    if !is_readable(&user.name) || user.name == ANONYMOUS || user.uid.chars().any(char::is_control) {
        return None;
    }
    user.groups.retain(|group| is_readable(group));
    user.extra.retain(|key, values| {
        values.retain(|value| !value.chars().any(char::is_control));
        is_readable(key)
    });
    Some(user.authenticated())
}

/// As [`admit`], of whom somebody else describes. What begins with `system:` is for the operators of clusters to give
/// out, and not for others: such groups are dropped, and nobody may be called so.
pub(crate) fn admit_foreign(mut user: UserInfo) -> Option<UserInfo> {
    let is_reserved = |text: &str| text.starts_with("system:");
    if is_reserved(&user.name) {
        return None;
    }
    user.groups.retain(|group| !is_reserved(group));
    admit(user)
}

/// Names a token, by the hash of all of it.
pub(crate) fn token_id(token: &str) -> String {
    match TokenName::of_access(token) {
        Some(name) => name.as_str().to_owned(),
        None => format!("sha256:{}", hex(digest(&SHA256, token.as_bytes()).as_ref())),
    }
}

/// The name of a credential as logs show it.
pub(crate) fn shortened(credential: &str) -> &str {
    let shown = match credential.split_at_checked(7) {
        Some(("sha256~", _)) => credential.get(..15),
        Some(("sha256:", _)) => credential.get(..19),
        _ => None,
    };
    shown.unwrap_or(credential)
}
