//! The pages that people see. Templates are ours or the operator's (`--custom-templates-dir`); both are rendered
//! by the same engine with the same variables. Ours carry a strict content security policy; the operator's may hold
//! scripts, so theirs only forbids framing.

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use doorward_core::redirect::SafeRedirect;
use doorward_net::Body;
use doorward_template::{Template, TemplateError, Value};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
};

use crate::{
    gate::Gate,
    ingress::Arrival,
    providers::{Offer, Providers},
    redirects::OwnEndpoints,
    respond,
};

const SIGN_IN: &str = include_str!("../assets/sign_in.html");
const SIGNED_OUT: &str = include_str!("../assets/signed_out.html");
const ERROR: &str = include_str!("../assets/error.html");
const STYLE: &str = include_str!("../assets/style.css");
/// Where the page to return to is not known here (Traefik's errors middleware does not tell) or ends in a fragment
/// (browsers never send those), the browser knows. Without scripts a login then ends on `/`.
const SCRIPT: &str = include_str!("../assets/return.js");
const ROBOTS: &str = include_str!("../assets/robots.txt");

/// What the operator chose to show.
#[derive(Clone, Debug)]
pub struct Config {
    pub prefix: String,
    pub version: String,
    pub provider_name: String,
    pub custom: CustomTemplates,
    /// HTML above the sign-in button; empty for none.
    pub banner: Text,
    /// HTML at the foot of pages; `-` for none, empty for ours.
    pub footer: String,
    pub logo: Logo,
    pub password_form: PasswordForm,
    pub details: ErrorDetails,
}

/// The sources of custom templates.
#[derive(Clone, Debug, Default)]
pub struct CustomTemplates {
    pub sign_in: Option<String>,
    pub error: Option<String>,
    pub robots: Option<String>,
}

/// Text of ours is escaped; the operator's is HTML.
#[derive(Clone, Debug)]
pub enum Text {
    None,
    Plain(String),
    Html(String),
}

#[derive(Clone, Debug)]
pub enum Logo {
    Default,
    None,
    /// A complete `<img>` or `<svg>` element.
    Html(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordForm {
    Shown,
    Hidden,
}

/// `--show-debug-on-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorDetails {
    Shown,
    LogOnly,
}

/// The parsed templates.
#[derive(Debug)]
pub struct Pages {
    config: Config,
    sign_in: Page,
    /// Ours, where the operator's sign-in page does not know that there can be several providers.
    chooser: Option<Page>,
    error: Page,
    signed_out: Page,
    robots: String,
}

#[derive(Debug)]
struct Page {
    template: Template,
    policy: HeaderValue,
}

/// What an error page says.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// One sentence for everybody; empty for the usual one of the status.
    pub message: String,
    /// What went wrong and what the person can do.
    pub explanation: String,
    /// How the operator can mend it.
    pub mend: String,
    /// The internal error, shown only with `--show-debug-on-error`.
    pub debug: String,
    /// Who is signed in, or tried to.
    pub signed_in_as: String,
    /// Where the buttons lead; `None` for the page that the request itself belongs to.
    pub links: Links,
}

/// What the sign-in page says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignInPage<'a> {
    pub(crate) status: StatusCode,
    /// Stands above the password form.
    pub(crate) failed: Option<&'a str>,
    /// Which providers are offered; `None`: those that the page takes to which people are to come back.
    pub(crate) offer: Option<Offer<'a>>,
}

impl SignInPage<'_> {
    pub(crate) const fn new(status: StatusCode) -> Self {
        Self { status, failed: None, offer: None }
    }
}

#[derive(Clone, Debug)]
pub enum Links {
    /// To the return target of the request.
    Usual,
    /// The same, but a new login goes to this page.
    Retry(SafeRedirect),
    /// No buttons: going back or signing in would not help.
    None,
}

impl Problem {
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            message: String::new(),
            explanation: String::new(),
            mend: String::new(),
            debug: String::new(),
            signed_in_as: String::new(),
            links: Links::Usual,
        }
    }
}

impl Pages {
    pub fn new(config: Config) -> Result<Self, TemplateError> {
        let trusted_html =
            matches!(config.banner, Text::Html(_)) || !matches!(config.footer.as_str(), "" | "-");
        Ok(Self {
            sign_in: Page::new(
                "sign_in.html",
                config.custom.sign_in.as_deref(),
                SIGN_IN,
                trusted_html.into(),
            )?,
            chooser: match &config.custom.sign_in {
                Some(custom) if !custom.contains(".Providers") => {
                    Some(Page::new("sign_in.html", None, SIGN_IN, trusted_html.into())?)
                }
                _ => None,
            },
            error: Page::new("error.html", config.custom.error.as_deref(), ERROR, trusted_html.into())?,
            signed_out: Page::new("signed_out.html", None, SIGNED_OUT, trusted_html.into())?,
            robots: config.custom.robots.clone().unwrap_or_else(|| ROBOTS.to_owned()),
            config,
        })
    }

    pub fn robots(&self) -> Response<Body> {
        respond::text_answer(StatusCode::OK, self.robots.clone().into())
    }

    fn message(&self, problem: &Problem) -> String {
        if self.config.details == ErrorDetails::Shown && !problem.debug.is_empty() {
            return problem.debug.clone();
        }
        if !problem.message.is_empty() {
            return problem.message.clone();
        }
        match problem.status {
            StatusCode::FORBIDDEN => "You do not have permission to access this page.",
            StatusCode::UNAUTHORIZED => "You need to sign in to see this page.",
            StatusCode::NOT_FOUND => "There is no such page.",
            StatusCode::SERVICE_UNAVAILABLE => "This page is not available at the moment.",
            _ => {
                "Something went wrong on our side. The log of doorward says more, under the request id below."
            }
        }
        .to_owned()
    }

    fn shared(&self, status: StatusCode, redirect: &str) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("StatusCode", Value::Int(i64::from(status.as_u16()))),
            ("Redirect", Value::from(redirect)),
            ("ProxyPrefix", Value::from(self.config.prefix.as_str())),
            ("Version", Value::from(self.config.version.as_str())),
            ("Footer", Value::Html(self.config.footer.clone())),
            ("Style", Value::Html(STYLE.to_owned())),
            ("Script", Value::Html(SCRIPT.to_owned())),
        ])
    }

    fn banner(&self) -> Value {
        match &self.config.banner {
            Text::None => Value::from(""),
            Text::Plain(text) => Value::from(text.as_str()),
            Text::Html(html) => Value::Html(html.clone()),
        }
    }

    fn logo(&self) -> Value {
        match &self.config.logo {
            Logo::Default => Value::Nil,
            Logo::None => Value::from("-"),
            Logo::Html(html) => Value::Html(html.clone()),
        }
    }
}

impl Gate {
    /// The sign-in page.
    pub(crate) fn sign_in_page(
        &self,
        arrival: &Arrival,
        target: &SafeRedirect,
        asked: SignInPage<'_>,
    ) -> Response<Body> {
        self.sign_in_by(&self.pages.sign_in, arrival, target, asked)
    }

    /// The page on which people choose a provider. A template that knows of one only would lead here again.
    pub(crate) fn chooser(&self, arrival: &Arrival, target: &SafeRedirect) -> Response<Body> {
        let page = self.pages.chooser.as_ref().unwrap_or(&self.pages.sign_in);
        self.sign_in_by(page, arrival, target, SignInPage::new(StatusCode::OK))
    }

    fn sign_in_by(
        &self,
        page: &Page,
        arrival: &Arrival,
        target: &SafeRedirect,
        SignInPage { status, failed, offer }: SignInPage<'_>,
    ) -> Response<Body> {
        let providers = &self.sign_in.providers;
        let offer = offer.unwrap_or_else(|| self.offer_for(arrival, target));
        let pages = &self.pages;
        let form = self.sign_in.htpasswd.is_some() && pages.config.password_form == PasswordForm::Shown;
        let mut vars = pages.shared(status, target.as_str());
        vars.insert("ProviderName", Value::from(pages.config.provider_name.as_str()));
        vars.insert("SignInMessage", pages.banner());
        vars.insert("CustomLogin", Value::Bool(form));
        vars.insert("HasProvider", Value::Bool(!providers.is_empty()));
        vars.insert("Providers", providers_on_page(providers, offer));
        vars.insert("FailedLogin", Value::from(failed.unwrap_or("")));
        vars.insert("LogoData", pages.logo());
        page.respond(arrival, status, vars)
    }

    /// The page for somebody who comes back from signing out at the provider.
    pub fn signed_out_page(&self, arrival: &Arrival) -> Response<Body> {
        let vars = self.pages.shared(StatusCode::OK, "/");
        self.pages.signed_out.respond(arrival, StatusCode::OK, vars)
    }

    /// An error page. The reasons are in the log, under the request id that the page shows.
    pub fn error_page(&self, arrival: &Arrival, problem: &Problem) -> Response<Body> {
        let pages = &self.pages;
        let usual = || {
            let rd = self.wished_target(arrival);
            self.return_target(arrival, rd.as_deref(), OwnEndpoints::Refused).into_string()
        };
        let (redirect, retry) = match &problem.links {
            // The links lead to a login, and where nobody signs in there is none.
            _ if !self.sign_in.is_possible() => (String::new(), String::new()),
            Links::Usual => (usual(), String::new()),
            Links::Retry(retry) => (usual(), retry.as_str().to_owned()),
            Links::None => (String::new(), String::new()),
        };
        let mut vars = pages.shared(problem.status, &redirect);
        vars.insert("Title", Value::from(problem.status.canonical_reason().unwrap_or("Error")));
        vars.insert("Message", Value::from(pages.message(problem)));
        vars.insert("Explanation", Value::from(problem.explanation.as_str()));
        vars.insert("Mend", Value::from(problem.mend.as_str()));
        vars.insert("SignedInAs", Value::from(problem.signed_in_as.as_str()));
        vars.insert("RequestID", Value::from(arrival.request_id.text()));
        vars.insert("Retry", Value::from(retry));
        pages.error.respond(arrival, problem.status, vars)
    }
}

/// Those among whom people choose; none where there is no choice.
fn providers_on_page(providers: &Providers, offer: Offer<'_>) -> Value {
    if !providers.are_several() {
        return Value::List(Vec::new());
    }
    let described = providers.offered(offer).map(|known| {
        let texts = [("ID", &*known.id), ("Name", known.client.display_name())];
        Value::Map(texts.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect())
    });
    Value::List(described.collect())
}

/// Whether a page of ours holds markup that the operator wrote, which may bring its own styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ForeignMarkup {
    Present,
    Absent,
}

impl From<bool> for ForeignMarkup {
    fn from(present: bool) -> Self {
        if present { Self::Present } else { Self::Absent }
    }
}

impl Page {
    fn new(
        name: &str,
        custom: Option<&str>,
        own: &str,
        markup: ForeignMarkup,
    ) -> Result<Self, TemplateError> {
        let policy = match custom {
            Some(_) => "frame-ancestors 'none'".to_owned(),
            None => own_policy(markup),
        };
        Ok(Self {
            template: Template::html(name, custom.unwrap_or(own))?,
            policy: HeaderValue::try_from(policy)
                .unwrap_or(HeaderValue::from_static("frame-ancestors 'none'")),
        })
    }

    fn respond(
        &self,
        arrival: &Arrival,
        status: StatusCode,
        vars: BTreeMap<&'static str, Value>,
    ) -> Response<Body> {
        let vars = Value::Map(vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let html = self.template.render(&vars).unwrap_or_else(|error| {
            tracing::error!("Error rendering a page template: {error}");
            let id = arrival.request_id.text();
            let id = doorward_template::escape_html(&id);
            format!("<!DOCTYPE html><title>{status}</title><p>{status}</p><p>Request ID: {id}</p>")
        });
        let mut response = respond::html(status, html);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        response
    }
}

/// Only our own style and script, by their hashes. There is no `form-action`: browsers apply it to the redirects
/// that follow a form, and the sign-in form ends at the identity provider.
fn own_policy(markup: ForeignMarkup) -> String {
    let style = match markup {
        ForeignMarkup::Absent => format!("'sha256-{}'", digest(STYLE)),
        ForeignMarkup::Present => "'unsafe-inline'".to_owned(),
    };
    format!(
        "default-src 'none'; style-src {style}; script-src 'sha256-{}'; img-src 'self' https: data:; \
         base-uri 'none'; frame-ancestors 'none'",
        digest(SCRIPT)
    )
}

fn digest(text: &str) -> String {
    STANDARD.encode_to_string(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

/// A page for requests that could not even be parsed; nothing of the request is repeated in it.
pub fn malformed(status: StatusCode, reason: &'static str) -> Response<Body> {
    let mut response = respond::text_answer(status, format!("{status}: {reason}\n").into());
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // What follows on the connection may be more of the same: after a refused CONNECT, for one, a client may take it for
    // a tunnel. HTTP/2 has no such header, and there only the one stream is lost.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Makes a browser go on by itself: used where a new login is all that is needed.
pub fn with_refresh(mut response: Response<Body>, location: &str) -> Response<Body> {
    const REFRESH: HeaderName = HeaderName::from_static("refresh");
    if let Ok(value) = HeaderValue::try_from(format!("0; url={location}")) {
        response.headers_mut().insert(REFRESH, value);
    }
    response
}
