//! Reviews: whether a token is good, and whether somebody may do something. An API asks us that about its own clients.
//!
//! Access reviews are answered by one rule, [`AccessReviews`]: the groups that may do
//! everything. Whatever else is asked is denied, with a reason.

use doorward_accounts::{Activity, InvalidToken};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, body, caller, need, user_info};
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    config::AccessReviews,
    scope::{USER_FULL, is_full},
};

const NOT_A_REVIEWER: &str =
    "only reviewers may ask this; an operator can name them under authServer.reviewers";
/// The scope that lets a bearer ask what its user may do.
const CHECK_ACCESS: &str = "user:check-access";
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

#[derive(Deserialize)]
struct TokenReview {
    spec: TokenReviewSpec,
}

#[derive(Deserialize)]
struct TokenReviewSpec {
    #[serde(default)]
    token: String,
    #[serde(default)]
    audiences: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct SubjectAccessReview {
    spec: SubjectAccessReviewSpec,
}

#[derive(Deserialize)]
struct SubjectAccessReviewSpec {
    #[serde(default)]
    user: String,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

impl OAuthServer {
    pub(super) async fn review_token(&self, call: &Call) -> Result<Answer, ApiError> {
        self.need_reviewer(call)?;
        let review: TokenReview = body(call)?;
        let status = self.token_status(&review.spec, call).await?;
        let document = json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": { "creationTimestamp": null },
            // The token is not repeated.
            "spec": {},
            "status": status,
        });
        Ok(answer::json(StatusCode::CREATED, &document))
    }

    async fn token_status(&self, spec: &TokenReviewSpec, call: &Call) -> Result<Value, ApiError> {
        let refused = |reason: &str| {
            Line::new("tokenreview", Outcome::Deny).reason(reason).write(call);
            json!({ "authenticated": false })
        };
        if spec.token.is_empty() || LONGEST < spec.token.len() {
            return Ok(refused("the token is missing or too long"));
        }
        let valid = match self.accounts.validate(&spec.token, Activity::Counts, call.now).await {
            Ok(valid) => valid,
            Err(InvalidToken::Unavailable(why)) => return Err(why.into()),
            Err(why) => return Ok(refused(&why.to_string())),
        };
        let own = [self.config.issuer.as_str().to_owned()];
        let meant_for = if valid.token.audience.is_empty() { &own[..] } else { &valid.token.audience };
        let asked = spec.audiences.as_deref().filter(|asked| !asked.is_empty()).unwrap_or(&own);
        let audiences: Vec<&String> = asked.iter().filter(|one| meant_for.contains(one)).collect();
        if audiences.is_empty() {
            return Ok(refused("the token is meant for others"));
        }
        Line::new("tokenreview", Outcome::Permit)
            .user(&valid.user_info.name)
            .client_id(&valid.token.client)
            .credential(&valid.token.name)
            .write(call);
        Ok(json!({ "authenticated": true, "user": user_info(&valid.user_info), "audiences": audiences }))
    }

    pub(super) fn review_access(&self, call: &Call) -> Result<Answer, ApiError> {
        self.need_reviewer(call)?;
        let SubjectAccessReview { spec } = body(call)?;
        let groups = spec.groups.unwrap_or_default();
        if spec.user.is_empty() && groups.is_empty() {
            return Err(ApiError::BadRequest("the review names neither a user nor a group"));
        }
        Ok(reviewed("SubjectAccessReview", &self.config.access_reviews.judge(&groups)))
    }

    /// The body is not looked at: the rule does not depend on what is asked.
    pub(super) fn review_own_access(&self, call: &Call) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[CHECK_ACCESS, USER_FULL], "the token lacks the scope user:check-access")?;
        let status = if is_full(caller) {
            self.config.access_reviews.judge(&caller.groups)
        } else {
            denied("the token lacks the scope user:full")
        };
        Ok(reviewed("SelfSubjectAccessReview", &status))
    }

    fn need_reviewer(&self, call: &Call) -> Result<(), ApiError> {
        let caller = caller(call)?;
        if !self.config.reviewers.include(caller) {
            return Err(ApiError::Forbidden(NOT_A_REVIEWER));
        }
        need(caller, &[USER_FULL], "the token lacks the scope user:full")
    }
}

impl AccessReviews {
    /// Whether somebody in these groups may do everything.
    pub(crate) fn allow(&self, groups: &[String]) -> bool {
        groups.iter().any(|group| self.all_allowed.contains(group))
    }

    fn judge(&self, groups: &[String]) -> Value {
        if self.allow(groups) {
            json!({ "allowed": true, "reason": "a group that may do everything" })
        } else {
            denied("in no group that may do everything, and there are no other rules")
        }
    }
}

fn denied(reason: &str) -> Value {
    json!({ "allowed": false, "reason": reason })
}

fn reviewed(kind: &str, status: &Value) -> Answer {
    let document = json!({
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": { "creationTimestamp": null },
        "spec": {},
        "status": status,
    });
    answer::json(StatusCode::CREATED, &document)
}
