//! `<prefix>/userinfo`: who is signed in, as JSON. Tokens are never part of it.

use std::sync::Arc;

use doorward_authz::Judged;
use doorward_core::Identity;
use doorward_net::Body;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use crate::{
    api::failure,
    gate::Gate,
    handle::{Decision, decide, with_cookies},
    ingress::Arrival,
    record::Record,
    respond,
};

pub(crate) async fn answer(gate: &Arc<Gate>, arrival: &Arrival, record: &mut Record) -> Response<Body> {
    let decided = decide(gate, arrival, Judged::Original, record).await;
    let response = match decided.decision {
        Decision::Permitted { visitor, .. } => {
            let members = visitor.session().map(|session| describe(&session.identity)).unwrap_or_default();
            respond::json(StatusCode::OK, format!("{}\n", escaped(&Value::Object(members))).into())
        }
        Decision::Login => gate.sign_in_needed_behind(arrival),
        Decision::Denied { .. } => respond::unauthorized(),
        Decision::Refused(refusal) => failure::answer(gate, arrival, &refusal),
        Decision::Unknown => respond::unavailable(),
        Decision::Forbidden => respond::forbidden(),
    };
    with_cookies(response, decided.set_cookies)
}

fn describe(identity: &Identity) -> Map<String, Value> {
    let mut members = Map::new();
    members.insert("user".into(), identity.user.as_str().into());
    members.insert("email".into(), identity.email.as_str().into());
    if !identity.groups.is_empty() {
        members.insert("groups".into(), identity.groups.clone().into());
    }
    if !identity.preferred_username.is_empty() {
        members.insert("preferredUsername".into(), identity.preferred_username.as_str().into());
    }
    if !identity.additional.is_empty() {
        members.insert("additionalClaims".into(), identity.additional.clone().into_iter().collect());
    }
    members
}

/// JSON that is harmless even where somebody pastes it into HTML.
fn escaped(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
