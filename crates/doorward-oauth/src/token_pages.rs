//! How a person gets a token for the command line (norm A3.10): ask for it, see a button, press it, see the token. A page
//! that is only prefetched shows nothing.

use aws_lc_rs::constant_time;
use doorward_accounts::{RedeemError, Redeemed, Redemption};
use doorward_template::words::{Message, Words};
use http::{Method, StatusCode};

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    config::BROWSER_CLIENT,
    pages::{Notice, TokenButtonPage, TokenPage, with_browser},
    params::Params,
};

const HINT: &str = "The token stands in the address of this page, behind access_token=, and only your browser knows it.\n\
                    Programs read it from there.\n";

impl OAuthServer {
    /// Begins: on to the authorization endpoint, and from there to [`Self::token_display`].
    pub(crate) fn token_request(&self, call: &Call) -> Answer {
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", BROWSER_CLIENT)
            .append_pair("redirect_uri", &self.config.issuer.at("/oauth/token/display"))
            .append_pair("response_type", "code")
            // No other browser has the cookie that this is made of, and it says nothing of the cookie.
            .append_pair("state", &browser.fingerprint())
            .finish();
        with_browser(answer::redirect(&self.authorize_path(&query)), &browser)
    }

    /// The button; and once it was pressed, the token.
    pub(crate) async fn token_display(&self, call: &Call) -> Answer {
        let params = match Params::of_page(call) {
            Ok(params) => params,
            Err(why) => return self.notice_of_request(&why.to_string(), call),
        };
        let is_same = |own: &String| {
            let state = params.get("state").unwrap_or_default();
            constant_time::verify_slices_are_equal(own.as_bytes(), state.as_bytes()).is_ok()
        };
        if !self.cookies.fingerprint(&call.headers).as_ref().is_some_and(is_same) {
            return self.no_token(call, "the state is not that of this browser");
        }
        let Some(code) = params.get("code") else { return self.no_token(call, "there is no code") };
        if call.method == Method::POST {
            if !self.cookies.is_from_our_page(&call.headers, params.get("csrf")) {
                return self.refused_form(call);
            }
            return self.redeemed_token(code, call).await;
        }
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        self.pages.to(call).token_button(&TokenButtonPage {
            action: &self.path("/oauth/token/display"),
            code: &code.into(),
            state: &params.get("state").unwrap_or_default().into(),
            browser: &browser,
        })
    }

    /// Where implicit tokens are sent: programs look no further than the address, people find this.
    pub(crate) fn token_implicit() -> Answer {
        answer::text(StatusCode::OK, HINT)
    }

    async fn redeemed_token(&self, code: &str, call: &Call) -> Answer {
        let redirect_uri = self.config.issuer.at("/oauth/token/display");
        let redemption = Redemption {
            client: BROWSER_CLIENT,
            redirect_uri: Some(&redirect_uri),
            verifier: None,
            audience: None,
        };
        match self.accounts.redeem_code(code, &redemption, call.now).await {
            Ok(redeemed) => self.token_page(&redeemed, call),
            Err(RedeemError::Unavailable(why)) => self.no_store("token", call, &why.to_string()),
            Err(why @ (RedeemError::Invalid(_) | RedeemError::Target)) => {
                self.no_token(call, &why.to_string())
            }
        }
    }

    fn token_page(&self, redeemed: &Redeemed, call: &Call) -> Answer {
        let issued = &redeemed.issued;
        let user = redeemed.user.as_ref().map_or("", |user| user.name.as_str());
        let line = Line::new("token", Outcome::Permit).user(user).client_id(BROWSER_CLIENT);
        line.credential(&issued.token.name).write(call);
        let (token, server) = (issued.access.expose(), &self.config.api_server_url);
        let left = issued.token.remaining(call.now);
        self.pages.to(call).token(&TokenPage {
            token: &issued.access,
            expires: left.map(|left| in_words(left.as_secs())),
            login: format!("oc login --token={token} --server={server}").into(),
            curl: format!("curl -H \"Authorization: Bearer {token}\" \"{server}{}\"", self.whoami()).into(),
            again: &self.path("/oauth/token/request"),
        })
    }

    /// What tells who the bearer of a token is.
    fn whoami(&self) -> &'static str {
        match self.config.kubernetes_api {
            crate::config::KubernetesApi::On => "/apis/user.openshift.io/v1/users/~",
            crate::config::KubernetesApi::Off => "/",
        }
    }

    fn no_token(&self, call: &Call, why: &str) -> Answer {
        Line::new("token", Outcome::Deny).client_id(BROWSER_CLIENT).reason(why).write(call);
        self.pages.to(call).notice(Notice {
            links: vec![(Message::RequestAnotherToken, self.path("/oauth/token/request"))],
            ..Notice::new(StatusCode::BAD_REQUEST, Message::NoToken, Message::TokenShownBefore)
        })
    }
}

/// A span of time as people say it, rounded down.
fn in_words(seconds: u64) -> Words {
    for (unit, one, several) in [
        (86_400, Message::OneDay, Message::Days),
        (3_600, Message::OneHour, Message::Hours),
        (60, Message::OneMinute, Message::Minutes),
    ] {
        let count = seconds / unit;
        if count == 1 && seconds.is_multiple_of(unit) {
            return one.into();
        }
        if count > 1 {
            return Words::from(several).with("count", count.to_string());
        }
    }
    Words::from(Message::Seconds).with("count", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use doorward_template::words::Language;

    use super::*;

    #[test]
    fn spans_of_time_are_said_as_people_do() {
        for (seconds, expected) in [
            (86_400, "1 day"),
            (90_000, "25 hours"),
            (259_200, "3 days"),
            (3_600, "1 hour"),
            (5_400, "90 minutes"),
            (59, "59 seconds"),
        ] {
            assert_eq!(in_words(seconds).in_text(Language::English), expected);
        }
    }
}
