//! How requests are turned away on a route, and how that is explained: one line for each.

use std::{sync::Arc, time::Duration};

use doorward_authn::gateway::{Kind, Refusal as BadCredential};
use doorward_authz::{
    Judged,
    gateway::{Denial, PolicyAnswer, Route, Ruling, StepUp, Unclear, Unfulfilled},
};
use doorward_core::{Principal, Timestamp, redirect::SafeRedirect};
use doorward_gateway::{CredentialFault, SwapFault};
use doorward_net::Body;
use doorward_oidc::AccountChoice;
use doorward_template::words::{Language, Message, Words};
use doorward_upstream::ForwardError;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};

use crate::{
    api::{
        ErrorFormat, Refusal,
        failure::{self, Challenge, Style, Wanted},
    },
    explain::{Explanation, Outcome, Reason, Shortfall},
    form::UnreadableForm,
    gate::Gate,
    gateway::{
        RoutePlan, effects,
        handles::Unswapped,
        road::{Case, OnRoute},
        who::{Known, Origin, Unknown, worth_telling},
    },
    handle::{ask_for_login_at, not_forwarded},
    ingress::Arrival,
    login::{self, Login},
    pages::Problem,
    providers::{Known as Provider, Offer},
    record::Record,
    redirects::OwnEndpoints,
    respond,
};

/// What somebody hears who may not.
const FORBIDDEN: Message = Message::MayNot;
/// A login that is younger and still not what a route asks for has just come back from a provider that does not heed it: it
/// is not followed by another.
const JUST_NOW: Duration = Duration::from_secs(5);

/// As much of a credential's name as logs show of it.
const CREDENTIAL_SHOWN: usize = 15;

/// For logs: who it is, who vouches, and by which credential.
pub(crate) fn words(who: &Principal) -> String {
    let Principal { user, authenticator, credential, .. } = who;
    if credential.is_empty() {
        return format!("{} by {authenticator}", user.name);
    }
    // The beginning of a hash tells credentials apart.
    let shown = credential.get(..CREDENTIAL_SHOWN).unwrap_or(credential);
    format!("{} by {authenticator} ({shown})", user.name)
}

/// The answer in the form of the route.
pub(crate) fn answer(case: &Case<'_>, on: &OnRoute<'_>, refusal: &Refusal) -> Response<Body> {
    let scopes = on.route.scopes().join(" ");
    let style = Style { format: on.plan.errors, challenge: Challenge::Scopes(&scopes) };
    failure::styled(case.gate, case.arrival, refusal, style)
}

/// Somebody known may not. People read as whom they are signed in, with the way to be somebody else.
pub(crate) fn forbidden(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    known: &Known,
    explanation: Words,
) -> Response<Body> {
    let who = match known.origin {
        Origin::Session => known.session.identity.display_name().to_owned(),
        Origin::Credential => String::new(),
    };
    forbidden_as(case, on, who, explanation)
}

fn forbidden_as(case: &Case<'_>, on: &OnRoute<'_>, who: String, explanation: Words) -> Response<Body> {
    let refusal = Refusal::Forbidden(FORBIDDEN.text(Language::English).to_owned());
    let told = || Problem {
        message: FORBIDDEN.into(),
        explanation,
        signed_in_as: who,
        ..Problem::new(refusal.status())
    };
    let scopes = on.route.scopes().join(" ");
    let style = Style { format: on.plan.errors, challenge: Challenge::Scopes(&scopes) };
    failure::styled_for(case.gate, case.arrival, (&refusal, told), style)
}

impl Case<'_> {
    fn explain(&self, on: &OnRoute<'_>, record: &mut Record, explanation: Explanation) {
        self.gate.explain(self.arrival, record, explanation.of_rule(&on.route.id));
    }

    /// Whether a person asks who can sign in here, and to whom a page can be sent in place of an answer.
    fn can_sign_in(&self, on: &OnRoute<'_>) -> bool {
        self.judged == Judged::Own
            && on.plan.authenticate.iter().any(|one| matches!(one.kind(), Kind::Session))
            && failure::is_for_people(self.gate, self.arrival)
    }
}

/// Nobody is known.
pub(crate) async fn unknown(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    unknown: Unknown,
    record: &mut Record,
) -> Response<Body> {
    let refusal = match unknown {
        Unknown::Nobody(shortfall) => return nobody(case, on, &shortfall, record).await,
        Unknown::Refused(refusals) => {
            let message = "The credentials of a request were refused.";
            let explained = Explanation::new(Outcome::Deny, Reason::CredentialRefused, message);
            let detail = refusals.iter().map(BadCredential::to_string).collect::<Vec<_>>().join("; ");
            case.explain(on, record, explained.because(&detail));
            let description = worth_telling(&refusals);
            if description.is_of_token() {
                Refusal::BadToken(description.text().unwrap_or_default())
            } else {
                Refusal::BadCredential
            }
        }
        Unknown::Unavailable(reasons) => {
            let message = "Nobody can tell whether the credentials of a request are good.";
            let explained = Explanation::new(Outcome::Error, Reason::StoreUnavailable, message);
            case.explain(on, record, explained.because(&reasons.join("; ")));
            Refusal::Unavailable
        }
        Unknown::Repeated => {
            let message = "A request was refused: there is more than one Authorization header.";
            case.explain(on, record, Explanation::new(Outcome::Deny, Reason::Malformed, message));
            Refusal::Malformed("there is more than one Authorization header")
        }
    };
    answer(case, on, &refusal)
}

/// No credential came where one is needed: people are led to sign in.
async fn nobody(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    shortfall: &Shortfall,
    record: &mut Record,
) -> Response<Body> {
    let can_sign_in = case.can_sign_in(on);
    let message = if can_sign_in {
        "No valid authentication in request. Initiating login."
    } else {
        "No valid authentication in request. Access Denied."
    };
    let explained = Explanation::new(Outcome::Login, shortfall.reason(), message);
    case.explain(on, record, explained.because(&shortfall.detail()));
    if matches!(shortfall, Shortfall::OtherProvider) && !can_sign_in && case.judged == Judged::Own {
        // Known, and not by whom it has to be: signing in is for people.
        return forbidden_as(case, on, String::new(), Words::None);
    }
    if can_sign_in {
        if let Some(step_up) = &on.route.step_up
            && let Some(provider) = case.gate.sign_in.providers.only_of(offer(on))
            && let Some(redirect) = demanding_login(case, provider, step_up, AccountChoice::Any).await
        {
            return redirect;
        }
        return ask_for_login_at(case.gate, case.arrival, offer(on)).await;
    }
    let response = answer(case, on, &Refusal::Unauthenticated);
    let takes_sessions = on.plan.authenticate.iter().any(|one| matches!(one.kind(), Kind::Session));
    if takes_sessions { case.gate.tell_login(response, case.arrival) } else { response }
}

/// The sender may not.
pub(crate) async fn ruled(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, ruling): (&Known, Ruling),
    record: &mut Record,
) -> Response<Body> {
    let who = &known.principal;
    match ruling {
        Ruling::Deny(_) if who.is_anonymous() => nobody(case, on, &Shortfall::NoSession, record).await,
        Ruling::Deny(denial) => denied(case, on, (known, *denial), record),
        Ruling::StepUp(step_up) => {
            let message = "A request needs a stronger or fresher login.";
            let explained = Explanation::new(Outcome::Login, Reason::StepUpNeeded, message);
            case.explain(on, record, explained.because(&words(who)));
            stronger_login(case, on, known, &step_up).await
        }
        Ruling::Fault(fault) => {
            let is_unreachable = fault.is_unreachable();
            let reason = if is_unreachable { Reason::PolicyUnavailable } else { Reason::PolicyBroken };
            let message = "A policy gave no decision, so that a request was refused.";
            let explained = Explanation::new(Outcome::Error, reason, message);
            case.explain(on, record, explained.because(&format!("{}: {fault}", words(who))));
            if is_unreachable {
                return answer(case, on, &Refusal::Status(StatusCode::SERVICE_UNAVAILABLE));
            }
            forbidden(case, on, known, Words::None)
        }
        // Somebody who may is not turned away.
        Ruling::Permit(_) => answer(case, on, &Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR)),
    }
}

/// A policy would let the sender in with a changed request, and whoever asks cannot change it so.
pub(crate) fn unchangeable(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, change): (&Known, &str),
    record: &mut Record,
) -> Response<Body> {
    let message =
        "A policy changes a request in a way that a forward-auth proxy cannot, so that it was refused.";
    let explained = Explanation::new(Outcome::Error, Reason::PolicyBroken, message);
    let why = format!("{}: {change}; let doorward carry the requests of this route", words(&known.principal));
    case.explain(on, record, explained.because(&why));
    forbidden(case, on, known, Words::None)
}

fn denied(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, denial): (&Known, Denial),
    record: &mut Record,
) -> Response<Body> {
    let Denial { unfulfilled, missing_scopes, answer: wanted } = denial;
    let reason = match &unfulfilled {
        Unfulfilled::Scopes => Reason::ScopeMissing,
        Unfulfilled::Policy(_) => Reason::PolicyDenied,
        Unfulfilled::Groups => Reason::GroupMissing,
        _ => Reason::NotAuthorized,
    };
    let told = match &unfulfilled {
        Unfulfilled::Groups => Message::GroupMissing.into(),
        _ => Words::None,
    };
    let message = "A request was refused by the rules of its route.";
    let explained = Explanation::new(Outcome::Deny, reason, message);
    case.explain(on, record, explained.because(&format!("{}: {unfulfilled}", words(&known.principal))));
    match wanted {
        Some(wanted) => as_policy_wants(case, on, known, wanted),
        None if !missing_scopes.is_empty() => answer(case, on, &Refusal::InsufficientScope),
        None => forbidden(case, on, known, told),
    }
}

/// A policy says how: with a body of its own, or with a status in the form of the route.
fn as_policy_wants(case: &Case<'_>, on: &OnRoute<'_>, known: &Known, wanted: PolicyAnswer) -> Response<Body> {
    let PolicyAnswer { policy: _, status, headers, body } = wanted;
    let status = status.unwrap_or(StatusCode::FORBIDDEN);
    let mut response = match body {
        Some(body) => {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
            let mut response = if is_json {
                respond::json(status, body.into())
            } else {
                respond::text_answer(status, body.into())
            };
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        None if status == StatusCode::FORBIDDEN => forbidden(case, on, known, Words::None),
        None => answer(case, on, &Refusal::Status(status)),
    };
    // Where the policy names no other, ours says what the body is.
    debug_assert!(response.headers().contains_key(CONTENT_TYPE));
    effects::mark_answer(response.headers_mut(), headers.iter());
    response
}

/// People sign in again, in the way that is wanted; programs are told (RFC 9470 section 3).
async fn stronger_login(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    known: &Known,
    step_up: &StepUp,
) -> Response<Body> {
    let Case { arrival, .. } = *case;
    let is_fresh = known.session.age(arrival.now).is_some_and(|age| age < JUST_NOW);
    if known.origin == Origin::Session && !is_fresh && case.can_sign_in(on) {
        let is_too_old = is_too_old(&known.principal, step_up, arrival.now);
        let account = if is_too_old { AccountChoice::Anew } else { AccountChoice::Any };
        if let Some(provider) = case.gate.sign_in.providers.of_session(&known.session)
            && let Some(redirect) = demanding_login(case, provider, step_up, account).await
        {
            return redirect;
        }
    }
    let max_age = step_up.max_age.map(|age| age.as_secs());
    answer(case, on, &Refusal::StepUp(Wanted { acr: step_up.acr.clone(), max_age }))
}

/// The way to a provider that is told what the login has to be like; nothing for requests that a login would lose.
async fn demanding_login(
    case: &Case<'_>,
    provider: &Provider,
    step_up: &StepUp,
    account: AccountChoice,
) -> Option<Response<Body>> {
    let Case { gate, arrival, .. } = *case;
    let begins = matches!(arrival.facts.method, Method::GET | Method::HEAD);
    if !begins {
        return None;
    }
    let wished = gate.wished_target(arrival);
    let target = gate.return_target(arrival, wished.as_deref(), OwnEndpoints::Refused);
    let provider = Some(Arc::clone(&provider.id));
    let demands = demands(step_up);
    Some(login::begin(gate, arrival, &Login { account, demands, provider, ..Login::to(target) }).await)
}

/// What a provider is told of what a login has to be like.
fn demands(step_up: &StepUp) -> Vec<(&'static str, String)> {
    let acr = (!step_up.acr.is_empty()).then(|| ("acr_values", step_up.acr.join(" ")));
    let max_age = step_up.max_age.map(|age| ("max_age", age.as_secs().to_string()));
    acr.into_iter().chain(max_age).collect()
}

impl Gate {
    /// Which of several providers people may choose who are to come back to this page.
    pub(crate) fn offer_for(&self, arrival: &Arrival, page: &SafeRedirect) -> Offer<'_> {
        let ids = self.route_of_page(arrival, page).and_then(|(_, plan)| plan.providers.as_deref());
        ids.map_or(Offer::All, Offer::Only)
    }

    /// What a login has to be like of people who chose one of several providers, and are to come back to this page.
    pub(crate) fn demands_for(&self, arrival: &Arrival, page: &SafeRedirect) -> Vec<(&'static str, String)> {
        let route = self.route_of_page(arrival, page);
        route.and_then(|(route, _)| route.step_up.as_ref()).map(demands).unwrap_or_default()
    }

    /// Where there is one provider, it is told by the route itself.
    fn route_of_page(&self, arrival: &Arrival, page: &SafeRedirect) -> Option<(&Route, &RoutePlan)> {
        let gateway = self.gateway.as_ref().filter(|_| self.sign_in.providers.are_several())?;
        gateway.route_of_page(arrival, page.as_str())
    }
}

/// At which providers people may sign in for a route.
fn offer<'a>(on: &OnRoute<'a>) -> Offer<'a> {
    on.plan.providers.as_deref().map_or(Offer::All, Offer::Only)
}

/// Whether the time of the login is what is wrong with it.
fn is_too_old(who: &Principal, step_up: &StepUp, now: Timestamp) -> bool {
    let Some(max_age) = step_up.max_age else { return false };
    let signed_in = who.claim("auth_time").and_then(serde_json::Value::as_i64).map(Timestamp::from_seconds);
    signed_in.is_none_or(|signed_in| max_age < now.truncated().since(signed_in))
}

/// The body that policies were to see did not come.
pub(crate) fn unreadable(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    why: UnreadableForm,
    record: &mut Record,
) -> Response<Body> {
    let message = "The body of a request could not be read for a policy.";
    let explained = Explanation::new(Outcome::Deny, Reason::Malformed, message).because(&why);
    case.explain(on, record, explained);
    let status = why.status_or(StatusCode::BAD_REQUEST);
    if status == StatusCode::BAD_REQUEST {
        return answer(case, on, &Refusal::Malformed("the body could not be read"));
    }
    answer(case, on, &Refusal::Status(status))
}

/// There is nothing that the application would take for a credential.
pub(crate) fn no_credential(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, fault): (&Known, &CredentialFault),
    record: &mut Record,
) -> Response<Body> {
    let outcome = match fault {
        CredentialFault::Unavailable(_) => Outcome::Error,
        CredentialFault::Refused(_) | CredentialFault::Over => Outcome::Deny,
    };
    let message = "There is no credential for the application, so that a request was not forwarded.";
    let explained = Explanation::new(outcome, Reason::NoCredential, message);
    case.explain(on, record, explained.because(&format!("{}: {fault}", words(&known.principal))));
    match fault {
        CredentialFault::Unavailable(_) => {
            answer(case, on, &Refusal::Status(StatusCode::SERVICE_UNAVAILABLE))
        }
        CredentialFault::Refused(_) => forbidden(case, on, known, Words::None),
        CredentialFault::Over => answer(case, on, &Refusal::BadToken("")),
    }
}

/// Handles cannot be told from tokens, or tokens not be kept back.
pub(crate) fn unswapped(
    case: &Case<'_>,
    (on, format): (&OnRoute<'_>, ErrorFormat),
    why: &Unswapped,
    record: &mut Record,
) -> Response<Body> {
    let status = match why {
        Unswapped::Fault(SwapFault::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
        Unswapped::Fault(SwapFault::Unswappable(_)) | Unswapped::Answer => StatusCode::BAD_GATEWAY,
        Unswapped::Request(why) => why.status_or(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let message = "Tokens and handles could not be exchanged, so that nothing was passed on.";
    let explained = Explanation::new(Outcome::Error, Reason::NotSwapped, message).because(why);
    case.explain(on, record, explained);
    let style = Style { format, challenge: Challenge::Scopes("") };
    failure::styled(case.gate, case.arrival, &Refusal::Status(status), style)
}

/// The application gave no answer.
pub(crate) fn unanswered(
    gate: &Gate,
    arrival: &Arrival,
    format: ErrorFormat,
    error: &ForwardError,
) -> Response<Body> {
    let problem = not_forwarded(error);
    if failure::wants_page(gate, format, arrival) {
        return gate.error_page(arrival, &problem);
    }
    let style = Style { format, challenge: Challenge::Scopes("") };
    failure::styled(gate, arrival, &Refusal::Status(problem.status), style)
}

/// The request can be read in several ways.
pub(crate) fn unclear(gate: &Gate, arrival: &Arrival, why: &Unclear, record: &mut Record) -> Response<Body> {
    let message = "A request was refused: it can be read in several ways.";
    let explained = Explanation::new(Outcome::Deny, Reason::Malformed, message).because(why);
    gate.explain(arrival, record, explained);
    let refusal = Refusal::Malformed("the request can be read in several ways");
    failure::styled(
        gate,
        arrival,
        &refusal,
        Style { format: ErrorFormat::Auto, challenge: Challenge::Scopes("") },
    )
}

/// A forward-auth proxy asks what nobody can answer: a mistake in its configuration.
pub(crate) fn unanswerable(case: &Case<'_>, why: &'static str, record: &mut Record) -> Response<Body> {
    let message = "A question of a forward-auth proxy cannot be answered.";
    let explained = Explanation::new(Outcome::Deny, Reason::NoRoute, message).because(why);
    case.gate.explain(case.arrival, record, explained);
    respond::forbidden()
}

/// No route is about the request, and there are no other upstreams.
pub(crate) fn nowhere(gate: &Gate, arrival: &Arrival, record: &mut Record) -> Response<Body> {
    let message = "No route is about a request.";
    gate.explain(arrival, record, Explanation::new(Outcome::Deny, Reason::NoRoute, message));
    respond::text_error(StatusCode::NOT_FOUND, "404 page not found\n")
}
