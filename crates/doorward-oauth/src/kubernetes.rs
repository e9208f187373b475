//! The few resources of the Kubernetes and OpenShift APIs that `oc`, `kubectl` and Ansible need (norm A2.2 to A2.4). Who
//! asks, the chain of authenticators has found out; that is [`Call::caller`]. Failures are `Status` objects.

mod reviews;
mod tokens;

use doorward_accounts::{SCOPES_EXTRA, Unavailable};
use doorward_core::UserInfo;
use http::{Method, StatusCode, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    endpoint::{ApiGroup, KubernetesResource as Resource},
    scope::{USER_FULL, USER_INFO},
};

/// What bearers are asked for who send no credential (norm A1.9).
const REALM: &str = r#"realm="proxy""#;

/// Why a request for a resource is refused. The texts are for the caller and the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ApiError {
    #[error("Unauthorized")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(&'static str),
    /// Also for what belongs to others.
    #[error("the requested object was not found")]
    NotFound,
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the body has to be JSON")]
    UnsupportedMediaType,
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

impl ApiError {
    fn answer(&self) -> Answer {
        let (status, reason) = match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFound"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Self::Unavailable(_) => {
                let message = "the server cannot reach its store; try again";
                return answer::kubernetes_failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServiceUnavailable",
                    message,
                );
            }
        };
        let failure = answer::kubernetes_failure(status, reason, &self.to_string());
        match self {
            Self::Unauthorized => answer::bearer_challenge(failure, REALM),
            _ => failure,
        }
    }

    const fn outcome(&self) -> Outcome {
        match self {
            Self::Unavailable(_) => Outcome::Error,
            _ => Outcome::Deny,
        }
    }
}

impl OAuthServer {
    pub(crate) async fn kubernetes(&self, resource: &Resource, call: &Call) -> Answer {
        let event = event(resource);
        let user = call.caller.as_ref().map(|caller| caller.name.as_str());
        let line = |outcome| match user {
            Some(user) => Line::new(event, outcome).user(user),
            None => Line::new(event, outcome),
        };
        match self.resource(resource, call).await {
            Ok(answer) => {
                // A token review has a line about the token.
                if !matches!(resource, Resource::TokenReviews) {
                    line(Outcome::Permit).write(call);
                }
                answer
            }
            Err(why) => {
                line(why.outcome()).reason(&why).write(call);
                why.answer()
            }
        }
    }

    async fn resource(&self, resource: &Resource, call: &Call) -> Result<Answer, ApiError> {
        match resource {
            Resource::Group(group) => Ok(answer::json(StatusCode::OK, &listed(group))),
            Resource::OwnUser => self.own_user(call).await,
            Resource::OwnTokens => self.own_tokens(call).await,
            Resource::OwnToken(name) if call.method == Method::GET => self.own_token(name, call).await,
            Resource::OwnToken(name) => self.delete_own_token(name, call).await,
            Resource::Token(name) => self.delete_token(name, call).await,
            Resource::TokenReviews => self.review_token(call).await,
            Resource::SelfSubjectReviews => review_self(call),
            Resource::SubjectAccessReviews => self.review_access(call),
            Resource::SelfSubjectAccessReviews => self.review_own_access(call),
            Resource::Nothing => Err(ApiError::NotFound),
        }
    }

    /// `oc whoami`
    async fn own_user(&self, call: &Call) -> Result<Answer, ApiError> {
        let caller = caller(call)?;
        need(caller, &[USER_INFO, USER_FULL], "the token lacks the scope user:info")?;
        let user = self.accounts.user(&caller.name, call.now).await?;
        // Somebody whom another authority knows by the same name is somebody else.
        let user = user.filter(|user| user.uid == caller.uid);
        let mut metadata = json!({ "name": caller.name });
        if !caller.uid.is_empty() {
            answer::say(&mut metadata, "uid", caller.uid.as_str());
        }
        let mut document = json!({
            "kind": "User",
            "apiVersion": "user.openshift.io/v1",
            "metadata": metadata,
            "identities": user.as_ref().map(|user| user.identities.clone()).unwrap_or_default(),
            "groups": caller.groups,
        });
        if let Some(user) = user.filter(|user| !user.full_name.is_empty()) {
            answer::say(&mut document, "fullName", user.full_name);
        }
        Ok(answer::json(StatusCode::OK, &document))
    }
}

/// `kubectl auth whoami`. The body says nothing that matters, and kubectl sends it in a form of its own.
fn review_self(call: &Call) -> Result<Answer, ApiError> {
    let caller = caller(call)?;
    let document = json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "creationTimestamp": null },
        "status": { "userInfo": user_info(caller) },
    });
    Ok(answer::json(StatusCode::CREATED, &document))
}

/// Who asks; it has to be somebody.
fn caller(call: &Call) -> Result<&UserInfo, ApiError> {
    call.caller.as_ref().filter(|caller| !caller.is_anonymous()).ok_or(ApiError::Unauthorized)
}

/// Whether the credential lets its bearer do this. Only tokens have scopes; who comes with something else may do
/// everything that the user may.
fn need(caller: &UserInfo, scopes: &[&str], refusal: &'static str) -> Result<(), ApiError> {
    match caller.extra.get(SCOPES_EXTRA) {
        Some(held) if !held.iter().any(|scope| scopes.contains(&scope.as_str())) => {
            Err(ApiError::Forbidden(refusal))
        }
        _ => Ok(()),
    }
}

/// `UserInfo` of `authentication.k8s.io`.
fn user_info(user: &UserInfo) -> Value {
    let mut document = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        answer::say(&mut document, "uid", user.uid.as_str());
    }
    if !user.extra.is_empty() {
        answer::say(&mut document, "extra", json!(user.extra));
    }
    document
}

/// Reads a JSON body.
fn body<T: DeserializeOwned>(call: &Call) -> Result<T, ApiError> {
    let kind =
        call.headers.get(CONTENT_TYPE).map_or("application/json", |kind| kind.to_str().unwrap_or_default());
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::UnsupportedMediaType);
    }
    // What the parser says could repeat a part of the body.
    serde_json::from_slice(&call.body)
        .map_err(|_| ApiError::BadRequest("the body is not an object of this kind"))
}

/// What there is in a group (`metav1.APIResourceList`).
fn listed(group: &ApiGroup) -> Value {
    let resources = group.resources.iter().map(|(name, kind, verbs)| {
        json!({ "name": name, "singularName": "", "namespaced": false, "kind": kind, "verbs": verbs })
    });
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{}/v1", group.name),
        "resources": resources.collect::<Vec<_>>(),
    })
}

const fn event(resource: &Resource) -> &'static str {
    match resource {
        Resource::OwnUser => "whoami",
        Resource::OwnTokens | Resource::OwnToken(_) => "useroauthaccesstokens",
        Resource::Token(_) => "oauthaccesstokens",
        Resource::TokenReviews => "tokenreview",
        Resource::SelfSubjectReviews => "selfsubjectreview",
        Resource::SubjectAccessReviews => "subjectaccessreview",
        Resource::SelfSubjectAccessReviews => "selfsubjectaccessreview",
        Resource::Group(_) | Resource::Nothing => "api",
    }
}

#[cfg(test)]
mod tests;
