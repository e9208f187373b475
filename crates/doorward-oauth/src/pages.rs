//! The pages that people see. They look like those of the proxy, need no scripts, and load nothing but one style sheet
//! of ours. Every value is escaped by the template engine.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64_simd::STANDARD;
use doorward_core::SecretString;
use doorward_template::{Template, TemplateError, Value};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use crate::{
    answer,
    call::Answer,
    config::Config,
    cookies::{Browser, NewCookie},
};

/// Adds what all pages share.
macro_rules! page {
    ($name:literal) => {
        Template::html(
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
    login: Template,
    choose: Template,
    consent: Template,
    token_button: Template,
    token: Template,
    logout: Template,
    notice: Template,
    form_post: Template,
    /// The address of the style sheet.
    style: String,
}

/// The form for user name and password.
#[derive(Debug)]
pub(crate) struct LoginPage<'a> {
    /// The name of the provider; empty where there is only one.
    pub(crate) provider: &'a str,
    /// The client that asks; empty: none does.
    pub(crate) client: &'a str,
    /// Why the last try failed; empty: there was none.
    pub(crate) failed: &'a str,
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
    pub(crate) description: String,
    pub(crate) warning: String,
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
    /// How long it lasts, in words; empty: for ever.
    pub(crate) expires: &'a str,
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
pub(crate) struct Notice<'a> {
    /// 200: it is no error.
    pub(crate) status: StatusCode,
    pub(crate) heading: &'a str,
    pub(crate) message: &'a str,
    /// What the person can do; may be empty.
    pub(crate) explanation: &'a str,
    /// What the operator can do; may be empty.
    pub(crate) mend: &'a str,
    /// Texts and addresses.
    pub(crate) links: Vec<(&'a str, String)>,
}

impl<'a> Notice<'a> {
    /// A message without anything that could be done about it.
    pub(crate) const fn new(status: StatusCode, heading: &'a str, message: &'a str) -> Self {
        Self { status, heading, message, explanation: "", mend: "", links: Vec::new() }
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
        })
    }

    /// The style sheet.
    pub(crate) fn style() -> Answer {
        let mut sheet = answer::text(StatusCode::OK, STYLE);
        sheet.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
        answer::cacheable(sheet)
    }

    pub(crate) fn login(&self, page: &LoginPage<'_>) -> Answer {
        let vars = [
            ("Title", Value::from("Sign in")),
            ("Provider", Value::from(page.provider)),
            ("Client", Value::from(page.client)),
            ("Failed", Value::from(page.failed)),
            ("Username", Value::from(page.username)),
            ("Action", Value::from(page.action)),
            ("Then", Value::from(page.then)),
            ("Another", Value::from(page.another)),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.login, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn choice(&self, page: ChoicePage<'_>) -> Answer {
        let provider =
            |(name, address)| map([("Name", Value::from(name)), ("Address", Value::from(address))]);
        let vars = [
            ("Title", Value::from("Sign in")),
            ("Client", Value::from(page.client)),
            ("Providers", Value::List(page.providers.into_iter().map(provider).collect())),
        ];
        self.show(&self.choose, StatusCode::OK, vars)
    }

    pub(crate) fn consent(&self, page: ConsentPage<'_>) -> Answer {
        let scope = |scope: ConsentScope| {
            map([
                ("Field", Value::from(scope.field)),
                ("Name", Value::from(scope.name)),
                ("Description", Value::from(scope.description)),
                ("Warning", Value::from(scope.warning)),
            ])
        };
        let vars = [
            ("Title", Value::from("Allow access?")),
            ("Wide", Value::Bool(true)),
            ("Client", Value::from(page.client)),
            ("Place", Value::from(page.place)),
            ("User", Value::from(page.user)),
            ("Scopes", Value::List(page.scopes.into_iter().map(scope).collect())),
            ("Known", Value::List(page.known.into_iter().map(Value::from).collect())),
            ("Action", Value::from(page.action)),
            ("Interaction", Value::from(page.interaction.expose().as_str())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.consent, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn token_button(&self, page: &TokenButtonPage<'_>) -> Answer {
        let vars = [
            ("Title", Value::from("Your token")),
            ("Action", Value::from(page.action)),
            ("Code", Value::from(page.code.expose().as_str())),
            ("State", Value::from(page.state.expose().as_str())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        with_browser(self.show(&self.token_button, StatusCode::OK, vars), page.browser)
    }

    pub(crate) fn token(&self, page: &TokenPage<'_>) -> Answer {
        let vars = [
            ("Title", Value::from("Your token")),
            ("Wide", Value::Bool(true)),
            ("Token", Value::from(page.token.expose().as_str())),
            ("Expires", Value::from(page.expires)),
            ("Login", Value::from(page.login.expose().as_str())),
            ("Curl", Value::from(page.curl.expose().as_str())),
            ("Again", Value::from(page.again)),
        ];
        self.show(&self.token, StatusCode::OK, vars)
    }

    pub(crate) fn logout(&self, page: &LogoutPage<'_>) -> Answer {
        let field = |(name, value): &(&str, &str)| {
            map([("Name", Value::from(*name)), ("Value", Value::from(*value))])
        };
        let vars = [
            ("Title", Value::from("Sign out?")),
            ("User", Value::from(page.user)),
            ("Action", Value::from(page.action)),
            ("Fields", Value::List(page.fields.iter().map(field).collect())),
            ("Csrf", Value::from(page.browser.field())),
        ];
        let shown = self.show(&self.logout, StatusCode::OK, vars);
        with_browser(with_form_target(shown, page.form_target), page.browser)
    }

    pub(crate) fn notice(&self, notice: Notice<'_>) -> Answer {
        let link = |(text, address)| map([("Text", Value::from(text)), ("Address", Value::from(address))]);
        let status = if notice.status.is_success() { 0 } else { i64::from(notice.status.as_u16()) };
        let vars = [
            ("Title", Value::from(notice.heading)),
            ("Wide", Value::Bool(true)),
            ("Status", Value::Int(status)),
            ("Heading", Value::from(notice.heading)),
            ("Message", Value::from(notice.message)),
            ("Explanation", Value::from(notice.explanation)),
            ("Mend", Value::from(notice.mend)),
            ("Links", Value::List(notice.links.into_iter().map(link).collect())),
        ];
        self.show(&self.notice, notice.status, vars)
    }

    /// Carries `fields` to `action`, an address of the client; `target` is that address for the policy.
    pub(crate) fn form_post(&self, action: &str, fields: &[(String, SecretString)], target: &str) -> Answer {
        let field = |(name, value): &(String, SecretString)| {
            map([("Name", Value::from(name.as_str())), ("Value", Value::from(value.expose().as_str()))])
        };
        let vars = [
            ("Title", Value::from("Signed in")),
            ("Action", Value::from(action)),
            ("Fields", Value::List(fields.iter().map(field).collect())),
            ("Script", Value::Html(SUBMIT.to_owned())),
        ];
        let mut shown = self.show(&self.form_post, StatusCode::OK, vars);
        let hash = STANDARD.encode_to_string(digest::digest(&digest::SHA256, SUBMIT.as_bytes()));
        let policy = format!("{}; script-src 'sha256-{hash}'", answer::policy_with_form_target(target));
        answer::set(&mut shown, CONTENT_SECURITY_POLICY, &policy);
        shown
    }

    fn show<const N: usize>(&self, page: &Template, status: StatusCode, vars: [(&str, Value); N]) -> Answer {
        let mut vars: BTreeMap<String, Value> =
            vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        vars.insert("Style".to_owned(), Value::from(self.style.as_str()));
        match page.render(&Value::Map(vars)) {
            Ok(html) => answer::html(status, html),
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
