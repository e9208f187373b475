//! The sign-in page of a provider (norm A3.5): a form for a password, or the way to where the provider signs people in.

use doorward_authn::basic::Credentials;
use doorward_oidc::AccountChoice;
use http::Method;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    config::{IdentityProvider, ProviderKind},
    idp::{NotSignedIn, Reason},
    pages::{ChoicePage, LoginPage},
    params::Params,
    then::Then,
};

/// The longest user name and password in bytes.
const LONGEST_NAME: usize = 256;
const LONGEST_PASSWORD: usize = 1024;

impl OAuthServer {
    /// The page, and its form. Without a name it is that of the only provider, or the choice of one.
    pub(crate) async fn login(&self, name: Option<&str>, call: &Call) -> Answer {
        let params = match Params::of_page(call) {
            Ok(params) => params,
            Err(why) => return self.notice_of_request(&why.to_string(), call),
        };
        let then = Then::parse(params.get("then"));
        let offered: Vec<&IdentityProvider> = self.offered().collect();
        let provider = match (name, offered.as_slice()) {
            (Some(name), all) => all.iter().find(|provider| provider.name == name).copied(),
            (None, [only]) => Some(*only),
            (None, []) => return self.no_way_to_sign_in(call),
            (None, several) => {
                let providers =
                    several.iter().map(|one| (one.name.as_str(), self.login_address(&one.name, &then, None)));
                return self.pages.to(call).choice(ChoicePage { client: "", providers: providers.collect() });
            }
        };
        let Some(provider) = provider else { return self.notice_of_nothing(call) };
        match &provider.kind {
            ProviderKind::Htpasswd(_) | ProviderKind::Static if call.method == Method::POST => {
                self.login_form(provider, &params, &then, call).await
            }
            ProviderKind::Htpasswd(_) | ProviderKind::Static => {
                self.login_page(provider, &params, &then, call)
            }
            ProviderKind::Oidc(_) | ProviderKind::RequestHeader(_) | ProviderKind::X509(_)
                if call.method == Method::POST =>
            {
                self.refused_form(call)
            }
            ProviderKind::Oidc(_) => {
                self.begin_login(&provider.name, &then, self.account_wanted(&then), call).await
            }
            ProviderKind::RequestHeader(front) => match &front.login_url {
                Some(template) => {
                    // Back at the address, the front proxy says who it is.
                    let url = format!("{}{}", self.config.issuer.origin(), then.as_str());
                    let query = then.as_str().split_once('?').map_or("", |(_, query)| query);
                    answer::redirect(&crate::authorize::filled(template, &url, query))
                }
                None => self.no_way_to_sign_in(call),
            },
            ProviderKind::X509(_) => self.no_way_to_sign_in(call),
        }
    }

    /// The parameters of the authorization request that is waiting, if one is.
    fn kept_for(&self, then: &Then) -> Option<Params> {
        then.query_of(&self.path("/oauth/authorize")).and_then(|query| Params::of_text(query).ok())
    }

    /// What the request that is waiting wants of a provider: a new login is no new login if the provider knows the
    /// browser and says nothing.
    fn account_wanted(&self, then: &Then) -> AccountChoice {
        let kept = self.kept_for(then);
        let request = self.reread(kept.as_ref());
        match request {
            Some(request) if request.prompt.wants_account() => AccountChoice::Another,
            Some(request) if request.prompt.wants_login() || request.fresh.is_some() => AccountChoice::Anew,
            _ => AccountChoice::Any,
        }
    }

    fn login_page(&self, provider: &IdentityProvider, params: &Params, then: &Then, call: &Call) -> Answer {
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        let failed =
            params.get("reason").and_then(|word| Reason::ALL.into_iter().find(|one| one.word() == word));
        let kept = self.kept_for(then);
        let request = self.reread(kept.as_ref());
        let request = request.as_ref();
        let several = self.offered().nth(1).is_some();
        let hint = request.and_then(|request| request.login_hint.as_deref());
        let hint = hint.filter(|hint| hint.len() <= LONGEST_NAME && !hint.chars().any(char::is_control));
        self.pages.to(call).login(&LoginPage {
            provider: if several { &provider.name } else { "" },
            client: request.map_or("", |request| request.client.display_name()),
            failed: failed.map(Reason::message),
            username: hint.unwrap_or(""),
            action: &self.path(&format!("/oauth/login/{}", provider.name)),
            then: then.as_str(),
            another: &if several { self.choice_address(then) } else { String::new() },
            browser: &browser,
            form_target: &request.map_or_else(String::new, |request| self.form_targets(request)),
        })
    }

    async fn login_form(
        &self,
        provider: &IdentityProvider,
        params: &Params,
        then: &Then,
        call: &Call,
    ) -> Answer {
        let again = |reason| answer::redirect(&self.login_address(&provider.name, then, Some(reason)));
        if !self.cookies.is_from_our_page(&call.headers, params.get("csrf")) {
            Line::new("login", Outcome::Deny)
                .authenticator(&provider.name)
                .reason("the form does not come from our page")
                .write(call);
            return again(Reason::TokenExpired);
        }
        let (name, password) = (params.get("username").unwrap_or(""), params.get("password").unwrap_or(""));
        if name.is_empty() || password.is_empty() {
            return again(Reason::UserRequired);
        }
        if LONGEST_NAME < name.len()
            || LONGEST_PASSWORD < password.len()
            || name.chars().any(char::is_control)
        {
            return again(Reason::AccessDenied);
        }
        let credentials = Credentials::new(name.to_owned(), password.to_owned());
        match self.try_password(provider, &credentials, call).await {
            Ok(vouched) => self.signed_in(vouched, then, call).await,
            Err(NotSignedIn::Unavailable(why)) => self.no_store("login", call, &why),
            Err(NotSignedIn::Refused(reason, why)) => {
                Line::new("login", Outcome::Deny).authenticator(&provider.name).reason(&why).write(call);
                again(reason)
            }
        }
    }

    fn login_address(&self, name: &str, then: &Then, reason: Option<Reason>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(reason) = reason {
            query.append_pair("reason", reason.word());
        }
        let query = query.append_pair("then", then.as_str()).finish();
        format!("{}?{query}", self.path(&format!("/oauth/login/{name}")))
    }

    fn choice_address(&self, then: &Then) -> String {
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("then", then.as_str()).finish();
        format!("{}?{query}", self.path("/oauth/login"))
    }
}
