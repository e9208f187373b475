//! GitLab: an ID token as everywhere, with user name, groups and parts in projects from its API. Projects in which
//! somebody has a part become groups (`project:namespace/name`).

use doorward_core::Identity;
use doorward_jose::Claims;
use serde_json::Value;
use url::Url;

use super::{Api, ApiFault, VendorError, below, text, texts};
use crate::{
    config::{Config, Defaults, EmailVerification},
    identify::IdentifyError,
};

pub(crate) const DEFAULTS: Defaults = Defaults {
    name: "GitLab",
    login_url: "",
    redeem_url: "",
    profile_url: "",
    validate_url: "",
    scope: "openid email",
};

/// What is asked of GitLab beyond who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitLab {
    pub projects: Vec<Project>,
}

/// A project, and the least access level that counts as having a part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// With its namespace.
    pub name: String,
    pub level: u64,
}

/// Why a text names no project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProject {
    #[error("there is no project before the level")]
    Nameless,
    #[error("an access level is 10 (guest), 20 (reporter), 30 (developer) or 40 (maintainer)")]
    Level,
}

const PREFIX: &str = "project:";

impl Project {
    /// `namespace/project=level`; without a level, 20.
    pub fn parse(text: &str) -> Result<Self, InvalidProject> {
        let (name, level) = text.split_once('=').unwrap_or((text, "20"));
        let level = match level {
            "10" => 10,
            "20" => 20,
            "30" => 30,
            "40" => 40,
            _ => return Err(InvalidProject::Level),
        };
        if name.is_empty() {
            Err(InvalidProject::Nameless)
        } else {
            Ok(Self { name: name.to_owned(), level })
        }
    }

    /// What those who have a part in it are in.
    pub fn group(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

/// Where GitLab itself is; below a path, if it was installed so.
fn root(login: &Url) -> Url {
    let mut root = login.clone();
    root.set_query(None);
    root.set_fragment(None);
    let path = login.path().strip_suffix("/oauth/authorize").unwrap_or_default();
    root.set_path(path);
    root
}

/// Userinfo, whatever the metadata say.
pub(crate) fn userinfo(login: &Url) -> Url {
    below(&root(login), &["oauth", "userinfo"])
}

/// Address and groups as userinfo has them, and the projects.
pub(super) async fn enrich(
    api: Api<'_>,
    settings: &GitLab,
    mut identity: Identity,
    profile: Option<&Claims>,
) -> Result<Identity, VendorError> {
    let what = "userinfo";
    let profile = profile.ok_or_else(|| VendorError::malformed(what, "it was not asked"))?;
    check_email(api.config, profile)?;
    if let Some(email) = text(profile.get("email")) {
        email.clone_into(&mut identity.email);
    }
    if let Some(groups) = profile.get("groups") {
        identity.groups = texts(what, Some(groups))?;
    }
    identity.groups.retain(|group| !group.starts_with(PREFIX));
    for project in &settings.projects {
        let group = project.group();
        if !identity.groups.contains(&group) && has_part(api, project).await? {
            identity.groups.push(group);
        }
    }
    Ok(identity)
}

/// Userinfo has to say that the address is verified.
fn check_email(config: &Config, profile: &Claims) -> Result<(), VendorError> {
    let is_verified = profile.get("email_verified").and_then(Value::as_bool) == Some(true);
    match config.email_verification {
        EmailVerification::Required if !is_verified => Err(IdentifyError::EmailUnverified.into()),
        EmailVerification::Required | EmailVerification::Ignored => Ok(()),
    }
}

async fn has_part(api: Api<'_>, project: &Project) -> Result<bool, VendorError> {
    let what = "a project";
    let login = api.login.ok_or_else(|| VendorError::malformed(what, "there is no login URL"))?;
    let url = below(&root(login), &["api", "v4", "projects", &project.name]);
    let found = match api.json(what, &url).await {
        Err(VendorError::Api { fault: ApiFault::Status(status @ (403 | 404)), .. }) => {
            tracing::debug!(project = project.name, status, "GitLab shows this project not to the user");
            return Ok(false);
        }
        other => other?,
    };
    let access = |kind: &str| {
        let access = found.get("permissions")?.get(kind).filter(|access| !access.is_null())?;
        Some(access.get("access_level").and_then(Value::as_u64).unwrap_or_default())
    };
    let level = access("project_access").or_else(|| access("group_access"));
    let is_archived = found.get("archived").is_some_and(|archived| archived != &Value::Bool(false));
    Ok(!is_archived && level.is_some_and(|level| level >= project.level))
}
