//! Providers whose profile document alone says who somebody is.

use doorward_core::Identity;
use serde_json::{Value, json};
use url::Url;

use super::{Api, VendorError, text, texts};
use crate::{
    config::{Config, EmailVerification},
    identify::IdentifyError,
};

const PROFILE: &str = "the profile";

/// `account.email` of the account document.
pub(super) async fn digital_ocean(api: Api<'_>) -> Result<Identity, VendorError> {
    let profile = api.json(PROFILE, profile_url(&api)?).await?;
    by_email(api.config, profile.pointer("/account/email"), profile.pointer("/account/email_verified"))
}

/// The primary address (`elements[0].handle~.emailAddress`).
pub(super) async fn linked_in(api: Api<'_>) -> Result<Identity, VendorError> {
    let mut url = profile_url(&api)?.clone();
    url.set_query(Some("q=members&projection=(elements*(handle~))"));
    let profile = api.json(PROFILE, &url).await?;
    by_email(api.config, profile.pointer("/elements/0/handle~0/emailAddress"), None)
}

/// Keycloak's userinfo, asked by the access token. There may be a name in `user`, else `preferred_username` is it.
pub(super) async fn keycloak(api: Api<'_>) -> Result<Identity, VendorError> {
    let profile = api.json(PROFILE, profile_or_validate_url(&api)?).await?;
    let preferred_username = text(profile.get("preferred_username")).unwrap_or_default();
    let found = by_email(api.config, profile.get("email"), profile.get("email_verified"))?;
    Ok(Identity {
        user: text(profile.get("user")).unwrap_or(preferred_username).to_owned(),
        groups: texts("the groups", profile.get("groups"))?,
        preferred_username: preferred_username.to_owned(),
        ..found
    })
}

/// `ocs.data` of Nextcloud's document about the current user.
pub(super) async fn nextcloud(api: Api<'_>) -> Result<Identity, VendorError> {
    let document = api.json(PROFILE, profile_or_validate_url(&api)?).await?;
    let data = document.pointer("/ocs/data");
    let of = |name: &str| data.and_then(|data| data.get(name));
    let user = text(of("id")).ok_or_else(|| VendorError::malformed(PROFILE, "there is no ocs.data.id"))?;
    let groups = texts("the groups", of("groups"))?;
    Ok(Identity {
        user: user.to_owned(),
        groups: groups.into_iter().filter(|group| !group.is_empty()).collect(),
        ..by_email(api.config, of("email"), None)?
    })
}

/// The answer to a query of `SourceHut`. What goes wrong there is told with status 200, beside data that are not there.
pub(super) async fn source_hut(api: Api<'_>) -> Result<Identity, VendorError> {
    let question = json!({"query": "{ me { username email } }"});
    let answer = api.post(PROFILE, profile_url(&api)?, &question).await?;
    let me = answer.pointer("/data/me").filter(|me| me.is_object());
    let me = me.ok_or_else(|| VendorError::malformed(PROFILE, "there is no data.me"))?;
    let user =
        text(me.get("username")).ok_or_else(|| VendorError::malformed(PROFILE, "there is no username"))?;
    Ok(Identity {
        user: user.to_owned(),
        preferred_username: user.to_owned(),
        ..by_email(api.config, me.get("email"), None)?
    })
}

pub(super) fn profile_url<'a>(api: &Api<'a>) -> Result<&'a Url, VendorError> {
    api.profile.ok_or_else(|| VendorError::malformed(PROFILE, "no profile URL is configured"))
}

fn profile_or_validate_url<'a>(api: &Api<'a>) -> Result<&'a Url, VendorError> {
    api.validate.filter(|_| api.profile.is_none()).map_or_else(|| profile_url(api), Ok)
}

/// Somebody of whom nothing is known but an address. An address that the provider calls unverified is refused.
pub(super) fn by_email(
    config: &Config,
    email: Option<&Value>,
    verified: Option<&Value>,
) -> Result<Identity, VendorError> {
    let is_unverified =
        verified.is_some_and(|verified| !verified.is_null() && verified != &Value::Bool(true));
    match (text(email), config.email_verification) {
        (None, _) => Err(IdentifyError::EmailMissing.into()),
        (Some(_), EmailVerification::Required) if is_unverified => Err(IdentifyError::EmailUnverified.into()),
        (Some(email), _) => Ok(Identity { email: email.to_owned(), ..Identity::default() }),
    }
}
