//! What goes to the application, and what of its answer comes back. The client's credential stays here unless the route
//! passes it on, and so does whatever a client could say of itself.

use std::sync::Arc;

use doorward_authn::{gateway::Source, websocket};
use doorward_authz::{Judged, gateway::Effects};
use doorward_core::{Grounds, Permit, SecretString, Target, request::Hop};
use doorward_gateway::{Bearer, Credential, CredentialFault, IDENTITY_HEADERS, Made};
use doorward_net::Body;
use doorward_session::RequestCookies;
use doorward_upstream::{Forwarding, Tether, Upstream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, COOKIE},
};
use http_body::Body as _;

use crate::{
    api::{failure, identity},
    ext_authz,
    gate::Gate,
    gateway::{
        Gateway, RoutePlan, effects, handles, lasting, refused,
        road::{Case, OnRoute},
        who::Known,
    },
    handle::may_have_trailers,
    ingress::{Arrival, Duty, StrangersHeaders},
    inject::{drop_forwarding, drop_method_overrides, drop_misleading, drop_vouching, normalised, remove_if},
    record::Record,
};

/// What is done to a request on its way out.
#[derive(Debug)]
pub(crate) struct Outbound {
    /// Set last, in place of anything of the same names.
    pub(crate) set: Vec<(HeaderName, HeaderValue)>,
    pub(crate) remove: Vec<HeaderName>,
    /// Copies that a client might have sent, in any spelling.
    effects: Effects,
    /// Made for the application alone: never in an answer.
    secrets: Vec<SecretString>,
    user: String,
}

/// The names of parameters that may hold a token, for logs to leave out.
pub(crate) fn hidden_parameters(plan: &RoutePlan) -> Vec<String> {
    let sources = plan.authenticate.iter().flat_map(|authenticator| authenticator.consumed());
    let names = sources.filter_map(|source| match source {
        Source::Query(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

/// The target without parameters that hold tokens; `None` if it has none.
pub(crate) fn without_credentials(target: &Target, plan: &RoutePlan) -> Option<Target> {
    let hidden = hidden_parameters(plan);
    if hidden.is_empty() {
        return None;
    }
    effects::without_parameters(target, |name| hidden.iter().any(|hidden| hidden == name))
}

/// Removes what nobody may say of themselves, in every form and spelling, whoever they are.
pub(crate) fn scrub(gate: &Gate, gateway: &Gateway, headers: &mut HeaderMap, hop: Hop) {
    gate.injection.scrub_all(headers);
    match &gate.api {
        Some(api) => remove_if(headers, |name| api.is_identity(name)),
        None => remove_if(headers, identity::is_of_a_family),
    }
    remove_if(headers, |name| gateway.is_identity(name));
    drop_misleading(headers, hop);
    drop_method_overrides(headers);
    if gate.ingress.strangers_headers_on_routes(hop) == StrangersHeaders::Removed {
        drop_forwarding(headers);
        drop_vouching(headers);
    }
}

impl Gateway {
    fn is_identity(&self, name: &str) -> bool {
        let name = &*normalised(name);
        let is = |own: &HeaderName| normalised(own.as_str()) == name;
        IDENTITY_HEADERS.iter().any(is)
            || name.starts_with("x-pomerium-claim-")
            || self.identity_headers.iter().any(is)
            || self
                .questions
                .authenticate
                .iter()
                .filter_map(|authenticator| authenticator.identity_headers())
                .any(|headers| headers.includes(name))
    }
}

/// Makes what the application gets in place of what the client sent. Headers of policies come first, then those that
/// tell who it is, then the credential: of the same name, the last one stands.
pub(crate) async fn prepare(
    case: &Case<'_>,
    on: &OnRoute<'_>,
    (known, effects, grounds): (&Known, &Effects, &Grounds),
) -> Result<Outbound, CredentialFault> {
    let Case { gate, arrival, .. } = *case;
    let (plan, who) = (on.plan, &known.principal);
    let credential = &plan.credential.credential;
    let mut identity = gate.injection.for_request(arrival.headers(), Some(&known.session), grounds);
    if !matches!(**credential, Credential::Forwarded) {
        // A password or token that the options ask for is another credential than the route's.
        identity.retain(|(name, _)| name != AUTHORIZATION);
    }
    plan.identity.tell(&mut identity, Some(&who.user));
    let presented = match **credential {
        Credential::Exchange(_) => presented(case, on, known),
        _ => None,
    };
    let request_id = arrival.request_id.text();
    let url = format!("{}://{}{}", case.scheme(), arrival.facts.host_str(), case.target().raw_path());
    let host = arrival.facts.host_str();
    let bearer = Bearer {
        principal: who,
        presented: presented.as_ref(),
        audience: &plan.credential.audience,
        max_scopes: plan.credential.max_scopes.as_deref(),
        context: effects.context.as_ref(),
        request_id: &request_id,
        method: case.method(),
        host: without_port(host),
        url: &url,
        now: arrival.now,
    };
    let Made { remove, set: credentials, secrets } = Box::pin(credential.make(&bearer)).await?;
    let mut set: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for more in [effects::headers(effects).collect(), identity, credentials] {
        set.retain(|(earlier, _)| {
            !more.iter().any(|(name, _)| normalised(name.as_str()) == normalised(earlier.as_str()))
        });
        set.extend(more);
    }
    let user = known.session.identity.display_name().to_owned();
    Ok(Outbound { set, remove, effects: effects.clone(), secrets, user })
}

/// The token by which the client is known, or that its session holds.
fn presented(case: &Case<'_>, on: &OnRoute<'_>, known: &Known) -> Option<SecretString> {
    let by = on.plan.authenticate.iter().find(|one| *one.name() == known.principal.authenticator)?;
    by.token(&case.presented(None)).or_else(|| known.session.tokens.access.clone())
}

fn without_port(host: &str) -> &str {
    let end = host.rfind(':').filter(|_| !host.ends_with(']'));
    end.and_then(|end| host.get(..end)).unwrap_or(host)
}

/// A request that may go, and how.
#[derive(Debug)]
pub(crate) struct Carried<'a> {
    pub(crate) permit: Permit,
    pub(crate) outbound: Outbound,
    pub(crate) target: Target,
    pub(crate) tether: Option<Tether>,
    pub(crate) on: &'a OnRoute<'a>,
}

/// Carries a request to its application, and gives back the answer without what was made for the application alone.
pub(crate) async fn carry(
    gate: &Arc<Gate>,
    gateway: &Gateway,
    (upstream, carried, mut arrival): (&Upstream, Carried<'_>, Box<Arrival>),
    record: &mut Record,
) -> Response<Body> {
    let Carried { permit, mut outbound, target, tether, on } = carried;
    record.route(upstream.id());
    let format = failure::settled(gate, on.plan.errors, &arrival);
    let mut request = std::mem::take(&mut arrival.request);
    *request.uri_mut() = target.uri().clone();
    outbound.apply(gateway, on.plan, request.headers_mut());
    if arrival.connection.duty == Duty::Tell {
        return ext_authz::told(permit, &request, outbound.set);
    }
    if let Some(handles) = &on.plan.token_responses {
        match handles::take_body(handles, &mut request, arrival.now).await {
            Ok(originals) => outbound.secrets.extend(originals),
            Err(why) => {
                let case = Case { gate, gateway, arrival: &arrival, judged: Judged::Own };
                return refused::unswapped(&case, (on, format), &why, record);
            }
        }
    }
    let request = scrub_trailers(gate, arrival.facts.hop, request);
    let how = Forwarding {
        peer: arrival.connection.peer_address(),
        identity: &outbound.set,
        user: &outbound.user,
        worker: arrival.connection.worker,
        tether: tether.as_ref(),
    };
    match upstream.forward(permit, request, how).await {
        Ok(mut response) => {
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // An application may repeat what it was offered by somebody else.
                websocket::strip(response.headers_mut());
            }
            let response = match &on.plan.token_responses {
                None => Ok(response),
                Some(handles) => handles::give(handles, (response, &outbound.secrets), arrival.now).await,
            };
            match response {
                Ok(response) => lasting::tie(outbound.keep_secrets(response), tether.as_ref()),
                Err(why) => {
                    let case = Case { gate, gateway, arrival: &arrival, judged: Judged::Own };
                    refused::unswapped(&case, (on, format), &why, record)
                }
            }
        }
        Err(error) => {
            tracing::error!("Error proxying to upstream server: {error}");
            refused::unanswered(gate, &arrival, format, &error)
        }
    }
}

impl Outbound {
    /// With more that must not come back in an answer.
    pub(crate) fn keeping(mut self, secrets: Vec<SecretString>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// Removes from the client's request what it said of itself and what it is known by.
    fn apply(&self, gateway: &Gateway, plan: &RoutePlan, headers: &mut HeaderMap) {
        for own in &gateway.cookies {
            own.remove_from(headers);
        }
        if !matches!(*plan.credential.credential, Credential::Passthrough) {
            remove_credentials(plan, headers);
        }
        effects::clear(headers, &self.effects);
        let names = self.remove.iter().chain(self.set.iter().map(|(name, _)| name));
        let names: Vec<_> = names.map(|name| normalised(name.as_str())).collect();
        remove_if(headers, |name| names.contains(&normalised(name)));
    }

    /// An application may repeat its request in its answer, the credential that was made for it included.
    fn keep_secrets(&self, mut response: Response<Body>) -> Response<Body> {
        if self.secrets.is_empty() {
            return response;
        }
        let count = doorward_gateway::scrub(response.headers_mut(), &self.secrets);
        if 0 < count {
            tracing::warn!("An application repeated its credential in {count} headers, which were removed.");
        }
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let secrets = self.secrets.clone();
        response.map(|body| {
            body.with_trailers(move |trailers| {
                doorward_gateway::scrub(trailers, &secrets);
            })
        })
    }
}

/// Headers, cookies and subprotocols in which the authenticators of the route look for credentials.
fn remove_credentials(plan: &RoutePlan, headers: &mut HeaderMap) {
    // Also where nobody asked for it: what a client shows to an open route is good for others.
    headers.remove(AUTHORIZATION);
    websocket::strip(headers);
    for source in plan.authenticate.iter().flat_map(|authenticator| authenticator.consumed()) {
        match source {
            Source::Header(own) => {
                remove_if(headers, |name| normalised(name) == normalised(own.as_str()));
            }
            Source::Cookie(name) => remove_cookie(headers, name),
            // The one is gone for any route, and the target has none of the other any more.
            Source::Authorization(_) | Source::Query(_) => {}
        }
    }
}

fn remove_cookie(headers: &mut HeaderMap, name: &str) {
    if RequestCookies::new(headers).get(name).is_none() {
        return;
    }
    let kept = |line: &HeaderValue| {
        let pieces = line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let others: Vec<&[u8]> = pieces
            .filter(|piece| {
                piece.split(|byte| *byte == b'=').next().unwrap_or(piece).trim_ascii() != name.as_bytes()
            })
            .collect();
        HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty())
    };
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(kept).collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}

/// Nobody has reason to say in trailers who they are.
fn scrub_trailers(gate: &Arc<Gate>, hop: Hop, request: Request<Body>) -> Request<Body> {
    if !may_have_trailers(&request) {
        return request;
    }
    let gate = Arc::clone(gate);
    request.map(|body| {
        body.with_trailers(move |trailers| {
            if let Some(gateway) = &gate.gateway {
                scrub(&gate, gateway, trailers, hop);
            }
            gate.injection.scrub_trailers(trailers);
            trailers.remove(AUTHORIZATION);
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_held_a_token_goes_alone() {
        let mut headers = HeaderMap::new();
        for line in ["a=1; jwt=secret; b=2", "jwt=x", "jwts=3; jwt = y"] {
            headers.append(COOKIE, HeaderValue::from_static(line));
        }
        remove_cookie(&mut headers, "jwt");
        let kept: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(kept, ["a=1; b=2", "jwts=3"]);
    }

    #[test]
    fn the_name_of_a_host_has_no_port() {
        for (host, name) in
            [("a.test:8443", "a.test"), ("a.test", "a.test"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(without_port(host), name);
        }
    }
}
