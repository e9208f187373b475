//! Cidaas: groups are objects with roles in them, which only the profile tells.

use doorward_core::Identity;
use doorward_jose::Claims;
use serde_json::Value;

use super::{ApiFault, VendorError};

/// Gives `identity` the groups of the profile, as `group:role`, and the roles beyond groups as `cidaas:role`, in place of
/// all it had. What is there must be as promised: a group that cannot be read is no reason to go on with others.
pub(super) fn with_groups(
    mut identity: Identity,
    profile: &Claims,
    claim: &str,
) -> Result<Identity, VendorError> {
    let mut groups = Vec::new();
    for group in list(profile.get(claim), "the groups are not a list")? {
        let name = group.get("groupId").and_then(Value::as_str);
        let name = name.ok_or_else(|| malformed("a group has no groupId"))?;
        for role in texts(group.get("roles"))? {
            groups.push(format!("{name}:{role}"));
        }
    }
    for role in texts(profile.get("roles"))? {
        groups.push(format!("cidaas:{role}"));
    }
    identity.groups.clear();
    for group in groups {
        if !identity.groups.contains(&group) {
            identity.groups.push(group);
        }
    }
    Ok(identity)
}

fn texts(value: Option<&Value>) -> Result<Vec<&str>, VendorError> {
    let roles = list(value, "roles are not a list")?;
    roles.iter().map(|role| role.as_str().ok_or_else(|| malformed("a role is not a text"))).collect()
}

fn list<'a>(value: Option<&'a Value>, complaint: &str) -> Result<&'a [Value], VendorError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(malformed(complaint)),
    }
}

fn malformed(reason: &str) -> VendorError {
    VendorError::Api { what: "groups", fault: ApiFault::Malformed(reason.to_owned()) }
}
