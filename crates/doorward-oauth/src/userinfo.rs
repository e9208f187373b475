//! What a client may know of the user whose token it has (`OpenID Connect` Core section 5.3, norm A5.2).

use http::{Method, StatusCode};
use serde_json::Value;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    bearer,
    call::{Answer, Call},
    claims,
};

const EVENT: &str = "userinfo";

impl OAuthServer {
    pub(crate) async fn userinfo(&self, call: &Call) -> Answer {
        if call.method == Method::OPTIONS {
            return answer::preflight();
        }
        answer::readable_everywhere(self.claims_of_bearer(call).await)
    }

    async fn claims_of_bearer(&self, call: &Call) -> Answer {
        let valid = match self.bearer(call).await {
            Ok(valid) => valid,
            Err(why) => {
                let outcome = if why.is_trouble() { Outcome::Error } else { Outcome::Deny };
                Line::new(EVENT, outcome).reason(&why).write(call);
                return why.answer();
            }
        };
        let name = valid.token.subject.name();
        let line = |outcome| {
            Line::new(EVENT, outcome).user(&name).client_id(&valid.token.client).credential(&valid.token.name)
        };
        // A client in its own name has no user to tell of.
        let (Some(user), true) = (&valid.user, valid.token.scopes.contains("openid")) else {
            line(Outcome::Deny).reason("the token lacks the scope openid").write(call);
            return bearer::insufficient_scope("openid");
        };
        let mut claims = claims::of_user(user, &valid.token.scopes);
        claims.insert("sub".to_owned(), user.uid.as_str().into());
        line(Outcome::Permit).write(call);
        answer::json(StatusCode::OK, &Value::Object(claims))
    }
}
