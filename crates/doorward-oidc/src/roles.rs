//! Keycloak's roles as groups: `role:<realm role>` and `role:<client>:<client role>`. Pure.
//! They are read from an access token whose signature was verified.

use doorward_core::Identity;
use doorward_jose::Claims;
use serde_json::Value;

/// What an access token says about roles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Realm roles first, then client roles ordered by client.
    pub(crate) groups: Vec<String>,
    /// Something was not a list of texts and was left out.
    pub(crate) was_malformed: bool,
}

impl Roles {
    pub(crate) fn read(claims: &Claims) -> Self {
        let mut roles = Self::default();
        if let Some(realm) = claims.get("realm_access") {
            roles.add("role:", realm);
        }
        match claims.get("resource_access") {
            None | Some(Value::Null) => (),
            Some(Value::Object(clients)) => {
                let mut names: Vec<&String> = clients.keys().collect();
                names.sort();
                for name in names {
                    if let Some(access) = clients.get(name) {
                        roles.add(&format!("role:{name}:"), access);
                    }
                }
            }
            Some(_) => roles.was_malformed = true,
        }
        roles
    }

    /// Gives the roles to `identity`, in place of roles it may have from an earlier token.
    pub(crate) fn replace_in(self, identity: &mut Identity) {
        identity.groups.retain(|group| !group.starts_with("role:"));
        self.append_to(identity);
    }

    /// Gives the roles to `identity` besides its groups, each once.
    pub(crate) fn append_to(self, identity: &mut Identity) {
        for group in self.groups {
            if !identity.groups.contains(&group) {
                identity.groups.push(group);
            }
        }
    }

    fn add(&mut self, prefix: &str, access: &Value) {
        match access.get("roles") {
            None | Some(Value::Null) => self.was_malformed |= !(access.is_object() || access.is_null()),
            Some(Value::Array(roles)) => {
                for role in roles {
                    match role {
                        Value::String(role) => self.groups.push(format!("{prefix}{role}")),
                        _ => self.was_malformed = true,
                    }
                }
            }
            Some(_) => self.was_malformed = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(claims) => claims,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn realm_roles_come_first_then_clients_in_order() {
        for (value, groups) in [
            (
                json!({"resource_access": {"z": {"roles": ["q"]}, "a": {"roles": ["r", "s"]}},
                    "realm_access": {"roles": ["x"]}}),
                &["role:x", "role:a:r", "role:a:s", "role:z:q"][..],
            ),
            (json!({}), &[]),
            (json!({"realm_access": null, "resource_access": {"a": {}}}), &[]),
        ] {
            let roles = Roles::read(&claims(value));
            assert_eq!(roles.groups, groups);
            assert!(!roles.was_malformed);
        }
    }

    #[test]
    fn what_is_not_a_list_of_roles_gives_none() {
        for (value, groups) in [
            (json!({"realm_access": {"roles": "admin"}}), &[][..]),
            (json!({"realm_access": ["admin"]}), &[]),
            (json!({"resource_access": [{"roles": ["admin"]}]}), &[]),
            (json!({"resource_access": {"a": {"roles": {"admin": true}}, "b": 5}}), &[]),
            (json!({"realm_access": {"roles": ["a", 5, null]}}), &["role:a"]),
        ] {
            let roles = Roles::read(&claims(value));
            assert_eq!(roles.groups, groups);
            assert!(roles.was_malformed);
        }
    }

    #[test]
    fn roles_of_an_earlier_token_do_not_live_on() {
        let mut identity = Identity {
            groups: vec!["/g".into(), "role:old".into(), "role:keep".into()],
            ..Identity::default()
        };
        Roles { groups: vec!["role:keep".into(), "role:keep".into()], was_malformed: false }
            .replace_in(&mut identity);
        assert_eq!(identity.groups, ["/g", "role:keep"]);
    }
}
