//! The pages that people see. They look like those of the proxy, need no scripts, and load nothing but one style sheet
//! of ours. Every value is escaped by the template engine.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64_simd::STANDARD;
use doorward_core::SecretString;
use doorward_template::{
    TemplateError, Tile, Value,
    words::{Language, Message, OwnPage, PageLanguage, Words},
};
use http::{
    HeaderValue, StatusCode,
    header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY},
};

use crate::{
    answer,
    call::{Answer, Call},
    config::Config,
    cookies::{Browser, NewCookie},
};

/// Adds what all pages share.
macro_rules! page {
    ($name:literal) => {
        OwnPage::new(
            $name,
            concat!(include_str!("../assets/layout.html"), include_str!(concat!("../assets/", $name))),
        )
    };
}

const STYLE: &str =
    concat!(include_str!("../../doorward-server/assets/style.css"), include_str!("../assets/more.css"));
/// Sends the form of the one page that has only a button to press. Without scripts somebody presses it.
const SUBMIT: &str = "document.forms[0].submit()";

/// The parsed templates.
#[derive(Debug)]
pub(crate) struct Pages {
    login: OwnPage,
    choose: OwnPage,
    consent: OwnPage,
    token_button: OwnPage,
    token: OwnPage,
    logout: OwnPage,
    notice: OwnPage,
    form_post: OwnPage,
    /// The address of the style sheet.
    style: String,
    language: PageLanguage,
}

/// The pages in the language of one reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spoken<'a> {
    pages: &'a Pages,
    language: Language,
}

/// The form for user name and password.
#[derive(Debug)]
pub(crate) struct LoginPage<'a> {
    /// The name of the provider; empty where there is only one.
    pub(crate) provider: &'a str,
    /// The client that asks; empty: none does.
    pub(crate) client: &'a str,
    /// Why the last try failed.
    pub(crate) failed: Option<Message>,
    pub(crate) username: &'a str,
    pub(crate) action: &'a str,
    pub(crate) then: &'a str,
    /// Where to choose another provider; empty: there is none.
    pub(crate) another: &'a str,
    pub(crate) browser: &'a Browser,
    /// Where the form ends, for the policy; empty: here.
    pub(crate) form_target: &'a str,
}

/// The choice of a provider.
#[derive(Debug)]
pub(crate) struct ChoicePage<'a> {
    pub(crate) client: &'a str,
    /// Names and addresses.
    pub(crate) providers: Vec<(&'a str, String)>,
}

/// The question whether a client may have what it asks for.
#[derive(Debug)]
pub(crate) struct ConsentPage<'a> {
    pub(crate) client: &'a str,
    pub(crate) place: &'a str,
    pub(crate) user: &'a str,
    pub(crate) scopes: Vec<ConsentScope>,
    /// What was allowed before.
    pub(crate) known: Vec<&'a str>,
    pub(crate) action: &'a str,
    pub(crate) interaction: &'a SecretString,
    pub(crate) browser: &'a Browser,
    pub(crate) form_target: &'a str,
}

#[derive(Debug)]
pub(crate) struct ConsentScope {
    /// The name of its box in the form.
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) description: Words,
    pub(crate) warning: Words,
}

/// The button before a token is shown.
#[derive(Debug)]
pub(crate) struct TokenButtonPage<'a> {
    pub(crate) action: &'a str,
    pub(crate) code: &'a SecretString,
    pub(crate) state: &'a SecretString,
    pub(crate) browser: &'a Browser,
}

/// A token, shown.
#[derive(Debug)]
pub(crate) struct TokenPage<'a> {
    pub(crate) token: &'a SecretString,
    /// How long it lasts; `None`: for ever.
    pub(crate) expires: Option<Words>,
    pub(crate) login: SecretString,
    pub(crate) curl: SecretString,
    pub(crate) again: &'a str,
}

/// The question whether to sign out.
#[derive(Debug)]
pub(crate) struct LogoutPage<'a> {
    /// Who is signed in; empty: nobody.
    pub(crate) user: &'a str,
    pub(crate) action: &'a str,
    /// Names and values to send along.
    pub(crate) fields: Vec<(&'a str, &'a str)>,
    pub(crate) browser: &'a Browser,
    /// Where the form ends, for the policy; empty: here.
    pub(crate) form_target: &'a str,
}

/// An error, or another message that ends something.
#[derive(Debug)]
pub(crate) struct Notice {
    /// 200: it is no error.
    pub(crate) status: StatusCode,
    pub(crate) heading: Message,
    pub(crate) message: Words,
    /// What the person can do; may be empty.
    pub(crate) explanation: Words,
    /// What the operator can do; may be empty.
    pub(crate) mend: Words,
    /// Texts and addresses.
    pub(crate) links: Vec<(Message, String)>,
}

impl Notice {
    /// A message without anything that could be done about it.
    pub(crate) fn new(status: StatusCode, heading: Message, message: impl Into<Words>) -> Self {
        let message = message.into();
        Self { status, heading, message, explanation: Words::None, mend: Words::None, links: Vec::new() }
    }
}

impl Pages {
    /// Reads our own templates. That they can be read is a matter of tests.
    pub(crate) fn new(config: &Config) -> Result<Self, TemplateError> {
        // What the sheet says is part of its address, so that browsers ask again when it changes.
        let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
        let version =
            base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash.as_ref().get(..6).unwrap_or_default());
        Ok(Self {
            login: page!("login.html")?,
            choose: page!("choose.html")?,
            consent: page!("consent.html")?,
            token_button: page!("token_button.html")?,
            token: page!("token.html")?,
            logout: page!("logout.html")?,
            notice: page!("notice.html")?,
            form_post: page!("form_post.html")?,
            style: format!("{}/oauth/style.css?v={version}", config.issuer.path()),
            language: config.page_language,
        })
    }

    /// The style sheet.
    pub(crate) fn style() -> Answer {
        let mut sheet = answer::text(StatusCode::OK, STYLE);
        sheet.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
        answer::cacheable(sheet)
    }

    /// The pages for whoever sent this request.
    pub(crate) fn to(&self, call: &Call) -> Spoken<'_> {
        let lines = call.headers.get_all(ACCEPT_LANGUAGE).iter();
        Spoken { pages: self, language: self.language.of(lines.filter_map(|line| line.to_str().ok())) }
    }
}

impl Spoken<'_> {
    fn say(&self, words: impl Into<Words>) -> Value {
        words.into().in_html(self.language)
    }

    fn title(&self, message: Message) -> Value {
        Value::from(message.text(self.language))
    }

    /// What an application is called that somebody signs in for; nothing where none asks.
    fn continuing(&self, client: &str) -> Value {
        if client.is_empty() {
            return Value::from("");
        }
        self.say(Words::from(Message::ToContinueTo).with_strong("client", client))
    }

    pub(crate) fn login(&self, page: &LoginPage<'_>) -> Answer {
        let vars = [
            ("Title", self.title(Message::SignIn)),
            ("Provider", Value::from(page.provider)),
            ("ToContinue", self.continuing(page.client)),
            ("Failed", self.say(page.failed.map_or(Words::None, Words::from))),
            ("Username", Value::from(page.username)),
            ("Action", Value::from(page.action)),
            ("Then", Value::from(page.then)),
            ("Another", Value::from(page.another)),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.pages.login, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn choice(&self, page: ChoicePage<'_>) -> Answer {
        let provider = |(name, address)| {
            let tile = Tile::of(name);
            map([
                ("Name", Value::from(name)),
                ("Address", Value::from(address)),
                ("Letter", Value::from(tile.letter)),
                ("Tile", Value::from(tile.class)),
            ])
        };
        let vars = [
            ("Title", self.title(Message::SignIn)),
            ("ToContinue", self.continuing(page.client)),
            ("Providers", Value::List(page.providers.into_iter().map(provider).collect())),
        ];
        self.show(&self.pages.choose, StatusCode::OK, vars)
    }

    pub(crate) fn consent(&self, page: ConsentPage<'_>) -> Answer {
        let scope = |scope: ConsentScope| {
            map([
                ("Field", Value::from(scope.field)),
                ("Name", Value::from(scope.name)),
                ("Description", self.say(scope.description)),
                ("Warning", self.say(scope.warning)),
            ])
        };
        let asks = if page.client == page.place {
            Words::from(Message::ClientAsks)
        } else {
            Words::from(Message::ClientAtPlaceAsks).with_strong("place", page.place)
        };
        let asks = asks.with_strong("client", page.client).with_strong("user", page.user);
        let vars = [
            ("Title", self.title(Message::AllowAccess)),
            ("Wide", Value::Bool(true)),
            ("Allow", self.say(Words::from(Message::AllowClient).with("client", page.client))),
            ("Asks", self.say(asks)),
            ("SignedInAs", self.say(Words::from(Message::SignedInAs).with("user", page.user))),
            ("Scopes", Value::List(page.scopes.into_iter().map(scope).collect())),
            ("Known", Value::List(page.known.into_iter().map(Value::from).collect())),
            ("Action", Value::from(page.action)),
            ("Interaction", Value::from(page.interaction.expose().as_str())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.pages.consent, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn token_button(&self, page: &TokenButtonPage<'_>) -> Answer {
        let vars = [
            ("Title", self.title(Message::YourToken)),
            ("Action", Value::from(page.action)),
            ("Code", Value::from(page.code.expose().as_str())),
            ("State", Value::from(page.state.expose().as_str())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        with_browser(self.show(&self.pages.token_button, StatusCode::OK, vars), page.browser)
    }

    pub(crate) fn token(&self, page: &TokenPage<'_>) -> Answer {
        let expires = match &page.expires {
            Some(time) => Words::from(Message::ExpiresIn).with("time", time.in_text(self.language)),
            None => Message::DoesNotExpire.into(),
        };
        let vars = [
            ("Title", self.title(Message::YourToken)),
            ("Wide", Value::Bool(true)),
            ("Token", Value::from(page.token.expose().as_str())),
            ("Expires", self.say(expires)),
            ("Login", Value::from(page.login.expose().as_str())),
            ("Curl", Value::from(page.curl.expose().as_str())),
            ("Again", Value::from(page.again)),
        ];
        self.show(&self.pages.token, StatusCode::OK, vars)
    }

    pub(crate) fn logout(&self, page: &LogoutPage<'_>) -> Answer {
        let field = |(name, value): &(&str, &str)| {
            map([("Name", Value::from(*name)), ("Value", Value::from(*value))])
        };
        let vars = [
            ("Title", self.title(Message::SignOutQuestion)),
            ("User", Value::from(page.user)),
            (
                "YouAreSignedInAs",
                self.say(Words::from(Message::YouAreSignedInAs).with_strong("user", page.user)),
            ),
            ("SignedInAs", self.say(Words::from(Message::SignedInAs).with("user", page.user))),
            ("Action", Value::from(page.action)),
            ("Fields", Value::List(page.fields.iter().map(field).collect())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.pages.logout, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn notice(&self, notice: Notice) -> Answer {
        let link = |(text, address)| map([("Text", self.title(text)), ("Address", Value::from(address))]);
        let status = if notice.status.is_success() { 0 } else { i64::from(notice.status.as_u16()) };
        let vars = [
            ("Title", self.title(notice.heading)),
            ("Wide", Value::Bool(true)),
            ("Status", Value::Int(status)),
            ("Heading", self.title(notice.heading)),
            ("Message", self.say(notice.message)),
            ("Explanation", self.say(notice.explanation)),
            ("Mend", self.say(notice.mend)),
            ("Links", Value::List(notice.links.into_iter().map(link).collect())),
        ];
        self.show(&self.pages.notice, notice.status, vars)
    }

    /// Carries `fields` to `action`, an address of the client; `target` is that address for the policy.
    pub(crate) fn form_post(&self, action: &str, fields: &[(String, SecretString)], target: &str) -> Answer {
        let field = |(name, value): &(String, SecretString)| {
            map([("Name", Value::from(name.as_str())), ("Value", Value::from(value.expose().as_str()))])
        };
        let vars = [
            ("Title", self.title(Message::SignedIn)),
            ("Action", Value::from(action)),
            ("Fields", Value::List(fields.iter().map(field).collect())),
            ("Script", Value::Html(SUBMIT.to_owned())),
        ];
        let mut shown = self.show(&self.pages.form_post, StatusCode::OK, vars);
        let hash = STANDARD.encode_to_string(digest::digest(&digest::SHA256, SUBMIT.as_bytes()));
        let policy = format!("{}; script-src 'sha256-{hash}'", answer::policy_with_form_target(target));
        answer::set(&mut shown, CONTENT_SECURITY_POLICY, &policy);
        shown
    }

    fn show<const N: usize>(&self, page: &OwnPage, status: StatusCode, vars: [(&str, Value); N]) -> Answer {
        let mut vars: BTreeMap<String, Value> =
            vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        vars.insert("Style".to_owned(), Value::from(self.pages.style.as_str()));
        vars.insert(
            "GuardedBy".to_owned(),
            self.say(Words::from(Message::GuardedBy).with("product", "doorward")),
        );
        match page.render(self.language, vars) {
            Ok(html) => {
                let mut shown = answer::html(status, html);
                let headers = shown.headers_mut();
                headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.language.tag()));
                if self.pages.language == PageLanguage::Asked {
                    headers.append(VARY, HeaderValue::from_static("Accept-Language"));
                }
                shown
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be made");
                answer::text(StatusCode::INTERNAL_SERVER_ERROR, "This page could not be made.\n")
            }
        }
    }
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Map(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Gives the browser its cookie, if it has none.
pub(crate) fn with_browser(mut answer: Answer, browser: &Browser) -> Answer {
    if let NewCookie::Set(cookie) = &browser.cookie {
        answer.headers_mut().append(http::header::SET_COOKIE, cookie.clone());
    }
    answer
}

/// Browsers stop a redirect that follows a form and leads to a place that the policy does not name.
fn with_form_target(mut answer: Answer, target: &str) -> Answer {
    if !target.is_empty() {
        let policy = answer::policy_with_form_target(target);
        answer::set(&mut answer, CONTENT_SECURITY_POLICY, &policy);
    }
    answer
}
