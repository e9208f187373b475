//! `<prefix>/admin/sessions?user=…`: members of `--admin-group` list the sessions of a user, and end them. JSON; no token
//! and nothing that opens a session is part of it. To everybody else all users look alike.

use std::sync::Arc;

use doorward_authz::Judged;
use doorward_net::Body;
use doorward_session::{Ledger, StoreError, Tickets, Whom};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::forget;
use crate::{
    api::failure,
    form::Form,
    gate::Gate,
    handle::{Decision, decide, with_cookies},
    ingress::Arrival,
    record::Record,
    respond,
};

const LONGEST_NAME: usize = 1024;

pub(super) async fn answer(gate: &Arc<Gate>, arrival: &Arrival, record: &mut Record) -> Response<Body> {
    let decided = Box::pin(decide(gate, arrival, Judged::Own, record)).await;
    let response = match decided.decision {
        Decision::Permitted { visitor, .. } => match visitor.session() {
            Some(session) => {
                let groups = &session.identity.groups;
                // A group is one of the provider that says so: those of others have other members.
                let is_of_first = gate
                    .sign_in
                    .providers
                    .of_session(session)
                    .is_none_or(|provider| gate.sign_in.providers.is_first(provider));
                if is_of_first && gate.sign_out.admin_groups.iter().any(|group| groups.contains(group)) {
                    let admin = session.identity.display_name();
                    for_admin(gate, arrival, admin).await
                } else {
                    failed(StatusCode::FORBIDDEN, "this needs a member of one of the groups of --admin-group")
                }
            }
            // Let in without anybody being known.
            None => failed(StatusCode::UNAUTHORIZED, "nobody is signed in"),
        },
        Decision::Login => failed(StatusCode::UNAUTHORIZED, "nobody is signed in"),
        Decision::Denied { .. } | Decision::Forbidden => failed(StatusCode::FORBIDDEN, "not allowed"),
        Decision::Refused(refusal) => failure::answer(gate, arrival, &refusal),
        Decision::Unknown => respond::unavailable(),
    };
    with_cookies(response, decided.set_cookies)
}

async fn for_admin(gate: &Arc<Gate>, arrival: &Arrival, admin: &str) -> Response<Body> {
    let form = Form::of_query(arrival.facts.target.query(), gate.access.semicolons);
    let user = form.only("user").filter(|user| (1..=LONGEST_NAME).contains(&user.len()));
    let Some(user) = user else { return failed(StatusCode::BAD_REQUEST, "name one user, as ?user=NAME") };
    let Some(ledger) = &gate.sessions.ledger else {
        return failed(StatusCode::NOT_FOUND, "sessions are not listed here");
    };
    let desk = Desk { gate, arrival, ledger, admin, user };
    let answered = match arrival.facts.method {
        Method::GET | Method::HEAD => desk.list().await,
        // Browsers ask first before they send this from other sites, and are refused.
        Method::DELETE if !arrival.is_embedded_elsewhere() => match form.only("id") {
            Some(id) => desk.end_one(id).await,
            None if form.all("id").next().is_some() => {
                return failed(StatusCode::BAD_REQUEST, "name one id, or none to end all sessions");
            }
            None => desk.end_all().await,
        },
        Method::DELETE => return failed(StatusCode::FORBIDDEN, "a page of another site asks"),
        _ => return respond::method_not_allowed("GET, HEAD, DELETE"),
    };
    answered.unwrap_or_else(|why| {
        tracing::error!("The sessions of a user cannot be read or ended: {why}");
        respond::unavailable()
    })
}

/// One question of an administrator.
struct Desk<'a> {
    gate: &'a Gate,
    arrival: &'a Arrival,
    ledger: &'a Ledger,
    admin: &'a str,
    user: &'a str,
}

impl Desk<'_> {
    async fn list(&self) -> Result<Response<Body>, String> {
        let Self { gate, arrival, ledger, user, .. } = self;
        let sessions: Vec<Value> = ledger
            .list(user, arrival.now)
            .await
            .map_err(text)?
            .into_iter()
            .map(|one| {
                let mut told = json!({"id": one.id, "loggedInAt": one.since, "expiresAt": one.expires});
                if let (Some(provider), Some(told)) = (one.provider, told.as_object_mut()) {
                    told.insert("provider".to_owned(), provider.into());
                }
                told
            })
            .collect();
        let listed = match ledger.tickets() {
            Tickets::InStore => "all",
            // Those are with the browsers, and can be ended, but nobody knows which there are.
            Tickets::Elsewhere => "none",
        };
        let mut answer = json!({"user": user, "listed": listed, "sessions": sessions});
        if let Some(server) = &gate.oauth {
            let logins = server.sessions_of(user, arrival.now).await.map_err(|why| why.to_string())?;
            let logins = logins
                .into_iter()
                .map(|one| json!({"id": one.id, "loggedInAt": one.auth_time, "provider": one.provider}));
            if let Some(members) = answer.as_object_mut() {
                members.insert("logins".to_owned(), logins.collect());
            }
        }
        Ok(respond::json(StatusCode::OK, format!("{answer}\n").into()))
    }

    async fn end_all(&self) -> Result<Response<Body>, String> {
        let Self { gate, arrival, ledger, admin, user } = self;
        // First where new sessions come from without a password.
        let logins = match &gate.oauth {
            Some(server) => server.end_sessions_of(user, arrival.now).await.map_err(|why| why.to_string())?,
            None => 0,
        };
        let keys = ledger.end(&Whom::User((*user).to_owned()), arrival.now).await.map_err(text)?;
        let ended = keys.len();
        forget(gate, arrival, keys);
        tracing::info!(admin, user, ended, logins, "An administrator ended the sessions of a user");
        let answer = json!({"user": user, "ended": ended, "loginsEnded": logins});
        Ok(respond::json(StatusCode::OK, format!("{answer}\n").into()))
    }

    async fn end_one(&self, id: &str) -> Result<Response<Body>, String> {
        let Self { gate, arrival, ledger, admin, user } = self;
        let ended = match ledger.end_one(user, id, arrival.now).await.map_err(text)? {
            Some(key) => {
                forget(gate, arrival, vec![key]);
                true
            }
            None => match &gate.oauth {
                Some(server) => {
                    server.end_session_of(user, id, arrival.now).await.map_err(|why| why.to_string())?
                }
                None => false,
            },
        };
        if !ended {
            return Ok(failed(StatusCode::NOT_FOUND, "the user has no such session"));
        }
        tracing::info!(admin, user, "An administrator ended a session of a user");
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: StoreError) -> String {
    error.to_string()
}

fn failed(status: StatusCode, why: &'static str) -> Response<Body> {
    respond::json(status, format!("{}\n", json!({"error": why})).into())
}
