//! Telling the application who sends a request, in the two forms of Kubernetes, and the removal of whatever of either form
//! came from outside.

use doorward_authn::{
    chain::{Authenticated, Naming, user_of},
    websocket,
};
use doorward_core::{Identity, SecretString, UserInfo};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    api::{ApiAuth, IdentityForm, OwnCredential, impersonation},
    inject::{normalised, remove_if},
};

/// Somebody known, and how.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: UserInfo,
    /// Who vouches, in a word for logs.
    pub(crate) authenticator: &'static str,
    /// Names the credential, by a hash; empty for sessions.
    pub(crate) credential: String,
    /// Who really sends the request, if `user` is somebody else.
    pub(crate) acting: Option<String>,
}

/// Who vouches for those who come by a browser's session, or with a password.
pub(crate) const SESSION: &str = "session";

impl Caller {
    pub(crate) fn of(found: &Authenticated) -> Self {
        Self {
            user: found.user.clone(),
            authenticator: found.authenticator.word(),
            credential: found.credential.clone(),
            acting: None,
        }
    }

    /// Somebody whom a session describes; `None` if nobody may be called so.
    pub(crate) fn of_session(identity: &Identity, naming: Naming) -> Option<Self> {
        let user = user_of(identity, naming)?;
        Some(Self { user, authenticator: SESSION, credential: String::new(), acting: None })
    }

    pub(crate) fn anonymous() -> Self {
        let (user, authenticator) = (UserInfo::anonymous(), "anonymous");
        Self { user, authenticator, credential: String::new(), acting: None }
    }

    /// For logs: who it is, who vouches, and by which credential.
    pub(crate) fn words(&self) -> String {
        let Self { user, authenticator, credential, acting } = self;
        let credential = if credential.is_empty() { String::new() } else { format!(" ({credential})") };
        match acting {
            None => format!("{} by {authenticator}{credential}", user.name),
            Some(real) => format!("{real} by {authenticator}{credential}, acting as {}", user.name),
        }
    }
}

/// The four parts of an identity, in the words of one form.
struct Names {
    user: &'static str,
    uid: &'static str,
    group: &'static str,
    extra: &'static str,
}

const REMOTE: Names =
    Names { user: "x-remote-user", uid: "x-remote-uid", group: "x-remote-group", extra: "x-remote-extra-" };
const IMPERSONATE: Names = Names {
    user: "impersonate-user",
    uid: "impersonate-uid",
    group: "impersonate-group",
    extra: "impersonate-extra-",
};

/// What may not stand in the name of a header, and the percent sign itself.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

impl Names {
    /// The headers that name this user; nothing at all if one of the name and uid cannot stand in a header.
    fn headers(&self, user: &UserInfo) -> Option<Vec<(HeaderName, HeaderValue)>> {
        let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).ok();
        let mut headers = vec![(HeaderName::from_static(self.user), value(&user.name)?)];
        if !user.uid.is_empty() {
            headers.push((HeaderName::from_static(self.uid), value(&user.uid)?));
        }
        for group in user.groups.iter().filter_map(|group| value(group)) {
            headers.push((HeaderName::from_static(self.group), group));
        }
        for (key, values) in &user.extra {
            let name = format!("{}{}", self.extra, utf8_percent_encode(key, ENCODED));
            let Ok(name) = HeaderName::try_from(name) else { continue };
            headers.extend(values.iter().filter_map(|text| Some((name.clone(), value(text)?))));
        }
        Some(headers)
    }
}

impl ApiAuth {
    /// Removes what a client must not say about itself, in every form and spelling, and tokens among subprotocols.
    pub(crate) fn scrub(&self, headers: &mut HeaderMap) {
        remove_if(headers, |name| self.is_identity(name));
        websocket::strip(headers);
    }

    pub(crate) fn is_identity(&self, name: &str) -> bool {
        let name = &*normalised(name);
        is_of_a_family(name)
            || self.chain.front_proxy.as_ref().is_some_and(|proxy| proxy.headers.includes(name))
            || self.certificate_header.as_ref().is_some_and(|own| normalised(own.as_str()) == name)
    }

    /// Adds to the `headers` that the application is to get.
    pub(crate) fn tell(&self, headers: &mut Vec<(HeaderName, HeaderValue)>, caller: Option<&Caller>) {
        self.identity.tell(headers, caller.map(|caller| &caller.user));
    }

    /// Tells a forward-auth proxy the same, for it to hand on. Our own credential is not for others.
    pub(crate) fn tell_proxy(&self, headers: &mut HeaderMap, caller: Option<&Caller>) {
        if let (IdentityForm::XRemote, Some(caller)) = (&self.identity, caller) {
            for (name, value) in REMOTE.headers(&caller.user).unwrap_or_default() {
                headers.append(name, value);
            }
        }
    }
}

/// Whether a header tells an application who somebody is, in one of the two forms and in whatever spelling.
pub(crate) fn is_of_a_family(name: &str) -> bool {
    let name = &*normalised(name);
    matches!(name, "x-remote-user" | "x-remote-uid" | "x-remote-group" | "x-remote-groups")
        || name.starts_with(REMOTE.extra)
        || name.starts_with(impersonation::PREFIX)
}

impl IdentityForm {
    /// Adds to the `headers` that the application is to get.
    pub(crate) fn tell(&self, headers: &mut Vec<(HeaderName, HeaderValue)>, user: Option<&UserInfo>) {
        let named = |names: &Names| user.and_then(|user| names.headers(user));
        match self {
            Self::Forwarded => {}
            Self::XRemote => headers.extend(named(&REMOTE).unwrap_or_default()),
            Self::Impersonate { credential: OwnCredential::Token(token) } => {
                // Our credential without a name would be us.
                let Some(named) = named(&IMPERSONATE) else { return };
                headers.extend(named);
                headers.retain(|(name, _)| name != AUTHORIZATION);
                headers.extend(bearer(token).map(|value| (AUTHORIZATION, value)));
            }
            Self::Impersonate { credential: OwnCredential::Certificate } => {
                headers.retain(|(name, _)| name != AUTHORIZATION);
                headers.extend(named(&IMPERSONATE).unwrap_or_else(nobody));
            }
        }
    }
}

/// Whoever cannot be named acts as nobody.
fn nobody() -> Vec<(HeaderName, HeaderValue)> {
    IMPERSONATE.headers(&UserInfo::anonymous()).unwrap_or_default()
}

fn bearer(token: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use doorward_authn::chain::Chain;

    use super::*;
    use crate::api::{Anonymous, ErrorFormat, Impersonation};

    fn api(identity: IdentityForm) -> ApiAuth {
        ApiAuth {
            chain: Chain {
                front_proxy: None,
                x509: None,
                opaque: None,
                review: None,
                naming: Naming::Preferred,
            },
            anonymous: Anonymous::OnNamedPaths,
            impersonation: Impersonation::Off,
            identity,
            errors: ErrorFormat::Auto,
            certificate_header: Some(HeaderName::from_static("ssl-client-cert")),
        }
    }

    fn caller() -> Caller {
        let user = UserInfo {
            name: "alice".into(),
            uid: "u-1".into(),
            groups: vec!["dev".into(), "b\u{fc}ro".into()],
            extra: [("acme.com/p_1".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
        };
        Caller { user, authenticator: "opaque", credential: "sha256~abc".into(), acting: None }
    }

    #[test]
    fn every_form_is_removed_in_every_spelling() {
        let mut headers = HeaderMap::new();
        for name in [
            "X-Remote-User",
            "X_Remote_User",
            "x.remote.uid",
            "X-Remote-Group",
            "X-Remote_Groups",
            "X-Remote-Extra-Scopes",
            "x_remote_extra_a",
            "Impersonate-User",
            "Impersonate_Group",
            "impersonate-extra-x",
            "SSL_Client_Cert",
        ] {
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("root"));
        }
        for kept in ["x-remote-addr", "x-remotely", "x-impersonate", "if-match"] {
            headers.append(HeaderName::from_static(kept), HeaderValue::from_static("kept"));
        }
        api(IdentityForm::Forwarded).scrub(&mut headers);
        assert!(headers.values().all(|value| value == "kept") && headers.len() == 4, "{headers:?}");
    }

    #[test]
    fn an_application_hears_the_user_in_its_form() {
        let told = |form: IdentityForm| {
            let mut headers = vec![(AUTHORIZATION, HeaderValue::from_static("Basic x"))];
            api(form).tell(&mut headers, Some(&caller()));
            let line = |(name, value): &(HeaderName, HeaderValue)| {
                format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
            };
            headers.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(told(IdentityForm::Forwarded), ["authorization: Basic x"]);
        assert_eq!(
            told(IdentityForm::XRemote),
            [
                "authorization: Basic x",
                "x-remote-user: alice",
                "x-remote-uid: u-1",
                "x-remote-group: dev",
                "x-remote-group: b\u{fc}ro",
                "x-remote-extra-acme.com%2fp_1: a",
                "x-remote-extra-acme.com%2fp_1: b",
            ]
        );
        assert_eq!(
            told(IdentityForm::Impersonate { credential: OwnCredential::Token("own".into()) }),
            [
                "impersonate-user: alice",
                "impersonate-uid: u-1",
                "impersonate-group: dev",
                "impersonate-group: b\u{fc}ro",
                "impersonate-extra-acme.com%2fp_1: a",
                "impersonate-extra-acme.com%2fp_1: b",
                "authorization: Bearer own",
            ]
        );
    }

    #[test]
    fn our_credential_never_goes_without_a_name() {
        let api = api(IdentityForm::Impersonate { credential: OwnCredential::Token("own".into()) });
        let mut nameless = caller();
        nameless.user.name = "a\nb".into();
        for caller in [None, Some(&nameless)] {
            let mut headers = Vec::new();
            api.tell(&mut headers, caller);
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn with_a_certificate_of_ours_whoever_has_no_name_is_nobody() {
        let api = api(IdentityForm::Impersonate { credential: OwnCredential::Certificate });
        let mut nameless = caller();
        nameless.user.name = "a\nb".into();
        for caller in [None, Some(&nameless)] {
            let mut headers = vec![(AUTHORIZATION, HeaderValue::from_static("Basic x"))];
            api.tell(&mut headers, caller);
            let told: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            assert_eq!(
                told,
                [("impersonate-user", "system:anonymous"), ("impersonate-group", "system:unauthenticated")]
            );
        }
    }

    #[test]
    fn logs_name_both_who_acts_and_as_whom() {
        let acting = Caller { acting: Some("bob".into()), ..caller() };
        assert_eq!(acting.words(), "bob by opaque (sha256~abc), acting as alice");
        assert_eq!(Caller::anonymous().words(), "system:anonymous by anonymous");
    }
}
