//! Bitbucket Cloud. Teams are called workspaces today, and are asked for as such.

use doorward_core::Identity;
use serde_json::Value;
use url::Url;

use super::{Api, VendorError, below, pages::Paging, text};
use crate::{config::Defaults, identify::IdentifyError};

pub(crate) const DEFAULTS: Defaults = Defaults {
    name: "Bitbucket",
    login_url: "https://bitbucket.org/site/oauth2/authorize",
    redeem_url: "https://bitbucket.org/site/oauth2/access_token",
    profile_url: "",
    validate_url: "https://api.bitbucket.org/2.0/user/emails",
    scope: "email",
};

/// Who of Bitbucket may sign in: who meets all that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitbucket {
    /// The workspace that somebody must be a member of.
    pub team: Option<String>,
    /// The repository that somebody must be able to write to.
    pub repository: Option<BitbucketRepository>,
}

/// `workspace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitbucketRepository {
    pub workspace: String,
    pub name: String,
}

pub(super) async fn describe(api: Api<'_>, settings: &Bitbucket) -> Result<Identity, VendorError> {
    let what = "the e-mail addresses";
    let emails = api.validate.ok_or_else(|| VendorError::malformed(what, "no validate URL"))?;
    let email = email(api, what, emails).await?;
    if let Some(team) = &settings.team {
        admit_member(api, emails, team).await?;
    }
    if let Some(repository) = &settings.repository {
        admit_writer(api, emails, repository).await?;
    }
    Ok(Identity { email, ..Identity::default() })
}

/// The primary address, if Bitbucket does not say that it is unconfirmed.
async fn email(api: Api<'_>, what: &'static str, url: &Url) -> Result<String, VendorError> {
    let says = |item: &Value, name: &str| item.get(name).and_then(Value::as_bool);
    let read = |item: &Value| {
        let email = text(item.get("email")).map(str::to_owned);
        let is_primary = says(item, "is_primary") == Some(true);
        Ok(email.filter(|_| is_primary).map(|email| (email, says(item, "is_confirmed") != Some(false))))
    };
    match api.list(what, url, Paging::Member, read).await?.into_iter().flatten().next() {
        None => Err(IdentifyError::EmailMissing.into()),
        Some((_, false)) => Err(IdentifyError::EmailUnverified.into()),
        Some((email, true)) => Ok(email),
    }
}

async fn admit_member(api: Api<'_>, emails: &Url, team: &str) -> Result<(), VendorError> {
    let mut url = at(emails, &["2.0", "workspaces"]);
    url.query_pairs_mut().append_pair("role", "member").append_pair("pagelen", "100");
    let read = |item: &Value| text(item.get("slug")).map(str::to_owned).ok_or("a workspace has no slug");
    let workspaces = api.list("the workspaces", &url, Paging::Member, read).await?;
    if workspaces.iter().any(|workspace| workspace.eq_ignore_ascii_case(team)) {
        Ok(())
    } else {
        Err(VendorError::Restricted(format!("the user is no member of the Bitbucket workspace {team:?}")))
    }
}

async fn admit_writer(
    api: Api<'_>,
    emails: &Url,
    repository: &BitbucketRepository,
) -> Result<(), VendorError> {
    let full_name = format!("{}/{}", repository.workspace, repository.name);
    let mut url = at(emails, &["2.0", "repositories", &repository.workspace]);
    url.query_pairs_mut()
        .append_pair("role", "contributor")
        .append_pair("q", &format!("full_name=\"{full_name}\""));
    let read =
        |item: &Value| text(item.get("full_name")).map(str::to_owned).ok_or("a repository has no full name");
    let repositories = api.list("the repositories", &url, Paging::Member, read).await?;
    if repositories.iter().any(|found| found.eq_ignore_ascii_case(&full_name)) {
        Ok(())
    } else {
        Err(VendorError::Restricted(format!(
            "the user may not write to the Bitbucket repository {full_name:?}"
        )))
    }
}

/// A place at the server that has the addresses.
fn at(emails: &Url, segments: &[&str]) -> Url {
    let mut root = emails.clone();
    root.set_query(None);
    root.set_fragment(None);
    root.set_path("");
    below(&root, segments)
}
