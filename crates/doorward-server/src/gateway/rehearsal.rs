//! The part of [`crate::rehearsal`] that a route has.

use std::sync::Arc;

use doorward_authn::gateway::Kind;
use doorward_authz::{
    Judged,
    gateway::{Fit, Route, Ruling, Step},
};
use doorward_gateway::Credential;
use doorward_session::Session;

use super::{
    CredentialUse, Gateway, body,
    body::Seen,
    outbound,
    road::{Case, OnRoute},
    subrequest,
    who::{self, Known, Origin},
};
use crate::{gate::Gate, ingress::Arrival, rehearsal::Sender};

/// What a route says to somebody.
#[derive(Debug)]
pub(crate) enum Rehearsed {
    Ruled {
        ruling: Ruling,
        steps: Vec<Step>,
        /// As whom the sender is taken.
        taken: String,
    },
    /// It did not come to its expression.
    Ended(String),
}

impl Gateway {
    /// How a request fits the routes, in order, up to its own.
    pub(crate) fn explain(&self, arrival: &Arrival, judged: Judged) -> Vec<(&Route, Fit)> {
        self.routes.explain(&Self::asked(arrival, judged))
    }
}

impl CredentialUse {
    /// In words, without anything secret.
    pub(crate) fn words(&self) -> String {
        let kind = match *self.credential {
            Credential::Forwarded => "identity headers",
            Credential::Passthrough => "what the client sent",
            Credential::None => "none",
            Credential::Jwt(_) => "an access token signed here",
            Credential::Exchange(_) => "a token of a remote security token service",
            Credential::Identity(_) => "a signed statement of who it is",
        };
        if self.audience.is_empty() { kind.to_owned() } else { format!("{kind}, for {}", self.audience) }
    }
}

/// Decides as for any request, about somebody who needs no credential.
pub(crate) async fn decide(
    gate: &Arc<Gate>,
    gateway: &Gateway,
    (on, judged): (&OnRoute<'_>, Judged),
    (mut arrival, sender): (Box<Arrival>, Option<&Sender>),
) -> Rehearsed {
    let known = match taken_as(gate, gateway, on, (&arrival, sender)) {
        Ok(known) => known,
        Err(why) => return Rehearsed::Ended(why),
    };
    outbound::scrub(gate, gateway, arrival.request.headers_mut(), arrival.facts.hop);
    let seen = match on.plan.with_body.filter(|_| judged == Judged::Own) {
        None if judged == Judged::Original => subrequest::unseen(on),
        None => Seen::Nothing,
        Some(most) => match body::look(arrival.request.body_mut(), most).await {
            Ok(seen) => seen,
            Err(why) => return Rehearsed::Ended(why.to_string()),
        },
    };
    let case = Case { gate, gateway, arrival: &arrival, judged };
    if let Err(denial) = case.is_admitted(&known) {
        return Rehearsed::Ended(denial.to_string());
    }
    let target = outbound::without_credentials(case.target(), on.plan);
    let target = target.as_ref().unwrap_or_else(|| case.target());
    let mut trial = on.route.trial(&known.principal, arrival.now).traced();
    let ruling = case.judge(on, (&mut trial, arrival.headers(), target, &seen)).await;
    let who = &known.principal;
    let taken = format!("{} by {}", who.user.name, who.authenticator);
    Rehearsed::Ruled { ruling, steps: trial.steps().to_vec(), taken }
}

/// As whom the route would know the sender.
fn taken_as(
    gate: &Gate,
    gateway: &Gateway,
    on: &OnRoute<'_>,
    (arrival, sender): (&Arrival, Option<&Sender>),
) -> Result<Known, String> {
    let authenticators = &on.plan.authenticate;
    let is_anonymous = |kind: &Kind| matches!(kind, Kind::Anonymous);
    let Some(sender) = sender else {
        let anonymous = authenticators.iter().find(|one| is_anonymous(one.kind()));
        let nobody = anonymous.map(|one| who::nobody_in_particular(Arc::clone(one.name()), arrival));
        return nobody.ok_or_else(|| "a credential is needed, and none came".to_owned());
    };
    let wanted = sender.authenticator.as_str();
    let mut able = authenticators.iter().filter(|one| !is_anonymous(one.kind()));
    let Some(by) = able.find(|one| wanted.is_empty() || **one.name() == *wanted) else {
        return Err(match wanted {
            "" => "nobody is known here, as only anonymous is asked".to_owned(),
            _ => format!("{wanted} is not asked here"),
        });
    };
    if !matches!(by.kind(), Kind::Session) {
        let principal = Arc::new(sender.principal(by.name()));
        let session = Arc::new(who::session_of(gate, &principal, arrival));
        return Ok(Known { principal, session, origin: Origin::Credential, key: None });
    }
    let session =
        Session { created_at: Some(arrival.now), identity: sender.identity(), ..Session::default() };
    let mut principal = who::principal_of(&session, by.name(), gateway.naming)
        .ok_or_else(|| "nobody with a session may be called so".to_owned())?;
    if !sender.scopes.is_empty() {
        principal.scopes.clone_from(&sender.scopes);
    }
    let (principal, session) = (Arc::new(principal), Arc::new(session));
    Ok(Known { principal, session, origin: Origin::Session, key: None })
}
