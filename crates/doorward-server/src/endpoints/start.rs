//! `<prefix>/start`: begins a login at the provider; of several at the one that `provider` names, or shows which there are.

use std::sync::Arc;

use doorward_net::Body;
use doorward_oidc::AccountChoice;
use http::{Response, StatusCode};

use crate::{
    authenticate,
    form::Form,
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    login::{self, Beginning, Login},
    pages::Problem,
    redirects::OwnEndpoints,
    respond,
};

pub(crate) async fn answer(gate: &Arc<Gate>, mut arrival: Arrival) -> Response<Body> {
    let form = match Form::read(&mut arrival, gate.access.semicolons).await {
        Ok(form) => form,
        Err(error) => {
            return respond::uncached(
                gate.error_page(&arrival, &Problem::new(error.status_or(StatusCode::BAD_REQUEST))),
            );
        }
    };
    let target = gate.return_target(&arrival, form.first("rd"), OwnEndpoints::Refused);
    let account = match form.first("another_account") {
        Some("true") => AccountChoice::Another,
        _ => AccountChoice::Any,
    };
    // Whoever wants to be somebody else is signed out first: coming back without a login, they are nobody. As with the
    // sign-in page, a page of another site that merely embeds this address changes nothing.
    let cleared = match account {
        AccountChoice::Another if !arrival.is_embedded_elsewhere() => {
            authenticate::forget(gate, &arrival).await
        }
        _ => Vec::new(),
    };
    let beginning = match form.first("restarted") {
        Some("true") => Beginning::Restarted,
        _ => Beginning::ByPerson,
    };
    // Where there is one, the parameter means whatever the operator lets it mean to the provider.
    let provider = form.first("provider").filter(|_| gate.sign_in.providers.are_several()).map(Into::into);
    let demands = gate.demands_for(&arrival, &target);
    let wishes = Form::of_query(arrival.facts.target.query(), gate.access.semicolons).into_pairs();
    let login = Login { account, beginning, wishes, demands, provider, ..Login::to(target) };
    with_cookies(respond::uncached(login::begin(gate, &arrival, &login).await), cleared)
}
