//! Google: groups, and the id in the organisation, come from the directory of the Workspace (Admin SDK), which is asked in
//! the name of an administrator by a service account ([`credentials`]). What the directory says counts each time it is
//! asked, whatever the session had.

pub(super) mod credentials;

use doorward_core::{Identity, SecretString, Timestamp};
use http::StatusCode;
use serde_json::Value;
use url::Url;

use self::credentials::{GoogleCredentials, Scopes};
use super::{ApiFault, VendorError};
use crate::http::{Answer, HttpClient, HttpError};
pub(crate) use credentials::TokenCache;

/// What is asked of Google besides a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Google {
    /// The groups to look for; empty: all that a user is a direct member of.
    pub groups: Vec<String>,
    /// Nothing: nobody has groups.
    pub directory: Option<GoogleDirectory>,
}

/// The directory of a Workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleDirectory {
    pub credentials: GoogleCredentials,
    /// The administrator in whose name it is asked.
    pub admin_email: String,
    /// Set if the id in the organisation becomes the preferred user name; by which scope it is read.
    pub organization_id: Option<UserScope>,
    /// Where the directory is, `https://admin.googleapis.com`.
    pub base: String,
}

/// What allows to read about users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserScope {
    CloudPlatform,
    User,
    UserReadonly,
}

/// Nobody is in more groups than this many pages of 200 hold; it only ends what would never end.
const MAX_PAGES: usize = 50;

/// Asks the directory about `identity`. Without a directory nothing is asked, and nobody has groups.
pub(super) async fn enrich(
    settings: &Google,
    mut identity: Identity,
    asking: Asking<'_>,
) -> Result<Identity, VendorError> {
    let Some(directory) = &settings.directory else { return Ok(identity) };
    let token = asking.cache.token(directory, asking.http, asking.now).await?;
    let desk = Desk { asking, directory, token };
    let email = identity.email.clone();
    identity.groups = if settings.groups.is_empty() {
        desk.groups_of(&email).await?
    } else {
        desk.of_these(&settings.groups, &email).await?
    };
    if directory.organization_id.is_some() {
        identity.preferred_username = desk.organization_id(&email).await?;
    }
    Ok(identity)
}

/// What it takes to ask.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) http: &'a HttpClient,
    pub(super) cache: &'a TokenCache,
    pub(super) now: Timestamp,
}

/// The directory, with a token for it.
struct Desk<'a> {
    asking: Asking<'a>,
    directory: &'a GoogleDirectory,
    token: SecretString,
}

impl Desk<'_> {
    /// Those of `groups` that `email` is a member of, by way of other groups too.
    async fn of_these(&self, groups: &[String], email: &str) -> Result<Vec<String>, VendorError> {
        let mut found = Vec::new();
        for group in groups {
            if self.is_member(group, email).await? {
                found.push(group.clone());
            }
        }
        Ok(found)
    }

    async fn is_member(&self, group: &str, email: &str) -> Result<bool, VendorError> {
        let what = "the membership in a group (members.hasMember)";
        let url = self.url(&["groups", group, "hasMember", email])?;
        let answer = self.get(what, url).await?;
        match answer.status {
            StatusCode::OK => match document(what, &answer)?.get("isMember") {
                Some(Value::Bool(is_member)) => Ok(*is_member),
                // Google leaves out what is false.
                None => Ok(false),
                Some(_) => Err(malformed(what, "isMember is neither true nor false")),
            },
            StatusCode::NOT_FOUND => {
                tracing::warn!(
                    group,
                    "a group of --google-group does not exist at Google, or has no such member"
                );
                Ok(false)
            }
            // The question is not answered about people of another domain than the group's.
            StatusCode::BAD_REQUEST => self.is_active_member(group, email).await,
            status => Err(refused(what, &answer, status)),
        }
    }

    async fn is_active_member(&self, group: &str, email: &str) -> Result<bool, VendorError> {
        let what = "the membership in a group (members.get)";
        let answer = self.get(what, self.url(&["groups", group, "members", email])?).await?;
        match answer.status {
            StatusCode::OK => {
                Ok(document(what, &answer)?.get("status").is_some_and(|status| status == "ACTIVE"))
            }
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Ok(false),
            status => Err(refused(what, &answer, status)),
        }
    }

    /// The addresses of all groups that `email` is a direct member of.
    async fn groups_of(&self, email: &str) -> Result<Vec<String>, VendorError> {
        let what = "the groups of a user (groups.list)";
        let mut found = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut url = self.url(&["groups"])?;
            url.query_pairs_mut().append_pair("userKey", email).append_pair("maxResults", "200");
            if let Some(page) = &page {
                url.query_pairs_mut().append_pair("pageToken", page);
            }
            let answer = self.get(what, url).await?;
            if answer.status != StatusCode::OK {
                return Err(refused(what, &answer, answer.status));
            }
            let document = document(what, &answer)?;
            let groups = match document.get("groups") {
                None => &[][..],
                Some(Value::Array(groups)) => groups,
                Some(_) => return Err(malformed(what, "the groups are not a list")),
            };
            let emails = groups.iter().filter_map(|group| group.get("email").and_then(Value::as_str));
            found.extend(emails.filter(|email| !email.is_empty()).map(str::to_owned));
            page = document.get("nextPageToken").and_then(Value::as_str).map(str::to_owned);
            if page.as_ref().is_none_or(String::is_empty) {
                return Ok(found);
            }
        }
        Err(malformed(what, "there are too many pages"))
    }

    /// The id that the organisation gave to a user.
    async fn organization_id(&self, email: &str) -> Result<String, VendorError> {
        let what = "the id of a user in the organisation (users.get)";
        let answer = self.get(what, self.url(&["users", email])?).await?;
        match answer.status {
            StatusCode::OK => (),
            StatusCode::NOT_FOUND => {
                return Err(VendorError::Restricted("the directory does not know this user".to_owned()));
            }
            status => return Err(refused(what, &answer, status)),
        }
        let user = document(what, &answer)?;
        if user.get("suspended").is_some_and(|value| *value == Value::Bool(true)) {
            return Err(VendorError::Restricted("the directory has suspended this user".to_owned()));
        }
        let ids = user.get("externalIds").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut ids = ids.iter().filter(|id| id.get("type").is_some_and(|kind| kind == "organization"));
        ids.find_map(|id| id.get("value").and_then(Value::as_str).filter(|value| !value.is_empty()))
            .map(str::to_owned)
            .ok_or_else(|| {
                VendorError::Restricted(
                    "the user has no id of the type organization in the directory".to_owned(),
                )
            })
    }

    /// An address of the directory; names become parts of the path, whatever they hold.
    fn url(&self, path: &[&str]) -> Result<Url, VendorError> {
        let wrong = || malformed("anything", "its address is not a URL");
        let mut url = Url::parse(&self.directory.base).map_err(|_| wrong())?;
        url.path_segments_mut()
            .map_err(|()| wrong())?
            .pop_if_empty()
            .extend(["admin", "directory", "v1"])
            .extend(path);
        Ok(url)
    }

    async fn get(&self, what: &'static str, url: Url) -> Result<Answer, VendorError> {
        let request = self.asking.http.get(url).bearer_auth(self.token.expose());
        let answer = self.asking.http.send(request).await.map_err(|fault| failed(what, fault))?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // It was taken back before its time; that says nothing about the user.
            self.asking.cache.forget();
            return Err(malformed(
                what,
                "it does not accept a token that it gave; a new one will be asked for",
            ));
        }
        Ok(answer)
    }
}

/// The scopes for what is asked, tried in this order: whoever set the service account up has granted one of them.
pub(crate) fn scopes(directory: &GoogleDirectory) -> Vec<Scopes> {
    let user = directory.organization_id.map(|scope| match scope {
        UserScope::CloudPlatform => "https://www.googleapis.com/auth/cloud-platform",
        UserScope::User => "https://www.googleapis.com/auth/admin.directory.user",
        UserScope::UserReadonly => "https://www.googleapis.com/auth/admin.directory.user.readonly",
    });
    ["group.member.readonly", "group.readonly", "group.member", "group"]
        .map(|name| format!("https://www.googleapis.com/auth/admin.directory.{name}"))
        .map(|group| user.map_or_else(|| group.clone(), |user| format!("{group} {user}")))
        .into()
}

fn document(what: &'static str, answer: &Answer) -> Result<Value, VendorError> {
    match serde_json::from_slice(&answer.body) {
        Ok(document @ Value::Object(_)) => Ok(document),
        _ => Err(malformed(what, "it is not a JSON object")),
    }
}

/// Google says with 403, too, that it was asked too often.
fn refused(what: &'static str, answer: &Answer, status: StatusCode) -> VendorError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reasons = body.pointer("/error/errors").and_then(Value::as_array).map(Vec::as_slice);
    let mut reasons = reasons.unwrap_or_default().iter().filter_map(|error| error.get("reason")?.as_str());
    let is_limit = |reason: &str| {
        matches!(
            reason,
            "quotaExceeded" | "rateLimitExceeded" | "userRateLimitExceeded" | "dailyLimitExceeded"
        )
    };
    let fault = if status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN && reasons.any(is_limit))
    {
        ApiFault::RateLimited
    } else {
        ApiFault::Status(status.as_u16())
    };
    VendorError::Api { what, fault }
}

fn malformed(what: &'static str, reason: &str) -> VendorError {
    VendorError::Api { what, fault: ApiFault::Malformed(reason.to_owned()) }
}

const fn failed(what: &'static str, fault: HttpError) -> VendorError {
    VendorError::Api { what, fault: ApiFault::Http(fault) }
}

#[cfg(test)]
mod tests;
