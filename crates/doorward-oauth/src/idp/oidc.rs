//! Users of another `OpenID Connect` provider: the browser is sent there and comes back with a code (norm A4.6). A login
//! returns once, only to the browser that began it, and only from the provider that it was begun with.

use std::time::Duration;

use doorward_accounts::ProviderLogin;
use doorward_core::{Identity, SecretString};
use doorward_oidc::{AccountChoice, LoginStart, PendingLogin, PublicFailure};
use doorward_template::words::Message;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{NotSignedIn, Reason, Vouched};
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    config::{IdentityProvider, OidcClaims, OidcProvider, ProviderKind},
    cookies,
    pages::{Notice, with_browser},
    params::{Lists, Params},
    then::Then,
    throttle::Turn,
};

/// What a login that is under way is kept as.
const KIND: &str = "login";
/// How long a person may take at the provider.
const LIFE: Duration = Duration::from_mins(10);

/// A login that was begun.
#[derive(Serialize, Deserialize)]
struct Begun {
    provider: String,
    /// The browser that began it.
    browser: String,
    nonce: String,
    verifier: Option<String>,
    then: String,
}

/// Why a callback gets nobody in: what the person reads, and what the log says.
struct Failure {
    message: Message,
    reason: String,
    again: Option<Then>,
}

impl OAuthServer {
    /// Sends the browser to a provider; it will go on to `then`.
    pub(crate) async fn begin_login(
        &self,
        name: &str,
        then: &Then,
        account: AccountChoice,
        call: &Call,
    ) -> Answer {
        let Some((_, upstream)) = self.oidc(name) else { return self.notice_of_nothing(call) };
        if self.throttle.begins(call.client, call.now) == Turn::Later {
            return self.too_many_logins(call);
        }
        let begun = async {
            let browser = self.cookies.browser(&call.headers).map_err(|why| why.to_string())?;
            let nonce = cookies::random().map_err(|why| why.to_string())?;
            let redirect_uri = self.callback_uri(name);
            let state = SecretString::from(cookies::random().map_err(|why| why.to_string())?);
            let start = LoginStart {
                redirect_uri: &redirect_uri,
                state: state.expose(),
                nonce_hash: &nonce,
                account,
                wishes: &[],
                demands: &[],
            };
            let request = upstream.provider.begin(&start, call.now).await.map_err(|why| why.to_string())?;
            let begun = Begun {
                provider: name.to_owned(),
                browser: browser.fingerprint(),
                nonce,
                verifier: request.verifier.map(SecretString::into_exposed),
                then: then.as_str().to_owned(),
            };
            Ok::<_, String>((browser, request.url, state, begun))
        };
        let (browser, url, state, begun) = match begun.await {
            Ok(begun) => begun,
            Err(why) => return self.provider_down(&why, call),
        };
        match self.accounts.keep_once_under(KIND, &state, &begun, (LIFE, call.now)).await {
            Ok(()) => with_browser(answer::redirect(&url), &browser),
            Err(why) => self.no_store("login", call, &why.to_string()),
        }
    }

    /// The return of a browser from a provider.
    pub(crate) async fn callback(&self, name: &str, call: &Call) -> Answer {
        let params = match call.method {
            // A form of another site comes without our cookie; asked for anew, it comes with it.
            Method::POST => {
                return match Params::of_body(call, Lists::Refused) {
                    Ok(params) => answer::see_other(&format!(
                        "{}?{}",
                        self.path(&format!("/oauth/callback/{name}")),
                        params.encoded()
                    )),
                    Err(why) => self.notice_of_request(&why.to_string(), call),
                };
            }
            _ => Params::of_query(call),
        };
        let params = match params {
            Ok(params) => params,
            Err(why) => return self.notice_of_request(&why.to_string(), call),
        };
        let Some((provider, upstream)) = self.oidc(name) else { return self.notice_of_nothing(call) };
        match self.finish_login(provider, upstream, &params, call).await {
            Ok((vouched, then)) => self.signed_in(vouched, &then, call).await,
            Err(NotBack::Unavailable(why)) => self.no_store("login", call, &why),
            Err(NotBack::Failed(failure)) => {
                Line::new("login", Outcome::Deny).authenticator(name).reason(&failure.reason).write(call);
                self.pages.to(call).notice(Notice {
                    explanation: Message::TryAgainOrAsk.into(),
                    links: failure
                        .again
                        .iter()
                        .map(|then| (Message::TryAgain, then.as_str().to_owned()))
                        .collect(),
                    ..Notice::new(StatusCode::FORBIDDEN, Message::YouAreNotSignedIn, failure.message)
                })
            }
        }
    }

    async fn finish_login(
        &self,
        provider: &IdentityProvider,
        upstream: &OidcProvider,
        params: &Params,
        call: &Call,
    ) -> Result<(Vouched, Then), NotBack> {
        let over = || failed(Message::SignInIsOver, "the state is not known");
        let state = params.get("state").ok_or_else(over)?;
        let begun: Option<Begun> = self
            .accounts
            .take_once(KIND, state, call.now)
            .await
            .map_err(|why| NotBack::Unavailable(why.to_string()))?;
        let begun = begun.filter(|begun| begun.provider == provider.name).ok_or_else(over)?;
        let browser = self.cookies.fingerprint(&call.headers).unwrap_or_default();
        let pending = PendingLogin {
            state_hash: begun.browser,
            nonce_hash: begun.nonce,
            verifier: begun.verifier.map(SecretString::from),
        };
        let code = SecretString::from(params.get("code").unwrap_or_default());
        let matched = pending
            .accept(&browser, code)
            .map_err(|_| failed(Message::BegunInAnotherBrowser, "the login is of another browser"))?;
        let then = Then::parse(Some(&begun.then));
        let again = |message: Message, reason: String| {
            NotBack::Failed(Failure { message, reason, again: Some(then.clone()) })
        };
        upstream
            .provider
            .accepts_issuer(params.get("iss"))
            .map_err(|why| again(Message::AnswerOfAnotherProvider, why.to_string()))?;
        if let Some(error) = params.get("error") {
            // Letters of ours stand in the log, whatever the provider sends.
            let error = error.escape_default().take(100).collect::<String>();
            return Err(again(Message::ProviderDidNotSignYouIn, format!("the provider says {error}")));
        }
        let grant = upstream
            .provider
            .redeem(matched, &self.callback_uri(&provider.name), call.now)
            .await
            .map_err(|why| again(told(&why.public()), why.to_string()))?;
        let login = login_of(provider, &upstream.claims, &grant.identity).ok_or_else(|| {
            again(Message::ProviderDoesNotSayWho, "a configured claim is missing".to_owned())
        })?;
        match self.map(provider, &login, &[], call.now).await {
            Ok(vouched) => Ok((vouched, then)),
            Err(NotSignedIn::Unavailable(why)) => Err(NotBack::Unavailable(why)),
            Err(NotSignedIn::Refused(reason, why)) => {
                let message = match reason {
                    Reason::AccessDenied => Message::NoAccess,
                    other => other.message(),
                };
                Err(again(message, why))
            }
        }
    }

    fn oidc(&self, name: &str) -> Option<(&IdentityProvider, &OidcProvider)> {
        let provider = self.provider(name)?;
        match &provider.kind {
            ProviderKind::Oidc(upstream) if provider.is_offered() => Some((provider, upstream)),
            _ => None,
        }
    }

    fn callback_uri(&self, name: &str) -> String {
        self.config.issuer.at(&format!("/oauth/callback/{name}"))
    }

    fn provider_down(&self, why: &str, call: &Call) -> Answer {
        Line::new("login", Outcome::Error).reason(why).write(call);
        self.pages.to(call).notice(Notice {
            explanation: Message::WaitAndTryAgain.into(),
            ..Notice::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Message::NotAvailable,
                Message::ProviderUnreachable,
            )
        })
    }
}

/// Why nobody came back signed in.
enum NotBack {
    Failed(Failure),
    Unavailable(String),
}

fn failed(message: Message, reason: &str) -> NotBack {
    NotBack::Failed(Failure { message, reason: reason.to_owned(), again: None })
}

/// What a person may read of a failure.
fn told(failure: &PublicFailure) -> Message {
    match failure {
        PublicFailure::ProviderRefused(_) => Message::ProviderRefused,
        PublicFailure::ProviderUnreachable => Message::ProviderUnreachable,
        PublicFailure::EmailMissing => Message::ProviderTellsNoEmail,
        PublicFailure::EmailUnverified => Message::EmailNotVerifiedAtProvider,
        PublicFailure::NotAdmitted => Message::NotAdmitted,
        PublicFailure::TooWeak => Message::ProviderTooWeak,
        PublicFailure::CodeMissing => Message::AnswerNotComplete,
        PublicFailure::AudienceMismatch { .. }
        | PublicFailure::NonceMismatch
        | PublicFailure::TokenInvalid => Message::AnswerNotAccepted,
    }
}

/// What the claims say; `None` if the configured id is missing. That must never fall back to another claim, which
/// somebody else could have.
pub(super) fn login_of(
    provider: &IdentityProvider,
    claims: &OidcClaims,
    identity: &Identity,
) -> Option<ProviderLogin> {
    let first = |names: Vec<&str>| names.into_iter().find_map(|name| text(identity, name));
    let groups = (!claims.groups.is_empty()).then(|| groups(identity, &claims.groups));
    let email = first(claims.emails()).unwrap_or_default();
    Some(ProviderLogin {
        provider: provider.name.clone(),
        user_name: first(claims.ids())?,
        preferred_username: first(claims.preferred_usernames()).unwrap_or_default(),
        full_name: first(claims.names()).unwrap_or_default(),
        // What the provider says of its `email` says nothing of another claim.
        email_verified: text(identity, "email").is_some_and(|verifiable| verifiable == email)
            && identity.additional.get("email_verified") == Some(&Value::Bool(true)),
        email,
        groups,
    })
}

/// The text of a claim, unless it is empty.
fn text(identity: &Identity, name: &str) -> Option<String> {
    let found = match (name, identity.additional.get(name)) {
        ("sub", _) => identity.user.clone(),
        ("preferred_username", _) => identity.preferred_username.clone(),
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(Value::Number(number))) => number.to_string(),
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

fn groups(identity: &Identity, names: &[String]) -> Vec<String> {
    match names.iter().find_map(|name| identity.additional.get(name)) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
