//! Acting as somebody else (`Impersonate-User` and so on, as `kubectl --as` sends them). Off unless configured: then such
//! headers are an error, never ignored. Pure.

use doorward_core::{
    UserInfo,
    user_info::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED},
};
use http::{HeaderMap, HeaderValue};

use crate::inject::normalised;

/// What every such header begins with.
pub(crate) const PREFIX: &str = "impersonate-";

/// `apiAuth.impersonation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Impersonation {
    Off,
    /// Every user and every group that is asked for has to be allowed by a rule for who asks.
    By(Vec<ImpersonationRule>),
}

/// Who may act as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImpersonationRule {
    /// Names of those who may.
    pub users: Vec<String>,
    /// Whose members may.
    pub groups: Vec<String>,
    pub may_be: Targets,
}

/// As whom somebody may act. `*` stands for anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub users: Vec<String>,
    pub groups: Vec<String>,
}

/// Why a request to act as somebody else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpersonationRefusal {
    #[error("acting as somebody else is switched off here")]
    Off,
    #[error("nobody may act as this user or in this group, or who asks may not")]
    NotAllowed,
    #[error("a uid or extra of somebody else cannot be taken on here")]
    Unsupported,
    #[error(
        "the headers that ask to act as somebody else need one Impersonate-User, and none may be misspelled"
    )]
    Malformed,
}

/// Whether the request asks to act as somebody else, in whatever spelling.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_header(name.as_str()))
}

/// Whether a header is one of those.
pub(crate) fn is_header(name: &str) -> bool {
    // Nearly all names of a request end here, at their first letter.
    name.starts_with('i') && normalised(name).starts_with(PREFIX)
}

impl Impersonation {
    /// As whom `who` acts with these headers, one of which [`is_asked`].
    pub(crate) fn target(
        &self,
        who: &UserInfo,
        headers: &HeaderMap,
    ) -> Result<UserInfo, ImpersonationRefusal> {
        let Self::By(rules) = self else { return Err(ImpersonationRefusal::Off) };
        let wanted = Wanted::read(headers)?;
        // As somebody else, a token would carry more than it was given.
        if who.is_anonymous() || wanted.user == ANONYMOUS || !doorward_oauth::is_full(who) {
            return Err(ImpersonationRefusal::NotAllowed);
        }
        let rules: Vec<&ImpersonationRule> = rules.iter().filter(|rule| rule.is_for(who)).collect();
        let allows = |list: fn(&Targets) -> &Vec<String>, name: &str| {
            rules.iter().any(|rule| list(&rule.may_be).iter().any(|one| one == "*" || one == name))
        };
        let user_allowed = allows(|targets| &targets.users, &wanted.user);
        // Everybody known is in this group anyway.
        let mut groups = wanted.groups.iter().filter(|group| *group != AUTHENTICATED);
        let groups_allowed =
            groups.all(|group| group != UNAUTHENTICATED && allows(|targets| &targets.groups, group));
        if !user_allowed || !groups_allowed {
            return Err(ImpersonationRefusal::NotAllowed);
        }
        Ok(UserInfo { name: wanted.user, groups: wanted.groups, ..UserInfo::default() }.authenticated())
    }
}

impl ImpersonationRule {
    fn is_for(&self, who: &UserInfo) -> bool {
        self.users.contains(&who.name) || self.groups.iter().any(|group| who.groups.contains(group))
    }
}

struct Wanted {
    user: String,
    groups: Vec<String>,
}

impl Wanted {
    fn read(headers: &HeaderMap) -> Result<Self, ImpersonationRefusal> {
        let (mut users, mut groups, mut others) = (Vec::new(), Vec::new(), 0);
        for (name, value) in headers {
            match name.as_str() {
                "impersonate-user" => users.push(text(value)?),
                "impersonate-group" => groups.push(text(value)?),
                "impersonate-uid" => others += 1,
                name if name.starts_with("impersonate-extra-") => others += 1,
                name if is_header(name) => return Err(ImpersonationRefusal::Malformed),
                _ => {}
            }
        }
        match users.pop() {
            Some(user) if users.is_empty() && others == 0 => Ok(Self { user, groups }),
            Some(_) if users.is_empty() => Err(ImpersonationRefusal::Unsupported),
            _ => Err(ImpersonationRefusal::Malformed),
        }
    }
}

/// A name: not empty, and without control characters.
fn text(value: &HeaderValue) -> Result<String, ImpersonationRefusal> {
    let text = str::from_utf8(value.as_bytes()).map_err(|_| ImpersonationRefusal::Malformed)?;
    let is_name = !text.is_empty() && !text.chars().any(char::is_control);
    is_name.then(|| text.to_owned()).ok_or(ImpersonationRefusal::Malformed)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn user(name: &str, groups: &[&str]) -> UserInfo {
        let groups = groups.iter().map(ToString::to_string).collect();
        UserInfo { name: name.into(), groups, ..UserInfo::default() }.authenticated()
    }

    /// bob with a token of this scope.
    fn holding(scope: &str) -> UserInfo {
        let extra = [("scopes.authorization.openshift.io".to_owned(), vec![scope.to_owned()])].into();
        UserInfo { extra, ..user("bob", &[]) }
    }

    fn rules() -> Impersonation {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Impersonation::By(vec![
            ImpersonationRule {
                users: owned(&["bob"]),
                groups: vec![],
                may_be: Targets { users: owned(&["alice"]), groups: owned(&["dev"]) },
            },
            ImpersonationRule {
                users: vec![],
                groups: owned(&["admins"]),
                may_be: Targets { users: owned(&["*"]), groups: owned(&["ops"]) },
            },
        ])
    }

    #[test]
    fn a21_a22_only_who_may_acts_as_somebody_else() {
        use ImpersonationRefusal::{Malformed, NotAllowed, Unsupported};
        let (bob, root) = (user("bob", &["dev"]), user("root", &["admins"]));
        let alice = ("impersonate-user", "alice");
        let group = |name: &'static str| ("impersonate-group", name);
        for (who, lines, expected) in [
            (&bob, &[alice][..], Ok(user("alice", &[]))),
            (&bob, &[alice, group("dev")], Ok(user("alice", &["dev"]))),
            (&bob, &[alice, group("system:authenticated")], Ok(user("alice", &[]))),
            (&bob, &[alice, group("ops")], Err(NotAllowed)),
            (&bob, &[alice, group("dev"), group("ops")], Err(NotAllowed)),
            (&bob, &[alice, group("system:unauthenticated")], Err(NotAllowed)),
            (&bob, &[("impersonate-user", "carol")], Err(NotAllowed)),
            (&root, &[("impersonate-user", "carol"), group("ops")], Ok(user("carol", &["ops"]))),
            (&root, &[("impersonate-user", "carol"), group("dev")], Err(NotAllowed)),
            (&root, &[("impersonate-user", "system:anonymous")], Err(NotAllowed)),
            (&user("eve", &["bob"]), &[alice], Err(NotAllowed)),
            (&UserInfo::anonymous(), &[alice], Err(NotAllowed)),
            (&holding("user:info"), &[alice], Err(NotAllowed)),
            (&holding("user:full"), &[alice], Ok(user("alice", &[]))),
            (&bob, &[group("dev")], Err(Malformed)),
            (&bob, &[("impersonate-uid", "1")], Err(Malformed)),
            (&bob, &[alice, ("impersonate-user", "root")], Err(Malformed)),
            (&bob, &[("impersonate-user", "")], Err(Malformed)),
            (&bob, &[alice, ("impersonate_group", "dev")], Err(Malformed)),
            (&bob, &[alice, ("impersonate-uid", "1")], Err(Unsupported)),
            (&bob, &[alice, ("impersonate-extra-scopes", "x")], Err(Unsupported)),
        ] {
            let headers = headers(lines);
            assert!(is_asked(&headers));
            assert_eq!(rules().target(who, &headers), expected, "{} {lines:?}", who.name);
            assert_eq!(Impersonation::Off.target(who, &headers), Err(ImpersonationRefusal::Off));
        }
        assert!(!is_asked(&headers(&[("if-match", "x"), ("x-impersonate-user", "x")])));
    }
}
