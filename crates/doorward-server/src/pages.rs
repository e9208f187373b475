//! The pages that people see. Templates are ours or the operator's (`--custom-templates-dir`); both are rendered
//! by the same engine with the same variables. Ours speak the reader's language and carry a strict content security
//! policy; the operator's may hold scripts, so theirs only forbids framing, and get English words.

use std::collections::BTreeMap;

use base64_simd::STANDARD;
use doorward_core::redirect::SafeRedirect;
use doorward_net::Body;
use doorward_oidc::AccountChoice;
use doorward_template::{
    RenderError, Template, TemplateError, Tile, Value,
    words::{Language, Message, OwnPage, PageLanguage, Words},
};
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCEPT_LANGUAGE, CONNECTION, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
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
    pub language: PageLanguage,
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
    Plain(Words),
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
    look: Look,
    policy: HeaderValue,
    language: PageLanguage,
}

#[derive(Debug)]
enum Look {
    Own(OwnPage),
    Custom(Template),
}

/// How a page speaks to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Own(Language),
    /// English text, which the operator's template escapes.
    Custom,
}

/// What an error page says.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// One sentence for everybody; none for the usual one of the status.
    pub message: Words,
    /// What went wrong and what the person can do.
    pub explanation: Words,
    /// How the operator can mend it.
    pub mend: Words,
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
    pub(crate) failed: Option<Message>,
    /// Which providers are offered; `None`: those that the page takes to which people are to come back.
    pub(crate) offer: Option<Offer<'a>>,
    /// What a login that begins here asks of the provider.
    pub(crate) account: AccountChoice,
}

impl SignInPage<'_> {
    pub(crate) const fn new(status: StatusCode) -> Self {
        Self { status, failed: None, offer: None, account: AccountChoice::Any }
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
            message: Words::None,
            explanation: Words::None,
            mend: Words::None,
            debug: String::new(),
            signed_in_as: String::new(),
            links: Links::Usual,
        }
    }
}

impl Pages {
    pub fn new(config: Config) -> Result<Self, TemplateError> {
        Ok(Self {
            sign_in: Page::new("sign_in.html", config.custom.sign_in.as_deref(), SIGN_IN, &config)?,
            chooser: match &config.custom.sign_in {
                Some(custom) if !custom.contains(".Providers") => {
                    Some(Page::new("sign_in.html", None, SIGN_IN, &config)?)
                }
                _ => None,
            },
            error: Page::new("error.html", config.custom.error.as_deref(), ERROR, &config)?,
            signed_out: Page::new("signed_out.html", None, SIGNED_OUT, &config)?,
            robots: config.custom.robots.clone().unwrap_or_else(|| ROBOTS.to_owned()),
            config,
        })
    }

    pub fn robots(&self) -> Response<Body> {
        respond::text_answer(StatusCode::OK, self.robots.clone().into())
    }

    fn message(&self, problem: &Problem) -> Words {
        if self.config.details == ErrorDetails::Shown && !problem.debug.is_empty() {
            return Words::english(problem.debug.clone());
        }
        if !problem.message.is_empty() {
            return problem.message.clone();
        }
        Words::from(match problem.status {
            StatusCode::FORBIDDEN => Message::NoPermission,
            StatusCode::UNAUTHORIZED => Message::SignInNeeded,
            StatusCode::NOT_FOUND => Message::NoSuchPage,
            StatusCode::SERVICE_UNAVAILABLE => Message::PageNotAvailable,
            _ => Message::WentWrong,
        })
    }

    fn shared(&self, voice: Voice, status: StatusCode, redirect: &str) -> BTreeMap<&'static str, Value> {
        let product = if self.config.version.is_empty() {
            "doorward"
        } else {
            &format!("doorward {}", self.config.version)
        };
        BTreeMap::from([
            ("GuardedBy", voice.say(&Words::from(Message::GuardedBy).with("product", product))),
            ("StatusCode", Value::Int(i64::from(status.as_u16()))),
            ("Redirect", Value::from(redirect)),
            ("ProxyPrefix", Value::from(self.config.prefix.as_str())),
            ("Version", Value::from(self.config.version.as_str())),
            ("Footer", Value::Html(self.config.footer.clone())),
            ("Style", Value::Html(STYLE.to_owned())),
            ("Script", Value::Html(SCRIPT.to_owned())),
        ])
    }

    fn banner(&self, voice: Voice) -> Value {
        match &self.config.banner {
            Text::None => Value::from(""),
            Text::Plain(words) => voice.say(words),
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
    pub(crate) fn chooser(
        &self,
        arrival: &Arrival,
        target: &SafeRedirect,
        account: AccountChoice,
    ) -> Response<Body> {
        let page = self.pages.chooser.as_ref().unwrap_or(&self.pages.sign_in);
        self.sign_in_by(page, arrival, target, SignInPage { account, ..SignInPage::new(StatusCode::OK) })
    }

    fn sign_in_by(
        &self,
        page: &Page,
        arrival: &Arrival,
        target: &SafeRedirect,
        SignInPage { status, failed, offer, account }: SignInPage<'_>,
    ) -> Response<Body> {
        let providers = &self.sign_in.providers;
        let offer = offer.unwrap_or_else(|| self.offer_for(arrival, target));
        let pages = &self.pages;
        let voice = page.voice(arrival);
        let form = self.sign_in.htpasswd.is_some() && pages.config.password_form == PasswordForm::Shown;
        let name = pages.config.provider_name.as_str();
        let mut vars = pages.shared(voice, status, target.as_str());
        vars.insert("ProviderName", Value::from(name));
        vars.insert("SignInWith", voice.say(&Words::from(Message::SignInWith).with("provider", name)));
        vars.insert("SignInMessage", pages.banner(voice));
        vars.insert("CustomLogin", Value::Bool(form));
        vars.insert("HasProvider", Value::Bool(!providers.is_empty()));
        vars.insert("Providers", providers_on_page(voice, providers, offer));
        vars.insert("AnotherAccount", Value::Bool(account == AccountChoice::Another));
        vars.insert("FailedLogin", voice.say(&failed.map_or(Words::None, Words::from)));
        vars.insert("LogoData", pages.logo());
        page.respond(arrival, status, vars)
    }

    /// The page for somebody who comes back from signing out at the provider.
    pub fn signed_out_page(&self, arrival: &Arrival) -> Response<Body> {
        let vars = self.pages.shared(self.pages.signed_out.voice(arrival), StatusCode::OK, "/");
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
        let voice = pages.error.voice(arrival);
        let user = problem.signed_in_as.as_str();
        let id = arrival.request_id.text();
        let mut vars = pages.shared(voice, problem.status, &redirect);
        vars.insert("Title", Value::from(title(problem.status).in_text(voice.language())));
        vars.insert("Message", voice.say(&pages.message(problem)));
        vars.insert("Explanation", voice.say(&problem.explanation));
        vars.insert("Mend", voice.say(&problem.mend));
        vars.insert("SignedInAs", Value::from(user));
        let words = Words::from(Message::YouAreSignedInAs).with_strong("user", user);
        vars.insert("YouAreSignedInAs", voice.say(&words));
        vars.insert("RequestLine", voice.say(&Words::from(Message::RequestId).with("id", id.as_str())));
        vars.insert("RequestID", Value::from(id));
        vars.insert("Retry", Value::from(retry));
        pages.error.respond(arrival, problem.status, vars)
    }
}

/// Those among whom people choose; none where there is no choice.
fn providers_on_page(voice: Voice, providers: &Providers, offer: Offer<'_>) -> Value {
    if !providers.are_several() {
        return Value::List(Vec::new());
    }
    let described = providers.offered(offer).map(|known| {
        let name = known.client.display_name();
        let tile = Tile::of(name);
        Value::from([
            ("ID", Value::from(&*known.id)),
            ("Name", Value::from(name)),
            ("SignInWith", voice.say(&Words::from(Message::SignInWith).with("provider", name))),
            ("Letter", Value::from(tile.letter)),
            ("Tile", Value::from(tile.class)),
        ])
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

/// The heading for a status: in English the words of the standard.
fn title(status: StatusCode) -> Words {
    Words::from(match status {
        StatusCode::BAD_REQUEST => Message::BadRequest,
        StatusCode::UNAUTHORIZED => Message::Unauthorized,
        StatusCode::FORBIDDEN => Message::Forbidden,
        StatusCode::NOT_FOUND => Message::NotFound,
        StatusCode::REQUEST_TIMEOUT => Message::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => Message::PayloadTooLarge,
        StatusCode::TOO_MANY_REQUESTS => Message::TooManyRequests,
        StatusCode::INTERNAL_SERVER_ERROR => Message::InternalServerError,
        StatusCode::BAD_GATEWAY => Message::BadGateway,
        StatusCode::SERVICE_UNAVAILABLE => Message::ServiceUnavailable,
        StatusCode::GATEWAY_TIMEOUT => Message::GatewayTimeout,
        other => return Words::english(other.canonical_reason().unwrap_or("Error")),
    })
}

impl Voice {
    const fn language(self) -> Language {
        match self {
            Self::Own(language) => language,
            Self::Custom => Language::English,
        }
    }

    fn say(self, words: &Words) -> Value {
        match self {
            Self::Own(language) => words.in_html(language),
            Self::Custom => Value::from(words.in_text(Language::English)),
        }
    }
}

impl Page {
    fn new(name: &str, custom: Option<&str>, own: &str, config: &Config) -> Result<Self, TemplateError> {
        let trusted_html =
            matches!(config.banner, Text::Html(_)) || !matches!(config.footer.as_str(), "" | "-");
        let (look, policy) = match custom {
            Some(custom) => {
                (Look::Custom(Template::html(name, custom)?), "frame-ancestors 'none'".to_owned())
            }
            None => (Look::Own(OwnPage::new(name, own)?), own_policy(trusted_html.into())),
        };
        let policy =
            HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("frame-ancestors 'none'"));
        Ok(Self { look, policy, language: config.language })
    }

    /// How it speaks to whoever sent this request.
    fn voice(&self, arrival: &Arrival) -> Voice {
        let lines = arrival.headers().get_all(ACCEPT_LANGUAGE).iter();
        match self.look {
            Look::Own(_) => Voice::Own(self.language.of(lines.filter_map(|line| line.to_str().ok()))),
            Look::Custom(_) => Voice::Custom,
        }
    }

    fn render(&self, voice: Voice, vars: BTreeMap<&'static str, Value>) -> Result<String, RenderError> {
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        match &self.look {
            Look::Own(page) => page.render(voice.language(), vars),
            Look::Custom(template) => template.render(&Value::Map(vars)),
        }
    }

    fn respond(
        &self,
        arrival: &Arrival,
        status: StatusCode,
        vars: BTreeMap<&'static str, Value>,
    ) -> Response<Body> {
        let voice = self.voice(arrival);
        let html = self.render(voice, vars).unwrap_or_else(|error| {
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
        if let Voice::Own(language) = voice {
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
            if self.language == PageLanguage::Asked {
                headers.append(VARY, HeaderValue::from_static("Accept-Language"));
            }
        }
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
