//! Who reads the answer: a person, or a program. Pages and redirects are for people, JSON for programs. This is the one
//! place that reads Fetch Metadata; docs/api-clients.md tells the rule.

use doorward_core::redirect::SafeRedirect;
use doorward_net::Body;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, REFERER, USER_AGENT, WWW_AUTHENTICATE},
};
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::{
    gate::{Gate, JsonErrors, LoginsFor, ProviderButton},
    ingress::Arrival,
    redirects::{self, OwnEndpoints},
    respond,
};

/// Where a person can sign in, for programs and for proxies that show pages of their own.
const X_LOGIN_URL: HeaderName = HeaderName::from_static("x-login-url");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"proxy\"");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Person,
    Program(Sign),
}

/// By what a program is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A script, picture or the like of a page: it says so itself, or its browser does.
    PartOfPage,
    /// A browser asks whether a script of another origin may send a request (Fetch standard, section 3.3).
    Preflight,
    /// It takes other forms of an answer, and no page.
    TakesNoPage,
    /// `--api-route`, `--force-json-errors`.
    Configured,
    /// It takes JSON, in whatever order.
    TakesJson,
}

impl Sign {
    /// oauth2-proxy knows them by this too, and its answer to them is an empty object.
    const fn is_of_reference(self) -> bool {
        matches!(self, Self::Configured | Self::TakesJson)
    }
}

/// What a browser says of why it sends a request (Fetch Metadata). Programs say nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch<'a>(&'a HeaderMap);

impl<'a> Fetch<'a> {
    pub(crate) const fn of(headers: &'a HeaderMap) -> Self {
        Self(headers)
    }

    /// Whether a page, or a script of it, loads this and goes on existing: no navigation, of which the answer is shown.
    pub(crate) fn is_part_of_page(self) -> bool {
        match (self.0.get("sec-fetch-mode"), self.0.get("sec-fetch-dest")) {
            (Some(mode), _) => mode != "navigate",
            (None, Some(to)) => !matches!(to.as_bytes(), b"document" | b"iframe" | b"frame"),
            (None, None) => false,
        }
    }

    /// Where the page stands that led here: `same-origin`, `same-site`, `cross-site`, or `none` for the person.
    pub(crate) fn site(self) -> Option<&'a [u8]> {
        self.0.get("sec-fetch-site").map(HeaderValue::as_bytes)
    }

    /// Whether a page of another site led here.
    pub(crate) fn is_from_another_site(self) -> bool {
        self.0.get_all("sec-fetch-site").iter().any(|site| site == "cross-site")
    }
}

/// Who asks, by what the request says of itself.
fn asker(headers: &HeaderMap, method: &Method) -> Asker {
    let is = |name: &HeaderName, text: &str| {
        headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(text.as_bytes()))
    };
    let is_script = is(&HeaderName::from_static("x-requested-with"), "XMLHttpRequest");
    let is_preflight = *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if is_preflight {
        Asker::Program(Sign::Preflight)
    } else if is_script || Fetch::of(headers).is_part_of_page() {
        Asker::Program(Sign::PartOfPage)
    } else if takes_no_page(headers) {
        Asker::Program(Sign::TakesNoPage)
    } else {
        Asker::Person
    }
}

/// The kinds of content that `Accept` names, without their parameters.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let media =
        lines.flat_map(|line| line.split(',')).map(|item| item.split(';').next().unwrap_or("").trim());
    media.filter(|media| !media.is_empty())
}

pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    accepted(headers).any(|media| media.eq_ignore_ascii_case("application/json"))
}

/// Whether `Accept` asks for a page. Whoever takes anything does so if it says that it is a browser.
pub(crate) fn takes_page(headers: &HeaderMap) -> bool {
    let is_page = |media: &str| {
        ["text/html", "application/xhtml+xml"].iter().any(|page| media.eq_ignore_ascii_case(page))
    };
    if accepted(headers).any(is_page) {
        return true;
    }
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted(headers).all(|media| media == "*/*") && agent.starts_with("Mozilla")
}

/// Browsers name the forms that they take whenever the answer is to be shown. Whoever names none is asked nothing here: it
/// may be a probe that was made for oauth2-proxy.
fn takes_no_page(headers: &HeaderMap) -> bool {
    accepted(headers).next().is_some() && !takes_page(headers)
}

impl Gate {
    /// Who reads the answer to this request.
    pub(crate) fn asker(&self, arrival: &Arrival) -> Asker {
        let by_itself = match self.access.logins_for {
            LoginsFor::Pages => asker(arrival.headers(), &arrival.facts.method),
            LoginsFor::AnyRequest => Asker::Person,
        };
        let is_configured = || {
            self.access.json_errors == JsonErrors::Always
                || self.access.api_routes.matches(arrival.facts.judged().path_and_query())
        };
        match by_itself {
            Asker::Program(Sign::PartOfPage | Sign::Preflight) => by_itself,
            _ if is_configured() => Asker::Program(Sign::Configured),
            _ if takes_json(arrival.headers()) => Asker::Program(Sign::TakesJson),
            _ => by_itself,
        }
    }

    /// Programs get JSON instead of pages and redirects.
    pub(crate) fn wants_json(&self, arrival: &Arrival) -> bool {
        self.asker(arrival) != Asker::Person
    }

    /// Where the person can sign in for whom a program asks. A script's own address is nowhere to return to: its page is.
    fn login_url(&self, arrival: &Arrival) -> Option<String> {
        if !self.sign_in.is_possible() {
            return None;
        }
        let skips = self.sign_in.button == ProviderButton::Skipped && self.sign_in.providers.only().is_some();
        let endpoint = if skips { "start" } else { "sign_in" };
        let own = self.redirects.redirect_uri.for_request(&arrival.facts);
        let origin = Url::parse(&own).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let target = match self.asker(arrival) {
            Asker::Program(Sign::PartOfPage | Sign::Preflight) => self.page_of(arrival, &origin),
            _ => self.return_target(arrival, self.wished_target(arrival).as_deref(), OwnEndpoints::Refused),
        };
        let rd: String = form_urlencoded::byte_serialize(target.as_str().as_bytes()).collect();
        Some(format!("{origin}{}/{endpoint}?rd={rd}", self.routes.prefix))
    }

    /// The page that a script belongs to, if a login may lead there.
    fn page_of(&self, arrival: &Arrival, origin: &str) -> SafeRedirect {
        let page = arrival.headers().get(REFERER).and_then(|page| page.to_str().ok());
        let page = page.and_then(|page| Url::parse(page).ok());
        let candidate = page.map(|page| {
            if page.origin().ascii_serialization() == origin {
                page[url::Position::BeforePath..url::Position::AfterQuery].to_owned()
            } else {
                page.to_string()
            }
        });
        candidate
            .and_then(|page| redirects::accept(&self.redirects, &self.routes, &page, OwnEndpoints::Refused))
            .unwrap_or_else(SafeRedirect::root)
    }

    /// Nobody is signed in, for a program: what oauth2-proxy answers, and where a person can sign in.
    pub(crate) fn sign_in_needed(&self, arrival: &Arrival) -> Response<Body> {
        let is_of_reference = matches!(self.asker(arrival), Asker::Program(sign) if sign.is_of_reference());
        let content = if is_of_reference {
            "{}".to_owned()
        } else {
            let url = self.login_url(arrival);
            json!({ "error": "login_required", "message": "Nobody is signed in.", "login_url": url })
                .to_string()
        };
        let response = respond::json(StatusCode::UNAUTHORIZED, content.into());
        self.tell_tokens(self.tell_login(response, arrival))
    }

    /// The same to the question of a proxy, which may show it.
    pub(crate) fn sign_in_needed_behind(&self, arrival: &Arrival) -> Response<Body> {
        match self.asker(arrival) {
            Asker::Program(sign) if !sign.is_of_reference() => self.sign_in_needed(arrival),
            _ => self.tell_tokens(self.tell_login(respond::unauthorized(), arrival)),
        }
    }

    /// Says in a header where a person can sign in.
    pub(crate) fn tell_login(&self, mut response: Response<Body>, arrival: &Arrival) -> Response<Body> {
        let is_told = self.access.logins_for == LoginsFor::Pages;
        let url = is_told.then(|| self.login_url(arrival)).flatten();
        if let Some(url) = url.and_then(|url| HeaderValue::try_from(url).ok()) {
            response.headers_mut().insert(X_LOGIN_URL, url);
        }
        response
    }

    /// Says that tokens are taken, where they are (RFC 6750 section 3).
    fn tell_tokens(&self, mut response: Response<Body>) -> Response<Body> {
        if self.sign_in.bearer.is_some() && self.access.logins_for == LoginsFor::Pages {
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIREFOX: &str = "Mozilla/5.0";
    const PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn whoever_shows_the_answer_is_a_person_and_everything_else_a_program() {
        use Sign::{PartOfPage, Preflight, TakesNoPage};
        let program = |sign| Asker::Program(sign);
        for (method, lines, expected) in [
            ("GET", &[("accept", PAGES), ("user-agent", FIREFOX)][..], Asker::Person),
            ("GET", &[("accept", PAGES), ("sec-fetch-mode", "navigate")], Asker::Person),
            ("GET", &[("accept", "*/*"), ("user-agent", FIREFOX)], Asker::Person),
            ("GET", &[("accept", "text/html"), ("user-agent", "curl/8")], Asker::Person),
            ("GET", &[], Asker::Person),
            ("POST", &[("accept", PAGES)], Asker::Person),
            ("GET", &[("sec-fetch-dest", "iframe")], Asker::Person),
            ("OPTIONS", &[], Asker::Person),
            ("GET", &[("accept", PAGES), ("sec-fetch-mode", "cors")], program(PartOfPage)),
            ("GET", &[("accept", PAGES), ("sec-fetch-mode", "no-cors")], program(PartOfPage)),
            ("GET", &[("sec-fetch-dest", "image")], program(PartOfPage)),
            ("GET", &[("x-requested-with", "xmlhttprequest")], program(PartOfPage)),
            ("GET", &[("sec-fetch-mode", "websocket")], program(PartOfPage)),
            ("GET", &[("accept", "*/*"), ("user-agent", "curl/8")], program(TakesNoPage)),
            ("GET", &[("accept", "*/*")], program(TakesNoPage)),
            ("GET", &[("accept", "image/png"), ("user-agent", FIREFOX)], program(TakesNoPage)),
            ("GET", &[("accept", "application/xml")], program(TakesNoPage)),
            (
                "OPTIONS",
                &[("origin", "https://a.example"), ("access-control-request-method", "PUT")],
                program(Preflight),
            ),
        ] {
            let found = asker(&headers(lines), &Method::from_bytes(method.as_bytes()).unwrap());
            assert_eq!(found, expected, "{method} {lines:?}");
        }
    }

    #[test]
    fn json_is_known_by_its_name_alone() {
        for (accept, expected) in [
            ("application/json", true),
            ("text/html, application/json;q=0.1", true),
            ("Application/JSON", true),
            ("application/jsonp", false),
            ("*/*", false),
        ] {
            assert_eq!(takes_json(&headers(&[("accept", accept)])), expected, "{accept}");
        }
    }
}
