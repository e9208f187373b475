//! A user's own tokens: seen and taken back by name (norm A2.3). What is not there and what belongs to others looks the
//! same. No answer and no line of the log repeats the name, because somebody may have put a token in its place.

use doorward_accounts::{AccessToken, TokenName};
use doorward_core::{SecretString, UserInfo};
use http::StatusCode;
use serde_json::{Value, json};

use super::{ApiError, caller, need};
use crate::{
    OAuthServer, answer,
    call::{Answer, Call},
    scope::USER_FULL,
};

const LACKS_FULL: &str = "the token lacks the scope user:full";

impl OAuthServer {
    pub(super) async fn own_tokens(&self, call: &Call) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[USER_FULL], LACKS_FULL)?;
        let mut tokens = self.accounts.tokens_of(&caller.uid, call.now).await?;
        tokens.retain(|token| is_of(token, caller));
        let document = json!({
            "kind": "UserOAuthAccessTokenList",
            "apiVersion": "oauth.openshift.io/v1",
            "metadata": {},
            "items": tokens.iter().map(shown).collect::<Vec<_>>(),
        });
        Ok(answer::json(StatusCode::OK, &document))
    }

    pub(super) async fn own_token(&self, name: &SecretString, call: &Call) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[USER_FULL], LACKS_FULL)?;
        Ok(answer::json(StatusCode::OK, &shown(&self.named(name, caller, call).await?)))
    }

    pub(super) async fn delete_own_token(
        &self,
        name: &SecretString,
        call: &Call,
    ) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[USER_FULL], LACKS_FULL)?;
        let token = self.named(name, caller, call).await?;
        self.accounts.revoke_access(&token.name, call.now).await?;
        Ok(success())
    }

    /// `oc logout`. Who may do everything may take back the tokens of others too.
    pub(super) async fn delete_token(&self, name: &SecretString, call: &Call) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[USER_FULL], LACKS_FULL)?;
        let token = if self.config.access_reviews.allow(&caller.groups) {
            self.any_named(name, call).await?
        } else {
            self.named(name, caller, call).await?
        };
        self.accounts.revoke_access(&token.name, call.now).await?;
        Ok(success())
    }

    async fn named(
        &self,
        name: &SecretString,
        caller: &UserInfo,
        call: &Call,
    ) -> Result<AccessToken, ApiError> {
        let token = self.any_named(name, call).await?;
        if is_of(&token, caller) { Ok(token) } else { Err(ApiError::NotFound) }
    }

    async fn any_named(&self, name: &SecretString, call: &Call) -> Result<AccessToken, ApiError> {
        let name = TokenName::parse(name.expose()).ok_or(ApiError::NotFound)?;
        self.accounts.access_token(&name, call.now).await?.ok_or(ApiError::NotFound)
    }
}

/// Whether the token is this user's: not that of an earlier one of the same name.
fn is_of(token: &AccessToken, caller: &UserInfo) -> bool {
    !caller.uid.is_empty() && token.subject.uid() == caller.uid && token.subject.name() == caller.name
}

fn shown(token: &AccessToken) -> Value {
    let created = jiff::Timestamp::from_second(token.created).unwrap_or_default();
    let mut document = json!({
        "kind": "UserOAuthAccessToken",
        "apiVersion": "oauth.openshift.io/v1",
        "metadata": { "name": token.name.as_str(), "creationTimestamp": created.to_string() },
        "clientName": token.client,
        "expiresIn": token.expires_in.unwrap_or(0),
        "scopes": token.scopes.iter().collect::<Vec<_>>(),
        "userName": token.subject.name(),
        "userUID": token.subject.uid(),
    });
    if let Some(inactivity) = token.inactivity {
        answer::say(&mut document, "inactivityTimeoutSeconds", inactivity.until);
    }
    document
}

fn success() -> Answer {
    let document = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" });
    answer::json(StatusCode::OK, &document)
}
