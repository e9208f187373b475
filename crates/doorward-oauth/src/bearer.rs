//! Access tokens that come in the `Authorization` header (RFC 6750 section 2.1, norm A1.4), at endpoints that are about
//! the bearer. A token in a query or a body never counts (RFC 9700 section 4.3.2).

use doorward_accounts::{Activity, InvalidToken, Unavailable, ValidToken};
use doorward_authn::chain::{RepeatedAuthorization, TOKEN_LIMIT, bearer_token};
use doorward_core::SecretString;
use http::{HeaderMap, StatusCode};

use crate::{
    OAuthServer, answer,
    call::{Answer, Call},
};

/// Why there is no bearer. The texts are for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BearerError {
    #[error("there is no token")]
    Missing,
    #[error("there are two Authorization headers")]
    Twice,
    #[error("the token cannot be read, or is too long")]
    Unusable,
    #[error("the token is meant for another resource")]
    OtherAudience,
    #[error("{0}")]
    Invalid(InvalidToken),
    #[error("{0}")]
    Unavailable(Unavailable),
}

impl BearerError {
    /// What the client is told (RFC 6750 section 3.1): all bad tokens look the same.
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Missing => answer::bearer_challenge(answer::empty(StatusCode::UNAUTHORIZED), ""),
            Self::Twice => {
                let description = "there are two Authorization headers; send one";
                answer::oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description)
            }
            Self::Unusable | Self::OtherAudience | Self::Invalid(_) => {
                let refusal =
                    answer::oauth_error(StatusCode::UNAUTHORIZED, "invalid_token", "the token is not valid");
                answer::bearer_challenge(refusal, r#"error="invalid_token""#)
            }
            Self::Unavailable(_) => answer::unavailable(),
        }
    }

    /// Whether it is ours to mend.
    pub(crate) const fn is_trouble(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The token lacks a scope (RFC 6750 section 3.1).
pub(crate) fn insufficient_scope(scope: &str) -> Answer {
    let refusal = answer::oauth_error(StatusCode::FORBIDDEN, "insufficient_scope", "the token lacks a scope");
    answer::bearer_challenge(refusal, &format!(r#"error="insufficient_scope", scope="{scope}""#))
}

/// Whether a request has a bearer token at all.
pub(crate) fn is_presented(headers: &HeaderMap) -> bool {
    read(headers) != Err(BearerError::Missing)
}

impl OAuthServer {
    /// The token of the request, if it is valid and meant for us.
    pub(crate) async fn bearer(&self, call: &Call) -> Result<ValidToken, BearerError> {
        let raw = read(&call.headers)?;
        match self.accounts.validate(raw.expose(), Activity::Counts, call.now).await {
            Ok(valid) if valid.token.audience.is_empty() => Ok(valid),
            Ok(_) => Err(BearerError::OtherAudience),
            Err(InvalidToken::Unavailable(why)) => Err(BearerError::Unavailable(why)),
            Err(why) => Err(BearerError::Invalid(why)),
        }
    }
}

/// The token, if it could be one.
fn read(headers: &HeaderMap) -> Result<SecretString, BearerError> {
    let raw = bearer_token(headers).map_err(|RepeatedAuthorization| BearerError::Twice)?;
    let raw = raw.ok_or(BearerError::Missing)?;
    let is_text = !raw.expose().contains(char::REPLACEMENT_CHARACTER);
    if is_text && raw.expose().len() <= TOKEN_LIMIT { Ok(raw) } else { Err(BearerError::Unusable) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    use crate::testing::call;

    #[test]
    fn a_token_is_the_second_word_behind_the_scheme() {
        let long = format!("Bearer {}", "x".repeat(TOKEN_LIMIT + 1));
        for (value, expected) in [
            ("Bearer abc", Ok("abc".into())),
            (" bEaReR abc trailing ", Ok("abc".into())),
            ("Bearer", Err(BearerError::Missing)),
            ("Bearer  abc", Err(BearerError::Missing)),
            ("Basic abc", Err(BearerError::Missing)),
            ("", Err(BearerError::Missing)),
            (&long, Err(BearerError::Unusable)),
        ] {
            let call = call("GET", "/oauth/userinfo").header("authorization", value);
            assert_eq!(read(&call.headers), expected, "{value}");
        }
        let twice = call("GET", "/").header("authorization", "Bearer a").header("authorization", "Bearer a");
        assert_eq!(read(&twice.headers), Err(BearerError::Twice));
        let mut bytes = call("GET", "/");
        bytes.headers.insert(AUTHORIZATION, http::HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(read(&bytes.headers), Err(BearerError::Unusable));
    }
}
