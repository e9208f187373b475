//! Providers whose profile document alone says who somebody is.

use doorward_core::Identity;
use serde_json::Value;

use super::{Api, ApiFault, VendorError};
use crate::identify::IdentifyError;

/// `account.email` of the account document.
pub(super) async fn digital_ocean(api: Api<'_>) -> Result<Identity, VendorError> {
    let document = profile(api).await?;
    by_email(document.pointer("/account/email"))
}

async fn profile(api: Api<'_>) -> Result<Value, VendorError> {
    let what = "the profile";
    let url = api.profile.ok_or_else(|| VendorError::Api {
        what,
        fault: ApiFault::Malformed("no profile URL is configured".to_owned()),
    })?;
    api.json(what, url).await
}

/// Somebody of whom nothing is known but an address.
fn by_email(value: Option<&Value>) -> Result<Identity, VendorError> {
    match value.and_then(Value::as_str).filter(|email| !email.is_empty()) {
        Some(email) => Ok(Identity { email: email.to_owned(), ..Identity::default() }),
        None => Err(IdentifyError::EmailMissing.into()),
    }
}
