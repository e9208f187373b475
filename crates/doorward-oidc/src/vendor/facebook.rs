//! Facebook. Requests carry a proof that whoever has the access token has our secret too, which its applications can
//! demand of us ("Require App Secret").

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use doorward_core::{Identity, SecretString};
use url::Url;

use super::{
    Api, VendorError,
    profile::{by_email, profile_url},
};
use crate::{
    client_authentication::read_secret,
    config::{ClientAuthentication, Defaults},
};

pub(crate) const DEFAULTS: Defaults = Defaults {
    name: "Facebook",
    login_url: "https://www.facebook.com/v2.5/dialog/oauth",
    redeem_url: "https://graph.facebook.com/v2.5/oauth/access_token",
    profile_url: "https://graph.facebook.com/v2.5/me",
    validate_url: "https://graph.facebook.com/v2.5/me",
    scope: "public_profile email",
};

/// The address that the account has, if the user lets us know it.
pub(super) async fn describe(api: Api<'_>) -> Result<Identity, VendorError> {
    let mut url = profile_url(&api)?.clone();
    url.query_pairs_mut().append_pair("fields", "name,email");
    let profile = api.json("the profile", &url).await?;
    by_email(api.config, profile.get("email"), None)
}

/// Adds `appsecret_proof`, the HMAC-SHA256 of the token under our secret. Without a readable secret there is none.
pub(super) async fn prove(url: &mut Url, access: &SecretString, authentication: &ClientAuthentication) {
    let (ClientAuthentication::Secret(secret) | ClientAuthentication::SecretIn(secret, _)) = authentication
    else {
        return;
    };
    let Ok(secret) = read_secret(secret).await else { return };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let proof = hmac::sign(&key, access.expose().as_bytes());
    let mut digits = String::new();
    for byte in proof.as_ref() {
        // Writing to a text does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    url.query_pairs_mut().append_pair("appsecret_proof", &digits);
}
