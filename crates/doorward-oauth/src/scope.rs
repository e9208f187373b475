//! Which scopes there are, and which of them a client may have (norm A3.1, 6).

use doorward_accounts::{SCOPES_EXTRA, Scopes};
use doorward_core::UserInfo;
use doorward_template::words::{Message, Words};

use crate::config::{Client, Config, Escalation, ScopeRestriction};

/// Everything that the user may do.
pub(crate) const USER_FULL: &str = "user:full";
/// Name, uid and groups of the user.
pub(crate) const USER_INFO: &str = "user:info";
/// Asking for statements about the user (`OpenID Connect` Core section 3.1.2.1).
pub(crate) const OPENID: &str = "openid";
/// Asking for a refresh token (`OpenID Connect` Core section 11).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";
/// Asking about tokens of others. Only for clients whose restrictions name it.
pub(crate) const INTROSPECT: &str = "introspect";

/// Scopes that every server of this kind knows, and what they allow in words for the page that asks for consent.
const STANDARD: [(&str, Message); 10] = [
    (USER_FULL, Message::ScopeFull),
    (USER_INFO, Message::ScopeUserInfo),
    ("user:check-access", Message::ScopeCheckAccess),
    ("user:list-projects", Message::ScopeListProjects),
    ("user:list-scoped-projects", Message::ScopeListScopedProjects),
    (OPENID, Message::ScopeOpenId),
    ("profile", Message::ScopeProfile),
    ("email", Message::ScopeEmail),
    ("groups", Message::ScopeGroups),
    (OFFLINE_ACCESS, Message::ScopeOfflineAccess),
];

/// Why scopes are not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScopeError {
    /// `invalid_scope`.
    #[error("unknown scopes: {0}")]
    Unknown(Scopes),
    /// `access_denied`, or at the token endpoint `invalid_scope`.
    #[error("scopes that this client may not have: {0}")]
    NotAllowed(Scopes),
}

/// Whether the credential by which somebody is known carries all that they may do. A token may carry less.
pub fn is_full(user: &UserInfo) -> bool {
    user.extra.get(SCOPES_EXTRA).is_none_or(|scopes| scopes.iter().any(|scope| scope == USER_FULL))
}

/// All scopes that can be listed; those for roles cannot.
pub(crate) fn known(config: &Config) -> impl Iterator<Item = &str> {
    let resources = config.resources.iter().flat_map(|resource| resource.scopes.iter().map(String::as_str));
    let own = config.scopes.iter().map(|scope| scope.name.as_str());
    STANDARD.iter().map(|(name, _)| *name).chain(own).chain(resources)
}

/// What a client asked for, or what it is given by default; checked either way.
pub(crate) fn granted(config: &Config, client: &Client, asked: Scopes) -> Result<Scopes, ScopeError> {
    let scopes = if asked.is_empty() { client.default_scopes.clone() } else { asked };
    let unknown = scopes.clone().filtered(|scope| !is_known(config, client, scope));
    if !unknown.is_empty() {
        return Err(ScopeError::Unknown(unknown));
    }
    let refused = scopes.clone().filtered(|scope| !is_allowed(client, scope));
    if refused.is_empty() { Ok(scopes) } else { Err(ScopeError::NotAllowed(refused)) }
}

/// What a scope allows and what can go wrong, in words for the user; those of the operator as they are.
pub(crate) fn explained(config: &Config, scope: &str) -> (Words, Words) {
    if let Some(own) = config.scopes.iter().find(|own| own.name == scope) {
        return (Words::Foreign(own.description.clone()), Words::Foreign(own.warning.clone()));
    }
    if let Some((_, words)) = STANDARD.iter().find(|(name, _)| *name == scope) {
        let warning = if scope == USER_FULL { Message::FullWarning.into() } else { Words::None };
        return ((*words).into(), warning);
    }
    match Role::parse(scope) {
        Some(Role { name, namespace: "*", escalation }) => {
            (Words::from(Message::ScopeRoleEverywhere).with("role", name), escalation_warning(escalation))
        }
        Some(Role { name, namespace, escalation }) => {
            let words = Words::from(Message::ScopeRole).with("role", name).with("namespace", namespace);
            (words, escalation_warning(escalation))
        }
        None => (Words::None, Words::None),
    }
}

fn escalation_warning(escalation: Escalation) -> Words {
    match escalation {
        Escalation::Allowed => Message::EscalationWarning.into(),
        Escalation::Refused => Words::None,
    }
}

fn is_known(config: &Config, client: &Client, scope: &str) -> bool {
    known(config).any(|known| known == scope)
        || Role::parse(scope).is_some()
        || (scope == INTROSPECT && client.scope_restrictions.iter().any(|one| names(one, INTROSPECT)))
}

fn is_allowed(client: &Client, scope: &str) -> bool {
    client.scope_restrictions.is_empty() || client.scope_restrictions.iter().any(|one| fits(one, scope))
}

fn names(restriction: &ScopeRestriction, scope: &str) -> bool {
    matches!(restriction, ScopeRestriction::Literals(literals) if literals.iter().any(|literal| literal == scope))
}

fn fits(restriction: &ScopeRestriction, scope: &str) -> bool {
    match restriction {
        ScopeRestriction::Literals(_) => names(restriction, scope),
        ScopeRestriction::Roles { names, namespaces, escalation } => Role::parse(scope).is_some_and(|role| {
            let listed = |list: &[String], name: &str| list.iter().any(|one| one == "*" || one == name);
            listed(names, role.name)
                && listed(namespaces, role.namespace)
                && (role.escalation == Escalation::Refused || *escalation == Escalation::Allowed)
        }),
    }
}

/// A scope `role:<name>:<namespace>[:!]`. The name may have colons of its own, as roles of the system do.
struct Role<'a> {
    name: &'a str,
    namespace: &'a str,
    escalation: Escalation,
}

impl<'a> Role<'a> {
    fn parse(scope: &'a str) -> Option<Self> {
        let rest = scope.strip_prefix("role:")?;
        let (rest, escalation) = match rest.strip_suffix(":!") {
            Some(rest) => (rest, Escalation::Allowed),
            None => (rest, Escalation::Refused),
        };
        let (name, namespace) = rest.rsplit_once(':')?;
        (!name.is_empty() && !namespace.is_empty()).then_some(Self { name, namespace, escalation })
    }
}

#[cfg(test)]
mod tests {
    use doorward_template::words::Language;

    use super::*;
    use crate::config::{Issuer, Resource, ScopeDefinition, TokenFormat};

    fn config() -> Config {
        Config {
            scopes: vec![ScopeDefinition {
                name: "orders:read".to_owned(),
                description: "See your orders".to_owned(),
                warning: String::new(),
            }],
            resources: vec![Resource {
                uri: "https://stock".to_owned(),
                scopes: vec!["stock:read".to_owned()],
                format: TokenFormat::Jwt,
            }],
            ..Config::new(Issuer::parse("https://auth.example.com").unwrap())
        }
    }

    #[test]
    fn scopes_are_known_and_within_the_restrictions_of_the_client() {
        let free = Client { default_scopes: Scopes::parse("openid").unwrap(), ..Client::new("free") };
        let bound = Client {
            scope_restrictions: vec![
                ScopeRestriction::Literals(vec!["openid".to_owned(), "introspect".to_owned()]),
                ScopeRestriction::Roles {
                    names: vec!["view".to_owned(), "system:viewer".to_owned()],
                    namespaces: vec!["*".to_owned()],
                    escalation: Escalation::Refused,
                },
            ],
            ..Client::new("bound")
        };
        let ok = |text: &str| Ok(Scopes::parse(text).unwrap());
        let unknown = |text: &str| Err(ScopeError::Unknown(Scopes::parse(text).unwrap()));
        let refused = |text: &str| Err(ScopeError::NotAllowed(Scopes::parse(text).unwrap()));
        for (client, asked, expected) in [
            (&free, "", ok("openid")),
            (&free, "user:full orders:read stock:read", ok("user:full orders:read stock:read")),
            (&free, "role:admin:default:!", ok("role:admin:default:!")),
            (&free, "openid nonsense role:", unknown("nonsense role:")),
            (&free, "introspect", unknown("introspect")),
            (&free, "role:admin", unknown("role:admin")),
            (&free, "role::x", unknown("role::x")),
            (&bound, "", ok("")),
            (&bound, "openid introspect", ok("openid introspect")),
            (&bound, "openid email", refused("email")),
            (&bound, "role:view:default role:system:viewer:x", ok("role:view:default role:system:viewer:x")),
            (&bound, "role:view:default:!", refused("role:view:default:!")),
            (&bound, "role:edit:default", refused("role:edit:default")),
        ] {
            assert_eq!(
                granted(&config(), client, Scopes::parse(asked).unwrap()),
                expected,
                "{} {asked}",
                client.id
            );
        }
    }

    #[test]
    fn users_are_told_what_a_scope_means() {
        for (scope, description, warns) in [
            ("orders:read", "See your orders", false),
            ("user:full", "Do everything that you may do", true),
            ("role:view:default", "Do what the role view may do in default", false),
            ("role:admin:*:!", "Do what the role admin may do, everywhere", true),
            ("stock:read", "", false),
        ] {
            let (words, warning) = explained(&config(), scope);
            assert_eq!(
                (words.in_text(Language::English).as_str(), !warning.is_empty()),
                (description, warns),
                "{scope}"
            );
        }
    }
}
