//! Asking the userinfo endpoint for claims the ID token lacks (OIDC Core section 5.3).

use doorward_core::{SecretString, Timestamp};
use doorward_jose::Claims;
use http::header;
use serde_json::Value;
use url::Url;

use crate::{
    discovery::Metadata,
    http::{Answer, HttpError},
    provider::Shared,
    verify::{IdTokenError, Means, Verifier},
};

/// Why userinfo gave no claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserinfoError {
    #[error("the userinfo endpoint: {0}")]
    Http(#[from] HttpError),
    #[error("the userinfo endpoint answered with status {0}")]
    Status(u16),
    #[error("the userinfo answer is not a JSON object")]
    Malformed,
    #[error("the signed userinfo answer: {0}")]
    NotBelieved(#[from] IdTokenError),
    #[error("the userinfo answer is about somebody else than the id_token")]
    OtherSubject,
}

impl UserinfoError {
    /// It may work the next time.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Http(_) | Self::Status(_) | Self::NotBelieved(IdTokenError::KeysUnavailable { .. })
        )
    }
}

impl Shared {
    /// Fetches the claims at `url` and makes sure they are about the subject of the ID token.
    pub(crate) async fn userinfo(
        &self,
        url: &Url,
        (access, id_claims): (&SecretString, &Claims),
        (metadata, now): (&Metadata, Timestamp),
    ) -> Result<Claims, UserinfoError> {
        let accept = "application/json, application/jwt;q=0.5";
        let request = |url| self.http.get(url).header(header::ACCEPT, accept);
        let answer = self.send_with_token(request, url, (access, now)).await?;
        read(&answer, id_claims, (&self.verifier, self.means(metadata))).await
    }
}

async fn read(
    answer: &Answer,
    id_claims: &Claims,
    (verifier, means): (&Verifier, Means<'_>),
) -> Result<Claims, UserinfoError> {
    if answer.status.as_u16() != 200 {
        return Err(UserinfoError::Status(answer.status.as_u16()));
    }
    if answer.media_type() == "application/jwt" {
        let token = std::str::from_utf8(&answer.body).map_err(|_| UserinfoError::Malformed)?;
        let claims = verifier.userinfo(token.trim(), means).await?;
        return about_the_same(claims, id_claims);
    }
    of_document(&answer.body, id_claims)
}

/// The claims of an unsigned answer.
pub(crate) fn of_document(document: &[u8], id_claims: &Claims) -> Result<Claims, UserinfoError> {
    match serde_json::from_slice(document) {
        Ok(Value::Object(claims)) => about_the_same(claims, id_claims),
        _ => Err(UserinfoError::Malformed),
    }
}

fn about_the_same(claims: Claims, id_claims: &Claims) -> Result<Claims, UserinfoError> {
    match (claims.get("sub"), id_claims.get("sub")) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(UserinfoError::OtherSubject),
        _ => Ok(claims),
    }
}
