//! `<prefix>/sign_in`: the sign-in page, and where its password form is sent.

use std::{sync::Arc, time::Instant};

use doorward_authn::{Attempt, basic::Credentials};
use doorward_net::Body;
use doorward_session::Session;
use doorward_template::words::Message;
use http::{HeaderMap, Method, Response, StatusCode, header::ORIGIN};

use crate::{
    asker::Fetch,
    authenticate,
    explain::{Explanation, Outcome, Reason},
    form::Form,
    gate::{Gate, ProviderButton},
    handle::with_cookies,
    ingress::Arrival,
    login::{self, Login},
    pages::{Problem, SignInPage},
    record::{AuthStatus, Record},
    redirects::OwnEndpoints,
    respond,
};
use doorward_core::redirect::SafeRedirect;

pub(crate) async fn answer(gate: &Arc<Gate>, mut arrival: Arrival, record: &mut Record) -> Response<Body> {
    let form = match Form::read(&mut arrival, gate.access.semicolons).await {
        Ok(form) => form,
        Err(error) => {
            return gate
                .error_page(&arrival, &Problem::new(error.status_or(StatusCode::INTERNAL_SERVER_ERROR)));
        }
    };
    if !gate.sign_in.is_possible() {
        return gate.error_page(&arrival, &Problem::new(StatusCode::NOT_FOUND));
    }
    let target = gate.return_target(&arrival, form.first("rd"), OwnEndpoints::Refused);
    if arrival.facts.method == Method::POST && gate.sign_in.htpasswd.is_some() {
        return with_password(gate, &arrival, &form, &target, record).await;
    }
    let providers = &gate.sign_in.providers;
    let chosen = form.first("provider").filter(|_| providers.are_several());
    if gate.sign_in.button == ProviderButton::Skipped && (providers.only().is_some() || chosen.is_some()) {
        let provider = chosen.map(Into::into);
        let demands = gate.demands_for(&arrival, &target);
        let wishes = Form::of_query(arrival.facts.target.query(), gate.access.semicolons).into_pairs();
        let login = Login { wishes, demands, provider, ..Login::to(target) };
        return login::begin(gate, &arrival, &login).await;
    }
    // Whoever comes here wants to sign in anew: a session left on a shared machine ends (CVE-2026-34454). A page of
    // another site that merely embeds this address changes nothing.
    let cleared =
        if arrival.is_embedded_elsewhere() { Vec::new() } else { authenticate::forget(gate, &arrival).await };
    with_cookies(gate.sign_in_page(&arrival, &target, SignInPage::new(StatusCode::OK)), cleared)
}

/// Whether a page of another site has sent the form: it would sign its visitors in as somebody of its choice (login
/// CSRF). The browser says so (Fetch Metadata), or else names the origin of the page (RFC 6454 section 7). Programs
/// say neither and are no browsers to be misled. The port does not count, as it does not for cookies.
fn is_from_elsewhere(headers: &HeaderMap, host: &str) -> bool {
    let name = |url: &str| url::Url::parse(url).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
    match Fetch::of(headers).site() {
        // Proxies may have changed the host on the way; the browser has seen the real one.
        Some(b"same-origin" | b"none") => return false,
        Some(b"cross-site") => return true,
        _ => {}
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(name);
    origin.is_none() || origin != name(&format!("http://{host}"))
}

async fn with_password(
    gate: &Arc<Gate>,
    arrival: &Arrival,
    form: &Form,
    target: &SafeRedirect,
    record: &mut Record,
) -> Response<Body> {
    if is_from_elsewhere(arrival.headers(), arrival.facts.host_str()) {
        let message = "The password form was sent by a page of another site and is not looked at.";
        gate.explain(arrival, record, Explanation::new(Outcome::Deny, Reason::CrossSiteForm, message));
        let problem =
            Problem { explanation: Message::SentByAnotherSite.into(), ..Problem::new(StatusCode::FORBIDDEN) };
        return gate.error_page(arrival, &problem);
    }
    let user = form.first("username").unwrap_or("");
    if user.is_empty() {
        let failed = Some(Message::GiveUserName);
        let asked = SignInPage { failed, ..SignInPage::new(StatusCode::BAD_REQUEST) };
        return gate.sign_in_page(arrival, target, asked);
    }
    let Some(htpasswd) = &gate.sign_in.htpasswd else {
        return gate.sign_in_page(arrival, target, SignInPage::new(StatusCode::OK));
    };
    let password = form.first("password").unwrap_or("").to_owned();
    let credentials = Credentials::new(user.to_owned(), password);
    let identity = match htpasswd.attempt_form(credentials, arrival.facts.client, Instant::now()).await {
        Attempt::Accepted(identity) => identity,
        refused @ (Attempt::NotPresented | Attempt::Refused(_)) => {
            let message = "Invalid authentication via HtpasswdFile";
            let mut explanation = Explanation::new(Outcome::Deny, Reason::PasswordRefused, message);
            if let Attempt::Refused(why) = refused {
                explanation = explanation.because(&why);
            }
            gate.explain_as(arrival, record, (user, message), explanation);
            let failed = Some(Message::WrongPassword);
            let asked = SignInPage { failed, ..SignInPage::new(StatusCode::UNAUTHORIZED) };
            return gate.sign_in_page(arrival, target, asked);
        }
    };
    gate.log_auth(arrival, AuthStatus::Success, user, "Authenticated via HtpasswdFile");
    let mut session = Session { created_at: Some(arrival.now), identity, ..Session::default() };
    gate.mark(&mut session, arrival.now);
    let session = Arc::new(session);
    record.identify(&session);
    match authenticate::replace(gate, arrival, &session).await {
        Ok(set_cookies) => {
            record.decide(Explanation::new(Outcome::Permit, Reason::LoginFinished, ""));
            with_cookies(respond::redirect_to(target, &Method::GET), set_cookies)
        }
        Err(error) => {
            let message = "A session could not be saved.";
            let explanation = Explanation::new(Outcome::Error, Reason::SessionNotSaved, message);
            gate.explain(arrival, record, explanation.because(&error));
            let problem =
                Problem { debug: error.to_string(), ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR) };
            gate.error_page(arrival, &problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Sender::{Elsewhere, Unsuspicious};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Sender {
        Unsuspicious,
        Elsewhere,
    }

    #[track_caller]
    fn check(host: &str, lines: &[(&'static str, &'static str)], expected: Sender) {
        let line = |&(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let headers: HeaderMap = lines.iter().map(line).collect();
        let found = if is_from_elsewhere(&headers, host) { Elsewhere } else { Unsuspicious };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_form_comes_from_elsewhere_if_the_browser_says_so_or_names_another_host() {
        const HOST: &str = "App.example.com:4180";
        check(HOST, &[], Unsuspicious);
        check("", &[], Unsuspicious);
        for site in ["none", "same-origin", "same-site"] {
            check(HOST, &[("sec-fetch-site", site)], Unsuspicious);
        }
        check(HOST, &[("sec-fetch-site", "cross-site")], Elsewhere);
        for (origin, expected) in [
            ("https://app.example.com", Unsuspicious),
            ("http://app.example.com:8080", Unsuspicious),
            ("https://evil.example", Elsewhere),
            ("https://app.example.com.evil.example", Elsewhere),
            ("https://other.example.com", Elsewhere),
            ("null", Elsewhere),
            ("", Elsewhere),
            ("app.example.com", Elsewhere),
        ] {
            check(HOST, &[("origin", origin)], expected);
            check(HOST, &[("origin", origin), ("sec-fetch-site", "same-site")], expected);
            check(HOST, &[("origin", origin), ("sec-fetch-site", "cross-site")], Elsewhere);
            check(HOST, &[("origin", origin), ("sec-fetch-site", "same-origin")], Unsuspicious);
        }
        check("[::1]:80", &[("origin", "http://[::1]:8080")], Unsuspicious);
        check("", &[("origin", "http://app.example.com")], Elsewhere);
    }
}
