//! What tokens say: of users by scope, ID tokens, signed access tokens (RFC 9068).

use std::time::Duration;

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use doorward_accounts::{
    AccessToken, KeyRing, LoginFacts, ORIGIN, Origin, Redeemed, Scopes, SignError, Source, User,
};
use doorward_core::{SecretString, Timestamp};
use doorward_jose::{Algorithm, Claims};
use serde_json::{Value, json};

use crate::{
    OAuthServer,
    config::{Client, TokenFormat},
};

/// The `typ` of signed access tokens (RFC 9068 section 2.1).
pub(crate) const ACCESS_TYPE: &str = "at+jwt";
/// The `typ` of ID tokens.
pub(crate) const ID_TYPE: &str = "JWT";
/// How long an ID token is good for.
const ID_TOKEN_LIFE: Duration = Duration::from_hours(1);

/// What a client with these scopes is told of a user (`OpenID Connect` Core section 5.4).
pub(crate) fn of_user(user: &User, scopes: &Scopes) -> Claims {
    let mut claims = Claims::new();
    if scopes.contains("profile") {
        if !user.full_name.is_empty() {
            claims.insert("name".to_owned(), user.full_name.as_str().into());
        }
        claims.insert("preferred_username".to_owned(), user.name.as_str().into());
        claims.insert("updated_at".to_owned(), user.updated.into());
    }
    if scopes.contains("email") && !user.email.is_empty() {
        claims.insert("email".to_owned(), user.email.as_str().into());
        claims.insert("email_verified".to_owned(), user.email_verified.into());
    }
    if scopes.contains("groups") {
        claims.insert("groups".to_owned(), user.all_groups().into());
    }
    claims
}

/// Whether an ID token repeats the nonce of the authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    Repeated,
    /// After refreshing it does not (`OpenID Connect` Core section 12.2).
    LeftOut,
}

impl OAuthServer {
    /// The access token in the form that its resources want, and how long it lasts; `None`: for ever.
    pub(crate) fn formed(
        &self,
        redeemed: &Redeemed,
        keys: &KeyRing,
        now: Timestamp,
    ) -> Result<(SecretString, Option<Duration>), SignError> {
        let token = &redeemed.issued.token;
        if self.format_of(&token.audience) == TokenFormat::Opaque {
            return Ok((redeemed.issued.access.clone(), token.remaining(now)));
        }
        // What is signed cannot be taken back from those who do not ask us, so it never lasts for ever.
        let latest = now.truncated().saturating_add(self.accounts.rules().longest_signed);
        let expires = token.expires().map_or(latest, |expires| expires.min(latest));
        let claims =
            self.access_claims(token, (redeemed.user.as_ref(), &redeemed.login), &token.audience, expires);
        let signed = keys.sign(self.config.signing, ACCESS_TYPE, &claims, now)?;
        Ok((signed, Some(expires.since(now.truncated()))))
    }

    /// The claims of a signed access token that stands for `token`.
    pub(crate) fn access_claims(
        &self,
        token: &AccessToken,
        (user, login): (Option<&User>, &LoginFacts),
        audience: &[String],
        expires: Timestamp,
    ) -> Claims {
        let mut claims = Claims::new();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", self.config.issuer.as_str().into());
        say("sub", token.subject.uid().into());
        say("aud", one_or_many(audience));
        say("client_id", token.client.as_str().into());
        say("iat", token.created.into());
        say("exp", expires.seconds.into());
        say("jti", token.name.as_str().into());
        say("scope", token.scopes.to_string().into());
        if let Some(auth_time) = login.auth_time {
            say("auth_time", auth_time.into());
        }
        if !login.amr.is_empty() {
            say("amr", json!(login.amr));
        }
        if let Some(session) = &token.session {
            say("sid", session.as_str().into());
        }
        if let Some(user) = user {
            say("groups", user.all_groups().into());
        }
        claims
    }

    /// An ID token (`OpenID Connect` Core section 2) beside the access token `access`.
    pub(crate) fn id_token(
        &self,
        (client, user): (&Client, &User),
        redeemed: &Redeemed,
        (access, nonce): (&SecretString, Nonce),
        (keys, now): (&KeyRing, Timestamp),
    ) -> Result<SecretString, SignError> {
        let algorithm = client.id_token_alg.unwrap_or(self.config.signing);
        let login = &redeemed.login;
        let mut claims = of_user(user, &redeemed.issued.token.scopes);
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        say("iss", self.config.issuer.as_str().into());
        say("sub", user.uid.as_str().into());
        say("aud", client.id.as_str().into());
        say("iat", now.seconds.into());
        say("exp", now.saturating_add(ID_TOKEN_LIFE).seconds.into());
        say("at_hash", at_hash(algorithm, access.expose()).into());
        // Where it is exchanged for another token, that ends with what was granted here.
        let family = redeemed.issued.token.family.clone();
        say(ORIGIN, Origin::new(Source::Family(family)).to_claim());
        if let Some(auth_time) = login.auth_time {
            say("auth_time", auth_time.into());
        }
        if !login.amr.is_empty() {
            say("amr", json!(login.amr));
        }
        if let Some(session) = &login.session {
            say("sid", session.as_str().into());
        }
        if let (Nonce::Repeated, Some(nonce)) = (nonce, &login.nonce) {
            say("nonce", nonce.as_str().into());
        }
        keys.sign(algorithm, ID_TYPE, &claims, now)
    }

    /// The form of tokens for these resources. They agree: [`OAuthServer::audience`] sees to that.
    pub(crate) fn format_of(&self, audience: &[String]) -> TokenFormat {
        let resource = self.config.resources.iter().find(|resource| audience.contains(&resource.uri));
        resource.map_or(TokenFormat::Opaque, |resource| resource.format)
    }
}

/// A list of one is written as that one: not all readers know lists (RFC 7519 section 4.1.3).
pub(crate) fn one_or_many(values: &[String]) -> Value {
    match values {
        [one] => one.as_str().into(),
        many => json!(many),
    }
}

/// The left half of the hash of an access token (`OpenID Connect` Core section 3.1.3.6).
fn at_hash(algorithm: Algorithm, access: &str) -> String {
    let hash = match algorithm {
        // Ed25519 hashes with SHA-512 itself.
        Algorithm::EdDsa => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let hash = digest::digest(hash, access.as_bytes());
    let half = hash.as_ref().get(..hash.as_ref().len() / 2).unwrap_or_default();
    URL_SAFE_NO_PAD.encode_to_string(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_access_token_is_that_of_the_standard() {
        // OpenID Connect Core, appendix A.4.
        let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(Algorithm::Rs256, access), "77QmUPtjPfzWtF2AnpK9RQ");
    }
}
